"""The pages on which people subscribe, as browsers, mail programs and other sites ask for them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.routing import Route

from outlast.nouns import Impact
from outlast.observatory import subscription_desk
from outlast.observatory.notify_signing import Purpose, mint, webhook_secret
from outlast.observatory.subscribing import DEFAULT_STATES, EXTRA_STATES, Channel, Digest, Wanted
from outlast.observatory.words import LANGS
from outlast.status.subscribe_http import SubscribePages
from outlast.status.subscribe_texts import FORM
from outlast.status.view import Snapshot
from tests.observatory.notify.desk import Answer, House
from tests.observatory.notify.people import AT, KEY, ends
from tests.status.days import second_of_march

PAGE = "/status/subscribe"
FORM_TYPE = "application/x-www-form-urlencoded"
ANN = {"kind": "email", "target": "ann@example.org"}


class Pages(House):
    """The desk with its pages."""

    def routes(self) -> list[Route]:
        view: Snapshot = second_of_march()["12:30"]
        return [
            *super().routes(),
            *SubscribePages(self.desk, lambda: view, lambda: "push-key").routes(),
        ]

    async def send(self, path: str, fields: object, **headers: str) -> Answer:
        """A form, as a browser on our own page sends it."""
        usual = {"content_type": FORM_TYPE, "sec_fetch_site": "same-origin"}
        raw = urlencode(fields, doseq=True).encode()  # type: ignore[arg-type]
        return await self.ask("POST", path, raw, **usual | headers)


@pytest.fixture(scope="module", autouse=True)
def played() -> None:
    """The day that is shown, played while no event loop runs: it brings its own."""
    second_of_march()


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Pages]:
    made = Pages(tmp_path)
    yield made
    await made.database.close()


def link(purpose: Purpose, name: str = "sub_1", until: float = 0) -> str:
    what = "confirm" if purpose is Purpose.CONFIRM else "manage"
    return f"{PAGE}/{what}?token={mint(KEY, purpose, name, until)}"


class Fields(HTMLParser):
    """The values that a browser would send with the first form of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.ids: set[str] = set()
        self.named: set[str] = set()
        self.hrefs: list[str] = []
        self._select = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.hrefs += [given["href"] or ""] if "href" in given else []
        name = given.get("name") or ""
        if tag in {"input", "select"}:
            self.named.add(name)
        if tag == "select":
            self._select = name
        if tag == "option" and "selected" in given:
            self.values.setdefault(self._select, []).append(given.get("value") or "")
        picked = given.get("type") not in {"radio", "checkbox"} or "checked" in given
        if tag == "input" and picked:
            self.values.setdefault(name, []).append(given.get("value") or "")


