"""`POST /api/reports`: anyone may say what works and what does not, without an account. Thin.

What is answered as counted was stored before. The answer says what others see. An address is used
for as long as it takes to hash it. Pages of other sites may post here by design (a widget on a
status page): CORS allows it for this path alone, without credentials, and there is nothing here
that a cookie or a login could open.
"""

from __future__ import annotations

import asyncio
import math
import secrets as chance
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

import msgspec
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from outlast.clock import Clock
from outlast.nouns import ComponentState, Incident, Observation
from outlast.observatory import report_texts as texts
from outlast.observatory.networks import (
    Groups,
    Network,
    Proxies,
    Table,
    groups_of,
    read_address,
)
from outlast.observatory.proof import LIFE_S, challenge
from outlast.observatory.report_answer import (
    STATUS,
    Answer,
    Error,
    Others,
    Refusal,
    Task,
    answer,
)
from outlast.observatory.report_body import BODY_LIMIT_BYTES, BadReport, Posted, read
from outlast.observatory.report_hashing import hashed, proven, receipt_label
from outlast.observatory.report_nouns import Decision, Report, Verdict
from outlast.observatory.reporting import Reporting
from outlast.observatory.words import Lang, language

log = structlog.get_logger(__name__)

PATH = "/api/reports"
DAY_S = 86_400.0
BODY_READ_S = 10.0
DRAIN_LIMIT_BYTES = 256 << 10
RECEIPT_READ_S = 1.0
RECEIPT_READS_MAX = 8
"""Look-ups of receipts at once: the database serves people's work first."""

Kept = Literal["kept", "known", "failed"]


class Secrets(Protocol):
    def pair(self, now: float) -> tuple[bytes, bytes | None]: ...


class Seen(Protocol):
    """What is said of components now; the Board."""

    @property
    def states(self) -> Mapping[str, ComponentState]: ...
    def incident(self, incident_id: str) -> Incident | None: ...


class Stream(Protocol):
    """The history."""

    durable: bool
    repeated: int

    def append(self, observation: Observation) -> bool: ...


def keeper(history: Stream) -> Callable[[Observation], Kept]:
    """Return how a report is stored: `kept` and `known` only if it outlives a kill -9.

    One that is known may be the very one that was not promised a moment ago: while the disk is
    full, its repetition is no more safe than it was.
    """

    def keep(observation: Observation) -> Kept:
        repeated = history.repeated
        new = history.append(observation)
        if not history.durable or not (new or history.repeated > repeated):
            return "failed"
        return "kept" if new else "known"

    return keep


Headers = list[tuple[bytes, bytes]]
Render = Callable[[Answer | Refusal, Lang], bytes]
"""A page for people whose browser runs no script."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How this service takes reports."""

    known: Callable[[], Mapping[str, frozenset[str]]]
    """Providers that are watched, with their watched models."""
    receipt: Callable[[str], Awaitable[bool | None]] | None = None
    """Whether that exchange ended well; None: there is no such receipt."""
    trusted: tuple[Network, ...] = ()
    after_form: str = "/"
    """Where a form's sender goes on, with `?reported=VERDICT&about=COMPONENT`; with `render` the
    page is the answer instead."""
    render: Render | None = None


class Asker(msgspec.Struct, frozen=True):
    """What of a request's head is looked at."""

    form: bool
    html: bool
    lang: Lang
    peer: str
    forwarded: str


