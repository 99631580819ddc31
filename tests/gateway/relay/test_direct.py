"""Plain connections read and written past their transports, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
import uvloop

from outlast.gateway.relay import direct
from outlast.gateway.relay.call import Call
from outlast.gateway.relay.connection import Connection
from outlast.gateway.relay.direct import Poll, Reading, Writer, poll_on, writer_to
from outlast.native import module
from tests.gateway.relay.answers import ORIGIN, Hearing, Pool

pytestmark = pytest.mark.skipif(
    module() is None, reason="nothing is compiled here: `make native` needs a C compiler"
)
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    asyncio.new_event_loop,
    uvloop.new_event_loop,
]
WITHIN_S = 20


class End(asyncio.Protocol):
    """Our end of a connection: what it received, and how that ended."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost: list[Exception | None] = []
        self.heard = asyncio.Event()
        self.paused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        self.heard.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)
        self.heard.set()

    def pause_writing(self) -> None:
        self.paused += 1

    def resume_writing(self) -> None: ...

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not happened():
                self.heard.clear()
                await self.heard.wait()


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[End, socket.socket]]:
    """Our end, and the other one, which blocks nobody."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    there.setblocking(False)
    _, end = await loop.create_connection(End, sock=here)
    try:
        yield end, there
    finally:
        end.transport.abort()
        there.close()
        await end.until(lambda: bool(end.lost))


@contextlib.contextmanager
def polled(end: End) -> Any:
    loop = asyncio.get_running_loop()
    poll = poll_on(loop)
    if poll is None:
        pytest.skip("there is no such poll on this system")
    reading, broke = Reading(end.transport), list[BaseException]()
    reading.by(poll, end.data_received, broke.append)
    try:
        yield reading, broke
    finally:
        reading.stop()
        loop.remove_reader(poll.fileno())
        poll.close()


def on_both(test: Callable[[], Awaitable[None]]) -> Callable[..., None]:
    @pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
    def run(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(cast("Any", test()))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@on_both
async def test_a_poll_reads_in_the_transports_place() -> None:
    async with connected() as (end, there):
        with polled(end):
            for said in (b"one", b"two"):
                there.send(said)
                await end.until(lambda said=said: said in end.received)  # type: ignore[misc]
            assert end.received == [b"one", b"two"]


@on_both
async def test_the_transport_finds_out_how_it_ends() -> None:
    async with connected() as (end, there):
        with polled(end):
            there.send(b"last words")
            there.shutdown(socket.SHUT_WR)
            await end.until(lambda: bool(end.lost))
            assert (end.received, end.lost) == ([b"last words"], [None])


@on_both
async def test_a_reset_is_the_transports_too() -> None:
    async with connected() as (end, there):
        with polled(end):
            end.transport.write(b"unread")
            there.close()  # with bytes that nobody has read
            await end.until(lambda: bool(end.lost))
            assert end.lost[0] is None or isinstance(end.lost[0], ConnectionError)


@on_both
async def test_who_is_paused_reads_nothing_until_it_goes_on() -> None:
    async with connected() as (end, there):
        with polled(end) as (reading, _):
            reading.pause()
            reading.pause()
            there.send(b"wait")
            await turns()
            assert (end.received, reading.paused) == ([], True)
            reading.resume()
            reading.resume()
            await end.until(lambda: bool(end.received))
            assert (end.received, reading.paused) == ([b"wait"], False)


@on_both
async def test_without_a_poll_the_transport_is_paused() -> None:
    async with connected() as (end, there):
        reading = Reading(end.transport)
        reading.pause()
        there.send(b"wait")
        await turns()
        assert end.received == []
        reading.resume()
        await end.until(lambda: bool(end.received))
        reading.stop()


@on_both
async def test_an_error_in_what_is_done_with_a_read_is_told() -> None:
    async with connected() as (end, there):

        def broken(data: bytes) -> None:
            end.heard.set()
            raise RuntimeError("ours")

        end.data_received = broken  # type: ignore[method-assign]
        with polled(end) as (_, broke):
            there.send(b"x")
            await end.until(lambda: bool(broke))
            assert [str(error) for error in broke] == ["ours"]


@on_both
async def test_after_the_polls_end_the_transport_reads_who_was_paused_too() -> None:
    async with connected() as (end, there), connected() as (other, beyond):
        poll = poll_on(asyncio.get_running_loop())
        if poll is None:
            pytest.skip("there is no such poll on this system")
        readings = [Reading(one.transport) for one in (end, other)]
        for reading, one in zip(readings, (end, other), strict=True):
            reading.by(poll, one.data_received, list[BaseException]().append)
        readings[0].pause()
        asyncio.get_running_loop().remove_reader(poll.fileno())
        poll.close()
        readings[0].resume()
        for one, far in ((end, there), (other, beyond)):
            far.send(b"still here")
            await one.until(lambda one=one: bool(one.received))  # type: ignore[misc]
        for reading in readings:
            reading.stop()


class Failing(Hearing):
    """A listener that fails at the head."""

    def headed(self, status: int, headers: dict[str, str]) -> None:
        raise RuntimeError("ours")


@on_both
async def test_our_own_failure_at_a_read_ends_the_call_and_the_connection() -> None:
    loop = asyncio.get_running_loop()
    poll = poll_on(loop)
    if poll is None:
        pytest.skip("there is no such poll on this system")
    here, there = socket.socketpair()
    here.setblocking(False)
    pool, listener = cast("Any", Pool()), Failing()
    _, connection = await loop.create_connection(lambda: Connection(pool, ORIGIN), sock=here)
    connection.read_by(poll)
    connection.send(Call(pool, ORIGIN, b"GET / HTTP/1.1\r\n\r\n", b"", listener), 0.0, reused=False)
    there.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    there.settimeout(WITHIN_S)
    await loop.run_in_executor(None, there.recv, 64)
    await loop.run_in_executor(None, there.recv, 64)  # it is closed
    assert (listener.end, connection.usable) == ("internal", False)
    loop.remove_reader(poll.fileno())
    poll.close()
    there.close()


class Refusing:
    """A poll on a system that watches no more."""

    def add(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "too many")

    def remove(self, _: int) -> None: ...


@on_both
async def test_where_no_more_can_be_watched_the_transport_reads() -> None:
    async with connected() as (end, there):
        reading = Reading(end.transport)
        reading.by(cast("Poll", Refusing()), end.data_received, list[BaseException]().append)
        there.send(b"all the same")
        await end.until(lambda: bool(end.received))
        reading.pause()
        reading.resume()
        reading.stop()
        assert end.received == [b"all the same"]


@on_both
async def test_where_no_poll_can_be_had_there_is_none() -> None:
    def none_left() -> None:
        raise OSError(errno.EMFILE, "too many open files")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "_poll", none_left)
        assert poll_on(asyncio.get_running_loop()) is None
        patch.setattr(direct, "_poll", None)
        assert poll_on(asyncio.get_running_loop()) is None


def writer_of(end: End) -> Writer:
    writer = writer_to(end.transport)
    assert writer is not None
    return writer


@on_both
async def test_all_that_is_written_arrives_in_order_however_slowly_it_is_read() -> None:
    rng = random.Random(7)
    loop = asyncio.get_running_loop()
    async with connected() as (end, there):
        own = end.transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        writer, wanted, got = writer_of(end), bytearray(), bytearray()
        for number in range(3000):
            piece = b"%d;" % number * rng.choice((1, 1, 1, 40, 4000))
            wanted += piece
            rng.choice((writer, writer, end.transport.write))(piece)
            if rng.random() < 0.1:
                with contextlib.suppress(BlockingIOError):
                    got += there.recv(rng.choice((10, 1000, 100_000)))
            if rng.random() < 0.1:
                await asyncio.sleep(0)
        assert end.paused  # it did come to where the system took no more
        async with asyncio.timeout(WITHIN_S):
            while len(got) < len(wanted):
                got += await loop.sock_recv(there, 1 << 20)
        assert got == wanted


@on_both
async def test_a_writer_whose_connection_was_lost_writes_nowhere() -> None:
    async with connected() as (end, there):
        writer = writer_of(end)
        end.transport.abort()
        await end.until(lambda: bool(end.lost))
        writer.close()
        other, another = socket.socketpair()  # its descriptor may be the one that was closed
        with contextlib.suppress(RuntimeError):
            writer(b"nobody")
        for one in (other, another, there):
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                assert one.recv(64) == b""
        other.close()
        another.close()


def test_what_has_no_socket_or_speaks_tls_is_the_transports_alone() -> None:
    class Without:
        def __init__(self, **about: object) -> None:
            self.about = about

        def get_extra_info(self, name: str) -> object:
            return self.about.get(name)

    assert writer_to(cast("asyncio.Transport", Without())) is None
    with socket.socket() as sock:
        tls = Without(socket=sock, sslcontext=object())
        assert writer_to(cast("asyncio.Transport", tls)) is None
