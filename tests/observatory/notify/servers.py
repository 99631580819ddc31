"""Real small servers for the tests of channels: one that takes POSTs, one that takes mails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec


class Taken(msgspec.Struct):
    """A request as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Takes one request a connection and answers as it is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.taken: list[Taken] = []
        self.came = asyncio.Event()
        self.answer: bytes | None = b"HTTP/1.1 204 No Content\r\n\r\n"
        """None: take the request and hang up without a word."""

    def says(self, status: int, *headers: str) -> None:
        lines = "".join(f"{one}\r\n" for one in headers)
        self.answer = f"HTTP/1.1 {status} Word\r\n{lines}content-length: 0\r\n\r\n".encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.taken.append(Taken(head[0], headers, body))
            self.came.set()
            if self.answer is not None:
                writer.write(self.answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver("")
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield receiver


class MailServer:
    """SMTP as far as one mail needs it. `replies` holds what it says instead of its yes."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[bytes] = []
        self.came = asyncio.Event()
        self.seen: list[str] = []
        self.replies: dict[str, str] = {}
        """Command (`RCPT`, `DATA`, `.` for the end of a text) → reply; `hang up`: none."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self.replies.get("HELLO", "220 mail.example.org ready").encode() + b"\r\n")
            while line := await reader.readline():
                said = line.decode().strip()
                self.seen.append(said)
                verb = said.partition(" ")[0].upper()
                if not await self._answer(verb, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, verb: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        usual = {"EHLO": "250-mail.example.org\r\n250 8BITMIME", "DATA": "354 go on"}
        usual |= {"QUIT": "221 bye"}
        reply = self.replies.get(verb, usual.get(verb, "250 ok"))
        if reply == "hang up":
            return False
        writer.write(reply.encode() + b"\r\n")
        if verb == "DATA" and reply.startswith("354"):
            text = await reader.readuntil(b"\r\n.\r\n")
            end = self.replies.get(".", "250 taken")
            if end.startswith("250") or end == "hang up":
                self.mails.append(text[:-5])
                self.came.set()
            if end == "hang up":
                return False
            writer.write(end.encode() + b"\r\n")
        await writer.drain()
        return verb != "QUIT"


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    made = MailServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
