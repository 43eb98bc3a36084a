"""From a file of prices to arrays: bars (one- or two-sided) or quotes, every row checked, every price exact.

Nothing is repaired: a row that cannot be right is an error with its line, or is dropped and counted on request.

A large file is read chunk by chunk, and its arrays lie in files without names: what must fit into memory is one chunk
and a few bytes a row. The result is that of reading it whole.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from grodtd.domain.errors import DataError
from grodtd.replay.chunks import ChunkedFile
from grodtd.replay.columns import ARROW, GZIP, PARQUET, BadRow, Progress, Table, complaint, read_table, require
from grodtd.replay.exact import EXACT_FLOAT, MOST_DECIMALS, MOST_UNITS, TooManyDigitsError, decimals, exact_units
from grodtd.replay.prices import Bars, Flags, Floats, Ints, Ohlc, Quotes, bars_of, iso_ms
from grodtd.replay.spill import Spilled, blocks

__all__ = ["BadRow", "Progress", "ReadResult", "read_prices", "symbol_of"]

FIELDS = ("open", "high", "low", "close")
TWO_SIDED = tuple(f"{side}_{field}" for side in ("bid", "ask") for field in FIELDS)
QUOTES = ("bid", "ask")
NUMBERS = (*FIELDS, *TWO_SIDED, *QUOTES, "volume")
"""Columns read as numbers at once."""
EXPECTED = (
    "time,open,high,low,close[,volume] for bars; time,bid_open..bid_close,ask_open..ask_close for two-sided "
    "bars; time,bid,ask for quotes"
)


class ReadResult(NamedTuple):
    """What a file held: its prices, the rows dropped from it, and what the user should be told."""

    prices: Bars | Quotes
    dropped: list[BadRow]
    remarks: list[str]


WHOLE_BELOW_BYTES = 1 << 28
"""Files of less text than this are read at once."""
CHUNK_BYTES = 1 << 25
"""Text in a chunk of a larger one."""
UNZIPPED = 4
"""About how many times larger a .gz (and a Parquet) of prices is as text."""

Place = tuple[int, int]
"""A time in ns, and the line it stands in."""


class _ReadWholeError(Exception):
    """What a chunk means hangs on the others: how many digits prices have, what unit times are in."""


@dataclass
class _Rows:
    """A file's (or chunk's) rows on their way through the checks; arrays are parallel to the table's rows."""

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
    path: str | Path,
    symbol: str | None = None,
    *,
    skip_bad: bool = False,
    progress: Progress | None = None,
    chunk_bytes: int | None = None,
) -> ReadResult:
    """Read bars or quotes (CSV, .gz, Parquet or Arrow, told by content).

    `symbol` None: from the file's name. `skip_bad` drops bad rows and returns them; without it they are an error.
    Bad is: a price that is absent, no finite number, or 0 or less; a high below the low; an open or close
    outside low to high; a time that cannot be read, runs backwards, or (bars) stands twice; a volume that is
    no number.
    A bar whose ask is below its bid is kept and remarked; so is a crossed quote, which triggers nothing.
    `chunk_bytes`: read so much text at a time; None: by the file's size, most are read whole.

    Raises: DataError - whoever supplied the file corrects it; the message lists `file:line: what`.
    """
    size = chunk_bytes or _chunk_bytes(Path(path))
    if size is not None:
        try:
            return _by_chunks(ChunkedFile(path, size, progress, NUMBERS), symbol or symbol_of(path), skip_bad=skip_bad)
        except _ReadWholeError:
            pass
    whole = _Gathered(Kept)
    table = read_table(path, progress, NUMBERS)
    whole.add(table)
    return whole.result(symbol or symbol_of(path), table.sha256, skip_bad=skip_bad)


def _chunk_bytes(path: Path) -> int | None:
    """Return how much of a file to read at a time; None: all of it."""
    try:
        with path.open("rb") as file:
            packed = file.read(8).startswith((GZIP, PARQUET, ARROW))
        size = path.stat().st_size * (UNZIPPED if packed else 1)
    except OSError:
        return None  # reading says what is wrong
    return CHUNK_BYTES if size > WHOLE_BELOW_BYTES else None


def _by_chunks(file: ChunkedFile, symbol: str, *, skip_bad: bool) -> ReadResult:
    gathered, count = _Gathered(Spilled), 0
    try:
        for table in file:
            gathered.add(table)
            count += 1
        found = gathered.result(symbol, file.sha256, skip_bad=skip_bad)
    finally:
        gathered.close()
    found.remarks.append(
        f"{len(found.prices):,} rows read in {_count(count, 'chunk')}: {gathered.bytes_kept / 1e6:,.0f} MB of arrays "
        f"lie in files without names in {tempfile.gettempdir()} (TMPDIR chooses another folder), not in memory"
    )
    return found


