"""How far does the price usually move in a bar? ATR by hand, against TA-Lib, and when there is none to be had."""

import csv
import gzip
import random
import statistics
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.errors import ConfigError, DataError
from grodtd.domain.market import Bar
from grodtd.domain.money import from_float
from grodtd.domain.policy import AtrMethod, AtrPolicy
from grodtd.execution.atr_calculator import ATRCalculator, atr_batch, mid_bar, true_range

HOUR_NS = 3_600_000_000_000
WILDER, SMA, EMA = AtrMethod.WILDER, AtrMethod.SMA, AtrMethod.EMA


def bar(high, low, close, hour=0, open_=None):
    px = [Decimal(str(value)) for value in (close if open_ is None else open_, high, low, close)]
    return Bar("X", hour * HOUR_NS, *px)


def hourly(*rows):
    """Make bars, an hour apart, of (high, low, close) each."""
    return [bar(*row, hour=hour) for hour, row in enumerate(rows)]


def flat(count, px=100, first_hour=0):
    return [bar(px, px, px, hour=first_hour + n) for n in range(count)]


def steady(count, first_hour=0, move=2):
    """Bars that each go `move` up and down about 100: every true range is `move`."""
    return [bar(100 + move / 2, 100 - move / 2, 100, hour=first_hour + n) for n in range(count)]


# ---------------------------------------------------------------- by hand

A_WEEK = hourly(
    # high low close        true range: how it comes about
    (12, 10, 11),  # the first bar has none
    (13, 11, 12),  # 2: its own range
    (15, 13, 14),  # 3: opened above the close of 12, the jump counts
    (14, 10, 11),  # 4: its own range
    (12, 6, 7),  #   6: a bad day
    (8, 7, 7.5),  #  1: a quiet one
)


@pytest.mark.parametrize(
    ("method", "after_each_bar"),
    [
        (WILDER, [None, None, None, "3", "4", "3"]),  # (3*2 + 6) / 3, then (4*2 + 1) / 3
        (EMA, [None, None, None, "3", "4.5", "2.75"]),  # (3*2 + 2*6) / 4, then (4.5*2 + 2*1) / 4
        (SMA, [None, None, None, "3", "4.33333333333", "3.66666666667"]),  # 13 / 3, then 11 / 3
    ],
)
def test_three_bar_atr_by_hand(method, after_each_bar):
    expected = [value and Decimal(value) for value in after_each_bar]
    assert atr_batch(A_WEEK, AtrPolicy(period=3, method=method)) == expected


@pytest.mark.parametrize(
    ("what", "previous_close", "high", "low", "expected"),
    [
        ("a quiet bar counts its own range", 11, 12, 10, 2),
        ("a jump up counts from the previous close", 8, 12, 10, 4),
        ("a jump down counts from the previous close", 15, 12, 10, 5),
        ("a bar at one price after the same close did not move", 10, 10, 10, 0),
    ],
)
def test_true_range(what, previous_close, high, low, expected):
    assert true_range(Decimal(previous_close), bar(high, low, low)) == expected


def test_a_move_that_never_changes_stays_the_same_to_the_last_digit():
    """7 does not divide a decimal evenly: without spare digits 1.3 would become 1.29999999999."""
    bars = [bar("100.65", "99.35", 100, hour=n) for n in range(500)]
    assert atr_batch(bars, AtrPolicy(period=7))[-1] == Decimal("1.3")


def test_the_mid_of_a_two_sided_bar_is_half_way_at_each_price():
    bid = Bar("EURUSD", 7, *map(Decimal, ("1.10", "1.20", "1.00", "1.15")), volume=Decimal(3))
    ask = Bar("EURUSD", 7, *map(Decimal, ("1.12", "1.23", "1.01", "1.18")))
    assert mid_bar(bid, ask) == Bar("EURUSD", 7, *map(Decimal, ("1.11", "1.215", "1.005", "1.165")))


@pytest.mark.parametrize("other", [Bar("GBPUSD", 7, *[Decimal(1)] * 4), Bar("EURUSD", 8, *[Decimal(1)] * 4)])
def test_bid_and_ask_of_different_bars_are_not_paired(other):
    with pytest.raises(DataError, match="one symbol and one time"):
        mid_bar(Bar("EURUSD", 7, *[Decimal(1)] * 4), other)


# ---------------------------------------------------------------- against TA-Lib and numpy


