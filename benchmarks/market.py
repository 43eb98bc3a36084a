"""The market of the kernels' and the sweep's benchmarks: a random walk from 100 in ticks of 0.001, 1,000,000 bars.

Close to close sigma 0.02 %, wicks half of that; 10,000 entries spread over it. The design's table was measured on
prices of this kind.
"""

from decimal import Decimal

import numpy as np

from grodtd.replay.prices import Bars, Ints, Ohlc, bars_of

BARS, ENTRIES = 1_000_000, 10_000
MINUTE_NS = 60_000_000_000
TICK = Decimal("0.001")


def market(count: int = BARS) -> Bars:
    """The first `count` bars, in ticks of 0.001: the very prices of the peers' scripts."""
    rng = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 2e-4, BARS)))
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 1e-4, BARS)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 1e-4, BARS)))
    ticks = [np.round(prices[:count] * 1000).astype(np.int64) for prices in (opened, high, low, close)]
    sides = Ohlc(ticks[0], np.maximum.reduce(ticks), np.minimum.reduce(ticks), ticks[3])
    time_ns = np.arange(count, dtype=np.int64) * MINUTE_NS
    return bars_of("X", time_ns, sides, unit=TICK, interval_ns=MINUTE_NS)


def places(bars: int = BARS) -> Ints:
    """Bars entries happen in, spread evenly and at random within their stretch; those in the first `bars`, int64[n]."""
    stretch = (BARS - 50) // ENTRIES
    at: Ints = 50 + np.arange(ENTRIES) * stretch + np.random.default_rng(11).integers(0, stretch // 2, ENTRIES)
    return at[at < bars - 1]
