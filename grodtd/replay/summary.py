"""What a run came to: figures over brackets, from the rows of `exits.csv`.

A bracket that leaves in parts counts once: its R is the mean of its exits' R weighted by quantity, its P&L their sum.
One with anything still open is left out of win rate, expectancy and profit factor, and reported apart. A bracket
without R (its given stop planned no risk) counts in everything but the figures in R.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from grodtd.domain.money import ZERO, divide
from grodtd.replay.exits import OPEN, ExitRow

NS_PER_S = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True)
class BracketResult:
    """One bracket over all its exits."""

    bracket_id: str
    r_multiple: Decimal | None
    pnl: Decimal
    entry_time_ns: int
    exit_time_ns: int | None
    """Its last exit's; None while any of it is open."""
    fallback: bool

    @property
    def is_open(self) -> bool:
        """Whether any of it was still open when the prices ended."""
        return self.exit_time_ns is None


@dataclass(frozen=True, slots=True)
class ReasonFigures:
    """The exits of one reason: `exits.csv` rows, so the parts of one bracket may stand under several reasons."""

    exits: int
    pnl: Decimal
    r: Decimal
    """Sum of R, each exit's weighted by its share of its bracket: the reasons add up to the whole."""


@dataclass(frozen=True, slots=True)
class OpenFigures:
    """Brackets with something still open at the end, marked at the last close of their exit side."""

    count: int
    pnl: Decimal
    r: Decimal
    """Sum of their R."""


@dataclass(frozen=True, slots=True)
class TimeInTrade:
    """From the entry's bar to the last exit's, seconds; None without closed brackets."""

    average_s: Decimal | None
    median_s: Decimal | None
    longest_s: Decimal | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a run; None where there is nothing to divide by. `count` and all after it: closed brackets."""

    brackets: int
    """Closed and open."""
    count: int
    wins: int
    """P&L after fees above 0; `losses` below; the rest came out even."""
    losses: int
    win_rate: Decimal | None
    """wins / count."""
    expectancy_r: Decimal | None
    """Mean R."""
    profit_factor: Decimal | None
    """gross_profit / gross_loss; None without a loss."""
    pnl: Decimal
    gross_profit: Decimal
    gross_loss: Decimal
    """A number >= 0."""
    total_r: Decimal
    avg_win_r: Decimal | None
    """Mean R of those with R above 0."""
    avg_loss_r: Decimal | None
    """Mean R of those with R below 0."""
    best_r: Decimal | None
    worst_r: Decimal | None
    max_drawdown_r: Decimal
    """Deepest fall of the running sum of R, in order of exit time, below its highest so far (0 at the start)."""
    without_r: int
    """Closed brackets that planned no risk: in no figure in R."""
    fallback: int
    """Closed brackets whose stop was the fallback percentage's."""
    time_in_trade: TimeInTrade
    by_exit_reason: dict[str, ReasonFigures]
    open: OpenFigures
    ambiguous_exits: int
    """Rows whose fill the model decided."""
    ambiguous_bars: int
    """Distinct bars those fell in."""


def results(rows: Iterable[ExitRow]) -> list[BracketResult]:
    """Put each bracket's exits together, brackets in order of first appearance."""
    parts: dict[str, list[ExitRow]] = {}
    for row in rows:
        parts.setdefault(row.bracket_id, []).append(row)
    return [_result(exits) for exits in parts.values()]


def _result(exits: Sequence[ExitRow]) -> BracketResult:
    quantity = sum((row.quantity for row in exits), ZERO)
    weighted = [row.quantity * row.r_multiple for row in exits if row.r_multiple is not None]
    times = [row.exit_time_ns for row in exits if row.exit_reason != OPEN and row.exit_time_ns is not None]
    return BracketResult(
        bracket_id=exits[0].bracket_id,
        r_multiple=divide(sum(weighted, ZERO), quantity) if len(weighted) == len(exits) else None,
        pnl=sum((row.pnl for row in exits), ZERO),
        entry_time_ns=exits[0].entry_time_ns,
        exit_time_ns=max(times) if len(times) == len(exits) else None,
        fallback=exits[0].fallback,
    )


