"""Subscriptions over HTTP for programs: ask, confirm, look, test again, leave. Thin.

    POST /api/subscriptions                       ask; e-mail: 202 whatever the address
    GET  /api/subscriptions?token=                what one is (with the token of its links)
    POST /api/subscriptions/confirm?token=        confirm it
    POST /api/subscriptions/unsubscribe?token=    end it (RFC 8058: one POST)
    POST /api/subscriptions/test?token=           try an address again that has not answered yet

A GET of a link acts on nothing, because mail programs open links by themselves: it leads to the
page that has the button. What is allowed, and how often, is the desk's (subscription_desk.py).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from outlast.observatory.accepting import Asked
from outlast.observatory.networks import Groups, client_address, groups_of
from outlast.observatory.notify_signing import Purpose
from outlast.observatory.notify_texts import CONFIRM_PAGE, MANAGE_PAGE, leave_link, wanted_words
from outlast.observatory.subscribe_texts import TEXTS, say
from outlast.observatory.subscribing import Channel, Subscription
from outlast.observatory.subscription_desk import Desk, Opened, Refusal
from outlast.observatory.words import LANGS
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

BODY_LIMIT_BYTES = 16 << 10
BODY_READ_S = 10.0
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
}
Handler = Callable[[Request], Awaitable[Response]]


class SubscriptionsApi:
    def __init__(self, desk: Desk, *, operator: Callable[[Request], Awaitable[bool]]) -> None:
        """`operator`: whether a request is an operator's, who alone may give Apprise addresses."""
        self._desk = desk
        self._operator = operator

    def routes(self) -> list[Route]:
        root = "/api/subscriptions"
        return [
            Route(root, _safe(self.ask), methods=["POST"]),
            Route(root, _safe(self.look), methods=["GET"]),
            Route(f"{root}/confirm", _leading_to(CONFIRM_PAGE), methods=["GET"]),
            Route(f"{root}/confirm", _safe(self.confirm), methods=["POST"]),
            Route(f"{root}/unsubscribe", _leading_to(MANAGE_PAGE), methods=["GET"]),
            Route(f"{root}/unsubscribe", _safe(self.leave), methods=["POST"]),
            Route(f"{root}/test", _safe(self.test), methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        asked = _asked(request, await body_of(request))
        sender = sender_of(request, self._desk)
        opened = await self._desk.ask(asked, sender, operator=await self._operator(request))
        return _json(self._answer(opened), 202)

    def _answer(self, opened: Opened) -> dict[str, Any]:
        if opened.subscription.kind is Channel.EMAIL:
            return {"status": "asked", "message": say("asked")}
        answer: dict[str, Any] = {
            "status": "testing",
            "id": opened.subscription.id,
            "token": opened.token,
            "unsubscribe": leave_link(self._desk.offer.base, opened.token),
            "message": say("testing"),
        }
        if opened.secret:
            answer["secret"] = opened.secret
        return answer

    async def look(self, request: Request) -> Response:
        token, sender = token_of(request), sender_of(request, self._desk)
        found = await self._desk.find(token, Purpose.LEAVE, sender)
        if found is None:
            raise Refusal(404, say("used"))
        status = "active" if found.confirmed_at is not None else "unconfirmed"
        return _json({"status": status, "id": found.id, "kind": found.kind, "wanted": found.wanted})

    async def confirm(self, request: Request) -> Response:
        found = await self._desk.confirm(token_of(request), sender_of(request, self._desk))
        return _told("confirmed", found)

    async def leave(self, request: Request) -> Response:
        found = await self._desk.leave(token_of(request), sender_of(request, self._desk))
        return _told("left", found)

    async def test(self, request: Request) -> Response:
        await self._desk.test(token_of(request), sender_of(request, self._desk))
        return _json({"status": "testing", "message": say("testing")}, 202)


def token_of(request: Request) -> str:
    return request.query_params.get("token", "")


def sender_of(request: Request, desk: Desk) -> Groups:
    """Whose request it is, for limits: the network, and what is around it."""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    peer = request.client.host if request.client is not None else ""
    return groups_of(client_address(peer, forwarded, desk.offer.trusted), None)


def _asked(request: Request, body: bytes) -> Asked:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # a form on a foreign page cannot send this
        raise Refusal(415, say("no json"))
    try:
        return msgspec.json.decode(body, type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The decoder speaks English; what it says of a field helps programmers of every language.
        texts = say("unreadable")
        raise Refusal(400, {**texts, "en": f"{texts['en']} ({error})"}) from error


async def body_of(request: Request) -> bytes:
    """A request's body, of limited size and within limited time. Raises Refusal."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_READ_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT_BYTES:
                    raise Refusal(413, say("too long", limit=BODY_LIMIT_BYTES))
    except TimeoutError as error:
        raise Refusal(408, say("too slow", seconds=round(BODY_READ_S))) from error
    except ClientDisconnect as error:
        raise Refusal(400, say("cut")) from error
    return bytes(body)


def _told(name: str, found: Subscription | None) -> Response:
    texts = {
        lang: TEXTS[name][lang].format(
            what=wanted_words(found.wanted, lang) if found is not None else ""
        )
        for lang in LANGS
    }
    return _json({"status": name, "message": texts})


def _leading_to(page: str) -> Handler:
    """The page with the button, for who opens a link that programs POST to."""

    async def led(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{page}{query}", 303, headers=HEADERS)

    return led


def _safe(handler: Handler) -> Handler:
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return _refused(refusal)
        except (DatabaseUnavailable, SchemaTooNew):
            return _refused(Refusal(503, say("later"), wait_s=5.0))

    return answered


def refusal_headers(refusal: Refusal) -> dict[str, str]:
    headers = {"retry-after": str(math.ceil(refusal.wait_s))} if refusal.wait_s else {}
    if refusal.status in {408, 413}:
        headers["connection"] = "close"  # the rest of the body is not read
    return headers


def _refused(refusal: Refusal) -> Response:
    error: dict[str, Any] = {"message": refusal.texts["en"], "messages": refusal.texts}
    if refusal.problems:
        error["problems"] = refusal.problems
    return _json({"error": error}, refusal.status, refusal_headers(refusal))


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(value),
        status,
        headers=HEADERS | (headers or {}),
        media_type="application/json",
    )
