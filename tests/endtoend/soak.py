"""Clients that come and go as they like, before vendors that break, on real sockets:
`python -m tests.endtoend.soak CLIENTS [TRANSPORT]`.

The fuzz of the relay has stand-ins for sockets; what reads and writes past the transports has none
there. Whoever reads to the end must have got the truth, their own, to the character, or an error
that says so; whoever leaves must leave nothing behind.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from outlast.simulator import Fault, FaultKind, Script, Vendor
from tests.endtoend.launcher import Launched, launched
from tests.raw import Reply

SEED = 20_261_126
MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
AT_ONCE = 60
CLIENT_S = 120.0
"""Far beyond what one needs: it finds what hangs, and nothing that is slow."""
SETTLED_S = 20.0
IDLE_CONNECTIONS = 2 * AT_ONCE
"""Connections to vendors that may stay for who comes next."""
MEMORY_KIB = 48 << 10
WAYS = ("whole", "kept", "piecemeal", "pipelined", "slow", "half", "leave", "reset", "at once")
ERRORS = {429, 500, 502, 503, 504, 529}
CONFIG = """
[server]
drain_s = 5
transport = "{transport}"
[local]
enabled = false
[observatory]
enabled = false
[breaker]
consecutive_failures = 1000
failure_share = 1.0

[upstreams.chat]
kind = "openai-chat"
base_url = "{chat}/v1"
key_env = "HERE_KEY"

[upstreams.messages]
kind = "anthropic"
base_url = "{messages}"
key_env = "HERE_KEY"

[[routes]]
model = "m"
candidates = ["chat", "messages"]

[[routes]]
model = "n"
candidates = ["messages", "chat"]
"""
SCRIPT = Script(
    seed=SEED,
    tokens_per_s=2000,
    chunking="random",
    faults=(
        Fault(FaultKind.CUT, where="text", share=0.08),
        Fault(FaultKind.CUT, where="text", how="close", share=0.08, after_share=0.9),
        Fault(FaultKind.EOF, where="text", share=0.05, after_share=0.2),
        Fault(FaultKind.RESET, share=0.05),
        Fault(FaultKind.STATUS, share=0.05),
        Fault(FaultKind.STALL, where="text", share=0.05, stall_s=0.2),
    ),
)


class Question:
    """One request, and what a healthy vendor answers to it."""

    def __init__(self, rng: random.Random, number: int, vendor: Vendor) -> None:
        self.path = rng.choice((MESSAGES, CHAT))
        self.stream = rng.random() < 0.8
        chars = rng.choice((1, 60, 300, 600, 600, 2000))
        said = {"role": "user", "content": f"Question {number}: [[chars={chars}]]"}
        body = {"model": rng.choice("mn"), "max_tokens": 20_000, "stream": self.stream}
        self.body = msgspec.json.encode({**body, "messages": [said]})
        self.truth = vendor.answer(self.path, msgspec.json.decode(self.body)).text

    def sent(self, key: str) -> bytes:
        head = f"POST {self.path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body

    def verdict(self, reply: Reply) -> str:
        """`true`, or which honest end it was. Raises AssertionError for any other."""
        if reply.status != 200:
            assert reply.status in ERRORS, reply
            assert reply.json()["error"]["message"], reply
            return f"error {reply.status}"
        text, ended, failed = self._told(reply)
        if ended and reply.whole:
            assert text == self.truth, f"another answer than the truth: {text[:200]!r}"
            return "true"
        assert failed, "an end that is none, and says nothing"
        assert self.truth.startswith(text), f"no beginning of the truth: {text[:200]!r}"
        return "broken off, and said"

    def _told(self, reply: Reply) -> tuple[str, bool, bool]:
        """The text; whether it came to its end; whether an error was told."""
        if not self.stream:
            found = reply.json() if reply.whole else {}
            return _text_of(found), bool(found), False
        events = [
            line.removeprefix("data:").strip()
            for line in reply.body.decode().splitlines()
            if line.startswith("data:")
        ]
        told = [msgspec.json.decode(one) for one in events if one != "[DONE]"]
        ended = "[DONE]" in events or any(one.get("type") == "message_stop" for one in told)
        return "".join(map(_text_of, told)), ended, any("error" in one for one in told)


def _text_of(said: dict[str, Any]) -> str:
    """The text of an answer or of one of its events, in either format."""
    choices: list[Any] = said.get("choices") or [{}]
    part = choices[0].get("delta") or choices[0].get("message") or said.get("delta") or {}
    blocks = said.get("content") or []
    text = part.get("text") or part.get("content") or "".join(one["text"] for one in blocks)
    return str(text or "")


class Soak:
    """Clients of one service."""

    def __init__(self, service: Launched, vendor: Vendor) -> None:
        self._service = service
        self._vendor = vendor
        self.ends: Counter[str] = Counter()

    async def client(self, number: int) -> None:
        """One of them, in a way that its number decides."""
        rng = random.Random(f"{SEED}/{number}")
        way = rng.choice(WAYS)
        count = {"kept": rng.randrange(2, 5), "pipelined": 2}.get(way, 1)
        asked = [Question(rng, 10 * number + one, self._vendor) for one in range(count)]
        sock = socket.socket()
        sock.setblocking(False)
        if way == "slow":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with asyncio.timeout(CLIENT_S):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._service.port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
            try:
                await self._talk(rng, way, asked, reader, writer)
            finally:
                if way in {"reset", "at once"}:
                    now = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, now
                    )
                writer.transport.abort()

    async def _talk(
        self,
        rng: random.Random,
        way: str,
        asked: list[Question],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        raw = [one.sent(self._service.key) for one in asked]
        match way:
            case "at once":
                writer.write(raw[0])
                self.ends["left at once"] += 1
            case "leave" | "reset":
                writer.write(raw[0])
                await reader.read(rng.choice((1, 500, 5000)))
                self.ends["left in the middle"] += 1
            case "piecemeal":
                for place in range(0, len(raw[0]), step := rng.randrange(7, 60)):
                    writer.write(raw[0][place : place + step])
                    await asyncio.sleep(0)
                await self._read(asked[0], reader)
            case "half":
                writer.write(raw[0])
                writer.write_eof()  # to us, as to nginx, whoever ends their side has left
                await reader.read()
                self.ends["left by half"] += 1
            case "pipelined":
                writer.write(b"".join(raw))
                for one in asked:
                    if await self._read(one, reader):
                        break
            case "slow":
                writer.write(raw[0])
                await self._read(asked[0], reader, pause_s=0.001)
            case _:
                for one, bytes_ in zip(asked, raw, strict=True):
                    writer.write(bytes_)
                    if await self._read(one, reader):
                        break

    async def _read(
        self, asked: Question, reader: asyncio.StreamReader, pause_s: float = 0.0
    ) -> bool:
        """Judge the next answer; return whether the connection is over."""
        reply = await next_reply(reader, pause_s)
        self.ends[asked.verdict(reply)] += 1
        return reply.closed


async def next_reply(reader: asyncio.StreamReader, pause_s: float) -> Reply:
    """One answer, and not a byte of what follows it. `pause_s`: after each chunk."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    pairs = (line.partition(": ") for line in head[1:-1])
    headers = {name.lower(): value for name, _, value in pairs}
    reply = Reply(int(head[0].split()[1]), headers, b"")
    reply.closed = headers.get("connection", "") == "close"
    body = []
    try:
        if "content-length" in headers:
            body.append(await reader.readexactly(int(headers["content-length"])))
        else:
            assert headers["transfer-encoding"] == "chunked"
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body.append((await reader.readexactly(size + 2))[:-2])
                if pause_s:
                    await asyncio.sleep(pause_s)
            assert await reader.readexactly(2) == b"\r\n"
    except (asyncio.IncompleteReadError, ConnectionError):
        reply.whole, reply.closed = False, True
    reply.body = b"".join(body)
    return reply


