"""From a file of prices to arrays: bars (one- or two-sided) or quotes, every row checked, every price exact.

Nothing is repaired: a row that cannot be right is an error with its line, or is dropped and counted on request.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grodtd.domain.errors import DataError
from grodtd.replay.columns import BadRow, Progress, Table, complaint, read_table, require
from grodtd.replay.exact import TooManyDigitsError, exact_units
from grodtd.replay.prices import Bars, Flags, Floats, Ints, Ohlc, Quotes, bars_of, iso_ms

__all__ = ["BadRow", "Progress", "ReadResult", "read_prices", "symbol_of"]

FIELDS = ("open", "high", "low", "close")
TWO_SIDED = tuple(f"{side}_{field}" for side in ("bid", "ask") for field in FIELDS)
QUOTES = ("bid", "ask")
EXPECTED = (
    "time,open,high,low,close[,volume] for bars; time,bid_open..bid_close,ask_open..ask_close for two-sided "
    "bars; time,bid,ask for quotes"
)


class ReadResult(NamedTuple):
    """What a file held: its prices, the rows dropped from it, and what the user should be told."""

    prices: Bars | Quotes
    dropped: list[BadRow]
    remarks: list[str]


@dataclass
class _Rows:
    """A file's rows on their way through the checks; arrays are parallel to the table's rows."""

    table: Table
    columns: tuple[str, ...]
    time_ns: Ints
    time_ok: Flags
    numbers: dict[str, Floats]
    volume: Floats | None
    good: Flags
    bad: list[BadRow]


def symbol_of(path: str | Path) -> str:
    """Return the symbol a file's name speaks of: up to the first '-' or '.'.

    >>> symbol_of("data/AAPL-1d.csv.gz")
    'AAPL'
    """
    return Path(path).name.replace(".", "-").split("-")[0]


def read_prices(
    path: str | Path, symbol: str | None = None, *, skip_bad: bool = False, progress: Progress | None = None
) -> ReadResult:
    """Read bars or quotes (CSV, .gz or Parquet, told by content).

    `symbol` None: from the file's name. `skip_bad` drops bad rows and returns them; without it they are an error.
    Bad is: a price that is absent, no finite number, or 0 or less; a high below the low; an open or close
    outside low to high; a time that cannot be read, runs backwards, or (bars) stands twice; a volume that is
    no number.
    A bar whose ask is below its bid is kept and remarked; so is a crossed quote, which triggers nothing.

    Raises: DataError - whoever supplied the file corrects it; the message lists `file:line: what`.
    """
    table = read_table(path, progress)
    remarks: list[str] = []
    rows = _rows(table, _layout(table, remarks))
    _check_cells(rows)
    _check_times(rows)
    if rows.bad and not skip_bad:
        raise complaint(table.path, rows.bad)
    keep = np.flatnonzero(rows.good)
    if not len(keep):
        raise DataError(f"{table.path}: has no usable row; expected {EXPECTED}")
    rows.bad.sort()
    if rows.bad:
        remarks.append(
            f"{_count(len(rows.bad), 'bad row')} dropped, first: line {rows.bad[0].line}: {rows.bad[0].what}"
        )
    name = symbol or symbol_of(path)
    prices = _quotes(rows, keep, name, remarks) if rows.columns == QUOTES else _bars(rows, keep, name, remarks)
    return ReadResult(prices, rows.bad, remarks)


def _layout(table: Table, remarks: list[str]) -> tuple[str, ...]:
    """Price columns of the richest layout the file has."""
    have = set(table.frame.columns)
    complete = [layout for layout in (TWO_SIDED, FIELDS, QUOTES) if have.issuperset(layout)]
    if not complete:
        nearest = max((FIELDS, TWO_SIDED, QUOTES), key=lambda layout: len(have.intersection(layout)) / len(layout))
        require(table, ("time", *nearest), EXPECTED)
    require(table, ("time",), EXPECTED)
    if len(complete) > 1:
        remarks.append(f"columns for more than one kind of prices; used: {', '.join(complete[0])}")
    return complete[0]


def _sides(columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Open, high, low, close of each side a bar file has."""
    return [columns[:4], columns[4:]] if columns == TWO_SIDED else [columns]


def _rows(table: Table, columns: tuple[str, ...]) -> _Rows:
    time_ns, time_ok = table.times("time")
    volume = table.numbers("volume") if "volume" in table.frame.columns and columns != QUOTES else None
    numbers = {name: table.numbers(name) for name in columns}
    return _Rows(table, columns, time_ns, time_ok, numbers, volume, time_ok.copy(), list(table.bad))


def _check_cells(rows: _Rows) -> None:
    """Take rows with an impossible cell out of `good`, and describe them."""
    numbers, good = rows.numbers, rows.good
    for values in numbers.values():
        good &= np.isfinite(values) & (values > 0)
    if rows.columns != QUOTES:
        for names in _sides(rows.columns):
            open_, high, low, close = (numbers[name] for name in names)
            good &= (low <= open_) & (open_ <= high) & (low <= close) & (close <= high)
    if rows.volume is not None:
        good &= np.isfinite(rows.volume) | (rows.table.frame["volume"].is_null().to_numpy())
    rows.bad += [BadRow(int(rows.table.lines[row]), _wrong_cell(rows, int(row))) for row in np.flatnonzero(~good)]


