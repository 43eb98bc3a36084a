"""The simulation's power: each deliberate fault in our own logic is caught by some history."""

import pytest

from grodtd.bootstrap import simulate_mutant, simulate_one
from grodtd.simulation.mutants import MUTANTS, spoiled
from grodtd.venue.profiles import PROFILES


def test_there_are_enough_of_them():
    assert len(MUTANTS) >= 12
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_is_caught(mutant):
    assert simulate_mutant(mutant.name, range(1, 41), list(PROFILES)) is not None


def test_everything_is_put_back_afterwards():
    for mutant in MUTANTS:
        with spoiled(mutant):
            pass
    assert not simulate_one(1, "margin").violations
