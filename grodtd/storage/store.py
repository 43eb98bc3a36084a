"""A journal open for writing: how it is opened and checked, and the one transaction that appends.

Not for two threads at once: whoever holds it (`SqlJournal`'s writer thread, or `SyncJournal`'s caller) is alone.
"""

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain as flatten
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection

from grodtd.storage import files, reading
from grodtd.storage.chain import GENESIS, Row
from grodtd.storage.database import Database, driver
from grodtd.storage.errors import JournalCorrupt, JournalLocked, JournalUnavailable, LeaseLost
from grodtd.storage.exclusive import ExclusiveLock
from grodtd.storage.faults import translated
from grodtd.storage.lease import Lease, lost
from grodtd.storage.migrate import upgrade
from grodtd.storage.snapshots import latest

_COLUMNS = 7
_INSERT = "INSERT INTO records (seq, ts_ns, kind, bracket_id, payload, checksum, epoch) VALUES "
_ADVANCE = "UPDATE head SET seq = ?, checksum = ? WHERE epoch = ? AND seq = ?"
_HEAD = "SELECT seq, checksum, epoch FROM head"
_LEASE = "SELECT account, holder, epoch, expires_ns FROM lease"
_CHUNKS = (256, 16, 1)
"""Rows a statement. Each statement releases and retakes the interpreter lock; under load a row each would crawl."""


class Opening(msgspec.Struct, frozen=True):
    """What opening a journal found: for the operator, in sentences, in `remarks`."""

    created: bool
    last_seq: int
    verified_after: int
    """Records after this one were checked; `verify` checks them all."""
    remarks: tuple[str, ...] = ()


class Store:
    """Tables, head and append of one journal. Raises on opening what is listed in `Opening` and `errors.py`."""

    def __init__(self, target: str | Path, holder: str, *, durable: bool = True, quick: bool = True) -> None:
        """Open or create it and check it: from the newest snapshot on, or all of it when not `quick`.

        Raises: `JournalCorrupt`, `JournalLocked`, `JournalTooNew`, `JournalUnavailable`, `ConfigError`.
        """
        self.target = target
        self.database = Database(target)
        self.place = self.database.place
        self._durable = durable
        self._lock: ExclusiveLock | None = None
        self._connection: Connection | None = None
        self.last_seq, self.last_checksum = 0, GENESIS
        try:
            with translated(self.place):
                if self.database.path:
                    self._lock = ExclusiveLock(self.database.path, holder)
                remarks, created = files.prepare(self.database.path) if self.database.path else ([], False)
                before, _ = upgrade(self.connection, self.place)
                self.opening = self._check(created or before is None, remarks, quick=quick)
        except BaseException as error:
            self.close()
            if isinstance(error, JournalUnavailable) and error.errno == errno.EBUSY:
                raise JournalLocked(self.place, "another program (a database browser, a backup)") from error
            raise
        self._inserts = {size: self._insert_text(size) for size in _CHUNKS}
        self._advance = self.database.sql(_ADVANCE)

    @property
    def alone(self) -> bool:
        """Whether the kernel vouches that no other process of this machine has the journal."""
        return self._lock is not None and self._lock.proven

    @property
    def connection(self) -> Connection:
        """The connection that writes; a lost one is made anew."""
        if self._connection is None:
            self._connection = self.database.connect(durable=self._durable)
        return self._connection

    def write(self, rows: Sequence[Row], *, after: int, epoch: int) -> None:
        """Append `rows`, which follow record `after`, in one transaction; return when it is durable.

        Raises: `JournalUnavailable`, `JournalCorrupt` - none counts as written; `LeaseLost` - none ever will be.
        """
        with translated(self.place), self._transaction() as cursor:
            rows = self._advance_head(cursor, rows, after, epoch)
            at = 0
            for size in _CHUNKS:
                while len(rows) - at >= size:
                    cursor.execute(self._inserts[size], tuple(flatten.from_iterable(rows[at : at + size])))
                    at += size

    def catch_up(self) -> None:
        """Check what was appended since the opening, by a holder that has been fenced off meanwhile."""
        with self.connection.begin():
            if reading.head(self.database, self.connection)[0] != self.last_seq:
                self.last_seq, self.last_checksum = reading.check_records(self.database, self.connection, self.last_seq)
                self.opening = msgspec.structs.replace(self.opening, last_seq=self.last_seq)

    def close(self, *, one_file: bool = False) -> None:
        """Close connection and lock; harmless when done already.

        `one_file`: nobody writes to it any more, so that SQLite needs no files beside it to have it read.
        """
        try:
            if self._connection is not None:
                if one_file and self.database.is_sqlite:
                    with suppress(sqlite3.Error):  # somebody reads it now: it stays as it is
                        driver(self._connection).execute("PRAGMA journal_mode=DELETE")
                self._connection.close()
        finally:
            self._connection = None
            if self._lock is not None:
                self._lock.release()

    def _advance_head(self, cursor: Any, rows: Sequence[Row], after: int, epoch: int) -> Sequence[Row]:
        last = rows[-1]
        cursor.execute(self._advance, (last[0], last[5], epoch, after))
        if cursor.rowcount == 1:
            return rows
        # Either somebody took over, or a commit whose answer was lost (a server that went away) did succeed.
        cursor.execute(_HEAD)
        found = cursor.fetchone()
        if found is None:
            raise JournalCorrupt(self.place, "the row that names its last record is gone")
        seq, checksum, its_epoch = found
        done = next((i for i, row in enumerate(rows) if row[0] == seq and row[5] == checksum), None)
        if its_epoch != epoch or done is None:
            cursor.execute(_LEASE)
            row = cursor.fetchone()
            raise self._fenced(epoch, its_epoch, seq, Lease(*row) if row else None)
        rest = rows[done + 1 :]
        if rest:
            cursor.execute(self._advance, (last[0], last[5], epoch, seq))
        return rest

    def _fenced(self, epoch: int, its_epoch: int, seq: int, holder: Lease | None) -> LeaseLost:
        if its_epoch == epoch:
            return LeaseLost(
                f"{self.place}: somebody else wrote record {seq} under our lease. This instance must stop."
            )
        return lost(self.place, epoch, holder)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        raw = driver(self.connection)
        cursor = raw.cursor()
        try:
            if self.database.is_sqlite:
                cursor.execute("BEGIN IMMEDIATE")
            yield cursor
            raw.commit()
        except BaseException:
            self._roll_back(raw)
            raise
        finally:
            cursor.close()

    def _roll_back(self, raw: Any) -> None:
        try:
            raw.rollback()
        except Exception:  # noqa: BLE001 - the connection is beyond use: the next write makes another
            self._drop_connection()
        else:
            if not self.database.is_sqlite and raw.closed:
                self._drop_connection()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _insert_text(self, size: int) -> str:
        row = f"({', '.join('?' * _COLUMNS)})"
        return self.database.sql(_INSERT + ", ".join([row] * size))

    def _check(self, created: bool, remarks: list[str], *, quick: bool) -> Opening:
        with self.connection.begin():
            # What it passes over is told when the state is read: whoever opens the journal only checks its records.
            snapshot = latest(self.connection)[0] if quick else None
            after = snapshot.seq if snapshot else 0
            self.last_seq, self.last_checksum = reading.check_records(self.database, self.connection, after)
        return Opening(created, self.last_seq, after, tuple(remarks))
