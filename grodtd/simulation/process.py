"""One process of ours in a simulated history: the real runner and supervisor, on a disk and a clock that fail."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from grodtd.domain.errors import GrodtdError
from grodtd.domain.events import Event
from grodtd.domain.market import Quote
from grodtd.domain.outcome import Outcome
from grodtd.domain.policy import Policy
from grodtd.execution.trade_exit_service import TradeExitService
from grodtd.execution.volatility_reading import bars_wanted, read_bars
from grodtd.ports import Clock, Journal, Record
from grodtd.runtime.account import LiveAccount
from grodtd.runtime.bar_facts import BarFacts
from grodtd.runtime.bars import LiveBars, lengths_wanted
from grodtd.runtime.clocks import VenueClock
from grodtd.runtime.recovery import KeptState, Remembered, SnapshotKeeper, recover
from grodtd.runtime.runner import Runner
from grodtd.runtime.supervisor import Supervisor
from grodtd.simulation.faults import Fault, Faults
from grodtd.simulation.session import Session
from grodtd.simulation.strategies import POLICIES

RENEWED_WITHIN_S = 15.0
"""A lease of 30 s renewed so lately holds, if the time was right."""
TIME_KNOWN_NS = 5_000_000_000
WRITE_EVERY_S = 2.0
SNAPSHOT_EVERY = 25
"""Records from one snapshot to the next: so often that most deaths are recovered from with one."""


class CrashableJournal(Journal, Remembered, SnapshotKeeper, Protocol):
    """A journal one process holds, under a lease."""

    @property
    def pending(self) -> int:
        """Records not yet durable."""
        ...

    def crash(self) -> object:
        """Lose what was not committed."""
        ...

    async def renew(self, now_ns: int) -> object:
        """Keep the lease."""
        ...

    async def close(self) -> None:
        """Commit, give the lease back."""
        ...


class Disk(Protocol):
    """What survives the processes that write to it. `bootstrap` hands in the one of `storage.memory`."""

    @property
    def records(self) -> list[Record]:
        """Everything committed so far, by any process."""
        ...

    def open(self, *, holder: str, now_ns: int, alone: bool) -> CrashableJournal:
        """Open it for a process, which takes the lease. Raises a `GrodtdError`: not `alone`, and another holds it."""
        ...


class Surroundings(Protocol):
    """What a process finds: the disk it writes to, faults, and a world that watches."""

    faults: Faults
    disk_full_until: float

    @property
    def now_s(self) -> float:
        """Virtual seconds."""
        ...

    @property
    def now_ns(self) -> int:
        """The venue's time."""
        ...

    def boundary(self, kind: str) -> None:
        """About to write, commit or send."""
        ...

    def log(self, what: str) -> None:
        """Remember a line."""
        ...


class SlowJournal:
    """A journal whose commits take a moment, so that a process can die in between, and whose disk can be full."""

    def __init__(self, inner: CrashableJournal, world: Surroundings) -> None:
        """Hand everything on to `inner`, if the world lets it."""
        self._inner, self._world = inner, world
        self._dead = False
        self.renewed_s = -1e9
        """When the lease was last renewed by the right time, virtual seconds."""

    def read(self, after_seq: int = 0) -> Iterator[Record]:
        """Yield what is durable after a record."""
        return self._inner.read(after_seq)

    def latest_snapshot(self, layout: int) -> tuple[KeptState | None, Sequence[str]]:
        """Return the newest snapshot."""
        return self._inner.latest_snapshot(layout)

    def append(self, records: Sequence[Record]) -> None:
        """Take records."""
        if not self._dead:
            self._world.boundary("write")
            self._inner.append(records)

    async def commit(self) -> None:
        """Make them durable after a moment; fails while the disk is full, or says it failed when it did not."""
        await asyncio.sleep(0.001)
        if self._dead:
            return
        self._check_disk()
        if not self._inner.pending:
            await self._inner.commit()
            return
        self._world.boundary("commit")
        await self._inner.commit()
        self._world.boundary("committed")
        if self._world.faults.strikes(Fault.COMMIT_ANSWER_LOST):
            raise OSError(5, "Input/output error")

    async def save_snapshot(self, payload: Callable[[], bytes], *, seq: int, ts_ns: int, layout: int) -> None:
        """Keep the state after a record; fails while the disk is full."""
        await self.commit()
        if not self._dead:
            self._world.boundary("snapshot")
            await self._inner.save_snapshot(payload, seq=seq, ts_ns=ts_ns, layout=layout)
            self._world.boundary("snapshot kept")

    async def renew(self, now_ns: int) -> object:
        """Keep the lease."""
        if self._dead:
            return None
        self._check_disk()
        lease = await self._inner.renew(now_ns)
        if abs(now_ns - self._world.now_ns) < TIME_KNOWN_NS:
            self.renewed_s = self._world.now_s  # before the venue was heard, it may be renewed for a time long past
        return lease

    async def close(self) -> None:
        """Write what waits, give the lease back."""
        if not self._dead:
            self._check_disk()
            await self._inner.close()

    def _check_disk(self) -> None:
        if self._world.disk_full_until > self._world.now_s:
            raise OSError(28, "No space left on device")

    def crash(self) -> None:
        """Lose what was not committed, and do nothing any more."""
        self._dead = True
        self._inner.crash()


