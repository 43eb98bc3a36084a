"""The scenarios that peers get wrong, one class each, numbered as in the list they come from.

Told as a long of 10: in at 100, stop 90, target 110. A short is the same in the mirror.
"""

from decimal import Decimal
from itertools import permutations

import pytest
from msgspec.structs import replace

from grodtd.domain.bracket import Phase
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.notes import NoteKind
from grodtd.domain.policy import Plan
from grodtd.venue.bar_matching import FillModel
from grodtd.venue.profiles import MARGIN
from tests.integration.scenario_kit import (
    BARE_WORLD,
    BOTH_REST,
    EVERYWHERE,
    MARGIN_OCO_WORLD,
    MARGIN_WORLD,
    OCO_WORLD,
    PERP_WORLD,
    REPLAY_WORLD,
    SPOT_WORLD,
    STOP_ALONE,
    STOPS_REST,
    World,
    at,
)

COINS = {"fee_rate": "0.001", "fee_asset": FeeAsset.BASE}


class TestScenario1EntryFills:
    """Flat, the entry fills whole: stop and target exist for 10, the stop first."""

    @at(*EVERYWHERE)
    def test_both_exits_exist_for_what_filled(self, begin):
        story = begin().enter(10)
        assert (story.position, story.resting()) == (0, "")

        story.price(100).guarded(10)

    @at(*EVERYWHERE)
    def test_the_stop_is_sent_before_the_target(self, begin):
        story = begin().hold(10)

        assert (
            story.sent
            == {
                Plan.STOP_RESTING: ["stop stop1"],  # the target is watched here
                Plan.PAIR_REDUCE_ONLY: ["stop stop1", "target target1"],
                Plan.NATIVE_OCO: ["pair stop1"],
                Plan.SYNTHETIC: [],
            }[story.world.plan]
        )

    @at(PERP_WORLD)
    def test_the_target_waits_for_the_stops_acknowledgement(self, begin):
        story = begin().enter(10).hold_requests().price(100)
        story.hold_reports().requests_held = False
        story._pump()
        assert story.sent == ["stop stop1"]

        story.deliver().guarded(10)


class TestScenario2TargetFills:
    """The target fills whole: the stop is cancelled, nothing is held, nothing rests, the bracket is complete."""

    @at(*EVERYWHERE)
    def test_the_stop_goes(self, begin):
        begin().hold(10).price(110).over("target 10 @ 110")


class TestScenario3StopFills:
    """The stop fills whole: the target goes; a short alike."""

    @at(*STOPS_REST)
    def test_the_target_goes(self, begin):
        begin().hold(10).price(90).over("stop 10 @ 90")

    @at(BARE_WORLD)
    def test_a_stop_watched_here_gets_out_at_market(self, begin):
        begin().hold(10).price(90).over("exit 10 @ 90")


class TestScenario4OneBarTouchesBoth:
    """One bar spans 85 to 115: exactly one leg fills; pessimistically the stop, long and short alike."""

    @pytest.mark.parametrize(
        ("model", "open_px", "trade"),
        [
            (FillModel.PESSIMISTIC, 100, "stop 10 @ 90"),
            (FillModel.OPTIMISTIC, 100, "target 10 @ 110"),
            (FillModel.PATH, 97, "stop 10 @ 90"),
            (FillModel.PATH, 103, "target 10 @ 110"),
            (FillModel.PATH, 100, "stop 10 @ 90"),
        ],
    )
    @at(REPLAY_WORLD, PERP_WORLD, MARGIN_OCO_WORLD)
    def test_exactly_one_leg_fills(self, begin, model, open_px, trade):
        begin().hold(10).bar(open_px, 115, 85, 100, model).over(trade)


class TestScenario5EntryFillsInPieces:
    """4 of 10 fill: 4 are guarded, the entry still working; 6 more: 10."""

    @at(*EVERYWHERE)
    def test_each_piece_is_guarded_as_it_comes(self, begin):
        story = begin().enter(10)

        story.price(100, size=4).guarded(4)
        story.price(100, size=6).guarded(10)

        story.price(90).over()

    @at(*STOPS_REST)
    def test_the_naked_window_is_the_stops_way_to_the_venue(self, begin):
        story = begin().enter(10).price(100, size=4).price(100, size=6)

        assert story.bracket.naked_ns <= 50_000_000
        assert story.alarms == []