def rel_error(ours, theirs):
    """Largest relative difference; both must lack a value at the same bars."""
    theirs = [None if np.isnan(value) else value for value in theirs]
    assert [value is None for value in ours] == [value is None for value in theirs]
    return max(abs(float(a) / b - 1) for a, b in zip(ours, theirs, strict=True) if a is not None)


def oracle(bars, policy):
    """TA-Lib's ATR, or its SMA or EMA of its true ranges."""
    high, low, close = (np.array([float(getattr(b, name)) for b in bars]) for name in ("high", "low", "close"))
    if policy.method is WILDER:
        return talib.ATR(high, low, close, policy.period)
    average = talib.SMA if policy.method is SMA else talib.EMA
    return np.append(np.nan, average(talib.TRANGE(high, low, close)[1:], policy.period))


def random_bars(seed, count):
    rng, close, bars = random.Random(seed), 10_000, []
    for n in range(count):
        open_ = close + rng.randint(-40, 40)
        close = max(100, open_ + rng.randint(-60, 60))
        cents = (open_, max(open_, close) + rng.randint(0, 30), min(open_, close) - rng.randint(0, 30), close)
        bars.append(Bar("X", n * HOUR_NS, *(Decimal(value).scaleb(-2) for value in cents)))
    return bars


def recorded_bars(path, count):
    """The first `count` bars of a file; of two-sided ones the mid."""
    bars = []
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            ts_ns = int(datetime.fromisoformat(row["time"]).timestamp()) * 1_000_000_000
            sides = [
                Bar("X", ts_ns, *(Decimal(row[side + name]) for name in ("open", "high", "low", "close")))
                for side in (("bid_", "ask_") if "bid_open" in row else ("",))
            ]
            bars.append(mid_bar(*sides) if len(sides) > 1 else sides[0])
            if len(bars) == count:
                break
    return bars


@pytest.mark.parametrize(
    ("method", "period"),
    [
        *((method, period) for method in AtrMethod for period in (2, 14, 50)),
        (WILDER, 1),  # its other averages begin at 2
    ],
)
def test_talib_agrees_on_random_bars(method, period):
    bars, policy = random_bars(period, 600), AtrPolicy(period=period, method=method)
    assert rel_error(atr_batch(bars, policy), oracle(bars, policy)) < 1e-9


@pytest.mark.parametrize("name", ["SPY-1d", "AAPL-1d", "AAPL-1m-split-2014", "BTCUSD-1m", "EURUSD-1h-bidask"])
@pytest.mark.parametrize("method", AtrMethod)
def test_talib_agrees_on_recorded_bars(shared_data, name, method):
    bars, policy = recorded_bars(shared_data / f"{name}.csv.gz", 2500), AtrPolicy(method=method)
    assert len(bars) > 2000
    assert rel_error(atr_batch(bars, policy), oracle(bars, policy)) < 1e-9


PRICES = st.integers(1, 20_000).map(lambda cents: Decimal(cents).scaleb(-2))
ROWS = st.tuples(PRICES, PRICES, PRICES).map(sorted).map(lambda px: (px[2], px[0], px[1]))
SERIES = st.lists(ROWS, min_size=1, max_size=40).map(lambda rows: hourly(*rows))
POLICIES = st.builds(AtrPolicy, period=st.integers(1, 8), method=st.sampled_from(AtrMethod))


def by_definition(bars, policy):
    """The last ATR from its definition, all at once, in float64; NaN where there is none."""
    n = policy.period
    if len(bars) <= n:
        return float("nan")
    tr = np.array([float(true_range(before.close, now)) for before, now in pairwise(bars)])
    if policy.method is SMA:
        return tr[-n:].mean()
    keep = (n - 1) / (n if policy.method is WILDER else n + 1)
    later = tr[n:]
    ages = np.arange(len(later))[::-1]
    return tr[:n].mean() * keep ** len(later) + ((1 - keep) * keep**ages * later).sum()


@given(SERIES, POLICIES)
def test_bar_by_bar_gives_what_the_definition_gives_all_at_once(bars, policy):
    last = atr_batch(bars, policy)[-1]
    assert float(last or 0) == pytest.approx(np.nan_to_num(by_definition(bars, policy)), rel=1e-9, abs=1e-12)


@given(SERIES, POLICIES, st.integers(0, 30), st.sampled_from([None, 0, 2]))
def test_a_restart_builds_the_same_state_from_the_same_bars(bars, policy, lookback, max_gap_bars):
    policy = AtrPolicy(period=policy.period, method=policy.method, max_gap_bars=max_gap_bars)
    running = ATRCalculator(policy, lookback, HOUR_NS)
    for count, next_bar in enumerate(bars, start=1):
        running.update(next_bar)
        assert running.reading() == ATRCalculator.from_bars(policy, bars[:count], lookback, HOUR_NS).reading()


