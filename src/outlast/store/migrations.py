"""The schema's history: an ordered list of small functions, each run once, never edited after.

No Alembic for now: it earns its place when branches, autogeneration or downgrades are needed.
A list of functions is read in a minute, runs inside the one transaction that decides the
version, and adds nothing to install. Each step speaks SQL that SQLite and PostgreSQL both know
and repeats names on purpose: a step describes the past, so it must not follow today's tables.

Two processes may start at once: the whole run is one transaction under a lock (BEGIN IMMEDIATE
on SQLite, an advisory lock on PostgreSQL), and both databases can roll back a CREATE TABLE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from outlast.store import observatory_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Connection

    Step = Callable[[Connection], None]

ADVISORY_LOCK = 0x6F75746C617374
"""Any number that no other program uses on the same PostgreSQL: "outlast" in ASCII."""


class SchemaTooNew(Exception):
    """The database was last used by a newer Outlast."""


def _1_exchanges_and_attempts(connection: Connection) -> None:
    """One row per exchange (its receipt) and one per attempt (its observation)."""
    connection.execute(
        text(
            """
            CREATE TABLE exchanges (
                id TEXT PRIMARY KEY,
                key_id TEXT NOT NULL,
                surface TEXT NOT NULL,
                format TEXT NOT NULL,
                model TEXT NOT NULL,
                stream BOOLEAN NOT NULL,
                started_at DOUBLE PRECISION NOT NULL,
                ended_at DOUBLE PRECISION NOT NULL,
                outcome TEXT NOT NULL,
                status INTEGER NOT NULL,
                served_by TEXT NOT NULL,
                degraded TEXT NOT NULL,
                dropped TEXT NOT NULL,
                error TEXT NOT NULL
            )
            """
        )
    )
    # "My last receipts", and "what is older than the retention".
    connection.execute(text("CREATE INDEX exchanges_by_key ON exchanges (key_id, ended_at)"))
    connection.execute(text("CREATE INDEX exchanges_by_end ON exchanges (ended_at)"))
    connection.execute(
        text(
            """
            CREATE TABLE attempts (
                exchange_id TEXT NOT NULL REFERENCES exchanges (id) ON DELETE CASCADE,
                number INTEGER NOT NULL,
                upstream TEXT NOT NULL,
                model TEXT NOT NULL,
                outcome TEXT NOT NULL,
                scope TEXT NOT NULL,
                status INTEGER,
                started_at DOUBLE PRECISION NOT NULL,
                ended_at DOUBLE PRECISION NOT NULL,
                first_content_s DOUBLE PRECISION,
                input_tokens BIGINT NOT NULL,
                output_tokens BIGINT NOT NULL,
                cache_read_tokens BIGINT NOT NULL,
                cache_write_tokens BIGINT NOT NULL,
                reasoning_tokens BIGINT NOT NULL,
                tokens_estimated BOOLEAN NOT NULL,
                evidence TEXT NOT NULL,
                request_id TEXT NOT NULL,
                PRIMARY KEY (exchange_id, number)
            )
            """
        )
    )
    # "How did this upstream do lately?"
    connection.execute(text("CREATE INDEX attempts_by_upstream ON attempts (upstream, ended_at)"))


def _2_keys(connection: Connection) -> None:
    """API keys by the hash of their secret, and a counter that tells when to read them again."""
    connection.execute(
        text(
            """
            CREATE TABLE keys (
                id TEXT PRIMARY KEY,
                hash TEXT NOT NULL UNIQUE,
                name TEXT NOT NULL,
                prefix TEXT NOT NULL,
                created_at DOUBLE PRECISION NOT NULL,
                revoked_at DOUBLE PRECISION,
                allow TEXT NOT NULL,
                models TEXT NOT NULL,
                requests_per_minute INTEGER,
                concurrent INTEGER
            )
            """
        )
    )
    connection.execute(text("CREATE TABLE keys_version (version BIGINT NOT NULL)"))
    connection.execute(text("INSERT INTO keys_version (version) VALUES (0)"))


def _3_resumptions(connection: Connection) -> None:
    """Where an answer broke off in sight of the client, and who went on: JSON, read as a whole."""
    connection.execute(
        text("ALTER TABLE exchanges ADD COLUMN resumptions TEXT NOT NULL DEFAULT '[]'")
    )


def _7_notices_of_keys(connection: Connection) -> None:
    """Whether answers for a key say visibly that a weaker model gave them."""
    connection.execute(text("ALTER TABLE keys ADD COLUMN notice TEXT NOT NULL DEFAULT ''"))


STEPS: Sequence[Step] = (
    _1_exchanges_and_attempts,
    _2_keys,
    _3_resumptions,
    observatory_steps.observations_and_rollups,
    observatory_steps.notices_and_incidents,
    observatory_steps.subscriptions_and_deliveries,
    _7_notices_of_keys,
    observatory_steps.browsers_and_senders,
)


def version(connection: Connection) -> int:
    """How many steps this database has had; 0 when it is new. Reads only."""
    if not inspect(connection).has_table("schema_version"):
        return 0
    found = connection.execute(text("SELECT max(version) FROM schema_version")).scalar()
    return int(found or 0)


def is_current(connection: Connection, steps: Sequence[Step] = STEPS) -> bool:
    """Whether nothing is left to do. Raises SchemaTooNew."""
    return _checked(version(connection), len(steps)) == len(steps)


def migrate(connection: Connection, steps: Sequence[Step] = STEPS) -> int:
    """Run the steps that are missing, inside the caller's transaction. Returns the version.

    Raises SchemaTooNew, and whatever the database says when a step fails (nothing is kept then).
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.execute(
        text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)")
    )
    done = _checked(version(connection), len(steps))
    for number, step in enumerate(steps[done:], start=done + 1):
        step(connection)
        connection.execute(
            text("INSERT INTO schema_version (version) VALUES (:number)"), {"number": number}
        )
    return len(steps)


def _checked(found: int, known: int) -> int:
    if found > known:
        raise SchemaTooNew(
            f"This database was last used by a newer Outlast (schema {found}; this one knows "
            f"{known}). Start the newer version again, or point this one at another database."
        )
    return found
