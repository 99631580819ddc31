"""Time zones by their names in the IANA database, as the system has it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

USUAL = "UTC"
NAME_LIMIT = 60
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")


def zone_of(name: str) -> tzinfo | None:
    """The zone of that name (`Europe/Paris`), or None: the system knows none."""
    if name == USUAL:
        return UTC
    if len(name) > NAME_LIMIT or not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # OSError: `Europe` is a folder of zones
        return None


def next_at(hour: int, zone: str, now: float) -> float:
    """When the clocks of a zone next show that full hour, after `now`.

    Where they skip it they show the next one; where they show it twice the first time counts. Of
    a zone that the system no longer knows, UTC's.
    """
    where = zone_of(zone) or UTC
    day = datetime.fromtimestamp(now, where).date()
    at = now
    while at <= now:
        at = datetime(day.year, day.month, day.day, hour, tzinfo=where).timestamp()
        day += timedelta(days=1)
    return at