@given(SERIES, POLICIES)
def test_no_atr_and_why_go_together(bars, policy):
    reading = ATRCalculator.from_bars(policy, bars).reading()
    assert (reading.atr_px is None) == bool(reading.why_no_atr)
    assert reading.atr_px is None or reading.atr_px > 0
    assert (reading.close_px, reading.bars) == (bars[-1].close, len(bars))


def test_figures_have_twelve_digits_as_those_of_a_float_kernel_have():
    reading = ATRCalculator.from_bars(AtrPolicy(period=3, method=SMA), A_WEEK).reading()
    assert reading.atr_px == from_float(11 / 3) == Decimal("3.66666666667")


def test_an_average_of_no_bars_is_the_operators_mistake():
    with pytest.raises(ConfigError, match=r"trade_exit\.atr\.period: 0"):
        ATRCalculator(AtrPolicy(period=0))


# ---------------------------------------------------------------- no ATR, and why

NAN = Decimal("NaN")


@pytest.mark.parametrize(
    ("what", "bars", "policy", "why"),
    [
        ("nothing yet", [], {}, "not enough bars: have 0, need 4"),
        ("one bar short", steady(3), {}, "not enough bars: have 3, need 4"),
        ("just enough", steady(4), {}, ""),
        ("a dead market", flat(9), {}, "ATR is zero: price has not moved in 4 bars"),
        ("a dead market woke up", [*flat(9), *steady(1, 9)], {}, ""),
        (
            "four hours are missing, two may be",
            [*steady(9), *steady(3, 13)],
            {"max_gap_bars": 2},
            "not enough bars since a gap of 4 bars (max_gap_bars is 2): have 3, need 4",
        ),
        ("enough bars since that gap", [*steady(9), *steady(4, 13)], {"max_gap_bars": 2}, ""),
        ("two are missing, two may be", [*steady(9), *steady(3, 11)], {"max_gap_bars": 2}, ""),
        ("gaps do not matter unless asked for", [*steady(9), *steady(3, 999)], {}, ""),
        ("one is missing, none may be", [*steady(9), *steady(1, 10)], {"max_gap_bars": 0}, "have 1, need 4"),
        ("the last bar is no bar", [*steady(9), bar(NAN, 99, 100, 9)], {}, "high NaN, low 99, close 100"),
        ("still resting on it", [*steady(9), bar(NAN, 99, 100, 9), *steady(3, 10)], {}, "have 3, need 4"),
        ("over it", [*steady(9), bar(NAN, 99, 100, 9), *steady(4, 10)], {}, ""),
        (
            "the feed sent bars twice",
            [*steady(2), *steady(2)],
            {},
            "not enough bars: have 2, need 4 (2 came twice or out of order)",
        ),
    ],
)
@pytest.mark.parametrize("method", AtrMethod)
def test_no_atr_and_why(what, bars, policy, why, method):
    reading = ATRCalculator.from_bars(AtrPolicy(period=3, method=method, **policy), bars, interval_ns=HOUR_NS).reading()
    assert why in reading.why_no_atr
    assert (reading.atr_px is not None) == (why == "")


def test_gaps_cannot_be_judged_without_the_bars_length():
    reading = ATRCalculator.from_bars(AtrPolicy(period=3, max_gap_bars=2), steady(9)).reading()
    assert reading.atr_px is None
    assert "the bars' length is not known" in reading.why_no_atr


BAD_BARS = [
    bar("NaN", 99, 100, 20),
    bar(101, "NaN", 100, 20),
    bar(101, 99, "NaN", 20, open_=100),
    bar(101, 99, 100, 20, open_="sNaN"),
    bar("Infinity", 99, 100, 20),
    bar(101, "-Infinity", 100, 20),
    bar(101, 99, "Infinity", 20, open_=100),
    bar(101, 0, 100, 20),
    bar(0, 0, 0, 20),
    bar(99, 101, 100, 20),
    bar("100.00", "100.01", 100, 20),
]


@pytest.mark.parametrize("bad", BAD_BARS, ids=str)
@pytest.mark.parametrize("method", AtrMethod)
def test_after_a_bad_bar_only_the_bars_after_it_count(bad, method):
    policy, after = AtrPolicy(period=3, method=method), random_bars(5, 30)[21:]
    assert atr_batch([*steady(9), bad, *after], policy)[10:] == atr_batch(after, policy)


