"""A grid file: policy parameters as axes, and the settings they span.

    atr.multiplier: {from: 1, to: 5, step: 0.5}                 # a range
    risk_reward.base_ratio: [1, 1.5, 2, 3]                      # a list
    trailing.amount: {from: 1, to: 16, count: 5, log: true}     # a range by equal factors

A key is one of `trade_exit`, written with dots or in blocks; a single value instead of an axis is laid on every
setting. A range of whole numbers with a `count` stays whole, as `atr.period` must.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path as FilePath
from typing import NamedTuple

from grodtd.config.layers import Layer, Origin, complaint, dotted, quoted
from grodtd.config.policy_file import Base, NamedPolicy, lay
from grodtd.config.resolve import RISK_REWARD, TRADE_EXIT
from grodtd.config.text import Document, Leaf, Path, Problem, Scalar, parse, scalar
from grodtd.domain.errors import ConfigError
from grodtd.domain.money import plain

MOST_SETTINGS = 100_000
"""Settings in one grid: beyond that the best of them is luck, whatever it shows."""
NAME = "setting"
RANGE_KEYS = ("from", "to", "step", "count", "log")
DIGITS = 6
"""Significant digits of values a range comes to by division."""

Setting = tuple[Scalar, ...]
"""One value an axis, in the axes' order."""


class NotARange(ValueError):
    """A range cannot be read; `str()` says why."""


class Axis(NamedTuple):
    """One policy parameter and the values it takes."""

    path: Path
    values: tuple[Scalar, ...]
    line: int

    @property
    def name(self) -> str:
        """The key, as it is written below `trade_exit`."""
        return dotted(self.path)


class Grid(NamedTuple):
    """Axes in the file's order, and what is laid on every setting."""

    shown: str
    """The file, as the user wrote it."""
    axes: tuple[Axis, ...]
    common: Mapping[Path, Leaf]

    @property
    def size(self) -> int:
        """How many settings there are."""
        return math.prod(len(axis.values) for axis in self.axes)

    def settings(self) -> Iterator[Setting]:
        """Every setting, the last axis going fastest."""
        return itertools.product(*(axis.values for axis in self.axes))

    def places(self, setting: Setting) -> tuple[int, ...]:
        """Where a setting's values stand on their axes; settings come in the order of these."""
        return tuple(axis.values.index(value) for axis, value in zip(self.axes, setting, strict=True))

    def policy(self, setting: Setting, base: Base) -> NamedPolicy:
        """Return one setting as a policy on a configuration. Raises: ConfigError - its values clash."""
        leaves = dict(self.common)
        for axis, value in zip(self.axes, setting, strict=True):
            leaves[axis.path] = Leaf(value, axis.line)
        try:
            return lay(NAME, leaves, self.shown, base)
        except ConfigError as error:  # a clash of values names the policy they are laid in; a grid has no names
            raise ConfigError([words.replace(f": {NAME}.", ": ") for words in error.problems]) from None


def read_grid(path: FilePath | str, base: Base) -> Grid:
    """Read a grid file and make sure of the configuration of every setting it spans.

    Raises: ConfigError with every problem of single values, one line each, or else what is wrong with the first setting
    whose values clash (whoever wrote the file mends it); OSError.
    """
    shown = str(path)
    document = _without_dots(parse(FilePath(path).read_bytes()))
    problems = [(line, complaint(Origin("", shown, line), where, words)) for line, where, words in document.problems]
    axes: list[Axis] = []
    common: dict[Path, Leaf] = {}
    ranges = {where: line for where, line in document.blocks.items() if (*where, "from") in document.leaves}
    for where, line in ranges.items():
        try:
            axes.append(Axis(where, _range(document, where), line))
        except NotARange as error:
            problems.append((line, complaint(Origin("", shown, line), where, str(error))))
    for where, leaf in document.leaves.items():
        if where[:-1] in ranges:
            continue
        if isinstance(leaf.value, list):
            values = tuple(dict.fromkeys(scalar(str(item)) for item in leaf.value))
            if values:
                axes.append(Axis(where, values, leaf.line))
            else:
                problems.append((leaf.line, complaint(Origin("", shown, leaf.line), where, "the list is empty")))
        else:
            common[where] = leaf
    axes.sort(key=lambda axis: axis.line)
    grid = Grid(shown, tuple(axes), common)
    problems += _problems(grid) if not problems else []
    if not problems:
        problems = _refused(grid, base)
    if problems:
        raise ConfigError([words for _, words in sorted(problems)])
    _raise_first_clash(grid, base)
    return grid


def _problems(grid: Grid) -> list[tuple[int, str]]:
    if not grid.axes:
        return [(0, f"{grid.shown}: names no axis: give at least one key of trade_exit a list or a range")]
    if grid.size > MOST_SETTINGS:
        sizes = " x ".join(str(len(axis.values)) for axis in grid.axes)
        return [(0, f"{grid.shown}: {sizes} = {grid.size:,} settings; allowed: up to {MOST_SETTINGS:,}")]
    return []


