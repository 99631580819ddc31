"""Both sides on a bad day: drips, half-closed sockets, early answers, resets in every phase."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from outlast.config import ServerSettings
from outlast.gateway.asked import Prepared, Reply
from outlast.gateway.relay.inbound import PIPELINED_MAX
from outlast.gateway.relay.outbound import Relay
from outlast.gateway.transport import NetworkFault
from outlast.nouns import Kind, Receipt
from outlast.simulator import Script, Vendor
from tests.gateway.relay.test_inbound import HEAD, PLAIN, each
from tests.gateway.relay.test_outbound import OK, WHOLE, call, heads_of, relay_to
from tests.gateway.relay.wire import Door, Wire
from tests.raw import hang_up, read_reply
from tests.service import Running, route, serving, settings, upstream

CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
SIZED = HEAD + b"content-length: 500\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


Run = Callable[[Coroutine[Any, Any, None]], None]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a coroutine on the library's loop, and on the one that the service uses where it is
    there: their sockets break in different ways.
    """
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


def drip(wire: Wire, data: bytes, *, until_s: int) -> int:
    """A byte a second; return at which second the connection is closed (0: it is not)."""
    now = asyncio.get_running_loop().time()
    for second in range(1, until_s + 1):
        wire.feed(data[(second - 1) % len(data) :][:1])
        wire.connection.look(now + second)
        if wire.socket.closing:
            return second
    return 0


# Clients that drip


@pytest.mark.parametrize("before", [b"", PLAIN], ids=["at once", "on a kept connection"])
@pytest.mark.parametrize("start", [b"POST /v1/me", HEAD, HEAD + b"x: "])
async def test_a_head_that_drips_gets_no_more_time_for_each_byte(
    before: bytes, start: bytes
) -> None:
    wire = Wire(head_read_s=20)
    wire.feed(before, start)
    assert drip(wire, b"abcdefgh", until_s=60) in {20, 21}
    assert wire.statuses == [200] * bool(before) + [408]


@pytest.mark.parametrize("before", [b"", SIZED + b"x" * 500], ids=["at once", "of a known head"])
async def test_a_body_that_drips_gets_no_more_time_for_each_byte(before: bytes) -> None:
    wire = Wire()
    wire.door.body_read_s = 30.0
    wire.feed(before, SIZED)
    assert drip(wire, b"x", until_s=100) in {30, 31}
    assert wire.statuses == [200] * bool(before) + [408]
    assert len(wire.door.taken) == bool(before)


async def test_chunks_that_drip_get_no_more_time_for_each_byte() -> None:
    wire = Wire()
    wire.door.body_read_s = 30.0
    wire.feed(CHUNKED)
    assert drip(wire, b"1\r\nx\r\n", until_s=100) in {30, 31}
    assert wire.statuses == [408]


async def test_a_head_that_drips_behind_a_request_does_not_hurt_its_answer() -> None:
    wire = Wire(Door(answers=False), head_read_s=20)
    wire.feed(PLAIN, b"POST /v1/me")
    assert drip(wire, b"s", until_s=60) == 0
    wire.door.begun[0].reply(Reply(200, {}, b"fine"))
    assert wire.statuses == [200]
    assert wire.socket.sent.endswith(b"fine")
    assert wire.socket.closing


# What is asked before the body, and instead of it


