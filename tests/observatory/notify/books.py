"""One process's view of the book of deliveries, for the tests of both databases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from outlast.observatory import delivering
from outlast.observatory import delivery_tables as book
from outlast.observatory.delivering import Claim
from outlast.observatory.notifying import News, Result, Sent
from outlast.observatory.subscribing import Subscription
from outlast.store.database import Database
from tests.observatory.notify.people import AT, add, ends

NOW = AT + 1
T = TypeVar("T")


class House:
    """One process's view of the book."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, busy_timeout_s=5)

    async def do(self, work: Callable[[Connection], T]) -> T:
        return await self.database.write(work)

    async def people(self, *them: Subscription) -> None:
        for one in them:
            await self.do(partial(add, one=one))

    async def tell(self, items: tuple[News, ...], now: float = NOW) -> None:
        """Enqueue, and spread to everyone."""
        await self.do(partial(book.enqueue, items=items))
        while await self.do(partial(delivering.spread, now=now)):
            pass

    async def claim(self, now: float = NOW, limit: int = 100) -> list[Claim]:
        return await self.do(partial(delivering.claim, now=now, limit=limit))

    async def settle(self, claim: Claim, result: Result, now: float = NOW) -> str:
        done = partial(delivering.settle, claim=claim, result=result, now=now, roll=0.5)
        return await self.do(done)

    async def send(self, result: Result | None = None, now: float = NOW) -> list[str]:
        """Claim all that is due and settle it; what was in the messages, by state."""
        claims = await self.claim(now)
        for one in claims:
            await self.settle(one, result or Sent(), now)
        return sorted(row.state for one in claims for row in one.rows)

    async def ends(self) -> dict[tuple[str, str], str]:
        return await self.do(ends)
