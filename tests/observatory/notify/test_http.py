"""The subscriptions' API as programs, browsers and mail programs use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette

from outlast.clock import ManualClock
from outlast.observatory import delivery_tables as book
from outlast.observatory import subscribe_http, subscription_tables
from outlast.observatory.addresses import Rules
from outlast.observatory.networks import read_networks
from outlast.observatory.notify_signing import Purpose, mint, webhook_secret
from outlast.observatory.subscribe_http import Offer, SubscriptionsApi
from outlast.observatory.subscribing import Channel, Digest, Subscription
from outlast.store.database import Database
from tests.observatory.notify.people import AT, KEY, add, ends, something_due, subscription
from tests.store.databases import sqlite_url

ROOT = "/api/subscriptions"
ANN = {"kind": "email", "target": "ann@example.org"}


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class House:
    """The API over a database, asked without a socket."""

    def __init__(self, folder: Path, **offer: object) -> None:
        self.clock = ManualClock(AT)
        self.database = Database(sqlite_url(folder))
        self.woken = 0
        self.halts = False
        """Whether the end of a body never comes."""
        ready = Offer(
            key=KEY,
            base="https://status.example.org",
            kinds=tuple(Channel),
            trusted=read_networks(["10.0.0.0/8"]),
        )
        api = SubscriptionsApi(
            self.database,
            self.clock,
            msgspec.structs.replace(ready, **offer),
            wake=self._wake,
            operator=lambda request: request.headers.get("authorization") == "Bearer op",
        )
        self.app = Starlette(routes=api.routes())

    def _wake(self) -> None:
        self.woken += 1

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        client: str = "192.0.2.1",
        **headers: str,
    ) -> Answer:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body or {})
        given = {"content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        place, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": place,
            "raw_path": place.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "https",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": (client, 5),
            "server": ("status.example.org", 443),
        }
        sent: list[dict[str, Any]] = []
        parts = [{"type": "http.request", "body": raw, "more_body": self.halts}]

        async def receive() -> dict[str, Any]:
            if not parts:
                await asyncio.Event().wait()
            return parts.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:]))

    async def find(self, name: str) -> Subscription | None:
        finding = partial(subscription_tables.find, subscription_id=name)
        return await self.database.read(finding)

    async def add(self, **more: Any) -> None:
        await self.database.write(partial(add, one=subscription(**more)))

    async def rows(self) -> int:
        return len(await self.database.read(ends))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.database.close()


def link(purpose: Purpose, name: str = "sub_1", until: float = 0) -> str:
    what = "confirm" if purpose is Purpose.CONFIRM else "unsubscribe"
    return f"{ROOT}/{what}?token={mint(KEY, purpose, name, until)}"


async def test_who_asks_by_mail_is_written_to_and_told_nothing_of_the_address(
    house: House,
) -> None:
    await house.add(name="sub_9", target="ben@example.org")
    first = await house.ask("POST", ROOT, ANN)
    second = await house.ask("POST", ROOT, {**ANN, "target": "ben@example.org"})
    assert (first.status, second.status) == (202, 202)
    assert first.body == second.body  # known and unknown look alike
    assert first.json["status"] == "asked"
    assert set(first.json["message"]) == {"en", "fr"}
    assert house.woken == 2
    assert await house.rows() == 2


async def test_an_address_that_is_asked_too_often_gets_no_mail_and_the_same_answer(
    house: House,
) -> None:
    answers = {(await house.ask("POST", ROOT, ANN)).body for _ in range(5)}
    assert len(answers) == 1
    assert await house.rows() == subscription_tables.PENDING_EACH_MAX


async def test_a_webhook_gets_its_secret_once_and_a_token_to_leave(house: House) -> None:
    asked = {"kind": "webhook", "target": "https://example.org/hook"}
    answer = await house.ask("POST", ROOT, asked)
    said = answer.json
    assert (answer.status, said["status"]) == (202, "testing")
    assert said["secret"] == webhook_secret(KEY, said["id"])
    looked = await house.ask("GET", f"{ROOT}?token={said['token']}")
    assert looked.json["status"] == "unconfirmed"
    assert "secret" not in looked.json
    assert b"example.org/hook" not in looked.body
    left = await house.ask("POST", said["unsubscribe"].removeprefix("https://status.example.org"))
    assert left.status == 200
    assert await house.find(said["id"]) is None


async def test_a_test_can_be_asked_for_again_whatever_became_of_the_first(house: House) -> None:
    asked = {"kind": "webhook", "target": "https://example.org/hook"}
    token = (await house.ask("POST", ROOT, asked)).json["token"]

    def lose(connection: Any) -> None:
        connection.execute(book.deliveries.update().values(ending="unknown", ended_at=AT))

    await house.database.write(lose)
    assert not await house.database.read(partial(something_due, now=AT))
    assert (await house.ask("POST", f"{ROOT}/test?token={token}")).status == 202
    assert await house.database.read(partial(something_due, now=AT))
    gone = mint(KEY, Purpose.LEAVE, "sub_none")
    assert (await house.ask("POST", f"{ROOT}/test?token={gone}")).status == 404


async def test_the_link_of_a_mail_shows_a_page_and_its_button_confirms(house: House) -> None:
    await house.add(confirmed_at=None)
    where = link(Purpose.CONFIRM, until=AT + 100)
    shown = await house.ask("GET", where, accept="text/html", accept_language="fr")
    assert shown.status == 200
    assert b'<form method="post" action="?token=' in shown.body
    assert b"<script" not in shown.body
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert shown.headers["referrer-policy"] == "no-referrer"
    assert shown.headers["cache-control"] == "no-store"
    found = await house.find("sub_1")
    assert found is not None
    assert found.confirmed_at is None  # a mail program that opens links confirms nothing
    done = await house.ask("POST", where, accept="text/html")
    assert b"Done." in done.body
    found = await house.find("sub_1")
    assert found is not None
    assert found.confirmed_at == AT
    again = await house.ask("POST", where)
    assert again.json["status"] == "confirmed"  # a second click is no mistake


async def test_a_link_that_is_too_old_or_not_ours_says_so(house: House) -> None:
    await house.add(confirmed_at=None)
    old = await house.ask("POST", link(Purpose.CONFIRM, until=AT - 1))
    assert (old.status, "too old" in old.json["error"]["message"]) == (404, True)
    assert (await house.ask("POST", f"{ROOT}/confirm?token=abc")).status == 404
    assert (await house.ask("POST", f"{ROOT}/confirm")).status == 404
    other = link(Purpose.LEAVE).replace("unsubscribe", "confirm")
    assert (await house.ask("POST", other)).status == 404
    page = await house.ask("GET", f"{ROOT}/confirm?token=abc", accept="text/html")
    assert (page.status, b"<main>" in page.body) == (404, True)


async def test_one_click_of_a_mail_program_ends_it_and_deletes_everything(house: House) -> None:
    """RFC 8058: a POST of a form, without cookies, without a page in between, no redirect."""
    await house.add()
    answer = await house.ask(
        "POST",
        link(Purpose.LEAVE),
        b"List-Unsubscribe=One-Click",
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status == 200
    assert await house.find("sub_1") is None
    again = await house.ask("POST", link(Purpose.LEAVE))
    assert again.status == 200


async def test_opening_the_link_to_leave_ends_nothing(house: House) -> None:
    await house.add()
    shown = await house.ask("GET", link(Purpose.LEAVE), accept="text/html")
    assert b"Unsubscribe" in shown.body
    assert await house.find("sub_1") is not None


async def test_apprise_is_for_operators_alone(house: House) -> None:
    asked = {"kind": "apprise", "target": "json://example.org"}
    assert (await house.ask("POST", ROOT, asked)).status == 400
    assert (await house.ask("POST", ROOT, asked, authorization="Bearer op")).status == 202


@pytest.mark.parametrize(
    ("why", "body", "kind", "status"),
    [
        ("a form of a foreign page", b"kind=email", "application/x-www-form-urlencoded", 415),
        ("text that a foreign page can send", msgspec.json.encode(ANN), "text/plain", 415),
        ("no JSON", b"{", "application/json", 400),
        ("no object", b"[]", "application/json", 400),
        ("deeply nested", b"[" * 5000, "application/json", 400),
        ("bytes that are no text", b'{"kind": "\xff"}', "application/json", 400),
        ("too long", b" " * 20_000, "application/json", 413),
        ("a field of another kind", b'{"kind": 1, "target": "a"}', "application/json", 400),
        ("a bad address", b'{"kind": "email", "target": "x"}', "application/json", 400),
    ],
)
async def test_what_cannot_be_taken_is_refused_in_words(
    house: House, why: str, body: bytes, kind: str, status: int
) -> None:
    answer = await house.ask("POST", ROOT, body, content_type=kind)
    assert answer.status == status, why
    assert answer.json["error"]["message"], why
    assert set(answer.json["error"]["messages"]) == {"en", "fr"}
    assert await house.rows() == 0


async def test_a_body_that_does_not_come_is_not_waited_for_without_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribe_http, "BODY_READ_S", 0.05)
    house.halts = True
    async with asyncio.timeout(10):
        answer = await house.ask("POST", ROOT, ANN)
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert set(answer.json["error"]["messages"]) == {"en", "fr"}


async def test_a_kind_that_is_not_set_up_cannot_be_had(tmp_path: Path) -> None:
    house = House(tmp_path, kinds=(Channel.WEBHOOK,))
    assert (await house.ask("POST", ROOT, ANN)).status == 400
    await house.database.close()


async def test_one_network_may_ask_so_often_and_others_go_on(house: House) -> None:
    async def from_(client: str, **headers: str) -> int:
        one = {"kind": "email", "target": f"n{house.woken}@example.org"}
        return (await house.ask("POST", ROOT, one, client, **headers)).status

    here = [await from_(f"192.0.2.{number}") for number in range(subscribe_http.ASK_AT_ONCE + 1)]
    assert here == [202] * subscribe_http.ASK_AT_ONCE + [429]
    assert await from_("198.51.100.1") == 202
    assert await from_("10.0.0.1", x_forwarded_for="192.0.2.7") == 429
    assert await from_("10.0.0.1", x_forwarded_for="203.0.113.9") == 202
    assert await from_("198.51.100.2", x_forwarded_for="192.0.2.7") == 202  # no proxy of ours
    house.clock.advance(3600)
    assert await from_("192.0.2.1") == 202


async def test_too_many_guesses_of_links_are_slowed_down(house: House) -> None:
    statuses = [
        (await house.ask("GET", f"{ROOT}?token=guess{number}")).status
        for number in range(subscribe_http.LINK_AT_ONCE + 1)
    ]
    assert statuses == [404] * subscribe_http.LINK_AT_ONCE + [429]
    answer = await house.ask("GET", f"{ROOT}?token=guess")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_mail_service_may_press_the_button_for_all_its_users(house: House) -> None:
    names = [f"sub_{number}" for number in range(subscribe_http.LINK_AT_ONCE + 2)]
    for name in names:
        await house.add(name=name)
    links = [f"{ROOT}/unsubscribe?token={mint(KEY, Purpose.LEAVE, name)}" for name in names]
    assert {(await house.ask("POST", one)).status for one in links} == {200}
    assert [await house.find(name) for name in names] == [None] * len(names)
    pressed = [
        (await house.ask("POST", links[0])).status for _ in range(subscribe_http.LINK_AT_ONCE)
    ]
    assert pressed[-1] == 429  # one link over and over is nobody's wish


async def test_tests_of_webhooks_are_counted_by_network_however_many_there_are(
    house: House,
) -> None:
    names = [f"sub_{number}" for number in range(subscribe_http.LINK_AT_ONCE + 1)]
    links = [f"{ROOT}/test?token={mint(KEY, Purpose.LEAVE, name)}" for name in names]
    assert [(await house.ask("POST", one)).status for one in links][-1] == 429


async def test_private_webhooks_follow_the_setting(tmp_path: Path) -> None:
    asked = {"kind": "slack", "target": "http://10.1.2.3/hook"}
    closed, opened = House(tmp_path), House(tmp_path, rules=Rules(private=True, plain=True))
    assert (await closed.ask("POST", ROOT, asked)).status == 400
    assert (await opened.ask("POST", ROOT, asked)).status == 202
    for one in (closed, opened):
        await one.database.close()


async def test_a_dead_database_says_that_nothing_has_changed(house: House) -> None:
    await house.database.close()
    answer = await house.ask("POST", ROOT, ANN)
    assert answer.status == 503
    assert "Nothing has changed" in answer.json["error"]["message"]
    assert answer.headers["retry-after"]


async def test_a_replacement_by_mail_shows_the_new_wishes(house: House) -> None:
    await house.add(name="sub_a", target="ann@example.org")
    await house.ask("POST", ROOT, {**ANN, "lang": "fr", "digest": "daily"})
    (fresh,) = {name for name, _ in await house.database.read(ends)}
    done = await house.ask("POST", link(Purpose.CONFIRM, fresh))
    assert done.json["status"] == "confirmed"
    found = await house.find("sub_a")
    assert found is not None
    assert (found.wanted.lang, found.wanted.digest) == ("fr", Digest.DAILY)
