"""`/llms.txt`: it says what is known, and nobody's words become more than words."""

from __future__ import annotations

from outlast.status.llms import text
from tests.status.machine_house import BASE, NOW, failing, hostile, shot


def test_it_says_what_is_known_and_where_the_rest_is() -> None:
    found = text(failing()).decode()
    assert found.startswith("# Outlast")
    assert "Anthropic is failing" in found
    assert f"]({BASE}/status/incidents/inc_suspected): investigating, suspected" in found
    assert f"({BASE}/api/openapi.json)" in found


def test_it_says_when_it_is_out_of_date() -> None:
    assert "may no longer hold" in text(shot(stale=True, at=NOW - 900)).decode()


def test_a_strangers_words_end_no_link_and_begin_no_line() -> None:
    lines = text(hostile()).decode().splitlines()
    (line,) = [one for one in lines if "alert(1)" in one]
    assert line.startswith("- [")
    assert line.count("](") == 1
    assert "<" not in line
