"""Spreading news over subscribers, claiming what is due, writing down how it went: transactions.

Each function is one transaction's work on a connection; notifier.py runs them. Between `claim` and
`settle` a message is on its way, and only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from outlast.observatory import delivery_tables as book
from outlast.observatory import subscription_tables as people
from outlast.observatory.notifying import (
    Audience,
    News,
    Parcel,
    Refused,
    Result,
    Sent,
    Unknown,
    audience,
    due_at,
    parcel_id,
    retry_at,
)
from outlast.observatory.subscribing import Channel, Digest, Subscription, wants

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

SPREAD_EACH = 500
"""Subscribers a transaction: it stays short, and others write in between."""
DIGEST_MAX = 50
"""News in one message; the rest comes in a further one."""


class Claim(msgspec.Struct, frozen=True):
    """A message that is ours to send, and the rows that it stands for."""

    parcel: Parcel
    rows: tuple[book.Row, ...]

    @property
    def confirms(self) -> bool:
        return not self.parcel.news


def spread(connection: Connection, now: float) -> bool:
    """Give the next subscribers their rows of the oldest news. Whether there was any to spread."""
    item = book.unspread(connection)
    if item is None:
        return False
    table = people.subscriptions
    found = (
        connection.execute(
            select(table)
            .where(
                table.c.id > book.spread_place(connection, item.state),
                table.c.confirmed_at <= item.at,
            )
            .order_by(table.c.id)
            .limit(SPREAD_EACH)
        )
        .mappings()
        .all()
    )
    batch = [people.from_row(row) for row in found]
    book.note(connection, item, _hearers(connection, item, batch, now))
    last = len(batch) < SPREAD_EACH
    to = batch[-1].id if batch else ""
    book.note_spread(connection, item.state, to, now if last else None)
    return True


def _hearers(
    connection: Connection, item: News, batch: list[Subscription], now: float
) -> dict[str, float]:
    """Who of these hears it, and when."""
    found = [one for one in batch if wants(one.wanted, item.kind, item.impact, item.components)]
    noted = book.endings(connection, item.incident.id, [one.id for one in found])
    out = {}
    for one in found:
        have = noted.get(one.id, set())
        match audience(item, one.wanted):
            case Audience.KNOWING:
                fits = bool(have)
            case Audience.TOLD:
                fits = bool(have & set(book.REACHED))
            case Audience.ALL:
                fits = True
        if fits:
            out[one.id] = due_at(one.wanted.digest, now)
    return out


def claim(connection: Connection, now: float, limit: int) -> list[Claim]:
    """Up to `limit` messages that are due. When this is committed they are ours, for ever: they
    are either settled, or become unknown."""
    book.tidy(connection, now)
    wanted: dict[str, list[str]] = {}
    for subscription_id, state in book.due(connection, now, limit):
        wanted.setdefault(subscription_id, []).append(state)
    out: list[Claim] = []
    for subscription_id, states in wanted.items():
        subscription = people.find(connection, subscription_id)
        if subscription is None:
            book.forget(connection, subscription_id)
        elif subscription.wanted.digest is not Digest.NOW and book.CONFIRM not in states:
            gathered = book.due_of(connection, subscription_id, now, DIGEST_MAX)
            out += _take(connection, subscription, sorted({*states, *gathered}), now)
        else:
            for state in states:
                out += _take(connection, subscription, [state], now)
    return out


def _take(
    connection: Connection, subscription: Subscription, states: list[str], now: float
) -> list[Claim]:
    rows = book.take(connection, subscription.id, states, now)
    if not rows:
        return []
    items = book.find_news(connection, [row.state for row in rows])
    known = {item.state for item in items} | {book.CONFIRM}
    for row in rows:
        if row.state not in known or (row.state == book.CONFIRM and subscription.confirmed_at):
            book.end(connection, subscription.id, row, book.WITHDRAWN, now, "")
    mine = tuple(row for row in rows if row.state in known)
    if not items and subscription.confirmed_at is not None:
        return []
    incidents = {item.incident.id for item in items}
    parcel = Parcel(
        id=parcel_id(subscription.id, [row.state for row in mine]),
        subscription=subscription,
        news=tuple(items),
        told={one: book.told(connection, subscription.id, one) for one in incidents},
    )
    return [Claim(parcel, mine)] if mine else []


def settle(connection: Connection, claim: Claim, result: Result, now: float, roll: float) -> str:
    """Write down how a message went. Returns the ending: `""` where it waits for another try.

    What confirms a webhook is that it took the first message: its subscription counts from now.
    """
    subscription = claim.parcel.subscription
    match result:
        case Sent():
            _end(connection, claim, book.SENT, now, "")
            if claim.confirms and subscription.kind is not Channel.EMAIL:
                people.confirm(connection, subscription.id, now)
            return book.SENT
        case Unknown(why=why):
            _end(connection, claim, book.UNKNOWN, now, why)
            return book.UNKNOWN
        case Refused(gone=True, why=why):
            people.remove(connection, subscription.id)
            return book.REFUSED
        case Refused(again=False, why=why):
            _end(connection, claim, book.REFUSED, now, why)
            ending = book.REFUSED
        case Refused(why=why, retry_after_s=retry_after_s):
            ending = _put_back(connection, claim, now, roll, why, retry_after_s)
    if ending and book.unreachable(connection, subscription.id):
        people.remove(connection, subscription.id)
    return ending


def _end(connection: Connection, claim: Claim, ending: str, now: float, why: str) -> None:
    for row in claim.rows:
        book.end(connection, claim.parcel.subscription.id, row, ending, now, why)


def _put_back(
    connection: Connection,
    claim: Claim,
    now: float,
    roll: float,
    why: str,
    retry_after_s: float | None,
) -> str:
    """Each row for itself: a digest may hold what has been tried before."""
    ending = book.GIVEN_UP
    subscription_id = claim.parcel.subscription.id
    for row in claim.rows:
        again_at = retry_at(row.tries, row.first_due_at, now, roll, retry_after_s)
        if again_at is None:
            book.end(connection, subscription_id, row, book.GIVEN_UP, now, why)
        else:
            ending = book.WAITING
            book.put_back(connection, subscription_id, row, again_at, why)
    return ending
