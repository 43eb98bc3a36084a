"""Hand-made helpers for the journal's tests: records, a daemon's life in a few words, a driver that fails on order."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager

from grodtd.ports import Record
from grodtd.storage import reading, store
from grodtd.storage.journal import SqlJournal

S = 1_000_000_000


def fact(seq, bracket_id="B7", payload=b'{"type":"LinkStatus","up":true}'):
    return Record(seq, seq * 10, "fact", bracket_id, payload)


def facts(first, last, bracket_id="B7"):
    return [fact(seq, bracket_id) for seq in range(first, last + 1)]


def run(coroutine):
    return asyncio.run(coroutine)


@asynccontextmanager
async def daemon(target, *, holder="daemon one", now_ns=0, account="ACC1", **more):
    """A journal as a daemon has it, closed at the end."""
    journal = SqlJournal(target, account=account, holder=holder, now_ns=now_ns, **more)
    try:
        yield journal
    finally:
        await journal.close()


def write(target, last, **more):
    """Append records up to `last`, each in a commit of its own, and close."""

    async def life():
        async with daemon(target, **more) as journal:
            for seq in range(journal.last_seq + 1, last + 1):
                journal.append([fact(seq)])
                await journal.commit()
            return journal.opening

    return run(life())


def stored(target, **which):
    return list(reading.read(target, **which))


def seqs(target, **which):
    return [record.seq for record in stored(target, **which)]


class FailingDriver:
    """Stands between the store and the driver's connection: fails at the nth step, before or after doing it.

    Steps are the statements of an append, and its commit. `error()` makes what is raised. Afterwards all goes well.
    """

    def __init__(self, monkeypatch, nth, error, *, after=False):
        self.left, self.error, self.after, self.steps = nth, error, after, []
        real = store.driver
        monkeypatch.setattr(store, "driver", lambda connection: FailingConnection(self, real(connection)))

    def step(self, name, work):
        self.steps.append(name)
        self.left -= 1
        if self.left == 0 and not self.after:
            raise self.error()
        result = work()
        if self.left == 0:
            raise self.error()
        return result


class FailingConnection:
    def __init__(self, plan, real):
        self.plan, self.real = plan, real

    def cursor(self):
        return FailingCursor(self.plan, self.real.cursor())

    def commit(self):
        return self.plan.step("COMMIT", self.real.commit)

    def rollback(self):
        return self.real.rollback()

    @property
    def closed(self):
        return self.real.closed


class FailingCursor:
    def __init__(self, plan, real):
        self.plan, self.real = plan, real

    def execute(self, sql, values=()):
        return self.plan.step(sql.split(" ")[0], lambda: self.real.execute(sql, values))

    def fetchone(self):
        return self.real.fetchone()

    @property
    def rowcount(self):
        return self.real.rowcount

    def close(self):
        self.real.close()


def io_error():
    """What SQLite's driver raises when the disk fails under a sync."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR | (4 << 8)  # SQLITE_IOERR_FSYNC
    return error
