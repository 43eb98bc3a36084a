"""Clocks that can be handed in. Both follow an event loop's own time, so virtual time needs nothing special."""

import asyncio
import time

NS = 1_000_000_000


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
