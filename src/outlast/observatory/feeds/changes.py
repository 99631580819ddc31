"""What is new on a vendor's page since it was last read. Pure: what was known and a page in.

Three things that vendors' pages do, and how they are told apart:
- a resolved incident vanishes from the list of open ones: it is *gone* from there, not *resolved*;
- texts, titles and times of the past are rewritten: *edited*, with both versions;
- something is added: *updated*.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from outlast.nouns import Notice
from outlast.observatory.feeds.reading import ENDED, FeedPage

KNOWN_LIMIT = 2000


class Known(msgspec.Struct, frozen=True):
    """A notice as it was last seen, and whether the page has stopped listing it."""

    notice: Notice
    gone: bool = False


class Change(msgspec.Struct, frozen=True):
    """Something that happened to a notice, at our time."""

    kind: str
    """new · updated · edited · gone"""
    at: float
    notice: Notice
    before: Notice | None = None
    """The version before it; None for a new one."""
    edits: tuple[str, ...] = ()
    """What of the past was changed: title · times · text · removed."""


class Compared(msgspec.Struct, frozen=True):
    """The changes, and what is known now: keep it for the next page."""

    known: dict[str, Known]
    changes: tuple[Change, ...]


def compare(known: Mapping[str, Known], page: FeedPage) -> Compared:
    """Return what changed. `known` is by the vendor's id, for one provider, over all its feeds.

    A stage that the vendor never posted, like `resolved` of a notice that is gone, is not made up.
    """
    after = dict(known)
    changes: list[Change] = []
    for notice in page.notices:
        old = after.get(notice.id)
        change = _change(old, notice, page.fetched_at)
        if change is None:
            continue
        after[notice.id] = Known(change.notice)
        changes.append(change)
    for key in _missing(after, page):
        old_notice = after[key].notice
        after[key] = Known(old_notice, gone=True)
        changes.append(Change("gone", page.fetched_at, old_notice, old_notice))
    return Compared(_trimmed(after), tuple(changes))


def _change(old: Known | None, notice: Notice, at: float) -> Change | None:
    if old is None:
        return Change("new", at, notice)
    before = old.notice
    if before.version == notice.version:
        return Change("updated", at, before, before) if old.gone else None
    if _poorer(before, notice):
        return None
    edits = rewritten(before, notice)
    kept = msgspec.structs.replace(notice, edited=before.edited or bool(edits))
    return Change("edited" if edits else "updated", at, kept, before, edits)


def rewritten(before: Notice, after: Notice) -> tuple[str, ...]:
    """Return what of the past a later version tells otherwise."""
    edits: list[str] = []
    if before.title != after.title:
        edits.append("title")
    if before.started_at != after.started_at or _moved_end(before, after):
        edits.append("times")
    then = [(update.at, update.body) for update in before.updates]
    now = [(update.at, update.body) for update in after.updates]
    if now[: len(then)] != then:
        bodies_then = [body for _, body in then]
        bodies_now = [body for _, body in now]
        if len(now) < len(then):
            edits.append("removed")
        elif not all(map(_goes_on, bodies_then, bodies_now)):
            edits.append("text")
        elif bodies_now[: len(then)] == bodies_then and "times" not in edits:
            edits.append("times")
    return tuple(edits)


def _goes_on(then: str, now: str) -> bool:
    """Whether a text still says all it said: feeds of one text an item add to that text."""
    return then in now


def _moved_end(before: Notice, after: Notice) -> bool:
    """A time of the end that is taken back is a relapse, and no edit."""
    return None not in {before.resolved_at, after.resolved_at} and (
        before.resolved_at != after.resolved_at
    )


def _poorer(before: Notice, after: Notice) -> bool:
    """Whether `after` is the same news in another of the vendor's feeds, which tells less of it."""
    return before.feed != after.feed and len(after.updates) < len(before.updates)


def _missing(known: Mapping[str, Known], page: FeedPage) -> list[str]:
    """Return the ids that this page should list and does not.

    A list of open notices should list what is not over. A history only goes back so far: what
    began before its oldest entry has dropped off its end.
    """
    if not page.covers or page.cut:
        return []
    listed = {notice.id for notice in page.notices}
    oldest = min((notice.started_at for notice in page.notices), default=None)
    missing: list[str] = []
    for key, one in known.items():
        if one.gone or key in listed or one.notice.feed != page.feed:
            continue
        if page.covers == "open" and one.notice.stage in ENDED:
            continue
        if page.covers == "history" and (oldest is None or one.notice.started_at <= oldest):
            continue
        missing.append(key)
    return missing


def _trimmed(known: dict[str, Known]) -> dict[str, Known]:
    """Keep the latest, so that memory is bounded whatever a page does with its ids."""
    if len(known) <= KNOWN_LIMIT:
        return known
    latest = sorted(known.items(), key=lambda item: item[1].notice.fetched_at)[-KNOWN_LIMIT:]
    return dict(latest)
