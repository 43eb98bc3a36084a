"""`report.html` of a replay: one page that needs nothing but itself, to look at now and to keep.

The page carries its own charts library, style and data; its content security policy forbids it any request, and runs
only the two scripts whose hashes it names. Same input, same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import plotly.offline

from grodtd import __version__
from grodtd.replay import report_words as words
from grodtd.replay.exits import ExitRow
from grodtd.replay.prices import Floats, Ints
from grodtd.replay.report_figures import Distribution, EquityCurve, distribution, equity_curve, thinned
from grodtd.replay.report_format import escaped
from grodtd.replay.report_pack import (
    MOST_COARSE_CANDLES,
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
from grodtd.replay.summary import results

SCRIPTS = (
    "1-data.js",
    "2-look.js",
    "3-frame.js",
    "3-prices.js",
    "4-navigator.js",
    "5-charts.js",
    "5-tools.js",
    "6-table.js",
    "7-main.js",
)

PAGE_CHARS = 15_000_000
"""The page aims to stay below this: it should open on a phone and pass as an attachment."""

MOST_ROWS = 40_000
"""Exits in the page's table and charts; further ones are in `exits.csv` alone (the figures count them all)."""

STOPS_CHARS = 2_000_000
"""For the stairs of moved stops."""

COARSE_SYMBOLS, FEWEST_COARSE = 20, 120
"""So many symbols have a coarse copy of full length; more have shorter ones, down to so many candles."""

OTHER_CHARS = 200_000
"""For the words, the equity curve and the distribution."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SymbolPrices:
    """One symbol's bars. Nothing in it is changed; arrays are of equal length, times strictly rising."""

    symbol: str
    time_ns: Ints
    """int64[n], n >= 1, each bar's open in ns since the epoch (UTC)."""
    open: Floats
    """float64[n], mid price in the quote currency; so are `high`, `low`, `close`."""
    high: Floats
    low: Floats
    close: Floats
    interval_ns: int
    """A bar's length; a day or more: times are shown as dates."""
    precision: int = 2
    """Digits after the point of the file's prices."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportInput:
    """All that a report shows."""

    title: str
    prices: Sequence[SymbolPrices]
    """One or more symbols, each with at least one bar; the rows' symbols are among them."""
    rows: Sequence[ExitRow]
    """The rows of `exits.csv`, in its order."""
    summary: Mapping[str, Any]
    """What `summary.summary_json` returned for the same rows: every figure in words comes from it."""
    remarks: Sequence[str] = ()
    """What the user should know besides the summary's own remarks. Shown as they are."""
    stop_history: Mapping[str, Sequence[tuple[int, float | Decimal]]] = field(default_factory=dict)
    """Bracket id: (time in ns since the epoch, new stop), oldest first, without the initial one."""


def write_report(path: str | Path, report: ReportInput) -> None:
    """Write the page to `path`, replacing what is there.

    Raises: ValueError - the bars are empty or of unequal length (the caller's fault). OSError - the file cannot be
    written (the person who named the path).
    """
    Path(path).write_text(report_html(report), encoding="utf-8", newline="\n")


def report_html(report: ReportInput) -> str:
    """Return the page as text. Raises: ValueError - the bars are empty or of unequal length."""
    for each in report.prices:
        sides = (each.open, each.high, each.low, each.close)
        if not len(each.time_ns) or any(len(side) != len(each.time_ns) for side in sides):
            raise ValueError("a report needs at least one bar, and open, high, low and close for each")
    brackets = results(report.rows)
    spread = distribution(brackets)
    style = asset("report.css")
    library = plotly.offline.get_plotlyjs()
    script = script_of(SCRIPTS)
    room = PAGE_CHARS - len(library) - len(style) - len(script) - OTHER_CHARS
    data, note = _data(report, equity_curve(brackets), spread, room)
    facts = words.Facts(
        title=report.title,
        first_ns=_first_ns(report),
        last_ns=_last_ns(report),
        intervals_ns=tuple(sorted({each.interval_ns for each in report.prices})),
        bar_count=sum(len(each.time_ns) for each in report.prices),
        summary=report.summary,
        remarks=tuple(report.remarks),
        version=__version__,
    )
    return filled(
        "report.html",
        policy=escaped(security_policy(library, script)),
        title=escaped(report.title),
        style=style,
        masthead=words.masthead(facts),
        figures=words.figures(facts),
        warnings=words.warnings(facts),
        equity_note=words.equity_note(facts),
        equity_label=words.equity_label(facts),
        distribution_note=words.distribution_note(facts),
        distribution_label=words.distribution_label(spread),
        exits=words.exits(facts),
        symbols=words.symbols(facts),
        brackets_note=escaped(note),
        assumptions=filled(
            "assumptions.html",
            fill_model=escaped(report.summary["fill_model"]),
            model=words.model_words(facts),
            origin=words.origin(facts),
        ),
        footer=words.footer(facts),
        data=script_json(data),
        plotly=library,
        script=script,
    )


