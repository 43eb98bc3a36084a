"""`grodtd sweep`: the same entries under every setting of a grid, as fast as each setting's policy allows.

The figures of every setting go to `sweep.parquet`; what is to be thought of the best ones to `sweep_judge`. A sweep
can be interrupted at any time and goes on where it was; parts run here, in processes, or on a cluster.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from grodtd.config.layers import dotted
from grodtd.config.loading import Configuration
from grodtd.config.policy_file import RATIOS_OF_SYMBOLS, Base
from grodtd.config.resolve import BASE_RATIO, TRADE_EXIT
from grodtd.config.text import Scalar
from grodtd.replay.columns import Progress
from grodtd.replay.entries import is_rule
from grodtd.replay.inputs import Inputs, ReplayOptions, prepare
from grodtd.replay.prices import Bars
from grodtd.replay.processes import deaf_children
from grodtd.replay.report_format import counted
from grodtd.replay.sweep_figures import Figures, figures_of
from grodtd.replay.sweep_grid import Grid
from grodtd.replay.sweep_judge import Verdict, judge
from grodtd.replay.sweep_state import Kept
from grodtd.replay.sweep_tasks import Answer, How, Job, Part, how_answered, part_bytes, parts, run_part

Runner = Callable[[Job, Sequence[tuple[int, Part]]], Iterator[tuple[int, list[Answer]]]]
"""Answers parts, each with its place, in any order."""

MEGABYTE = 2**20


@dataclass(frozen=True)
class Swept:
    """A sweep that is complete."""

    job: Job
    figures: Mapping[int, Figures]
    """By the setting's place, the last axis going fastest."""
    how: Mapping[int, str]
    verdict: Verdict
    remarks: Sequence[str]


@dataclass(frozen=True)
class Interrupted:
    """A sweep that was stopped; the same command goes on with it."""

    done: int
    settings: int


def job_of(options: ReplayOptions, grid: Grid, base: Base, progress: Progress | None = None) -> Job:
    """Read prices and entries for a sweep. Raises: DataError, ConfigError - the input, with file and line."""
    inputs = prepare(options, _slowest(grid, base), progress=progress)
    return Job(inputs, base, grid)


def _slowest(grid: Grid, base: Base) -> Configuration:
    """A rule such as every:50 begins where there is an ATR: where the slowest setting has one."""
    axis = next((axis for axis in grid.axes if axis.path == ("atr", "period")), None)
    first = {each.path: each.values[0] for each in grid.axes}
    if axis is not None:
        first[axis.path] = max(axis.values, key=lambda value: int(str(value)))
    return grid.policy(tuple(first[each.path] for each in grid.axes), base).configuration


def estimate(job: Job, jobs: int) -> str:
    """Say, before anything is computed, what a sweep will take: settings, memory at most, what answers it."""
    entries, size = len(job.inputs.entries), job.grid.size
    prices = len(job.inputs.prices) * 8 * 4 * (2 if isinstance(job.inputs.prices, Bars) else 1)
    memory = (prices * 3 + 2 * part_bytes(job.grid, entries)) * 1.0
    how = how_answered(job, parts(job.grid, entries)[0])
    words = {
        How.WALK: "all stops and ratios are answered in one walk",
        How.KERNELS: "each setting by compiled loops",
        How.ENGINE: f"each setting by the engine, {jobs} at a time",
    }[how]
    if how is not How.WALK:
        memory = prices * 3.0 * jobs
    return (
        f"{counted(size, 'setting')} x {counted(entries, 'entry', 'entries')}: {words}; "
        f"at most some {150 * (1 if how is How.WALK else jobs) + memory / MEGABYTE:,.0f} MB of memory"
    )


def sweep(
    job: Job, out: Path, *, jobs: int = 1, progress: Progress | None = None, runner: Runner | None = None
) -> Swept | Interrupted:
    """Answer every setting, going on with what an interrupted run left in `out`, and judge the best.

    `runner` answers parts elsewhere; None: here, with `jobs` cores. KeyboardInterrupt ends it early and in order.

    Raises: DataError - `out` holds another unfinished sweep; ConfigError - values of the grid clash.
    """
    entries = len(job.inputs.entries)
    divided = parts(job.grid, entries)
    out.mkdir(parents=True, exist_ok=True)
    kept = Kept(out, job, divided)
    by = runner or (lambda job, left: run_here(job, left, jobs))
    total = len(divided)
    if progress is not None:
        progress("sweeping", (total - len(kept.left)) / total)  # the loops are compiled first, once a machine
    try:
        for at, answers in by(job, [(at, divided[at]) for at in kept.left]):
            kept.add(at, answers)
            if progress is not None:
                progress("sweeping", (total - len(kept.left)) / total)
    except KeyboardInterrupt:
        kept.close(complete=False)
        return Interrupted(sum(len(answers) for answers in kept.done.values()), job.grid.size)
    except BaseException:
        kept.close(complete=False)
        raise
    answers = kept.answers
    figures = {answer.setting: figures_of(answer.row) for answer in answers}
    how = {answer.setting: answer.how for answer in answers}
    if progress is not None:
        progress("judging", 1.0)
    swept = Swept(job, figures, how, judge(job, figures), tuple(_remarks(job, how.values())))
    write_table(out / "sweep.parquet", swept)
    kept.close(complete=True)
    return swept


