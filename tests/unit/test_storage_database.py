"""Where a journal lives, and what is said when it cannot be used: targets, refusals, and who has to act."""

import errno
import sqlite3
from pathlib import Path

import pytest

from grodtd.domain.errors import ConfigError
from grodtd.storage.database import Database
from grodtd.storage.errors import JournalCorrupt, JournalLocked, JournalUnavailable
from grodtd.storage.faults import explain, translated

TARGETS = [
    # what the operator writes                         where it is, as messages name it (never with a password)
    ("/var/lib/grodtd/journal.db", "/var/lib/grodtd/journal.db"),
    (Path("/var/lib/grodtd/journal.db"), "/var/lib/grodtd/journal.db"),
    ("sqlite:////var/lib/grodtd/journal.db", "/var/lib/grodtd/journal.db"),
    ("postgresql://ann:secret@db/journal", "postgresql+psycopg://ann:***@db/journal"),
    ("postgres://ann:secret@db/journal", "postgresql+psycopg://ann:***@db/journal"),
    ("postgresql+asyncpg://ann:secret@db:5433/journal", "postgresql+psycopg://ann:***@db:5433/journal"),
]


@pytest.mark.parametrize(("target", "place"), TARGETS)
def test_a_path_or_a_url_names_a_journal(target, place):
    assert Database(target).place == place


REFUSED = [
    ("mysql://ann@db/journal", "postgresql://"),
    ("sqlite://", "must outlive its process"),
    ("sqlite:///:memory:", "must outlive its process"),
    ("postgresql://db:port/journal", "no database URL"),
    ("://", "no database URL"),
]


@pytest.mark.parametrize(("target", "words"), REFUSED)
def test_what_names_no_journal_is_refused_before_the_start(target, words):
    with pytest.raises(ConfigError, match=words):
        Database(target)


def test_a_url_that_cannot_be_read_is_told_without_its_password():
    with pytest.raises(ConfigError) as told:
        Database("postgresql://ann:secret@db:port/journal")
    assert "secret" not in str(told.value)


def test_a_relative_path_is_told_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Database("journal.db").place == str(tmp_path / "journal.db")


def sqlite_error(name):
    error = sqlite3.OperationalError("as SQLite puts it")
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


def postgres_error(sqlstate):
    """As psycopg raises it: known by its module and its `sqlstate`."""
    kind = type("OperationalError", (Exception,), {"__module__": "psycopg.errors", "sqlstate": sqlstate})
    return kind("as PostgreSQL\nputs it")


FAILURES = [
    (sqlite_error("SQLITE_FULL"), errno.ENOSPC, "free space"),
    (sqlite_error("SQLITE_IOERR"), errno.EIO, "check the disk"),
    (sqlite_error("SQLITE_BUSY"), errno.EBUSY, "close that program"),
    (sqlite_error("SQLITE_READONLY"), errno.EROFS, "remount"),
    (sqlite_error("SQLITE_CANTOPEN"), errno.EACCES, "give file and folder"),
    (postgres_error("53100"), errno.ENOSPC, "free space"),
    (postgres_error("28P01"), errno.EACCES, "may not be opened"),
    (postgres_error("3D000"), errno.ENOENT, "does not exist"),
    (postgres_error("57P01"), errno.ECONNREFUSED, "see that it runs"),
    (postgres_error(None), errno.ECONNREFUSED, "see that it runs"),
    (PermissionError(errno.EACCES, "no"), errno.EACCES, "give file and folder"),
]


@pytest.mark.parametrize(("failure", "number", "advice"), FAILURES)
def test_a_journal_that_cannot_be_used_says_what_to_do(failure, number, advice):
    told = explain(failure, "here")
    assert isinstance(told, JournalUnavailable)
    assert isinstance(told, OSError)
    assert told.errno == number
    assert str(told).startswith("here: ")
    assert advice in str(told)


@pytest.mark.parametrize(
    "failure",
    [
        sqlite_error("SQLITE_CORRUPT"),
        sqlite_error("SQLITE_NOTADB"),
        sqlite_error("SQLITE_ERROR"),
        sqlite_error("SQLITE_CONSTRAINT"),
        sqlite3.DatabaseError("without a number"),
        postgres_error("XX001"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
    ],
)
def test_damage_is_told_as_damage(failure):
    assert isinstance(explain(failure, "here"), JournalCorrupt)


def test_a_fault_in_our_own_code_is_not_dressed_up():
    with pytest.raises(ZeroDivisionError), translated("here"):
        raise ZeroDivisionError


def test_the_advice_for_a_server_is_not_that_for_a_file():
    assert "set-aside" in str(JournalCorrupt("/j.db", "it is damaged"))
    assert "set-aside" not in str(JournalCorrupt("postgresql+psycopg://db/j", "it is damaged"))


def test_a_refusal_names_the_holder_and_when_its_lease_ends():
    told = str(JournalLocked("/j.db", "host-a", until_ns=1_700_000_000_000_000_000))
    assert told == (
        "/j.db is in use by host-a. Its lease runs until 2023-11-14 22:13:20+00:00 unless it renews it:"
        " stop that instance, or wait."
    )
