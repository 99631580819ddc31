"""The wire formats: what clients and upstreams say, read into values and written back. Pure."""

from __future__ import annotations

from types import MappingProxyType

from outlast.nouns import Format
from outlast.wire import anthropic, openai_chat, openai_responses
from outlast.wire.codec import Codecs

__all__ = ["CODECS"]

CODECS: Codecs = MappingProxyType(
    {
        Format.ANTHROPIC: anthropic.CODEC,
        Format.OPENAI_CHAT: openai_chat.CODEC,
        Format.OPENAI_RESPONSES: openai_responses.CODEC,
    }
)