async def test_the_form_offers_what_is_set_up_and_what_is_watched(pages: Pages) -> None:
    shown = await pages.ask("GET", f"{PAGE}?lang=en")
    assert shown.status == 200
    for value in ("email", "webhook", "slack", "anthropic/api", "critical", "daily", "retracted"):
        assert f'value="{value}"' in shown.text
    assert "apprise" not in shown.text  # for operators alone
    assert Fields(shown.text).values["states"] == list(DEFAULT_STATES)
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers["referrer-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]


async def test_models_are_folded_away_until_one_is_chosen(pages: Pages) -> None:
    shown = (await pages.ask("GET", f"{PAGE}?lang=en")).text
    models = re.findall(r'value="(anthropic/api/[^"]+)"', shown)
    assert models
    assert "<details><summary>Models of the API: Anthropic</summary>" in shown
    chosen = (await pages.ask("GET", f"{PAGE}?lang=en&component={models[0]}")).text
    assert "<details open><summary>Models of the API: Anthropic</summary>" in chosen
    assert Fields(chosen).values["components"] == [models[0]]


async def test_a_kind_that_is_not_set_up_is_not_offered(tmp_path: Path) -> None:
    house = Pages(tmp_path, kinds=(Channel.SLACK,))
    shown = (await house.ask("GET", PAGE)).text
    assert 'value="slack"' in shown
    assert 'value="email"' not in shown
    assert "push-key" not in shown
    nothing = Pages(tmp_path, kinds=())
    assert FORM["en"]["none"] in (await nothing.ask("GET", PAGE)).text
    for one in (house, nothing):
        await one.database.close()


async def test_a_form_that_is_sent_as_it_comes_can_be_had(pages: Pages) -> None:
    for lang in LANGS:
        html = (await pages.ask("GET", f"{PAGE}?lang={lang}")).text
        fields = Fields(html).values | {"target": [f"{lang}@example.org"]}
        answer = await pages.send(f"{PAGE}?lang={lang}", fields)
        assert answer.status == 200
        assert f'lang="{lang}"' in answer.text
    assert await pages.rows() == 2


async def test_everything_that_is_chosen_is_kept(pages: Pages) -> None:
    fields = {
        "kind": "slack",
        "target": "https://hooks.example.org/x",
        "components": ["anthropic/api", "openai/web"],
        "impact": "major",
        "digest": "daily",
        "hour": "18",
        "zone": "Europe/Paris",
        "lang": "fr",
        "states": ["confirmed", "vendor"],
    }
    answer = await pages.send(f"{PAGE}?lang=en", fields)
    assert answer.status == 200
    ((name, _),) = await pages.database.read(ends)
    found = await pages.find(name)
    assert found is not None
    assert found.wanted == Wanted(
        lang="fr",
        components=("anthropic/api", "openai/web"),
        impact=Impact.MAJOR,
        states=("confirmed", "vendor"),
        digest=Digest.DAILY,
        hour=18,
        zone="Europe/Paris",
    )
    manage = next(one for one in Fields(answer.text).hrefs if one.startswith(f"{PAGE}/manage"))
    assert (await pages.ask("GET", manage)).status == 200


async def test_a_webhooks_secret_is_shown_once_and_it_hears_at_once(pages: Pages) -> None:
    fields = {"kind": "webhook", "target": "https://example.org/hook", "digest": "daily"}
    answer = await pages.send(PAGE, fields)
    ((name, _),) = await pages.database.read(ends)
    assert webhook_secret(KEY, name) in answer.text.replace("&#43;", "+")
    found = await pages.find(name)
    assert found is not None
    assert found.wanted.digest is Digest.NOW
    managed = await pages.ask("GET", link(Purpose.LEAVE, name))
    assert "whsec_" not in managed.text
    assert 'value="daily"' not in managed.text


async def test_known_and_unknown_addresses_get_the_same_page(pages: Pages) -> None:
    await pages.add(name="sub_9", target="ben@example.org")
    answers = {
        (await pages.send(PAGE, {**ANN, "target": f"{name}@example.org"})).body
        for name in ("ann", "ben", "ann", "ann", "ann")
    }
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("target", "nobody", "Ce n'est pas une adresse électronique"),
        ("target", "", "Ce n'est pas une adresse électronique"),
        ("kind", "pigeon", "'pigeon' n'est pas un choix possible"),
        ("components", "anthropic", "n'est pas un composant"),
        ("impact", "huge", "'huge' n'est pas un choix possible"),
        ("hour", "25", "Il faut une heure pleine"),
        ("hour", "²", "Il faut une heure pleine"),
        ("zone", "Mars/Base", "n'est pas un fuseau horaire connu"),
    ],
)
async def test_what_is_wrong_is_said_beside_what_was_written(
    pages: Pages, field: str, value: str, says: str
) -> None:
    sent = {**ANN, "components": "anthropic/web", "impact": "major", field: value}
    answer = await pages.send(f"{PAGE}?lang=fr", sent)
    assert answer.status == 400
    html = answer.text.replace("&#39;", "'")
    assert says in html
    assert "<title>Erreur\u00a0: " in html
    again = Fields(html)
    assert f"#{field}" in again.hrefs
    assert field in again.ids
    if field not in {"components", "impact", "target"}:
        assert again.values["target"] == ["ann@example.org"]
        assert again.values["components"] == ["anthropic/web"]
        assert again.values["impact"] == ["major"]
    assert await pages.rows() == 0


async def test_what_others_write_is_shown_as_text(pages: Pages) -> None:
    evil = '"><script>alert(1)</script>'
    sent = {"kind": evil, "target": evil, "components": [evil, "a/api"], "lang": evil}
    answer = await pages.send(PAGE, sent)
    assert answer.status == 400
    assert "<script>alert" not in answer.text
    led = await pages.ask("GET", f"{PAGE}?component={evil}")
    assert "<script>alert" not in led.text


