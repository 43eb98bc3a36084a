"""What an operator does with a journal: verify it, back it up, put a damaged one aside."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from grodtd.domain.errors import ConfigError
from grodtd.storage import files, reading
from grodtd.storage.database import Database, driver
from grodtd.storage.errors import JournalCorrupt, JournalLocked, JournalNotFound
from grodtd.storage.exclusive import ExclusiveLock
from grodtd.storage.faults import explain, translated

_BESIDE = ("", "-wal", "-shm")


class Verified(msgspec.Struct, frozen=True):
    """What a whole check proved. Note `checksum` elsewhere: it shows later that no end was cut off since."""

    records: int
    checksum: str
    remarks: tuple[str, ...] = ()


def verify(target: str | Path) -> Verified:
    """Check every record from the first to the last, the indexes, and an idle SQLite journal's log. Changes nothing.

    Works while a daemon writes. Raises: `JournalCorrupt` - at the first record that cannot be trusted;
    `JournalNotFound`, `JournalTooNew`, `JournalUnavailable`.
    """
    database = Database(target)
    try:
        return _verified(database)
    except JournalCorrupt as damage:
        raise JournalCorrupt(damage.place, damage.problem, seq=damage.seq, checked=True) from damage


def _verified(database: Database) -> Verified:
    remarks: tuple[str, ...] = ()
    if database.path is not None and database.path.exists():
        remarks = _check_log(database.path)
    # One transaction: one view of the journal, while a daemon goes on.
    with reading.opened(database) as connection, translated(database.place), connection.begin():
        last_seq, checksum = reading.check_records(database, connection, 0)
        if database.is_sqlite:
            # The chain proves the records; this proves that the index finds them all.
            faults = [row[0] for row in reading.fetch(connection, "PRAGMA integrity_check(10)")]
            if faults != ["ok"]:
                words = f"intact up to record {last_seq}, its last; SQLite finds: {'; '.join(faults)}"
                raise JournalCorrupt(database.place, words)
    return Verified(last_seq, checksum.hex(), remarks)


def backup(path: str | Path, to: str | Path) -> None:
    """Copy a SQLite journal whole, as of one moment, also while a daemon writes; then check the copy.

    A copy that could not be made whole is removed again. Raises: `ConfigError` - `to` exists already, or the journal is
    a server's (use its own backup, `pg_dump`); `JournalUnavailable` - the copy cannot be written, or the journal read.
    """
    source, copy = Database(path), Path(to).absolute()
    if source.path is None:
        raise ConfigError([f"{source.place} is a server's database: back it up with pg_dump"])
    if copy.exists():
        raise ConfigError([f"{copy} exists already: a backup never overwrites"])
    whole = False
    try:
        with reading.opened(source) as connection:
            _copy(connection, source.place, copy)
        verify(copy)
        whole = True
    finally:
        if not whole:
            for end in _BESIDE:
                Path(f"{copy}{end}").unlink(missing_ok=True)


def _copy(connection: Connection, place: str, copy: Path) -> None:
    """Copy page by page. What is damaged is the source; what cannot be written is the copy."""
    try:
        with closing(sqlite3.connect(copy)) as target:
            copy.chmod(0o600)
            driver(connection).backup(target)
    except (sqlite3.Error, OSError) as error:
        ours = explain(error, str(copy))
        if isinstance(ours, JournalCorrupt):
            ours = explain(error, place)
        assert ours is not None
        raise ours from error


def set_aside(path: str | Path) -> Path:
    """Rename a journal and what belongs to it to `<name>.aside-1` (or the next free number); return the new name.

    The next start then makes a new journal, and takes what the venue holds for its beginning. Nothing is deleted.
    Raises: `JournalLocked` - a daemon runs on it; `JournalNotFound`; `ConfigError` - it is a server's.
    """
    database = Database(path)
    if database.path is None:
        raise ConfigError([f"{database.place} is a server's database: rename it there, and name an empty one"])
    journal = database.path
    there = [journal.with_name(journal.name + end) for end in _BESIDE]
    if not any(name.exists() for name in there):
        raise JournalNotFound(f"there is no journal at {journal}: check the path")
    lock = ExclusiveLock(journal, "grodtd journal set-aside")
    try:
        number = 1
        while any(Path(f"{journal}.aside-{number}{end}").exists() for end in _BESIDE):
            number += 1
        for name, end in zip(there, _BESIDE, strict=True):
            if name.exists():
                name.rename(f"{journal}.aside-{number}{end}")
    finally:
        lock.release()
    return Path(f"{journal}.aside-{number}")


def _check_log(path: Path) -> tuple[str, ...]:
    try:
        lock = ExclusiveLock(path, "grodtd journal verify")
    except (JournalLocked, OSError):
        # A daemon is writing its log at this moment, and looked at it when it started; or nothing can write there.
        return ()
    try:
        return tuple(files.look(path))
    finally:
        lock.release()
