"""The status page in a real browser: both languages, light and dark, phone and desktop, with and
without scripts. Needs Debian's chromium; skips, and says so, where there is none.

Screenshots of the run are kept in tests/browser/shots (not in the repository).
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import pytest
import uvicorn
from playwright.sync_api import Browser, Dialog, Page, sync_playwright
from starlette.applications import Starlette

from outlast.observatory.board import Board
from outlast.status.http import StatusPages
from outlast.status.stage import Nothing, StageClock
from outlast.status.view import Snapshot
from tests.status.days import hostile, second_of_march

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
SHOTS = Path(__file__).parent / "shots"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"phone": (360, 740), "desktop": (1280, 900)}

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]


class Shown:
    """A source that shows what it is told to."""

    def __init__(self) -> None:
        self.version = 0
        self.view: Snapshot = second_of_march()["11:30"]

    def now(self) -> Snapshot:
        return self.view

    def show(self, view: Snapshot) -> None:
        self.view = view
        self.version += 1


class Site:
    """The pages on a real port, in a thread of their own."""

    def __init__(self) -> None:
        self.source = Shown()
        pages = StatusPages(self.source, Board(), Nothing(), StageClock())  # type: ignore[arg-type]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        config = uvicorn.Config(
            Starlette(routes=pages.routes()), log_config=None, lifespan="off", ws="none"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self.server.serve(sockets=[self.listener]))

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def paths(view: Snapshot) -> list[str]:
    ids = [one.incident.id for one in (*view.open, *view.recent)]
    return ["", "/anthropic", "/history", *(f"/incidents/{one}" for one in ids[:1])]


def complaints(page: Page) -> list[str]:
    """What axe finds, in a line each."""
    page.evaluate(AXE)
    found = page.evaluate(
        "tags => axe.run({runOnly: {type: 'tag', values: tags}}).then(r => r.violations.map("
        "v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).slice(0, 3).join(' | ')))",
        WCAG,
    )
    return [str(one) for one in found]


@pytest.mark.parametrize("moment", ["11:30", "12:30", "17:00"])
@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_every_page_reads_well_and_axe_finds_nothing(
    site: Site, browser: Browser, moment: str, size: str, scheme: str, lang: str
) -> None:
    view = second_of_march()[moment]
    site.source.show(view)
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        bypass_csp=True,
    )
    page = context.new_page()
    SHOTS.mkdir(exist_ok=True)
    for path in paths(view):
        page.goto(f"{site.url}/status{path}?lang={lang}")
        assert complaints(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        name = f"{moment.replace(':', '')}-{lang}-{size}-{scheme}{path.replace('/', '-')[:20]}.png"
        page.screenshot(path=SHOTS / name, full_page=True)
    context.close()


def test_it_is_complete_without_scripts_and_asks_nobody_else(site: Site, browser: Browser) -> None:
    site.source.show(second_of_march()["12:30"])
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
    site.source.show(second_of_march()["12:30"])
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
    site.source.show(hostile())
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
    site.source.show(second_of_march()["12:30"])
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
