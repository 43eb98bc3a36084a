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
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wall: Clock, *, journal_ns: int = 0, far_off_s: float = FAR_OFF_S
    ) -> None:
        """`wall`: the computer's clock. `journal_ns`: the time of the journal's last record; 0: it is empty."""
        self._loop, self._wall, self._far_off_s = loop, wall, far_off_s
        self._offset_ns = (journal_ns or wall.now_ns()) - self._ticks_ns()
        self._measured_s: float | None = None
        self.skew_s: float | None = None
        """The computer's clock less the venue's, seconds, when last measured; None: never."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, by the venue's clock."""
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
        now_s = self._loop.time()
        if self._measured_s is not None and now_s - self._measured_s < MEASURE_EVERY_S:
            return ""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                asked_ns = self._ticks_ns()
                server_ns = await broker.server_time_ns()
                answered_ns = self._ticks_ns()
        except (Refused, NotSent, OutcomeUnknown, TimeoutError) as error:
            return "" if self._measured_s is not None else f"the venue does not tell its time: {error}"
        if answered_ns - asked_ns > LONGEST_TRIP_S * NS:
            return "" if self._measured_s is not None else "the venue's time took too long to arrive to be of use"
        self._offset_ns = server_ns - (asked_ns + answered_ns) // 2
        self._measured_s = self._loop.time()
        self.skew_s = (self._wall.now_ns() - self.now_ns()) / NS
        return ""

    def _ticks_ns(self) -> int:
        return int(self._loop.time() * NS)
