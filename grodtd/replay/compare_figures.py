"""Several policies over the same entries as figures: each by itself, and each against the first, trade by trade.

Which R? `r_multiple` measures a trade by its own initial risk. Policies whose stops differ then measure with different
sticks: half the stop distance doubles every R of the same move. So each comparison is made twice:

- *same quantity* (`REFERENCE_R`): what the trade made after fees, in units of the risk the first policy planned on
  that very entry. It answers: with the quantities of the entries file, which policy earns more?
- *same risk* (`OWN_R`): the trade's own R, before fees. It answers: with the quantity sized from each policy's own
  stop, which earns more for what it risks?

Where the stops are the same and nothing is charged, the two agree. The return on the entry's value, in basis points
after fees, stands beside them as a unit that no policy chose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

import numpy as np

from grodtd.replay.compare_stats import (
    Interval,
    block_length,
    block_sums,
    holm,
    interval,
    sign_flip_p,
    smallest_shown,
)
from grodtd.replay.exits import ExitRow
from grodtd.replay.prices import Floats, Ints
from grodtd.replay.summary import Summary, results, summarize

BASIS_POINTS = 10_000


class Measure(StrEnum):
    """What a trade is measured in."""

    REFERENCE_R = "reference_r"
    OWN_R = "own_r"


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed entry under one policy."""

    entry_id: str
    entry_ns: int
    exit_ns: int
    pnl: float
    own_r: float | None
    """None: the stop planned no risk."""
    reference_r: float | None
    """None: the first policy skipped the entry, or planned no risk on it."""
    return_bps: float

    def measured(self, measure: Measure) -> float | None:
        """Return its R by a measure."""
        return self.own_r if measure is Measure.OWN_R else self.reference_r


@dataclass(frozen=True, slots=True)
class Units:
    """What the trades are measured against."""

    risk: Mapping[str, Decimal]
    """Entry id: money the first policy planned to lose at its stop."""
    multiplier: Decimal
    """Money a price move of 1 is worth, for one unit of quantity."""


@dataclass(frozen=True, slots=True)
class UnderModel:
    """What a policy came to under one fill model; None without a closed trade that can be measured."""

    pnl: float
    total_r: float
    own_r: float | None
    """Mean."""
    reference_r: float | None
    """Mean."""


@dataclass(frozen=True)
class Versus:
    """A policy against the first by one measure. Only entries closed under both count."""

    measure: Measure
    pairs: int
    blocks: int
    """Independent stretches those make; fewer than pairs where trades overlap."""
    differing: int
    """Pairs that do not come to the same."""
    better: int
    worse: int
    blocks_differing: int
    mean: float | None
    """Mean difference a trade."""
    interval: Interval | None
    p: float
    p_holm: float
    smallest: float | None
    """About the true difference that this sample would show four times in five."""
    by_model: Mapping[str, float | None]
    """The mean difference under each fill model."""


@dataclass(frozen=True)
class Figures:
    """One policy by itself."""

    summary: Summary
    trades: Sequence[Trade]
    """Closed ones, by entry time."""
    blocks: int
    intervals: Mapping[str, Interval | None]
    """Of own_r and reference_r (means), win_rate and profit_factor."""
    reference_r: float | None
    """Mean over closed trades that have one; its own mean R is `summary.expectancy_r`."""
    return_bps: float | None
    """Mean."""
    by_model: Mapping[str, UnderModel]
    versus: Mapping[Measure, Versus] = field(default_factory=dict)
    """Against the first policy; empty for the first."""


def planned_risk(rows: Sequence[ExitRow], multiplier: Decimal) -> Units:
    """Return the money at risk of each entry under the policy these rows are of."""
    quantity: dict[str, Decimal] = {}
    first: dict[str, ExitRow] = {}
    for row in rows:
        quantity[row.bracket_id] = quantity.get(row.bracket_id, Decimal(0)) + row.quantity
        first.setdefault(row.bracket_id, row)
    losing = {name: (row.entry_price - row.stop_price) * row.side.sign for name, row in first.items()}
    return Units(
        {name: away * quantity[name] * multiplier for name, away in losing.items() if away > 0},
        multiplier,
    )


def trades_of(rows: Sequence[ExitRow], units: Units) -> list[Trade]:
    """Return closed trades by entry time. `rows` are those of `exits.csv`."""
    worth: dict[str, Decimal] = {}
    for row in rows:
        value = row.quantity * row.entry_price * units.multiplier
        worth[row.bracket_id] = worth.get(row.bracket_id, Decimal(0)) + value
    found = []
    for result in results(rows):
        if result.exit_time_ns is None:
            continue
        risk = units.risk.get(result.bracket_id)
        value = worth[result.bracket_id]
        found.append(
            Trade(
                entry_id=result.bracket_id,
                entry_ns=result.entry_time_ns,
                exit_ns=result.exit_time_ns,
                pnl=float(result.pnl),
                own_r=None if result.r_multiple is None else float(result.r_multiple),
                reference_r=None if risk is None else float(result.pnl / risk),
                return_bps=float(result.pnl / value) * BASIS_POINTS if value else 0.0,
            )
        )
    return sorted(found, key=lambda trade: trade.entry_ns)


