"""Generator and vendor themselves: what is whole passes, and what is not is seen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bench.overhead.machine import Cores, alone, members, ticks_of
from bench.overhead.native import Tools, Vendor, compiled
from bench.overhead.scenarios import BY_NAME, PATHS, Scenario, request

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/proc/self/stat").exists(),
    reason="generator and vendor are C for Linux: it needs a compiler and /proc",
)


@pytest.fixture(scope="module")
def tools() -> Tools:
    return compiled()


async def load(
    tools: Tools,
    port: int,
    sent: bytes,
    folder: Path,
    scenario: Scenario,
    *,
    connections: int = 1,
    open_s: float = 5.0,
    drain_s: float = 5.0,
    count: int = 1,
) -> dict[str, Any]:
    """Return what the generator says of `count` requests, or of a window."""
    path = folder / "request"
    path.write_bytes(sent)
    numbers = [str(connections), "0", "0", str(open_s), str(drain_s), str(count)]
    child = await asyncio.create_subprocess_exec(
        *(str(tools.load), str(port), str(path), *numbers, str(scenario.tokens), scenario.end),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate()
    lines = said.splitlines()
    assert lines[:2] == [b"open", b"closed"]
    found: dict[str, Any] = msgspec.json.decode(lines[2])
    return found


def short(name: str, **more: Any) -> Scenario:
    return msgspec.structs.replace(BY_NAME[name], tokens=5, **more)


def vendor_of(tools: Tools) -> Vendor:
    core = min(os.sched_getaffinity(0))
    return Vendor(tools, Cores(core, core))


@pytest.mark.parametrize(
    "scenario",
    [
        BY_NAME["c32"],
        BY_NAME["messages"],
        BY_NAME["big"],
        short("fast"),
        short("fast", client="messages", upstream="messages"),
        short("p500", connections=7),
    ],
    ids=[
        "a whole chat answer",
        "a whole Anthropic answer",
        "a large request",
        "a chat stream",
        "an Anthropic stream",
        "seven paced streams at once",
    ],
)
async def test_what_the_vendor_says_is_whole(
    scenario: Scenario, tools: Tools, tmp_path: Path
) -> None:
    async with vendor_of(tools) as vendor:
        sent = request(scenario, "bench", {}, PATHS[scenario.client])
        said = await load(
            tools, vendor.port, sent, tmp_path, scenario, connections=scenario.connections, count=40
        )
    assert (said["started"], said["whole"], said["failed"], said["complaint"]) == (40, 40, 0, "")


async def test_the_vendor_takes_a_body_in_chunks_and_byte_by_byte(tools: Tools) -> None:
    body = request(BY_NAME["c32"], "bench", {}, "/x").partition(b"\r\n\r\n")[2]
    cut = (body[:10], body[10:])
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in cut) + b"0\r\n\r\n"
    sent = b"POST /v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + chunks
    async with vendor_of(tools) as vendor:
        reader, writer = await asyncio.open_connection("127.0.0.1", vendor.port)
        for at in range(0, len(sent), 97):
            writer.write(sent[at : at + 97])
            await writer.drain()
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()


@contextlib.asynccontextmanager
async def answering(answer: Callable[[str], list[bytes]]) -> AsyncIterator[int]:
    """A server that answers every request with the pieces that `answer(number)` returns."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"content-length: (\d+)", head)
                assert size is not None
                number = re.search(rb"#q(\d{8})", await reader.readexactly(int(size[1])))
                assert number is not None
                for piece in answer(number[1].decode()):
                    if not piece:
                        writer.close()
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(text: str) -> bytes:
    return f"{len(text):x}\r\n{text}\r\n".encode()


def tokens(number: str, *, said: tuple[int, ...] = (0, 1, 2, 3, 4), at_us: int = 1) -> str:
    return f"q{number}@ " + "".join(f"t{each:03}@{at_us} " for each in said)


def stream(text: str, end: str = "data: [DONE]\n\n") -> bytes:
    return HEAD + chunk(text) + chunk(end) + b"0\r\n\r\n"


def in_single_bytes(number: str) -> list[bytes]:
    whole = stream(tokens(number))
    return [whole[at : at + 1] for at in range(len(whole))]


async def judged(
    answer: Callable[[str], list[bytes]], tools: Tools, folder: Path, **more: Any
) -> dict[str, Any]:
    scenario = short("fast")
    async with answering(answer) as port:
        sent = request(scenario, "bench", {}, "/v1/chat/completions")
        return await load(tools, port, sent, folder, scenario, **more)


