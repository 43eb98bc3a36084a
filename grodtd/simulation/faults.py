"""Which fault happens when: drawn from one seed, counted by kind.

The numbers are those of the fault list in docs/RELIABILITY.md. A kind has a chance per occasion (a request, a report, a
quarter of a second of the world); `calm` switches them all off.
"""

from collections import Counter
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """One kind of trouble."""

    PLACE_LOST = "place lost"
    PLACE_ACK_LOST = "place applied, answer lost"
    PLACE_LATE = "place applied late"
    BUSY = "definitive transient refusal"
    CANCEL_LOST = "cancel lost"
    CANCEL_ACK_LOST = "cancel applied, answer lost"
    CANCEL_LATE = "cancel applied late"
    REPLACE_LOST = "replace lost"
    REPLACE_ACK_LOST = "replace applied, answer lost"
    REPLACE_REFUSED = "replace refused"
    HALF_PAIR = "linked pair half created"
    REPORT_TWICE = "report twice"
    REPORT_LATE = "report late, out of order"
    REPORT_DROPPED = "report dropped"
    LINK_DOWN = "link down"
    PRICE_GAP = "price gap"
    STALE_READ = "stale read"
    QUERY_FAILED = "query unanswered"
    STOP_TAKEN = "stop taken away"
    STOP_REFUSED = "stop refused"
    DRIBBLE = "entry fills in pieces"
    BAD_QUOTE = "bad quote"
    WHIPSAW = "whipsaw"
    SKEW = "clock skew"
    KILL = "process killed"
    DISK_FULL = "disk full"
    BUST = "trade busted"
    SECOND_INSTANCE = "second instance"
    EXTERNAL_CANCEL = "stop cancelled by hand"


STALE_ARE_FREE = frozenset({Fault.STALE_READ})
"""Kinds not counted towards the faults a history must have."""

RATES: dict[Fault, float] = {
    Fault.PLACE_LOST: 0.05,
    Fault.PLACE_ACK_LOST: 0.05,
    Fault.PLACE_LATE: 0.04,
    Fault.BUSY: 0.06,
    Fault.CANCEL_LOST: 0.06,
    Fault.CANCEL_ACK_LOST: 0.06,
    Fault.CANCEL_LATE: 0.04,
    Fault.REPLACE_LOST: 0.06,
    Fault.REPLACE_ACK_LOST: 0.06,
    Fault.REPLACE_REFUSED: 0.06,
    Fault.HALF_PAIR: 0.06,
    Fault.REPORT_TWICE: 0.15,
    Fault.REPORT_LATE: 0.12,
    Fault.REPORT_DROPPED: 0.08,
    Fault.STALE_READ: 0.2,
    Fault.QUERY_FAILED: 0.08,
    Fault.STOP_REFUSED: 0.05,
    Fault.LINK_DOWN: 0.004,
    Fault.PRICE_GAP: 0.006,
    Fault.STOP_TAKEN: 0.004,
    Fault.EXTERNAL_CANCEL: 0.002,
    Fault.BAD_QUOTE: 0.03,
    Fault.WHIPSAW: 0.006,
    Fault.KILL: 0.004,
    Fault.DISK_FULL: 0.002,
    Fault.BUST: 0.001,
    Fault.SECOND_INSTANCE: 0.0005,
}


class Faults:
    """Draws faults. `seen` counts them."""

    def __init__(self, rng: Random) -> None:
        """Draw from `rng` and nothing else."""
        self.rng = rng
        self.calm = False
        self.seen: Counter[Fault] = Counter()

    def strikes(self, *kinds: Fault) -> Fault | None:
        """Return the kind that happens on this occasion, if any does; kinds exclude each other."""
        if self.calm:
            return None
        roll = self.rng.random()
        for kind in kinds:
            roll -= RATES[kind]
            if roll < 0:
                self.seen[kind] += 1
                return kind
        return None

    def note(self, kind: Fault) -> None:
        """Count a fault that was decided elsewhere."""
        self.seen[kind] += 1

    @property
    def counted(self) -> int:
        """Faults so far, without those that are free."""
        return sum(count for kind, count in self.seen.items() if kind not in STALE_ARE_FREE)
