"""Hands at the venue: scenario 17, what users do there while a bracket looks after their trade (rule 8).

Told as a long of 10: in at 100, stop 90, target 110. The account's position is read with every comparison; two that
agree, with nothing of ours moving between them, are believed.
"""

from decimal import Decimal

import pytest

from grodtd.domain.bracket import Phase
from grodtd.domain.errors import Refused
from grodtd.domain.events import EntriesPaused
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import ExecutionReport, OrderStatus, Side
from grodtd.domain.policy import Plan
from tests.integration.scenario_kit import (
    BARE_WORLD,
    EVERYWHERE,
    MARGIN_WORLD,
    OCO_WORLD,
    PERP_WORLD,
    SPOT_WORLD,
    STOPS_REST,
    at,
)
from tests.unit.engine_kit import AMENDS, Trade, both_sides

EXTERNAL = Phase.EXTERNALLY_CLOSED


class TestScenario17ClosedByHand:
    """Somebody closes the position at the venue: our exits go, nothing is sold, and the bracket says who ended it."""

    @at(*EVERYWHERE)
    def test_what_rests_is_cancelled_and_nothing_is_sold(self, begin):
        story = begin().hold(10).trades_elsewhere(-10).notices()

        story.over(phase=EXTERNAL)
        assert story.trades() == []
        assert story.bracket.exit_reason == "external"

        story.price(85).price(115).wait(60).over(phase=EXTERNAL)

    @at(*EVERYWHERE)
    def test_one_look_proves_nothing(self, begin):
        story = begin().hold(10).trades_elsewhere(-10).reconcile()
        assert story.bracket.phase is Phase.OPEN

        story.trades_elsewhere(10).notices()
        guards(story, 10)

    @at(*STOPS_REST)
    def test_after_a_part_at_the_target(self, begin):
        story = begin().hold(10).price(110, size=4).price(105).wait(5).trades_elsewhere(-6).notices()

        story.over("target 4 @ 110", phase=EXTERNAL)

    @at(*EVERYWHERE)
    def test_while_we_are_down(self, begin):
        """Scenario 21: the position is gone when we are back; what rests is cancelled, and none is put back."""
        story = begin().hold(10).kill().trades_elsewhere(-10).restart().wait(5).notices()

        story.wait(60).over(phase=EXTERNAL)
        assert story.trades() == []

    @at(*STOPS_REST)
    def test_and_more_of_the_entry_fills_as_it_is_called_off(self, begin):
        """What fills after the hand is held all the same, so it is guarded."""
        story = begin().enter(10).price(100, size=6).trades_elsewhere(-6)
        story.reconcile().wait(5).hold_requests().reconcile().price(100, size=2)

        story.deliver().wait(10)
        assert (story.position, story.cover.open_qty, story.cover.protected_qty) == (2, 2, 2)
        story.price(90).wait(30).over()


