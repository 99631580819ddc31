"""Crowd counts and official incidents, as the benchmark reads them.

    crowd/outagereport_counts*.csv[.gz]    vendor, unix_time, reports_in_20min
    crowd/github_official*.csv             status, event_start_time, event_end_time
    crowd/downdetector/*outage_count*.csv  event_id, timestamp, count, provider (every 15 minutes)

All files that match are read; what is in several counts once.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from pathlib import Path

import msgspec

COUNTS = ("crowd/outagereport_counts*.csv", "crowd/outagereport_counts*.csv.gz")
OFFICIAL = "crowd/github_official*.csv"
EVENTS = "crowd/downdetector/*outage_count*.csv"
SUMS = frozenset({"overview"})
"""Not a service: the sum of the others."""
BIN_S = 1200
EVENT_BIN_S = 900


class Official(msgspec.Struct, frozen=True):
    status: str
    start_at: float
    end_at: float


Series = dict[int, float]
"""Bin's start → reports."""


def counts(data: Path) -> tuple[dict[str, Series], tuple[str, ...]]:
    """Return the counts of each service, in order of time, and the files they are from."""
    files = sorted({file for pattern in COUNTS for file in data.glob(pattern)})
    read: dict[str, Series] = {}
    for file in files:
        for row in _rows(file):
            at, count = _number(row, "unix_time"), _number(row, "reports_in_20min")
            if row.get("vendor") and at is not None and count is not None and count >= 0:
                read.setdefault(row["vendor"], {})[int(at // BIN_S) * BIN_S] = count
    ordered = {name: dict(sorted(read[name].items())) for name in sorted(read) if name not in SUMS}
    return ordered, tuple(file.name for file in files)


def official(data: Path) -> tuple[Official, ...]:
    """Return the official incidents, the earliest first."""
    found = set()
    for file in sorted(data.glob(OFFICIAL)):
        for row in _rows(file):
            start, end = _number(row, "event_start_time"), _number(row, "event_end_time")
            if start is not None and end is not None and end >= start:
                found.add((start, end, row.get("status", "").strip().lower()))
    return tuple(Official(status, start, end) for start, end, status in sorted(found))


def events(data: Path) -> dict[str, dict[str, Series]]:
    """Return the counts around each cloud outage: provider → event → 15-minute bins."""
    read: dict[str, dict[str, Series]] = {}
    for file in sorted(data.glob(EVENTS)):
        for row in _rows(file):
            at, count = _number(row, "timestamp"), _number(row, "count")
            if at is not None and count is not None and count >= 0:
                event = read.setdefault(row["provider"], {}).setdefault(row["event_id"], {})
                event[int(at // EVENT_BIN_S) * EVENT_BIN_S] = count
    return read


def _rows(file: Path) -> Iterator[dict[str, str]]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines)


def _number(row: dict[str, str], column: str) -> float | None:
    try:
        value = float(row.get(column) or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
