"""Brackets on bars through the live engine, full order accounting: entries a second, from parsed arrays to exits.

100,000 bars of a random walk, 1,000 entries. The goal here is 2,000 entries/s; backtesting.py, the fastest peer with
full accounting, reached about 1,000 on the machine of the design's table.
CPU seconds of this process, so that whatever else runs does not count.
"""

import statistics
import time
from decimal import Decimal

import numpy as np

from benchmarks.printing import Row, show
from grodtd.domain.events import RunStarted
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.replay.driver import Driver, Entry
from grodtd.replay.feed import Feed
from grodtd.replay.prices import Ohlc, bars_of
from grodtd.replay.rows import rows_of
from grodtd.replay.volatility import atr_series
from grodtd.runtime.turn import Turn
from grodtd.venue.bar_matching import FillModel

BARS, ENTRIES, ROUNDS = 100_000, 1_000, 5
GOAL, PEER = 2_000, 1_017
MINUTE_NS = 60_000_000_000


def market() -> Feed:
    """A random walk in cents."""
    rng = np.random.default_rng(1)
    close = 100_000 + np.cumsum(rng.integers(-20, 21, BARS))
    opened = np.concatenate(([100_000], close[:-1]))
    wick = rng.integers(0, 15, (2, BARS))
    high, low = np.maximum(opened, close) + wick[0], np.minimum(opened, close) - wick[1]
    time_ns = np.arange(BARS, dtype=np.int64) * MINUTE_NS
    prices = Ohlc(opened, high, low, close)
    return bars_of("X", time_ns, prices, unit=Decimal("0.01"), interval_ns=MINUTE_NS)


def main() -> None:
    """Measure and print."""
    bars = market()
    policy = Policy()
    instrument = Instrument("X")
    step = (BARS - 100) // ENTRIES
    entries = [
        Entry(
            n,
            f"E{n + 1:06d}",
            50 + n * step,
            50 + n * step,
            Side.BUY if n % 2 else Side.SELL,
            Decimal(1),
            bars.px(int(bars.bid.close[50 + n * step])),
        )
        for n in range(ENTRIES)
    ]
    rates: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for journalled in (False, True):
            kept: list[object] = []
            began = time.process_time()
            series = atr_series(bars, policy.atr, 0)  # a fixed ratio needs no median
            feed = Feed.of_bars(bars)
            turn = Turn(Engine(), kept.extend if journalled else None)
            driver = Driver(
                feed,
                turn,
                instrument,
                {"default": policy},
                FillModel.PESSIMISTIC,
                RunStarted("replay"),
                lambda _, index, series=series: series.reading(index),
            )
            rows = [row for life in driver.run(entries) for row in rows_of(life, feed, instrument)]
            rates[journalled].append(ENTRIES / (time.process_time() - began))
            assert len(rows) == ENTRIES
    show(
        "brackets on bars through the engine (100k bars, 1,000 entries)",
        [
            Row("decisions only", statistics.median(rates[False]), "entries/s", GOAL, "goal", rates[False]),
            Row("journal encoded in memory", statistics.median(rates[True]), "entries/s", GOAL, "goal", rates[True]),
            Row("against backtesting.py", statistics.median(rates[False]), "entries/s", PEER, "design's table", []),
        ],
    )


if __name__ == "__main__":
    main()
