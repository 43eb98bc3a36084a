"""What went wrong in other people's programs, told to this one: the same misfortune, another end.

Numbered as in the list of scenarios seen in the wild; told as a long of 10: in at 100, stop 90, target 110.
"""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from grodtd.domain.bracket import OrderState
from grodtd.domain.capabilities import ReduceOnly, StopOrders
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import OrderStatus, OrderType, TimeInForce
from grodtd.domain.policy import Plan
from grodtd.venue.profiles import MARGIN, PERP
from tests.integration.scenario_kit import (
    BARE_WORLD,
    BOTH_REST,
    EVERYWHERE,
    MARGIN_WORLD,
    OCO_WORLD,
    PERP_WORLD,
    SPOT_WORLD,
    STOP_ALONE,
    STOPS_REST,
    World,
    at,
)

COUNTED_WORLD = World("counted", replace(PERP, name="counted", reduce_only=ReduceOnly.COUNTED), Plan.STOP_RESTING)
STOP_LIMIT_WORLD = World(
    "stop_limits", replace(MARGIN, name="stop_limits", stop_orders=StopOrders.LIMIT), Plan.STOP_RESTING
)


class TestWild1TargetInPartThenStop:
    """The target took 4 and the stop fires: what is sold then is 6, not 10."""

    @at(*BOTH_REST)
    def test_only_what_is_left_is_sold(self, begin):
        story = begin().hold(10).price(110, size=4).price(105).wait(5).price(90)

        story.over("target 4 @ 110", "stop 6 @ 90")

    @at(PERP_WORLD)
    def test_even_in_the_same_breath(self, begin):
        story = begin().hold(10).hold_reports().price(110, size=4).price(90)

        story.deliver().over("target 4 @ 110", "stop 6 @ 90")


class TestWild2StopHitWhileTheEntryStillWorks:
    """6 of 10 filled, the rest still works, and the market is at the stop: the 6 are out, the rest is called off."""

    @at(*EVERYWHERE)
    def test_what_filled_is_out(self, begin):
        story = begin().enter(10).price(100, size=6).price(90, size=100, offered=0)

        story.wait(5).over()
        assert _sold(story) == 6
        assert story.venue.order("E1").status == "canceled"

        story.price(100).wait(60).over()


class TestWild3ReplaceThatCancelsFirst:
    """A venue that locks coins: moving the stop means cancelling it first, and then the new one is refused."""

    @at(SPOT_WORLD)
    def test_the_bare_time_is_told_and_the_stop_is_tried_again(self, begin):
        story = begin().hold(10).next("stop", "busy", times=2).move_stop(95)
        assert story.resting() == ""
        assert story.bracket.naked_since_ns is not None
        assert story.told(NoteKind.STOP_REFUSED) == 1

        story.wait(5)
        assert story.resting() == "stop 10 @ 95"
        assert story.cover.protected_qty == 10
        assert story.bracket.naked_ns > 0

    @at(SPOT_WORLD)
    def test_meanwhile_it_is_watched_here(self, begin):
        story = begin().hold(10).next("stop", "busy", times=1000).move_stop(95).price(95)

        story.wait(5).over("exit 10 @ 95")

    @at(SPOT_WORLD)
    def test_a_bare_time_that_lasts_is_an_alarm(self, begin):
        story = begin().hold(10).next("stop", "busy", times=1000).move_stop(95).wait(10)

        assert story.told(NoteKind.NAKED, Severity.ALARM) >= 1


class TestWild4StopFillsBeforeItsCancel:
    """We want out, the stop's cancel travels, the stop fills: nothing is sold twice, though more coins lie there."""

    @at(SPOT_WORLD, OCO_WORLD)
    def test_in_a_wallet_with_more_coins(self, begin):
        story = begin(held=50).hold(10).hold_requests().flatten().price(90)

        story.deliver().wait(60).over("stop 10 @ 90")

    @at(*STOPS_REST)
    def test_in_an_account_that_could_go_short(self, begin):
        story = begin().hold(10).hold_requests().flatten().price(90)

        story.deliver().wait(60).over("stop 10 @ 90")

    @at(*STOPS_REST)
    def test_when_it_filled_in_part_only_the_rest_is_sold(self, begin):
        story = begin().hold(10).hold_requests().flatten().price(90, size=4)

        story.deliver().price(89).wait(60)
        assert _sold(story) == 10
        story.over()


