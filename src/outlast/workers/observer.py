"""The observer: what it answers to workers, and, through them, to everybody. Thin.

what carries TARGET   a client's request that a worker passed on: all but inference
POST /tell            observations that workers kept
GET  /follow/{topic}  a topic of the bus: its state, then every change
POST /model           a call of the embedded model
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import unquote

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from outlast.app import Service
from outlast.bus.base import Lost
from outlast.gateway.asked import Prepared
from outlast.gateway.transport import Answer, NetworkFault
from outlast.nouns import Candidate, Format, Kind
from outlast.observatory.watcher import STATUS
from outlast.outcome import Fault
from outlast.wire import CODECS
from outlast.workers import pages
from outlast.workers.inside import CLIENT, PREFIX, SCHEME, TARGET, Away, Neighbour
from outlast.workers.lent import ENGINE_PATH, REFUSED_STATUS
from outlast.workers.lent import PATH as MODEL_PATH
from outlast.workers.line import name_of
from outlast.workers.told import MODEL, Event, ModelTold, Telling

log = structlog.get_logger(__name__)

BEAT_S = 5.0
MODEL_LOOK_S = 0.5
COUNT_EVERY_S = 5.0
FRESH_S = 15.0
"""What a worker would ask counts for so long after it said so."""
TELLING_LIMIT_BYTES = 16 << 20
_ENGINE = Candidate(upstream="local", model="", kind=Kind.LOCAL, provider="local", vendor="local")


class Standings:
    """What each worker would ask. Together: an upstream works if it does for one of them."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[float, tuple[tuple[Candidate, bool], ...]]] = {}

    def take(self, place: int, told: tuple[tuple[Candidate, bool], ...], now: float) -> None:
        self._told[place] = (now, told)

    def together(
        self, own: Sequence[tuple[Candidate, bool]], now: float
    ) -> list[tuple[Candidate, bool]]:
        """`own`: the observer's, which says which upstreams there are."""
        fresh = [told for at, told in self._told.values() if now - at <= FRESH_S]
        if not fresh:
            return list(own)
        asked = {candidate.upstream for told in fresh for candidate, works in told if works}
        return [(candidate, candidate.upstream in asked) for candidate, _ in own]


class Counted:
    """The workers' /metrics. What one that died had counted goes on counting."""

    def __init__(self, workers: Mapping[str, Neighbour]) -> None:
        self._workers = workers
        self._last: dict[str, tuple[str, bytes]] = {}
        self._departed = b""

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(COUNT_EVERY_S)

    async def look(self) -> dict[str, bool]:
        """Ask all of them; return who answered."""
        names = list(self._workers)
        answers = await asyncio.gather(*(self._ask(name) for name in names))
        return dict(zip(names, answers, strict=True))

    def pages(self) -> list[bytes]:
        return [page for _, page in self._last.values()] + [self._departed]

    async def _ask(self, name: str) -> bool:
        try:
            status, body = await self._workers[name].fetch("/metrics")
        except Away:
            return False
        life, _, page = body.partition(b"\n")
        before = self._last.get(name)
        if before is not None and before[0] != life.decode():
            left = pages.summed([self._departed, before[1]], growing=True)
            self._departed = pages.page(left)
        self._last[name] = (life.decode(), page)
        return status == 200


