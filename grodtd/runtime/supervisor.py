"""Keeps a daemon's parts running, its lease renewed, and ends them in the right order.

Before it runs, the runner was started: journal and lease first, then what the journal remembers, then the broker, then
the comparison with the venue. It ends in the reverse order: nothing new comes in, requests under way are answered (for
a bounded time), what rests at the venue stays there, the journal is written out and the lease given back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from grodtd.domain.errors import GrodtdError
from grodtd.domain.events import Event
from grodtd.ports import Clock
from grodtd.runtime.runner import Runner

FAULTS_KEPT = 20


class Tell(Protocol):
    """Where the supervisor says what happens: a logger's methods."""

    def info(self, event: str, **context: object) -> object:
        """Say what happened."""
        ...

    def warning(self, event: str, **context: object) -> object:
        """Say what somebody should look at."""
        ...

    def error(self, event: str, **context: object) -> object:
        """Say what went wrong, while doing what."""
        ...


class LeasedJournal(Protocol):
    """A journal under a lease, as far as the supervisor looks after it."""

    async def commit(self) -> None:
        """Write what waits. Raises: `OSError` - try again; a `GrodtdError` - the lease is lost, stop."""
        ...

    async def renew(self, now_ns: int) -> object:
        """Keep the lease. Raises: `OSError` - try again; a `GrodtdError` - it is lost, stop."""
        ...

    async def close(self) -> None:
        """Write what waits, give the lease back."""
        ...


async def _nothing() -> None:
    pass


class Part(msgspec.Struct, eq=False):
    """One thing that runs beside the runner. `run` until cancelled, unless it `ends` by itself (a feed)."""

    name: str
    run: Callable[[], Awaitable[None]]
    essential: bool = True
    """Without it the daemon must not go on; a failure of another is told, and the rest goes on."""
    ends: bool = False
    last: bool = False
    """Stopped after everything else: whoever asks is answered until the end."""
    stop: Callable[[], Awaitable[None]] = _nothing
    """Asked before the part is cancelled, so that it can finish what it is doing."""


class PartFailed(GrodtdError):
    """The operator acts, with the log: a part the daemon cannot do without ended. Stops stay at the venue."""


