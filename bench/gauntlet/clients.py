"""The judges: the official SDKs, and what each of them makes of an answer.

Streams are read as applications read them: Anthropic's and the Responses' stream helpers, and
for chat completions the plain loop over chunks (its helper wants strict tools). Retries are off
unless said otherwise, so that the gateway is judged and not its client.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anthropic
import msgspec
import openai

from bench.gauntlet.gateways import Endpoint

TIMEOUT_S = 600.0
"""The SDKs' own; shortened like all other waits."""


class Call(msgspec.Struct, frozen=True):
    name: str
    arguments: Any


class Heard(msgspec.Struct):
    """What the SDK made of one answer, in one shape for all surfaces."""

    text: str = ""
    calls: list[Call] = []
    signatures: list[tuple[str, str]] = []
    """Of thinking blocks: (thought, signature)."""
    stop: str = ""
    """Why it ended, in Anthropic's words; empty: the SDK was never told."""
    error: str = ""
    """What the SDK raised; empty: for the application this was a success."""
    first_text_s: float | None = None
    largest_gap_s: float = 0.0
    took_s: float = 0.0
    headers: dict[str, str] = {}
    turns: list[Any] = []
    """The answer as the application would send it back in the next turn."""


_HEADERS: ContextVar[dict[str, str]] = ContextVar("headers")

STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


