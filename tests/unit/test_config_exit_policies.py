"""Trailing, break-even, locks, scale-out and time exits as an operator writes them, and what is said of mistakes."""

from decimal import Decimal

import pytest

from grodtd.config import effective_lines, load, run_check
from grodtd.config.policy_file import read_policies
from grodtd.domain.errors import ConfigError
from grodtd.domain.policy import (
    BreakEvenPolicy,
    LockStep,
    RatchetOn,
    RatchetPolicy,
    Rest,
    ScaleOutPolicy,
    ScaleStep,
    TimeExitPolicy,
    TrailAtr,
    TrailingPolicy,
    TrailMethod,
)

D = Decimal


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    return tmp_path / "configs"


@pytest.fixture
def loaded(folder):
    """Write trade_exit.yaml with these lines below trade_exit, and load it under some variables."""

    def write_and_load(text, **environ):
        lines = "".join(f"  {line}\n" for line in text.splitlines())
        (folder / "trade_exit.yaml").write_text(f"trade_exit:\n{lines}", encoding="utf-8")
        return load("configs", environ=environ)

    return write_and_load


@pytest.fixture
def refused(loaded):
    """Return the lines of the refusal."""

    def problems(text, **environ):
        with pytest.raises(ConfigError) as error:
            loaded(text, **environ)
        return error.value.problems

    return problems


WHOLE = """\
ratchet: {on: quote, step_ticks: 5, min_interval_s: 0.5}
trailing: {method: chandelier, amount: 2.5, atr: current, activate_at_r: 1, activate_px: 105.20}
break_even: {at_r: 1, offset_ticks: 2, plus_fees: false}
profit_lock: {3: 2, 2: 1, "1.5": 0, 1: -0.5}
scale_out:
  steps: {2R: 0.25, px 105.20: 0.1, 1R: 0.5}
  rest: run
time_exit:
  after_bars: 20
  after: 4h
  unprofitable_after_bars: 5
  at_session_end: true
  before_weekend: true
  session_end_lead_s: 90
"""


def test_every_exit_policy_can_be_written(loaded):
    policy = loaded(WHOLE).policies["default"]
    assert policy.ratchet == RatchetPolicy(RatchetOn.QUOTE, 5, D("0.5"))
    assert policy.trailing == TrailingPolicy(TrailMethod.CHANDELIER, D("2.5"), TrailAtr.CURRENT, D(1), D("105.20"))
    assert policy.break_even == BreakEvenPolicy(D(1), 2, plus_fees=False)
    assert policy.profit_lock == (
        LockStep(D(1), D("-0.5")),
        LockStep(D("1.5"), D(0)),
        LockStep(D(2), D(1)),
        LockStep(D(3), D(2)),
    )
    assert policy.scale_out == ScaleOutPolicy(
        (ScaleStep(D("0.5"), at_r=D(1)), ScaleStep(D("0.25"), at_r=D(2)), ScaleStep(D("0.1"), px=D("105.20"))),
        Rest.RUN,
    )
    assert policy.time_exit == TimeExitPolicy(
        after_bars=20,
        after_s=D(14_400),
        unprofitable_after_bars=5,
        at_session_end=True,
        before_weekend=True,
        session_end_lead_s=D(90),
    )


def test_steps_written_in_another_order_are_the_same_policy(loaded):
    one = loaded("scale_out: {steps: {1R: 0.5, 2R: 0.25}}").policies["default"]
    other = loaded("scale_out: {steps: {2R: 0.25, 1R: 0.50}}").policies["default"]
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("TRAILING__METHOD", "atr", "trailing.method", "atr"),
        ("TRAILING__METHOD", "null", "trailing.method", None),
        ("PROFIT_LOCK__2", "1", "profit_lock.2", "1"),
        ("PROFIT_LOCK__1_5", "0.5", "profit_lock.1.5", "0.5"),
        ("SCALE_OUT__STEPS__1R", "0.5", "scale_out.steps.1R", "0.5"),
        ("SCALE_OUT__STEPS__1_5r", "0.5", "scale_out.steps.1.5R", "0.5"),
        ("SCALE_OUT__STEPS__PX_105_20", "0.5", "scale_out.steps.px 105.20", "0.5"),
        ("TIME_EXIT__AFTER", "4h", "time_exit.after", "4h"),
        ("SYMBOLS__AAPL__TRAILING__METHOD", "ticks", "symbols.AAPL.trailing.method", "ticks"),
    ],
)
def test_a_variable_sets_an_exit_policy_by_its_path(loaded, variable, text, path, value):
    configuration = loaded("", **{f"GRODTD_TRADE_EXIT__{variable}": text})
    assert configuration.values[f"trade_exit.{path}"] == value
    assert str(configuration.origins[f"trade_exit.{path}"]) == f"GRODTD_TRADE_EXIT__{variable}"


