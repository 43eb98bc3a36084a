"""ATR(14) Wilder over 10,000,000 bars beside TA-Lib, and its update bar by bar from Python beside nautilus_trader."""

import statistics
import time
from decimal import Decimal

import numpy as np
import talib

from benchmarks import peers
from benchmarks.market import market
from benchmarks.printing import Row, median_row, rates, show
from grodtd.domain.market import Bar
from grodtd.domain.policy import AtrPolicy
from grodtd.execution.atr_calculator import ATRCalculator
from grodtd.replay.prices import Bars, Ints, Ohlc, bars_of
from grodtd.replay.volatility import atr_series

BARS, ROUNDS, UPDATES = 10_000_000, 5, 200_000


def main() -> None:
    """Measure and print."""
    million = market()
    tiled = [np.tile(prices, BARS // len(million)) for prices in sides_of(million)]
    bars = bars_of("X", np.arange(BARS, dtype=np.int64), Ohlc(*tiled), unit=million.unit, interval_ns=1)
    floats = [prices.astype(np.float64) for prices in tiled[1:]]
    ours, theirs = [], []
    for _ in range(2):  # in turns, so that both meet the same machine
        ours += rates(lambda: atr_series(bars, AtrPolicy(), 0), BARS, ROUNDS)
        theirs += rates(lambda: talib.ATR(*floats, 14), BARS, ROUNDS)
    found, wanted = atr_series(bars, AtrPolicy(), 0).atr, talib.ATR(*floats, 14)
    assert np.allclose(found[14:], wanted[14:], rtol=1e-9)
    talib_rate = statistics.median(theirs)
    rows = [
        median_row(f"{BARS:,} bars", ours, "bars/s", against=talib_rate, against_what="TA-Lib", goal="atr"),
        streaming(),
    ]
    show("ATR(14) Wilder, one core", rows)


def sides_of(bars: Bars) -> tuple[Ints, Ints, Ints, Ints]:
    """Open, high, low and close."""
    return bars.bid.open, bars.bid.high, bars.bid.low, bars.bid.close


def streaming() -> Row:
    """Take closed bars one by one: the calculator of the live core, exact decimals."""
    some = market(UPDATES)
    closed = [
        Bar("X", at, *(Decimal(int(prices[at])).scaleb(-3) for prices in sides_of(some))) for at in range(UPDATES)
    ]

    def update_all() -> None:
        update = ATRCalculator(AtrPolicy(), lookback=0).update
        for bar in closed:
            update(bar)

    peer = peers.figure(peers.NAUTILUS_ATR)
    found = rates(update_all, UPDATES, ROUNDS, time.process_time)
    return median_row(
        "one update from Python", found, "updates/s", against=peer.per_s, against_what=peer.said, goal="atr-stream"
    )


if __name__ == "__main__":
    main()
