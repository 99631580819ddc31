"""Saying the settings back: rows with origins, changes between two readings, line numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.config import changes, rows
from outlast.config.toml_lines import key_lines, line_of
from tests.config.test_load import ANTHROPIC, KEY, read


def test_rows_name_the_line_of_an_upstream_and_of_a_route(tmp_path: Path) -> None:
    text = ANTHROPIC + "[[routes]]\nmodel = 'm'\nallow = 'any'\ncandidates = ['anthropic/x']\n"
    found = {row.key: row for row in rows(read(tmp_path, text))}
    assert found["upstreams.anthropic.base_url"].origin == "outlast.toml:4"
    assert found["upstreams.anthropic.key"].value == "•••"
    assert found["routes.m.allow"].origin == "outlast.toml:8"
    assert found["routes.m.candidates"].origin == "outlast.toml:9"
    assert found["routes.m.candidates"].value == [
        "0: anthropic/x",
        "1: local/qwen2.5-coder-0.5b",
    ]


def test_changes_tell_what_a_new_file_changes_and_what_waits_for_a_restart(tmp_path: Path) -> None:
    old = read(tmp_path, ANTHROPIC + "[server]\nport = 1000\n[retry]\nmax_attempts = 3\n")
    new = read(
        tmp_path,
        ANTHROPIC + "[server]\nport = 2000\n[retry]\nmax_attempts = 4\n",
        {**KEY, "ANTHROPIC_API_KEY": "another-key"},
    )
    found = {change.key: change for change in changes(old, new)}
    assert set(found) == {"server.port", "retry.max_attempts", "upstreams.anthropic.key"}
    assert found["server.port"].restart
    assert not found["retry.max_attempts"].restart
    assert "another-key" not in repr(found)
    assert changes(old, old) == []


LINES = '''# a comment
top = 1
[a]
x = 1 # [not.a.table]
long = """
x = 2
[b]
"""
"quoted key" = 1
d.e = 3
[a.b]
y = 1
[[r]]
model = "1"
[[r]]
model = "2"
list = [
  1,
]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("top", 2),
        ("a.x", 4),
        ("a.long", 5),
        ("a.quoted key", 9),
        ("a.d.e", 10),
        ("a.b.y", 12),
        ("r[0].model", 14),
        ("r[1].model", 16),
        ("r[1].list[3].deep", 17),  # the nearest key around it
        ("a.b.unknown", 11),
        ("b", None),  # inside a text
    ],
)
def test_a_key_is_found_on_its_line(path: str, line: int | None) -> None:
    assert line_of(path, key_lines(LINES)) == line
