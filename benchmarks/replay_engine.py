"""Brackets on bars through the live engine, full order accounting: entries a second, from parsed arrays to exits.

The peers' prices and entries: 100,000 bars, 1,000 longs, stop 2 x ATR, target 1.5 x that. Held against backtesting.py,
the fastest peer with full accounting; nautilus_trader does a fifth of it. CPU seconds of this process.
"""

import statistics
import time
from decimal import Decimal

from benchmarks import peers
from benchmarks.market import TICK, market, places
from benchmarks.printing import Row, median_row, show
from grodtd.domain.events import RunStarted
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.ports import Record
from grodtd.replay.driver import Driver, Entry
from grodtd.replay.feed import Feed
from grodtd.replay.prices import Bars
from grodtd.replay.rows import rows_of
from grodtd.replay.volatility import atr_series
from grodtd.runtime.turn import Turn
from grodtd.venue.bar_matching import FillModel

BARS, ROUNDS = 100_000, 5
INSTRUMENT = Instrument("X", tick_size=TICK)


def entries_on(bars: Bars) -> list[Entry]:
    """One unit long at the close of every place."""
    return [
        Entry(n, f"E{n + 1:06d}", at, at, Side.BUY, Decimal(1), bars.px(int(bars.bid.close[at])))
        for n, at in enumerate(places(len(bars)).tolist())
    ]


def replay(bars: Bars, entries: list[Entry], policy: Policy, kept: list[Record] | None) -> int:
    """Replay them; `kept` takes the journal's records, None: none are made. Return how many exits were written."""
    series = atr_series(bars, policy.atr, 0)  # a fixed ratio needs no median
    feed = Feed.of_bars(bars)
    turn = Turn(Engine(), None if kept is None else kept.extend)
    policies, started = {"default": policy}, RunStarted("replay")
    driver = Driver(
        feed, turn, INSTRUMENT, policies, FillModel.PESSIMISTIC, started, lambda _, index: series.reading(index)
    )
    return sum(1 for life in driver.run(entries) for _ in rows_of(life, feed, INSTRUMENT))


def main() -> None:
    """Measure and print."""
    bars, policy = market(BARS), Policy()
    entries = entries_on(bars)
    found: dict[bool, list[float]] = {False: [], True: []}
    replay(bars, entries, policy, None)
    for _ in range(ROUNDS):
        for journalled in (False, True):
            kept: list[Record] | None = [] if journalled else None
            began = time.process_time()
            count = replay(bars, entries, policy, kept)
            found[journalled].append(len(entries) / (time.process_time() - began))
            assert count == len(entries)
    peer, nautilus = peers.figure(peers.BACKTESTING), peers.figure(peers.NAUTILUS_BARS)
    theirs = {"unit": "entries/s", "against": peer.per_s, "against_what": peer.said}
    rows = [
        median_row("decisions only", found[False], **theirs, goal="engine"),
        median_row("journal encoded in memory", found[True], **theirs, goal="engine-journal"),
        Row("  against nautilus", statistics.median(found[True]), "entries/s", nautilus.per_s, nautilus.said),
    ]
    show(f"brackets on bars through the engine ({BARS:,} bars, {len(entries):,} entries)", rows)


if __name__ == "__main__":
    main()
