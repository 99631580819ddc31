"""Subscriptions in the database: asked for, confirmed, ended. What ends is deleted, not kept."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import structlog
from sqlalchemy import Column, Double, MetaData, Table, Text, delete, func, insert, select, update

from outlast.observatory import delivery_tables as book
from outlast.observatory.subscribing import Channel, Subscription, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from sqlalchemy import RowMapping
    from sqlalchemy.engine import Connection

log = structlog.get_logger(__name__)

LIVING_MAX = 100_000
PENDING_MAX = 5_000
"""Unconfirmed at once, all together; a flood of them must not fill the table."""
PENDING_NETWORK_MAX = 50
PENDING_AROUND_MAX = 500
"""Unconfirmed of one network (IPv4 /24, IPv6 /48), and of all around it (/16, /32): no sender
takes the places of all others."""
PENDING_EACH_MAX = 3
"""Unconfirmed for one address: so many mails a day can strangers cause in a mailbox."""
ASK_AGAIN_S = 24 * 3600.0

metadata = MetaData()

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("confirmed_at", Double),
    Column("body", Text, nullable=False),
    Column("keys", Text, nullable=False),
    Column("asked_from", Text, nullable=False),
)


class Full(StrEnum):
    """Of what there is too much."""

    ADDRESS = "address"
    NETWORK = "network"
    ALL = "all"


class TooManySubscriptions(Exception):
    """No more are taken now, from this address, this network or anybody."""

    def __init__(self, full: Full) -> None:
        super().__init__("There are too many subscriptions.")
        self.full = full


def ask(connection: Connection, subscription: Subscription, now: float) -> None:
    """Keep an unconfirmed subscription, and have its address asked. Raises TooManySubscriptions."""
    pending = select(func.count()).where(subscriptions.c.confirmed_at.is_(None))
    own = pending.where(
        subscriptions.c.kind == subscription.kind.value,
        subscriptions.c.target == subscription.target,
        subscriptions.c.created_at > now - ASK_AGAIN_S,
    )
    if connection.execute(own).scalar_one() >= PENDING_EACH_MAX:
        raise TooManySubscriptions(Full.ADDRESS)
    if subscription.asked_from and _is_networks_share_used(connection, subscription.asked_from):
        raise TooManySubscriptions(Full.NETWORK)
    living = select(func.count()).where(subscriptions.c.confirmed_at.is_not(None))
    if (
        connection.execute(pending).scalar_one() >= PENDING_MAX
        or connection.execute(living).scalar_one() >= LIVING_MAX
    ):
        raise TooManySubscriptions(Full.ALL)
    connection.execute(
        insert(subscriptions).values(
            id=subscription.id,
            kind=subscription.kind.value,
            target=subscription.target,
            created_at=subscription.created_at,
            confirmed_at=None,
            body=msgspec.json.encode(subscription.wanted).decode(),
            keys=subscription.keys,
            asked_from=subscription.asked_from,
        )
    )
    book.ask_to_confirm(connection, subscription.id, now)


def _is_networks_share_used(connection: Connection, asked_from: str) -> bool:
    column = subscriptions.c.asked_from
    # The index holds what is not empty alone: those that are unconfirmed.
    found = select(func.count()).where(column != "")
    of_it = connection.execute(found.where(column == asked_from)).scalar_one()
    around = asked_from.partition(".")[0]
    beside = found.where(column.startswith(f"{around}.", autoescape=True))
    return bool(
        of_it >= PENDING_NETWORK_MAX
        or connection.execute(beside).scalar_one() >= PENDING_AROUND_MAX
    )


def kinds(connection: Connection) -> list[Channel]:
    """On which ways there is anybody to tell."""
    found = connection.execute(select(subscriptions.c.kind).distinct()).scalars()
    return [kind for kind in Channel if kind.value in set(found)]


def find(connection: Connection, subscription_id: str) -> Subscription | None:
    row = (
        connection.execute(select(subscriptions).where(subscriptions.c.id == subscription_id))
        .mappings()
        .one_or_none()
    )
    return from_row(row) if row is not None else None


def find_all(connection: Connection, subscription_ids: list[str]) -> dict[str, Subscription]:
    found = connection.execute(
        select(subscriptions).where(subscriptions.c.id.in_(subscription_ids))
    )
    return {one.id: one for one in read(found.mappings())}


def read(rows: Iterable[RowMapping]) -> list[Subscription]:
    """Subscriptions of rows. What cannot be read is left out, so that it holds up nobody else."""
    out = []
    for row in rows:
        try:
            out.append(from_row(row))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            log.warning("subscription_cannot_be_read", id=row["id"], reason=type(error).__name__)
    return out


def confirm(connection: Connection, subscription_id: str, now: float) -> Subscription | None:
    """Make a subscription count; None where it is not there (used, ended or forgotten).

    Where its address has a living one already, an e-mail address's owner has spoken: the living
    one takes the new wishes and keeps its name, so that what it has been told stays known. A
    webhook's answer says less (any endpoint says yes), so there the living one stays as it is; and
    so does a browser, which gives up its former address before it asks again.

    Two confirmations of one address at the same moment: one of them raises IntegrityError.
    """
    found = connection.execute(
        select(subscriptions).where(subscriptions.c.id == subscription_id).with_for_update()
    )
    row = found.mappings().one_or_none()
    if row is None:
        return None
    asked = from_row(row)
    if asked.confirmed_at is not None:
        return asked
    other = (
        connection.execute(
            select(subscriptions).where(
                subscriptions.c.kind == asked.kind.value,
                subscriptions.c.target == asked.target,
                subscriptions.c.confirmed_at.is_not(None),
            )
        )
        .mappings()
        .one_or_none()
    )
    if other is None:
        connection.execute(
            update(subscriptions)
            .where(subscriptions.c.id == subscription_id)
            .values(confirmed_at=now, asked_from="")
        )
        return msgspec.structs.replace(asked, confirmed_at=now, asked_from="")
    remove(connection, subscription_id)
    if asked.kind is not Channel.EMAIL:
        return None
    connection.execute(
        update(subscriptions)
        .where(subscriptions.c.id == other["id"])
        .values(body=msgspec.json.encode(asked.wanted).decode())
    )
    return msgspec.structs.replace(from_row(other), wanted=asked.wanted)


def change(connection: Connection, subscription_id: str, wanted: Wanted) -> Subscription | None:
    """Let a subscription want something else; None where it is not there. What waits already
    leaves when it would have."""
    done = connection.execute(
        update(subscriptions)
        .where(subscriptions.c.id == subscription_id)
        .values(body=msgspec.json.encode(wanted).decode())
    )
    return find(connection, subscription_id) if done.rowcount else None


def remove(connection: Connection, subscription_id: str) -> bool:
    """Forget a subscription, its address and all that was noted of it. Whether it was there."""
    book.forget(connection, subscription_id)
    done = connection.execute(delete(subscriptions).where(subscriptions.c.id == subscription_id))
    return done.rowcount > 0


def forget_unconfirmed(connection: Connection, before: float) -> int:
    """Delete what nobody has confirmed since."""
    ids = connection.execute(
        select(subscriptions.c.id)
        .where(subscriptions.c.confirmed_at.is_(None), subscriptions.c.created_at < before)
        .limit(500)
    ).scalars()
    return sum(remove(connection, one) for one in list(ids))


def from_row(row: RowMapping | dict[str, Any]) -> Subscription:
    return Subscription(
        id=row["id"],
        kind=Channel(row["kind"]),
        target=row["target"],
        created_at=row["created_at"],
        confirmed_at=row["confirmed_at"],
        wanted=msgspec.json.decode(row["body"], type=Wanted),
        keys=row["keys"],
        asked_from=row["asked_from"],
    )