def _remarks(job: Job, how: Iterable[str]) -> list[str]:
    said = list(job.inputs.remarks)
    number = Counter(how)
    words = {
        How.WALK.value: "in one walk along the prices",
        How.KERNELS.value: "by compiled loops, one by one",
        How.ENGINE.value: "by the engine, one by one",
    }
    said.append(
        "; ".join(f"{counted(number[name], 'setting')} answered {words[name]}" for name in words if number[name])
    )
    said += _own_ratio(job)
    given = sum(entry.stop_px is not None for entry in job.inputs.entries)
    if given:
        said.append(f"entries with a stop of their own: {given} of {len(job.inputs.entries)}; it is kept everywhere")
    if is_rule(job.inputs.options.entries) and any(axis.path == ("atr", "period") for axis in job.grid.axes):
        said.append(f"{job.inputs.options.entries} begins after the longest ATR period of the grid")
    return said


def _own_ratio(job: Job) -> list[str]:
    """Say that a symbol has a ratio of its own, which a swept base ratio displaces and a configuration's would not."""
    symbol, base = job.inputs.prices.symbol, job.base.configuration
    path = (*TRADE_EXIT, "risk_reward", RATIOS_OF_SYMBOLS, symbol)
    if BASE_RATIO not in (*(axis.path for axis in job.grid.axes), *job.grid.common) or dotted(path) not in base.values:
        return []
    own = f"{base.values[dotted(path)]} ({base.origins[dotted(path)]})"
    words = f"base_ratio stands here for the ratio that {symbol} has of its own, {own}"
    return [f"{words}: to trade such a setting, change it there"]


def run_here(job: Job, left: Sequence[tuple[int, Part]], jobs: int) -> Iterator[tuple[int, list[Answer]]]:
    """Answer parts on this machine: walks one after the other on all cores, everything else a process each."""
    if not left:
        return
    if jobs <= 1 or how_answered(job, left[0][1]) is How.WALK:
        for at, part in left:
            yield at, run_part(job, part, jobs)
        return
    # Spawned, not forked: the libraries that read the prices run threads of their own.
    pool = ProcessPoolExecutor(
        min(jobs, len(left)), mp_context=get_context("spawn"), initializer=_begin, initargs=(job,)
    )
    try:
        with deaf_children():
            waiting = [pool.submit(_work, at, part) for at, part in left]
        for done in as_completed(waiting):
            yield done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_JOB: list[Job] = []


def _begin(job: Job) -> None:
    """Keep the job in a new process."""
    _JOB[:] = [job]


def _work(at: int, part: Part) -> tuple[int, list[Answer]]:
    return at, run_part(_JOB[0], part)


def table(swept: Swept) -> pl.DataFrame:
    """Return one row a setting: a column for each axis, what answered it, its figures."""
    settings = list(swept.job.grid.settings())
    columns: dict[str, list[object]] = {
        axis.name: [_cell(settings[at][place]) for at in swept.figures]
        for place, axis in enumerate(swept.job.grid.axes)
    }
    columns["answered_by"] = [swept.how[at] for at in swept.figures]
    for name in (
        *("count", "open", "wins", "losses", "without_r", "expectancy_r"),
        *("profit_factor", "total_r", "pnl", "max_drawdown_r"),
    ):
        columns[name] = [getattr(figures, name) for figures in swept.figures.values()]
    return pl.DataFrame(columns, strict=False)


def _cell(value: Scalar) -> object:
    return value if isinstance(value, bool | str) or value is None else float(str(value))


def write_table(path: Path, swept: Swept) -> None:
    """Write `sweep.parquet`. Raises OSError when the file cannot be written."""
    table(swept).write_parquet(path)


def at_setting(job: Job, number: int) -> Inputs:
    """Return the inputs of a replay under one setting."""
    return replace(job.inputs, configuration=job.at(list(job.grid.settings())[number]).configuration)