class TestWild5NoAnswerAndItArrived:
    """The stop's submit times out. It did arrive: no second stop. It did not: the same one again, or proof first."""

    @at(MARGIN_WORLD, SPOT_WORLD, PERP_WORLD)
    def test_it_arrived_and_there_is_one(self, begin):
        story = begin().next("stop", "answer lost").hold(10).wait(60).guarded(10)

        assert [request for request in story.sent if request.startswith("stop")] == ["stop stop1"]

    @at(SPOT_WORLD, PERP_WORLD)
    def test_it_did_not_and_the_same_id_goes_again(self, begin):
        """Where ids are unique for ever there can be only one."""
        story = begin().next("stop", "lost").hold(10)
        story.wait(5).guarded(10)

        assert [request for request in story.sent if request.startswith("stop")] == ["stop stop1", "stop stop1"]

    @at(SPOT_WORLD, PERP_WORLD)
    def test_the_first_comes_after_the_second(self, begin):
        story = begin().next("stop", "late").hold(10).wait(1).arrives_late()

        story.wait(60).guarded(10)

    @at(MARGIN_WORLD)
    def test_where_ids_come_again_the_next_waits_until_the_first_is_dead(self, begin):
        story = begin().next("stop", "lost").hold(10).wait(14)
        assert story.sent == ["stop stop1"]
        assert story.told(NoteKind.NAKED, Severity.ALARM) >= 1

        story.wait(10).guarded(10)
        assert story.sent == ["stop stop1", "stop stop2"]

    @at(MARGIN_WORLD)
    def test_and_meanwhile_it_is_watched_here(self, begin):
        """Nothing is sold while the lost stop may still arrive; when it cannot, we are out."""
        story = begin().next("stop", "lost").hold(10).price(90)

        story.price(90).wait(30).over("exit 10 @ 90")

    @at(OCO_WORLD)
    def test_a_pair_alike(self, begin):
        begin().next("pair", "answer lost").hold(10).wait(60).guarded(10)
        begin().next("pair", "lost").hold(10).wait(60).guarded(10)


class TestWild6NotFoundIsNotDead:
    """An order nobody finds arrives later, and fills: unknown is not failed."""

    @at(MARGIN_WORLD)
    def test_it_fills_and_counts(self, begin):
        story = begin().next("stop", "late").hold(10).wait(10)
        assert [order.state for order in story.bracket.orders if order.leg == "stop"] == [OrderState.UNSURE]

        story.arrives_late().guarded(10)
        story.price(90).over("stop 10 @ 90")

    @at(MARGIN_WORLD)
    def test_given_up_for_dead_and_alive_after_all(self, begin):
        """It arrives later than the venue said any order can: two stops rest, and one goes."""
        story = begin().next("stop", "late").hold(10).wait(30).guarded(10)

        story.arrives_late().wait(10).guarded(10)

    @at(MARGIN_WORLD)
    def test_and_when_both_fill_before_we_know_it_is_bought_back_and_told_once(self, begin):
        story = begin(overfill=True).next("stop", "late").hold(10).wait(30)

        story.hold_reports().arrives_late().price(90)
        assert story.position == -10

        story.deliver().wait(60)
        assert story.told(NoteKind.OVERSOLD) == 1
        story.over("stop 10 @ 90", "stop 10 @ 90", "remedy 10 @ 90")


class TestWild7KilledWithAPosition:
    """The process dies with a position, and its stop is gone when it is back: it is put back before anything else."""

    @at(*STOPS_REST)
    def test_a_stop_that_vanished_is_put_back(self, begin):
        story = begin().hold(10).kill().yank("stop", "canceled").restart()

        story.wait(5)
        assert story.cover.protected_qty == 10
        assert story.resting().startswith("stop 10 @ 90")
        story.price(90).over("stop 10 @ 90")

    @at(*STOPS_REST)
    def test_a_stop_that_rests_is_left_alone(self, begin):
        story = begin().hold(10)
        sent = list(story.sent)

        story.kill().wait(86400).restart().wait(60).guarded(10)
        assert story.sent == sent


class TestWild8NotFoundAfterARestart:
    """After a restart the venue does not find an order: its fills are looked at before it is called cancelled."""

    @at(*STOPS_REST)
    def test_it_filled_and_nothing_is_sold_again(self, begin):
        story = begin().hold(10).kill().price(90)
        story.forgetful = True

        story.restart().wait(60).over("stop 10 @ 90")

    @at(*STOP_ALONE)
    def test_a_venue_that_finds_nothing_for_a_moment_is_not_believed(self, begin):
        story = begin().hold(10).kill()
        sent = list(story.sent)
        story.blind = True
        story.restart().wait(1)
        assert story.sent == sent

        story.blind = False
        story.wait(60).guarded(10)


