"""A service of several processes, started as people do, and its clients."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from outlast.accounts.roster import Roster
from outlast.store.database import Database
from tests.endtoend.launcher import READY_S, Launched, configuration, environment, launched
from tests.raw import Reply, ask
from tests.store.databases import sqlite_url

MESSAGES = "/v1/messages"
BODY = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
WORKERS = 2
MORE = """
[observatory]
feeds = false
probes = false
providers = ["anthropic"]

[[routes]]
model = "other"
candidates = ["here/failing"]
"""


def config_of(vendor_url: str, workers: int = WORKERS, more: str = MORE) -> str:
    words = configuration(vendor_url, extra=f"workers = {workers}") + more
    return words.replace("drain_s = 5", "drain_s = 60")  # long enough for a machine that is busy


class House:
    """A running service of several processes."""

    def __init__(self, service: Launched, folder: Path, config: Path) -> None:
        self.service = service
        self.folder = folder
        self.config = config

    @property
    def url(self) -> str:
        return self.service.url

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """On a connection of its own: any worker may get it."""
        raw = b"" if body is None else msgspec.json.encode(body)
        own = {"content-type": "application/json"} if body is not None else {}
        return await ask(self.url, method, path, own | (headers or {}), raw)

    async def message(self, key: str = "", body: Any = None) -> Reply:
        own = {"x-api-key": key or self.service.key}
        return await self.ask("POST", MESSAGES, body or BODY, own)

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).json()

    async def key(self, **limits: Any) -> str:
        """A new key, made beside the service as `outlast key create` does, that all know."""
        database = Database(sqlite_url(self.folder))
        roster = Roster(database, self.folder)
        await roster.load()
        secret, _ = await roster.create("k", **limits)
        await roster.close()
        await database.close()

        async def known() -> bool:
            own = {"x-api-key": secret}
            asked = (self.ask("GET", "/v1/models", None, own) for _ in range(16))
            return {reply.status for reply in await asyncio.gather(*asked)} == {200}

        await until(known)
        return secret

    def pids(self) -> dict[str, int]:
        """The processes that are alive, by name."""
        found: dict[str, int] = {}
        for pid in children_of(self.service.process.pid):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended since
            if len(words) > 2:
                found[words[-2]] = pid
        return found

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        pid = self.pids()[name]
        os.kill(pid, number)
        return pid

    async def back(self, name: str, dead: int) -> None:
        """Wait until somebody else is there in its place, and all are ready."""

        async def there() -> bool:
            if self.pids().get(name, dead) == dead:
                return False
            reply = await self.ask("GET", "/readyz")
            return reply.status == 200 and reply.json()["observatory"]["role"] == "leads"

        await until(there)


def children_of(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (thread / "children").read_text().split()]
    return found


async def until(true: Callable[[], Awaitable[bool]], within_s: float = READY_S) -> None:
    """Wait for something in other processes, which offers nothing to await."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                if await true():
                    return
            except (OSError, KeyError, msgspec.DecodeError):
                pass  # whoever would say it is being started again
            await asyncio.sleep(0.05)


@contextmanager
def house(folder: Path, words: str, **environ: str) -> Iterator[House]:
    config = folder / "outlast.toml"
    config.write_text(words, "utf-8")
    with launched(folder / "data", config, environ=environment(**environ)) as service:
        try:
            yield House(service, folder / "data", config)
        finally:
            if service.process.poll() is None:
                service.send(signal.SIGTERM)
                service.end()


@asynccontextmanager
async def house_of(folder: Path, words: str, **environ: str) -> AsyncIterator[House]:
    """As `house`, while the loop goes on: a vendor may live in it."""
    opened = house(folder, words, **environ)
    found = await asyncio.to_thread(opened.__enter__)
    try:
        yield found
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)
