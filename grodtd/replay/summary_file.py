"""`summary.json`: a run's figures, what they were made from, and how far to trust them.

In this order: what ran (`schema`, `symbol`, `fill_model`, `prices`, `entries`, `options`, `config_fingerprint`), what
came of it (the fields of `Summary`), how far to trust it (`pnl_by_fill_model`, `split_warnings`, `remarks`), and of a
folder of prices each symbol's part (`by_symbol`). Figures are numbers rounded to 6 decimals; one that does not exist
is null. The same run writes the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from pathlib import Path

from grodtd.replay.exits import six_decimals
from grodtd.replay.prices import iso_ms
from grodtd.replay.splits import SplitWarning, label
from grodtd.replay.summary import Summary


@dataclass(frozen=True, kw_only=True)
class SymbolFacts:
    """One symbol of a run over several: what it was made from, and what came of it."""

    symbol: str
    path: str
    sha256: str
    prices: int
    """Bars or quotes used."""
    interval_s: int
    """A bar's length; of quotes, that of their mid bars."""
    brackets: int
    """Closed and open."""
    count: int
    """Closed, as are those of all that follows."""
    wins: int
    expectancy_r: Decimal | None
    total_r: Decimal
    pnl: Decimal


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What a run was made from, and what the driver has to say of it."""

    symbol: str
    fill_model: str
    prices_path: str
    prices_sha256: str
    prices_count: int
    """Bars or quotes used."""
    prices_first_ns: int
    prices_last_ns: int
    entries_source: str
    """The file's path, or the rule."""
    entries_sha256: str | None
    """None for a rule."""
    entries_count: int
    """Entries used: neither dropped nor refused."""
    refused_count: int = 0
    dropped_prices: int = 0
    """Bad rows left out by --skip-bad."""
    dropped_entries: int = 0
    crossed_quotes: int = 0
    options: Mapping[str, object] = field(default_factory=dict)
    """The command's, JSON values."""
    config_fingerprint: str = ""
    pnl_by_fill_model: Mapping[str, Decimal | None] = field(default_factory=dict)
    """P&L of closed brackets under pessimistic, optimistic and path; None: not worked out."""
    split_warnings: Sequence[SplitWarning] = ()
    split_brackets: Mapping[SplitWarning, Sequence[str]] = field(default_factory=dict)
    """The brackets each split warning touches."""
    remarks: Sequence[str] = ()
    by_symbol: Sequence[SymbolFacts] = ()
    """Of a folder of prices: each file in order of its symbol; `prices_path` and `prices_sha256` are the folder's."""


def write_summary(path: str | Path, summary: Summary, run: RunFacts) -> None:
    """Write `summary.json` whole. Raises OSError when the file cannot be written."""
    text = json.dumps(summary_json(summary, run), indent=2, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8", newline="\n")


def summary_json(summary: Summary, run: RunFacts) -> dict[str, object]:
    """Return what `summary.json` holds, as JSON values."""
    return {
        "schema": 1,
        "symbol": run.symbol,
        "fill_model": run.fill_model,
        "prices": {
            "path": run.prices_path,
            "sha256": run.prices_sha256,
            "count": run.prices_count,
            "first": iso_ms(run.prices_first_ns),
            "last": iso_ms(run.prices_last_ns),
            "dropped": run.dropped_prices,
            "crossed_quotes": run.crossed_quotes,
        },
        "entries": {
            "source": run.entries_source,
            "sha256": run.entries_sha256,
            "count": run.entries_count,
            "dropped": run.dropped_entries,
            "refused": run.refused_count,
        },
        "options": dict(run.options),
        "config_fingerprint": run.config_fingerprint,
        **_plain_fields(summary),
        "pnl_by_fill_model": {model: _json(pnl) for model, pnl in run.pnl_by_fill_model.items()},
        "split_warnings": [
            {
                "time": iso_ms(warning.time_ns),
                "ratio": label(warning.ratio),
                "text": warning.text,
                "brackets": list(run.split_brackets.get(warning, ())),
            }
            for warning in run.split_warnings
        ],
        "remarks": list(run.remarks),
        **({"by_symbol": [_plain_fields(each) for each in run.by_symbol]} if run.by_symbol else {}),
    }


def _plain_fields(value: object) -> dict[str, object]:
    assert is_dataclass(value)
    return {item.name: _json(getattr(value, item.name)) for item in fields(value)}


def _json(value: object) -> object:
    if isinstance(value, Decimal):
        return float(six_decimals(value))
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return _plain_fields(value) if is_dataclass(value) else value