class TestWild9CloseRefusedBecauseExitsRest:
    """Stop and target rest for the whole position and somebody wants out: they go first, then it is sold."""

    @at(*EVERYWHERE, COUNTED_WORLD)
    def test_cancel_then_close(self, begin):
        story = begin().hold(10).flatten().wait(5)

        story.over("exit 10 @ 100")
        assert story.refusals == []
        assert story.sent[-1].startswith("exit")


class TestWild10CloseRefused:
    """The stop was cancelled for a close by hand, and the close is refused: the stop goes back meanwhile."""

    @at(*STOPS_REST)
    def test_the_stop_is_back(self, begin):
        story = begin().hold(10).next("exit", "margin").flatten()
        assert story.resting() == "stop 10 @ 90"
        assert story.cover.protected_qty == 10
        assert story.told(NoteKind.STOP_RESTORED) == 1

        story.wait(10).over("exit 10 @ 100")

    @at(*STOPS_REST)
    def test_and_guards_if_the_close_is_never_taken(self, begin):
        story = begin().hold(10).next("exit", "margin", times=1000).flatten().wait(1).price(90)

        story.wait(60).over()
        assert _sold(story) == 10


class TestWild11StopThroughTheMarket:
    """The market fell fast and the new stop is through it: that stop was hit. Out, in a collar that widens."""

    @at(*STOPS_REST)
    def test_a_stop_moved_through_the_market_takes_us_out(self, begin):
        story = begin().hold(10).price(92, seen=False).move_stop(95).wait(10)

        story.over("exit 10 @ 92")
        assert story.bracket.exit_reason == "stop"

    @at(BARE_WORLD)
    def test_the_first_attempt_stays_in_a_collar(self, begin):
        story = begin().hold(10).price(90)

        (exit_order,) = _exits(story)
        assert (exit_order.order_type, exit_order.time_in_force) == (OrderType.LIMIT, TimeInForce.IOC)
        assert abs(exit_order.limit_px - story.px(90)) <= Decimal("0.56")  # 50 bps of the price, a short's is 110

    @at(BARE_WORLD)
    def test_which_widens_until_it_is_market(self, begin):
        story = begin().hold(10).hold_requests().price(90).price(80, seen=False)

        story.deliver().wait(10).over("exit 10 @ 80")
        assert [order.order_type for order in _exits(story)] == [OrderType.LIMIT] * 3 + [OrderType.MARKET]


class TestWild14FeeTakenInCoins:
    """The fee came out of the coins: the stop is for what is left, so the venue has no reason to refuse it."""

    @pytest.mark.parametrize("lot", ["0.001", "0.01", "0.1"])
    @at(SPOT_WORLD, OCO_WORLD)
    def test_no_stop_is_refused_for_want_of_coins(self, begin, lot):
        story = begin(lot_size=lot, fee_rate="0.001", fee_asset=FeeAsset.BASE).enter(30)
        story.price(100, size=7).price(100, size=11).price(100, size=12).wait(10)

        assert story.refusals == []
        assert story.position == Decimal("29.97")
        assert Decimal("29.97") - story.cover.protected_qty < Decimal(lot)


class TestWild15StopLimitRanPast:
    """A stop-limit triggers and the market is past its limit: unfilled, so we get out at market."""

    @at(STOP_LIMIT_WORLD)
    def test_we_do_not_stay_in(self, begin):
        story = begin().hold(10)
        assert story.resting() == "stop 10 @ 90"

        story.price(80).wait(5).over("exit 10 @ 80")

    @at(STOP_LIMIT_WORLD)
    def test_when_it_filled_in_part_the_rest_is_out(self, begin):
        story = begin().hold(10).price(90, size=4).price(80).wait(5)

        story.over("stop 4 @ 90", "exit 6 @ 80")


class TestWild17StreamSilentlyDead:
    """The stream of reports is dead and says nothing; the stop fills: a comparison with the venue finds it."""

    @at(*STOPS_REST)
    def test_the_exit_is_found(self, begin):
        story = begin().hold(10)
        story.deaf = True
        story.price(90)
        assert story.cover.open_qty == 10

        story.reconcile().wait(5).over("stop 10 @ 90")

    @at(*STOPS_REST)
    def test_a_part_of_it_too(self, begin):
        story = begin().hold(10)
        story.deaf = True
        story.price(90, size=4)
        story.reconcile()
        story.deaf = False

        story.wait(60)
        assert (story.position, story.cover.open_qty) == (6, 6)
        story.price(90).wait(60)
        assert _sold(story) == 10
        story.over()