class Kept:
    """A column in memory, in one piece or several."""

    def __init__(self, dtype: DTypeLike = np.int64) -> None:
        """Begin empty."""
        self._dtype, self._pieces = dtype, list[NDArray[Any]]()

    def add(self, values: NDArray[Any]) -> None:
        """Put values at the end."""
        self._pieces.append(values)

    def array(self) -> NDArray[Any]:
        """Return everything added so far."""
        return self._pieces[0] if len(self._pieces) == 1 else np.concatenate([np.empty(0, self._dtype), *self._pieces])


class _Gathered:
    """What the tables of one file come to, one after the other."""

    def __init__(self, column: type[Kept] | type[Spilled]) -> None:
        self._column = column
        self._columns: tuple[str, ...] = ()
        self._path = ""
        self._times, self._lines = column(), column()
        self._prices: dict[str, Kept | Spilled] = {}
        self._volume: Kept | Spilled | None = None
        self._units: list[tuple[int, int, Decimal, float]] = []
        """Of each table: the rows it gave, in which unit, and the largest price."""
        self._bad: list[BadRow] = []
        self._remarks: list[str] = []
        self._before: Place | None = None
        self._epoch_unit_ns: int | None = None
        self._crossed = (0, 0)
        """Bars whose ask is below the bid, and the line of the first."""

    @property
    def bytes_kept(self) -> int:
        """How much all columns take together."""
        rows = self._units[-1][1] if self._units else 0
        return 8 * rows * (2 + len(self._prices) + (self._volume is not None))

    def close(self) -> None:
        """Let go of columns that have not become arrays."""
        for column in (self._times, self._lines, self._volume, *self._prices.values()):
            if isinstance(column, Spilled):
                column.close()

    def add(self, table: Table) -> None:
        """Check and keep a table's rows. Raises: DataError; _ReadWholeError."""
        if not self._columns:
            self._columns, self._path = _layout(table, self._remarks), table.path
            self._prices = {name: self._column() for name in self._columns}
        self._check_epoch(table)
        rows = _rows(table, self._columns)
        _check_cells(rows)
        self._before = _check_times(rows, self._before)
        self._bad += rows.bad
        keep = np.flatnonzero(rows.good)
        if not len(keep):
            return
        unit, units = _exact(rows, keep)
        first = self._units[-1][1] if self._units else 0
        largest = max(float(values[keep].max()) for values in rows.numbers.values())
        self._units.append((first, first + len(keep), unit, largest))
        self._times.add(rows.time_ns[keep])
        self._lines.add(table.lines[keep])
        for name, values in units.items():
            self._prices[name].add(values)
        if rows.volume is not None:
            self._volume = self._volume or self._column(np.float64)
            self._volume.add(rows.volume[keep])
        if self._columns == TWO_SIDED:
            pairs = [units[f"ask_{field}"] < units[f"bid_{field}"] for field in FIELDS]
            crossed = np.flatnonzero(np.logical_or.reduce(pairs))
            if len(crossed):
                count, line = self._crossed
                self._crossed = count + len(crossed), line or int(table.lines[keep][crossed[0]])

    def _check_epoch(self, table: Table) -> None:
        """Times that are numbers have the unit their size tells, most of them: every chunk must tell the same."""
        if self._column is Kept or "time" not in table.frame.columns:
            return
        unit_ns = table.epoch_unit_ns("time")
        if unit_ns is not None:
            if self._epoch_unit_ns not in (None, unit_ns):
                raise _ReadWholeError
            self._epoch_unit_ns = unit_ns

    def result(self, symbol: str, sha256: str, *, skip_bad: bool) -> ReadResult:
        """Return the prices. Raises: DataError; _ReadWholeError."""
        bad, remarks = sorted(self._bad), self._remarks
        if bad and not skip_bad:
            raise complaint(self._path, bad)
        if not self._units:
            raise DataError(f"{self._path}: has no usable row; expected {EXPECTED}")
        if bad:
            remarks.append(f"{_count(len(bad), 'bad row')} dropped, first: line {bad[0].line}: {bad[0].what}")
        unit = self._common_unit()
        make = self._quotes if self._columns == QUOTES else self._bars
        return ReadResult(make(symbol, sha256, unit), bad, remarks)

    def _common_unit(self) -> Decimal:
        """The finest of the tables' units; how float64 was read must not hang on where a table ends."""
        unit = min(found for _, _, found, _ in self._units)
        if len(self._units) > 1:
            largest = max(largest for _, _, _, largest in self._units)
            if not _by_float(largest, unit) and any(_by_float(most, own) for _, _, own, most in self._units):
                raise _ReadWholeError
            if largest / float(unit) > MOST_UNITS:
                raise DataError(
                    f"{self._path}: prices up to {largest:g} have too many digits to be kept exactly beside prices of "
                    f"{decimals(unit)} decimals; round the file's prices"
                )
        return unit

    def _units_of(self, name: str, unit: Decimal) -> Ints:
        array: Ints = self._prices[name].array()
        for first, end, own, _ in self._units:
            if own != unit:
                array[first:end] *= int(own / unit)
        return array

    def _bars(self, symbol: str, sha256: str, unit: Decimal) -> Bars:
        sides = [Ohlc(*(self._units_of(name, unit) for name in names)) for names in _sides(self._columns)]
        time_ns: Ints = self._times.array()
        count, line = self._crossed
        if count:
            self._remarks.append(
                f"{_count(count, 'bar')} with an ask below the bid, first: line {line}; taken as they are"
            )
        return bars_of(
            symbol,
            time_ns,
            sides[0],
            sides[1] if len(sides) == 2 else None,
            unit=unit,
            interval_ns=_interval(self._path, time_ns),
            volume=None if self._volume is None else self._volume.array(),
            lines=self._lines.array(),
            path=self._path,
            sha256=sha256,
        )

    def _quotes(self, symbol: str, sha256: str, unit: Decimal) -> Quotes:
        quotes = Quotes(
            symbol=symbol,
            path=self._path,
            sha256=sha256,
            time_ns=self._times.array(),
            unit=unit,
            tick=unit,
            bid=self._units_of("bid", unit),
            ask=self._units_of("ask", unit),
            lines=self._lines.array(),
        )
        if quotes.crossed_count:
            self._remarks.append(
                f"{quotes.crossed_count:,} of {len(quotes):,} quotes are crossed (bid above ask): they trigger nothing"
            )
        return quotes


