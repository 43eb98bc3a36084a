"""From an entry's fill to its stop on the wire, in process: `python -m benchmarks.fill_to_stop`.

The real runner, engine and dispatcher; the venue answers at once. The clock starts when the fill's report is handed to
the process and stops when the stop's order is handed to the broker. Entries come one after the other and stay open.
With the journal in memory, which is our code alone; then with SQLite on disk, which adds one durable commit between.
"""

import asyncio
import os
import statistics
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from benchmarks.printing import Row, show
from grodtd.connectors.paper import PaperBroker
from grodtd.domain.commands import SubmitOrder
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, Event, InstrumentsLoaded, PoliciesLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import NewOrder, OrderReport, OrderType, Side
from grodtd.domain.outcome import Outcome
from grodtd.domain.policy import BracketOrdersPolicy, Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.ports import Journal
from grodtd.runtime.clocks import SystemClock
from grodtd.runtime.governor import Governor
from grodtd.runtime.runner import Runner
from grodtd.runtime.turn import Turn
from grodtd.storage.journal import SqlJournal
from grodtd.storage.memory import MemoryJournal
from grodtd.venue.profiles import MARGIN
from grodtd.venue.venue import SimulatedVenue

ENTRIES, WARM, ROUNDS = 2_000, 200, 3
POLICY = Policy(bracket_orders=BracketOrdersPolicy(max_active_brackets=1_000_000))
READING = VolatilityReading(atr_px=Decimal("0.40"), close_px=Decimal(100), bars=100)


class Wire(PaperBroker):
    """A broker that notes when an order reaches it."""

    sent_at = 0.0

    async def submit(self, order: NewOrder) -> OrderReport:
        """Note the moment, then pass it on."""
        self.sent_at = time.perf_counter()
        return await super().submit(order)


class Desk:
    """One account to trade on, and how long each fill waited for its stop to leave."""

    def __init__(self, journal: Journal) -> None:
        self.clock = SystemClock()
        self.venue = SimulatedVenue(MARGIN, [Instrument("X")], cash=Decimal(10**12))
        self.wire = Wire(self.venue, self.clock)
        self.runner = Runner(
            Turn(Engine(), journal.append),
            self.wire,
            journal,
            self.clock,
            governor=Governor(limit=1_000_000),  # no venue's request limit: what is measured is our own code
            reconcile_every_s=3_600,
        )
        self.runner.observers.append(self.see)
        self.stop_rests = asyncio.Event()

    async def measure(self) -> list[float]:
        """Return microseconds from fill to stop, one an entry."""
        now_ns = self.clock.now_ns()
        await self.runner.start(
            PoliciesLoaded({"default": POLICY}, now_ns),
            InstrumentsLoaded((Instrument("X"),), now_ns),
            CapabilitiesLearned(MARGIN, now_ns),
        )
        self.wire.feed(Quote("X", Decimal(100), Decimal(100), now_ns))
        await self.runner.ready.wait()
        took_us = [await self.enter(number) for number in range(WARM + ENTRIES)]
        await self.runner.stop()
        self.wire.close()
        return took_us[WARM:]

    async def enter(self, number: int) -> float:
        """Fill one entry; return when its stop rests."""
        now_ns, entry = self.clock.now_ns(), f"E{number}"
        self.stop_rests.clear()
        await self.runner.handle(
            BracketRequested(
                f"B{number}",
                "X",
                Side.BUY,
                Decimal(10),
                entry_client_order_id=entry,
                reading=READING,
                ts_event_ns=now_ns,
                ts_received_ns=now_ns,
            )
        )
        order = NewOrder(entry, "X", Side.BUY, OrderType.MARKET, Decimal(10))
        *before, fill = self.venue.apply(SubmitOrder("", order), now_ns)
        assert fill.last_qty
        self.wire.deliver(before)  # the entry's acknowledgement: taken in before its fill comes
        await asyncio.sleep(0.0002)
        filled_at = time.perf_counter()
        self.wire.deliver([fill])
        await self.stop_rests.wait()
        return (self.wire.sent_at - filled_at) * 1e6

    def see(self, event: Event, outcome: Outcome, sequence: int) -> None:
        """Notice that a stop rests."""
        if any(note.kind is NoteKind.STOP_RESTING for note in outcome.notes):
            self.stop_rests.set()


async def in_memory() -> list[float]:
    """Measure with the journal in memory."""
    return await Desk(MemoryJournal()).measure()


async def on_disk(path: Path) -> list[float]:
    """Measure with the journal on disk."""
    journal = SqlJournal(path, account="bench", holder="bench", now_ns=0)
    took = await Desk(journal).measure()
    await journal.close()
    return took


def rows_of(what: str, rounds: list[list[float]], goals: tuple[str, str]) -> list[Row]:
    """Return median and 99th percentile, each the middle one of the rounds."""
    medians = [statistics.median(took) for took in rounds]
    hundredths = [statistics.quantiles(took, n=100)[98] for took in rounds]
    return [
        Row(f"{what}: median", statistics.median(medians), "us", rounds=medians, goal=goals[0]),
        Row(f"{what}: 99th percentile", statistics.median(hundredths), "us", rounds=hundredths, goal=goals[1]),
    ]


def main() -> None:
    """Print both."""
    rows = rows_of(
        "journal in memory", [asyncio.run(in_memory()) for _ in range(ROUNDS)], ("fill-to-stop-p50", "fill-to-stop-p99")
    )
    with tempfile.TemporaryDirectory(prefix="grodtd-bench-", dir=os.environ.get("BENCH_FOLDER")) as name:
        rounds = [asyncio.run(on_disk(Path(name) / f"{turn}.db")) for turn in range(ROUNDS)]
    rows += rows_of("journal on disk", rounds, ("", ""))
    show(f"From an entry's fill to its stop on the wire, {ENTRIES:,} entries", rows)


if __name__ == "__main__":
    main()
