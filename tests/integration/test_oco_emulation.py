"""One exit cancels the other, at every kind of venue, on any path of prices, with the wire slow where it likes.

The scripts come from chance, the venue from the house: at the end nothing is held, nothing of ours rests, and the
exits took exactly what the entry brought.
"""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.scenario_kit import (
    BARE_WORLD,
    EVERYWHERE,
    MARGIN_OCO_WORLD,
    MARGIN_WORLD,
    OCO_WORLD,
    PERP_WORLD,
    SPOT_WORLD,
    Story,
    at,
)

WORLDS = (MARGIN_WORLD, SPOT_WORLD, PERP_WORLD, OCO_WORLD, MARGIN_OCO_WORLD, BARE_WORLD)
NEAR_AND_FAR = st.sampled_from([86, 89, 90, 91, 95, 99, 100, 105, 109, 110, 111, 114])
STEP = st.one_of(
    st.tuples(st.just("price"), NEAR_AND_FAR, st.sampled_from([None, 1, 3, 7])),
    st.tuples(st.just("wait"), st.sampled_from([0.2, 1, 6])),
    st.tuples(st.just("hold_reports")),
    st.tuples(st.just("deliver")),
)


@given(st.sampled_from(WORLDS), st.booleans(), st.lists(STEP, max_size=12), st.sampled_from([88, 112]))
@settings(max_examples=250)
def test_any_path_sells_what_was_bought_once(world, mirrored, path, last_px):
    story = Story(world, mirrored and world.shorts).hold(10)
    for verb, *about in path:
        getattr(story, verb)(*about)
        if story.position == 0:
            break
    story.reports_held = False
    story.deliver()
    for px in (last_px, last_px, last_px):  # the market comes back with all the size one may want
        story.price(px).wait(30)
    story.over()
    taken = Counter()
    for trade in story.trades():
        leg, quantity, _, px = trade.split()
        taken[leg] += Decimal(quantity)
        assert leg != "target" or Decimal(px) >= 110
    assert sum(taken.values()) == 10
    assert story.bracket.incidents == 0


@at(*EVERYWHERE)
def test_the_target_takes_a_part_and_the_stop_the_rest(begin):
    story = begin().hold(10)
    story.price(110, size=4).wait(6)
    story.guarded(6)
    story.price(90).wait(6)
    story.over()
    assert sum(Decimal(trade.split()[1]) for trade in story.trades() if trade.startswith("target")) == 4


@at(MARGIN_WORLD, PERP_WORLD, MARGIN_OCO_WORLD)
def test_both_levels_within_one_breath_sell_once(begin):
    """Through the target, and through the stop before anybody hears of it."""
    story = begin().hold(10)
    story.hold_reports()
    story.price(111, seen=False).price(89, seen=False)
    story.reports_held = False
    story.deliver().wait(10)
    story.price(89).wait(10)
    story.over()


def test_the_story_fails_where_the_other_exit_is_left_alone():
    """The check itself can fail: a link that breaks sells twice, and the account shows it."""
    story = Story(MARGIN_OCO_WORLD).hold(10)
    story.unlink()
    with pytest.raises(AssertionError):
        story.price(111, seen=False).price(89, seen=False).over()