def summarize(rows: Sequence[ExitRow]) -> Summary:
    """Work out a run's figures from the rows of its `exits.csv`, in their order."""
    brackets = results(rows)
    closed = [bracket for bracket in brackets if not bracket.is_open]
    still_open = [bracket for bracket in brackets if bracket.is_open]
    wins = [bracket.pnl for bracket in closed if bracket.pnl > 0]
    losses = [-bracket.pnl for bracket in closed if bracket.pnl < 0]
    in_r = [bracket.r_multiple for bracket in _by_exit(closed) if bracket.r_multiple is not None]
    ambiguous = [row for row in rows if row.ambiguous]
    gross_profit, gross_loss = sum(wins, ZERO), sum(losses, ZERO)
    return Summary(
        brackets=len(brackets),
        count=len(closed),
        wins=len(wins),
        losses=len(losses),
        win_rate=divide(Decimal(len(wins)), Decimal(len(closed))) if closed else None,
        expectancy_r=_mean(in_r),
        profit_factor=divide(gross_profit, gross_loss) if gross_loss else None,
        pnl=gross_profit - gross_loss,
        gross_profit=gross_profit,
        gross_loss=gross_loss,
        total_r=sum(in_r, ZERO),
        avg_win_r=_mean([r for r in in_r if r > 0]),
        avg_loss_r=_mean([r for r in in_r if r < 0]),
        best_r=max(in_r, default=None),
        worst_r=min(in_r, default=None),
        max_drawdown_r=_max_drawdown(in_r),
        without_r=len(closed) - len(in_r),
        fallback=sum(bracket.fallback for bracket in closed),
        time_in_trade=_time_in_trade(closed),
        by_exit_reason=_by_reason(rows, {bracket.bracket_id for bracket in closed}),
        open=OpenFigures(
            len(still_open),
            sum((bracket.pnl for bracket in still_open), ZERO),
            sum((bracket.r_multiple for bracket in still_open if bracket.r_multiple is not None), ZERO),
        ),
        ambiguous_exits=len(ambiguous),
        ambiguous_bars=len({row.exit_time_ns for row in ambiguous}),
    )


def _by_exit(closed: Iterable[BracketResult]) -> list[BracketResult]:
    return sorted(closed, key=lambda bracket: bracket.exit_time_ns or 0)


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return divide(sum(values, ZERO), Decimal(len(values))) if values else None


def _max_drawdown(in_r: Iterable[Decimal]) -> Decimal:
    equity = peak = deepest = ZERO
    for r in in_r:
        equity += r
        peak = max(peak, equity)
        deepest = max(deepest, peak - equity)
    return deepest


def _time_in_trade(closed: Sequence[BracketResult]) -> TimeInTrade:
    held = [
        (bracket.exit_time_ns - bracket.entry_time_ns) / NS_PER_S
        for bracket in closed
        if bracket.exit_time_ns is not None
    ]
    if not held:
        return TimeInTrade(None, None, None)
    return TimeInTrade(_mean(held), median(held), max(held))


def _by_reason(rows: Sequence[ExitRow], closed: set[str]) -> dict[str, ReasonFigures]:
    """Figures of closed brackets' exits, reasons in alphabetical order."""
    quantity: dict[str, Decimal] = {}
    for row in rows:
        quantity[row.bracket_id] = quantity.get(row.bracket_id, ZERO) + row.quantity
    found: dict[str, ReasonFigures] = {}
    for row in rows:
        if row.bracket_id not in closed:
            continue
        before = found.get(row.exit_reason, ReasonFigures(0, ZERO, ZERO))
        share = divide(row.quantity * row.r_multiple, quantity[row.bracket_id]) if row.r_multiple is not None else ZERO
        found[row.exit_reason] = ReasonFigures(before.exits + 1, before.pnl + row.pnl, before.r + share)
    return dict(sorted(found.items()))
