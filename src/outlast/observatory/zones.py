"""Time zones by their names in the IANA database, which is read where the system has it."""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from outlast.observatory.subscribing import UTC_ZONE

NAME_LIMIT = 60
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")


def zone_of(name: str) -> tzinfo | None:
    """The zone of that name (`Europe/Paris`), or None: the system knows none."""
    if name == UTC_ZONE:
        return UTC
    if len(name) > NAME_LIMIT or not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # OSError: `Europe` is a folder of zones
        return None


def is_zone(name: str) -> bool:
    return zone_of(name) is not None
