"""Which format a body is in, by what it holds: an operator gives an address, no more. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from outlast.observatory.feeds import (
    betterstack,
    google,
    incidentio,
    instatus,
    statuspage,
    syndication,
)
from outlast.observatory.feeds.reading import (
    FeedPage,
    FeedUnreadable,
    check_size,
    child,
    decode,
    looks_like_html,
    words,
)

Parser = Callable[[bytes, str, str, float], FeedPage]

PARSERS: Mapping[str, Parser] = {
    "statuspage": statuspage.parse,
    "incidentio": incidentio.parse,
    "instatus": instatus.parse,
    "betterstack": betterstack.parse,
    "google": google.parse,
    "syndication": syndication.parse,
}


def parse(
    body: bytes,
    provider: str,
    feed: str,
    fetched_at: float,
    only: tuple[str, ...] = (),
    *,
    format: str = "",  # noqa: A002 - the field's word
) -> FeedPage:
    """Read a body in `format`, or in the one that it turns out to be in.

    `only`: words of which a component must hold one, in a feed of more than we look at; notices
    that name components, but none of these, are left out. Raises FeedUnreadable.
    """
    page = PARSERS[format or detect(body, feed)](body, provider, feed, fetched_at)
    return select(page, only) if only else page


def detect(body: bytes, feed: str) -> str:
    """Return the format's name, a key of PARSERS. Raises FeedUnreadable."""
    check_size(body, feed)
    start = body[:2000].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00")
    if looks_like_html(body) and b"<rss" not in start and b"<feed" not in start:
        raise FeedUnreadable(
            f"The feed {feed} answers with a web page for people. Programs are served at another "
            "address: /api/v2/summary.json, /summary.json, /index.json or /history.rss."
        )
    if start.startswith(b"<"):
        return "syndication"
    document = decode(body, feed)
    found = _of_list(document) if isinstance(document, list) else _of_object(document)
    if not found:
        raise FeedUnreadable(
            f"The feed {feed} is JSON in none of the formats of status pages that are known: "
            "Statuspage, incident.io, Instatus, Better Stack and Google."
        )
    return found


def _of_list(document: list[object]) -> str:
    """Google's incidents are a list; an empty one is what it sends when it has none."""
    entries = [one for one in document if isinstance(one, dict)]
    if not document or any("external_desc" in one or "begin" in one for one in entries):
        return "google"
    return ""


def _of_object(document: object) -> str:
    if not isinstance(document, dict):
        return ""
    page = document.get("page")
    if words(child(document, "data"), "type") == "status_page":
        return "betterstack"
    if "ongoing_incidents" in document:
        return "incidentio"
    if isinstance(page, dict) and ("activeIncidents" in document or words(page, "status")):
        return "instatus"
    if isinstance(page, dict) and any(part in document for part in statuspage.PARTS):
        return "incidentio" if incidentio.speaks(document) else "statuspage"
    return "instatus" if isinstance(document.get("components"), list) else ""


def select(page: FeedPage, only: tuple[str, ...]) -> FeedPage:
    """Return the page with those components and notices alone that hold one of the words."""

    def wanted(name: str) -> bool:
        return any(word.lower() in name.lower() for word in only)

    components = tuple(one for one in page.components if wanted(one.name))
    notices = tuple(
        one
        for one in page.notices
        if wanted(one.title) or any(wanted(name) for name, _ in one.components)
    )
    # The whole page's indicator speaks of what was left out as well.
    return msgspec.structs.replace(page, components=components, notices=notices, indicator="")
