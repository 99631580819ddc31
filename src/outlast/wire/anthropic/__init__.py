"""Anthropic's Messages API: POST /v1/messages (version 2023-06-01)."""

from __future__ import annotations

from outlast.nouns import Format
from outlast.wire.anthropic.errors import parse_error, render_error
from outlast.wire.anthropic.reader import Reader, legible, parse_answer
from outlast.wire.anthropic.render import render_request
from outlast.wire.anthropic.request import parse_prompt, parse_request
from outlast.wire.anthropic.writer import Writer, render_answer
from outlast.wire.codec import Codec

__all__ = ["CODEC", "Reader", "Writer", "parse_prompt"]

CODEC = Codec(
    format=Format.ANTHROPIC,
    path="/v1/messages",
    parse_request=parse_request,
    render_request=render_request,
    reader=Reader,
    writer=Writer,
    parse_answer=parse_answer,
    render_answer=render_answer,
    parse_error=parse_error,
    render_error=render_error,
    last_word=b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    legible=legible,
)
