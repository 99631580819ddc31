"""The inference API over HTTP: authenticate, read, route, run the exchange. Thin.

Every refusal is in the dialect of the path that was asked, says what happened and what to do,
and carries the request id.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from outlast.accounts.keys import BadKey, Key
from outlast.accounts.keys import parse as parse_key
from outlast.clock import Clock
from outlast.config import RouteSettings, Settings
from outlast.gateway import verdicts
from outlast.gateway.asked import Asked, Plan, Reply
from outlast.gateway.client import AsgiClient, Disconnected, ReadTimeout, TooLarge
from outlast.gateway.events import Observe
from outlast.gateway.exchange import Exchange
from outlast.gateway.metrics import Metrics
from outlast.gateway.prepare import LocalPrepare, Preparer, account_of
from outlast.gateway.pump import Client, Pump
from outlast.gateway.routing import find_route, nearest
from outlast.gateway.signature_file import SignatureFile
from outlast.gateway.speaker import Speaker
from outlast.gateway.state import GatewayState
from outlast.gateway.surfaces import COUNT_TOKENS, SURFACES, Surface
from outlast.gateway.transcript import Transcript
from outlast.gateway.transport import Transport
from outlast.nouns import Allow, Candidate, Ended, Format, Kept, Kind, Observation, Outcome, Receipt
from outlast.wire.canon import BadRequest
from outlast.wire.codec import ApiError
from outlast.wire.estimate import estimate_request
from outlast.wire.notices import LANGUAGES
from outlast.wire.splice import read_head

_log = structlog.get_logger(__name__)

BODY_READ_S = 120.0


class Roster(Protocol):
    """Who may ask."""

    @property
    def generation(self) -> int:
        """Another number whenever a secret may mean another key than before."""

    def authenticate(self, secret: str) -> Key | None: ...
    async def authenticate_fresh(self, secret: str) -> Key | None: ...


class Refused(Exception):
    """A request that gets no further, with the error to say so."""

    def __init__(self, error: ApiError, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.headers = headers or {}


class Gateway:
    """All inference endpoints, as one ASGI application."""

    def __init__(
        self,
        state: GatewayState,
        roster: Roster,
        transport: Transport,
        local: LocalPrepare,
        metrics: Metrics,
        clock: Clock,
        *,
        record: Callable[[Receipt], None],
        publish: Callable[[Observe], None],
    ) -> None:
        self.state = state
        self.metrics = metrics
        self.body_read_s = BODY_READ_S
        self._roster = roster
        self._transport = transport
        self._local = local
        self._clock = clock
        self._record = record
        self._publish = publish
        self.on_well: Callable[[Candidate, Sequence[Ended]], None] = self._publish_well
        """Told who went well, when attempts ended and how long they took: as so many Observes."""
        self.on_plain: Callable[[Sequence[Kept]], None] = self._record_plain
        """Given receipts in msgpack: as `record` of each."""
        self.chatty = state.settings.server.log_level == "debug"
        self.signatures = SignatureFile(state.settings.data_path / "signatures")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        surface = SURFACES[scope["path"].rstrip("/")]
        client = AsgiClient(scope, receive, send)
        request_id = new_id()
        try:
            key = await authenticate(self._roster, client.headers)
            asked, route = await self._ask(surface, client, key, request_id)
            with self._under_way(key):
                await self._exchange(surface, client, asked, route)
        except Refused as refused:
            await client.reply(self.refusal(surface, refused, request_id))
        except Disconnected:
            return

    @contextmanager
    def _under_way(self, key: Key) -> Iterator[None]:
        """Count a request of this key. Raises Refused beyond the key's limit."""
        load = self.state.load(key)
        if not load.enter():
            words = f"Your key already has {load.limit} requests under way, its limit."
            raise Refused(ApiError(429, words), {"retry-after": "1"})
        self.metrics.under_way += 1
        try:
            yield
        finally:
            load.leave()
            self.metrics.under_way -= 1

    async def _ask(
        self, surface: Surface, client: AsgiClient, key: Key, request_id: str
    ) -> tuple[Asked, RouteSettings]:
        """Read and check the request. Raises Refused and Disconnected."""
        body = await self._read(client)
        query = client.scope["query_string"].decode("latin-1")
        return self.asked(surface, client.headers, query, body, key, request_id)

    def asked(
        self,
        surface: Surface,
        headers: dict[str, str],
        query: str,
        body: bytes,
        key: Key,
        request_id: str,
    ) -> tuple[Asked, RouteSettings]:
        """Check a request that was read, and find its route. Raises Refused."""
        try:
            head = read_head(body)
        except BadRequest as bad:
            raise Refused(ApiError(400, str(bad), param=bad.field)) from bad
        route = find_route(self.state.settings.routes, head.model)
        if route is None or not key.permits(head.model) or route.serves != surface.serves:
            raise Refused(self._no_model(surface, head.model, key))
        if (wait_s := self.state.admit(key, self._clock.monotonic())) > 0:
            words = f"Your key is at its limit of {key.requests_per_minute} requests a minute."
            raise Refused(ApiError(429, words), {"retry-after": str(max(1, round(wait_s)))})
        asked = Asked(
            id=request_id,
            format=surface.format,
            path=surface.path,
            query=query,
            headers=headers,
            body=body,
            model=head.model,
            stream=head.stream and surface.streams,
            at=self._clock.wall(),
            key_id=key.id,
            allow=self._allow(surface, headers, key),
            notice=notice_of(headers, body, key.notice or route.notice),
        )
        return asked, route

    async def _read(self, client: AsgiClient) -> bytes:
        limit_bytes = self.state.settings.server.body_limit_bytes
        check_encoding(client.headers)
        try:
            return await client.read(limit_bytes, self.body_read_s)
        except TooLarge as error:
            raise too_large(limit_bytes) from error
        except ReadTimeout as error:
            raise too_late(self.body_read_s) from error

    def _allow(self, surface: Surface, headers: dict[str, str], key: Key) -> Allow:
        """The narrower of the key's and the request's wish; embeddings never change model."""
        if "outlast-allow" not in headers and surface.serves != "embeddings":
            return key.allow
        text = headers.get("outlast-allow", key.allow.value).strip().lower()
        try:
            wished = Allow(text)
        except ValueError as error:
            known = ", ".join(Allow)
            words = f"outlast-allow is {text[:40]!r}; it may be one of: {known}."
            raise Refused(ApiError(400, words, param="outlast-allow")) from error
        if surface.serves == "embeddings":
            return Allow.SAME_MODEL  # vectors of two models cannot be compared
        return min(wished, key.allow, key=lambda allow: allow.rank)

    def _no_model(self, surface: Surface, model: str, key: Key) -> ApiError:
        routes = [
            route
            for route in self.state.settings.routes
            if route.serves == surface.serves and key.permits(route.model)
        ]
        near = ", ".join(nearest(routes, model)) or "none for this endpoint"
        words = (
            f"There is no model {model[:100]!r} here. Nearest: {near}. GET /v1/models lists all."
        )
        return ApiError(404, words, param="model", code="model_not_found")

    async def _exchange(
        self, surface: Surface, client: AsgiClient, asked: Asked, route: RouteSettings
    ) -> None:
        plan = self.plan(surface, asked, route)
        if plan is None:
            await client.reply(self.estimate(surface, asked))
        else:
            await self.run(surface, client, asked, plan, self.observe)

    def plan(self, surface: Surface, asked: Asked, route: RouteSettings) -> Plan | None:
        """Return who may answer; None for a token count that nobody but us can make.

        Raises Refused where nobody may answer.
        """
        now, prompt_tokens = self._clock.monotonic(), max(1, len(asked.body) // 4)
        plan = self.state.plan(asked, route, now, prompt_tokens=prompt_tokens)
        if not surface.translates:
            plan = _only_native(plan, surface)
        if surface.path == COUNT_TOKENS and not plan.candidates:
            return None
        if not plan.candidates:
            error, headers = verdicts.exhausted(asked.format, (), 0)
            raise Refused(error, headers)
        return plan

    async def run(
        self,
        surface: Surface,
        client: Client,
        asked: Asked,
        plan: Plan,
        on_observe: Callable[[Observe], None],
    ) -> Transcript:
        """Run one exchange to its end, whoever asks: return what the client was told.

        `on_observe` gets what each attempt showed; the receipt is settled in any case.
        """
        exchange, speaker = self.exchange(surface, asked, plan)
        pump = Pump(
            exchange,
            self._transport,
            client,
            self._clock,
            on_observe=on_observe,
            on_settle=self.settle,
        )
        await pump.run()
        return speaker.transcript

    def exchange(
        self, surface: Surface, asked: Asked, plan: Plan, settings: Settings | None = None
    ) -> tuple[Exchange, Speaker]:
        """Return the decider of one request, and what it speaks with.

        `settings`: those that the plan is of, where they may be others by now.
        """
        state, preparer = self.state, self.preparer(surface, asked, settings)
        codec = surface.codecs[asked.format]
        speaker = Speaker(codec, preparer.writer_request, int(asked.at))
        exchange = Exchange(plan, preparer, surface.codecs, speaker, state.budget, state.gaps)
        return exchange, speaker

    def preparer(
        self, surface: Surface, asked: Asked, settings: Settings | None = None
    ) -> Preparer:
        """Return what makes the calls of one request."""
        return Preparer(
            asked,
            settings or self.state.settings,
            surface.codecs,
            self._local,
            lambda account: self.signatures.foreign_to(account, asked.at),
        )

    def estimate(self, surface: Surface, asked: Asked) -> Reply:
        """A count that nobody but us can make: near, and said to be an estimate. Raises Refused."""
        try:
            tokens = estimate_request(self.preparer(surface, asked).estimable())
        except BadRequest as bad:
            raise Refused(ApiError(400, str(bad), param=bad.field)) from bad
        headers = {
            "content-type": "application/json",
            "outlast-request-id": asked.id,
            "outlast-estimated": "true",
        }
        return Reply(200, headers, msgspec.json.encode({"input_tokens": tokens}))

    def observe(self, observed: Observe) -> None:
        """Learn from how an attempt ended, and tell others."""
        self.learn(observed)
        self._publish(observed)

    def _publish_well(self, candidate: Candidate, ended: Sequence[Ended]) -> None:
        name, ok = candidate.name, Outcome.OK
        for at, took_s in ended:
            observation = Observation(at, "attempt", name, ok, latency_s=took_s)
            self._publish(Observe(candidate, observation))

    def _record_plain(self, kept: Sequence[Kept]) -> None:
        for _, record, _ in kept:
            self._record(msgspec.msgpack.decode(record, type=Receipt))

    def learn(self, observed: Observe) -> None:
        """Let breakers, connectivity and metrics know how an attempt ended."""
        self.state.observe(observed, self._clock.monotonic())
        if observed.signed or observed.refused:
            account = account_of(observed.candidate, self.state.settings)
            self.signatures.learn(observed.signed, observed.refused, account, self._clock.wall())
        self.metrics.observe(observed)

    def settle(self, receipt: Receipt) -> None:
        """Put an exchange on record: journal, metrics, log."""
        self._record(receipt)
        self.metrics.settle(receipt)
        # What went as it should is in its receipt; only what did not is worth a line to everybody.
        smooth = receipt.outcome == "ok" and len(receipt.attempts) == 1
        if smooth and not self.chatty:
            return
        tell = _log.debug if smooth else _log.info
        tell(
            "exchange",
            id=receipt.id,
            key=receipt.key_id,
            surface=receipt.surface,
            model=receipt.model,
            outcome=receipt.outcome,
            status=receipt.status,
            served_by=receipt.served_by,
            degraded=receipt.degraded.value,
            attempts=[f"{a.upstream}: {a.outcome.value}" for a in receipt.attempts],
            took_s=round(receipt.ended_at - receipt.started_at, 3),
        )

    def refusal(self, surface: Surface, refused: Refused, request_id: str) -> Reply:
        """Return a refusal in the dialect of the path."""
        codec = surface.codecs[surface.format]
        headers = {"outlast-request-id": request_id, **refused.headers}
        if refused.error.status in {400, 401, 404, 413, 415}:
            headers["x-should-retry"] = "false"
        return verdicts.reply(codec, refused.error, request_id, headers)


def _only_native(plan: Plan, surface: Surface) -> Plan:
    """Keep the candidates that have this endpoint themselves; it cannot be translated."""
    kinds = {Kind.ANTHROPIC}
    if surface.format is not Format.ANTHROPIC:
        kinds = {Kind.OPENAI_CHAT, Kind.OPENAI_RESPONSES}
    native = Kind(surface.format.value)
    candidates = tuple(
        msgspec.structs.replace(candidate, kind=native)
        for candidate in plan.candidates
        if candidate.kind in kinds
    )
    return msgspec.structs.replace(plan, candidates=candidates)


def notice_of(headers: dict[str, str], body: bytes, usual: str) -> str:
    """Return the language of visible notices; never between tools.

    The header `outlast-notice` (`en`, `fr`, `off`) wins over the key's, and that over the
    route's.
    """
    if usual == "off" and "outlast-notice" not in headers:
        return ""
    wished = headers.get("outlast-notice", usual).strip().lower()[:2]
    return wished if wished in LANGUAGES and b'"tools"' not in body else ""


def check_encoding(headers: Mapping[str, str]) -> None:
    """Raises Refused for a body that is compressed."""
    if "content-encoding" not in headers:
        return
    encoding = headers["content-encoding"].lower()
    if encoding not in {"", "identity"}:
        words = f"A body in content-encoding {encoding[:40]!r} cannot be read: send it plain."
        raise Refused(ApiError(415, words))


def too_large(limit_bytes: int) -> Refused:
    words = (
        f"The request is larger than {limit_bytes / (1 << 20):.0f} MiB, the limit of this "
        "service (`server.body_limit_bytes`). Send fewer or smaller images or documents."
    )
    return Refused(ApiError(413, words), {"connection": "close"})


def too_late(read_s: float) -> Refused:
    words = f"The request's body did not arrive within {read_s:.0f} s."
    return Refused(ApiError(408, words), {"connection": "close"})


def new_id() -> str:
    """Return a request's id: 96 random bits."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """Return as many ids."""
    text = os.urandom(12 * count).hex()
    return [f"req_{text[at : at + 24]}" for at in range(0, len(text), 24)]


async def authenticate(roster: Roster, headers: dict[str, str]) -> Key:
    """Return the key that the credential headers name. Raises Refused (401)."""
    secret = secret_of(headers)
    key = roster.authenticate(secret) or await roster.authenticate_fresh(secret)
    if key is None:
        raise unknown_key(secret)
    return key


def secret_of(headers: Mapping[str, str]) -> str:
    """Return the secret that came with a request. Raises Refused (401).

    Anthropic's clients send `x-api-key`, OpenAI's `authorization: Bearer`, some both.
    """
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    bearer = bearer.strip() if scheme.lower() == "bearer" else ""
    own = headers.get("x-api-key", "").strip()
    if bearer and own and bearer != own:
        words = (
            "Two different keys came with this request, in `authorization` and in `x-api-key`. "
            "Send one of them, or the same in both."
        )
        raise Refused(ApiError(401, words))
    secret = bearer or own
    if not secret:
        words = (
            "No API key came with this request. Send `authorization: Bearer ol_…` or "
            "`x-api-key: ol_…`; `outlast key create` makes one."
        )
        raise Refused(ApiError(401, words), {"www-authenticate": "Bearer"})
    return secret


def unknown_key(secret: str) -> Refused:
    try:
        parse_key(secret)
        words = "This API key is not known here, or was revoked."
    except BadKey as bad:
        words = str(bad)
    words += " `outlast key list` shows the keys, `outlast key create` makes one."
    return Refused(ApiError(401, words), {"www-authenticate": "Bearer"})