class TestScenario6SecondFillBeforeTheFirstAnswer:
    """1 fills, then 2, before the first stop is acknowledged: 3 are guarded, not 1."""

    @at(*EVERYWHERE)
    def test_all_three_are_guarded(self, begin):
        story = begin().enter(3).hold_requests().price(100, size=1).price(100, size=2)

        story.deliver().guarded(3)

    @at(*EVERYWHERE)
    def test_nor_when_the_answers_come_last(self, begin):
        story = begin().enter(3).price(100, size=1)
        story.hold_reports().price(100, size=2)

        story.deliver("backwards").wait(60).guarded(3)


class TestScenario7EntryEndsAfterAPartialFill:
    """4 of 10 filled and the entry ends: 4 stay guarded."""

    @pytest.mark.parametrize("end", ["canceled", "expired", "rejected", "by us"])
    @at(*EVERYWHERE)
    def test_what_filled_stays_guarded(self, begin, end):
        story = begin().enter(10).price(100, size=4)

        story = story.cancel_entry() if end == "by us" else story.entry_is(end)

        story.guarded(4).wait(3600).guarded(4)
        story.price(110).over("target 4 @ 110")

    @at(*EVERYWHERE)
    def test_an_entry_that_times_out_is_cancelled_and_its_fill_kept(self, begin):
        story = begin().enter(10).price(100, size=4).wait(3601)

        assert story.venue.order("E1").status == "canceled"
        story.guarded(4)


class TestScenario8EntryNeverFills:
    """Nothing filled and the entry ends: no exit was ever live, the bracket closes."""

    @pytest.mark.parametrize("end", ["canceled", "expired", "rejected", "by us"])
    @at(*EVERYWHERE)
    def test_no_exit_is_ever_live(self, begin, end):
        story = begin().enter(10)

        story = story.cancel_entry() if end == "by us" else story.entry_is(end)

        assert story.sent == []
        story.over()


class TestScenario9TargetFillsInPart:
    """The target fills 4 of 10: 6 stay guarded."""

    @at(*EVERYWHERE)
    def test_the_stop_shrinks_to_what_is_held(self, begin):
        story = begin().hold(10).price(110, size=4)
        story.price(105).wait(5)

        assert story.trades() == ["target 4 @ 110"]
        story.guarded(6)

    @at(*BOTH_REST)
    def test_whichever_report_comes_first(self, begin):
        """Where the venue ends the stop with the target's first fill, that end may be the first we hear."""
        story = begin().hold(10).hold_reports().price(110, size=4)

        story.deliver("backwards").price(105).wait(5).guarded(6)


class TestScenario10ThenTheStopFires:
    """After 4 of 10 at the target the stop fires: it fills exactly 6."""

    @at(*EVERYWHERE)
    def test_the_stop_sells_what_is_left(self, begin):
        story = begin().hold(10).price(110, size=4).price(105).wait(5).price(90)

        leg = "exit" if story.world.plan is Plan.SYNTHETIC else "stop"
        story.over("target 4 @ 110", f"{leg} 6 @ 90")

    @at(*STOPS_REST)
    def test_even_before_we_hear_of_the_target(self, begin):
        """Where both legs rest the venue may trade both before a word of it reaches us."""
        story = begin().hold(10).hold_reports().price(110, size=4).price(90, size=100)

        story.deliver().wait(60)

        if story.position:  # the pair ended with its first fill: what was left came home bare, and left
            story.price(90).wait(60)
        assert _sold(story) == 10
        story.over()


