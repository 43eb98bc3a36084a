"""Seeded histories: the real runtime, a lying link, a venue that takes stops away; checked against the venue's truth.

`make simulate` plays thousands; here a fixed set that a red build repeats exactly: `grodtd simulate --seed N --trace`.
"""

import pytest

from grodtd.bootstrap import simulate_one
from grodtd.simulation.campaign import Campaign, run
from grodtd.simulation.faults import STALE_ARE_FREE
from grodtd.venue.profiles import PROFILES

SEEDS, CHUNK = 60, 15


@pytest.mark.parametrize("first", range(1, SEEDS + 1, CHUNK))
@pytest.mark.parametrize("profile", PROFILES)
def test_no_history_breaks_an_invariant(profile, first):
    campaign = run(simulate_one, range(first, first + CHUNK), [profile])
    assert not campaign.failures, "\n".join(campaign.lines())
    assert campaign.count == CHUNK
    assert campaign.brackets > CHUNK, "histories without brackets prove nothing"
    assert campaign.faults.total() > 20 * CHUNK


def test_a_seed_tells_the_whole_story():
    again = [simulate_one(7, "spot_oco") for _ in range(2)]
    assert again[0].log == again[1].log
    assert again[0].faults == again[1].faults
    assert len(again[0].log) > 50


def test_every_kind_of_fault_the_link_and_the_venue_can_have_does_happen():
    campaign = Campaign()
    for seed in range(1, 9):
        for profile in PROFILES:
            campaign.add(simulate_one(seed, profile))
    common = [kind for kind in campaign.faults if kind not in STALE_ARE_FREE]
    assert len(common) >= 15
    assert campaign.kills > 0
    assert any(line.startswith("faults") for line in campaign.lines())
