"""What is asked: one row for each shape of load. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
ENDS = {"chat": "[DONE]", "messages": "message_stop"}
"""The last words of a stream in each format."""
WHOLE_TOKENS = 2
"""Stamped tokens in an answer that is not streamed: one at its start, one at its end."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """`client` and `upstream`: the formats at both ends. Sizes in bytes, `pace_ms` per token."""

    name: str
    title: str
    connections: int
    client: str = "chat"
    upstream: str = "chat"
    body_bytes: int = 1000
    stream: bool = False
    pace_ms: int = 0
    tokens: int = WHOLE_TOKENS

    @property
    def translated(self) -> bool:
        return self.client != self.upstream

    @property
    def paced(self) -> bool:
        return self.pace_ms > 0

    @property
    def end(self) -> str:
        return ENDS[self.client] if self.stream else ""


def _paced(streams: int) -> Scenario:
    return Scenario(
        name=f"p{streams}",
        title=f"{streams:,} streams, 20 ms between tokens",
        connections=streams,
        stream=True,
        pace_ms=20,
        tokens=100,
    )


def _translated(client: str, upstream: str, stream: bool) -> Scenario:
    what = "streams" if stream else "requests"
    names = {"chat": "OpenAI chat", "messages": "Anthropic"}
    return Scenario(
        name=f"{'a2o' if client == 'messages' else 'o2a'}-{'stream' if stream else 'whole'}",
        title=f"{names[client]} client, {names[upstream]} upstream, {what}, 32 connections",
        connections=32,
        client=client,
        upstream=upstream,
        stream=stream,
        tokens=100 if stream else WHOLE_TOKENS,
    )


SCENARIOS = (
    Scenario(name="c1", title="1 kB requests, 1 connection", connections=1),
    Scenario(name="c32", title="1 kB requests, 32 connections", connections=32),
    Scenario(name="c256", title="1 kB requests, 256 connections", connections=256),
    Scenario(
        name="messages",
        title="1 kB requests, Anthropic at both ends, 32 connections",
        connections=32,
        client="messages",
        upstream="messages",
    ),
    Scenario(name="big", title="200 kB bodies, 8 connections", connections=8, body_bytes=200_000),
    Scenario(
        name="fast",
        title="streams of 100 tokens at once, 32 connections",
        connections=32,
        stream=True,
        tokens=100,
    ),
    _paced(500),
    _paced(1000),
    _translated("messages", "chat", stream=False),
    _translated("messages", "chat", stream=True),
    _translated("chat", "messages", stream=False),
    _translated("chat", "messages", stream=True),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def request(scenario: Scenario, model: str, headers: Mapping[str, str], path: str) -> bytes:
    """Return the bytes of a request: head and body, the number in it still zeros."""
    wish = f"#q00000000 {scenario.pace_ms:03} {scenario.tokens:04}# "
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": 200,
        "stream": scenario.stream,
        "messages": [{"role": "user", "content": wish}],
    }
    lacking = scenario.body_bytes - len(json.dumps(body))
    body["messages"][0]["content"] = wish + prose(max(0, lacking))
    written = json.dumps(body, separators=(", ", ": ")).encode()
    head = {
        "host": "127.0.0.1",
        "accept": "application/json",
        "user-agent": "overhead/1",
        "content-type": "application/json",
        **headers,
        "content-length": str(len(written)),
    }
    lines = [f"POST {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    return "\r\n".join([*lines, "", ""]).encode() + written


_SENTENCE = "The clock on the mantel had stopped, and nobody could say at which hour. "


def prose(size: int) -> str:
    """Return that many characters that hold nothing which JSON has to escape."""
    return (_SENTENCE * (size // len(_SENTENCE) + 1))[:size]
