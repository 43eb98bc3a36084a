"""From a dead process to a compared account: `python -m benchmarks.recovery`; BENCH_FOLDER names the disk.

N brackets are open, each with its entry filled in two pieces and its stop resting at the venue, no latency. Timed is
what an operator waits for: open and prove the journal, bring the engine back, compare with the venue. Both from the
bare journal and from a snapshot with the last tenth of the brackets after it. Goals: 100 in 1 s, 1,000 in 5 s, 10,000
in 30 s.
"""

import asyncio
import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from benchmarks.printing import Row, show
from grodtd.connectors.paper import PaperBroker
from grodtd.domain.bracket import Phase
from grodtd.domain.commands import SubmitOrder
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, Event, InstrumentsLoaded, PoliciesLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderType, Side
from grodtd.domain.policy import BracketOrdersPolicy, Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.snapshot import encode, layout, snapshot
from grodtd.runtime.clocks import SystemClock
from grodtd.runtime.recovery import recover
from grodtd.runtime.runner import Runner
from grodtd.runtime.turn import Turn
from grodtd.storage.bulk import SyncJournal
from grodtd.storage.journal import SqlJournal
from grodtd.venue.profiles import MARGIN
from grodtd.venue.venue import SimulatedVenue

ROUNDS = 3
GOALS_S = {100: 1.0, 1_000: 5.0, 10_000: 30.0}
SYMBOLS = [f"S{n:02d}" for n in range(50)]
POLICY = Policy(bracket_orders=BracketOrdersPolicy(max_active_brackets=1_000_000))
READING = VolatilityReading(atr_px=Decimal("0.40"), close_px=Decimal(100), bars=100)


@dataclass
class Took:
    opened_s: float
    engine_s: float
    compared_s: float
    folded: int

    @property
    def whole_s(self) -> float:
        return self.opened_s + self.engine_s + self.compared_s


class Account:
    """The venue, and the journal a process left behind; `kept` is its state when nine tenths had been opened."""

    def __init__(self, path: Path, brackets: int) -> None:
        self.path = path
        self.now_ns = SystemClock().now_ns() - 3_600 * 10**9
        instruments = tuple(Instrument(symbol) for symbol in SYMBOLS)
        self.venue = SimulatedVenue(MARGIN, instruments, cash=Decimal(10**12))
        with SyncJournal(path) as journal:
            self.turn = Turn(Engine(), journal.append)
            self.take(PoliciesLoaded({"default": POLICY}, self.now_ns))
            self.take(InstrumentsLoaded(instruments, self.now_ns))
            self.take(CapabilitiesLearned(MARGIN, self.now_ns))
            for number in range(brackets):
                if number == brackets * 9 // 10:
                    self.kept_seq, self.kept = self.turn.sequence, encode(snapshot(self.turn.engine))
                self.open_one(number)

    def open_one(self, number: int) -> None:
        symbol, entry = SYMBOLS[number % len(SYMBOLS)], f"E{number}"
        self.now_ns += 10**7
        self.take(
            BracketRequested(
                f"B{number}",
                symbol,
                Side.BUY,
                Decimal(10),
                entry_client_order_id=entry,
                reading=READING,
                ts_event_ns=self.now_ns,
                ts_received_ns=self.now_ns,
            )
        )
        order = NewOrder(entry, symbol, Side.BUY, OrderType.LIMIT, Decimal(10), limit_px=Decimal(100))
        self.quote(symbol, Decimal(4))
        self.hear(self.venue.apply(SubmitOrder("", order), self.now_ns))
        self.quote(symbol, Decimal(6))

    def quote(self, symbol: str, units: Decimal) -> None:
        px = Decimal(100)
        self.hear(self.venue.on_quote(Quote(symbol, px, px, self.now_ns, bid_qty=units, ask_qty=units), self.now_ns))

    def hear(self, reports: Iterable[ExecutionReport]) -> None:
        for report in reports:
            self.take(replace(report, ts_received_ns=self.now_ns))

    def take(self, fact: Event) -> None:
        for command in self.turn.take(fact).commands:
            assert isinstance(command, SubmitOrder)
            self.hear(self.venue.apply(command, self.now_ns))

    async def keep_snapshot(self) -> None:
        journal = opened(self.path)
        await journal.save_snapshot(lambda: self.kept, seq=self.kept_seq, ts_ns=self.now_ns, layout=layout())
        await journal.close()


def opened(path: Path) -> SqlJournal:
    return SqlJournal(path, account="bench", holder="bench", now_ns=SystemClock().now_ns())


async def restart(account: Account, brackets: int) -> Took:
    """Do what a daemon does at its start, up to the first full comparison."""
    gc.collect()
    clock = SystemClock()
    broker = PaperBroker(account.venue, clock)
    began = time.perf_counter()
    journal = opened(account.path)
    open_at = time.perf_counter()
    turn = recover(journal, journal.append)
    engine_at = time.perf_counter()
    folded = turn.sequence - turn.snapshot_seq
    runner = Runner(turn, broker, journal, clock)
    await runner.start()
    await runner.ready.wait()
    ready_at = time.perf_counter()
    assert sum(bracket.phase is Phase.OPEN for bracket in runner.brackets()) == brackets
    await runner.stop()
    broker.close()
    await journal.close()
    return Took(open_at - began, engine_at - open_at, ready_at - engine_at, folded)


def memory_mib(path: Path) -> tuple[float, float]:
    """What the engine holds after `recover`, and the most that was held on the way, MiB."""
    journal = opened(path)
    tracemalloc.start()
    turn = recover(journal, journal.append)
    gc.collect()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert turn.sequence
    asyncio.run(journal.close())
    return held / 2**20, peak / 2**20


def measured(folder: Path, brackets: int) -> list[Row]:
    account = Account(folder / f"{brackets}.db", brackets)
    goal_ms = GOALS_S[brackets] * 1e3
    rows = []
    for what in ("bare journal", "snapshot"):
        if what == "snapshot":
            asyncio.run(account.keep_snapshot())
        rounds = [asyncio.run(restart(account, brackets)) for _ in range(ROUNDS)]
        took = sorted(rounds, key=lambda one: one.whole_s)[ROUNDS // 2]
        held, peak = memory_mib(account.path)
        print(
            f"  {brackets:>6,} open, {what:<12} {took.folded:>8,} records folded: opened {took.opened_s * 1e3:,.0f} ms,"
            f" engine {took.engine_s * 1e3:,.0f} ms, compared {took.compared_s * 1e3:,.0f} ms;"
            f" holds {held:,.1f} MiB, at most {peak:,.1f}",
            flush=True,
        )
        label = f"{brackets:,} open, {what}"
        rows.append(Row(label, took.whole_s * 1e3, "ms", goal_ms, "limit", [one.whole_s * 1e3 for one in rounds]))
    print(f"          a snapshot of {brackets * 9 // 10:,} has {len(account.kept) / 2**20:,.1f} MiB", flush=True)
    return rows


def main() -> None:
    """Print each part, then ours, the limit and the ratio."""
    with tempfile.TemporaryDirectory(prefix="grodtd-bench-", dir=os.environ.get("BENCH_FOLDER")) as name:
        rows = [row for brackets in GOALS_S for row in measured(Path(name), brackets)]
    show("Recovery, from opening the journal to the first full comparison, at no latency", rows)


if __name__ == "__main__":
    main()
