"""What is said about a sweep, in a terminal and on its page."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table

from grodtd.config.layers import quoted
from grodtd.config.text import Scalar
from grodtd.replay.compare_stats import FEWEST_BLOCKS, Interval
from grodtd.replay.report_format import counted
from grodtd.replay.sweep import Swept
from grodtd.replay.sweep_grid import Axis
from grodtd.replay.sweep_judge import Verdict, values_of

NONE = "\N{EN DASH}"


LINES = 5
"""Settings shown in a terminal; the page has more."""
NARROWEST = 24
"""Characters for a setting: a long one goes on below, by whole words, so that every figure has its place."""


def figure(value: float | None, digits: int = 3) -> str:
    """Write a figure, or a dash where there is none; never a negative zero.

    >>> figure(-0.0004), figure(1234.5, 1)
    ('0.000', '1,234.5')
    """
    return NONE if value is None else f"{value:z,.{digits}f}"


def between(found: Interval | None, digits: int = 3) -> str:
    """Write an interval."""
    return NONE if found is None else f"{figure(found.low, digits)} to {figure(found.high, digits)}"


def shown(value: Scalar) -> str:
    """Write one value of an axis as the grid file has it."""
    return value if isinstance(value, str) else quoted(value)


def setting_words(swept: Swept, number: int | None) -> str:
    """Name a setting: `multiplier 2, base_ratio 1.5`; a key in full where two end alike."""
    return NONE if number is None else _named(swept, number, swept.job.grid.axes)


def _named(swept: Swept, number: int, axes: Iterable[Axis]) -> str:
    """Name what a setting has on some of the axes."""
    grid, chosen = swept.job.grid, set(axes)
    ends = [axis.path[-1] for axis in grid.axes]
    return ", ".join(
        f"{axis.path[-1] if ends.count(axis.path[-1]) == 1 else axis.name} {shown(value)}"
        for axis, value in zip(grid.axes, values_of(grid, number), strict=True)
        if axis in chosen
    )


def best_table(swept: Swept) -> Table:
    """Return the best settings as a table for a terminal, 80 characters wide or more.

    What is the same under every setting stands once, above it.
    """
    axes = swept.job.grid.axes
    varied = [axis for axis in axes if len(axis.values) > 1] or list(axes)
    held = _named(swept, 0, [axis for axis in axes if axis not in varied])
    name = "Best by expectancy" if swept.job.grid.size > 1 else "The setting"
    title = f"{name}{f', all with {held}' if held else ''}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("setting", overflow="fold", min_width=NARROWEST)
    for name in ("trades", "mean R", "95%", "near by", "factor"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in swept.verdict.best[:LINES]:
        figures = each.figures
        table.add_row(
            _named(swept, each.number, varied),
            f"{figures.count:,}",
            figure(figures.expectancy_r),
            between(each.interval),
            figure(each.neighbours_r),
            figure(figures.profit_factor, 2),
        )
    return table


def verdict(swept: Swept) -> str:
    """Say in a few sentences whether the best setting is more than luck."""
    found = swept.verdict
    if not found.best:
        return "No setting has enough closed trades to be ranked."
    best = found.best[0]
    made = f"made {figure(best.figures.expectancy_r)} R a trade ({_sure(best.interval)})"
    if swept.job.grid.size == 1:
        said = [f"The setting {made}."]
    elif found.ranked == 1:
        said = [f"The only setting with enough closed trades to be ranked {made}.", _forward(found)]
    else:
        hindsight = "chosen with hindsight: of many settings one is always best"
        said = [f"The best of {found.ranked:,} settings {made}, {hindsight}.", _forward(found)]
    return " ".join([*said, *_one_sided(swept)])


def _one_sided(swept: Swept) -> list[str]:
    """Say what a market that rises or falls does to entries of one side, where there are no others."""
    sides = {entry.side for entry in swept.job.inputs.entries}
    if len(sides) != 1:
        return []
    return [f"All entries {sides.pop().value}: one-sided entries carry the market's own drift, whatever the setting."]


def _sure(found: Interval | None) -> str:
    """Write an interval for a sentence, or why there is none."""
    if found is None:
        return f"no interval: fewer than {FEWEST_BLOCKS} stretches of overlapping trades"
    return f"95% {between(found)}"


def _forward(found: Verdict) -> str:
    if found.forward_r is None:
        return "There are too few trades to choose on the past and judge on the future."
    told = (
        f"Chosen on the past and judged on the future, the settings made {figure(found.forward_r)} R a trade "
        f"over {counted(found.forward_count, 'trade')} ({_sure(found.forward_interval)})"
    )
    low = None if found.forward_interval is None else found.forward_interval.low
    if low is not None and low > 0:
        return f"{told}: above zero out of sample."
    if found.forward_r <= 0:
        return f"{told}: not above zero out of sample."
    return f"{told}: not told apart from zero out of sample."
