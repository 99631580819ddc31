"""The observatory's API: what is known, as JSON and as a stream of events. Thin.

    GET  /api/status                    everything at once
    GET  /api/components[/{name}]       states with their evidence and probability
    GET  /api/incidents[/{id}]          open and past ones, with history, extent, forecast, claims
    GET  /api/events                    server-sent events: the state, then every change
    POST /api/incidents/{id}/actions    operators: annotate, confirm a cause, correct, retract
    POST /api/incidents/{id}/claims     operators: enter a rumour or a statement
    POST /api/claims/{id}/state         operators: say what has become of it
    GET  /api/audit                     operators: who did what

Readers need no account; operators send their token as `authorization: Bearer …`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from outlast.bus.base import Bus, BusFull, Lost
from outlast.clock import Clock
from outlast.nouns import ComponentState, Incident
from outlast.observatory.acting import Action, BadAction, NotKept
from outlast.observatory.board import Board
from outlast.observatory.case_changes import StoredClaim
from outlast.observatory.claims import Claim
from outlast.observatory.headline import headline
from outlast.observatory.networks import Network, client_address, groups_of
from outlast.observatory.operator_gate import Denied, Gate
from outlast.observatory.past import Past
from outlast.observatory.recovery_words import words as forecast_words
from outlast.store.database import DatabaseUnavailable

log = structlog.get_logger(__name__)

TOPIC = "observatory"
"""The bus topic behind the event stream: keys `component NAME` and `incident ID`."""
BODY_LIMIT_BYTES = 16 * 1024
LIST_MAX = 100
STREAMS_MAX = 500
STREAMS_OF_ONE_MAX = 50
"""Of one network: a household or an office, or all who come through one proxy that is not trusted.
"""
KEEPALIVE_S = 15.0


class Operators(Protocol):
    """What operators' requests are handed to: each says whether it is stored yet. Raises BadAction
    and NotKept, in words."""

    async def act(self, incident_id: str, action: Action, by: str) -> tuple[Incident, bool]: ...
    async def enter_claim(
        self, incident_id: str, body: dict[str, Any], by: str
    ) -> tuple[Claim, bool]: ...
    async def judge_claim(
        self, claim_id: str, body: dict[str, Any], by: str
    ) -> tuple[Claim, bool]: ...
    async def audit(self, limit: int, before_at: float = 1e11) -> list[dict[str, Any]]: ...


Handler = Callable[[Request], Awaitable[Response]]


class Problem(Exception):
    """An answer that says what is wrong: status, and a sentence for a person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ObservatoryApi:
    def __init__(
        self,
        board: Board,
        bus: Bus,
        past: Past,
        operators: Operators,
        clock: Clock,
        *,
        gate: Gate,
        trusted: tuple[Network, ...] = (),
    ) -> None:
        """`trusted`: proxies in front of us, whose word on a client's address counts."""
        self._board = board
        self._bus = bus
        self._past = past
        self._operators = operators
        self._clock = clock
        self._gate = gate
        self._trusted = trusted
        self._streams: Counter[str] = Counter()
        """Readers of the event stream, by network."""

    def routes(self) -> list[Route]:
        return [
            Route("/api/status", _safe(self.status), methods=["GET"]),
            Route("/api/components", _safe(self.components), methods=["GET"]),
            Route("/api/components/{name:path}", _safe(self.component), methods=["GET"]),
            Route("/api/incidents", _safe(self.incidents), methods=["GET"]),
            Route("/api/incidents/{incident_id}", _safe(self.incident), methods=["GET"]),
            Route("/api/incidents/{incident_id}/actions", _safe(self.act), methods=["POST"]),
            Route("/api/incidents/{incident_id}/claims", _safe(self.claim), methods=["POST"]),
            Route("/api/claims/{claim_id}/state", _safe(self.judge), methods=["POST"]),
            Route("/api/audit", _safe(self.audit), methods=["GET"]),
            Route("/api/events", _safe(self.events), methods=["GET"]),
        ]

    async def status(self, _: Request) -> Response:
        board, now = self._board, self._clock.wall()
        return _json(
            {
                "at": board.at,
                "stale": board.stale(now),
                "trouble": board.trouble,
                "says": headline(board.open(), board.states.values()),
                "components": [board.states[name] for name in sorted(board.states)],
                "incidents": [self._whole(one) for one in board.open()],
                "feeds": [board.feeds[name] for name in sorted(board.feeds)],
            }
        )

    async def components(self, request: Request) -> Response:
        wanted = request.query_params.get("provider", "")
        states = self._board.of_provider(wanted) if wanted else self._board.states
        return _json({"at": self._board.at, "components": [states[n] for n in sorted(states)]})

    async def component(self, request: Request) -> Response:
        name = request.path_params["name"]
        state = self._board.states.get(name)
        if state is None:
            raise Problem(
                404, "There is no such component. GET /api/components lists those that are watched."
            )
        crowd = self._board.crowds.get(name)
        return _json({"at": self._board.at, "component": state, "reports": crowd})

    async def incidents(self, request: Request) -> Response:
        query = request.query_params
        limit = _whole_number(query.get("limit", "50"), 1, LIST_MAX, "limit")
        provider = query.get("provider", "")[:80]
        if query.get("open") in {"1", "true"}:
            found = [i for i in self._board.open() if provider in {"", i.provider}]
            return _json({"incidents": [self._whole(one) for one in found[:limit]]})
        before = _time(query.get("before"))
        shown = {one.id: one for one in [*self._board.open(), *self._board.recent()]}
        complete = True
        try:
            stored = await self._past.incidents(
                before if before is not None else 1e11, limit, provider or None
            )
        except DatabaseUnavailable:
            complete = False  # what is in memory is still true, and says that it is not all
        else:
            for one in stored:
                shown.setdefault(one.id, one)
        found = sorted(
            (
                one
                for one in shown.values()
                if provider in {"", one.provider} and (before is None or one.opened_at < before)
            ),
            key=lambda one: -one.opened_at,
        )
        return _json(
            {"complete": complete, "incidents": [self._whole(one) for one in found[:limit]]}
        )

    async def incident(self, request: Request) -> Response:
        wanted = request.path_params["incident_id"]
        found = self._board.incident(wanted)
        claims: list[Claim] = []
        if found is None:
            try:
                found = await self._past.incident(wanted)
                claims = [one for one in map(read_claim, await self._past.claims(wanted)) if one]
            except DatabaseUnavailable as error:
                raise Problem(
                    503, f"Whether there is such an incident cannot be said now: {error}"
                ) from error
        if found is None:
            raise Problem(404, "There is no such incident. GET /api/incidents lists them.")
        whole = self._whole(found)
        whole["claims"] = claims or whole["claims"]
        return _json(whole)

    async def act(self, request: Request) -> Response:
        by = await self._gate.who(request)
        try:
            action = msgspec.json.decode(await _body(request), type=Action)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Problem(400, f"The action cannot be read: {error}") from error
        wanted = request.path_params["incident_id"]
        return _done(await self._operators.act(wanted, action, by))

    async def claim(self, request: Request) -> Response:
        by = await self._gate.who(request)
        body = _object(await _body(request))
        wanted = request.path_params["incident_id"]
        return _done(await self._operators.enter_claim(wanted, body, by), 201)

    async def judge(self, request: Request) -> Response:
        by = await self._gate.who(request)
        body = _object(await _body(request))
        wanted = request.path_params["claim_id"]
        return _done(await self._operators.judge_claim(wanted, body, by))

    async def audit(self, request: Request) -> Response:
        await self._gate.who(request)
        limit = _whole_number(request.query_params.get("limit", "100"), 1, 1000, "limit")
        before_at = _time(request.query_params.get("before"))
        return _json({"entries": await self._operators.audit(limit, before_at or 1e11)})

    async def events(self, request: Request) -> Response:
        network = self._network(request)
        if self._streams.total() >= STREAMS_MAX:
            raise Problem(503, f"{STREAMS_MAX} readers listen already. GET /api/status instead.")
        if self._streams[network] >= STREAMS_OF_ONE_MAX:
            words = f"{STREAMS_OF_ONE_MAX} readers of your network listen already, the most at once"
            raise Problem(429, f"{words}. Close one, or GET /api/status instead.")
        self._streams[network] += 1
        return _Events(event_frames(self._bus, KEEPALIVE_S), lambda: self._left(network))

    def _left(self, network: str) -> None:
        self._streams[network] -= 1
        if not self._streams[network]:
            del self._streams[network]

    def _network(self, request: Request) -> str:
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        peer = request.client.host if request.client is not None else ""
        return groups_of(client_address(peer, forwarded, self._trusted), None).network

    def _whole(self, incident: Incident) -> dict[str, Any]:
        """An incident with what is known around it at this moment."""
        board = self._board
        forecast = board.forecasts.get(incident.id)
        whole: dict[str, Any] = msgspec.to_builtins(incident)
        whole["extent"] = board.extents.get(incident.id)
        whole["claims"] = board.claims.get(incident.id, ())
        whole["forecast"] = forecast
        if forecast is not None:
            whole["forecast_says"] = {
                "en": forecast_words(forecast, "en"),
                "fr": forecast_words(forecast, "fr"),
            }
        return whole


