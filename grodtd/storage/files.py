"""What is done with a SQLite journal's files before SQLite itself touches them: look for damage, or make a new one."""

import os
import sys
from pathlib import Path

from grodtd.storage import wal
from grodtd.storage.database import Database
from grodtd.storage.errors import JournalCorrupt
from grodtd.storage.migrate import upgrade


def prepare(path: Path) -> tuple[list[str], bool]:
    """Return remarks for the operator, and whether a new journal had to be made. The caller holds the lock.

    Raises: `JournalCorrupt` - the files were left as they are; `OSError`.
    """
    remarks = look(path)
    if path.exists():
        return remarks, False
    _create(path)
    return remarks, True


def look(path: Path) -> list[str]:
    """Return a remark when the log's end was torn. Raises: `JournalCorrupt`."""
    log = path.with_name(path.name + "-wal")
    found = wal.leftover(log)
    if not path.exists():
        if found is not None:
            raise JournalCorrupt(str(path), f"the file is gone, but its write-ahead log {log.name} is there")
        return []
    if path.stat().st_size == 0:
        raise JournalCorrupt(str(path), "the file is empty, and a journal never is")
    if found is not None and found.damage:
        raise JournalCorrupt(str(path), f"its write-ahead log {log.name} is not whole: {found.damage}")
    if found is not None and found.frames:
        torn = f"{found.frames} page(s) of a commit that was never acknowledged are dropped"
        return [f"{path}: the end of the write-ahead log was torn; {torn}"]
    return []


def _create(path: Path) -> None:
    """Make it beside its place and move it there whole: an empty or half-made file then always means damage."""
    young = path.with_name(path.name + ".new")
    _remove(young)
    # Nobody else's business what is traded; SQLite gives its log the same mode.
    os.close(os.open(young, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with Database(young).writing() as connection:
            upgrade(connection, str(path))
        young.rename(path)
    except BaseException:
        _remove(young)  # a full disk is not to be left fuller
        raise
    if sys.platform != "win32":  # where a folder cannot be opened, and a rename is durable by itself
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remove(database: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        database.with_name(database.name + end).unlink(missing_ok=True)