class Teller:
    """Hears what the supervisor says: an error of ours is a violation, unless the process was fenced off."""

    def __init__(self, process: "Process", world: Surroundings, violated: Callable[[str, str], None]) -> None:
        """Tell of `process`."""
        self._process, self._world, self._violated = process, world, violated

    def info(self, event: str, **context: object) -> None:
        """Log it."""
        self._world.log(f"supervisor: {event} {context}")

    warning = info

    def error(self, event: str, **context: object) -> None:
        """Judge it."""
        self.info(event, **context)
        why = context.get("exc_info") or context.get("error")
        if event in ("fault", "failed") and not self._process.session.fenced and not self._process.over:
            self._violated("ERROR", f"{event}: {context.get('doing', '')} {why!r}")


class Process:
    """A running process. `start` it; it ends by `kill`, `terminate`, or because it was fenced off."""

    def __init__(
        self,
        world: Surroundings,
        journal: CrashableJournal,
        journal_ns: int,
        session: Session,
        wall: Clock,
        violated: Callable[[str, str], None],
    ) -> None:
        """Fold the journal, whose last record is of `journal_ns` (0: it is empty).

        `wall` is the computer's clock; ours follows the venue's.
        """
        loop = asyncio.get_running_loop()
        self.session, self.journal = session, SlowJournal(journal, world)
        self.clock = VenueClock(loop, wall, journal_ns=journal_ns)
        self.runner = Runner(
            recover(self.journal, self.journal.append),
            session,
            self.journal,
            self.clock,
            snapshots=self.journal,
            snapshot_every=SNAPSHOT_EVERY,
        )
        self.supervisor = Supervisor(
            self.runner,
            self.journal,
            self.clock,
            Teller(self, world, violated),
            fatal=(GrodtdError,),
            write_every_s=WRITE_EVERY_S,
        )
        self.market = LiveBars(lengths_wanted(POLICIES.values()))
        self.bar_facts = BarFacts(POLICIES.values(), self.runner.turn.engine.living_by_bars, self._atr_now)
        self.door = TradeExitService(
            self.runner, self.runner, self.market, self.clock, POLICIES, account=LiveAccount(self.runner)
        )
        self.runner.observers.append(self._see)
        self.over = False
        """Whether it was killed, or told to stop."""
        self.task: asyncio.Task[None] | None = None

    async def start(self, facts: Sequence[Event]) -> None:
        """Begin to run."""
        await self.runner.start(*facts)
        self.task = asyncio.get_running_loop().create_task(self._supervise(), name="process")

    async def _supervise(self) -> None:
        try:
            await self.supervisor.run([])
        except (GrodtdError, OSError) as error:
            self.supervisor.faults.append(str(error))

    def _see(self, event: Event, outcome: Outcome, sequence: int) -> None:
        """Make bars of quotes, as the daemon does."""
        if isinstance(event, Quote):
            self.market.take(event)
            for fact in self.bar_facts.take(event, self.clock.now_ns()):
                asyncio.get_running_loop().call_soon(self.runner.tell, fact)

    def _atr_now(self, symbol: str, policy: Policy, until_ns: int) -> Decimal | None:
        bars = self.market.closed(symbol, policy.atr.interval_s, bars_wanted(policy), until_ns)
        return read_bars(policy, bars).atr_px

    @property
    def renews(self) -> bool:
        """Whether it knows the time and has been able to renew its lease."""
        known = self.clock.skew_s is not None
        return known and asyncio.get_running_loop().time() - self.journal.renewed_s < RENEWED_WITHIN_S

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.task is None or self.task.done()

    def kill(self) -> None:
        """Kill -9: nothing more is written, sent or taken in."""
        self.over = True
        self.journal.crash()
        self.runner.abort()
        if self.task is not None:
            self.task.cancel()

    def terminate(self) -> None:
        """SIGTERM: it drains, writes, and ends."""
        self.over = True
        self.supervisor.stop("told to")
