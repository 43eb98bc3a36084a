"""Venues whose orders live for a day: a position held over a close is exposed by design, and armed again at the open.

The market of these stories opens an hour before they begin and closes after six and a half hours, every day.
"""

from decimal import Decimal

from grodtd.domain.bracket import Phase
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.policy import (
    Policy,
    RatchetOn,
    RatchetPolicy,
    ScaleOutPolicy,
    ScaleStep,
    TrailingPolicy,
    TrailMethod,
)
from grodtd.monitoring.explain import in_words
from grodtd.monitoring.status import bracket_status
from tests.integration.scenario_kit import (
    DAY_ONLY,
    HOUR_NS,
    MARGIN_DAY_WORLD,
    MARGIN_WORLD,
    PERP_DAY_WORLD,
    at,
)

D = Decimal
HALF_AT_1R = ScaleOutPolicy(steps=(ScaleStep(D("0.5"), at_r=D("0.5")),))
TRAIL = Policy(
    trailing=TrailingPolicy(method=TrailMethod.DISTANCE, amount=D(5)), ratchet=RatchetPolicy(on=RatchetOn.QUOTE)
)
NIGHT = NoteKind.MARKET_CLOSED
MORNING = NoteKind.MARKET_OPENS


def held_over(begin, **more):
    """A trade that stands when the day ends."""
    return begin(**more).keeps_hours().hold().close()


def exposed(story, quantity=10):
    """It is held, nothing of ours rests, nothing is owed, and that is told as the design's, not as an accident."""
    status = bracket_status(story.bracket, story.engine.terms(story.bracket), story.now_ns)
    assert (story.position, story.resting()) == (quantity, "")
    assert (status.level, status.exposed_qty, status.seconds_naked) == ("warning", quantity, 0)
    assert f"EXPOSED by design {quantity} of {quantity}: the market is closed" in status.verdict
    assert (story.told(NIGHT), story.alarms) == (1, [])
    return story.quiet()


class TestNight:
    """Nothing is sent in vain, nothing triggers, and the stop is back at the open."""

    @at(*DAY_ONLY)
    def test_the_stop_is_armed_again_at_the_open(self, begin):
        story = exposed(held_over(begin))
        sent = len(story.sent)
        exposed(story.wait(3 * 3600))
        assert len(story.sent) == sent, "nothing is tried while the market is closed"

        story.reopen(100).guarded(10)
        assert (story.told(MORNING), story.told(NoteKind.NAKED)) == (1, 0)

    @at(*DAY_ONLY)
    def test_night_after_night(self, begin):
        held_over(begin).reopen(100).guarded(10).close().reopen(101).guarded(10).price(90).over()

    @at(*DAY_ONLY)
    def test_reports_of_the_close_in_any_order(self, begin):
        story = begin().keeps_hours().hold().hold_reports().close().deliver("backwards", twice=True)

        exposed(story).reopen(100).guarded(10)

    @at(*DAY_ONLY)
    def test_a_price_of_the_night_triggers_nothing(self, begin):
        story = held_over(begin)

        exposed(story.price(80).wait(60).price(120).wait(60)).reopen(100).guarded(10)

    @at(MARGIN_DAY_WORLD)
    def test_the_entry_dies_with_the_day_what_filled_is_kept(self, begin):
        story = begin().keeps_hours().enter().price(100, size=4).close()

        exposed(story, 4).reopen(101).guarded(4)
        assert story.told(NoteKind.ENTRY_ENDED) == 1

    @at(*DAY_ONLY)
    def test_its_story_says_why_and_until_when(self, begin):
        story = held_over(begin)
        open_ns = story.hours[0][1]

        (note,) = [note for note in story.notes if note.kind is NIGHT]
        assert (note.severity, int(note.data["until_ns"])) == (Severity.WARNING, open_ns)
        assert in_words(note).startswith("rule 10, EXPOSED by design: the market is closed")


