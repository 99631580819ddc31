"""The small endpoints around the inference API: models, receipts, health, metrics. Thin."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outlast.accounts.keys import Key
from outlast.clock import Clock
from outlast.config import RouteSettings, Settings
from outlast.gateway.http import Gateway, Refused, Roster, authenticate, new_id
from outlast.gateway.ledger import ReceiptsWait
from outlast.gateway.routing import find_route
from outlast.gateway.surfaces import SURFACES
from outlast.gateway.verdicts import reply
from outlast.nouns import Format, Receipt
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew
from outlast.wire import CODECS
from outlast.wire.codec import ApiError

MODELS_MAX = 1000
MADE_AT = 1_767_225_600
"""A creation time for models, 2026-01-01: the field is required and nobody reads it."""


class Receipts(Protocol):
    async def find(self, receipt_id: str, key_id: str | None) -> Receipt | None: ...


class Health(Protocol):
    """What the service says of itself."""

    def ready(self) -> tuple[bool, dict[str, Any]]: ...
    def waiting(self) -> int: ...


Endpoint = Callable[[Request], Awaitable[Response]]


class Api:
    def __init__(
        self, gateway: Gateway, roster: Roster, receipts: Receipts, health: Health, clock: Clock
    ) -> None:
        self._gateway = gateway
        self._roster = roster
        self._receipts = receipts
        self._health = health
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            *(Route(path, self._gateway, methods=["POST"]) for path in SURFACES),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{model:path}", self.model, methods=["GET"]),
            Route("/v1/receipts/{receipt_id}", self.receipt, methods=["GET"]),
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/", self.root, methods=["GET", "HEAD"]),
        ]

    async def models(self, request: Request) -> Response:
        try:
            key = await authenticate(self._roster, dict(request.headers))
            shown = listed(self._gateway.state.settings, key)
            if dialect_of(request) is Format.ANTHROPIC:
                return _json(_anthropic_page(shown, request))
        except Refused as refused:
            return refusal(request, refused)
        return _json({"object": "list", "data": [_openai_model(route) for route in shown]})

    async def model(self, request: Request) -> Response:
        wanted = request.path_params["model"]
        try:
            key = await authenticate(self._roster, dict(request.headers))
        except Refused as refused:
            return refusal(request, refused)
        # A name that only a glob matches is a model too: tools look a name up before they use it.
        route = find_route(self._gateway.state.settings.routes, wanted)
        if route is not None and wanted and key.permits(wanted):
            named = msgspec.structs.replace(route, model=wanted)
            shape = dialect_of(request)
            show = _anthropic_model if shape is Format.ANTHROPIC else _openai_model
            return _json(show(named))
        words = f"There is no model {wanted[:100]!r} here. GET /v1/models lists all."
        return refusal(request, Refused(ApiError(404, words, code="model_not_found")))

    async def receipt(self, request: Request) -> Response:
        try:
            key = await authenticate(self._roster, dict(request.headers))
        except Refused as refused:
            return refusal(request, refused)
        try:
            found = await self._receipts.find(request.path_params["receipt_id"], key.id)
        except (DatabaseUnavailable, SchemaTooNew) as error:
            reason = "" if isinstance(error, ReceiptsWait) else "the database does not answer: "
            words = (
                f"Whether there is such a receipt cannot be said now, because {reason}{error} "
                "Receipts are not lost meanwhile; ask again later."
            )
            return refusal(request, Refused(ApiError(503, words), {"retry-after": "5"}))
        if found is None:
            words = (
                "There is no receipt with this id for your key. Receipts are kept for "
                f"{self._gateway.state.settings.store.retention_days} days."
            )
            return refusal(request, Refused(ApiError(404, words)))
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def healthz(self, _: Request) -> Response:
        """Alive: the process answers. Says nothing of upstreams."""
        return _json({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Ready to answer requests, and in what state each part is."""
        ready, detail = self._health.ready()
        return _json({"status": "ready" if ready else "not ready", **detail}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        settings = self._gateway.state.settings
        if not settings.server.metrics_public and not _loopback(request):
            try:
                await authenticate(self._roster, dict(request.headers))
            except Refused as refused:
                return refusal(request, refused)
        gateway = self._gateway
        body = gateway.metrics.render(
            gateway.state, self._health.waiting(), self._clock.monotonic()
        )
        return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def root(self, _: Request) -> Response:
        return _json(
            {
                "name": "Outlast",
                "what": "An API over several AI providers that answers when its provider does not.",
                "endpoints": [*SURFACES, "/v1/models", "/v1/receipts/{id}", "/healthz", "/readyz"],
            }
        )


async def not_found(request: Request, _: Exception) -> Response:
    words = (
        f"There is nothing at {request.method} {request.url.path[:200]}. POST goes to "
        f"{', '.join(SURFACES)}; GET to /v1/models, /v1/receipts/{{id}}, /healthz and /readyz."
    )
    return refusal(request, Refused(ApiError(404, words)))


async def wrong_method(request: Request, _: Exception) -> Response:
    path = request.url.path
    allowed = "POST" if path in SURFACES else "GET"
    words = f"{path[:200]} takes {allowed}, not {request.method}."
    return refusal(request, Refused(ApiError(405, words), {"allow": allowed}))


def refusal(request: Request, refused: Refused) -> Response:
    """Return an error in the dialect that the caller most likely speaks."""
    request_id = new_id()
    made = reply(CODECS[dialect_of(request)], refused.error, request_id, refused.headers)
    return Response(made.body, made.status, {**made.headers, "outlast-request-id": request_id})


def dialect_of(request: Request) -> Format:
    """Anthropic's clients always send `anthropic-version`; all others read OpenAI's shape."""
    surface = SURFACES.get(request.url.path)
    if surface is not None:
        return surface.format
    anthropic = "anthropic-version" in request.headers or (
        "x-api-key" in request.headers and "authorization" not in request.headers
    )
    return Format.ANTHROPIC if anthropic else Format.OPENAI_CHAT


def listed(settings: Settings, key: Key) -> list[RouteSettings]:
    """Return the routes that have a name of their own and that the key may use."""
    return [
        route
        for route in settings.routes
        if not any(sign in route.model for sign in "*?[") and key.permits(route.model)
    ][:MODELS_MAX]


def _openai_model(route: RouteSettings) -> dict[str, Any]:
    return {
        "id": route.model,
        "object": "model",
        "created": MADE_AT,
        "owned_by": route.candidates[0].upstream,
        "display_name": route.display_name or route.model,
    }


def _anthropic_model(route: RouteSettings) -> dict[str, Any]:
    return {
        "type": "model",
        "id": route.model,
        "display_name": route.display_name or route.model,
        "created_at": "2026-01-01T00:00:00Z",
    }


def _anthropic_page(routes: list[RouteSettings], request: Request) -> dict[str, Any]:
    """One page as Anthropic's API cuts them: `limit`, `after_id`, `before_id`. Raises Refused."""
    data = [_anthropic_model(route) for route in routes]
    ids = [model["id"] for model in data]
    size = _page_size(request.query_params.get("limit", "20"))
    after, before = request.query_params.get("after_id"), request.query_params.get("before_id")
    if before is not None and after is None:
        rest = data[: _place(ids, before, "before_id")]
        page = rest[-size:]
    else:
        rest = data if after is None else data[_place(ids, after, "after_id") + 1 :]
        page = rest[:size]
    return {
        "data": page,
        "has_more": len(rest) > len(page),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _page_size(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MODELS_MAX:
        return int(text)
    words = f"limit is {text[:40]!r}; it must be a number from 1 to {MODELS_MAX}."
    raise Refused(ApiError(400, words, param="limit"))


def _place(ids: list[str], wanted: str, name: str) -> int:
    # To begin anew with an unknown id would make a client that pages go round for ever.
    if wanted in ids:
        return ids.index(wanted)
    words = f"{name} is {wanted[:100]!r}, which is not a model here. Begin again without {name}."
    raise Refused(ApiError(400, words, param=name))


def _loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
