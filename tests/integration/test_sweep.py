"""A sweep's every cell is the replay with that setting; it says what is wrong with a grid, and goes on where it was."""

import io
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from grodtd.cli import app
from grodtd.config.policy_file import read_base
from grodtd.config.text import Leaf, scalar
from grodtd.domain.errors import ConfigError, DataError
from grodtd.domain.orders import Side
from grodtd.replay.compare_stats import Interval
from grodtd.replay.inputs import ReplayOptions
from grodtd.replay.run import run
from grodtd.replay.summary import summarize
from grodtd.replay.sweep import Interrupted, at_setting, estimate, job_of, sweep
from grodtd.replay.sweep_grid import Axis, Grid, read_grid
from grodtd.replay.sweep_judge import Ranked, Verdict
from grodtd.replay.sweep_report import page_html
from grodtd.replay.sweep_tasks import How, parts, run_part, trades_of
from grodtd.replay.sweep_words import best_table, verdict
from grodtd.venue.bar_matching import FillModel
from tests.integration.test_kernels_equal_engine import CASES as ALL
from tests.twin.product import write_bars, write_config, write_entries
from tests.twin.scenarios import bars_scenario, quotes_scenario

FIXED = """
atr.multiplier: {from: 0.5, to: 3, step: 0.5}
risk_reward: {min_ratio: 0.1, max_ratio: 10, strategy: fixed_ratio, base_ratio: [3, 0.7, 1.5]}
"""
CASES = ALL // 10


def covered(market):
    """The market with what the shared walk covers: no fee in units, lots that divide every quantity."""
    config = replace(market.config, fee_asset="quote", lot=min(market.config.lot, Decimal("0.001")))
    return replace(market, config=config)


def job_in(folder, market, grid: str, model=FillModel.PESSIMISTIC):
    folder.mkdir(parents=True, exist_ok=True)
    config = write_config(folder, market.symbol, market.config)
    (folder / "grid.yaml").write_text(grid)
    base = read_base(config, None, {})
    options = ReplayOptions(
        prices=write_bars(folder, market),
        entries=str(write_entries(folder, market.entries)),
        symbol=market.symbol,
        model=model,
    )
    return job_of(options, read_grid(folder / "grid.yaml", base), base)


def close(ours, theirs):
    return (theirs is None and ours is None) or ours == pytest.approx(float(theirs), rel=1e-9, abs=1e-9)


def every_cell_is_a_replay(job, out) -> set[str]:
    swept = sweep(job, out)
    for number, figures in swept.figures.items():
        summary = summarize(run(at_setting(job, number), None).rows)
        assert (figures.count, figures.open) == (summary.count, summary.open.count), number
        assert (figures.wins, figures.losses, figures.without_r) == (summary.wins, summary.losses, summary.without_r)
        for name in ("expectancy_r", "profit_factor", "total_r", "pnl", "max_drawdown_r"):
            assert close(getattr(figures, name), getattr(summary, name)), (number, name)
    return set(swept.how.values())


@pytest.mark.parametrize("model", FillModel)
def test_every_cell_of_fixed_levels_is_a_replay_on_bars(tmp_path, model):
    answered = [
        every_cell_is_a_replay(
            job_in(tmp_path / str(seed), covered(bars_scenario(seed)), FIXED, model), tmp_path / f"{seed}o"
        )
        for seed in range(CASES)
    ]
    assert sum(how == {How.WALK.value} for how in answered) >= len(answered) // 2


