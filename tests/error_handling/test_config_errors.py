"""What an operator reads when a configuration cannot be taken: one line each, all at once, nothing loaded."""

import json
import subprocess
import sys

import pytest

from grodtd.config import load, run_check
from grodtd.config.calendars import COMMON, calendar_code
from grodtd.domain.errors import ConfigError

WHOLE = "a whole number from 1 to 1000"
POSITIVE = "a number above 0 and at most 100"


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Write files into ./configs, load them, and return the lines of the refusal."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()

    def refused(files, env=None, environ=None):
        for name, text in files.items():
            path = tmp_path / "configs" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigError) as error:
            load("configs", env, environ or {})
        return error.value.problems

    return refused


ATR = "trade_exit:\n  atr:\n    {}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (ATR.format("periodd: 3"), "3: trade_exit.atr.periodd: unknown key; nearest known key: trade_exit.atr.period"),
        (
            "trade_exit:\n  period: 3\n",
            "2: trade_exit.period: unknown key; nearest known key: trade_exit.atr.period",
        ),
        (
            "trade_exits:\n  atr: {period: 3}\n",
            "1: trade_exits: unknown key; nearest known key: trade_exit",
        ),
        (
            "risk_reward: {base_ratio: 2}\n",
            "1: risk_reward: unknown key in this file: it belongs in risk_reward.yaml",
        ),
        (
            ATR.format("colour: red"),
            (
                "3: trade_exit.atr.colour: unknown key; known keys here: period, multiplier, method, "
                "fallback_percentage, max_gap_bars, min_stop_ticks, min_stop_percentage, interval"
            ),
        ),
        (ATR.format("period: -3"), f"3: trade_exit.atr.period: -3 is not allowed; allowed: {WHOLE}"),
        (ATR.format("period: 0"), f"3: trade_exit.atr.period: 0 is not allowed; allowed: {WHOLE}"),
        (ATR.format("period: 14.0"), f"3: trade_exit.atr.period: 14.0 is not allowed; allowed: {WHOLE}"),
        (ATR.format("period: true"), f"3: trade_exit.atr.period: true is not allowed; allowed: {WHOLE}"),
        (ATR.format("period:"), f"3: trade_exit.atr.period: null is not allowed; allowed: {WHOLE}"),
        (
            ATR.format("period: '14'"),
            f"3: trade_exit.atr.period: '14' is not allowed (text in quotes: write it without them); allowed: {WHOLE}",
        ),
        (ATR.format("period: [14]"), f"3: trade_exit.atr.period: a list is not allowed; allowed: {WHOLE}"),
        (
            ATR.format("period: {bars: 14}"),
            f"3: trade_exit.atr.period: a block of keys is not allowed; allowed: {WHOLE}",
        ),
        (ATR.format("multiplier: 0"), f"3: trade_exit.atr.multiplier: 0 is not allowed; allowed: {POSITIVE}"),
        (ATR.format("multiplier: .inf"), f"3: trade_exit.atr.multiplier: '.inf' is not allowed; allowed: {POSITIVE}"),
        (ATR.format("multiplier: true"), f"3: trade_exit.atr.multiplier: true is not allowed; allowed: {POSITIVE}"),
        (
            ATR.format("multiplier: 1e-19"),
            f"3: trade_exit.atr.multiplier: 1E-19 is not allowed (more than 18 decimals); allowed: {POSITIVE}",
        ),
        (
            ATR.format("fallback_percentage: 2"),
            "3: trade_exit.atr.fallback_percentage: 2 is not allowed; allowed: a number above 0 and below 1",
        ),
        (
            ATR.format("method: wildr"),
            "3: trade_exit.atr.method: 'wildr' is not allowed; allowed: one of wilder, sma, ema; nearest: wilder",
        ),
        (
            ATR.format("interval: 60"),
            (
                "3: trade_exit.atr.interval: 60 is not allowed; allowed: a length of time with its unit "
                "(30s, 5m, 1h, 1d), from 1s to 7d"
            ),
        ),
        (
            ATR.format("interval: 30d"),
            (
                "3: trade_exit.atr.interval: '30d' is not allowed; allowed: a length of time with its unit "
                "(30s, 5m, 1h, 1d), from 1s to 7d"
            ),
        ),
        (
            "trade_exit:\n  protection: {allow_synthetic: yes}\n",
            "2: trade_exit.protection.allow_synthetic: 'yes' is not allowed; allowed: true or false",
        ),
        (
            "trade_exit:\n  day_rolls_at: 24:00\n",
            "2: trade_exit.day_rolls_at: '24:00' is not allowed; allowed: a time of day as HH:MM, from 00:00 to 23:59",
        ),
        (
            "trade_exit:\n  atr: 14\n",
            (
                "2: trade_exit.atr: 14 is not allowed; allowed: a block of keys (period, multiplier, method, "
                "fallback_percentage, max_gap_bars, min_stop_ticks, min_stop_percentage, interval)"
            ),
        ),
        (
            "trade_exit:\n  strategies:\n    - scalp\n",
            "2: trade_exit.strategies: a list is not allowed; allowed: a block with one key for each <strategy>",
        ),
        (
            "trade_exit:\n  strategies:\n    default: {}\n",
            (
                "3: trade_exit.strategies.default: 'default' is not allowed as a name; allowed: a name of 1 to 32 "
                "letters, digits, _ and - (default is the policy at trade_exit itself)"
            ),
        ),
        (
            "trade_exit:\n  strategies:\n    scalp:\n      day_rolls_at: 21:00\n",
            "4: trade_exit.strategies.scalp.day_rolls_at: unknown key; nearest known key: trade_exit.day_rolls_at",
        ),
        (
            "trade_exit:\n  strategies:\n    scalp: {atr: {perid: 7}}\n",
            (
                "3: trade_exit.strategies.scalp.atr.perid: unknown key; nearest known key: "
                "trade_exit.strategies.scalp.atr.period"
            ),
        ),
        (
            "trade_exit:\n  atr: {period: 7}\n  atr: {period: 8}\n",
            "3: trade_exit.atr: set twice in this file, first on line 2: keep one of the two",
        ),
        (
            "trade_exit: 14\n",
            (
                "1: trade_exit: 14 is not allowed; allowed: a block of keys (risk_reward, atr, bracket_orders, "
                "protection, sizing, ratchet, trailing, break_even, profit_lock, scale_out, time_exit, "
                "day_rolls_at, strategies, symbols)"
            ),
        ),
        ("just words\n", "1: 'just words' is not allowed; allowed: a block of keys (trade_exit)"),
        ("- a\n- b\n", "1: a list is not allowed; allowed: a block of keys (trade_exit)"),
    ],
)
def test_one_mistake_is_one_line(problems, text, line):
    assert problems({"trade_exit.yaml": text}) == [f"configs/trade_exit.yaml:{line}"]


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: b: c\n", ":1", "not valid YAML: mapping values are not allowed here"),
        (
            "trade_exit:\n\tatr: 3\n",
            ":2",
            "not valid YAML: while scanning for the next token; found character '\\t' that cannot start any token",
        ),
        (
            "trade_exit:\n  atr: [1\n",
            ":3",
            "not valid YAML: while parsing a flow sequence; expected ',' or ']', but got '<stream end>'",
        ),
        (
            "trade_exit: &a\n  atr: *a\n",
            ":2",
            "not valid YAML: the alias *a is not understood here: write the values out",
        ),
        (
            "x: !!python/object:os.system y\n",
            ":1",
            (
                "not valid YAML: the tag tag:yaml.org,2002:python/object:os.system is not understood here: "
                "write the value without it"
            ),
        ),
        (
            "--- {}\n--- {}\n",
            ":2",
            "not valid YAML: expected a single document in the stream; but found another document",
        ),
        ("x: \x07\n", ":1", "not valid YAML: a control character (#x0007) is not allowed"),
        (b"x: 1\ny: \xe9\n", ":2", "is not UTF-8 text: save the file as UTF-8"),
        ("[" * 5000, "", "blocks are nested too deeply to be a configuration"),
        ("? [a]\n: b\n", ":1", "a key must be a plain word"),
    ],
)
def test_text_that_is_no_yaml_of_ours_says_so_and_where(problems, text, where, words):
    assert problems({"trade_exit.yaml": text}) == [f"configs/trade_exit.yaml{where}: {words}"]


