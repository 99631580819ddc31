"""The subscriptions' API as programs, browsers and mail programs use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outlast.observatory import delivery_tables as book
from outlast.observatory import subscribe_http, subscription_desk, subscription_tables
from outlast.observatory.addresses import Rules
from outlast.observatory.notify_signing import Purpose, mint, webhook_secret
from outlast.observatory.subscribing import Channel, Digest
from tests.observatory.notify.desk import House
from tests.observatory.notify.people import AT, KEY, ends, something_due

ROOT = "/api/subscriptions"
ANN = {"kind": "email", "target": "ann@example.org"}


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


async def test_opening_a_link_leads_to_its_page_and_does_nothing(house: House) -> None:
    await house.add(name="sub_a", confirmed_at=None)
    await house.add(name="sub_b")
    confirm, leave = link(Purpose.CONFIRM, "sub_a", AT + 100), link(Purpose.LEAVE, "sub_b")
    for where, page in ((confirm, "confirm"), (leave, "manage")):
        for method in ("GET", "HEAD"):
            led = await house.ask(method, where)
            assert led.status == 303
            query = where.partition("?")[2]
            assert led.headers["location"] == f"/status/subscribe/{page}?{query}"
            assert led.headers["cache-control"] == "no-store"
    found = await house.find("sub_a")
    assert found is not None
    assert found.confirmed_at is None  # a mail program that opens links confirms nothing
    assert await house.find("sub_b") is not None


async def test_a_press_of_the_button_confirms_and_a_second_one_is_no_mistake(
    house: House,
) -> None:
    await house.add(confirmed_at=None)
    where = link(Purpose.CONFIRM, until=AT + 100)
    for _ in range(2):
        assert (await house.ask("POST", where)).json["status"] == "confirmed"
    found = await house.find("sub_1")
    assert found is not None
    assert found.confirmed_at == AT


async def test_a_link_that_is_too_old_or_not_ours_says_so(house: House) -> None:
    await house.add(confirmed_at=None)
    old = await house.ask("POST", link(Purpose.CONFIRM, until=AT - 1))
    assert (old.status, "too old" in old.json["error"]["message"]) == (404, True)
    assert (await house.ask("POST", f"{ROOT}/confirm?token=abc")).status == 404
    assert (await house.ask("POST", f"{ROOT}/confirm")).status == 404
    other = link(Purpose.LEAVE).replace("unsubscribe", "confirm")
    assert (await house.ask("POST", other)).status == 404


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
        ("a plain one", b'{"kind": "slack", "target": "http://a.org"}', "application/json", 400),
    ],
)
async def test_what_cannot_be_taken_is_refused_in_words(
    house: House, why: str, body: bytes, kind: str, status: int
) -> None:
    answer = await house.ask("POST", ROOT, body, content_type=kind)
    assert answer.status == status, why
    messages = answer.json["error"]["messages"]
    assert answer.json["error"]["message"] == messages["en"], why
    assert set(messages) == {"en", "fr"}
    assert messages["en"] != messages["fr"], why
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

    here = [await from_(f"192.0.2.{number}") for number in range(subscription_desk.ASK_AT_ONCE + 1)]
    assert here == [202] * subscription_desk.ASK_AT_ONCE + [429]
    assert await from_("198.51.100.1") == 202
    assert await from_("10.0.0.1", x_forwarded_for="192.0.2.7") == 429
    assert await from_("10.0.0.1", x_forwarded_for="203.0.113.9") == 202
    assert await from_("198.51.100.2", x_forwarded_for="192.0.2.7") == 202  # no proxy of ours
    house.clock.advance(3600)
    assert await from_("192.0.2.1") == 202


async def test_too_many_guesses_of_links_are_slowed_down(house: House) -> None:
    statuses = [
        (await house.ask("GET", f"{ROOT}?token=guess{number}")).status
        for number in range(subscription_desk.LINK_AT_ONCE + 1)
    ]
    assert statuses == [404] * subscription_desk.LINK_AT_ONCE + [429]
    answer = await house.ask("GET", f"{ROOT}?token=guess")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_mail_service_may_press_the_button_for_all_its_users(house: House) -> None:
    names = [f"sub_{number}" for number in range(subscription_desk.LINK_AT_ONCE + 2)]
    for name in names:
        await house.add(name=name)
    links = [f"{ROOT}/unsubscribe?token={mint(KEY, Purpose.LEAVE, name)}" for name in names]
    assert {(await house.ask("POST", one)).status for one in links} == {200}
    assert [await house.find(name) for name in names] == [None] * len(names)
    pressed = [
        (await house.ask("POST", links[0])).status for _ in range(subscription_desk.LINK_AT_ONCE)
    ]
    assert pressed[-1] == 429  # one link over and over is nobody's wish


async def test_tests_of_webhooks_are_counted_by_network_however_many_there_are(
    house: House,
) -> None:
    names = [f"sub_{number}" for number in range(subscription_desk.LINK_AT_ONCE + 1)]
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


async def test_each_field_at_fault_is_named_in_both_languages(house: House) -> None:
    asked = {"kind": "slack", "target": "https://10.1.2.3/", "impact": "huge", "hour": 24}
    answer = await house.ask("POST", ROOT, asked)
    problems = {one["field"]: one for one in answer.json["error"]["problems"]}
    assert set(problems) == {"target", "impact", "hour"}
    assert problems["target"]["en"] == "10.1.2.3 may not be reached: a private network."
    assert problems["target"]["fr"] == "10.1.2.3 ne peut pas être joint\u00a0: un réseau privé."
    assert "impact\u00a0: 'huge' n'est pas un choix" in answer.json["error"]["messages"]["fr"]


async def test_a_link_that_does_not_work_says_why_in_both_languages(house: House) -> None:
    await house.add(confirmed_at=None)
    old = await house.ask("POST", link(Purpose.CONFIRM, until=AT - 1))
    assert old.json["error"]["messages"] == {
        "en": "This link is too old. Subscribe again to get a new one.",
        "fr": "Ce lien est trop ancien. Abonnez-vous à nouveau pour en recevoir un autre.",
    }


async def test_one_network_fills_its_own_share_and_not_that_of_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_tables, "PENDING_NETWORK_MAX", 2)

    async def from_(client: str) -> int:
        one = {"kind": "email", "target": f"n{house.woken}@example.org"}
        return (await house.ask("POST", ROOT, one, client)).status

    assert [await from_("192.0.2.1") for _ in range(3)] == [202, 202, 429]
    assert await from_("198.51.100.1") == 202
    assert b"192.0.2" not in (house.database_file()).read_bytes()  # no address is kept
