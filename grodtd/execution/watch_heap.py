"""What waits for a price, and heaps of it: the nearest on top, what was taken away left to be dropped later.

Everything here sees a long: prices of the other side come negated, so that a stop is reached from above and a target
from below on either side. Prices are whole units of the book that holds the heaps.
"""

import heapq
from decimal import Context, Decimal

from grodtd.domain.orders import Side
from grodtd.execution.oco_emulator import Touch

EXACT = Context(prec=1000)
"""Changes between prices and units lose no digit, whatever precision a program that embeds us has set."""


class Watch:
    """One price of one bracket that is waited for."""

    __slots__ = ("alive", "arrival", "bracket_id", "px", "side", "touch")

    def __init__(self, bracket_id: str, side: Side, touch: Touch, px: Decimal, arrival: int) -> None:
        """Wait for `px` (of a trailing stop: how far it stays behind); the older has the lower `arrival`."""
        self.bracket_id, self.side, self.touch, self.px, self.arrival = bracket_id, side, touch, px, arrival
        self.alive = True
        """False once it is waited for no longer: whoever finds it in a heap drops it."""


Heap = list[tuple[int, int, Watch]]
"""(key, arrival, what waits): the lowest key on top, ties to the older."""


def add(heap: Heap, key: int, watch: Watch) -> None:
    """Put one more in: O(log n)."""
    heapq.heappush(heap, (key, watch.arrival, watch))


def top(heap: Heap) -> int | None:
    """Return the lowest key of what is still waited for, None where nothing is; drops what lies above it and is not."""
    while heap and not heap[0][2].alive:
        heapq.heappop(heap)
    return heap[0][0] if heap else None


def collect(heap: Heap, bound: int, found: list[Watch]) -> None:
    """Add to `found`, in no order, what has a key at or below `bound`; it stays in the heap. O(what is found)."""
    places = [0] if heap and heap[0][0] <= bound else []
    while places:
        place = places.pop()
        watch = heap[place][2]
        if watch.alive:
            found.append(watch)
        places += [below for below in (2 * place + 1, 2 * place + 2) if below < len(heap) and heap[below][0] <= bound]


def pruned(heap: Heap, factor: int = 1) -> Heap:
    """Return the heap without what is waited for no longer, its keys `factor` times as large."""
    kept = [(key * factor, arrival, watch) for key, arrival, watch in heap if watch.alive]
    heapq.heapify(kept)
    return kept
