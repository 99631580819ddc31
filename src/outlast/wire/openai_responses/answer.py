"""Whole (not streamed) answers."""

from __future__ import annotations

from collections.abc import Iterable

from outlast.wire.canon import JSON, Request
from outlast.wire.openai_responses.composer import Composer
from outlast.wire.openai_responses.errors import stream_error_code
from outlast.wire.openai_responses.reader import ResponsesReader
from outlast.wire.stream import AnswerEvent, Failed, MalformedFrame


def parse_answer(body: JSON) -> list[AnswerEvent]:
    """Return the events that a stream of this answer would give. Raises MalformedFrame."""
    if not isinstance(body, dict):
        raise MalformedFrame("the answer is not an object")
    reader = ResponsesReader()
    status = body.get("status")
    if body.get("error") and status in (None, "failed"):
        return reader.fail(body["error"])
    if status == "failed":
        return reader.fail(None)
    if not isinstance(body.get("output"), list):
        raise MalformedFrame("the answer has no output")
    if status in (None, "completed"):
        return reader.finish(body, "completed")
    if status == "incomplete":
        return reader.finish(body, "incomplete")
    raise MalformedFrame(f"the answer is not finished: its status is {status!r:.60}")


def render_answer(events: Iterable[AnswerEvent], request: Request) -> JSON:
    """Return the whole response. Raises ValueError where the events do not end."""
    composer = Composer(request)
    for event in events:
        if isinstance(event, Failed):
            composer.fail("outlast", stream_error_code(event.status, event.message), event.message)
        else:
            composer.add(event)
    if composer.final is None:
        raise ValueError("the answer has no end")
    return composer.final
