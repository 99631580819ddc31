"""Vendors' ways to write a time, read into seconds since the epoch. Pure.

RFC 3339 (Statuspage, incident.io, Google), RFC 822 (RSS), JavaScript's `Date` as text (Instatus),
numbers of seconds or milliseconds. A time without a zone is taken for UTC.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - reads like the rest
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LATEST = 4102444800.0  # 2100-01-01: what is later is a mistake or a trick
_MILLISECONDS_FROM = 1e11
ZONES_H = {
    "UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5,
    "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "CET": 1, "CEST": 2, "BST": 1,
}  # fmt: skip
"""Abbreviations and their hours before UTC (RFC 822, 5.1), and Europe's."""

_RFC822 = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?(\d{1,2})\s+([A-Za-z]{3})[a-z]*\s+(\d{4})\s+"
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([A-Za-z]{1,4}|[+-]\d{2}:?\d{2})?"
)
_JAVASCRIPT = re.compile(
    r"(?:[A-Za-z]{3}\s+)?([A-Za-z]{3})\s+(\d{1,2})\s+(\d{4})\s+"
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s+(?:GMT|UTC)?([+-]\d{4})?"
)


def when(value: object) -> float | None:
    """Return the time that `value` tells, or None where it tells none between 1970 and 2100."""
    at: float | None = None
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        at = _number(value)
    elif isinstance(value, str):
        at = _text(value.strip()[:80])
    return at if at is not None and 0 < at < _LATEST else None


def _number(value: float) -> float | None:
    if isinstance(value, int) and abs(value) > 1 << 62:
        return None
    if not math.isfinite(value):
        return None
    return value / 1000 if value > _MILLISECONDS_FROM else float(value)


def _text(text: str) -> float | None:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return _rfc822(text)
    if len(text) < len("2026-03-02T11:49"):
        return None  # a day alone is not a time
    return _seconds(read if read.tzinfo else read.replace(tzinfo=timezone.utc))  # noqa: UP017


def _rfc822(text: str) -> float | None:
    found = _RFC822.match(text)
    if found:
        day, month, year, hour, minute, second, zone = found.groups()
    elif found := _JAVASCRIPT.match(text):
        month, day, year, hour, minute, second, zone = found.groups()
    else:
        return None
    if month.lower() not in _MONTHS:
        return None
    try:
        read = datetime(
            int(year), _MONTHS.index(month.lower()) + 1, int(day), int(hour), int(minute),
            int(second or 0), tzinfo=timezone(timedelta(minutes=_zone_minutes(zone or "UTC"))),
        )  # fmt: skip
    except ValueError:
        return None
    return _seconds(read)


def _zone_minutes(zone: str) -> int:
    if zone[0] in "+-":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        return -minutes if zone[0] == "-" else minutes
    return ZONES_H.get(zone.upper(), 0) * 60


def _seconds(read: datetime) -> float | None:
    try:
        return (read - _EPOCH).total_seconds()
    except OverflowError:
        return None


def without_year(month: str, day: int, hour: int, minute: int, zone: str, before: float) -> float:
    """Return the last such day and time at or before `before` (a day's grace): Statuspage's RSS
    names no year. Returns `before` where the date does not exist or `before` is no usable time.
    """
    if month.lower()[:3] not in _MONTHS or not 0 < before < _LATEST:
        return before
    year = (_EPOCH + timedelta(seconds=before)).year
    for candidate in (year + 1, year, year - 1):
        at = _rfc822(f"{day} {month[:3]} {candidate} {hour}:{minute:02d} {zone}")
        if at is not None and at <= before + 86_400:
            return at
    return before
