"""`grodtd replay --fast` gives what the engine gives: the same lives, so the same rows, character for character."""

import os
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from grodtd.config.loading import load
from grodtd.domain.errors import DataError
from grodtd.replay.exits import exit_cells
from grodtd.replay.inputs import ReplayOptions, prepare
from grodtd.replay.kernels_replay import drive_fast, replay_fast_to, why_not
from grodtd.replay.run import run
from grodtd.venue.bar_matching import FillModel
from tests.twin.brute_force import TwinConfig
from tests.twin.exit_policies import ExitRules
from tests.twin.exit_scenarios import exits_scenario
from tests.twin.product import run_cli, write_bars, write_config, write_entries
from tests.twin.scenarios import bars_scenario, quotes_scenario

pytestmark = pytest.mark.hypothesis  # `make simulate` runs what bears this mark, at full length
CASES = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 100
"""Random markets of each kind under each fill model; `make simulate` asks for 2,000."""
AT_ONCE = 25


def inputs_of(folder, market, model):
    folder.mkdir(parents=True)
    options = ReplayOptions(
        prices=write_bars(folder, market),
        entries=str(write_entries(folder, market.entries)),
        symbol=market.symbol,
        model=model,
    )
    return prepare(options, load(write_config(folder, market.symbol, market.config), environ={}))


def told(replayed):
    """Everything files are made of, and where a stop went."""
    return [exit_cells(row) for row in replayed.rows], [life.stop_history for life in replayed.lives]


def agree(inputs) -> bool:
    """Both ways to the same rows; False where the kernels say they do not cover it."""
    if why_not(inputs) is not None:
        return False
    ours, engine = run(inputs, None, by=drive_fast), run(inputs, None)
    assert told(ours) == told(engine)
    assert ours.summary == engine.summary
    assert ours.facts.pnl_by_fill_model == engine.facts.pnl_by_fill_model
    return True


@pytest.mark.parametrize("model", FillModel)
@pytest.mark.parametrize("first", range(0, CASES, AT_ONCE))
def test_a_stop_and_a_target_on_bars(tmp_path, first, model):
    for seed in range(first, first + AT_ONCE):
        market = bars_scenario(seed)
        assert agree(inputs_of(tmp_path / str(seed), market, model)), seed


@pytest.mark.parametrize("first", range(0, CASES, AT_ONCE))
def test_a_stop_and_a_target_on_quotes(tmp_path, first):
    for seed in range(first, first + AT_ONCE):
        market = quotes_scenario(seed)
        assert agree(inputs_of(tmp_path / str(seed), market, FillModel.PESSIMISTIC)), seed


@pytest.mark.parametrize("model", FillModel)
@pytest.mark.parametrize("first", range(0, CASES, AT_ONCE))
def test_exit_rules_on_bars(tmp_path, first, model):
    """Trailing, break-even, locks, scale-out and time exits, one kind or several at once."""
    for seed in range(first, first + AT_ONCE):
        assert agree(inputs_of(tmp_path / str(seed), exits_scenario(seed), model)), seed


@pytest.mark.parametrize("model", FillModel)
@pytest.mark.parametrize("first", range(0, CASES, AT_ONCE))
def test_orders_must_be_worth_a_minimum(tmp_path, first, model):
    """A minimum near the smallest entry's worth, or far below: where no part can fall below it, both agree."""
    agreed = 0
    for seed in range(first, first + AT_ONCE):
        market = exits_scenario(seed)
        inputs = inputs_of(tmp_path / str(seed), market, model)
        least = min(entry.quantity * entry.px for entry in inputs.entries) * Decimal("0.05" if seed % 2 else "0.6")
        instrument = msgspec.structs.replace(inputs.instrument, min_notional=least.quantize(Decimal("0.00000001")))
        agreed += agree(replace(inputs, instrument=instrument))
    assert agreed >= 3  # of 25; where a given stop counts as hit, nothing says at what price it sells