def _first_ns(report: ReportInput) -> int:
    return min(int(each.time_ns[0]) for each in report.prices)


def _last_ns(report: ReportInput) -> int:
    return max(int(each.time_ns[-1]) for each in report.prices)


def _data(report: ReportInput, curve: EquityCurve, spread: Distribution, room: int) -> tuple[Packed, str]:
    """Return what the page's script reads, and the sentence above the table."""
    rows = report.rows[:MOST_ROWS]
    times = {each.symbol: each.time_ns for each in report.prices}
    packed = pack_rows(rows, times)
    stops, stops_left_out = pack_stops(
        report.stop_history, packed["ids"], {row.bracket_id: times[row.symbol] for row in rows}, STOPS_CHARS
    )
    room -= len(script_json(packed)) + len(script_json(stops))
    markets, coarse_brackets = _markets(report.prices, packed, room)
    said = []
    if coarse_brackets:
        said.append(
            f"{coarse_brackets:,} of {len(packed['ids']):,} brackets are drawn in coarse candles: single bars for all "
            "of them would make the page too large."
        )
    if stops_left_out:
        said.append(f"Of {stops_left_out:,} brackets only the initial stop is drawn, not how it moved.")
    data: Packed = {
        "markets": markets,
        **packed,
        "stops": stops,
        "equity": _curve(thinned(curve), len(packed["ids"]), _first_ns(report), _last_ns(report)),
        "distribution": {
            "width": spread.width,
            "centre": [number(value) for value in spread.centre],
            "count": spread.count.tolist(),
            "first_open": spread.first_open,
            "last_open": spread.last_open,
            "mean": spread.mean,
        },
        "notes": {"prices": " ".join(said)},
    }
    note = "One row an exit; choose one to see its bracket in the price chart. Times are UTC."
    if len(report.rows) > len(rows):
        note += f" The page holds the first {len(rows):,} of {len(report.rows):,} exits; exits.csv has them all."
    return data, note


def _markets(prices: Sequence[SymbolPrices], packed: Packed, room: int) -> tuple[list[Packed], int]:
    """Return every symbol's bars for the page, the room shared evenly, and how many brackets are coarse in it."""
    found, coarse_brackets = [], 0
    most_coarse = max(FEWEST_COARSE, MOST_COARSE_CANDLES * COARSE_SYMBOLS // max(COARSE_SYMBOLS, len(prices)))
    for place, each in enumerate(prices):
        sides = (each.open, each.high, each.low, each.close)
        bars = PackedBars(each.time_ns, sides, each.precision, most_coarse)
        share = room // (len(prices) - place)
        bars_json, coarse = pack_bars(bars, _spans(packed, place, bars.count), share)
        market = market_json(each.symbol, each.precision, each.interval_ns, bars_json)
        room -= len(script_json(market))
        coarse_brackets += coarse
        found.append(market)
    return found, coarse_brackets


def _spans(packed: Packed, market: int, bar_count: int) -> list[tuple[int, int]]:
    """First and last bar of each bracket of a symbol, in order of entry."""
    spans: dict[int, tuple[int, int]] = {}
    columns = packed["rows"]
    for bracket, own, first, last in zip(
        columns["bracket"], columns["market"], columns["entry_bar"], columns["exit_bar"], strict=True
    ):
        if own == market:
            end = bar_count - 1 if last is None else last
            spans[bracket] = (first, max(end, spans.get(bracket, (0, 0))[1]))
    return list(spans.values())


def _curve(curve: EquityCurve, brackets_in_page: int, begin_ns: int, end_ns: int) -> Packed:
    """The curve from zero at the first bar to the last one; a bracket that is not in the page cannot be chosen."""
    last = [float(side[-1]) if len(side) else 0.0 for side in (curve.r, curve.peak)]
    return {
        "ms": [begin_ns // 1_000_000, *(curve.time_ns // 1_000_000).tolist(), end_ns // 1_000_000],
        "r": [0, *(number(value) for value in curve.r), number(last[0])],
        "peak": [0, *(number(value) for value in curve.peak), number(last[1])],
        "bracket": [None, *(int(index) if index < brackets_in_page else None for index in curve.bracket), None],
    }