def _by_float(largest: float, unit: Decimal) -> bool:
    """Whether prices up to `largest` in this unit are told apart by float64 (see `exact_units`)."""
    return largest / float(unit) <= EXACT_FLOAT and unit >= Decimal(1).scaleb(-MOST_DECIMALS)


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


def _check_times(rows: _Rows, before: Place | None) -> Place | None:
    """Take rows out of `good` whose time is not after (quotes: is before) that of a good row before them.

    `before`: the latest good row of the tables before this one; returned: that of all up to this one.
    """
    kept = np.flatnonzero(rows.good)
    if not len(kept):
        return before
    times, lines = rows.time_ns[kept], rows.table.lines[kept]
    shift = 0
    if before is not None:
        shift = 1
        times, lines = np.concatenate(([before[0]], times)), np.concatenate(([before[1]], lines))
    latest = np.maximum.accumulate(times)
    late = times[1:] < latest[:-1] if rows.columns == QUOTES else times[1:] <= latest[:-1]
    ahead = np.concatenate(([True], times[1:] > latest[:-1]))
    leader = np.maximum.accumulate(np.where(ahead, np.arange(len(times)), 0))
    for position in np.flatnonzero(late) + 1:
        row, first = kept[position - shift], leader[position - 1]
        time, other = iso_ms(int(times[position])), iso_ms(int(times[first]))
        what = f"time {time} stands twice, first" if time == other else f"time {time} runs backwards, from {other}"
        rows.bad.append(BadRow(int(rows.table.lines[row]), f"{what} in line {lines[first]}"))
        rows.good[row] = False
    return int(times[leader[-1]]), int(lines[leader[-1]])


def _exact(rows: _Rows, keep: NDArray[np.intp]) -> tuple[Decimal, dict[str, Ints]]:
    """The smallest power of ten that writes every price exactly, and the prices in it."""

    def text_of(name: str) -> list[str]:
        return rows.table.written[name].gather(pl.Series(keep)).cast(pl.String).str.strip_chars().to_list()

    try:
        return exact_units({name: values[keep] for name, values in rows.numbers.items()}, text_of)
    except TooManyDigitsError as error:
        row = int(keep[error.row])
        raise DataError(
            f"{rows.table.path}:{rows.table.lines[row]}: {error.column} {rows.table.text(error.column, row)} has too "
            f"many digits to be kept exactly beside prices of {error.places} decimals; round the file's prices"
        ) from None


def _interval(path: str, time_ns: Ints) -> int:
    """The most common spacing (the shorter one on a tie)."""
    if len(time_ns) < 2:
        raise DataError(f"{path}: has one bar only; a bar's length is told from two or more")
    counts = Counter[int]()
    for block in blocks(len(time_ns) - 1):
        found = pl.Series("step", np.diff(time_ns[block.start : block.stop + 1])).value_counts()
        counts.update(dict(found.iter_rows()))
    return min(counts, key=lambda step: (-counts[step], step))


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"