class Observer:
    """The ASGI application on the observer's own socket."""

    def __init__(
        self, service: Service, standings: Standings, workers: Mapping[str, Neighbour]
    ) -> None:
        self._service = service
        self._standings = standings
        self._workers = workers
        self.counted = Counted(workers)
        self.stopping = asyncio.Event()
        """Set when we are told to end: nobody is kept who only listens."""
        self._inside = Starlette(
            routes=[
                Route("/tell", self._tell, methods=["POST"]),
                Route("/follow/{topic}", self._follow, methods=["GET"]),
                Route(MODEL_PATH, self._model, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = dict(scope["headers"])
        target = named.get(TARGET.encode())
        if target is None:
            await self._inside(scope, receive, send)
            return
        outside = _outside(scope, named, target)
        if outside["path"] == "/metrics":
            await (await self._metrics(Request(outside, receive)))(outside, receive, send)
        elif outside["path"] == "/readyz":
            await (await self._readyz())(outside, receive, send)
        else:
            await self._service.asgi(outside, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Say how the embedded model stands, and count."""
        async with AsyncExitStack() as stack:
            for name, job in (("counting", self.counted.run), ("model", self._say_model)):
                stack.push_async_callback(self._service.background.start(name, job))
            yield

    # -- for everybody -------------------------------------------------------------------------

    async def _metrics(self, request: Request) -> Response:
        own = await self._service.api.metrics(request)
        if own.status_code != 200:
            return own
        answering = await self.counted.look()
        body = pages.metrics(
            [bytes(own.body), *self.counted.pages()], {"observer": True, **answering}
        )
        return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _readyz(self) -> Response:
        async def ask(neighbour: Neighbour) -> dict[str, Any] | None:
            try:
                _, body = await neighbour.fetch("/ready")
            except Away:
                return None
            found: dict[str, Any] = msgspec.json.decode(body)
            return found

        asked = await asyncio.gather(*map(ask, self._workers.values()))
        workers = dict(zip(self._workers, asked, strict=True))
        ready, detail = pages.readiness(self._service.ready()[1], workers)
        told = {"status": "ready" if ready else "not ready", **detail}
        return JSONResponse(told, 200 if ready else 503)

    # -- for workers ---------------------------------------------------------------------------

    async def _tell(self, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > TELLING_LIMIT_BYTES:
                return Response(status_code=413)
        told = msgspec.msgpack.decode(bytes(body), type=Telling)
        self._standings.take(told.place, told.standing, self._service.clock.monotonic())
        if self._service.observing is not None:
            self._service.observing.told(told.observations, told.proven)
        return Response(status_code=204)

    async def _follow(self, request: Request) -> Response:
        topic = request.path_params["topic"]
        if topic not in {STATUS, MODEL}:
            return Response(status_code=404)
        return StreamingResponse(self._lines(topic), media_type="application/x-ndjson")

    async def _lines(self, topic: str) -> AsyncIterator[bytes]:
        with self._service.bus.subscribe(topic) as subscription:
            yield b"".join(_line(Event(key, value)) for key, value in subscription.state.items())
            yield _line(Event())
            waiting = asyncio.ensure_future(anext(subscription))
            stopping = asyncio.ensure_future(self.stopping.wait())
            both = asyncio.FIRST_COMPLETED
            try:
                while not self.stopping.is_set():
                    await asyncio.wait({waiting, stopping}, timeout=BEAT_S, return_when=both)
                    if not waiting.done():
                        yield _line(Event())
                        continue
                    message = waiting.result()
                    if isinstance(message, Lost):
                        return  # followed anew, from the state
                    waiting = asyncio.ensure_future(anext(subscription))
                    if message.key is not None:
                        yield _line(Event(message.key, message.value))
            finally:
                waiting.cancel()
                stopping.cancel()

    async def _model(self, request: Request) -> Response:
        prepared = Prepared(
            candidate=_ENGINE,
            path=request.headers.get(ENGINE_PATH, ""),
            headers={"content-type": "application/json"},
            body=await request.body(),
            reader=CODECS[Format.OPENAI_CHAT].reader(),
            streamed=True,
            same_format=False,
        )
        if self._service.local is None:
            return _refused(Fault("not_ready", "the local model is switched off"))
        opening = asyncio.ensure_future(self._service.embedded.open(prepared))
        leaving = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({opening, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not opening.done():  # who asked has left, and gives its place in the queue back
                opening.cancel()
            leaving.cancel()
            await asyncio.gather(opening, leaving, return_exceptions=True)
        if opening.cancelled():
            return Response(status_code=499)
        error = opening.exception()
        if isinstance(error, NetworkFault):
            return _refused(error.fault)
        if error is not None:
            raise error
        return _Passed(opening.result())

    async def _say_model(self) -> None:
        said = b""
        while True:
            new = msgspec.json.encode(self._model_now())
            if new != said:
                said = new
                self._service.bus.publish(MODEL, new, key=MODEL)
            await asyncio.sleep(MODEL_LOOK_S)

    def _model_now(self) -> ModelTold:
        local, told = self._service.local, self._service.describe_local()
        if local is None:
            return ModelTold("off", "")
        return ModelTold(told["state"], told["detail"], local.limits, local.model_name)


class _Passed(StreamingResponse):
    """An answer of the engine, which gives its place back however this ends."""

    def __init__(self, answer: Answer) -> None:
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name not in {"transfer-encoding", "content-length", "connection"}
        }
        super().__init__(answer.chunks(), answer.status, headers=kept)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except NetworkFault as error:
            # The engine broke off: so does what is passed on, before it could seem to be whole.
            log.info("local_model_broke_off", reason=error.fault.kind)
            scope["outlast.close"]()
        finally:
            self._answer.close()


def _outside(scope: Scope, named: Mapping[bytes, bytes], target: bytes) -> dict[str, Any]:
    """Return a client's request as the worker had it."""
    raw, _, query = target.partition(b"?")
    host, _, port = named.get(CLIENT.encode(), b"").decode("latin-1").rpartition(" ")
    return {
        **scope,
        "path": unquote(raw.decode("latin-1")),
        "raw_path": raw,
        "query_string": query,
        "client": (host, int(port)) if host and port.isdigit() else None,
        "scheme": named.get(SCHEME.encode(), b"http").decode("latin-1"),
        "headers": [
            (name, value) for name, value in scope["headers"] if not name.startswith(PREFIX)
        ],
    }


def _refused(fault: Fault) -> Response:
    return Response(msgspec.json.encode(fault), REFUSED_STATUS, media_type="application/json")


def _line(event: Event) -> bytes:
    return msgspec.json.encode(event) + b"\n"


def neighbours(folder: str, workers: int, *, but: int = -1) -> dict[str, Neighbour]:
    """The workers by their names, without the one at the place `but`."""
    return {
        name_of(place, workers): Neighbour(folder, place)
        for place in range(workers)
        if place != but
    }
