"""Quotes against a book with N brackets waiting: `python -m benchmarks.trigger_book`. Seconds are this process's CPU.

Plain: every bracket has a stop and a target, half of them long, and no quote reaches any. Trailing: every quote is
a new high that moves all N stops at once; none is reached. In batches the quotes are arrays, compiled as a replay
takes them and by numpy; alone they are `Quote`s, as a live market sends them. Then what a bracket's coming and going
costs, the engine itself with brackets that watch their target, and the memory each of it takes.
"""

import gc
import itertools
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import numpy as np

from benchmarks.printing import Row, median_row, rates, show
from grodtd.domain.capabilities import Capabilities
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, InstrumentsLoaded, PoliciesLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.orders import ExecutionReport, OrderStatus, Side
from grodtd.domain.policy import BracketOrdersPolicy, Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.oco_emulator import Touch
from grodtd.execution.quote_scan import Ints, Scan, scan
from grodtd.execution.trigger_book import SymbolBook
from grodtd.replay.quote_walk import walk

TICK = Decimal("0.01")
BATCH, BATCHES, ALONE, ROUNDS = 10_000, 100, 50_000, 5
PLAIN, TRAILING, ENGINE = (0, 100, 10_000, 100_000), (1, 1_000, 100_000), (0, 100, 10_000)
GOAL, GOAL_TRAILING, GOAL_BYTES = 1e6, 5e5, 4096
SECOND = 1_000_000_000
POLICY = Policy(bracket_orders=BracketOrdersPolicy(max_active_brackets=1_000_000))
Made = TypeVar("Made")


def plain_book(count: int) -> SymbolBook:
    """Stops and targets of `count` brackets, 10 to 1,010 ticks away from a market at 100."""
    book, rng = SymbolBook(), np.random.default_rng(count)
    for i, (low, high) in enumerate(rng.integers(10, 1_010, (count, 2))):
        side = Side.BUY if i % 2 else Side.SELL
        below, above = (10_000 - int(low)) * TICK, (10_000 + int(high)) * TICK
        book.watch(f"B{i}", side, Touch.STOP, below if i % 2 else above)
        book.watch(f"B{i}", side, Touch.TARGET, above if i % 2 else below)
    return book


def trailing_book(count: int) -> SymbolBook:
    """Long trails 100 to 1,100 ticks behind bests up to 1,000 ticks below the market's 100: all join with its rise."""
    book, rng = SymbolBook(), np.random.default_rng(count)
    for i, (distance, best) in enumerate(rng.integers((100, 0), (1_100, 1_000), (count, 2))):
        book.trail(f"B{i}", Side.BUY, int(distance) * TICK, (10_000 - int(best)) * TICK)
    return book


def still(count: int) -> Ints:
    """A market that swings 9 ticks either side of 100."""
    return np.random.default_rng(1).integers(9_991, 10_010, count)


def rising(count: int) -> Ints:
    """A market of which every quote is a new high."""
    return 10_000 + np.arange(count)


def in_batches(book: SymbolBook, markets: list[Ints], scan: Scan) -> Callable[[], None]:
    """Hand a market over as arrays of `BATCH`, the next market each time this is done."""
    rounds = itertools.cycle(markets)

    def take() -> None:
        market = next(rounds)
        for begin in range(0, len(market), BATCH):
            part = market[begin : begin + BATCH]
            index, touched = book.first(part, part, TICK, scan)
            assert index == len(part)
            assert not touched

    return take


def alone(take: Callable[[Quote], object], markets: list[Ints]) -> Callable[[], None]:
    """Hand a market over quote by quote, the next market each time this is done."""
    rounds = itertools.cycle([[quote(int(ticks)) for ticks in market] for market in markets])

    def hear() -> None:
        for each in next(rounds):
            take(each)

    return hear


def in_turn(works: list[Callable[[], None]], units: int) -> list[list[float]]:
    """Units a CPU second of each, round by round, so that all meet the same machine; one round more is thrown away."""
    found: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS + 1):
        for rounds, work in zip(found, works, strict=True):
            began = time.process_time()
            work()
            rounds.append(units / (time.process_time() - began))
    return [rounds[1:] for rounds in found]


def quote(ticks: int) -> Quote:
    """A quote without a spread."""
    px = ticks * TICK
    return Quote("X", px, px)


def changes(book: SymbolBook, count: int = 20_000) -> list[float]:
    """Adds, moves and removes a second, a third each, by stops that come, ratchet and go."""
    levels = [int(at) * TICK for at in np.random.default_rng(3).integers(8_000, 9_900, 2 * count)]

    def change() -> None:
        for i in range(count):
            book.watch(f"C{i}", Side.BUY, Touch.STOP, levels[i])
        for i in range(count):
            book.watch(f"C{i}", Side.BUY, Touch.STOP, levels[count + i])
        for i in range(count):
            book.watch(f"C{i}", Side.BUY, Touch.STOP, None)

    return rates(change, 3 * count, ROUNDS)


