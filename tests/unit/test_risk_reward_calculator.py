"""How much is a trade to win for what it risks? The ratio, its reasons, the target, and the result in R and money."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.market import VolatilityReading
from grodtd.domain.orders import Side
from grodtd.domain.policy import RatioStrategy, RiskRewardPolicy
from grodtd.execution.risk_reward_calculator import RiskRewardCalculator, pnl, r_multiple, target_px

FIXED, CONDITION = RatioStrategy.FIXED_RATIO, RatioStrategy.MARKET_CONDITION
VOLATILITY, ADAPTIVE = RatioStrategy.VOLATILITY_BASED, RatioStrategy.ADAPTIVE_RATIO
LONG, SHORT = Side.BUY, Side.SELL


def d(text):
    return None if text is None else Decimal(str(text))


def policy(strategy, **changes):
    """The shipped configuration, with another strategy."""
    values = {
        "market_condition_factors": {"trending": d("1.2"), "ranging": d("1.0"), "volatile": d("0.8")},
        "symbol_specific_ratios": {"AAPL": d("1.8"), "TSLA": d("2.0"), "SPY": d("1.2")},
    }
    return RiskRewardPolicy(strategy=strategy, **{**values, **changes})


def reading(atr=None, close=None, median=None, condition=None, why=""):
    return VolatilityReading(
        atr_px=d(atr), close_px=d(close), median_atr_pct=d(median), condition=condition, why_no_atr=why
    )


USUAL = reading(atr=2, close=100, median="0.02")
TWICE_AS_CALM = reading(atr=1, close=100, median="0.02")
TWICE_AS_WILD = reading(atr=4, close=100, median="0.02")


@pytest.mark.parametrize(
    ("what", "strategy", "symbol", "seen", "ratio"),
    [
        ("no ratio of its own: the base", FIXED, "MSFT", USUAL, "1.5"),
        ("Apple has its own", FIXED, "AAPL", USUAL, "1.8"),
        ("fixed looks at nothing", FIXED, "MSFT", reading(4, 100, "0.02", "trending"), "1.5"),
        ("a trend runs further", CONDITION, "MSFT", reading(condition="trending"), "1.8"),
        ("a volatile market does not", CONDITION, "MSFT", reading(condition="volatile"), "1.2"),
        ("Apple in a trend", CONDITION, "AAPL", reading(condition="trending"), "2.16"),
        ("volatility as usual", VOLATILITY, "MSFT", USUAL, "1.5"),
        ("twice as calm as usual", VOLATILITY, "MSFT", TWICE_AS_CALM, "3.0"),
        ("a quarter calmer", VOLATILITY, "MSFT", reading("1.6", 100, "0.02"), "1.875"),
        ("a fifth wilder", VOLATILITY, "SPY", reading("2.4", 100, "0.02"), "1.0"),
        ("volatility does not ask the condition", VOLATILITY, "MSFT", reading(2, 100, "0.02", "trending"), "1.5"),
        ("both", ADAPTIVE, "MSFT", reading("1.6", 100, "0.02", "volatile"), "1.5"),
    ],
)
def test_ratio(what, strategy, symbol, seen, ratio):
    assert RiskRewardCalculator(policy(strategy)).ratio(symbol, seen).ratio == d(ratio)


def test_a_decision_can_be_followed_with_a_pencil():
    """1.8 x 1.2 x 1.6 = 3.456, more than the 3.0 allowed."""
    seen = reading("1.25", 100, "0.02", "trending")
    decision = RiskRewardCalculator(policy(ADAPTIVE)).ratio("AAPL", seen)
    assert (decision.base, decision.base_from) == (d("1.8"), "symbol_specific_ratios.AAPL")
    assert decision.factors == (("market_condition trending", d("1.2")), ("volatility", d("1.6")))
    assert (decision.unclamped, decision.clamped_to, decision.ratio) == (d("3.456"), "max_ratio", d("3.0"))
    assert decision.remarks == ()


@pytest.mark.parametrize(
    ("what", "changes", "symbol", "unclamped", "clamped_to", "ratio"),
    [
        ("too little", {"base_ratio": d("0.5")}, "MSFT", "0.5", "min_ratio", "1.0"),
        ("the least there may be", {"base_ratio": d("1.0")}, "MSFT", "1.0", "", "1.0"),
        ("the most there may be", {"base_ratio": d("3.0")}, "MSFT", "3.0", "", "3.0"),
        ("too much", {"base_ratio": d("3.1")}, "MSFT", "3.1", "max_ratio", "3.0"),
        ("a symbol's own is bounded too", {"max_ratio": d("1.7")}, "AAPL", "1.8", "max_ratio", "1.7"),
    ],
)
def test_bounds(what, changes, symbol, unclamped, clamped_to, ratio):
    decision = RiskRewardCalculator(policy(FIXED, **changes)).ratio(symbol, USUAL)
    assert (decision.unclamped, decision.clamped_to, decision.ratio) == (d(unclamped), clamped_to, d(ratio))


@pytest.mark.parametrize(
    ("exponent", "seen", "factor"),
    [
        ("1", TWICE_AS_CALM, "2"),
        ("0", TWICE_AS_CALM, "1"),  # switched off
        ("2", TWICE_AS_WILD, "0.25"),
        ("0.5", reading(1, 100, "0.04"), "2"),  # a square root comes out even
        ("0.5", TWICE_AS_CALM, "1.41421356237"),
        ("-1", TWICE_AS_CALM, "0.5"),  # turned round: nearer targets in calm markets
        ("0.7", reading("1.3", "101.7", "0.0171"), "1.22591849659"),
    ],
)
def test_the_exponent_bends_the_volatility_factor(exponent, seen, factor):
    decision = RiskRewardCalculator(policy(VOLATILITY, volatility_factor=d(exponent))).ratio("MSFT", seen)
    assert decision.factors == (("volatility", d(factor)),)
    assert decision.remarks == ()


@pytest.mark.parametrize(
    ("what", "strategy", "seen", "remarks"),
    [
        ("no condition named", CONDITION, USUAL, ["market condition not given: factor 1.0"]),
        (
            "a condition nobody configured",
            CONDITION,
            reading(condition="sideways"),
            [
                (
                    "market condition 'sideways' is not in market_condition_factors "
                    "(ranging, trending, volatile): factor 1.0"
                ),
            ],
        ),
        (
            "no median yet",
            VOLATILITY,
            reading(2, 100),
            ["fewer than 20 ATR% values: volatility factor 1.0"],
        ),
        (
            "no ATR",
            VOLATILITY,
            reading(why="not enough bars: have 3, need 15"),
            ["no ATR (not enough bars: have 3, need 15): volatility factor 1.0"],
        ),
        ("an ATR of NaN", VOLATILITY, reading("NaN", 100, "0.02"), ["no ATR (none was given): volatility factor 1.0"]),
        (
            "a price below zero",
            VOLATILITY,
            reading(2, -37, "0.02"),
            ["no close above zero to relate the ATR to: volatility factor 1.0"],
        ),
        (
            "neither",
            ADAPTIVE,
            reading(2, 100),
            [
                "market condition not given: factor 1.0",
                "fewer than 20 ATR% values: volatility factor 1.0",
            ],
        ),
    ],
)
def test_what_is_not_known_counts_as_one_and_is_said(what, strategy, seen, remarks):
    decision = RiskRewardCalculator(policy(strategy)).ratio("MSFT", seen)
    assert list(decision.remarks) == remarks
    assert decision.ratio == d("1.5")
    assert {factor for _, factor in decision.factors} == {1}


def test_a_volatility_factor_switched_off_misses_nothing():
    decision = RiskRewardCalculator(policy(VOLATILITY, volatility_factor=d(0))).ratio("MSFT", reading())
    assert (decision.ratio, decision.remarks) == (d("1.5"), ())


def test_a_condition_when_none_is_configured_says_so():
    decision = RiskRewardCalculator(policy(CONDITION, market_condition_factors={})).ratio(
        "MSFT", reading(condition="trending")
    )
    assert "(there are none)" in decision.remarks[0]


@pytest.mark.parametrize("exponent", ["1000", "-1000", "1E+9", "-1E+9"])
@pytest.mark.parametrize("seen", [TWICE_AS_CALM, TWICE_AS_WILD])
def test_an_absurd_exponent_ends_at_a_bound(exponent, seen):
    decision = RiskRewardCalculator(policy(VOLATILITY, volatility_factor=d(exponent))).ratio("MSFT", seen)
    calm, turned_round = seen is TWICE_AS_CALM, exponent.startswith("-")
    assert decision.clamped_to == ("max_ratio" if calm != turned_round else "min_ratio")


def test_a_program_that_embeds_us_may_set_its_own_precision():
    calculator = RiskRewardCalculator(policy(VOLATILITY, volatility_factor=d("0.7")))
    seen = reading("1.3", "101.7", "0.0171")
    with localcontext() as context:
        context.prec = 50
        precise = calculator.ratio("MSFT", seen)
    assert calculator.ratio("MSFT", seen) == precise


FACTORS = st.decimals(d("0.001"), d("0.2"), places=6)
ANY_READING = st.builds(
    VolatilityReading,
    atr_px=st.none() | st.decimals(d("0.0001"), 500, places=4),
    close_px=st.none() | st.decimals(d("0.01"), 5000, places=2),
    median_atr_pct=st.none() | FACTORS,
    condition=st.sampled_from([None, "trending", "ranging", "volatile", "odd"]),
)


@given(ANY_READING, st.sampled_from(RatioStrategy), st.sampled_from(["AAPL", "MSFT"]), st.integers(-30, 30))
def test_the_ratio_is_always_within_its_bounds(seen, strategy, symbol, tenths):
    rules = policy(strategy, volatility_factor=Decimal(tenths) / 10)
    decision = RiskRewardCalculator(rules).ratio(symbol, seen)
    assert rules.min_ratio <= decision.ratio <= rules.max_ratio
    product = decision.base
    for _, factor in decision.factors:
        product *= factor
    assert decision.unclamped == product
    assert (decision.ratio == decision.unclamped) == (decision.clamped_to == "")


@given(st.decimals(d("0.01"), 50, places=2), st.integers(1, 40), FACTORS)
def test_the_factor_is_what_float_arithmetic_gives(atr, tenths, median):
    exponent = Decimal(tenths) / 10
    rules = policy(VOLATILITY, volatility_factor=exponent)
    decision = RiskRewardCalculator(rules).ratio("MSFT", reading(atr, 100, median))
    expected = (float(median) / (float(atr) / 100)) ** float(exponent)
    assert float(decision.factors[0][1]) == pytest.approx(expected, rel=1e-11)


# ---------------------------------------------------------------- the target


@pytest.mark.parametrize(
    ("what", "side", "entry", "stop", "ratio", "tick", "target"),
    [
        ("one and a half times the risk of 2", LONG, "100", "98", "1.5", "0.01", "103"),
        ("short: the same below", SHORT, "100", "102", "1.5", "0.01", "97"),
        ("between ticks: away from the entry", LONG, "100", "97.55", "1.5", "0.05", "103.70"),
        ("short between ticks: away, that is down", SHORT, "100", "102.45", "1.5", "0.05", "96.30"),
        ("an entry between ticks", LONG, "100.003", "98.01", "1", "0.01", "102.00"),
        ("a coarse tick", LONG, "4000", "3990", "1.1", "25", "4025"),
    ],
)
def test_target(what, side, entry, stop, ratio, tick, target):
    assert target_px(side, d(entry), d(stop), d(ratio), d(tick)) == d(target)


# ---------------------------------------------------------------- what came of it


@pytest.mark.parametrize(
    ("what", "side", "entry", "stop", "exit_", "r"),
    [
        ("stopped out", LONG, 100, 98, 98, "-1"),
        ("at the target of 1.5", LONG, 100, 98, 103, "1.5"),
        ("short at its target", SHORT, 100, 102, 97, "1.5"),
        ("gapped through the stop", LONG, 100, 98, 95, "-2.5"),
        ("out at the entry", SHORT, 100, 102, 100, "0"),
        ("a stop at the entry measures nothing", LONG, 100, 100, 99, None),
        ("a stop on the wrong side measures nothing", LONG, 100, 101, 99, None),
        ("nor for a short", SHORT, 100, 99, 99, None),
    ],
)
def test_r_multiple(what, side, entry, stop, exit_, r):
    assert r_multiple(side, d(entry), d(stop), d(exit_)) == d(r)


@pytest.mark.parametrize(
    ("what", "side", "entry", "exit_", "quantity", "multiplier", "fees", "money"),
    [
        ("ten shares, three dollars each", LONG, 100, 103, 10, 1, 0, "30"),
        ("less what the broker took", LONG, 100, 103, 10, 1, "2.03", "27.97"),
        ("short", SHORT, 100, 103, 10, 1, "2.03", "-32.03"),
        ("two E-mini futures, 50 dollars a point", LONG, "4000.25", "4010.50", 2, 50, "8.40", "1016.60"),
        ("29.9 coins of 30: the fee took a tenth", LONG, 10, 11, "29.9", 1, 0, "29.9"),
    ],
)
def test_pnl(what, side, entry, exit_, quantity, multiplier, fees, money):
    assert pnl(side, d(entry), d(exit_), d(quantity), d(multiplier), d(fees)) == d(money)


@given(st.integers(1, 10_000), st.integers(1, 500), st.integers(-9_000, 9_000))
def test_a_short_is_the_mirror_of_a_long(entry, risk, move):
    """Prices mirrored about zero turn one into the other: the same R, the same money."""
    entry, stop, exit_ = Decimal(entry), Decimal(entry - risk), Decimal(entry + move)
    assert r_multiple(LONG, entry, stop, exit_) == r_multiple(SHORT, -entry, -stop, -exit_)
    assert pnl(LONG, entry, exit_, Decimal(3)) == pnl(SHORT, -entry, -exit_, Decimal(3))
