"""A table file (CSV, gzipped CSV, Parquet, Arrow; told by content) as named columns with the file line of each row.

CSV cells stay text here: what a cell means is for the caller to say, and a complaint can quote it. Columns the caller
knows to be numbers may be read as such at once; their text is read again where it is asked for.
"""

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from grodtd.domain.errors import DataError
from grodtd.replay.prices import Flags, Floats, Ints
from grodtd.replay.times import epoch_unit_ns, times_ns

Progress = Callable[[str, float], None]
"""Called with what is being done and how much of it is done, 0 to 1."""

SHOWN = 10
"""Bad rows a message lists before it only counts."""

PARQUET, ARROW, ARROW_STREAM, GZIP = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff", b"\x1f\x8b"
"""How files begin."""

NOT_OURS = {
    b"PK\x03\x04": "a zip archive or Excel workbook",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}


class BadRow(NamedTuple):
    """A row that cannot be used: its line in the file, and what is wrong with it."""

    line: int
    what: str


class BadCellError(ValueError):
    """What is wrong with a row, in words: becomes a `BadRow` once its line is known."""


@dataclass(frozen=True, eq=False)
class Table:
    """A file's rows. `frame` holds text cells (CSV; absent ones null) or Parquet's own types."""

    path: str
    sha256: str
    """Of the bytes on disk, hex."""
    frame: pl.DataFrame
    lines: Ints
    """int64[rows], file line of each row (header: line 1); for Parquet and Arrow the row, from 1."""
    bad: list[BadRow] = field(default_factory=list)
    """Rows that do not even have the header's number of cells; they are not in `frame`."""
    read_again: Callable[[], pl.DataFrame] | None = None
    """Gives the rows as text, where `frame` holds numbers instead."""

    @cached_property
    def written(self) -> pl.DataFrame:
        """The rows as they stand in the file."""
        return self.frame if self.read_again is None else self.read_again()

    def text(self, column: str, row: int) -> str:
        """One cell as written, blanks around it stripped; empty when absent."""
        value = self.written[column][row]
        return "" if value is None else str(value).strip()

    def texts(self, column: str) -> list[str]:
        """A whole column as `text` gives it; a column the file does not have is all empty."""
        if column not in self.frame.columns:
            return [""] * len(self.lines)
        return ["" if value is None else str(value).strip() for value in self.written[column].to_list()]

    def _cells(self, column: str) -> pl.Series:
        series = self.frame[column]
        try:
            return series.cast(pl.String, strict=False).str.strip_chars()
        except pl.exceptions.PolarsError:
            raise DataError(f"{self.path}: column {column} holds {series.dtype}, not numbers, times or text") from None

    def numbers(self, column: str) -> Floats:
        """A column as float64[rows]; NaN where there is no number. Raises DataError for lists and the like."""
        series = self.frame[column]
        if series.dtype not in (pl.Float64, pl.Int64, pl.Int32):  # a float32 is meant as its shortest text
            series = self._cells(column)
        array: Floats = series.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        return array

    def times(self, column: str) -> tuple[Ints, Flags]:
        """A column of times as int64[rows] nanoseconds since the epoch, and bool[rows]: could it be read."""
        series = self.frame[column]
        found = times_ns(series if series.dtype in (pl.Date, pl.Datetime) else self._cells(column))
        return found.fill_null(0).to_numpy(), found.is_not_null().to_numpy()

    def epoch_unit_ns(self, column: str) -> int | None:
        """What a column of times takes its whole numbers for (`times.epoch_unit_ns`)."""
        series = self.frame[column]
        return None if series.dtype in (pl.Date, pl.Datetime) else epoch_unit_ns(self._cells(column))


def read_table(path: str | Path, progress: Progress | None = None, floats: Collection[str] = ()) -> Table:
    """Read a whole file; of a CSV, the columns `floats` as float64 if all their cells are numbers or empty.

    Raises: DataError - it cannot be opened, or is no such table; the message says what it is.
    """
    raw, sha256 = _bytes_of(Path(path), progress)
    if progress:
        progress("parsing", 0.0)
    if raw.startswith((PARQUET, ARROW, ARROW_STREAM)):
        table = _binary(str(path), sha256, raw)
    else:
        table = _csv(str(path), sha256, _unzipped(str(path), raw), floats)
    if progress:
        progress("parsing", 1.0)
    return table


def require(table: Table, names: Iterable[str], expected: str) -> None:
    """Raise a DataError that says what is missing, found and expected, unless all `names` are columns."""
    missing = [name for name in names if name not in table.frame.columns]
    if missing:
        raise DataError(
            f"{table.path}:1: no column {', '.join(missing)}; found: {', '.join(table.frame.columns)}; "
            f"expected: {expected}"
        )


def complaint(path: str, bad: list[BadRow], *, can_skip: bool = True) -> DataError:
    """Put bad rows into one error: the first ten by `file:line`, then a count, then what to do."""
    bad = sorted(bad)
    shown = [f"{path}:{row.line}: {row.what}" for row in bad[:SHOWN]]
    if len(bad) > SHOWN:
        shown.append(f"... and {len(bad) - SHOWN:,} more")
    count = "1 bad row" if len(bad) == 1 else f"{len(bad):,} bad rows"
    skip = "; replays, comparisons and sweeps drop such rows with --skip-bad" if can_skip else ""
    return DataError("\n".join([f"{path}: {count}", *shown, f"Correct the file{skip}."]))


def _bytes_of(path: Path, progress: Progress | None) -> tuple[bytes, str]:
    """The file's bytes and their SHA-256, from one and the same reading."""
    digest, chunks, done = hashlib.sha256(), [], 0
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            while chunk := file.read(1 << 24):
                digest.update(chunk)
                chunks.append(chunk)
                done += len(chunk)
                if progress:
                    progress("reading", min(1.0, done / size) if size else 1.0)
    except OSError as error:
        raise unreadable(path, error) from error
    return b"".join(chunks), digest.hexdigest()


