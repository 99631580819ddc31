"""Subscriptions over HTTP: ask, confirm, look, test again, leave. Thin.

    POST /api/subscriptions                       ask; e-mail: 202 whatever the address
    GET  /api/subscriptions?token=                what one is (with the token of its links)
    GET, POST /api/subscriptions/confirm?token=   look at it, confirm it
    GET, POST /api/subscriptions/unsubscribe?token=   look at it, end it (RFC 8058: one POST)
    POST /api/subscriptions/test?token=           try a webhook again that has not answered yet

Whether an address is known is never said: the answer to asking is the same, and what follows
comes by mail. Who leaves is deleted. A token stands for its subscription and nothing else.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from sqlalchemy.exc import IntegrityError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from outlast.clock import Clock
from outlast.observatory import delivery_tables as book
from outlast.observatory import notify_signing as signing
from outlast.observatory import subscription_tables as people
from outlast.observatory.addresses import Rules
from outlast.observatory.networks import Network, client_address, groups_of
from outlast.observatory.notify_signing import BadToken, Purpose
from outlast.observatory.notify_texts import leave_link, wanted_words
from outlast.observatory.subscribe_texts import TEXTS, page, say
from outlast.observatory.subscribing import (
    PUBLIC,
    Allowance,
    Asked,
    BadSubscription,
    Channel,
    Subscription,
    accept,
)
from outlast.observatory.words import Lang, language
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

BODY_LIMIT_BYTES = 16 << 10
BODY_READ_S = 10.0
ASK_AT_ONCE, ASK_PER_HOUR = 5, 10
"""Subscriptions asked for from one network."""
ASK_ALL_AT_ONCE, ASK_ALL_PER_HOUR = 200, 2000
LINK_AT_ONCE, LINK_PER_HOUR = 30, 300
"""Links opened and buttons pressed of one subscription; links that are not ours, and tests of
webhooks, from one network."""
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
}
Handler = Callable[[Request], Awaitable[Response]]


class _Problem(Exception):
    """An answer in both languages that is no success."""

    def __init__(self, status: int, text: dict[str, str], **more: Any) -> None:
        super().__init__(text["en"])
        self.status = status
        self.text = text
        self.wait_s: float = more.pop("wait_s", 0.0)
        self.more = more


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What can be subscribed to here, and how."""

    key: bytes
    base: str
    """The public address, without a slash at its end."""
    kinds: tuple[Channel, ...]
    """The channels that are set up."""
    rules: Rules = PUBLIC
    """Where webhooks may lead."""
    trusted: tuple[Network, ...] = ()
    """Proxies whose `x-forwarded-for` is believed."""


