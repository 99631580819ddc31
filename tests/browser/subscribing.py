"""The subscription pages on a real port with a real database, for tests in a browser."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from sqlalchemy import Connection, select
from starlette.applications import Starlette
from starlette.requests import Request

from outlast.clock import SystemClock
from outlast.observatory import subscription_tables as people
from outlast.observatory.board import Board
from outlast.observatory.push_sealing import application_key
from outlast.observatory.subscribe_http import SubscriptionsApi
from outlast.observatory.subscribing import Channel, Subscription
from outlast.observatory.subscription_desk import Desk, Offer
from outlast.status.http import StatusPages
from outlast.status.stage import Nothing, StageClock
from outlast.status.subscribe_http import SubscribePages
from outlast.status.view import Snapshot
from outlast.store.database import Database
from tests.observatory.notify.people import KEY, add
from tests.store.databases import sqlite_url

T = TypeVar("T")


async def nobody(_: Request) -> bool:
    """Who is an operator here."""
    return False


class Shown:
    """A source that shows one view."""

    version = 0

    def __init__(self, view: Snapshot) -> None:
        self.view = view

    def now(self) -> Snapshot:
        return self.view


class Place:
    """The pages in a thread of their own; `do` asks the database from the test's."""

    def __init__(self, folder: Path, view: Snapshot) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.database = Database(sqlite_url(folder))
        self.clock = SystemClock()
        offer = Offer(key=KEY, base=self.url, kinds=tuple(Channel))
        desk = Desk(self.database, self.clock, offer, lambda: None)
        pages = StatusPages(Shown(view), Board(), Nothing(), StageClock())  # type: ignore[arg-type]
        routes = [
            *SubscriptionsApi(desk, operator=nobody).routes(),
            *SubscribePages(desk, lambda: view, lambda: application_key(KEY)).routes(),
            *pages.routes(),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), log_config=None, lifespan="off", ws="none"
        )
        self.server = uvicorn.Server(config)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._whole())

    async def _whole(self) -> None:
        await self.server.serve(sockets=[self.listener])
        await self.database.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.do(self.database.write(work))

    def add(self, one: Subscription) -> None:
        self.write(partial(add, one=one))

    def subscriptions(self) -> list[Subscription]:
        def all_of(connection: Connection) -> list[Subscription]:
            found = connection.execute(select(people.subscriptions)).mappings()
            return people.read(found)

        return self.write(all_of)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()