@pytest.mark.parametrize("method", AtrMethod)
def test_after_a_gap_only_the_bars_after_it_count(method):
    """The jump over the hole is no bar's range."""
    policy = AtrPolicy(period=3, method=method, max_gap_bars=2)
    after = [bar(51, 49, 50, hour) for hour in range(20, 26)]
    whole = atr_batch([*steady(9), *after], policy, HOUR_NS)
    assert whole[9:] == atr_batch(after, policy, HOUR_NS) == [None, None, None, 2, 2, 2]


def test_a_bar_that_comes_twice_or_late_changes_nothing():
    bars = random_bars(3, 30)
    calm, pestered = (ATRCalculator(AtrPolicy(period=3)) for _ in range(2))
    for number, now in enumerate(bars):
        assert calm.update(now)
        assert pestered.update(now)
        assert not pestered.update(now)
        assert not pestered.update(bars[number // 2])
    assert calm.reading() == pestered.reading()


def test_bars_turned_away_are_counted_also_when_asked_in_between():
    calculator = ATRCalculator.from_bars(AtrPolicy(period=3), steady(2))
    assert "came twice" not in calculator.reading().why_no_atr
    calculator.update(steady(2)[0])
    assert "(1 came twice or out of order)" in calculator.reading().why_no_atr


def test_negative_prices_are_prices():
    """20 April 2020, crude oil: the range counts, but ATR as a share of such a price means nothing."""
    bars = [bar(-36, -38, -37, hour) for hour in range(40)]
    reading = ATRCalculator.from_bars(AtrPolicy(period=3), bars).reading()
    assert (reading.atr_px, reading.median_atr_pct) == (2, None)


# ---------------------------------------------------------------- the median ATR%


def median_by_definition(bars, policy, lookback):
    pairs = zip(atr_batch(bars, policy)[-lookback:], bars[-lookback:], strict=True)
    values = [float(atr / now.close) for atr, now in pairs if atr]
    return statistics.median(values) if len(values) >= 20 else None


@pytest.mark.parametrize(
    ("what", "count", "lookback", "values"),
    [
        ("nineteen values are too few", 33, 100, None),
        ("twenty will do", 34, 100, 20),
        ("an odd number has one in the middle", 35, 100, 21),
        ("the look-back is full", 140, 100, 100),
        ("a short look-back forgets sooner", 140, 25, 25),
        ("a look-back below twenty never has enough", 140, 19, None),
        ("none kept, none to be had", 140, 0, None),
    ],
)
def test_median_atr_pct(what, count, lookback, values):
    bars, policy = random_bars(8, count), AtrPolicy(period=14)
    calculator = ATRCalculator.from_bars(policy, bars, lookback)
    median = calculator.reading().median_atr_pct
    assert len(calculator._history) <= lookback
    if values is None:
        assert median is None
    else:
        assert float(median) == pytest.approx(median_by_definition(bars, policy, lookback), rel=1e-11)


def test_the_median_includes_now():
    """Nineteen bars before this one have an ATR% of 2 %; this one makes the twentieth value."""
    bars = [*steady(22), bar(131, 69, 100, 22)]
    reading = ATRCalculator.from_bars(AtrPolicy(period=3), bars).reading()
    assert (reading.atr_px, reading.median_atr_pct) == (22, Decimal("0.02"))


def test_bars_without_an_atr_keep_their_place_in_the_look_back():
    """A bad bar and the three after it have none; of the 19 that follow, each has."""
    policy, bars = AtrPolicy(period=3), [*steady(40), bar("NaN", 99, 100, 40), *steady(22, 41, move=4)]
    assert ATRCalculator.from_bars(policy, bars, 23).reading().median_atr_pct is None
    assert ATRCalculator.from_bars(policy, bars, 24).reading().median_atr_pct == Decimal("0.04")


def test_a_dead_market_adds_no_value_to_the_median():
    bars = [*flat(30), *steady(19, 30)]
    policy = AtrPolicy(period=3)
    assert ATRCalculator.from_bars(policy, bars).reading().median_atr_pct is None
    assert ATRCalculator.from_bars(policy, [*bars, *steady(1, 49)]).reading().median_atr_pct is not None


def test_the_market_condition_is_passed_on():
    calculator = ATRCalculator.from_bars(AtrPolicy(period=3), steady(9))
    assert calculator.reading("trending").condition == "trending"
    assert calculator.reading().condition is None
