"""The one place where things are plugged together; the only file that names brokers and databases."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from grodtd.config.instruments import instrument_for
from grodtd.config.loading import Configuration, default_config_dir, load
from grodtd.connectors.paper import PaperBroker
from grodtd.connectors.paper_account import PaperAccount
from grodtd.domain.capabilities import Capabilities
from grodtd.domain.errors import ConfigError
from grodtd.domain.events import CapabilitiesLearned, InstrumentsLoaded, PoliciesLoaded, RiskLimitsLoaded, RunStarted
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Bar, Quote
from grodtd.domain.orders import ExecutionReport, Side
from grodtd.domain.risk import AdvisorSettings
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.trade_exit_service import TradeExitService
from grodtd.ports import Clock, Journal, Record, RiskAdvisor
from grodtd.runtime.account import LiveAccount
from grodtd.runtime.clocks import SystemClock, VenueClock
from grodtd.runtime.feed import Recording, merged, quotes_of_bar
from grodtd.runtime.runner import Runner
from grodtd.runtime.sessions import SessionClock
from grodtd.runtime.turn import Turn
from grodtd.storage import upkeep
from grodtd.storage.bulk import SyncJournal
from grodtd.storage.errors import LeaseLost
from grodtd.storage.exclusive import ExclusiveLock
from grodtd.storage.journal import SqlJournal
from grodtd.storage.memory import Disk as MemoryDisk
from grodtd.storage.memory import MemoryJournal
from grodtd.storage.reading import read
from grodtd.venue.profiles import MARGIN, PROFILES
from grodtd.venue.venue import SimulatedVenue

if TYPE_CHECKING:
    from grodtd.config.policy_file import NamedPolicy
    from grodtd.connectors.http_risk import HttpRiskAdvisor
    from grodtd.daemon import DaemonOptions
    from grodtd.monitoring.logs import Logger
    from grodtd.replay.columns import Progress
    from grodtd.replay.compare import Comparison
    from grodtd.replay.inputs import Inputs, ReplayOptions
    from grodtd.replay.reading import ReadResult
    from grodtd.replay.run import Replayed
    from grodtd.simulation.world import History


class Bars:
    """Bars that are at hand, as `ports.MarketData`: what a program has already loaded or recorded."""

    def __init__(self, bars: Iterable[Bar] = ()) -> None:
        """Keep bars by symbol, in time order."""
        self._bars: dict[str, list[Bar]] = {}
        self._none: tuple[Quote, ...] = ()
        for bar in bars:
            self._bars.setdefault(bar.symbol, []).append(bar)

    async def bars(self, symbol: str, interval_s: int, count: int, until_ns: int) -> list[Bar]:
        """Return the last `count` bars closed by `until_ns`, oldest first."""
        closed = [bar for bar in self._bars.get(symbol, []) if bar.ts_event_ns + interval_s * 1_000_000_000 <= until_ns]
        return closed[-count:]

    async def quotes(self, symbols: list[str]) -> AsyncIterator[Quote]:
        """No quotes are at hand."""
        for quote in self._none:
            yield quote


class Paper:
    """A paper world: the door, the paper broker behind it, and the runner between them."""

    def __init__(self, service: TradeExitService, broker: PaperBroker, runner: Runner) -> None:
        """Hold the three parts."""
        self.service, self.broker, self.runner = service, broker, runner

    async def quote(self, symbol: str, bid: Decimal | str, ask: Decimal | str) -> None:
        """Let the market move, and everything that follows from it happen."""
        self.broker.feed(Quote(symbol, Decimal(bid), Decimal(ask), self.runner.clock.now_ns()))
        await self.settle()

    async def settle(self) -> None:
        """Return when nothing is on its way any more (without latency: what travels takes one turn of the loop)."""
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self.runner.dispatcher.idle else 0
            await self.runner.dispatcher.settle()


@asynccontextmanager
async def paper(
    configuration: Configuration | None = None,
    *,
    capabilities: Capabilities = MARGIN,
    instruments: Sequence[Instrument] = (),
    bars: Iterable[Bar] = (),
    clock: Clock | None = None,
    journal: Journal | None = None,
    cash: Decimal = Decimal(100_000),
    latency_s: float = 0.0,
    advisor: RiskAdvisor | None = None,
) -> AsyncIterator[Paper]:
    """Run a paper account: the live engine and runner, the simulated venue, a journal in memory unless given.

    Without a configuration the shipped one applies. Raises: ConfigError.
    """
    chosen = configuration or load(default_config_dir(), environ={})
    listed = {**chosen.instruments, **{instrument.symbol: instrument for instrument in instruments}}
    clock = clock or SystemClock()
    journal = journal or MemoryJournal()
    broker = PaperBroker(SimulatedVenue(capabilities, listed.values(), cash=cash), clock, latency_s=latency_s)
    runner = Runner(Turn(Engine(), journal.append), broker, journal, clock)
    account = LiveAccount(runner)
    now_ns = clock.now_ns()
    await runner.start(
        RunStarted("paper", config_fingerprint=chosen.fingerprint, ts_received_ns=now_ns),
        PoliciesLoaded(chosen.policies, now_ns),
        RiskLimitsLoaded(chosen.risk.limits, now_ns),
        InstrumentsLoaded(tuple(listed.values()), now_ns),
        CapabilitiesLearned(capabilities, now_ns),
        *SessionClock(
            listed.values(),
            chosen.policies.values(),
            day_orders=not capabilities.gtc,
            day_calendar=chosen.risk.limits.day_calendar,
        ).due(now_ns),
    )
    service = TradeExitService(runner, runner, Bars(bars), clock, chosen.policies, account=account, advisor=advisor)
    try:
        yield Paper(service, broker, runner)
    finally:
        broker.close()
        await runner.stop()


def replay_to(
    out: Path,
    options: "ReplayOptions",
    configuration: Configuration,
    progress: "Progress | None" = None,
    inputs: "Inputs | None" = None,
) -> "Replayed":
    """Replay into the folder `out`: exits.csv, summary.json, report.html and journal.db, in place of an older run's.

    Nothing is written when the input is bad. Raises: DataError, ConfigError.
    """
    from grodtd.replay.folder import prepare_batch  # noqa: PLC0415 - a daemon needs none of its libraries
    from grodtd.replay.inputs import Batch  # noqa: PLC0415 - as above
    from grodtd.replay.outputs import write  # noqa: PLC0415 - as above
    from grodtd.replay.run import run_batch  # noqa: PLC0415 - as above

    batch = Batch([inputs]) if inputs else prepare_batch(options, configuration, progress)
    out.mkdir(parents=True, exist_ok=True)
    journal_path = out / "journal.db"
    for leftover in out.glob("journal.db*"):
        leftover.unlink()
    with SyncJournal(journal_path) as journal:
        replayed = run_batch(batch, journal.append, progress)
        facts = replayed.facts
        journal.note(
            {
                "kind": "replay",
                "prices": facts.prices_path,
                "prices_sha256": facts.prices_sha256,
                "entries": options.entries,
                "entries_sha256": facts.entries_sha256 or "",
                "config_fingerprint": configuration.fingerprint,
                **{f"option.{name}": value for name, value in options.as_text().items()},
            }
        )
    write(out, replayed)
    return replayed


def compare_to(
    out: Path,
    options: "ReplayOptions",
    policies: "Sequence[NamedPolicy]",
    *,
    jobs: int = 1,
    progress: "Progress | None" = None,
    read: "ReadResult | None" = None,
) -> "Comparison":
    """Compare policies into the folder `out`: compare.csv, compare.json, compare.html, in place of older ones.

    Nothing is written when the input is bad. Raises: DataError, ConfigError.
    """
    from grodtd.replay.compare import compare  # noqa: PLC0415 - a daemon needs none of its libraries
    from grodtd.replay.compare_file import write_csv, write_json  # noqa: PLC0415 - as above
    from grodtd.replay.compare_report import write_page  # noqa: PLC0415 - as above

    compared = compare(options, policies, jobs=jobs, read=read, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "compare.csv", compared)
    write_json(out / "compare.json", compared)
    write_page(out / "compare.html", compared)
    return compared


class DaemonJournal(SqlJournal):
    """The daemon's journal, with its lease in plain figures."""

    @property
    def held(self) -> tuple[int, int]:
        """The lease's epoch, and when it ends unless it is renewed, ns since the epoch."""
        return self.lease.epoch, self.lease.expires_ns


