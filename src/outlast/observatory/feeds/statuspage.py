"""Atlassian Statuspage's public JSON, version 2: summary, incidents and the others. Pure.

Shapes as real pages send them (anthropic.statuspage.io and others, autumn 2026). One parser reads
all documents, because each is a part of the summary's shape. Resolved incidents stand in
`incidents.json` alone; what the summary no longer lists is not thereby resolved.
"""

from __future__ import annotations

from outlast.nouns import Notice, NoticeUpdate, Status
from outlast.observatory.feeds.reading import (
    COMPONENTS_LIMIT,
    ENDED,
    INCIDENT_STAGES,
    MAINTENANCE_STAGES,
    NOTICES_LIMIT,
    UPDATES_LIMIT,
    FeedPage,
    Reading,
    decode,
    expect_object,
    id_of,
    in_order,
    name_of,
    objects,
    over,
    sealed,
    status_of,
    text_of,
    time_of,
    url_of,
    words,
)

STATUSES = {status.value: status for status in Status} | {
    "full_outage": Status.MAJOR,
    "maintenance": Status.MAINTENANCE,
}
"""Statuspage's words, and incident.io's for the worst."""
INDICATORS = frozenset({"none", "minor", "major", "critical", "maintenance"})
IMPACTS = frozenset({"none", "minor", "major", "critical"})
PARTS = ("incidents", "components", "scheduled_maintenances", "status")


def parse(body: bytes, provider: str, feed: str, fetched_at: float) -> FeedPage:
    """Read any of the documents. Raises FeedUnreadable."""
    document = expect_object(decode(body, feed), feed, "Statuspage's")
    return read(document, provider, feed, fetched_at, "statuspage")


def read(
    document: dict[str, object], provider: str, feed: str, fetched_at: float, dialect: str
) -> FeedPage:
    """Read a decoded document; incident.io's dialect has the same frame."""
    if not isinstance(document.get("page"), dict) or not any(part in document for part in PARTS):
        expect_object(None, feed, "Statuspage's: it has no page")
    components = _components(document)
    incidents = objects(document, "incidents")
    maintenances = objects(document, "scheduled_maintenances")
    notices = [
        _notice(one, "incident", provider, feed, fetched_at) for one in incidents[:NOTICES_LIMIT]
    ]
    notices += [
        _notice(one, "maintenance", provider, feed, fetched_at)
        for one in maintenances[:NOTICES_LIMIT]
    ]
    notices = [one for one in notices if one.id]
    status = document.get("status")
    indicator = words(status, "indicator").lower()
    return FeedPage(
        provider=provider,
        feed=feed,
        format=dialect,
        fetched_at=fetched_at,
        title=name_of(document.get("page"), "name"),
        # An indicator of tomorrow is trouble, not an all-clear.
        indicator=indicator if indicator in INDICATORS else ("minor" if indicator else ""),
        components=tuple(components[:COMPONENTS_LIMIT]),
        notices=tuple(notices[:NOTICES_LIMIT]),
        covers=_covers(document),
        cut=over(
            (len(incidents) + len(maintenances), NOTICES_LIMIT), (len(components), COMPONENTS_LIMIT)
        ),
    )


def _covers(document: dict[str, object]) -> str:
    """Which notices a document lists: the summary names the page's status, the history does not."""
    if not any(part in document for part in ("incidents", "scheduled_maintenances")):
        return ""
    if "status" in document or "components" in document:
        return "open"
    listed = objects(document, "incidents") + objects(document, "scheduled_maintenances")
    ended = any(words(one, "status") in ENDED for one in listed)
    return "history" if ended else "open"


def _components(document: dict[str, object]) -> list[Reading]:
    found: list[Reading] = []
    for one in objects(document, "components"):
        status = status_of(words(one, "status"), STATUSES)
        # A group repeats the worst of its members under a name of its own.
        if status is None or one.get("group") is True or not name_of(one, "name"):
            continue
        at = time_of(one, "updated_at") or 0.0
        found.append(Reading(name_of(one, "name"), status, id_of(one), at))
    return found


def _notice(
    one: dict[str, object], kind: str, provider: str, feed: str, fetched_at: float
) -> Notice:
    stages = MAINTENANCE_STAGES if kind == "maintenance" else INCIDENT_STAGES
    updates = in_order(
        _update(update, stages) for update in objects(one, "incident_updates")[:UPDATES_LIMIT]
    )
    stage = words(one, "status").lower()
    impact = words(one, "impact").lower()
    first = updates[0].at if updates else 0.0
    resolved_at = time_of(one, "resolved_at", "completed_at")
    if resolved_at is None and stage in ENDED:
        ends = [update.at for update in updates if update.stage in ENDED]
        resolved_at = ends[0] if ends else time_of(one, "updated_at")
    return sealed(
        Notice(
            provider=provider,
            feed=feed,
            id=id_of(one),
            kind=kind,
            title=name_of(one, "name"),
            stage=stage if stage in stages else "",
            impact=impact if impact in IMPACTS else "",
            components=affected(one),
            updates=updates,
            started_at=time_of(one, "started_at", "created_at") or first,
            resolved_at=resolved_at,
            scheduled_for=time_of(one, "scheduled_for"),
            scheduled_until=time_of(one, "scheduled_until"),
            url=url_of(one, "shortlink"),
            fetched_at=fetched_at,
        )
    )


def _update(update: dict[str, object], stages: tuple[str, ...]) -> NoticeUpdate:
    stage = words(update, "status").lower()
    return NoticeUpdate(
        at=time_of(update, "display_at", "created_at") or 0.0,
        stage=stage if stage in stages else "",
        body=text_of(update, "body"),
    )


def affected(one: dict[str, object]) -> tuple[tuple[str, str], ...]:
    """Return an incident's components with the state that its newest update gives them.

    Updates carry the change (`new_status`), the incident's own list the state of now, which is
    the same for open incidents and says nothing about one that is over. Newest update first.
    """
    found: dict[str, str] = {}
    for update in objects(one, "incident_updates")[:UPDATES_LIMIT]:
        for component in objects(update, "affected_components")[:COMPONENTS_LIMIT]:
            status = status_of(words(component, "new_status"), STATUSES)
            name = name_of(component, "name")
            if status is not None and name:
                found.setdefault(name, status.value)
        if len(found) >= COMPONENTS_LIMIT:
            break
    for component in objects(one, "components")[:COMPONENTS_LIMIT]:
        status = status_of(words(component, "status"), STATUSES)
        name = name_of(component, "name")
        if status is not None and name:
            found.setdefault(name, status.value)
    return tuple(sorted(found.items()))[:COMPONENTS_LIMIT]
