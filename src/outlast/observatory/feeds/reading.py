"""What a fetched feed says, in one shape whatever its format, and how JSON is read safely. Pure.

Limits: bodies up to 8 MiB, 500 notices, 200 updates a notice, 500 components; what is beyond is
counted in `cut`, not lost silently. Texts: 64 KiB (feeds/text.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from outlast.nouns import Notice, NoticeUpdate, Status
from outlast.observatory.feeds.text import line, plain
from outlast.observatory.feeds.when import when

BODY_LIMIT_BYTES = 8 << 20
NOTICES_LIMIT = 500
UPDATES_LIMIT = 200
COMPONENTS_LIMIT = 500
ID_LIMIT_BYTES = 200
URL_LIMIT_BYTES = 2000

INCIDENT_STAGES = ("investigating", "identified", "monitoring", "resolved", "postmortem")
MAINTENANCE_STAGES = ("scheduled", "in_progress", "verifying", "completed")
ENDED = frozenset({"resolved", "completed", "postmortem"})


class FeedUnreadable(Exception):
    """A body is not what it should be. Its message is a sentence for the operator."""


class Reading(msgspec.Struct, frozen=True):
    """A component as the vendor's page shows it."""

    name: str
    status: Status
    id: str = ""
    at: float = 0.0
    """Since when, in the vendor's words; 0: it does not say, or what it says means nothing."""


class FeedPage(msgspec.Struct, frozen=True):
    """One fetched document of a vendor's status page."""

    provider: str
    feed: str
    format: str
    fetched_at: float
    title: str = ""
    indicator: str = ""
    """The whole page: none · minor · major · critical · maintenance; empty where it says nothing.
    Never `none` because we could not read it."""
    components: tuple[Reading, ...] = ()
    notices: tuple[Notice, ...] = ()
    covers: str = ""
    """Which notices it lists: `open` ones only, or the latest ones whatever their state,
    `history`. Empty: it lists none at all, and their absence says nothing."""
    cut: int = 0
    """How many entries were beyond the limits."""

    @property
    def worst(self) -> Status:
        return worst(one.status for one in self.components)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of them; operational for none."""
    return max(statuses, key=lambda status: status.rank, default=Status.OPERATIONAL)


def check_size(body: bytes, feed: str) -> None:
    """Raises FeedUnreadable for bodies that are empty or too large."""
    if len(body) > BODY_LIMIT_BYTES:
        raise FeedUnreadable(
            f"The feed {feed} sent {len(body) >> 20} MiB; at most {BODY_LIMIT_BYTES >> 20} are "
            "read. Give the address of a shorter one, such as its summary."
        )
    if not body.strip():
        raise FeedUnreadable(
            f"The feed {feed} sent an empty answer. Its state is unknown until it sends one."
        )


def decode(body: bytes, feed: str) -> object:
    """Return the JSON value of a body. Raises FeedUnreadable."""
    check_size(body, feed)
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        what = "a web page" if looks_like_html(body) else "something else"
        raise FeedUnreadable(
            f"The feed {feed} should be JSON, but {what} came. The vendor's page may be failing, "
            "or the address may be wrong."
        ) from error


def looks_like_html(body: bytes) -> bool:
    head = body[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html")) or b"<html" in head


def expect_object(value: object, feed: str, what: str) -> dict[str, object]:
    """Return `value` as an object. Raises FeedUnreadable where it is none."""
    if isinstance(value, dict):
        return value
    raise FeedUnreadable(
        f"The feed {feed} is JSON, but not {what}. Check its address, or leave its format to be "
        "found out."
    )


def child(value: object, key: str) -> dict[str, object]:
    """Return the object under `key`; an empty one where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def objects(value: object, key: str) -> list[dict[str, object]]:
    """Return the objects in the list under `key`; none where there is no list."""
    found = value.get(key) if isinstance(value, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def words(value: object, key: str) -> str:
    """Return the text under `key`; a number as text; empty for all else."""
    found = value.get(key) if isinstance(value, dict) else None
    if isinstance(found, bool):
        return ""
    if isinstance(found, int):
        return str(found) if abs(found) < 1 << 62 else ""
    return found if isinstance(found, str) else ""


def name_of(value: object, key: str) -> str:
    return line(words(value, key))


def id_of(value: object, key: str = "id") -> str:
    return line(words(value, key), ID_LIMIT_BYTES)


def text_of(value: object, key: str) -> str:
    return plain(words(value, key))


def time_of(value: object, *keys: str) -> float | None:
    """Return the first time that one of `keys` tells."""
    for key in keys:
        found = when(value.get(key)) if isinstance(value, dict) else None
        if found is not None:
            return found
    return None


def url_of(value: object, key: str) -> str:
    """Return an http(s) address that may be shown as a link; empty for all else."""
    found = words(value, key).strip()
    return link(found)


def link(address: str) -> str:
    """Return `address` where it is a plain http(s) one without spaces and quotes."""
    address = address.strip()
    if len(address) > URL_LIMIT_BYTES or not address.isascii() or not address.isprintable():
        return ""
    if not address.startswith(("https://", "http://")):
        return ""
    return "" if any(sign in address for sign in " \"'<>\\`") else address


def status_of(word: str, table: Mapping[str, Status]) -> Status | None:
    """Return the status that a vendor's word stands for; None for a word that is not known."""
    return table.get(word.strip().lower().replace(" ", "_").replace("-", "_"))


def over(*counts: tuple[int, int]) -> int:
    """Return how many entries are beyond their limits; pairs of (count, limit)."""
    return sum(max(0, count - limit) for count, limit in counts)


def sealed(notice: Notice) -> Notice:
    """Return the notice with the hash of what it says, so that two fetches can be compared.

    Not part of it: by which feed and when it was fetched.
    """
    said = (
        notice.provider,
        notice.id,
        notice.kind,
        notice.title,
        notice.stage,
        notice.impact,
        notice.components,
        notice.updates,
        notice.started_at,
        notice.resolved_at,
        notice.scheduled_for,
        notice.scheduled_until,
        notice.url,
    )
    digest = hashlib.sha256(msgspec.json.encode(said)).hexdigest()
    return msgspec.structs.replace(notice, version=digest[:32])


def in_order(updates: Iterable[NoticeUpdate]) -> tuple[NoticeUpdate, ...]:
    """Return updates with the newest last; those of one moment stay as they came."""
    return tuple(sorted(updates, key=lambda update: update.at))
