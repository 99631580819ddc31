"""What the tests of requests written for the Messages API share: models, messages, a rendering."""

from __future__ import annotations

from typing import Any

from outlast.nouns import Format
from outlast.wire.anthropic import CODEC
from outlast.wire.canon import Block, Message, Request, Text

CHAT = Format.OPENAI_CHAT
OLD, SIX, EIGHT, FIVE, NEW, OTHER = (
    "claude-haiku-4-5-20251001",
    "claude-sonnet-4-6",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-opus-5-5",
    "kimi-k3",
)
CACHE = {"type": "ephemeral"}


def say(text: str) -> Message:
    return Message("user", (Text(text),))


def answer(*blocks: Block) -> Message:
    return Message("assistant", blocks)


def asked(*messages: Message, model: str = EIGHT, **fields: Any) -> Request:
    return Request(model, messages or (say("Hi"),), fields.pop("origin", CHAT), **fields)


def rendered(*messages: Message, model: str = EIGHT, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    result = CODEC.render_request(asked(*messages, model=model, **fields))
    return result.body, result.dropped
