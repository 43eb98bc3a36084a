"""Targets in steps: each part rests or is watched, the stop is always for what is open, nothing unsellable is left."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grodtd.domain.bracket import Rung
from grodtd.domain.errors import Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.money import ZERO
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy, Rest, ScaleOutPolicy, ScaleStep, TrailingPolicy, TrailMethod
from grodtd.execution.scale_out import allocate
from tests.unit.exit_kit import SHORTS, SPOT, VENUES, Desk, by_quote, d


def stages(*steps, rest=Rest.TARGET, **more):
    """Sell fractions at R multiples; more blocks of the policy."""
    return Policy(scale_out=ScaleOutPolicy(tuple(ScaleStep(d(f), at_r=d(r)) for f, r in steps), rest), **more)


HALVES = stages(("0.5", 1), ("0.25", 2))
RESTING = {
    # what rests after the entry, after 110, after 120: half at 110, a quarter at 120, the rest at 130
    "stop_resting": (["stop 10 at 90"], ["stop 5 at 90"], ["stop 3 at 90"]),
    "native_oco": (
        ["stop 2 at 90", "stop 3 at 90", "stop 5 at 90", "target 2 at 120", "target 3 at 130", "target 5 at 110"],
        ["stop 2 at 90", "stop 3 at 90", "target 2 at 120", "target 3 at 130"],
        ["stop 3 at 90", "target 3 at 130"],
    ),
    "pair_reduce_only": (
        ["stop 10 at 90", "target 2 at 120", "target 3 at 130", "target 5 at 110"],
        ["stop 5 at 90", "target 2 at 120", "target 3 at 130"],
        ["stop 3 at 90", "target 3 at 130"],
    ),
    "synthetic": ([], [], []),
}


@pytest.mark.parametrize("venue", VENUES)
def test_each_part_is_sold_at_its_target_and_the_stop_is_for_the_rest(venue):
    desk = Desk(venue, HALVES)
    seen = [desk.resting]
    for px in (110, 120):
        desk.quotes(px, 105)
        assert desk.settled()
        seen.append(desk.resting)
    assert tuple(seen) == RESTING[venue]
    desk.quotes(130)
    assert desk.phase == "closed"
    assert desk.sold == [("110", 5), ("120", 2), ("130", 3)]


@pytest.mark.parametrize("venue", SHORTS)
def test_a_short_is_the_mirror(venue):
    desk = Desk(venue, HALVES, side=Side.SELL).quotes(110, 105, 120, 105, 130)
    assert desk.phase == "closed"
    assert desk.sold == [("110", 5), ("120", 2), ("130", 3)]


@pytest.mark.parametrize("venue", VENUES)
def test_the_stop_takes_all_that_the_targets_left(venue):
    desk = Desk(venue, HALVES).quotes(110, 105, 90)
    assert desk.settled()
    assert desk.phase == "closed"
    assert desk.sold[0] == ("110", 5)
    assert sum(quantity for px, quantity in desk.sold if px == "90") == 5


@pytest.mark.parametrize("venue", VENUES)
def test_what_runs_has_a_stop_and_no_target(venue):
    desk = Desk(venue, stages(("0.5", 1), rest=Rest.RUN)).quotes(110, 500)
    assert desk.phase == "open"
    assert desk.bracket.target_px is None
    assert desk.resting == ([] if venue == "synthetic" else ["stop 5 at 90"])
    assert desk.quotes(90).phase == "closed"
    assert desk.settled()


@pytest.mark.parametrize("venue", VENUES)
def test_a_gap_through_every_target_sells_everything(venue):
    desk = Desk(venue, HALVES).quotes(140)
    desk.quotes(140, 140)
    assert desk.phase == "closed"
    assert sum(quantity for _, quantity in desk.sold) == 10


@pytest.mark.parametrize("venue", VENUES)
def test_a_trail_goes_on_for_what_is_left(venue):
    policy = stages(("0.5", 1), rest=Rest.RUN, ratchet=by_quote(), trailing=TrailingPolicy(TrailMethod.DISTANCE, d(6)))
    desk = Desk(venue, policy).quotes(110, 115)
    assert desk.stop == "109 trail"
    assert desk.settled()
    desk.quotes(109)
    assert desk.phase == "closed"
    assert desk.sold == [("110", 5), ("109", 5)]


@pytest.mark.parametrize("venue", VENUES)
def test_a_target_moved_by_hand_is_the_nearest_one(venue):
    desk = Desk(venue, HALVES).levels(target=112).quotes(111)
    assert desk.sold == []
    desk.quotes(112, 105)
    assert desk.sold == [("112", 5)]
    desk.levels(stop=95, target=116)
    assert desk.settled()
    desk.quotes(116, 105, 95)
    assert desk.phase == "closed"
    assert sum(quantity for px, quantity in desk.sold if px == "95") == 3


@pytest.mark.parametrize("venue", VENUES)
def test_a_stop_is_loosened_by_name_only_whatever_steps_there_are(venue):
    desk = Desk(venue, HALVES).quotes(110, 105)
    with pytest.raises(Refused, match="looser"):
        desk.levels(stop=85)
    desk.levels(stop=85, allow_loosen=True, reason="the news is at noon")
    assert desk.stop == "85 stop"
    assert desk.settled()


@pytest.mark.parametrize("how", ["snapshot", "journal"])
@pytest.mark.parametrize("venue", VENUES)
def test_a_restart_between_two_targets_forgets_neither(venue, how):
    desk = Desk(venue, HALVES).quotes(110, 105).restart(how).quotes(120, 105, 130)
    assert desk.phase == "closed"
    assert desk.sold == [("110", 5), ("120", 2), ("130", 3)]


LOTS = [
    # the tale, quantity, lot, least value of an order, (fraction, price) of each part, what each is given
    ("the last takes what is left over", 10, 1, 0, [("0.33", 110), ("0.33", 120), ("0.34", 130)], "3 3 4"),
    ("a part of less than a lot is none", 3, 1, 0, [("0.25", 110), ("0.75", 130)], "0 3"),
    ("too small to sell alone goes with the next", 10, 1, 250, [("0.2", 110), ("0.5", 120), ("0.3", 130)], "0 7 3"),
    ("a rest too small goes with the one before", 10, 1, 250, [("0.5", 110), ("0.4", 120), ("0.1", 130)], "5 5 0"),
    ("one lot goes as a whole", 1, 1, 0, [("0.5", 110), ("0.5", 130)], "0 1"),
    ("fractions of a coin", "0.01", "0.001", 0, [("0.5", 110), ("0.25", 120), ("0.25", 130)], "0.005 0.002 0.003"),
]  # fmt: skip


@pytest.mark.parametrize(("tale", "quantity", "lot", "least", "parts", "given"), LOTS, ids=[row[0] for row in LOTS])
def test_parts_are_whole_lots_worth_an_order(tale, quantity, lot, least, parts, given):
    stock = Instrument("X", tick_size=Decimal(1), lot_size=d(lot), min_notional=d(least))
    rungs = tuple(Rung(d(fraction), d(px)) for fraction, px in parts)
    assert " ".join(map(str, allocate(rungs, d(quantity), stock, Decimal(90)))) == given


FRACTIONS = st.lists(st.integers(1, 50), min_size=1, max_size=5).filter(lambda parts: sum(parts) <= 100)


@settings(max_examples=300)
@given(
    hundredths=FRACTIONS,
    lots=st.integers(1, 400),
    lot=st.sampled_from(["1", "0.01", "0.5"]),
    least=st.sampled_from([0, 50, 1_000]),
    runs=st.booleans(),
)
def test_however_it_is_divided_nothing_is_lost_and_nothing_is_left_unsellable(hundredths, lots, lot, least, runs):
    stock = Instrument("X", tick_size=Decimal(1), lot_size=d(lot), min_notional=d(least))
    rungs = [Rung(Decimal(part) / 100, Decimal(110 + index)) for index, part in enumerate(hundredths)]
    rungs.append(Rung(1 - sum(rung.fraction for rung in rungs), None if runs else Decimal(150)))
    quantity = lots * d(lot)
    given_out = allocate(tuple(rungs), quantity, stock, Decimal(90))
    assert sum(given_out) == quantity
    sellable_at_all = stock.sellable(quantity, Decimal(90)) > 0
    for part in given_out:
        assert part >= 0
        assert part % stock.lot_size == 0
        if part and sellable_at_all:
            assert stock.sellable(part, Decimal(90)) == part


PATHS = st.lists(st.integers(2 * 86, 2 * 134).map(lambda ticks: Decimal(ticks) / 2), min_size=1, max_size=10)


@settings(max_examples=150)
@given(data=st.data(), venue=st.sampled_from([*sorted(VENUES), "spot"]), prices=PATHS)
def test_exits_sum_to_the_entry_at_any_venue_whatever_the_market_does(data, venue, prices):
    side = data.draw(st.sampled_from([Side.BUY, Side.SELL] if venue in SHORTS else [Side.BUY]))
    ladders = [[("0.5", 1)], [("0.5", 1), ("0.25", 2)], [("0.1", "0.3"), ("0.9", 1)], [("0.9", 1)]]
    steps = data.draw(st.sampled_from(ladders))
    lot, least = data.draw(st.sampled_from([("1", 0), ("0.1", 0), ("1", 250)]))
    stock = Instrument("X", tick_size=Decimal("0.5"), lot_size=d(lot), min_notional=d(least))
    policy = stages(
        *steps,
        rest=data.draw(st.sampled_from(list(Rest))),
        ratchet=by_quote(),
        trailing=TrailingPolicy(data.draw(st.sampled_from([None, TrailMethod.DISTANCE])), d(8)),
    )
    desk = Desk(SPOT if venue == "spot" else venue, policy, side=side, instrument=stock)
    for px in prices:
        if desk.phase not in ("open", "exiting"):
            break
        desk.quotes(px)
        assert desk.settled()
    desk.quotes(85, 84, 83)
    assert desk.phase == "closed"
    assert sum((quantity for _, quantity in desk.sold), ZERO) == 10
