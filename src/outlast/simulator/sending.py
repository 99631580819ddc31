"""An answer on its way out: the steps that were decided, done one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from outlast.simulator.damage import Cut, Send, Step, Wait
from outlast.simulator.http1 import Connection
from outlast.simulator.script import Fault


@dataclass
class Sending:
    """An answer, decided to the byte, and how much of it has gone out."""

    status: int
    headers: tuple[tuple[str, str], ...]
    steps: Sequence[Step]
    fault: Fault | None = None
    length: int | None = None
    """content-length; None: chunked."""
    close_after: bool = False
    before_head: Step | None = None
    sent_bytes: int = 0

    async def send(self, connection: Connection) -> None:
        """Send it. Cancelled when the client leaves."""
        if self.before_head is not None and not await self._step(self.before_head, connection):
            return
        await connection.head(self.status, self.headers, self.length)
        for step in self.steps:
            if not await self._step(step, connection):
                return
        connection.finish()
        if self.close_after:
            connection.close()

    async def _step(self, step: Step, connection: Connection) -> bool:
        """Do one step; False: the connection has ended by it."""
        match step:
            case Send(data):
                await connection.send(data)
                self.sent_bytes += len(data)
                # Let other connections speak too, and small writes leave one by one.
                await asyncio.sleep(0)
            case Wait(seconds):
                if seconds is None:
                    await asyncio.get_running_loop().create_future()
                else:
                    await asyncio.sleep(seconds)
            case Cut(reset=True):
                await connection.reset()
                return False
            case Cut():
                connection.close()
                return False
        return True
