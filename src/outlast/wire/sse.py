"""Server-Sent Events: bytes in, events out, and back. No I/O.

Line ends may be `\\n`, `\\r\\n` or `\\r`, and a chunk may end anywhere, inside a character or a
line end too (WHATWG HTML, "Parsing an event stream").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_encode = msgspec.json.Encoder().encode

# Two line ends in a row. A buffer that ends in `\n\r` is not decided yet: `\n` may follow and
# belong to it. `\r\r` is decided at once (nobody who writes `\r\r` adds a `\n`), so that the last
# event of a stream is never left waiting.
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r\n?|\n\r\n|\r\n\n|\n\r(?=[^\n])")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EndlessEvent(Exception):
    """An upstream sent an event larger than the limit."""


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One frame. `raw` holds its bytes with the blank line, for passing on unchanged.

    A frame of comments only has no `data` and the name `comment`.
    """

    name: str
    data: bytes
    raw: bytes


class SSEParser:
    """Feed bytes cut anywhere; get back the events that they complete.

    The work is proportional to the bytes fed, however they are cut.
    """

    def __init__(self, limit_bytes: int = 8 << 20) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._limit_bytes = limit_bytes
        self._first = True

    @property
    def rest(self) -> bytes:
        """What has arrived of an unfinished event."""
        return bytes(self._buffer)

    def lend(self, data: bytes, limit_bytes: int) -> bytes | None:
        """Return what waits here and `data` after it, for somebody who reads it otherwise; what
        that one leaves is fed again. None, and nothing changes, where more waits than the limit.
        """
        if self._first or len(self._buffer) > limit_bytes:
            return None
        if self._buffer:
            data = bytes(self._buffer) + data
            self._buffer.clear()
        self._searched = 0
        return data

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that `data` completes, in order.

        Raises EndlessEvent where an event is larger than the limit; the parser is then of no
        further use.
        """
        if self._first:
            return self._begin(data)
        if self._buffer:
            self._buffer += data
            events, end = _cut(self._buffer, self._searched, self._limit_bytes)
            if end:
                del self._buffer[:end]
        else:
            # The common case: whole events in one chunk, nothing to copy but themselves.
            events, end = _cut(data, 0, self._limit_bytes)
            if end < len(data):
                self._buffer += data[end:]
        # A blank line is at most four bytes: look again only from where one could have begun.
        self._searched = max(0, len(self._buffer) - 3)
        if len(self._buffer) > self._limit_bytes:
            raise EndlessEvent(f"an event of more than {self._limit_bytes} bytes")
        return events

    def _begin(self, data: bytes) -> list[ServerSentEvent]:
        """Take a byte order mark away, which may arrive in pieces."""
        head = bytes(self._buffer) + data
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._buffer = bytearray(head)
            return []
        self._first = False
        self._buffer = bytearray()
        return self.feed(head.removeprefix(_BOM))


def _cut(
    buffer: bytes | bytearray, search: int, limit_bytes: int
) -> tuple[list[ServerSentEvent], int]:
    """Return the whole events at the head of `buffer`, and how many bytes they are."""
    events: list[ServerSentEvent] = []
    start = 0
    while (match := _BLANK_LINE.search(buffer, search)) is not None:
        end = match.end()
        if end - start > limit_bytes:
            raise EndlessEvent(f"an event of more than {limit_bytes} bytes")
        raw = bytes(buffer[start:end])
        if raw.strip(b"\r\n"):
            events.append(parse_event(raw))
        start = search = end
    return events, start


def parse_event(raw: bytes) -> ServerSentEvent:
    """Return the event in one block of lines."""
    name, data, seen = "", [], False
    lines = _LINE_END.split(raw) if b"\r" in raw else raw.split(b"\n")
    for line in lines:
        if not line or line.startswith(b":"):
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
            seen = True
    if not seen:
        return ServerSentEvent(name or "comment", b"", raw)
    return ServerSentEvent(name or "message", b"\n".join(data), raw)


def format_event(data: bytes, name: str = "") -> bytes:
    """Return one frame. `data` must not contain line ends (JSON of one line)."""
    if name:
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


def around(texts: Sequence[str], before: bytes, after: bytes) -> bytes:
    """Return a frame for each text, as a JSON string between the same bytes."""
    said = [_encode(text) for text in texts]
    return b"%b%b%b" % (before, (after + before).join(said), after)
