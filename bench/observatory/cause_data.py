"""Cloud incidents with hand-labelled causes, as the benchmark reads them.

Every file causes/*_label.csv of the data folder: one row per incident, with line breaks inside of
fields. Columns that matter: description (HTML, or the printed form of a list of updates), status
(a title), label_root_cause_category (CONFIG, OVERLOAD, DEPLOY, EXTERNAL, MAINTAIN, OTHERS, or
blank), label_root_cause (the sentence that states it, UNKNOWN, or blank), label_start_time, year.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from outlast.observatory.cause import Said
from outlast.observatory.feeds.text import plain
from outlast.observatory.feeds.when import when

PATTERN = "causes/*_label.csv"
UNKNOWN = "unknown"
UNLABELLED = "no class"
"""A cause is stated, but nobody gave it a class: neither right nor wrong can be told."""
PARTS = 5
_UPDATE = re.compile(r"""'text':\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_WHEN = re.compile(r"'(?:created|when)':\s*'(\d{4}-\d\d-\d\d[T ][^']{5,25})'")


class Case(msgspec.Struct, frozen=True):
    """One incident's texts and its label."""

    id: str
    file: str
    label: str
    """In capitals as in the file, or `unknown`, or `no class`."""
    said: tuple[Said, ...]
    """Oldest first."""
    at: float | None
    part: int
    """0 to 4, by a hash of the text: the same text is always in the same part."""
    read: bool
    """Whether its text was read when the phrases were written: three quarters of the two files
    that came first were, by a hash of the text."""


def load(data: Path) -> tuple[list[Case], tuple[str, ...]]:
    """Return the incidents and the names of the files. A text that occurs twice counts once."""
    files = sorted(data.glob(PATTERN))
    found: dict[str, Case] = {}
    for file in files:
        for row in rows(file):
            case = _case(file.name, row)
            if case is not None:
                found.setdefault(case.id, case)
    return list(found.values()), tuple(file.name for file in files)


def rows(file: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(16 << 20)
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        for row in csv.DictReader(line.replace("\0", "") for line in lines):
            yield {str(key): value or "" for key, value in row.items() if isinstance(value, str)}


def _case(file: str, row: dict[str, str]) -> Case | None:
    description = row.get("description", "")
    texts = texts_of(description)
    if not texts:
        return None
    title = row.get("status", "") or row.get("external_description", "")
    digest = hashlib.sha256(description.encode()).hexdigest()
    return Case(
        id=digest[:16],
        file=file,
        label=_label(row),
        said=tuple(Said(text, file) for text in (plain(title), *texts) if text),
        at=_at(row, description),
        part=int(digest, 16) % PARTS,
        read=file in {"aws_label.csv", "gcp_label.csv"} and int(digest, 16) % 4 != 3,
    )


def texts_of(description: str) -> list[str]:
    """Return the updates' texts, oldest first: of a printed list, of JSON, or of HTML."""
    found: list[str] = []
    for printed in _UPDATE.findall(description):
        try:
            found.append(str(ast.literal_eval(printed.replace("\n", "\\n"))))
        except (ValueError, SyntaxError):
            found.append(printed[1:-1])
    if not found and description.lstrip().startswith(("[", "{")):
        found = _of_json(description)
    found.reverse()
    return [text for text in map(plain, found or [description]) if text]


def _of_json(description: str) -> list[str]:
    try:
        value = json.loads(description)
    except ValueError:
        return []
    entries = value if isinstance(value, list) else [value]
    return [
        str(one.get("text") or one.get("body") or one.get("description") or "")
        for one in entries
        if isinstance(one, dict)
    ]


def _label(row: dict[str, str]) -> str:
    label = row.get("label_root_cause_category", "").strip().upper()
    if label and label != "UNKNOWN":
        return label
    stated = row.get("label_root_cause", "").strip().upper()
    return UNKNOWN if stated in {"", "UNKNOWN", "NONE", "NAN"} else UNLABELLED


def _at(row: dict[str, str], description: str) -> float | None:
    dates = [at for one in _WHEN.findall(description) if (at := when(one)) is not None]
    if dates:
        return min(dates)
    started = when(row.get("label_start_time", ""))
    if started is not None:
        return started
    year = row.get("year", "")
    # The year alone is known: its end, so that SINCE never leaves out what came after it.
    return datetime(int(year), 12, 31, tzinfo=UTC).timestamp() if year.isdigit() else None
