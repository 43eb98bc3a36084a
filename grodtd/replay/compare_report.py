"""`compare.html`: several policies over the same entries on one page that needs nothing but itself.

It shares its looks, its way of carrying bars and its price chart with `report.html`. Same input, same bytes.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import plotly.offline

from grodtd.replay import compare_sections as sections
from grodtd.replay.compare import Comparison
from grodtd.replay.compare_figures import Measure, Trade
from grodtd.replay.compare_stats import Interval
from grodtd.replay.exact import decimals
from grodtd.replay.exits import ExitRow
from grodtd.replay.prices import Floats
from grodtd.replay.report import MOST_ROWS, OTHER_CHARS, PAGE_CHARS, STOPS_CHARS
from grodtd.replay.report_figures import EDGE, EquityCurve, histogram, thinned
from grodtd.replay.report_format import escaped
from grodtd.replay.report_pack import (
    Packed,
    PackedBars,
    market_json,
    number,
    pack_bars,
    pack_rows,
    pack_stops,
    script_json,
)
from grodtd.replay.report_page import asset, filled, script_of, security_policy

SCRIPTS = (
    "1-data.js",
    "2-look.js",
    "3-frame.js",
    "4-navigator.js",
    "5-tools.js",
    "compare-1-trades.js",
    "compare-2-prices.js",
    "compare-3-charts.js",
    "compare-4-table.js",
    "compare-5-main.js",
)
BESIDE = 4
"""Policies up to which two tables fit beside each other."""

MOST_CURVE_POINTS = 1_500
"""Points of one policy's equity curve in the page."""


def write_page(path: str | Path, found: Comparison) -> None:
    """Write the page to `path`, replacing what is there. Raises OSError when the file cannot be written."""
    Path(path).write_text(page_html(found), encoding="utf-8", newline="\n")


def page_html(found: Comparison) -> str:
    """Return the page as text."""
    library, script = plotly.offline.get_plotlyjs(), script_of(SCRIPTS)
    style = asset("report.css") + asset("compare.css")
    data, notes = _data(found, PAGE_CHARS - len(library) - len(style) - len(script) - OTHER_CHARS)
    title = f"{found.inputs.prices.symbol}: {len(found.inputs.entries)} entries under {len(found.runs)} policies"
    return filled(
        "compare.html",
        policy=escaped(security_policy(library, script)),
        title=escaped(title),
        style=style,
        masthead=sections.masthead(found, title),
        verdicts=sections.verdicts(found),
        warnings=sections.warnings(found),
        figures=sections.figures_table(found),
        exits=sections.exits_table(found),
        pair="pair" if len(found.runs) <= BESIDE else "pair one",
        models=sections.models_table(found),
        measures=sections.measures(found),
        trades_note=escaped(" ".join(["Choose a row to see what each policy made of that trade.", *notes])),
        assumptions=sections.assumptions(found),
        origin=sections.origin(found),
        footer=sections.footer(),
        data=script_json(data),
        plotly=library,
        script=script,
    )


def _data(found: Comparison, room: int) -> tuple[Packed, list[str]]:
    """Return what the page's script reads, and what to say about what it leaves out."""
    inputs, bars = found.inputs, found.inputs.bars
    names, notes = _entries_in_page(found)
    kept = set(names)
    rows: list[ExitRow] = []
    history: dict[str, Sequence[tuple[int, Decimal]]] = {}
    for at, run in enumerate(found.runs):
        rows += [replace(row, bracket_id=f"{at}:{row.bracket_id}") for row in run.rows if row.bracket_id in kept]
        history |= {f"{at}:{name}": moves for name, moves in run.stop_history.items()}
    packed = pack_rows(rows, {inputs.prices.symbol: bars.time_ns})
    stops, _ = pack_stops(history, packed["ids"], dict.fromkeys(packed["ids"], bars.time_ns), STOPS_CHARS)
    room -= len(script_json(packed)) + len(script_json(stops))
    mid, unit = bars.mid, float(bars.mid_unit)
    sides = tuple(np.asarray(side * unit, dtype=np.float64) for side in (mid.open, mid.high, mid.low, mid.close))
    precision = decimals(inputs.instrument.tick_size)
    shown = PackedBars(bars.time_ns, (sides[0], sides[1], sides[2], sides[3]), precision)
    bars_json, coarse = pack_bars(shown, _spans(packed, shown.count), room)
    if coarse:
        notes.append("Some trades are drawn in coarse candles: single bars for all would make the page too large.")
    data: Packed = {
        "markets": [market_json(inputs.prices.symbol, precision, bars.interval_ns, bars_json)],
        **packed,
        "stops": stops,
        "names": [run.name for run in found.runs],
        "entries": names,
        "skipped": [{one.bracket_id: f"{one.at}: {one.why}" for one in run.skipped} for run in found.runs],
        "reference_r": _reference_r(found, packed["ids"]),
        "charts": {measure.value: _charts(found, measure, names) for measure in Measure},
        "notes": {"prices": ""},
    }
    return data, notes