BOUNDS = "ratios from min_ratio {} to max_ratio {}"


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            {"risk_reward.yaml": "risk_reward:\n  min_ratio: 2\n  base_ratio: 2\n  max_ratio: 1\n"},
            (
                "configs/risk_reward.yaml:2: risk_reward.min_ratio: 2 is above max_ratio 1 "
                "(configs/risk_reward.yaml:4); allowed: min_ratio at most max_ratio"
            ),
        ),
        (
            {"risk_reward.yaml": "risk_reward:\n  max_ratio: 0.5\n"},
            (
                "configs/risk_reward.yaml:2: risk_reward.max_ratio: 0.5 is below min_ratio 1 (built-in default); "
                "allowed: min_ratio at most max_ratio"
            ),
        ),
        (
            {"risk_reward.yaml": "risk_reward:\n  base_ratio: 3.5\n"},
            (
                "configs/risk_reward.yaml:2: risk_reward.base_ratio: 3.5 is above max_ratio 3 (built-in default); "
                f"allowed: {BOUNDS.format(1, 3)}"
            ),
        ),
        (
            {"risk_reward.yaml": "risk_reward:\n  max_ratio: 1.2\n"},
            (
                "configs/risk_reward.yaml:2: risk_reward.max_ratio: 1.2 is below base_ratio 1.5 (built-in default); "
                f"allowed: {BOUNDS.format(1, 1.2)}"
            ),
        ),
        (
            {
                "risk_reward.yaml": "risk_reward:\n  symbol_specific_ratios:\n    AAPL: 1.8\n    SPY: 1.2\n",
                "trade_exit.yaml": "trade_exit:\n  risk_reward: {max_ratio: 1.6}\n",
            },
            (
                "configs/risk_reward.yaml:3: risk_reward.symbol_specific_ratios.AAPL: 1.8 is above max_ratio 1.6 "
                f"(configs/trade_exit.yaml:2); allowed: {BOUNDS.format(1, 1.6)}"
            ),
        ),
        (
            {"trade_exit.yaml": "trade_exit:\n  strategies:\n    scalp:\n      risk_reward: {max_ratio: 1.4}\n"},
            (
                "configs/trade_exit.yaml:4: trade_exit.strategies.scalp.risk_reward.max_ratio: 1.4 is below "
                f"base_ratio 1.5 (built-in default); allowed: {BOUNDS.format(1, 1.4)} (in strategy scalp)"
            ),
        ),
        (
            {"trade_exit.yaml": "trade_exit:\n  protection: {plan: synthetic}\n"},
            (
                "configs/trade_exit.yaml:2: trade_exit.protection.plan: synthetic needs allow_synthetic true, "
                "but it is false (built-in default); allowed: synthetic only together with allow_synthetic: true"
            ),
        ),
        (
            {"instruments.yaml": "instruments:\n  symbols:\n    AAPL:\n      lot_size: 1\n"},
            (
                "configs/instruments.yaml:3: instruments.symbols.AAPL.tick_size: is not set, and has no "
                "built-in default: give it here or in instruments.defaults"
            ),
        ),
        (
            {
                "instruments.yaml": "instruments:\n  defaults: {precision: 1, lot_size: 1}\n"
                "  symbols:\n    AAPL: {tick_size: 0.05}\n"
            },
            (
                "configs/instruments.yaml:4: instruments.symbols.AAPL.tick_size: 0.05 has more decimals than "
                "precision 1 (configs/instruments.yaml:2) of AAPL; allowed: a tick the venue can write"
            ),
        ),
    ],
)
def test_values_that_contradict_each_other_are_named_with_both_places(problems, files, line):
    assert problems(files) == [line]