def test_a_strategy_adds_steps_and_drops_those_it_does_not_want(loaded):
    text = "scale_out: {steps: {1R: 0.5, 2R: 0.25}}\nprofit_lock: {2: 1}\nstrategies:\n  swing:\n    scale_out: {steps:"
    policies = loaded(f"{text} {{1R: null, 3R: 0.5}}}}\n    profit_lock: {{2: null}}").policies
    assert [step.at_r for step in policies["swing"].scale_out.steps] == [2, 3]
    assert policies["swing"].profit_lock == ()
    assert [step.at_r for step in policies["default"].scale_out.steps] == [1, 2]


AMOUNT = "trade_exit.trailing.amount"
STEPS = "trade_exit.scale_out.steps"
STEP_NAMES = "initial risks in profit such as 1.5R, or a price such as px 105.20"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("scale_out: {steps: {1R: 0}}", f"2: {STEPS}.1R: 0 is not allowed; allowed: a number above 0 and at most 1"),
        (
            "scale_out: {steps: {1R: 1.1}}",
            f"2: {STEPS}.1R: 1.1 is not allowed; allowed: a number above 0 and at most 1",
        ),
        (
            "scale_out:\n  steps:\n    1R: 0.5\n    2R: 0.5\n    3R: 0.2",
            f"6: {STEPS}.3R: 0.2 brings the fractions to 1.2; allowed: at most 1 in all",
        ),
        (
            "scale_out:\n  steps:\n    1R: 0.5\n    1.0R: 0.2",
            f"5: {STEPS}.1.0R: is the same place as 1R (configs/trade_exit.yaml:4); allowed: one step at a place",
        ),
        (
            "scale_out: {steps: {px 105.2: 0.5, px 105.20: 0.2}}",
            (
                f"2: {STEPS}.px 105.20: is the same place as px 105.2 (configs/trade_exit.yaml:2); "
                "allowed: one step at a place"
            ),
        ),
        ("scale_out: {steps: {1: 0.5}}", f"2: {STEPS}.1: '1' is not allowed as a name; allowed: {STEP_NAMES}"),
        ("scale_out: {steps: {0R: 0.5}}", f"2: {STEPS}.0R: '0R' is not allowed as a name; allowed: {STEP_NAMES}"),
        ("scale_out: {steps: {-1R: 0.5}}", f"2: {STEPS}.-1R: '-1R' is not allowed as a name; allowed: {STEP_NAMES}"),
        ("scale_out: {steps: {px: 0.5}}", f"2: {STEPS}.px: 'px' is not allowed as a name; allowed: {STEP_NAMES}"),
        (
            "scale_out: {steps: [0.5]}",
            f"2: {STEPS}: a list is not allowed; allowed: a block with one key for each <place>",
        ),
        ("scale_out: {step: {1R: 0.5}}", f"2: trade_exit.scale_out.step: unknown key; nearest known key: {STEPS}"),
        (
            "scale_out: {rest: runs}",
            "2: trade_exit.scale_out.rest: 'runs' is not allowed; allowed: one of target, run; nearest: run",
        ),
        (
            "profit_lock: {2: 2}",
            "2: trade_exit.profit_lock.2: 2 is not below the 2 it begins at; allowed: a number above -1 and below 2",
        ),
        (
            "profit_lock: {2: 1, 2.0: 1.5}",
            (
                "2: trade_exit.profit_lock.2.0: is the same place as 2 (configs/trade_exit.yaml:2); "
                "allowed: one lock at a place"
            ),
        ),
        (
            "profit_lock: {2R: 1}",
            (
                "2: trade_exit.profit_lock.2R: '2R' is not allowed as a name; allowed: initial risks in profit, "
                "above 0 and at most 100, such as 2"
            ),
        ),
        (
            "profit_lock: {2: -1}",
            "2: trade_exit.profit_lock.2: -1 is not allowed; allowed: a number above -1 and below 100, or null",
        ),
        (
            "trailing: {method: percent, amount: 2}",
            (
                f"2: {AMOUNT}: 2 does not go with method percent (configs/trade_exit.yaml:2); allowed: with percent a "
                "number above 0 and below 1 (0.02 is two per cent)"
            ),
        ),
        (
            "trailing: {method: percent}",
            (
                "2: trade_exit.trailing.method: percent does not go with amount 3 (built-in default); allowed: with "
                "percent a number above 0 and below 1 (0.02 is two per cent)"
            ),
        ),
        (
            "trailing: {method: ticks, amount: 2.5}",
            (
                f"2: {AMOUNT}: 2.5 does not go with method ticks (configs/trade_exit.yaml:2); "
                "allowed: with ticks a whole number"
            ),
        ),
        (
            "trailing: {method: chandelir}",
            (
                "2: trade_exit.trailing.method: 'chandelir' is not allowed; allowed: one of atr, chandelier, percent, "
                "distance, ticks, or null; nearest: chandelier"
            ),
        ),
        (
            "trailing: {activate_at: 1}",
            "2: trade_exit.trailing.activate_at: unknown key; nearest known key: trade_exit.trailing.activate_at_r",
        ),
        ("brake_even: {at_r: 1}", "2: trade_exit.brake_even: unknown key; nearest known key: trade_exit.break_even"),
        (
            "time_exit: {after: 4}",
            (
                "2: trade_exit.time_exit.after: 4 is not allowed; allowed: a length of time with its unit "
                "(30s, 5m, 4h, 10d), from 1s to 365d, or null"
            ),
        ),
        (
            "time_exit: {before_week_end: true}",
            (
                "2: trade_exit.time_exit.before_week_end: unknown key; nearest known key: "
                "trade_exit.time_exit.before_weekend"
            ),
        ),
    ],
)
def test_one_mistake_is_one_line(refused, text, line):
    (said,) = refused(text)
    assert said.removesuffix(", or null") == f"configs/trade_exit.yaml:{line}".removesuffix(", or null")