class ReportEndpoint:
    """An ASGI application for PATH. Owned by one event loop, as `reporting` and `store` are."""

    def __init__(
        self,
        reporting: Reporting,
        store: Callable[[Observation], Kept],
        secrets: Secrets,
        seen: Seen,
        clock: Clock,
        options: Options,
    ) -> None:
        self.table: Table | None = None
        """Networks and their systems: set when it is read, which takes seconds."""
        self._reporting = reporting
        self._store = store
        self._secrets = secrets
        self._seen = seen
        self._clock = clock
        self._options = options
        self._known = options.known
        self._receipt = options.receipt
        self._proxies = Proxies(options.trusted)
        self._render = options.render
        self._looking = 0
        self._warned = False
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asker = _asker(scope)
        try:
            if scope["method"] == "OPTIONS":
                await _send(send, 204, b"", _PREFLIGHT)
                return
            if scope["method"] != "POST":
                raise _wrong_method(scope["method"])
            posted, after = read(await _body(receive), asker.form)
            told = await self._take(posted, asker)
        except BadReport as bad:
            await self._refuse(send, bad, asker)
        except ConnectionResetError:
            return
        else:
            await self._reply(send, told, asker, after or self._options.after_form)

    async def _take(self, posted: Posted, asker: Asker) -> Answer:
        """Hash, decide, store, and only then answer. Raises BadReport."""
        models = self._known().get(posted.provider)
        if models is None:
            raise texts.unknown_provider(list(self._known()))
        notes: list[dict[str, str]] = []
        model = posted.model
        if model and model not in models:
            model = ""
            notes.append(texts.NOTES["model"])
        ended_ok = await self._look_up(posted, notes) if posted.receipt else None
        now = self._clock.wall()
        pair = self._secrets.pair(now)
        if not self._reporting.carries(now - now % DAY_S):
            pair = (pair[0], None)
        report = hashed(posted, model, self._groups(asker), pair)
        if ended_ok is not None:
            shown = receipt_label(posted.receipt, pair)
            report = msgspec.structs.replace(report, receipt=shown, receipt_ok=ended_ok)
        if posted.proof:
            proof = proven(posted.proof, report, pair, now)
            report = msgspec.structs.replace(report, proof=proof)
            if proof is None:
                notes.append(texts.NOTES["proof"])
        decision = self._reporting.decide(report, now)
        if decision.observation is not None:
            kept = self._store(decision.observation)
            if kept == "failed":
                raise texts.not_kept()
            if kept == "kept":
                self._reporting.accept(decision, now)
            else:  # it came before, longer ago than voices are remembered
                decision = msgspec.structs.replace(decision, verdict=Verdict.AGAIN)
        told = self._answer(report, decision, asker.lang, now)
        if decision.verdict is Verdict.CHALLENGED:
            text = challenge(pair[0], report.reporter, chance.token_hex(8), now, decision.bits)
            task = Task(text, decision.bits, int(now + LIFE_S))
            return msgspec.structs.replace(told, notes=notes, challenge=task)
        return msgspec.structs.replace(told, notes=notes) if notes else told

    def _groups(self, asker: Asker) -> Groups:
        if asker.forwarded and not self._options.trusted:
            self._warn(asker.peer)
        return groups_of(self._proxies.client(asker.peer, asker.forwarded), self.table)

    def _answer(self, report: Report, decision: Decision, lang: Lang, now: float) -> Answer:
        name, window_s = report.component, self._reporting.limits.window_s
        counts = self._reporting.others(name, now, decision.reporter or report.reporter)
        state = self._seen.states.get(name)
        incident = self._seen.incident(state.incident) if state and state.incident else None
        return answer(decision, lang, Others(*counts, window_s), name, state, incident)

    async def _look_up(self, posted: Posted, notes: list[dict[str, str]]) -> bool | None:
        """Whether the receipt's exchange ended well; None, with a note, where it cannot help."""
        if self._receipt is None or self._looking >= RECEIPT_READS_MAX:
            notes.append(texts.NOTES["receipt_unchecked"])
            return None
        self._looking += 1
        try:
            async with asyncio.timeout(RECEIPT_READ_S):
                ended_ok = await self._receipt(posted.receipt)
        except Exception as error:  # a dead database must not keep anybody from reporting
            log.info("a report's receipt could not be looked up", reason=repr(error)[:200])
            notes.append(texts.NOTES["receipt_unchecked"])
            return None
        finally:
            self._looking -= 1
        if ended_ok is not posted.works:
            notes.append(texts.NOTES["receipt"])
            return None
        return ended_ok

    async def _reply(self, send: Send, told: Answer, asker: Asker, after: str) -> None:
        status, headers = STATUS[told.verdict], list(_HEADERS)
        if status == 429:
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(told.retry_after_s))))
        if not (asker.form and asker.html):
            await _send(send, status, self._encode(told), headers)
        elif self._render is not None:
            headers[0] = _HTML
            await _send(send, status, self._render(told, asker.lang), headers)
        else:
            join = "&" if "?" in after else "?"
            about = urlencode({"reported": told.verdict, "about": told.component}, safe="/")
            place = f"{after}{join}{about}".encode("ascii")
            await _send(send, 303, b"", [*headers, (b"location", place)])

    async def _refuse(self, send: Send, bad: BadReport, asker: Asker) -> None:
        refusal = Refusal(Error(bad.code, bad.field, bad.says[asker.lang], bad.says))
        headers = list(_HEADERS)
        if bad.status == 405:
            headers.append((b"allow", b"POST, OPTIONS"))
        if bad.status == 503:
            headers.append((b"retry-after", b"60"))
        if bad.status in {408, 413}:
            headers.append((b"connection", b"close"))
        if asker.form and asker.html:
            page = self._render(refusal, asker.lang) if self._render is not None else None
            headers[0] = _HTML if page is not None else _TEXT
            body = page if page is not None else bad.says[asker.lang].encode()
            await _send(send, bad.status, body, headers)
            return
        await _send(send, bad.status, self._encode(refusal), headers)

    def _warn(self, peer: str) -> None:
        """Say once that a proxy stands in front whom nobody told us to believe."""
        address = read_address(peer)
        if not self._warned and address is not None and not address.is_global:
            self._warned = True
            log.warning(
                "a proxy in front of this service names its clients, and is not believed: all "
                "reports through it count as one network. Put the proxy's network into "
                "observatory.trusted_proxies"
            )


