"""Whole trades at every venue: the entry is ours to send, and ours to find out about. Long 10, in at 100, stop 90.

Scenarios 24 and 25 stand here too, and 12 and 13 of those seen in the wild.
"""

from decimal import Decimal

import pytest

from grodtd.domain.bracket import OrderState, Phase
from grodtd.domain.errors import Refused
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import Leg
from grodtd.domain.policy import Policy, RatchetOn, RatchetPolicy, TrailingPolicy, TrailMethod
from tests.integration.scenario_kit import EVERYWHERE, STOP_ALONE, STOPS_REST, at


def entry_of(story):
    return next(order for order in story.bracket.orders if order.leg is Leg.ENTRY)


class TestOpened:
    """The entry is sent, and what fills is guarded, from the first unit."""

    @at(*EVERYWHERE)
    def test_it_fills_whole(self, begin):
        begin().open().price(100).guarded(10).price(90).wait(10).over()

    @at(*EVERYWHERE)
    def test_piece_by_piece(self, begin):
        story = begin().open().price(100, size=4).guarded(4).price(100, size=6)

        assert story.cover.protected_qty == 10 or story.world.plan.value == "synthetic"
        assert story.sent.count("entry entry1") == 1

    @at(*EVERYWHERE)
    def test_the_rest_is_cancelled_and_what_filled_stays_guarded(self, begin):
        begin().open().price(100, size=4).cancel_entry().wait(10).guarded(4)

    @at(*EVERYWHERE)
    def test_a_fill_is_guarded_though_the_entrys_own_answer_was_lost(self, begin):
        story = begin().next("entry", "answer lost").open().price(100, size=4).guarded(4)

        assert story.sent.count("entry entry1") == 1


class TestTheEntryHasNoAnswer:
    """Unknown is an answer: asked about, waited out, never sent a second time."""

    @at(*EVERYWHERE)
    def test_it_arrived_and_filled_unheard(self, begin):
        story = begin().hold_reports().next("entry", "answer lost").open().price(100)
        story.drop_reports().wait(30).guarded(10)

    @at(*EVERYWHERE)
    def test_it_never_arrived_and_the_trade_is_over(self, begin):
        story = begin().next("entry", "lost").open().wait(1)

        assert entry_of(story).state is OrderState.UNSURE
        story.wait(60)
        assert (story.bracket.phase, entry_of(story).state) == (Phase.CLOSED, OrderState.LOST)
        assert story.sent == ["entry entry1"]
        assert story.told(NoteKind.PROVEN_DEAD) == 1

    @at(*STOP_ALONE)
    def test_given_up_for_dead_it_comes_to_life_and_is_cancelled(self, begin):
        story = begin().next("entry", "late").open().wait(60)

        assert story.bracket.phase is Phase.CLOSED
        story.arrives_late().wait(10)
        assert (story.bracket.phase, story.venue.open_orders()) == (Phase.CLOSED, [])

    @at(*STOP_ALONE)
    def test_given_up_for_dead_it_fills_and_is_guarded(self, begin):
        begin().next("entry", "late").open(market=101).wait(60).price(100).arrives_late().price(100).wait(10).guarded(
            10
        )

    @at(*EVERYWHERE)
    def test_the_venue_refuses_it(self, begin):
        story = begin().next("entry", "halted").open()

        assert (story.bracket.phase, story.position) == (Phase.CLOSED, 0)
        assert (entry_of(story).state, story.sent) == (OrderState.REJECTED, ["entry entry1"])

    @at(*EVERYWHERE)
    def test_it_rests_too_long(self, begin):
        story = begin().open(market=101).wait(3601)

        assert (story.bracket.phase, story.venue.open_orders()) == (Phase.CLOSED, [])
        assert story.told(NoteKind.ENTRY_TIMED_OUT) == 1


class TestTheProcessDies:
    """Between the intent and the wire, or between the wire and the answer: the venue is asked, and guards follow."""

    @at(*EVERYWHERE)
    def test_before_it_was_sent(self, begin):
        story = begin().hold_requests().open().kill().restart().wait(60)

        assert (story.bracket.phase, story.position, story.sent) == (Phase.CLOSED, 0, [])

    @at(*EVERYWHERE)
    def test_after_it_was_sent_and_filled(self, begin):
        story = begin().hold_reports().open()
        story.price(100).kill().restart().wait(30).guarded(10)
        assert story.sent.count("entry entry1") == 1

    @at(*EVERYWHERE)
    def test_what_is_risked_is_known_again(self, begin):
        story = begin().open().price(100)
        before = story.engine.risk
        story.kill().restart()

        assert (story.engine.risk.open, story.engine.risk.realised) == (before.open, before.realised)
        assert story.engine.risk.open["B1"].risk_money == 100


