"""Subscribing in a real browser: without scripts, with a keyboard, on a phone, in both languages;
and the notifications of the browser itself, as far as one without a network has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from outlast.nouns import Impact
from outlast.observatory.channels import links_for
from outlast.observatory.notify_signing import Purpose, mint
from outlast.observatory.notify_texts import push
from outlast.observatory.notifying import Parcel
from outlast.observatory.push_sealing import PLAIN_LIMIT_BYTES, seal
from outlast.observatory.subscribing import Channel, Digest, Wanted
from outlast.status.subscribe_texts import FORM
from outlast.status.view import Snapshot
from tests.browser.house import CHROMIUM, SHOTS, SIZES, complaints
from tests.browser.subscribing import Place
from tests.observatory.notify.browsers import Browser as Reader
from tests.observatory.notify.people import KEY, parcel, step, subscription
from tests.status.days import second_of_march

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]
PAGE = "/status/subscribe"
VENDOR = """keys => {
    const made = { endpoint: "https://push.example.net/one", keys };
    PushManager.prototype.getSubscription = async () => null;
    PushManager.prototype.subscribe = async function (options) {
        const key = new Uint8Array(options.applicationServerKey);
        window.told = [options.userVisibleOnly, key.length];
        return { toJSON: () => made, unsubscribe: async () => { window.ended = true; } };
    };
}"""
"""In the place of the browser's vendor, whose service needs a network."""
ACTIVE = """async () => {
    const { active } = await navigator.serviceWorker.ready;
    while (active.state !== "activated") {
        await new Promise(done => active.addEventListener("statechange", done, { once: true }));
    }
}"""


@pytest.fixture(scope="module")
def view() -> Snapshot:
    """Played before the browser is there, whose driver keeps this thread's event loop busy."""
    return second_of_march()["12:30"]


@pytest.fixture
def place(tmp_path: Path, view: Snapshot) -> Iterator[Place]:
    found = Place(tmp_path, view)
    yield found
    found.close()


@pytest.fixture(scope="module")
def browser(view: Snapshot) -> Iterator[Browser]:
    del view
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def told(place: Place, browser: Browser) -> Iterator[BrowserContext]:
    """A browser whose owner allows notifications of the site."""
    context = browser.new_context(locale="fr-FR")
    context.grant_permissions(["notifications"], origin=place.url)
    yield context
    context.close()


