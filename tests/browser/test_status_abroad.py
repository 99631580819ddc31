"""The status page away from home: its widget on a foreign site, its forms, and its files on a plain
file server after the service was killed. Needs Debian's chromium; skips, and says so, without it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page
from starlette.routing import Route

from outlast.clock import ManualClock
from outlast.nouns import Observation
from outlast.observatory.board import Board, CrowdState
from outlast.observatory.report_http import PATH as REPORTS
from outlast.observatory.report_http import Kept, Options, ReportEndpoint
from outlast.observatory.reporting import Reporting
from outlast.observatory.words import LANGS, Lang
from outlast.status.mirror import write_folder
from outlast.status.page import Renderer
from outlast.status.site import site
from outlast.status.view import Snapshot
from tests.browser.house import Site, needs_browser, opened
from tests.status.story import story

pytestmark = needs_browser


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def foreign(body: str, policy: str) -> type[BaseHTTPRequestHandler]:
    """Another site's page, under the policy that docs/status.md gives."""

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f"<!doctype html><html lang=en><title>A shop</title><body>{body}".encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-security-policy", policy)
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    return Foreign


@pytest.fixture(scope="module")
def home() -> Iterator[Site]:
    found = Site(story()["confirmed"])
    yield found
    found.close()


def complaints_of(page: Page) -> list[str]:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


@pytest.mark.parametrize("lang", LANGS)
def test_the_script_puts_the_status_onto_a_foreign_page_with_a_strict_policy(
    browser: Browser, home: Site, lang: Lang
) -> None:
    policy = (
        f"default-src 'none'; script-src {home.url}; connect-src {home.url}; base-uri 'none'; "
        "require-trusted-types-for 'script'"
    )
    source = f"{home.url}/status/widget.js"
    tag = f'<script async src="{source}" data-scope="anthropic" data-lang="{lang}">'
    # A shop that uses the same names for other things, and colours of its own.
    with serving(foreign(f"<p class=o>Bread</p>{tag}</script>", policy)) as shop:
        context = opened(browser)
        page = context.new_page()
        said = complaints_of(page)
        page.goto(shop)
        box = page.locator("div >> .o")
        box.wait_for()
        text = box.inner_text().replace("\u00a0", " ")
        assert {"en": "This is confirmed.", "fr": "C'est confirmé."}[lang] in text
        assert page.inner_text("p.o") == "Bread"
        links = box.locator("a").evaluate_all("all => all.map(a => a.href)")
        assert all(link.startswith(f"{home.url}/status") for link in links)
        assert f"lang={lang}" in links[0]
        assert said == []
        assert context.cookies() == []
        context.close()


def test_the_frame_shows_the_same_without_any_script(browser: Browser, home: Site) -> None:
    frame = f'<iframe src="{home.url}/status/widget?scope=anthropic&lang=fr" title="État"></iframe>'
    with serving(foreign(frame, f"default-src 'none'; frame-src {home.url}")) as shop:
        context = opened(browser, scripts=False)
        page = context.new_page()
        said = complaints_of(page)
        page.goto(shop)
        inside = page.frame_locator("iframe")
        assert "C'est confirmé." in inside.locator("main").inner_text()
        assert inside.locator("a").get_attribute("target") == "_blank"
        assert said == []
        context.close()


def test_without_the_policy_s_leave_it_is_not_shown_and_the_page_goes_on(
    browser: Browser, home: Site
) -> None:
    tag = f'<script async src="{home.url}/status/widget.js"></script>'
    with serving(foreign(f"<p>Bread</p>{tag}", "default-src 'none'")) as shop:
        context = opened(browser)
        page = context.new_page()
        page.goto(shop)
        assert page.inner_text("body").strip() == "Bread"
        context.close()


# -- reports --------------------------------------------------------------------------------------


class Secrets:
    def pair(self, now: float) -> tuple[bytes, bytes | None]:
        return b"t" * 32, None


