"""Trailing, break-even, locks, scale-out and time exits give, exit for exit, what the slow independent twin gives.

How the twin reads the design is told in `tests/twin/exit_policies.py`, under letters.
"""

import importlib.util
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.twin.brute_force import MODELS, TwinConfig, TwinEntry, TwinQuote, every
from tests.twin.exit_policies import ExitRules
from tests.twin.exit_scenarios import exit_quotes_scenario, exits_scenario
from tests.twin.product import agree, compare, recorded, recorded_bars
from tests.twin.scenarios import Scenario

pytestmark = pytest.mark.skipif(importlib.util.find_spec("grodtd.cli") is None, reason="no command line yet")

PATHS, AT_ONCE = 240, 30
QUOTE_PATHS, QUOTES_AT_ONCE = 240, 40


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


# ------------------------------------------------------------------ recorded markets

D = Decimal
TRAIL = ExitRules(trail="chandelier", amount=D(3), trail_atr="current", activate_at_r=D("0.5"), break_even_at_r=D(1))
STAGES = ExitRules(steps=((D("0.5"), "r", D(1)), (D("0.25"), "r", D(2))), rest="run", trail="atr", amount=D(2))
LOCKS = ExitRules(locks=((D(1), D("0.2")), (D(2), D(1))), unprofitable_after_bars=20, after_bars=60)
FLAT_BY_NIGHT = ExitRules(at_session_end=True, trail="percent", amount=D("0.004"), trail_atr="current")
FLAT_AT_WEEKENDS = ExitRules(before_weekend=True, after_s=86_400, break_even_at_r=D("0.5"), offset_ticks=1)

RECORDED = [
    # file, tick, bars, an entry every so many, calendar, policy
    ("SPY-1h", "0.01", 2_500, 20, "XNYS", FLAT_BY_NIGHT),
    ("SPY-1h", "0.01", 2_500, 20, "XNYS", FLAT_AT_WEEKENDS),
    ("SPY-1h", "0.01", 2_500, 20, None, FLAT_AT_WEEKENDS),
    ("EURUSD-1h-bidask", "0.00001", 2_500, 20, None, FLAT_AT_WEEKENDS),
    ("EURUSD-1h-bidask", "0.00001", 2_500, 20, None, STAGES),
    ("BTCUSD-1m", "0.01", 2_500, 20, None, TRAIL),
    ("AAPL-1d", "0.01", 2_500, 20, None, LOCKS),
]


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(
    ("file", "tick", "count", "each", "calendar", "rules"),
    RECORDED,
    ids=[f"{row[0]}-{number}" for number, row in enumerate(RECORDED)],
)
def test_recorded_bars(tmp_path, shared_data, file, tick, count, each, calendar, rules, side):
    bars = recorded_bars(shared_data / f"{file}.csv.gz", count)
    config = TwinConfig(tick=D(tick), lot=D("0.01"), fee_rate=D("0.0001"), calendar=calendar, exits=rules)
    market = Scenario("recorded", file.split("-")[0], config, [], bars)
    market = replace(market, entries=every(each, bars, config, symbol=market.symbol, side=side))
    assert len(market.entries) > 100
    agree(*(compare(tmp_path, market, model, whole=False) for model in MODELS))


@pytest.mark.parametrize("on", ["bar_close", "quote"])
def test_recorded_ticks(tmp_path, shared_data, on):
    """EURUSD on the day of a central bank's press conference: stops that follow each tick, but not too often."""
    quotes = [TwinQuote(*row) for row in recorded(shared_data / "EURUSD-ticks-20140508.csv.gz", 4_000)]
    rules = replace(TRAIL, on=on, trail="atr", step_ticks=2, locks=((D(1), D("0.5")),), after_s=7_200)
    config = TwinConfig(tick=D("0.00001"), exits=rules)
    entries = [TwinEntry(q.time_ns, "EURUSD", side, D(10_000)) for q in quotes[500::400] for side in ("buy", "sell")]
    agree(compare(tmp_path, Scenario("ticks", "EURUSD", config, entries, [], quotes), "pessimistic", whole=False))
