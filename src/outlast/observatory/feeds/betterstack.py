"""Better Stack: `/index.json`, a JSON:API document with resources, reports and updates. Pure.

Documented at betterstack.com/docs/uptime/status-pages (read 2026-11): `aggregate_state` is
operational, degraded, downtime or maintenance; a resource may also be `not_monitored`, which is
no reading at all. A report has no stage: it is over when `ends_at` has passed.
"""

from __future__ import annotations

from outlast.nouns import Notice, NoticeUpdate, Status
from outlast.observatory.feeds.reading import (
    COMPONENTS_LIMIT,
    NOTICES_LIMIT,
    UPDATES_LIMIT,
    FeedPage,
    Reading,
    child,
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
    words,
    worst,
)

_STATUSES = {
    "operational": Status.OPERATIONAL,
    "resolved": Status.OPERATIONAL,
    "degraded": Status.DEGRADED,
    "downtime": Status.MAJOR,
    "maintenance": Status.MAINTENANCE,
}
_INDICATORS = {
    "operational": "none",
    "degraded": "minor",
    "downtime": "major",
    "maintenance": "maintenance",
}
_IMPACTS = {Status.DEGRADED: "minor", Status.PARTIAL: "major", Status.MAJOR: "critical"}


def parse(body: bytes, provider: str, feed: str, fetched_at: float) -> FeedPage:
    """Read the document. Raises FeedUnreadable."""
    document = expect_object(decode(body, feed), feed, "Better Stack's")
    page = child(document, "data")
    if words(page, "type") != "status_page":
        expect_object(None, feed, "Better Stack's: it holds no status page")
    attributes = child(page, "attributes")
    included = objects(document, "included")
    names = {
        id_of(one): name_of(child(one, "attributes"), "public_name")
        for one in included
        if words(one, "type") == "status_page_resource"
    }
    updates = _updates(included)
    reports = [one for one in included if words(one, "type") == "status_report"]
    notices = [
        _notice(one, names, updates.get(id_of(one), []), (provider, feed, fetched_at))
        for one in reports[:NOTICES_LIMIT]
        if id_of(one)
    ]
    components = _components(included)
    state = words(attributes, "aggregate_state").lower()
    return FeedPage(
        provider=provider,
        feed=feed,
        format="betterstack",
        fetched_at=fetched_at,
        title=name_of(attributes, "company_name"),
        indicator=_INDICATORS.get(state, "minor" if state else ""),
        components=tuple(components[:COMPONENTS_LIMIT]),
        notices=tuple(notices[:NOTICES_LIMIT]),
        covers="history",
        cut=over((len(reports), NOTICES_LIMIT), (len(components), COMPONENTS_LIMIT)),
    )


def _components(included: list[dict[str, object]]) -> list[Reading]:
    found: list[Reading] = []
    for one in included:
        attributes = child(one, "attributes")
        status = status_of(words(attributes, "status"), _STATUSES)
        name = name_of(attributes, "public_name")
        if words(one, "type") == "status_page_resource" and status is not None and name:
            found.append(Reading(name, status, id_of(one)))
    return found


def _updates(included: list[dict[str, object]]) -> dict[str, list[dict[str, object]]]:
    """Return the attributes of updates by the report they belong to.

    An update names its report itself, or the report lists its updates: both occur.
    """
    owner: dict[str, str] = {}
    for one in included:
        if words(one, "type") == "status_report":
            for link in objects(child(child(one, "relationships"), "status_updates"), "data"):
                owner[id_of(link)] = id_of(one)
    found: dict[str, list[dict[str, object]]] = {}
    for one in included:
        if words(one, "type") != "status_update":
            continue
        attributes = child(one, "attributes")
        report = id_of(attributes, "status_report_id") or owner.get(id_of(one), "")
        found.setdefault(report, []).append(attributes)
    return found


def _notice(
    report: dict[str, object],
    names: dict[str, str],
    updates: list[dict[str, object]],
    origin: tuple[str, str, float],
) -> Notice:
    provider, feed, fetched_at = origin
    attributes = child(report, "attributes")
    maintenance = words(attributes, "report_type") == "maintenance"
    starts_at = time_of(attributes, "starts_at")
    ends_at = time_of(attributes, "ends_at")
    over_now = ends_at is not None and ends_at <= fetched_at
    affected = {
        names.get(id_of(one, "status_page_resource_id"), ""): status
        for one in objects(attributes, "affected_resources")[:COMPONENTS_LIMIT]
        if (status := status_of(words(one, "status"), _STATUSES)) is not None
    }
    affected.pop("", None)
    if maintenance:
        begun = starts_at is not None and starts_at <= fetched_at
        stage = "completed" if over_now else ("in_progress" if begun else "scheduled")
    else:
        stage = "resolved" if over_now else "investigating"
    return sealed(
        Notice(
            provider=provider,
            feed=feed,
            id=id_of(report),
            kind="maintenance" if maintenance else "incident",
            title=name_of(attributes, "title"),
            stage=stage,
            impact="" if maintenance else _impact(attributes, affected),
            components=tuple(sorted((name, one.value) for name, one in affected.items())),
            updates=in_order(
                NoticeUpdate(time_of(one, "published_at") or 0.0, "", text_of(one, "message"))
                for one in updates[:UPDATES_LIMIT]
            ),
            started_at=starts_at or 0.0,
            resolved_at=ends_at if over_now else None,
            scheduled_for=starts_at if maintenance else None,
            scheduled_until=ends_at if maintenance else None,
            fetched_at=fetched_at,
        )
    )


def _impact(attributes: dict[str, object], affected: dict[str, Status]) -> str:
    aggregate = status_of(words(attributes, "aggregate_state"), _STATUSES)
    found = worst([*affected.values(), aggregate or Status.OPERATIONAL])
    return _IMPACTS.get(found, "")