@pytest.mark.parametrize(
    "answer",
    [
        lambda number: [stream(tokens(number))],
        in_single_bytes,
        lambda number: [
            HEAD,
            *(chunk(letter) for letter in tokens(number) + "data: [DONE]"),
            b"0\r\n\r\n",
        ],
        lambda number: [
            b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
            (tokens(number) + "[DONE]").encode(),
            b"",
        ],
    ],
    ids=["in one piece", "byte by byte", "each letter a chunk of its own", "until the end of file"],
)
async def test_a_whole_stream_passes_however_it_is_cut(
    answer: Callable[[str], list[bytes]], tools: Tools, tmp_path: Path
) -> None:
    said = await judged(answer, tools, tmp_path, count=3)
    assert (said["whole"], said["failed"], said["complaint"]) == (3, 0, "")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda n: [stream(tokens(n, said=(0, 1, 3, 4)))], "missing or comes twice"),
        (lambda n: [stream(tokens(n, said=(0, 1, 1, 2, 3, 4)))], "missing or comes twice"),
        (lambda n: [stream(tokens(n, said=(0, 2, 1, 3, 4)))], "missing or comes twice"),
        (lambda n: [stream(tokens(n, said=(0, 1, 2, 3)))], "missing at the end"),
        (lambda n: [stream(tokens(n), end="")], "last words"),
        (lambda _: [stream(tokens("99999999"))], "another request"),
        (lambda n: [stream(tokens(n).partition(" ")[2])], "number that was asked for"),
        (lambda n: [HEAD, chunk(tokens(n)), b""], "broken off"),
        (lambda _: [b""], "closed without an answer"),
        (lambda _: [b"HTTP/1.1 529 Busy\r\ncontent-length: 0\r\n\r\n"], "refused"),
        (lambda _: [HEAD + b"9" * 80 + b"\r\n"], "broken chunk"),
    ],
    ids=[
        "a token is lost in the middle",
        "a token comes twice",
        "two tokens are swapped",
        "the last token is lost",
        "the format's last words are lost",
        "it is the answer to another request",
        "it says no number",
        "the connection breaks in the middle",
        "the connection closes at once",
        "the status is no 200",
        "a chunk has no size",
    ],
)
async def test_a_stream_that_is_not_whole_is_seen_and_said(
    answer: Callable[[str], list[bytes]], complaint: str, tools: Tools, tmp_path: Path
) -> None:
    said = await judged(answer, tools, tmp_path, count=2)
    assert (said["whole"], said["failed"], said["unfinished"]) == (0, 2, 0)
    assert complaint in said["complaint"]


async def test_a_stream_that_still_flows_when_nobody_waits_longer_is_unfinished_and_not_broken(
    tools: Tools, tmp_path: Path
) -> None:
    said = await judged(
        lambda n: [HEAD, chunk(tokens(n, said=(0, 1)))], tools, tmp_path, open_s=0.1, drain_s=0.1
    )
    assert (said["started"], said["whole"], said["failed"], said["unfinished"]) == (1, 0, 0, 1)
    assert said["complaint"] == "unfinished: no end within 0.1 s of the last question"


async def test_bytes_after_an_answer_are_taken_for_no_answer_to_the_next_request(
    tools: Tools, tmp_path: Path
) -> None:
    def twice(number: str) -> list[bytes]:
        return [stream(tokens(number)) * 2]

    said = await judged(twice, tools, tmp_path, count=2)
    assert (said["started"], said["whole"], said["failed"]) == (2, 1, 1)
    assert "bytes after the answer" in said["complaint"]


async def test_a_stream_that_was_held_back_and_sent_whole_later_is_seen_by_its_stamps(
    tools: Tools, tmp_path: Path
) -> None:
    def held(number: str) -> list[bytes]:
        return [stream(tokens(number, at_us=int(time.monotonic() * 1e6) - 2_000_000))]

    said = await judged(held, tools, tmp_path, open_s=0.2, count=1_000_000)
    assert said["failed"] == 0
    assert said["requests"] > 0
    assert said["p50_us"] < 1_000_000
    assert said["event_p50_us"] == pytest.approx(2_000_000, rel=0.2)


async def test_a_second_run_waits_until_the_first_has_ended(tmp_path: Path) -> None:
    said: list[str] = []
    order: list[str] = []
    inside = asyncio.Event()
    told = asyncio.Event()

    def say(words: str) -> None:
        said.append(words)
        told.set()

    async def first() -> None:
        async with alone(tmp_path / "lock", say):
            inside.set()
            await told.wait()
            order.append("first")

    async def second() -> None:
        await inside.wait()
        async with alone(tmp_path / "lock", say):
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]
    assert len(said) == 1


def test_our_own_session_is_in_proc_and_has_used_time() -> None:
    session = os.getsid(0)
    assert os.getpid() in {times.pid for times in members(session)}
    assert ticks_of(session) > 0