class TestScenario11BothLegsFillInPart:
    """The market flicks to 90 and sells 2, then to 110 and sells 5: 3 are left and guarded, never are 10 exceeded."""

    @at(*STOPS_REST)
    def test_three_are_left(self, begin):
        story = begin().hold(10).price(90, size=2).price(110, size=5)

        assert (story.position, _sold(story)) == (3, 7)
        assert (story.cover.open_qty, story.cover.protected_qty) == (3, 3)
        assert story.cover.committed_qty == 3

        story.price(85).wait(60)
        assert _sold(story) == 10
        story.over()

    @at(PERP_WORLD)
    def test_the_target_shrinks_with_the_stop(self, begin):
        begin().hold(10).price(90, size=2).wait(1).guarded(8)

    @at(*STOPS_REST)
    def test_whatever_order_the_reports_come_in(self, begin):
        story = begin().hold(10).hold_reports().price(90, size=2).price(110, size=5)

        story.deliver("backwards").wait(5)

        assert (story.position, story.cover.open_qty) == (3, 3)
        story.price(85).wait(60)
        assert _sold(story) == 10
        story.over()


class TestScenario12Lots:
    """Quantity 1, lots of 0.001, a third fills: the exits are whole lots, and never more than is held."""

    @at(*EVERYWHERE)
    def test_a_third_is_guarded_in_whole_lots(self, begin):
        story = begin(lot_size="0.001").enter(1).price(100, size="0.333333")

        story.guarded("0.333")

    @pytest.mark.parametrize("begin_held", ["0.333"])
    @at(*STOPS_REST)
    def test_after_a_third_at_the_target_too(self, begin, begin_held):
        story = begin(lot_size="0.001").hold(1).price(110, size="0.333333").price(105).wait(5)

        assert story.trades() == [f"target {begin_held} @ 110"]
        story.guarded("0.667")


class TestScenario13TargetRefused:
    """The target is refused: the stop stays, the target is tried again, or given up aloud."""

    @at(PERP_WORLD)
    def test_once_then_it_is_sent_again(self, begin):
        story = begin().next("target", "would_take").hold(10)

        assert story.resting() == "stop 10 @ 90"
        assert story.cover.protected_qty == 10
        assert story.told(NoteKind.TARGET_LOST) == 1
        story.wait(5).guarded(10)

    @at(PERP_WORLD)
    def test_always_then_the_stop_alone_guards_and_the_target_is_watched_here(self, begin):
        story = begin().next("target", "would_take", times=100).hold(10).wait(600)

        assert story.resting() == "stop 10 @ 90"
        assert story.cover.protected_qty == 10
        assert story.bracket.plan is Plan.STOP_RESTING
        assert story.told(NoteKind.DEMOTED) == 1

        story.price(90).over("stop 10 @ 90")

    @at(OCO_WORLD, MARGIN_OCO_WORLD)
    def test_a_refused_pair_leaves_a_stop_not_nothing(self, begin):
        story = begin().next("pair", "price_band").hold(10).wait(5)

        assert story.resting() == "stop 10 @ 90"
        assert story.cover.protected_qty == 10
        story.price(110).over("target 10 @ 110")

    @at(*STOP_ALONE)
    def test_a_target_refused_when_it_was_to_be_taken_brings_the_stop_back(self, begin):
        story = begin().next("target", "price_band").hold(10).price(110)

        story.price(105).wait(5).guarded(10)


class TestScenario14StopRefused:
    """The stop is refused: again, as another type, watched here, and out at market; never bare past the limit."""

    @at(MARGIN_WORLD, SPOT_WORLD, PERP_WORLD)
    def test_once_then_it_is_sent_again_within_a_second(self, begin):
        story = begin().next("stop", "not_today").hold(10)
        assert story.cover.protected_qty == 0
        assert story.told(NoteKind.STOP_REFUSED) == 1

        story.wait(1)

        story.guarded(10)
        assert story.bracket.naked_ns <= 1_000_000_000

    @at(MARGIN_WORLD, SPOT_WORLD, PERP_WORLD)
    def test_always_then_we_get_out(self, begin):
        story = begin().next("stop", "not_today", times=1000).hold(10).wait(60)

        story.over("exit 10 @ 100")
        assert story.told(NoteKind.LOCAL_STOP) == 1
        assert story.alarms
        assert story.bracket.naked_ns <= 60_000_000_000

    @at(MARGIN_WORLD, SPOT_WORLD, PERP_WORLD)
    def test_and_meanwhile_the_stop_is_watched_here(self, begin):
        story = begin().next("stop", "not_today", times=1000).hold(10).price(90)

        story.over("exit 10 @ 90")

    @at(MARGIN_WORLD, PERP_WORLD)
    def test_a_halt_is_no_reason_to_sell(self, begin):
        story = begin().next("stop", "halted", times=8).hold(10).wait(20)
        assert (story.position, story.trades()) == (10, [])

        story.wait(600).guarded(10)

    @at(MARGIN_WORLD, SPOT_WORLD, PERP_WORLD)
    def test_a_stop_taken_away_by_the_venue_is_put_back(self, begin):
        begin().hold(10).yank("stop", "canceled").guarded(10).yank("stop", "expired").wait(5).guarded(10)


