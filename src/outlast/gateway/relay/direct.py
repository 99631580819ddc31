"""Plain connections, read and written past their transports where C can. Thin.

What a transport does for each read and each small write costs about as much as all that we do. So
upstreams' connections are read by a poll (native/poll.c, on Linux), and the pieces of a stream are
written to the client's socket at once (native/write.c). Transports stay what owns the connections:
they find out about ends and errors, keep what a slow client does not take yet, and close. With TLS
they do all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from outlast.native import compiled

_poll = compiled("poll")
_writer = compiled("writer")


class Poll(Protocol):
    """Reads connections whenever it is called. See native/poll.c."""

    def __call__(self) -> None: ...
    def add(
        self,
        fd: int,
        received: Callable[[bytes], None],
        left: Callable[[BaseException | None], None],
        /,
    ) -> None: ...
    def remove(self, fd: int, /) -> None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


def poll_on(loop: asyncio.AbstractEventLoop) -> Poll | None:
    """Return a poll that this loop calls; None: there is none here."""
    try:
        poll: Poll | None = _poll() if _poll is not None else None
    except OSError:
        return None
    if poll is not None:
        loop.add_reader(poll.fileno(), poll)
    return poll


class Reading:
    """How one connection is read. It is to be `stop`ped before the connection is closed."""

    __slots__ = ("_broke", "_fd", "_poll", "_received", "_transport", "paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._poll: Poll | None = None
        self._fd = -1
        self.paused = False

    def by(
        self,
        poll: Poll,
        received: Callable[[bytes], None],
        broke: Callable[[BaseException], None],
    ) -> None:
        """Let the poll read from now on. `broke`: `received` raised this."""
        self._transport.pause_reading()
        self._fd = self._transport.get_extra_info("socket").fileno()
        self._received, self._broke = received, broke
        self._watch(poll)

    def pause(self) -> None:
        if not self.paused:
            self.paused = True
            if self._poll is not None:
                self._poll.remove(self._fd)
            else:
                self._transport.pause_reading()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            if self._poll is not None:
                self._watch(self._poll)
            else:
                self._transport.resume_reading()

    def _watch(self, poll: Poll) -> None:
        self._poll = poll
        try:
            poll.add(self._fd, self._received, self._left)
        except OSError:  # the system watches no more, or we are about to end
            self._left(None)

    def stop(self) -> None:
        """The connection is about to be closed, or was lost."""
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.remove(self._fd)

    def _left(self, error: BaseException | None) -> None:
        self._poll = None
        if error is None:
            self._transport.resume_reading()
        else:
            self._broke(error)


class Writer(Protocol):
    """Writes small pieces, as a transport's `write`. See native/write.c."""

    def __call__(self, data: bytes, /) -> None: ...
    def close(self) -> None:
        """The connection was lost."""


def writer_to(transport: asyncio.Transport) -> Writer | None:
    """Return what writes past this transport; None: it must be asked itself."""
    sock, tls = transport.get_extra_info("socket"), transport.get_extra_info("sslcontext")
    if _writer is None or sock is None or tls is not None:
        return None
    writer: Writer = _writer(sock.fileno(), transport.write, transport.get_write_buffer_size)
    return writer