class Ahead:
    """Middleware: reports go to their endpoint before any other path is looked at, for in a flood
    nearly all that comes are reports."""

    def __init__(self, app: ASGIApp, endpoint: ASGIApp) -> None:
        self._app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reports = scope["type"] == "http" and scope["path"] == PATH
        await (self._endpoint if reports else self._app)(scope, receive, send)


_HTML = (b"content-type", b"text/html; charset=utf-8")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"vary", b"accept-language"),
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
]
_PREFLIGHT: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type, accept-language"),
    (b"access-control-max-age", b"86400"),
]


def _asker(scope: Scope) -> Asker:
    kind = accept = preferred = forwarded = b""
    for name, value in scope["headers"]:
        match name:
            case b"content-type":
                kind = value
            case b"accept":
                accept = value
            case b"accept-language":
                preferred = value
            case b"x-forwarded-for":
                forwarded = forwarded + b"," + value if forwarded else value
    client = scope.get("client")
    return Asker(
        form=kind.lower().startswith(b"application/x-www-form-urlencoded"),
        html=b"text/html" in accept,
        lang=language(preferred[:200]),
        peer=client[0] if client else "",
        forwarded=forwarded.decode("latin-1"),
    )


async def _body(receive: Receive) -> bytes:
    """Read the body. Raises BadReport (408, 413) and ConnectionResetError.

    What is too large is read on for a while: who is cut off while writing never reads why.
    """
    body, size = b"", 0
    try:
        async with asyncio.timeout(BODY_READ_S):
            while size <= DRAIN_LIMIT_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionResetError
                chunk = message.get("body", b"")
                size += len(chunk)
                body = body + chunk if size <= BODY_LIMIT_BYTES else b""
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        words = {
            "en": f"The report did not arrive within {BODY_READ_S:.0f} s. Send it again.",
            "fr": f"Le signalement n’est pas arrivé en {BODY_READ_S:.0f} s. Renvoyez-le.",
        }
        raise BadReport(408, "late", words) from None
    if size > BODY_LIMIT_BYTES:
        raise _too_large()
    return body


def _too_large() -> BadReport:
    words = {
        "en": f"A report has at most {BODY_LIMIT_BYTES} bytes. Send its fields alone.",
        "fr": f"Un signalement fait au plus {BODY_LIMIT_BYTES} octets. N’envoyez que ses champs.",
    }
    return BadReport(413, "too_large", words)


def _wrong_method(method: str) -> BadReport:
    words = {
        "en": f"{PATH} takes POST, not {method[:20]}. GET /api/status shows what is known.",
        "fr": f"{PATH} attend POST, pas {method[:20]}. GET /api/status dit ce que l’on sait.",
    }
    return BadReport(405, "wrong_method", words)


async def _send(send: Send, status: int, body: bytes, headers: Headers) -> None:
    message: dict[str, Any] = {
        "type": "http.response.start",
        "status": status,
        "headers": [*headers, (b"content-length", b"%d" % len(body))],
    }
    await send(message)
    await send({"type": "http.response.body", "body": body, "more_body": False})