def test_every_cell_is_a_replay_where_something_stays_unsold(tmp_path):
    """Fees in units and lots that divide no quantity: the shared walk leaves them to the loops, cell by cell."""
    seeds = [seed for seed in range(200) if bars_scenario(seed).config.fee_asset == "base"][: max(3, CASES // 3)]
    for seed in seeds:
        market = bars_scenario(seed)
        answered = every_cell_is_a_replay(job_in(tmp_path / str(seed), market, FIXED), tmp_path / f"{seed}o")
        assert How.WALK.value not in answered


def test_every_cell_of_fixed_levels_is_a_replay_on_quotes(tmp_path):
    for seed in range(CASES):
        job = job_in(tmp_path / str(seed), covered(quotes_scenario(seed)), FIXED)
        every_cell_is_a_replay(job, tmp_path / f"{seed}o")


@pytest.mark.parametrize(
    "grid",
    [
        "atr.period: [2, 5]\nrisk_reward.strategy: [volatility_based, adaptive_ratio]\n",
        "time_exit.after_bars: [1, 5]\natr.multiplier: [1, 2]\n",
        "trailing: {method: atr, amount: [1, 2]}\nscale_out.rest: [target, run]\n",
    ],
)
def test_any_parameter_is_an_axis(tmp_path, grid):
    for seed in range(2):
        every_cell_is_a_replay(job_in(tmp_path / str(seed), covered(bars_scenario(seed)), grid), tmp_path / f"{seed}o")


def test_threads_and_order_of_an_axis_change_nothing(tmp_path):
    market = covered(bars_scenario(3))
    job = job_in(tmp_path / "a", market, FIXED)
    part = parts(job.grid, len(job.entries))[0]
    assert run_part(job, part, threads=3) == run_part(job, part)
    number = 7
    alone = trades_of(job, list(job.grid.settings())[number])
    assert run_part(job, part)[number].row[0] == np.count_nonzero(alone.at >= 0)


def stopping_after(count):
    """Answers parts until the user presses Ctrl-C."""

    def runner(job, left):
        for at, part in left[:count]:
            yield at, run_part(job, part)
        raise KeyboardInterrupt

    return runner


def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path):
    grid = FIXED + "atr.period: [2, 3, 5, 7]\n"
    job = job_in(tmp_path / "a", covered(bars_scenario(3)), grid)
    out = tmp_path / "out"
    stopped = sweep(job, out, runner=stopping_after(3))
    assert stopped == Interrupted(3 * 18, 4 * 18)
    with (out / "sweep.part").open("ab") as file:
        file.write(b'{"part":3,"answers":[[1,')  # a line that a crash cut short
    asked = []

    def runner(job, left):
        asked.extend(at for at, _ in left)
        return ((at, run_part(job, part)) for at, part in left)

    sweep(job, out, runner=runner)
    assert asked == [3]
    assert not (out / "sweep.part").exists()
    sweep(job, tmp_path / "whole")
    assert pl.read_parquet(out / "sweep.parquet").equals(pl.read_parquet(tmp_path / "whole" / "sweep.parquet"))


def test_another_unfinished_sweep_is_not_overwritten(tmp_path):
    market = covered(bars_scenario(3))
    sweep(job_in(tmp_path / "a", market, FIXED), tmp_path / "out", runner=stopping_after(0))
    other = FIXED.replace("0.7", "0.8")
    with pytest.raises(DataError, match=r"sweep\.part: an unfinished sweep of other"):
        sweep(job_in(tmp_path / "b", market, other), tmp_path / "out")


class TestOfApple:
    """Six entries in thirteen years of AAPL, which has a ratio of its own in the configuration that came with us."""

    def swept(self, tmp_path, grid, progress=None):
        (tmp_path / "grid.yaml").write_text(grid)
        base = read_base("configs", None, {})
        options = ReplayOptions(prices=Path("examples/AAPL-1d.csv.gz"), entries="every:500")
        return sweep(
            job_of(options, read_grid(tmp_path / "grid.yaml", base), base), tmp_path / "out", progress=progress
        )

    def test_a_swept_base_ratio_is_said_to_displace_the_symbols_own(self, tmp_path):
        seen = []
        said = self.swept(tmp_path, "risk_reward.base_ratio: [1, 2]\n", lambda *step: seen.append(step)).remarks
        assert (
            "base_ratio stands here for the ratio that AAPL has of its own, 1.8 (configs/risk_reward.yaml:61): "
            "to trade such a setting, change it there"
        ) in said
        assert seen[0] == ("sweeping", 0.0)  # said before the loops are compiled, which takes a while

    def test_without_a_base_ratio_nothing_is_said_of_it(self, tmp_path):
        assert not any("of its own, 1.8" in words for words in self.swept(tmp_path, "atr.multiplier: [1, 2]\n").remarks)


def judged(axes, best=(), **more):
    """What came of a sweep as far as words need it."""
    grid = Grid("grid.yaml", tuple(Axis(tuple(name.split(".")), values, 1) for name, values in axes.items()), {})
    found = {"windows": [], "forward_r": None, "forward_count": 0, "forward_interval": None, "ranked": grid.size}
    sides = found | more
    entries = [SimpleNamespace(side=side) for side in sides.pop("sides", (Side.BUY, Side.SELL))]
    job = SimpleNamespace(grid=grid, inputs=SimpleNamespace(entries=entries))
    return SimpleNamespace(job=job, verdict=Verdict(list(best), **sides))


def ranked(number, interval=None):
    figures = SimpleNamespace(count=1234, expectancy_r=-10.125, profit_factor=12.5)
    return Ranked(number, figures, interval, -10.25)


def printed(table, width=80) -> list[str]:
    screen = Console(width=width, file=io.StringIO())
    screen.print(table)
    return [line.strip() for line in screen.file.getvalue().splitlines()]


FIVE = {
    "trailing.method": ("chandelier",),
    "trailing.amount": (2, Decimal("2.5")),
    "atr.multiplier": (1, Decimal("1.25")),
    "atr.period": (14, 21),
    "time_exit.unprofitable_after_bars": (100, 200),
    "risk_reward.base_ratio": (1, 2),
}


class TestTheBestInATerminal:
    def test_five_axes_leave_room_for_every_figure_at_80_characters(self):
        lines = printed(best_table(judged(FIVE, [ranked(31, Interval(-10.125, -12.375))])))
        told = "\n".join(lines)
        assert lines[0] == "Best by expectancy, all with method chandelier"
        assert lines[2].split() == ["setting", "trades", "mean", "R", "95%", "near", "by", "factor"]
        figures = ("1,234", "-10.125", "-10.125 to -12.375", "-10.250", "12.50")
        assert all(f" {figure}" in lines[4] for figure in figures), told
        words = " ".join(line[:24].strip() for line in lines[4:])
        setting = "amount 2.5, multiplier 1.25, period 21, unprofitable_after_bars 200, base_ratio 2"
        assert words.strip() == setting, told

    def test_a_wide_one_has_a_setting_on_one_line(self):
        assert printed(best_table(judged(FIVE, [ranked(0)])), 200)[4].startswith(
            "amount 2, multiplier 1, period 14, unprofitable_after_bars 100, base_ratio 1 "
        )

    def test_of_one_setting_alone_its_values_are_shown(self):
        lines = printed(best_table(judged({"atr.multiplier": (2,), "atr.period": (14,)}, [ranked(0)])))
        assert lines[4].startswith("multiplier 2, period 14 ")
        assert "all with" not in lines[0]


MULTIPLIERS = {"atr.multiplier": tuple(range(1, 46))}
FEW = "no interval: fewer than 10 stretches of overlapping trades"


class TestTheVerdict:
    def test_why_there_is_no_interval_is_said(self):
        words = verdict(judged(MULTIPLIERS, [ranked(0)], forward_r=1.044, forward_count=53))
        assert words == (
            f"The best of 45 settings made -10.125 R a trade ({FEW}), chosen with hindsight: of many settings one is "
            "always best. Chosen on the past and judged on the future, the settings made 1.044 R a trade over 53 "
            f"trades ({FEW}): not told apart from zero out of sample."
        )

    @pytest.mark.parametrize(
        ("forward_r", "interval", "words"),
        [
            (0.5, Interval(0.1, 0.9), ": above zero out of sample."),
            (0.5, Interval(-0.1, 0.9), ": not told apart from zero out of sample."),
            (-0.5, Interval(-0.9, 0.1), ": not above zero out of sample."),
        ],
    )
    def test_the_future_is_spoken_of_with_care(self, forward_r, interval, words):
        swept = judged(MULTIPLIERS, [ranked(0)], forward_r=forward_r, forward_count=1, forward_interval=interval)
        assert verdict(swept).endswith(f" over 1 trade (95% {interval.low:.3f} to {interval.high:.3f}){words}")

    def test_one_setting_was_not_chosen(self):
        swept = judged({"atr.multiplier": (2,)}, [ranked(0)], forward_r=1.0, forward_count=53)
        assert verdict(swept) == f"The setting made -10.125 R a trade ({FEW})."
        assert printed(best_table(swept))[0] == "The setting"

    def test_the_only_one_that_could_be_ranked_is_not_the_best(self):
        words = verdict(judged(MULTIPLIERS, [ranked(0)], ranked=1))
        assert words.startswith("The only setting with enough closed trades to be ranked made -10.125 R a trade")

    def test_entries_of_one_side_carry_the_markets_drift(self):
        one_sided = "All entries buy: one-sided entries carry the market's own drift, whatever the setting."
        for axes in (MULTIPLIERS, {"atr.multiplier": (2,)}):
            assert verdict(judged(axes, [ranked(0)], sides=[Side.BUY, Side.BUY])).endswith(f" {one_sided}")
            assert "drift" not in verdict(judged(axes, [ranked(0)], sides=[Side.BUY, Side.SELL]))


def test_one_entry_under_one_setting_is_spoken_of_as_one(tmp_path):
    market = covered(bars_scenario(3))
    one = replace(market, entries=market.entries[:1])
    job = job_in(tmp_path, one, "atr.multiplier: [2]\n")
    swept = sweep(job, tmp_path / "out")
    assert estimate(job, 1).startswith("1 setting x 1 entry: ")
    assert any(words.startswith("1 setting answered ") for words in swept.remarks)
    page = page_html(swept)
    assert ": 1 entry under 1 setting</h1>" in page
    for chosen in ("hindsight", "best until then", "best setting is framed", "chosen among many", "1 settings"):
        assert chosen not in page


GRID_ERRORS = [
    ("atr.multiplier: [1, 200]\n", ":1: atr.multiplier: 200 is not allowed; allowed: a number above 0"),
    ("a: 1\natr.perod: [1, 2]\n", ":2: atr.perod: unknown key"),
    ("\natr.multiplier: {from: 5, to: 2, step: 1}\n", ":2: atr.multiplier: from 5 must be below to 2"),
    ("atr.multiplier: {from: 1, to: 2, step: 1, count: 3}\n", ":1: atr.multiplier: give one of step and count"),
    ("atr.multiplier: {from: 0, to: 2, count: 3, log: true}\n", "equal factors"),
    ("atr.multiplier: {from: 1, to: 2, by: 3}\n", "by is no key of a range; allowed: from, to, step, count, log"),
    ("atr.multiplier: []\n", ":1: atr.multiplier: the list is empty"),
    ("atr.multiplier: 2\n", "names no axis"),
    (
        "atr.multiplier: {from: 1, to: 2, step: 0.001}\natr.period: {from: 1, to: 200, step: 1}\n",
        "1001 x 200 = 200,200",
    ),
    ("risk_reward: {base_ratio: [1, 9], max_ratio: 3}\n", ":1: "),
    ("atr: {multiplier: [1, 2]}\natr.multiplier: [3, 4]\n", ":2: atr.multiplier: set twice in this file"),
]


@pytest.mark.parametrize(("grid", "words"), GRID_ERRORS)
def test_what_is_wrong_with_a_grid_is_said_with_its_line(tmp_path, grid, words):
    (tmp_path / "grid.yaml").write_text(grid)
    with pytest.raises(ConfigError) as told:
        read_grid(tmp_path / "grid.yaml", read_base("configs", None, {}))
    assert any(words in line and "grid.yaml" in line for line in told.value.problems), told.value.problems


CLASHING = {
    "two axes": {"trailing.method": "chandelier, percent", "trailing.amount": "0.02, 3"},
    "another block between": {"trailing.method": "atr, ticks", "atr.period": "5, 9", "trailing.amount": "2, 0.5"},
    "a bound": {"risk_reward.base_ratio": "2.6, 3", "atr.period": "5, 9", "risk_reward.max_ratio": "5, 2.8"},
    "with what all share": {
        "risk_reward.max_ratio": "1.9",
        "risk_reward.min_ratio": "1, 1.8",
        "risk_reward.base_ratio": "1.8, 1.7",
    },
    "three steps of a strategy": {
        "scale_out.steps.1R": "0.2, 0.4",
        "scale_out.steps.2R": "0.1, 0.3",
        "scale_out.steps.3R": "0.1, 0.3",
    },
    "two blocks": {
        "trailing.method": "atr, percent",
        "scale_out.steps.1R": "0.2, 0.4",
        "scale_out.steps.2R": "0.2, 0.4",
        "trailing.amount": "0.1, 2",
    },
}


def grid_file(path, keys) -> Path:
    lines = (f"{key}: [{values}]" if "," in values else f"{key}: {values}" for key, values in keys.items())
    path.write_text("\n".join(lines) + "\n")
    return path


def what_trying_every_setting_tells(path, keys, base):
    """The problems of the first setting that has any."""
    axes, common = [], {}
    for line, (key, values) in enumerate(keys.items(), 1):
        where, found = tuple(key.split(".")), tuple(scalar(value) for value in values.split(", "))
        if len(found) > 1:
            axes.append(Axis(where, found, line))
        else:
            common[where] = Leaf(found[0], line)
    grid = Grid(str(path), tuple(axes), common)
    for setting in grid.settings():
        try:
            grid.policy(setting, base)
        except ConfigError as error:
            return error.problems
    return []


@pytest.mark.parametrize("keys", CLASHING.values(), ids=CLASHING)
def test_the_first_setting_whose_values_clash_is_told_when_the_grid_is_read(tmp_path, keys):
    """As trying them all tells it, where a strategy and a symbol differ from the rest."""
    config = Path(shutil.copytree("configs", tmp_path / "configs"))
    written = (config / "trade_exit.yaml").read_text()
    written = written.replace("  strategies: {}", "  strategies: {fast: {scale_out: {steps: {4R: 0.1}}}}")
    written = written.replace("  symbols: {}", "  symbols: {SPY: {scale_out: {steps: {5R: 0.2}}}}")
    (config / "trade_exit.yaml").write_text(written)
    base = read_base(config, None, {})
    path = grid_file(tmp_path / "grid.yaml", keys)
    with pytest.raises(ConfigError) as told:
        read_grid(path, base)
    assert told.value.problems == what_trying_every_setting_tells(path, keys, base)


def test_a_grid_whose_values_clash_ends_with_status_2_and_touches_nothing(tmp_path):
    grid = grid_file(tmp_path / "grid.yaml", CLASHING["two axes"])
    done = CliRunner().invoke(
        app,
        [
            *("sweep", "examples/AAPL-1d.csv.gz", "--entries", "every:500", "--config", "configs"),
            *("--grid", str(grid), "--out", str(tmp_path / "out"), "--jobs", "1"),
        ],
    )
    assert done.exit_code == 2
    assert "grid.yaml:2: trailing.amount: 3 does not go with method percent" in done.stderr
    assert not (tmp_path / "out").exists()


def test_ranges_hold_the_values_a_trader_means(tmp_path):
    (tmp_path / "grid.yaml").write_text(
        "atr.multiplier: {from: 0.5, to: 1.5, step: 0.25}\natr.period: {from: 5, to: 50, count: 4, log: true}\n"
        "trailing.amount: {from: 1, to: 16, count: 5, log: true}\ntrailing.method: [atr, chandelier]\n"
    )
    grid = read_grid(tmp_path / "grid.yaml", read_base("configs", None, {}))
    assert [[str(value) for value in axis.values] for axis in grid.axes] == [
        ["0.5", "0.75", "1", "1.25", "1.5"],
        ["5", "11", "23", "50"],
        ["1", "2", "4", "8", "16"],
        ["atr", "chandelier"],
    ]
