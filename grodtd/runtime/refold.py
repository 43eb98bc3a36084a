"""Fold a journal again: the same facts through a new engine must give the same commands and notes, byte for byte."""

from collections.abc import Iterable

import msgspec

from grodtd.domain.errors import GrodtdError
from grodtd.domain.events import Event
from grodtd.execution.enhanced_engine import Engine
from grodtd.ports import Record
from grodtd.runtime.turn import Turn


class Diverged(GrodtdError):
    """The developers act: a journal folded again gave something else than it holds. The journal is kept as it is."""


def refold(records: Iterable[Record], *, check: bool = True) -> Turn:
    """Return a turn whose engine stands where the journal ends.

    With `check`, every command and note is compared with what the journal holds; raises `Diverged` at the first
    difference, naming its sequence number.
    """
    decoder = msgspec.json.Decoder(Event)
    made: list[Record] = []
    turn = Turn(Engine(), made.extend)
    last = 0
    for record in records:
        last = record.seq
        if record.kind == "fact":
            if check and made:
                raise Diverged(f"record {record.seq}: the fact before it led to more than the journal holds: {made[0]}")
            made.clear()
            turn.sequence = record.seq - 1
            turn.take(decoder.decode(record.payload))
        elif not check:
            continue
        if check:
            _compare(made, record)
    if check and made:
        raise Diverged(f"the last fact led to more than the journal holds: {made[0]}")
    turn.sequence = last
    return turn


def _compare(made: list[Record], record: Record) -> None:
    if not made:
        raise Diverged(f"record {record.seq}: the journal holds {record.kind} {record.payload!r}, folded again nothing")
    again = made.pop(0)
    if again != record:
        raise Diverged(f"record {record.seq}: the journal holds {record.payload!r}, folded again {again.payload!r}")