def test_a_mistake_ends_the_check_with_2(folder, refused):
    (line,) = refused("profit_lock: {2: 3}")
    assert run_check("configs", environ={}) == (f"{line}\n1 problem; nothing was loaded", 2)


def test_what_a_strategy_or_a_symbol_breaks_names_it(refused):
    steps = "scale_out: {steps: {1R: 0.5, 2R: 0.5}}\n"
    full = "0.1 brings the fractions to 1.1; allowed: at most 1 in all"
    assert refused(f"{steps}strategies:\n  swing:\n    scale_out: {{steps: {{3R: 0.1}}}}") == [
        f"configs/trade_exit.yaml:5: trade_exit.strategies.swing.scale_out.steps.3R: {full} (in strategy swing)"
    ]
    assert refused(f"{steps}strategies: {{swing: {{}}}}\nsymbols:\n  SPY:\n    scale_out: {{steps: {{3R: 0.1}}}}") == [
        f"configs/trade_exit.yaml:6: trade_exit.symbols.SPY.scale_out.steps.3R: {full} (for SPY)"
    ]


class TestOneSymbol:
    """What a symbol's own block changes, under every strategy."""

    TEXT = """\
trailing: {method: atr, amount: 3}
strategies:
  scalp:
    trailing: {amount: 1}
symbols:
  BTCUSD:
    trailing: {method: percent, amount: 0.05}
"""

    def test_it_wins_over_the_strategys_keys_for_that_symbol_only(self, loaded):
        policies = loaded(self.TEXT).policies
        said = {name: (policy.trailing.method, policy.trailing.amount) for name, policy in policies.items()}
        assert said == {
            "default": ("atr", 3),
            "scalp": ("atr", 1),
            "default@BTCUSD": ("percent", D("0.05")),
            "scalp@BTCUSD": ("percent", D("0.05")),
        }
        assert [policy.name for policy in policies.values()] == list(said)

    def test_what_it_does_not_set_is_the_strategys(self, loaded):
        text = "strategies: {scalp: {atr: {period: 7}}}\nsymbols: {SPY: {atr: {multiplier: 1}}}"
        policies = loaded(text).policies
        atr = policies["scalp@SPY"].atr
        assert (atr.period, atr.multiplier) == (7, 1)
        assert policies["default@SPY"].atr.period == 14

    def test_a_variable_wins_over_it_and_one_of_its_own_over_all(self, loaded):
        text = "symbols: {SPY: {atr: {period: 7}}}"
        every = loaded(text, GRODTD_TRADE_EXIT__ATR__PERIOD="21").policies
        assert {name: policy.atr.period for name, policy in every.items()} == {"default": 21, "default@SPY": 21}
        own = {"GRODTD_TRADE_EXIT__ATR__PERIOD": "21", "GRODTD_TRADE_EXIT__SYMBOLS__SPY__ATR__PERIOD": "9"}
        assert loaded(text, **own).policies["default@SPY"].atr.period == 9

    def test_the_ratio_in_its_block_counts_not_one_listed_for_it_elsewhere(self, loaded):
        listed = "risk_reward: {symbol_specific_ratios: {SPY: 1.2, AAPL: 1.8}}\n"
        ratios = loaded(f"{listed}symbols: {{SPY: {{risk_reward: {{base_ratio: 2}}}}}}").policies["default@SPY"]
        assert ratios.risk_reward.base_ratio == 2
        assert ratios.risk_reward.symbol_specific_ratios == {"AAPL": D("1.8")}
        untouched = loaded(f"{listed}symbols: {{SPY: {{atr: {{period: 7}}}}}}").policies["default@SPY"]
        assert untouched.risk_reward.symbol_specific_ratios["SPY"] == D("1.2")

    def test_the_check_shows_what_it_changes_and_why(self, loaded):
        lines = [" ".join(line.split()) for line in effective_lines(loaded(self.TEXT))]
        heading = next(i for i, line in enumerate(lines) if line.startswith("policy default@BTCUSD ("))
        assert lines[heading + 1 : heading + 4] == [
            "trade_exit.symbols.BTCUSD.trailing.method percent configs/trade_exit.yaml:8",
            "trade_exit.symbols.BTCUSD.trailing.amount 0.05 configs/trade_exit.yaml:8",
            "",
        ]
        assert "trade_exit.strategies.scalp@BTCUSD.trailing.amount 0.05 configs/trade_exit.yaml:8" in lines

    def test_it_changes_the_fingerprint_of_the_configuration(self, loaded):
        assert loaded(self.TEXT).fingerprint != loaded(self.TEXT.replace("0.05", "0.06")).fingerprint


