"""Clocks that can be handed in. They follow an event loop's own time, so virtual time needs nothing special."""

import asyncio
import time

from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.ports import Broker, Clock

NS = 1_000_000_000
MEASURE_EVERY_S = 30.0
LONGEST_TRIP_S = 1.0
"""An answer that took longer says too little: half of it is the error, and `protection.clock_skew_s` is 0.5 s."""
FAR_OFF_S = 10.0
"""A computer's clock this far from the venue's is broken: requests signed with it would be refused, too."""
ANSWER_WITHIN_S = 2.0
JUMPED_S = 1.0
"""The computer's clock and monotonic time have parted by so much: it was set, or the machine slept. Measure again."""
NO_CLOCK = "no_clock"
"""Code of a refusal: this venue tells no time of its own."""


class LoopClock:
    """Nanoseconds since the epoch, counted on by an event loop's monotonic time from a start that is handed in."""

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch_ns: int) -> None:
        """It is `epoch_ns` now, by the loop's time."""
        self._loop = loop
        self._offset_ns = epoch_ns - int(loop.time() * NS)

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self._offset_ns + int(self._loop.time() * NS)


class SystemClock:
    """The computer's own clock."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()


class VenueClock:
    """The venue's time, as far as this process can tell: measured by its replies, counted on by monotonic time.

    Deadlines, `valid_until` and proofs of death are all by this clock, so that neither a computer's clock that is
    wrong, nor one that jumps, moves any of them. The computer's clock counts only until the venue was first heard,
    and only where there is no journal: otherwise time then stands where the journal ends, so that no deadline of an
    earlier process passes before it is due.

    Where the venue tells no time (`Refused` with the code `no_clock`) this is the computer's clock, from then on.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wall: Clock, *, journal_ns: int = 0, far_off_s: float = FAR_OFF_S
    ) -> None:
        """`wall`: the computer's clock. `journal_ns`: the time of the journal's last record; 0: it is empty."""
        self._loop, self._wall, self._far_off_s = loop, wall, far_off_s
        self._measured_s: float | None = None
        self._wall_offset_ns = 0
        """The computer's clock less monotonic time, when last measured."""
        self._untold = False
        self.skew_s: float | None = None
        """The computer's clock less the venue's, seconds, when last measured; None: never."""
        self._offset_ns = wall.now_ns() - self._ticks_ns()
        self.begin(journal_ns)

    def begin(self, journal_ns: int) -> None:
        """Let time stand where the journal ends (`journal_ns`; 0: it is empty) until the venue is heard."""
        if journal_ns and self._measured_s is None:
            self._offset_ns = journal_ns - self._ticks_ns()

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, by the venue's clock."""
        if self._untold:
            return self._wall.now_ns()
        return self._offset_ns + self._ticks_ns()

    @property
    def off(self) -> str:
        """Why no new risk may be taken, in words; empty when it may."""
        if self.skew_s is None or abs(self.skew_s) <= self._far_off_s:
            return ""
        way = "ahead of" if self.skew_s > 0 else "behind"
        return f"this computer's clock is {abs(self.skew_s):.1f} s {way} the venue's: synchronise it"

    async def keep(self, broker: Broker) -> str:
        """Measure again when that is due. Returns why the time is still unknown; empty when it is known.

        A measurement that fails changes nothing: monotonic time carries on from the last one.
        """
        if self._untold or not self._due():
            return ""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                asked_ns = self._ticks_ns()
                server_ns = await broker.server_time_ns()
                answered_ns = self._ticks_ns()
        except (Refused, NotSent, OutcomeUnknown, TimeoutError) as error:
            if isinstance(error, Refused) and error.code == NO_CLOCK:
                self._untold = True
                return ""
            return "" if self._measured_s is not None else f"the venue does not tell its time: {error}"
        if answered_ns - asked_ns > LONGEST_TRIP_S * NS:
            return "" if self._measured_s is not None else "the venue's time took too long to arrive to be of use"
        self._offset_ns = server_ns - (asked_ns + answered_ns) // 2
        self._measured_s = self._loop.time()
        wall_ns = self._wall.now_ns()
        self._wall_offset_ns = wall_ns - self._ticks_ns()
        self.skew_s = (wall_ns - self.now_ns()) / NS
        return ""

    def _due(self) -> bool:
        """Whether to measure: every so often, and at once when one of our clocks has jumped against the other."""
        if self._measured_s is None or self._loop.time() - self._measured_s >= MEASURE_EVERY_S:
            return True
        parted_ns = self._wall.now_ns() - self._ticks_ns() - self._wall_offset_ns
        return abs(parted_ns) > JUMPED_S * NS

    def _ticks_ns(self) -> int:
        return int(self._loop.time() * NS)
