"""The tables of incidents, states and claims, and the way between their rows and our nouns.

An incident's row holds all of it but its updates; these have rows of their own, numbered by their
place, that are written once and never changed. The fence is a number in a row: it grows with
every process that takes the watch over, and who still has an older one writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Column, Double, Integer, MetaData, Table, Text, func, select

from outlast.nouns import ComponentState, Incident, Update
from outlast.observatory.case_changes import FENCES, AuditEntry, Snapshot, StoredClaim
from outlast.store.dialects import insert_ignore, upsert
from outlast.store.texts import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Row, Select
    from sqlalchemy.engine import Connection

    from outlast.observatory.case_changes import Changes

NAME_LIMIT = 300
STATES_LIMIT = 10_000
WATCH_FENCE = f"{FENCES}watch"

metadata = MetaData()

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("resolved_at", Double),
    Column("body", Text, nullable=False),
)

updates = Table(
    "incident_updates",
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("body", Text, nullable=False),
)

states = Table(
    "component_states",
    metadata,
    Column("component", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("body", Text, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("id", Text, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("body", Text, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("body", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("body", Text, nullable=False),
)


class Fenced(Exception):
    """Another process has taken the watch over: what we would write is out of date."""


def pass_fence(connection: Connection, token: int | None, holds: Callable[[], bool]) -> int:
    """Return our token if nobody has taken a newer one; without one (None), take the next.

    Raises Fenced. `holds` says whether we still may take it. (The idea of fencing tokens: M.
    Kleppmann, "How to do distributed locking", 2016.)
    """
    first = {"name": WATCH_FENCE, "at": 0.0, "body": "0"}
    connection.execute(insert_ignore(connection, snapshots), first)
    row = select(snapshots.c.body).where(snapshots.c.name == WATCH_FENCE).with_for_update()
    stored = int(connection.execute(row).scalar_one())
    if token is not None:
        if token != stored:
            raise Fenced(f"The watch has moved on: its fence stands at {stored}, ours is {token}.")
        return token
    if not holds():
        raise Fenced("The watch is no longer ours.")
    _replace(connection, snapshots, [first | {"body": str(stored + 1)}])
    return stored + 1


def write(connection: Connection, changes: Changes) -> None:
    """Write a piece. Again is harmless."""
    _replace(connection, incidents, [_incident_row(one) for one in changes.incidents])
    for one in changes.incidents:
        _append_updates(connection, one)
    _replace(
        connection,
        states,
        [
            {"component": _name(one.component), "at": one.at, "body": _json(one)}
            for one in changes.states
        ],
    )
    _replace(
        connection,
        claims,
        [
            {
                "id": _name(one.id),
                "incident_id": _name(one.incident),
                "at": one.at,
                "body": one.body.decode(),
            }
            for one in changes.claims
        ],
    )
    _replace(
        connection,
        snapshots,
        [
            {"name": _name(one.name), "at": one.at, "body": one.body.decode()}
            for one in changes.snapshots
        ],
    )
    entries = [
        {
            "id": _name(one.id),
            "at": one.at,
            "who": _name(one.who),
            "what": _name(one.what),
            "body": one.body.decode(),
        }
        for one in changes.audit
    ]
    if entries:
        connection.execute(insert_ignore(connection, audit), entries)
    for hook in changes.also:
        hook(connection)


def _append_updates(connection: Connection, incident: Incident) -> None:
    ident = _name(incident.id)
    last = select(func.max(updates.c.number)).where(updates.c.incident_id == ident)
    known = connection.execute(last).scalar()
    start = 0 if known is None else known + 1
    rows = [
        {"incident_id": ident, "number": number, "at": one.at, "body": _json(one)}
        for number, one in enumerate(incident.updates[start:], start)
    ]
    if rows:
        connection.execute(insert_ignore(connection, updates), rows)


def _replace(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or put them in the place of those with the same key."""
    if not rows:
        return
    adding = upsert(connection, table)
    key = list(table.primary_key.columns)
    fresh = {one.name: adding.excluded[one.name] for one in table.columns if one not in key}
    adding = adding.on_conflict_do_update(index_elements=key, set_=fresh)
    connection.execute(adding, list(rows))


