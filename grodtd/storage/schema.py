"""The tables of a journal, for SQLite and PostgreSQL alike. One database holds one account's journal."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

LATEST = "0001"
"""The schema this program reads and writes. A journal says its own in `alembic_version`."""

# SQLite calls only an INTEGER key by its row number; that is what keeps an append at the end of one tree.
_SEQ = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

records = Table(
    "records",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("bracket_id", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)
"""The journal itself. `checksum` chains a record to the one before (`chain.py`); `epoch` is the writer's lease's.

No index on `bracket_id`: a commit for a thousand brackets would write a thousand pages of it, and a damaged index would
hide records from `explain` without a word. One bracket's records are found by reading all: 0.4 s a million.
"""

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)
"""One row: the last record, its checksum, and the epoch that may write. Every append moves it, in its transaction."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("layout", Integer, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
)
"""State after record `seq`. `layout` numbers the state's own format, `chain` is that record's checksum."""

lease = Table(
    "lease",
    metadata,
    Column("account", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
)
"""Who acts for the account, until when. The row stays when the lease is released, so that epochs only grow."""

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What a run was made from: a replay keeps its input's path, SHA-256, options and configuration fingerprint here."""
