"""From a dead process to a compared account: `python -m benchmarks.recovery`; BENCH_FOLDER names the disk.

N brackets are open, each with its entry filled in two pieces and its stop resting at the venue, no latency. Timed is
what an operator waits for: open and prove the journal, bring the engine back, compare with the venue. Both from the
bare journal and from a snapshot with the last tenth of the brackets after it. Limits: 100 in 1 s, 1,000 in 5 s, 10,000
in 30 s; and 10,000 of them from a snapshot in 5 s, behind a journal of 1,000,000 records.
"""

import asyncio
import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from benchmarks.printing import Row, number, peak_mb, show
from grodtd.connectors.paper import Answer, PaperBroker
from grodtd.domain.bracket import Phase
from grodtd.domain.commands import SubmitOrder
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, Event, InstrumentsLoaded, PoliciesLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderStatus, OrderType, Side
from grodtd.domain.policy import BracketOrdersPolicy, Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.snapshot import encode, layout, snapshot
from grodtd.ports import Record
from grodtd.runtime.clocks import SystemClock
from grodtd.runtime.recovery import recover
from grodtd.runtime.runner import Runner
from grodtd.runtime.turn import Turn
from grodtd.storage.bulk import SyncJournal
from grodtd.storage.codec import FACT, encode_fact
from grodtd.storage.journal import SqlJournal
from grodtd.venue.profiles import MARGIN
from grodtd.venue.venue import SimulatedVenue

ROUNDS = 3
GOALS_S = {100: 1.0, 1_000: 5.0, 10_000: 30.0}
LONG, LONG_RECORDS, LONG_S = 10_000, 1_000_000, 5.0
"""So many brackets at the end of a journal of so many records, most of trades that ended long ago; from a snapshot."""
SYMBOLS = [f"S{n:02d}" for n in range(50)]
POLICY = Policy(bracket_orders=BracketOrdersPolicy(max_active_brackets=1_000_000))
GONE = OrderStatus.CANCELED
READING = VolatilityReading(atr_px=Decimal("0.40"), close_px=Decimal(100), bars=100)


@dataclass
class Took:
    opened_s: float
    engine_s: float
    compared_s: float
    folded: int
    questions: int
    """Requests the first comparison made of the venue."""

    @property
    def whole_s(self) -> float:
        return self.opened_s + self.engine_s + self.compared_s


class Asked(PaperBroker):
    """A broker that counts what it is asked."""

    questions = 0

    async def _ask(self, act: Callable[[], Answer]) -> Answer:
        self.questions += 1
        return await super()._ask(act)


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
                    if brackets == LONG:
                        self.remember_much(journal, LONG_RECORDS - self.turn.sequence * 10 // 9)
                    self.kept_seq, self.kept = self.turn.sequence, encode(snapshot(self.turn.engine))
                self.open_one(number)

    def remember_much(self, journal: SyncJournal, count: int) -> None:
        """Let the journal hold `count` more reports, of brackets that nobody knows any more."""
        first = self.turn.sequence + 1
        for at in range(first, first + count, 5_000):
            journal.append(
                [
                    Record(seq, self.now_ns, FACT, f"H{seq}", encode_fact(ExecutionReport(f"H{seq}.stop1", GONE)))
                    for seq in range(at, min(at + 5_000, first + count))
                ]
            )
        self.turn.sequence = journal.last_seq

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
    broker = Asked(account.venue, clock)
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
    return Took(open_at - began, engine_at - open_at, ready_at - engine_at, folded, broker.questions)


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


def measured(folder: Path, brackets: int) -> tuple[list[Row], int]:
    account = Account(folder / f"{brackets}.db", brackets)
    limit = GOALS_S[brackets]
    rows, questions = [], 0
    for what in ("bare journal", "snapshot"):
        if what == "snapshot":
            asyncio.run(account.keep_snapshot())
        long = brackets == LONG
        rounds = [asyncio.run(restart(account, brackets)) for _ in range(1 if long and what != "snapshot" else ROUNDS)]
        took = sorted(rounds, key=lambda one: one.whole_s)[len(rounds) // 2]
        questions = took.questions
        print(
            f"  {brackets:>6,} open, {what:<12} {took.folded:>8,} records folded: opened {took.opened_s * 1e3:,.0f} ms,"
            f" engine {took.engine_s * 1e3:,.0f} ms, compared {took.compared_s * 1e3:,.0f} ms, {questions} questions",
            flush=True,
        )
        goal = "restart" if long and what == "snapshot" else ""
        rows.append(
            Row(
                f"{brackets:,} open, {what}, {number(account.turn.sequence)} records", took.whole_s, "s",
                LONG_S if goal else limit, "limit", [one.whole_s for one in rounds], goal=goal,
                series=f"restart/{what}", x=brackets, memory_mb=peak_mb(),
            )
        )  # fmt: skip
    held, peak = memory_mib(account.path)
    kept = len(account.kept) / 2**20
    print(
        f"          holds {held:,.1f} MiB, at most {peak:,.1f}; a snapshot of nine tenths has {kept:,.1f}", flush=True
    )
    return rows, questions


def main() -> None:
    """Print each part, then ours, the limit and the ratio."""
    with tempfile.TemporaryDirectory(prefix="grodtd-bench-", dir=os.environ.get("BENCH_FOLDER")) as name:
        found = {brackets: measured(Path(name), brackets) for brackets in GOALS_S}
    rows = [row for some, _ in found.values() for row in some]
    few, many = found[min(found)][1], found[max(found)][1]
    what = f"questions to the venue, {max(found):,} open"
    rows.append(Row(what, many, "requests", few, f"{min(found)} open", goal="restart-queries"))
    show("Recovery, from opening the journal to the first full comparison, at no latency", rows)


if __name__ == "__main__":
    main()
