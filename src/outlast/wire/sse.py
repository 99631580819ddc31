"""Server-Sent Events: bytes in, events out, and back. No I/O.

Line ends may be `\\n`, `\\r\\n` or `\\r`, and a chunk may end anywhere, inside a character or a
line end too (WHATWG HTML, "Parsing an event stream").
"""

from __future__ import annotations

import re

import msgspec

_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|\r\r\n")
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
    """Feed bytes cut anywhere; get back the events that they complete."""

    def __init__(self, limit_bytes: int = 8 << 20) -> None:
        self._buffer = b""
        self._searched = 0
        self._limit_bytes = limit_bytes
        self._first = True

    @property
    def rest(self) -> bytes:
        """What has arrived of an unfinished event."""
        return self._buffer

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that `data` completes, in order. Raises EndlessEvent."""
        buffer = self._buffer + data if self._buffer else data
        if self._first and buffer:
            if _BOM.startswith(buffer[:3]) and len(buffer) < 3:
                self._buffer = buffer
                return []
            buffer = buffer.removeprefix(_BOM)
            self._first = False
        events: list[ServerSentEvent] = []
        start = 0
        search = self._searched
        while (match := _BLANK_LINE.search(buffer, search)) is not None:
            end = match.end()
            raw = buffer[start:end]
            if raw.strip(b"\r\n"):
                events.append(parse_event(raw))
            start = search = end
        self._buffer = buffer[start:]
        # A blank line is at most four bytes: look again only from where one could have begun.
        self._searched = max(0, len(self._buffer) - 3)
        if len(self._buffer) > self._limit_bytes:
            raise EndlessEvent(f"an event of more than {self._limit_bytes} bytes")
        return events


def parse_event(raw: bytes) -> ServerSentEvent:
    """Return the event in one block of lines."""
    name, data, seen = "", [], False
    for line in _LINE_END.split(raw):
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