@pytest.mark.parametrize(
    ("why", "headers", "status"),
    [
        ("our own page", {"sec_fetch_site": "same-origin"}, 200),
        ("somebody's own doing", {"sec_fetch_site": "none"}, 200),
        ("another site", {"sec_fetch_site": "cross-site"}, 403),
        ("another host of the same site", {"sec_fetch_site": "same-site"}, 403),
        ("an older browser, our page", {"origin": "https://status.example.org"}, 200),
        ("an older browser, another site", {"origin": "https://evil.example"}, 403),
        ("an older browser that hides it", {"origin": "null"}, 403),
        ("by the address that it was reached by", {"origin": "http://a:1", "host": "a:1"}, 200),
        ("a program", {}, 200),
    ],
)
async def test_a_form_of_another_site_subscribes_nobody(
    pages: Pages, why: str, headers: dict[str, str], status: int
) -> None:
    raw = urlencode(ANN).encode()
    answer = await pages.ask("POST", PAGE, raw, content_type=FORM_TYPE, **headers)
    assert answer.status == status, why
    assert await pages.rows() == (1 if status == 200 else 0), why


async def test_a_scanner_that_opens_the_link_of_a_mail_confirms_nothing(pages: Pages) -> None:
    await pages.add(confirmed_at=None)
    where = link(Purpose.CONFIRM, until=AT + 100)
    for method in ("GET", "HEAD"):
        assert (await pages.ask(method, where)).status == 200
    found = await pages.find("sub_1")
    assert found is not None
    assert found.confirmed_at is None


async def test_the_button_of_the_page_confirms_and_is_no_mistake_twice(pages: Pages) -> None:
    await pages.add(confirmed_at=None, wanted=Wanted(lang="fr", digest=Digest.DAILY, hour=6))
    where = link(Purpose.CONFIRM, until=AT + 100)
    shown = await pages.ask("GET", where)
    assert "regroupé, une fois par jour, 06:00 UTC" in shown.text  # in the subscription's language
    action = re.findall(r'<form method="post" action="([^"]+)"', shown.text)
    assert len(action) == 1
    for _ in range(2):
        done = await pages.send(action[0].replace("&amp;", "&"), {"do": "confirm"})
        assert (done.status, FORM["fr"]["confirmed_title"] in done.text.replace("&#39;", "'")) == (
            200,
            True,
        )
    found = await pages.find("sub_1")
    assert found is not None
    assert found.confirmed_at == AT


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("what", ["confirm", "manage"])
async def test_a_link_that_does_not_work_gets_a_page_that_says_why(
    pages: Pages, method: str, what: str
) -> None:
    other = Purpose.LEAVE if what == "confirm" else Purpose.CONFIRM
    for token in ("", "abc", mint(KEY, other, "sub_1"), "x" * 5000):
        where = f"{PAGE}/{what}?token={token}&lang=fr"
        answer = await pages.ask(method, where, b"do=leave", content_type=FORM_TYPE)
        assert answer.status == 404
        assert FORM["fr"]["wrong_title"] in answer.text
        assert 'href="/status/subscribe?lang=fr"' in answer.text


async def test_a_subscription_is_changed_on_its_page(pages: Pages) -> None:
    wanted = Wanted(providers=("anthropic",), components=("anthropic/api/claude-x",), hour=5)
    await pages.add(wanted=wanted)
    where = link(Purpose.LEAVE)
    shown = Fields((await pages.ask("GET", where)).text)
    assert shown.values["providers"] == ["anthropic"]  # what no form offers is kept all the same
    same = await pages.send(where, shown.values | {"do": ["save"]})
    assert same.status == 200
    found = await pages.find("sub_1")
    assert found is not None
    assert found.wanted == wanted
    changed = {"impact": "critical", "digest": "hourly", "lang": "fr", "do": "save"}
    saved = await pages.send(where, changed)
    assert "Enregistré." in saved.text  # from now on in its new language
    found = await pages.find("sub_1")
    assert found is not None
    assert found.wanted == Wanted(lang="fr", impact=Impact.CRITICAL, digest=Digest.HOURLY)
    wrong = await pages.send(where, {"impact": "huge", "do": "save"})
    assert (wrong.status, "is not one of" in wrong.text) == (400, True)