class TestScenario15BothLegsFill:
    """Both legs fill 10 before a cancel arrives: 10 too many is noticed, bought back to 0, and told once."""

    @at(World("both", replace(MARGIN, name="both", native_oco=True), Plan.NATIVE_OCO))
    def test_the_excess_is_bought_back_and_told_once(self, begin):
        story = begin(overfill=True).hold(10)
        story.unlink()

        story.hold_reports().price(110, size=10).price(90, size=10)
        assert story.position == -10

        story.deliver()
        assert story.told(NoteKind.OVERSOLD) == 1
        assert story.bracket.incidents == 1
        story.over("target 10 @ 110", "stop 10 @ 90", "remedy 10 @ 90")
        story.wait(600).over()
        assert story.told(NoteKind.OVERSOLD) == 1


class TestScenario16CancelOfTheStopRefused:
    """The target filled and the stop's cancel is refused: 'filled already' leads to 15; 'unknown' is no end."""

    @at(PERP_WORLD)
    def test_unknown_is_asked_about_until_it_is_known(self, begin):
        story = begin().hold(10).next("cancel", "unknown_order", times=3).price(110)
        assert story.bracket.phase is Phase.CLOSING
        assert story.resting() == "stop 10 @ 90"

        story.wait(10).over("target 10 @ 110")

    @at(PERP_WORLD)
    def test_no_answer_is_no_end(self, begin):
        story = begin().hold(10).next("cancel", "lost", times=3).price(110)
        assert story.bracket.phase is Phase.CLOSING

        story.wait(20).over("target 10 @ 110")

    @at(*STOP_ALONE)
    def test_a_stop_that_filled_while_its_cancel_travelled_is_the_exit(self, begin):
        """The target is touched, the stop's cancel travels, the market falls back through the stop: sold once."""
        story = begin().hold(10).hold_requests().price(110).price(90)

        story.deliver().wait(20)

        story.over("stop 10 @ 90")

    @at(*STOP_ALONE)
    def test_nothing_is_sold_at_the_target_until_the_stops_end_is_certain(self, begin):
        story = begin().hold(10).next("cancel", "lost", times=2).price(110)
        assert story.trades() == []

        story.price(110).wait(20)
        story.over("target 10 @ 110")


class TestScenario18GapsThroughTheStop:
    """Stop 90: a bar that opens at 80 fills at 80; one that opens at 95 and falls to 85 fills at 90."""

    @pytest.mark.parametrize("model", list(FillModel))
    @pytest.mark.parametrize(("bar", "px"), [((80, 84, 78, 82), 80), ((95, 97, 85, 88), 90), ((90, 91, 89, 90), 90)])
    @at(REPLAY_WORLD, MARGIN_WORLD, PERP_WORLD)
    def test_on_bars(self, begin, model, bar, px):
        begin().hold(10).bar(*bar, model).over(f"stop 10 @ {px}")

    @at(*STOPS_REST)
    def test_on_quotes(self, begin):
        begin().hold(10).price(80).over("stop 10 @ 80")

    @at(REPLAY_WORLD)
    def test_a_target_gapped_over_fills_at_the_open(self, begin):
        begin().hold(10).bar(112, 114, 111, 113).over("target 10 @ 112")