class TestMorning:
    """The stop is never looser than it was, and a market that opened beyond it is left by the ladder."""

    @at(*DAY_ONLY)
    def test_a_stop_that_had_moved_comes_back_where_it_was(self, begin):
        story = begin(policy=TRAIL).keeps_hours().hold(stop=95, target=150).price(120).wait(5).close().reopen(118)

        assert story.resting().startswith("stop 10 @ 115")

    @at(*DAY_ONLY)
    def test_and_moves_on_from_there(self, begin):
        story = begin(policy=TRAIL).keeps_hours().hold(stop=95, target=150).price(120).wait(5).close()
        story.price(140).wait(5)  # a quote of the night is nobody's best price

        assert story.reopen(119).price(121).wait(5).resting().startswith("stop 10 @ 116")

    @at(*DAY_ONLY)
    def test_a_gap_through_the_stop_is_a_stop_that_was_hit(self, begin):
        story = held_over(begin).reopen(80).wait(10).over()

        assert {trade.split()[-1] for trade in story.trades()} == {"80"}
        assert story.bracket.exit_reason in ("stop", "")

    @at(*DAY_ONLY)
    def test_a_gap_the_feed_does_not_tell(self, begin):
        held_over(begin).reopen(80, seen=False).wait(10).over()

    @at(*DAY_ONLY)
    def test_a_gap_beyond_the_target_takes_it(self, begin):
        story = held_over(begin).reopen(100).price(112).wait(10).over()

        assert sum(D(trade.split()[1]) for trade in story.trades()) == 10

    @at(*DAY_ONLY)
    def test_what_was_moved_by_hand_in_the_night(self, begin):
        held_over(begin).move_stop(95).reopen(100).guarded(10, stop=95)

    @at(*DAY_ONLY)
    def test_a_little_after_the_open_if_so_wished(self, begin):
        story = exposed(held_over(begin, protection={"rearm_at_open_s": 60}))

        story.reopen(100)
        assert story.resting() == ""
        story.wait(60).guarded(10)

    @at(*DAY_ONLY)
    def test_before_the_open_where_the_venue_takes_it(self, begin):
        story = held_over(begin, protection={"rearm_at_open_s": -3600})
        story.venue.resume("X")
        story.wait((story.hours[0][1] - story.now_ns - HOUR_NS // 2) / 1e9)

        story.guarded(10)

    @at(*DAY_ONLY)
    def test_refused_before_the_open_it_waits_for_it(self, begin):
        story = held_over(begin, protection={"rearm_at_open_s": -3600})
        sent = len(story.sent)
        story.wait((story.hours[0][1] - story.now_ns) / 1e9 - 1)
        assert len(story.sent) == sent + 1, "one attempt, at the time asked for"

        story.reopen(100).guarded(10)


class TestTargetsInSteps:
    """Each part's own exits come back, for what is left of it."""

    @at(*DAY_ONLY)
    def test_half_was_sold_before_the_night(self, begin):
        story = begin(policy=Policy(scale_out=HALF_AT_1R)).keeps_hours().hold().price(105).wait(10)
        story.price(104).wait(10)
        assert story.position == 5
        before = story.resting()

        assert exposed(story.close(), 5).reopen(104).resting() == before

    @at(*DAY_ONLY)
    def test_none_was(self, begin):
        story = begin(policy=Policy(scale_out=HALF_AT_1R)).keeps_hours().hold()
        before = story.resting()

        story = exposed(story.close()).reopen(104).wait(5)
        assert story.resting() == before
        story.price(105).wait(10)
        assert story.position == 5


class TestRestart:
    """A process that dies, whenever, finds out what the close did."""

    @at(*DAY_ONLY)
    def test_in_the_night(self, begin):
        exposed(held_over(begin).kill().wait(3600).restart()).reopen(100).guarded(10)

    @at(*DAY_ONLY)
    def test_dead_at_the_close_alive_in_the_night(self, begin):
        story = begin().keeps_hours().hold().kill().close().wait(3600).restart()

        exposed(story).reopen(100).guarded(10)

    @at(*DAY_ONLY)
    def test_dead_until_the_market_is_open(self, begin):
        held_over(begin).kill().reopen(100).wait(60).restart().wait(5).guarded(10)

    @at(*DAY_ONLY)
    def test_dead_from_before_the_close_until_the_market_is_open(self, begin):
        begin().keeps_hours().hold().kill().close().reopen(100).wait(60).restart().wait(5).guarded(10)


class TestLeavingWhileClosed:
    """Somebody wants out at night: it is tried, refused, and tried again at the open."""

    @at(*DAY_ONLY)
    def test_out_at_the_open(self, begin):
        story = held_over(begin).flatten().wait(3600)
        tried = [request for request in story.sent if request.startswith("exit")]
        assert (len(tried), story.bracket.phase) == (1, Phase.EXITING)

        story.reopen(101).wait(10).over("exit 10 @ 101")


class TestWhoDoesNotSayThatItIsClosed:
    """Calendar and venue must both say so; otherwise the stop is put back as ever."""

    @at(MARGIN_DAY_WORLD, PERP_DAY_WORLD)
    def test_without_a_calendar_the_ladder_goes_on(self, begin):
        story = begin().hold().yank("stop", "expired").wait(10).guarded(10)

        assert story.told(NIGHT) == 0

    @at(MARGIN_DAY_WORLD, PERP_DAY_WORLD)
    def test_a_stop_lost_while_the_market_is_open(self, begin):
        story = begin().keeps_hours().hold().yank("stop", "expired").wait(10).guarded(10)

        assert story.told(NIGHT) == 0

    @at(MARGIN_WORLD)
    def test_a_halt_within_the_session_is_no_night(self, begin):
        story = begin().keeps_hours().next("stop", "halted", 3).hold().wait(30).guarded(10)

        assert story.told(NIGHT) == 0

    @at(MARGIN_WORLD)
    def test_good_till_cancelled_rests_through_the_night(self, begin):
        begin().keeps_hours().hold().close().guarded(10).reopen(100).guarded(10)
