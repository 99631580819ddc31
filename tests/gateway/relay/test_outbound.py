"""What upstreams may answer: heard in order, as h11 reads it, or told as a fault in our words."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.config import ServerSettings, Settings, TimeoutSettings
from outlast.gateway.asked import Prepared
from outlast.gateway.relay.connection import HEADERS_MAX, INTERIM_MAX, RESEND_S
from outlast.gateway.relay.outbound import Relay
from outlast.gateway.transport import HEAD_LIMIT_BYTES, NetworkFault
from outlast.nouns import Candidate, Kind
from outlast.outcome import Fault
from outlast.wire import CODECS
from tests.gateway.relay.answers import Hearing, Line, check_answer, hostile_answer, valid_answer
from tests.gateway.relay.requests import cut
from tests.raw import hang_up
from tests.service import free_port, upstream

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"content-length: 2\r\n\r\n{}"

CLOSING = WHOLE.replace(b"content", b"connection: close\r\ncontent")
CODED = OK + b"transfer-encoding: chunked\r\n\r\n"

ENDS = [
    ("a counted body", WHOLE, False, "ended"),
    (
        "a chunked body",
        CODED + b"2\r\n{}\r\n0\r\n\r\n",
        False,
        "ended",
    ),
    ("a body that ends with the connection", OK + b"\r\n{}", True, "ended"),
    ("words before the answer", b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, False, "ended"),
    ("a status without a body", b"HTTP/1.1 204 No Content\r\n\r\n", False, "ended"),
    ("nothing", b"", True, "reset"),
    ("half a head", OK + b"content-le", True, "reset"),
    ("half a counted body", OK + b"content-length: 9\r\n\r\n{}", True, "reset"),
    ("half a chunked body", OK + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", True, "reset"),
    ("something that is not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", False, "malformed"),
    (
        "both lengths",
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        False,
        "malformed",
    ),
    ("two lengths", OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}", False, "malformed"),
    ("another coding", OK + b"transfer-encoding: gzip\r\n\r\n{}", False, "malformed"),
    ("another protocol", b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", False, "malformed"),
    ("words without end", b"HTTP/1.1 103 X\r\n\r\n" * (INTERIM_MAX + 2), False, "malformed"),
    ("a head beyond the limit", OK + b"x: " + b"y" * (HEAD_LIMIT_BYTES + 9), False, "malformed"),
    ("headers beyond number", OK + b"x: y\r\n" * (HEADERS_MAX + 1) + b"\r\n", False, "malformed"),
]


@pytest.mark.parametrize(("what", "data", "closes", "end"), ENDS)
@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_every_answer_ends_in_one_way(
    what: str, data: bytes, closes: bool, end: str, size: int
) -> None:
    line = Line()
    line.feed(*(data[i : i + size] for i in range(0, len(data), size)), closes=closes)
    assert line.heard.end == end, what


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32), st.booleans())
def test_answers_are_heard_as_h11_reads_them(seed: int, good: bool) -> None:
    rng = random.Random(seed)
    answer = valid_answer(rng) if good else hostile_answer(rng)
    check_answer(answer, cut(rng, answer.data), well_formed=good)


@pytest.mark.parametrize(
    ("why", "data", "kept"),
    [
        ("the answer was whole", WHOLE, True),
        ("the server said that it would close", CLOSING, False),
        ("it speaks HTTP/1.0", WHOLE.replace(b"1.1", b"1.0"), False),
        ("bytes came that nobody asked for", WHOLE + WHOLE, False),
    ],
)
def test_a_connection_is_used_again_only_after_a_clean_end(
    why: str, data: bytes, kept: bool
) -> None:
    line = Line()
    line.feed(data)
    assert line.heard.end == "ended", why
    assert bool(line.pool.idle) is kept, why
    assert line.socket.closing is not kept, why


def test_bytes_on_an_idle_connection_close_it() -> None:
    line = Line()
    line.feed(WHOLE)
    line.feed(b"HTTP/1.1 408 Timeout\r\n\r\n")
    assert line.socket.closing
    assert line.pool.idle == []


@pytest.mark.parametrize(
    ("why", "reused", "data", "after_s", "resent"),
    [
        ("a kept connection that the server had closed says nothing", True, b"", 0.5, True),
        ("a new one that closes is a failure", False, b"", 0.5, False),
        ("after the first byte it is a failure too", True, b"HTTP/1.1 200", 0.5, False),
        ("one that lived on was not dead: somebody was at work", True, b"", RESEND_S, False),
    ],
)
def test_a_call_is_sent_again_only_where_it_met_a_dead_connection(
    why: str, reused: bool, data: bytes, after_s: float, resent: bool
) -> None:
    line = Line(reused=reused)
    line.pool.now += after_s
    line.feed(data, closes=True)
    assert bool(line.pool.resent) is resent, why
    assert line.heard.end == ("" if resent else "reset"), why


def test_who_is_left_hears_nothing_more() -> None:
    line = Line()
    line.feed(OK + b"content-length: 9\r\n\r\n{}")
    line.call.abandon()
    assert line.socket.closing
    line.connection.connection_lost(None)
    assert line.heard.end == ""


def test_what_is_not_wanted_any_more_is_read_to_its_end_so_that_the_connection_stays() -> None:
    line = Line()
    line.feed(OK + b"content-length: 9\r\n\r\n{}")
    line.call.release()
    line.feed(b"1234567")
    assert line.heard.body == b"{}"
    assert len(line.pool.idle) == 1


# Over real sockets


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def relay_to(folder: Path, serve: Serve | None, port: int = 0) -> AsyncIterator[Relay]:
    serving: set[asyncio.Task[None]] = set()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert serve is not None
        assert task is not None
        serving.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has left
        finally:
            await hang_up(writer)

    server = await asyncio.start_server(handled, "127.0.0.1", port) if serve is not None else None
    used = server.sockets[0].getsockname()[1] if server is not None else port
    found = upstream("u", Kind.OPENAI_CHAT, f"http://127.0.0.1:{used}")
    relay = Relay(
        Settings(
            server=ServerSettings(data_dir=str(folder)),
            timeouts=TimeoutSettings(connect_s=5),
            upstreams={"u": found},
            routes=(),
        )
    )
    try:
        yield relay
    finally:
        await relay.close()
        if server is not None:
            server.close()
            await asyncio.gather(*serving, return_exceptions=True)


def call(path: str = "/v1/chat/completions", **headers: str) -> Prepared:
    candidate = Candidate(upstream="u", model="m", kind=Kind.OPENAI_CHAT, provider="p", vendor="p")
    reader = CODECS[Kind.OPENAI_CHAT.wire].reader()
    return Prepared(candidate, path, headers, b"{}", reader, streamed=False, same_format=True)


async def heads_of(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(2)
            yield head
    except asyncio.IncompleteReadError:
        return


async def test_calls_follow_each_other_on_one_connection(tmp_path: Path) -> None:
    connections, seen = 0, b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, seen
        connections += 1
        async for head in heads_of(reader):
            seen = head
            writer.write(WHOLE)

    async with relay_to(tmp_path, serve) as relay:
        for _ in range(3):
            answer = await relay.open(call(accept="application/json"))
            assert [chunk async for chunk in answer.chunks()] == [b"{}"]
            answer.close()
    assert connections == 1
    assert b"authorization: Bearer secret-of-u\r\n" in seen
    assert b"accept: application/json\r\n" in seen
    assert b"content-length: 2\r\n" in seen


async def test_a_server_that_hangs_up_between_calls_costs_nobody_an_answer(tmp_path: Path) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        async for _ in heads_of(reader):
            writer.write(WHOLE)
            return

    async with relay_to(tmp_path, serve) as relay:
        for _ in range(5):
            answer = await relay.open(call())
            assert answer.status == 200
            assert [chunk async for chunk in answer.chunks()] == [b"{}"]
    assert connections == 5


async def test_an_operators_host_header_takes_the_place_of_ours(tmp_path: Path) -> None:
    seen = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        async for head in heads_of(reader):
            seen = head
            writer.write(WHOLE)

    async with relay_to(tmp_path, serve) as relay:
        answer = await relay.open(call(host="models.internal"))
        assert answer.status == 200
    assert seen.lower().count(b"\r\nhost:") == 1
    assert b"host: models.internal\r\n" in seen


async def test_new_settings_while_a_call_connects_do_not_leave_it_without_an_end(
    tmp_path: Path,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hang_up(writer)

    class Told(Hearing):
        def failed(self, fault: Fault) -> None:
            super().failed(fault)
            ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found = upstream(
        "u", Kind.OPENAI_CHAT, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    )
    place = ServerSettings(data_dir=str(tmp_path))
    relay = Relay(Settings(server=place, upstreams={"u": found}, routes=()))
    told = Told()
    relay.send(call(), told)
    relay.reconfigure(Settings(server=place, upstreams={}, routes=()))
    async with server, asyncio.timeout(10):
        await ended.wait()
    assert told.end in {"tls", "reset"}


async def test_nobody_there_is_a_refused_connection(tmp_path: Path) -> None:
    async with relay_to(tmp_path, None, free_port()) as relay:
        with pytest.raises(NetworkFault) as raised:
            await relay.open(call())
    assert raised.value.fault.kind == "refused"


@pytest.mark.parametrize("path", ["/v1/a b", "/v1/a\r\nx: y", "/v1/a\x00"])
async def test_a_path_that_would_break_out_of_its_line_is_never_sent(
    tmp_path: Path, path: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("it was sent")

    async with relay_to(tmp_path, serve) as relay:
        with pytest.raises(NetworkFault) as raised:
            await relay.open(call(path))
    assert raised.value.fault.kind == "malformed"


async def test_a_listener_that_pauses_is_not_overrun(tmp_path: Path) -> None:
    size, sent = 64 << 20, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        async for _ in heads_of(reader):
            writer.write(OK + b"content-length: %d\r\n\r\n" % size)
            while sent < size:
                writer.write(b"x" * (1 << 20))
                sent += 1 << 20
                await writer.drain()

    class Slow(Hearing):
        def received(self, data: bytes) -> None:
            super().received(data)
            if len(self.body) < 2 << 20:
                paused.set()
                holding.pause()

    paused = asyncio.Event()
    async with relay_to(tmp_path, serve) as relay:
        slow = Slow()
        holding = relay.send(call(), slow)
        await paused.wait()
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(slow.body) < 4 << 20
        holding.resume()
        holding.abandon()