def under_models(rows: Mapping[str, Sequence[ExitRow]], units: Units) -> dict[str, list[Trade]]:
    """Return the closed trades under each fill model, from all of a policy's rows under each."""
    return {model: trades_of(found, units) for model, found in rows.items()}


def figures(rows: Sequence[ExitRow], trades: Mapping[str, Sequence[Trade]], model: str, seed: int) -> Figures:
    """Return one policy's figures: from its rows under `model`, the one asked for, and its trades under every model."""
    asked = trades[model]
    length = block_length(*_times(asked))
    won = np.array([(trade.pnl > 0, 1.0, max(trade.pnl, 0.0), max(-trade.pnl, 0.0)) for trade in asked])
    sums = block_sums(won.reshape(-1, 4), length)
    intervals = {measure.value: interval(block_sums(_with_count(asked, measure), length), seed) for measure in Measure}
    intervals["win_rate"] = interval(sums[:, :2], seed)
    intervals["profit_factor"] = interval(sums[:, 2:], seed)
    return Figures(
        summary=summarize(rows),
        trades=asked,
        blocks=-(-len(asked) // length),
        intervals=intervals,
        reference_r=_mean([trade.reference_r for trade in asked]),
        return_bps=_mean([trade.return_bps for trade in asked]),
        by_model={name: _under(found) for name, found in trades.items()},
    )


def versus(
    first: Mapping[str, Sequence[Trade]], others: Sequence[Mapping[str, Sequence[Trade]]], model: str, seed: int
) -> list[dict[Measure, Versus]]:
    """Compare each of `others` with `first`, all as trades by fill model; Holm corrects each measure over `others`."""
    found = [{measure: _versus(first, other, model, measure, seed) for measure in Measure} for other in others]
    for measure in Measure:
        corrected = holm([each[measure].p for each in found])
        for each, p in zip(found, corrected, strict=True):
            each[measure] = replace(each[measure], p_holm=p)
    return found


def _versus(
    first: Mapping[str, Sequence[Trade]],
    other: Mapping[str, Sequence[Trade]],
    model: str,
    measure: Measure,
    seed: int,
) -> Versus:
    pairs = paired(first[model], other[model], measure)
    differences = np.array([difference for _, _, difference in pairs], dtype=np.float64)
    entry_ns = np.array([a.entry_ns for a, _, _ in pairs], dtype=np.int64)
    exit_ns = np.array([max(a.exit_ns, b.exit_ns) for a, b, _ in pairs], dtype=np.int64)
    length = block_length(entry_ns, exit_ns)
    sums = block_sums(np.column_stack([differences, np.ones(len(pairs))]), length)
    p = sign_flip_p(sums[:, 0], seed)
    by_model = {name: [difference for *_, difference in paired(first[name], other[name], measure)] for name in first}
    return Versus(
        measure=measure,
        pairs=len(pairs),
        blocks=len(sums),
        differing=int((differences != 0).sum()),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
        blocks_differing=int((sums[:, 0] != 0).sum()),
        mean=float(differences.mean()) if len(pairs) else None,
        interval=interval(sums, seed),
        p=p,
        p_holm=p,
        smallest=smallest_shown(sums),
        by_model={name: _mean(found) for name, found in by_model.items()},
    )


def paired(first: Sequence[Trade], other: Sequence[Trade], measure: Measure) -> list[tuple[Trade, Trade, float]]:
    """Return entries closed under both, by entry time, with the other's R less the first's, to 12 decimals."""
    mine = {trade.entry_id: trade for trade in first}
    found = []
    for theirs in other:
        trade = mine.get(theirs.entry_id)
        if trade is None:
            continue
        a, b = trade.measured(measure), theirs.measured(measure)
        if a is not None and b is not None:
            found.append((trade, theirs, round(b - a, 12)))
    return found


def _times(trades: Sequence[Trade]) -> tuple[Ints, Ints]:
    entry, leave = ([getattr(trade, name) for trade in trades] for name in ("entry_ns", "exit_ns"))
    return np.array(entry, dtype=np.int64), np.array(leave, dtype=np.int64)


def _with_count(trades: Sequence[Trade], measure: Measure) -> Floats:
    """float64[n, 2]: a trade's R and 1, or twice 0 where it has none."""
    known = [trade.measured(measure) for trade in trades]
    return np.array([(0.0, 0.0) if r is None else (r, 1.0) for r in known], dtype=np.float64).reshape(-1, 2)


def _under(trades: Sequence[Trade]) -> UnderModel:
    return UnderModel(
        pnl=float(sum(trade.pnl for trade in trades)),
        total_r=float(sum(trade.own_r for trade in trades if trade.own_r is not None)),
        own_r=_mean([trade.own_r for trade in trades]),
        reference_r=_mean([trade.reference_r for trade in trades]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
