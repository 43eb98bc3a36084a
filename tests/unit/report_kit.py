"""Made-up replays for the report's tests: a random walk's bars, brackets on them, and the report's input."""

from decimal import Decimal

import numpy as np

from grodtd.domain.orders import Side
from grodtd.replay.exits import ExitRow
from grodtd.replay.report import ReportInput, SymbolPrices
from grodtd.replay.summary import summarize
from grodtd.replay.summary_file import RunFacts, summary_json

MINUTE_NS = 60_000_000_000
BEGIN_NS = 1_388_966_400_000_000_000  # Monday 2014-01-06 00:00 UTC


def walk(count, seed=7):
    """Make a random walk's bars: times, and open, high, low, close to the cent."""
    draw = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(draw.normal(0, 0.05, count)), 2)
    opened = np.concatenate([[100.0], close[:-1]])
    high = np.round(np.maximum(opened, close) + draw.integers(0, 6, count) / 100, 2)
    low = np.round(np.minimum(opened, close) - draw.integers(0, 6, count) / 100, 2)
    return BEGIN_NS + MINUTE_NS * np.arange(count, dtype=np.int64), opened, high, low, close


def bracket(number, time_ns, at, close, *, wins, **more):
    """A bracket of ten bars that ends at its target or at its stop, 0.20 away."""
    side = Side.BUY if number % 2 else Side.SELL
    entry = Decimal(f"{close[at]:.2f}")
    stop, target = entry - side.sign * Decimal("0.20"), entry + side.sign * Decimal("0.30")
    r = Decimal("1.5") if wins else Decimal(-1)
    facts = {
        "bracket_id": f"E{number:06d}",
        "symbol": "TEST",
        "side": side,
        "quantity": Decimal(10),
        "entry_time_ns": int(time_ns[at]),
        "entry_price": entry,
        "stop_price": stop,
        "target_price": target,
        "atr": Decimal("0.1"),
        "ratio": Decimal("1.5"),
        "exit_time_ns": int(time_ns[at + 10]),
        "exit_price": target if wins else stop,
        "exit_reason": "target" if wins else "stop",
        "r_multiple": r,
        "pnl": r * 2,
        "mae_r": Decimal("-0.4") if wins else Decimal(-1),
        "mfe_r": Decimal("1.5") if wins else Decimal("0.3"),
    }
    return ExitRow(**(facts | more))


def prices_of(bars, symbol="TEST", **more):
    """Bars as a report takes them."""
    names = ("time_ns", "open", "high", "low", "close")
    return SymbolPrices(**({"symbol": symbol, "interval_ns": MINUTE_NS} | dict(zip(names, bars, strict=True)) | more))


def report_of(bars, rows, run=None, **more):
    """Put bars and rows into a report's input; `run` changes facts of the run, `more` the input's."""
    time_ns = bars[0]
    ran = {
        "symbol": "TEST",
        "fill_model": "pessimistic",
        "prices_path": "TEST-1m.csv",
        "prices_sha256": "5" * 64,
        "prices_count": len(time_ns),
        "prices_first_ns": int(time_ns[0]),
        "prices_last_ns": int(time_ns[-1]),
        "entries_source": "every:50",
        "entries_sha256": None,
        "entries_count": len(rows),
    }
    symbol = more.pop("symbol", "TEST")
    facts = {
        "title": "TEST, replayed",
        "prices": [prices_of(bars, symbol, interval_ns=more.pop("interval_ns", MINUTE_NS))],
        "rows": rows,
        "summary": summary_json(summarize(rows), RunFacts(**(ran | (run or {})))),
    }
    return ReportInput(**(facts | more))