class _Events(StreamingResponse):
    """An event stream that says when it is over, whether it began or not."""

    def __init__(self, frames: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(frames, media_type="text/event-stream", headers=headers)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


async def event_frames(bus: Bus, keepalive_s: float) -> AsyncIterator[bytes]:
    """The state, then every change, as server-sent events; a comment when nothing happens."""

    try:
        subscription = bus.subscribe(TOPIC)
    except BusFull:
        yield b"event: trouble\ndata: {}\n\n"
        return
    try:
        yield b"retry: 5000\n\n"
        for key, value in subscription.state.items():
            yield _frame(key, value)
        yield b"event: ready\ndata: {}\n\n"
        waiting: asyncio.Task[Any] | None = None
        try:
            while True:
                waiting = waiting or asyncio.ensure_future(anext(subscription))
                done, _ = await asyncio.wait({waiting}, timeout=keepalive_s)
                if not done:
                    yield b": still here\n\n"
                    continue
                try:
                    message = waiting.result()
                except StopAsyncIteration:
                    return
                finally:
                    waiting = None
                if isinstance(message, Lost):
                    for key, value in bus.state(TOPIC).items():
                        yield _frame(key, value)
                elif message.value is not None and message.key is not None:
                    yield _frame(message.key, message.value)
        finally:
            if waiting is not None:
                waiting.cancel()
    finally:
        subscription.close()


def read_claim(stored: StoredClaim) -> Claim | None:
    """A claim as it was stored; None, with a word in the log, for one that cannot be read."""
    try:
        return msgspec.json.decode(stored.body, type=Claim)
    except msgspec.MsgspecError as error:
        log.warning("claim_not_read", claim=stored.id, reason=str(error)[:200])
        return None


def component_event(state: ComponentState) -> tuple[str, bytes]:
    """Key and value of a component's event on the bus."""
    return f"component {state.component}", msgspec.json.encode(state)


def incident_event(incident: Incident) -> tuple[str, bytes]:
    return f"incident {incident.id}", msgspec.json.encode(incident)


def _frame(key: str, value: bytes) -> bytes:
    kind = key.partition(" ")[0].encode()
    return b"event: " + kind + b"\ndata: " + value + b"\n\n"


def _safe(handler: Handler) -> Handler:
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return _json({"error": {"message": str(problem)}}, problem.status)
        except Denied as denied:
            message = {"error": {"message": str(denied)}}
            return _json(message, denied.status, denied.headers)
        except BadAction as problem:
            return _json({"error": {"message": str(problem)}}, 400)
        except NotKept as problem:
            return _json({"error": {"message": str(problem)}}, 500)
        except DatabaseUnavailable as problem:
            words = f"This cannot be said now: {problem}"
            return _json({"error": {"message": words}}, 503, {"retry-after": "5"})

    return answered


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    more = {"access-control-allow-origin": "*", "cache-control": "no-cache"} | (headers or {})
    return Response(msgspec.json.encode(value), status, headers=more, media_type="application/json")


def _done(what: tuple[msgspec.Struct, bool], status: int = 200) -> Response:
    """What an operator did, and whether it is stored yet."""
    done, stored = what
    return _json({**msgspec.to_builtins(done), "stored": stored}, status)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_LIMIT_BYTES:
                raise Problem(413, f"The body is longer than {BODY_LIMIT_BYTES} bytes.")
    except ClientDisconnect as error:
        raise Problem(400, "The body ended too early.") from error
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"The body is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise Problem(400, "The body must be a JSON object.")
    return found


def _whole_number(text: str, low: int, high: int, name: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
        return int(text)
    raise Problem(400, f"{name} is a whole number from {low} to {high}.")


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not 0 <= found < 1e11:
        raise Problem(400, "before is a time in seconds since 1970.")
    return found