class TestScenario17ReducedByHand:
    """Somebody sells 4 of the 10 at the venue: 6 stay guarded, and what is gone is never sold."""

    @at(*EVERYWHERE)
    def test_six_are_guarded(self, begin):
        story = begin().hold(10).trades_elsewhere(-4).notices()

        guards(story, 6)

    @at(*EVERYWHERE)
    def test_the_stop_sells_six(self, begin):
        story = begin().hold(10).trades_elsewhere(-4).notices().price(90).wait(10)

        leg = "exit" if story.world.plan is Plan.SYNTHETIC else "stop"
        story.over(f"{leg} 6 @ 90")

    @at(*EVERYWHERE)
    def test_the_target_sells_six(self, begin):
        begin().hold(10).trades_elsewhere(-4).notices().price(110).wait(10).over("target 6 @ 110")

    @at(*EVERYWHERE)
    def test_again_and_again(self, begin):
        story = begin().hold(10).trades_elsewhere(-4).notices().trades_elsewhere(-3).notices()
        guards(story, 3)

        story.trades_elsewhere(-3).notices().over(phase=EXTERNAL)

    @at(*STOPS_REST)
    def test_as_more_of_the_entry_fills(self, begin):
        story = begin().enter(10).price(100, size=6).trades_elsewhere(-4).notices()
        guards(story, 2)

        story.price(100, size=4).wait(5)
        guards(story, 6)

    @at(*STOPS_REST)
    def test_it_is_told_and_in_the_journal(self, begin):
        """A restart knows what was taken: the units are not guarded again."""
        story = begin().hold(10).trades_elsewhere(-4).notices()
        assert story.told(NoteKind.REDUCED_ELSEWHERE, Severity.WARNING) == 1

        story.kill().restart().wait(30)
        guards(story, 6)

    @at(SPOT_WORLD, OCO_WORLD)
    def test_in_a_wallet_with_other_coins_nothing_of_ours_is_missing(self, begin):
        story = begin(held=50, overfill=True).hold(10).trades_elsewhere(-20).notices()

        assert story.resting() == story.legs(10)
        assert story.cover.open_qty == 10

    @both_sides
    def test_a_way_out_that_was_refused_is_tried_at_once_for_what_is_left(self, mirrored):
        """Asked for more than there is, the venue refuses; what is there waits for no later attempt."""
        trade = Trade(filled=10, mirrored=mirrored)
        assert trade.refuses("stop1", "would_trigger") == ["send exit1: 10 at market"]
        for attempt in range(1, 6):
            trade.wait(10)
            trade.refuses(f"exit{attempt}", "insufficient_inventory")
        trade.account(6)
        trade.now_ns += 2_000_000_000
        assert trade.account(6) == ["send exit6: 6 at market"]

    @both_sides
    def test_an_entry_that_waits_beside_it_changes_no_reading(self, mirrored):
        """Between two readings somebody places an entry in the same symbol: it holds nothing, so they still agree."""
        trade = Trade(filled=10, mirrored=mirrored)
        trade.acks("stop1")
        trade.account(6)
        trade.request("C", 5, 0)
        trade.tell(ExecutionReport("C.entry1", OrderStatus.WORKING))
        trade.now_ns += 5_000_000_000
        assert trade.account(6) == ["cancel stop1"]

    @both_sides
    def test_the_newest_bracket_loses_first(self, mirrored):
        trade = two_brackets(mirrored)

        assert looks(trade, 13) == ["change C.stop1 into C.stop2: 3 stop 90"]
        trade.answers("C.stop2", OrderStatus.WORKING)
        assert looks(trade, 8) == ["cancel C.stop2", "change stop1 into stop2: 8 stop 90"]


class TestScenario17AddedByHand:
    """Somebody buys 5 more: they are his, the exits stay at 10."""

    @at(*EVERYWHERE)
    def test_the_exits_do_not_grow(self, begin):
        story = begin().hold(10).trades_elsewhere(5).notices().wait(60)

        stop = "" if story.world is BARE_WORLD else "stop 10 @ 90"
        assert story.resting().startswith(stop)
        assert story.cover.open_qty == 10
        assert story.told(NoteKind.ADDED_ELSEWHERE) == 1
        story.price(90).wait(10)
        assert (story.position, story.bracket.phase) == (5, Phase.CLOSED)

    @at(PERP_WORLD)
    def test_a_reduce_only_pair_is_one_no_more(self, begin):
        """The venue trims by account, and the account is not this bracket's alone: both legs could fill."""
        story = begin().hold(10).trades_elsewhere(5).notices()

        assert story.resting() == "stop 10 @ 90"
        assert story.bracket.plan is Plan.STOP_RESTING
        assert "the account holds" in story.bracket.plan_reason
        story.price(110).wait(10)
        assert (story.position, story.trades()) == (5, ["target 10 @ 110"])


class TestScenario17Flipped:
    """Somebody turns the position round: ours go, the symbol takes no new entries, and it is an alarm."""

    @at(MARGIN_WORLD, PERP_WORLD, BARE_WORLD)
    def test_our_exits_go_and_his_position_is_left_alone(self, begin):
        story = begin(overfill=True).hold(10).trades_elsewhere(-15).notices()

        assert (story.position, story.trades(), story.venue.open_orders()) == (-5, [], [])
        assert story.bracket.phase is EXTERNAL
        assert story.told(NoteKind.FLIPPED_ELSEWHERE, Severity.ALARM) == 1

    @both_sides
    def test_new_entries_are_refused_until_somebody_resumes_them(self, mirrored):
        trade = two_brackets(mirrored)
        looks(trade, -5)

        with pytest.raises(Refused, match="X is halted: the account holds") as refusal:
            trade.request("D", 1, 0)
        assert refusal.value.code == "symbol_halted"

        trade.resumes()
        trade.request("D", 1, 0)

    @both_sides
    def test_a_position_that_exists_is_protected_all_the_same(self, mirrored):
        trade = two_brackets(mirrored)
        looks(trade, -5)

        assert trade.request("D", 1, 1) == ["send D.stop1: 1 stop 90"]


