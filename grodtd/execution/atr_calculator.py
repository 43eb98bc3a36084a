"""Average true range (ATR): how far a symbol usually moves in one bar, from its closed bars.

True range of a bar: max(high, previous close) - min(low, previous close), from the second bar on. The first
ATR is the mean of the first `period` true ranges; then, by `AtrPolicy.method`:

    wilder   (atr * (period - 1) + tr) / period             equal to TA-Lib's ATR to 1e-9
    ema      (atr * (period - 1) + 2 * tr) / (period + 1)   that is alpha = 2 / (period + 1)
    sma      mean of the last `period` true ranges

Source: J. Welles Wilder, New Concepts in Technical Trading Systems (1978).

A *break* throws the average away, and it starts anew from the bars that follow: a hole longer than
`max_gap_bars`, or a bar that is none (NaN, infinite or zero prices, high below low). Until `period + 1` good
bars came after it there is no ATR, so no ATR ever rests on a broken stretch, and one bad bar cannot spoil it
for ever.
"""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from grodtd.domain.errors import ConfigError, DataError
from grodtd.domain.market import Bar, VolatilityReading
from grodtd.domain.money import DIVISION, FLOAT_DIGITS, ZERO, divide
from grodtd.domain.policy import AtrMethod, AtrPolicy

MIN_MEDIAN_VALUES = 20
"""Fewer ATR% values than this make no median: the volatility factor is then 1.0."""

HALF = Decimal("0.5")
BEFORE_TIME = -(1 << 63)

_div = DIVISION.divide
"""`money.divide` without the call around it: an update is a handful of decimal operations."""


def twelve_digits(value: Decimal) -> Decimal:
    """Return `value` at 12 significant digits, as `money.from_float` gives it for a float64 figure.

    ATR is carried to 28 digits and handed out through here, so that the float kernels of a replay, whose
    figures go through `from_float`, lead to the same tick.

    >>> twelve_digits(Decimal("1.2499999999999999999999999"))
    Decimal('1.25')
    """
    return FLOAT_DIGITS.normalize(value)


def true_range(previous_close: Decimal, bar: Bar) -> Decimal:
    """Return how far price went in `bar`, the jump from the previous close included; quote currency per unit.

    >>> gap_up = Bar("X", 0, *map(Decimal, ("12", "13", "11.5", "12.5")))
    >>> true_range(Decimal(10), gap_up)
    Decimal('3')
    """
    return max(bar.high, previous_close) - min(bar.low, previous_close)


def mid_bar(bid_bar: Bar, ask_bar: Bar) -> Bar:
    """Return the bar half-way between bid and ask: the mid of each of open, high, low and close; no volume.

    Raises: DataError - the two are not of one symbol and time (whoever paired them acts; nothing was
    changed).

    >>> bid = Bar("EURUSD", 0, *map(Decimal, ("1.1000", "1.1010", "1.0990", "1.1004")))
    >>> ask = Bar("EURUSD", 0, *map(Decimal, ("1.1002", "1.1012", "1.0994", "1.1006")))
    >>> str(mid_bar(bid, ask).low)
    '1.09920'
    """
    if bid_bar.symbol != ask_bar.symbol or bid_bar.ts_event_ns != ask_bar.ts_event_ns:
        raise DataError(
            f"a bid bar of {bid_bar.symbol} at {bid_bar.ts_event_ns} ns does not go with an ask bar of "
            f"{ask_bar.symbol} at {ask_bar.ts_event_ns} ns: pair bars of one symbol and one time"
        )
    return Bar(
        symbol=bid_bar.symbol,
        ts_event_ns=bid_bar.ts_event_ns,
        open=(bid_bar.open + ask_bar.open) * HALF,
        high=(bid_bar.high + ask_bar.high) * HALF,
        low=(bid_bar.low + ask_bar.low) * HALF,
        close=(bid_bar.close + ask_bar.close) * HALF,
    )


