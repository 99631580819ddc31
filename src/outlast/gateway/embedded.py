"""The embedded model as one more upstream: the same exchange, another way to open. Thin.

The client, aiohttp, is loaded with the engine, at the start; where the model is off there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

from outlast.gateway.asked import Prepared
from outlast.gateway.transport import Answer, HttpAnswer, NetworkFault, Transport
from outlast.local.slots import Busy
from outlast.local.state import Failed, Starting
from outlast.network import fault_of
from outlast.nouns import Candidate
from outlast.outcome import Fault
from outlast.wire.canon import BadRequest, Request

if TYPE_CHECKING:
    import aiohttp

    from outlast.local import upstream
    from outlast.local.service import LocalModel

START_WAIT_S = 20.0
"""How long a request waits for an engine that is just starting, before it moves on."""
NOT_READY_RETRY_S = 15.0


class LocalUpstream(Transport, Protocol):
    """What asks the embedded model, wherever it runs."""

    def prepare(
        self, request: Request, candidate: Candidate, exchange_id: str, partial: str = ""
    ) -> Prepared: ...


def call_of(made: upstream.Prepared, candidate: Candidate) -> Prepared:
    """Return the engine's request as the call of a candidate."""
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


class Embedded:
    """A Transport to the engine on this machine, and the maker of its calls.

    `model` None: switched off in the settings.
    """

    def __init__(self, model: LocalModel | None) -> None:
        self._model = model
        self._session: aiohttp.ClientSession | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        """Places being given back: a task that nobody holds may be collected before it ran."""

    def prepare(
        self, request: Request, candidate: Candidate, exchange_id: str, partial: str = ""
    ) -> Prepared:
        """Return the engine's call: the request rebuilt for a small model on a slow machine.

        `partial`: the beginning of an answer, from whose last character it goes on.
        """
        if self._model is None:
            raise BadRequest("", "the embedded model is switched off (local.enabled)")
        return call_of(self._model.prepare(request, exchange_id, partial), candidate)

    async def open(self, prepared: Prepared) -> Answer:
        import aiohttp  # noqa: PLC0415 - see the module

        model = self._model
        assert model is not None, "prepare refuses before"
        if not model.ready:
            state = model.state
            coming = isinstance(state, Starting) or (isinstance(state, Failed) and not state.final)
            wait_s = START_WAIT_S if coming else 0.0
            if not await model.wait_ready(wait_s):
                raise NetworkFault(Fault("not_ready", model.state.sentence, NOT_READY_RETRY_S))
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(model.slots.slot())
            except Busy as busy:
                raise NetworkFault(Fault("busy", str(busy), busy.retry_after_s)) from busy
            try:
                response = await self._client().post(
                    model.base_url + prepared.path,
                    data=prepared.body,
                    headers={**prepared.headers, "authorization": f"Bearer {model.api_key}"},
                )
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise NetworkFault(fault_of(error)) from error
            return _Slotted(HttpAnswer(response), stack.pop_all(), self._give_back)

    async def warm(self, candidate: Candidate) -> None:
        """Nothing to do: the weights are in memory, the engine is on this machine."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _give_back(self, place: AsyncExitStack) -> None:
        task = asyncio.create_task(place.aclose())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 - see the module

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
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