class TestScenario19StopThroughTheMarketAtPlacement:
    """The entry fills at 88 with the stop at 90: no silent refusal, out at once."""

    @at(*EVERYWHERE)
    def test_we_are_out_at_once(self, begin):
        story = begin().enter(10, 100, stop=90).price(88)

        story.wait(1).over("exit 10 @ 88")
        assert story.told(NoteKind.LEAVING) == 1
        assert story.bracket.exit_reason == "stop"
        assert story.bracket.naked_ns <= 1_000_000_000

    @at(*STOPS_REST)
    def test_when_the_market_ran_through_it_while_the_stop_travelled(self, begin):
        story = begin().enter(10).hold_requests().price(100).price(88, seen=False)

        story.deliver().wait(5)

        assert _sold(story) == 10
        story.over()
        assert story.bracket.exit_reason == "stop"


class TestScenario20Killed:
    """The process dies at the worst moment; after the restart the exits are right, and there is one of each."""

    @at(*EVERYWHERE)
    def test_with_the_entry_resting(self, begin):
        story = begin().enter(10).kill().restart()
        assert story.sent == []

        story.price(100).guarded(10)

    @at(*EVERYWHERE)
    def test_and_the_entry_fills_while_we_are_down(self, begin):
        begin().enter(10).kill().price(100).restart().wait(60).guarded(10)

    @at(*EVERYWHERE)
    def test_with_the_entry_partly_filled(self, begin):
        story = begin().enter(10).price(100, size=4).kill().restart().wait(60).guarded(4)

        story.price(100, size=6).guarded(10)

    @at(*EVERYWHERE)
    def test_and_more_of_it_fills_while_we_are_down(self, begin):
        begin().enter(10).price(100, size=4).kill().price(100, size=6).restart().wait(60).guarded(10)

    @at(*STOPS_REST)
    def test_before_the_stop_was_sent(self, begin):
        story = begin().enter(10).hold_requests().price(100)
        assert story.resting() == ""

        story.kill().restart().wait(60).guarded(10)

    @at(*STOPS_REST)
    def test_between_the_stop_and_the_word_that_it_rests(self, begin):
        story = begin().enter(10).price(100, size=4)
        story.hold_reports().price(100, size=6)

        story.kill().restart().wait(60).guarded(10)

    @at(PERP_WORLD)
    def test_between_the_stop_and_the_target(self, begin):
        story = begin().enter(10).hold_requests().price(100)
        story.hold_reports().send(1).kill()
        assert story.resting() == "stop 10 @ 90"

        story.restart().wait(60).guarded(10)

    @at(*STOPS_REST)
    def test_between_the_targets_fill_and_the_stops_cancel(self, begin):
        story = begin().hold(10).hold_requests().price(110).kill().restart()
        story.price(110).wait(60)

        story.over("target 10 @ 110")

    @at(*STOPS_REST)
    def test_while_the_stop_fills(self, begin):
        begin().hold(10).kill().price(90).restart().wait(60).over("stop 10 @ 90")

    @at(*EVERYWHERE)
    def test_twice_in_a_row(self, begin):
        begin().enter(10).price(100, size=4).kill().restart().kill().restart().wait(60).guarded(4)


class TestScenario21ClosedWhileDown:
    """The position was closed at the venue while we were down: what rests is cancelled, nothing is put back."""

    @at(*BOTH_REST)
    def test_by_its_target(self, begin):
        story = begin().hold(10)
        sent = list(story.sent)

        story.kill().price(110).restart().wait(60).over("target 10 @ 110")

        assert [request for request in story.sent[len(sent) :] if not request.startswith("cancel")] == []

    @at(PERP_WORLD)
    def test_in_part_by_its_target(self, begin):
        begin().hold(10).kill().price(110, size=4).price(105).restart().wait(60).guarded(6)


class TestScenario22EntryTimedOut:
    """The entry's submit timed out, and it is among no open orders because it filled: its fills are found."""

    @at(*EVERYWHERE)
    def test_the_fills_are_searched_and_guarded(self, begin):
        story = begin().enter(10).hold_reports().price(100).drop_reports()
        assert story.cover.open_qty == 0

        story.entry_unknown().wait(5)

        story.guarded(10)
        assert not [request for request in story.sent if "E1" in request]

    @at(*EVERYWHERE)
    def test_a_reconciliation_finds_them_as_well(self, begin):
        story = begin().enter(10).hold_reports().price(100).drop_reports()

        story.reconcile().wait(5).guarded(10)


