"""GRODTD_ variables: which key each one means, and what is said of those that mean none."""

from decimal import Decimal

import pytest

from grodtd.config import load
from grodtd.config.docs import documented
from grodtd.config.environment import variable_of
from grodtd.domain.errors import ConfigError

FILES = {
    "risk_reward.yaml": "risk_reward: {symbol_specific_ratios: {AAPL: 1.8, BRK.B: 1.5, EURusd: 1.4}}\n",
    "trade_exit.yaml": "trade_exit: {strategies: {Scalp-1: {}}}\n",
    "instruments.yaml": "instruments: {symbols: {AAPL: {tick_size: 0.01, lot_size: 1}}}\n",
}


@pytest.fixture
def under(tmp_path):
    """Load the three files under some variables."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return lambda **environ: load(tmp_path, environ=environ)


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("GRODTD_TRADE_EXIT__ATR__PERIOD", "21", "trade_exit.atr.period", 21),
        ("grodtd_trade_exit__atr__period", "21", "trade_exit.atr.period", 21),
        ("GRODTD_TRADE_EXIT__ATR__FALLBACK_PERCENTAGE", "0.030", "trade_exit.atr.fallback_percentage", "0.03"),
        ("GRODTD_TRADE_EXIT__ATR__INTERVAL", "5m", "trade_exit.atr.interval", "5m"),
        ("GRODTD_TRADE_EXIT__ATR__MAX_GAP_BARS", "null", "trade_exit.atr.max_gap_bars", None),
        ("GRODTD_TRADE_EXIT__DAY_ROLLS_AT", "21:00", "trade_exit.day_rolls_at", "21:00"),
        ("GRODTD_TRADE_EXIT__PROTECTION__PLAN", "stop_resting", "trade_exit.protection.plan", "stop_resting"),
        ("GRODTD_TRADE_EXIT__PROTECTION__ALLOW_SYNTHETIC", "true", "trade_exit.protection.allow_synthetic", True),
        ("GRODTD_RISK_REWARD__MAX_RATIO", "4", "trade_exit.risk_reward.max_ratio", "4"),
        (
            "GRODTD_RISK_REWARD__SYMBOL_SPECIFIC_RATIOS__BRK_B",
            "2",
            "trade_exit.risk_reward.symbol_specific_ratios.BRK.B",
            "2",
        ),
        (
            "GRODTD_RISK_REWARD__SYMBOL_SPECIFIC_RATIOS__EURUSD",
            "2",
            "trade_exit.risk_reward.symbol_specific_ratios.EURusd",
            "2",
        ),
        (
            "GRODTD_RISK_REWARD__SYMBOL_SPECIFIC_RATIOS__nvda",
            "2",
            "trade_exit.risk_reward.symbol_specific_ratios.NVDA",
            "2",
        ),
        (
            "GRODTD_RISK_REWARD__MARKET_CONDITION_FACTORS__PANIC",
            "0.5",
            "trade_exit.risk_reward.market_condition_factors.panic",
            "0.5",
        ),
        (
            "GRODTD_TRADE_EXIT__STRATEGIES__SCALP_1__ATR__PERIOD",
            "7",
            "trade_exit.strategies.Scalp-1.atr.period",
            7,
        ),
        ("GRODTD_INSTRUMENTS__SYMBOLS__AAPL__CALENDAR", "XNYS", "instruments.symbols.AAPL.calendar", "XNYS"),
        ("GRODTD_INSTRUMENTS__DEFAULTS__FEE_RATE", "0.001", "instruments.symbols.AAPL.fee_rate", "0.001"),
    ],
)
def test_a_variable_sets_the_key_it_spells(under, variable, text, path, value):
    configuration = under(**{variable: text})
    assert configuration.values[path] == value
    assert str(configuration.origins[path]) == variable


def test_other_variables_are_nobodys_business(under):
    assert under(PATH="/bin", GRODT="x", XGRODTD_A="y") == under()


def test_every_key_has_a_variable_of_its_own(under):
    named = [variable_of(path) for path, _ in documented()]
    assert len(set(named)) == len(named)
    plain = [(path, key) for path, key in documented() if "<" not in ".".join(path) and key.default]
    assert len(plain) > 25
    configuration = under(**{variable_of(path): key.default for path, key in plain})
    for path, _ in plain:
        at = path if path[0] != "risk_reward" else ("trade_exit", *path)
        assert configuration.origins[".".join(at)].variable == variable_of(path)


def test_a_variable_changes_every_strategy_unless_it_names_one(under):
    policies = under(GRODTD_TRADE_EXIT__ATR__MULTIPLIER="3").policies
    assert {name: policy.atr.multiplier for name, policy in policies.items()} == {"default": 3, "Scalp-1": 3}
    policies = under(GRODTD_TRADE_EXIT__STRATEGIES__SCALP_1__ATR__MULTIPLIER="3").policies
    assert {name: policy.atr.multiplier for name, policy in policies.items()} == {
        "default": Decimal(2),
        "Scalp-1": 3,
    }


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        (
            "GRODTD_FOO",
            "1",
            "foo: unknown key; known keys here: risk_reward, trade_exit, risk_limits, instruments, brokers, daemon",
        ),
        (
            "GRODTD_TRADE_EXIT__ATR__PERIODD",
            "21",
            "trade_exit.atr.periodd: unknown key; nearest known key: trade_exit.atr.period",
        ),
        ("GRODTD_TRADE_EXIT_ATR__PERIOD", "21", "trade_exit_atr: unknown key; nearest known key: trade_exit"),
        (
            "GRODTD_TRADE_EXIT__ATR__PERIOD__BARS",
            "21",
            "trade_exit.atr.period.bars: unknown key; nearest known key: trade_exit.atr.period",
        ),
        (
            "GRODTD_RISK_REWARD",
            "1",
            (
                "risk_reward: is a block, not a value: add __ and one of its keys (strategy, base_ratio, min_ratio, "
                "max_ratio, volatility_factor, volatility_lookback, market_condition, "
                "market_condition_factors, symbol_specific_ratios)"
            ),
        ),
        (
            "GRODTD_RISK_REWARD__SYMBOL_SPECIFIC_RATIOS",
            '{"AAPL": 2}',
            "risk_reward.symbol_specific_ratios: is a block, not a value: add __ and one of its keys (<symbol>)",
        ),
        (
            "GRODTD_TRADE_EXIT__STRATEGIES__SCLAP__ATR__PERIOD",
            "7",
            (
                "trade_exit.strategies.sclap: unknown strategy: list it in trade_exit.yaml first; "
                "known strategies: Scalp-1"
            ),
        ),
        ("GRODTD_TRADE_EXIT____ATR", "7", "trade_exit: names no key: two levels are parted by one __"),
        (
            "GRODTD_TRADE_EXIT__ATR__PERIOD",
            "",
            "trade_exit.atr.period: is empty: unset it, or give a value; allowed: a whole number from 1 to 1000",
        ),
        (
            "GRODTD_TRADE_EXIT__ATR__PERIOD",
            "21.5",
            "trade_exit.atr.period: 21.5 is not allowed; allowed: a whole number from 1 to 1000",
        ),
        (
            "GRODTD_TRADE_EXIT__ATR__INTERVAL",
            "60",
            (
                "trade_exit.atr.interval: '60' is not allowed; allowed: a length of time with its unit "
                "(30s, 5m, 1h, 1d), from 1s to 7d"
            ),
        ),
        (
            "GRODTD_INSTRUMENTS__SYMBOLS__TSLA__TICK_SIZE",
            "0.01",
            (
                "instruments.symbols.TSLA.lot_size: is not set, and has no built-in default: "
                "give it here or in instruments.defaults"
            ),
        ),
    ],
)
def test_a_variable_that_cannot_be_taken_is_one_line(under, variable, text, words):
    with pytest.raises(ConfigError) as refused:
        under(**{variable: text})
    assert refused.value.problems == [f"{variable}: {words}"]


def test_two_variables_for_one_key_are_one_too_many(under):
    with pytest.raises(ConfigError) as refused:
        under(GRODTD_TRADE_EXIT__ATR__PERIOD="7", grodtd_trade_exit__atr__period="8")
    assert refused.value.problems == [
        (
            "grodtd_trade_exit__atr__period: trade_exit.atr.period: "
            "set twice, also by GRODTD_TRADE_EXIT__ATR__PERIOD: unset one of the two"
        )
    ]


def test_a_name_that_could_be_two_symbols_is_left_to_the_files(tmp_path):
    text = "risk_reward: {symbol_specific_ratios: {BRK.B: 1.5, BRK-B: 1.6}}\n"
    (tmp_path / "risk_reward.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"could mean any of BRK-B, BRK\.B: set it in a file"):
        load(tmp_path, environ={"GRODTD_RISK_REWARD__SYMBOL_SPECIFIC_RATIOS__BRK_B": "2"})


def test_the_process_environment_is_read_when_none_is_handed_in(tmp_path, monkeypatch):
    (tmp_path / "trade_exit.yaml").write_text("", encoding="utf-8")
    monkeypatch.setenv("GRODTD_TRADE_EXIT__ATR__PERIOD", "21")
    assert load(tmp_path).policies["default"].atr.period == 21
    assert load(tmp_path, environ={}).policies["default"].atr.period == 14
