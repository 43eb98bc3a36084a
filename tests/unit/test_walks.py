"""The machines together, walked through every interleaving of a small venue: see tests/walks/walk.py.

Each step is checked (nothing oversold, nothing bare and unasked for, no stop loosened), and so is every state in
which nothing more is bound to happen: covered or ended, and of one mind with the venue.
"""

import os

import pytest

from tests.walks.scenes import SCENES
from tests.walks.settings import BY_NAME, MIRRORED, SETTINGS, deep, walked
from tests.walks.walk import Broken, Walker


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_walk(setting):
    walk = walked(setting)
    assert walk.states > 50
    assert walk.quiet > 0


@pytest.mark.parametrize("setting", MIRRORED, ids=lambda setting: setting.name)
def test_a_short_walks_as_the_long_does(setting):
    short, long = walked(setting), walked(BY_NAME[setting.name.removesuffix(" (short)")])
    assert (short.states, short.steps, short.quiet) == (long.states, long.steps, long.quiet)
    assert short.rows == long.rows


@pytest.mark.parametrize("name", SCENES)
def test_a_story_no_small_venue_comes_to(name):
    SCENES[name]()


def test_a_walk_that_comes_upon_something_says_the_way_there():
    setting = BY_NAME["oco: siblings are left alone"]
    strict = type(setting)(**{**vars(setting), "strict": True})  # a venue that leaves siblings alone does oversell
    with pytest.raises(Broken, match=r"(?s)S[12] .*way: .*fills"):
        Walker(strict).run()


@pytest.mark.hypothesis
@pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE") != "thorough", reason="minutes: make simulate walks these")
@pytest.mark.parametrize("setting", deep(), ids=lambda setting: setting.name)
def test_deep_walk(setting):
    Walker(setting, limit=5_000_000).run()
