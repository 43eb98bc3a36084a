"""What an operator writes, and what is then in force: precedence, strategies, exact values."""

from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.config import load
from grodtd.config.fields import format_duration, parse_duration
from grodtd.config.schema import PolicyBlock, to_policy
from grodtd.config.text import parse, scalar
from grodtd.domain.errors import ConfigError
from grodtd.domain.money import plain
from grodtd.domain.policy import AtrMethod, AtrPolicy, Policy, RatioStrategy, RiskRewardPolicy

# As printed in the source design, down to the trailing blanks.
PRINTED_RISK_REWARD = """\
# configs/risk_reward.yaml
risk_reward:
  strategy: "fixed_ratio"
  base_ratio: 1.5
  min_ratio: 1.0
  max_ratio: 3.0
  volatility_factor: 1.0
  \n  market_condition_factors:
    trending: 1.2
    ranging: 1.0
    volatile: 0.8
  \n  symbol_specific_ratios:
    AAPL: 1.8
    TSLA: 2.0
    SPY: 1.2
"""
PRINTED_TRADE_EXIT = """\
# configs/trade_exit.yaml
trade_exit:
  risk_reward:
    strategy: "fixed_ratio"
    base_ratio: 1.5
  \n  atr:
    period: 14
    multiplier: 2.0
    fallback_percentage: 0.02
  \n  bracket_orders:
    max_active_brackets: 50
    timeout_seconds: 3600
    retry_attempts: 3
    retry_delay_seconds: 5
"""


@pytest.fixture
def loaded(tmp_path):
    """Write files ("paper/trade_exit" for trade_exit.yaml in the folder paper) and load them."""

    def write_and_load(files, environ=None, env=None):
        for name, text in files.items():
            path = tmp_path / f"{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load(tmp_path, env, environ or {})

    return write_and_load


def test_the_printed_files_load_exactly_as_printed(loaded):
    configuration = loaded({"risk_reward": PRINTED_RISK_REWARD, "trade_exit": PRINTED_TRADE_EXIT})
    policy = configuration.policies["default"]
    assert policy.risk_reward == RiskRewardPolicy(
        strategy=RatioStrategy.FIXED_RATIO,
        base_ratio=Decimal("1.5"),
        min_ratio=Decimal(1),
        max_ratio=Decimal(3),
        volatility_factor=Decimal(1),
        market_condition_factors={
            "trending": Decimal("1.2"),
            "ranging": Decimal(1),
            "volatile": Decimal("0.8"),
        },
        symbol_specific_ratios={"AAPL": Decimal("1.8"), "TSLA": Decimal(2), "SPY": Decimal("1.2")},
    )
    assert policy.atr == AtrPolicy(period=14, multiplier=Decimal(2), fallback_percentage=Decimal("0.02"))
    orders = policy.bracket_orders
    assert (orders.max_active_brackets, orders.timeout_s) == (50, Decimal(3600))
    assert (orders.retry_attempts, orders.retry_delay_s) == (3, Decimal(5))
    assert list(configuration.policies) == ["default"]


def test_the_built_in_defaults_are_the_domains():
    assert to_policy("default", PolicyBlock()) == Policy()


def test_every_field_of_a_policy_has_a_key():
    renamed = {"interval_s": "interval", "timeout_s": "timeout_seconds", "retry_delay_s": "retry_delay_seconds"}
    renamed |= {"after_s": "after"}
    policy = Policy()
    for block in set(PolicyBlock.model_fields) - {"profit_lock"}:  # a mapping, not a block
        fields = [renamed.get(name, name) for name in getattr(policy, block).__struct_fields__]
        assert sorted(type(getattr(PolicyBlock(), block)).model_fields) == sorted(fields)
    assert {"name", *PolicyBlock.model_fields} == set(Policy.__struct_fields__)


PERIOD = "trade_exit:\n  atr:\n    period: {}\n"
STRATEGY = "trade_exit:\n  atr: {{period: 20}}\n  strategies:\n    scalp:\n      atr: {{period: {}}}\n"