class TestWild18PriceFeedFrozen:
    """No price reaches us for hours: a stop that rests at the venue does not mind."""

    @at(*STOPS_REST)
    def test_the_stop_sells_without_us(self, begin):
        begin().hold(10).wait(7200).price(90, seen=False).over("stop 10 @ 90")


class TestWild19Ticks:
    """Levels off the tick: the stop goes towards the entry, the target away from it, neither to the wrong side."""

    @pytest.mark.parametrize(
        ("tick", "stop", "target", "stop_px", "target_px"),
        [("0.5", "97.63", "110.2", "98", "110.5"), ("0.05", "97.63", "110.2", "97.65", "110.2")],
    )
    @at(*STOPS_REST)
    def test_given_levels(self, begin, tick, stop, target, stop_px, target_px):
        story = begin(tick_size=tick).hold(10, stop=stop, target=target)

        story.guarded(10, stop=stop_px, target=target_px)
        assert story.refusals == []

    @at(*STOPS_REST)
    def test_a_computed_stop_never_rounds_onto_the_entry(self, begin):
        story = begin(tick_size="0.5").hold(10, stop=None, target=None, atr="0.01")

        story.guarded(10, stop="99.5", target="101")
        assert story.refusals == []


class TestWild20StopsPileUp:
    """The venue finds no stop of ours any more, again and again: new ones do not pile up."""

    @at(MARGIN_WORLD, SPOT_WORLD, PERP_WORLD)
    def test_a_stop_that_cannot_be_found_is_not_doubled_at_once(self, begin):
        story = begin().hold(10)
        story.blind = True
        for _ in range(20):
            story.reconcile()
        assert [request for request in story.sent if request.startswith("stop")] == ["stop stop1"]

        story.blind = False
        story.wait(60).guarded(10)


class TestWild20TheVenueDeniesWhatItHolds:
    """A stop that rests is denied for longer than any proof takes, and so is the one sent in its place."""

    @at(MARGIN_WORLD, PERP_WORLD)
    def test_two_may_rest_and_no_more_are_sent(self, begin):
        story = denying(begin().hold(10))

        assert [request for request in story.sent if request.startswith("stop")] == ["stop stop1", "stop stop2"]
        assert story.told(NoteKind.STOPS_DENIED, Severity.ALARM) == 1
        assert story.told(NoteKind.NAKED, Severity.ALARM) >= 1

    @at(MARGIN_WORLD, SPOT_WORLD)
    def test_when_it_admits_them_one_stays(self, begin):
        story = denying(begin().hold(10))

        story.blind = False
        story.reconcile().wait(10).reconcile().wait(10).guarded(10)
        assert story.bracket.denied_stops == 0

    @at(SPOT_WORLD)
    def test_where_coins_are_locked_the_refusal_says_that_it_lives(self, begin):
        """A second stop is refused for want of coins: the first one claims them. That is no reason to sell."""
        story = denying(begin().hold(10))

        assert story.refusals == ["insufficient_inventory"]
        assert story.trades() == []

    @at(BARE_WORLD, MARGIN_WORLD)
    def test_meanwhile_the_stop_is_watched_here(self, begin):
        story = denying(begin().hold(10))
        for report in story.venue.open_orders():  # they were gone indeed
            story.venue.yank(report.client_order_id, OrderStatus.CANCELED, "venue", story.now_ns)

        story.price(90).wait(10).over("exit 10 @ 90")

    @at(MARGIN_WORLD)
    def test_a_hand_that_moves_the_stop_has_one_sent(self, begin):
        story = denying(begin().hold(10))

        story.move_stop(91)
        assert story.sent[-1] == "stop stop3"


def denying(story):
    """For five minutes the venue knows none of our orders when asked; it takes new ones in all the same."""
    story.blind = True
    for _ in range(60):
        story.reconcile().wait(5)
    return story


def _sold(story):
    """Units our exits traded."""
    return sum(Decimal(trade.split()[1]) for trade in story.trades())


def _exits(story):
    """Our exits at market, oldest first, as they were sent."""
    return [report.order for report in story.venue.history() if ".exit" in report.client_order_id]
