"""Where a stop may move to: trailing, break-even, profit locks; told by quotes and by bars, at every kind of venue."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from grodtd.domain.events import EntriesPaused
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.orders import Side
from grodtd.domain.policy import (
    BreakEvenPolicy,
    LockStep,
    Policy,
    RatchetPolicy,
    Rest,
    ScaleOutPolicy,
    TrailAtr,
    TrailingPolicy,
    TrailMethod,
)
from grodtd.execution.exit_rules import watched_px
from grodtd.execution.trailing import break_even_px, gain, is_active, next_move_px, wanted
from tests.unit.exit_kit import SHORTS, VENUES, Desk, by_quote, d

M = TrailMethod
FAR = 190
RUN = ScaleOutPolicy(rest=Rest.RUN)


def trail(method, amount, *, on=None, locks=(), even=None, **more):
    """A policy that trails, by bars unless `on` says otherwise."""
    return Policy(
        ratchet=on or RatchetPolicy(),
        trailing=TrailingPolicy(method, d(amount), **more),
        profit_lock=tuple(LockStep(d(at), d(lock)) for at, lock in locks),
        break_even=even or BreakEvenPolicy(),
    )


both_ways = pytest.mark.parametrize("side", [Side.BUY, Side.SELL], ids=["long", "short"])

STORIES = [
    # the tale, policy, best prices of bars (a long's), the stop after each: long from 100, stop 90, so R is 10
    ("scenario 24: 5 behind 120, 117, 121", trail(M.DISTANCE, 5), (120, 117, 121), "115 115 116"),
    ("ten ticks of a half", trail(M.TICKS, 10), (102, 108), "97 103"),
    ("from the entry price on, even if no bar came back to it", trail(M.DISTANCE, 5), (98, 97), "95 95"),
    ("one per cent", trail(M.PERCENT, "0.01"), (110, 120), "109 119"),
    ("2 ATR at entry, where one is 3", trail(M.ATR, 2), (104, 110, 107), "98 104 104"),
    ("a chandelier hangs from the best since entry", trail(M.CHANDELIER, 2), (104, 110, 107), "98 104 104"),
    ("not before 1R", trail(M.DISTANCE, 5, activate_at_r=Decimal(1)), ("109.5", 110, 108), "90 105 105"),
    ("not before 112", trail(M.DISTANCE, 5, activate_px=Decimal(112)), (110, "111.5", 112), "90 90 107"),
    ("between ticks it goes towards the market", trail(M.DISTANCE, "5.3"), (110,), "105"),
    ("by five points at least", trail(M.DISTANCE, 5, on=RatchetPolicy(step_ticks=10)), (104, 106, 110), "99 99 105"),
]  # fmt: skip


# A fraction of the price has no mirror: another price, another distance.
BOTH_WAYS = [
    pytest.param(*row, side, id=f"{row[0]}-{side.value}")
    for row in STORIES
    for side in (Side.BUY, Side.SELL)
    if side is Side.BUY or row[1].trailing.method is not M.PERCENT
]


@pytest.mark.parametrize(("tale", "policy", "bests", "stops", "side"), BOTH_WAYS)
def test_a_stop_follows_the_bars(tale, policy, bests, stops, side):
    if side is Side.SELL:
        rule = policy.trailing
        if rule.activate_px is not None:
            policy = replace(policy, trailing=replace(rule, activate_px=200 - rule.activate_px))
    desk = Desk("stop_resting", policy, side=side, target=FAR, atr=3)
    found = []
    for best in bests:
        desk.bar(best)
        found.append(desk.stop.split()[0])
    assert " ".join(found) == stops


@both_ways
def test_atr_hangs_from_each_bar_and_a_chandelier_from_the_best_since_entry(side):
    """The market gets quiet on the way down: the chandelier tightens, the other has nothing to hang from."""
    ends = []
    for method in (M.ATR, M.CHANDELIER):
        desk = Desk("stop_resting", trail(method, 2, atr=TrailAtr.CURRENT), side=side, target=FAR, atr=5)
        desk.bar(120, 118, atr=5).bar(118, 117, atr=2)
        ends.append(desk.stop)
    assert ends == ["114 trail", "116 trail"]


@both_ways
def test_an_atr_that_rises_loosens_nothing(side):
    desk = Desk("stop_resting", trail(M.CHANDELIER, 2, atr=TrailAtr.CURRENT), side=side, target=FAR, atr=2)
    assert desk.bar(120, atr=2).bar(121, atr=9).stop == "116 trail"


def test_without_an_atr_the_initial_risk_is_as_many_of_them_as_the_stop_would_have_been():
    desk = Desk("stop_resting", trail(M.ATR, 1), target=FAR)  # 10 of risk, a stop of 2 ATR: 5
    assert desk.bar(110).stop == "105 trail"


NAMES = [
    # the tale, policy, best price, where the stop is and what its exit will be called
    ("even from 1R on", Policy(break_even=BreakEvenPolicy(Decimal(1))), 110, "100 breakeven"),
    ("not a tick before", Policy(break_even=BreakEvenPolicy(Decimal(1))), "109.5", "90 stop"),
    ("two ticks beyond", Policy(break_even=BreakEvenPolicy(Decimal(1), offset_ticks=2)), 110, "101 breakeven"),
    ("at 2R lock 1R", Policy(profit_lock=(LockStep(Decimal(2), Decimal(1)),)), 120, "110 lock"),
    ("the farthest lock reached counts", trail(None, 1, locks=[(1, 0), (2, 1), (3, 2)]), 129, "110 lock"),
    ("a lock may lie below the entry", trail(None, 1, locks=[("0.5", "-0.5")]), 105, "95 lock"),
    ("the nearest of all wins: the trail", trail(M.DISTANCE, 5, locks=[(2, 1)]), 120, "115 trail"),
    ("the nearest of all wins: the lock", trail(M.DISTANCE, 15, locks=[(2, 1)]), 120, "110 lock"),
]


@both_ways
@pytest.mark.parametrize(("tale", "policy", "best", "stop"), NAMES, ids=[row[0] for row in NAMES])
def test_a_stop_is_called_by_what_moved_it(tale, policy, best, stop, side):
    desk = Desk("stop_resting", policy, side=side, target=FAR).bar(best)
    assert desk.stop == stop
    level = Decimal(stop.split()[0])
    desk.quotes(best, level)
    assert desk.phase == "closed"
    assert desk.sold == [(str(level), Decimal(10))]


FEES = [Decimal(0), Decimal("0.001"), Decimal("0.02")]


@pytest.mark.parametrize("asset", list(FeeAsset))
@pytest.mark.parametrize("fee", FEES)
@both_ways
def test_at_break_even_the_money_that_comes_back_is_the_money_that_went(side, fee, asset):
    stock = Instrument("X", tick_size=Decimal(1), fee_rate=fee, fee_asset=asset)
    px = break_even_px(side, Decimal(100), Policy(break_even=BreakEvenPolicy(Decimal(1))), stock)
    in_units = asset is FeeAsset.BASE
    units = 1 - fee if in_units else Decimal(1)
    earned = gain(side, Decimal(100), px) * units - fee * px * units - fee * 100
    assert abs(earned) < Decimal("1e-20")
    assert (px > 100) is (side is Side.BUY and fee > 0)
    plain = Policy(break_even=BreakEvenPolicy(Decimal(1), offset_ticks=3, plus_fees=False))
    assert break_even_px(side, Decimal(100), plain, stock) == 100 + 3 * side.sign


# ------------------------------------------------------------------ by quotes, at every kind of venue


@pytest.mark.parametrize("venue", VENUES)
def test_the_stop_follows_each_quote_and_takes_the_trade_out(venue):
    desk = Desk(venue, trail(M.DISTANCE, 5, on=by_quote()), target=FAR)
    seen = []
    for px in (103, "105.5", 104, 110, 105):
        desk.quotes(px)
        seen.append(desk.stop if desk.phase == "open" else desk.phase)
        assert desk.settled()
    assert seen == ["98 trail", "100.5 trail", "100.5 trail", "105 trail", "closed"]
    assert desk.sold == [("105", Decimal(10))]


@pytest.mark.parametrize("venue", VENUES)
def test_moves_keep_their_distance_in_time_and_nothing_is_forgotten(venue):
    """Where a stop is moved by a cancel and a new order, the distance is kept for both."""
    apart_s = 20 if venue == "native_oco" else 10
    desk = Desk(venue, trail(M.DISTANCE, 5, on=by_quote(min_interval_s=10)), target=FAR)
    desk.quotes(104)
    assert desk.stop == "99 trail"
    desk.quotes(112, 106)
    assert desk.stop == "99 trail"  # too soon: the 112 is kept
    assert desk.wait(apart_s - 3).stop == "99 trail"
    assert desk.wait(1).stop == "107 trail"
    moves = [note.ts_ns for note in desk.told("stop_moved")]
    assert [(after - before) // 1_000_000_000 for before, after in pairwise(moves)] == [apart_s]


@pytest.mark.parametrize("venue", VENUES)
def test_what_the_entry_price_asks_for_comes_with_the_first_quote_wherever_it_is(venue):
    desk = Desk(venue, trail(M.DISTANCE, 5, on=by_quote()), target=FAR)
    assert desk.quotes(96).stop == "95 trail"


@pytest.mark.parametrize("how", ["snapshot", "journal"])
@pytest.mark.parametrize("venue", VENUES)
def test_a_restart_keeps_the_best_price_that_moved_the_stop(venue, how):
    policy = trail(M.CHANDELIER, 2, on=by_quote(min_interval_s=10), atr=TrailAtr.CURRENT)
    desk = Desk(venue, policy, target=FAR, atr=5).quotes(110, 118)  # 118 came too soon to move it
    before = desk.bracket
    desk.restart(how)
    assert desk.bracket == before
    assert desk.bracket.best_px == 118
    assert desk.wait(20).stop == "108 trail"
    assert desk.settled()


@pytest.mark.parametrize("venue", VENUES)
def test_the_kill_switch_leaves_stop_and_trail_at_work(venue):
    desk = Desk(venue, trail(M.DISTANCE, 5, on=by_quote()), target=FAR).quotes(104)
    desk.tell(EntriesPaused("enough for today"))
    assert desk.engine.entries_paused
    assert desk.quotes(110).stop == "105 trail"
    assert desk.settled()
    assert desk.quotes(104).phase == "closed"


def test_a_frozen_bracket_keeps_the_stop_it_has():
    desk = Desk("stop_resting", trail(M.DISTANCE, 5, on=by_quote()), target=FAR, strict=False).quotes(104)
    frozen = replace(desk.bracket, frozen_reason="a report nobody understands")
    desk.engine._brackets["B"] = frozen
    assert watched_px(frozen, desk.terms) is None
    assert desk.quotes(120).bar(125).stop == "99 trail"
    assert desk.resting == ["stop 10 at 99"]


# ------------------------------------------------------------------ whatever the market does

TICKS = st.integers(2 * 80, 2 * 140).map(lambda ticks: Decimal(ticks) / 2)
PATHS = st.lists(TICKS, min_size=1, max_size=12)
AMOUNTS = {M.PERCENT: ("0.01", "0.05"), M.DISTANCE: ("2", "5.25"), M.TICKS: ("3", "20"), M.ATR: ("1", "2.5")}
AMOUNTS[M.CHANDELIER] = AMOUNTS[M.ATR]


@st.composite
def policies(draw, on):
    method = draw(st.sampled_from([None, *TrailMethod]))
    step_ticks = draw(st.sampled_from([1, 1, 4]))
    return Policy(
        ratchet=replace(on, step_ticks=step_ticks),
        trailing=TrailingPolicy(
            method,
            Decimal(draw(st.sampled_from(AMOUNTS[method]))) if method else Decimal(1),
            atr=draw(st.sampled_from(list(TrailAtr))),
            activate_at_r=draw(st.sampled_from([Decimal(0), Decimal("0.55"), Decimal(1)])),
        ),
        break_even=BreakEvenPolicy(draw(st.sampled_from([None, Decimal("0.5")])), offset_ticks=draw(st.integers(0, 2))),
        profit_lock=draw(
            st.sampled_from([(), (LockStep(Decimal(1), Decimal("0.3")), LockStep(Decimal(2), Decimal(1)))])
        ),
    )


@settings(max_examples=150)
@given(data=st.data(), venue=st.sampled_from(sorted(VENUES)))
def test_a_stop_only_ever_comes_nearer_and_never_before_it_is_active(data, venue):
    side = data.draw(st.sampled_from([Side.BUY, Side.SELL] if venue in SHORTS else [Side.BUY]))
    on = data.draw(st.sampled_from([RatchetPolicy(), by_quote(), by_quote(min_interval_s=3)]))
    desk = Desk(venue, data.draw(policies(on)), side=side, target=FAR, atr=4)
    reached = Decimal(100)
    for px in data.draw(PATHS):
        was = desk.stop
        if data.draw(st.booleans()):
            desk.quotes(px)
        else:
            desk.bar(px, close=px, atr=data.draw(st.sampled_from([None, 2, 6])))
        if desk.phase != "open":
            break
        assert desk.settled()
        reached = max(reached, px)
        active = is_active(desk.bracket, desk.terms.policy, desk.px(reached))
        assert active or desk.stop == was or not desk.stop.endswith("trail")
    assert desk.settled()


@settings(max_examples=150)
@given(data=st.data(), side=st.sampled_from(list(Side)))
def test_the_price_that_is_watched_moves_the_stop_and_a_tick_short_of_it_does_not(data, side):
    desk = Desk("stop_resting", data.draw(policies(by_quote())), side=side, target=FAR, atr=4)
    for px in data.draw(PATHS):
        if desk.phase == "open":
            desk.quotes(px)
    if desk.phase != "open":
        return
    bracket, terms = desk.bracket, desk.terms
    assert wanted(bracket, terms) is None  # whatever was due has been done
    px = next_move_px(bracket, terms)
    if px is None:
        best = desk.px(1_000)
        assert side is Side.SELL or wanted(replace(bracket, best_px=best), terms) is None
        return
    tick = side.sign * terms.instrument.tick_size
    on_tick = px if px % tick == 0 else px - px % tick + (tick if side is Side.BUY else 0)
    assert wanted(replace(bracket, best_px=on_tick), terms) is not None
    assert wanted(replace(bracket, best_px=on_tick - tick), terms) is None
