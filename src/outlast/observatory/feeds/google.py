"""Google Cloud's `incidents.json` and `products.json` (status.cloud.google.com). Pure.

The feed has no state of a product: it is derived from the incidents that have no end. The list of
products alone therefore never says that anything is well.
"""

from __future__ import annotations

from collections.abc import Mapping

from outlast.nouns import Notice, NoticeUpdate, Status
from outlast.observatory.feeds.reading import (
    COMPONENTS_LIMIT,
    NOTICES_LIMIT,
    UPDATES_LIMIT,
    FeedPage,
    FeedUnreadable,
    Reading,
    decode,
    id_of,
    in_order,
    link,
    name_of,
    objects,
    over,
    sealed,
    text_of,
    time_of,
    words,
    worst,
)

HOME = "https://status.cloud.google.com/"
_STATUSES = {
    "AVAILABLE": Status.OPERATIONAL,
    "SERVICE_INFORMATION": Status.DEGRADED,
    "SERVICE_DISRUPTION": Status.PARTIAL,
    "SERVICE_OUTAGE": Status.MAJOR,
}
_IMPACTS = {Status.DEGRADED: "minor", Status.PARTIAL: "major", Status.MAJOR: "critical"}
_INDICATORS = {**_IMPACTS, Status.OPERATIONAL: "none"}


def parse(body: bytes, provider: str, feed: str, fetched_at: float) -> FeedPage:
    """Read `incidents.json`. Raises FeedUnreadable."""
    document = decode(body, feed)
    if not isinstance(document, list):
        raise FeedUnreadable(
            f"The feed {feed} is JSON, but not Google's list of incidents. "
            "Its address ends in incidents.json; products.json says nothing about a state."
        )
    entries = [one for one in document if isinstance(one, dict)]
    notices = [_notice(one, provider, feed, fetched_at) for one in entries[:NOTICES_LIMIT]]
    notices = [one for one in notices if one.id]
    components = derive({}, notices)
    return FeedPage(
        provider=provider,
        feed=feed,
        format="google",
        fetched_at=fetched_at,
        title="Google Cloud",
        indicator=_INDICATORS.get(worst(one.status for one in components), "minor"),
        components=components,
        notices=tuple(notices),
        covers="history",
        cut=over((len(entries), NOTICES_LIMIT)),
    )


def products(body: bytes, feed: str) -> dict[str, str]:
    """Return `products.json` as product name by id. Raises FeedUnreadable."""
    found = objects(decode(body, feed), "products")
    if not found:
        raise FeedUnreadable(f"The feed {feed} is JSON, but not Google's list of products.")
    named = {id_of(one): name_of(one, "title") for one in found[: 4 * COMPONENTS_LIMIT]}
    return {key: name for key, name in named.items() if key and name}


def derive(names: Mapping[str, str], notices: list[Notice]) -> tuple[Reading, ...]:
    """Return each product's state: the worst of its open incidents, `operational` without one.

    `names` is what `products` gave. Products that only incidents name are there in any case.
    """
    ids = {name: key for key, name in names.items()}
    found: dict[str, Status] = dict.fromkeys(ids, Status.OPERATIONAL)
    for notice in notices:
        for name, status in notice.components:
            now = Status(status) if notice.resolved_at is None else Status.OPERATIONAL
            found[name] = worst([now, found.get(name, Status.OPERATIONAL)])
    return tuple(
        Reading(name, status, ids.get(name, ""))
        for name, status in sorted(found.items())[:COMPONENTS_LIMIT]
    )


def _notice(one: dict[str, object], provider: str, feed: str, fetched_at: float) -> Notice:
    end = time_of(one, "end")
    updates = in_order(
        NoticeUpdate(
            time_of(update, "when", "created") or 0.0, _stage(update), text_of(update, "text")
        )
        for update in objects(one, "updates")[:UPDATES_LIMIT]
    )
    status = _STATUSES.get(words(one, "status_impact"), Status.DEGRADED)
    stage = "resolved" if end is not None else (updates[-1].stage if updates else "investigating")
    names = [name_of(product, "title") for product in objects(one, "affected_products")]
    names = [name for name in names if name] or [name_of(one, "service_name")]
    uri = words(one, "uri")
    return sealed(
        Notice(
            provider=provider,
            feed=feed,
            id=id_of(one),
            kind="incident",
            title=name_of(one, "external_desc"),
            stage=stage,
            impact=_IMPACTS.get(status, ""),
            components=tuple(
                sorted({(name, status.value) for name in names[:COMPONENTS_LIMIT] if name})
            ),
            updates=updates,
            started_at=time_of(one, "begin", "created") or 0.0,
            resolved_at=end,
            url=link(uri if uri.startswith("http") else HOME + uri.lstrip("/")) if uri else "",
            fetched_at=fetched_at,
        )
    )


def _stage(update: dict[str, object]) -> str:
    """An update says `AVAILABLE` when it is over; Google watches without saying so."""
    return "monitoring" if words(update, "status") == "AVAILABLE" else "investigating"