def engine(count: int) -> Engine:
    """An engine that looks after `count` longs of one symbol, stops resting at the venue, targets watched here."""
    made = Engine()
    for fact in (
        PoliciesLoaded({"default": POLICY}, SECOND),
        InstrumentsLoaded((Instrument("X", tick_size=TICK),), SECOND),
        CapabilitiesLearned(Capabilities(name="stops"), SECOND),
    ):
        made.process(fact)
    reading = VolatilityReading(atr_px=Decimal("0.40"), close_px=Decimal(100), bars=100)
    for i in range(count):
        name, now_ns = f"B{i}", SECOND + i
        made.process(
            BracketRequested(
                name, "X", Side.BUY, Decimal(10), entry_client_order_id=f"{name}.entry1", reading=reading,
                ts_event_ns=now_ns, ts_received_ns=now_ns,
            )
        )  # fmt: skip
        for cid, status, exec_id in ((f"{name}.entry1", OrderStatus.FILLED, f"e{i}"), (f"{name}.stop1", None, "")):
            filled = status is not None
            made.process(
                ExecutionReport(
                    cid, status or OrderStatus.WORKING, Decimal(10 if filled else 0), exec_id,
                    Decimal(10 if filled else 0), Decimal(100) if filled else None,
                    ts_event_ns=now_ns, ts_received_ns=now_ns,
                )
            )  # fmt: skip
    assert all(bracket.stop_px is not None for bracket in made.brackets())
    return made


def bytes_of(make: Callable[[], Made]) -> tuple[Made, int]:
    """What is made, and the bytes it holds."""
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return made, held


def still_rows() -> list[Row]:
    """Brackets whose levels no quote reaches."""
    rows: list[Row] = []
    books = [plain_book(count) for count in PLAIN]
    batches, singles = still(BATCH * BATCHES * 4), still(ALONE)
    for what, units, works in (
        ("in batches, compiled", len(batches), [in_batches(book, [batches], walk) for book in books]),
        ("in batches, numpy", len(batches), [in_batches(book, [batches], scan) for book in books]),
        ("one by one", len(singles), [alone(book.touched, [singles]) for book in books]),
    ):
        found = in_turn(works, units)
        none = statistics.median(found[0])
        for count, rounds in zip(PLAIN, found, strict=True):
            judged = (what, count) == ("in batches, compiled", PLAIN[-1])
            row = median_row(
                f"N={count:,}, {what}", rounds, "quotes/s", against=none, against_what="N=0",
                goal="quotes-flat" if judged else "", series=f"quotes/plain {what}", x=count,
            )  # fmt: skip
            rows.append(row)
            if judged:
                rows.append(
                    replace(row, what="  the goal", against=GOAL, against_what="goal", goal="quotes", series="")
                )
    return rows


def trailing_rows() -> list[Row]:
    """Quotes each of which moves every stop."""
    rows = []
    for count in TRAILING:
        for what, look in (("in batches, compiled", walk), ("in batches, numpy", scan), ("one by one", None)):
            book, size = trailing_book(count), BATCH * BATCHES if look else ALONE
            markets = [rising(size) + n * size for n in range(ROUNDS + 1)]
            work = in_batches(book, markets, look) if look else alone(book.touched, markets)
            found = rates(work, size, ROUNDS)
            moved = book.stop_px("B0")
            assert moved is not None and moved > 100 + len(markets) * size // 100 - 12  # noqa: PT018
            goal = "quotes-trailing" if (count, what) == (1_000, "in batches, compiled") else ""
            rows.append(
                median_row(
                    f"N={count:,}, {what}", found, "quotes/s", against=GOAL_TRAILING, against_what="goal", goal=goal,
                    series=f"quotes/trailing {what}", x=count,
                )
            )  # fmt: skip
    return rows


def engine_rows() -> tuple[list[Row], list[Row]]:
    """The whole engine: quotes a second one by one, and what a bracket takes of memory."""
    made = [bytes_of(lambda count=count: engine(count)) for count in ENGINE]  # type: ignore[misc]
    found = in_turn([alone(engine.process, [still(ALONE)]) for engine, _ in made], ALONE)
    none = statistics.median(found[0])
    speeds = [
        median_row(f"N={count:,}, one by one", rounds, "quotes/s", against=none, against_what="N=0")
        for count, rounds in zip(ENGINE, found, strict=True)
    ]
    sizes = [
        Row(f"engine, N={count:,}", held / count, "bytes a bracket", GOAL_BYTES, "limit")
        for count, (_, held) in zip(ENGINE, made, strict=True)
        if count
    ]
    return speeds, sizes


def main() -> None:
    """Measure and print."""
    show("quotes that reach nothing, N brackets with a stop and a target", still_rows())
    show("quotes that move N trailing stops each", trailing_rows())
    show(
        "levels that come, move and go (each a third)",
        [
            median_row(f"N={count:,}", changes(plain_book(count)), "changes/s", series="changes/plain", x=count)
            for count in PLAIN
        ],
    )
    speeds, sizes = engine_rows()
    show("the engine, stops at the venue and targets watched here, no quote reaches any", speeds)
    for what, make in (("stop and target", plain_book), ("trailing stop", trailing_book)):
        _, held = bytes_of(lambda make=make: make(10_000))  # type: ignore[misc]
        sizes.append(Row(f"the book alone, {what}", held / 10_000, "bytes a bracket", GOAL_BYTES, "limit"))
    show("memory (the less the better)", sizes)


if __name__ == "__main__":
    main()