class ATRCalculator:
    """ATR of one symbol, bar by bar: `update` with each closed bar, `reading` when a bracket begins.

    `lookback` is the number of closed bars the median ATR% is taken over; 0 keeps none, for policies that do
    not use it. `interval_ns` is the bars' length, needed only for `max_gap_bars`: where that is set and the
    length is not known, no ATR is offered, since nobody can tell whether it rests on a hole.

    An update is O(1): a handful of decimal operations. The state is `lookback` pairs of numbers, for SMA
    `period` more, and follows from the bars alone: `from_bars` builds it again. (Wilder and EMA never quite
    forget: the same digits need the same *first* bar.)

    Raises: ConfigError - `period` is below 1 (the operator acts, before start).

    >>> atr = ATRCalculator(AtrPolicy(period=2))
    >>> for day, (high, low, close) in enumerate([(11, 9, 10), (12, 10, 11), (15, 11, 14)]):
    ...     taken = atr.update(Bar("X", day, Decimal(close), Decimal(high), Decimal(low), Decimal(close)))
    >>> atr.reading().atr_px
    Decimal('3')
    """

    __slots__ = (
        "_atr",
        "_bars",
        "_close",
        "_ema",
        "_history",
        "_keep",
        "_last_ts_ns",
        "_max_step_ns",
        "_period",
        "_period_decimal",
        "_reading",
        "_recent",
        "_seed",
        "_total",
        "_turned_away",
        "_unmeasured",
        "_why_break",
        "interval_ns",
        "policy",
    )

    def __init__(self, policy: AtrPolicy, lookback: int = 100, interval_ns: int | None = None) -> None:
        if policy.period < 1:
            raise ConfigError([f"trade_exit.atr.period: {policy.period} is not allowed: use a whole number from 1 up"])
        self.policy, self.interval_ns = policy, interval_ns
        self._period = policy.period
        self._period_decimal = Decimal(policy.period)
        self._ema = policy.method is AtrMethod.EMA
        self._keep = Decimal(policy.period - 1)
        self._total = Decimal(policy.period + 1) if self._ema else self._period_decimal
        self._max_step_ns: int | None = None
        self._unmeasured = policy.max_gap_bars is not None and not interval_ns
        if policy.max_gap_bars is not None and interval_ns:
            self._max_step_ns = (policy.max_gap_bars + 1) * interval_ns
        self._recent: deque[Decimal] | None = deque() if policy.method is AtrMethod.SMA else None
        self._history: deque[tuple[Decimal, Decimal] | None] = deque(maxlen=max(lookback, 0))
        self._last_ts_ns = BEFORE_TIME
        self._turned_away = 0
        self._reading: VolatilityReading | None = None
        self._atr: Decimal | None = None
        self._close: Decimal | None = None
        self._bars = 0
        self._seed = ZERO  # sum of the true ranges of the first mean; for SMA, of its window
        self._why_break = ""

    @classmethod
    def from_bars(
        cls, policy: AtrPolicy, bars: Iterable[Bar], lookback: int = 100, interval_ns: int | None = None
    ) -> "ATRCalculator":
        """Build the state that updating with each of `bars`, oldest first, leads to."""
        calculator = cls(policy, lookback, interval_ns)
        for bar in bars:
            calculator.update(bar)
        return calculator

    def update(self, bar: Bar) -> bool:
        """Take one closed bar in; return False, with nothing changed, when it is no later than the last one.

        So a feed that repeats bars after a reconnect does no harm. `reading` counts what was turned away.
        """
        step_ns = bar.ts_event_ns - self._last_ts_ns
        if step_ns <= 0:
            self._turned_away += 1
            self._reading = None
            return False
        self._last_ts_ns = bar.ts_event_ns
        self._reading = None
        open_px, high, low, close = bar.open, bar.high, bar.low, bar.close
        if not (
            open_px.is_finite()
            and high.is_finite()
            and low.is_finite()
            and close.is_finite()
            and high >= low
            and (open_px and high and low and close)  # a price of zero is a feed's "no price"
        ):
            self._restart(f" since a bar with open {open_px}, high {high}, low {low}, close {close}")
            self._history.append(None)
            return True
        if self._max_step_ns is not None and step_ns > self._max_step_ns and self._bars:
            self._restart(self._why_gap(step_ns))
        previous, self._close = self._close, close
        self._bars += 1
        if previous is None:
            self._history.append(None)
            return True
        # true_range() written out: it is called for every bar of every symbol, and calls cost more than sums.
        tr = (high if high > previous else previous) - (low if low < previous else previous)
        atr = self._atr
        if self._recent is not None:
            atr = self._simple_mean(tr)
        elif atr is not None:
            atr = _div(atr * self._keep + (tr + tr if self._ema else tr), self._total)
        else:
            self._seed += tr
            if self._bars > self._period:
                atr = _div(self._seed, self._period_decimal)
        self._atr = atr
        self._history.append(None if atr is None else (atr, close))
        return True

    @property
    def exact_atr_px(self) -> Decimal | None:
        """The ATR now at all its digits, without the cost of a `reading`; None: no usable one."""
        return self._atr if self._atr and not self._unmeasured else None

    def reading(self, condition: str | None = None) -> VolatilityReading:
        """Say what the bars say now: ATR and median ATR% at 12 significant digits, or why there is no ATR.

        `bars` counts those since the start or the last break. `condition` is the market condition, when
        somebody names one. The figures are worked out once a bar, by the first who asks (the median sorts
        `lookback` values, some 50 microseconds for 100): asking at the bar's close takes that off the path of
        a fill.
        """
        reading = self._reading
        if reading is None:
            reading = self._reading = self._read()
        return reading if condition is None else msgspec.structs.replace(reading, condition=condition)

    def _read(self) -> VolatilityReading:
        why = self._why_no_atr()
        if why or self._atr is None:
            return VolatilityReading(close_px=self._close, bars=self._bars, why_no_atr=why)
        return VolatilityReading(
            atr_px=twelve_digits(self._atr),
            close_px=self._close,
            median_atr_pct=self._median_atr_pct(),
            bars=self._bars,
        )

    def _why_no_atr(self) -> str:
        """Say in words why there is no usable ATR; empty when there is one."""
        if self._unmeasured:
            return "max_gap_bars is set, but the bars' length is not known: gaps cannot be measured"
        if self._atr is None:
            why = f"not enough bars{self._why_break}: have {self._bars}, need {self._period + 1}"
            return f"{why} ({self._turned_away} came twice or out of order)" if self._turned_away else why
        if not self._atr:
            return f"ATR is zero: price has not moved in {self._period + 1} bars"
        return ""

    def _median_atr_pct(self) -> Decimal | None:
        """Median of ATR / close over the look-back, now included; None with fewer than 20 values.

        A bar without a usable ATR (none yet, zero) keeps its place in the look-back and gives no value.
        """
        values = sorted(_div(pair[0], pair[1]) for pair in self._history if pair and pair[0] and pair[1] > 0)
        if len(values) < MIN_MEDIAN_VALUES:
            return None
        upper = len(values) // 2
        if len(values) % 2:
            return twelve_digits(values[upper])
        return twelve_digits(divide(values[upper - 1] + values[upper], Decimal(2)))

    def _simple_mean(self, tr: Decimal) -> Decimal | None:
        """Take `tr` into the window of the last `period`; return their mean, None while it is not full."""
        recent = self._recent
        assert recent is not None
        recent.append(tr)
        self._seed += tr
        if len(recent) > self._period:
            self._seed -= recent.popleft()
        return _div(self._seed, self._period_decimal) if len(recent) == self._period else None

    def _why_gap(self, step_ns: int) -> str:
        assert self.interval_ns
        missing = -(-step_ns // self.interval_ns) - 1
        return f" since a gap of {missing} bars (max_gap_bars is {self.policy.max_gap_bars})"

    def _restart(self, why: str) -> None:
        """Forget the average; what comes next starts a new one."""
        self._atr = None
        self._close = None
        self._bars = 0
        self._seed = ZERO
        self._why_break = why
        if self._recent is not None:
            self._recent.clear()


def atr_batch(bars: Iterable[Bar], policy: AtrPolicy, interval_ns: int | None = None) -> list[Decimal | None]:
    """Return the ATR after each bar, quote currency per unit, as `reading` would have given it; None: no ATR.

    >>> prices = [(11, 9, 10), (12, 10, 11), (15, 11, 14), (14, 13, 13)]
    >>> bars = [Bar("X", n, *map(Decimal, (c, h, l, c))) for n, (h, l, c) in enumerate(prices)]
    >>> atr_batch(bars, AtrPolicy(period=2))
    [None, None, Decimal('3'), Decimal('2')]
    """
    calculator = ATRCalculator(policy, lookback=0, interval_ns=interval_ns)
    values = []
    for bar in bars:
        calculator.update(bar)
        values.append(calculator.reading().atr_px)
    return values
