"""`compare.csv` and `compare.json`: a comparison for other programs.

`compare.csv` is long: the rows of `exits.csv` under the fill model asked for, after the policy's name, and two columns
more: `reference_r`, P&L after fees in units of the risk the first policy planned on that entry, and `return_bps`, the
same as basis points of the entry's value. Rows come policy by policy, then as in `exits.csv`.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from grodtd.replay.compare import Comparison, PolicyRun
from grodtd.replay.compare_figures import BASIS_POINTS, Figures, Measure, Units, Versus, planned_risk
from grodtd.replay.compare_stats import ALPHA, FEWEST_BLOCKS, LEVEL, RESAMPLES, Interval
from grodtd.replay.compare_words import both_told, verdict
from grodtd.replay.exits import COLUMNS, exit_cells, six_decimals

EXTRA_COLUMNS = ("reference_r", "return_bps")
RUN_KEYS = ("symbol", "fill_model", "prices", "entries", "options")
"""What every policy's run has in common, of `summary.json`."""
POLICY_KEYS = (
    "brackets", "count", "wins", "losses", "win_rate", "expectancy_r", "profit_factor", "pnl", "gross_profit",
    "gross_loss", "total_r", "avg_win_r", "avg_loss_r", "best_r", "worst_r", "max_drawdown_r", "without_r", "fallback",
    "time_in_trade", "by_exit_reason", "open", "ambiguous_exits", "ambiguous_bars",
)  # fmt: skip
"""What is each policy's own, of `summary.json`."""


def write_csv(path: Path, found: Comparison) -> None:
    """Write `compare.csv` whole. Raises OSError when the file cannot be written."""
    units = planned_risk(found.runs[0].rows, found.inputs.instrument.contract_multiplier)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("policy", *COLUMNS, *EXTRA_COLUMNS))
        for run in found.runs:
            writer.writerows(_csv_rows(run, units))


def _csv_rows(run: PolicyRun, units: Units) -> Iterator[list[str]]:
    for row in run.rows:
        risk = units.risk.get(row.bracket_id)
        value = row.quantity * row.entry_price * units.multiplier
        bps = row.pnl / value * BASIS_POINTS if value else Decimal(0)
        extra = ["" if risk is None else _six(row.pnl / risk), _six(bps)]
        yield [run.name, *exit_cells(row), *extra]


def _six(value: Decimal) -> str:
    return format(six_decimals(value), "f")


def write_json(path: Path, found: Comparison) -> None:
    """Write `compare.json` whole. Raises OSError when the file cannot be written."""
    text = json.dumps(comparison_json(found), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Return what `compare.json` holds, as JSON values: what ran, how it was judged, then policy by policy."""
    first = found.runs[0]
    return {
        "schema": 1,
        **{key: first.summary[key] for key in RUN_KEYS},
        "reference": first.name,
        "judged_by": {
            "interval": f"BCa bootstrap, {RESAMPLES} resamples of blocks of overlapping trades",
            "interval_level": LEVEL,
            "fewest_blocks": FEWEST_BLOCKS,
            "test": "sign flips of paired differences by block, two-sided",
            "correction": "Holm, for each measure over all policies",
            "alpha": ALPHA,
            "seed": found.seed,
        },
        "policies": [_policy(run, figures, first.name) for run, figures in zip(found.runs, found.figures, strict=True)],
        "split_warnings": first.summary["split_warnings"],
        "remarks": list(found.remarks),
    }


def _policy(run: PolicyRun, figures: Figures, reference: str) -> dict[str, Any]:
    return {
        "name": run.name,
        "changes": dict(run.changes),
        "config_fingerprint": run.summary["config_fingerprint"],
        "skipped": [one._asdict() for one in run.skipped],
        **{key: run.summary[key] for key in POLICY_KEYS},
        "expectancy_reference_r": _number(figures.reference_r),
        "return_bps": _number(figures.return_bps),
        "blocks": figures.blocks,
        "intervals": {name: _interval(found) for name, found in figures.intervals.items()},
        "by_fill_model": {
            name: {key: _number(value) for key, value in asdict(under).items()}
            for name, under in figures.by_model.items()
        },
        "versus_reference": _versus_json(figures.versus, reference) if figures.versus else None,
    }


def _versus_json(found: Mapping[Measure, Versus], reference: str) -> dict[str, Any]:
    return {
        "words": both_told(found, reference),
        **{
            measure.value: {
                "verdict": verdict(each).value,
                "pairs": each.pairs,
                "blocks": each.blocks,
                "better": each.better,
                "worse": each.worse,
                "mean_difference": _number(each.mean),
                "interval": _interval(each.interval),
                "p": _number(each.p),
                "p_holm": _number(each.p_holm),
                "smallest_difference_shown": _number(each.smallest),
                "mean_difference_by_fill_model": {name: _number(value) for name, value in each.by_model.items()},
            }
            for measure, each in found.items()
        },
    }


def _interval(found: Interval | None) -> list[float | None] | None:
    return None if found is None else [_number(found.low), _number(found.high)]


def _number(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