class Watch:
    """When text and signs of content came."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.first: float | None = None
        self.largest_gap = 0.0

    def content(self, *, visible: bool = True) -> None:
        now = time.monotonic()
        if visible and self.first is None:
            self.first = now - self.began
        elif self.first is not None:
            self.largest_gap = max(self.largest_gap, now - self.last)
        self.last = now


class Judges(msgspec.Struct):
    """Both SDKs, pointed at one endpoint."""

    claude: anthropic.AsyncAnthropic
    gpt: openai.AsyncOpenAI
    timeout_s: float

    async def hear(self, surface: str, body: dict[str, Any], *, stream: bool = True) -> Heard:
        """Ask, and return what the SDK made of it. Never raises for what the SDK raises."""
        heard, watch = Heard(headers={}, calls=[], signatures=[], turns=[]), Watch()
        token = _HEADERS.set(heard.headers)
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._hear(surface, body, heard, watch, stream=stream)
        except TimeoutError:
            heard.error = f"TimeoutError: not done after {self.timeout_s:.0f} s"
        except Exception as error:
            # Whatever an SDK raises is its verdict: errors of its own, of its HTTP library, and
            # AttributeErrors where a frame was not what it expected.
            heard.error = f"{type(error).__name__}: {str(error)[:200]}"
        finally:
            _HEADERS.reset(token)
        heard.first_text_s, heard.largest_gap_s = watch.first, watch.largest_gap
        heard.took_s = time.monotonic() - watch.began
        return heard

    async def _hear(
        self, surface: str, body: dict[str, Any], heard: Heard, watch: Watch, *, stream: bool
    ) -> None:
        match surface, stream:
            case "messages", True:
                await _messages(self.claude, body, heard, watch)
            case "messages", False:
                _of_message(await self.claude.messages.create(**body), heard)
            case "chat", True:
                await _chat(self.gpt, body, heard, watch)
            case "chat", False:
                completion = await self.gpt.chat.completions.create(**body)
                choice = completion.choices[0]
                calls = [
                    (call.id, call.function.name, call.function.arguments)
                    for call in choice.message.tool_calls or []
                    if call.type == "function"
                ]
                _of_chat(choice.message.content or "", calls, choice.finish_reason, heard)
            case _, True:
                await _responses(self.gpt, body, heard, watch)
            case _:
                _of_response(await self.gpt.responses.create(**body), heard)


@asynccontextmanager
async def judges(endpoint: Endpoint, compress: float, retries: int = 0) -> AsyncIterator[Judges]:
    async def note(response: Any) -> None:
        _HEADERS.get({}).update({n.lower(): v for n, v in response.headers.items()})

    hooks: Any = {"response": [note]}
    common: dict[str, Any] = {
        "api_key": endpoint.key,
        "max_retries": retries,
        "timeout": TIMEOUT_S / compress,
        "default_headers": endpoint.headers,
    }
    async with (
        anthropic.AsyncAnthropic(
            base_url=endpoint.url,
            http_client=anthropic.DefaultAsyncHttpxClient(event_hooks=hooks),
            **common,
        ) as claude,
        openai.AsyncOpenAI(
            base_url=f"{endpoint.url}/v1",
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks),
            **common,
        ) as gpt,
    ):
        yield Judges(claude, gpt, TIMEOUT_S / compress)


async def _messages(
    client: anthropic.AsyncAnthropic, body: dict[str, Any], heard: Heard, watch: Watch
) -> None:
    async with client.messages.stream(**body) as stream:
        async for event in stream:
            if event.type == "text":
                watch.content()
                heard.text += event.text
            elif event.type in {"thinking", "input_json"}:
                watch.content(visible=event.type == "input_json")
        _of_message(await stream.get_final_message(), heard)


def _of_message(message: Any, heard: Heard) -> None:
    heard.text = "".join(block.text for block in message.content if block.type == "text")
    heard.calls = [Call(b.name, b.input) for b in message.content if b.type == "tool_use"]
    heard.signatures = [(b.thinking, b.signature) for b in message.content if b.type == "thinking"]
    heard.stop = message.stop_reason or ""
    heard.turns = [{"role": "assistant", "content": [b.to_dict() for b in message.content]}]


async def _chat(
    client: openai.AsyncOpenAI, body: dict[str, Any], heard: Heard, watch: Watch
) -> None:
    calls: dict[int, list[str]] = {}
    reason = ""
    stream = await client.chat.completions.create(
        **body, stream=True, stream_options={"include_usage": True}
    )
    async with stream:
        async for chunk in stream:
            for choice in chunk.choices:
                delta = choice.delta
                if delta.content:
                    watch.content()
                    heard.text += delta.content
                for part in delta.tool_calls or []:
                    watch.content()
                    function = part.function
                    call = calls.setdefault(part.index, ["", "", ""])
                    call[0] += part.id or ""
                    call[1] += (function.name if function else "") or ""
                    call[2] += (function.arguments if function else "") or ""
                reason = choice.finish_reason or reason
    made = [(call[0], call[1], call[2]) for _, call in sorted(calls.items())]
    _of_chat(heard.text, made, reason, heard)


def _of_chat(
    text: str, calls: list[tuple[str, str, str]], reason: str | None, heard: Heard
) -> None:
    heard.text = text
    heard.calls = [Call(name, arguments_of(given)) for _, name, given in calls]
    heard.stop = STOPS.get(reason or "", reason or "")
    turn: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        turn["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": given}}
            for id_, name, given in calls
        ]
    heard.turns = [turn]


def arguments_of(text: str) -> Any:
    """Return arguments as an application parses them; torn ones as the text they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text


async def _responses(
    client: openai.AsyncOpenAI, body: dict[str, Any], heard: Heard, watch: Watch
) -> None:
    async with client.responses.stream(**body) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                watch.content()
                heard.text += event.delta
            elif event.type == "response.function_call_arguments.delta":
                watch.content()
        _of_response(await stream.get_final_response(), heard)


def _of_response(response: Any, heard: Heard) -> None:
    heard.text = response.output_text
    made = [item for item in response.output if item.type == "function_call"]
    heard.calls = [Call(item.name, arguments_of(item.arguments)) for item in made]
    heard.stop = {"completed": "tool_use" if made else "end_turn"}.get(
        response.status or "", response.status or ""
    )
    if response.error is not None:
        heard.error = f"response.failed: {response.error.message[:200]}"
    heard.turns = [item.to_dict() for item in response.output]