class SubscriptionsApi:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        offer: Offer,
        *,
        wake: Callable[[], None],
        operator: Callable[[Request], bool],
    ) -> None:
        """`wake`: the notifier's; `operator`: whether a request is an operator's, who alone may
        give Apprise addresses."""
        self._database = database
        self._clock = clock
        self._key = offer.key
        self._base = offer.base
        self._kinds = offer.kinds
        self._rules = offer.rules
        self._trusted = offer.trusted
        self._wake = wake
        self._operator = operator
        self._asking = Allowance(ASK_AT_ONCE, ASK_PER_HOUR)
        self._asking_all = Allowance(ASK_ALL_AT_ONCE, ASK_ALL_PER_HOUR)
        self._links = Allowance(LINK_AT_ONCE, LINK_PER_HOUR)

    def routes(self) -> list[Route]:
        root = "/api/subscriptions"
        return [
            Route(root, _safe(self.ask), methods=["POST"]),
            Route(root, _safe(self.look), methods=["GET"]),
            Route(f"{root}/confirm", _safe(self.confirm_page), methods=["GET"]),
            Route(f"{root}/confirm", _safe(self.confirm), methods=["POST"]),
            Route(f"{root}/unsubscribe", _safe(self.leave_page), methods=["GET"]),
            Route(f"{root}/unsubscribe", _safe(self.leave), methods=["POST"]),
            Route(f"{root}/test", _safe(self.test), methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        asked = _asked(request, await _body(request))
        operator = self._operator(request)
        kinds = [one for one in self._kinds if operator or one is not Channel.APPRISE]
        try:
            kind, target, wanted = accept(asked, kinds=kinds, rules=self._rules)
        except BadSubscription as error:
            both = {"en": str(error), "fr": str(error)}
            raise _Problem(400, both, problems=error.problems) from error
        if not operator:
            self._limit(self._asking, self._network(request))
            self._limit(self._asking_all, "")
        subscription = Subscription(
            id=f"sub_{secrets.token_hex(12)}",
            kind=kind,
            target=target,
            created_at=self._clock.wall(),
            wanted=wanted,
        )
        try:
            await self._database.write(
                partial(people.ask, subscription=subscription, now=subscription.created_at)
            )
        except people.TooManySubscriptions as error:
            # A mailbox that was asked three times today gets no fourth mail, and nobody is told.
            if not (error.own and kind is Channel.EMAIL):
                raise _Problem(429, say("full"), wait_s=3600.0) from error
        self._wake()
        return _json(self._answer(subscription), 202)

    def _answer(self, subscription: Subscription) -> dict[str, Any]:
        if subscription.kind is Channel.EMAIL:
            return {"status": "asked", "message": say("asked")}
        token = signing.mint(self._key, Purpose.LEAVE, subscription.id)
        answer: dict[str, Any] = {
            "status": "testing",
            "id": subscription.id,
            "token": token,
            "unsubscribe": leave_link(self._base, token),
            "message": say("testing"),
        }
        if subscription.kind is Channel.WEBHOOK:
            # Shown here and never again: it is not stored, and made anew for each signature.
            answer["secret"] = signing.webhook_secret(self._key, subscription.id)
        return answer

    async def look(self, request: Request) -> Response:
        found = await self._of(request, Purpose.LEAVE)
        if found is None:
            raise _Problem(404, say("used"))
        status = "active" if found.confirmed_at is not None else "unconfirmed"
        return _json({"status": status, "id": found.id, "kind": found.kind, "wanted": found.wanted})

    async def confirm_page(self, request: Request) -> Response:
        found = await self._of(request, Purpose.CONFIRM)
        if found is None:
            raise _Problem(404, say("used"))
        return _told(request, "confirm", found, button=True)

    async def confirm(self, request: Request) -> Response:
        now = self._clock.wall()
        subscription_id = self._token(request, Purpose.CONFIRM)
        confirming = partial(people.confirm, subscription_id=subscription_id, now=now)
        try:
            found = await self._database.write(confirming)
        except IntegrityError:  # the same address, at the same moment, elsewhere: it is there now
            found = await self._database.write(confirming)
        if found is None:
            raise _Problem(404, say("used"))
        return _told(request, "confirmed", found)

    async def leave_page(self, request: Request) -> Response:
        found = await self._of(request, Purpose.LEAVE)
        if found is None:
            return _told(request, "left", None)
        return _told(request, "leave", found, button=True)

    async def leave(self, request: Request) -> Response:
        subscription_id = self._token(request, Purpose.LEAVE)
        found = await self._database.read(partial(people.find, subscription_id=subscription_id))
        await self._database.write(partial(people.remove, subscription_id=subscription_id))
        return _told(request, "left", found)

    async def test(self, request: Request) -> Response:
        self._limit(self._links, self._network(request))  # each one is a message to somebody
        subscription_id = self._token(request, Purpose.LEAVE)
        now = self._clock.wall()
        again = partial(book.ask_again, subscription_id=subscription_id, now=now)
        if not await self._database.write(again):
            raise _Problem(404, say("used"))
        self._wake()
        return _json({"status": "testing", "message": say("testing")}, 202)

    async def _of(self, request: Request, purpose: Purpose) -> Subscription | None:
        wanted = self._token(request, purpose)
        return await self._database.read(partial(people.find, subscription_id=wanted))

    def _token(self, request: Request, purpose: Purpose) -> str:
        """The id that the link's token stands for.

        Guesses are counted by network, true links by whose they are: a mail service presses the
        button for all its users from a few addresses (RFC 8058), and must never be turned away.
        """
        token = request.query_params.get("token", "")
        try:
            found = signing.read(self._key, purpose, token, self._clock.wall())
        except BadToken as error:
            self._limit(self._links, self._network(request))
            raise _Problem(404, {**say("used"), "en": str(error)}) from error
        self._limit(self._links, found)
        return found

    def _network(self, request: Request) -> str:
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        peer = request.client.host if request.client is not None else ""
        return groups_of(client_address(peer, forwarded, self._trusted), None).network

    def _limit(self, allowance: Allowance, key: str) -> None:
        wait_s = allowance.wait_s(key, self._clock.monotonic())
        if wait_s > 0:
            minutes = math.ceil(wait_s / 60)
            raise _Problem(429, say("slower", minutes=minutes), wait_s=wait_s)


def _asked(request: Request, body: bytes) -> Asked:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # a form on a foreign page cannot send this
        raise _Problem(
            415,
            {
                "en": "Send JSON, with content-type: application/json.",
                "fr": "Envoyez du JSON, avec content-type\u00a0: application/json.",
            },
        )
    try:
        return msgspec.json.decode(body, type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Problem(
            400,
            {
                "en": f"The subscription cannot be read: {error}",
                "fr": f"L'abonnement ne peut pas être lu\u00a0: {error}",
            },
        ) from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_READ_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT_BYTES:
                    words = {
                        "en": f"The body is longer than {BODY_LIMIT_BYTES} bytes.",
                        "fr": f"Le corps dépasse {BODY_LIMIT_BYTES} octets.",
                    }
                    raise _Problem(413, words)
    except TimeoutError as error:
        words = {
            "en": f"The body did not arrive within {BODY_READ_S:.0f} s. Send it again.",
            "fr": f"Le corps n'est pas arrivé en {BODY_READ_S:.0f} s. Renvoyez-le.",
        }
        raise _Problem(408, words) from error
    except ClientDisconnect as error:
        words = {"en": "The body ended too early.", "fr": "Le corps s'est arrêté trop tôt."}
        raise _Problem(400, words) from error
    return bytes(body)


def _told(
    request: Request, name: str, found: Subscription | None, *, button: bool = False
) -> Response:
    """A sentence, as a page for browsers and as JSON for programs."""
    lang = _lang(request, found)
    what = {
        one: wanted_words(found.wanted, one) if found is not None else "" for one in ("en", "fr")
    }
    if not _wants_html(request):
        texts = {one: TEXTS[name][one].format(what=what[one]) for one in ("en", "fr")}
        return _json({"status": name, "message": texts})
    text = TEXTS[name][lang].format(what=what[lang])
    action = f"?{request.url.query}" if button else ""
    label = TEXTS[f"{name} button"][lang] if button else ""
    return _html(page(lang, text, label, action))


def _lang(request: Request, found: Subscription | None) -> Lang:
    if found is not None:
        return found.wanted.lang
    return language(request.headers.get("accept-language", "")[:200].encode("latin-1"))


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _safe(handler: Handler) -> Handler:
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except _Problem as problem:
            return _refusal(request, problem)
        except (DatabaseUnavailable, SchemaTooNew):
            return _refusal(request, _Problem(503, say("later"), wait_s=5.0))

    return answered


def _refusal(request: Request, problem: _Problem) -> Response:
    headers = {"retry-after": str(math.ceil(problem.wait_s))} if problem.wait_s else {}
    if problem.status in {408, 413}:
        headers["connection"] = "close"  # the rest of the body is not read
    if _wants_html(request):
        lang = _lang(request, None)
        return _html(page(lang, problem.text[lang]), problem.status, headers)
    error = {"message": problem.text["en"], "messages": problem.text, **problem.more}
    return _json({"error": error}, problem.status, headers)


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(value),
        status,
        headers=HEADERS | (headers or {}),
        media_type="application/json",
    )


def _html(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers=HEADERS | (headers or {}), media_type="text/html")
