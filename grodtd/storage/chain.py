"""Checksums that hold the journal together: each covers its record and the checksum before it.

So a changed byte, a record taken out, put in or moved is found at that record. What a chain cannot see by itself is a
missing end; the `head` row, moved in the same transaction as the records, shows that.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from grodtd.ports import Record
from grodtd.storage.codec import KINDS
from grodtd.storage.errors import JournalCorrupt, OutOfSequence

CHECKSUM_BYTES = 16
GENESIS = bytes(CHECKSUM_BYTES)
"""What stands before the first record."""

Row = tuple[int, int, str, str, bytes, bytes, int]
"""A record as it is stored: seq, ts_ns, kind, bracket_id, payload, checksum, epoch."""


def checksum(previous: bytes, record: Record, epoch: int) -> bytes:
    """Return a record's 16-byte checksum (BLAKE2b over the one before and every field).

    The length of the one free text is part of it, so no two different records read the same.
    """
    start = f"{record.seq} {record.ts_ns} {epoch} {record.kind} {len(record.bracket_id)} {record.bracket_id} "
    return blake2b(previous + start.encode() + record.payload, digest_size=CHECKSUM_BYTES).digest()


class Chain:
    """The end of a journal in the making: it numbers, checks and seals what is appended."""

    def __init__(self, seq: int = 0, last: bytes = GENESIS, epoch: int = 0) -> None:
        """Go on after record `seq` with checksum `last`, writing under the lease's `epoch`."""
        self.seq, self.last, self.epoch = seq, last, epoch

    def seal(self, records: Iterable[Record]) -> list[Row]:
        """Return the rows to store. Raises: `OutOfSequence` - none of them was taken.

        >>> Chain(seq=4).seal([Record(6, 0, "fact", "", b"{}")])
        Traceback (most recent call last):
        ...
        grodtd.storage.errors.OutOfSequence: record 6 was handed over where 5 is due
        """
        seq, last, epoch = self.seq, self.last, self.epoch
        rows: list[Row] = []
        for record in records:
            seq += 1
            if record.seq != seq:
                raise OutOfSequence(f"record {record.seq} was handed over where {seq} is due")
            if record.kind not in KINDS:
                raise OutOfSequence(f"record {seq} is of kind {record.kind!r}: use one of {sorted(KINDS)}")
            last = checksum(last, record, epoch)
            rows.append((seq, record.ts_ns, record.kind, record.bracket_id, record.payload, last, epoch))
        self.seq, self.last = seq, last
        return rows


def verified(rows: Iterable[Row], place: str, seq: int = 0, last: bytes = GENESIS) -> Iterator[Record]:
    """Yield records that follow record `seq` with checksum `last`, each proven by the one before.

    Raises: `JournalCorrupt` at the first record that is missing, changed or out of place.
    """
    for row_seq, ts_ns, kind, bracket_id, payload, stored, epoch in rows:
        seq += 1
        if row_seq != seq:
            raise JournalCorrupt(place, f"records are missing: after {seq - 1} comes {row_seq}", seq=seq)
        record = Record(seq, ts_ns, kind, bracket_id, payload)
        try:
            last = checksum(last, record, epoch)
        except (TypeError, AttributeError, ValueError, OverflowError):
            raise JournalCorrupt(place, "a record's fields are not of their types", seq=seq) from None
        if last != stored:
            raise JournalCorrupt(place, "a record does not match its checksum", seq=seq)
        yield record
