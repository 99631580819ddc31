"""Subscribers and incidents for the tests of notices, and a book of what was told."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, insert, select

from outlast.nouns import Impact, Incident, Stage, Status, Suspicion, Update
from outlast.observatory import delivery_tables as book
from outlast.observatory import subscription_tables as people
from outlast.observatory.notifying import News, Parcel, news
from outlast.observatory.subscribing import Channel, Digest, Subscription, Wanted
from outlast.store import dialects, migrations
from tests.store.databases import sqlite_url

KEY = bytes(range(32))
API, WEB = "anthropic/api", "anthropic/web"
AT = 1_772_452_800.0
"""2 March 2026, 12:00 UTC."""


def subscription(
    name: str = "sub_1",
    *,
    kind: Channel = Channel.EMAIL,
    target: str = "",
    confirmed_at: float | None = AT - 100,
    wanted: Wanted | None = None,
    digest: Digest = Digest.NOW,
    keys: str = "",
) -> Subscription:
    place = {Channel.EMAIL: f"{name}@example.org"}.get(kind, f"https://example.org/{name}")
    return Subscription(
        id=name,
        kind=kind,
        target=target or place,
        created_at=AT - 200,
        confirmed_at=confirmed_at,
        wanted=wanted or Wanted(digest=digest),
        keys=keys,
    )


def add(connection: Connection, one: Subscription) -> None:
    connection.execute(
        insert(people.subscriptions).values(
            id=one.id,
            kind=one.kind.value,
            target=one.target,
            created_at=one.created_at,
            confirmed_at=one.confirmed_at,
            body=msgspec.json.encode(one.wanted).decode(),
            keys=one.keys,
            asked_from=one.asked_from,
        )
    )


def incident(*kinds: str, name: str = "inc_a", **more: object) -> Incident:
    """An incident whose updates are of these kinds, a minute apart."""
    updates = tuple(
        Update(
            at=AT + 60 * number,
            kind=kind,
            stage=Stage.RESOLVED if kind == "resolved" else Stage.INVESTIGATING,
            text={"en": f"{kind} in words", "fr": f"{kind} en mots"},
            components=(API,),
        )
        for number, kind in enumerate(kinds)
    )
    ready = Incident(
        id=name,
        provider="anthropic",
        opened_at=AT,
        started_at=AT,
        stage=updates[-1].stage if updates else Stage.INVESTIGATING,
        impact=Impact.MINOR,
        suspicion=Suspicion.O_DOWN if "confirmed" in kinds else Suspicion.S_DOWN,
        components={API: Status.PARTIAL},
        title={"en": "Anthropic: partial outage (API)", "fr": "Anthropic : panne partielle (API)"},
        updates=updates,
        relapses=sum(kind == "relapsed" for kind in kinds),
    )
    return msgspec.structs.replace(ready, **more)


def step(*kinds: str, name: str = "inc_a", at: float = AT, **more: object) -> tuple[News, ...]:
    """What is told when the last of these updates comes."""
    new = incident(*kinds, name=name, **more)
    old = incident(*kinds[:-1], name=name, **more) if len(kinds) > 1 else None
    return news(old, new, {}, at)


def parcel(*items: News, to: Subscription | None = None, told: int = -1) -> Parcel:
    return Parcel(
        id="dlv_1",
        subscription=to or subscription(),
        news=items,
        told={item.incident.id: told for item in items},
    )


def ends(connection: Connection) -> dict[tuple[str, str], str]:
    """(subscription, state) → ending."""
    row = book.deliveries.c
    found = connection.execute(select(row.subscription_id, row.state, row.ending))
    return {(one, state): ending for one, state, ending in found}


def something_due(connection: Connection, now: float) -> bool:
    due = book.what_is_due(connection, now)
    return due.spread or due.send


@contextmanager
def quick_sqlite(folder: Path) -> Iterator[Engine]:
    """A SQLite file with our tables, without threads: for many small steps."""
    path = folder / "outlast.db"
    path.write_bytes(empty_sqlite())
    url = dialects.parse_url(sqlite_url(folder))
    engine = dialects.make_engine(url, connections=2, busy_timeout_s=5, writes=True)
    try:
        yield engine
    finally:
        engine.dispose()


@cache
def empty_sqlite() -> bytes:
    """A migrated database as a file's content: migrating takes longer than all the rest."""
    with tempfile.TemporaryDirectory() as name:
        url = dialects.parse_url(sqlite_url(Path(name)))
        engine = dialects.make_engine(url, connections=1, busy_timeout_s=5, writes=True)
        with engine.begin() as connection:
            migrations.migrate(connection)
        engine.dispose()
        return (Path(name) / "outlast.db").read_bytes()


class Needless:
    """What a channel is besides `send`, where nothing is needed for that."""

    def load(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""
