"""Writes benchmarks/RESULTS.md: every goal with what was reached, what did not run, and all figures behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.goals import GOALS, Goal, Judge
from benchmarks.printing import Row, number

Table = tuple[str, Sequence[Row]]

HEAD = """\
# The benchmarks' last full run

Made by `make bench`; do not edit. A figure counts only as a ratio within one run: machines differ, and so does one \
machine from hour to hour. Medians, with the lowest and the highest round beside them. Rates on one core are in CPU \
seconds of the process, which do not count whatever else the machine did; everything that waits for a disk or uses two \
threads is in seconds of the clock. What was slow, and why something is not reached: `docs/PERFORMANCE.md`.
"""


@dataclass(frozen=True)
class Run:
    """One benchmark's run: what it showed, how long it took, and why it broke off (empty: it did not)."""

    name: str
    tables: Sequence[Table]
    seconds: float
    failed: str = ""


def write(runs: Sequence[Run], about: Mapping[str, str]) -> str:
    """Return the page; `about` says what it was measured on, in its order."""
    lines = [
        HEAD,
        "| | |",
        "|---|---|",
        *(f"| {what} | {value} |" for what, value in about.items()),
        "",
        "## Goals",
        "",
    ]
    lines += ["| work | ours | rounds | held against | ratio | goal | reached |", "|---|---|---|---|---|---|---|"]
    lines += [_goal_line(goal, runs) for goal in GOALS]
    reached = sum(1 for goal in GOALS if (row := answer(goal, runs)) is not None and goal.reached(row))
    lines += ["", f"{reached} of {len(GOALS)} reached.", ""]
    broken = [f"- `{run.name}`: {run.failed}" for run in runs if run.failed]
    lines += ["## Broke off", "", *broken, ""] if broken else []
    lines += _growth(runs)
    for run in runs:
        lines += [f"## `python -m benchmarks.{run.name}` ({run.seconds:.0f} s)", ""]
        for title, rows in run.tables:
            lines += [f"{title}:", "", *_rows(rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def answer(goal: Goal, runs: Sequence[Run]) -> Row | None:
    """Return the row that answers a goal, None where nothing did."""
    return next((row for run in runs for _, rows in run.tables for row in rows if row.goal == goal.key), None)


def _goal_line(goal: Goal, runs: Sequence[Run]) -> str:
    row = answer(goal, runs)
    if row is None:
        run = next((run for run in runs if run.name == goal.benchmark), None)
        why = "there is no such benchmark" if run is None else run.failed or "it showed no such figure"
        return f"| {goal.work} | not measured: {why} | | | | {goal.words} | no |"
    against = f"{row.against_what} {number(row.against)}" if row.against else ""
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
    if not row.against and goal.judge in {Judge.AT_LEAST, Judge.AT_MOST}:
        against, ratio = "the goal", f"{row.value / goal.bound:.2f}"
    verdict = {True: "yes", False: "**no**", None: "not judged"}[goal.reached(row)]
    return (
        f"| {goal.work} | {number(row.value)} {row.unit} | {_spread(row)} | {against} | {ratio} | {goal.words} |"
        f" {verdict} |"
    )


def _spread(row: Row) -> str:
    return f"{number(min(row.rounds))} to {number(max(row.rounds))} ({len(row.rounds)})" if len(row.rounds) > 1 else ""


def _rows(rows: Sequence[Row]) -> list[str]:
    lines = ["| what | ours | rounds | held against | ratio |", "|---|---|---|---|---|"]
    for row in rows:
        against = f"{row.against_what} {number(row.against)}" if row.against else ""
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        lines.append(f"| {row.what.strip()} | {number(row.value)} {row.unit} | {_spread(row)} | {against} | {ratio} |")
    return lines


def points(runs: Sequence[Run]) -> dict[str, list[Row]]:
    """Return the curves of growth: the rows of each series, in order of how many."""
    curves: dict[str, list[Row]] = {}
    for run in runs:
        for _, rows in run.tables:
            for row in rows:
                if row.series and row.x is not None:
                    curves.setdefault(row.series, []).append(row)
    return {name: sorted(rows, key=lambda row: row.x or 0) for name, rows in curves.items()}


def _growth(runs: Sequence[Run]) -> list[str]:
    curves = points(runs)
    if not curves:
        return []
    lines = ["## Growth", "", "| curve | how many | ours | peak memory |", "|---|---|---|---|"]
    for name, rows in curves.items():
        for row in rows:
            memory = f"{number(row.memory_mb)} MB" if row.memory_mb is not None else ""
            lines.append(f"| {name} | {number(row.x or 0)} | {number(row.value)} {row.unit} | {memory} |")
    return [*lines, ""]
