"""Trailing, break-even, locks, scale-out and time exits give, exit for exit, what the slow independent twin gives.

How the twin reads the design is told in `tests/twin/exit_policies.py`, under letters.
"""

import importlib.util

import pytest

from tests.twin.brute_force import MODELS
from tests.twin.exit_scenarios import exit_quotes_scenario, exits_scenario
from tests.twin.product import agree, compare

pytestmark = pytest.mark.skipif(importlib.util.find_spec("grodtd.cli") is None, reason="no command line yet")

PATHS, AT_ONCE = 240, 30
QUOTE_PATHS, QUOTES_AT_ONCE = 120, 30


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("first_seed", range(0, PATHS, AT_ONCE))
def test_random_markets(tmp_path, first_seed, model):
    """Every kind of rule, alone and together, for longs and shorts, in bars built to touch the first levels."""
    seeds = range(first_seed, first_seed + AT_ONCE)
    agree(*(compare(tmp_path, exits_scenario(seed), model, whole=False) for seed in seeds))


@pytest.mark.parametrize("first_seed", range(0, QUOTE_PATHS, QUOTES_AT_ONCE))
def test_random_quotes(tmp_path, first_seed):
    """The same on quotes: stops move at the close of a bar of quotes, or with every quote, no two moves too close."""
    seeds = range(first_seed, first_seed + QUOTES_AT_ONCE)
    agree(*(compare(tmp_path, exit_quotes_scenario(seed), "pessimistic", whole=False) for seed in seeds))
