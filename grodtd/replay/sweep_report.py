"""`sweep.html`: a sweep on one page that needs nothing but itself, not even a script.

It shares its looks with `report.html`. Heat maps are tables: every cell shows its figure, colour only repeats it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import grodtd
from grodtd.replay.compare_stats import FEWEST_BLOCKS
from grodtd.replay.prices import iso_ms
from grodtd.replay.report_format import counted, escaped
from grodtd.replay.report_page import asset, filled, security_policy
from grodtd.replay.sweep import Swept
from grodtd.replay.sweep_figures import WINDOWS, Figures
from grodtd.replay.sweep_judge import FEWEST, values_of
from grodtd.replay.sweep_words import NONE, between, figure, setting_words, shown, verdict

Measured = Callable[[Figures], float | None]

MAPS: tuple[tuple[str, str, Measured, float, int], ...] = (
    ("Expectancy", "Mean R a trade.", lambda each: each.expectancy_r, 0.0, 3),
    ("Profit factor", "Gains over losses, in money after fees; 1 is even.", lambda each: each.profit_factor, 1.0, 2),
    (
        "Drawdown",
        "Deepest fall of the running sum of R.",
        lambda each: -each.max_drawdown_r if each.count else None,
        0.0,
        1,
    ),
)
"""Title, what it says, the figure (more is better), where neither gain nor loss is, decimals."""

HINDSIGHT = (
    '<p class="note">Chosen with hindsight. An effect that is real is shared by the settings next to it on the '
    "grid.</p>"
)
CHOSEN = (
    '<p class="note">At the start of each window the setting that had been best until then is chosen; its own trades '
    "in the window judge it.</p>"
)
ONE_AT_A_TIME = ", of one setting at a time: they do not account for its having been chosen among many"
WINDOWS_CUT = (
    f"For the walk forward the entries are cut into {WINDOWS} windows of one size; only trades that had ended "
    "when a window began count as its past."
)


def write_page(path: str | Path, swept: Swept) -> None:
    """Write the page to `path`, replacing what is there. Raises OSError when the file cannot be written."""
    Path(path).write_text(page_html(swept), encoding="utf-8", newline="\n")


def page_html(swept: Swept) -> str:
    """Return the page as text. Same sweep, same bytes."""
    job, grid = swept.job, swept.job.grid
    entries = counted(len(job.inputs.entries), "entry", "entries")
    title = f"{job.inputs.prices.symbol}: {entries} under {counted(grid.size, 'setting')}"
    return filled(
        "sweep.html",
        policy=escaped(security_policy()),
        title=escaped(title),
        style=asset("report.css") + asset("sweep.css"),
        masthead=_masthead(swept, title),
        verdict=f'<p class="sentence">{escaped(verdict(swept))}</p>',
        warnings=_warnings(swept),
        best=_best(swept),
        forward=_forward(swept),
        maps="\n".join(_map(swept, *one) for one in MAPS),
        axes=_axes(swept),
        assumptions=_assumptions(swept),
        origin=_origin(swept),
        footer=escaped(f"grodtd {grodtd.__version__}"),
    )


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in pairs)


def _masthead(swept: Swept, title: str) -> str:
    inputs, grid = swept.job.inputs, swept.job.grid
    time_ns = inputs.prices.time_ns
    lead = (
        f"{iso_ms(int(time_ns[0]))[:10]} to {iso_ms(int(time_ns[-1]))[:10]} UTC, {counted(len(inputs.prices), 'price')}"
    )
    axes = " x ".join(f"{axis.name} ({len(axis.values)})" for axis in grid.axes)
    about = [
        ("Axes", axes),
        ("Entries", Path(inputs.options.entries).name),
        ("Fill model", inputs.options.model.value),
        ("Prices", Path(inputs.prices.path).name),
    ]
    return f'<h1>{escaped(title)}</h1><p class="lead">{escaped(lead)}</p><dl class="facts">{_facts(about)}</dl>'


def _warnings(swept: Swept) -> str:
    if not swept.remarks:
        return ""
    items = "".join(f"<li>{escaped(words)}</li>" for words in swept.remarks)
    return f'<section class="panel warnings"><h2>To know before trusting it</h2><ul>{items}</ul></section>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> str:
    first, *others = head
    top = f"<th>{escaped(first)}</th>" + "".join(f'<th class="num">{escaped(words)}</th>' for words in others)
    body = "".join(
        f"<tr><td>{escaped(row[0])}</td>"
        + "".join(f'<td class="num">{escaped(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escaped(name)}"><table class="settings">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _best(swept: Swept) -> str:
    rows = [
        [
            setting_words(swept, each.number),
            f"{each.figures.count:,}",
            figure(each.figures.expectancy_r),
            between(each.interval),
            figure(each.neighbours_r),
            figure(each.figures.profit_factor, 2),
            figure(each.figures.total_r, 1),
            figure(each.figures.max_drawdown_r, 1),
        ]
        for each in swept.verdict.best
    ]
    if not rows:
        return f'<p class="note">No setting has {FEWEST} closed trades.</p>'
    head = ("Setting", "Trades", "Expectancy R", "95 %", "Neighbours R", "Profit factor", "Sum of R", "Drawdown R")
    return (HINDSIGHT if swept.job.grid.size > 1 else "") + _table(head, rows, "Best settings")


def _forward(swept: Swept) -> str:
    found = swept.verdict
    if swept.job.grid.size == 1:
        return '<p class="note">The grid has one setting.</p>'
    rows = [
        [
            f"from {iso_ms(window.begins_ns)[:10]}: {setting_words(swept, window.number)}",
            figure(window.past_r),
            f"{window.past_count:,}",
            figure(window.own_r),
            f"{window.own_count:,}",
            figure(window.best_own_r),
        ]
        for window in found.windows
    ]
    if not rows:
        return '<p class="note">There are too few entries for windows.</p>'
    rows.append(
        ["All windows", NONE, NONE, f"{figure(found.forward_r)} ({between(found.forward_interval)})",
         f"{found.forward_count:,}", NONE]
    )  # fmt: skip
    head = ("Window and setting chosen", "Its past R", "Trades", "Its own R", "Trades", "Best in hindsight R")
    return CHOSEN + _table(head, rows, "Walk forward")


def _shown_axes(swept: Swept) -> tuple[int, int | None]:
    """Return the two longest axes, columns first."""
    order = sorted(range(len(swept.job.grid.axes)), key=lambda at: -len(swept.job.grid.axes[at].values))
    return order[0], order[1] if len(order) > 1 else None


def _map(swept: Swept, title: str, says: str, measure: Measured, even: float, digits: int) -> str:
    grid = swept.job.grid
    across, down = _shown_axes(swept)
    best = swept.verdict.best[0].number if swept.verdict.best else 0
    held = values_of(grid, best)
    places = [axis.values.index(value) for axis, value in zip(grid.axes, held, strict=True)]
    rows, numbers = [], []
    for y in range(len(grid.axes[down].values) if down is not None else 1):
        row = []
        for x in range(len(grid.axes[across].values)):
            at = list(places)
            at[across] = x
            if down is not None:
                at[down] = y
            number = 0
            for place, axis in zip(at, grid.axes, strict=True):
                number = number * len(axis.values) + place
            row.append((number, measure(swept.figures[number])))
        numbers += [abs(value - even) for _, value in row if value is not None]
        rows.append(row)
    most = max(numbers, default=0.0) or 1.0
    columns = "".join(f"<th>{escaped(shown(value))}</th>" for value in grid.axes[across].values)
    names = f"{grid.axes[across].name} →" + (f"  {grid.axes[down].name} ↓" if down is not None else "")
    body = ""
    for y, row in enumerate(rows):
        name = escaped(shown(grid.axes[down].values[y])) if down is not None else ""
        cells = "".join(_cell(value, even, most, digits, chosen=number == best) for number, value in row)
        body += f'<tr><th scope="row">{name}</th>{cells}</tr>'
    others = [
        f"{axis.name} {shown(value)}"
        for at, (axis, value) in enumerate(zip(grid.axes, held, strict=True))
        if at not in (across, down)
    ]
    note = (
        says
        + (" The best setting is framed." if grid.size > 1 else "")
        + (f" Held: {', '.join(others)}." if others else "")
    )
    return (
        f'<section class="panel"><h2>{escaped(title)}</h2><p class="note">{escaped(note)}</p>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escaped(title)}"><table class="heat"><caption>'
        f"{escaped(names)}</caption><thead><tr><th></th>{columns}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _cell(value: float | None, even: float, most: float, digits: int, *, chosen: bool) -> str:
    if value is None:
        return f'<td class="none">{NONE}</td>'
    kind = ("up" if value > even else "down") + (" chosen" if chosen else "")
    heat = min(abs(value - even) / most, 1.0)
    return f'<td class="{kind}" style="--heat:{heat:.2f}">{figure(value, digits)}</td>'


def _axes(swept: Swept) -> str:
    grid = swept.job.grid
    tables = []
    step = grid.size
    for axis in grid.axes:
        step //= len(axis.values)
        rows = []
        for place, value in enumerate(axis.values):
            found = [
                each.expectancy_r
                for number, each in swept.figures.items()
                if number // step % len(axis.values) == place and each.expectancy_r is not None
            ]
            rows.append([shown(value), figure(sum(found) / len(found) if found else None), f"{len(found):,}"])
        table = _table((axis.name, "Mean expectancy R", "Settings"), rows, axis.name)
        tables.append(f"<div>{table}</div>")
    return f'<div class="bars">{"".join(tables)}</div>'


def _assumptions(swept: Swept) -> str:
    several = swept.job.grid.size > 1
    said = (
        "Every setting is what grodtd replay would give with it; each entry is followed to its own exit.",
        f"Settings with fewer than {FEWEST} closed trades are not ranked.",
        (
            "Intervals are BCa bootstrap intervals over blocks as long as trades overlap"
            f"{ONE_AT_A_TIME if several else ''}. With fewer than {FEWEST_BLOCKS} stretches of "
            "overlapping trades there is none."
        ),
        *([WINDOWS_CUT] if several else []),
        "R is the initial risk a trade planned; money is after fees, R before them.",
    )
    return "<ul>" + "".join(f"<li>{escaped(words)}</li>" for words in said) + "</ul>"


def _origin(swept: Swept) -> str:
    inputs = swept.job.inputs
    pairs = [
        ("Prices", f"{inputs.prices.path}, SHA-256 {inputs.prices.sha256[:12]}"),
        ("Entries", inputs.options.entries),
        ("Grid", swept.job.grid.shown),
        ("Configuration", swept.job.base.configuration.fingerprint[:12]),
    ]
    return f'<dl class="facts">{_facts(pairs)}</dl>'
