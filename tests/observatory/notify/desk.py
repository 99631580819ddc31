"""The desk of subscriptions with its API, over a database and asked without a socket."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from outlast.clock import ManualClock
from outlast.observatory import subscription_tables
from outlast.observatory.networks import read_networks
from outlast.observatory.subscribe_http import SubscriptionsApi
from outlast.observatory.subscribing import Channel, Subscription
from outlast.observatory.subscription_desk import Desk, Offer
from outlast.store.database import Database
from tests.observatory.notify.people import AT, KEY, add, ends, subscription
from tests.store.databases import sqlite_url


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class House:
    """Who asks is told what a browser or a program would be."""

    def __init__(self, folder: Path, **offer: object) -> None:
        self.folder = folder
        self.clock = ManualClock(AT)
        self.database = Database(sqlite_url(folder))
        self.woken = 0
        self.halts = False
        """Whether the end of a body never comes."""
        ready = Offer(
            key=KEY,
            base="https://status.example.org",
            kinds=tuple(Channel),
            trusted=read_networks(["10.0.0.0/8"]),
        )
        offered = msgspec.structs.replace(ready, **offer)
        self.desk = Desk(self.database, self.clock, offered, self._wake)
        self.app = Starlette(routes=self.routes())

    def routes(self) -> list[Route]:
        async def operator(request: Request) -> bool:
            return request.headers.get("authorization") == "Bearer op"

        return SubscriptionsApi(self.desk, operator=operator).routes()

    def _wake(self) -> None:
        self.woken += 1

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        client: str = "192.0.2.1",
        **headers: str,
    ) -> Answer:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body or {})
        given = {"content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        place, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": place,
            "raw_path": place.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "https",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": (client, 5),
            "server": ("status.example.org", 443),
        }
        sent: list[dict[str, Any]] = []
        parts = [{"type": "http.request", "body": raw, "more_body": self.halts}]

        async def receive() -> dict[str, Any]:
            if not parts:
                await asyncio.Event().wait()
            return parts.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:]))

    async def find(self, name: str) -> Subscription | None:
        finding = partial(subscription_tables.find, subscription_id=name)
        return await self.database.read(finding)

    async def add(self, **more: Any) -> None:
        await self.database.write(partial(add, one=subscription(**more)))

    def database_file(self) -> Path:
        return self.folder / "outlast.db"

    async def rows(self) -> int:
        return len(await self.database.read(ends))
