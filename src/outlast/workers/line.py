"""The line between the process that starts others and each of them: a pair of sockets.

What is said is pickled: both ends are this program, and nobody else can hold the line. A line that
ends says that the other process has.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
from typing import Any

import msgspec

from outlast.config import Settings

LENGTH_BYTES = 4


class Begin(msgspec.Struct, frozen=True):
    """To a process, first of all: who it is."""

    settings: Settings
    place: int
    """0 to `workers` - 1 answer requests; `workers` is the observer's."""
    workers: int
    folder: str
    """Where the processes' own sockets are, for nobody else's eyes."""
    counts_fd: int
    holder: str

    @property
    def observes(self) -> bool:
        return self.place == self.workers

    @property
    def name(self) -> str:
        return name_of(self.place, self.workers)


class Ready(msgspec.Struct, frozen=True):
    """From a process: it takes requests. `first_key`: made at the very first start, shown once."""

    first_key: str = ""


class Go(msgspec.Struct, frozen=True):
    """To the observer: the greeting is printed, it may speak to the person."""


class Beat(msgspec.Struct, frozen=True):
    """To a process that is ready: are you there? And from it, from its event loop: yes."""


class Take(msgspec.Struct, frozen=True):
    """To a process: new settings."""

    settings: Settings


def name_of(place: int, workers: int) -> str:
    return "observer" if place == workers else f"worker {place}"


def socket_of(folder: str, place: int) -> str:
    return f"{folder}/{place}"


class Line:
    """One end. Use `over` to make one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Line:
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end))

    def say(self, said: msgspec.Struct) -> None:
        """Never waits; who does not listen any more does not hear it."""
        body = pickle.dumps(said)
        if not self._writer.is_closing():
            self._writer.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)

    async def hear(self) -> Any:
        """What is said next; None: the other side is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES), "big")
            return pickle.loads(await self._reader.readexactly(size))  # noqa: S301 - see above
        except (OSError, EOFError):
            return None

    def close(self) -> None:
        self._writer.close()
