"""incident.io's dialect of Statuspage's JSON (status.openai.com), and its own summary. Pure.

What differs, seen on status.openai.com in 2026: ids are ULIDs; incidents name no components; there
is no document of maintenances (404); every component's `updated_at` is the same and means nothing;
the summary leaves out some components, which only `components.json` has.
incident.io's own document lists `ongoing_incidents` with the components they affect.
"""

from __future__ import annotations

import re

import msgspec

from outlast.nouns import Notice, NoticeUpdate
from outlast.observatory.feeds.reading import (
    COMPONENTS_LIMIT,
    NOTICES_LIMIT,
    FeedPage,
    child,
    decode,
    expect_object,
    id_of,
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
from outlast.observatory.feeds.statuspage import STATUSES, read

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
"""26 characters of Crockford's base 32 (the ULID specification)."""
OWN_PARTS = ("ongoing_incidents", "in_progress_maintenances", "scheduled_maintenances")
_STAGES = {"maintenance_scheduled": "scheduled", "maintenance_in_progress": "in_progress"}
_IMPACTS = {"degraded_performance": "minor", "partial_outage": "major", "full_outage": "critical"}


def speaks(document: dict[str, object]) -> bool:
    """Whether a document of Statuspage's shape is in this dialect: by the shape of its ids."""
    ids = [id_of(child(document, "page"))]
    ids += [id_of(one) for one in objects(document, "components")[:3]]
    ids += [id_of(one) for one in objects(document, "incidents")[:3]]
    return any(ULID.fullmatch(one) for one in ids)


def parse(body: bytes, provider: str, feed: str, fetched_at: float) -> FeedPage:
    """Read any of the documents. Raises FeedUnreadable."""
    document = expect_object(decode(body, feed), feed, "incident.io's")
    if "ongoing_incidents" in document:
        return _own(document, provider, feed, fetched_at)
    page = read(document, provider, feed, fetched_at, "incidentio")
    timeless = tuple(msgspec.structs.replace(one, at=0.0) for one in page.components)
    return msgspec.structs.replace(page, components=timeless)


def _own(document: dict[str, object], provider: str, feed: str, fetched_at: float) -> FeedPage:
    notices: list[Notice] = []
    listed = 0
    for part in OWN_PARTS:
        kind = "incident" if part == "ongoing_incidents" else "maintenance"
        entries = objects(document, part)
        listed += len(entries)
        notices += [
            _notice(one, kind, provider, feed, fetched_at) for one in entries[:NOTICES_LIMIT]
        ]
    notices = [one for one in notices if one.id]
    return FeedPage(
        provider=provider,
        feed=feed,
        format="incidentio",
        fetched_at=fetched_at,
        title=name_of(document, "page_title"),
        notices=tuple(notices[:NOTICES_LIMIT]),
        covers="open",
        cut=over((listed, NOTICES_LIMIT)),
    )


def _notice(
    one: dict[str, object], kind: str, provider: str, feed: str, fetched_at: float
) -> Notice:
    stage = words(one, "status").lower()
    impact = words(one, "current_worst_impact").lower()
    at = time_of(one, "last_update_at") or 0.0
    body = text_of(one, "last_update_message")
    stage = _STAGES.get(stage, stage)
    affected = {
        name_of(component, "name"): status.value
        for component in objects(one, "affected_components")[:COMPONENTS_LIMIT]
        if (status := status_of(words(component, "current_status"), STATUSES)) is not None
    }
    return sealed(
        Notice(
            provider=provider,
            feed=feed,
            id=id_of(one),
            kind=kind,
            title=name_of(one, "name"),
            stage=stage,
            impact=_IMPACTS.get(impact, ""),
            components=tuple(sorted(affected.items())),
            updates=(NoticeUpdate(at, stage, body),) if body or at else (),
            started_at=time_of(one, "started_at", "created_at") or at,
            scheduled_for=time_of(one, "starts_at"),
            scheduled_until=time_of(one, "scheduled_end_at", "ends_at"),
            url=url_of(one, "url"),
            fetched_at=fetched_at,
        )
    )