class KeptPaper(PaperBroker):
    """The paper broker over an account that outlives the process."""

    def __init__(self, account: PaperAccount, clock: Clock, *, latency_s: float) -> None:
        """Trade in `account`; `close` lets go of it."""
        super().__init__(account, clock, latency_s=latency_s)
        self._account, self._now_ns = account, clock.now_ns
        self.created = account.created
        self.place, self.keep_place = account.place, account.keep_place

    def bring(self, symbol: str, side: Side, quantity: Decimal, px: Decimal) -> list[ExecutionReport]:
        """Take in a position made elsewhere."""
        reports = self._account.bring(symbol, side, quantity, px, self._now_ns())
        self.deliver(reports)
        return reports

    def close(self, reason: str = "closed") -> None:
        """Hang up, and let go of the account."""
        super().close(reason)
        self._account.close()


def run_daemon(
    configuration: Configuration, options: "DaemonOptions", log: "Logger", ready: Callable[[], None]
) -> None:
    """Run the daemon until SIGTERM or SIGINT; `ready` is called when it answers on its socket.

    Raises: ConfigError, DataError - before anything was touched; `JournalLocked`, `SocketTaken` - another one runs;
    the journal's other errors; `LeaseLost`, `PartFailed` - what ended it.
    """
    with asyncio.Runner() as runner:
        _run_daemon(configuration, options, log, ready, runner)


