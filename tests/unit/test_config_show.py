"""What `grodtd config check` shows: every value in force, and where it comes from."""

import json

import pytest

from grodtd.config import effective_data, effective_lines, load, run_check
from grodtd.config.registry import Key, every_key

TEXT = """\
trade_exit:
  atr:
    period: 21
  strategies:
    scalp:
      atr: {multiplier: 1.50}
"""
SYMBOLS = "instruments:\n  defaults: {fee_rate: 0.001}\n  symbols:\n    SPY: {tick_size: 0.01, lot_size: 1}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "trade_exit.yaml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "configs" / "instruments.yaml").write_text(SYMBOLS, encoding="utf-8")
    return "configs"


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        ("policy default", "trade_exit.atr.period 21 configs/trade_exit.yaml:3"),
        ("policy default", "trade_exit.atr.multiplier 2 built-in default"),
        ("policy default", "trade_exit.atr.interval 15m GRODTD_TRADE_EXIT__ATR__INTERVAL"),
        ("policy default", "trade_exit.atr.max_gap_bars null built-in default"),
        ("policy default", "trade_exit.day_rolls_at 00:00 built-in default"),
        ("policy scalp", "trade_exit.strategies.scalp.atr.period 21 configs/trade_exit.yaml:3"),
        ("policy scalp", "trade_exit.strategies.scalp.atr.multiplier 1.5 configs/trade_exit.yaml:6"),
        ("policy scalp", "trade_exit.strategies.scalp.atr.interval 15m GRODTD_TRADE_EXIT__ATR__INTERVAL"),
        ("instruments", "instruments.symbols.SPY.tick_size 0.01 configs/instruments.yaml:4"),
        ("instruments", "instruments.symbols.SPY.fee_rate 0.001 configs/instruments.yaml:2"),
    ],
)
def test_each_value_stands_under_its_policy_with_its_origin(folder, policy, line):
    configuration = load(folder, environ={"GRODTD_TRADE_EXIT__ATR__INTERVAL": "15m"})
    heading, found = "", {}
    for text in effective_lines(configuration):
        if text.startswith("  "):
            found[" ".join(text.split())] = heading
        else:
            heading = text
    assert found[line].startswith(policy)


def test_every_key_of_a_policy_is_shown(folder):
    configuration = load(folder, environ={})
    expected = {
        ".".join(path)
        for path, node in every_key()
        if isinstance(node, Key) and path[0] == "trade_exit" and "<" not in ".".join(path)
    }
    assert expected <= set(configuration.values)
    assert set(configuration.values) == set(configuration.origins)


def test_the_check_of_a_good_directory_ends_with_0(folder):
    text, status = run_check(folder, environ={})
    assert status == 0
    assert text == "\n".join(effective_lines(load(folder, environ={})))
    text, status = run_check(folder, environ={}, as_json=True)
    assert status == 0
    assert json.loads(text) == effective_data(load(folder, environ={}))


def test_json_names_value_and_origin_and_keeps_decimals_exact(folder):
    data = json.loads(run_check(folder, environ={}, as_json=True)[0])
    assert data["ok"] is True
    assert {"path": "trade_exit.atr.period", "value": 21, "origin": "configs/trade_exit.yaml:3"} in data["values"]
    assert {
        "path": "trade_exit.atr.fallback_percentage",
        "value": "0.02",
        "origin": "built-in default",
    } in data["values"]
    assert list(data["policies"]) == ["default", "scalp"]


def test_without_a_directory_the_shipped_configuration_is_checked():
    text, status = run_check(environ={})
    assert status == 0
    assert "trade_exit.risk_reward.symbol_specific_ratios.AAPL" in text
