"""Where a journal lives, and how it is connected to: a SQLite file or a PostgreSQL database, by path or URL.

SQLite: WAL with `synchronous=FULL`, so a commit that returned survives a power cut. PostgreSQL: psycopg, one
connection, `synchronous_commit` never off. Both are used through SQLAlchemy; the append path takes the same connection
and sends its own prepared text.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from grodtd.domain.errors import ConfigError
from grodtd.storage.faults import translated

BUSY_TIMEOUT_S: Final = 5.0
"""How long SQLite waits for another program that holds the file before a commit fails."""

_POSTGRES_WAITS = {
    # A network that swallows packets must become an error the operator hears of, not a commit that never returns.
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class Database:
    """A journal's whereabouts. `path` is the SQLite file, None for PostgreSQL; `place` is for messages (no password).

    >>> Database("postgres://ann:secret@db.example/journal").place
    'postgresql+psycopg://ann:***@db.example/journal'
    """

    def __init__(self, target: str | Path) -> None:
        """`target`: a path, or a URL (`sqlite:///...`, `postgresql://...`). Raises: `ConfigError`."""
        self.path: Path | None = None
        if isinstance(target, str) and "://" in target:
            try:
                url = make_url(target)
            except (ArgumentError, ValueError):
                shown = re.sub("://.*@", "://***@", target)
                raise ConfigError(
                    [f"journal {shown!r} is no database URL: write postgresql://USER@HOST/NAME"]
                ) from None
            backend = url.get_backend_name()
            if backend == "sqlite":
                if not url.database or url.database == ":memory:":
                    raise ConfigError([f"journal {target!r} names no file: a journal must outlive its process"])
                self.path = Path(url.database).absolute()
            elif backend in ("postgresql", "postgres"):
                # One driver for one code path; asyncpg is for those who are on an event loop, the writer is not.
                self.url = url.set(drivername="postgresql+psycopg")
                self.place = self.url.render_as_string(hide_password=True)
            else:
                raise ConfigError([f"journal {backend}://...: use a file path, sqlite:///PATH or postgresql://..."])
        else:
            self.path = Path(target).absolute()
        if self.path is not None:
            self.place = str(self.path)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of our own, and not a server's."""
        return self.path is not None

    def sql(self, text: str) -> str:
        """Return prepared text, written with `?`, in the driver's own spelling of a placeholder."""
        return text if self.is_sqlite else text.replace("?", "%s")

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Open the one connection that writes, and close it. `durable=False`: a power cut may cost what was written.

        Raises: `JournalUnavailable`, `JournalCorrupt`.
        """
        connection = self.connect(durable=durable)
        try:
            yield connection
        finally:
            with translated(self.place):
                connection.close()

    def connect(self, *, durable: bool = True) -> Connection:
        """Open the connection that writes; the caller closes it. Raises as `writing` does."""
        with translated(self.place):
            if self.path is None:
                return self._postgres().connect()
            return self._sqlite(self.path, "rw", durable=durable).connect()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection that cannot write; it works while a daemon writes."""
        with translated(self.place):
            if self.path is None:
                connection = self._postgres().connect().execution_options(isolation_level="AUTOCOMMIT")
            else:
                connection = self._readable(self.path)
        try:
            yield connection
        finally:
            with translated(self.place):
                connection.close()

    def _readable(self, path: Path) -> Connection:
        connection = self._sqlite(path, "ro").connect()
        try:
            driver(connection).execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.Error as error:
            connection.close()
            wal = path.with_name(path.name + "-wal")
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or (wal.exists() and wal.stat().st_size):
                raise
            # On a medium that takes no writes (a mounted backup), a WAL journal opens only as unchangeable.
            connection = self._sqlite(path, "ro&immutable=1").connect()
        return connection

    def _sqlite(self, path: Path, mode: str, *, durable: bool = True) -> Engine:
        def connect() -> sqlite3.Connection:
            raw = sqlite3.connect(
                f"{path.as_uri()}?mode={mode}",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,  # we say BEGIN ourselves
                check_same_thread=False,  # opened by the starter, then used by the writer thread alone
            )
            try:
                raw.execute("PRAGMA cell_size_check=ON")
                if mode == "rw":
                    _make_durable(raw, path, durable=durable)
            except BaseException:
                raw.close()
                raise
            return raw

        engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == "rw" else "BEGIN")

        return engine

    def _postgres(self) -> Engine:
        arguments = {key: value for key, value in _POSTGRES_WAITS.items() if key not in self.url.query}
        try:
            engine = create_engine(self.url, poolclass=NullPool, connect_args=arguments)
        except ImportError:
            raise ConfigError(
                [f"journal {self.place}: PostgreSQL needs its driver: pip install 'grodtd[postgres]'"]
            ) from None

        @event.listens_for(engine, "connect")
        def durable(raw: Any, _record: object) -> None:
            # A server may be set up to answer before it has written. Ours must not, and only ours.
            with raw.cursor() as cursor:
                if cursor.execute("SHOW synchronous_commit").fetchone()[0] == "off":
                    cursor.execute("SET synchronous_commit TO on")
            raw.commit()

        return engine


def _make_durable(raw: sqlite3.Connection, path: Path, *, durable: bool) -> None:
    mode = raw.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise ConfigError(
            [f"journal {path}: SQLite cannot keep a write-ahead log there (only {mode!r}): use a local disk"]
        )
    raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    raw.execute("PRAGMA journal_size_limit=67108864")  # after a busy spell the log shrinks to 64 MiB again


def driver(connection: Connection) -> Any:
    """Return the driver's own connection under SQLAlchemy's: the append path and long reads go there directly."""
    return connection.connection.driver_connection
