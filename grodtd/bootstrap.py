"""The one place where things are plugged together; the only file that names brokers and databases."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from grodtd.config.loading import Configuration, default_config_dir, load
from grodtd.connectors.paper import PaperBroker
from grodtd.domain.capabilities import Capabilities
from grodtd.domain.events import CapabilitiesLearned, InstrumentsLoaded, PoliciesLoaded, RunStarted
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Bar, Quote
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.trade_exit_service import TradeExitService
from grodtd.ports import Clock, Journal, Record
from grodtd.runtime.clocks import SystemClock
from grodtd.runtime.runner import Runner
from grodtd.runtime.turn import Turn
from grodtd.storage.bulk import SyncJournal
from grodtd.storage.memory import Disk as MemoryDisk
from grodtd.storage.memory import MemoryJournal
from grodtd.storage.reading import read
from grodtd.venue.profiles import MARGIN
from grodtd.venue.venue import SimulatedVenue

if TYPE_CHECKING:
    from grodtd.replay.columns import Progress
    from grodtd.replay.run import Inputs, Replayed, ReplayOptions
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
    now_ns = clock.now_ns()
    await runner.start(
        RunStarted("paper", config_fingerprint=chosen.fingerprint, ts_received_ns=now_ns),
        PoliciesLoaded(chosen.policies, now_ns),
        InstrumentsLoaded(tuple(listed.values()), now_ns),
        CapabilitiesLearned(capabilities, now_ns),
    )
    service = TradeExitService(runner, runner, Bars(bars), clock, chosen.policies)
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
    from grodtd.replay.run import prepare, run, write  # noqa: PLC0415 - a daemon needs none of its libraries

    inputs = inputs or prepare(options, configuration, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    journal_path = out / "journal.db"
    for leftover in out.glob("journal.db*"):
        leftover.unlink()
    with SyncJournal(journal_path) as journal:
        replayed = run(inputs, journal.append, progress)
        journal.note(
            {
                "kind": "replay",
                "prices": inputs.prices.path,
                "prices_sha256": inputs.prices.sha256,
                "entries": options.entries,
                "entries_sha256": inputs.entries_sha256 or "",
                "config_fingerprint": configuration.fingerprint,
                **{f"option.{name}": value for name, value in options.as_text().items()},
            }
        )
    write(out, replayed)
    return replayed


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

    def open(self) -> MemoryJournal:
        """Open it for the next process."""
        return MemoryJournal(self._disk)


def simulate_one(seed: int, profile: str) -> "History":
    """Play one seeded history on a journal in memory."""
    from grodtd.simulation.world import play  # noqa: PLC0415 - a daemon does not simulate

    return play(seed, profile, SimulatedDisk())


def simulate_script(profile: str, deaths: tuple[int, ...]) -> "tuple[History, int]":
    """Play the scripted life, dying at the boundaries named; return what came of it and how many there were."""
    from grodtd.simulation.crashes import scripted  # noqa: PLC0415 - as above

    return scripted(profile, SimulatedDisk(), deaths)


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