@pytest.mark.parametrize(
    ("files", "environ", "strategy", "period", "origin"),
    [
        ({"trade_exit": "trade_exit:\n"}, {}, "default", 14, "built-in default"),
        ({"trade_exit": PERIOD.format(20)}, {}, "default", 20, "trade_exit.yaml:3"),
        (
            {"trade_exit": PERIOD.format(20), "paper/trade_exit": PERIOD.format(21)},
            {},
            "default",
            21,
            "paper/trade_exit.yaml:3",
        ),
        (
            {"trade_exit": STRATEGY.format(7), "paper/trade_exit": PERIOD.format(21)},
            {},
            "scalp",
            7,
            "trade_exit.yaml:5",
        ),
        (
            {"trade_exit": STRATEGY.format(7), "paper/trade_exit": STRATEGY.format(8)},
            {},
            "scalp",
            8,
            "paper/trade_exit.yaml:5",
        ),
        (
            {"trade_exit": STRATEGY.format(7)},
            {"GRODTD_TRADE_EXIT__ATR__PERIOD": "22"},
            "default",
            22,
            "GRODTD_TRADE_EXIT__ATR__PERIOD",
        ),
        (
            {"trade_exit": STRATEGY.format(7)},
            {"GRODTD_TRADE_EXIT__ATR__PERIOD": "22"},
            "scalp",
            22,
            "GRODTD_TRADE_EXIT__ATR__PERIOD",
        ),
        (
            {"trade_exit": STRATEGY.format(7)},
            {
                "GRODTD_TRADE_EXIT__ATR__PERIOD": "22",
                "GRODTD_TRADE_EXIT__STRATEGIES__SCALP__ATR__PERIOD": "9",
            },
            "scalp",
            9,
            "GRODTD_TRADE_EXIT__STRATEGIES__SCALP__ATR__PERIOD",
        ),
    ],
)
def test_the_higher_source_wins(loaded, tmp_path, files, environ, strategy, period, origin):
    env = "paper" if any(name.startswith("paper/") for name in files) else None
    configuration = loaded(files, environ, env)
    assert configuration.policies[strategy].atr.period == period
    at = "trade_exit" if strategy == "default" else f"trade_exit.strategies.{strategy}"
    said = str(configuration.origins[f"{at}.atr.period"])
    assert said == (f"{tmp_path}/{origin}" if ".yaml" in origin else origin)


RATIO = "risk_reward: {{base_ratio: {}}}\n"
OWN_RATIO = "trade_exit:\n  risk_reward: {{base_ratio: {}}}\n"


@pytest.mark.parametrize(
    ("files", "environ", "ratio"),
    [
        ({"risk_reward": RATIO.format(1.1)}, {}, "1.1"),
        ({"risk_reward": RATIO.format(1.1), "trade_exit": OWN_RATIO.format(1.2)}, {}, "1.2"),
        (
            {
                "risk_reward": RATIO.format(1.1),
                "trade_exit": OWN_RATIO.format(1.2),
                "paper/risk_reward": RATIO.format(1.3),
            },
            {},
            "1.3",
        ),
        ({"trade_exit": OWN_RATIO.format(1.2)}, {"GRODTD_RISK_REWARD__BASE_RATIO": "1.4"}, "1.4"),
        (
            {"trade_exit": OWN_RATIO.format(1.2)},
            {"GRODTD_RISK_REWARD__BASE_RATIO": "1.4", "GRODTD_TRADE_EXIT__RISK_REWARD__BASE_RATIO": "1.6"},
            "1.6",
        ),
    ],
)
def test_a_ratio_may_be_set_in_either_file_and_the_trade_exits_own_wins(loaded, files, environ, ratio):
    env = "paper" if "paper/risk_reward" in files else None
    assert loaded(files, environ, env).policies["default"].risk_reward.base_ratio == Decimal(ratio)


def test_aapl_keeps_its_own_ratio_unless_its_own_key_is_set(loaded):
    files = {"risk_reward": PRINTED_RISK_REWARD, "trade_exit": PRINTED_TRADE_EXIT}
    environ = {"GRODTD_TRADE_EXIT__RISK_REWARD__BASE_RATIO": "2.5"}
    ratios = loaded(files, environ).policies["default"].risk_reward
    assert ratios.base_ratio == Decimal("2.5")
    assert ratios.symbol_specific_ratios["AAPL"] == Decimal("1.8")

    environ["GRODTD_TRADE_EXIT__RISK_REWARD__SYMBOL_SPECIFIC_RATIOS__AAPL"] = "2"
    ratios = loaded(files, environ).policies["default"].risk_reward
    assert ratios.symbol_specific_ratios == {"AAPL": Decimal(2), "TSLA": Decimal(2), "SPY": Decimal("1.2")}


