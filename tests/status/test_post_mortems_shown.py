"""Where a post-mortem is read: page, history, feeds, Statuspage's JSON, mirror; how corrections
are marked there."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from outlast.nouns import Stage
from outlast.observatory.feeds import statuspage as reader
from outlast.observatory.words import Lang
from outlast.status.machines import answer
from outlast.status.packing import pack, unpack
from outlast.status.page import Renderer
from outlast.status.post_mortems import PostMortem
from outlast.status.scope import Scope
from outlast.status.site import site
from outlast.status.statuspage import document
from outlast.status.syndication import FORMATS, entries, feed
from outlast.status.view import Around, Frame, Snapshot, snapshot
from tests.status.machine_house import API, BASE, HOSTILE, NOW, over, state

RENDERER = Renderer()
TEXT = (
    "It failed for an hour.\n\n# Cause\n\n- A change.\n- [The change](https://example.org/c)\n\n"
    "Sorry."
)
FIRST = PostMortem("pm_1", "inc_over", NOW - 600, "Ada", {"en": TEXT, "fr": "Panne d'une heure."})
AGAIN = PostMortem(
    "pm_2", "inc_over", NOW - 60, "Bo", {"en": "It failed for two hours."},
    {"en": "It was two hours, not one."},
)  # fmt: skip


def shot(*versions: PostMortem, **changes: Any) -> Snapshot:
    return snapshot(
        [state(API)],
        [over(**changes)],
        Around(post_mortems={"inc_over": versions}),
        Frame(at=NOW - 5, now=NOW, base_url=BASE),
    )


def page(view: Snapshot, path: str, lang: Lang = "en") -> str:
    month = "2026-03" if path == "history" else ""
    return RENDERER.render(view, path, lang, month=month).body.decode()


def words(html: str) -> str:
    shown = re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", shown)).replace("\u00a0", " "))


def test_the_incident_s_page_has_it_with_its_author_and_its_form() -> None:
    html = page(shot(FIRST), "incidents/inc_over")
    assert "<h3>Cause</h3>" in html
    assert "<li>A change.</li>" in html
    link = '<a href="https://example.org/c" rel="nofollow noopener noreferrer">The change</a>'
    assert link in html
    assert "By Ada, 2026-03-02 12:20 UTC." in words(html)
    assert "corrected" not in words(html)
    french = page(shot(FIRST), "incidents/inc_over", "fr")
    assert "Par Ada, 2026-03-02 12:20 UTC." in words(french)
    assert "Panne d'une heure." in words(french)


def test_a_correction_is_marked_and_the_version_before_can_still_be_read() -> None:
    view = shot(FIRST, AGAIN)
    html = page(view, "incidents/inc_over")
    said = words(html)
    assert "corrected since" in said
    assert "It was two hours, not one." in said
    assert said.index("It failed for two hours.") < said.index("It failed for an hour.")
    assert "As it stood from 2026-03-02 12:20 UTC" in said
    assert '<div class="prose" lang="en">' in page(view, "incidents/inc_over", "fr")


@pytest.mark.parametrize(("path", "versions"), [("history", 1), ("history", 2), ("", 2)])
def test_lists_lead_to_it_and_say_where_it_was_corrected(path: str, versions: int) -> None:
    html = page(shot(*(FIRST, AGAIN)[:versions]), path)
    assert 'href="/status/incidents/inc_over?lang=en#post-mortem"' in html
    assert ("corrected" in words(html)) == (versions == 2)


def test_without_one_nothing_is_said_of_it() -> None:
    for path in ("", "history", "incidents/inc_over"):
        assert "Post-mortem" not in words(page(shot(), path))


def test_each_version_is_an_entry_of_the_feeds_and_no_id_stands_for_two() -> None:
    view = shot(FIRST, AGAIN)
    found = [one for one in entries(view, Scope(), "en") if "post_mortem" in one.tags]
    assert [one.title.partition(":")[0] for one in found] == [
        "Post-mortem corrected",
        "Post-mortem",
    ]
    assert found[0].text.startswith("It was two hours, not one.\n\nIt failed for two hours.")
    assert found[0].url.endswith("#post-mortem")
    every = [one.id for lang in ("en", "fr") for one in entries(view, Scope(), _lang(lang))]
    assert len(set(every)) == len(every)
    before = {one.id: one for one in entries(shot(FIRST), Scope(), "en")}
    after = {one.id: one for one in entries(view, Scope(), "en")}
    assert before.items() <= after.items()


def test_feeds_keep_its_paragraphs_in_every_format() -> None:
    view = shot(FIRST)
    for form in FORMATS:
        body = feed(view, Scope(), "en", form).decode()
        assert "It failed for an hour." in body
    rss = ElementTree.fromstring(feed(view, Scope(), "en", "rss"))
    text = next(e for e in rss.iter("description") if "an hour" in (e.text or "")).text or ""
    assert "an hour.<br><br># Cause" in text
    as_json = msgspec.json.decode(feed(view, Scope(), "en", "json"))
    assert any(one["content_text"] == TEXT for one in as_json["items"])


def incident(view: Snapshot, lang: Lang = "en") -> dict[str, Any]:
    body = document(view, "incidents.json", lang=lang)
    assert body is not None
    found: dict[str, Any] = msgspec.json.decode(body)["incidents"][0]
    return found


def test_statuspage_s_fields_say_when_it_was_published_and_corrected() -> None:
    found = incident(shot(FIRST, AGAIN))
    assert found["status"] == "postmortem"
    assert found["postmortem_body"].startswith("Corrected: It was two hours")
    assert found["postmortem_published_at"] == "2026-03-02T12:20:00.000Z"
    assert found["postmortem_body_last_updated_at"] == "2026-03-02T12:29:00.000Z"
    assert found["updated_at"] == "2026-03-02T12:29:00.000Z"
    assert found["postmortem_ignored"] is False
    stages = [one["status"] for one in found["incident_updates"]]
    assert stages[:3] == ["postmortem", "postmortem", "resolved"]
    assert found["incident_updates"][1]["body"] == TEXT
    french = incident(shot(FIRST), "fr")
    assert french["postmortem_body"] == "Panne d'une heure."


def test_an_incident_that_came_back_is_open_whatever_was_written_of_it() -> None:
    found = incident(shot(FIRST, stage=Stage.INVESTIGATING, resolved_at=None))
    assert found["status"] == "investigating"
    assert "postmortem_body" not in found


def test_a_reader_of_statuspage_pages_takes_it_for_what_is_over() -> None:
    body = document(shot(FIRST), "incidents.json")
    assert body is not None
    (notice,) = reader.parse(body, "anthropic", "page", NOW).notices
    assert notice.resolved_at is not None
    assert [one.stage for one in notice.updates][-1] == "postmortem"


def test_the_mirror_has_it_and_so_does_what_it_is_made_from() -> None:
    view = shot(FIRST, AGAIN)
    assert unpack(pack(view)) == view

    def render(view: Snapshot, path: str, lang: Lang, month: str) -> bytes:
        return RENDERER.render(view, path, lang, month=month, static=True).body

    files = site(view, render)
    assert b"It failed for two hours." in files["status/incidents/inc_over/index.html"]
    history = files["status/history/2026-03.html"].decode()
    assert 'href="../../status/incidents/inc_over/index.html#post-mortem"' in history
    assert b"It failed for two hours." in files["status/feed.atom"]


def test_hostile_words_are_words_everywhere() -> None:
    bad = PostMortem(
        "pm_1", "inc_over", NOW, HOSTILE, {"en": f"# {HOSTILE}\n\n- {HOSTILE}\n\n[{HOSTILE}](https://a.example/)"},
        {"en": HOSTILE},
    )  # fmt: skip
    view = shot(FIRST, bad)
    for path in ("", "history", "incidents/inc_over"):
        html = page(view, path)
        assert "<script>alert" not in html
        assert "<img" not in html
    for form in ("atom", "rss"):
        body = feed(view, Scope(), "en", form)
        assert b"<script" not in body
        ElementTree.fromstring(body)
    found = answer(view, "/api/v2/incidents.json")
    assert found is not None
    assert b"\\u0000" not in found.body


def _lang(name: str) -> Lang:
    return "fr" if name == "fr" else "en"
