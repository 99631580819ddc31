"""On disk for reports: the secrets that change with the day, and the table of networks. Thin."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from outlast.observatory.networks import Table, parse_table

if TYPE_CHECKING:
    from outlast.nouns import Observation
    from outlast.observatory.reporting import Reporting

log = structlog.get_logger(__name__)

DAY_S = 86_400
SECRET_BYTES = 32
PAGE = 20_000
RECALLED_MAX = 400_000
TABLE_LIMIT_BYTES = 256 << 20


class Past(Protocol):
    """What the history can tell of the last minutes."""

    async def flush(self) -> bool: ...
    async def recent(
        self, since_at: float, until_at: float, *, source: str | None, limit: int
    ) -> list[Observation]: ...


async def recall(history: Past, reporting: Reporting, now: float) -> int:
    """Give `reporting` every voice of the window back, after a start. Returns how many reports.

    Raises DatabaseUnavailable: then nobody's voice is known, and everyone may report again.
    """
    await history.flush()
    since_at, until_at = now - reporting.limits.window_s, now + 1.0
    found: dict[str, Observation] = {}
    while len(found) < RECALLED_MAX:
        page = await history.recent(since_at, until_at, source="report", limit=PAGE)
        fresh = [one for one in page if one.id not in found]
        found.update((one.id, one) for one in fresh)
        if len(page) < PAGE or not fresh:
            break
        until_at = math.nextafter(page[0].at, math.inf)  # who spoke in that moment comes again
    reporting.restore(found.values(), now)
    return len(found)


class DailySecrets:
    """Two secrets, of today and of yesterday (UTC), in files that only the owner reads.

    Older ones are deleted: what was hashed with them can be traced back by nobody, us included.
    Processes that share a folder share its secrets. Where the disk fails, a secret lives in memory
    alone: a restart then makes everyone a new reporter, and the log says so.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._day = -1
        self._pair: tuple[bytes, bytes | None] = (b"", None)

    def pair(self, now: float) -> tuple[bytes, bytes | None]:
        """Return (today's, yesterday's or None). Touches the disk once a day."""
        day = int(now // DAY_S)
        if day > self._day:
            self._pair = self._load(day)
            self._day = day
        return self._pair

    def _load(self, day: int) -> tuple[bytes, bytes | None]:
        fresh = secrets.token_bytes(SECRET_BYTES)
        yesterday = self._pair[0] if self._day == day - 1 else None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._folder.glob("day-*"):
                number = path.name.removeprefix("day-")
                if number.isdigit() and int(number) < day - 1:
                    path.unlink(missing_ok=True)
            yesterday = _read(self._path(day - 1)) or yesterday
            return self._share(day, fresh), yesterday
        except OSError as error:
            log.warning(
                "the day's secret for reports could not be kept; after a restart everyone counts "
                "as a new reporter",
                reason=str(error),
            )
            return fresh, yesterday

    def _share(self, day: int, fresh: bytes) -> bytes:
        """Put today's secret down unless another process was faster, and return the one there."""
        path = self._path(day)
        found = _read(path)
        if found is not None:
            return found
        ours = self._folder / f"new-{secrets.token_hex(8)}"
        descriptor = os.open(ours, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(fresh)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(ours, path)
        finally:
            ours.unlink(missing_ok=True)
        return _read(path) or fresh

    def _path(self, day: int) -> Path:
        return self._folder / f"day-{day}"


def _read(path: Path) -> bytes | None:
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(secret) != SECRET_BYTES:  # not ours, or cut: a new one is better than a short one
        path.unlink(missing_ok=True)
        return None
    return secret


def read_table(path: Path) -> Table:
    """Read `observatory.asn_file`; seconds for half a million lines. Raises OSError, ValueError."""
    if path.stat().st_size > TABLE_LIMIT_BYTES:
        limit = TABLE_LIMIT_BYTES >> 20
        raise ValueError(f"{path} is larger than {limit} MiB: it cannot be a table of networks.")
    with path.open(encoding="utf-8", errors="replace") as file:
        table = parse_table(file)
    if not len(table):
        raise ValueError(
            f"{path} has no line of the form `first address,last address,number`: reports are "
            "capped by larger networks instead."
        )
    if table.skipped:
        log.warning("lines of the table of networks were skipped", lines=table.skipped)
    return table
