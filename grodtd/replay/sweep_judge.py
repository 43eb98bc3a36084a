"""Whether a sweep's best setting is more than luck: intervals, neighbours, and a walk forward.

Among many settings one is always best. Three things are said beside it: the bootstrap interval of its expectancy; the
mean of the settings next to it on the grid, which a real effect shares; and what a trader would have earned who, at
the start of each window, chose the setting that had been best until then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grodtd.replay.compare_stats import Interval, block_length, block_sums, interval
from grodtd.replay.prices import Floats
from grodtd.replay.sweep_figures import Figures, trials
from grodtd.replay.sweep_grid import Grid, Setting
from grodtd.replay.sweep_tasks import Job, Trades, trades_of

SEED = 20_140_106
"""Of the resamples: the same input gives the same bytes."""
BEST = 10
"""Settings shown with their intervals."""
FEWEST = 10
"""Trades without which a setting is not ranked: a handful is luck."""


@dataclass(frozen=True)
class Ranked:
    """One of the best settings."""

    number: int
    figures: Figures
    interval: Interval | None
    """95% of the expectancy; None: too few trades to tell."""
    neighbours_r: float | None
    """Mean expectancy of the settings one step away on one axis."""


@dataclass(frozen=True)
class Judged:
    """One window of the walk forward."""

    begins_ns: int
    number: int | None
    """The setting that had been best until then; None: none had enough trades."""
    past_r: float | None
    """Its expectancy until then."""
    past_count: int
    own_r: float | None
    """Its expectancy in the window: what choosing it brought."""
    own_count: int
    best_own_r: float | None
    """The best expectancy any setting had in the window: what hindsight would have chosen."""


@dataclass(frozen=True)
class Verdict:
    """What is to be thought of a sweep's best."""

    best: Sequence[Ranked]
    windows: Sequence[Judged]
    forward_r: float | None
    """Expectancy of all trades of all windows under the settings chosen on their past."""
    forward_count: int
    forward_interval: Interval | None
    ranked: int
    """Settings with enough trades to be ranked."""


def judge(job: Job, figures: Mapping[int, Figures]) -> Verdict:
    """Rank settings by expectancy in R and walk forward."""
    ranked = sorted(
        (at for at, each in figures.items() if each.expectancy_r is not None and _with_r(each) >= FEWEST),
        key=lambda at: (-(figures[at].expectancy_r or 0.0), at),
    )
    settings = list(job.grid.settings())
    entry_ns = _entry_ns(job)
    at_hand: dict[int, Trades] = {}

    def trades(number: int) -> Trades:
        if number not in at_hand:
            at_hand[number] = trades_of(job, settings[number])
        return at_hand[number]

    best = [
        Ranked(at, figures[at], _interval(job, trades(at), entry_ns), neighbours(job.grid, at, figures))
        for at in ranked[:BEST]
    ]
    windows = _windows(job, figures)
    parts = [
        (_in_window(job, trades(window.number), place), entry_ns)
        for place, window in enumerate(windows, 1)
        if window.number is not None
    ]
    forward = [trade for part, _ in parts for trade in part]
    total, count = sum(trade[2] for trade in forward), len(forward)
    return Verdict(
        best,
        windows,
        total / count if count else None,
        count,
        _of(np.array(forward, dtype=np.float64)) if forward else None,
        len(ranked),
    )


def _with_r(figures: Figures) -> int:
    return figures.count - figures.without_r


def _entry_ns(job: Job) -> list[int]:
    time_ns = job.inputs.feed.time_ns
    return [int(time_ns[entry.index]) for entry in job.entries]


def _interval(job: Job, trades: Trades, entry_ns: Sequence[int]) -> Interval | None:
    return _of(np.array(_known(job, trades, entry_ns, range(len(entry_ns))), dtype=np.float64))


def _known(
    job: Job, trades: Trades, entry_ns: Sequence[int], places: Sequence[int]
) -> list[tuple[float, float, float]]:
    """(entry, exit, R) of the closed trades with R among some; times in seconds, which blocks are cut by."""
    time_ns = job.inputs.feed.time_ns
    return [
        (entry_ns[k] / 1e9, int(time_ns[trades.at[k]]) / 1e9, float(trades.r[k]))
        for k in places
        if trades.at[k] >= 0 and not np.isnan(trades.r[k])
    ]


def _in_window(job: Job, trades: Trades, window: int) -> list[tuple[float, float, float]]:
    entries = job.entries
    of = trials(job.inputs.feed, entries).window
    places = [k for k in range(len(entries)) if of[k] == window]
    return _known(job, trades, _entry_ns(job), places)


def _of(known: Floats) -> Interval | None:
    """BCa interval of the mean R, over blocks as long as trades overlap."""
    if not len(known):
        return None
    entry_ns, exit_ns = ((known[:, at] * 1e9).astype(np.int64) for at in (0, 1))
    sums = block_sums(np.column_stack((known[:, 2], np.ones(len(known)))), block_length(entry_ns, exit_ns))
    return interval(sums, SEED)


def neighbours(grid: Grid, number: int, figures: Mapping[int, Figures]) -> float | None:
    """Return the mean expectancy of the settings one step away along one axis; None: there are none."""
    found, step = [], 1
    for axis in reversed(grid.axes):
        size = len(axis.values)
        place = number // step % size
        for beside in (place - 1, place + 1):
            other = figures.get(number + (beside - place) * step)
            if 0 <= beside < size and other is not None and other.expectancy_r is not None:
                found.append(other.expectancy_r)
        step *= size
    return sum(found) / len(found) if found else None


def _windows(job: Job, figures: Mapping[int, Figures]) -> list[Judged]:
    if not job.inputs.entries:
        return []
    begins = trials(job.inputs.feed, job.entries).begins
    found = []
    for window in range(1, len(begins)):
        past = {at: each.past[window - 1] for at, each in figures.items() if each.past[window - 1][1] >= FEWEST}
        own = [each.own[window - 1] for each in figures.values() if each.own[window - 1][1]]
        chosen = max(past, key=lambda at: (past[at][0] / past[at][1], -at), default=None)
        before, after = (past[chosen], figures[chosen].own[window - 1]) if chosen is not None else ((0.0, 0), (0.0, 0))
        found.append(
            Judged(
                begins_ns=int(job.inputs.feed.time_ns[begins[window]]),
                number=chosen,
                past_r=before[0] / before[1] if before[1] else None,
                past_count=before[1],
                own_r=after[0] / after[1] if after[1] else None,
                own_count=after[1],
                best_own_r=max((r / count for r, count in own), default=None),
            )
        )
    return found


def values_of(grid: Grid, number: int) -> Setting:
    """Return one setting's values by its place."""
    found = []
    for axis in reversed(grid.axes):
        number, at = divmod(number, len(axis.values))
        found.append(axis.values[at])
    return tuple(reversed(found))