def test_a_contradiction_of_the_default_policy_is_not_repeated_for_its_strategies(problems):
    text = "trade_exit:\n  risk_reward: {base_ratio: 5}\n  strategies:\n    scalp: {}\n    swing: {atr: {period: 7}}\n"
    assert len(problems({"trade_exit.yaml": text})) == 1


def test_nothing_is_concluded_from_a_value_that_was_refused(problems):
    text = "risk_reward:\n  max_ratio: lots\n  base_ratio: 5\n"
    assert problems({"risk_reward.yaml": text}) == [
        f"configs/risk_reward.yaml:2: risk_reward.max_ratio: 'lots' is not allowed; allowed: {POSITIVE}"
    ]
    broken = {"risk_reward.yaml": "risk_reward: [", "trade_exit.yaml": "trade_exit: {risk_reward: {base_ratio: 5}}"}
    assert len(problems(broken)) == 1


def test_a_wrong_value_is_found_even_where_a_higher_source_hides_it(problems):
    environ = {"GRODTD_TRADE_EXIT__ATR__PERIOD": "21"}
    assert problems({"trade_exit.yaml": ATR.format("period: x")}, environ=environ) == [
        f"configs/trade_exit.yaml:3: trade_exit.atr.period: 'x' is not allowed; allowed: {WHOLE}"
    ]


