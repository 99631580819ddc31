"""Web push against a push service that checks everything, and a browser that reads what came."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from outlast.clock import ManualClock
from outlast.observatory import channels
from outlast.observatory import delivery_tables as book
from outlast.observatory import subscription_tables as people
from outlast.observatory.accepting import Asked, BadSubscription, Keys, accept, clean_keys
from outlast.observatory.addresses import Rules
from outlast.observatory.channel_push import KEEP_S, PushChannel
from outlast.observatory.notifier import Notifier
from outlast.observatory.notify_signing import Purpose, read
from outlast.observatory.notifying import Refused, Result, Sent, Unknown
from outlast.observatory.push_sealing import application_key, topic
from outlast.observatory.subscribing import Channel, Subscription, Wanted
from outlast.store.database import Database
from tests.house.tree import ROOT
from tests.observatory.notify.browsers import Browser, PushService, push_service
from tests.observatory.notify.people import AT, KEY, ends, parcel, step, subscription
from tests.store.databases import sqlite_url

BASE = "https://status.example.org"
HERE = Rules(private=True, plain=True)


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with push_service(application_key(KEY), AT) as found:
        yield found


@pytest.fixture
async def push() -> AsyncIterator[PushChannel]:
    made = PushChannel(BASE, KEY, partial(channels.guarded_session, HERE))
    yield made
    await made.close()


def subscriber(service: PushService, lang: str = "en") -> Subscription:
    target, browser = service.browser()
    wanted = Wanted(lang="fr" if lang == "fr" else "en")
    return subscription(kind=Channel.PUSH, target=target, wanted=wanted, keys=browser.keys)


async def test_a_browser_reads_what_was_sealed_for_it_in_its_language(
    service: PushService, push: PushChannel
) -> None:
    one = parcel(*step("opened"), to=subscriber(service, "fr"))
    assert await push.send(one, AT) == Sent()
    ((_, headers, words),) = service.taken
    assert words["title"] == "Soupçonné\u00a0: Anthropic : panne partielle (API)"
    assert words["body"].startswith("opened en mots\n")
    assert (words["lang"], words["tag"]) == ("fr", "inc_a")
    assert words["url"] == "/status/incidents/inc_a?lang=fr"
    sent = {name.lower(): value for name, value in headers.items()}
    assert (sent["ttl"], sent["urgency"]) == (str(KEEP_S), "high")
    assert sent["topic"] == topic("inc_a")  # what still waits there of it is replaced


async def test_the_first_message_leads_to_the_page_that_ends_it(
    service: PushService, push: PushChannel
) -> None:
    assert await push.send(parcel(to=subscriber(service)), AT) == Sent()
    ((_, headers, words),) = service.taken
    token = words["url"].partition("token=")[2].partition("&")[0]
    assert read(KEY, Purpose.LEAVE, token, AT) == "sub_1"
    assert "topic" not in {name.lower() for name in headers}


async def test_an_end_wakes_no_sleeping_phone(service: PushService, push: PushChannel) -> None:
    one = parcel(*step("opened", "resolved"), to=subscriber(service), told=5)
    assert await push.send(one, AT) == Sent()
    sent = {name.lower(): value for name, value in service.taken[0][1].items()}
    assert sent["urgency"] == "normal"


async def test_the_longest_digest_still_fits_in(service: PushService, push: PushChannel) -> None:
    long = {"en": "é" * 900, "fr": "é" * 900}
    items = [step("opened", name=f"inc_{number}", title=long)[0] for number in range(50)]
    assert await push.send(parcel(*items, to=subscriber(service)), AT) == Sent()
    assert service.taken[0][2]["title"].startswith("50 incidents")


@pytest.mark.parametrize(
    ("status", "headers", "result"),
    [
        (201, {}, Sent()),
        (200, {}, Sent()),
        (202, {}, Sent()),
        (404, {}, Refused("it answered 404: gone", again=False, gone=True)),
        (410, {}, Refused("it answered 410: gone", again=False, gone=True)),
        (413, {}, Refused("it answered 413", again=False)),
        (403, {}, Refused("it answered 403", again=False)),
        (429, {"retry-after": "120"}, Refused("it answered 429", retry_after_s=120.0)),
        (500, {}, Refused("it answered 500")),
        (502, {}, Unknown("a gateway answered 502")),
        (307, {"location": "http://127.0.0.1:1/"}, Refused("it answered 307")),
    ],
)
async def test_what_a_push_services_answer_means(
    service: PushService,
    push: PushChannel,
    status: int,
    headers: dict[str, str],
    result: Result,
) -> None:
    service.instead = web.Response(status=status, headers=headers)
    assert await push.send(parcel(*step("opened"), to=subscriber(service)), AT) == result


async def test_another_sender_s_message_is_refused(service: PushService) -> None:
    other = PushChannel(BASE, bytes(32), partial(channels.guarded_session, HERE))
    try:
        result = await other.send(parcel(*step("opened"), to=subscriber(service)), AT)
    finally:
        await other.close()
    assert result == Refused("it answered 403", again=False)


async def test_without_a_public_address_a_mailbox_says_who_sends(service: PushService) -> None:
    here = PushChannel(
        "http://127.0.0.1:8400", KEY, partial(channels.guarded_session, HERE), "ann@example.org"
    )
    try:
        assert await here.send(parcel(to=subscriber(service)), AT) == Sent()
    finally:
        await here.close()


@pytest.mark.parametrize(
    ("why", "target"),
    [
        ("this machine", "http://127.0.0.1:9/"),
        ("a cloud's metadata", "http://169.254.169.254/"),
    ],
)
async def test_what_must_not_be_reached_is_not(why: str, target: str) -> None:
    """Even where such an address got into the book: the connection itself is guarded."""
    guarded = PushChannel(BASE, KEY, partial(channels.guarded_session, Rules(plain=True)))
    one = subscription(kind=Channel.PUSH, target=target, keys=Browser.new().keys)
    try:
        result = await guarded.send(parcel(to=one), AT)
    finally:
        await guarded.close()
    assert isinstance(result, Refused), why
    assert (result.again, "may not be reached" in result.why) == (False, True), why


async def test_keys_that_are_none_end_the_subscription(push: PushChannel) -> None:
    bad = "BA" + "A" * 85
    one = subscription(kind=Channel.PUSH, target="https://p.example/", keys=f"{bad}.{'A' * 22}")
    result = await push.send(parcel(to=one), AT)
    assert result == Refused("the browser's keys cannot be used", again=False, gone=True)


async def test_a_browser_counts_with_its_first_notification_and_ends_when_it_is_gone(
    service: PushService, push: PushChannel, tmp_path: Path
) -> None:
    database, clock = Database(sqlite_url(tmp_path)), ManualClock(AT)
    notifier = Notifier(database, clock, lambda: 0.0, {Channel.PUSH: push}, KEY)

    async def work() -> None:
        while await notifier.step():
            await notifier.settled()

    one = msgspec.structs.replace(subscriber(service), confirmed_at=None, asked_from="a.b")
    await database.write(partial(people.ask, subscription=one, now=AT))
    service.instead = web.Response(status=503)
    await work()
    waiting = await database.read(partial(people.find, subscription_id="sub_1"))
    assert waiting is not None
    assert waiting.confirmed_at is None
    service.instead = None
    clock.advance(60)
    await work()
    found = await database.read(partial(people.find, subscription_id="sub_1"))
    assert found is not None
    assert (found.confirmed_at, found.keys, found.asked_from) == (AT + 60, one.keys, "")
    for kinds in (("opened",), ("opened", "confirmed")):
        await database.write(partial(book.enqueue, items=step(*kinds, at=AT + 70)))
        await work()
        await work()
    assert [words["tag"] for _, _, words in service.taken] == ["welcome", "inc_a", "inc_a"]
    service.browsers.clear()  # its owner took the permission back
    ended = step("opened", "confirmed", "resolved", at=AT + 80)
    await database.write(partial(book.enqueue, items=ended))
    await work()
    assert await database.read(partial(people.find, subscription_id="sub_1")) is None
    assert await database.read(ends) == {}
    await notifier.close()
    await database.close()


def test_a_service_that_tells_no_browser_does_not_load_what_seals_for_them() -> None:
    code = "import outlast.app, sys; sys.exit('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", check=False)
    assert done.returncode == 0


def asked(**more: object) -> Asked:
    keys = Browser.new().given
    ready = {"kind": "push", "target": "https://push.example.net/a", "keys": Keys(**keys)}
    return Asked(**(ready | more))  # type: ignore[arg-type]


def test_a_browser_s_address_and_keys_are_taken_as_it_gives_them() -> None:
    browser = Browser.new()
    one = asked(keys=Keys(**browser.given))
    kind, target, _ = accept(one, kinds=[Channel.PUSH])
    assert (kind, target) == (Channel.PUSH, "https://push.example.net/a")
    assert clean_keys(kind, one.keys) == browser.keys
    padded = {name: value + "=" * (-len(value) % 4) for name, value in browser.given.items()}
    assert clean_keys(kind, Keys(**padded)) == browser.keys


@pytest.mark.parametrize(
    ("why", "more", "field"),
    [
        ("plain http, even where webhooks may use it", {"target": "http://p.example/"}, "target"),
        ("this machine", {"target": "https://127.0.0.1/"}, "target"),
        ("a cloud's metadata", {"target": "https://169.254.169.254/"}, "target"),
        ("no keys", {"keys": Keys()}, "keys"),
        ("a short secret", {"keys": Keys(p256dh="BA" + "A" * 85, auth="AAAA")}, "keys"),
        ("a compressed point", {"keys": Keys(p256dh="AA" + "A" * 85, auth="A" * 22)}, "keys"),
        ("no base64url", {"keys": Keys(p256dh="B+" + "A" * 85, auth="A" * 22)}, "keys"),
        ("a flood", {"keys": Keys(p256dh="A" * 99_999, auth="A" * 22)}, "keys"),
    ],
)
def test_what_is_no_browser_s_subscription_is_refused(
    why: str, more: dict[str, object], field: str
) -> None:
    private = "127" not in str(more.get("target"))
    with pytest.raises(BadSubscription) as caught:
        accept(asked(**more), kinds=[Channel.PUSH], rules=Rules(private=private, plain=True))
    assert [one.field for one in caught.value.problems] == [field], why
