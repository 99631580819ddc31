"""A head and the body that follows it at once leave in one write: one call of the system, one
packet, and one moment in which another thread may take the interpreter.

ASGI sends an answer's head and its body one after the other, and uvicorn writes each as it comes.
"""

from __future__ import annotations

import asyncio

JOIN_LIMIT_BYTES = 64 << 10
"""More than this is not copied to be joined."""


class Joined:
    """Stands for a connection's transport where uvicorn's cycle writes. Owned by its event loop.

    What is written waits for the next write, or for the loop's next turn: nothing waits for a
    client or for an application. Whoever writes to the transport itself calls `flush` before.
    """

    __slots__ = ("_loop", "_transport", "held")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.held = b""
        """What waits to be written."""

    def write(self, data: bytes) -> None:
        held = self.held
        if held:
            self.held = b""
            self._transport.write(held + data)
        elif len(data) > JOIN_LIMIT_BYTES:
            self._transport.write(data)
        else:
            self.held = data
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits; harmless when nothing does, or when nobody is there any more."""
        if self.held:
            held, self.held = self.held, b""
            if not self._transport.is_closing():
                self._transport.write(held)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        """Close once all that was written has left."""
        self.flush()
        self._transport.close()