async def test_only_the_button_ends_a_subscription(pages: Pages) -> None:
    await pages.add()
    where = link(Purpose.LEAVE)
    shown = await pages.ask("GET", where)
    assert FORM["en"]["leave_do"] in shown.text
    assert "sub_1@example.org" not in shown.text  # who finds the link learns no address
    await pages.send(where, {})
    await pages.send(where, {"do": "?"})
    assert await pages.find("sub_1") is not None
    left = await pages.send(where, {"do": "leave"})
    assert FORM["en"]["left"] in left.text
    assert await pages.find("sub_1") is None
    for method in ("GET", "POST"):  # a second press, and whoever opens the link later
        raw = b"do=leave"
        again = await pages.ask(method, where, raw, content_type=FORM_TYPE)
        assert (again.status, FORM["en"]["left"] in again.text) == (200, True)


async def test_an_address_that_has_not_answered_is_tested_again_by_a_button(pages: Pages) -> None:
    fields = {"kind": "slack", "target": "https://hooks.example.org/x"}
    answer = await pages.send(PAGE, fields)
    manage = next(one for one in Fields(answer.text).hrefs if one.startswith(f"{PAGE}/manage"))
    assert FORM["en"]["test_do"] in (await pages.ask("GET", manage)).text
    woken = pages.woken
    tested = await pages.send(manage, {"do": "test"})
    assert FORM["en"]["tested"] in tested.text
    assert pages.woken == woken + 1


async def test_limits_are_said_on_a_page_that_keeps_what_was_written(pages: Pages) -> None:
    for number in range(subscription_desk.ASK_AT_ONCE):
        await pages.send(PAGE, {**ANN, "target": f"n{number}@example.org"})
    answer = await pages.send(PAGE, ANN)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Too many requests" in answer.text
    assert Fields(answer.text).values["target"] == ["ann@example.org"]


@pytest.mark.parametrize(
    ("why", "body", "kind", "status"),
    [
        ("JSON", b"{}", "application/json", 415),
        ("a file", b"--a\r\n", "multipart/form-data; boundary=a", 415),
        ("too many fields", b"&".join([b"a=1"] * 400), FORM_TYPE, 400),
        ("no text", b"target=%ff", FORM_TYPE, 400),
        ("no bytes of text", b"target=\xff", FORM_TYPE, 400),
        ("too long", b"target=" + b"a" * 20_000, FORM_TYPE, 413),
    ],
)
async def test_what_is_no_form_is_refused_on_a_page(
    pages: Pages, why: str, body: bytes, kind: str, status: int
) -> None:
    answer = await pages.ask("POST", PAGE, body, content_type=kind, sec_fetch_site="same-origin")
    assert (answer.status, "<h1>" in answer.text) == (status, True), why
    assert await pages.rows() == 0


async def test_a_dead_database_says_that_nothing_has_changed(pages: Pages) -> None:
    await pages.database.close()
    for answer in (
        await pages.send(PAGE, ANN),
        await pages.ask("GET", link(Purpose.LEAVE)),
        await pages.send(link(Purpose.LEAVE), {"do": "leave"}),
    ):
        assert answer.status == 503
        assert "Nothing has changed" in answer.text
        assert answer.headers["retry-after"]


async def test_the_worker_of_notifications_is_a_script_that_reaches_nothing(pages: Pages) -> None:
    worker = await pages.ask("GET", "/status/push.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["content-security-policy"] == "default-src 'none'"
    shown = await pages.ask("GET", PAGE)
    assert 'data-key="push-key"' in shown.text
    assert "hidden" in shown.text.partition('id="push"')[2].partition(">")[0]


def test_every_text_is_there_in_both_languages() -> None:
    assert set(FORM["en"]) == set(FORM["fr"])
    for name, english in FORM["en"].items():
        french = FORM["fr"][name]
        assert english != french or name == "by_apprise", name
        assert not re.search(r"(?<!\u00a0)[:;?!](?:\s|$)", french), name
    for kind in Channel:
        assert f"by_{kind}" in FORM["en"]
    for state in (*DEFAULT_STATES, *EXTRA_STATES):
        assert f"state_{state}" in FORM["en"]
    assert all(f"impact_{one}" in FORM["en"] for one in Impact)
    assert all(one.value in FORM["en"] for one in Digest)
