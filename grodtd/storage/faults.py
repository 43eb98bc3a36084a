"""Translates what SQLite, PostgreSQL and SQLAlchemy raise into our errors, which say who acts."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from grodtd.domain.errors import GrodtdError
from grodtd.storage.errors import JournalCorrupt, JournalUnavailable

_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_AUTH: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_PROTOCOL: errno.EIO,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}
# Anything else SQLite says about statements of ours that are known to be right is damage: pages that contradict each
# other, a table or column that is gone, a record where there should be none.

_POSTGRES = {
    "53100": errno.ENOSPC,
    "53200": errno.ENOMEM,
    "25006": errno.EROFS,
    "42501": errno.EACCES,
    "28000": errno.EACCES,
    "28P01": errno.EACCES,
    "3D000": errno.ENOENT,
    "55P03": errno.EBUSY,
    "58030": errno.EIO,
}
_POSTGRES_DAMAGE = ("XX001", "XX002", "42P01", "42703", "23505")
"""Data or index corrupted; a table or column gone; a record where there should be none."""


def explain(error: BaseException, place: str) -> GrodtdError | None:
    """Return our error for a driver's, or None when it is none of a driver's."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    if isinstance(error, sqlite3.Error):
        primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if primary in _SQLITE:
            return JournalUnavailable(_SQLITE[primary], place, str(error))
        return JournalCorrupt(place, f"SQLite says: {error}")
    if type(error).__module__.partition(".")[0] == "psycopg":
        state = getattr(error, "sqlstate", None)
        words = " ".join(str(error).split())
        if state in _POSTGRES_DAMAGE:
            return JournalCorrupt(place, f"PostgreSQL says: {words}")
        return JournalUnavailable(_POSTGRES.get(state or "", errno.ECONNREFUSED), place, words)
    if isinstance(error, UnicodeDecodeError):
        return JournalCorrupt(place, "a text in it is not text any more")
    if isinstance(error, OSError) and not isinstance(error, GrodtdError):
        return JournalUnavailable(error.errno or errno.EIO, place, str(error))
    return None


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise our errors instead of a driver's. Everything else passes."""
    try:
        yield
    except Exception as error:
        ours = explain(error, place)
        if ours is None:
            raise
        raise ours from error
