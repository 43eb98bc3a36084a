"""A bracket's life from its entry's fill to its end: in words, and as a table that can hide nothing."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grodtd.domain.bracket import ExitState
from grodtd.domain.errors import Refused
from grodtd.domain.events import TimerFired
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import OrderStatus
from grodtd.domain.policy import BracketOrdersPolicy, Policy, TimeExitPolicy
from grodtd.execution.invariants import loosened, violations
from grodtd.execution.oco_emulator import TABLE, Trigger
from tests.unit.engine_kit import AMENDS, NO_STOPS, PAIRS, PERP, STOPS, S, Trade, both_sides
from tests.walks.mutants import catcher, mutants, unneeded_rows

CANCELED, EXPIRED, WORKING = OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.WORKING


@both_sides
def test_each_part_of_the_entry_is_protected_as_it_fills(mirrored):
    trade = Trade(filled=0, mirrored=mirrored)
    assert (trade.phase, trade.first) == ("waiting", [])
    assert trade.fills("entry1", 4) == ["send stop1: 4 stop 90"]
    trade.acks("stop1")
    assert trade.fills("entry1", 6) == ["send stop2: 6 stop 90"]
    assert (trade.phase, trade.open) == ("open", "10")


@both_sides
def test_an_entry_canceled_after_a_part_filled_keeps_that_part_protected(mirrored):
    trade = Trade(filled=0, mirrored=mirrored)
    trade.fills("entry1", 4)
    trade.acks("stop1")
    assert trade.cancels("entry1") == []
    assert (trade.phase, trade.open) == ("open", "4")


@both_sides
def test_an_entry_that_never_fills_leaves_nothing(mirrored):
    trade = Trade(filled=0, mirrored=mirrored)
    assert trade.cancels("entry1") == []
    assert trade.phase == "closed"


@both_sides
def test_the_rest_of_the_entry_is_called_off_when_the_trade_is_over(mirrored):
    trade = Trade(filled=4, mirrored=mirrored)
    trade.acks("stop1")
    assert trade.fills("stop1", 4) == ["cancel entry1"]
    assert trade.phase == "closing"
    trade.cancels("entry1")
    assert trade.phase == "closed"


@both_sides
def test_an_entry_that_fills_after_the_end_is_a_trade_again(mirrored):
    trade = Trade(filled=4, mirrored=mirrored)
    trade.acks("stop1")
    trade.fills("stop1", 4)
    assert trade.fills("entry1", 6) == ["send stop2: 6 stop 90"]
    assert (trade.phase, trade.open) == ("open", "6")
    assert len(trade.told("reopened")) == 1


@both_sides
def test_what_is_too_small_to_sell_is_left_as_residue_and_said(mirrored):
    dusty = Instrument("X", tick_size=Decimal(1), min_notional=Decimal(150))
    trade = Trade(quantity=3, mirrored=mirrored, instrument=dusty)
    trade.acks("stop1")
    trade.fills("stop1", 2)
    trade.cancels("stop1")
    assert (trade.phase, trade.open) == ("residue", "1")
    assert len(trade.told("residue")) == 1


@both_sides
def test_sold_twice_it_is_bought_back_and_recorded(mirrored):
    trade = Trade(mirrored=mirrored)
    trade.acks("stop1")
    trade.fills("stop1", 10)
    assert trade.fills("stop1", 3, exec_id="again", cum=13) == ["send remedy1: 3 at market"]
    assert (trade.phase, trade.open, trade.bracket.incidents) == ("closing", "-3", 1)
    trade.fills("remedy1", 3)
    assert trade.phase == "closed"


@both_sides
def test_flatten_takes_back_the_stop_and_sells(mirrored):
    trade = Trade(mirrored=mirrored)
    trade.acks("stop1")
    assert trade.flatten(last_px=100) == ["cancel stop1"]
    assert trade.cancels("stop1") == ["send exit1: 10 limit 99 now"]
    trade.fills("exit1", 10, 99)
    assert trade.phase == "closed"


@both_sides
def test_released_it_is_somebody_elses_and_our_orders_go(mirrored):
    trade = Trade(mirrored=mirrored)
    trade.acks("stop1")
    assert trade.release() == ["cancel stop1"]
    assert trade.cancels("stop1") == []
    assert (trade.phase, trade.open) == ("released", "10")
    assert trade.quote(80) == []


@both_sides
def test_a_deadline_that_another_fact_overtook_is_kept_all_the_same(mirrored):
    """The program was busy when the trade's hour was over, and a fill of the stop came first."""
    policy = Policy(time_exit=TimeExitPolicy(after_s=Decimal(60)))
    trade = Trade(STOPS, policy=policy, mirrored=mirrored)
    trade.acks("stop1")
    trade.now_ns += 61 * S
    trade.fills("stop1", 4)
    assert trade.engine.next_deadline_ns <= trade.now_ns
    assert trade.tell(TimerFired(trade.now_ns, trade.now_ns)) == ["cancel stop1"]
    assert trade.engine.next_deadline_ns > trade.now_ns