def test_all_problems_are_told_at_once_in_the_order_of_files_and_lines(problems):
    found = problems(
        {
            "risk_reward.yaml": "risk_reward:\n  base_ratio: 9\n  min_ratio: no\n",
            "trade_exit.yaml": "trade_exit:\n  atr:\n    period: 0\n    multiplier: x\n  colour: red\n  atr: {}\n",
            "instruments.yaml": "instruments:\n  symbols:\n    SPY: {tick_size: -1}\n",
            "paper/trade_exit.yaml": "trade_exit: [\n",
        },
        env="paper",
        environ={"GRODTD_TRADE_EXIT__ATR__PERIOD": "1.5", "GRODTD_NO_SUCH": "1"},
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["configs/risk_reward.yaml:3", "risk_reward.min_ratio"],
        ["configs/trade_exit.yaml:3", "trade_exit.atr.period"],
        ["configs/trade_exit.yaml:4", "trade_exit.atr.multiplier"],
        ["configs/trade_exit.yaml:5", "trade_exit.colour"],
        ["configs/trade_exit.yaml:6", "trade_exit.atr"],
        ["configs/instruments.yaml:3", "instruments.symbols.SPY.tick_size"],
        ["configs/paper/trade_exit.yaml:2", "not valid YAML"],
        ["GRODTD_NO_SUCH", "no_such"],
        ["GRODTD_TRADE_EXIT__ATR__PERIOD", "trade_exit.atr.period"],
        ["configs/instruments.yaml:3", "instruments.symbols.SPY.lot_size"],
    ]
    assert all(len(line.splitlines()) == 1 for line in found)


