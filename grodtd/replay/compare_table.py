"""What a comparison prints at its end, as rich renderables: the policies side by side, then the verdicts."""

from collections.abc import Collection, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from grodtd.replay.compare import Comparison, PolicyRun
from grodtd.replay.compare_figures import Figures
from grodtd.replay.compare_words import both_told, interval_text
from grodtd.replay.report_format import NONE, duration, figure, money, percent, r_text

SHOWN_WARNINGS = 5


def comparison_table(found: Comparison, already: Collection[str] = ()) -> Iterator[RenderableType]:
    """Yield the tables, verdicts and remarks of a finished comparison, but for remarks `already` printed."""
    first = found.runs[0]
    entries = len(found.inputs.entries)
    table = Table(title=f"{first.summary['symbol']}: {entries} entries under {len(found.runs)} policies")
    table.add_column("figure")
    for run in found.runs:
        table.add_column(run.name, justify="right", overflow="fold")
    columns = [list(_figures(run, alone)) for run, alone in zip(found.runs, found.figures, strict=True)]
    for row in zip(*columns, strict=True):
        table.add_row(row[0][0], *(value for _, value in row))
    yield table
    reasons = sorted({reason for run in found.runs for reason in run.summary["by_exit_reason"]})
    if reasons:
        exits = Table(title="Exits by reason")
        exits.add_column("reason")
        for run in found.runs:
            exits.add_column(run.name, justify="right", overflow="fold")
        for reason in reasons:
            by = [run.summary["by_exit_reason"].get(reason) for run in found.runs]
            exits.add_row(reason, *(NONE if one is None else f"{one['exits']} ({r_text(one['r'])})" for one in by))
        yield exits
    yield Text(f"Against \u201c{first.name}\u201d, the first policy of the file:", style="bold")
    for run, alone in zip(found.runs[1:], found.figures[1:], strict=True):
        for sentence in both_told(alone.versus, first.name):
            yield Text(f"{run.name}: {sentence}")
    warnings = first.summary["split_warnings"]
    for warning in warnings[:SHOWN_WARNINGS]:
        yield Text(f"warning: {warning['text']}", style="yellow")
    if len(warnings) > SHOWN_WARNINGS:
        yield Text(
            f"warning: {len(warnings) - SHOWN_WARNINGS} more such moves; all are in compare.json", style="yellow"
        )
    for remark in (remark for remark in found.remarks if remark not in already):
        yield Text(f"note: {remark}")


def _figures(run: PolicyRun, alone: Figures) -> Iterator[tuple[str, str]]:
    summary = run.summary
    yield "brackets closed", f"{summary['count']:,}"
    yield "still open", f"{summary['open']['count']:,}"
    yield "win rate", percent(summary["win_rate"])
    yield "expectancy, own R", r_text(summary["expectancy_r"])
    yield "  95 %", interval_text(alone.intervals["own_r"])
    yield "expectancy, first policy's R", r_text(alone.reference_r)
    yield "  95 %", interval_text(alone.intervals["reference_r"])
    yield "return of the entry's value", NONE if alone.return_bps is None else f"{r_text(alone.return_bps, '')} bp"
    yield "profit factor", figure(summary["profit_factor"])
    yield "total, own R", r_text(summary["total_r"])
    yield "worst", r_text(summary["worst_r"])
    yield "deepest drawdown", r_text(-summary["max_drawdown_r"])
    yield "P&L after fees", money(summary["pnl"])
    yield "time in trade, mean", duration(summary["time_in_trade"]["average_s"])
    yield "ambiguous bars", f"{summary['ambiguous_bars']:,}"
    yield "expectancy, by fill model", models_text(alone)
    yield "entries skipped", f"{len(run.skipped):,}"


def models_text(alone: Figures) -> str:
    """Return the span of mean own R over the fill models: how much hangs on what bars do not tell.

    One figure where all models agree.
    """
    found = [under.own_r for under in alone.by_model.values() if under.own_r is not None]
    if not found:
        return NONE
    low, high = r_text(min(found), ""), r_text(max(found), "")
    return low if low == high else f"{low} to {high}"
