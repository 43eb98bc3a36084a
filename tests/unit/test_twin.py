"""The twin itself, against cases worked out by hand: it may be slow, but it must be right.

The trade of most tables: long 10 at 100, stop 90, target 110, filled at the close of a bar that stood at 100. Each
table is also played as its mirror, a short in the prices 200 - p.
"""

import math
from dataclasses import replace
from decimal import ROUND_UP, Decimal

import numpy as np
import pytest
import talib

from tests.twin.brute_force import (
    COLUMNS,
    MINUTE_NS,
    MODELS,
    BadEntryError,
    Ohlc,
    TwinBar,
    TwinConfig,
    TwinEntry,
    TwinQuote,
    atr_at_each_bar,
    ema_cross,
    every,
    iso,
    replay,
    replay_quotes,
    usable_atrs,
)
from tests.twin.exit_policies import ExitRules
from tests.twin.scenarios import bars_scenario, quotes_scenario

T0_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z
LONG = TwinEntry(T0_NS, "XYZ", "buy", Decimal(10), stop_price=Decimal(90), target_price=Decimal(110))


def bar(minute, prices):
    """Return a bar from a minute and "open high low close"."""
    return TwinBar.traded(T0_NS + minute * MINUTE_NS, *map(Decimal, prices.split()))


def bars_of(*rows):
    """Return one bar a minute."""
    return [bar(minute, row) for minute, row in enumerate(rows)]


def flip(price):
    return None if price is None else 200 - price


def mirror(bars, entry):
    """Return the same story told upside down: 99 becomes 101, bid becomes ask, a long becomes a short."""

    def turned(side):
        return Ohlc(flip(side.open), flip(side.low), flip(side.high), flip(side.close))

    other = {"buy": "sell", "sell": "buy"}[entry.side]
    entry = replace(
        entry,
        side=other,
        price=flip(entry.price),
        stop_price=flip(entry.stop_price),
        target_price=flip(entry.target_price),
    )
    return [TwinBar(b.time_ns, turned(b.ask), turned(b.bid)) for b in bars], entry


def minute_of(time):
    return int(time[11:13]) * 60 + int(time[14:16]) if time else None


def story(row, *, short=False):
    """Tell an exit in words: "stop 90 in bar 1", in the long's prices."""
    if not row["exit_time"]:
        return row["exit_reason"]
    price = 200 - Decimal(row["exit_price"]) if short else Decimal(row["exit_price"])
    sure = ", could be either" if row["ambiguous"] == "true" else ""
    return f"{row['exit_reason']} {price} in bar {minute_of(row['exit_time'])}{sure}"


SAME = None
EITHER = ", could be either"
WHAT_HAPPENS = [
    # the tale, bars after the entry bar, pessimistic, optimistic, path (SAME: as pessimistic)
    ("nothing is touched", ["100 109 91 105"], "open", SAME, SAME),
    ("falls through the stop", ["100 101 89 95"], "stop 90 in bar 1", SAME, SAME),
    ("the low is exactly the stop", ["100 101 90 95"], "stop 90 in bar 1", SAME, SAME),
    ("a tick above the stop is not a touch", ["100 101 90.01 95"], "open", SAME, SAME),
    ("rises through the target", ["100 111 99 105"], "target 110 in bar 1", SAME, SAME),
    ("the high is exactly the target", ["100 110 99 105"], "target 110 in bar 1", SAME, SAME),
    ("a tick below the target is not a touch", ["100 109.99 99 105"], "open", SAME, SAME),
    ("18: opens at 80, far below the stop", ["80 85 75 82"], "stop 80 in bar 1", SAME, SAME),
    ("18: opens at 95, then 85", ["95 96 85 88"], "stop 90 in bar 1", SAME, SAME),
    ("opens exactly at the stop", ["90 95 88 92"], "stop 90 in bar 1", SAME, SAME),
    ("opens above the target: filled better", ["112 115 111 113"], "target 112 in bar 1", SAME, SAME),
    ("opens exactly at the target", ["110 111 108 109"], "target 110 in bar 1", SAME, SAME),
    (
        "gaps below the stop, then recovers past the target: the open decides, whatever the model",
        ["85 115 84 112"],
        "stop 85 in bar 1",
        SAME,
        SAME,
    ),
    (
        "gaps above the target, then collapses through the stop: the open decides",
        ["111 112 80 85"],
        "target 111 in bar 1",
        SAME,
        SAME,
    ),
    (
        "4: whips from 85 to 115, the low nearer the open",
        ["98 115 85 100"],
        "stop 90 in bar 1" + EITHER,
        "target 110 in bar 1" + EITHER,
        "stop 90 in bar 1" + EITHER,
    ),
    (
        "4: whips from 85 to 115, the high nearer the open",
        ["102 115 85 100"],
        "stop 90 in bar 1" + EITHER,
        "target 110 in bar 1" + EITHER,
        "target 110 in bar 1" + EITHER,
    ),
    (
        "4: whips as far up as down: a tie goes to the stop",
        ["100 115 85 100"],
        "stop 90 in bar 1" + EITHER,
        "target 110 in bar 1" + EITHER,
        "stop 90 in bar 1" + EITHER,
    ),
    (
        "a hair nearer to the high decides the path exactly",
        ["100.000001 115 85 100"],
        "stop 90 in bar 1" + EITHER,
        "target 110 in bar 1" + EITHER,
        "target 110 in bar 1" + EITHER,
    ),
    (
        "both levels touched to the tick",
        ["99 110 90 100"],
        "stop 90 in bar 1" + EITHER,
        "target 110 in bar 1" + EITHER,
        "stop 90 in bar 1" + EITHER,
    ),
    (
        "the high is near, but short of the target: the path goes on down to the stop",
        ["105 109 85 95"],
        "stop 90 in bar 1",
        SAME,
        SAME,
    ),
    ("a bar of one price at the stop", ["90 90 90 90"], "stop 90 in bar 1", SAME, SAME),
    ("a bar of one price between the levels", ["100 100 100 100"], "open", SAME, SAME),
    (
        "quiet, quiet, then the target",
        ["100 105 95 101", "101 104 96 100", "100 120 99 118"],
        "target 110 in bar 3",
        SAME,
        SAME,
    ),
    (
        "stopped; the rally that comes too late changes nothing",
        ["100 101 89 95", "95 130 94 125"],
        "stop 90 in bar 1",
        SAME,
        SAME,
    ),
    ("no bar after the entry", [], "open", SAME, SAME),
]