def _refused(grid: Grid, base: Base) -> list[tuple[int, str]]:
    """Try each value with the first one of every other axis, so that each complaint is told once."""
    first = tuple(axis.values[0] for axis in grid.axes)
    tries = [first]
    for at, axis in enumerate(grid.axes):
        tries += [(*first[:at], value, *first[at + 1 :]) for value in axis.values[1:]]
    told: dict[str, int] = {}
    for place, setting in enumerate(tries):
        try:
            grid.policy(setting, base)
        except ConfigError as error:
            for words in error.problems:
                told.setdefault(words, place)
    return [(place, words) for words, place in told.items()]


def _raise_first_clash(grid: Grid, base: Base) -> None:
    """Try every combination of values that can clash. Raises: ConfigError, of the first setting that does.

    Every rule of `config/rules.py` is between keys of one block. So it is enough to try each block's combinations, on
    a configuration of that block alone, and 10,000 settings of two blocks may take but 200 tries.
    """
    suspects = []
    for block in dict.fromkeys(axis.path[0] for axis in grid.axes):
        axes = tuple(axis for axis in grid.axes if axis.path[0] == block)
        if len(axes) == 1:
            continue  # its values were tried one by one
        alone = Grid(grid.shown, axes, {path: leaf for path, leaf in grid.common.items() if path[0] == block})
        only = Base(
            [_of_block(layer, block) for layer in base.files], _of_block(base.environment, block), base.configuration
        )
        for setting in alone.settings():
            try:
                alone.policy(setting, only)
            except ConfigError:
                clash = dict(zip(axes, setting, strict=True))
                suspects.append(tuple(clash.get(axis, axis.values[0]) for axis in grid.axes))
                break
    for setting in sorted(suspects, key=grid.places):
        grid.policy(setting, base)  # raises


def _of_block(layer: Layer, block: str) -> Layer:
    """Keep what a layer says of one block of the exit policy, whichever strategy or symbol it says it for."""
    above = (RISK_REWARD, TRADE_EXIT)
    return layer._replace(
        settings={path: each for path, each in layer.settings.items() if path[:1] in above and block in path},
        blocks={path: each for path, each in layer.blocks.items() if path[:1] in above},
    )


def _without_dots(document: Document) -> Document:
    """Read `atr.multiplier:` at the top as the block it stands for."""

    def split(path: Path) -> Path:
        return (*path[0].split("."), *path[1:]) if path else path

    leaves, blocks, problems = dict[Path, Leaf](), dict[Path, int](), list(document.problems)
    for path, leaf in document.leaves.items():
        if split(path) in leaves:
            words = f"set twice in this file, first on line {leaves[split(path)].line}: keep one of the two"
            problems.append(Problem(leaf.line, split(path), words))
        leaves[split(path)] = leaf
    for path, line in document.blocks.items():
        blocks.setdefault(split(path), line)
    return Document(leaves, blocks, problems)


def _range(document: Document, where: Path) -> tuple[Scalar, ...]:
    """Return the values of a range. Raises: NotARange."""
    given = {path[-1]: leaf.value for path, leaf in document.leaves.items() if path[:-1] == where}
    for name in given:
        if name not in RANGE_KEYS:
            raise NotARange(f"{name} is no key of a range; allowed: {', '.join(RANGE_KEYS)}")
    low, high = _number(given, "from"), _number(given, "to")
    by_factor = given.get("log", False)
    if not isinstance(by_factor, bool):
        raise NotARange(f"log: {quoted(by_factor)} is not allowed; allowed: true, false")
    if low >= high:
        raise NotARange(f"from {plain(low)} must be below to {plain(high)}")
    if by_factor and low <= 0:
        raise NotARange(f"from {plain(low)} must be above 0 where log is true: equal factors need it")
    if ("step" in given) == ("count" in given):
        raise NotARange("give one of step and count")
    if "step" in given:
        step = _number(given, "step")
        if by_factor or step <= 0:
            raise NotARange("log needs a count, not a step" if by_factor else f"step {plain(step)} must be above 0")
        values = [low + step * i for i in range(min(int((high - low) / step), MOST_SETTINGS) + 1)]
        return tuple(_as_given(value, given) for value in values)
    count = given["count"]
    if not isinstance(count, int) or isinstance(count, bool) or not 2 <= count <= MOST_SETTINGS:
        raise NotARange(f"count: {quoted(count)} is not allowed; allowed: a whole number from 2 up")
    return tuple(dict.fromkeys(_between(low, high, i, count, given) for i in range(count)))


def _between(low: Decimal, high: Decimal, at: int, count: int, given: Mapping[str, object]) -> Scalar:
    if at in (0, count - 1):
        return _as_given(high if at else low, given)
    share = at / (count - 1)
    value = (
        float(low) * (float(high) / float(low)) ** share
        if given.get("log")
        else float(low + (high - low) * at / (count - 1))
    )
    if isinstance(given["from"], int) and isinstance(given["to"], int) and given.get("log"):
        return round(value)
    return _as_given(Decimal(f"{value:.{DIGITS}g}"), given)


def _as_given(value: Decimal, given: Mapping[str, object]) -> Scalar:
    """A whole number where the ends are whole, as a key for whole numbers wants it."""
    whole = isinstance(given["from"], int) and isinstance(given["to"], int)
    return int(value) if whole and value == int(value) else Decimal(plain(value))


def _number(given: Mapping[str, object], name: str) -> Decimal:
    if name not in given:
        raise NotARange(f"a range needs {name}")
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise NotARange(f"{name}: {quoted(value)} is not allowed; allowed: a number")
    return Decimal(value)
