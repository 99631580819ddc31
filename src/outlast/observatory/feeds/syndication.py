"""RSS 2.0 and Atom (RFC 4287) of status pages: Statuspage, incident.io, xAI, AWS, Azure. Pure.

Such a feed has no states: stage, severity and components are read from the few shapes that status
pages use. What is not recognised stays empty; nothing is guessed. A feed without items is no
all-clear, so the page's indicator stays empty.
"""

from __future__ import annotations

import re

from outlast.nouns import Notice, NoticeUpdate, Status
from outlast.observatory.feeds.markup import Element, parse_xml
from outlast.observatory.feeds.reading import (
    COMPONENTS_LIMIT,
    ENDED,
    ID_LIMIT_BYTES,
    INCIDENT_STAGES,
    MAINTENANCE_STAGES,
    NOTICES_LIMIT,
    UPDATES_LIMIT,
    FeedPage,
    FeedUnreadable,
    in_order,
    link,
    over,
    sealed,
    status_of,
)
from outlast.observatory.feeds.statuspage import STATUSES
from outlast.observatory.feeds.text import line, plain
from outlast.observatory.feeds.when import when, without_year

_STAGES = {stage.replace("_", " "): stage for stage in (*INCIDENT_STAGES, *MAINTENANCE_STAGES)}
_SEVERITIES = {"outage": "critical", "disruption": "major", "degraded": "minor", "info": "minor"}
"""xAI's categories (status.x.ai, 2026), besides `available` and `maintenance`."""
_CHARS_LIMIT = 64 << 10

# Statuspage: "Mar  2, 15:47 UTC", a line break, "Resolved - This incident has been resolved."
_ENTRY = re.compile(
    r"^(?P<month>[A-Z][a-z]{2})\s+(?P<day>\d{1,2}),\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})\s+"
    r"(?P<zone>[A-Z]{3,4})\s*\n\s*(?P<stage>[A-Z][a-z]+(?: progress)?)\s+-\s+",
    re.MULTILINE,
)
# incident.io: "Status: Resolved"; xAI: the same, and "Severity: available".
_STATUS_LINE = re.compile(r"^Status: *([A-Za-z][A-Za-z _]{2,20}?) *$", re.MULTILINE)
_COMPONENT_LINE = re.compile(r"^[-*•]? ?([^\n()]{1,120}?) \(([A-Za-z_ ]{5,24})\)$", re.MULTILINE)
_BRACKET = re.compile(r"^\[([^\]\n]{1,80})\] *")
_OVER = re.compile(r"^\[resolved\]|^service is operating normally|^resolved\b", re.IGNORECASE)
_PLANNED = re.compile(r"\b(?:scheduled|planned) maintenance\b", re.IGNORECASE)


def parse(body: bytes, provider: str, feed: str, fetched_at: float) -> FeedPage:
    """Read an RSS or Atom feed. Raises FeedUnreadable."""
    root = parse_xml(body, feed)
    if root.name in {"rss", "RDF"}:
        head = root.first("channel")
        items = (head.all("item") if head else []) or root.all("item")
    elif root.name == "feed":
        head, items = root, root.all("entry")
    else:
        raise FeedUnreadable(
            f"The feed {feed} is XML, but neither RSS nor Atom: its root is {line(root.name, 40)}."
        )
    if head is None:
        raise FeedUnreadable(f"The feed {feed} is RSS without a channel.")
    notices = [_notice(one, provider, feed, fetched_at) for one in items[:NOTICES_LIMIT]]
    return FeedPage(
        provider=provider,
        feed=feed,
        format="syndication",
        fetched_at=fetched_at,
        title=line(head.words("title")),
        notices=tuple(one for one in notices if one.id),
        covers="history",
        cut=over((len(items), NOTICES_LIMIT)),
    )


