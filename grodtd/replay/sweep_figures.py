"""What a setting came to, and the windows its past and its future are told apart by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from grodtd.replay import sweep_loops as loops
from grodtd.replay.driver import Entry
from grodtd.replay.feed import Feed
from grodtd.replay.prices import Floats, Ints

WINDOWS = 6
"""Parts of the entries, of one size and in order of time: the first is only learnt from, each other one is judged."""


class Trials(NamedTuple):
    """What the figures of every setting need of the entries, m in order of time."""

    moment: Ints
    """int64[n]: for each index of the prices the first one of the same time."""
    window: Ints
    """int64[m]: the window each entry is in."""
    begins: Ints
    """int64[windows]: the index each window begins at."""


def trials(feed: Feed, entries: Sequence[Entry]) -> Trials:
    """Divide entries, in order of time, into windows of one size."""
    moment = feed.time_ns.searchsorted(feed.time_ns, "left")
    at = np.array([entry.index for entry in entries], dtype=np.int64)
    count = min(WINDOWS, max(len(entries), 1))
    window = np.arange(len(entries), dtype=np.int64) * count // max(len(entries), 1)
    firsts = np.searchsorted(window, np.arange(count))
    return Trials(moment, window, moment[at[firsts]] if len(at) else np.zeros(1, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Figures:
    """One setting's figures; those of `replay.summary` under the same names, in float64. None: nothing to divide by."""

    count: int
    """Closed brackets."""
    open: int
    wins: int
    losses: int
    without_r: int
    expectancy_r: float | None
    profit_factor: float | None
    total_r: float
    pnl: float
    max_drawdown_r: float
    past: tuple[tuple[float, int], ...]
    """For each window but the first: sum and number of R known when it began."""
    own: tuple[tuple[float, int], ...]
    """For each window but the first: sum and number of R of its own entries."""


def figures_of(row: Floats | Sequence[float]) -> Figures:
    """Read a row of `sweep_loops.tally`."""
    of = [float(value) for value in row]
    with_r = of[loops.CLOSED] - of[loops.WITHOUT_R]
    rest = of[loops.FIGURES :]
    return Figures(
        count=int(of[loops.CLOSED]),
        open=int(of[loops.STILL_OPEN]),
        wins=int(of[loops.WINS]),
        losses=int(of[loops.LOSSES]),
        without_r=int(of[loops.WITHOUT_R]),
        expectancy_r=of[loops.TOTAL_R] / with_r if with_r else None,
        profit_factor=of[loops.PROFIT] / of[loops.LOSS] if of[loops.LOSS] else None,
        total_r=of[loops.TOTAL_R],
        pnl=of[loops.PROFIT] - of[loops.LOSS],
        max_drawdown_r=of[loops.DRAWDOWN],
        past=tuple((rest[i], int(rest[i + 1])) for i in range(0, len(rest), 4)),
        own=tuple((rest[i + 2], int(rest[i + 3])) for i in range(0, len(rest), 4)),
    )


def width(of: Trials) -> int:
    """Return how many numbers `sweep_loops.tally` fills."""
    return loops.FIGURES + 4 * (len(of.begins) - 1)


def one_setting(of: Trials, at: Ints, r: Floats, pnl: Floats) -> list[float]:
    """Return the row of one setting, of its trades in order of entry (see `sweep_loops.tally`)."""
    out = np.empty(width(of))
    loops.tally(at, r, pnl, of.moment, of.window, of.begins, out)
    numbers: list[Any] = out.tolist()
    return numbers
