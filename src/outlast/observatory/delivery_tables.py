"""The book of what is to be told and what has been: SQL, the same on SQLite and PostgreSQL.

The way of one piece of news:

    enqueue     one row in `news`, in the transaction that changes the incident: both or neither
    spread      one row in `deliveries` for each subscriber that wants it; a key says "once"
    claim       `sending` is written and committed before the first byte leaves
    settle      sent · refused · given_up · unknown, or waiting again after a definite refusal

A process that dies between claim and settle leaves `sending` behind; when its lease is over that
becomes `unknown`, and it is never sent again. Replicas claim with SKIP LOCKED (PostgreSQL) or one
after the other (SQLite has one writer).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import (
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from outlast.observatory.notifying import News
from outlast.store.dialects import insert_ignore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

CONFIRM = "confirm"
"""The state of the one message that an unconfirmed subscription gets."""
LEASE_S = 180.0
"""Longer than any channel takes, time-outs included."""
FAILURES_MAX = 5
"""So many in a row that were refused for good or given up end a subscription."""
WHY_LIMIT = 200

WAITING, SENDING = "", "sending"
SENT, REFUSED, GIVEN_UP, UNKNOWN = "sent", "refused", "given_up", "unknown"
SUPERSEDED, WITHDRAWN = "superseded", "withdrawn"
REACHED = (SENDING, SENT, UNKNOWN)
"""Endings after which the subscriber has heard of it, or may have."""

metadata = MetaData()

news = Table(
    "news",
    metadata,
    Column("state", Text, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("spread_to", Text, nullable=False),
    Column("spread_at", Double),
    Column("body", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("subscription_id", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("first_due_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("ended_at", Double),
    Column("ending", Text, nullable=False),
    Column("claimed_until", Double, nullable=False),
    Column("why", Text, nullable=False),
)


class Row(msgspec.Struct, frozen=True):
    """A claimed delivery: ours to send, once."""

    state: str
    tries: int
    first_due_at: float
    """Before any refusal put it off."""


class Unspread(msgspec.Struct, frozen=True):
    """News that not everyone has a row for."""

    state: str
    item: News | None
    """None: what is written there cannot be read, and nobody can be told it."""


class Due(msgspec.Struct, frozen=True):
    spread: bool
    send: bool


def enqueue(connection: Connection, items: Iterable[News]) -> int:
    """Write down what is to be told, inside the transaction that made it true.

    Inserts only, one row a state, whatever the number of subscribers: it holds no lock that
    anybody waits for. Returns how many were new.
    """
    count = 0
    for item in items:
        row = {
            "state": item.state,
            "incident_id": item.incident.id,
            "number": item.number,
            "kind": item.kind,
            "at": item.at,
            "spread_to": "",
            "spread_at": None,
            "body": msgspec.json.encode(item).decode(),
        }
        made = insert_ignore(connection, news).values(row).returning(news.c.state)
        count += len(connection.execute(made).all())
    return count


def ask_to_confirm(connection: Connection, subscription_id: str, now: float) -> None:
    _note(connection, [_delivery(subscription_id, CONFIRM, "", 0, now)])


def ask_again(connection: Connection, subscription_id: str, now: float) -> bool:
    """Send the message that confirms once more, at its owner's wish. Whether there is one."""
    column = deliveries.c
    mine = and_(column.subscription_id == subscription_id, column.state == CONFIRM)
    there = connection.execute(select(column.ending).where(mine)).scalar_one_or_none()
    connection.execute(
        update(deliveries)
        .where(mine, column.ending.not_in((SENDING, SENT)))
        .values(ending=WAITING, ended_at=None, due_at=now, first_due_at=now)
    )
    return there is not None and there != SENT