def test_a_strategy_states_only_what_differs(loaded):
    text = """\
trade_exit:
  atr: {period: 20, method: sma}
  risk_reward:
    symbol_specific_ratios: {AAPL: 1.8, SPY: 1.2}
  strategies:
    scalp:
      atr: {multiplier: 1.25, interval: 5m}
      risk_reward:
        symbol_specific_ratios: {AAPL: 1.1}
    idle:
"""
    policies = loaded({"trade_exit": text}).policies
    assert list(policies) == ["default", "scalp", "idle"]
    scalp = policies["scalp"]
    assert scalp.name == "scalp"
    assert scalp.atr == AtrPolicy(period=20, method=AtrMethod.SMA, multiplier=Decimal("1.25"), interval_s=300)
    assert scalp.risk_reward.symbol_specific_ratios == {"AAPL": Decimal("1.1"), "SPY": Decimal("1.2")}
    assert policies["default"].atr.multiplier == 2
    assert policies["idle"].atr == policies["default"].atr


@pytest.mark.parametrize("text", ["", "\n# nothing yet\n", "trade_exit:\n", "trade_exit:\n  atr:\n", "---\n"])
def test_an_empty_file_or_block_sets_nothing(loaded, text):
    configuration = loaded({"trade_exit": text})
    assert configuration.policies == {"default": Policy()}
    assert set(map(str, configuration.origins.values())) == {"built-in default"}


def test_a_file_from_an_editor_that_marks_utf_8_loads(loaded):
    assert loaded({"trade_exit": "\ufeff" + PERIOD.format(21)}).policies["default"].atr.period == 21


def test_the_day_rolls_at_midnight_utc_unless_told_otherwise(loaded):
    assert loaded({"trade_exit": ""}).day_rolls_at == time(0, 0)
    assert loaded({"trade_exit": "trade_exit: {day_rolls_at: 21:30}"}).day_rolls_at == time(21, 30)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("0.02", Decimal("0.02")),
        ("1e-3", Decimal("0.001")),
        ("21", 21),
        ("-3", -3),
        ("true", True),
        ("~", None),
        ("yes", "yes"),  # YAML 1.1 would say true
        ("NO", "NO"),  # a symbol; YAML 1.1 would say false
        ("010", "010"),  # YAML 1.1 would say 8
        ("1_000", "1_000"),
        ("17:00", "17:00"),  # YAML 1.1 would say 1020
        (".inf", ".inf"),
        ("nan", "nan"),
        ("9" * 41, "9" * 41),
    ],
)
def test_a_plain_word_means_what_it_says(word, value):
    assert scalar(word) == value
    assert type(scalar(word)) is type(value)


def test_a_quoted_number_is_text():
    leaves = parse(b"plain: 14\nquoted: '14'\n").leaves
    assert (leaves[("plain",)].value, leaves[("quoted",)].value) == (14, "14")


def test_a_symbol_may_be_called_no_or_have_a_dot(loaded):
    text = "risk_reward:\n  symbol_specific_ratios: {NO: 1.1, ON: 1.2, BRK.B: 1.3, 600519: 1.4}\n"
    ratios = loaded({"risk_reward": text}).policies["default"].risk_reward.symbol_specific_ratios
    assert ratios == {
        "NO": Decimal("1.1"),
        "ON": Decimal("1.2"),
        "BRK.B": Decimal("1.3"),
        "600519": Decimal("1.4"),
    }


def test_fingerprints_follow_values_and_nothing_else(loaded):
    plainly = loaded({"trade_exit": "trade_exit:\n  atr: {multiplier: 2.5, interval: 1h}\n"})
    wordy = loaded({"trade_exit": "# why\ntrade_exit:\n  atr:\n    interval: 60m\n    multiplier: 2.50\n"})
    other = loaded({"trade_exit": "trade_exit:\n  atr: {multiplier: 2.51}\n"})
    assert plainly.fingerprint == wordy.fingerprint != other.fingerprint
    assert plainly.policies["default"].fingerprint == wordy.policies["default"].fingerprint
    assert plainly.content_digest != wordy.content_digest


def within(low, high, places=6):
    return st.decimals(low, high, places=places)