def _run_daemon(
    configuration: Configuration,
    options: "DaemonOptions",
    log: "Logger",
    ready: Callable[[], None],
    runner: asyncio.Runner,
) -> None:
    from grodtd.daemon import LiveDaemon  # noqa: PLC0415 - a replay needs none of its libraries

    recordings = [
        recorded(path, configuration, lambda words: log.warning("feed", remark=words)) for path in options.feeds
    ]
    _make_private(options.state)
    host, wall, settings = socket.gethostname(), SystemClock(), configuration.brokers.paper
    clock = VenueClock(runner.get_loop(), wall, far_off_s=float(configuration.daemon.clock_refuse_s))
    lock = ExclusiveLock(options.state / "daemon", host)
    try:
        capabilities, instruments = PROFILES[settings.profile], configuration.instruments.values()
        account = PaperAccount(options.state / "paper-account.jsonl", capabilities, instruments, cash=settings.cash)
        journal = DaemonJournal(
            options.journal, account=configuration.brokers.use, holder=f"{host}:{os.getpid()}", now_ns=wall.now_ns()
        )
        for remark in journal.opening.remarks:
            log.warning("journal_opened", remark=remark)
        broker = KeptPaper(account, wall, latency_s=settings.latency_ms / 1000)
        advisor = _advisor(configuration.risk.advisor)
        daemon = LiveDaemon(
            configuration,
            options,
            log,
            journal=journal,
            broker=broker,
            paper=broker,
            clock=clock,
            wall=wall,
            recording=merged([recording for recording, _, _ in recordings]) if recordings else None,
            fatal=(LeaseLost,),
            advisor=advisor,
        )
        for _, symbol, interval_s in recordings:
            daemon.market.coarse(symbol, interval_s)
        runner.run(_run_with(advisor, daemon.run(ready)))
    finally:
        lock.release()


def _advisor(settings: AdvisorSettings) -> "HttpRiskAdvisor | None":
    """The outside risk system the configuration names, if it names one."""
    if settings.url is None:
        return None
    from grodtd.connectors.http_risk import HttpRiskAdvisor  # noqa: PLC0415 - an optional part

    return HttpRiskAdvisor(settings)


async def _run_with(advisor: "HttpRiskAdvisor | None", work: Coroutine[None, None, None]) -> None:
    try:
        await work
    finally:
        if advisor is not None:
            await advisor.aclose()


