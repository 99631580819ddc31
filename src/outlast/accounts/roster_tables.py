"""The roster's two tables, and the way between their rows and a KeyRecord."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from outlast.accounts.keys import Key, KeyRecord
from outlast.nouns import Allow

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import RowMapping
    from sqlalchemy.engine import Connection

KEYS_LIMIT = 100_000

metadata = MetaData()

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("allow", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("requests_per_minute", Integer),
    Column("concurrent", Integer),
    Column("notice", Text, nullable=False, server_default=""),
)

keys_version = Table("keys_version", metadata, Column("version", BigInteger, nullable=False))
"""One row: 0 until the first key was ever made, then one more with every change."""


class KeyNotFound(LookupError):
    """No key, or more than one, answers to what was asked for."""


class TooManyKeys(Exception):
    """The limit on the number of keys is reached."""


def insert_key(connection: Connection, record: KeyRecord) -> None:
    """Raises TooManyKeys."""
    connection.execute(update(keys_version).values(version=keys_version.c.version + 1))
    count = connection.execute(select(func.count()).select_from(keys)).scalar_one()
    if count >= KEYS_LIMIT:
        raise TooManyKeys(f"There are {KEYS_LIMIT} keys already, the limit of one service.")
    connection.execute(insert(keys).values(_row(record)))


def insert_first(connection: Connection, record: KeyRecord) -> bool:
    """Keep the record if there has never been a key, and say so."""
    won = connection.execute(
        update(keys_version).where(keys_version.c.version == 0).values(version=1)
    )
    if won.rowcount != 1:
        return False
    connection.execute(insert(keys).values(_row(record)))
    return True


def revoke(connection: Connection, which: str, at: float) -> KeyRecord:
    """Revoke by id, or by a name that only one living key has. Raises KeyNotFound."""
    if not which.isprintable():
        raise KeyNotFound("The id or name of a key has printable characters only.")
    rows = connection.execute(select(keys).where(keys.c.id == which)).mappings().all()
    if not rows:
        living = select(keys).where(keys.c.name == which, keys.c.revoked_at.is_(None))
        rows = connection.execute(living).mappings().all()
    if not rows:
        raise KeyNotFound(f"There is no key {which[:100]!r}. List them to see their ids and names.")
    if len(rows) > 1:
        ids = ", ".join(str(row["id"]) for row in rows[:10])
        raise KeyNotFound(
            f"{len(rows)} keys are named {which[:100]!r}: {ids}. Say which by its id."
        )
    record = _record(rows[0])
    if record.key.revoked:
        return record
    connection.execute(update(keys_version).values(version=keys_version.c.version + 1))
    connection.execute(update(keys).where(keys.c.id == record.key.id).values(revoked_at=at))
    return KeyRecord(msgspec.structs.replace(record.key, revoked_at=at), record.hash)


def select_changed(connection: Connection, known: int) -> tuple[list[KeyRecord], int] | None:
    """All keys if the counter differs from the one known, else None."""
    version = connection.execute(select(keys_version.c.version)).scalar_one()
    return None if version == known else select_all(connection)


def select_all(connection: Connection) -> tuple[list[KeyRecord], int]:
    # The counter first: a change in between is then seen twice, never missed.
    version = connection.execute(select(keys_version.c.version)).scalar_one()
    rows = connection.execute(select(keys).order_by(keys.c.created_at, keys.c.id)).mappings()
    return [_record(row) for row in rows], int(version)


def _row(record: KeyRecord) -> dict[str, Any]:
    key = record.key
    return {
        "id": key.id,
        "hash": record.hash,
        "name": key.name,
        "prefix": key.prefix,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "allow": key.allow.value,
        "models": msgspec.json.encode(key.models).decode(),
        "requests_per_minute": key.requests_per_minute,
        "concurrent": key.concurrent,
        "notice": key.notice,
    }


def _record(row: RowMapping) -> KeyRecord:
    key = Key(
        id=row["id"],
        name=row["name"],
        prefix=row["prefix"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        allow=Allow(row["allow"]),
        models=msgspec.json.decode(row["models"], type=tuple[str, ...]),
        requests_per_minute=row["requests_per_minute"],
        concurrent=row["concurrent"],
        notice=row["notice"],
    )
    return KeyRecord(key, row["hash"])
