"""From an entry's fill to its acknowledged stop, in calm: `python -m benchmarks.latency`; BENCH_FOLDER names the disk.

The real runner before the simulated venue, each request and each report 50 ms on its way: a round trip of 100 ms. The
clock starts when the venue fills the entry and stops when its word that the stop works is taken in here. Three ways:
on virtual time, where only waiting counts; then on a real loop with the journal on disk, which adds the disk, the
code and this machine; and that under a stream of quotes. Goals: median below 0.3 s, 99th percentile below 2 s.
"""

import asyncio
import os
import statistics
import tempfile
from decimal import Decimal
from pathlib import Path
from random import Random

from benchmarks.printing import Row, show
from grodtd.connectors.paper import PaperBroker
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, Event, InstrumentsLoaded, PoliciesLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import NewOrder, OrderType, Side
from grodtd.domain.outcome import Outcome
from grodtd.domain.policy import BracketOrdersPolicy, Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.ports import Clock, Journal
from grodtd.runtime.clocks import LoopClock, SystemClock
from grodtd.runtime.runner import Runner
from grodtd.runtime.turn import Turn
from grodtd.simulation.virtual_time import run_virtually
from grodtd.storage.journal import SqlJournal
from grodtd.storage.memory import MemoryJournal
from grodtd.venue.profiles import MARGIN
from grodtd.venue.venue import SimulatedVenue

ONE_WAY_S = 0.05
ENTRIES, APART_S = 200, 0.2
MEDIAN_MS, WORST_HUNDREDTH_MS = 300.0, 2_000.0
POLICY = Policy(bracket_orders=BracketOrdersPolicy(max_active_brackets=100_000))
READING = VolatilityReading(atr_px=Decimal("0.40"), close_px=Decimal(100), bars=100)


class Trading:
    """Entries that come one after the other, and how long each was without an acknowledged stop."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.clock, self.rng = clock, Random(1)
        self.venue = SimulatedVenue(MARGIN, [Instrument("X")], cash=Decimal(10**12))
        self.broker = PaperBroker(self.venue, clock, latency_s=ONE_WAY_S)
        self.runner = Runner(Turn(Engine(), journal.append), self.broker, journal, clock)
        self.runner.observers.append(self.see)
        self.took_ms: list[float] = []
        self.all_stops_rest = asyncio.Event()

    async def live(self, quotes_per_s: int) -> None:
        now_ns = self.clock.now_ns()
        await self.runner.start(
            PoliciesLoaded({"default": POLICY}, now_ns),
            InstrumentsLoaded((Instrument("X"),), now_ns),
            CapabilitiesLearned(MARGIN, now_ns),
        )
        self.quote()
        await self.runner.ready.wait()
        market = asyncio.create_task(self.move(quotes_per_s))
        await asyncio.gather(*(self.enter(number) for number in range(ENTRIES)))
        await self.all_stops_rest.wait()
        market.cancel()
        await self.runner.stop()
        self.broker.close()

    async def enter(self, number: int) -> None:
        # Not in step with anything: the phase of the reconciler and of commits is drawn.
        await asyncio.sleep((number + self.rng.random()) * APART_S)
        now_ns, name = self.clock.now_ns(), f"B{number}"
        request = BracketRequested(
            name,
            "X",
            Side.BUY,
            Decimal(10),
            entry_client_order_id=f"E{number}",
            reading=READING,
            ts_event_ns=now_ns,
            ts_received_ns=now_ns,
        )
        await self.runner.handle(request)
        await self.broker.submit(NewOrder(f"E{number}", "X", Side.BUY, OrderType.MARKET, Decimal(10)))

    def quote(self) -> None:
        self.broker.feed(Quote("X", Decimal(100), Decimal(100), self.clock.now_ns()))

    async def move(self, per_s: int) -> None:
        while True:
            await asyncio.sleep(1 / per_s)
            self.quote()

    def see(self, event: Event, outcome: Outcome, sequence: int) -> None:
        for note in outcome.notes:
            if note.kind is NoteKind.STOP_RESTING:
                entry_id = note.bracket_id.replace("B", "E")
                filled_ns = next(f.ts_event_ns for f in reversed(self.venue.fills(0)) if f.client_order_id == entry_id)
                self.took_ms.append((self.clock.now_ns() - filled_ns) / 1e6)
                if len(self.took_ms) == ENTRIES:
                    self.all_stops_rest.set()


async def virtually(quotes_per_s: int) -> list[float]:
    trading = Trading(MemoryJournal(), LoopClock(asyncio.get_running_loop(), 1_700_000_000 * 10**9))
    await trading.live(quotes_per_s)
    return trading.took_ms


async def really(path: Path, quotes_per_s: int) -> list[float]:
    clock = SystemClock()
    journal = SqlJournal(path, account="bench", holder="bench", now_ns=clock.now_ns())
    trading = Trading(journal, clock)
    await trading.live(quotes_per_s)
    await journal.close()
    return trading.took_ms


def rows_of(what: str, took_ms: list[float]) -> list[Row]:
    hundredth = statistics.quantiles(took_ms, n=100)[98]
    return [
        Row(f"{what}: median", statistics.median(took_ms), "ms", MEDIAN_MS, "limit", took_ms),
        Row(f"{what}: 99th percentile", hundredth, "ms", WORST_HUNDREDTH_MS, "limit"),
    ]


def main() -> None:
    """Print ours, the limit and the ratio."""
    with tempfile.TemporaryDirectory(prefix="grodtd-bench-", dir=os.environ.get("BENCH_FOLDER")) as name:
        folder = Path(name)
        rows = rows_of("virtual time", run_virtually(virtually(10)))
        rows += rows_of("real, on disk", asyncio.run(really(folder / "calm.db", 10)))
        rows += rows_of("real, 500 quotes/s", asyncio.run(really(folder / "busy.db", 500)))
    show(f"From fill to acknowledged stop, {ENTRIES} entries, a round trip of {2 * ONE_WAY_S * 1e3:.0f} ms", rows)


if __name__ == "__main__":
    main()