def unspread(connection: Connection) -> Unspread | None:
    """The next news that not every subscriber has a row for, locked; None: nothing to do.

    An incident's news are spread in their order, because who hears of an end depends on who has
    heard of a beginning.
    """
    earlier = news.alias()
    found = connection.execute(
        select(news.c.state, news.c.body)
        .where(
            news.c.spread_at.is_(None),
            ~exists().where(
                earlier.c.incident_id == news.c.incident_id,
                earlier.c.number < news.c.number,
                earlier.c.spread_at.is_(None),
            ),
        )
        .order_by(news.c.at, news.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    return Unspread(found.state, read(found.body)) if found is not None else None


def read(body: str) -> News | None:
    """News as they were written down; None where they cannot be read any more."""
    try:
        return msgspec.json.decode(body, type=News)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def spread_place(connection: Connection, state: str) -> str:
    """The last subscription that it has been spread to."""
    found = select(news.c.spread_to).where(news.c.state == state)
    return str(connection.execute(found).scalar_one())


def note_spread(connection: Connection, state: str, to: str, done_at: float | None) -> None:
    connection.execute(
        update(news).where(news.c.state == state).values(spread_to=to, spread_at=done_at)
    )


def endings(
    connection: Connection, incident_id: str, subscription_ids: list[str]
) -> dict[str, set[str]]:
    """What each of these subscribers has in the book of an incident."""
    found = connection.execute(
        select(deliveries.c.subscription_id, deliveries.c.ending).where(
            deliveries.c.incident_id == incident_id,
            deliveries.c.subscription_id.in_(subscription_ids),
        )
    )
    out: dict[str, set[str]] = {}
    for subscription_id, ending in found:
        out.setdefault(subscription_id, set()).add(ending)
    return out


def note(connection: Connection, item: News, due: dict[str, float]) -> None:
    """One waiting row for each of these subscribers (id → when due), where there is none yet."""
    _note(
        connection,
        [
            _delivery(one, item.state, item.incident.id, item.number, due_at)
            for one, due_at in due.items()
        ],
    )


def _delivery(
    subscription_id: str, state: str, incident_id: str, number: int, due_at: float
) -> dict[str, object]:
    return {
        "subscription_id": subscription_id,
        "state": state,
        "incident_id": incident_id,
        "number": number,
        "first_due_at": due_at,
        "due_at": due_at,
        "tries": 0,
        "ended_at": None,
        "ending": WAITING,
        "claimed_until": 0.0,
        "why": "",
    }


def _note(connection: Connection, rows: list[dict[str, object]]) -> None:
    if rows:
        connection.execute(insert_ignore(connection, deliveries), rows)


def what_is_due(connection: Connection, now: float) -> Due:
    """Whether there is something to spread, and something to send or to clear up."""
    row = deliveries.c
    send = or_(
        and_(row.ending == WAITING, row.due_at <= now),
        and_(row.ending == SENDING, row.claimed_until < now),
    )
    spread = select(news.c.state).where(news.c.spread_at.is_(None)).limit(1)
    return Due(
        spread=connection.execute(spread).first() is not None,
        send=connection.execute(select(row.state).where(send).limit(1)).first() is not None,
    )


def tidy(connection: Connection, now: float) -> None:
    """Before a claim: what was being sent by a process that is gone is unknown for ever; what has
    a successor is superseded; what was merged or retracted is withdrawn."""
    row, later = deliveries.c, deliveries.alias()
    lost = and_(row.ending == SENDING, row.claimed_until < now)
    _end_all(connection, lost, UNKNOWN, now, "the process that sent it ended meanwhile")
    waiting = and_(row.ending == WAITING, row.due_at <= now, row.incident_id != "")
    ends = exists().where(
        news.c.incident_id == row.incident_id,
        news.c.number > row.number,
        news.c.kind.in_(("merged", "retracted")),
    )
    _end_all(connection, and_(waiting, ends), WITHDRAWN, now, "")
    newer = exists().where(
        later.c.subscription_id == row.subscription_id,
        later.c.incident_id == row.incident_id,
        later.c.number > row.number,
    )
    _end_all(connection, and_(waiting, newer), SUPERSEDED, now, "")


def _end_all(
    connection: Connection, which: ColumnElement[bool], ending: str, now: float, why: str
) -> None:
    """End these, save what a replica holds at this moment: it does the same, or sends them."""
    row = deliveries.c
    found = select(row.subscription_id, row.state).where(which)
    keys = connection.execute(found.with_for_update(skip_locked=True)).all()
    for subscription_id, state in keys:
        connection.execute(
            update(deliveries)
            .where(row.subscription_id == subscription_id, row.state == state)
            .values(ending=ending, ended_at=now, why=why)
        )


def due(connection: Connection, now: float, limit: int) -> list[tuple[str, str]]:
    """Waiting deliveries that are due, locked, the oldest first: subscription and state."""
    found = connection.execute(_due(now, limit))
    return [(one, state) for one, state in found]


def due_of(connection: Connection, subscription_id: str, now: float, limit: int) -> list[str]:
    """The states that are due for one subscriber, locked."""
    mine = _due(now, limit).where(deliveries.c.subscription_id == subscription_id)
    return [state for _, state in connection.execute(mine)]


def _due(now: float, limit: int) -> Select[str, str]:
    """Not while an earlier one of the same incident is still on its way to the same subscriber."""
    row, other = deliveries.c, deliveries.alias()
    under_way = exists().where(
        other.c.subscription_id == row.subscription_id,
        other.c.incident_id == row.incident_id,
        other.c.ending == SENDING,
    )
    return (
        select(row.subscription_id, row.state)
        .where(row.ending == WAITING, row.due_at <= now, ~under_way)
        .order_by(row.due_at, row.number)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def take(connection: Connection, pairs: list[tuple[str, str]], now: float) -> dict[str, list[Row]]:
    """Mark deliveries (subscription, state) as being sent. Those that come back, by subscription,
    are ours; nobody else sends them."""
    row = deliveries.c
    if not pairs:
        return {}
    mine = tuple_(row.subscription_id, row.state).in_(pairs)
    found = connection.execute(
        update(deliveries)
        .where(mine, row.ending == WAITING)
        .values(ending=SENDING, claimed_until=now + LEASE_S, tries=row.tries + 1)
        .returning(row.subscription_id, row.state, row.tries, row.first_due_at)
    )
    out: dict[str, list[Row]] = {}
    for subscription_id, *rest in found:
        out.setdefault(subscription_id, []).append(Row(*rest))
    return out


def told(connection: Connection, subscription_ids: list[str]) -> dict[str, dict[str, int]]:
    """Subscription → incident → the number of the last news of it that reached there."""
    row = deliveries.c
    found = connection.execute(
        select(row.subscription_id, row.incident_id, func.max(row.number))
        .where(
            row.subscription_id.in_(subscription_ids),
            row.ending.in_((SENT, UNKNOWN)),
            row.incident_id != "",
        )
        .group_by(row.subscription_id, row.incident_id)
    )
    out: dict[str, dict[str, int]] = {}
    for subscription_id, incident_id, number in found:
        out.setdefault(subscription_id, {})[incident_id] = int(number)
    return out


def find_news(connection: Connection, states: list[str]) -> dict[str, News]:
    """By state, in the order in which they happened; what is no longer kept, or cannot be read, is
    left out."""
    found = connection.execute(
        select(news.c.body).where(news.c.state.in_(states)).order_by(news.c.at, news.c.number)
    ).scalars()
    return {item.state: item for item in map(read, found) if item is not None}


def end(
    connection: Connection, subscription_id: str, row: Row, ending: str, now: float, why: str
) -> None:
    """Write down how it went. A late word on what was taken for unknown still counts."""
    column = deliveries.c
    connection.execute(
        update(deliveries)
        .where(
            column.subscription_id == subscription_id,
            column.state == row.state,
            column.tries == row.tries,
            column.ending.in_((SENDING, UNKNOWN)),
        )
        .values(ending=ending, ended_at=now, why=why[:WHY_LIMIT])
    )


def put_back(
    connection: Connection, subscription_id: str, row: Row, due_at: float, why: str
) -> None:
    """Let it wait for another try, after a definite refusal and while the claim still holds."""
    column = deliveries.c
    connection.execute(
        update(deliveries)
        .where(
            column.subscription_id == subscription_id,
            column.state == row.state,
            column.tries == row.tries,
            column.ending == SENDING,
        )
        .values(ending=WAITING, due_at=due_at, claimed_until=0.0, why=why[:WHY_LIMIT])
    )


def unreachable(connection: Connection, subscription_id: str) -> bool:
    """Whether nothing has come through for so long that it is no use."""
    row = deliveries.c
    last = connection.execute(
        select(row.ending)
        .where(
            row.subscription_id == subscription_id,
            row.ending.in_((SENT, UNKNOWN, REFUSED, GIVEN_UP)),
        )
        .order_by(row.ended_at.desc())
        .limit(FAILURES_MAX)
    ).scalars()
    found = list(last)
    return len(found) == FAILURES_MAX and not {SENT, UNKNOWN} & set(found)


def forget(connection: Connection, subscription_id: str) -> None:
    connection.execute(delete(deliveries).where(deliveries.c.subscription_id == subscription_id))


def prune(connection: Connection, before: float) -> None:
    """Delete what ended before, and news that old. No update of today makes a state that old."""
    row = deliveries.c
    connection.execute(delete(deliveries).where(row.ended_at.is_not(None), row.ended_at < before))
    connection.execute(delete(news).where(news.c.spread_at.is_not(None), news.c.at < before))