async def test_http_1_0_is_never_told_to_continue() -> None:
    wire = Wire()
    wire.feed(HEAD.replace(b"1.1", b"1.0") + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert wire.socket.sent == b""
    wire.feed(b"{}")
    assert wire.statuses == [200]


async def test_a_body_that_will_be_too_large_is_refused_before_it_is_sent() -> None:
    wire = Wire()
    wire.feed(HEAD + b"expect: 100-continue\r\ncontent-length: 99999999\r\n\r\n")
    assert wire.statuses == [413]
    assert wire.socket.closing


async def test_an_expectation_that_nobody_knows_is_none() -> None:
    wire = Wire()
    wire.feed(HEAD + b"expect: a miracle\r\ncontent-length: 2\r\n\r\n{}")
    assert wire.statuses == [200]
    assert CONTINUE not in wire.socket.sent


async def test_who_waits_behind_another_is_told_to_continue_in_its_turn() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN + HEAD + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert CONTINUE not in wire.socket.sent
    wire.door.begun[0].reply(Reply(200, {}, b""))
    assert wire.socket.sent.endswith(CONTINUE)
    assert wire.socket.reading


@pytest.mark.parametrize("wish", [b"websocket", b"h2c", b"TLS/1.0"])
async def test_after_a_wish_for_another_protocol_the_connection_still_speaks_this_one(
    wish: bytes,
) -> None:
    wire = Wire()
    head = b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: %b\r\n\r\n"
    wire.feed(head % wish)
    await asyncio.gather(*wire.connection.tasks)
    wire.feed(PLAIN)
    assert b"101" not in wire.socket.sent[:20]
    assert len(wire.door.taken) == 1


async def test_of_what_waits_behind_an_answer_little_is_kept() -> None:
    """What was read when reading stopped is all: a read is some hundred kilobytes at most."""
    wire = Wire(Door(answers=False))
    big = HEAD + b"content-length: 1000000\r\n\r\n"
    wire.feed(PLAIN + big)
    paused = not wire.socket.reading
    assert paused
    wire.door.begun[0].reply(Reply(200, {}, b""))
    wire.feed(*[b"x" * 1000] * 1000)
    assert len(wire.door.taken) == 2
    wire.feed(*each(PLAIN) * (PIPELINED_MAX + 5))
    assert len(wire.connection.pipeline) <= PIPELINED_MAX


# Clients that close their sending side (decision 18: they count as gone)


class Place:
    def __init__(self, running: Running, vendor: Vendor) -> None:
        self.running = running
        self.vendor = vendor

    def request(self, *, key: str = "", size: int = 0) -> bytes:
        body = {"model": "m", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]}
        raw = msgspec.json.encode(body)
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {key or self.running.key}\r\n"
        return f"{head}content-length: {size or len(raw)}\r\n\r\n".encode() + raw

    async def receipts(self) -> list[Receipt]:
        return await self.running.service.ledger.recent(None)


@asynccontextmanager
async def place_in(folder: Path) -> AsyncIterator[Place]:
    async with Vendor(Script(seed=1, first_token_s=600)) as vendor:
        chosen = settings(
            folder,
            [upstream("here", Kind.ANTHROPIC, vendor.url)],
            [route("m", "here")],
            server=ServerSettings(),
        )
        async with serving(chosen) as running:
            yield Place(running, vendor)


