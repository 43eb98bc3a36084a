"""A file of prices too large to be read at once, as one `Table` after the other; lines are those of the file.

CSV (plain or .gz) is cut at line ends, Parquet and Arrow at rows; what a row means does not hang on where it is cut.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

from grodtd.domain.errors import DataError
from grodtd.replay.columns import (
    ARROW,
    GZIP,
    PARQUET,
    Progress,
    Table,
    check_kind,
    column_names,
    csv_rows,
    damaged_gzip,
    header_of,
    unreadable,
    without_mark,
)

BYTES_A_ROW = 50
"""About what a row of a CSV takes: chunks of Parquet and Arrow have as many rows as those of a CSV would."""


class ChunkedFile:
    """Reads a file chunk by chunk; `sha256` is known when all of it has been read."""

    def __init__(
        self, path: str | Path, chunk_bytes: int, progress: Progress | None = None, floats: Collection[str] = ()
    ) -> None:
        """Cut about every `chunk_bytes` of (unzipped) text; `floats` as `read_table` takes them."""
        self.path, self.chunk_bytes, self._progress, self._floats = Path(path), chunk_bytes, progress, floats
        self._digest = hashlib.sha256()
        self._done = 0

    @property
    def sha256(self) -> str:
        """Of the bytes on disk, hex."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Table]:
        """Yield tables. Raises: DataError - the file cannot be opened, or is no such table."""
        try:
            with self.path.open("rb") as file:
                self._size = self.path.stat().st_size
                magic = file.read(8)
                file.seek(0)
                if magic.startswith((PARQUET, ARROW)):
                    while self._read(file, 1 << 24):
                        pass
                    yield from self._by_rows(magic)
                else:
                    yield from self._by_lines(file, zipped=magic.startswith(GZIP))
        except OSError as error:
            raise unreadable(self.path, error) from error

    def _read(self, file: IO[bytes], size: int) -> bytes:
        """Read raw bytes, which count for the digest and the progress."""
        data = file.read(size)
        self._digest.update(data)
        self._done += len(data)
        if self._progress is not None:
            self._progress("reading", min(1.0, self._done / self._size) if self._size else 1.0)
        return data

    def _by_rows(self, magic: bytes) -> Iterator[Table]:
        """Parquet and Arrow: the library reads only the parts a slice lies in."""
        scan = pl.scan_parquet if magic.startswith(PARQUET) else pl.scan_ipc
        count, first = max(1, self.chunk_bytes // BYTES_A_ROW), 0
        try:
            frames = scan(self.path)
            total = frames.select(pl.len()).collect().item()
            while first < total or not first:
                frame = frames.slice(first, count).collect()
                frame.columns = column_names(str(self.path), frame.columns)
                yield Table(str(self.path), "", frame, np.arange(first + 1, first + frame.height + 1))
                first += count
        except pl.exceptions.PolarsError as error:
            kind = "Parquet" if magic.startswith(PARQUET) else "Arrow"
            raise DataError(f"{self.path}: is damaged {kind}: {str(error).splitlines()[0]}") from error

    def _by_lines(self, file: IO[bytes], *, zipped: bool) -> Iterator[Table]:
        names: list[str] | None = None
        newline, line, path = b"\n", 2, str(self.path)
        for piece in self._pieces(file, zipped=zipped):
            data = piece
            if names is None:
                check_kind(path, data)
                data = without_mark(data)
                if b"\n" not in data:
                    newline = b"\r"
                names, data = header_of(path, data.replace(b"\r", b"\n") if newline == b"\r" else data)
            elif newline == b"\r":
                data = data.replace(b"\r", b"\n")
            lines = data.count(b"\n")
            yield csv_rows(path, "", data.rstrip(), names, line, self._floats)
            line += lines
        if names is None:
            raise DataError(f"{path}: is empty; expected a header line and rows")

    def _pieces(self, file: IO[bytes], *, zipped: bool) -> Iterator[bytes]:
        """Yield text up to a line end that is in no quotes, about `chunk_bytes` each."""
        text = gzip.GzipFile(fileobj=_Reader(self, file)) if zipped else _Reader(self, file)
        held = b""
        try:
            while data := text.read(self.chunk_bytes):
                held += data
                cut = held.rfind(b"\n") + 1 or held.rfind(b"\r", 0, len(held) - 1) + 1
                if cut and not held.count(b'"', 0, cut) % 2:
                    yield held[:cut]
                    held = held[cut:]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise damaged_gzip(str(self.path), error) from error
        if held.strip() or not self._done:
            yield held


class _Reader(io.RawIOBase):
    """A file whose bytes count as they are read."""

    def __init__(self, owner: ChunkedFile, file: IO[bytes]) -> None:
        self._owner, self._file = owner, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._owner._read(self._file, len(buffer))  # noqa: SLF001 - one class in two
        buffer[: len(data)] = data
        return len(data)
