"""One table of paths: everything that programs read is found by it, and nothing else."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec
import pytest

from outlast.status.machines import answer, paths
from tests.status.machine_house import failing, hostile, quiet

FOUND: tuple[tuple[str, dict[str, str], str], ...] = (
    ("/api/v2/summary.json", {}, "application/json; charset=utf-8"),
    ("/status/api/v2/status.json", {}, "application/json; charset=utf-8"),
    ("/status/anthropic/api/v2/summary.json", {}, "application/json; charset=utf-8"),
    ("/status/anthropic/api/feed.rss", {}, "application/rss+xml; charset=utf-8"),
    ("/status/feed.atom", {"lang": "fr"}, "application/atom+xml; charset=utf-8"),
    ("/status/feed.json", {"component": "anthropic/api"}, "application/feed+json; charset=utf-8"),
    ("/status/badge.svg", {"component": "anthropic/api"}, "image/svg+xml; charset=utf-8"),
    ("/status/badge.fr.svg", {}, "image/svg+xml; charset=utf-8"),
    ("/status/widget.js", {}, "text/javascript; charset=utf-8"),
    ("/status/widget", {"scope": "openai", "lang": "fr"}, "text/html; charset=utf-8"),
    ("/status/openai/widget.json", {}, "application/json; charset=utf-8"),
    ("/api/openapi.json", {}, "application/json; charset=utf-8"),
    ("/llms.txt", {}, "text/plain; charset=utf-8"),
)


@pytest.mark.parametrize(("path", "query", "media_type"), FOUND)
def test_what_programs_ask_for_is_found(path: str, query: dict[str, str], media_type: str) -> None:
    found = answer(failing(), path, query)
    assert found is not None
    assert found.found
    assert found.media_type == media_type


PEOPLE = ("/status", "/status/anthropic", "/status/incidents/inc_1", "/", "", "/status/history",
          "/other/feed.atom", "/status/nobody/feed.atom", "/status/feed.html", "/feed.atom",
          "/status/" + "a" * 600 + "/feed.atom")  # fmt: skip


@pytest.mark.parametrize("path", PEOPLE)
def test_the_rest_is_left_to_the_pages(path: str) -> None:
    assert answer(failing(), path) is None


def test_what_does_not_exist_is_told_in_the_form_that_was_asked_for() -> None:
    badge = answer(quiet(), "/status/badge.svg", {"component": "nobody/api"})
    assert badge is not None
    assert not badge.found
    assert b"no such component" in badge.body
    for path in ("/api/v2/nothing.json", "/status/nobody/api/v2/summary.json"):
        document = answer(quiet(), path)
        assert document is not None
        assert not document.found
        assert "error" in msgspec.json.decode(document.body)


@pytest.mark.parametrize("snapshot", [quiet(), failing(), hostile()], ids=["calm", "bad", "evil"])
def test_every_path_of_the_mirror_is_answered_and_named_once(snapshot: object) -> None:
    listed = paths(snapshot)  # type: ignore[arg-type]
    assert len(set(listed)) == len(listed)
    for path in listed:
        found = answer(snapshot, unquote(path))  # type: ignore[arg-type]
        assert found is not None, path
        assert found.found, path


def test_both_ways_to_ask_for_a_part_and_a_language_give_the_same() -> None:
    by_path = answer(failing(), "/status/anthropic/api/feed.fr.atom")
    by_query = answer(failing(), "/status/feed.atom", {"component": "anthropic/api", "lang": "fr"})
    assert by_path == by_query
