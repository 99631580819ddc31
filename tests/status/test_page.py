"""The page as a reader without a script gets it, in both languages."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser

import pytest

from outlast.nouns import Status, Suspicion
from outlast.observatory.words import LANGS, Lang
from outlast.status.page import Renderer
from outlast.status.texts import TEXTS
from outlast.status.view import Snapshot
from tests.status.days import hostile, second_of_march
from tests.status.machine_house import API, MODEL, NOW, WEB, shot, state

RENDERER = Renderer()
VOID = {"meta", "link", "input", "br", "img"}
SIZE_LIMIT_BYTES = 25_000


class Checked(HTMLParser):
    """Reads a page strictly: every element is closed, every id is there once."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.lang = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "action"}:
                self.links.append(value or "")
            if tag == "html" and name == "lang":
                self.lang = value or ""
            if name == "style":
                self.handlers.append("style")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def read(body: bytes) -> Checked:
    page = Checked()
    page.feed(body.decode())
    page.close()
    assert page.open == []
    return page


def paths(view: Snapshot) -> list[str]:
    ids = [one.incident.id for one in (*view.open, *view.recent)]
    providers = [one.provider for one in view.providers]
    return ["", "history", *providers, *(f"incidents/{one}" for one in ids)]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("at", ["11:30", "12:30", "17:00"])
def test_every_page_of_that_day_is_whole_small_and_asks_nobody_else(at: str, lang: Lang) -> None:
    view = second_of_march()[at]
    for path in paths(view):
        made = RENDERER.render(view, path, lang)
        assert made.status == 200
        page = read(made.body)
        assert page.lang == lang
        assert len(page.ids) == len(set(page.ids))
        assert len(gzip.compress(made.body)) <= SIZE_LIMIT_BYTES
        assert [one for one in page.links if not one.startswith(("/", "#", "data:,"))] == []
        assert page.handlers == []
        assert re.search(rb">\s*None\s*<|Status\.|Suspicion\.", made.body) is None


def text_of(view: Snapshot, lang: Lang, path: str = "") -> str:
    body = RENDERER.render(view, path, lang).body.decode()
    plain = re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", " ", body, flags=re.DOTALL)
    return re.sub(r"\s+", " ", plain).replace("&#39;", "'").replace("\u00a0", " ")


def test_a_quiet_hour_claims_nothing() -> None:
    said = text_of(second_of_march()["11:30"], "en")
    assert "No outage is known." in said
    assert "Current incidents" not in said


def test_at_half_past_twelve_it_says_what_is_known_and_how() -> None:
    said = text_of(second_of_march()["12:30"], "en")
    assert "Anthropic is failing, since about 11:3" in said
    assert "This is confirmed." in said
    assert "requests failed in the last 5 minutes" in said
    assert "people report problems" in said
    assert "The vendor and the evidence disagree" in said
    assert "Unknown. Anthropic has named none" in said
    assert "Not enough history" in said
    assert "Reports by region" in said
    assert "openai" in said
    assert "would be asked now" in said


def test_the_same_in_french() -> None:
    said = text_of(second_of_march()["12:30"], "fr")
    assert "Anthropic est en panne" in said
    assert "C'est confirmé." in said
    assert "Le fournisseur et les indices se contredisent" in said
    english = {"The vendor", "is failing", "people report", "No account", "What works"}
    assert [words for words in english if words in said] == []


def test_rumours_stand_in_their_own_place_with_their_state() -> None:
    said = text_of(second_of_march()["17:00"], "en")
    for rumour in ("People who left ChatGPT", "failures of AWS in the Middle East"):
        assert re.search(re.escape(rumour) + r".{0,60}unconfirmed", said)


def test_what_comes_from_outside_runs_nowhere_and_breaks_nothing() -> None:
    view = hostile()
    for lang in LANGS:
        for path in paths(view):
            body = RENDERER.render(view, path, lang, reported="counted").body
            page = read(body)
            assert len(page.scripts) == 1
            assert page.handlers == []
            assert b"<img" not in body
            assert b"alert(2)&gt;49" not in body
            assert b"alert(1)</script>" not in body


def test_the_policy_names_the_page_s_own_style_and_script_and_nothing_else() -> None:
    policy = RENDERER.policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("sha256-") == 2
    static = RENDERER.render(second_of_march()["11:30"], "", "en", static=True).body
    assert b"Content-Security-Policy" in static
    assert b"frame-ancestors" not in static


def test_a_provider_that_is_only_suspected_is_headed_so_and_one_that_nobody_saw_is_not_fine() -> (
    None
):
    doubt = shot(states=(state(API, Status.MAJOR, Suspicion.S_DOWN),))
    assert "<h1>Anthropic: suspected: major outage</h1>" in heading(doubt, "en")
    assert "Anthropic\u00a0: soupçonné" in heading(doubt, "fr")
    names = (API, WEB, MODEL)
    blind = shot(states=tuple(state(name, evidence=()) for name in names))
    assert "<h1>Anthropic: not looked at</h1>" in heading(blind, "en")
    said = RENDERER.render(blind, "anthropic", "en").body.decode()
    assert said.count('<span class="quiet">not looked at</span>') == len(names)
    assert '"s operational"' not in said


def heading(view: Snapshot, lang: Lang) -> str:
    body = RENDERER.render(view, "anthropic", lang).body.decode()
    return "".join(re.findall(r"<h1>.*?</h1>", body))


def test_an_old_page_names_the_day_and_one_that_never_looked_names_none() -> None:
    for lang in LANGS:
        assert "2026-03-02 12:15" in text_of(shot(stale=True, at=NOW - 900), lang)
        said = text_of(shot(stale=True, at=0.0), lang)
        assert TEXTS[lang]["not_yet"] in said
        assert "1970" not in said


def test_what_is_not_there_is_said_to_be_so() -> None:
    view = second_of_march()["11:30"]
    for path in ("nobody", "incidents/inc_none", "../etc/passwd", "incidents/"):
        made = RENDERER.render(view, path, "en")
        assert made.status == 404
        assert b"There is no such page here." in made.body


@pytest.mark.parametrize("month", ["", "2026-13", "9999-01", "x", "2026-02", "2026-03"])
def test_any_month_gives_a_history(month: str) -> None:
    made = RENDERER.render(second_of_march()["12:30"], "history", "en", month=month)
    shown = "2026-02" if month == "2026-02" else "2026-03"
    assert f"History: {shown}".encode() in made.body


def test_both_languages_have_every_word() -> None:
    assert TEXTS["en"].keys() == TEXTS["fr"].keys()
    for name, words in TEXTS["en"].items():
        fields = set(re.findall(r"\{(\w+)\}", words))
        assert fields == set(re.findall(r"\{(\w+)\}", TEXTS["fr"][name])), name
