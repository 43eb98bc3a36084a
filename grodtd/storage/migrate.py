"""Brings a journal's tables to the schema this program knows, or refuses in words.

A new journal gets the tables as `schema.py` has them; an old one goes through the scripts in `migrations/versions`,
one after the other, in one transaction. A test holds the two ways together. Payloads are never rewritten.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from grodtd.storage.errors import JournalCorrupt, JournalTooNew
from grodtd.storage.schema import LATEST, head, metadata

SCRIPTS = Path(__file__).with_name("migrations")
_VERSION_TABLE = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
_OURS = 0x67726F64  # "grod": PostgreSQL's advisory lock while tables are made


def version(connection: Connection, place: str) -> str | None:
    """Return the journal's schema version; None for an empty database. Raises: `JournalCorrupt` - no journal."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        if tables & set(metadata.tables):
            raise JournalCorrupt(place, "it has tables of a journal but no schema version")
        if tables and connection.dialect.name == "sqlite":
            raise JournalCorrupt(place, f"it is another program's database (tables: {', '.join(sorted(tables)[:5])})")
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    if len(found) != 1:
        raise JournalCorrupt(place, f"it has {len(found)} schema versions where one is due")
    return str(found[0])


def check(connection: Connection, place: str, latest: str = LATEST) -> str | None:
    """Return the version, None for an empty database. Raises: `JournalTooNew`; `JournalCorrupt` - not one of ours."""
    found = version(connection, place)
    if found is None:
        return None
    if found == latest:
        gone = set(metadata.tables) - set(inspect(connection).get_table_names())
        if gone:
            raise JournalCorrupt(place, f"its table {', '.join(sorted(gone))} is gone")
        return found
    if not found.isdigit():
        raise JournalCorrupt(place, f"its schema version reads {found!r}")
    if found > latest:
        raise JournalTooNew(
            f"{place} was written by a newer grodtd (schema {found}; this one knows {latest}). Nothing was changed:"
            " start the newer version again, or restore the backup made before the upgrade."
        )
    return found


def upgrade(
    connection: Connection, place: str, *, latest: str = LATEST, scripts: Path = SCRIPTS
) -> tuple[str | None, str]:
    """Bring the tables to `latest`; return the versions before (None: it was empty) and after.

    All in one transaction: a process killed on the way finds the old schema and does it again.
    """
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_OURS})"))
        before = check(connection, place, latest)
        if before is None:
            metadata.create_all(connection)
            connection.execute(head.insert().values(id=1, seq=0, checksum=bytes(16), epoch=0))
            connection.execute(text(_VERSION_TABLE))
            connection.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": latest})
        elif before != latest:
            _run_scripts(connection, before, scripts)
    return before, latest


def _run_scripts(connection: Connection, since: str, scripts: Path) -> None:
    # alembic takes a fifth of a second to import, and most starts have nothing to migrate.
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    directory = ScriptDirectory(str(scripts))
    context = MigrationContext.configure(connection)
    steps = [step for step in directory.walk_revisions(base=since, head="head") if step.revision != since]
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
            context.stamp(directory, step.revision)
