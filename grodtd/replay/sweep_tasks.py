"""The work of a sweep in parts that know nothing of each other: a part may run in any process, on any machine.

A part is some stop multipliers x all ratios under one setting of all other axes. Fixed levels are answered in one
walk for all of them; what the kernels cover setting by setting, by them; everything else by the engine itself.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import NamedTuple

import msgspec
import numpy as np

from grodtd.config.loading import Configuration
from grodtd.config.policy_file import Base
from grodtd.domain.money import ONE
from grodtd.domain.policy import policies_for, policy_for
from grodtd.replay import sweep_loops
from grodtd.replay.driver import Entry
from grodtd.replay.inputs import Inputs
from grodtd.replay.kernels import UncoveredError, Walks
from grodtd.replay.kernels_replay import drive_fast, why_not
from grodtd.replay.prices import Floats, Ints
from grodtd.replay.run import _readings as readings
from grodtd.replay.run import _rows as exit_rows
from grodtd.replay.run import drive
from grodtd.replay.summary import results
from grodtd.replay.sweep_figures import Trials, one_setting, trials, width
from grodtd.replay.sweep_grid import Grid, Setting
from grodtd.replay.sweep_walk import Ground, Walked, grounds, one_ratio, shares_a_walk, stops_of, walk
from grodtd.replay.volatility import atr_series

MULTIPLIER = ("atr", "multiplier")
BASE_RATIO = ("risk_reward", "base_ratio")
TILE_BYTES = 256 * 2**20
"""Memory the exits of one part may take; more stops are divided into more parts."""
EXIT_BYTES = 4 + 8
"""Of one entry under one setting: where it left (int32), what it won (int64)."""


class How(StrEnum):
    """What answers a setting."""

    WALK = "walk"
    """Fixed levels: all stops and ratios in one walk along the prices."""
    KERNELS = "kernels"
    """Setting by setting, by compiled loops."""
    ENGINE = "engine"
    """Setting by setting, by the engine that runs live."""


class Part(NamedTuple):
    """Some settings: places of values on the axes."""

    others: tuple[int, ...]
    """One place for each axis that is neither the stop's multiplier nor the ratio, in the axes' order."""
    stops: tuple[int, ...]
    """Places on the multiplier's axis; (0,) where there is none."""


class Answer(NamedTuple):
    """One setting's figures."""

    setting: int
    """Its place among all settings, the last axis going fastest."""
    how: str
    row: list[float]
    """As `sweep_figures.figures_of` reads it."""


class Trades(NamedTuple):
    """One setting's trades in order of entry, m of them."""

    how: How
    at: Ints
    """int64[m]: index of the exit in the prices; -1: open."""
    r: Floats
    """float64[m]; NaN: it planned no risk."""
    pnl: Floats


@dataclass(frozen=True)
class Job:
    """Everything a part needs, in a shape that travels between processes."""

    inputs: Inputs
    base: Base
    grid: Grid

    @property
    def entries(self) -> list[Entry]:
        """The entries in order of time."""
        time_ns = self.inputs.feed.time_ns
        return sorted(self.inputs.entries, key=lambda entry: (int(time_ns[entry.index]), entry.order))

    def at(self, setting: Setting) -> Inputs:
        """Return the inputs under one setting. Raises: ConfigError."""
        laid = self.grid.policy(setting, self.base).configuration
        policies = policies_for(laid.policies, self.inputs.prices.symbol)
        return replace(self.inputs, configuration=msgspec.structs.replace(laid, policies=policies))


