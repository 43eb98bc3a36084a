"""What can go wrong with a journal, by who has to act. Every message ends with what to do next."""

import errno
import os
from datetime import UTC, datetime

from grodtd.domain.errors import GrodtdError


class JournalCorrupt(GrodtdError):
    """The operator acts, before start: the journal is damaged. It was left as it is; stops at the venue stay."""

    def __init__(self, place: str, problem: str, *, seq: int | None = None, checked: bool = False) -> None:
        """Keep where the journal is, what is wrong, and the first record that cannot be trusted (None: not known).

        `checked`: all before it was proven just now, so that how far the journal is intact is told, not where to ask.
        """
        where = f" at record {seq}" if seq is not None else ""
        so_far = _so_far(seq) if checked and seq is not None else ""
        super().__init__(f"{place}: {so_far}{problem}{where}. {_what_to_do(place, checked=checked)}")
        self.place, self.problem, self.seq = place, problem, seq


class JournalLocked(GrodtdError):
    """The operator acts: another instance looks after this account, or a tool holds the file. Nothing was changed."""

    def __init__(self, place: str, holder: str, *, until_ns: int | None = None) -> None:
        """`until_ns`: when the other's lease ends unless it renews it, ns since the epoch; None: while it runs."""
        ends = " Stop it before starting another."
        if until_ns is not None:
            until = datetime.fromtimestamp(until_ns / 1e9, UTC).isoformat(sep=" ", timespec="seconds")
            ends = f" Its lease runs until {until} unless it renews it: stop that instance, or wait."
        super().__init__(f"{place} is in use by {holder}.{ends}")
        self.place, self.holder, self.until_ns = place, holder, until_ns


class JournalTooNew(GrodtdError):
    """The operator acts: a newer grodtd wrote this journal, and an older one must not guess. Nothing was changed."""


class JournalNotFound(GrodtdError):
    """The caller acts: there is no journal to read there. Nothing was made."""


class RecordUnreadable(GrodtdError):
    """The operator acts: an intact record that this program cannot decode. Run the version that wrote it."""


class OutOfSequence(GrodtdError):
    """We act (a fault in our code): records were handed over with a gap, twice, or of no known kind. None was taken."""


class LeaseLost(GrodtdError):
    """We act: stop. Another instance took this account over and nothing of ours is taken any more. Stops stay."""


class JournalUnavailable(GrodtdError, OSError):
    """The operator acts: the journal cannot be written now (disk full, I/O error, server gone).

    No new risk meanwhile; stops that rest stay. What was appended waits in memory, in order, and goes out with the
    first `commit` that succeeds. `errno` says why (`ENOSPC`, `EIO`, `EROFS`, `EBUSY`, `EACCES`, `ENOENT`).
    """

    def __init__(self, code: int, place: str, detail: str = "") -> None:
        """Keep the error number, where the journal is, and the driver's own words."""
        self.place, self.detail = place, detail
        super().__init__(code, f"{place}: {_advice(code)}{f' ({detail})' if detail else ''}")

    def __str__(self) -> str:
        return str(self.args[1])


def _so_far(seq: int) -> str:
    return f"intact up to record {seq - 1}; " if seq > 1 else "no record is intact; "


def _what_to_do(place: str, *, checked: bool) -> str:
    if "://" in place:
        return "Nothing was changed. Restore the database from a backup, or name an empty one to start from the venue."
    verify = "" if checked else f"; `grodtd journal verify {place}` tells how far it is intact"
    return (
        "Nothing was changed. Restore a backup of this file, or put it aside with"
        f" `grodtd journal set-aside {place}` and start again from what the venue holds{verify}."
    )


_ADVICE = {
    errno.ENOSPC: "the disk is full: free space there; a daemon that runs writes what waits as soon as there is room",
    errno.EROFS: "it is read-only: remount or give it to the user that runs grodtd",
    errno.EBUSY: "another program holds it: close that program (a database browser, a backup)",
    errno.EACCES: "it may not be opened: give file and folder to the user that runs grodtd",
    errno.ENOENT: "the folder or database does not exist: make it, or mount the disk it should be on",
    errno.ECONNREFUSED: "the database server cannot be reached: see that it runs, and the URL",
}


def _advice(code: int) -> str:
    return _ADVICE.get(code, f"it cannot be written ({os.strerror(code)}): check the disk, and the system's log")
