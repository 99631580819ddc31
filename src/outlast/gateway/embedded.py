"""The embedded model as one more upstream: the same exchange, another way to open. Thin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol

import aiohttp

from outlast.gateway.asked import Prepared
from outlast.gateway.transport import Answer, HttpAnswer, NetworkFault, fault_of
from outlast.local import upstream
from outlast.local.prompt import Limits
from outlast.nouns import Candidate
from outlast.outcome import Fault
from outlast.wire.canon import Request

START_WAIT_S = 15.0
"""How long a request waits for an engine that is just starting, before it moves on."""


class EngineBusy(Exception):
    """The queue is full; `retry_after_s` says when a place may be free."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"busy for about {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class Engine(Protocol):
    """What the gateway needs of the engine (local/engine.py)."""

    base_url: str
    api_key: str
    limits: Limits

    async def ready(self, timeout_s: float) -> str:
        """Wait until it answers; return "" or, in words, why it does not."""

    def slot(self) -> AbstractAsyncContextManager[None]:
        """A place in the bounded queue. Raises EngineBusy."""


class NoEngine:
    """Where the embedded model is switched off."""

    base_url = ""
    api_key = ""
    limits = Limits()

    async def ready(self, timeout_s: float) -> str:
        return "switched off (local.enabled)"

    def slot(self) -> AbstractAsyncContextManager[None]:
        raise EngineBusy(60)


class Embedded:
    """A Transport to the engine on this machine, and the maker of its calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: aiohttp.ClientSession | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        """Places being given back: a task that nobody holds may be collected before it ran."""

    def prepare(
        self, request: Request, candidate: Candidate, exchange_id: str, partial: str = ""
    ) -> Prepared:
        """Return the engine's call: the request rebuilt for a small model on a slow machine.

        `partial`: the beginning of an answer, from whose last character it goes on.
        """
        limits = self._engine.limits
        made = upstream.prepare(request, limits, exchange_id, candidate.model, partial)
        return Prepared(
            candidate=candidate,
            path=made.path,
            headers={"content-type": "application/json"},
            body=made.body,
            reader=made.reader,
            streamed=True,
            same_format=False,
            dropped=made.notes,
        )

    async def open(self, prepared: Prepared) -> Answer:
        why = await self._engine.ready(START_WAIT_S)
        if why:
            raise NetworkFault(Fault("not_ready", why, retry_after_s=10))
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._engine.slot())
            except EngineBusy as busy:
                raise NetworkFault(Fault("busy", "", busy.retry_after_s)) from busy
            try:
                response = await self._client().post(
                    self._engine.base_url + prepared.path,
                    data=prepared.body,
                    headers={
                        **prepared.headers,
                        "authorization": f"Bearer {self._engine.api_key}",
                    },
                )
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise NetworkFault(fault_of(error)) from error
            return _Slotted(HttpAnswer(response), stack.pop_all(), self._give_back)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _give_back(self, place: AsyncExitStack) -> None:
        task = asyncio.create_task(place.aclose())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, connect=5),
                trust_env=False,
            )
        return self._session


class _Slotted:
    """An answer that gives its place in the queue back when it is closed."""

    def __init__(
        self, answer: Answer, place: AsyncExitStack, give_back: Callable[[AsyncExitStack], None]
    ) -> None:
        self._answer = answer
        self._place = place
        self._give_back = give_back
        self.status = answer.status
        self.headers = answer.headers

    def chunks(self) -> AsyncIterator[bytes]:
        return self._answer.chunks()

    def close(self) -> None:
        self._answer.close()
        place, self._place = self._place, AsyncExitStack()
        self._give_back(place)