class TestOppositeBracket:
    """A long is open and somebody wants a short of the same symbol: on one account the two would eat each other."""

    @both_sides
    def test_its_entry_is_refused_in_words(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)

        with pytest.raises(Refused, match="would take from its position") as refusal:
            trade.request("C", 5, 0, stop=110, target=90, side=trade.side.opposite)
        assert refusal.value.code == "opposite"

    @both_sides
    def test_once_the_first_is_over_it_is_welcome(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)
        trade.fills("stop1", 10)

        trade.request("C", 5, 0, stop=110, target=90, side=trade.side.opposite)
        assert trade.engine.bracket("C").phase is Phase.WAITING

    @both_sides
    def test_a_fill_that_exists_is_protected_and_nothing_is_called_a_hands_doing(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)
        trade.acks("stop1")

        assert trade.request("C", 4, 4, stop=110, target=90, side=trade.side.opposite) == ["send C.stop1: 4 stop 110"]
        trade.answers("C.stop1", OrderStatus.WORKING)
        assert looks(trade, 6) == []
        assert (trade.open, trade.told("added_elsewhere")) == ("10", [])

    @both_sides
    def test_and_when_the_account_holds_less_it_is_the_larger_side_that_lost(self, mirrored):
        trade = Trade(AMENDS, quantity=10, mirrored=mirrored)
        trade.acks("stop1")
        trade.request("C", 4, 4, stop=110, target=90, side=trade.side.opposite)
        trade.answers("C.stop1", OrderStatus.WORKING)

        assert looks(trade, 1) == ["change stop1 into stop2: 5 stop 90"]


class TestNamesOfBrackets:
    """A name is one position's: asked for twice it is the same, for another one it is taken."""

    @both_sides
    def test_the_same_again(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)

        with pytest.raises(Refused, match="looks after this already") as refusal:
            trade.request("B", 10, 10)
        assert refusal.value.code == "duplicate_id"

    @both_sides
    def test_another_position_under_its_name(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)

        with pytest.raises(Refused, match="this one is NOT looked after") as refusal:
            trade.request("B", 7, 7)
        assert refusal.value.code == "id_taken"


class TestScenario25AStopCancelledByHand:
    """A user cancels our stop at the venue while the entry still works: it is put back, and again."""

    @at(*STOPS_REST)
    def test_it_comes_back(self, begin):
        story = begin().enter(10).price(100, size=6).yank("stop", "canceled").wait(5)

        assert story.resting().startswith("stop 6 @ 90")
        story.yank("stop", "canceled").wait(5)
        assert story.resting().startswith("stop 6 @ 90")
        story.price(100, size=4).wait(5)
        assert story.cover.protected_qty == 10

    @at(*STOPS_REST)
    def test_unless_it_was_released(self, begin):
        story = begin().hold(10).release().wait(60)

        assert (story.resting(), story.position) == ("", 10)


class TestWild16ClosedByHandWhileWeSell:
    """The user closes by hand while our sale is refused again and again: it stops, and nothing else is touched."""

    @at(*EVERYWHERE)
    def test_the_sale_is_not_tried_for_ever(self, begin):
        story = begin().hold(10).next("exit", "margin", times=1000).flatten().trades_elsewhere(-10).notices()

        story.over(phase=EXTERNAL)
        sent = len(story.sent)
        story.wait(600)
        assert len(story.sent) == sent

    @at(SPOT_WORLD)
    def test_nor_is_the_stop_put_back_for_ever(self, begin):
        """The venue drops our stop with the coins; a new one is refused for want of them."""
        story = begin().hold(10).trades_elsewhere(-10)
        assert story.refusals == ["insufficient_inventory"]

        story.notices().over(phase=EXTERNAL)
        sent = len(story.sent)
        story.wait(600)
        assert len(story.sent) == sent

    @at(MARGIN_WORLD, BARE_WORLD)
    def test_orders_of_other_hands_are_left_alone(self, begin):
        story = begin().hold(10).others_order("hand-1", 10, 120).trades_elsewhere(-10).notices()

        assert [report.client_order_id for report in story.venue.open_orders()] == ["hand-1"]
        assert story.bracket.phase is EXTERNAL


