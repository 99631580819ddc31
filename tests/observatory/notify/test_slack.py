"""Chats against a strict Slack: what its incoming webhooks take, how they refuse, how often."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from outlast.clock import ManualClock
from outlast.observatory import channels
from outlast.observatory import delivery_tables as book
from outlast.observatory.addresses import Rules
from outlast.observatory.channels import TEXT_LIMIT, SlackChannel, escaped, fitted
from outlast.observatory.notifier import Notifier
from outlast.observatory.notifying import RULES, News, Refused, Sent
from outlast.observatory.subscribing import Channel, Subscription, Wanted
from outlast.store.database import Database
from tests.observatory.notify.people import AT, KEY, add, ends, parcel, step, subscription
from tests.store.databases import sqlite_url

BASE = "https://status.example.org"
HERE = Rules(private=True, plain=True)
FIELDS = {"text", "blocks", "attachments", "unfurl_links", "unfurl_media"}
EVIL = '<!channel> <@U012> <https://evil.example|click> @here & "quotes" &lt;!here&gt; \u202e'


class Slack:
    """An incoming webhook, stricter than the real one: what Slack would cut or show as something
    else is refused here."""

    def __init__(self) -> None:
        self.url = ""
        self.shown: list[str] = []
        """Messages as their readers see them."""
        self.instead: tuple[int, str, dict[str, str]] | None = None
        """Status, body and headers that it answers whatever comes."""

    async def take(self, request: web.Request) -> web.Response:
        if self.instead is not None:
            status, words, headers = self.instead
            return web.Response(status=status, text=words, headers=headers)
        if request.content_type != "application/json":
            return web.Response(status=400, text="invalid_payload")
        wrong = self._wrong(await request.read())
        if wrong:
            return web.Response(status=400, text=wrong)
        return web.Response(text="ok")

    def _wrong(self, body: bytes) -> str:
        try:
            said = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            return "invalid_payload"
        text = said.get("text")
        if not isinstance(text, str) or not text.strip() or not set(said) <= FIELDS:
            return "invalid_payload" if text else "no_text"
        blocks = said.get("blocks", [])
        longest = max((len(one["text"]["text"]) for one in blocks if "text" in one), default=0)
        if len(text) > 4000 or len(blocks) > 50 or longest > 3000:
            return "msg_too_long"
        if re.search(r"[<>]|&(?!(?:amp|lt|gt);)", text):
            return "unescaped"  # a link or a mention of others' making, or an entity cut in two
        if re.search(r"@(?:channel|here|everyone)\b", text):
            return "mention"
        self.shown.append(html.unescape(text))
        return ""


@asynccontextmanager
async def opened() -> AsyncIterator[Slack]:
    slack = Slack()
    app = web.Application()
    app.router.add_post("/services/T0/B0/X0", slack.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}/services/T0/B0/X0"
    try:
        yield slack
    finally:
        await runner.cleanup()


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with opened() as found:
        yield found


@pytest.fixture
async def channel() -> AsyncIterator[SlackChannel]:
    made = SlackChannel(BASE, KEY, partial(channels.guarded_session, HERE))
    yield made
    await made.close()


def room(slack: Slack, lang: str = "en") -> Subscription:
    wanted = Wanted(lang="fr" if lang == "fr" else "en")
    return subscription(kind=Channel.SLACK, target=slack.url, wanted=wanted)


def every_state() -> list[News]:
    """One piece of news of every kind that is told."""
    found: list[News] = []
    for kind in RULES:
        before = ("opened", "confirmed") if kind not in {"opened", "confirmed"} else ()
        more: dict[str, Any] = {"retracted": True} if kind == "retracted" else {}
        more |= {"cause": "deploy"} if kind == "cause" else {}
        found += step(*before, kind, **more)
    return found


@pytest.mark.parametrize("lang", ["en", "fr"])
async def test_every_state_is_taken_and_shown(
    slack: Slack, channel: SlackChannel, lang: str
) -> None:
    items = every_state()
    assert len({item.kind for item in items}) >= 11
    for item in items:
        assert await channel.send(parcel(item, to=room(slack, lang)), AT) == Sent(), item.kind
    assert await channel.send(parcel(to=room(slack, lang)), AT) == Sent()
    assert len(slack.shown) == len(items) + 1
    assert f"{BASE}/status/incidents/inc_a" in slack.shown[0]
    assert f"{BASE}/status/subscribe/manage?token=" in slack.shown[-1]


async def test_what_others_wrote_is_shown_as_they_wrote_it_and_does_nothing(
    slack: Slack, channel: SlackChannel
) -> None:
    hostile = {"en": EVIL, "fr": EVIL}
    one = parcel(*step("opened", title=hostile), to=room(slack))
    assert await channel.send(one, AT) == Sent()
    assert "<https://evil.example|click>" in slack.shown[0]  # as words: it came escaped


async def test_the_longest_digest_is_cut_where_it_may_be(
    slack: Slack, channel: SlackChannel
) -> None:
    long = {"en": "a&b<c>" * 20, "fr": "a&b<c>" * 20}
    items = [step("opened", name=f"inc_{number}", title=long)[0] for number in range(50)]
    assert await channel.send(parcel(*items, to=room(slack)), AT) == Sent()
    assert slack.shown[0].endswith("…")


@given(st.integers(TEXT_LIMIT - 12, TEXT_LIMIT + 3), st.text(alphabet="a&<>@;mplt \n", max_size=30))
def test_a_text_is_never_cut_inside_a_sign(before: int, text: str) -> None:
    made = fitted(escaped("a" * before + text))
    assert len(made) <= TEXT_LIMIT
    assert re.search(r"[<>]|&(?!(?:amp|lt|gt);)", made) is None


@pytest.mark.parametrize(
    ("status", "words", "again"),
    [
        (400, "invalid_payload", False),
        (400, "user_not_found", False),
        (403, "action_prohibited", False),
        (404, "channel_not_found", False),
        (404, "no_service", False),
        (410, "channel_is_archived", False),
        (429, "rate_limited", True),
        (500, "rollup_error", True),
    ],
)
async def test_slack_s_refusals_are_tried_again_only_where_that_may_help(
    slack: Slack, channel: SlackChannel, status: int, words: str, again: bool
) -> None:
    slack.instead = (status, words, {"retry-after": "30"} if status == 429 else {})
    result = await channel.send(parcel(*step("opened"), to=room(slack)), AT)
    assert isinstance(result, Refused)
    assert result.again is again
    assert result.gone is (status == 410)
    assert result.retry_after_s == (30.0 if status == 429 else None)


async def test_a_limited_room_hears_each_thing_once_when_it_may(
    slack: Slack, channel: SlackChannel, tmp_path: Path
) -> None:
    database, clock = Database(sqlite_url(tmp_path)), ManualClock(AT + 10)
    notifier = Notifier(database, clock, lambda: 0.0, {Channel.SLACK: channel}, KEY)

    async def work() -> None:
        while await notifier.step():
            await notifier.settled()

    await database.write(partial(add, one=room(slack)))
    slack.instead = (429, "rate_limited", {"retry-after": "45"})
    await database.write(partial(book.enqueue, items=step("opened")))
    await work()
    slack.instead = None
    clock.advance(44)
    await work()
    assert slack.shown == []
    clock.advance(2)
    await work()
    await work()
    assert len(slack.shown) == 1
    assert await database.read(ends) == {("sub_1", "inc_a/opened"): "sent"}
    await notifier.close()
    await database.close()
