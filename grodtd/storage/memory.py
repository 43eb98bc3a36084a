"""A journal in memory with explicit commit points and faults on order: what the simulation and tests run on.

`Disk` is what survives a crash; a `MemoryJournal` is one process's hold on it. No threads, no waiting, no clock.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from grodtd.ports import Record
from grodtd.storage.chain import GENESIS
from grodtd.storage.codec import KINDS
from grodtd.storage.errors import JournalLocked, LeaseLost, OutOfSequence
from grodtd.storage.lease import TTL_NS, Lease
from grodtd.storage.snapshots import KEEP, Snapshot, of_another_layout


class Fault(msgspec.Struct, frozen=True):
    """At the `nth` append or commit on a disk (counted from 1), `error` is raised.

    `written` says whether what was to be committed reached the disk all the same: the process died, or the answer was
    lost, after the write. An append that fails takes nothing.
    """

    step: Literal["append", "commit"]
    nth: int
    error: BaseException
    written: bool = False


class Disk:
    """What is durable: committed records, snapshots, the lease. Give it to the next journal after a crash."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        """Start empty, with the faults to come."""
        self.records: list[Record] = []
        self.snapshots: list[Snapshot] = []
        self.lease: Lease | None = None
        self.appends = 0
        """Appends asked of it so far, the failed ones too."""
        self.commits = 0
        """Commits asked of it so far that had something to write, the failed ones too."""
        self._faults = {(fault.step, fault.nth): fault for fault in faults}

    def add_fault(self, fault: Fault) -> None:
        """Plan one more."""
        self._faults[fault.step, fault.nth] = fault

    def fault(self, step: Literal["append", "commit"]) -> Fault | None:
        """Count a step and return the fault planned for it."""
        if step == "append":
            self.appends += 1
            return self._faults.get((step, self.appends))
        self.commits += 1
        return self._faults.get((step, self.commits))


class MemoryJournal:
    """As `SqlJournal`, in memory. Satisfies `ports.Journal`."""

    place = "memory"

    def __init__(
        self,
        disk: Disk | None = None,
        *,
        account: str = "",
        holder: str = "",
        now_ns: int = 0,
        ttl_ns: int = TTL_NS,
        alone: bool = True,
    ) -> None:
        """Open what is on `disk` (None: a new one) and take the lease; `alone` as in `lease.acquire`.

        Raises: `JournalLocked` - not `alone`, and another's lease still runs.
        """
        self.disk = disk or Disk()
        last = self.disk.lease
        if last is not None and last.expires_ns > now_ns and not alone:
            raise JournalLocked(self.place, last.holder, until_ns=last.expires_ns)
        self.lease = Lease(account, holder, last.epoch + 1 if last else 1, now_ns + ttl_ns)
        self.disk.lease = self.lease
        self.last_seq = len(self.disk.records)
        self._waiting: list[Record] = []

    @property
    def durable_seq(self) -> int:
        """The last record that would survive a crash now."""
        return self.last_seq - len(self._waiting)

    @property
    def pending(self) -> int:
        """Records appended and not yet durable."""
        return len(self._waiting)

    def append(self, records: Sequence[Record]) -> None:
        """Take records in sequence. Raises: `OutOfSequence`, `LeaseLost`, or a fault on order; none was taken."""
        self._check_lease()
        fault = self.disk.fault("append")
        if fault is not None:
            raise fault.error
        for due, record in enumerate(records, self.last_seq + 1):
            if record.seq != due:
                raise OutOfSequence(f"record {record.seq} was handed over where {due} is due")
            if record.kind not in KINDS:
                raise OutOfSequence(f"record {due} is of kind {record.kind!r}: use one of {sorted(KINDS)}")
        self._waiting.extend(records)
        self.last_seq += len(records)

    async def commit(self) -> None:
        """Make everything appended durable. Raises: `LeaseLost`, or a fault on order; what is not written waits."""
        self.flush()

    def flush(self) -> None:
        """`commit`, for a caller without an event loop."""
        self._check_lease()
        if not self._waiting:
            return
        fault = self.disk.fault("commit")
        if fault is None or fault.written:
            self.disk.records.extend(self._waiting)
            self._waiting = []
        if fault is not None:
            raise fault.error

    async def save_snapshot(self, payload: Callable[[], bytes], *, seq: int, ts_ns: int, layout: int) -> None:
        """Keep the state after record `seq`; as `SqlJournal.save_snapshot`."""
        self.flush()
        if not 1 <= seq <= len(self.disk.records):
            raise OutOfSequence(f"a snapshot was taken after record {seq}, which is not in the journal")
        kept = [one for one in self.disk.snapshots if one.seq != seq]
        kept.append(Snapshot(seq, ts_ns, layout, GENESIS, payload()))
        self.disk.snapshots = sorted(kept, key=lambda one: one.seq)[-KEEP:]

    async def renew(self, now_ns: int, ttl_ns: int = TTL_NS) -> Lease:
        """Keep the lease for `ttl_ns` from now. Raises: `LeaseLost` - stop."""
        self._check_lease()
        self.lease = msgspec.structs.replace(self.lease, expires_ns=now_ns + ttl_ns)
        self.disk.lease = self.lease
        return self.lease

    async def close(self) -> None:
        """Commit and release the lease."""
        self.flush()
        self.disk.lease = msgspec.structs.replace(self.lease, expires_ns=0)

    def crash(self) -> Disk:
        """Lose everything that was not committed; return the disk, for the next journal."""
        self.last_seq -= len(self._waiting)
        self._waiting = []
        return self.disk

    def read(self, after_seq: int = 0, bracket_id: str | None = None) -> Iterator[Record]:
        """Yield durable records after `after_seq`, of one bracket or all."""
        for record in self.disk.records[after_seq:]:
            if bracket_id is None or record.bracket_id == bracket_id:
                yield record

    def latest_snapshot(self, layout: int) -> tuple[Snapshot | None, list[str]]:
        """Return the newest snapshot of that layout (None: start from the first record), and what was passed over."""
        told: list[str] = []
        for one in reversed(self.disk.snapshots):
            if one.layout == layout:
                return one, told
            told.append(of_another_layout(one.seq))
        return None, told

    def _check_lease(self) -> None:
        now = self.disk.lease
        if now is not None and now.epoch != self.lease.epoch:
            raise LeaseLost(
                f"{self.place}: our lease (epoch {self.lease.epoch}) was taken over by {now.holder} under epoch"
                f" {now.epoch}. This instance must stop."
            )
