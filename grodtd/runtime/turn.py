"""The one synchronous step: a fact in, journal records and commands out.

Replay calls it directly; the live runner wraps it. A fact is journalled with what it led to: first the fact, then
its notes (why), then its commands (what), all with the fact's time. A fact that changed nothing worth keeping leaves
no record.
"""

from collections.abc import Callable, Sequence

import msgspec

from grodtd.domain.bracket import Bracket
from grodtd.domain.events import Event
from grodtd.domain.outcome import Outcome
from grodtd.execution.enhanced_engine import Engine
from grodtd.ports import Record

Sink = Callable[[Sequence[Record]], None]


class Turn:
    """An engine and the journal it writes to. `sequence` and `ts_ns` are those of the last record written."""

    def __init__(self, engine: Engine, sink: Sink | None, sequence: int = 0, ts_ns: int = 0) -> None:
        """Write records to `sink`, numbered from `sequence` + 1; None: nobody keeps them, so none are made."""
        self.engine = engine
        self.sequence = sequence
        self.ts_ns = ts_ns
        self.snapshot_seq = 0
        """Record after which the engine's state was last kept whole; 0: never."""
        self._sink = sink
        self._encode = msgspec.json.Encoder(order="deterministic").encode

    def take(self, event: Event) -> Outcome:
        """Fold a fact, hand its records to the sink and return the outcome.

        The caller sends `outcome.commands` only when the sink's records are durable (S6). Raises Refused, with
        nothing changed and nothing written, where the engine refuses.
        """
        outcome = self.engine.process(event)
        if outcome.journal and self._sink is not None:
            self._sink(self._records(event, outcome))
        return outcome

    def bracket(self, bracket_id: str) -> Bracket | None:
        """Return one bracket as it stands."""
        return self.engine.bracket(bracket_id)

    def _records(self, event: Event, outcome: Outcome) -> list[Record]:
        ts_ns = event.ts_received_ns
        encode = self._encode
        seq = self.sequence + 1
        records = [Record(seq, ts_ns, "fact", bracket_of(event), encode(event))]
        for note in outcome.notes:
            seq += 1
            records.append(Record(seq, ts_ns, "note", note.bracket_id, encode(note)))
        for command in outcome.commands:
            seq += 1
            records.append(Record(seq, ts_ns, "command", command.bracket_id, encode(command)))
        self.sequence, self.ts_ns = seq, ts_ns
        return records


def bracket_of(event: Event) -> str:
    """Return the bracket a fact names, directly or by an order id of ours; empty when it names none."""
    bracket_id = getattr(event, "bracket_id", None)
    if bracket_id is not None:
        return str(bracket_id)
    client_id = getattr(event, "client_order_id", "")
    return str(client_id).rpartition(".")[0]
