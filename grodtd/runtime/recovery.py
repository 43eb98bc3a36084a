"""From a journal back to a running engine: the newest snapshot, then the facts after it, folded again."""

from collections.abc import Iterable

from grodtd.ports import Record
from grodtd.runtime.refold import refold
from grodtd.runtime.turn import Sink, Turn


def recover(records: Iterable[Record], sink: Sink) -> Turn:
    """Return a turn that stands where `records` end and writes on to `sink`.

    Nothing is sent here: what was on its way when the process ended is found out by asking the venue.
    """
    folded = refold(records, check=False)
    return Turn(folded.engine, sink, folded.sequence)
