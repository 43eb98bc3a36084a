"""ATR over arrays: by hand, against TA-Lib, against exact fractions, and bar for bar against the live calculator."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.errors import ConfigError
from grodtd.domain.market import Bar
from grodtd.domain.policy import AtrMethod, AtrPolicy
from grodtd.execution.atr_calculator import ATRCalculator
from grodtd.replay.prices import Bars, Ohlc, Quotes, bars_of
from grodtd.replay.reading import read_prices
from grodtd.replay.volatility import atr_series, bars_from_quotes, ema

MINUTE_NS = 60_000_000_000
CENT = Decimal("0.01")


def bars(rows: list[tuple[int, int, int]], minutes: list[int] | None = None, ask_rows=None, unit=CENT) -> Bars:
    """One-minute bars of (high, low, close) in cents; `minutes` says when each opens."""

    def side(of) -> Ohlc:
        high, low, close = (np.array(column, dtype=np.int64) for column in zip(*of, strict=True))
        return Ohlc(close, high, low, close)

    opens = np.array(range(len(rows)) if minutes is None else minutes, dtype=np.int64) * MINUTE_NS
    ask = None if ask_rows is None else side(ask_rows)
    return bars_of("X", opens, side(rows), ask, unit=unit, interval_ns=MINUTE_NS)


def twin(of: Bars, policy: AtrPolicy) -> list[Fraction | None]:
    """The formulas once more, in fractions of a `mid_unit`, without a break for gaps."""
    high, low, close = (getattr(of.mid, name).tolist() for name in ("high", "low", "close"))
    ranges = [Fraction(max(high[i], close[i - 1]) - min(low[i], close[i - 1])) for i in range(1, len(of))]
    period, found = policy.period, [None] * min(policy.period, len(of))
    for i in range(period, len(of)):
        last = ranges[i - period : i]
        if i == period or policy.method is AtrMethod.SMA:
            found.append(sum(last) / period)
        elif policy.method is AtrMethod.WILDER:
            found.append((found[-1] * (period - 1) + last[-1]) / period)
        else:
            found.append(found[-1] + Fraction(2, period + 1) * (last[-1] - found[-1]))
    return found


def as_live_bars(of: Bars) -> list[Bar]:
    mid, unit = of.mid, of.mid_unit
    return [Bar(of.symbol, int(of.time_ns[i]), *(int(units) * unit for units in mid.row(i))) for i in range(len(of))]


def close_to(figure: Decimal | None, other: Decimal | None) -> bool:
    if figure is None or other is None:
        return figure is other
    return abs(figure - other) <= abs(other) * Decimal("1e-11")


class TestByHand:
    """Period 2, in cents. True ranges: 200, 400 (gap up from 1000), 300 (falls from 1400), 100, 0."""

    ROWS = ((1100, 900, 1000), (1200, 1000, 1000), (1400, 1200, 1400), (1300, 1100, 1200), (1300, 1200, 1250))

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            # mean(200, 400) = 300; (300 + 300) / 2 = 300; (300 + 100) / 2 = 200
            (AtrMethod.WILDER, [None, None, 300, 300, 200]),
            # 300; mean(400, 300) = 350; mean(300, 100) = 200
            (AtrMethod.SMA, [None, None, 300, 350, 200]),
            # alpha 2/3: 300; 300 + 2/3 x 0 = 300; 300 + 2/3 x -200 = 166 2/3
            (AtrMethod.EMA, [None, None, 300, 300, Fraction(500, 3)]),
        ],
    )
    def test_each_method(self, method, expected):
        series = atr_series(bars(list(self.ROWS)), AtrPolicy(period=2, method=method))
        found = [None if np.isnan(value) else value for value in series.atr.tolist()]
        assert found == [None if value is None else pytest.approx(float(value), rel=1e-15) for value in expected]

    def test_a_reading_gives_prices_and_how_many_bars_it_knows(self):
        reading = atr_series(bars(list(self.ROWS)), AtrPolicy(period=2)).reading(4)
        assert (reading.atr_px, reading.close_px, reading.bars) == (Decimal(2), Decimal("12.50"), 5)
        assert reading.why_no_atr == ""
        assert reading.median_atr_pct is None  # three values are too few

    def test_two_sides_are_measured_at_their_mid(self):
        """The ask jumps, the bid stays: half of it counts."""
        bid = [(100, 100, 100)] * 3
        ask = [(102, 102, 102), (102, 102, 102), (105, 102, 102)]
        reading = atr_series(bars(bid, ask_rows=ask), AtrPolicy(period=1)).reading(2)
        assert (reading.atr_px, reading.close_px) == (Decimal("0.015"), Decimal("1.01"))

    def test_the_median_is_taken_over_the_look_back_with_now_in_it(self):
        """Ranges of 1, 2, 3, ... cents at a close of 1.00: with period 1 ATR% is 1, 2, 3, ... per cent."""
        rows = [(100, 100, 100), *((100, 100 - n, 100) for n in range(1, 41))]
        series = atr_series(bars(rows), AtrPolicy(period=1), lookback=25)
        assert series.reading(19).median_atr_pct is None  # 19 values
        assert series.reading(20).median_atr_pct == Decimal("0.105")  # of 1 to 20
        assert series.reading(21).median_atr_pct == Decimal("0.11")
        assert series.reading(40).median_atr_pct == Decimal("0.28")  # of 16 to 40

    def test_a_bar_that_did_not_move_keeps_its_place_in_the_look_back_and_gives_no_value(self):
        rows = [(100, 100, 100)] * 6 + [(100, 100 - n, 100) for n in range(1, 21)]
        series = atr_series(bars(rows), AtrPolicy(period=1), lookback=22)
        assert series.reading(24).median_atr_pct is None  # 19 values and 3 of nothing
        assert series.reading(25).median_atr_pct == Decimal("0.105")


class TestWithoutAnAtr:
    def test_too_few_bars_are_counted(self):
        series = atr_series(bars([(3, 1, 2)] * 14), AtrPolicy())
        reading = series.reading(13)
        assert (reading.atr_px, reading.bars) == (None, 14)
        assert reading.why_no_atr == "not enough bars: have 14, need 15"
        assert reading.close_px == Decimal("0.02")

    def test_before_the_first_bar_there_is_nothing(self):
        reading = atr_series(bars([(3, 1, 2)] * 20), AtrPolicy()).reading(-1)
        assert reading.why_no_atr == "not enough bars: have 0, need 15"
        assert (reading.atr_px, reading.close_px) == (None, None)

    def test_a_price_that_does_not_move_gives_none(self):
        reading = atr_series(bars([(5, 5, 5)] * 20), AtrPolicy()).reading(19)
        assert reading.atr_px is None
        assert reading.why_no_atr == "ATR is zero: price has not moved in 15 bars"

    def test_a_hole_throws_the_average_away(self):
        """Two bars are missing after minute 4; three bars of the new stretch are needed."""
        one_missing_is_fine = AtrPolicy(period=2, max_gap_bars=1)
        series = atr_series(bars([(3, 1, 2)] * 9, [0, 1, 3, 4, 7, 8, 9, 10, 11]), one_missing_is_fine)
        assert np.isnan(series.atr).tolist() == [True, True, False, False, True, True, False, False, False]
        assert (
            series.reading(5).why_no_atr == "not enough bars since a gap of 2 bars (max_gap_bars is 1): have 2, need 3"
        )
        assert series.reading(6).bars == 3

    def test_no_hole_matters_unless_asked(self):
        series = atr_series(bars([(3, 1, 2)] * 4, [0, 1, 900, 901]), AtrPolicy(period=2))
        assert series.reading(3).bars == 4

    def test_a_period_below_1_is_the_operators_mistake(self):
        with pytest.raises(ConfigError, match=r"atr\.period: 0 is not allowed"):
            atr_series(bars([(3, 1, 2)]), AtrPolicy(period=0))


ranges = st.tuples(st.integers(1, 10**6), st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 10000))
random_rows = st.lists(ranges, min_size=1, max_size=60).map(
    lambda rows: [(low + a + b, low, low + min(c, a + b)) for low, a, b, c in rows]
)
policies = st.builds(
    AtrPolicy,
    period=st.integers(1, 20),
    method=st.sampled_from(AtrMethod),
    max_gap_bars=st.none() | st.integers(0, 3),
)


class TestExponentialAverage:
    @given(close=st.integers(1, 10**12), length=st.integers(1, 200))
    def test_of_equal_closes_it_is_that_close_exactly_so_that_averages_tie(self, close, length):
        assert set(ema(np.full(20, close), length).tolist()) == {float(close)}

    @given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.integers(1, 30))
    def test_exact_fractions_agree(self, closes, length):
        exact = [Fraction(closes[0])]
        for close in closes[1:]:
            exact.append(exact[-1] + Fraction(2, length + 1) * (close - exact[-1]))
        assert ema(np.array(closes), length).tolist() == pytest.approx([float(value) for value in exact], rel=1e-13)

    def test_of_nothing_it_is_nothing(self):
        assert len(ema(np.empty(0, dtype=np.int64), 5)) == 0


class TestAgainstOthers:
    @given(rows=random_rows, policy=policies)
    def test_exact_fractions_agree(self, rows, policy):
        of = bars(rows)
        for value, exact in zip(atr_series(of, policy).atr.tolist(), twin(of, policy), strict=True):
            assert np.isnan(value) if exact is None else value == pytest.approx(float(exact), rel=1e-13)

    @given(rows=random_rows, policy=policies, data=st.data())
    def test_the_live_calculator_says_the_same_after_every_bar(self, rows, policy, data):
        steps = data.draw(st.lists(st.sampled_from([1, 1, 1, 2, 3, 5]), min_size=len(rows), max_size=len(rows)))
        of = bars(rows, np.cumsum(steps).tolist(), ask_rows=data.draw(st.none() | st.just(rows[::-1])))
        series = atr_series(of, policy, lookback=30)
        live = ATRCalculator(policy, lookback=30, interval_ns=MINUTE_NS)
        assert series.reading(-1).why_no_atr == live.reading().why_no_atr
        for index, bar in enumerate(as_live_bars(of)):
            live.update(bar)
            ours, theirs = series.reading(index), live.reading()
            assert close_to(ours.atr_px, theirs.atr_px)
            assert close_to(ours.median_atr_pct, theirs.median_atr_pct)
            assert (ours.close_px, ours.bars, ours.why_no_atr) == (theirs.close_px, theirs.bars, theirs.why_no_atr)

    @pytest.mark.parametrize("method", AtrMethod)
    @pytest.mark.parametrize("period", [2, 14, 100])
    def test_ta_lib_agrees_to_1e_9_on_random_bars(self, method, period):
        random = np.random.default_rng(41)
        close = 10_000 + np.cumsum(random.integers(-50, 51, 5_000))
        high, low = close + random.integers(0, 60, 5_000), close - random.integers(0, 60, 5_000)
        check_against_ta_lib(bars(list(zip(high, low, close, strict=True))), AtrPolicy(period=period, method=method))

    @pytest.mark.parametrize("method", AtrMethod)
    @pytest.mark.parametrize("name", ["SPY-1h.csv.gz", "EURUSD-1h-bidask.csv.gz", "BTCUSD-1m.csv.gz", "AAPL-1d.csv.gz"])
    def test_ta_lib_agrees_to_1e_9_on_recorded_bars(self, shared_data, name, method):
        check_against_ta_lib(read_prices(shared_data / name).prices, AtrPolicy(method=method))

    def test_the_live_calculator_says_the_same_on_recorded_bars(self, shared_data):
        of = read_prices(shared_data / "EURUSD-1h-bidask.csv.gz").prices
        policy = AtrPolicy(max_gap_bars=60)  # weekends are holes of 48 bars, Christmas is longer
        series = atr_series(of, policy)
        live = ATRCalculator(policy, interval_ns=of.interval_ns)
        assert len(series.starts) > 3
        for index, bar in enumerate(as_live_bars(of)):
            live.update(bar)
            if index % 997 == 0 or index - 1 in series.starts:
                ours, theirs = series.reading(index), live.reading()
                assert close_to(ours.atr_px, theirs.atr_px)
                assert close_to(ours.median_atr_pct, theirs.median_atr_pct)
                assert (ours.bars, ours.why_no_atr) == (theirs.bars, theirs.why_no_atr)


def check_against_ta_lib(of: Bars, policy: AtrPolicy) -> None:
    unit = float(of.mid_unit)
    high, low, close = (getattr(of.mid, name) * unit for name in ("high", "low", "close"))
    if policy.method is AtrMethod.WILDER:
        theirs = talib.ATR(high, low, close, policy.period)
    else:
        average = talib.SMA if policy.method is AtrMethod.SMA else talib.EMA
        theirs = np.concatenate(([np.nan], average(talib.TRANGE(high, low, close)[1:], policy.period)))
    ours = atr_series(of, policy).atr * unit
    assert np.isnan(ours).tolist() == np.isnan(theirs).tolist()
    assert np.nanmax(np.abs(ours - theirs)) < 1e-9


def quotes(rows: list[tuple[int, int, int]]) -> Quotes:
    """Quotes of (second, bid, ask) in cents."""
    time, bid, ask = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    lines = np.arange(2, len(rows) + 2)
    facts = {"symbol": "X", "path": "X.csv", "sha256": "", "unit": CENT, "tick": CENT}
    return Quotes(**facts, time_ns=time * 1_000_000_000, bid=bid, ask=ask, lines=lines)


class TestBarsFromQuotes:
    def test_a_bar_is_first_highest_lowest_and_last_mid_of_its_minute(self):
        made = bars_from_quotes(quotes([(5, 100, 102), (20, 104, 105), (59, 98, 99), (60, 100, 100), (200, 100, 103)]))
        assert (made.time_ns // MINUTE_NS).tolist() == [0, 1, 3]  # nothing was quoted in minute 2
        assert [tuple(made.px(units) for units in made.bid.row(i)) for i in (0, 2)] == [
            (Decimal("1.01"), Decimal("1.045"), Decimal("0.985"), Decimal("0.985")),
            (Decimal("1.015"),) * 4,
        ]
        assert made.interval_ns == MINUTE_NS
        assert made.tick == CENT

    def test_crossed_quotes_are_in_no_bar(self):
        made = bars_from_quotes(quotes([(5, 100, 102), (20, 900, 105), (70, 104, 103)]))
        assert made.bid.high.tolist() == [1010]
        assert len(made) == 1

    def test_of_crossed_quotes_alone_there_are_no_bars(self):
        assert len(bars_from_quotes(quotes([(5, 103, 102)]))) == 0

    @given(
        rows=st.lists(st.tuples(st.integers(0, 40), st.integers(90, 110), st.integers(90, 110)), min_size=1).map(
            sorted
        ),
        seconds=st.integers(1, 15),
    )
    def test_a_plain_loop_agrees(self, rows, seconds):
        expected: dict[int, list[int]] = {}
        for second, bid, ask in rows:
            if bid <= ask:
                expected.setdefault(second // seconds, []).append((bid + ask) * 5)
        made = bars_from_quotes(quotes(rows), seconds * 1_000_000_000)
        assert (made.time_ns // (seconds * 1_000_000_000)).tolist() == list(expected)
        assert [made.bid.row(i) for i in range(len(made))] == [
            (mids[0], max(mids), min(mids), mids[-1]) for mids in expected.values()
        ]

    def test_recorded_ticks_give_an_atr(self, shared_data):
        made = bars_from_quotes(read_prices(shared_data / "EURUSD-ticks-20140508.csv.gz").prices)
        reading = atr_series(made, AtrPolicy()).reading(len(made) - 1)
        assert Decimal("0.00001") < reading.atr_px < Decimal("0.001")
