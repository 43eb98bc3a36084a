"""The process dies at its Nth write, commit or send; every invariant holds, and again when it dies while recovering."""

import pytest

from grodtd.bootstrap import simulate_script
from grodtd.simulation.crashes import LIVES
from grodtd.venue.profiles import PROFILES

EVERY = 10


def violations(profile, *deaths, strategy="default"):
    history, _ = simulate_script(profile, deaths, strategy)
    return [(deaths, *violation) for violation in history.violations]


@pytest.mark.parametrize("strategy", LIVES)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_scripted_life_runs_through(profile, strategy):
    history, boundaries = simulate_script(profile, (), strategy)
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


@pytest.mark.parametrize("strategy", ["trail", "halves"])
@pytest.mark.parametrize("profile", PROFILES)
def test_death_in_the_middle_of_a_trail_or_a_sale_in_parts(profile, strategy):
    _, boundaries = simulate_script(profile, (), strategy)
    broken = [v for n in range(3, boundaries + 1, 4 * EVERY) for v in violations(profile, n, strategy=strategy)]
    assert not broken


@pytest.mark.parametrize("profile", PROFILES)
def test_the_trailing_life_moves_its_stop_and_keeps_it(profile):
    history, _ = simulate_script(profile, (), "trail")
    levels = {
        line.partition(" stop ")[2].split()[0] for line in history.log if " arrives: " in line and " stop " in line
    }
    assert len(levels) > 2 or profile == "no_stops"