class TestScenario23FeesInCoins:
    """A spot account that locks what it offers, 0.1 % fee in coins, 30 bought: 29.97 are held, 29.97 are guarded."""

    @pytest.mark.parametrize(("lot", "sellable"), [("0.01", "29.97"), ("0.1", "29.9"), ("1", "29")])
    @at(SPOT_WORLD)
    def test_the_exits_are_for_what_is_left_in_whole_lots(self, begin, lot, sellable):
        story = begin(lot_size=lot, **COINS).hold(30)

        assert story.position == Decimal("29.97")
        assert story.resting() == f"stop {sellable} @ 90"
        assert story.cover.protected_qty == Decimal(sellable)
        story.quiet()

    @pytest.mark.parametrize("fills", [(10, 10, 10), (1, 29), (29, 1)])
    @at(SPOT_WORLD, OCO_WORLD)
    def test_in_however_many_pieces_it_came(self, begin, fills):
        story = begin(lot_size="0.01", **COINS).enter(30)
        for size in fills:
            story.price(100, size=size)

        story.wait(5).guarded("29.97")

    @pytest.mark.parametrize(("px", "trade"), [(110, "target 29.9 @ 110"), (90, "stop 29.9 @ 90")])
    @at(SPOT_WORLD)
    def test_the_rest_is_named_and_left_not_tried_for_ever(self, begin, px, trade):
        story = begin(lot_size="0.1", min_notional=5, **COINS).hold(30).price(px).wait(600)

        assert story.position == Decimal("0.07")
        assert story.trades() == [trade]
        assert story.bracket.phase is Phase.RESIDUE
        assert story.told(NoteKind.RESIDUE) == 1
        assert story.venue.open_orders() == []
        assert story.engine.next_deadline_ns is None


class TestScenario25ReportsTwiceAndOutOfOrder:
    """Reports that come twice, again, or in another order change nothing."""

    @at(*EVERYWHERE)
    def test_everything_twice(self, begin):
        story = begin().enter(10).hold_reports().price(100, size=4).price(100, size=6)
        story.deliver(twice=True).wait(60).guarded(10)

        story.hold_reports().price(110)
        story.deliver(twice=True).price(110).wait(60).over()
        assert _sold(story) == 10

    @at(*EVERYWHERE)
    def test_the_whole_day_again_after_a_reconnect(self, begin):
        story = begin().enter(10).price(100, size=4).price(100, size=6).price(110, size=4).price(105).wait(5)
        sent = list(story.sent)

        story.replay_reports().replay_reports().guarded(6)
        assert story.sent == sent

    @at(*EVERYWHERE)
    def test_the_day_again_after_the_end(self, begin):
        story = begin().hold(10).price(90)
        sent = list(story.sent)

        story.replay_reports().wait(60).over()
        assert story.sent == sent

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    @at(*EVERYWHERE)
    def test_later_fills_of_the_entry_in_any_order(self, begin, order):
        story = begin().enter(10).price(100, size=4)
        story.hold_reports().price(100, size=2).price(100, size=1).price(100, size=3)

        story.deliver(order).wait(60).guarded(10)

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    @at(MARGIN_WORLD, SPOT_WORLD)
    def test_fills_of_the_stop_in_any_order(self, begin, order):
        story = begin().hold(10).hold_reports().price(90, size=3).price(90, size=3).price(90, size=3)
        assert len(story.wire) == 3

        story.deliver(order).wait(60)

        assert (story.position, story.cover.open_qty, story.cover.protected_qty) == (1, 1, 1)
        story.price(90).over("stop 3 @ 90", "stop 3 @ 90", "stop 3 @ 90", "stop 1 @ 90")

    @at(*STOPS_REST)
    def test_the_stops_fill_before_its_acknowledgement(self, begin):
        story = begin().enter(10).hold_requests().price(100)
        story.hold_reports().send(1).price(90)

        story.deliver("backwards").wait(60)

        assert _sold(story) == 10
        story.over()


def _sold(story):
    """Units our exits traded."""
    return sum(Decimal(trade.split()[1]) for trade in story.trades())