@st.composite
def policies(draw):
    low, base, high = sorted(draw(st.lists(within("0.1", "100"), min_size=3, max_size=3)))
    symbols = st.text("ABCXYZ.0123456789", min_size=1, max_size=6)
    return Policy(
        risk_reward=RiskRewardPolicy(
            strategy=draw(st.sampled_from(RatioStrategy)),
            base_ratio=base,
            min_ratio=low,
            max_ratio=high,
            volatility_factor=draw(within(0, 10)),
            volatility_lookback=draw(st.integers(20, 10_000)),
            symbol_specific_ratios=draw(st.dictionaries(symbols, within(low, high), max_size=4)),
        ),
        atr=AtrPolicy(
            period=draw(st.integers(1, 1_000)),
            multiplier=draw(within("0.000001", 100)),
            method=draw(st.sampled_from(AtrMethod)),
            fallback_percentage=draw(within("0.000001", "0.999999")),
            max_gap_bars=draw(st.none() | st.integers(0, 100)),
            interval_s=draw(st.integers(1, 7 * 86_400)),
        ),
    )


def as_yaml(policy):
    ratios, atr = policy.risk_reward, policy.atr
    symbols = "".join(f"      {symbol!r}: {plain(ratio)}\n" for symbol, ratio in ratios.symbol_specific_ratios.items())
    return f"""\
trade_exit:
  risk_reward:
    strategy: {ratios.strategy}
    base_ratio: {plain(ratios.base_ratio)}
    min_ratio: {plain(ratios.min_ratio)}
    max_ratio: {plain(ratios.max_ratio)}
    volatility_factor: {plain(ratios.volatility_factor)}
    volatility_lookback: {ratios.volatility_lookback}
    symbol_specific_ratios:
{symbols}
  atr:
    period: {atr.period}
    multiplier: {plain(atr.multiplier)}
    method: {atr.method}
    fallback_percentage: {plain(atr.fallback_percentage)}
    max_gap_bars: {"null" if atr.max_gap_bars is None else atr.max_gap_bars}
    interval: {format_duration(atr.interval_s)}
"""


@given(policies())
def test_what_is_written_is_what_trades(tmp_path_factory, policy):
    folder = tmp_path_factory.mktemp("configs")
    (folder / "trade_exit.yaml").write_text(as_yaml(policy), encoding="utf-8")
    assert load(folder, environ={}).policies["default"] == policy


@given(st.integers(1, 10**8))
def test_a_length_of_time_reads_back_as_it_is_shown(seconds):
    text = format_duration(seconds)
    if len(text) <= 8:
        assert parse_duration(text) == seconds


WORDS = st.sampled_from(
    [
        *"{}[]:-#'\"&*!|>%@`,?~\t\n\0\u2028",
        ": ",
        "\n  ",
        "\n    ",
        "- ",
        "&a ",
        "*a",
        "!!str ",
        "---\n",
        "<<",
        "risk_reward",
        "trade_exit",
        "atr",
        "period",
        "strategies",
        "scalp",
        "default",
        "max_ratio",
        "symbol_specific_ratios",
        "[key]",
        "14",
        "-1",
        "1e999",
        "0x1F",
        "null",
        "yes",
        "5m",
        "\ud800",
        "\ufeff",
    ]
)
SOUP = st.lists(WORDS, max_size=25).map("".join)
BLOCKS = st.recursive(
    st.sampled_from(["14", "-1", "x", "'14'", "null", "[1]", "5m"]),
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                "risk_reward",
                "trade_exit",
                "atr",
                "period",
                "strategies",
                "scalp",
                "default",
                "symbol_specific_ratios",
                '"[key]"',
                '""',
                '"a b"',
                "max_ratio",
                "protection",
            ]
        ),
        inner,
        max_size=3,
    ).map(lambda block: "{" + ", ".join(f"{name}: {value}" for name, value in block.items()) + "}"),
)


@given(st.text(max_size=60) | SOUP | BLOCKS | BLOCKS.map(lambda block: f"trade_exit: {block}"))
def test_whatever_stands_in_a_file_there_is_a_configuration_or_a_line_for_the_operator(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("configs")
    Path(folder / "trade_exit.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    problems = []
    try:
        configuration = load(folder, environ={})
    except ConfigError as error:
        problems = error.problems
        configuration = None
    assert bool(problems) == (configuration is None)
    for problem in problems:
        assert problem.startswith(f"{folder}/trade_exit.yaml")
        assert len(problem.splitlines()) == 1