class Supervisor:
    """Runs parts beside a started runner until it is told to stop, or until one fails that must not."""

    def __init__(
        self,
        runner: Runner,
        journal: LeasedJournal,
        clock: Clock,
        tell: Tell,
        *,
        fatal: tuple[type[Exception], ...] = (),
        renew_every_s: float = 10.0,
        write_every_s: float = 0.2,
        drain_s: float = 5.0,
    ) -> None:
        """`fatal`: errors after which nothing of ours may act any more, such as a lost lease.

        What waits for nobody (a report that led to nothing) is on disk after `write_every_s` at the latest.
        """
        self._runner, self._journal, self._clock, self._tell = runner, journal, clock, tell
        self._fatal, self._drain_s = fatal, drain_s
        self._renew_every_s, self._write_every_s = renew_every_s, write_every_s
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        self._failure: Exception | None = None
        self.faults: list[str] = []
        """Errors of our own since the start, the last ones, for `status`."""
        runner.on_mishap(self._mishap)

    @property
    def stopping(self) -> bool:
        """Whether the end has begun: nothing new is taken on."""
        return self._stop.is_set()

    def stop(self, why: str) -> None:
        """Begin the end; told a second time, do not wait for anybody."""
        if self._stop.is_set():
            self._hurry.set()
        else:
            self._tell.info("stopping", why=why, note="stops stay at the venue")
            self._stop.set()

    def fail(self, error: Exception) -> None:
        """Begin the end because of an error; `run` raises it. The first one counts."""
        if self._failure is None:
            self._failure = error
            self._tell.error("failed", error=f"{type(error).__name__}: {error}")
        self._stop.set()

    def fault(self, doing: str, error: BaseException) -> None:
        """Note an error that does not end the daemon, unless it is one of the fatal ones."""
        if isinstance(error, self._fatal):
            self.fail(error)
            return
        self.faults.append(f"{doing}: {type(error).__name__}: {error}")
        del self.faults[:-FAULTS_KEPT]
        self._tell.error("fault", doing=doing, exc_info=error)

    async def run(self, parts: Sequence[Part]) -> None:
        """Run until the end. Raises what ended the daemon, if it was not told to stop."""
        loop = asyncio.get_running_loop()
        parts = [*parts, Part("lease", self._keep_lease), Part("journal", self._write_out)]
        running = {loop.create_task(_run(part), name=part.name): part for part in parts}
        stopped = loop.create_task(self._told(), name="stop")
        try:
            await self._watch(running, stopped)
        finally:
            self._stop.set()
            stopped.cancel()
            await self._end(running)
        if self._failure is not None:
            raise self._failure

    async def _watch(self, running: dict["asyncio.Task[None]", Part], stopped: "asyncio.Task[None]") -> None:
        while not self._stop.is_set():
            watched = [task for task in (*running, *self._runner.tasks) if not task.done()]
            broken = [task for task in self._runner.tasks if task.done()]
            for task in broken:
                self.fail(_why(task.get_name(), task))
            if broken:
                return
            done, _ = await asyncio.wait([*watched, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                part = running.pop(task, None)
                if part is not None:
                    self._ended(part, task)

    def _ended(self, part: Part, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is None and part.ends:
            self._tell.info("part_over", part=part.name)
        elif part.essential or isinstance(error, self._fatal):
            self.fail(_why(part.name, task))
        else:
            self.fault(part.name, error or PartFailed("ended by itself"))

    async def _end(self, running: dict["asyncio.Task[None]", Part]) -> None:
        await self._end_parts([(task, part) for task, part in running.items() if not part.last])
        waiting = [asyncio.ensure_future(self._runner.dispatcher.settle()), asyncio.ensure_future(self._hurry.wait())]
        done, pending = await asyncio.wait(waiting, timeout=self._drain_s, return_when=asyncio.FIRST_COMPLETED)
        for future in pending:
            future.cancel()
        if waiting[0] not in done:
            self._tell.warning("requests_unanswered", note="their outcome is found out at the next start")
        for future in done:
            if future.exception() is not None:
                self._tell.warning("request_failed", error=str(future.exception()))
        await self._runner.stop()
        await self._runner.keep_snapshot()
        try:
            await self._journal.close()
        except OSError as error:
            self._tell.error("journal_not_written", error=str(error), note="what it lacks is found out at the venue")
            self._failure = self._failure or error
        await self._end_parts([(task, part) for task, part in running.items() if part.last])
        self._tell.info("stopped")

    async def _end_parts(self, parts: Sequence[tuple["asyncio.Task[None]", Part]]) -> None:
        for task, part in parts:
            await part.stop()
            task.cancel()
        await asyncio.gather(*(task for task, _ in parts), return_exceptions=True)

    async def _told(self) -> None:
        await self._stop.wait()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._renew_every_s)
            try:
                await self._journal.renew(self._clock.now_ns())
            except OSError as error:
                self._tell.error(
                    "lease_not_renewed", error=str(error), note="tried again; nothing new is sent meanwhile"
                )

    async def _write_out(self) -> None:
        while True:
            await asyncio.sleep(self._write_every_s)
            with suppress(OSError):  # the runner meets it too, tells of it, and tries again
                await self._journal.commit()

    def _mishap(self, event: Event, error: Exception) -> None:
        self.fault(f"taking in {type(event).__name__}", error)


async def _run(part: Part) -> None:
    await part.run()


def _why(name: str, task: "asyncio.Task[None]") -> Exception:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, GrodtdError | OSError):
        return error
    if isinstance(error, Exception):
        failed = PartFailed(f"{name} failed: {type(error).__name__}: {error}")
        failed.__cause__ = error
        return failed
    return PartFailed(f"{name} ended by itself")