def link(place: Place, purpose: Purpose, name: str, lang: str = "en") -> str:
    what = "confirm" if purpose is Purpose.CONFIRM else "manage"
    until = place.clock.wall() + 3600 if purpose is Purpose.CONFIRM else 0
    return f"{place.url}{PAGE}/{what}?token={mint(KEY, purpose, name, until)}&lang={lang}"


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_every_page_reads_well_and_axe_finds_nothing(
    place: Place, browser: Browser, size: str, scheme: str, lang: str
) -> None:
    wanted = Wanted(lang="fr" if lang == "fr" else "en", digest=Digest.DAILY)
    place.add(subscription("sub_new", confirmed_at=None, wanted=wanted))
    place.add(subscription("sub_old", wanted=wanted, kind=Channel.SLACK))
    place.add(subscription("sub_silent", wanted=wanted, kind=Channel.WEBHOOK, confirmed_at=None))
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        bypass_csp=True,
    )
    page = context.new_page()
    SHOTS.mkdir(exist_ok=True)

    def look(name: str) -> None:
        assert complaints(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.get_attribute("html", "lang") == lang, name
        shot = f"subscribe-{name}-{lang}-{size}-{scheme}.png"
        page.screenshot(path=SHOTS / shot, full_page=True)

    page.goto(f"{place.url}{PAGE}?lang={lang}")
    page.click("summary")
    look("form")
    page.fill("#target", "nobody")
    page.click("form.tall button")
    assert page.locator("#target").get_attribute("aria-invalid") == "true"
    look("wrong")
    page.check("input[value=webhook]")
    page.fill("#target", "https://example.org/hook")
    page.click("form.tall button")
    assert page.inner_text("code").startswith("whsec_")
    look("asked")
    for name, where in (
        ("confirm", link(place, Purpose.CONFIRM, "sub_new", lang)),
        ("manage", link(place, Purpose.LEAVE, "sub_old", lang)),
        ("silent", link(place, Purpose.LEAVE, "sub_silent", lang)),
        ("no-link", f"{place.url}{PAGE}/manage?token=abc&lang={lang}"),
    ):
        page.goto(where)
        look(name)
    page.goto(link(place, Purpose.LEAVE, "sub_old", lang))
    page.click("text=" + FORM["fr" if lang == "fr" else "en"]["leave_do"])
    look("left")
    context.close()


def test_without_scripts_one_subscribes_confirms_changes_and_leaves(
    place: Place, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{place.url}{PAGE}?lang=en")
    assert not page.locator("#push").is_visible()
    page.fill("#target", "ann@example.org")
    page.check("input[value='anthropic/api']")
    page.select_option("#impact", "major")
    page.select_option("#digest", "daily")
    page.select_option("#hour", "18")
    page.fill("#zone", "Europe/Paris")
    page.click("form.tall button")
    assert page.inner_text("h1") == FORM["en"]["sent_title"]
    (made,) = place.subscriptions()
    assert made.wanted == Wanted(
        components=("anthropic/api",),
        impact=Impact.MAJOR,
        digest=Digest.DAILY,
        hour=18,
        zone="Europe/Paris",
    )
    page.goto(link(place, Purpose.CONFIRM, made.id))
    assert "18:00 Europe/Paris" in page.inner_text("main ul")
    page.click("main form button")
    assert page.inner_text("h1") == FORM["en"]["confirmed_title"]
    (confirmed,) = place.subscriptions()
    assert confirmed.confirmed_at is not None
    page.goto(link(place, Purpose.LEAVE, made.id))
    assert page.locator("#hour").input_value() == "18"
    assert page.locator("#zone").input_value() == "Europe/Paris"
    page.select_option("#digest", "now")
    page.click("text=Save")
    (changed,) = place.subscriptions()
    assert changed.wanted.digest is Digest.NOW
    page.click("button:has-text('Unsubscribe')")
    assert page.inner_text("h1") == FORM["en"]["left_title"]
    assert place.subscriptions() == []
    assert [url for url in asked if not url.startswith((place.url, "data:"))] == []
    context.close()


def test_a_browser_s_own_time_zone_is_written_and_can_be_changed(
    place: Place, browser: Browser
) -> None:
    context = browser.new_context(timezone_id="America/New_York")
    page = context.new_page()
    page.goto(f"{place.url}{PAGE}?lang=fr")
    assert page.locator("#zone").input_value() == "America/New_York"
    offered = page.locator("#zones option").evaluate_all("all => all.map(one => one.value)")
    assert {"UTC", "Europe/Paris"} <= set(offered)
    page.fill("#target", "ann@example.org")
    page.fill("#zone", "Europe/Lutèce")
    page.click("form.tall button")
    assert "n'est pas un fuseau horaire connu" in page.inner_text("#problems")
    page.click("#problems a")
    assert page.evaluate("document.activeElement.id") == "zone"
    assert page.locator("#zone").input_value() == "Europe/Lutèce"
    page.fill("#zone", "")
    page.click("form.tall button")
    (made,) = place.subscriptions()
    assert made.wanted.zone == "UTC"
    context.close()


def test_the_keyboard_alone_reaches_everything_and_an_error_leads_to_its_field(
    place: Place, browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{place.url}{PAGE}?lang=en")
    seen: set[str] = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.name || document.activeElement.id"))
        if page.evaluate("document.activeElement.textContent.trim()") == FORM["en"]["do"]:
            break
    assert {"kind", "target", "components", "impact", "digest", "hour", "zone", "lang"} <= seen
    assert page.evaluate("document.activeElement.type") == "submit"
    page.fill("#target", "nobody")
    page.press("#target", "Enter")
    page.click("#problems a")
    assert page.evaluate("document.activeElement.id") == "target"
    context.close()


def notifications(page: Page, context: BrowserContext, place: Place, words: bytes) -> list[Any]:
    """What the browser shows when its push service brings this.

    It is brought until it shows, as a push service would: a worker that is only just there may
    miss it.
    """
    page.evaluate(ACTIVE)
    tools = context.new_cdp_session(page)
    found: list[Any] = []
    tools.on("ServiceWorker.workerRegistrationUpdated", lambda e: found.extend(e["registrations"]))
    tools.send("ServiceWorker.enable")
    while not found:
        page.wait_for_timeout(20)
    message = {
        "origin": place.url,
        "registrationId": found[0]["registrationId"],
        "data": words.decode(),
    }
    for _ in range(20):
        tools.send("ServiceWorker.deliverPushMessage", message)
        if seen := shown(page, turns=75):
            break
    return seen


def shown(page: Page, turns: int = 1500) -> list[Any]:
    """The notifications on the screen, as soon as there are any; none after so many looks."""
    found = page.evaluate(
        """async turns => {
            const worker = await navigator.serviceWorker.ready;
            for (let turn = 0; turn < turns; turn += 1) {
                const all = await worker.getNotifications();
                if (all.length) return all.map(n => [n.title, n.body, n.lang, n.tag, n.data.url]);
                await new Promise(done => setTimeout(done, 20));
            }
            return [];
        }""",
        turns,
    )
    return list(found)


def unsealed(one: Parcel, reader: Reader) -> bytes:
    """What comes out in the browser of what we would send."""
    links = links_for(one, "https://status.example.org", KEY, 0)
    words = msgspec.json.encode(push(one, links, PLAIN_LIMIT_BYTES))
    once = ec.generate_private_key(ec.SECP256R1())
    return reader.open(seal(words, one.subscription.keys, once, bytes(16)))


def test_a_browser_subscribes_and_shows_what_comes_in_its_language(
    place: Place, told: BrowserContext
) -> None:
    reader = Reader.new()
    page = told.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{place.url}{PAGE}?lang=fr")
    page.evaluate(VENDOR, reader.given)
    page.check("input[value='anthropic/web']")
    page.select_option("#impact", "major")
    page.click("#push-do")
    page.wait_for_selector(f"text={FORM['fr']['push_done'][:10]}")
    assert page.evaluate("window.told") == [True, 65]
    (made,) = place.subscriptions()
    assert (made.kind, made.target) == (Channel.PUSH, "https://push.example.net/one")
    assert made.keys == reader.keys
    assert made.wanted == Wanted(lang="fr", components=("anthropic/web",), impact=Impact.MAJOR)
    news = unsealed(parcel(*step("opened", "confirmed"), to=made), reader)
    assert notifications(page, told, place, news) == [
        [
            "Confirmé\u00a0: Anthropic : panne partielle (API)",
            "confirmed en mots\nTouchés\u00a0: Anthropic API (panne partielle).",
            "fr",
            "inc_a",
            "/status/incidents/inc_a?lang=fr",
        ]
    ]
    assert said == []  # the page's own policy blocks nothing of it
    # The page knows its own subscription again, and leads to where it is changed or ended.
    page.reload()
    page.click("#push-mine a")
    assert page.inner_text("h1") == FORM["fr"]["manage_title"]
    page.click("text=" + FORM["fr"]["leave_do"])
    assert place.subscriptions() == []


def test_a_push_without_words_shows_something_all_the_same(
    place: Place, told: BrowserContext
) -> None:
    page = told.new_page()
    page.goto(f"{place.url}{PAGE}?lang=en")
    page.evaluate("navigator.serviceWorker.register('/status/push.js', {scope: '/status/'})")
    ((title, _, _, _, url),) = notifications(page, told, place, b"no JSON")
    assert (title, url) == ("Outlast", "/status")


@pytest.mark.parametrize(
    ("url", "leads_to"),
    [
        ("/status/incidents/inc_a?lang=fr", "/status/incidents/inc_a?lang=fr"),
        ("https://evil.example/", "/status"),
        ("//evil.example/status", "/status"),
    ],
)
def test_a_click_on_a_notification_leads_to_our_own_pages_alone(
    place: Place, told: BrowserContext, url: str, leads_to: str
) -> None:
    page = told.new_page()
    page.goto(f"{place.url}{PAGE}?lang=en")
    with told.expect_event("serviceworker") as came:
        page.evaluate("navigator.serviceWorker.register('/status/push.js', {scope: '/status/'})")
    words = msgspec.json.encode({"title": "a", "body": "b", "tag": "t", "url": url, "lang": "en"})
    notifications(page, told, place, words)
    went = came.value.evaluate(
        """async () => {
            let went = "";
            self.clients.openWindow = async (place) => { went = place; };  // needs a real click
            const [notification] = await self.registration.getNotifications();
            self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
            return went;
        }"""
    )
    assert went.removeprefix(place.url) == leads_to
    assert (
        page.evaluate(
            "navigator.serviceWorker.ready.then(w => w.getNotifications()).then(n => n.length)"
        )
        == 0
    )


@pytest.mark.parametrize(("lang", "says"), [("en", "Notices have ended"), ("fr", "Les avis sont")])
def test_who_lost_the_address_of_its_browser_is_told_to_subscribe_again(
    place: Place, told: BrowserContext, lang: str, says: str
) -> None:
    page = told.new_page()
    page.goto(f"{place.url}{PAGE}?lang={lang}")
    page.evaluate(VENDOR, Reader.new().given)
    with told.expect_event("serviceworker") as came:
        page.click("#push-do")
    page.wait_for_selector(f"text={FORM['fr' if lang == 'fr' else 'en']['push_done'][:10]}")
    came.value.evaluate("self.dispatchEvent(new ExtendableEvent('pushsubscriptionchange'))")
    ((title, _, spoken, _, url),) = shown(page)
    assert title.startswith(says)
    assert (spoken, url) == (lang, f"/status/subscribe?lang={lang}")


def test_a_browser_that_cannot_be_reached_or_is_refused_is_told_so(
    place: Place, browser: Browser, told: BrowserContext
) -> None:
    page = told.new_page()
    page.goto(f"{place.url}{PAGE}?lang=en")
    page.click("#push-do")  # the vendor's push service needs a network
    page.wait_for_selector(f"text={FORM['en']['push_failed']}")
    page.evaluate(VENDOR, {"p256dh": "AAAA", "auth": "AAAA"})
    page.click("#push-do")
    page.wait_for_selector(f"text={FORM['en']['push_refused']}")
    assert "keys:" in page.inner_text("#push-said")
    assert page.evaluate("window.ended") is True
    assert place.subscriptions() == []
    context = browser.new_context()  # nobody allowed anything
    closed = context.new_page()
    closed.goto(f"{place.url}{PAGE}?lang=en")
    closed.click("#push-do")
    closed.wait_for_selector(f"text={FORM['en']['push_denied']}")
    context.close()
