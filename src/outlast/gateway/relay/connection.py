"""A connection to an upstream over HTTP/1.1, and what is read of it.

It carries one call at a time; outbound.py keeps those that are free. llhttp reads what C has not:
the head of a plain stream, its whole chunks and its end pass without it.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools
import structlog

from outlast.gateway import verdicts
from outlast.gateway.relay import heads
from outlast.gateway.relay.call import Call, Origin, Pool, Tap
from outlast.gateway.relay.direct import Poll, Reading
from outlast.gateway.transport import HEAD_LIMIT_BYTES
from outlast.native import compiled
from outlast.network import fault_of
from outlast.outcome import Fault

_log = structlog.get_logger(__name__)
HEADERS_MAX = 200
INTERIM_MAX = 8
"""Answers of 1xx before the one that counts."""
RESEND_S = 2.0
"""A kept connection that was dead says so within a round trip. One that lives longer than this with
a call was alive: the upstream may have begun to answer, and its end is a failure."""
_BODILESS = frozenset({204, 304})
_READS = [None, compiled("answer"), compiled("streamed")]
_LINES: dict[bytes, bytes] = {}
"""How headers of these names begin for clients; empty: they do not see them."""
_LINES_MAX = 512
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_chunks = compiled("chunks")
_reads = compiled("reads")
TOGETHER_BYTES = 64 << 10
"""Up to here head and body are one piece; beyond, the copy would cost more than the call."""


class Reads:
    """What reads mean to a connection; in C it also takes them, as `data_received`."""

    __slots__ = ("missing", "tap")

    def __init__(self) -> None:
        self.tap: Tap | None = None
        """Is shown them first, where a chunk begins; in C alone."""
        self.missing = -1
        """Bytes until the next chunk begins: 0, it does now; -1: the parser alone knows."""


class Connection(asyncio.Protocol):
    """One connection to an upstream; httptools calls the `on_…` methods while it parses."""

    def __init__(self, pool: Pool, origin: Origin) -> None:
        self._pool = pool
        self._loop = pool.loop
        self._origin = origin
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._call: Call | None = None
        self._reused = False
        self._sent_at = 0.0
        self._reading: Reading | None = None
        self.idle_since = 0.0
        self.reads: Reads = Reads() if _reads is None else _reads(self.data_received)
        if _reads is not None:
            # What the event loop calls with each read, in this method's place.
            self.data_received = self.reads  # type: ignore[assignment,method-assign]
        self._begin()

    def _begin(self) -> None:
        self._pairs: heads.Pairs = []
        self._pieces.clear()
        self._head = b""
        """What C has read, and the parser has not: then nothing but whole chunks came since."""
        self._head_bytes = 0
        self._interim = 0
        self._headed = False
        self._coded = False
        self._told = False
        self._heard = False
        self.whole = False
        self._surplus = False
        self._until_close = False
        self.reads.tap = None
        self.reads.missing = -1
        self._kept = False
        self._status = 0

    # -- used by calls and the pool ------------------------------------------------------------

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def carries(self, call: Call, now: float, idle_s: float) -> bool:
        """Whether it takes this call, and sends it. It was kept alive: if for longer than this, or
        if it is closed, it ends instead. `now`: the loop's time."""
        transport = self._transport
        if transport is None or transport.is_closing() or self.idle_since <= now - idle_s:
            self.abort()
            return False
        if self._heard:
            self._begin()
        self._call, self._reused, self._sent_at = call, True, now
        call.carried_by(self)
        body = call.body
        if not body:
            transport.write(call.head)
        elif len(body) <= TOGETHER_BYTES:
            transport.write(call.head + body)
        else:
            transport.writelines((call.head, body))
        return True

    def send(self, call: Call, now: float, *, reused: bool) -> None:
        """Send a call on a connection that is usable."""
        self.idle_since = now
        self.carries(call, now, 1.0)
        self._reused = reused

    def give_back(self) -> None:
        """Its call is over, and it is free for another."""
        self._call = self.reads.tap = None
        transport = self._transport
        assert transport is not None
        if transport.get_write_buffer_size() > 0:  # an answer before the question's end
            self.abort()
            return
        self.resume()
        if not transport.is_closing():
            self.idle_since = self._loop.time()
            self._pool.put_back(self._origin, self)

    def pause(self) -> None:
        if self.usable and self._reading is not None:
            self._reading.pause()

    def resume(self) -> None:
        reading = self._reading
        if reading is not None and reading.paused and self.usable:
            reading.resume()

    def read_by(self, poll: Poll) -> None:
        """Let the poll read in the transport's place."""
        if self.usable and self._reading is not None:
            self._reading.by(poll, self.data_received, self._failed)

    def _failed(self, error: BaseException) -> None:
        """We failed at what was read."""
        _log.error("a connection failed inside Outlast", exc_info=error)
        self._break(Fault("internal", type(error).__name__))

    def abort(self) -> None:
        self._call = self.reads.tap = None
        if self._reading is not None:
            self._reading.stop()
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._reading = Reading(self._transport)

    def data_received(self, data: bytes) -> None:
        call = self._call
        if call is None:  # nobody asked
            self.abort()
            return
        if not self._heard:
            rest = self._first(call, data)
            if rest is None:
                return
            data = rest
        if not self._headed:
            self._head_bytes += len(data)
        try:
            self._read(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.whole:
                self._break(Fault("malformed", "not HTTP"))
                return
            self._surplus = True  # the answer is whole; what comes after it was never asked for
        if self._told and not self.whole:
            if self._pieces:
                body, listener = self._body(), call.listener
                if listener is not None:
                    listener.received(body)
        elif self._headed:
            self._tell(call)
        elif self._head_bytes > HEAD_LIMIT_BYTES:
            self._break(Fault("malformed", "not HTTP"))

    def _first(self, call: Call, data: bytes) -> bytes | None:
        """Look at the first read; return what is still to be read of it. None: it was a whole
        answer of the usual kind, and was told."""
        read = _READS[call.quick]
        answer = read(data, _LINES, passed_line) if read is not None else None
        if answer is not None:
            lines, theirs, body = answer
            if isinstance(body, bytes):
                if call.quickly(self, answer):
                    return None
            elif call.begun(lines, theirs, data[:body]):
                self._heard = self._headed = self._told = True
                self._head, data = data[:body], data[body:]
                self.reads.missing = 0
                return data
        self._heard = True
        return data

    def _read(self, data: bytes) -> None:
        """Let the parser read, or in its place who reads whole chunks."""
        if self.reads.missing >= 0:
            self._read_chunks(data)
        elif self._headed or _chunks is None:
            self._parser.feed_data(data)
        else:
            self._read_head(data)

    def _read_head(self, data: bytes) -> None:
        """Feed the parser a head, and look where it ends: there a chunk begins, if they come."""
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if end < len(_HEAD_END) or self._head_bytes > len(data):
            self._parser.feed_data(data)
            return
        self._parser.feed_data(data[: end - 1])
        open_still = not self._headed
        self._parser.feed_data(data[end - 1 : end])
        if open_still and self._headed and self._coded and not self.whole:
            self.reads.missing = 0
            self._read_chunks(data[end:])
        elif end < len(data):
            self._parser.feed_data(data[end:])

    def _read_chunks(self, data: bytes) -> None:
        """Read whole chunks in the parser's place; the parser gets the others, from their
        beginning to their end, and the last one."""
        assert _chunks is not None
        at = min(self.reads.missing, len(data))
        if at:
            self._parse(data[:at])
            self.reads.missing -= at
        if at == len(data):
            return
        payload, end, missing = _chunks(data, at)
        if payload:
            self._pieces.append(payload)
        if end == len(data):
            return
        if self._head and data.endswith(_LAST_CHUNK) and len(data) - end == len(_LAST_CHUNK):
            self._head, self.whole, self._kept = b"", True, True
        else:
            self.reads.missing = missing
            self._parse(data[end:])

    def _parse(self, data: bytes) -> None:
        """Let the parser read, first of all the head, if it has not yet."""
        head, self._head = self._head, b""
        if head:
            self._headed = False
            self._parser.feed_data(head)
        self._parser.feed_data(data)

    def _tell(self, call: Call) -> None:
        """Let the listener hear what this read brought; it may abandon the call at any word."""
        listener = call.listener
        if self.whole and not self._told and listener is not None and self._pieces:
            self._told = True
            body, pairs = self._body(), self._pairs
            self._finish()
            call.listener = None
            call.leave()
            listener.answered(self._status, pairs, body)
            return
        if not self._told:
            self._told = True
            if listener is not None:
                listener.headed(self._status, heads.response_headers(self._pairs))
        if self._pieces:
            body, listener = self._body(), call.listener
            if listener is not None:
                listener.received(body)
        if self.whole and self._call is call:
            self._finish()
            call.end()

    def _body(self) -> bytes:
        """Take what has come of the body."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def _finish(self) -> None:
        assert self._transport is not None
        if self._surplus or not self._kept:
            self.abort()
        else:
            self.give_back()

    def _break(self, fault: Fault) -> None:
        call = self._call
        self.abort()
        if call is not None:
            call.fail(fault)

    def connection_lost(self, exc: Exception | None) -> None:
        call, self._call = self._call, None
        self._transport = self.reads.tap = None
        if self._reading is not None:
            self._reading.stop()
        if call is None:
            self._pool.forget(self._origin, self)
        elif self._until_close and exc is None:
            call.end()
        elif self._met_dead() and call.listener is not None:
            self._pool.dispatch(call)
        else:
            call.fail(fault_of(exc) if exc is not None else Fault("reset"))

    def _met_dead(self) -> bool:
        """Whether the call met a kept connection that the server had closed before."""
        soon = self._pool.loop.time() < self._sent_at + RESEND_S
        return self._reused and not self._heard and soon

    # -- httptools -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.whole:
            raise ValueError("more than was asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._headed:
            if name.lower() in heads.FRAMING:
                raise ValueError("a frame in a trailer")
            return  # trailers mean nothing here
        self._pairs.append((name, value))
        if len(self._pairs) > HEADERS_MAX:
            raise ValueError("a head beyond the limit")

    def on_headers_complete(self) -> None:
        status, pairs = self._parser.get_status_code(), self._pairs
        self._status = status
        # What was read is more than the head: only where it is too much for one, it is looked at.
        if self._head_bytes > HEAD_LIMIT_BYTES and _size(pairs) > HEAD_LIMIT_BYTES:
            raise ValueError("a head beyond the limit")
        named = [name.lower() for name, _ in pairs]
        coded = b"transfer-encoding" in named
        self._coded = coded
        if coded and not self._chunked(named):
            raise ValueError("a body in a coding that nobody asked for")
        if status >= 200:
            self._headed = True
            counted = coded or b"content-length" in named
            self._until_close = not counted and status not in _BODILESS
        elif status == 101 or self._interim >= INTERIM_MAX:
            raise ValueError("an answer that was not asked for")

    def _chunked(self, named: list[bytes]) -> bool:
        """Whether the one coding of the body is the one that we read."""
        coding = self._pairs[named.index(b"transfer-encoding")][1]
        return coding.lower() == b"chunked" and named.count(b"transfer-encoding") == 1

    def on_message_complete(self) -> None:
        if self._headed:
            self.whole = True
            self._kept = self._parser.should_keep_alive()  # afterwards it forgets
        else:
            self._interim += 1
            self._pairs = []


def passed_line(name: bytes) -> bytes:
    """Return how a header of an upstream's begins where clients see it; empty: they do not."""
    known = _LINES.get(name)
    if known is None:
        text = name.lower().decode("latin-1")
        known = f"{text}: ".encode("latin-1") if verdicts.passes(text) else b""
        if len(_LINES) < _LINES_MAX:
            _LINES[name] = known
    return known


def _size(pairs: heads.Pairs) -> int:
    return sum(len(name) + len(value) for name, value in pairs)


class _Head:
    """Hears the headers of one head."""

    def __init__(self) -> None:
        self.pairs: heads.Pairs = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name, value))


def headers_of(head: bytes) -> dict[str, str]:
    """Return the headers of a head that is whole and was read before."""
    hearing = _Head()
    httptools.HttpResponseParser(hearing).feed_data(head)
    return heads.response_headers(hearing.pairs)
