"""A whole service in a thread of its own, with an outage, for operators in a real browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from outlast.observatory.case_changes import Changes
from outlast.observatory.casebook import Casebook
from outlast.observing import Observing
from outlast.status.view import date_of
from outlast.store.database import Database
from tests.observatory.service.test_service import failing
from tests.status.operator_house import Operator, desk, last_week

T = TypeVar("T")


class Service:
    """Open when made; `do` works on it from the test's thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._close = asyncio.Event()
        self.operator: Operator
        self.open_id = ""
        self.past_id = self.past_month = ""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._open.wait(60)

    @property
    def url(self) -> str:
        return self.operator.reader.running.url

    @property
    def token(self) -> str:
        return self.operator.reader.token

    @property
    def observing(self) -> Observing:
        return self.operator.observing

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._close.set)
        self._thread.join(60)

    async def _remember(self) -> None:
        """An outage of last week, which the service finds in its database when it starts."""
        database = Database(f"sqlite:///{self._folder / 'outlast.db'}")
        casebook, past = Casebook(database), last_week()
        await casebook.commit(Changes(incidents=(past,)))
        await casebook.close()
        await database.close()
        self.past_id, self.past_month = past.id, date_of(past.started_at)[:7]

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._whole())

    async def _whole(self) -> None:
        await self._remember()
        async with desk(self._folder) as operator:
            self.operator = operator
            self.open_id = str((await failing(operator.reader))["id"])
            self._open.set()
            await self._close.wait()
