"""A service between the official SDKs and three simulated vendors, one for each wire format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai

from outlast.config import BreakerSettings, RouteSettings, ServerSettings, TimeoutSettings
from outlast.nouns import Kind, Receipt
from outlast.simulator import Answer, Recorded, Script, Vendor, answer, read
from tests.raw import Reply, ask
from tests.service import Running, route, serving, settings, upstream

FORMATS = ("anthropic", "chat", "responses")
KINDS = {
    "anthropic": Kind.ANTHROPIC,
    "chat": Kind.OPENAI_CHAT,
    "responses": Kind.OPENAI_RESPONSES,
}
PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
MODELS = {"anthropic": "claude-sonnet-4-5", "chat": "gpt-5", "responses": "gpt-5"}
NEXT = {"anthropic": "chat", "chat": "responses", "responses": "anthropic"}
"""Whom tests ask after a vendor."""
PLAIN = Script(seed=1)

UNBREAKABLE = BreakerSettings(consecutive_failures=1000, min_requests=10_000)
"""For tests that make one vendor fail again and again, and want to see each attempt."""


class House(msgspec.Struct):
    """The service, its vendors by the name of their format, and both SDKs pointed at it."""

    running: Running
    vendors: dict[str, Vendor]
    claude: anthropic.AsyncAnthropic
    gpt: openai.AsyncOpenAI
    heads: list[dict[str, str]]
    """Headers of the answers, the last one last; names in lower case."""

    def reset(self) -> None:
        for vendor in self.vendors.values():
            vendor.script = PLAIN
            vendor.requests.clear()
        self.heads.clear()
        # Breakers are forgotten with the settings that they were made for, and no attempt is
        # then held against the next test.
        state, given = self.running.service.state, self.running.service.settings
        other = msgspec.structs.replace(given.breaker, window_s=given.breaker.window_s + 1)
        state.reconfigure(msgspec.structs.replace(given, breaker=other))
        state.reconfigure(given)

    def play(self, script: Script) -> None:
        """Let all vendors play one script, so that they tell the same truth."""
        for vendor in self.vendors.values():
            vendor.script = script

    @property
    def headers(self) -> dict[str, str]:
        """Of the last answer."""
        return self.heads[-1]

    def asked(self, name: str) -> list[Recorded]:
        """What a vendor was asked, besides questions about models."""
        return [request for request in self.vendors[name].requests if request.number]

    def truth(self, surface: str, body: Mapping[str, Any]) -> Answer:
        """What a healthy vendor would answer to the client's own request."""
        return answer(read(PATHS[surface], dict(body)), self.vendors[surface].script)

    def billed(self, name: str) -> Answer:
        """What the vendor did answer to its last request: its ids and its usage."""
        last = self.asked(name)[-1]
        assert last.body is not None
        return answer(read(last.path, last.body), self.vendors[name].script)

    async def receipt(self) -> Receipt:
        """The receipt that the last answer pointed to."""
        reply = await self.get(self.headers["outlast-receipt"])
        assert reply.status == 200, reply.body
        return msgspec.json.decode(reply.body, type=Receipt)

    async def get(self, path: str, **headers: str) -> Reply:
        credential = {"authorization": f"Bearer {self.running.key}"}
        return await ask(self.running.url, "GET", path, credential | headers)

    async def post(
        self, path: str, body: Mapping[str, Any] | bytes, key: str = "", **headers: str
    ) -> Reply:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        own = {
            "authorization": f"Bearer {key or self.running.key}",
            "content-type": "application/json",
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await ask(self.running.url, "POST", path, own | named, raw)


@asynccontextmanager
async def open_house(
    folder: Path,
    routes: list[RouteSettings],
    *,
    timeouts: TimeoutSettings | None = None,
    server: ServerSettings | None = None,
    **more: Any,
) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        vendors = {name: await stack.enter_async_context(Vendor(PLAIN)) for name in FORMATS}
        chosen = settings(
            folder,
            [upstream(name, KINDS[name], vendors[name].url) for name in FORMATS],
            routes,
            timeouts=timeouts,
            server=server,
            **more,
        )
        running = await stack.enter_async_context(serving(chosen))
        yield await stack.enter_async_context(with_sdks(running, vendors))


@asynccontextmanager
async def with_sdks(running: Running, vendors: dict[str, Vendor]) -> AsyncIterator[House]:
    heads: list[dict[str, str]] = []

    async def note(response: Any) -> None:
        heads.append({name.lower(): value for name, value in response.headers.items()})

    hooks: Any = {"response": [note]}
    async with (
        anthropic.AsyncAnthropic(
            base_url=running.url,
            api_key=running.key,
            max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(event_hooks=hooks),
        ) as claude,
        openai.AsyncOpenAI(
            base_url=running.url + "/v1",
            api_key=running.key,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks),
        ) as gpt,
    ):
        yield House(running, vendors, claude, gpt, heads)


def candidate(name: str) -> str:
    return f"{name}/{MODELS[name]}"


def direct_routes() -> list[RouteSettings]:
    """`to-chat` and so on: one candidate each."""
    return [route(f"to-{name}", candidate(name)) for name in FORMATS]


def failover_routes() -> list[RouteSettings]:
    """`chat-then-responses` and so on: each ordered pair of formats."""
    return [
        route(f"{first}-then-{second}", candidate(first), candidate(second))
        for first in FORMATS
        for second in FORMATS
        if first != second
    ]
