"""OpenAI's Responses API: POST /v1/responses.

Facts are from the types of the official `openai` SDK, version 3.54 (openai/types/responses) and
its stream helper (openai/lib/streaming/responses), and from Codex 0.169 as it was run.
"""

from __future__ import annotations

from outlast.nouns import Format
from outlast.wire.codec import Codec
from outlast.wire.openai_responses.answer import parse_answer, render_answer
from outlast.wire.openai_responses.errors import parse_error, render_error
from outlast.wire.openai_responses.reader import ResponsesReader
from outlast.wire.openai_responses.render import render_request
from outlast.wire.openai_responses.request import parse_request
from outlast.wire.openai_responses.writer import ResponsesWriter

CODEC = Codec(
    format=Format.OPENAI_RESPONSES,
    path="/v1/responses",
    parse_request=parse_request,
    render_request=render_request,
    reader=ResponsesReader,
    writer=ResponsesWriter,
    parse_answer=parse_answer,
    render_answer=render_answer,
    parse_error=parse_error,
    render_error=render_error,
)

__all__ = ["CODEC"]