class TestOursIsNotTakenForAnothersHand:
    """A fill of our own that we have not heard of makes the account smaller, too: it is not a hand's doing."""

    @at(*STOPS_REST)
    def test_a_stop_that_filled_unheard(self, begin):
        story = begin().hold(10)
        story.deaf = True
        story.price(90)

        story.notices().over("stop 10 @ 90")

    @at(*STOPS_REST)
    def test_in_part(self, begin):
        story = begin().hold(10)
        story.deaf = True
        story.price(90, size=4)
        story.notices()
        story.deaf = False

        assert (story.told(NoteKind.REDUCED_ELSEWHERE), story.cover.open_qty) == (0, 6)

    @both_sides
    def test_nothing_is_concluded_while_an_order_is_on_its_way(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)

        assert looks(trade, 6) == []
        assert trade.open == "10"
        trade.acks("stop1")
        assert looks(trade, 6) != []
        assert trade.open == "6"

    @both_sides
    def test_nor_from_two_answers_of_the_same_moment(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)
        trade.acks("stop1")

        assert trade.account(6) + trade.account(6) == []
        assert trade.open == "10"

    @both_sides
    def test_nor_when_something_was_heard_in_between(self, mirrored):
        trade = Trade(quantity=10, filled=6, mirrored=mirrored)
        trade.acks("stop1")
        trade.account(2)
        trade.fills("entry1", 4)
        trade.acks("stop2")
        trade.now_ns += 5_000_000_000

        assert trade.account(6) == []
        assert trade.open == "10"

    @both_sides
    def test_less_than_a_lot_is_a_matter_of_fees(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)
        trade.acks("stop1")

        assert looks(trade, Decimal("9.9999999999")) == []


class TestKillSwitch:
    """New entries are paused: what rests stays, what fills is guarded, and only new entries are refused."""

    @at(*EVERYWHERE)
    def test_stops_go_on_working(self, begin):
        story = begin().enter(10).price(100, size=6).pause().price(100, size=4).wait(60).guarded(10)

        story.price(90).wait(10).over()
        assert all(trade.endswith("@ 90") for trade in story.trades())

    @both_sides
    def test_a_new_entry_is_refused_and_a_fill_is_not(self, mirrored):
        trade = Trade(quantity=10, mirrored=mirrored)
        trade.tell(EntriesPaused("enough for today"))

        with pytest.raises(Refused, match="enough for today") as refusal:
            trade.request("C", 5, 0)
        assert refusal.value.code == "entries_paused"
        assert trade.request("C", 5, 5) == ["send C.stop1: 5 stop 90"]


def guards(story, quantity):
    """`quantity` is held, and what may sell is exactly that; a stop rests for it where stops rest.

    A venue that drops a pair for want of coins has taken the target with it: from then on that is watched here.
    """
    cover = story.cover
    assert (story.position, cover.open_qty, story.bracket.phase) == (quantity, quantity, Phase.OPEN)
    if story.world is not BARE_WORLD:
        assert (cover.protected_qty, cover.committed_qty) == (quantity, quantity)
        assert story.resting().startswith(f"stop {quantity} @ 90")
    story.quiet()


def two_brackets(mirrored):
    """B holds 10 and C, opened later, holds 5, their stops resting."""
    trade = Trade(AMENDS, quantity=10, mirrored=mirrored)
    trade.acks("stop1")
    trade.request("C", 5, 5)
    trade.answers("C.stop1", OrderStatus.WORKING)
    assert trade.side is (Side.SELL if mirrored else Side.BUY)
    return trade


def looks(trade, quantity):
    """Two readings of the account, five seconds apart, and what they lead to."""
    words = trade.account(quantity)
    trade.now_ns += 5_000_000_000
    return words + trade.account(quantity)
