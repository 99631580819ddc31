"""One incident in a real browser, from a quiet morning to the history: languages, schemes, sizes,
with and without scripts. Needs Debian's chromium; skips, and says so, where there is none.

Screenshots are kept in tests/browser/shots, or where SHOTS says.
"""

from __future__ import annotations

import gzip
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from outlast.observatory.words import LANGS, Lang
from outlast.status.page import Renderer
from outlast.status.view import Snapshot
from tests.browser.house import Site, complaints, needs_browser, opened, shoot
from tests.status.story import MOMENTS, story

pytestmark = needs_browser
SIZE_LIMIT_BYTES = 25_000
STEPS = ["quiet", *MOMENTS]
WAYS = [
    ("desktop", "light", "en"),
    ("phone", "dark", "fr"),
    ("desktop", "dark", "fr"),
    ("phone", "light", "en"),
    ("phone", "dark", "en"),
    ("desktop", "light", "fr"),
]
"""Each pair of size, scheme and language at least once; each page is read in all, step by step."""
SAID = {
    "quiet": "No outage is known.",
    "suspected": "Anthropic may be failing, since about",
    "confirmed": "This is confirmed.",
    "contradiction": "This is confirmed.",
    "recovering": "Anthropic: working again.",
    "relapse": "failing again, since about",
    "over": "No outage is known.",
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    found = Site(story()["quiet"])
    yield found
    found.close()


def pages(view: Snapshot) -> list[str]:
    incidents = [one.incident.id for one in (*view.open, *view.recent)]
    return ["", "/anthropic", f"/incidents/{incidents[0]}", "/history"]


@pytest.mark.parametrize("step", STEPS)
def test_every_page_is_fit_to_read_at_each_step_of_the_incident(
    site: Site, browser: Browser, step: str
) -> None:
    view = story()[step]
    site.show(view)
    for place, path in enumerate(pages(view)):
        size, scheme, lang = WAYS[(STEPS.index(step) + place) % len(WAYS)]
        context = opened(browser, size, scheme, bypass_csp=True)
        page = context.new_page()
        page.goto(f"{site.url}/status{path}?lang={lang}")
        assert complaints(page) == []
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.evaluate(wide), f"{path} is wider than the {size}"
        name = f"{STEPS.index(step)}-{step}-{path[1:5] or 'all'}-{lang}-{size}-{scheme}"
        shoot(page, name)
        context.close()


@pytest.mark.parametrize("step", STEPS)
def test_the_headline_follows_and_nothing_needs_a_script(
    site: Site, browser: Browser, step: str
) -> None:
    site.show(story()[step])
    context = opened(browser, scripts=False)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.url}/status?lang=en")
    assert SAID[step] in page.inner_text("h1").replace("\u00a0", " ")
    assert page.locator("form button").count() >= 2
    assert [url for url in asked if not url.startswith((site.url, "data:"))] == []
    context.close()


def test_the_contradiction_the_forecast_and_the_history_are_drawn(
    site: Site, browser: Browser
) -> None:
    site.show(story()["contradiction"])
    context = opened(browser)
    page = context.new_page()
    page.goto(f"{site.url}/status?lang=en")
    assert page.locator("section[aria-label^='The vendor and the evidence']").count() == 1
    drawn = page.locator("svg[aria-label^='How long']")
    assert drawn.count() == 1
    box = drawn.bounding_box()
    assert box is not None
    assert box["height"] >= 30
    context.close()
    site.show(story()["recovering"])  # nothing fails: how long it lasts is no question any more
    context = opened(browser)
    page = context.new_page()
    page.goto(f"{site.url}/status?lang=en")
    assert page.locator("svg[aria-label^='How long']").count() == 0
    context.close()
    site.show(story()["over"])
    context = opened(browser)  # a cache of its own
    page = context.new_page()
    page.goto(f"{site.url}/status?lang=en")
    assert page.locator("h2", has_text="Current incidents").count() == 0
    recent = page.locator("ul.rows", has_text="2026-03-10").last
    assert "Anthropic:" in recent.inner_text()
    context.close()


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("step", STEPS)
def test_every_page_stays_small_through_the_whole_incident(
    site: Site, step: str, lang: Lang
) -> None:
    view = story()[step]
    site.show(view)
    for path in pages(view):
        asked = urllib.request.Request(
            f"{site.url}/status{path}?lang={lang}", headers={"accept-encoding": "gzip"}
        )
        with urllib.request.urlopen(asked) as answer:
            packed = answer.read()
            assert answer.headers["content-encoding"] == "gzip"
        assert len(packed) <= SIZE_LIMIT_BYTES
        whole = Renderer().render(view, path[1:], lang).body
        assert gzip.decompress(packed) == whole
