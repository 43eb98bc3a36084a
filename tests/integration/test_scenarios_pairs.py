"""What can happen to a linked pair at a venue that has such a thing: half of it, a leg dropped, a leg filled in part.

Told as a long of 10: in at 100, stop 90, target 110. A pair is never worth more than its stop: that comes back first.
"""

import pytest

from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import OrderType
from grodtd.domain.policy import Plan
from tests.integration.scenario_kit import (
    EVERYWHERE,
    MARGIN_OCO_WORLD,
    MARGIN_WORLD,
    OCO_WORLD,
    PERP_WORLD,
    SPOT_WORLD,
    STOPS_REST,
    at,
)
from tests.unit.engine_kit import PERP, STOPS, Trade, both_sides

PAIRS = (OCO_WORLD, MARGIN_OCO_WORLD)


class TestHalfAPair:
    """The request for a pair has no answer, and only one leg of it arrived."""

    @at(*PAIRS)
    def test_the_stop_alone_guards(self, begin):
        story = begin().next("pair", "stop alone").hold(10)
        assert story.cover.protected_qty == 10

        story.wait(60)
        assert story.resting().startswith("stop 10 @ 90")
        story.price(110).wait(30).over()
        assert [trade.split("@")[0] for trade in story.trades()] == ["target 10 "]

    @at(*PAIRS)
    def test_a_target_alone_makes_room_for_a_stop(self, begin):
        story = begin().next("pair", "target alone").hold(10).wait(60)

        assert story.resting().startswith("stop 10 @ 90")
        assert story.cover.protected_qty == 10
        story.price(90).wait(10).over("stop 10 @ 90")

    @at(*PAIRS)
    def test_and_meanwhile_the_stop_is_watched_here(self, begin):
        story = begin().next("pair", "target alone").hold(10).price(90)

        story.wait(60).over()
        assert story.told(NoteKind.STOP_CROSSED) == 1


class TestALegDropped:
    """The venue ends one leg of the pair; whatever it thinks of the other one, the stop is back before we act twice."""

    @at(*PAIRS)
    def test_the_target_filled_in_part_and_its_stop_went(self, begin):
        """No second passes: what is left is guarded with the very next request."""
        story = begin().hold(10).price(110, size=4)

        story.guarded(6)
        assert story.bracket.naked_ns < 10_000_000

    @pytest.mark.parametrize("order", [None, "backwards"])
    @at(*PAIRS)
    def test_the_stop_filled_in_part_and_its_target_went(self, begin, order):
        """It was triggered, so it sells the rest at the next price there is: nothing is sent beside it."""
        story = begin().hold(10).hold_reports().price(90, size=4).deliver(order)
        assert story.cover.protected_qty == 6

        story.price(95).wait(10).over("stop 4 @ 90", "stop 6 @ 95")
        assert story.sent == ["pair stop1"]

    @pytest.mark.parametrize("leg", ["stop", "target"])
    @at(*PAIRS)
    def test_the_venue_ends_a_pair_unasked(self, begin, leg):
        story = begin().hold(10).yank(leg, "canceled")

        assert story.resting().startswith("stop 10 @ 90")
        assert story.cover.protected_qty == 10
        story.price(110).wait(10).over("target 10 @ 110")

    @at(*PAIRS)
    def test_more_of_the_entry_comes_as_a_second_pair(self, begin):
        begin().enter(10).price(100, size=4).price(100, size=6).guarded(10)


class TestPairsThatCeaseToBeSafe:
    """Both legs rest only while the account's position is the bracket's; else the target goes and the stop stays."""

    @both_sides
    def test_a_second_bracket_opens_on_the_symbol(self, mirrored):
        trade = Trade(PERP, quantity=10, mirrored=mirrored)
        trade.acks("stop1", "target1")

        assert "cancel target1" in trade.request("C", 5, 5, account=15)
        assert trade.bracket.plan is Plan.STOP_RESTING
        assert trade.bracket.plan_reason.endswith("another bracket opened on the symbol")
        assert trade.engine.bracket("C").plan is Plan.STOP_RESTING

    @both_sides
    def test_somebody_adds_to_the_position(self, mirrored):
        trade = Trade(PERP, quantity=10, mirrored=mirrored)
        trade.acks("stop1", "target1")
        trade.account(15)
        trade.now_ns += 5_000_000_000

        assert trade.account(15) == ["cancel target1"]
        assert "the account holds" in trade.bracket.plan_reason

    @at(PERP_WORLD)
    def test_somebody_takes_from_it_and_it_is_the_brackets_again(self, begin):
        begin().hold(10).trades_elsewhere(-4).notices().guarded(6)


class TestScenario14TheLadder:
    """Each step of the ladder is bounded by the configuration, and each is told."""

    @pytest.mark.parametrize(
        ("after", "types"), [(0, "stop stop stop"), (1, "stop stop_limit stop"), (2, "stop stop stop_limit")]
    )
    @at(MARGIN_WORLD, SPOT_WORLD)
    def test_the_other_stop_type_is_tried_once_when_asked_for(self, begin, after, types):
        story = begin(protection={"other_stop_type_after": after}).next("stop", "busy", times=1000).hold(10).wait(2)

        assert [order.order_type.value for order in stops(story)][:3] == types.split()

    @at(MARGIN_WORLD, SPOT_WORLD)
    def test_the_other_stop_type_guards_where_the_venue_takes_it(self, begin):
        story = begin().next("stop", "busy", times=2).hold(10).wait(3)

        assert stops(story)[-1].order_type is OrderType.STOP_LIMIT
        assert story.cover.protected_qty == 10
        story.price(90).wait(5).over("stop 10 @ 90")

    @pytest.mark.parametrize("attempts", [0, 1, 5])
    @at(MARGIN_WORLD)
    def test_after_so_many_attempts_it_is_watched_here(self, begin, attempts):
        story = begin(protection={"stop_retry_attempts": attempts, "local_stop_s": 100})
        story.next("stop", "busy", times=attempts + 1).hold(10).wait(40)

        assert story.told(NoteKind.LOCAL_STOP) == 1
        story.guarded(10)

    @pytest.mark.parametrize("seconds", [0, 5, 20])
    @at(*STOPS_REST)
    def test_after_so_many_seconds_of_that_we_leave(self, begin, seconds):
        bounds = {"stop_retry_attempts": 0, "local_stop_s": seconds}
        story = begin(protection=bounds).next("stop", "busy", times=1000).next("pair", "busy", times=1000)
        story.hold(10).wait(seconds + 5)

        story.over("exit 10 @ 100")
        assert seconds * 10**9 <= story.bracket.naked_ns < (seconds + 5) * 10**9

    @both_sides
    def test_an_alarm_when_it_lasts_longer_than_the_bound_and_its_end(self, mirrored):
        trade = Trade(STOPS, mirrored=mirrored)
        trade.wait(1.9)
        assert trade.told("naked") == []

        trade.wait(0.2)
        assert [note.severity for note in trade.told("naked")] == [Severity.ALARM]
        trade.acks("stop1")
        assert [note.data["naked_ns"] for note in trade.told("covered")] == ["2100000000"]


class TestNobodyIsToldOfWhatIsUsual:
    """Going in, out, and nothing else: not a warning."""

    @at(*EVERYWHERE)
    def test_a_calm_trade_is_silent(self, begin):
        story = begin().hold(10).wait(3600).reconcile().price(110).wait(10).over()

        assert [note for note in story.notes if note.severity is not Severity.INFO] == []


def stops(story):
    """The stops the engine sent, oldest first, as its bracket remembers them."""
    return [order for order in story.bracket.orders if order.leg == "stop"]
