"""Market condition: told as stories, against fractions, and the same live, in one go and over a file's bars."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Bar, VolatilityReading
from grodtd.domain.orders import Side
from grodtd.domain.policy import AtrPolicy, MarketConditionPolicy, Policy, RatioStrategy, RiskRewardPolicy
from grodtd.execution.levels import plan_levels
from grodtd.execution.market_condition import MarketConditionClassifier, condition_of
from grodtd.execution.volatility_reading import bars_wanted, read_bars
from grodtd.replay.prices import Ohlc, bars_of
from grodtd.replay.volatility import atr_series

D = Decimal
HOUR_NS = 3_600_000_000_000
SHORT = MarketConditionPolicy(efficiency_period=5, percentile_window=20)
FACTORS = {"trending": D("1.2"), "ranging": D(1), "volatile": D("0.8")}
FOLLOWS = Policy(
    atr=AtrPolicy(period=3),
    risk_reward=RiskRewardPolicy(
        strategy=RatioStrategy.MARKET_CONDITION, market_condition=SHORT, market_condition_factors=FACTORS
    ),
)


def bars(closes, ranges=None):
    """Hourly bars with these closes; each spans its range around the close."""
    ranges = ranges or [2] * len(closes)
    made = []
    for hour, (close, width) in enumerate(zip(closes, ranges, strict=True)):
        px, half = D(close), D(width) / 2
        made.append(Bar("X", hour * HOUR_NS, px, px + half, px - half, px))
    return made


UP = list(range(100, 130))
BACK_AND_FORTH = [100, 101] * 15
STORIES = [
    ("a dollar up every hour", UP, [2] * 30, "trending"),
    ("a dollar down every hour", UP[::-1], [2] * 30, "trending"),
    ("back and forth", BACK_AND_FORTH, [2] * 30, "ranging"),
    ("back and forth, the last hours in great swings", BACK_AND_FORTH, [2] * 28 + [9, 9], "volatile"),
    ("back and forth, calmer than before", BACK_AND_FORTH, [9] * 28 + [2, 2], "ranging"),
    ("one way in ever greater steps is a trend, not a wild market", UP, range(2, 32), "trending"),
    ("nearly still: nothing of its ATR is out of the ordinary", [100] * 30, [2] * 30, "ranging"),
]


@pytest.mark.parametrize(("closes", "ranges", "condition"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
def test_a_market_is_called(closes, ranges, condition):
    assert read_bars(FOLLOWS, bars(closes, list(ranges))).condition == condition


def test_the_figures_by_hand():
    """Five steps of 1, one of them back: net 3 of 5. Of 19 earlier ATR% values none is below the present one."""
    classifier = MarketConditionClassifier(SHORT)
    for close in [100] * 20 + [101, 102, 101, 102, 103]:
        classifier.update(D(close), D(100) / D(close))
    told = classifier.reading()
    assert (told.efficiency_ratio, told.atr_percentile) == (D("0.6"), D(0))


def test_with_too_few_bars_the_condition_is_unknown_and_the_levels_say_so():
    reading = read_bars(FOLLOWS, bars(UP[:21]))  # the ATR of 3 takes the first three
    assert reading.condition is None
    assert reading.why_no_condition == "not enough bars with an ATR: have 18, need 20"
    plan = plan_levels(Side.BUY, D(100), reading, FOLLOWS, Instrument("X"))
    assert plan.levels.ratio == D("1.5")
    assert plan.remarks == ("market condition unknown (not enough bars with an ATR: have 18, need 20): factor 1.0",)
    assert plan.levels.condition is None


def test_the_bracket_keeps_the_condition_the_factor_and_what_told_it():
    plan = plan_levels(Side.BUY, D(100), read_bars(FOLLOWS, bars(UP)), FOLLOWS, Instrument("X"))
    assert plan.levels.condition == "trending"
    assert plan.levels.ratio == D("1.80")
    assert plan.levels.factors == (("market_condition trending: efficiency ratio 1, ATR percentile 0", D("1.2")),)
    assert plan.remarks == ()


def test_a_condition_somebody_names_is_taken_and_the_bars_are_not_asked():
    reading = read_bars(FOLLOWS, bars(UP), "volatile")
    assert (reading.condition, reading.efficiency_ratio) == ("volatile", None)
    plan = plan_levels(Side.BUY, D(100), reading, FOLLOWS, Instrument("X"))
    assert plan.levels.factors == (("market_condition volatile", D("0.8")),)


def test_a_policy_that_does_not_follow_the_condition_does_not_ask_for_it():
    reading = read_bars(Policy(atr=AtrPolicy(period=3)), bars(UP))
    assert (reading.condition, reading.why_no_condition) == (None, "")


def test_a_bar_that_is_none_is_a_break():
    broken = bars(UP)
    broken[10] = Bar("X", 10 * HOUR_NS, D("NaN"), D(1), D(1), D(1))
    assert read_bars(FOLLOWS, broken).why_no_condition == "not enough bars with an ATR: have 16, need 20"


def test_a_bar_that_comes_twice_changes_nothing():
    once = bars(UP)
    assert read_bars(FOLLOWS, [*once, once[-1], once[3]]) == read_bars(FOLLOWS, once)


def test_enough_bars_are_asked_for():
    wide = MarketConditionPolicy(efficiency_period=300, percentile_window=50)
    policy = Policy(risk_reward=RiskRewardPolicy(strategy=RatioStrategy.ADAPTIVE_RATIO, market_condition=wide))
    assert bars_wanted(policy) == 3 * 14 + 301 + 1


PRICES = st.lists(st.tuples(st.integers(900, 1100), st.integers(0, 40)), min_size=1, max_size=80)
POLICIES = st.builds(
    MarketConditionPolicy,
    efficiency_period=st.integers(2, 30),
    trending_from=st.sampled_from([D("0.2"), D("0.4"), D(1)]),
    percentile_window=st.integers(20, 40),
    volatile_from=st.sampled_from([D("0.5"), D("0.8"), D(1)]),
)


def by_hand(closes, atrs, policy):
    """The definition in fractions, from everything since the last break."""
    known = 0
    while known < len(closes) and atrs[-known - 1]:
        known += 1
    if known <= policy.efficiency_period or known < 20:
        return None
    last = [Fraction(close) for close in closes[-policy.efficiency_period - 1 :]]
    path = sum(abs(b - a) for a, b in pairwise(last))
    if path and abs(last[-1] - last[0]) / path >= Fraction(policy.trending_from):
        return "trending"
    window = min(known, policy.percentile_window)
    shares = [Fraction(a) / Fraction(c) for a, c in zip(atrs[-window:], closes[-window:], strict=True)]
    below = sum(1 for share in shares[:-1] if share < shares[-1])
    return "volatile" if Fraction(below, window - 1) >= Fraction(policy.volatile_from) else "ranging"


@given(PRICES, POLICIES)
def test_bar_by_bar_it_is_what_the_definition_says(prices, policy):
    """An ATR of 0 stands for a bar without one."""
    classifier, closes, atrs = MarketConditionClassifier(policy), [], []
    for close, atr in prices:
        closes.append(D(close))
        atrs.append(D(atr))
        classifier.update(D(close), D(atr) or None)
        told = classifier.reading()
        assert told.condition == by_hand(closes, atrs, policy)
        assert bool(told.why_unknown) == (told.condition is None)


@given(st.lists(st.tuples(st.integers(900, 1100), st.integers(1, 40)), min_size=1, max_size=80), POLICIES)
def test_in_one_go_it_is_the_same(prices, policy):
    classifier = MarketConditionClassifier(policy)
    for close, atr in prices:
        classifier.update(D(close), D(atr))
    shares = [+(D(atr) / D(close)).normalize() for close, atr in prices]
    rounded = [D(f"{share:.12g}") for share in shares]
    assert condition_of([close for close, _ in prices], rounded, policy) == classifier.reading()


@given(
    st.lists(st.tuples(st.integers(-30, 30), st.integers(0, 60)), min_size=1, max_size=120),
    POLICIES,
    st.sampled_from([None, 0, 2]),
    st.data(),
)
def test_over_the_bars_of_a_file_it_is_what_a_live_bracket_would_be_told(steps, by, max_gap_bars, data):
    closes = 10_000 + np.cumsum([step for step, _ in steps])
    half = np.array([width for _, width in steps])
    hours = np.cumsum([data.draw(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 4])) for _ in steps])
    side = Ohlc(closes, closes + half, closes - half, closes)
    of = bars_of("X", hours.astype(np.int64) * HOUR_NS, side, unit=D("0.01"), interval_ns=HOUR_NS)
    atr = AtrPolicy(period=3, max_gap_bars=max_gap_bars, interval_s=3600)
    ratio = RiskRewardPolicy(strategy=RatioStrategy.ADAPTIVE_RATIO, market_condition=by)
    policy = Policy(atr=atr, risk_reward=ratio)
    live = [Bar("X", int(of.time_ns[i]), *(int(units) * of.unit for units in of.mid.row(i))) for i in range(len(of))]
    series = atr_series(of, atr, by=by)
    for index in {0, len(of) // 2, len(of) - 1}:
        replayed, told = series.reading(index), read_bars(policy, live[: index + 1])
        assert replayed.condition == told.condition
        assert replayed.why_no_condition == told.why_no_condition
        assert replayed.efficiency_ratio == told.efficiency_ratio
        if told.atr_percentile is not None:
            assert abs(replayed.atr_percentile - told.atr_percentile) <= D("1e-11")
    assert series.reading(-1) == VolatilityReading(
        why_no_atr="not enough bars: have 0, need 4",
        why_no_condition=f"not enough bars with an ATR: have 0, need {max(20, by.efficiency_period + 1)}",
    )
