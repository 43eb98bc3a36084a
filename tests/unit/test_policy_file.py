"""A policies file: what it takes, what it refuses and in which words, and what wins over what."""

from decimal import Decimal

import pytest

from grodtd.config.loading import default_config_dir
from grodtd.config.policy_file import read_policies
from grodtd.domain.errors import ConfigError


@pytest.fixture
def policies(tmp_path):
    """Read a policies file with this text."""

    def reader(text, environ=None, config=None):
        path = tmp_path / "policies.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_policies(path, config or default_config_dir(), None, environ or {})

    return reader


def default(policy):
    return policy.configuration.policies["default"]


def test_each_policy_is_the_configuration_with_its_keys_on_top(policies):
    first, second = policies("as configured: {}\nwide stop:\n  atr: {multiplier: 3}\n")
    assert (first.name, first.changes) == ("as configured", {})
    assert (second.name, second.changes) == ("wide stop", {"atr.multiplier": "3"})
    assert default(first).atr.multiplier == 2
    assert default(second).atr.multiplier == 3
    assert default(second).risk_reward == default(first).risk_reward
    assert first.configuration.fingerprint != second.configuration.fingerprint


def test_a_name_with_nothing_below_it_changes_nothing(policies):
    first, second = policies("as it is:\nthe same: {}\n")
    assert first.configuration.fingerprint == second.configuration.fingerprint


def test_a_policy_wins_over_variables_and_strategies(policies, tmp_path):
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "trade_exit.yaml").write_text(
        "trade_exit:\n  strategies:\n    scalp:\n      atr: {multiplier: 1, period: 7}\n"
    )
    variables = {
        "GRODTD_TRADE_EXIT__ATR__MULTIPLIER": "9",
        "GRODTD_TRADE_EXIT__STRATEGIES__SCALP__ATR__MULTIPLIER": "8",
    }
    first, second = policies("first: {}\nsecond:\n  atr: {multiplier: 3}\n", variables, folder)
    assert default(first).atr.multiplier == 9
    assert default(second).atr.multiplier == 3
    assert first.configuration.policies["scalp"].atr.multiplier == 8
    assert second.configuration.policies["scalp"].atr.multiplier == 3
    assert second.configuration.policies["scalp"].atr.period == 7


def test_a_base_ratio_holds_for_symbols_with_a_ratio_of_their_own_too(policies):
    first, far, own = policies(
        "first: {}\nfar:\n  risk_reward: {base_ratio: 3}\n"
        "own:\n  risk_reward: {base_ratio: 3, symbol_specific_ratios: {AAPL: 2}}\n"
    )
    assert default(first).risk_reward.symbol_specific_ratios["AAPL"] == Decimal("1.8")
    assert dict(default(far).risk_reward.symbol_specific_ratios) == {}
    assert dict(default(own).risk_reward.symbol_specific_ratios) == {"AAPL": Decimal(2)}


@pytest.mark.parametrize(
    ("what", "text", "words"),
    [
        ("nothing", "", "names no policy: write at least 2"),
        ("a list", "- a\n- b\n", "allowed: a block with one key a policy"),
        ("one policy", "alone: {}\n", "names one policy only, alone"),
        ("too many", "".join(f"p{n}: {{}}\n" for n in range(9)), "names 9 policies; allowed: 2 to 8"),
        ("the same name twice", "a: {}\nb: {}\na: {}\n", ":3: a: set twice in this file, first on line 1"),
        (
            "a misspelt key",
            "a: {}\nb:\n  atr: {multiplir: 3}\n",
            ":3: b.atr.multiplir: unknown key; nearest known key: b.atr.multiplier",
        ),
        (
            "a key with dots, as a grid has it",
            "a: {}\nb:\n  atr.multiplier: 3\n",
            ":3: b.atr.multiplier: no dots in keys here; write it in blocks, atr: {multiplier: ...}",
        ),
        (
            "a misspelt key with dots",
            "a: {}\nb:\n  atr.multiplyer: 3\n",
            ":3: b.atr.multiplyer: unknown key; nearest known key: b.atr.multiplier",
        ),
        (
            "a key a level too high",
            "a: {}\nb:\n  period: 3\n",
            ":3: b.period: unknown key; nearest known key: b.atr.period",
        ),
        (
            "a value out of range",
            "a: {}\nb:\n  atr: {multiplier: 0}\n",
            ":3: b.atr.multiplier: 0 is not allowed; allowed: a number above 0",
        ),
        ("a misspelt word", "a: {}\nb:\n  atr: {method: wildr}\n", "nearest: wilder"),
        ("no block", "a: {}\nb: 5\n", ":2: b: 5 is not allowed; allowed: a block of keys (risk_reward, atr"),
        ("no name", 'a: {}\n"  ": {}\n', ":2: '  ' is not allowed as a name; allowed: 1 to 32 printable characters"),
        ("a long name", f"a: {{}}\n{'b' * 33}: {{}}\n", "is not allowed as a name"),
        ("broken YAML", "a: {}\nb: {atr: [1\nc: }\n", ":3: not valid YAML"),
        ("not text", b"a: {}\n\xff\xfe\n", ":2: is not UTF-8 text"),
        (
            "a clash",
            "a: {}\nb:\n  risk_reward: {base_ratio: 7}\n",
            ":3: b.risk_reward.base_ratio: 7 is above max_ratio 3",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 26 else "",
)
def test_what_is_wrong_is_said_with_file_line_and_what_to_write(policies, what, text, words):
    with pytest.raises(ConfigError) as refused:
        policies(text)
    told = "\n".join(refused.value.problems)
    assert "policies.yaml" in told
    assert words in told


def test_every_problem_is_told_at_once_in_the_order_of_the_file(policies):
    with pytest.raises(ConfigError) as refused:
        policies("a:\n  atr: {perod: 3}\nb:\n  atr: {multiplier: -1}\n")
    first, second = refused.value.problems
    assert "policies.yaml:2: a.atr.perod" in first
    assert "policies.yaml:4: b.atr.multiplier" in second


def test_the_shipped_example_loads():
    folder = default_config_dir()
    shipped = read_policies(folder / "policies.yaml", folder, None, {})
    assert len(shipped) == 4
    assert shipped[0].changes == {}