@both_sides
def test_an_entry_that_fills_a_piece_at_its_deadline_is_called_off_all_the_same(mirrored):
    policy = Policy(bracket_orders=BracketOrdersPolicy(timeout_s=Decimal(60)))
    trade = Trade(STOPS, policy=policy, filled=0, mirrored=mirrored)
    trade.fills("entry1", 4)
    trade.acks("stop1")
    trade.now_ns += 61 * S
    trade.fills("entry1", 1)
    assert "cancel entry1" in trade.tell(TimerFired(trade.now_ns, trade.now_ns))


def test_a_deadline_a_frozen_bracket_cannot_meet_waits_and_wakes_nobody_again_and_again(monkeypatch):
    """The table lacks the row for leaving: the trade's hour is over, and each try is a surprise."""
    trade = Trade(STOPS, policy=Policy(time_exit=TimeExitPolicy(after_s=Decimal(60))), sane=False)
    trade.acks("stop1")
    with monkeypatch.context() as broken:
        broken.delitem(TABLE, (ExitState.LEAVE, Trigger.BUSY))
        trade.wait(120)  # it asks to be compared with the venue, and again every half minute
        assert trade.bracket.frozen_reason
        assert trade.engine.next_deadline_ns > trade.now_ns
        assert "reconcile" in " ".join(trade.wait(31))
        assert trade.cover.protected_qty == 10
    trade.reconciled()
    assert "cancel stop1" in trade.tell(TimerFired(trade.now_ns, trade.now_ns))


@both_sides
@pytest.mark.parametrize("keep", [False, True], ids=["exits go", "exits stay"])
def test_released_with_an_entry_of_ours_at_work_that_goes_in_any_case(mirrored, keep):
    trade = Trade(STOPS, filled=4, mirrored=mirrored)
    trade.acks("stop1")
    assert trade.release(keep_orders=keep) == ([] if keep else ["cancel stop1"]) + ["cancel entry1"]


# ---------------------------------------------------------------- the table itself


def test_every_row_is_walked_or_told():
    assert unneeded_rows("bracket") == []


def test_no_row_can_be_deleted_emptied_or_stopped_unnoticed():
    assert [mutant.name for mutant in mutants("bracket") if not catcher(mutant)] == []


# ---------------------------------------------------------------- whatever comes


VENUES = st.sampled_from([STOPS, AMENDS, PERP, PAIRS, NO_STOPS])
NAMES = ("entry1", "stop1", "stop2", "target1", "exit1")
ORDER = st.sampled_from(NAMES)
ANYTHING = st.one_of(
    st.tuples(st.just("fills"), ORDER, st.integers(1, 6)),
    st.tuples(st.just("acks"), ORDER),
    st.tuples(st.just("cancels"), ORDER),
    st.tuples(st.just("reports"), ORDER, st.just(EXPIRED)),
    st.tuples(st.just("refuses"), ORDER, st.sampled_from(["busy", "would_trigger", "no_inventory"])),
    st.tuples(st.just("refuses"), ORDER, st.just("too_late"), st.just("cancel")),
    st.tuples(st.just("silence"), ORDER),
    st.tuples(st.just("not_sent"), ORDER),
    st.tuples(st.just("not_found"), ORDER),
    st.tuples(st.just("quote"), st.sampled_from([85, 90, 95, 100, 105, 110, 115])),
    st.tuples(st.just("levels"), st.integers(88, 99), st.integers(101, 115)),
    st.tuples(st.just("wait"), st.sampled_from([0.6, 2, 7, 20])),
    st.tuples(st.just("flatten"), st.sampled_from([None, 100])),
)


@given(VENUES, st.sampled_from([0, 4, 10]), st.lists(ANYTHING, max_size=14))
@settings(max_examples=300)
def test_a_short_is_a_long_in_the_mirror(venue, filled, story):
    """Whatever happens, sensible or not: the same sentences, phases and quantities, and the stop only ever nearer."""
    long, short = (
        Trade(venue, quantity=10, filled=filled, mirrored=mirrored, sane=False) for mirrored in (False, True)
    )
    for verb, *about in story:
        if about and about[0] in NAMES and long.order(about[0]) is None:
            continue  # news of an order nobody sent
        before = long.bracket
        assert _done(long, verb, about) == _done(short, verb, about)
        assert (long.phase, long.open, long.bracket.frozen_reason) == (
            short.phase,
            short.open,
            short.bracket.frozen_reason,
        )
        assert long.bracket.exits is short.bracket.exits
        if not long.bracket.frozen_reason:
            assert violations(long.bracket, long.engine.terms(long.bracket)) == ()
            assert verb == "levels" or not loosened(before, long.bracket)


def _done(trade, verb, about):
    try:
        return getattr(trade, verb)(*about)
    except Refused as refused:
        return refused.code