def test_a_directory_must_be_there_and_hold_something(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = "risk_reward.yaml, trade_exit.yaml, risk_limits.yaml, instruments.yaml, brokers.yaml, daemon.yaml"
    with pytest.raises(ConfigError) as error:
        load("nowhere", environ={})
    assert error.value.problems == [f"nowhere: is not a directory: name the one that holds {names}"]
    (tmp_path / "configs").mkdir()
    with pytest.raises(ConfigError) as error:
        load("configs", environ={})
    assert error.value.problems == [f"configs: holds none of {names}: at least one must be there"]


def test_an_environment_must_be_there_and_hold_something(problems, tmp_path):
    files = {"trade_exit.yaml": "", "paper/trade_exit.yaml": ""}
    assert problems(files, env="papr") == ["configs/papr: is not a directory; environments there: paper"]
    assert problems(files, env="../paper") == [
        "configs: '../paper' is no name of an environment; environments there: paper"
    ]
    (tmp_path / "configs" / "empty").mkdir()
    names = "risk_reward.yaml, trade_exit.yaml, risk_limits.yaml, instruments.yaml, brokers.yaml, daemon.yaml"
    assert problems(files, env="empty") == [f"configs/empty: holds none of {names}: at least one must be there"]


def test_a_misnamed_file_is_not_left_out_without_a_word(problems):
    assert problems({"risk_reward.yaml": "", "trade_exit.yml": ATR.format("period: 7")}) == [
        "configs/trade_exit.yml: is not read under this name; nearest known file: trade_exit.yaml"
    ]


def test_a_file_that_cannot_be_read_says_why(problems, tmp_path):
    (tmp_path / "configs" / "trade_exit.yaml").mkdir()
    assert problems({"risk_reward.yaml": ""}) == ["configs/trade_exit.yaml: cannot be read: Is a directory"]


def test_a_long_or_broken_value_stays_on_one_short_line(problems):
    text = 'trade_exit:\n  atr:\n    method: "a\\nb\\u2028c' + "x" * 500 + '"\n'
    (line,) = problems({"trade_exit.yaml": text})
    assert len(line.splitlines()) == 1
    assert len(line) < 200


def test_check_prints_every_problem_and_ends_with_2(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "trade_exit.yaml").write_text("trade_exit:\n  art: 1\n  day_rolls_at: 9\n")
    text, status = run_check("configs", environ={})
    assert status == 2
    assert text.splitlines() == [
        "configs/trade_exit.yaml:2: trade_exit.art: unknown key; nearest known key: trade_exit.atr",
        (
            "configs/trade_exit.yaml:3: trade_exit.day_rolls_at: 9 is not allowed; allowed: a time of day as HH:MM, "
            "from 00:00 to 23:59"
        ),
        "2 problems; nothing was loaded",
    ]
    text, status = run_check("configs", environ={}, as_json=True)
    assert status == 2
    assert json.loads(text)["ok"] is False
    assert len(json.loads(text)["problems"]) == 2


# ---------------------------------------------------------------- calendars

CODE = "allowed: a calendar's code such as XNYS, or null"
NOBODYS = "is not allowed (no calendar has this code"
QQQ = "instruments:\n  symbols:\n    QQQ: {tick_size: 0.01, lot_size: 1}\n"


@pytest.fixture
def library():
    """The library that knows the exchanges' calendars; an extra."""
    return pytest.importorskip("exchange_calendars")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            "instruments.yaml",
            QQQ.replace("}", ",\n      calendar: NASDQ}"),
            f"4: instruments.symbols.QQQ.calendar: 'NASDQ' {NOBODYS}; nearest: NASDAQ); {CODE}",
        ),
        (
            "instruments.yaml",
            "instruments:\n  defaults:\n    calendar: xnys\n",
            f"3: instruments.defaults.calendar: 'xnys' {NOBODYS}; nearest: XNYS); {CODE}",
        ),
        (
            "risk_limits.yaml",
            "risk_limits:\n  day_calendar: QQ_QQQQQQ\n",
            f"2: risk_limits.day_calendar: 'QQ_QQQQQQ' {NOBODYS}); {CODE}",
        ),
    ],
)
def test_a_calendar_that_nobody_keeps_is_refused_where_it_stands(library, problems, name, text, line):
    assert problems({name: text}) == [f"configs/{name}:{line}"]


def test_a_variable_names_no_unknown_calendar_either(library, problems):
    (line,) = problems({"risk_limits.yaml": "{}"}, environ={"GRODTD_RISK_LIMITS__DAY_CALENDAR": "XNYX"})
    assert f"'XNYX' {NOBODYS}; nearest: XNYS)" in line


@pytest.mark.parametrize("code", [*sorted(COMMON), "us_futures", "XICE"])
def test_every_market_there_is_may_be_named(library, code):
    assert calendar_code(code) == code
    assert code in {"FX", *library.get_calendar_names()}


def test_without_the_library_of_calendars_nobody_can_tell_and_any_code_stands(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)  # Python then refuses to import it
    (tmp_path / "risk_limits.yaml").write_text("risk_limits:\n  day_calendar: XNYX\n")
    assert load(tmp_path, environ={}).risk.limits.day_calendar == "XNYX"


def test_the_usual_calendars_are_checked_without_loading_their_library():
    program = (
        "import sys; from grodtd.config import default_config_dir, load; load(default_config_dir(), environ={});"
        "print('exchange_calendars' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
