"""Webhooks and chats against a real receiver: what they send, and what an answer means."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import msgspec
import pytest

from outlast.nouns import ComponentState, Status, Suspicion
from outlast.observatory import channels
from outlast.observatory.addresses import Rules
from outlast.observatory.channels import SlackChannel, WebhookChannel, escaped, within
from outlast.observatory.notify_signing import Purpose, read, webhook_secret, webhook_signature
from outlast.observatory.notifying import Parcel, Refused, Result, Sent, Unknown, news
from outlast.observatory.subscribing import Channel
from tests.observatory.notify.people import (
    API,
    AT,
    KEY,
    Needless,
    incident,
    parcel,
    step,
    subscription,
)
from tests.observatory.notify.servers import Receiver, receiving

BASE = "https://status.example.org"
HERE = Rules(private=True, plain=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def webhook() -> AsyncIterator[WebhookChannel]:
    made = WebhookChannel(BASE, KEY, partial(channels.guarded_session, HERE))
    yield made
    await made.close()


@pytest.fixture
async def slack() -> AsyncIterator[SlackChannel]:
    made = SlackChannel(BASE, KEY, partial(channels.guarded_session, HERE))
    yield made
    await made.close()


def to(url: str, kind: Channel = Channel.WEBHOOK, *kinds: str) -> Parcel:
    one = subscription(kind=kind, target=url)
    return parcel(*step(*(kinds or ("opened",))), to=one)


async def test_a_webhook_gets_signed_json_that_says_everything(
    receiver: Receiver, webhook: WebhookChannel
) -> None:
    state = ComponentState(API, Status.MAJOR, Suspicion.S_DOWN, 0.9, AT, AT)
    items = news(None, incident("opened"), {API: state}, AT)
    one = parcel(*items, to=subscription(kind=Channel.WEBHOOK, target=receiver.url))
    assert await webhook.send(one, AT + 5.7) == Sent()
    (taken,) = receiver.taken
    secret = webhook_secret(KEY, "sub_1")
    assert taken.headers["webhook-signature"] == webhook_signature(
        secret, "dlv_1", int(AT + 5), taken.body
    )
    assert taken.headers["webhook-id"] == "dlv_1"
    assert taken.headers["webhook-timestamp"] == str(int(AT + 5))
    assert taken.headers["content-type"] == "application/json"
    said = msgspec.json.decode(taken.body)
    assert (said["type"], said["state"]) == ("incident.opened", "inc_a/opened")
    assert said["delivery"] == "dlv_1"
    assert said["incident"]["title"]["fr"]
    assert said["update"]["kind"] == "opened"
    assert [one["component"] for one in said["components"]] == [API]
    token = said["unsubscribe"].partition("token=")[2]
    assert read(KEY, Purpose.LEAVE, token, AT) == "sub_1"
    assert secret.encode() not in taken.body


async def test_the_test_before_the_first_is_signed_too(
    receiver: Receiver, webhook: WebhookChannel
) -> None:
    one = parcel(to=subscription(kind=Channel.WEBHOOK, target=receiver.url))
    assert await webhook.send(one, AT) == Sent()
    assert msgspec.json.decode(receiver.taken[0].body)["type"] == "subscription.test"
    assert receiver.taken[0].headers["webhook-signature"].startswith("v1,")


async def test_a_long_incident_stays_below_the_size_that_receivers_take(
    receiver: Receiver, webhook: WebhookChannel
) -> None:
    kinds = ["opened", *["changed"] * 60, "resolved"]
    assert await webhook.send(to(receiver.url, Channel.WEBHOOK, *kinds), AT) == Sent()
    assert len(receiver.taken[0].body) < 20_000


@pytest.mark.parametrize(
    ("status", "headers", "result"),
    [
        (200, [], Sent()),
        (299, [], Sent()),
        (301, ["location: http://127.0.0.1:1/"], Refused("it answered 301")),
        (307, ["location: /other"], Refused("it answered 307")),
        (401, [], Refused("it answered 401")),
        (410, [], Refused("it answered 410: gone", again=False, gone=True)),
        (429, ["retry-after: 90"], Refused("it answered 429", retry_after_s=90.0)),
        (503, ["retry-after: soon"], Refused("it answered 503")),
        (500, [], Refused("it answered 500")),
        (502, [], Refused("it answered 502")),
        (504, [], Refused("it answered 504")),
    ],
)
async def test_what_a_webhooks_answer_means(
    receiver: Receiver, webhook: WebhookChannel, status: int, headers: list[str], result: Result
) -> None:
    receiver.says(status, *headers)
    assert await webhook.send(to(receiver.url), AT) == result
    assert len(receiver.taken) == 1  # no redirect is followed, nothing is sent twice


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, Sent()),
        (429, Refused("it answered 429")),
        (404, Refused("it answered 404", again=False)),
        (500, Refused("it answered 500")),
        (502, Unknown("a gateway answered 502")),
        (504, Unknown("a gateway answered 504")),
    ],
)
async def test_what_a_chats_answer_means(
    receiver: Receiver, slack: SlackChannel, status: int, result: Result
) -> None:
    receiver.says(status)
    assert await slack.send(to(receiver.url, Channel.SLACK), AT) == result


async def test_a_chat_gets_text_that_calls_nobody(receiver: Receiver, slack: SlackChannel) -> None:
    title = {"en": "<!channel> @everyone <https://evil.example|click> & more", "fr": "x"}
    one = parcel(
        *step("opened", title=title), to=subscription(kind=Channel.SLACK, target=receiver.url)
    )
    assert await slack.send(one, AT) == Sent()
    text = msgspec.json.decode(receiver.taken[0].body)["text"]
    assert "<" not in text
    assert "@everyone" not in text
    assert "&lt;!channel&gt;" in text
    assert escaped("a & b") == "a &amp; b"


async def test_no_connection_is_a_definite_no(webhook: WebhookChannel) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        port = taken.getsockname()[1]
        result = await webhook.send(to(f"http://127.0.0.1:{port}/"), AT)
    assert isinstance(result, Refused)
    assert result.again


async def test_a_receiver_that_hangs_up_without_a_word_may_have_it(
    receiver: Receiver, webhook: WebhookChannel
) -> None:
    receiver.answer = None
    assert isinstance(await webhook.send(to(receiver.url), AT), Unknown)
    assert len(receiver.taken) == 1


async def test_an_answer_that_is_no_http_may_have_it(
    receiver: Receiver, webhook: WebhookChannel
) -> None:
    receiver.answer = b"SSH-2.0-hello\r\n\r\n"
    assert isinstance(await webhook.send(to(receiver.url), AT), Unknown)


async def test_an_answer_without_end_is_cut_off_and_counts(
    receiver: Receiver, webhook: WebhookChannel
) -> None:
    body = b"x" * (channels.ANSWER_LIMIT_BYTES * 4)
    receiver.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + body
    assert await webhook.send(to(receiver.url), AT) == Sent()


@pytest.mark.parametrize(
    ("why", "target"),
    [
        ("this machine by number", "http://127.0.0.1:9/"),
        ("this machine by name", "http://localhost:9/"),
        ("a cloud's metadata", "http://169.254.169.254/"),
        ("IPv6's own", "http://[::1]:9/"),
    ],
)
async def test_what_must_not_be_reached_is_not(why: str, target: str) -> None:
    """Even where such an address got into the book: the connection itself is guarded."""
    guarded = WebhookChannel(
        BASE, KEY, partial(channels.guarded_session, Rules(private=False, plain=True))
    )
    try:
        result = await guarded.send(to(target), AT)
    finally:
        await guarded.close()
    assert isinstance(result, Refused), why
    assert not result.again
    assert "may not be reached" in result.why


async def test_a_channel_that_takes_too_long_leaves_it_unknown() -> None:
    class Slow(Needless):
        async def send(self, parcel: Parcel, now: float) -> Result:
            await asyncio.Event().wait()
            return Sent()

    assert await within(0.01, Slow(), to("https://example.org/"), AT) == Unknown(
        "no answer in time"
    )


async def test_the_session_believes_no_environment_and_keeps_no_cookie() -> None:
    session = channels.guarded_session(Rules())
    try:
        assert not session.trust_env
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert session.timeout.total == channels.POST_S == 10.0
    finally:
        await session.close()
