"""The first quote of an array that reaches a level: by numpy, in blocks that grow.

`grodtd.replay.quote_walk` has the same as a compiled loop. Prices are int64 in a unit of the caller's; the short side
comes negated (`-ask`), so that both sides are a long's: a stop is reached from above, a target from below.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

FAR = 2**61
"""No price is as far as this; differences of two such still fit into int64."""
FIRST_BLOCK, LAST_BLOCK, GROWTH = 256, 16_384, 4
"""Quotes looked at at once: few where the first ones may fire, never more than a core's cache holds."""


class Trails(NamedTuple):
    """Trailing stops, as groups by the best price they have seen, the lowest best first.

    With a market that has been as high as m, the k groups whose best is at most m trail behind m by `near[k]` at
    least, and of the others the nearest stop stands at `fixed[k]`.
    """

    best: Ints
    """int64[g], rising."""
    near: Ints
    """int64[g + 1], smallest distance of the first k groups."""
    fixed: Ints
    """int64[g + 1], highest stop of all but the first k."""

    @classmethod
    def of(cls, best: Ints, distance: Ints, level: Ints) -> "Trails":
        """Work out the table from each group's best, smallest distance and nearest stop, int64[g] each."""
        near: Ints = np.concatenate(([FAR], np.minimum.accumulate(distance)))
        fixed: Ints = np.concatenate((np.maximum.accumulate(level[::-1])[::-1], [-FAR]))
        return cls(best, near, fixed)


def clipped(prices: Iterable[int]) -> Ints:
    """Return whole numbers as int64, those beyond `FAR` as `FAR`."""
    return np.array([max(-FAR, min(FAR, px)) for px in prices], dtype=np.int64)


NO_TRAILS = Trails.of(clipped([]), clipped([]), clipped([]))


class Heads(NamedTuple):
    """What one side waits for next: reached by a price <= stop, or >= target, or a trail's."""

    stop: int
    target: int
    trails: Trails


Scan = Callable[[Ints, Ints, Heads, Heads], int]
"""bid, ask: int64[n]; what waits on the bid; what waits on -ask. Returns the first index that fires, n if none does."""


def scan(bid: Ints, ask: Ints, long: Heads, short: Heads) -> int:
    """Find the first quote that reaches anything; crossed quotes, or without a positive price, reach nothing.

    >>> heads = Heads(95, 110, NO_TRAILS)
    >>> scan(np.array([100, 99, 94]), np.array([101, 100, 95]), heads, Heads(-FAR, FAR, NO_TRAILS))
    2
    """
    begin, size, best, short_best = 0, FIRST_BLOCK, -FAR, -FAR
    while begin < len(bid):
        bids, asks = bid[begin : begin + size], ask[begin : begin + size]
        trusted = (bids <= asks) & (bids > 0)
        hit, best = _hits(bids, trusted, long, best)
        short_hit, short_best = _hits(-asks, trusted, short, short_best)
        hit = (hit | short_hit) & trusted
        at = int(hit.argmax())
        if hit[at]:
            return begin + at
        begin, size = begin + size, min(size * GROWTH, LAST_BLOCK)
    return len(bid)


def _hits(px: Ints, trusted: NDArray[np.bool_], heads: Heads, best: int) -> tuple[NDArray[np.bool_], int]:
    """Return which prices reach anything, and the best of them and of `best`, the best before."""
    stop: Ints | int = heads.stop
    if len(heads.trails.best):
        sofar = np.maximum(np.maximum.accumulate(np.where(trusted, px, -FAR)), best)
        lifted = heads.trails.best.searchsorted(sofar, "right")
        stop = np.maximum(np.maximum(heads.trails.fixed[lifted], sofar - heads.trails.near[lifted]), stop)
        best = int(sofar[-1])
    return (px <= stop) | (px >= heads.target), best