class TestPaused:
    """The kill switch: what rests stays, what fills is guarded, and nothing new is sent."""

    @at(*EVERYWHERE)
    def test_the_entry_that_rests_may_fill_and_is_guarded(self, begin):
        begin().open().pause().price(100).guarded(10).price(90).wait(10).over()

    @at(*EVERYWHERE)
    def test_no_entry_is_sent(self, begin):
        story = begin().pause()

        with pytest.raises(Refused, match="new entries are paused"):
            story.open()
        assert story.sent == []


class TestScenario24ATrail:
    """Five behind the best price: 100, 120, 117, 121 lead to 95, 115, 115, 116; it never loosens, and survives."""

    TRAIL = Policy(
        trailing=TrailingPolicy(method=TrailMethod.DISTANCE, amount=Decimal(5)),
        ratchet=RatchetPolicy(on=RatchetOn.QUOTE),
    )
    LATER = Policy(
        trailing=TrailingPolicy(method=TrailMethod.DISTANCE, amount=Decimal(5), activate_at_r=Decimal(2)),
        ratchet=RatchetPolicy(on=RatchetOn.QUOTE),
    )

    def stop(self, story):
        return story.px(story.bracket.stop_px)

    @at(*STOPS_REST)
    def test_it_follows_and_never_loosens(self, begin):
        story = begin(policy=self.TRAIL).hold(stop=95, target=150)

        seen = [self.stop(story.price(px).wait(5)) for px in (100, 120, 117, 121)]
        assert seen == [95, 115, 115, 116]
        assert story.resting().startswith("stop 10 @ 116")

    @at(*STOPS_REST)
    def test_it_begins_when_it_is_told_to(self, begin):
        story = begin(policy=self.LATER).hold(stop=95, target=150)

        seen = [self.stop(story.price(px).wait(5)) for px in (109, 110, 112)]
        assert seen == [95, 105, 107]

    @at(*STOPS_REST)
    def test_a_restart_keeps_the_best_price(self, begin):
        story = begin(policy=self.TRAIL).hold(stop=95, target=150).price(120).wait(5).kill().restart()

        assert [self.stop(story.price(px).wait(5)) for px in (117, 121)] == [115, 116]

    @at(*STOPS_REST)
    def test_paused_entries_let_it_trail(self, begin):
        story = begin(policy=self.TRAIL).hold(stop=95, target=150).pause().price(120).wait(5)

        assert self.stop(story) == 115
        story.price(114).wait(10).over()


class TestScenario25TheDayEnds:
    """Stops that end with the day are put back while the position is held; an entry cannot fill unprotected."""

    @at(*STOP_ALONE)
    def test_the_stop_is_renewed(self, begin):
        begin().hold().yank("stop", "expired").wait(10).guarded(10)

    @at(*STOP_ALONE)
    def test_while_the_entry_still_works(self, begin):
        begin().open().price(100, size=4).yank("stop", "canceled").wait(10).guarded(4).price(100, size=6).guarded(10)


class TestWild12PriceBand:
    """The venue takes no stop so far away: it is watched here, told as guarded, and no reason to sell."""

    @at(*STOP_ALONE)
    def test_it_is_watched_here_and_rests_as_soon_as_it_may(self, begin):
        story = begin().next("stop", "price_band", 4).hold()

        assert (story.position, story.trades()) == (10, [])
        story.wait(300).guarded(10)

    @at(*STOP_ALONE)
    def test_and_is_obeyed_meanwhile(self, begin):
        story = begin().next("stop", "price_band", 1000).hold().wait(5).price(90).wait(10)

        story.over()


class TestWild13TooSmallAtItsStop:
    """What is worth too little at its stop could never be sold there: it is refused before it is bought."""

    @at(*EVERYWHERE)
    def test_refused_with_what_would_pass(self, begin):
        with pytest.raises(Refused) as error:
            begin(min_notional=1050).open(10)
        assert error.value.code == "min_notional"
        assert "what would pass: a quantity of at least" in str(error.value)