class Counting(Site):
    """Pages with a real endpoint for reports behind their buttons."""

    def __init__(self, view: Snapshot) -> None:
        self.reports: list[Observation] = []
        board = Board()
        board.set_states(row.state for one in view.providers for row in one.rows)
        board.set_incidents(one.incident for one in view.open)

        def store(observation: Observation) -> Kept:
            self.reports.append(observation)
            return "kept"

        known = {one.provider: frozenset[str]() for one in view.providers}
        endpoint = ReportEndpoint(
            Reporting(), store, Secrets(), board, ManualClock(view.at),
            Options(known=lambda: known, trusted=(ip_network("10.0.0.0/8"),)),
        )  # fmt: skip
        super().__init__(view, Route(REPORTS, endpoint, methods=["POST"]))


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "none"])
@pytest.mark.parametrize("lang", LANGS)
def test_who_reports_hears_what_became_of_it_and_what_others_see(
    browser: Browser, scripts: bool, lang: Lang
) -> None:
    view = crowded(story()["confirmed"])
    here = Counting(view)
    context = opened(browser, "phone", scripts=scripts)
    page = context.new_page()
    said = complaints_of(page)
    page.goto(f"{here.url}/status?lang={lang}")
    page.select_option("select", "anthropic/web")
    page.click("form button >> nth=0")
    page.wait_for_url("**reported=**")
    told = page.locator("main > [role=status].fine").inner_text().replace("\u00a0", " ")
    if lang == "en":
        assert told.startswith("Thank you. Your report counts. Anthropic web, all reports of the")
        assert "1,240 of problems, 31 that it works. An outage is confirmed" in told
    else:
        assert told.startswith("Merci. Votre signalement compte. Anthropic site web, tous les")
        assert "1\u202f240 de problèmes, 31 que cela fonctionne. Une panne est confirmée" in told
    assert [(one.component, one.outcome) for one in here.reports] == [
        ("anthropic/web", "server_error")
    ]
    page.reload()  # thanks that are read again report nothing again
    assert len(here.reports) == 1
    page.select_option("select", "openai/api")
    page.click("form button >> nth=1")
    page.wait_for_url("**about=openai/api**")
    assert (here.reports[-1].component, here.reports[-1].outcome) == ("openai/api", "ok")
    assert f"lang={lang}" in page.url
    assert said == []
    context.close()
    here.close()


def crowded(view: Snapshot) -> Snapshot:
    providers = tuple(
        msgspec.structs.replace(
            one,
            rows=tuple(
                msgspec.structs.replace(row, crowd=CrowdState(1240, 31))
                if row.state.component == "anthropic/web"
                else row
                for row in one.rows
            ),
        )
        for one in view.providers
    )
    return msgspec.structs.replace(view, providers=providers)


# -- the mirror -----------------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


def test_after_a_kill_the_mirror_is_whole_and_says_within_three_minutes_that_it_is_old(
    browser: Browser, tmp_path: Path
) -> None:
    view, renderer = story()["confirmed"], Renderer()

    def render(view: Snapshot, path: str, lang: Lang, month: str) -> bytes:
        return renderer.render(view, path, lang, month=month, static=True).body

    write_folder(site(view, render), tmp_path / "status")
    # From here on there is no service any more: nothing but files.
    with serving(functools.partial(Quiet, directory=str(tmp_path / "status"))) as mirror:
        context = opened(browser)
        page = context.new_page()
        page.clock.install(time=view.at + 5)
        said, failed = complaints_of(page), []
        page.on("requestfailed", lambda request: failed.append(request.url))
        page.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
        page.goto(f"{mirror}/")
        assert page.locator("#old").is_hidden()
        page.clock.run_for(150_000)
        assert page.locator("#old").is_hidden()
        page.clock.run_for(45_000)
        assert page.locator("#old").is_visible()
        assert "out of date" in page.inner_text("#old")
        for label in ("Français", "Historique", "English"):
            page.get_by_role("link", name=label, exact=True).first.click()
            assert page.locator("#old").is_visible()
        page.goto(f"{mirror}/status/index.html")
        for link in page.locator("main a").evaluate_all("all => all.map(a => a.href)"):
            page.goto(link)
        assert failed == []
        assert said == []
        context.close()


def test_a_mirrored_page_without_scripts_says_as_of_when_it_is(
    browser: Browser, tmp_path: Path
) -> None:
    view, renderer = story()["confirmed"], Renderer()

    def render(view: Snapshot, path: str, lang: Lang, month: str) -> bytes:
        return renderer.render(view, path, lang, month=month, static=True).body

    write_folder(site(view, render), tmp_path / "status")
    with serving(functools.partial(Quiet, directory=str(tmp_path / "status"))) as mirror:
        context = opened(browser, scripts=False)
        page = context.new_page()
        page.goto(f"{mirror}/status/index.fr.html")
        assert "État au 2026-03-10" in page.inner_text("footer")
        assert page.locator("form").count() == 0
        context.close()
