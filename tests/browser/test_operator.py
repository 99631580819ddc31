"""The operators' pages in a real browser: both languages, phone and desktop, light and dark, with
and without scripts, with the keyboard alone, and with hostile words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

from tests.browser.house import CHROMIUM, SHOTS, SIZES, complaints
from tests.browser.operating import Service
from tests.status.machine_house import HOSTILE

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]
WORDS = {
    "en": {"in": "Sign in", "preview": "Preview", "publish": "Publish", "done": "Done."},
    "fr": {"in": "Se connecter", "preview": "Aperçu", "publish": "Publier", "done": "C'est fait."},
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    found = Service(tmp_path)
    yield found
    found.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def sign_in(page: Page, service: Service, lang: str = "en", name: str = "Ada") -> None:
    page.goto(f"{service.url}/operator?lang={lang}")
    page.fill("#f-name", name)
    page.fill("#f-token", service.token)
    page.click(f"main button:has-text('{WORDS[lang]['in']}')")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_every_page_reads_well_and_axe_finds_nothing(
    service: Service, browser: Browser, size: str, scheme: str, lang: str
) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        bypass_csp=True,
    )
    page = context.new_page()
    SHOTS.mkdir(exist_ok=True)

    def look(name: str) -> None:
        page.screenshot(path=SHOTS / f"operator-{name}-{lang}-{size}-{scheme}.png", full_page=True)
        assert complaints(page) == [], name
        assert fits(page), name

    page.goto(f"{service.url}/operator?lang={lang}")
    look("sign-in")
    page.fill("#f-name", "Ada")
    page.fill("#f-token", "not the token")
    page.click("main button")
    look("refused")
    sign_in(page, service, lang)
    look("desk")
    open_at, past_at = (f"/operator/incidents/{one}" for one in (service.open_id, service.past_id))
    paths = {
        "incident": open_at,
        "annotate": f"{open_at}/annotate",
        "cause": f"{open_at}/confirm-cause",
        "correct": f"{open_at}/correct?number=0",
        "retract": f"{open_at}/retract",
        "claim": f"{open_at}/claim",
        "past": past_at,
        "post-mortem": f"{past_at}/post-mortem",
        "maintenance": "/operator/maintenance",
        "list": "/operator/incidents",
        "audit": "/operator/audit",
        "nowhere": "/operator/nothing/here/at/all",
    }
    for name, path in paths.items():
        page.goto(f"{service.url}{path}{'&' if '?' in path else '?'}lang={lang}")
        look(name)
    page.goto(f"{service.url}{past_at}/post-mortem?lang={lang}")
    page.click("button[value=preview]")
    look("post-mortem-preview")
    page.goto(f"{service.url}/operator/maintenance?lang={lang}")
    page.fill("#f-starts_at", "2020-01-01T00:00")
    page.click("button[value=preview]")
    assert page.locator("[role=alert] li").count() >= 2
    look("maintenance-wrong")
    context.close()


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_an_update_is_written_seen_and_published(
    service: Service, browser: Browser, lang: str, scripts: bool
) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page, service, lang)
    words = f"Said in {lang}, scripts {scripts}."
    page.goto(f"{service.url}/operator/incidents/{service.open_id}/annotate?lang={lang}")
    page.select_option("#f-template", "draft")
    page.click("button[value=insert]")
    assert len(page.input_value("#f-text_fr")) > 20
    page.fill("#f-text_en", words)
    page.fill("#f-text_fr", f"{words} (fr)")
    page.click("button[value=preview]")
    assert page.locator("article [lang=en]").inner_text() == words
    assert page.locator("article [lang=fr]").inner_text() == f"{words} (fr)"
    page.click("button[value=publish]")
    assert page.locator("[role=status]").inner_text() == WORDS[lang]["done"]
    page.goto(f"{service.url}/status/incidents/{service.open_id}?lang=fr")
    assert f"{words} (fr)" in page.inner_text("main")
    assert [url for url in asked if not url.startswith((service.url, "data:"))] == []
    context.close()


def test_a_post_mortem_is_written_corrected_and_read(service: Service, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, service)
    path = f"{service.url}/operator/incidents/{service.past_id}/post-mortem?lang=en"
    page.goto(path)
    text = "# Cause\n\n- A change.\n- [Its record](https://example.org/change)\n\nSorry."
    page.fill("#f-text_en", text)
    page.fill("#f-text_fr", "")
    page.click("button[value=preview]")
    assert page.locator("article h4").first.inner_text() == "Cause"
    page.click("button[value=publish]")
    page.goto(path)
    assert page.input_value("#f-text_en") == text
    page.fill("#f-text_en", text.replace("A change", "Another change"))
    page.fill("#f-note_en", "It was another change.")
    page.click("button[value=preview]")
    page.click("button[value=publish]")
    page.goto(f"{service.url}/status/incidents/{service.past_id}?lang=en")
    section = page.locator("section[aria-labelledby=post-mortem]")
    assert "It was another change." in section.inner_text()
    assert section.locator("a[href='https://example.org/change']").first.is_visible()
    context.close()
    for lang in ("en", "fr"):
        for size, scheme in (("desktop", "light"), ("phone", "dark")):
            read_publicly(service, browser, lang, size, scheme)


def read_publicly(service: Service, browser: Browser, lang: str, size: str, scheme: str) -> None:
    """The post-mortem where readers find it: axe finds nothing there, and nothing is too wide."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        bypass_csp=True,
    )
    page = context.new_page()
    paths = {
        "incident": f"/status/incidents/{service.past_id}?lang={lang}",
        "history": f"/status/history?month={service.past_month}&lang={lang}",
    }
    for name, path in paths.items():
        page.goto(service.url + path)
        assert page.locator("#post-mortem, a[href$='#post-mortem']").count() == 1, name
        assert complaints(page) == [], name
        assert fits(page), name
        shot = f"post-mortem-{name}-{lang}-{size}-{scheme}.png"
        page.screenshot(path=SHOTS / shot, full_page=True)
    context.close()