RECORDED = [
    ("AAPL-1d", "0.01", "every:5"),
    ("AAPL-1d", "0.01", "every:5:sell"),
    ("SPY-1h", "0.01", "ema-cross:10,30"),
    ("EURUSD-1h-bidask", "0.00001", "every:101"),
    ("EURUSD-1h-bidask", "0.00001", "every:101:sell"),
    ("BTCUSD-1m", "0.01", "every:97"),
    ("EURUSD-ticks-20140508", "0.00001", "every:11:sell"),
]


def recorded_inputs(folder, shared_data, name, tick, rule, model, **exits):
    symbol = name.split("-")[0]
    config = TwinConfig(tick=Decimal(tick), lot=Decimal("0.001"), fee_rate=Decimal("0.0002"), **exits)
    options = ReplayOptions(prices=shared_data / f"{name}.csv.gz", entries=rule, symbol=symbol, model=model)
    folder.mkdir(exist_ok=True)
    return prepare(options, load(write_config(folder, symbol, config), environ={}))


@pytest.mark.parametrize(("name", "tick", "rule"), RECORDED)
def test_a_stop_and_a_target_on_recorded_prices(tmp_path, shared_data, name, tick, rule):
    for model in FillModel:
        assert agree(recorded_inputs(tmp_path / model, shared_data, name, tick, rule, model, multiplier=Decimal("1.3")))


RULES = [
    {"trail": "atr", "amount": Decimal("2.5"), "break_even_at_r": Decimal(1), "plus_fees": True},
    {"trail": "chandelier", "amount": Decimal(3), "activate_at_r": Decimal("0.5"), "after_bars": 200},
    {"trail": "percent", "amount": Decimal("0.01"), "steps": ((Decimal("0.5"), "r", Decimal(1)),), "rest": "run"},
    {"trail": "atr", "amount": Decimal(2), "trail_atr": "current", "step_ticks": 3},
    {"trail": "chandelier", "amount": Decimal(4), "trail_atr": "current", "activate_at_r": Decimal("0.5")},
    {"locks": ((Decimal(1), Decimal("0.25")), (Decimal(2), Decimal(1))), "unprofitable_after_bars": 20},
]


@pytest.mark.parametrize("rules", RULES, ids=" ".join)
def test_exit_rules_on_recorded_prices(tmp_path, shared_data, rules):
    for name, tick, rule in (("SPY-1h", "0.01", "every:97"), ("EURUSD-1h-bidask", "0.00001", "every:211:sell")):
        exits = ExitRules(**rules)
        assert agree(recorded_inputs(tmp_path / name, shared_data, name, tick, rule, FillModel.PATH, exits=exits))


def test_the_command_writes_the_same_files_and_says_what_it_leaves_out(tmp_path, shared_data, capsys):
    words = ("replay", str(shared_data / "AAPL-1d.csv.gz"), "--entries", "every:50")
    run_cli(*words, "--out", str(tmp_path / "engine"))
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast" / "journal.db").write_text("an older run's")
    run_cli(*words, "--out", str(tmp_path / "fast"), "--fast")
    assert "without a journal" in capsys.readouterr().out
    for name in ("exits.csv", "summary.json", "report.html"):
        assert (tmp_path / "fast" / name).read_bytes() == (tmp_path / "engine" / name).read_bytes(), name
    assert not (tmp_path / "fast" / "journal.db").exists()


def test_what_is_not_covered_is_refused_in_words(tmp_path, shared_data):
    exits = ExitRules(trail="ticks", amount=Decimal(100), on="quote")
    inputs = recorded_inputs(tmp_path, shared_data, "AAPL-1d", "0.01", "every:50", FillModel.PATH, exits=exits)
    assert "ratchet.on is quote" in why_not(inputs)
    with pytest.raises(DataError, match=r"--fast does not cover .*ratchet.on is quote.*; leave out --fast"):
        replay_fast_to(tmp_path / "out", inputs.options, inputs.configuration)
    assert not (tmp_path / "out").exists()
