"""The daemon's journal: appends from the event loop, commits in groups on one writer thread, under a lease.

`append` seals records (number, checksum) and leaves them in memory; `commit` waits until they are on disk. While one
commit is being synced, all that is appended meanwhile gathers for the next: one sync for many events. A commit that
fails leaves everything where it was, in order; the next one tries again, so the sequence never has a gap.
"""

import asyncio
import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

import msgspec

from grodtd.ports import Record
from grodtd.storage import lease as leases
from grodtd.storage import reading, snapshots
from grodtd.storage.chain import Chain, Row
from grodtd.storage.errors import JournalUnavailable, LeaseLost
from grodtd.storage.faults import translated
from grodtd.storage.lease import TTL_NS, Lease
from grodtd.storage.snapshots import Snapshot
from grodtd.storage.store import Store

T = TypeVar("T")
Waiter = asyncio.Future[None]
Job = Callable[[], None]


class SqlJournal:
    """One account's durable journal, in SQLite or PostgreSQL. Satisfies `ports.Journal`.

    `opening` says what was found at the start, for the operator; `lease` is ours until somebody takes it.
    """

    def __init__(
        self,
        target: str | Path,
        *,
        account: str,
        holder: str,
        now_ns: int,
        ttl_ns: int = TTL_NS,
        quick: bool = True,
    ) -> None:
        """Open or create the journal and take the account's lease: blocking work, for before the loop is busy.

        `target`: a path or URL; `holder`: this instance in words (host and process); `quick`: check only what came
        after the newest snapshot. Raises: `JournalLocked`, `JournalCorrupt`, `JournalTooNew`, `JournalUnavailable`,
        `ConfigError` - in each case nothing was changed.
        """
        self._store = Store(target, holder, quick=quick)
        self.place = self._store.place
        try:
            with translated(self.place):
                self.lease, fallen = leases.acquire(
                    self._store.connection,
                    self.place,
                    account,
                    holder,
                    now_ns=now_ns,
                    ttl_ns=ttl_ns,
                    alone=self._store.alone,
                )
                self._store.catch_up()  # what the last holder wrote between our check and its being fenced off
        except BaseException:
            self._store.close()
            raise
        self.opening = self._store.opening
        if fallen is not None:
            self._remark(
                f"{fallen.holder} ended without releasing its lease; taken over under epoch {self.lease.epoch}"
            )
        self._chain = Chain(self._store.last_seq, self._store.last_checksum, self.lease.epoch)
        self.durable_seq = self._chain.seq
        self._lock = Lock()  # over the two lists below
        self._rows: list[Row] = []
        self._waiters: list[Waiter] = []
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lost: LeaseLost | None = None
        self._writer = Thread(target=self._run, name="journal-writer", daemon=True)
        self._writer.start()

    def _remark(self, sentence: str) -> None:
        remarks = (*self.opening.remarks, f"{self.place}: {sentence}")
        self.opening = msgspec.structs.replace(self.opening, remarks=remarks)

    # ------------------------------------------------------------------ on the event loop

    @property
    def last_seq(self) -> int:
        """The last record appended; the next is one more."""
        return self._chain.seq

    @property
    def pending(self) -> int:
        """Records appended and not yet durable: a figure to watch while the disk is full."""
        return self._chain.seq - self.durable_seq

    def append(self, records: Sequence[Record]) -> None:
        """Take records in sequence. Raises: `OutOfSequence` - a fault of ours, none was taken; `LeaseLost`."""
        if self._lost is not None:
            raise self._lost
        rows = self._chain.seal(records)
        with self._lock:
            self._rows.extend(rows)

    async def commit(self) -> None:
        """Return when everything appended so far is durable.

        Raises: `JournalUnavailable` (an `OSError`) - it waits in memory for the next commit; `LeaseLost` - stop.
        """
        if self._lost is not None:
            raise self._lost
        if self._chain.seq == self.durable_seq:
            return
        waiter: Waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiters.append(waiter)
            first = len(self._waiters) == 1
        if first:  # later ones ride along
            self._jobs.put(self._write_waiting)
        await waiter

    async def save_snapshot(self, payload: Callable[[], bytes], *, seq: int, ts_ns: int, layout: int) -> None:
        """Keep the state after record `seq`, once that record is durable; older ones beyond three are forgotten.

        `payload` is called on the writer thread, so that no event waits while a large state is put into bytes; it must
        read frozen values only. `layout` numbers its format. Raises as `commit` does; the journal loses nothing by it.
        """
        await self.commit()
        await self._on_writer(
            lambda: snapshots.save(self._store.connection, payload(), seq=seq, ts_ns=ts_ns, layout=layout)
        )

    async def renew(self, now_ns: int, ttl_ns: int = TTL_NS) -> Lease:
        """Keep the lease for `ttl_ns` from now. Raises: `LeaseLost` - stop; `JournalUnavailable` - try again."""
        self.lease = await self._on_writer(
            lambda: leases.renew(self._store.connection, self.place, self.lease, now_ns=now_ns, ttl_ns=ttl_ns)
        )
        return self.lease

    async def close(self) -> None:
        """Write what waits, release the lease, stop the writer. Raises `JournalUnavailable` when something was lost."""
        if not self._writer.is_alive():
            return
        try:
            with suppress(LeaseLost):
                await self.commit()
                await self._on_writer(lambda: leases.release(self._store.connection, self.place, self.lease))
        finally:
            self._jobs.put(None)
            await asyncio.to_thread(self._writer.join)
            self._store.close()

    # ------------------------------------------------------------------ for a restart

    def read(self, after_seq: int = 0, bracket_id: str | None = None) -> Iterator[Record]:
        """Yield durable records, over a connection of their own. Raises: `JournalCorrupt`."""
        return reading.read(self._store.target, after_seq, bracket_id)

    def latest_snapshot(self, layout: int) -> tuple[Snapshot | None, list[str]]:
        """Return the newest intact snapshot of that layout (None: start from the first record), and what was passed."""
        return reading.snapshot(self._store.target, layout)

    # ------------------------------------------------------------------ on the writer thread

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _write_waiting(self) -> None:
        with self._lock:
            rows, self._rows = self._rows, []
            waiters, self._waiters = self._waiters, []
        error: BaseException | None = self._lost
        if rows and error is None:
            try:
                self._store.write(rows, after=self.durable_seq, epoch=self.lease.epoch)
            except Exception as failure:  # noqa: BLE001 - whatever it is, those who wait must hear of it
                error = self._keep(rows, failure)
            else:
                self.durable_seq = rows[-1][0]
        if waiters:
            loop = waiters[0].get_loop()
            if error is None:
                _call(loop, _succeed, waiters, None)
            else:
                _call(loop, _fail, waiters, error)

    def _keep(self, rows: list[Row], failure: Exception) -> Exception:
        """Put back what was not written, and return what to tell."""
        with self._lock:
            self._rows[:0] = rows
        if isinstance(failure, LeaseLost):
            self._lost = failure
        elif not isinstance(failure, OSError):
            # `commit` promises OSError: damage found while writing is one more reason for no new risk.
            unavailable = JournalUnavailable(errno.EIO, self.place, str(failure))
            unavailable.__cause__ = failure
            return unavailable
        return failure

    async def _on_writer(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                with translated(self.place):
                    result = work()
            except Exception as failure:  # noqa: BLE001 - it belongs to the one who asked
                _call(loop, _fail, [answer], failure)
            else:
                _call(loop, _succeed, [answer], result)

        self._jobs.put(job)
        return await answer


def _call(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *arguments: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
        loop.call_soon_threadsafe(what, *arguments)


def _succeed(futures: list[asyncio.Future[T]], result: T) -> None:
    for future in futures:
        if not future.done():  # a caller may have been cancelled
            future.set_result(result)


def _fail(futures: list[asyncio.Future[T]], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