def _entries_in_page(found: Comparison) -> tuple[list[str], list[str]]:
    """Return the entries the page holds, in order of time, and what to say where it holds not all of them."""
    exits: dict[str, int] = {}
    first: dict[str, int] = {}
    for run in found.runs:
        for row in run.rows:
            exits[row.bracket_id] = exits.get(row.bracket_id, 0) + 1
            first.setdefault(row.bracket_id, row.entry_time_ns)
    names = sorted(exits, key=lambda name: first[name])
    total, held = 0, len(names)
    for at, name in enumerate(names):
        total += exits[name]
        if total > MOST_ROWS:
            held = at
            break
    if held == len(names):
        return names, []
    return names[:held], [f"The page holds the first {held:,} of {len(names):,} trades; compare.csv has them all."]


def _spans(packed: Packed, bar_count: int) -> list[tuple[int, int]]:
    """First and last bar of each entry over all policies, in order of entry."""
    spans: dict[str, tuple[int, int]] = {}
    columns = packed["rows"]
    for bracket, first, last in zip(columns["bracket"], columns["entry_bar"], columns["exit_bar"], strict=True):
        entry = packed["ids"][bracket].partition(":")[2]
        end = bar_count - 1 if last is None else last
        spans[entry] = (first, max(end, spans.get(entry, (0, 0))[1]))
    return list(spans.values())


def _reference_r(found: Comparison, ids: Sequence[str]) -> list[float | int | None]:
    known = {
        f"{at}:{trade.entry_id}": trade.reference_r
        for at, figures in enumerate(found.figures)
        for trade in figures.trades
    }
    return [_short(known.get(name)) for name in ids]


def _charts(found: Comparison, measure: Measure, names: Sequence[str]) -> Packed:
    """Everything drawn in one measure: intervals, distributions on common bins, equity curves."""
    values = [_values(figures.trades, measure) for figures in found.figures]
    spread = histogram(np.concatenate(values))
    place = {name: index for index, name in enumerate(names)}
    return {
        "mean": [_short(float(each.mean())) if len(each) else None for each in values],
        "interval": [_ends(figures.intervals[measure.value]) for figures in found.figures],
        "difference": [_short(figures.versus[measure].mean) if figures.versus else None for figures in found.figures],
        "difference_interval": [
            _ends(figures.versus[measure].interval) if figures.versus else None for figures in found.figures
        ],
        "bins": {
            "width": spread.width,
            "centre": [number(value) for value in spread.centre],
            "first_open": spread.first_open,
            "last_open": spread.last_open,
            "count": [_binned(each, spread.width, spread.centre) for each in values],
        },
        "equity": [_curve(figures.trades, measure, place) for figures in found.figures],
    }


def _values(trades: Sequence[Trade], measure: Measure) -> Floats:
    return np.array([r for trade in trades if (r := trade.measured(measure)) is not None], dtype=np.float64)


def _binned(values: Floats, width: float, centre: Floats) -> list[int]:
    """Count values in bins made for all policies together; the outermost ones hold what lies beyond."""
    if not len(centre):
        return []
    bins = np.floor(values / width + 0.5 + EDGE).astype(np.int64) - round(float(centre[0]) / width)
    return [int(count) for count in np.bincount(np.clip(bins, 0, len(centre) - 1), minlength=len(centre))]


def _curve(trades: Sequence[Trade], measure: Measure, place: dict[str, int]) -> Packed:
    """Sum of R in order of exit, thinned so that no peak and no trough is lost."""
    steps = [
        (trade.exit_ns, place.get(trade.entry_id, -1), r)
        for trade in trades
        if (r := trade.measured(measure)) is not None
    ]
    steps.sort(key=lambda step: step[0])
    gains = np.array([step[2] for step in steps], dtype=np.float64)
    total = np.asarray(np.round(np.cumsum(gains), 6), dtype=np.float64)
    time_ns, entry = (np.array([step[at] for step in steps], dtype=np.int64) for at in (0, 1))
    curve = thinned(EquityCurve(time_ns, total, np.zeros_like(total), entry), MOST_CURVE_POINTS)
    return {
        "ms": (curve.time_ns // 1_000_000).tolist(),
        "r": [_short(float(value)) for value in curve.r],
        "entry": curve.bracket.tolist(),
    }


def _ends(found: Interval | None) -> list[float | int | None] | None:
    return None if found is None else [_short(found.low), _short(found.high)]


def _short(value: float | None) -> float | int | None:
    """To the six decimals of every figure of ours."""
    return None if value is None else number(round(value, 6))
