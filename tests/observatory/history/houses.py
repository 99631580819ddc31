"""A history with what it stands on, for tests, and things to put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from outlast.clock import ManualClock
from outlast.nouns import Notice, Observation, Outcome
from outlast.observatory.history import History
from outlast.store.database import Database
from outlast.store.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0
NOW = 20_000 * DAY


class House:
    """A history on a clock that stands at NOW."""

    def __init__(
        self, url: str, folder: Path, *, busy_timeout_s: float = 5.0, **settings: Any
    ) -> None:
        self.clock = ManualClock(NOW)
        self.journal = Journal(folder / "observations")
        self.database = Database(url, busy_timeout_s=busy_timeout_s)
        self.history = History(self.journal, self.database, clock=self.clock, **settings)

    async def ids(self) -> list[str]:
        query = text("SELECT id FROM observations ORDER BY id")
        return list(await self.database.read(lambda c: c.execute(query).scalars().all()))

    async def close(self) -> None:
        await self.history.close()
        self.journal.close()
        await self.database.close()


def seen(name: str = "", at: float = NOW, **fields: Any) -> Observation:
    """An observation; what is not given is usual."""
    usual: dict[str, Any] = {
        "source": "attempt",
        "component": "anthropic/api/m",
        "outcome": Outcome.OK,
        "latency_s": 0.5,
    }
    return Observation(id=name, at=at, **(usual | fields))


def notice(version: str = "v1", fetched_at: float = NOW, **fields: Any) -> Notice:
    usual: dict[str, Any] = {
        "provider": "anthropic",
        "feed": "anthropic",
        "id": "inc_1",
        "kind": "incident",
        "title": "Elevated errors",
    }
    return Notice(version=version, fetched_at=fetched_at, **(usual | fields))
