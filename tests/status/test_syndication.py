"""Feeds: well-formed, complete, with ids that stay, and with nothing that could run."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import feedparser  # type: ignore[import-untyped]
import msgspec
import pytest

from outlast.nouns import Stage
from outlast.observatory.feeds import syndication as reader
from outlast.status.scope import Scope
from outlast.status.syndication import FORMATS, entries, feed, feed_path
from outlast.status.view import Snapshot
from tests.status.machine_house import (
    API,
    BASE,
    NOW,
    WEB,
    failing,
    hostile,
    outage,
    quiet,
    shot,
    suspected,
    update,
    window,
)

ATOM = "{http://www.w3.org/2005/Atom}"
EVERYTHING = (Scope(), Scope(provider="anthropic"), Scope(component=API), Scope(provider="openai"))


def xml(snapshot: Snapshot, form: str, scope: Scope = EVERYTHING[0]) -> ElementTree.Element:
    return ElementTree.fromstring(feed(snapshot, scope, "en", form))


def as_json(snapshot: Snapshot, scope: Scope = EVERYTHING[0], lang: Any = "en") -> dict[str, Any]:
    found = msgspec.json.decode(feed(snapshot, scope, lang, "json"))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("snapshot", [quiet(), failing(), hostile()], ids=["calm", "bad", "evil"])
@pytest.mark.parametrize("scope", EVERYTHING, ids=lambda scope: scope.folder)
def test_atom_has_what_rfc_4287_asks_for(snapshot: Snapshot, scope: Scope) -> None:
    root = xml(snapshot, "atom", scope)
    assert root.tag == f"{ATOM}feed"
    for element in (root, *root.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            (one,) = element.findall(f"{ATOM}{name}")
            assert one.text
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", element.findtext(f"{ATOM}updated") or ""
        )
        assert (element.findtext(f"{ATOM}id") or "").startswith("urn:uuid:")
    links = {one.get("rel"): one.get("href") for one in root.findall(f"{ATOM}link")}
    assert links["self"] == f"{BASE}{feed_path(scope, 'en', 'atom')}"
    assert root.find(f"{ATOM}author/{ATOM}name") is not None
    assert all(one.get("type") == "text" for one in root.iter(f"{ATOM}content"))


@pytest.mark.parametrize("snapshot", [quiet(), failing(), hostile()], ids=["calm", "bad", "evil"])
def test_rss_has_what_rss_2_0_asks_for(snapshot: Snapshot) -> None:
    root = xml(snapshot, "rss")
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    (channel,) = root.findall("channel")
    for name in ("title", "link", "description", "language"):
        assert channel.findtext(name), name
    for item in channel.findall("item"):
        guid = item.find("guid")
        assert guid is not None
        assert guid.get("isPermaLink") == "false"
        assert re.fullmatch(
            r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
            item.findtext("pubDate") or "",
        )


def test_json_feed_has_what_version_1_1_asks_for() -> None:
    found = as_json(failing(), Scope(component=API), "fr")
    assert found["version"] == "https://jsonfeed.org/version/1.1"
    assert found["language"] == "fr"
    assert found["feed_url"] == f"{BASE}/status/anthropic/api/feed.fr.json"
    assert all({"id", "url", "title", "content_text", "date_published"} <= one.keys()
               for one in found["items"])  # fmt: skip
    assert not any("content_html" in one for one in found["items"])


def test_an_entry_is_one_update_the_newest_first() -> None:
    found = entries(shot(outage()), Scope(), "en")
    assert [one.title.partition(": ")[0] for one in found] == [
        "Correction",
        "Reaches further",
        "Confirmed",
        "Suspected",
    ]
    assert found[0].text == "Correction of 11:51\u00a0UTC: Not all of web."


def test_what_only_wavers_makes_no_entry() -> None:
    wavering = update(NOW, "changed", Stage.INVESTIGATING, "Now: worse.")
    incident = outage(updates=(*outage().updates, wavering))
    assert entries(shot(incident), Scope(), "en") == entries(shot(outage()), Scope(), "en")


def test_what_was_never_confirmed_says_so_in_its_title() -> None:
    more = update(NOW, "monitoring", Stage.MONITORING, "Calm.")
    incident = suspected(updates=(*suspected().updates, more))
    assert [one.title for one in entries(shot(incident), Scope(), "en")] == [
        "Working again, watched: OpenAI: problems (API) (not confirmed)",
        "Suspected: OpenAI: problems (API)",
    ]


def test_an_id_stays_when_more_happens_and_is_the_same_in_every_feed_of_a_language() -> None:
    before = {one.id for one in entries(shot(outage()), Scope(), "en")}
    more = update(NOW, "resolved", Stage.RESOLVED, "Over.")
    after = shot(outage(updates=(*outage().updates, more), stage=Stage.RESOLVED, resolved_at=NOW))
    assert before < {one.id for one in entries(after, Scope(), "en")}
    for scope in (Scope(provider="anthropic"), Scope(component=WEB)):
        assert {one.id for one in entries(shot(outage()), scope, "en")} == before
    assert not before & {one.id for one in entries(shot(outage()), Scope(), "fr")}


def test_a_feed_of_one_part_has_that_part_alone() -> None:
    assert {one["tags"][0] for one in as_json(failing(), Scope(provider="openai"))["items"]} == {
        "opened",
        "maintenance",
    }
    assert as_json(failing(), Scope(component="anthropic/api/claude-opus-4-8"))["items"] == []


WINDOWS = (
    ("scheduled", 1, "Announced."),
    ("in_progress", 2, "Announced and begun."),
    ("completed", 3, "And done."),
    ("cancelled", 2, "Announced and cancelled."),
)


@pytest.mark.parametrize(("state", "count", "why"), WINDOWS)
def test_a_window_makes_an_entry_for_each_of_its_states(state: str, count: int, why: str) -> None:
    found = entries(shot(windows=(window(state),)), Scope(), "en")
    assert len({one.id for one in found}) == len(found) == count, why


def test_hostile_texts_hold_no_tag_wherever_a_reader_may_look_for_one() -> None:
    channel = xml(hostile(), "rss").find("channel")
    assert channel is not None
    for element in channel.iter():
        if element.tag in {"title", "description", "category"}:
            assert "<" not in (element.text or "")
    for form in FORMATS:
        body = feed(hostile(), Scope(), "en", form).decode()
        assert "<script" not in body or form == "json"
        assert not re.search("[\x00-\x08\x0b\u202e]", body)


def test_our_own_reader_reads_both() -> None:
    for form in ("atom", "rss"):
        page = reader.parse(feed(failing(), Scope(), "en", form), "anthropic", "ours", NOW)
        titles = [one.title for one in page.notices]
        assert "Confirmed: Anthropic: major outage (API)" in titles
        ended = next(one for one in page.notices if one.title.startswith("Resolved"))
        assert ended.stage == "resolved"


@pytest.mark.parametrize(("form", "version"), [("atom", "atom10"), ("rss", "rss20")])
def test_a_reader_that_many_programs_use_finds_no_fault(form: str, version: str) -> None:
    for snapshot in (quiet(), failing(), hostile()):
        found = feedparser.parse(feed(snapshot, Scope(), "fr", form))
        assert (found.bozo, found.version) == (False, version)
        assert all(one.id and one.title and one.link for one in found.entries)
