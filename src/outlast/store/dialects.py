"""How the two databases differ: connection settings, locks, and the words for a failure.

SQLite (WAL) is the default; PostgreSQL is a change of one URL. Everything above this file and
`database.py` is written once, in SQLAlchemy Core, for both.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Table
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.sql.dml import Insert

WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""SQLite cuts its write-ahead log back to this after a checkpoint."""

POSTGRESQL_CONNECT_TIMEOUT_S = 5
POSTGRESQL_STATEMENT_TIMEOUT_S = 30
POSTGRESQL_SILENCE_LIMIT_S = 10
"""A server that acknowledges nothing for this long is taken for dead (tcp_user_timeout)."""


class BadDatabaseUrl(ValueError):
    """The database URL in the settings cannot be used; the message says why, for a person."""


def parse_url(text: str) -> URL:
    """The database URL, with the driver that we use filled in. Raises BadDatabaseUrl."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise BadDatabaseUrl(
            "The database URL cannot be read. Use sqlite:///path/to/outlast.db or "
            "postgresql://user:password@host:5432/name."
        ) from None
    backend = "postgresql" if url.drivername == "postgres" else url.get_backend_name()
    if backend == "sqlite":
        if not url.database or url.database == ":memory:" or url.query.get("mode") == "memory":
            raise BadDatabaseUrl(
                "An in-memory SQLite database would forget everything, and its readers would not "
                "see what was written. Use a file: sqlite:///path/to/outlast.db."
            )
        return url.set(drivername="sqlite+pysqlite")
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise BadDatabaseUrl(
        f"The database kind {backend!r} is not supported. Use sqlite:///path/to/outlast.db or "
        "postgresql://user:password@host:5432/name."
    )


def make_engine(url: URL, *, connections: int, busy_timeout_s: float, writes: bool) -> Engine:
    """An engine that opens nothing yet. `connections` is the number of threads that use it."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, connections, busy_timeout_s, writes)
    return _postgresql_engine(url, connections, busy_timeout_s, writes)


def insert_ignore(connection: Connection, table: Table) -> Insert:
    """INSERT that leaves a row with the same key as it is, so that writing twice is harmless."""
    return upsert(connection, table).on_conflict_do_nothing()


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """INSERT that can be told what to do with a row of the same key: `on_conflict_do_update`."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    # 2 MB, of no use to SQLite; an engine for PostgreSQL has loaded it.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)


def _sqlite_engine(url: URL, connections: int, busy_timeout_s: float, writes: bool) -> Engine:
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # rows do not belong in a log
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # We write BEGIN ourselves (below): Python's own implicit BEGIN is deferred, and a
        # deferred transaction that turns into a write fails at once instead of waiting.
        try:
            connection.isolation_level = None
            if writes:
                _use_wal(connection, busy_timeout_s)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
            connection.execute("PRAGMA foreign_keys=ON")
            if not writes:
                connection.execute("PRAGMA query_only=ON")
        except sqlite3.Error:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection, patience_s: float) -> None:
    """Switch the file to WAL. SQLite does not wait for a lock here, so we do.

    Source: https://www.sqlite.org/wal.html, "Activating And Configuring WAL Mode".
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            if mode != "wal":
                connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            locked = "locked" in str(error)
            if not locked or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _postgresql_engine(url: URL, connections: int, busy_timeout_s: float, writes: bool) -> Engine:
    options = " ".join(
        [
            f"-c statement_timeout={POSTGRESQL_STATEMENT_TIMEOUT_S * 1000}",
            f"-c lock_timeout={max(1, int(busy_timeout_s * 1000))}",
            f"-c default_transaction_read_only={'off' if writes else 'on'}",
            # Last, so that what the person wrote in the URL wins.
            _text(url.query, "options"),
        ]
    ).strip()
    arguments: dict[str, Any] = {
        "options": options,
        "tcp_user_timeout": POSTGRESQL_SILENCE_LIMIT_S * 1000,
    }
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = POSTGRESQL_CONNECT_TIMEOUT_S
    if "application_name" not in url.query:
        arguments["application_name"] = "outlast"
    try:
        return create_engine(
            url.difference_update_query(["options"]),
            pool_size=connections,
            max_overflow=0,
            hide_parameters=True,
            # A connection that died while idle is replaced before it is used.
            pool_pre_ping=True,
            connect_args=arguments,
        )
    except ModuleNotFoundError as error:
        raise BadDatabaseUrl(
            "PostgreSQL needs its driver. Install it with: pip install 'outlast[postgresql]'."
        ) from error


def _text(query: Mapping[str, str | tuple[str, ...]], name: str) -> str:
    value = query.get(name, "")
    return value if isinstance(value, str) else " ".join(value)


def create_parent(url: URL) -> None:
    """Make the folder of a SQLite file, readable by its owner alone. May raise OSError."""
    if url.get_backend_name() == "sqlite" and url.database:
        path = url.database.removeprefix("file:")
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def protect_file(url: URL) -> None:
    """A SQLite file holds hashes and who asked what: its owner's business only."""
    if url.get_backend_name() == "sqlite" and url.database:
        # A file that belongs to somebody else is that somebody's decision.
        with contextlib.suppress(OSError):
            Path(url.database.removeprefix("file:")).chmod(0o600)
