"""What a replay prints at its end: the figures a trader looks at first, as rich renderables."""

from collections.abc import Iterator
from decimal import Decimal

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from grodtd.replay.report_format import MINUS, money
from grodtd.replay.run import Replayed


def summary_table(replayed: Replayed) -> Iterator[RenderableType]:
    """Yield the tables and remarks of a finished replay."""
    summary, facts = replayed.summary, replayed.facts
    figures = Table(title=f"{facts.symbol}: {facts.prices_count} prices, {facts.entries_count} entries")
    figures.add_column("figure")
    figures.add_column("value", justify="right")
    for name, value in (
        ("brackets closed", str(summary.count)),
        ("still open", str(summary.open.count)),
        ("win rate", _percent(summary.win_rate)),
        ("expectancy", _number(summary.expectancy_r, "R")),
        ("profit factor", _number(summary.profit_factor)),
        ("P&L", _money(summary.pnl)),
        ("total", _number(summary.total_r, "R")),
        ("deepest drawdown", _number(summary.max_drawdown_r, "R")),
        ("ambiguous bars", str(summary.ambiguous_bars)),
        ("fallback stops", str(summary.fallback)),
    ):
        figures.add_row(name, value)
    yield figures
    reasons = Table(title="Exits by reason")
    for column in ("reason", "exits", "P&L", "R"):
        reasons.add_column(column, justify="left" if column == "reason" else "right")
    for reason, found in summary.by_exit_reason.items():
        reasons.add_row(reason, str(found.exits), _money(found.pnl), _number(found.r))
    yield reasons
    models = ", ".join(f"{model} {_money(pnl)}" for model, pnl in facts.pnl_by_fill_model.items())
    yield Text(f"P&L by fill model: {models}")
    for warning in facts.split_warnings[:5]:
        touched = facts.split_brackets.get(warning, ())
        names = f" Brackets it touches: {', '.join(touched[:5])}{' ...' if len(touched) > 5 else ''}" if touched else ""
        yield Text(f"warning: {warning.text}{names}", style="yellow")
    if len(facts.split_warnings) > 5:
        yield Text(f"warning: {len(facts.split_warnings) - 5} more such moves; all are in summary.json", style="yellow")
    for remark in facts.remarks:
        yield Text(f"note: {remark}")


def _number(value: Decimal | None, unit: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}{' ' + unit if unit else ''}"


def _money(value: Decimal | None) -> str:
    """As the report writes it, with as many decimals as its size deserves, in signs every terminal has."""
    return "-" if value is None else money(float(value)).replace(MINUS, "-")


def _percent(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:.1%}"
