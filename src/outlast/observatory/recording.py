"""What the service has observed, as a record that a replay reads: one JSON object a line.

The database has every observation of its retention and every version of each notice. It does not
have a vendor's marks by themselves (a version of a notice carries those of its components), nor
when a page was read and said nothing new: that is taken to be so every quarter of an hour.
"""

from __future__ import annotations

from functools import partial
from typing import IO

import msgspec
from sqlalchemy import Connection

from outlast.nouns import Notice, Observation
from outlast.observatory import history_tables as tables
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.replaying import Reread
from outlast.store.database import Database

SPAN_S = 600.0
SPAN_MIN_S = 1.0
READ_MAX = 50_000
NOTICES_MAX = 20_000
VERSIONS_MAX = 1000
REREAD_S = 900.0
AT_MAX = 1e11
"""Seconds since the epoch: later than anything that happened."""


class Recorded(msgspec.Struct):
    """How much was written."""

    observations: int = 0
    notices: int = 0


async def record(
    database: Database, out: IO[bytes], since_at: float, until_at: float | None
) -> Recorded:
    """Write what was observed from `since_at` up to `until_at`, in order of time.

    Raises DatabaseUnavailable, OSError.
    """
    done = Recorded()
    encode = msgspec.json.Encoder().encode
    span = await database.read(tables.select_span)
    pages = await _pages(database, since_at, until_at)
    done.notices = len(pages)
    at = max(since_at, span[0]) if span is not None else 0.0
    end = at if span is None else min(until_at if until_at is not None else AT_MAX, span[1] + 1.0)
    steps = iter(_with_rereads(pages, end))
    step = next(steps, None)
    while at < end:
        found, at = await _some(database, at, end)
        for one in found:
            while step is not None and step[0] <= one.at:
                out.write(encode(_line(*step)) + b"\n")
                step = next(steps, None)
            out.write(encode({"at": one.at, "observation": one}) + b"\n")
        done.observations += len(found)
    while step is not None:
        out.write(encode(_line(*step)) + b"\n")
        step = next(steps, None)
    return done


def _line(at: float, what: FeedPage | Reread) -> dict[str, object]:
    return {"at": at, "page" if isinstance(what, FeedPage) else "reread": what}


async def _some(database: Database, at: float, end: float) -> tuple[list[Observation], float]:
    """The observations from `at` on, and until when: a shorter span where there are too many."""
    span_s = SPAN_S
    while True:
        until = min(end, at + span_s)
        found = await database.read(partial(_select, since_at=at, until_at=until))
        if len(found) < READ_MAX or span_s <= SPAN_MIN_S:
            return found, until
        span_s /= 4


def _select(connection: Connection, since_at: float, until_at: float) -> list[Observation]:
    return tables.select_recent(connection, since_at, until_at, None, None, READ_MAX)


async def _pages(database: Database, since_at: float, until_at: float | None) -> list[FeedPage]:
    """Every version of every notice that was read in the span, as a page that lists it alone."""
    latest = await database.read(partial(_latest, since_at=since_at))
    found: list[Notice] = []
    for notice in latest:
        found += await database.read(partial(_versions, feed=notice.feed, ident=notice.id))
    until = AT_MAX if until_at is None else until_at
    kept = [one for one in found if since_at <= one.fetched_at < until]
    return [_page(one) for one in sorted(kept, key=lambda one: one.fetched_at)]


def _latest(connection: Connection, since_at: float) -> list[Notice]:
    return tables.select_notices(connection, None, since_at, NOTICES_MAX)


def _versions(connection: Connection, feed: str, ident: str) -> list[Notice]:
    return tables.select_versions(connection, feed, ident, VERSIONS_MAX)


def _page(notice: Notice) -> FeedPage:
    return FeedPage(
        provider=notice.provider,
        feed=notice.feed,
        format="record",
        fetched_at=notice.fetched_at,
        notices=(notice,),
    )


def _with_rereads(pages: list[FeedPage], end: float) -> list[tuple[float, FeedPage | Reread]]:
    """Pages, and between them the looks that found nothing new, which nobody has written down."""
    steps: list[tuple[float, FeedPage | Reread]] = [(one.fetched_at, one) for one in pages]
    for provider in sorted({one.provider for one in pages}):
        at = min(one.fetched_at for one in pages if one.provider == provider) + REREAD_S
        while at < end:
            steps.append((at, Reread(provider)))
            at += REREAD_S
    return sorted(steps, key=lambda step: step[0])
