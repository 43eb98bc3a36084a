"""ATR over arrays of bars, and the reading a bracket begins with: the replay's form of `ATRCalculator`.

True ranges are exact integers (of the mid of each of O, H, L, C where there are two sides); the averages are float64
and equal TA-Lib's ATR to 1e-9. A reading gives them at 12 significant digits, as the live core does, so that both
lead to the same tick. Formulas, breaks and words are those of `execution/atr_calculator.py`.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numba
import numpy as np

from grodtd.domain.errors import ConfigError
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import from_float
from grodtd.domain.policy import AtrMethod, AtrPolicy, MarketConditionPolicy
from grodtd.execution.atr_calculator import MIN_MEDIAN_VALUES, twelve_digits
from grodtd.execution.market_condition import ConditionReading, condition_of
from grodtd.execution.volatility_reading import with_condition
from grodtd.replay.prices import Bars, Floats, Ints, Ohlc, Quotes, bars_of
from grodtd.replay.spill import BLOCK, empty

MINUTE_NS = 60_000_000_000
"""Default length of the mid bars made from quotes."""


@dataclass(frozen=True, eq=False)
class AtrSeries:
    """ATR after every bar of a file, and what a bracket may know at any of them. Made by `atr_series`."""

    bars: Bars
    policy: AtrPolicy
    lookback: int
    """Closed bars the median ATR% is taken over, now included; 0: no median."""
    atr: Floats
    """float64[n], in `bars.mid_unit`s; NaN where there is none yet."""
    starts: Ints
    """Bars at which the average began: 0, and the bar after each gap longer than `max_gap_bars`."""
    by: MarketConditionPolicy | None = None
    """How the market condition is told; None: nobody asks for it."""

    def reading(self, index: int) -> VolatilityReading:
        """Say what the bars up to and including `index` say; -1: before the first bar.

        `atr_px` is None where there is no usable ATR, and `why_no_atr` says why; prices in quote currency.
        """
        reading = self._volatility(index)
        return reading if self.by is None else with_condition(reading, self._condition(index, self.by))

    def _condition(self, index: int, by: MarketConditionPolicy) -> ConditionReading:
        """As `MarketConditionClassifier` tells it: from the bars since the last one without a usable ATR."""
        last = int(self._unusable.searchsorted(index, "right")) - 1
        first = 0 if last < 0 else int(self._unusable[last]) + 1
        closes = self.bars.mid.close[max(first, index - by.efficiency_period) : index + 1]
        shares = self._atr_pct[max(first, index + 1 - by.percentile_window) : index + 1]
        return condition_of(closes.tolist(), [from_float(share) for share in shares.tolist()], by)

    def _volatility(self, index: int) -> VolatilityReading:
        if index < 0:
            return VolatilityReading(why_no_atr=self._too_few(0, ""))
        run = int(self.starts.searchsorted(index, "right")) - 1
        count = index - int(self.starts[run]) + 1
        unit, close = self.bars.mid_unit, int(self.bars.mid.close[index])
        atr = float(self.atr[index])
        if atr > 0:
            return VolatilityReading(
                atr_px=twelve_digits(Decimal(atr) * unit),
                close_px=close * unit,
                median_atr_pct=self._median_atr_pct(index),
                bars=count,
            )
        if atr == 0:
            why = f"ATR is zero: price has not moved in {self.policy.period + 1} bars"
        else:
            why = self._too_few(count, self._why_break(run))
        return VolatilityReading(close_px=close * unit, bars=count, why_no_atr=why)

    @cached_property
    def _atr_pct(self) -> Floats:
        """ATR / close, NaN where there is no usable ATR."""
        share: Floats = np.where(self.atr > 0, self.atr, np.nan) / self.bars.mid.close
        return share

    @cached_property
    def _unusable(self) -> Ints:
        """Bars without a usable ATR%."""
        return np.flatnonzero(~(self._atr_pct > 0))

    def _median_atr_pct(self, index: int) -> Decimal | None:
        values = self._atr_pct[max(0, index + 1 - self.lookback) : index + 1] if self.lookback > 0 else np.empty(0)
        values = np.sort(values[~np.isnan(values)])
        if len(values) < MIN_MEDIAN_VALUES:
            return None
        middle = len(values) // 2
        if len(values) % 2:
            return from_float(float(values[middle]))
        return from_float((float(values[middle - 1]) + float(values[middle])) / 2)

    def _too_few(self, count: int, why_break: str) -> str:
        return f"not enough bars{why_break}: have {count}, need {self.policy.period + 1}"

    def _why_break(self, run: int) -> str:
        if run == 0:
            return ""
        first, interval_ns = int(self.starts[run]), self.bars.interval_ns
        step_ns = int(self.bars.time_ns[first] - self.bars.time_ns[first - 1])
        missing = -(-step_ns // interval_ns) - 1
        return f" since a gap of {missing} bars (max_gap_bars is {self.policy.max_gap_bars})"


def atr_series(
    bars: Bars, policy: AtrPolicy, lookback: int = 100, by: MarketConditionPolicy | None = None
) -> AtrSeries:
    """Work out ATR for every bar, by the policy's period and method, anew after each gap over `max_gap_bars`.

    Raises: ConfigError - `period` is below 1 (the operator acts, before start).
    """
    if policy.period < 1:
        raise ConfigError([f"atr.period: {policy.period} is not allowed: use a whole number from 1 up"])
    starts = np.zeros(1, dtype=np.int64)
    if policy.max_gap_bars is not None:
        longest = (policy.max_gap_bars + 1) * bars.interval_ns
        starts = np.concatenate((starts, np.flatnonzero(np.diff(bars.time_ns) > longest) + 1))
    mid, atr, period = bars.mid, empty(len(bars), np.float64), policy.period
    for first, end in zip(starts, [*starts[1:], len(bars)], strict=True):
        atr[first : min(first + period, end)] = np.nan
        if end - first > period:
            high, low, close = (prices[first:end] for prices in (mid.high, mid.low, mid.close))
            if policy.method is AtrMethod.SMA:
                _simple(high, low, close, period, atr[first:end])
            else:
                count, weight = (period + 1, 2) if policy.method is AtrMethod.EMA else (period, 1)
                _weighted(high, low, close, period, (period - 1) / count, weight / count, atr[first:end])
    return AtrSeries(bars, policy, lookback, atr, starts, by)


def ema(closes: Ints, length: int) -> Floats:
    """Return the exponential average after every close: alpha 2 / (length + 1), seeded with the first close.

    `closes` int64[n], any unit; the result float64[n] in the same. An average of equal closes is that close exactly.

    >>> ema(np.array([4, 8, 8]), 3).tolist()
    [4.0, 6.0, 7.0]
    """
    out = np.empty(len(closes))
    if len(closes):
        _ema(closes, 2.0 / (length + 1), out)
    return out


def bars_from_quotes(quotes: Quotes, interval_ns: int = MINUTE_NS) -> Bars:
    """Gather quotes into mid bars, for ATR: one-sided, open times multiples of `interval_ns`, none where no quote is.

    The mid is (bid + ask) / 2 of each quote, exactly (the unit is a tenth of the quotes'). A crossed quote cannot be
    trusted and is in no bar. `lines` are those of each bar's first quote.
    """
    pieces: list[tuple[Ints, ...]] = []
    first, count = 0, len(quotes)
    while first < count or not pieces:  # a stretch of whole bars at a time: the quotes may be many more than the bars
        end = min(first + BLOCK, count)
        if end < count:
            until_ns = (int(quotes.time_ns[end - 1]) // interval_ns + 1) * interval_ns
            end = int(quotes.time_ns.searchsorted(until_ns))
        pieces.append(_mid_bars(quotes, slice(first, end), interval_ns))
        first = end
    opens, lines, *sides = (np.concatenate(each) for each in zip(*pieces, strict=True))
    return bars_of(
        quotes.symbol,
        opens,
        Ohlc(*sides),
        unit=quotes.unit.scaleb(-1),
        interval_ns=interval_ns,
        tick=quotes.tick,
        path=quotes.path,
        sha256=quotes.sha256,
        lines=lines,
    )


def _mid_bars(quotes: Quotes, part: slice, interval_ns: int) -> tuple[Ints, ...]:
    """Return the bars of some quotes, whole bars all: open times, lines, and open, high, low, close."""
    used = np.flatnonzero(~quotes.crossed[part]) + part.start
    mids: Ints = (quotes.bid[used] + quotes.ask[used]) * 5
    opens = quotes.time_ns[used] // interval_ns * interval_ns
    first = np.flatnonzero(np.diff(opens, prepend=opens[:1] - 1))
    if not len(first):
        return (mids,) * 6
    last = np.append(first[1:], len(used)) - 1
    highs, lows = np.maximum.reduceat(mids, first), np.minimum.reduceat(mids, first)
    return opens[first], quotes.lines[used][first], mids[first], highs, lows, mids[last]


# The loops. `high`, `low`, `close`: int64[n], n > period; `out`: float64[n], its first `period` are left alone.


@numba.njit(cache=True)
def _weighted(high: Ints, low: Ints, close: Ints, period: int, keep: float, weight: float, out: Floats) -> None:
    """Mean of the first `period` true ranges, then atr x keep + tr x weight: no division in the chain.

    Two bars a turn: the second ATR is worked out of the one before both, so that each turn waits for one product and
    one sum and not for two of each. No fused operations: the same digits on every machine.
    """
    total = 0
    for i in range(1, period + 1):
        total += max(high[i], close[i - 1]) - min(low[i], close[i - 1])
    atr = total / period
    out[period] = atr
    previous = close[period]
    high, low, close, out = high[period + 1 :], low[period + 1 :], close[period + 1 :], out[period + 1 :]
    count, keep_twice = len(high), keep * keep
    for i in range(0, count // 2 * 2, 2):  # an end the compiler sees not to be negative: no index is from behind
        between = close[i]
        one = (max(high[i], previous) - min(low[i], previous)) * weight
        two = one * keep + (max(high[i + 1], between) - min(low[i + 1], between)) * weight
        out[i] = atr * keep + one
        atr = atr * keep_twice + two
        out[i + 1] = atr
        previous = close[i + 1]
    if count % 2:
        last = count - 1
        out[last] = atr * keep + (max(high[last], previous) - min(low[last], previous)) * weight


@numba.njit(cache=True)
def _simple(high: Ints, low: Ints, close: Ints, period: int, out: Floats) -> None:
    """Mean of the last `period` true ranges, their sum kept exactly."""
    total = 0
    for i in range(1, len(high)):
        total += max(high[i], close[i - 1]) - min(low[i], close[i - 1])
        if i >= period:
            out[i] = total / period
            oldest = i - period + 1
            total -= max(high[oldest], close[oldest - 1]) - min(low[oldest], close[oldest - 1])


@numba.njit(cache=True)
def _ema(closes: Ints, alpha: float, out: Floats) -> None:
    average = float(closes[0])
    out[0] = average
    for i in range(1, len(closes)):
        average += alpha * (closes[i] - average)
        out[i] = average