def test_a_policies_file_takes_exit_policies_and_lays_them_on_symbols_too(folder, loaded):
    loaded("scale_out: {steps: {1R: 0.5}}\nsymbols: {SPY: {trailing: {method: ticks}}}")
    path = folder / "policies.yaml"
    path.write_text("as configured: {}\ntrail:\n  trailing: {method: atr}\n  scale_out: {steps: {1R: null, 2R: 0.5}}\n")
    configured, trail = read_policies(path, "configs", None, {})
    assert configured.configuration.policies["default@SPY"].trailing.method == "ticks"
    assert trail.changes == {"trailing.method": "atr", "scale_out.steps.1R": None, "scale_out.steps.2R": "0.5"}
    for policy in trail.configuration.policies.values():
        assert policy.trailing.method == "atr"
        assert [step.at_r for step in policy.scale_out.steps] == [2]


def test_a_mistake_in_a_policies_file_is_told_by_its_line(folder, loaded):
    loaded("")
    path = folder / "policies.yaml"
    path.write_text("one: {}\ntwo:\n  trailing: {methd: atr}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_policies(path, "configs", None, {})
    assert [line.removeprefix(str(folder)) for line in error.value.problems] == [
        "/policies.yaml:3: two.trailing.methd: unknown key; nearest known key: two.trailing.method"
    ]
