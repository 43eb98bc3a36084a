"""The process dies at its Nth write, commit or send; every invariant holds, and again when it dies while recovering."""

import pytest

from grodtd.bootstrap import simulate_script
from grodtd.venue.profiles import PROFILES

EVERY = 10


def violations(profile, *deaths):
    history, _ = simulate_script(profile, deaths)
    return [(deaths, *violation) for violation in history.violations]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_scripted_life_runs_through(profile):
    history, boundaries = simulate_script(profile, ())
    assert not history.violations
    assert boundaries > 40, "a life without boundaries tries no deaths"
    assert any("filled" in line for line in history.log)


@pytest.mark.parametrize("profile", PROFILES)
def test_death_at_every_tenth_boundary(profile):
    _, boundaries = simulate_script(profile, ())
    broken = [v for n in range(1, boundaries + 1, EVERY) for v in violations(profile, n)]
    assert not broken


@pytest.mark.parametrize("profile", PROFILES)
def test_death_again_while_recovering(profile):
    _, boundaries = simulate_script(profile, ())
    pairs = [(n, n + after) for n in range(5, boundaries, 4 * EVERY) for after in (1, 2, 4, 8)]
    broken = [v for first, second in pairs for v in violations(profile, first, second)]
    assert not broken
