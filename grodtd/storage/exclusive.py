"""Keeps two processes of one machine from the same journal file, for as long as the first one lives.

The lock is the kernel's, on a file of its own beside the journal (`<journal>.lock`): it goes with the process, also
with a killed one, so a restart need not wait for a lease to run out. It never is the journal itself: closing any handle
on a SQLite file drops that process's locks on it.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from grodtd.storage.errors import JournalLocked

if sys.platform != "win32":
    import fcntl


class ExclusiveLock:
    """Taken on creation. `proven`: the kernel vouches for it (not on Windows: there only the lease guards)."""

    def __init__(self, journal: Path, holder: str) -> None:
        """Raises: `JournalLocked` - a living process has it, and the message names it; `OSError`."""
        self.path = journal.with_name(journal.name + ".lock")
        self.proven = sys.platform != "win32"
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if sys.platform != "win32":
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                other = os.pread(self._fd, 200, 0).decode("utf-8", "replace").strip() or "another process"
                os.close(self._fd)
                raise JournalLocked(str(journal), other) from None
            with suppress(OSError):  # a full disk: the lock holds without a name on it
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, f"{holder} (process {os.getpid()})\n".encode(), 0)

    def release(self) -> None:
        """Let the next one in. The file stays: removing it would let two processes lock two files of one name."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
