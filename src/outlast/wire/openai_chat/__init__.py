"""OpenAI's Chat Completions format, as OpenAI and the many compatible servers speak it."""

from __future__ import annotations

from outlast.nouns import Format
from outlast.wire.codec import Codec
from outlast.wire.openai_chat.answer import Reader, Writer, parse_answer, render_answer
from outlast.wire.openai_chat.errors import parse_error, render_error
from outlast.wire.openai_chat.request import parse_request, render_request

CODEC = Codec(
    format=Format.OPENAI_CHAT,
    path="/v1/chat/completions",
    parse_request=parse_request,
    render_request=render_request,
    reader=Reader,
    writer=Writer,
    parse_answer=parse_answer,
    render_answer=render_answer,
    parse_error=parse_error,
    render_error=render_error,
    last_word=b"data: [DONE]\n\n",
)

__all__ = ["CODEC", "Reader", "Writer"]
