"""Seeded histories: the real runtime, a lying link, a venue that takes stops away; checked against the venue's truth.

`make simulate` plays thousands; here a fixed set that a red build repeats exactly: `grodtd simulate --seed N --trace`.
"""

from collections import Counter

import pytest

from grodtd.bootstrap import simulate_one
from grodtd.simulation.campaign import LARGE, Campaign, run
from grodtd.simulation.faults import FREE, Fault, possible
from grodtd.simulation.world import LEAST_FAULTS, History
from grodtd.venue.profiles import MARGIN, NO_STOPS, PROFILES

SEEDS, CHUNK = 60, 30


@pytest.mark.parametrize("first", range(1, SEEDS + 1, CHUNK))
@pytest.mark.parametrize("profile", PROFILES)
def test_no_history_breaks_an_invariant(profile, first):
    campaign = run(simulate_one, range(first, first + CHUNK), [profile])
    assert not campaign.failures, "\n".join(campaign.lines())
    assert campaign.count == CHUNK
    assert campaign.brackets > 3 * CHUNK, "histories with hardly a bracket prove little"
    assert campaign.fewest_faults >= LEAST_FAULTS


def test_a_seed_tells_the_whole_story():
    again = [simulate_one(7, "spot_oco") for _ in range(2)]
    assert again[0].log == again[1].log
    assert again[0].faults == again[1].faults
    assert len(again[0].log) > 50


def test_every_kind_of_fault_does_happen():
    campaign = run(simulate_one, range(100, 115), PROFILES)
    assert campaign.missed == []
    assert campaign.kills > 0


def a_history(*kinds, faults_each=LEAST_FAULTS, violations=()):
    return History(1, "margin", Counter(dict.fromkeys(kinds, faults_each)), violations=list(violations))


def campaign_of(*histories):
    campaign = Campaign()
    for history in histories:
        campaign.add(history)
    return campaign


def test_a_campaign_with_a_violation_fails():
    assert campaign_of(a_history(*possible(MARGIN))).passed
    assert not campaign_of(a_history(*possible(MARGIN), violations=[("S1", "oversold")])).passed


def test_a_campaign_with_a_quiet_history_fails():
    quiet = campaign_of(a_history(Fault.KILL, faults_each=LEAST_FAULTS - 1), a_history(Fault.KILL))
    assert not quiet.passed
    assert "fewer than" in "\n".join(quiet.lines())


def test_faults_that_come_by_the_dozen_do_not_make_a_history_hard():
    assert not campaign_of(a_history(*FREE)).passed


def test_a_large_campaign_that_never_struck_a_kind_fails():
    all_but_one = [kind for kind in possible(MARGIN) if kind is not Fault.TAKEN_OVER]
    large = campaign_of(*[a_history(*all_but_one)] * LARGE)
    assert large.missed == [Fault.TAKEN_OVER]
    assert not large.passed
    assert campaign_of(*[a_history(*all_but_one)] * (LARGE - 1)).passed, "a small one is too small to say"


def test_what_a_venue_cannot_do_wrong_is_not_asked_for():
    assert Fault.HALF_PAIR not in possible(MARGIN)
    assert Fault.STOP_TAKEN not in possible(NO_STOPS)
