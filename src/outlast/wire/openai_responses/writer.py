"""Canonical answer events → the bytes of a Responses stream."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from outlast.wire.canon import JSON, Request
from outlast.wire.openai_responses.composer import Composer
from outlast.wire.openai_responses.errors import stream_error_code
from outlast.wire.sse import format_event
from outlast.wire.stream import AnswerEvent, Failed, Ping, TextDelta

_COMMENT = b": keepalive\n\n"
_encode = msgspec.json.Encoder().encode


class ResponsesWriter:
    """Speaks to one client; see `outlast.wire.stream.Writer`. There is no `[DONE]` here."""

    def __init__(self, request: Request) -> None:
        self._composer = Composer(request)

    def write(self, event: AnswerEvent) -> bytes:
        """Return the frames for this event. Raises ValueError for events out of order."""
        if isinstance(event, Ping):
            return self.keepalive()
        if isinstance(event, Failed):
            return self.failure(event.status, event.message, "")
        return _frames(self._composer.add(event))

    def pieces(self, index: int, texts: Sequence[str]) -> bytes:
        return b"".join([self.write(TextDelta(index, text)) for text in texts])

    def resume_at(self, sequence: int, done: Collection[str] = ()) -> None:
        """Go on where frames that passed through have got to; see Composer.resume_at."""
        self._composer.resume_at(sequence, done)

    def keepalive(self) -> bytes:
        """Return a comment: the only thing that every official client ignores at any point."""
        return _COMMENT

    def failure(self, status: int, message: str, request_id: str) -> bytes:
        """Return `response.failed`, after `response.created` if nothing has been said yet."""
        text = f"{message} (request id {request_id})" if request_id else message
        code = stream_error_code(status, message)
        return _frames(self._composer.fail(request_id or "outlast", code, text))


def _frames(events: list[JSON]) -> bytes:
    return b"".join(format_event(_encode(event), event["type"]) for event in events)
