"""Where do stop and target go? Tables in ticks and dollars, and what must hold for any price."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grodtd.domain.errors import Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import VolatilityReading
from grodtd.domain.orders import Side
from grodtd.domain.policy import AtrPolicy, Policy, RatioStrategy, RiskRewardPolicy
from grodtd.execution.levels import change_stop, check_given, is_looser, plan_levels, round_level

LONG, SHORT = Side.BUY, Side.SELL


def d(text):
    return None if text is None else Decimal(str(text))


def plan(side, entry, atr=None, stop=None, target=None, tick="0.01", ratio="1.5", why="", **atr_policy):
    """Plan a trade: 2 ATR to the stop or 2 % without an ATR, and 1.5 times that to the target."""
    return plan_levels(
        side,
        d(entry),
        VolatilityReading(atr_px=d(atr), close_px=d(entry), why_no_atr=why),
        Policy(atr=AtrPolicy(**atr_policy), risk_reward=RiskRewardPolicy(base_ratio=d(ratio))),
        Instrument("X", tick_size=d(tick)),
        d(stop),
        d(target),
    )


@pytest.mark.parametrize(
    ("what", "side", "entry", "atr", "tick", "stop", "target"),
    [
        ("2 x 1.25 below, 1.5 x 2.50 above", LONG, "100", "1.25", "0.01", "97.50", "103.75"),
        ("the same for a short", SHORT, "100", "1.25", "0.01", "102.50", "96.25"),
        ("97.54 is between ticks: up, towards the entry", LONG, "100", "1.23", "0.05", "97.55", "103.70"),
        ("102.46 is between ticks: down, towards the entry", SHORT, "100", "1.23", "0.05", "102.45", "96.30"),
        ("the target measures the rounded 2.45, not 2.46", LONG, "100", "1.23", "0.05", "97.55", "103.70"),
        ("the target itself goes away: 103.03 to 103.05", LONG, "100", "1.01", "0.02", "97.98", "103.04"),
        ("an average fill price is between ticks", LONG, "100.003", "1.25", "0.01", "97.51", "103.75"),
        ("a future in quarter points", SHORT, "4000.25", "7.3", "0.25", "4014.75", "3978.50"),
        ("a currency in tenths of a pip", LONG, "1.10000", "0.00123", "0.00001", "1.09754", "1.10369"),
        ("oil below zero", LONG, "-37.63", "1.00", "0.01", "-39.63", "-34.63"),
        ("a short in it", SHORT, "-37.63", "1.00", "0.01", "-35.63", "-40.63"),
    ],
)
def test_levels_from_atr(what, side, entry, atr, tick, stop, target):
    decision = plan(side, entry, atr, tick=tick)
    levels = decision.levels
    assert (levels.stop_px, levels.target_px) == (d(stop), d(target))
    assert (levels.entry_px, levels.atr_px, levels.ratio) == (d(entry), d(atr), d("1.5"))
    assert (levels.fallback, levels.stop_given, levels.target_given) == (False, False, False)
    assert decision.stop_distance_px == 2 * d(atr)
    assert (decision.remarks, decision.stop_is_hit) == ((), False)


@pytest.mark.parametrize(
    ("what", "side", "entry", "stop", "target"),
    [
        ("2 % below", LONG, "250", "245", "257.5"),
        ("2 % above, for a short", SHORT, "250", "255", "242.5"),
        ("2 % of 99.99 is 1.9998: towards the entry", LONG, "99.99", "98.00", "102.98"),
        ("for a short as well", SHORT, "99.99", "101.98", "97.00"),
        ("of a price below zero, its size counts", LONG, "-50", "-51", "-48.5"),
    ],
)
def test_without_an_atr_the_stop_is_a_percentage_away_on_either_side(what, side, entry, stop, target):
    decision = plan(side, entry, why="not enough bars: have 3, need 15")
    assert (decision.levels.stop_px, decision.levels.target_px) == (d(stop), d(target))
    assert (decision.levels.fallback, decision.levels.atr_px) == (True, None)
    assert decision.remarks == ("no ATR (not enough bars: have 3, need 15): the stop is fallback_percentage 0.02 away",)


@pytest.mark.parametrize(
    ("what", "side", "atr", "stop", "target", "lifted"),
    [
        ("next to nothing is half a per cent", LONG, "0.004", "99.50", "100.75", True),
        ("for a short, too", SHORT, "0.004", "100.50", "99.25", True),
        ("just as near needs no help", LONG, "0.25", "99.50", "100.75", False),
        ("farther stays farther", LONG, "1.25", "97.50", "103.75", False),
    ],
)
def test_a_computed_stop_keeps_the_least_distance(what, side, atr, stop, target, lifted):
    decision = plan(side, "100", atr, min_stop_percentage=d("0.005"))
    assert (decision.levels.stop_px, decision.levels.target_px) == (d(stop), d(target))
    assert decision.is_least is lifted
    words = ("a stop 0.008 away is too near: min_stop_percentage 0.005, 0.5",) if lifted else ()
    assert decision.remarks == words


def test_the_least_distance_is_the_fallbacks_least_too_and_no_given_stops():
    assert plan(LONG, "100", fallback_percentage=d("0.001"), min_stop_percentage=d("0.005")).levels.stop_px == d("99.5")
    assert plan(LONG, "100", "1", stop="99.99", min_stop_percentage=d("0.005")).levels.stop_px == d("99.99")


@pytest.mark.parametrize("atr", ["0", "-1", "NaN", "Infinity"])
def test_an_atr_that_is_no_distance_is_no_atr(atr):
    decision = plan(LONG, "250", atr)
    assert (decision.levels.stop_px, decision.levels.fallback, decision.levels.atr_px) == (245, True, None)


@pytest.mark.parametrize(
    ("what", "side", "entry", "atr", "ticks", "stop", "target"),
    [
        ("0.008 below is the entry itself", LONG, "100", "0.004", 1, "99.99", "100.02"),
        ("0.008 above, for a short", SHORT, "100", "0.004", 1, "100.01", "99.98"),
        ("three ticks are asked for", LONG, "100", "0.004", 3, "99.97", "100.05"),
        ("three for a short", SHORT, "100", "0.004", 3, "100.03", "99.95"),
        ("an entry between ticks: onto 100.01, past it", LONG, "100.003", "0.001", 1, "100.00", "100.01"),
        ("past it for a short", SHORT, "99.997", "0.001", 1, "100.00", "99.99"),
        ("none asked for would be no stop: one", LONG, "100", "0.004", 0, "99.99", "100.02"),
    ],
)
def test_a_stop_that_rounds_onto_the_entry_moves_to_the_losing_side(what, side, entry, atr, ticks, stop, target):
    decision = plan(side, entry, atr, min_stop_ticks=ticks)
    assert (decision.levels.stop_px, decision.levels.target_px) == (d(stop), d(target))
    assert f"rounds onto the entry: moved {max(ticks, 1)} tick(s) to {stop.removesuffix('.00')}" in decision.remarks[0]
    assert not decision.stop_is_hit


@pytest.mark.parametrize(
    ("what", "side", "entry", "atr", "stop", "target", "said"),
    [
        ("3.00 less 4.00", LONG, "3", "2", "0.01", "7.49", "a stop 4 away is not above zero: put at one tick, 0.01"),
        ("exactly zero is no price", LONG, "4", "2", "0.01", "9.99", "not above zero"),
        ("a short may not reach zero", SHORT, "3", "1", "5", "0.01", "a target at 0 is not above zero"),
        ("nor fall below it", SHORT, "3", "1.5", "6", "0.01", "a target at -1.5 is not above zero"),
    ],
)
def test_prices_end_at_one_tick(what, side, entry, atr, stop, target, said):
    decision = plan(side, entry, atr)
    assert (decision.levels.stop_px, decision.levels.target_px) == (d(stop), d(target))
    assert said in decision.remarks[0]
    assert not decision.stop_is_hit


def test_a_long_at_the_last_tick_cannot_be_protected_and_is_left():
    decision = plan(LONG, "0.01", "2")
    assert decision.stop_is_hit
    assert decision.remarks[-1] == "no price is left below the entry 0.01: the stop counts as hit"


def test_a_short_at_the_last_tick_has_nothing_to_win():
    decision = plan(SHORT, "0.01", "2")
    assert (decision.levels.stop_px, decision.levels.target_px) == (d("4.01"), None)
    assert decision.remarks == ("no price is left below the entry 0.01: no target",)


# ---------------------------------------------------------------- given levels


@pytest.mark.parametrize(
    ("what", "side", "given_stop", "given_target", "stop", "target", "ratio", "remarks"),
    [
        ("both given", LONG, "95", "110", "95", "110", None, []),
        ("both given, short", SHORT, "105", "90", "105", "90", None, []),
        ("a stop: 1.5 x its distance", LONG, "95", None, "95", "107.50", "1.5", []),
        ("a stop, short", SHORT, "105", None, "105", "92.50", "1.5", []),
        ("a target: the stop from ATR", LONG, None, "110", "97.50", "110", None, []),
        (
            "a stop between ticks: towards the entry",
            LONG,
            "94.996",
            None,
            "95.00",
            "107.50",
            "1.5",
            ["given stop 94.996 is between ticks of 0.01: rounded to 95"],
        ),
        (
            "short: down, towards the entry",
            SHORT,
            "105.004",
            "90",
            "105.00",
            "90",
            None,
            ["given stop 105.004 is between ticks of 0.01: rounded to 105"],
        ),
        (
            "a target between ticks: away",
            LONG,
            "95",
            "110.001",
            "95",
            "110.01",
            None,
            ["given target 110.001 is between ticks of 0.01: rounded to 110.01"],
        ),
        (
            "short: down, away",
            SHORT,
            "105",
            "90.009",
            "105",
            "90.00",
            None,
            ["given target 90.009 is between ticks of 0.01: rounded to 90"],
        ),
        (
            "a stop so near that towards the entry would reach it",
            LONG,
            "99.996",
            "110",
            "99.99",
            "110",
            None,
            ["given stop 99.996 is between ticks of 0.01: rounded to 99.99"],
        ),
        (
            "the same for a short",
            SHORT,
            "100.004",
            "90",
            "100.01",
            "90",
            None,
            ["given stop 100.004 is between ticks of 0.01: rounded to 100.01"],
        ),
        (
            "a target on the losing side is one that is reached already",
            LONG,
            "95",
            "94",
            "95",
            "94",
            None,
            ["given target 94 is not above the entry of a long at 100: it is reached already"],
        ),
        (
            "a target at the entry wins nothing, and is taken at its word",
            SHORT,
            None,
            "100",
            "102.50",
            "100",
            None,
            ["given target 100 is not below the entry of a short at 100: it is reached already"],
        ),
        (
            "a stop of 0 is somebody's empty cell",
            SHORT,
            "0",
            None,
            "102.50",
            "96.25",
            "1.5",
            ["given stop 0 is no price: left out, the policy's stop stands in"],
        ),
        (
            "so is a target of NaN",
            LONG,
            None,
            "NaN",
            "97.50",
            "103.75",
            "1.5",
            ["given target NaN is no price: left out"],
        ),
    ],
)
def test_given_levels(what, side, given_stop, given_target, stop, target, ratio, remarks):
    decision = plan(side, "100", "1.25", given_stop, given_target)
    levels = decision.levels
    assert (levels.stop_px, levels.target_px, levels.ratio) == (d(stop), d(target), d(ratio))
    assert list(decision.remarks) == remarks
    assert (decision.ratio is None) == (ratio is None) == levels.target_given
    assert (levels.fallback, decision.stop_is_hit, levels.atr_px) == (False, False, d("1.25"))


@pytest.mark.parametrize("given_stop", ["100", "100.004", "101", "150"])
@pytest.mark.parametrize("side", Side)
def test_a_stop_given_at_the_entry_or_beyond_counts_as_hit(side, given_stop):
    if side is SHORT:
        given_stop = 200 - d(given_stop)
    decision = plan(side, "100", "1.25", given_stop)
    assert (decision.stop_is_hit, decision.levels.target_px, decision.levels.ratio) == (True, None, d("1.5"))
    assert "it counts as hit" in decision.remarks[0]
    assert not is_looser(side, d("100"), decision.levels.stop_px)


def test_a_stop_that_is_hit_keeps_a_given_target():
    decision = plan(LONG, "100", "1.25", "101", "110")
    assert (decision.stop_is_hit, decision.levels.target_px, decision.ratio) == (True, 110, None)


def test_a_given_stop_that_has_no_tick_left_below_the_entry_counts_as_hit():
    decision = plan(LONG, "0.01", None, "0.004")
    assert decision.stop_is_hit
    assert decision.levels.stop_px == d("0.01")


def test_a_given_target_below_the_first_tick_is_put_on_it_where_that_wins():
    assert plan(SHORT, "0.05", "0.01", None, "0.004").levels.target_px == d("0.01")
    decision = plan(SHORT, "0.01", "0.01", None, "0.004")
    assert decision.levels.target_px is None
    assert decision.remarks[0] == "given target 0.004 is less than a tick of 0.01: left out"


def test_a_given_stop_without_an_atr_is_no_fallback():
    levels = plan(LONG, "100", None, "95").levels
    assert (levels.fallback, levels.stop_given, levels.atr_px, levels.stop_px) == (False, True, None, 95)


def test_below_zero_given_levels_are_prices():
    levels = plan(LONG, "-37", None, "-40", "-30").levels
    assert (levels.stop_px, levels.target_px, levels.stop_given, levels.target_given) == (-40, -30, True, True)


def test_the_ratios_remarks_are_told_with_the_levels():
    adaptive = Policy(risk_reward=RiskRewardPolicy(strategy=RatioStrategy.ADAPTIVE_RATIO))
    decision = plan_levels(LONG, d(100), VolatilityReading(d(1), d(100)), adaptive, Instrument("X"))
    assert decision.ratio is not None
    assert decision.remarks == decision.ratio.remarks != ()


@pytest.mark.parametrize(
    ("what", "side", "stop", "target", "code"),
    [
        ("nothing given", LONG, None, None, None),
        ("a long: stop below, target above", LONG, "95", "110", None),
        ("a short: stop above, target below", SHORT, "105", "90", None),
        ("stop at the entry", LONG, "100", None, "bad_stop"),
        ("stop on the winning side", SHORT, "95", None, "bad_stop"),
        ("stop that is no price", LONG, "0", None, "bad_stop"),
        ("target at the entry", SHORT, "105", "100", "bad_target"),
        ("target on the losing side", LONG, "95", "94", "bad_target"),
        ("target that is no price", SHORT, None, "NaN", "bad_target"),
    ],
)
def test_before_the_entry_is_sent_impossible_levels_are_refused(what, side, stop, target, code):
    if code is None:
        check_given(side, d(100), d(stop), d(target))
        return
    with pytest.raises(Refused, match=r"must be a price (below|above) its entry 100") as refusal:
        check_given(side, d(100), d(stop), d(target))
    assert refusal.value.code == code


# ---------------------------------------------------------------- moving a stop


@pytest.mark.parametrize(
    ("what", "side", "current", "wanted", "stop", "looser"),
    [
        ("trailed up", LONG, "95.00", "96.00", "96.00", False),
        ("trailed between ticks: up", LONG, "95.00", "96.01", "96.05", False),
        ("a short's: down", SHORT, "105.00", "103.99", "103.95", False),
        ("loosened by command: no further than asked", LONG, "95.00", "93.01", "93.05", True),
        ("a short's", SHORT, "105.00", "106.99", "106.95", True),
        ("asked for what it is", LONG, "95.00", "95.0", "95.00", False),
        ("it is between today's ticks, and stays", SHORT, "105.03", "105.03", "105.03", False),
    ],
)
def test_a_stop_moved_later_is_rounded_to_the_tighter_side(what, side, current, wanted, stop, looser):
    assert change_stop(side, d(current), d(wanted), d("0.05")) == d(stop)
    assert is_looser(side, d(current), d(wanted)) == looser


# ---------------------------------------------------------------- for any price

SIDES = st.sampled_from(Side)
TICKS = st.sampled_from(["0.01", "0.05", "0.25", "1", "0.0001", "0.003"]).map(Decimal)
ENTRIES = st.decimals(150, 500, places=4)  # no target of a short reaches zero from here
ATRS = st.decimals(Decimal("0.00001"), 20, places=5)
RATIOS = st.decimals(Decimal("1.0"), Decimal("3.0"), places=2)


@given(SIDES, ENTRIES, ATRS, TICKS, RATIOS)
def test_rounding_never_works_against_the_plan(side, entry, atr, tick, ratio):
    decision = plan(side, entry, atr, tick=tick, ratio=ratio)
    levels = decision.levels
    risk, reward = (entry - levels.stop_px) * side.sign, (levels.target_px - entry) * side.sign
    assert risk > 0, "on the losing side"
    assert levels.stop_px % tick == levels.target_px % tick == 0
    assert ratio * risk <= reward < ratio * risk + tick
    if decision.remarks:  # it rounded onto the entry
        assert risk <= tick
    else:
        assert 2 * atr - tick < risk <= 2 * atr


@given(SIDES, ENTRIES, TICKS, st.decimals(Decimal("0.001"), Decimal("0.5"), places=4))
def test_the_fallback_keeps_to_its_percentage(side, entry, tick, fraction):
    decision = plan(side, entry, tick=tick, fallback_percentage=fraction)
    risk = (entry - decision.levels.stop_px) * side.sign
    assert decision.levels.fallback
    assert risk > 0
    assert risk <= fraction * entry or (risk <= tick and len(decision.remarks) == 2)


MIRROR = Decimal(4500)  # a multiple of every tick above, and far from zero


def mirrored(px):
    return None if px is None else MIRROR - px


@given(
    ENTRIES, ATRS, TICKS, RATIOS, st.none() | st.decimals(40, 600, places=4), st.none() | st.decimals(40, 600, places=4)
)
def test_a_short_is_the_mirror_of_a_long(entry, atr, tick, ratio, stop, target):
    long = plan(LONG, entry, atr, stop, target, tick=tick, ratio=ratio)
    short = plan(SHORT, mirrored(entry), atr, mirrored(stop), mirrored(target), tick=tick, ratio=ratio)
    assert short.levels.stop_px == mirrored(long.levels.stop_px)
    assert short.levels.target_px == mirrored(long.levels.target_px)
    assert (short.levels.ratio, short.stop_distance_px) == (long.levels.ratio, long.stop_distance_px)
    assert (short.stop_is_hit, len(short.remarks)) == (long.stop_is_hit, len(long.remarks))


ANY_LEVEL = st.none() | st.sampled_from(["NaN", "Infinity", "0", "-1"]).map(Decimal) | st.decimals(0, 600, places=3)


@given(SIDES, st.decimals(Decimal("0.01"), 500, places=3), st.none() | ATRS, ANY_LEVEL, ANY_LEVEL)
def test_every_fill_gets_an_answer_that_makes_sense(side, entry, atr, stop, target):
    decision = plan(side, entry, atr, stop, target)
    levels = decision.levels
    assert levels.stop_px > 0
    assert decision.stop_is_hit != is_looser(side, entry, levels.stop_px)
    if levels.target_px is not None:
        assert levels.target_px > 0
        if target is None:
            assert is_looser(side, levels.target_px, entry), "on the winning side"
    if stop is None and target is None and entry > 10:
        assert not decision.stop_is_hit


@given(SIDES, st.decimals(50, 500, places=2), ENTRIES, TICKS)
def test_rounding_a_new_stop_never_loosens(side, current, wanted, tick):
    moved = change_stop(side, current, wanted, tick)
    assert not is_looser(side, wanted, moved)
    assert abs(moved - wanted) < tick
    assume(not is_looser(side, current, wanted))
    assert not is_looser(side, current, moved)


@given(SIDES, ENTRIES, TICKS)
def test_a_level_on_the_tick_stays(side, px, tick):
    rounded = round_level(side, px, tick)
    assert round_level(side, rounded, tick) == round_level(side.opposite, rounded, tick) == rounded
