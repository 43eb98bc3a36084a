"""Snapshots: the engine's state after a record, so that a restart reads a tail and not the whole journal.

A snapshot is never needed: one that is damaged or of another layout is passed over for the one before it, and in the
end for the first record. It names the checksum of its record, so it cannot be joined to another history.
"""

from hashlib import blake2b

import msgspec
from sqlalchemy import Connection, delete, select

from grodtd.storage.chain import CHECKSUM_BYTES
from grodtd.storage.errors import OutOfSequence
from grodtd.storage.schema import records, snapshots

KEEP = 3
"""Snapshots kept: the newest, and two to fall back to."""


_ONE = (
    "SELECT s.seq, s.ts_ns, s.layout, s.chain, s.payload, s.checksum, r.checksum"
    " FROM snapshots s LEFT JOIN records r ON r.seq = s.seq WHERE s.seq = {}"
)


class Snapshot(msgspec.Struct, frozen=True):
    """State after record `seq`. `layout` numbers the format of `payload`; `chain` is that record's checksum."""

    seq: int
    ts_ns: int
    layout: int
    chain: bytes
    payload: bytes


def save(connection: Connection, payload: bytes, *, seq: int, ts_ns: int, layout: int, keep: int = KEEP) -> None:
    """Store the state after record `seq`, and forget all but the newest `keep`.

    Raises: `OutOfSequence` - there is no such record (a fault of ours).
    """
    with connection.begin():
        chain = connection.execute(select(records.c.checksum).where(records.c.seq == seq)).scalar_one_or_none()
        if chain is None:
            raise OutOfSequence(f"a snapshot was taken after record {seq}, which is not in the journal")
        snapshot = Snapshot(seq, ts_ns, layout, chain, payload)
        connection.execute(delete(snapshots).where(snapshots.c.seq == seq))
        connection.execute(snapshots.insert().values(checksum=_checksum(snapshot), **msgspec.structs.asdict(snapshot)))
        newest = select(snapshots.c.seq).order_by(snapshots.c.seq.desc()).limit(keep)
        connection.execute(delete(snapshots).where(snapshots.c.seq.not_in(newest.scalar_subquery())))


def latest(connection: Connection, layout: int | None = None) -> tuple[Snapshot | None, list[str]]:
    """Return the newest intact snapshot of `layout` (None: any), and a sentence for each that was passed over."""
    told: list[str] = []
    listed = connection.execute(select(snapshots.c.seq, snapshots.c.layout).order_by(snapshots.c.seq.desc())).all()
    for seq, its_layout in listed:
        if layout is not None and its_layout != layout:
            told.append(of_another_layout(seq))
            continue
        # One at a time: several could be hundreds of megabytes. As the driver gives them: in a damaged file a value
        # may be of any type, and SQLAlchemy's conversion would stumble over it.
        row = connection.exec_driver_sql(_ONE.format(int(seq))).one()
        snapshot, stored, chain = Snapshot(*row[:5]), row[5], row[6]
        if chain == snapshot.chain and _intact(snapshot, stored):
            return snapshot, told
        told.append(f"the snapshot after record {seq} is damaged: passed over")
    return None, told


def of_another_layout(seq: int) -> str:
    """Say why a snapshot is not read."""
    return f"the snapshot after record {seq} was taken by another version of grodtd: passed over"


def _intact(snapshot: Snapshot, stored: bytes) -> bool:
    try:
        return _checksum(snapshot) == stored
    except (TypeError, ValueError, OverflowError):  # a damaged type: text where bytes should be
        return False


def _checksum(snapshot: Snapshot) -> bytes:
    fields = b"%d %d %d %b " % (snapshot.seq, snapshot.ts_ns, snapshot.layout, snapshot.chain)
    digest = blake2b(fields, digest_size=CHECKSUM_BYTES)
    digest.update(snapshot.payload)
    return digest.digest()