def select_open(connection: Connection) -> list[Incident]:
    """Incidents that have not ended, oldest first."""
    query = select(incidents).where(incidents.c.resolved_at.is_(None))
    return _load(connection, query.order_by(incidents.c.opened_at, incidents.c.id))


def select_incident(connection: Connection, ident: str) -> Incident | None:
    found = _load(connection, select(incidents).where(incidents.c.id == _name(ident)))
    return found[0] if found else None


def select_incidents(
    connection: Connection, before_at: float, limit: int, provider: str | None
) -> list[Incident]:
    """Those opened before then, newest first."""
    query = select(incidents).where(incidents.c.opened_at < before_at)
    if provider is not None:
        query = query.where(incidents.c.provider == _name(provider))
    newest = query.order_by(incidents.c.opened_at.desc(), incidents.c.id.desc())
    return _load(connection, newest.limit(limit))


def _load(connection: Connection, query: Select[Any]) -> list[Incident]:
    rows = connection.execute(query).all()
    if not rows:
        return []
    said: dict[str, list[Update]] = {}
    entries = connection.execute(
        select(updates.c.incident_id, updates.c.body)
        .where(updates.c.incident_id.in_([row.id for row in rows]))
        .order_by(updates.c.incident_id, updates.c.number)
    )
    for ident, body in entries:
        said.setdefault(ident, []).append(msgspec.json.decode(body, type=Update))
    return [_incident(row, said.get(row.id, [])) for row in rows]


def _incident(row: Row[Any], history: Sequence[Update]) -> Incident:
    incident = msgspec.json.decode(row.body, type=Incident)
    return msgspec.structs.replace(incident, updates=tuple(history))


def select_states(connection: Connection) -> list[ComponentState]:
    query = select(states.c.body).order_by(states.c.component).limit(STATES_LIMIT)
    bodies = connection.execute(query).scalars()
    return [msgspec.json.decode(body, type=ComponentState) for body in bodies]


def select_claims(connection: Connection, incident: str | None, limit: int) -> list[StoredClaim]:
    """The newest, oldest first."""
    query = select(claims)
    if incident is not None:
        query = query.where(claims.c.incident_id == _name(incident))
    rows = connection.execute(query.order_by(claims.c.at.desc(), claims.c.id).limit(limit)).all()
    return [StoredClaim(r.id, r.incident_id, r.at, r.body.encode()) for r in reversed(rows)]


def select_snapshot(connection: Connection, name: str) -> Snapshot | None:
    row = connection.execute(select(snapshots).where(snapshots.c.name == _name(name))).first()
    return None if row is None else Snapshot(row.name, row.at, row.body.encode())


def select_snapshots(connection: Connection, prefix: str, limit: int) -> list[Snapshot]:
    """The newest of those whose names begin so, oldest first."""
    start = _name(prefix)
    # Not LIKE: SQLite's has no regard to case.
    query = select(snapshots).where(func.substr(snapshots.c.name, 1, len(start)) == start)
    newest = query.order_by(snapshots.c.at.desc(), snapshots.c.name.desc()).limit(limit)
    rows = connection.execute(newest).all()
    return [Snapshot(row.name, row.at, row.body.encode()) for row in reversed(rows)]


def select_audit(connection: Connection, limit: int, before_at: float) -> list[AuditEntry]:
    """Those before then, the newest first."""
    query = select(audit).where(audit.c.at < before_at)
    newest = query.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
    rows = connection.execute(newest)
    return [AuditEntry(r.id, r.at, r.who, r.what, r.body.encode()) for r in rows]


def _incident_row(incident: Incident) -> dict[str, Any]:
    return {
        "id": _name(incident.id),
        "provider": _name(incident.provider),
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "body": _json(msgspec.structs.replace(incident, updates=())),
    }


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()


def _name(value: str) -> str:
    return storable(value, NAME_LIMIT)