@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
@pytest.mark.parametrize("case", WHAT_HAPPENS, ids=lambda case: case[0])
def test_which_exit_at_what_price(case, short):
    _, rows, *expected = case
    bars, entry = bars_of("100 100 100 100", *rows), LONG
    if short:
        bars, entry = mirror(bars, entry)
    for model, told in zip(MODELS, expected, strict=True):
        (row,) = replay(bars, [entry], TwinConfig(), model)
        assert story(row, short=short) == (told or expected[0]), model


def test_the_entry_bar_itself_is_never_searched_for_exits():
    bars = bars_of("100 130 70 100", "100 101 99 100")
    assert story(only(bars, LONG)) == "open"


def only(bars, entry, config=None, model="pessimistic"):
    """Return the one row of one entry."""
    (row,) = replay(bars, [entry], config or TwinConfig(), model)
    return row


# ------------------------------------------------------------------ a stop on the wrong side


@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
@pytest.mark.parametrize(
    ("stop", "first_open"),
    [("101", "102"), ("100", "103"), ("101", "95"), ("100.001", "104")],
    ids=["above the entry", "at the entry", "above, next open lower", "a hair above"],
)
def test_a_stop_on_the_wrong_side_is_out_at_the_next_open(stop, first_open, short):
    bars = bars_of("100 100 100 100", f"{first_open} 140 60 100")
    entry = replace(LONG, stop_price=Decimal(stop), target_price=None)
    if short:
        bars, entry = mirror(bars, entry)
    for model in MODELS:
        row = only(bars, entry, model=model)
        assert story(row, short=short) == f"stop {first_open} in bar 1"
        assert (row["r_multiple"], row["mae_r"], row["mfe_r"], row["fallback"]) == ("", "", "", "false")
        assert (row["target_price"], row["ratio"]) == ("", "1.500000")
        shown = Decimal(row["stop_price"])
        assert (200 - shown if short else shown) == Decimal(stop).quantize(Decimal("0.01"), ROUND_UP)
    gain = 10 * (Decimal(first_open) - 100)
    assert Decimal(row["pnl"]) == gain


@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
@pytest.mark.parametrize(
    ("entry_px", "given", "expected"), [("100", "99.999", Decimal("99.99")), ("100.004", "100.002", Decimal(100))]
)
def test_a_stop_given_on_the_right_side_never_rounds_to_the_wrong_one(entry_px, given, expected, short):
    bars, entry = bars_of(f"100 101 99 {entry_px}"), replace(LONG, stop_price=Decimal(given), target_price=None)
    if short:
        bars, entry = mirror(bars, entry)
    row = only(bars, entry, TwinConfig(min_stop_ticks=5))  # a matter of the tick, not of min_stop_ticks
    stop = Decimal(row["stop_price"])
    assert (200 - stop if short else stop) == expected


def test_a_target_on_the_wrong_side_is_taken_at_the_next_open():
    entry = replace(LONG, target_price=Decimal(99))
    row = only(bars_of("100 100 100 100", "100 101 98 100"), entry)
    assert (story(row), row["r_multiple"]) == ("target 100 in bar 1", "0.000000")


# ------------------------------------------------------------------ the figures of a row


def test_a_whole_row_as_a_trader_would_write_it():
    bars = bars_of("100 100 100 100", "100 108 95 104", "104 109 97 98", "98 99 80 85")
    assert only(bars, LONG) == {
        "bracket_id": "E000001",
        "symbol": "XYZ",
        "side": "buy",
        "quantity": "10",
        "entry_time": "2024-01-01T00:00:00.000Z",
        "entry_price": "100",
        "stop_price": "90",
        "target_price": "110",
        "atr": "",
        "ratio": "",
        "exit_time": "2024-01-01T00:03:00.000Z",
        "exit_price": "90",
        "exit_reason": "stop",
        "r_multiple": "-1.000000",
        "pnl": "-100.000000",
        "mae_r": "-1.000000",  # the exit itself; the 80 of the exit bar was never ours
        "mfe_r": "0.900000",  # 109 in bar 2
        "ambiguous": "false",
        "fallback": "false",
    }


def test_excursions_begin_after_the_entry_bar_and_never_pass_zero():
    row = only(bars_of("100 150 50 100", "120 125 119 121"), LONG)
    assert (row["exit_price"], row["mae_r"], row["mfe_r"]) == ("120", "0.000000", "2.000000")


def test_a_bracket_still_open_is_marked_at_the_last_close():
    row = only(bars_of("100 100 100 100", "100 107 96 103"), LONG)
    assert (row["exit_time"], row["exit_price"], row["exit_reason"]) == ("", "", "open")
    assert (row["r_multiple"], row["pnl"], row["mae_r"], row["mfe_r"]) == (
        "0.300000",
        "30.000000",
        "-0.400000",
        "0.700000",
    )


