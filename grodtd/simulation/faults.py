"""Which fault happens when: drawn from one seed, counted by kind.

The numbers (F1 to F25) are those of the fault table in docs/RELIABILITY.md. A kind has a chance per occasion: a
request, a report, a quarter of a second of the world. `calm` switches them all off. A fault counts when it was really
struck: a stop that is to be taken away where none rests is none.
"""

from collections import Counter
from enum import StrEnum
from random import Random

from grodtd.domain.capabilities import Amend, Capabilities, StopOrders


class Fault(StrEnum):
    """One kind of trouble."""

    PLACE_LOST = "F1 place lost"
    PLACE_ACK_LOST = "F2 place applied, answer lost"
    PLACE_LATE = "F3 place applied late"
    BUSY = "F4 definitive transient refusal"
    CANCEL_LOST = "F6 cancel lost"
    CANCEL_ACK_LOST = "F6 cancel applied, answer lost"
    CANCEL_LATE = "F6 cancel applied late"
    REPLACE_LOST = "F7 replace lost"
    REPLACE_ACK_LOST = "F7 replace applied, answer lost"
    REPLACE_LATE = "F7 replace applied late"
    REPLACE_REFUSED = "F7 replace refused"
    REPLACE_HALF = "F7 replace: old order dead, new one refused"
    HALF_PAIR = "F7 linked pair half created"
    REPORT_TWICE = "F8 report twice"
    REPORT_LATE = "F8 report late, out of order"
    REPORT_DROPPED = "F8 report dropped"
    LINK_DOWN = "F9 link down"
    PRICE_GAP = "F9 price gap"
    STALE_READ = "F10 stale read"
    QUERY_FAILED = "F10 query unanswered"
    STOP_TAKEN = "F11 stop taken away"
    STOP_REFUSED = "F11 stop refused"
    WHIPSAW = "F12 whipsaw"
    DRIBBLE = "F13 entry fills in part"
    BAD_QUOTE = "F21 crossed, zero or NaN quote"
    SPIKE = "F21 one-tick spike"
    FEED_SILENT = "F21 feed silent"
    SKEW = "F17 computer's clock wrong"
    CLOCK_JUMP = "F17 computer's clock jumps"
    CLOCK_FAR_OFF = "F17 computer's clock far off"
    KILL = "F18 process killed"
    TERMINATED = "F18 process told to stop"
    DISK_FULL = "F19 disk full"
    COMMIT_ANSWER_LOST = "F19 commit written, error returned"
    SECOND_INSTANCE = "F20 second instance turned away"
    TAKEN_OVER = "F20 account taken over, first fenced off"
    BUST = "F22 trade busted"
    HAND_CANCEL = "F23 stop cancelled by hand"
    HAND_CLOSE = "F23 position sold by hand"
    HALT = "F24 symbol halted"
    LOCKED_OUT = "F25 credentials refused"


FREE = frozenset({Fault.STALE_READ, Fault.BAD_QUOTE})
"""Kinds not counted towards the faults a history must have: they come by the dozen."""

RATES: dict[Fault, float] = {
    Fault.PLACE_LOST: 0.05,
    Fault.PLACE_ACK_LOST: 0.05,
    Fault.PLACE_LATE: 0.04,
    Fault.BUSY: 0.06,
    Fault.CANCEL_LOST: 0.06,
    Fault.CANCEL_ACK_LOST: 0.06,
    Fault.CANCEL_LATE: 0.04,
    Fault.REPLACE_LOST: 0.1,
    Fault.REPLACE_ACK_LOST: 0.1,
    Fault.REPLACE_LATE: 0.1,
    Fault.REPLACE_REFUSED: 0.1,
    Fault.REPLACE_HALF: 0.12,
    Fault.HALF_PAIR: 0.06,
    Fault.REPORT_TWICE: 0.15,
    Fault.REPORT_LATE: 0.12,
    Fault.REPORT_DROPPED: 0.08,
    Fault.STALE_READ: 0.2,
    Fault.QUERY_FAILED: 0.08,
    Fault.STOP_REFUSED: 0.05,
    Fault.LINK_DOWN: 0.004,
    Fault.PRICE_GAP: 0.005,
    Fault.STOP_TAKEN: 0.006,
    Fault.HAND_CANCEL: 0.004,
    Fault.BAD_QUOTE: 0.01,
    Fault.SPIKE: 0.003,
    Fault.FEED_SILENT: 0.0015,
    Fault.WHIPSAW: 0.003,
    Fault.CLOCK_JUMP: 0.003,
    Fault.CLOCK_FAR_OFF: 0.05,
    Fault.KILL: 0.004,
    Fault.TERMINATED: 0.0015,
    Fault.DISK_FULL: 0.002,
    Fault.COMMIT_ANSWER_LOST: 0.01,
    Fault.SECOND_INSTANCE: 0.0015,
    Fault.TAKEN_OVER: 0.0015,
    Fault.BUST: 0.0015,
    Fault.HAND_CLOSE: 0.0015,
    Fault.HALT: 0.0015,
    Fault.LOCKED_OUT: 0.0012,
}
_STOPS = frozenset({Fault.STOP_TAKEN, Fault.STOP_REFUSED, Fault.HAND_CANCEL})
_REPLACES = frozenset(
    {Fault.REPLACE_LOST, Fault.REPLACE_ACK_LOST, Fault.REPLACE_LATE, Fault.REPLACE_REFUSED, Fault.REPLACE_HALF}
)


def possible(capabilities: Capabilities) -> list[Fault]:
    """Return the kinds that can happen at a venue at all: one without stops takes none away."""
    missing: set[Fault] = set()
    if capabilities.stop_orders is StopOrders.NONE:
        missing |= _STOPS
    if capabilities.amend in (Amend.NONE, Amend.QUANTITY_DOWN_ONLY):  # stops move and merge, they do not shrink alone
        missing |= _REPLACES
    if not capabilities.native_oco:
        missing.add(Fault.HALF_PAIR)
    return [kind for kind in Fault if kind not in missing]


class Faults:
    """Draws faults. `seen` counts them."""

    def __init__(self, rng: Random) -> None:
        """Draw from `rng` and nothing else."""
        self.rng = rng
        self.calm = False
        self.seen: Counter[Fault] = Counter()

    def strikes(self, *kinds: Fault) -> Fault | None:
        """Return the kind that happens on this occasion, if any does, and count it; kinds exclude each other."""
        kind = self.tries(*kinds)
        if kind is not None:
            self.seen[kind] += 1
        return kind

    def tries(self, *kinds: Fault) -> Fault | None:
        """As `strikes`, but the caller counts (`note`) once it really happened."""
        if self.calm:
            return None
        roll = self.rng.random()
        for kind in kinds:
            roll -= RATES[kind]
            if roll < 0:
                return kind
        return None

    def note(self, kind: Fault) -> None:
        """Count a fault that was decided elsewhere."""
        self.seen[kind] += 1

    @property
    def counted(self) -> int:
        """Faults so far, without those that are free."""
        return sum(count for kind, count in self.seen.items() if kind not in FREE)