def unreadable(path: Path, error: OSError) -> DataError:
    """Say that a file cannot be opened or read."""
    todo = "; name one file in it: only `grodtd replay` takes folders, of prices" if path.is_dir() else ""
    return DataError(f"{path}: cannot be read: {error.strerror or error}{todo}")


def damaged_gzip(path: str, error: Exception) -> DataError:
    """Say that what was to be unzipped is not whole."""
    return DataError(f"{path}: the gzip data is damaged or cut short ({error}); fetch the file again")


def _unzipped(path: str, raw: bytes) -> bytes:
    if raw.startswith(GZIP):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise damaged_gzip(path, error) from error
    check_kind(path, raw)
    return raw


def check_kind(path: str, data: bytes) -> None:
    """Raise a DataError that says what a file is, where its first bytes tell that it is no CSV."""
    for magic, what in NOT_OURS.items():
        if data.startswith(magic):
            raise DataError(f"{path}: is {what}; supply CSV in UTF-8 (plain or .gz), Parquet or Arrow")


def column_names(path: str, header: list[str]) -> list[str]:
    """Column names in lower case, blanks as '_'; nameless ones (a saved index) by their position."""
    names = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in header]
    names = [name or f"column_{position}" for position, name in enumerate(names, 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}:1: column {', '.join(twice)} appears more than once; keep one")
    return names


def _binary(path: str, sha256: str, raw: bytes) -> Table:
    parquet, stream = raw.startswith(PARQUET), raw.startswith(ARROW_STREAM)
    read = pl.read_parquet if parquet else pl.read_ipc_stream if stream else pl.read_ipc
    try:
        frame = read(io.BytesIO(raw))
    except (pl.exceptions.PolarsError, OSError) as error:
        kind = "Parquet" if parquet else "Arrow"
        raise DataError(f"{path}: is damaged {kind}: {str(error).splitlines()[0]}") from error
    frame.columns = column_names(path, frame.columns)
    return Table(path, sha256, frame, np.arange(1, frame.height + 1))


def without_mark(data: bytes) -> bytes:
    """Return text without the mark some programs begin UTF-8 with."""
    return data.removeprefix(b"\xef\xbb\xbf")


def _csv(path: str, sha256: str, data: bytes, floats: Collection[str]) -> Table:
    data = without_mark(data).rstrip()
    if not data:
        raise DataError(f"{path}: is empty; expected a header line and rows")
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    names, rows = header_of(path, data)
    return csv_rows(path, sha256, rows, names, 2, floats)


def header_of(path: str, data: bytes) -> tuple[list[str], bytes]:
    """Return a CSV's column names, and what comes after its first line. Raises: DataError."""
    first, _, rest = data.partition(b"\n")
    if not data.strip():
        raise DataError(f"{path}: is empty; expected a header line and rows")
    try:
        names = column_names(path, next(csv.reader([first.decode()]), []))
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{path}:1: is not text in UTF-8; supply CSV in UTF-8 (plain or .gz) or Parquet") from None
    if len(names) == 1 and (other := next((mark for mark in (b";", b"\t", b"|") if mark in first), None)):
        raise DataError(f"{path}:1: cells are separated by {other.decode()!r}; this needs commas")
    return names, rest


def csv_rows(
    path: str, sha256: str, data: bytes, names: list[str], first_line: int, floats: Collection[str] = ()
) -> Table:
    """Return rows of a CSV without its header, no line break at the end; `first_line` is that of the first one."""
    rows = data.count(b"\n") + 1 if data else 0
    # As many commas as a file without ragged rows has, and as many rows as lines: the library's reading can be
    # trusted, and row i stands in line first_line + i. Anything else is read row by row, to name the lines that are
    # wrong.
    if data.count(b",") == rows * (len(names) - 1):
        lines = np.arange(first_line, first_line + rows)
        frame = _parsed(data, names, floats) if floats else None
        if frame is not None and frame.height == rows:

            def read_again() -> pl.DataFrame:
                text = _parsed(data, names)
                assert text is not None, "what holds numbers is text, too"
                return text

            return Table(path, sha256, frame, lines, read_again=read_again)
        frame = _parsed(data, names)
        if frame is not None and frame.height == rows:
            return Table(path, sha256, frame, lines)
    return _ragged_csv(path, sha256, data, names, first_line)


def _parsed(data: bytes, names: list[str], floats: Collection[str] = ()) -> pl.DataFrame | None:
    """Return rows as the library reads them; None where it cannot."""
    try:
        return pl.read_csv(
            data,
            has_header=False,
            schema={name: pl.Float64 if name in floats else pl.String for name in names},
            infer_schema=False,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        return None


def _ragged_csv(path: str, sha256: str, data: bytes, names: list[str], first_line: int) -> Table:
    """Read a CSV whose rows differ in length or have line breaks inside quotes; blank lines do not count."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + first_line
        raise DataError(f"{path}:{line}: is not text in UTF-8; save the file as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    lines, cells, bad, line = [], [], [], first_line
    try:
        for row in reader:
            if len(row) == len(names):
                lines.append(line)
                cells.append([cell or None for cell in row])
            elif any(cell.strip() for cell in row):
                bad.append(BadRow(line, f"has {len(row)} cells, the header has {len(names)}"))
            line = reader.line_num + first_line
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num + first_line - 1}: is not CSV: {error}") from None
    frame = pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")
    return Table(path, sha256, frame, np.array(lines, dtype=np.int64), bad)
