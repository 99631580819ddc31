"""What every wire format offers. The table of all three stands in `outlast.wire.CODECS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from outlast.nouns import Format
from outlast.wire.canon import JSON, Rendered, Request
from outlast.wire.sse import ServerSentEvent
from outlast.wire.stream import AnswerEvent, Reader, Writer


class ApiError(msgspec.Struct, frozen=True):
    """An error as people read it. `status` is HTTP's (529: overloaded, Anthropic's own)."""

    status: int
    message: str
    type: str = ""
    """The dialect's own type; empty: chosen from the status."""
    param: str = ""
    code: str = ""


class Codec(msgspec.Struct, frozen=True):
    format: Format
    path: str
    """Where upstreams of this format take requests, after the base URL: `/v1/messages`."""
    parse_request: Callable[[JSON], Request]
    """Client's body → Request. Raises BadRequest naming the field."""
    render_request: Callable[[Request], Rendered]
    """Request → upstream's body. Raises Untranslatable where dropping would change the meaning."""
    reader: Callable[[], Reader]
    writer: Callable[[Request], Writer]
    parse_answer: Callable[[JSON], list[AnswerEvent]]
    """A whole (not streamed) answer → the same events a stream of it gives, Start to End.

    Raises MalformedFrame where the body is not an answer of this format.
    """
    render_answer: Callable[[Iterable[AnswerEvent], Request], JSON]
    """Events of a complete answer → a whole body."""
    parse_error: Callable[[int, bytes], ApiError]
    """An upstream's error body (may be HTML, empty, or anything) → ApiError; never raises."""
    render_error: Callable[[ApiError, str], JSON]
    """ApiError and our request id → a body in this dialect."""
    last_word: bytes = b""
    """The frame that ends a finished stream, where it is a frame of its own."""
    legible: Callable[[ServerSentEvent], bytes] | None = None
    """A frame, already read → its bytes for this format's own clients, where they heed more of it
    than its data."""


Codecs = Mapping[Format, Codec]
