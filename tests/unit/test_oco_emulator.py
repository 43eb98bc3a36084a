"""One exit cancels the other, where the venue does not link them: in words, and as a table that can hide nothing."""

from tests.unit.engine_kit import AMENDS, NO_STOPS, PAIRS, PERP, STOPS, Trade, both_sides
from tests.walks.mutants import catcher, mutants, unneeded_rows


@both_sides
def test_a_stop_that_fills_leaves_nothing_behind(mirrored):
    trade = Trade(PERP, mirrored=mirrored)
    assert trade.first == ["send stop1: 10 stop 90"]  # the stop first: the target waits for its acknowledgement
    assert trade.acks("stop1") == ["send target1: 10 limit 110"]
    trade.acks("target1")
    assert trade.fills("stop1", 10) == ["cancel target1"]
    assert trade.phase == "closing"
    assert trade.cancels("target1") == []
    assert trade.phase == "closed"


@both_sides
def test_a_target_that_fills_in_part_makes_the_stop_smaller(mirrored):
    trade = Trade(PERP, mirrored=mirrored)
    trade.acks("stop1", "target1")
    assert trade.fills("target1", 4) == ["change stop1 into stop2: 6 stop 90"]
    assert trade.open == "6"


@both_sides
def test_what_is_locked_by_the_stop_is_freed_before_the_target_is_taken(mirrored):
    trade = Trade(STOPS, mirrored=mirrored)
    trade.acks("stop1")
    assert trade.quote(110) == ["cancel stop1"]
    assert trade.cancels("stop1") == ["send target1: 10 limit 110 now"]
    assert trade.fills("target1", 10, 110) == []
    assert trade.phase == "closed"


@both_sides
def test_a_stop_that_fills_while_its_cancel_travels_wins_the_race(mirrored):
    trade = Trade(STOPS, mirrored=mirrored)
    trade.acks("stop1")
    trade.quote(110)
    assert trade.fills("stop1", 10) == []
    assert trade.refuses("stop1", "too_late", "cancel") == []
    assert (trade.phase, trade.open) == ("closed", "0")


@both_sides
def test_a_target_missed_puts_the_stop_back(mirrored):
    trade = Trade(STOPS, mirrored=mirrored)
    trade.acks("stop1")
    trade.quote(110)
    trade.cancels("stop1")
    assert trade.cancels("target1") == ["send stop2: 10 stop 90"]


@both_sides
def test_a_target_nobody_pays_is_tried_later_and_later(mirrored):
    """Each attempt leaves the stop out for nothing: 0.5 s, 1 s, 2 s, 4 s ... between them."""
    trade = Trade(STOPS, mirrored=mirrored)
    trade.acks("stop1")
    for attempt, pause_s in enumerate([0.5, 1, 2, 4], 1):
        assert trade.quote(110) == [f"cancel stop{attempt}"]
        trade.cancels(f"stop{attempt}")
        trade.cancels(f"target{attempt}")
        trade.acks(f"stop{attempt + 1}")
        assert trade.wait(pause_s - 0.1) == []
        assert trade.quote(110) == []
        trade.wait(0.1)


@both_sides
def test_no_orders_rest_where_the_venue_has_no_stops(mirrored):
    trade = Trade(NO_STOPS, mirrored=mirrored)
    assert trade.first == []
    assert trade.quote(90) == ["send exit1: 10 limit 89 now"]


@both_sides
def test_a_linked_pair_is_sent_as_one(mirrored):
    trade = Trade(PAIRS, mirrored=mirrored)
    assert trade.first == ["send stop1: 10 stop 90 | target1: 10 limit 110"]
    trade.acks("stop1", "target1")
    assert trade.fills("target1", 10, 110) == []  # the venue cancels the other
    trade.cancels("stop1")
    assert trade.phase == "closed"


@both_sides
def test_more_of_the_entry_is_stopped_by_an_order_of_its_own(mirrored):
    trade = Trade(AMENDS, filled=4, mirrored=mirrored)
    trade.acks("stop1")
    assert trade.fills("entry1", 6) == ["send stop2: 6 stop 90"]  # a change could be lost: what rests is kept


def three_stops_on_their_way_to_95(mirrored):
    """Three pieces, a stop each, at a venue that can only cancel and place again: all three were asked to go."""
    trade = Trade(STOPS, filled=4, mirrored=mirrored)
    trade.acks("stop1")
    trade.fills("entry1", 3)
    trade.fills("entry1", 3)
    trade.acks("stop2", "stop3")
    assert trade.levels(stop=95) == ["cancel stop1", "cancel stop2", "cancel stop3"]
    return trade


@both_sides
def test_stops_that_must_be_placed_anew_to_move_come_back_as_one(mirrored):
    trade = three_stops_on_their_way_to_95(mirrored)
    assert trade.cancels("stop1") == []
    assert trade.cancels("stop2") == []  # the next request waits for the last answer all the same
    assert trade.cancels("stop3") == ["send stop4: 10 stop 95"]


@both_sides
def test_a_cancel_without_an_answer_keeps_nobody_waiting(mirrored):
    trade = three_stops_on_their_way_to_95(mirrored)
    trade.cancels("stop1")
    trade.cancels("stop2")
    assert trade.silence("stop3", "cancel") == ["ask stop3", "send stop4: 7 stop 95"]
    assert trade.cancels("stop3") == ["send stop5: 3 stop 95"]


@both_sides
def test_nor_does_one_whose_answer_never_comes(mirrored):
    """The program died with the answer on its way: once the cancel is repeated, nobody waits for the first."""
    trade = three_stops_on_their_way_to_95(mirrored)
    trade.cancels("stop1")
    trade.cancels("stop2")
    assert "send stop4: 7 stop 95" in trade.wait(2.5)


# ---------------------------------------------------------------- the table itself


def test_every_row_is_walked_or_told():
    assert unneeded_rows("exits") == []


def test_no_row_can_be_deleted_emptied_or_stopped_unnoticed():
    assert [mutant.name for mutant in mutants("exits") if not catcher(mutant)] == []
