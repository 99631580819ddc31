"""The tables of the stream, and the way between their rows and Observations, Rollups, Notices.

A batch is stored in the caller's transaction: observations whose id is known stay as they are,
and only those that really went in are added to the sums. So a batch that is written twice, as
after a kill between the database's commit and the journal's, is counted once; and replicas on one
PostgreSQL add to the same sums without losing any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    MetaData,
    Table,
    Text,
    case,
    delete,
    func,
    or_,
    select,
)

from outlast.nouns import Notice, Observation, Outcome, Scope
from outlast.observatory.rollups import Rollup, roll_up
from outlast.store.dialects import insert_ignore, upsert
from outlast.store.texts import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

NAME_LIMIT = 300
EVIDENCE_LIMIT = 500
SECONDS_LIMIT = 1e9
PERIODS_LIMIT = 50_000
"""Rows of sums in one answer."""

PAGE_IDS = 200
"""Ids that are looked for at once, always as many: a driver keeps its last statements (SQLite's
128), each as large as what it asks for, and one size makes one statement."""
STREAM_LOCK = 0x6F757473
"""Who adds to the stream on PostgreSQL holds this, and the schema: "outs" in ASCII."""

metadata = MetaData()

observations = Table(
    "observations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("source", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("latency_s", Double, nullable=False),
    Column("weight", Double, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("network", Text, nullable=False),
    Column("reporter", Text, nullable=False),
    Column("symptom", Text, nullable=False),
)

rollups = Table(
    "rollups",
    metadata,
    Column("period", Text, primary_key=True),
    Column("start_at", BigInteger, primary_key=True),
    Column("component", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("weight", Double, nullable=False),
    Column("latency_sum_s", Double, nullable=False),
    Column("latency_max_s", Double, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("provider", Text, nullable=False),
    Column("feed", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("fetched_at", Double, nullable=False),
    Column("body", Text, nullable=False),
)


def cleaned(observation: Observation) -> Observation:
    """The same, within limits and storable: bounded texts, valid UTF-8, sane numbers."""
    return msgspec.structs.replace(
        observation,
        id=storable(observation.id, NAME_LIMIT),
        source=storable(observation.source, NAME_LIMIT),
        component=storable(observation.component, NAME_LIMIT),
        latency_s=min(max(observation.latency_s, 0.0), SECONDS_LIMIT),
        weight=min(max(observation.weight, 0.0), SECONDS_LIMIT),
        evidence=storable(observation.evidence, EVIDENCE_LIMIT),
        upstream=storable(observation.upstream, NAME_LIMIT),
        region=storable(observation.region, NAME_LIMIT),
        network=storable(observation.network, NAME_LIMIT),
        reporter=storable(observation.reporter, NAME_LIMIT),
        symptom=storable(observation.symptom, NAME_LIMIT),
    )


def insert(connection: Connection, items: Iterable[Observation | Notice]) -> None:
    """Store a batch of the stream; again is harmless. See the module."""
    items = list(items)
    insert_observations(connection, [one for one in items if isinstance(one, Observation)])
    for one in items:
        if isinstance(one, Notice):
            insert_notice(connection, one)


def insert_observations(connection: Connection, items: Sequence[Observation]) -> int:
    """Store those that are new, with their sums, and return how many were."""
    by_id: dict[str, Observation] = {}
    for one in items:
        safe = cleaned(one)
        by_id.setdefault(safe.id, safe)
    if not by_id:
        return 0
    _take_turns(connection)
    known = _known(connection, list(by_id))
    new = [one for one in by_id.values() if one.id not in known]
    if new:
        rows = [_observation_row(one) for one in new]
        connection.execute(insert_ignore(connection, observations), rows)
        add_rollups(connection, roll_up(new))
    return len(new)


def _take_turns(connection: Connection) -> None:
    """Let nobody else add until this transaction ends: what is not there now will not be there
    when it is inserted. SQLite has one writer anyway.

    (Asking the INSERT itself what went in, with RETURNING, costs three times as much there.)
    """
    if connection.dialect.name == "postgresql":
        schema = func.hashtext(func.current_schema())
        connection.execute(select(func.pg_advisory_xact_lock(STREAM_LOCK, schema)))


def _known(connection: Connection, ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(ids), PAGE_IDS):
        page = list(ids[start : start + PAGE_IDS])
        page += page[-1:] * (PAGE_IDS - len(page))
        found = connection.execute(select(observations.c.id).where(observations.c.id.in_(page)))
        known.update(found.scalars())
    return known


def add_rollups(connection: Connection, sums: Sequence[Rollup]) -> None:
    """Add to the sums that are there."""
    adding = upsert(connection, rollups)
    new, old = adding.excluded, rollups.c
    longer = case((new.latency_max_s > old.latency_max_s, new.latency_max_s))
    adding = adding.on_conflict_do_update(
        index_elements=list(rollups.primary_key.columns),
        set_={
            "count": old.count + new["count"],
            "weight": old.weight + new.weight,
            "latency_sum_s": old.latency_sum_s + new.latency_sum_s,
            "latency_max_s": func.coalesce(longer, old.latency_max_s),
        },
    )
    connection.execute(adding, [msgspec.structs.asdict(one) for one in sums])


def select_recent(
    connection: Connection,
    since_at: float,
    until_at: float,
    component: str | None,
    source: str | None,
    limit: int,
) -> list[Observation]:
    """The newest of a time span, up to `limit`, oldest first."""
    query = select(observations).where(
        observations.c.at >= since_at,
        observations.c.at < until_at,
        *_filters(observations, component, source),
    )
    query = query.order_by(observations.c.at.desc(), observations.c.id.desc()).limit(limit)
    rows = connection.execute(query).all()
    return [_observation(row) for row in reversed(rows)]


def select_span(connection: Connection) -> tuple[float, float] | None:
    first, last = connection.execute(
        select(
            select(func.min(observations.c.at)).scalar_subquery(),
            select(func.max(observations.c.at)).scalar_subquery(),
        )
    ).one()
    return None if first is None else (first, last)


def select_components(connection: Connection, since_at: float) -> list[str]:
    """Names of what was observed since then, by the sums of days."""
    query = (
        select(rollups.c.component)
        .where(rollups.c.period == "day", rollups.c.start_at >= int(since_at // 86_400) * 86_400)
        .distinct()
        .order_by(rollups.c.component)
        .limit(PERIODS_LIMIT)
    )
    return list(connection.execute(query).scalars())


def select_counts(
    connection: Connection,
    period: str,
    start_at: float,
    end_at: float,
    component: str | None,
    source: str | None,
) -> list[Rollup]:
    """Sums whose period begins in the span, oldest first; the newest PERIODS_LIMIT of them."""
    key = (rollups.c.start_at, rollups.c.component, rollups.c.source, rollups.c.outcome)
    query = (
        select(rollups)
        .where(*_span(period, start_at, end_at), *_filters(rollups, component, source))
        .order_by(*(column.desc() for column in key))
        .limit(PERIODS_LIMIT)
    )
    rows = connection.execute(query).all()
    return [Rollup(*row) for row in reversed(rows)]


def select_days(
    connection: Connection, component: str, start_at: float, end_at: float
) -> list[Rollup]:
    """A component and its parts together, by day, source and outcome, oldest first."""
    c = rollups.c
    query = (
        select(
            c.start_at,
            c.source,
            c.outcome,
            func.sum(c.count),
            func.sum(c.weight),
            func.sum(c.latency_sum_s),
            func.max(c.latency_max_s),
        )
        .where(*_span("day", start_at, end_at), *_filters(rollups, component, None))
        .group_by(c.start_at, c.source, c.outcome)
        .order_by(c.start_at, c.source, c.outcome)
    )
    return [
        Rollup("day", start, component, source, outcome, int(count), *sums)
        for start, source, outcome, count, *sums in connection.execute(query)
    ]


def _span(period: str, start_at: float, end_at: float) -> tuple[ColumnElement[bool], ...]:
    c = rollups.c
    return (c.period == period, c.start_at >= int(start_at), c.start_at < int(end_at))


def _filters(
    table: Table, component: str | None, source: str | None
) -> Iterable[ColumnElement[bool]]:
    if component is not None:
        # A component's parts are below it (`/model`) and beside it (`@region`).
        name, component = table.c.component, storable(component, NAME_LIMIT)
        start = func.substr(name, 1, len(component) + 1)
        yield or_(name == component, start == f"{component}/", start == f"{component}@")
    if source is not None:
        yield table.c.source == storable(source, NAME_LIMIT)


def delete_observations(connection: Connection, before_at: float, limit: int) -> int:
    """Delete up to `limit` observations of before then; their sums stay."""
    old = select(observations.c.id).where(observations.c.at < before_at)
    old = old.order_by(observations.c.at).limit(limit)
    return connection.execute(delete(observations).where(observations.c.id.in_(old))).rowcount


def delete_rollups(connection: Connection, period: str, before_at: float, limit: int) -> int:
    """Delete the oldest sums of before then: `limit` of them, and the rest of their period."""
    old = rollups.c.period == period, rollups.c.start_at < int(before_at)
    oldest = select(rollups.c.start_at).where(*old).order_by(rollups.c.start_at).limit(limit)
    last = select(func.max(oldest.subquery().c.start_at)).scalar_subquery()
    gone = delete(rollups).where(rollups.c.period == period, rollups.c.start_at <= last)
    return connection.execute(gone).rowcount


def delete_notices(connection: Connection, before_at: float, limit: int) -> int:
    """Delete the oldest versions of before then: `limit` of them, and what came with the last."""
    oldest = select(notices.c.fetched_at).where(notices.c.fetched_at < before_at)
    oldest = oldest.order_by(notices.c.fetched_at).limit(limit)
    last = select(func.max(oldest.subquery().c.fetched_at)).scalar_subquery()
    return connection.execute(delete(notices).where(notices.c.fetched_at <= last)).rowcount


def insert_notice(connection: Connection, notice: Notice) -> bool:
    """Store a version, unless it says what the one before it said. Whether it was stored.

    A page that goes back to what it said earlier has changed all the same: that version gets a
    row of its own, marked with its time.
    """
    version = storable(notice.version, NAME_LIMIT)
    if latest_version(connection, notice.feed, notice.id, notice.fetched_at) == version:
        return False
    row = {
        "provider": storable(notice.provider, NAME_LIMIT),
        "feed": storable(notice.feed, NAME_LIMIT),
        "id": storable(notice.id, NAME_LIMIT),
        "version": version,
        "fetched_at": notice.fetched_at,
        "body": msgspec.json.encode(notice).decode(),
    }
    adding = insert_ignore(connection, notices).returning(notices.c.id)
    if connection.execute(adding, row).first() is None:
        row["version"] = f"{version}@{notice.fetched_at!r}"
        return connection.execute(adding, row).first() is not None
    return True


def latest_version(
    connection: Connection, feed: str, ident: str, until_at: float | None = None
) -> str | None:
    """The version that a notice had at that time (None: now); None: it was not known."""
    query = select(notices.c.version).where(*_is_notice(feed, ident))
    if until_at is not None:
        query = query.where(notices.c.fetched_at <= until_at)
    newest = query.order_by(notices.c.fetched_at.desc(), notices.c.version.desc()).limit(1)
    found = connection.execute(newest).scalar()
    return None if found is None else str(found).partition("@")[0]


def select_versions(connection: Connection, feed: str, ident: str, limit: int) -> list[Notice]:
    """The newest versions of a notice, oldest first."""
    query = select(notices.c.body).where(*_is_notice(feed, ident))
    query = query.order_by(notices.c.fetched_at.desc(), notices.c.version.desc()).limit(limit)
    return [_notice(body) for body in reversed(connection.execute(query).scalars().all())]


def select_notices(
    connection: Connection, provider: str | None, since_at: float, limit: int
) -> list[Notice]:
    """The latest version of each notice that changed since then, oldest first."""
    later = notices.alias()
    superseded = (
        select(later.c.id)
        .where(
            later.c.feed == notices.c.feed,
            later.c.id == notices.c.id,
            or_(
                later.c.fetched_at > notices.c.fetched_at,
                (later.c.fetched_at == notices.c.fetched_at)
                & (later.c.version > notices.c.version),
            ),
        )
        .exists()
    )
    query = select(notices.c.body).where(notices.c.fetched_at >= since_at, ~superseded)
    if provider is not None:
        query = query.where(notices.c.provider == storable(provider, NAME_LIMIT))
    query = query.order_by(notices.c.fetched_at.desc(), notices.c.feed, notices.c.id).limit(limit)
    return [_notice(body) for body in reversed(connection.execute(query).scalars().all())]


def _is_notice(feed: str, ident: str) -> tuple[ColumnElement[bool], ...]:
    c = notices.c
    return c.feed == storable(feed, NAME_LIMIT), c.id == storable(ident, NAME_LIMIT)


def _notice(body: str) -> Notice:
    return msgspec.json.decode(body, type=Notice)


def _observation_row(one: Observation) -> dict[str, Any]:
    row = msgspec.structs.asdict(one)
    row["outcome"], row["scope"] = one.outcome.value, one.scope.value
    return row


def _observation(row: Row[Any]) -> Observation:
    named = dict(row._mapping)
    named["outcome"], named["scope"] = Outcome(named["outcome"]), Scope(named["scope"])
    return Observation(**named)
