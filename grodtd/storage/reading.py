"""Reads a journal without touching it, also while a daemon writes: what `explain`, reports and restarts read from.

Every record handed out is proven against the checksum of the one before it. Records come in pages, so memory stays
flat and no long read keeps SQLite's log from being recycled.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from grodtd.ports import Record
from grodtd.storage.chain import GENESIS, verified
from grodtd.storage.database import Database, driver
from grodtd.storage.errors import JournalCorrupt, JournalNotFound
from grodtd.storage.faults import explain, translated
from grodtd.storage.migrate import check
from grodtd.storage.snapshots import Snapshot, latest

PAGE = 5_000
"""Records fetched at a time."""

_FIELDS = "r.seq, r.ts_ns, r.kind, r.bracket_id, r.payload, r.checksum, r.epoch"
_ALL = f"SELECT {_FIELDS} FROM records r WHERE r.seq > ? ORDER BY r.seq LIMIT ?"  # noqa: S608 - no outside text
_OF_BRACKET = (
    f"SELECT {_FIELDS}, p.checksum FROM records r LEFT JOIN records p ON p.seq = r.seq - 1"  # noqa: S608
    " WHERE r.bracket_id = ? AND r.seq > ? ORDER BY r.seq LIMIT ?"
)


def read(target: str | Path, after_seq: int = 0, bracket_id: str | None = None) -> Iterator[Record]:
    """Yield the records after `after_seq` in order, of one bracket or all, from a journal's path or URL.

    Raises, at the first `next`: `JournalNotFound`, `JournalTooNew`, `JournalUnavailable`; and `JournalCorrupt` at the
    first record that is missing or changed.
    """
    database = Database(target)
    with opened(database) as connection, translated(database.place):
        yield from records(database, connection, after_seq, bracket_id)


def snapshot(target: str | Path, layout: int) -> tuple[Snapshot | None, list[str]]:
    """Return the newest intact snapshot of a journal's path or URL, and a sentence for each that was passed over.

    Without one, read from the first record.
    """
    database = Database(target)
    with opened(database) as connection, translated(database.place):
        return latest(connection, layout)


def meta(target: str | Path) -> dict[str, str]:
    """Return what was noted about a run: its input's path and SHA-256, options, configuration fingerprint."""
    database = Database(target)
    with opened(database) as connection, translated(database.place):
        return dict(fetch(connection, "SELECT key, value FROM meta ORDER BY key"))


@contextmanager
def opened(database: Database) -> Iterator[Connection]:
    """Connect for reading to a journal that exists and is of a known schema."""
    if database.path is not None and not database.path.exists():
        raise JournalNotFound(f"there is no journal at {database.place}: check the path")
    with database.reading() as connection:
        with translated(database.place), connection.begin():
            if check(connection, database.place) is None:
                raise JournalNotFound(f"{database.place} holds no journal yet")
        yield connection


def records(
    database: Database, connection: Connection, after_seq: int = 0, bracket_id: str | None = None
) -> Iterator[Record]:
    """Yield records over an open connection; as `read`."""
    if bracket_id is not None:
        yield from _of_bracket(database, connection, after_seq, bracket_id)
        return
    last_seq, _ = head(database, connection)
    seq, previous = after_seq, _checksum_of(database, connection, after_seq)
    while page := _page(database, connection, seq):
        yield from verified(page, database.place, seq, previous)
        seq, previous = page[-1][0], page[-1][5]
    if seq < last_seq:
        raise JournalCorrupt(database.place, f"the last records, up to {last_seq}, are missing", seq=seq + 1)


def head(database: Database, connection: Connection) -> tuple[int, bytes]:
    """Return the last record's number and checksum, (0, zeros) for an empty journal."""
    rows = fetch(connection, "SELECT seq, checksum FROM head")
    if len(rows) != 1 or not isinstance(rows[0][0], int) or not isinstance(rows[0][1], bytes):
        raise JournalCorrupt(database.place, "the row that names its last record is damaged")
    return rows[0]


def check_records(database: Database, connection: Connection, after_seq: int) -> tuple[int, bytes]:
    """Prove every record after `after_seq` and the end of the journal; return its last number and checksum."""
    last_seq, checksum = head(database, connection)
    for _ in records(database, connection, after_seq):
        pass
    stored = fetch(connection, "SELECT max(seq) FROM records")[0][0] or 0
    now_seq, _ = head(database, connection)  # a daemon may have gone on meanwhile
    if not last_seq <= stored <= now_seq:
        raise JournalCorrupt(database.place, f"its last record should be {last_seq} and is {stored}")
    if _checksum_of(database, connection, last_seq) != checksum:
        raise JournalCorrupt(database.place, "the last record is not the one that was written", seq=last_seq)
    return last_seq, checksum


def fetch(connection: Connection, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Return rows as the driver gives them: for many rows SQLAlchemy's own would cost as much as reading them."""
    cursor = driver(connection).cursor()
    try:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def _page(database: Database, connection: Connection, after_seq: int) -> list[tuple[Any, ...]]:
    """Return the next rows; where one of them cannot be read, those before it. Raises `JournalCorrupt` at that one."""
    try:
        return fetch(connection, database.sql(_ALL), after_seq, PAGE)
    except sqlite3.Error as error:
        if not isinstance(explain(error, database.place), JournalCorrupt):
            raise
    # A statement fails whole, for one record among thousands: which one is found by asking for one at a time.
    rows: list[tuple[Any, ...]] = []
    seq = after_seq
    while len(rows) < PAGE:
        try:
            found = fetch(connection, _ALL, seq, 1)
        except sqlite3.Error as error:
            if rows:
                return rows
            ours = explain(error, database.place)
            if not isinstance(ours, JournalCorrupt):
                raise
            raise JournalCorrupt(ours.place, ours.problem, seq=seq + 1) from error
        if not found:
            break
        rows += found
        seq = found[0][0]
    return rows


def _checksum_of(database: Database, connection: Connection, seq: int) -> bytes:
    if seq == 0:
        return GENESIS
    rows = fetch(connection, database.sql("SELECT checksum FROM records WHERE seq = ?"), seq)
    if rows:
        found: bytes = rows[0][0]
        return found
    last_seq, _ = head(database, connection)
    if seq <= last_seq:
        raise JournalCorrupt(database.place, "a record is missing", seq=seq)
    return GENESIS  # beyond the end: nothing follows


def _of_bracket(database: Database, connection: Connection, after_seq: int, bracket_id: str) -> Iterator[Record]:
    seq = after_seq
    while page := fetch(connection, database.sql(_OF_BRACKET), bracket_id, seq, PAGE):
        for *row, previous in page:
            seq = row[0]
            # Each stands alone here, so each brings the checksum before it.
            yield from verified([tuple(row)], database.place, seq - 1, previous if seq > 1 else GENESIS)
