"""From a journal back to a running engine: the newest snapshot, then the facts after it, folded again.

A snapshot is never needed. One that is damaged, of another version, or cannot be read is passed over with a word for
the one before it, and in the end the whole journal is folded.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.snapshot import SnapshotUnreadable, decode, layout, restore
from grodtd.ports import Record
from grodtd.runtime.refold import refold
from grodtd.runtime.turn import Sink, Turn

SNAPSHOT_EVERY = 10_000
"""Records from one snapshot to the next, unless configured: a second or two of folding."""


class KeptState(Protocol):
    """A snapshot as the journal gives it back."""

    @property
    def seq(self) -> int:
        """The record after which it was taken."""
        ...

    @property
    def payload(self) -> bytes:
        """The engine's state."""
        ...

    @property
    def ts_ns(self) -> int:
        """That record's time, ns since the epoch."""
        ...


class Remembered(Protocol):
    """What a restart reads: durable records, and snapshots of the engine's state."""

    def read(self, after_seq: int = 0) -> Iterator[Record]:
        """Yield the durable records after `after_seq`. Raises what says that they are damaged."""
        ...

    def latest_snapshot(self, layout: int) -> tuple[KeptState | None, Sequence[str]]:
        """Return the newest intact snapshot of that layout, and a sentence for each that was passed over."""
        ...


class SnapshotKeeper(Protocol):
    """Where snapshots go: the journal they belong to."""

    async def save_snapshot(self, payload: Callable[[], bytes], *, seq: int, ts_ns: int, layout: int) -> None:
        """Keep what `payload` returns as the state after record `seq`, once that is durable, off the loop.

        Raises: `OSError` - it could not be; nothing is lost; a `GrodtdError` - another instance has the account.
        """
        ...


def _untold(words: str) -> None:
    """Nobody listens."""


def recover(memory: Remembered, sink: Sink, tell: Callable[[str], None] = _untold) -> Turn:
    """Return a turn that stands where the journal ends and writes on to `sink`.

    Nothing is sent here: what was on its way when the process ended is found out by asking the venue. `tell` hears of
    snapshots passed over. Raises: the journal's errors.
    """
    turn = _begin(memory, sink, tell)
    folded = refold(memory.read(turn.sequence), check=False, engine=turn.engine, sequence=turn.sequence)
    turn.sequence, turn.ts_ns = folded.sequence, folded.ts_ns or turn.ts_ns
    return turn


def _begin(memory: Remembered, sink: Sink, tell: Callable[[str], None]) -> Turn:
    """Return a turn that stands where the newest snapshot does, or before the first record."""
    kept, passed_over = memory.latest_snapshot(layout())
    for words in passed_over:
        tell(words)
    if kept is not None:
        try:
            turn = Turn(restore(decode(kept.payload)), sink, kept.seq, kept.ts_ns)
        except SnapshotUnreadable as error:
            tell(f"the snapshot after record {kept.seq} is passed over, the whole journal is folded: {error}")
        else:
            turn.snapshot_seq = kept.seq
            return turn
    return Turn(Engine(), sink)