def test_a_future_multiplies_money_but_not_r():
    row = only(bars_of("100 100 100 100", "100 111 99 105"), LONG, TwinConfig(contract_multiplier=Decimal(50)))
    assert (row["r_multiple"], row["pnl"]) == ("1.000000", "5000.000000")


@pytest.mark.parametrize(
    ("last_bar", "pnl"),
    [("100 111 99 105", "97.900000"), ("100 101 89 95", "-101.900000"), ("100 105 99 105", "49.000000")],
    ids=["target: 100 - 0.1% of 1000 and of 1100", "stop: of 1000 and of 900", "open: of 1000 only"],
)
def test_quote_fees_are_paid_on_each_side_that_traded(last_bar, pnl):
    row = only(bars_of("100 100 100 100", last_bar), LONG, TwinConfig(fee_rate=Decimal("0.001")))
    assert row["pnl"] == pnl


COINS = TwinConfig(fee_rate=Decimal("0.001"), fee_asset="base", lot=Decimal("0.1"))


def test_a_base_fee_leaves_less_to_sell_and_the_rest_is_residue():
    # 23: buy 30, fee 0.03: 29.97 held, 29.9 sold at 110, 0.07 dust.
    bars = bars_of("100 100 100 100", "100 112 99 105", "105 106 104 105")
    sold, residue = replay(bars, [replace(LONG, quantity=Decimal(30))], COINS, "pessimistic")
    assert (sold["quantity"], sold["exit_reason"], sold["pnl"]) == (
        "29.9",
        "target",
        "295.711000",
    )  # 29.9 x 10 - 0.1 % of 3289
    assert (residue["quantity"], residue["exit_reason"]) == ("0.1", "residue")
    assert (residue["exit_time"], residue["exit_price"]) == (sold["exit_time"], "110")
    assert residue["pnl"] == "-2.300000"  # 0.07 dust gained 0.70; 0.03 coins of fee had cost 3.00
    assert (residue["r_multiple"], residue["mae_r"], residue["mfe_r"]) == ("", "", "")


def test_an_open_bracket_shows_all_that_was_not_sold():
    row = only(bars_of("100 100 100 100", "100 105 99 105"), replace(LONG, quantity=Decimal(30)), COINS)
    assert (row["quantity"], row["exit_reason"]) == ("30", "open")
    assert row["pnl"] == "146.850000"  # 29.97 x 5 - 0.03 x 100


def test_less_than_a_lot_cannot_be_sold_at_all():
    row = only(bars_of("100 100 100 100", "100 101 80 105"), replace(LONG, quantity=Decimal("0.05")), COINS)
    assert (row["quantity"], row["exit_reason"], row["exit_time"]) == ("0.05", "residue", "")


def test_plain_numbers_and_signed_zeros():
    bars = bars_of("0.00001 0.00001 0.00001 0.00001", "0.00001 0.00001 0.00001 0.00001")
    entry = replace(LONG, quantity=Decimal("1E+2"), stop_price=Decimal("0.000005"), target_price=Decimal("0.1"))
    row = only(bars, entry, TwinConfig(tick=Decimal("0.000001")))
    assert (row["entry_price"], row["stop_price"], row["quantity"]) == ("0.00001", "0.000005", "100")
    assert (row["pnl"], row["mae_r"], row["mfe_r"]) == ("0.000000", "0.000000", "0.000000")


# ------------------------------------------------------------------ levels from volatility

# True ranges by hand: 3 (103-100), 4 (104-100), 5 (105-100), 8 (105-97), 2 (98-96)
WALK = ("100 101 99 100", "100 103 100 102", "102 104 100 103", "103 105 100 104", "104 104 97 98", "98 98 96 97")
NO_LEVELS = replace(LONG, stop_price=None, target_price=None)
THREE = TwinConfig(period=3)


@pytest.mark.parametrize(
    ("method", "atrs"),
    [
        ("wilder", [None, None, None, "4", "5", "4"]),  # (4 x 2 + 7)/3, (5 x 2 + 2)/3
        ("sma", [None, None, None, "4", "5.33333333333", "4.66666666667"]),  # (4+5+7)/3, (5+7+2)/3
        ("ema", [None, None, None, "4", "5.5", "3.75"]),  # half way to 7, half way to 2
    ],
)
def test_the_three_averages_by_hand(method, atrs):
    found = usable_atrs(bars_of(*WALK), replace(THREE, method=method))
    assert found == [None if atr is None else Decimal(atr) for atr in atrs]


def test_a_long_stop_is_two_atr_below_and_its_target_one_and_a_half_times_that_above():
    row = only(bars_of(*WALK), replace(NO_LEVELS, time_ns=T0_NS + 3 * MINUTE_NS), THREE)
    assert (row["entry_price"], row["atr"]) == ("104", "4.000000")
    assert (row["stop_price"], row["target_price"], row["ratio"]) == ("96", "116", "1.500000")


def test_a_short_is_the_mirror():
    entry = replace(NO_LEVELS, time_ns=T0_NS + 3 * MINUTE_NS, side="sell")
    row = only(bars_of(*WALK), entry, THREE)
    assert (row["stop_price"], row["target_price"]) == ("112", "92")


def test_a_priced_entry_does_not_know_its_own_bar():
    entry = replace(NO_LEVELS, time_ns=T0_NS + 4 * MINUTE_NS, price=Decimal(100))
    row = only(bars_of(*WALK), entry, THREE)
    assert (row["entry_price"], row["atr"], row["stop_price"]) == ("100", "4.000000", "92")
    unpriced = only(bars_of(*WALK), replace(entry, price=None), THREE)
    assert (unpriced["entry_price"], unpriced["atr"], unpriced["stop_price"]) == ("98", "5.000000", "88")


