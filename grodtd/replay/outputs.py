"""A finished replay as files: `exits.csv`, `summary.json`, `report.html`, and with limits `refused.csv`."""

from pathlib import Path

import numpy as np

from grodtd.replay.exact import decimals
from grodtd.replay.exits import write_exits
from grodtd.replay.inputs import Inputs
from grodtd.replay.limits import write_refused
from grodtd.replay.report import ReportInput, SymbolPrices, write_report
from grodtd.replay.run import Replayed
from grodtd.replay.summary_file import summary_json, write_summary

SHOWN_SYMBOLS = 4
"""More than these are counted in the page's title."""


def write(out: Path, replayed: Replayed) -> None:
    """Write a replay's files into a folder that exists. Raises OSError when one cannot be written."""
    order = {life.entry.bracket_id: life.entry.order for life in replayed.lives}
    write_exits(out / "exits.csv", replayed.rows, order)
    (out / "refused.csv").unlink(missing_ok=True)
    if replayed.batch.options.limits:
        write_refused(out / "refused.csv", replayed.refused)
    write_summary(out / "summary.json", replayed.summary, replayed.facts)
    write_report(out / "report.html", report_input(replayed))


def report_input(replayed: Replayed) -> ReportInput:
    """Put together what the page shows."""
    batch, facts = replayed.batch, replayed.facts
    symbols = facts.symbol if len(batch.parts) <= SHOWN_SYMBOLS else f"{len(batch.parts)} symbols"
    return ReportInput(
        title=f"{symbols}: {facts.entries_count} entries, {facts.fill_model} fills",
        prices=[_prices(inputs) for inputs in batch.parts],
        rows=replayed.rows,
        summary=summary_json(replayed.summary, facts),
        remarks=[*batch.told, *(warning.text for warning in facts.split_warnings)],
        stop_history={
            life.entry.bracket_id: [(int(inputs.prices.time_ns[index]), px) for index, px in life.stop_history]
            for inputs, lives in zip(batch.parts, replayed.lives_of, strict=True)
            for life in lives
            if life.stop_history
        },
    )


def _prices(inputs: Inputs) -> SymbolPrices:
    bars, mid, unit = inputs.bars, inputs.bars.mid, np.float64(float(inputs.bars.mid_unit))
    return SymbolPrices(
        symbol=inputs.prices.symbol,
        time_ns=bars.time_ns,
        open=np.multiply(mid.open, unit, dtype=np.float64),
        high=np.multiply(mid.high, unit, dtype=np.float64),
        low=np.multiply(mid.low, unit, dtype=np.float64),
        close=np.multiply(mid.close, unit, dtype=np.float64),
        interval_ns=bars.interval_ns,
        precision=decimals(inputs.instrument.tick_size),
    )