def _notice(item: Element, provider: str, feed: str, fetched_at: float) -> Notice:
    title = line(item.words("title"))
    text = plain(_content(item))
    at = _time(item, "pubDate", "published", "date", "updated")
    changed_at = _time(item, "updated", "pubDate", "published", "date") or at
    categories = [_category(one) for one in item.all("category")]
    updates = _entries(text, changed_at)
    stage = _stage(title, text, categories) or (updates[-1].stage if updates else "")
    if not updates and (text or at):
        updates = (NoticeUpdate(changed_at, stage, text),)
    kind = "incident"
    if stage in MAINTENANCE_STAGES or "maintenance" in categories or _PLANNED.search(title):
        kind = "maintenance"
    url = _link(item)
    over_at = next((one.at for one in updates if one.stage in ENDED), changed_at or None)
    return sealed(
        Notice(
            provider=provider,
            feed=feed,
            id=line(item.words("guid", "id") or url or title, ID_LIMIT_BYTES),
            kind=kind,
            title=title,
            stage=stage,
            impact=next((_SEVERITIES[one] for one in categories if one in _SEVERITIES), ""),
            components=_components(title, text, categories),
            updates=updates,
            started_at=updates[0].at if updates and updates[0].at else at,
            resolved_at=over_at if stage in ENDED else None,
            url=url,
            fetched_at=fetched_at,
        )
    )


def _content(item: Element) -> str:
    """The longest of the texts: feeds put the whole text into one and a summary into another."""
    found = [one for one in item.children if one.name in {"description", "encoded", "summary"}]
    texts = [one.text for one in found]
    texts += [one.text or one.inner() for one in item.all("content")]
    return max(texts, key=len, default="")[: 4 * _CHARS_LIMIT]


def _time(item: Element, *names: str) -> float:
    for name in names:
        found = when(item.words(name))
        if found is not None:
            return found
    return 0.0


def _category(element: Element) -> str:
    return line(element.text or element.attributes.get("term", ""), 60).lower()


def _link(item: Element) -> str:
    """RSS writes the address as text, Atom as an attribute of the link that is not `self`."""
    for one in item.all("link"):
        relation = one.attributes.get("rel", "alternate")
        address = one.text.strip() or one.attributes.get("href", "")
        if relation == "alternate" and link(address):
            return link(address)
    return link(item.words("guid"))


def _stage(title: str, text: str, categories: list[str]) -> str:
    for category in categories:
        if category in _STAGES:
            return _STAGES[category]
    found = _STATUS_LINE.search(text)
    if found is not None and found[1].lower().replace("_", " ") in _STAGES:
        return _STAGES[found[1].lower().replace("_", " ")]
    return "resolved" if _OVER.match(title) else ""


def _entries(text: str, before: float) -> tuple[NoticeUpdate, ...]:
    """Return Statuspage's entries of a description, the newest last.

    "Update" repeats the stage before it: the entries stand newest first.
    """
    found = list(_ENTRY.finditer(text))[:UPDATES_LIMIT]
    updates: list[NoticeUpdate] = []
    stage = ""
    for number in range(len(found) - 1, -1, -1):
        one = found[number]
        end = found[number + 1].start() if number + 1 < len(found) else len(text)
        stage = _STAGES.get(one["stage"].lower(), stage)
        at = without_year(
            one["month"], int(one["day"]), int(one["hour"]), int(one["minute"]), one["zone"], before
        )
        updates.append(NoticeUpdate(at, stage, text[one.end() : end].strip()))
    return in_order(updates)


def _components(title: str, text: str, categories: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the components that are named with a state: incident.io's list, xAI's brackets."""
    found: dict[str, str] = {}
    _, mark, listed = text.partition("Affected components")
    if mark:
        for one in _COMPONENT_LINE.finditer(listed[:20_000]):
            status = status_of(one[2], STATUSES)
            if status is not None:
                found[line(one[1])] = status.value
    bracket = _BRACKET.match(title)
    severity = next((one for one in categories if one in _SEVERITIES), "")
    if bracket is not None and bracket[1].lower() not in _STAGES and severity:
        states = {"outage": Status.MAJOR, "disruption": Status.PARTIAL}
        found.setdefault(line(bracket[1]), states.get(severity, Status.DEGRADED).value)
    return tuple(sorted(found.items()))[:COMPONENTS_LIMIT]