@pytest.mark.parametrize(
    ("side", "tick", "stop", "target"),
    [
        ("buy", "0.01", "98.67", "102"),  # 100 - 4/3 = 98.666.. up to the entry; 100 + 1.5 x 1.33 = 101.995 away
        ("sell", "0.01", "101.33", "98"),
        ("buy", "0.25", "98.75", "102"),  # 98.666.. up; 100 + 1.875 = 101.875 away
        ("sell", "0.25", "101.25", "98"),
        ("buy", "5", "95", "110"),  # rounds onto the entry: one tick to the losing side; 107.5 away
        ("sell", "5", "105", "90"),
    ],
)
def test_rounding_never_adds_risk_and_never_takes_reward(side, tick, stop, target):
    # ATR 2/3: true ranges 1, 1 and 0
    bars = bars_of("100 100 100 100", "100 101 100 100", "100 101 100 100", "100 100 100 100")
    entry = replace(NO_LEVELS, time_ns=T0_NS + 3 * MINUTE_NS, side=side)
    row = only(bars, entry, replace(THREE, tick=Decimal(tick)))
    assert (row["atr"], row["stop_price"], row["target_price"]) == ("0.666667", stop, target)


def test_the_target_is_measured_from_the_rounded_stop():
    bars = bars_of("100 100 100 100", "100 101 100 100", "100 101 100 100", "100 100 100 100")
    entry = replace(NO_LEVELS, time_ns=T0_NS + 3 * MINUTE_NS)
    row = only(bars, entry, replace(THREE, tick=Decimal(1), base_ratio=Decimal(2)))
    assert (row["stop_price"], row["target_price"]) == ("99", "102")  # not 100 + 2 x 4/3, which is 103


def test_more_ticks_away_when_asked():
    bars = bars_of("100 100 100 100", "100 101 100 100", "100 101 100 100", "100 100 100 100")
    entry = replace(NO_LEVELS, time_ns=T0_NS + 3 * MINUTE_NS)
    assert only(bars, entry, replace(THREE, tick=Decimal(5), min_stop_ticks=3))["stop_price"] == "85"


def test_an_off_tick_entry_stays_off_the_tick_and_its_levels_do_not():
    bars = bars_of(*WALK[:3], "103 105 100 104.003")
    row = only(bars, replace(NO_LEVELS, time_ns=T0_NS + 3 * MINUTE_NS), THREE)
    # ATR 4: stop 96.003 -> 96.01, risk 7.993, target 104.003 + 11.9895 = 115.9925 -> 116
    assert (row["entry_price"], row["stop_price"], row["target_price"]) == ("104.003", "96.01", "116")


def test_given_levels_go_to_the_tick_too():
    entry = replace(LONG, stop_price=Decimal("89.991"), target_price=Decimal("110.001"))
    row = only(bars_of("100 100 100 100"), entry)
    assert (row["stop_price"], row["target_price"], row["ratio"]) == ("90", "110.01", "")


def test_a_given_stop_gets_its_target_from_the_ratio():
    row = only(bars_of("100 100 100 100"), replace(LONG, target_price=None))
    assert (row["stop_price"], row["target_price"], row["ratio"], row["fallback"]) == (
        "90",
        "115",
        "1.500000",
        "false",
    )


# ------------------------------------------------------------------ the fallback


@pytest.mark.parametrize(("side", "stop", "target"), [("buy", "98", "103"), ("sell", "102", "97")])
def test_too_few_bars_means_two_per_cent(side, stop, target):
    row = only(bars_of(*["100 100.5 99.5 100"] * 14), replace(NO_LEVELS, time_ns=T0_NS + 13 * MINUTE_NS, side=side))
    assert (row["atr"], row["stop_price"], row["target_price"], row["fallback"]) == ("", stop, target, "true")


def test_period_plus_one_bars_are_enough():
    row = only(bars_of(*["100 100.5 99.5 100"] * 15), replace(NO_LEVELS, time_ns=T0_NS + 14 * MINUTE_NS))
    assert (row["atr"], row["fallback"]) == ("1.000000", "false")


def test_a_market_that_stands_still_has_no_atr():
    row = only(bars_of(*["100 100 100 100"] * 20), replace(NO_LEVELS, time_ns=T0_NS + 15 * MINUTE_NS))
    assert (row["atr"], row["stop_price"], row["fallback"]) == ("", "98", "true")


@pytest.mark.parametrize(
    ("allowed", "usable_at"),
    [(None, [3, 4, 5, 6, 7, 8]), (2, [3, 4, 5, 6, 7, 8]), (1, [3, 4, 8])],
    ids=["off by default", "two missing bars, two allowed", "two missing, one allowed: three bars without"],
)
def test_a_hole_among_the_bars_it_needs(allowed, usable_at):
    bars = [bar(minute, "100 101 99 100") for minute in (0, 1, 2, 3, 4, 7, 8, 9, 10)]
    atrs = usable_atrs(bars, replace(THREE, max_gap_bars=allowed))
    assert [index for index, atr in enumerate(atrs) if atr is not None] == usable_at


# ------------------------------------------------------------------ the ratio