def held(service: Launched) -> tuple[int, int]:
    """Files that the service has open, and its memory in KiB."""
    place = Path(f"/proc/{service.process.pid}")
    status = (place / "status").read_text("utf-8")
    (size,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return len(list((place / "fd").iterdir())), int(size)


async def settled(service: Launched, files: int) -> None:
    """Wait until the service holds no more than it did and connections for who comes next."""
    until = time.monotonic() + SETTLED_S
    while held(service)[0] > files + IDLE_CONNECTIONS:
        assert time.monotonic() < until, f"{held(service)[0]} files are open, {files} were"
        await asyncio.sleep(0.1)


async def soak(service: Launched, vendor: Vendor, clients: int) -> Counter[str]:
    """Let them come, AT_ONCE at a time. Raises AssertionError at the first that was wronged."""
    made, places = Soak(service, vendor), asyncio.Semaphore(AT_ONCE)
    files, began = held(service)[0], time.monotonic()
    memory = 0

    async def one(number: int) -> None:
        nonlocal memory
        async with places:
            try:
                await made.client(number)
            except BaseException:
                print(f"client {number} of seed {SEED}", file=sys.stderr)
                raise
        if number == clients // 5:
            memory = held(service)[1]

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            await places.acquire()
            places.release()
            group.create_task(one(number))
    await settled(service, files)
    grown = held(service)[1] - memory
    assert grown < MEMORY_KIB, f"{grown} KiB more memory at the end"
    for words in ("Traceback", "internal", "SystemError", "Fatal"):
        assert words not in service.said, service.said[-4000:]
    took_s = time.monotonic() - began
    print(f"relay: {clients} clients in {took_s:.0f} s, {grown} KiB more memory: {made.ends}")
    return made.ends


async def soaked(clients: int, transport: str = "relay") -> Counter[str]:
    """Start everything, and let so many clients come; return how their answers ended."""
    with tempfile.TemporaryDirectory() as folder:
        async with Vendor(SCRIPT) as chat, Vendor(SCRIPT) as messages:
            config = Path(folder) / "outlast.toml"
            words = CONFIG.format(chat=chat.url, messages=messages.url, transport=transport)
            config.write_text(words, "utf-8")
            with launched(Path(folder) / "data", config) as service:
                return await soak(service, chat, clients)


if __name__ == "__main__":
    asyncio.run(soaked(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, *sys.argv[2:3]))
