"""Fold a journal again: the same facts through a new engine must give the same commands and notes, byte for byte."""

from collections.abc import Iterable

from grodtd.domain.errors import GrodtdError, Refused
from grodtd.execution.enhanced_engine import Engine
from grodtd.ports import Record
from grodtd.runtime.turn import Turn
from grodtd.storage.codec import FACT, fact_of


class Diverged(GrodtdError):
    """The developers act: a journal folded again gave something else than it holds. The journal is kept as it is."""


def refold(records: Iterable[Record], *, check: bool = True, engine: Engine | None = None, sequence: int = 0) -> Turn:
    """Return a turn whose engine stands where the journal ends; it writes nowhere.

    `engine` and `sequence` are where to begin: as the engine stood after that record; a new one before the first.
    With `check`, every command and note is compared with what the journal holds; raises `Diverged` at the first
    difference, naming its sequence number. Raises `RecordUnreadable` at a fact this program cannot decode.
    """
    made: list[Record] = []
    turn = Turn(engine or Engine(), made.extend if check else None, sequence)
    for record in records:
        if record.kind == FACT:
            if check and made:
                raise Diverged(f"record {record.seq}: the fact before it led to more than the journal holds: {made[0]}")
            made.clear()
            turn.sequence = record.seq - 1
            _take(turn, record)
        if check:
            _compare(made, record)
        sequence, turn.ts_ns = record.seq, record.ts_ns
    if check and made:
        raise Diverged(f"the last fact led to more than the journal holds: {made[0]}")
    turn.sequence = sequence
    return turn


def _take(turn: Turn, record: Record) -> None:
    try:
        turn.take(fact_of(record))
    except Refused as error:
        raise Diverged(
            f"record {record.seq}: this program refuses a fact the one that wrote it took ({error}); run that version"
        ) from error


def _compare(made: list[Record], record: Record) -> None:
    if not made:
        raise Diverged(f"record {record.seq}: the journal holds {record.kind} {record.payload!r}, folded again nothing")
    again = made.pop(0)
    if again != record:
        raise Diverged(f"record {record.seq}: the journal holds {record.payload!r}, folded again {again.payload!r}")