@pytest.mark.parametrize(
    ("config", "ratio"),
    [
        ({}, "1.5"),
        ({"symbol_ratios": {"XYZ": Decimal("1.8")}}, "1.8"),
        ({"symbol_ratios": {"ABC": Decimal("1.8")}}, "1.5"),
        ({"base_ratio": Decimal(4)}, "3"),
        ({"base_ratio": Decimal("0.5")}, "1"),
        ({"symbol_ratios": {"XYZ": Decimal(9)}}, "3"),
        ({"strategy": "market_condition"}, "1.5"),
        ({"strategy": "market_condition", "condition": "trending"}, "1.8"),
        ({"strategy": "fixed_ratio", "condition": "trending"}, "1.5"),
        ({"strategy": "market_condition", "condition": "trending", "base_ratio": Decimal("2.9")}, "3"),
        ({"strategy": "volatility_based"}, "1.5"),  # one bar: no median
    ],
)
def test_base_then_factors_then_bounds(config, ratio):
    config = TwinConfig(condition_factors={"trending": Decimal("1.2")}, **config)
    row = only(bars_of("100 100 100 100"), replace(LONG, target_price=None), config)
    assert Decimal(row["ratio"]) == Decimal(ratio)
    assert Decimal(row["target_price"]) == 100 + 10 * Decimal(ratio)


def ranges_then(ranges):
    """Return bars around 100 with these true ranges, and an ATR of period 1, which is the range itself."""
    half = [Decimal(width) / 2 for width in ranges]
    return bars_of("100 100 100 100", *(f"100 {100 + h} {100 - h} 100" for h in half))


@pytest.mark.parametrize(
    ("ranges", "settings", "ratio"),
    [
        ([2] * 19 + [1], {}, "3.000000"),  # median 2 %, now 1 %: twice the ratio
        ([2] * 19 + [4], {}, "1.000000"),  # half of 1.5 is below the floor
        ([2] * 19 + [4], {"min_ratio": Decimal("0.1")}, "0.750000"),
        ([2] * 18 + [4], {"min_ratio": Decimal("0.1")}, "1.500000"),  # 19 values: no median yet
        ([2] * 19 + [8], {"min_ratio": Decimal("0.1"), "volatility_factor": Decimal("0.5")}, "0.750000"),
        ([2] * 19 + [8], {"volatility_factor": Decimal(0)}, "1.500000"),
        ([2] * 10 + [4] * 10, {"min_ratio": Decimal("0.1")}, "1.125000"),  # an even count: median 3 %
        ([9] * 50 + [2] * 19 + [4], {"min_ratio": Decimal("0.1"), "volatility_lookback": 20}, "0.750000"),
        ([2] * 19 + [2], {"base_ratio": Decimal("1.1")}, "1.100000"),  # now is the median: not a digit off
    ],
)
def test_a_calm_market_reaches_further_and_a_wild_one_less(ranges, settings, ratio):
    config = TwinConfig(period=1, strategy="volatility_based", **settings)
    bars = ranges_then(ranges)
    row = only(bars, replace(LONG, time_ns=bars[-1].time_ns, target_price=None), config)
    assert row["ratio"] == ratio


def test_adaptive_takes_both_factors():
    config = TwinConfig(
        period=1, strategy="adaptive_ratio", condition="volatile", condition_factors={"volatile": Decimal("0.8")}
    )
    bars = ranges_then([3] * 19 + [2])
    row = only(bars, replace(LONG, time_ns=bars[-1].time_ns, target_price=None), config)
    assert row["ratio"] == "1.800000"  # 1.5 x 0.8 x 3/2


# ------------------------------------------------------------------ both sides of the market


def two_sided(minute, bid, ask):
    return TwinBar(bar(minute, bid).time_ns, Ohlc(*map(Decimal, bid.split())), Ohlc(*map(Decimal, ask.split())))


def test_a_long_buys_the_ask_and_sells_the_bid():
    bars = [
        two_sided(0, "99 99 99 99", "100 100 100 100"),
        two_sided(1, "99 109.99 98 105", "100 111 99 106"),  # the ask passes 110, the bid does not
        two_sided(2, "105 110 104 109", "106 111 105 110"),
    ]
    row = only(bars, LONG)
    assert (row["entry_price"], story(row)) == ("100", "target 110 in bar 2")
    assert (row["mae_r"], row["mfe_r"]) == ("-0.200000", "1.000000")  # bid low 98; the exit itself


def test_a_short_sells_the_bid_and_buys_the_ask():
    bars = [
        two_sided(0, "100 100 100 100", "101 101 101 101"),
        two_sided(1, "100 109.5 99 105", "101 110 100 106"),  # the ask alone reaches the stop
    ]
    row = only(bars, replace(LONG, side="sell", stop_price=Decimal(110), target_price=Decimal(90)))
    assert (row["entry_price"], story(row)) == ("100", "stop 110 in bar 1")


def test_an_open_long_is_marked_at_the_bid():
    row = only([two_sided(0, "99 99 99 99", "100 100 100 100")], LONG)
    assert (row["pnl"], row["mae_r"]) == ("-10.000000", "-0.100000")


def test_atr_of_two_sided_bars_is_that_of_the_mids():
    bars = [two_sided(m, "98 99 97 98", "100 105 99 100") for m in range(3)]  # mids 99 102 98 99
    assert usable_atrs(bars, TwinConfig(period=2)) == [None, None, Decimal(4)]


@pytest.mark.parametrize(
    ("side", "price", "good"),
    [("buy", "99", True), ("buy", "98.99", False), ("sell", "98.99", True), ("sell", "99.01", False)],
)
def test_a_price_must_lie_in_the_bar_of_its_side(side, price, good):
    bars = [two_sided(0, "98 99 97 98", "100 105 99 100")]
    entry = replace(LONG, side=side, price=Decimal(price))
    if good:
        assert only(bars, entry)["entry_price"] == price
    else:
        with pytest.raises(BadEntryError, match="outside"):
            only(bars, entry)


