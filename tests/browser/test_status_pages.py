"""What a browser makes of the status pages' promises: no script needed, nobody else asked, hostile
words harmless, the keyboard enough. Needs Debian's chromium; skips, and says so, without it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog

from tests.browser.house import Site, needs_browser
from tests.status.days import hostile, second_of_march

pytestmark = needs_browser


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    found = Site(second_of_march()["11:30"])
    yield found
    found.close()


def test_it_is_complete_without_scripts_and_asks_nobody_else(site: Site, browser: Browser) -> None:
    site.show(second_of_march()["12:30"])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.url}/status?lang=en")
    assert "Anthropic is failing" in page.inner_text("h1")
    assert page.locator("form button").count() == 2
    assert page.locator("svg[role=img]").count() >= 5
    assert [url for url in asked if not url.startswith((site.url, "data:"))] == []
    context.close()


def test_its_own_policy_blocks_nothing_of_its_own(site: Site, browser: Browser) -> None:
    site.show(second_of_march()["12:30"])
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{site.url}/status?lang=en")
    # The day is long past: the page says by itself that it is out of date.
    assert page.locator("#old").is_visible()
    assert said == []
    context.close()


def test_hostile_words_run_nothing(site: Site, browser: Browser) -> None:
    site.show(hostile())
    context = browser.new_context()
    page = context.new_page()
    alarms: list[str] = []

    def alarm(dialog: Dialog) -> None:
        alarms.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", alarm)
    page.on("console", lambda message: alarms.append(message.text))
    for path in ("", "/anthropic", "/incidents/inc_1", "/history"):
        page.goto(f"{site.url}/status{path}?lang=en")
        assert page.locator("main img").count() == 0
    assert alarms == []
    context.close()


def test_it_can_be_used_with_the_keyboard_alone(site: Site, browser: Browser) -> None:
    site.show(second_of_march()["12:30"])
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/status?lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen: set[str] = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.tagName"))
    assert {"A", "BUTTON", "SELECT", "SUMMARY"} <= seen
    context.close()