async def open_to(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", place.running.service.settings.server.port)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - it happens in the service, which offers nothing to await
            await asyncio.sleep(0.01)


def test_a_client_that_closes_its_sending_side_has_left_and_costs_nothing_more(
    run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with place_in(tmp_path) as place:
            reader, writer = await open_to(place)
            writer.write(place.request())
            await until(lambda: bool(place.vendor.requests))
            writer.write_eof()
            async with asyncio.timeout(20):
                assert await reader.read() == b""
            await hang_up(writer)
            await until(lambda: place.vendor.requests[-1].client_closed_early)
            await until(lambda: place.running.service.metrics.under_way == 0)
            assert [one.outcome for one in await place.receipts()] == ["client_gone"]
            # Nobody's fault: the next one is answered.
            place.vendor.script = Script(seed=1)
            reader, writer = await open_to(place)
            writer.write(place.request())
            assert (await read_reply(reader)).status == 200
            await hang_up(writer)

    run(main())


def test_what_was_answered_before_the_sending_side_closed_arrives_whole(
    run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with place_in(tmp_path) as place:
            reader, writer = await open_to(place)
            writer.write(place.request(key="ol_nobody"))
            writer.write_eof()
            reply = await read_reply(reader)
            assert (reply.status, reply.whole) == (401, True)
            await hang_up(writer)
            assert place.vendor.requests == []

    run(main())


def test_half_a_body_is_never_asked_of_anybody(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with place_in(tmp_path) as place:
            reader, writer = await open_to(place)
            writer.write(place.request(size=100_000))
            writer.write_eof()
            async with asyncio.timeout(20):
                assert await reader.read() == b""
            await hang_up(writer)
            assert place.vendor.requests == []
            assert await place.receipts() == []
            assert place.running.service.metrics.under_way == 0

    run(main())


# Upstreams that reset, in every phase


def reset(writer: asyncio.StreamWriter) -> None:
    """Close without a goodbye: what the other side gets is a reset."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def heard(relay: Relay) -> bytes:
    """Ask, and hear the answer out. Raises NetworkFault."""
    answer = await relay.open(call())
    return b"".join([chunk async for chunk in answer.chunks()])


PIECE = OK + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"
PHASES = [
    pytest.param(b"", False, id="before the request is read"),
    pytest.param(b"", True, id="after it"),
    pytest.param(b"HTTP/1.1 200", True, id="in the first line"),
    pytest.param(OK + b"content-length: 2\r\n", True, id="in the head"),
    pytest.param(OK + b"content-length: 2\r\n\r\n", True, id="after the head"),
    pytest.param(WHOLE[:-1], True, id="in a counted body"),
    pytest.param(PIECE[:-3], True, id="in a chunk"),
    pytest.param(PIECE, True, id="between chunks"),
    pytest.param(PIECE + b"0\r\n", True, id="in the last chunk"),
    pytest.param(OK + b"\r\n{", True, id="in a body that ends with the connection"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", True, id="after words before the answer"),
]


@pytest.mark.parametrize(("said", "reads"), PHASES)
def test_a_reset_is_a_failure_in_every_phase_and_never_an_end(
    run: Run, tmp_path: Path, said: bytes, reads: bool
) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if reads:
                await anext(heads_of(reader))
            writer.write(said)
            await writer.drain()
            reset(writer)

        async with relay_to(tmp_path, serve) as relay, asyncio.timeout(20):
            with pytest.raises(NetworkFault) as raised:
                await heard(relay)
        assert raised.value.fault.kind == "reset"

    run(main())


def test_a_reset_of_a_kept_connection_costs_nobody_an_answer(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            async for _ in heads_of(reader):
                writer.write(WHOLE)

        async with relay_to(tmp_path, serve) as relay, asyncio.timeout(20):
            for _ in range(5):
                assert await heard(relay) == b"{}"
                reset(writers[-1])
        assert len(writers) == 5

    run(main())


# Upstreams that answer before they were asked to the end


def large() -> Prepared:
    return msgspec.structs.replace(call(), body=b"x" * (32 << 20))


TOO_LARGE = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize("then", ["reads on", "stops reading", "closes", "closes with a word"])
def test_an_answer_before_the_bodys_end_is_heard_and_its_connection_not_used_again(
    run: Run, tmp_path: Path, then: str
) -> None:
    async def main() -> None:
        connections = 0
        over = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            head = await reader.readuntil(b"\r\n\r\n")
            if b"content-length: 2\r\n" in head:
                await reader.readexactly(2)
                writer.write(WHOLE)
                return
            closing = b"\r\nconnection: close\r\ncontent"
            writer.write(
                TOO_LARGE.replace(b"\r\ncontent", closing) if "word" in then else TOO_LARGE
            )
            await writer.drain()
            if then == "reads on":
                while await reader.read(1 << 20):
                    pass
            elif then == "stops reading":
                await over.wait()

        async with relay_to(tmp_path, serve) as relay, asyncio.timeout(60):
            answer = await relay.open(large())
            assert answer.status == 413
            assert [chunk async for chunk in answer.chunks()] == [b"{}"]
            answer.close()
            again = await relay.open(call())
            assert again.status == 200
            over.set()
        assert connections == 2

    run(main())