# ------------------------------------------------------------------ which bar, which order


@pytest.mark.parametrize(
    ("seconds", "found"),
    [(-1, None), (0, 0), (59, 0), (60, 1), (89, 1), (90, 2), (149, 2), (150, None), (330, 3), (389, 3), (390, None)],
)
def test_a_bar_lasts_one_spacing_and_ends_where_the_next_begins(seconds, found):
    times = [0, 60, 90, 330, 390 - 60]  # one bar cut short by the next, then a hole
    bars = [TwinBar.traded(T0_NS + t * 1_000_000_000, *[Decimal(100)] * 4) for t in sorted(set(times))]
    bars += [TwinBar.traded(T0_NS + (400 + 60 * k) * 1_000_000_000, *[Decimal(100)] * 4) for k in range(3)]
    entry = replace(LONG, time_ns=T0_NS + seconds * 1_000_000_000)
    if found is None:
        with pytest.raises(BadEntryError, match="outside the bars"):
            only(bars, entry)
    else:
        assert only(bars, entry)["entry_time"] == iso(bars[found].time_ns)


def test_of_two_spacings_as_common_as_each_other_the_shorter_counts():
    bars = [bar(minute, "100 100 100 100") for minute in (0, 1, 2, 5, 8)]
    with pytest.raises(BadEntryError, match="outside the bars"):
        only(bars, replace(LONG, time_ns=T0_NS + 6 * MINUTE_NS))


def test_rows_come_by_entry_bar_then_file_order_and_ids_follow_the_file():
    bars = bars_of(*["100 100 100 100"] * 4)
    entries = [
        replace(LONG, time_ns=T0_NS + 2 * MINUTE_NS),
        replace(LONG, time_ns=T0_NS + 30_000_000_000),
        replace(LONG, time_ns=T0_NS, bracket_id="mine", side="sell"),
    ]
    rows = replay(bars, entries, TwinConfig(), "pessimistic")
    assert [row["bracket_id"] for row in rows] == ["E000002", "mine", "E000001"]
    assert tuple(rows[0]) == COLUMNS


def test_every_third_bar_once_there_is_an_atr():
    bars = bars_of(*["100 101 99 100"] * 11)
    assert [minute_of(iso(e.time_ns)) for e in every(3, bars, THREE, symbol="XYZ")] == [3, 6, 9]
    entries = every(4, bars, THREE, symbol="XYZ", side="sell", quantity=Decimal(7))
    assert [(minute_of(iso(e.time_ns)), e.side, e.quantity, e.price) for e in entries] == [
        (4, "sell", 7, None),
        (8, "sell", 7, None),
    ]


def test_ema_cross_by_hand():
    # EMA 1 is the close; EMA 3 goes half way to it: 10 10 11 11.5 9.75 8.875 8.4375 8.71875
    bars = bars_of(*(f"{c} {c} {c} {c}" for c in (10, 10, 12, 12, 8, 8, 8, 9)))
    crosses = [(minute_of(iso(e.time_ns)), e.side) for e in ema_cross(1, 3, bars, symbol="XYZ")]
    assert crosses == [(4, "sell"), (7, "buy")]  # the one at bar 2 came before bar 3
    early = bars_of(*(f"{c} {c} {c} {c}" for c in (10, 10, 10, 12, 12, 12)))
    assert [(minute_of(iso(e.time_ns)), e.side) for e in ema_cross(1, 3, early, symbol="XYZ")] == [(3, "buy")]
    down = bars_of(*(f"{c} {c} {c} {c}" for c in (10, 10, 10, 8, 8, 8)))
    assert [(minute_of(iso(e.time_ns)), e.side) for e in ema_cross(1, 3, down, symbol="XYZ")] == [(3, "sell")]


# ------------------------------------------------------------------ quotes


def quotes_of(*rows):
    """Return quotes from "second bid ask"."""
    values = [list(map(Decimal, row.split())) for row in rows]
    return [TwinQuote(T0_NS + int(s * 1000) * 1_000_000, bid, ask) for s, bid, ask in values]


@pytest.mark.parametrize(
    ("tale", "rows", "reason", "price"),
    [
        ("first bid at the stop", ["1 90.5 91", "2 90 91", "3 80 81"], "stop", "90"),
        ("first bid through the stop", ["1 90.5 91", "2 88 89"], "stop", "88"),
        ("the ask at 110 is nobody's exit", ["1 109.5 110", "2 110 110.5"], "target", "110"),
        ("a quote beyond the target", ["1 109 110", "2 112 113"], "target", "112"),
        ("a crossed quote triggers nothing", ["1 89 88", "2 91 92"], "open", ""),
        ("a locked quote is a quote", ["1 89 89"], "stop", "89"),
    ],
)
def test_quotes_from_a_longs_side(tale, rows, reason, price):
    (row,) = replay_quotes(quotes_of("0 99 100", *rows), [LONG], TwinConfig())
    assert (row["entry_price"], row["exit_reason"], row["exit_price"]) == ("100", reason, price)


def test_quotes_from_a_shorts_side():
    entry = replace(LONG, side="sell", stop_price=Decimal(110), target_price=Decimal(90))
    (row,) = replay_quotes(quotes_of("0 100 101", "1 109 109.5", "2 89 90.5", "3.25 88 89"), [entry], TwinConfig())
    assert (row["entry_price"], row["exit_reason"], row["exit_price"]) == ("100", "target", "89")
    assert (row["exit_time"], row["mae_r"], row["mfe_r"]) == ("2024-01-01T00:00:03.250Z", "-0.950000", "1.100000")


