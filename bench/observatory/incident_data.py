"""Incidents of LLM services from public status pages, as the benchmark reads them.

Every file incidents/llm_incidents*.csv of the data folder is read: one row per incident. Columns
that matter: incident_id, provider, title, impact, {investigating, identified, monitoring,
resolved}_at, first_update_at, closed_at, minutes_first_to_close; any may be missing or blank.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from outlast.observatory.recovery import Case

PATTERN = "incidents/llm_incidents*.csv"
_STAGES = ("investigating", "identified", "monitoring")
_MAINTENANCE = re.compile(r"\bmaintenance\b", re.IGNORECASE)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()


class Incidents(msgspec.Struct, frozen=True):
    """What was read. `left_out` counts by reason what is no outage, or no usable row."""

    cases: tuple[Case, ...]
    """In order of their beginning."""
    files: tuple[str, ...]
    left_out: dict[str, int]


def load(data: Path) -> Incidents:
    """Read all files. The same incident in two files counts once, as the last file has it."""
    files = sorted(data.glob(PATTERN))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for file in files:
        for number, row in enumerate(_rows(file)):
            provider = row.get("provider", "").lower()
            name = row.get("incident_id", "") or row.get("first_update_at", "")
            rows[provider, name or f"{file.name}:{number}"] = row
    left_out: Counter[str] = Counter()
    cases = []
    for (provider, name), row in rows.items():
        case = _case(provider, name, row)
        if isinstance(case, Case):
            cases.append(case)
        else:
            left_out[case] += 1
    cases.sort(key=lambda case: (case.started_at, case.id))
    return Incidents(tuple(cases), tuple(file.name for file in files), dict(left_out))


def _rows(file: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(16 << 20)
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        for row in csv.DictReader(line.replace("\0", "") for line in lines):
            yield {
                key.strip().lower(): value.strip()
                for key, value in row.items()
                if isinstance(key, str) and isinstance(value, str)
            }


def _case(provider: str, name: str, row: dict[str, str]) -> Case | str:
    """One row as a case, or the reason why it is none."""
    if _MAINTENANCE.search(row.get("impact", "")) or _MAINTENANCE.search(row.get("title", "")):
        return "maintenance"
    posted = [(_time(row.get(f"{stage}_at", "")), stage) for stage in _STAGES]
    stages = sorted((at, stage) for at, stage in posted if at is not None)
    resolved_at = _time(row.get("resolved_at", ""))
    started_at = _time(row.get("first_update_at", ""))
    if started_at is None:
        started_at = stages[0][0] if stages else resolved_at
    if not provider or started_at is None:
        return "unreadable"
    ended_at = _time(row.get("closed_at", "")) or resolved_at
    if ended_at is None:
        minutes = _number(row.get("minutes_first_to_close", ""))
        ended_at = None if minutes is None else started_at + 60 * minutes
    if ended_at is not None and ended_at < started_at:
        return "unreadable"
    if ended_at == started_at:
        return "notice after the fact"
    return Case(f"{provider}/{name}", provider, started_at, ended_at, tuple(stages))


def _time(text: str) -> float | None:
    """Seconds since the epoch; text without a zone is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return seconds if seconds > _EARLIEST else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e7 else None
