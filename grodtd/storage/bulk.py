"""A journal without an event loop: what the replay driver writes its run to, in large transactions.

Not for live use: records are durable only after `flush`, and by default not even then in a power cut (`durable=False`
asks SQLite for `synchronous=OFF`): a replay's journal can be made again from its input.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import delete

from grodtd.ports import Record
from grodtd.storage import schema
from grodtd.storage.chain import Chain, Row
from grodtd.storage.errors import JournalLocked
from grodtd.storage.faults import translated
from grodtd.storage.reading import fetch
from grodtd.storage.store import Store

BATCH = 20_000
"""Records a transaction."""


class SyncJournal:
    """A run's journal. Use it as a context manager; leaving it flushes and closes. Satisfies `ports.Journal`."""

    def __init__(
        self, target: str | Path, *, holder: str = "replay", durable: bool = False, batch: int = BATCH
    ) -> None:
        """Create it, or go on with one made by this class. Raises as `SqlJournal`; `JournalLocked` for a daemon's."""
        self._store = Store(target, holder, durable=durable)
        self.place, self.opening = self._store.place, self._store.opening
        self._batch, self._durable = batch, durable
        epoch = fetch(self._store.connection, "SELECT epoch FROM head")[0][0]
        if epoch:
            self._store.close()
            raise JournalLocked(self.place, f"an account's daemon (epoch {epoch}): a replay needs a journal of its own")
        self._chain = Chain(self._store.last_seq, self._store.last_checksum)
        self._rows: list[Row] = []
        self.durable_seq = self._chain.seq

    @property
    def last_seq(self) -> int:
        """The last record appended; the next is one more."""
        return self._chain.seq

    def append(self, records: Sequence[Record]) -> None:
        """Take records in sequence; a full batch is written at once. Raises: `OutOfSequence`, and as `flush`."""
        self._rows.extend(self._chain.seal(records))
        if len(self._rows) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Raises: `JournalUnavailable` - it still waits, in order."""
        if self._rows:
            self._store.write(self._rows, after=self.durable_seq, epoch=0)
            self.durable_seq = self._rows[-1][0]
            self._rows = []

    async def commit(self) -> None:
        """`flush`, for those who know only `ports.Journal`."""
        self.flush()

    def note(self, about: Mapping[str, str]) -> None:
        """Keep what the run was made from (input path and SHA-256, options, configuration fingerprint).

        `reading.meta` returns it. Raises as `flush`.
        """
        connection = self._store.connection
        with translated(self.place), connection.begin():
            for key, value in about.items():
                connection.execute(delete(schema.meta).where(schema.meta.c.key == key))
                connection.execute(schema.meta.insert().values(key=key, value=value))

    def close(self) -> None:
        """Flush and close. Raises as `flush`; it is closed all the same."""
        try:
            self.flush()
        finally:
            self._store.close(one_file=not self._durable)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