def test_an_entry_meets_the_quote_in_force():
    quotes = quotes_of("0 99 100", "10 101 102", "20 103 104")
    entry = replace(LONG, time_ns=T0_NS + 19_000_000_000, stop_price=Decimal(50), target_price=Decimal(200))
    (row,) = replay_quotes(quotes, [entry], TwinConfig())
    assert (row["entry_time"], row["entry_price"]) == ("2024-01-01T00:00:10.000Z", "102")


def test_atr_on_quotes_comes_from_finished_minutes_of_mids():
    # mids by minute: 100 104 | 103 99 | 101 107 | 90; true ranges 5 (104-99), 8 (107-99)
    quotes = quotes_of("0 99 101", "30 103 105", "60 102 104", "100 98 100", "120 100 102", "179 106 108", "180 90 90")
    for second, atr in [("180", "6.500000"), ("179.9", "")]:
        entry = replace(NO_LEVELS, time_ns=T0_NS + int(float(second) * 1000) * 1_000_000)
        (row,) = replay_quotes(quotes, [entry], TwinConfig(period=2))
        assert (row["atr"], row["fallback"]) == (atr, "false" if atr else "true")


# ------------------------------------------------------------------ exit policies


def rules(**more):
    """Return a configuration with an exit policy; numbers given as text are exact."""
    exact = {name: Decimal(v) if isinstance(v, str) and v[0].isdigit() else v for name, v in more.items()}
    return TwinConfig(exits=ExitRules(**exact))


SCENARIO_24 = ["120 120 120 120", "117 117 117 117", "121 121 121 121", "116.5 117 116 116"]
ENDS_OF_POLICIES = [
    # the tale, policy, bars after the entry bar, how it ends
    ("24: 5 behind 120, 117, 121", {"trail": "distance", "amount": "5"}, SCENARIO_24, "trail 116 in bar 4"),
    (
        "a trail starts at the entry price",
        {"trail": "ticks", "amount": "400"},
        ["99 99 97 98", "97 97 95 96"],
        "trail 96 in bar 2",
    ),
    ("the bar that moves the stop cannot hit it", {"trail": "ticks", "amount": "200"}, ["100 106 97 101"], "open"),
    (
        "not before 1R",
        {"trail": "distance", "amount": "5", "activate_at_r": "1"},
        ["100 109 99 105", "104 104 95 95"],
        "open",
    ),
    (
        "from 1R on",
        {"trail": "distance", "amount": "5", "activate_at_r": "1"},
        ["100 109.99 99 105", "104 110.01 104 105", "106 106 105 105.5"],
        "trail 105.01 in bar 3",
    ),
    (
        "break-even from half of R on",
        {"break_even_at_r": "0.5"},
        ["101 106 99 103", "103 104 99 101"],
        "breakeven 100 in bar 2",
    ),
    (
        "two ticks beyond break-even",
        {"break_even_at_r": "0.5", "offset_ticks": 2},
        ["101 106 99 103", "103 104 99 101"],
        "breakeven 100.02 in bar 2",
    ),
    (
        "at 0.8R lock 0.3R in",
        {"locks": ((Decimal("0.8"), Decimal("0.3")),)},
        ["101 108 101 107", "107 107 102 105"],
        "lock 103 in bar 2",
    ),
    (
        "two bars, whatever they bring",
        {"after_bars": 2},
        ["101 106 99 103", "103 104 99 101", "101 130 70 100"],
        "time 101 in bar 2",
    ),
    (
        "90 seconds are over at the second close",
        {"after_s": 90},
        ["101 106 99 103", "103 104 99 101"],
        "time 101 in bar 2",
    ),
    (
        "out when not in profit after 2 bars",
        {"unprofitable_after_bars": 2},
        ["99 99 98 98", "98 102 98 101", "101 101 99 100"],
        "time 100 in bar 3",
    ),
]


@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
@pytest.mark.parametrize(("tale", "policy", "after", "end"), ENDS_OF_POLICIES, ids=[row[0] for row in ENDS_OF_POLICIES])
def test_how_a_policy_ends_a_trade(tale, policy, after, end, short):
    bars, entry = bars_of("100 100 100 100", *after), replace(LONG, target_price=Decimal(150))
    if short:
        bars, entry = mirror(bars, entry)
    assert story(only(bars, entry, rules(**policy)), short=short) == end


@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
@pytest.mark.parametrize(
    ("bar_2", "pessimistic", "optimistic"),
    [
        ("100 106 95 100", ["target 105"], ["target 105"]),
        ("100 112 95 100", ["target 105", "target 110"], ["target 105", "target 110"]),
        ("107 108 95 100", ["target 107"], ["target 107"]),
        ("107 112 85 100", ["target 107", "stop 90"], ["target 107", "target 110"]),
        ("100 106 85 100", ["stop 90, either"], ["target 105, either", "stop 90, either"]),
        ("111 112 95 100", ["target 111"], ["target 111"]),
        ("89 112 85 100", ["stop 89"], ["stop 89"]),
    ],
)
def test_two_targets_are_taken_near_to_far(bar_2, pessimistic, optimistic, short):
    bars, entry = bars_of("100 100 100 100", "100 101 99 100", bar_2, "104 106 103 104"), LONG
    if short:
        bars, entry = mirror(bars, entry)
    half = rules(steps=((Decimal("0.5"), "r", Decimal("0.5")),))
    for model, expected in [("pessimistic", pessimistic), ("optimistic", optimistic)]:
        rows = replay(bars, [entry], half, model)
        told = [story(row, short=short).replace(" in bar 2", "").replace("could be ", "") for row in rows]
        assert [words for words in told if words != "open"] == expected
        assert sum(Decimal(row["quantity"]) for row in rows) == 10