def parts(grid: Grid, entries: int) -> list[Part]:
    """Divide a grid into parts, each within `TILE_BYTES`."""
    sizes = [len(axis.values) for axis in grid.axes]
    stops, ratios = _axis(grid, MULTIPLIER), _axis(grid, BASE_RATIO)
    others = [range(size) for at, size in enumerate(sizes) if at not in (stops, ratios)]
    n_stops = 1 if stops is None else sizes[stops]
    n_ratios = 1 if ratios is None else sizes[ratios]
    most = max(1, TILE_BYTES // max(1, n_ratios * entries * EXIT_BYTES))
    tiles = [tuple(range(at, min(at + most, n_stops))) for at in range(0, n_stops, most)]
    return [Part(other, tile) for other in product(*others) for tile in tiles]


def part_bytes(grid: Grid, entries: int) -> int:
    """Return what the exits of the largest part take in memory."""
    ratios = _axis(grid, BASE_RATIO)
    n_ratios = 1 if ratios is None else len(grid.axes[ratios].values)
    return max(len(part.stops) for part in parts(grid, entries)[:1]) * n_ratios * entries * EXIT_BYTES


def _axis(grid: Grid, path: tuple[str, ...]) -> int | None:
    return next((at for at, axis in enumerate(grid.axes) if axis.path == path), None)


def settings_of(grid: Grid, part: Part) -> list[list[tuple[int, Setting]]]:
    """Return a part's settings with their places among all: [stops][ratios]."""
    stops, ratios = _axis(grid, MULTIPLIER), _axis(grid, BASE_RATIO)
    n_ratios = 1 if ratios is None else len(grid.axes[ratios].values)
    found = []
    for stop in part.stops:
        row = []
        for ratio in range(n_ratios):
            rest = iter(part.others)
            chosen = [stop if at == stops else ratio if at == ratios else next(rest) for at in range(len(grid.axes))]
            number = 0
            for at, axis in zip(chosen, grid.axes, strict=True):
                number = number * len(axis.values) + at
            row.append((number, tuple(axis.values[at] for at, axis in zip(chosen, grid.axes, strict=True))))
        found.append(row)
    return found


def how_answered(job: Job, part: Part) -> How:
    """Say what answers a part."""
    inputs = job.at(settings_of(job.grid, part)[0][0][1])
    if shares_a_walk(inputs) is None:
        return How.WALK
    return How.KERNELS if why_not(inputs) is None else How.ENGINE


def run_part(job: Job, part: Part, threads: int = 1) -> list[Answer]:
    """Answer every setting of a part. Raises: ConfigError - values of the grid clash."""
    settings, entries = settings_of(job.grid, part), job.entries
    known = trials(job.inputs.feed, entries)
    try:
        rows = _in_one_walk(job, settings, entries, known, threads)
    except UncoveredError:
        return [
            Answer(number, found.how.value, one_setting(known, found.at, found.r, found.pnl))
            for row in settings
            for number, setting in row
            for found in [_alone(job.at(setting), entries)]
        ]
    return [
        Answer(number, How.WALK.value, rows[s, i].tolist())
        for s, row in enumerate(settings)
        for i, (number, _) in enumerate(row)
    ]


def trades_of(job: Job, setting: Setting) -> Trades:
    """Return every trade of one setting."""
    entries, inputs = job.entries, job.at(setting)
    try:
        found = _walked(inputs, [inputs.configuration], [inputs.configuration], entries, 1)
    except UncoveredError:
        return _alone(inputs, entries)
    at, won = found.exits.at[0, 0].astype(np.int64), found.exits.won[0, 0].astype(np.float64)
    pnl = found.money * (won - found.fee_rate * (2 * found.px + found.sign * won))
    return Trades(How.WALK, at, won / found.risk[0], pnl)


class _Found(NamedTuple):
    """The exits of a tile, and what makes money of them (see `sweep_loops.tally_walk`)."""

    exits: Walked
    risk: Floats
    px: Floats
    sign: Floats
    money: Floats
    fee_rate: float


def _in_one_walk(
    job: Job, settings: list[list[tuple[int, Setting]]], entries: Sequence[Entry], known: Trials, threads: int
) -> Floats:
    by_stop = [job.at(row[0][1]) for row in settings]
    by_ratio = [job.at(setting).configuration for _, setting in settings[0]]
    found = _walked(by_stop[0], [each.configuration for each in by_stop], by_ratio, entries, threads)
    out = np.empty((len(settings), len(settings[0]), width(known)))

    def tally(s: int) -> None:
        here = slice(s, s + 1)
        sweep_loops.tally_walk(
            found.exits.at[here],
            found.exits.won[here],
            found.risk[here],
            *found[2:],
            known.moment,
            known.window,
            known.begins,
            out[here],
        )

    _each(tally, range(len(settings)), threads)
    return out


def _walked(
    inputs: Inputs,
    by_stop: Sequence[Configuration],
    by_ratio: Sequence[Configuration],
    entries: Sequence[Entry],
    threads: int,
) -> _Found:
    """Walk once for all stops x ratios; they come in any order and go back in it."""
    reason = shares_a_walk(inputs) or (None if entries else "there are no entries")
    if reason is not None:
        raise UncoveredError(reason)
    symbol, tick = inputs.prices.symbol, inputs.instrument.tick_size
    name = entries[0].strategy
    rules = [found.atr for each in by_stop if (found := policy_for(each.policies, name, symbol))]
    ratios = [
        one_ratio([found for e in _names(entries) if (found := policy_for(each.policies, e, symbol))], symbol) or ONE
        for each in by_ratio
    ]
    series = atr_series(inputs.bars, rules[0], 0)
    over, sides = grounds(inputs, series, entries)
    stop_order = sorted(range(len(rules)), key=lambda at: rules[at].multiplier)
    ratio_order = sorted(range(len(ratios)), key=lambda at: ratios[at])
    shape = (len(rules), len(ratios), len(entries))
    whole = Walked(np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.int64))
    risk = np.empty((len(rules), len(entries)))
    for ground in sides:
        levels = [stops_of(ground, over, rules[at].multiplier, rules[at], tick) for at in stop_order]
        stops = np.array(levels, dtype=np.int64)
        rising = [ratios[at] for at in ratio_order]
        model = inputs.options.model
        one_side = len(sides) == 1
        into = whole if one_side else Walked(*(np.empty((*shape[:2], len(ground.px)), each.dtype) for each in whole))

        def some(part: slice, ground: Ground = ground, stops: Ints = stops, into: Walked = into) -> None:
            mine = ground.part(part)
            walk(over, mine, stops[:, part], rising, tick, model, Walked(*(each[:, :, part] for each in into)))  # noqa: B023

        size = max(1, len(ground.px) // max(1, 4 * threads)) if threads > 1 else len(ground.px)
        _each(some, [slice(at, at + size) for at in range(0, len(ground.px), size)], threads)
        risk[np.ix_(stop_order, ground.chosen.tolist())] = ground.px - stops
        _put_back(into, whole, ground.chosen, stop_order, ratio_order, one_side)
    _to_feed(whole, over)
    instrument = inputs.instrument
    sign = np.array([float(entry.side.sign) for entry in entries])
    return _Found(
        whole,
        risk,
        np.array([float(entry.px / over.unit) for entry in entries]),
        sign,
        np.array([float(over.unit * entry.quantity * instrument.contract_multiplier) for entry in entries]),
        float(instrument.fee_rate),
    )


def _names(entries: Sequence[Entry]) -> set[str]:
    return {entry.strategy for entry in entries}


def _put_back(found: Walked, whole: Walked, chosen: Ints, stops: list[int], ratios: list[int], one_side: bool) -> None:
    """Put exits where their setting and their entry belong; where all are there already, nothing moves."""
    if one_side and stops == sorted(stops) and ratios == sorted(ratios):
        return
    for source, target in zip(found, whole, strict=True):
        moved = source.copy() if one_side else source
        target[np.ix_(stops, ratios, chosen.tolist())] = moved


def _to_feed(whole: Walked, over: Walks) -> None:
    if over.kept is not None:
        at = whole.at
        whole.at[:] = np.where(at < 0, -1, over.kept[np.maximum(at, 0)])


def _each(work: object, items: Sequence[object] | range, threads: int) -> None:
    """Do the work for every item, by so many threads: the loops let go of the interpreter."""
    assert callable(work)
    if threads <= 1 or len(items) <= 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, items):
            pass


def _alone(inputs: Inputs, entries: Sequence[Entry]) -> Trades:
    """Replay one setting by itself, by the kernels if they cover it, else by the engine."""
    how, by = (How.KERNELS, drive_fast) if why_not(inputs) is None else (How.ENGINE, drive)
    try:
        lives = by(inputs, inputs.feed, readings(inputs), entries, inputs.options.model, None, None)
    except UncoveredError:
        how = How.ENGINE
        lives = drive(inputs, inputs.feed, readings(inputs), entries, inputs.options.model, None, None)
    brackets = {found.bracket_id: found for found in results(exit_rows(lives, inputs.feed, inputs.instrument))}
    last = {life.entry.bracket_id: life.exit_index for life in lives}
    at, r, pnl = np.full(len(entries), -1, dtype=np.int64), np.full(len(entries), np.nan), np.zeros(len(entries))
    for place, entry in enumerate(entries):
        bracket = brackets.get(entry.bracket_id)
        index = last.get(entry.bracket_id)
        if bracket is None or bracket.is_open or index is None:
            continue
        at[place], pnl[place] = index, float(bracket.pnl)
        if bracket.r_multiple is not None:
            r[place] = float(bracket.r_multiple)
    return Trades(how, at, r, pnl)
