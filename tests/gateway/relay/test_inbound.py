"""What clients may send: understood as h11 does or refused, bounded in size and time, in order."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.gateway.asked import Reply
from outlast.gateway.pump import CLIENT_WRITE_S
from outlast.gateway.relay.inbound import PIPELINED_MAX
from outlast.gateway.relay.request import Request
from outlast.gateway.server import HEADERS_MAX
from tests.gateway.relay.fuzz_relay import check_request
from tests.gateway.relay.requests import cut, hostile, valid
from tests.gateway.relay.wire import HEAD_LIMIT_BYTES, Door, Wire

HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n"
PLAIN = HEAD + b"content-length: 2\r\n\r\n{}"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"

REFUSED = [
    ("both lengths", HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKS),
    ("both, turned round", HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n{}"),
    ("two lengths", HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}}"),
    ("one length twice", HEAD + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}"),
    ("a list of lengths", HEAD + b"content-length: 2, 2\r\n\r\n{}"),
    ("a signed length", HEAD + b"content-length: +2\r\n\r\n{}"),
    ("a negative length", HEAD + b"content-length: -2\r\n\r\n{}"),
    ("a length in hexadecimal", HEAD + b"content-length: 0x2\r\n\r\n{}"),
    ("a length with a gap", HEAD + b"content-length: 1 2\r\n\r\n{}"),
    ("a length beyond all numbers", HEAD + b"content-length: " + b"9" * 30 + b"\r\n\r\n{}"),
    ("an unknown coding", HEAD + b"transfer-encoding: identity\r\n\r\n{}"),
    ("codings in a row", HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n" + CHUNKS),
    ("chunked, not last", HEAD + b"transfer-encoding: chunked, gzip\r\n\r\n" + CHUNKS),
    ("a hidden coding", HEAD + b"transfer-encoding: \x0bchunked\r\n\r\n" + CHUNKS),
    ("a space before the colon", HEAD + b"transfer-encoding : chunked\r\n\r\n" + CHUNKS),
    ("a folded line", HEAD + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\n{}"),
    ("a folded coding", HEAD + b"transfer-encoding:\r\n chunked\r\n\r\n" + CHUNKS),
    ("bare line feeds", PLAIN.replace(b"\r\n", b"\n")),
    ("one bare line feed", HEAD + b"x: y\ncontent-length: 2\r\n\r\n{}"),
    ("a bare carriage return", HEAD + b"x: a\rb\r\ncontent-length: 2\r\n\r\n{}"),
    ("a NUL in a value", HEAD + b"x: a\x00b\r\ncontent-length: 2\r\n\r\n{}"),
    ("a space in a name", HEAD + b"x y: a\r\ncontent-length: 2\r\n\r\n{}"),
    ("a name of no letters", HEAD + b": a\r\ncontent-length: 2\r\n\r\n{}"),
    ("no host", b"POST /v1/messages HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"),
    ("two hosts", HEAD + b"host: y\r\ncontent-length: 2\r\n\r\n{}"),
    ("HTTP/2 in words", HEAD.replace(b"/1.1", b"/2.0") + b"content-length: 2\r\n\r\n{}"),
    ("HTTP/0.9", b"POST /v1/messages\r\n\r\n"),
    ("a chunk without a size", HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    ("a chunk's size with 0x", HEAD + b"transfer-encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n"),
    ("a chunk longer than said", HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n"),
    (
        "a chunk beyond all sizes",
        HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n",
    ),
    (
        "a length in a trailer",
        HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 5\r\n",
    ),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ("zeros", b"\x00" * 100),
]

pytestmark = pytest.mark.asyncio


def each(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize(("what", "data"), REFUSED)
async def test_what_two_readers_could_read_in_two_ways_is_refused(
    what: str, data: bytes, bytewise: bool
) -> None:
    wire = Wire()
    wire.feed(*(each(data) if bytewise else [data]))
    assert wire.door.taken == [], what
    assert wire.statuses == [400], what
    assert wire.socket.closing, what


@pytest.mark.parametrize(
    ("what", "data", "bodies"),
    [
        ("chunks with extensions", b"2;a=b\r\n{}\r\n0\r\nx-t: 1\r\n\r\n", [b"{}"]),
        ("one chunk", CHUNKS, [b"{}"]),
        ("no chunk at all", b"0\r\n\r\n", [b""]),
    ],
)
async def test_chunked_bodies_arrive_whole_byte_by_byte(
    what: str, data: bytes, bodies: list[bytes]
) -> None:
    wire = Wire()
    wire.feed(*each(HEAD + b"transfer-encoding: chunked\r\n\r\n" + data))
    assert [one.body for one in wire.door.taken] == bodies, what
    assert wire.statuses == [200], what


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32), st.booleans())
async def test_requests_are_taken_as_h11_reads_them_or_not_at_all(seed: int, good: bool) -> None:
    rng = random.Random(seed)
    data = valid(rng) + valid(rng) if good else hostile(rng)
    await check_request(data, cut(rng, data), well_formed=good)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32))
async def test_a_head_that_comes_again_is_read_as_h11_reads_it(seed: int) -> None:
    rng = random.Random(seed)
    name = rng.choice((b"content-length: ", b"Content-Length:", b"CONTENT-LENGTH:   "))
    more = rng.choice(
        (b"", b"x-a: 1\r\n", b"expect: 100-continue\r\n", b"x: content-length: 3\r\n")
    )
    asked: list[bytes] = []
    for _ in range(rng.randrange(2, 7)):
        body = rng.choice((b"{}", b"", b"x" * rng.randrange(300), PLAIN, PLAIN[:-3], HEAD))
        length = b"%b%b%d\r\n" % (name, rng.choice((b"", b"", b"0")), len(body))
        odd = rng.choice((b"", b"", b"", b"\r\n"))
        asked.append(odd + HEAD + length + more + b"\r\n" + body)
    pieces: list[bytes] = []
    at = 0
    while at < len(asked):
        several = rng.choice((1, 1, 2, 3))
        read = b"".join(asked[at : at + several])
        pieces += cut(rng, read) if rng.random() < 0.5 else [read]
        at += several
    await check_request(b"".join(asked), pieces, well_formed=True)


async def test_a_body_that_looks_like_a_head_that_is_known_is_a_body() -> None:
    wire = Wire()
    wire.feed(PLAIN)
    head = b"GET /other HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(PLAIN)
    wire.feed(head[:9], head[9:])
    while wire.statuses != [200, 404]:  # noqa: ASYNC110 - a state, and no event of ours
        await asyncio.sleep(0)
    wire.feed(PLAIN)
    assert len(wire.door.taken) == 1
    wire.feed(PLAIN)
    assert len(wire.door.taken) == 2
    wire.lost()


async def test_a_wish_for_another_protocol_is_passed_over_and_the_body_is_the_body() -> None:
    wish = b"connection: upgrade\r\nupgrade: h2c\r\n"
    inner = b"POST /v1/messages HTTP/1.1\r\n\r\n"
    length = b"content-length: %d\r\n\r\n" % len(inner)
    for pieces in ([HEAD + wish + length + inner + PLAIN], each(HEAD + wish + length + inner)):
        wire = Wire()
        wire.feed(*pieces)
        assert wire.door.taken[0].body == inner
        assert wire.statuses == [200] * len(wire.door.taken)


async def test_after_connect_nothing_is_read_as_http() -> None:
    wire = Wire()
    wire.feed(b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n" + PLAIN)
    await asyncio.sleep(0)
    assert wire.door.taken == []


async def test_after_a_request_that_is_said_to_be_the_last_nothing_is_taken() -> None:
    wire = Wire()
    wire.feed(PLAIN.replace(b"content-length", b"connection: close\r\ncontent-length") + PLAIN)
    assert len(wire.door.taken) == 1
    assert wire.socket.closing


# Pipelining


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN * 3)
    assert len(wire.door.begun) == 1
    for number in range(3):
        wire.door.begun[number].reply(Reply(200 + number, {}, b""))
    assert wire.statuses == [200, 201, 202]


async def test_while_requests_wait_no_more_are_read() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN * 2)
    assert not wire.socket.reading
    wire.door.begun[0].reply(Reply(200, {}, b""))
    wire.door.begun[1].reply(Reply(200, {}, b""))
    assert wire.socket.reading


async def test_too_many_waiting_requests_close_the_connection_after_the_answers() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN * 100)
    while len(wire.statuses) < len(wire.door.begun):
        wire.door.begun[len(wire.statuses)].reply(Reply(200, {}, b""))
    assert len(wire.door.taken) == PIPELINED_MAX + 1
    assert wire.socket.closing


async def test_rubbish_behind_a_request_does_not_hurt_its_answer() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN + b"\x00\x00")
    assert wire.statuses == []
    wire.door.begun[0].reply(Reply(200, {}, b"fine"))
    assert wire.statuses == [200]
    assert wire.socket.sent.endswith(b"fine")
    assert wire.socket.closing


# Sizes


async def test_a_head_beyond_the_limit_is_refused_whole_or_in_a_line_that_never_ends() -> None:
    line = b"x: " + b"y" * 60 + b"\r\n"
    wire = Wire()
    wire.feed(HEAD + line * (HEAD_LIMIT_BYTES // 60 + 1) + b"\r\n")
    assert wire.statuses == [431]
    for start in (
        HEAD + b"x: ",
        b"POST /v1/messages?",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n",
    ):
        wire = Wire()
        fed = 0
        wire.feed(start)
        while not wire.socket.closing:
            wire.feed(b"y" * 64)
            fed += 64
            assert fed < 4 * HEAD_LIMIT_BYTES
        assert wire.statuses == [431]


async def test_more_headers_than_anybody_sends_are_refused() -> None:
    wire = Wire()
    wire.feed(HEAD + b"x: y\r\n" * HEADERS_MAX + b"content-length: 2\r\n\r\n{}")
    assert wire.statuses == [431]


async def test_a_body_is_not_kept_before_its_key_is_known() -> None:
    class Waiting(Door):
        def welcome(self, request: Request) -> None:
            self.begun.append(request)
            request.wait_for(asyncio.get_running_loop().create_task(asyncio.sleep(0)))

    wire = Wire(Waiting())
    wire.feed(HEAD + b"content-length: 100000\r\n\r\n")
    assert not wire.socket.reading
    wire.lost()


# Time


async def test_a_head_that_comes_too_slowly_is_refused() -> None:
    wire = Wire(head_read_s=20)
    now = asyncio.get_running_loop().time()
    wire.feed(HEAD)
    wire.connection.look(now + 19)
    assert wire.statuses == []
    wire.feed(b"x: y\r\n")
    wire.connection.look(now + 21)
    assert wire.statuses == [408]


async def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    wire = Wire()
    now = asyncio.get_running_loop().time()
    wire.feed(HEAD + b"content-length: 2\r\n\r\n{")
    wire.connection.look(now + Door.body_read_s - 1)
    assert wire.statuses == []
    wire.connection.look(now + Door.body_read_s + 1)
    assert wire.statuses == [408]
    assert wire.socket.closing


async def test_a_connection_on_which_nothing_is_asked_is_closed() -> None:
    wire = Wire()
    wire.feed(PLAIN)
    now = asyncio.get_running_loop().time()
    wire.connection.look(now + 1)
    assert not wire.socket.closing
    wire.connection.look(now + wire.connection.timeout_keep_alive + 1)
    assert wire.socket.closing


async def test_empty_lines_ask_for_nothing() -> None:
    wire = Wire()
    wire.feed(PLAIN, b"\r\n")
    now = asyncio.get_running_loop().time()
    wire.connection.look(now + wire.connection.timeout_keep_alive + 1)
    assert wire.socket.closing


async def test_an_error_in_one_connection_does_not_keep_the_others_from_being_looked_at() -> None:
    seen = asyncio.Event()

    class Failing(Door):
        def too_late(self, request: Request) -> None:
            if all(wire.door.begun[0].due == 0 for wire in wires):
                seen.set()
            raise RuntimeError("too late")

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    wires = [Wire(Failing(), head_read_s=0.1) for _ in range(2)]
    one, other = wires
    other.connection.watch.connections.clear()
    one.connection.watch.connections.add(other.connection)
    for wire in wires:
        wire.door.body_read_s = 0.01
        wire.feed(PLAIN[:-1])
    async with asyncio.timeout(10):
        await seen.wait()
    assert all("too late" in str(context["exception"]) for context in told)
    one.connection.watch.connections.clear()


async def test_a_client_that_does_not_read_is_hung_up_on() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN)
    now = asyncio.get_running_loop().time()
    wire.connection.pause_writing()
    wire.connection.look(now + CLIENT_WRITE_S - 1)
    assert not wire.socket.closing
    wire.connection.look(now + CLIENT_WRITE_S + 1)
    assert wire.socket.closing


# Answers


async def test_100_continue_is_said_once_the_body_is_wanted() -> None:
    wire = Wire()
    wire.feed(HEAD + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert wire.socket.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.feed(b"{}")
    assert wire.statuses == [200]
    assert not wire.socket.closing


async def test_an_answer_instead_of_100_continue_ends_the_connection() -> None:
    class Refusing(Door):
        def welcome(self, request: Request) -> None:
            request.reply(Reply(401, {}, b"no"))

    wire = Wire(Refusing())
    wire.feed(HEAD + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert wire.statuses == [401]
    assert wire.socket.closing


async def test_an_answer_before_the_bodys_end_is_heard_and_the_rest_is_thrown_away() -> None:
    class Refusing(Door):
        def welcome(self, request: Request) -> None:
            request.reply(Reply(401, {}, b"no"))

    wire = Wire(Refusing())
    wire.feed(HEAD + b"content-length: 100000\r\n\r\n", b"x" * 100_000)
    assert wire.statuses == [401]
    assert not wire.socket.closing
    wire.feed(PLAIN)
    assert wire.statuses == [401, 401]


async def test_an_unfinished_answer_has_no_clean_end() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN)
    request = wire.door.begun[0]
    request.head(200, {})
    request.body(b"half a word")
    request.abort()
    assert wire.socket.sent.endswith(b"half a word\r\n")
    assert wire.socket.closing


async def test_a_stream_to_http_1_0_is_not_chunked_and_ends_with_the_connection() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"))
    request = wire.door.begun[0]
    request.head(200, {})
    request.body(b"words")
    request.end()
    assert b"chunked" not in wire.socket.sent
    assert wire.socket.sent.endswith(b"\r\n\r\nwords")
    assert wire.socket.closing


async def test_a_header_with_a_line_end_in_it_is_never_sent() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN)
    with pytest.raises(ValueError, match="line end"):
        wire.door.begun[0].reply(Reply(200, {"x": "a\r\nset-cookie: b"}, b""))
    assert b"set-cookie" not in wire.socket.sent


async def test_a_fault_of_ours_is_told_as_long_as_nothing_was_said() -> None:
    wire = Wire(Door(answers=False))
    wire.feed(PLAIN)
    request = wire.door.begun[0]
    request.head(200, {})
    request.body(b"half a wo")
    request.crash()
    assert wire.statuses == [500]


async def test_when_we_stop_idle_connections_close_and_busy_ones_after_their_answer() -> None:
    idle, busy = Wire(), Wire(Door(answers=False))
    idle.feed(PLAIN)
    busy.feed(PLAIN)
    for wire in (idle, busy):
        wire.connection.shutdown()
    assert idle.socket.closing
    assert not busy.socket.closing
    busy.door.begun[0].reply(Reply(200, {}, b""))
    assert busy.socket.closing