def test_parts_are_whole_lots_and_the_last_takes_what_is_left_over():
    steps = tuple((Decimal("0.33"), "r", Decimal(r)) for r in ("0.1", "0.2"))
    rows = replay(bars_of("100 100 100 100", "100 111 100 110"), [LONG], rules(steps=steps), "path")
    assert [(row["exit_price"], row["quantity"]) for row in rows] == [("101", "3"), ("102", "3"), ("110", "4")]


# ------------------------------------------------------------------ whole worlds

SEEDS = range(40)


@pytest.mark.parametrize("method", ["wilder", "sma", "ema"])
def test_averages_agree_with_ta_lib(method):
    bars = [b for seed in SEEDS for b in bars_scenario(seed).bars][:1500]
    found = atr_at_each_bar(bars, 14, method)
    high, low, close = (np.array([float(getattr(b.mid, name)) for b in bars]) for name in ("high", "low", "close"))
    ranges = talib.TRANGE(high, low, close)[1:]
    expected = {
        "wilder": talib.ATR(high, low, close, 14)[1:],
        "sma": talib.SMA(ranges, 14),
        "ema": talib.EMA(ranges, 14),
    }[method]
    for atr, reference in zip(found[1:], expected, strict=True):
        assert (atr is None) == math.isnan(reference)
        assert atr is None or math.isclose(float(atr), reference, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_long_and_its_mirror_image_come_out_alike(seed):
    market = bars_scenario(seed)
    # ATR%, the fallback and the least distance look at the price itself, which a mirror changes: leave those out.
    config = replace(market.config, strategy="fixed_ratio", min_stop_percentage=Decimal(0))
    axis = 20_000 * config.tick

    def flipped(row):
        prices = {name: row[name] and str((axis - Decimal(row[name])).normalize()) for name in row if "_price" in name}
        return row | prices | {"side": {"buy": "sell", "sell": "buy"}[row["side"]]}

    def across(prices):
        return Ohlc(axis - prices.open, axis - prices.low, axis - prices.high, axis - prices.close)

    bars = [TwinBar(b.time_ns, across(b.ask), across(b.bid)) for b in market.bars]
    entries = [
        replace(
            e,
            side="sell" if e.side == "buy" else "buy",
            **{
                n: None if getattr(e, n) is None else axis - getattr(e, n)
                for n in ("price", "stop_price", "target_price")
            },
        )
        for e in market.entries
    ]
    config = replace(config, fee_rate=Decimal(0))  # a fee too is a share of the price
    for model in MODELS:
        ours = replay(market.bars, market.entries, config, model)
        theirs = [flipped(row) for row in replay(bars, entries, config, model)]
        for row, other in zip(ours, theirs, strict=True):
            if row["fallback"] == "false":
                assert normal(row) == normal(other)


def normal(row):
    """Return a row with its prices as numbers, so that 1E+2 is 100."""
    return {name: Decimal(value) if value and "_price" in name else value for name, value in row.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_models_differ_only_where_a_bar_could_be_either(seed):
    market = bars_scenario(seed)
    by_model = [replay(market.bars, market.entries, market.config, model) for model in MODELS]
    for pessimistic, optimistic, path in zip(*by_model, strict=True):
        assert path in (pessimistic, optimistic)
        if pessimistic != optimistic and pessimistic["exit_reason"] != "residue":
            assert (pessimistic["ambiguous"], pessimistic["exit_reason"], optimistic["exit_reason"]) == (
                "true",
                "stop",
                "target",
            )
            assert pessimistic["exit_time"] == optimistic["exit_time"]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_future_never_changes_an_exit(seed):
    market = bars_scenario(seed)
    bars = market.bars[: len(market.bars) * 2 // 3]
    config = replace(market.config, max_gap_bars=None)  # the spacing of a shorter file may be another one
    known = [e for e in market.entries if e.time_ns < bars[-1].time_ns]
    known = [replace(e, time_ns=max(b.time_ns for b in bars if b.time_ns <= e.time_ns)) for e in known]
    before = {row["bracket_id"]: row for row in replay(bars, known, config, "path") if row["exit_reason"] != "residue"}
    after = {
        row["bracket_id"]: row for row in replay(market.bars, known, config, "path") if row["exit_reason"] != "residue"
    }
    for bracket_id, row in before.items():
        same = list(COLUMNS[: COLUMNS.index("exit_time")]) if row["exit_reason"] == "open" else list(COLUMNS)
        same = [name for name in same if name != "quantity" or row["exit_reason"] != "open"]
        assert [row[name] for name in same] == [after[bracket_id][name] for name in same]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_unit_bought_is_accounted_for(seed):
    bars, quotes = bars_scenario(seed), quotes_scenario(seed)
    for market, rows in [
        (bars, replay(bars.bars, bars.entries, bars.config, "pessimistic")),
        (quotes, replay_quotes(quotes.quotes, quotes.entries, quotes.config)),
    ]:
        assert rows or not market.entries
        for row_number, entry in enumerate(market.entries, start=1):
            mine = [row for row in rows if row["bracket_id"] == (entry.bracket_id or f"E{row_number:06d}")]
            assert sum(Decimal(row["quantity"]) for row in mine) == entry.quantity
            for row in mine:
                if row["mae_r"]:
                    assert Decimal(row["mae_r"]) <= min(0, Decimal(row["r_multiple"]))
                    assert Decimal(row["mfe_r"]) >= max(0, Decimal(row["r_multiple"]))