def recorded(path: Path, configuration: Configuration, remark: Callable[[str], None]) -> tuple[Recording, str, int]:
    """Read a file of quotes or bars: the recording, its symbol, and its bars' length in seconds (0: quotes).

    Raises: DataError - the file; ConfigError - its symbol is not listed.
    """
    from grodtd.replay.feed import Feed  # noqa: PLC0415 - an optional part
    from grodtd.replay.prices import Bars as RecordedBars  # noqa: PLC0415 - an optional part
    from grodtd.replay.reading import read_prices  # noqa: PLC0415 - an optional part

    found = read_prices(path)
    for words in found.remarks:
        remark(words)
    prices = found.prices
    symbol = prices.symbol
    instrument_for(symbol, configuration, None)
    name = f"{prices.sha256[:16]}:{symbol}"
    if isinstance(prices, RecordedBars):
        feed, bars = Feed.of_bars(prices), prices
        of_bars = (
            quote
            for i in range(len(bars))
            for quote in quotes_of_bar(*feed.bar(i), int(bars.end_ns[i] - bars.time_ns[i]))
        )
        return Recording(str(path), name, 4 * len(bars), of_bars), symbol, bars.interval_ns // 1_000_000_000
    ticks = prices
    quotes = (
        Quote(symbol, ticks.px(int(ticks.bid[i])), ticks.px(int(ticks.ask[i])), int(ticks.time_ns[i]))
        for i in range(len(ticks))
    )
    return Recording(str(path), name, len(ticks), quotes), symbol, 0


def _make_private(folder: Path) -> None:
    """Make the state folder, for its owner alone. Raises: ConfigError - others could put a file in it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
    except OSError as error:
        raise ConfigError([f"{folder}: cannot be made: {error.strerror or error}; name another with --state"]) from None
    if mode & 0o022:
        raise ConfigError([f"{folder}: others may write there: `chmod 700 {folder}`, or name another with --state"])


def verify_journal(target: str | Path) -> tuple[int, str, tuple[str, ...]]:
    """Check a whole journal; return how many records it has, the last one's checksum, and remarks.

    Raises: `JournalCorrupt`, `JournalNotFound`, `JournalTooNew`, `JournalUnavailable`.
    """
    found = upkeep.verify(target)
    return found.records, found.checksum, found.remarks


def backup_journal(path: Path, to: Path) -> None:
    """Copy a journal whole, as of one moment, also while a daemon writes. Raises: ConfigError, `JournalCorrupt`."""
    upkeep.backup(path, to)


def set_journal_aside(path: Path) -> Path:
    """Rename a journal that cannot be used, and return its new name. Raises: `JournalLocked`, `JournalNotFound`."""
    return upkeep.set_aside(path)


def journal_records(target: str | Path, bracket_id: str | None = None) -> Iterator[Record]:
    """Read a journal without touching it."""
    return read(target, bracket_id=bracket_id)


class SimulatedDisk:
    """What survives the processes of a simulated history."""

    def __init__(self) -> None:
        """Begin empty."""
        self._disk = MemoryDisk()

    @property
    def records(self) -> list[Record]:
        """Everything committed so far."""
        return self._disk.records

    def open(self, *, holder: str, now_ns: int, alone: bool) -> MemoryJournal:
        """Open it for a process, which takes the lease. Raises: `JournalLocked`."""
        return MemoryJournal(self._disk, holder=holder, now_ns=now_ns, alone=alone)


def simulate_one(seed: int, profile: str) -> "History":
    """Play one seeded history on a journal in memory."""
    from grodtd.simulation.world import play  # noqa: PLC0415 - a daemon does not simulate

    return play(seed, profile, SimulatedDisk())


def simulate_script(profile: str, deaths: tuple[int, ...], strategy: str = "default") -> "tuple[History, int]":
    """Play a scripted life, dying at the boundaries named; return what came of it and how many there were."""
    from grodtd.simulation.crashes import scripted  # noqa: PLC0415 - as above

    return scripted(profile, SimulatedDisk(), deaths, strategy)


def simulate_mutant(name: str, seeds: "Sequence[int]", profiles: "Sequence[str]") -> str | None:
    """Play histories with one deliberate fault in our logic until one catches it; say which, None when none did."""
    from grodtd.simulation.mutants import named, spoiled  # noqa: PLC0415 - as above

    with spoiled(named(name)):
        for seed in seeds:
            for profile in profiles:
                history = simulate_one(seed, profile)
                if history.violations:
                    return f"{history.violations[0][0]} at seed {seed}, {profile}"
    return None
