"""`risk_limits.yaml` and `trade_exit.sizing`: as a trader writes them and as the program takes them."""

from decimal import Decimal

import pytest

from grodtd.config import effective_lines, load, run_check
from grodtd.config.risk_schema import RiskSettings
from grodtd.domain.errors import ConfigError
from grodtd.domain.risk import AdvisorSettings, OnSilence, RiskLimits, SizingPolicy

D = Decimal


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write a directory of these files, and return its name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c").mkdir()

    def written(risk_limits=None, trade_exit="trade_exit: {strategies: {scalp: {}}}\n"):
        (tmp_path / "c" / "trade_exit.yaml").write_text(trade_exit, encoding="utf-8")
        if risk_limits is not None:
            (tmp_path / "c" / "risk_limits.yaml").write_text(risk_limits, encoding="utf-8")
        return "c"

    return written


def test_without_the_file_the_built_in_limits_hold(folder):
    assert load(folder(), environ={}).risk == RiskSettings(RiskLimits(), AdvisorSettings())


def test_every_key_arrives(folder):
    name = folder(
        "risk_limits:\n"
        "  max_trade_risk: 0.005\n  max_symbol_risk: null\n  max_open_risk: 0.03\n  max_order_notional: 25000\n"
        "  max_day_loss: 0.02\n  max_consecutive_losses: 3\n  cool_down: 90m\n  collar_bps: 50\n"
        "  quote_max_age_s: 2.5\n  duplicate_within_s: 0\n  allowed_symbols: {AAPL: true, TSLA: false, SPY: true}\n"
        "  advisor: {url: 'https://risk.example/check', timeout_s: 0.5, on_silence: allow}\n",
        "trade_exit: {day_rolls_at: 21:30}\n",
    )
    settings = load(name, environ={}).risk
    assert settings.limits == RiskLimits(
        max_trade_risk=D("0.005"),
        max_symbol_risk=None,
        max_open_risk=D("0.03"),
        max_order_notional=D(25_000),
        max_day_loss=D("0.02"),
        max_consecutive_losses=3,
        cool_down_s=5_400,
        collar_bps=D(50),
        quote_max_age_s=D("2.5"),
        duplicate_within_s=D(0),
        allowed_symbols=("AAPL", "SPY"),
        day_rolls_at_s=21 * 3_600 + 30 * 60,
    )
    assert settings.advisor == AdvisorSettings("https://risk.example/check", D("0.5"), OnSilence.ALLOW)


def test_a_list_on_which_every_symbol_says_no_allows_none(folder):
    name = folder("risk_limits: {allowed_symbols: {AAPL: false}}\n")
    assert load(name, environ={}).risk.limits.allowed_symbols == ()


def test_a_variable_wins_over_the_file(folder):
    name = folder("risk_limits: {max_day_loss: 0.02}\n")
    changed = load(name, environ={"GRODTD_RISK_LIMITS__MAX_DAY_LOSS": "0.01"})
    assert changed.risk.limits.max_day_loss == D("0.01")
    assert changed.fingerprint != load(name, environ={}).fingerprint


def test_a_strategy_may_stake_less(folder):
    trade_exit = (
        "trade_exit:\n  sizing: {risk_per_trade: 0.01}\n  strategies:\n    scalp:\n      sizing: {risk_money: 50}\n"
    )
    policies = load(folder(trade_exit=trade_exit), environ={}).policies
    assert policies["default"].sizing == SizingPolicy(D("0.01"), None)
    assert policies["scalp"].sizing == SizingPolicy(D("0.01"), D(50))


def test_the_check_prints_the_limits_and_where_each_comes_from(folder):
    name = folder("risk_limits:\n  max_day_loss: 0.02\n")
    lines = [" ".join(line.split()) for line in effective_lines(load(name, environ={}))]
    assert "risk limits of the account" in lines
    assert "risk_limits.max_day_loss 0.02 c/risk_limits.yaml:2" in lines
    assert "risk_limits.max_open_risk 0.1 built-in default" in lines
    assert "trade_exit.sizing.risk_per_trade 0.01 built-in default" in lines


A_URL = "allowed: an http or https address without a password in it, or null"
FRACTION = "allowed: a number above 0 and at most 1, or null"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max_trade_risk: 2", f"max_trade_risk: 2 is not allowed; {FRACTION}"),
        ("max_open_risk: 0", f"max_open_risk: 0 is not allowed; {FRACTION}"),
        ("max_day_loss: 5 %", f"max_day_loss: '5 %' is not allowed; {FRACTION}"),
        ("max_dayloss: 0.1", "max_dayloss: unknown key; nearest known key: risk_limits.max_day_loss"),
        (
            "max_consecutive_losses: 0",
            "max_consecutive_losses: 0 is not allowed; allowed: a whole number from 1 to 1000, or null",
        ),
        (
            "cool_down: 60",
            "cool_down: 60 is not allowed; allowed: a length of time with its unit (30s, 5m, 1h, 1d), from 1s to 7d",
        ),
        ("collar_bps: -5", "collar_bps: -5 is not allowed; allowed: a number above 0 and at most 10000, or null"),
        (
            "allowed_symbols: {AAPL: maybe}",
            "allowed_symbols.AAPL: 'maybe' is not allowed; allowed: true or false",
        ),
        (
            "advisor: {on_silence: shrug}",
            "advisor.on_silence: 'shrug' is not allowed; allowed: one of refuse, allow",
        ),
        *(
            (
                f"advisor: {{url: '{url}'}}",
                f"advisor.url: '{url}' is not allowed; {A_URL}",
            )
            for url in (
                "risk.example",
                "ftp://risk.example/",
                "https://me:secret@risk.example/",
                "http://",
            )
        ),
    ],
)
def test_a_bad_value_is_one_line(folder, line, words):
    name = folder(f"risk_limits:\n  {line}\n")
    with pytest.raises(ConfigError) as refused:
        load(name, environ={})
    assert refused.value.problems == [f"c/risk_limits.yaml:2: risk_limits.{words}"]
    said, status = run_check(name, environ={})
    assert status == 2
    assert said.splitlines()[0] == refused.value.problems[0]
