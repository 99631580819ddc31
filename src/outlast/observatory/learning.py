"""From incidents to what time to recovery learns from. Pure."""

from __future__ import annotations

from outlast.nouns import Incident, Notice, Stage
from outlast.observatory.recovery import Case
from outlast.observatory.recovery_case import MAX_STAGES
from outlast.observatory.vendors import VendorPage


def case_of(incident: Incident, page: VendorPage | None) -> Case:
    """Return an incident as one past or present outage.

    It ends when it was last seen to fail, and only once it is over: "healthy for 15 minutes
    without relapse". What a vendor posted counts from when we read it. A retracted or merged
    incident was no outage of its own: it ends where it began, and is not learned from.
    """
    over = incident.stage is Stage.RESOLVED
    ended = incident.resolved_at if over else None
    if incident.retracted or incident.merged_into:
        ended = incident.started_at
    stages = page.stages(incident.notices) if page is not None else []
    stages = sorted((max(at, incident.started_at), stage) for at, stage in stages)[:MAX_STAGES]
    relapsed = [update.at for update in incident.updates if update.kind == "relapsed"]
    return Case(
        id=incident.id,
        provider=incident.provider,
        started_at=incident.started_at,
        ended_at=None if ended is None else max(ended, incident.started_at),
        stages=tuple(stages),
        relapsed_at=tuple(relapsed[:MAX_STAGES]),
    )


def case_of_notice(notice: Notice) -> Case | None:
    """Return a past notice of a vendor as an outage, from its first entry to "resolved".

    For what happened before we watched, this is all there is; it ends later than what people felt.
    None for what cannot be one: not over, or written after the fact.
    """
    ended = notice.resolved_at
    if ended is None or ended <= notice.started_at or notice.started_at <= 0:
        return None
    stages = sorted((u.at, u.stage) for u in notice.updates if u.at >= notice.started_at)
    return Case(
        id=f"{notice.feed}/{notice.id}",
        provider=notice.provider,
        started_at=notice.started_at,
        ended_at=ended,
        stages=tuple(stages[:MAX_STAGES]),
    )
