"""Spreading news over subscribers, claiming what is due, writing down how it went: transactions.

Each function is one transaction's work on a connection; notifier.py runs them. Between `claim` and
`settle` a message is on its way, and only then.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import msgspec
import structlog
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
from outlast.observatory.zones import zone_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

log = structlog.get_logger(__name__)

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
    found = book.unspread(connection)
    if found is None:
        return False
    item = found.item
    if item is None:
        # It is told to nobody, and what comes after it is.
        log.error("news_cannot_be_read", state=found.state)
        book.note_spread(connection, found.state, "", now)
        return True
    table = people.subscriptions
    rows = (
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
    batch = people.read(rows)
    book.note(connection, item, _hearers(connection, item, batch, now))
    last = len(rows) < SPREAD_EACH
    to = str(rows[-1]["id"]) if rows else ""
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
            wanted = one.wanted
            where = zone_of(wanted.zone) or UTC  # the system may have forgotten it
            out[one.id] = due_at(wanted.digest, now, wanted.hour, where)
    return out


def claim(connection: Connection, now: float, limit: int) -> list[Claim]:
    """Up to `limit` messages that are due. When this is committed they are ours, for ever: they
    are either settled, or become unknown."""
    book.tidy(connection, now)
    pairs = book.due(connection, now, limit)
    them = people.find_all(connection, list({one for one, _ in pairs}))
    gathered = dict.fromkeys(pairs)
    for one, state in pairs:
        if one not in them:
            book.forget(connection, one)
        elif _digests(them[one], state):
            more = book.due_of(connection, one, now, DIGEST_MAX)
            gathered |= {(one, found): None for found in more}
    rows = book.take(connection, list(gathered), now)
    states = {row.state for mine in rows.values() for row in mine}
    items = book.find_news(connection, sorted(states))
    told = book.told(connection, list(rows)) if items else {}
    out: list[Claim] = []
    for one, mine in rows.items():
        known = told.get(one, {})
        out += [
            Claim(_parcel(them[one], group, items, known), tuple(group))
            for group in _groups(connection, them[one], mine, items, now)
        ]
    return out


def _digests(subscription: Subscription, state: str) -> bool:
    return subscription.wanted.digest is not Digest.NOW and state != book.CONFIRM


def _groups(
    connection: Connection,
    subscription: Subscription,
    rows: list[book.Row],
    items: dict[str, News],
    now: float,
) -> list[list[book.Row]]:
    """What goes into one message each: a digest's news together, all else alone. What has
    nothing to say any more is withdrawn."""
    digest: list[book.Row] = []
    single: list[list[book.Row]] = []
    for row in rows:
        confirms = row.state == book.CONFIRM and subscription.confirmed_at is None
        if not confirms and row.state not in items:
            book.end(connection, subscription.id, row, book.WITHDRAWN, now, "")
        elif _digests(subscription, row.state):
            digest.append(row)
        else:
            single.append([row])
    return [*single, digest] if digest else single


def _parcel(
    subscription: Subscription,
    rows: list[book.Row],
    items: dict[str, News],
    told: dict[str, int],
) -> Parcel:
    states = {row.state for row in rows}
    said = tuple(item for state, item in items.items() if state in states)
    return Parcel(
        id=parcel_id(subscription.id, sorted(states)),
        subscription=subscription,
        news=said,
        told={one.incident.id: told.get(one.incident.id, -1) for one in said},
    )


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