def _wrong_cell(rows: _Rows, row: int) -> str:
    """The first thing wrong within one row, in words."""
    table = rows.table
    if not rows.time_ok[row]:
        cell = table.text("time", row)
        return f"time {cell!r} is neither ISO 8601 nor an epoch number" if cell else "time is empty"
    for name, values in rows.numbers.items():
        cell = table.text(name, row)
        if not cell:
            return f"{name} is empty"
        if not np.isfinite(values[row]):
            return f"{name} {cell!r} is not a number"
        if values[row] <= 0:
            return f"{name} is {cell}; a price must be above 0"
    for names in _sides(rows.columns):
        open_, high, low, close = (rows.numbers[name][row] for name in names)
        said = [table.text(name, row) for name in names]
        if high < low:
            return f"{names[1]} {said[1]} is below {names[2]} {said[2]}"
        for place, value in ((0, open_), (3, close)):
            if not low <= value <= high:
                return f"{names[place]} {said[place]} is outside {names[2]} {said[2]} to {names[1]} {said[1]}"
    return f"volume {table.text('volume', row)!r} is not a number"


def _check_times(rows: _Rows) -> None:
    """Take rows out of `good` whose time is not after (quotes: is before) that of a good row before them."""
    kept = np.flatnonzero(rows.good)
    if not len(kept):
        return
    times = rows.time_ns[kept]
    latest = np.maximum.accumulate(times)
    late = times[1:] < latest[:-1] if rows.columns == QUOTES else times[1:] <= latest[:-1]
    ahead = np.concatenate(([True], times[1:] > latest[:-1]))
    leader = np.maximum.accumulate(np.where(ahead, np.arange(len(times)), 0))
    for position in np.flatnonzero(late) + 1:
        row, before = kept[position], kept[leader[position - 1]]
        time, other = iso_ms(int(rows.time_ns[row])), iso_ms(int(rows.time_ns[before]))
        what = f"time {time} stands twice, first" if time == other else f"time {time} runs backwards, from {other}"
        rows.bad.append(BadRow(int(rows.table.lines[row]), f"{what} in line {rows.table.lines[before]}"))
        rows.good[row] = False


def _exact(rows: _Rows, keep: NDArray[np.intp]) -> tuple[Decimal, dict[str, Ints]]:
    """The smallest power of ten that writes every price exactly, and the prices in it."""
    frame = rows.table.frame

    def text_of(name: str) -> list[str]:
        return frame[name].gather(pl.Series(keep)).cast(pl.String).str.strip_chars().to_list()

    try:
        return exact_units({name: values[keep] for name, values in rows.numbers.items()}, text_of)
    except TooManyDigitsError as error:
        row = int(keep[error.row])
        raise DataError(
            f"{rows.table.path}:{rows.table.lines[row]}: {error.column} {rows.table.text(error.column, row)} has too "
            f"many digits to be kept exactly beside prices of {error.places} decimals; round the file's prices"
        ) from None


def _interval(rows: _Rows, time_ns: Ints) -> int:
    """The most common spacing (the shorter one on a tie)."""
    if len(time_ns) < 2:
        raise DataError(f"{rows.table.path}: has one bar only; a bar's length is told from two or more")
    spacing = pl.Series(np.diff(time_ns)).mode().min()
    assert isinstance(spacing, int)
    return spacing


def _bars(rows: _Rows, keep: NDArray[np.intp], symbol: str, remarks: list[str]) -> Bars:
    unit, units = _exact(rows, keep)
    sides = [Ohlc(*(units[name] for name in names)) for names in _sides(rows.columns)]
    time_ns = rows.time_ns[keep]
    lines: Ints = rows.table.lines[keep]
    if len(sides) == 2:
        pairs = [(units[f"bid_{field}"], units[f"ask_{field}"]) for field in FIELDS]
        crossed = np.flatnonzero(np.logical_or.reduce([ask < bid for bid, ask in pairs]))
        if len(crossed):
            remarks.append(
                f"{_count(len(crossed), 'bar')} with an ask below the bid, first: line {lines[crossed[0]]}; "
                "taken as they are"
            )
    return bars_of(
        symbol,
        time_ns,
        sides[0],
        sides[1] if len(sides) == 2 else None,
        unit=unit,
        interval_ns=_interval(rows, time_ns),
        volume=None if rows.volume is None else rows.volume[keep],
        lines=lines,
        path=rows.table.path,
        sha256=rows.table.sha256,
    )


def _quotes(rows: _Rows, keep: NDArray[np.intp], symbol: str, remarks: list[str]) -> Quotes:
    unit, units = _exact(rows, keep)
    quotes = Quotes(
        symbol=symbol,
        path=rows.table.path,
        sha256=rows.table.sha256,
        time_ns=rows.time_ns[keep],
        unit=unit,
        tick=unit,
        bid=units["bid"],
        ask=units["ask"],
        lines=rows.table.lines[keep],
    )
    if quotes.crossed_count:
        remarks.append(
            f"{quotes.crossed_count:,} of {len(quotes):,} quotes are crossed (bid above ask): they trigger nothing"
        )
    return quotes


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"