def test_what_is_typed_is_there_again_when_the_session_has_ended_meanwhile(
    service: Service, browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, service)
    page.goto(f"{service.url}/operator/incidents/{service.open_id}/annotate?lang=en")
    page.fill("#f-text_en", 'Line one.\n\nLine <two> & "three".')
    context.clear_cookies(name="outlast_operator")
    # A browser that never was here has no such cookie; this one has had a session.
    context.add_cookies(
        [{"name": "outlast_operator", "value": "ended", "url": f"{service.url}/operator"}]
    )
    page.click("button[value=preview]")
    assert "You are not signed in any more." in page.inner_text("main")
    page.fill("#f-name", "Ada")
    page.fill("#f-token", service.token)
    page.click("main button")
    assert page.input_value("#f-text_en") == 'Line one.\n\nLine <two> & "three".'
    context.close()


def test_it_can_be_used_with_the_keyboard_alone(service: Service, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{service.url}/operator?lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#f-name")
    page.keyboard.type("Ada")
    page.keyboard.press("Tab")
    page.keyboard.type(service.token)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Signed in as Ada")
    page.goto(f"{service.url}/operator/incidents/{service.open_id}/correct?lang=en")
    seen: list[str] = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    wanted = ["f-number", "f-text_en", "f-text_fr", "preview"]
    assert [one for one in seen if one in wanted][:4] == wanted
    # Enter in a line never publishes: it looks.
    page.goto(f"{service.url}/operator/maintenance?lang=en")
    page.focus("#f-title_en")
    page.keyboard.type("Work")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    context.close()


def alarmed(context: BrowserContext) -> list[str]:
    """What a page that runs somebody's words would say."""
    alarms: list[str] = []

    def alarm(dialog: Dialog) -> None:
        alarms.append(dialog.message)
        dialog.dismiss()

    context.on("dialog", alarm)
    context.on("console", lambda message: alarms.append(message.text))
    return alarms


def test_hostile_words_run_nothing_and_the_policy_blocks_nothing_of_ours(
    service: Service, browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    alarms = alarmed(context)
    hostile = HOSTILE.replace("\x00", "").replace("\x0b", "")
    sign_in(page, service, name=hostile[:60])
    root = f"{service.url}/operator/incidents/{service.open_id}"
    page.goto(f"{root}/annotate?lang=en")
    page.fill("#f-text_en", f"</textarea>{hostile}")
    page.click("button[value=preview]")
    page.click("button[value=publish]")
    for path in ("/operator", "/operator/audit", f"/operator/incidents/{service.open_id}"):
        page.goto(f"{service.url}{path}?lang=en")
        assert page.locator("main img, main script").count() == 0
    assert alarms == []
    context.close()
