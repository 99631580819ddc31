"""Instatus: `/summary.json` (what is open now) and `/v2/components.json`. Pure.

The summary has no updates and no components of an incident. Its times are RFC 3339 on some pages
and JavaScript's `Date` as text on others.
"""

from __future__ import annotations

from outlast.nouns import Notice, Status
from outlast.observatory.feeds.reading import (
    COMPONENTS_LIMIT,
    INCIDENT_STAGES,
    NOTICES_LIMIT,
    FeedPage,
    Reading,
    child,
    decode,
    expect_object,
    id_of,
    name_of,
    objects,
    over,
    sealed,
    status_of,
    time_of,
    url_of,
    words,
)

_STATUSES = {
    "operational": Status.OPERATIONAL,
    "undermaintenance": Status.MAINTENANCE,
    "degradedperformance": Status.DEGRADED,
    "minoroutage": Status.DEGRADED,
    "partialoutage": Status.PARTIAL,
    "majoroutage": Status.MAJOR,
}
_INDICATORS = {"UP": "none", "HASISSUES": "minor", "UNDERMAINTENANCE": "maintenance"}
_IMPACTS = {
    Status.OPERATIONAL: "none",
    Status.DEGRADED: "minor",
    Status.PARTIAL: "major",
    Status.MAJOR: "critical",
}
_MAINTENANCES = {
    "NOTSTARTEDYET": "scheduled",
    "INPROGRESS": "in_progress",
    "VERIFYING": "verifying",
    "COMPLETED": "completed",
}


def parse(body: bytes, provider: str, feed: str, fetched_at: float) -> FeedPage:
    """Read the summary or the components. Raises FeedUnreadable."""
    document = expect_object(decode(body, feed), feed, "Instatus's")
    page = child(document, "page")
    if not words(page, "status") and "components" not in document:
        expect_object(None, feed, "Instatus's: it has neither a page nor components")
    incidents = objects(document, "activeIncidents")
    maintenances = objects(document, "activeMaintenances")
    maintenances += objects(document, "scheduledMaintenances")
    notices = [_incident(one, provider, feed, fetched_at) for one in incidents[:NOTICES_LIMIT]]
    notices += [
        _maintenance(one, provider, feed, fetched_at) for one in maintenances[:NOTICES_LIMIT]
    ]
    notices = [one for one in notices if one.id]
    components = _components(document)
    indicator = words(page, "status").upper()
    return FeedPage(
        provider=provider,
        feed=feed,
        format="instatus",
        fetched_at=fetched_at,
        title=name_of(page, "name"),
        indicator=_INDICATORS.get(indicator, "minor" if indicator else ""),
        components=tuple(components[:COMPONENTS_LIMIT]),
        notices=tuple(notices[:NOTICES_LIMIT]),
        covers="open" if indicator else "",
        cut=over(
            (len(incidents) + len(maintenances), NOTICES_LIMIT), (len(components), COMPONENTS_LIMIT)
        ),
    )


def _components(document: dict[str, object]) -> list[Reading]:
    found: list[Reading] = []
    for one in objects(document, "components"):
        status = status_of(words(one, "status"), _STATUSES)
        if status is not None and name_of(one, "name"):
            found.append(Reading(name_of(one, "name"), status, id_of(one)))
    return found


def _incident(one: dict[str, object], provider: str, feed: str, fetched_at: float) -> Notice:
    stage = words(one, "status").lower()
    status = status_of(words(one, "impact"), _STATUSES)
    return sealed(
        Notice(
            provider=provider,
            feed=feed,
            id=_id(one),
            kind="incident",
            title=name_of(one, "name"),
            stage=stage if stage in INCIDENT_STAGES else "",
            impact=_IMPACTS.get(status, "") if status is not None else "",
            started_at=time_of(one, "started", "updatedAt") or 0.0,
            url=url_of(one, "url"),
            fetched_at=fetched_at,
        )
    )


def _maintenance(one: dict[str, object], provider: str, feed: str, fetched_at: float) -> Notice:
    start = time_of(one, "start")
    minutes = words(one, "duration").strip()
    length_s = (
        int(minutes) * 60 if minutes.isascii() and minutes.isdigit() and len(minutes) < 6 else 0
    )
    return sealed(
        Notice(
            provider=provider,
            feed=feed,
            id=_id(one),
            kind="maintenance",
            title=name_of(one, "name"),
            stage=_MAINTENANCES.get(words(one, "status").upper(), ""),
            started_at=start or 0.0,
            scheduled_for=start,
            scheduled_until=start + length_s if start is not None and length_s else None,
            url=url_of(one, "url"),
            fetched_at=fetched_at,
        )
    )


def _id(one: dict[str, object]) -> str:
    """The id; where the page gives none, the last part of the address, which holds it."""
    return id_of(one) or url_of(one, "url").rstrip("/").rpartition("/")[2][:200]
