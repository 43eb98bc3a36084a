"""A record's payload: facts, commands and notes as msgspec JSON, the same bytes for the same value on any Python.

Every type carries its name (`type`), so a union decodes without guessing; decimals are text and keep every digit.
A field added later needs a default: old records then still decode, and are never rewritten (their checksums stand).
"""

import msgspec

from grodtd.domain.commands import Command
from grodtd.domain.events import Event
from grodtd.domain.notes import Note
from grodtd.ports import Record
from grodtd.storage.errors import RecordUnreadable

FACT = "fact"
COMMAND = "command"
NOTE = "note"
KINDS = frozenset({FACT, COMMAND, NOTE})
"""Every value `Record.kind` may have."""

# One encoder for all: making one costs more than a record. `deterministic` sorts dicts and sets, so that a policy's
# symbol ratios give the same bytes whatever order a file named them in.
_ENCODER = msgspec.json.Encoder(order="deterministic")
_FACTS: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_COMMANDS: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_NOTES = msgspec.json.Decoder(Note)


def encode(value: Event | Command | Note) -> bytes:
    """Return the payload of a fact, command or note.

    >>> from grodtd.domain.events import LinkStatus
    >>> encode(LinkStatus(up=False, reason="timeout"))
    b'{"type":"LinkStatus","up":false,"reason":"timeout","ts_event_ns":0,"ts_received_ns":0}'
    """
    return _ENCODER.encode(value)


def encode_fact(event: Event) -> bytes:
    """Return the payload of a fact."""
    return _ENCODER.encode(event)


def encode_command(command: Command) -> bytes:
    """Return the payload of a command."""
    return _ENCODER.encode(command)


def encode_note(note: Note) -> bytes:
    """Return the payload of a note."""
    return _ENCODER.encode(note)


def decode_fact(payload: bytes) -> Event:
    """Return the fact a payload holds. Raises: `RecordUnreadable`."""
    try:
        return _FACTS.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(FACT, payload, error) from None


def decode_command(payload: bytes) -> Command:
    """Return the command a payload holds. Raises: `RecordUnreadable`."""
    try:
        return _COMMANDS.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(COMMAND, payload, error) from None


def decode_note(payload: bytes) -> Note:
    """Return the note a payload holds. Raises: `RecordUnreadable`."""
    try:
        return _NOTES.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(NOTE, payload, error) from None


_DECODE = {FACT: decode_fact, COMMAND: decode_command, NOTE: decode_note}


def decode(record: Record) -> Event | Command | Note:
    """Return what a record holds. Raises: `RecordUnreadable` - it names the record.

    >>> from grodtd.domain.commands import CancelOrder
    >>> cancel = CancelOrder("B7", "B7.stop1")
    >>> decode(Record(5, 0, COMMAND, "B7", encode(cancel))) == cancel
    True
    """
    try:
        return _DECODE[record.kind](record.payload)
    except KeyError:
        raise RecordUnreadable(f"record {record.seq} is of kind {record.kind!r}: known are {sorted(KINDS)}") from None
    except RecordUnreadable as error:
        raise RecordUnreadable(f"record {record.seq}: {error}") from None


def fact_of(record: Record) -> Event:
    """Return the fact a record holds: what a restart folds. Raises: `RecordUnreadable` - it names the record."""
    try:
        return decode_fact(record.payload)
    except RecordUnreadable as error:
        raise RecordUnreadable(f"record {record.seq}: {error}") from None


def _unreadable(kind: str, payload: bytes, error: Exception) -> RecordUnreadable:
    start = payload[:80].decode("utf-8", "replace")
    return RecordUnreadable(
        f"a {kind} that starts {start!r} cannot be decoded ({error}); run the grodtd version that wrote it"
    )
