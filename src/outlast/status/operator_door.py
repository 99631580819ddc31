"""Who may open the operators' pages: sign-in by the token, cookies, forms, tries. Default deny.

Every sign-in, every refusal and every sign-out is in the audit, with the network it came from and
never with what was typed as token; tries are limited for each network
(observatory/operator_gate.py).
"""

from __future__ import annotations

import hmac
import math
import secrets
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response

from outlast.clock import Clock
from outlast.observatory.operator_gate import NAME_LIMIT, Gate
from outlast.observatory.words import Lang
from outlast.status.operator_forms import Refused, Values, Wrong, first
from outlast.status.operator_session import Session, Sessions
from outlast.status.operator_texts import TEXTS
from outlast.status.stamps import clean

log = structlog.get_logger(__name__)

ROOT = "/operator"
COOKIE = "outlast_operator"
BEFORE = "outlast_operator_form"
"""The cookie that the sign-in form is bound to."""
BEFORE_S = 3600


class TooManyTries(Refused):
    """`wait_s`: until the next one is looked at."""

    def __init__(self, words: str, wait_s: float) -> None:
        super().__init__([Wrong(words)])
        self.wait_s = wait_s


class Door:
    """Owned by one event loop."""

    def __init__(self, gate: Gate, clock: Clock, *, base_url: str = "") -> None:
        """`base_url`: the public address."""
        self._gate = gate
        self._base = urlsplit(base_url)
        self._sessions = Sessions(gate.token, clock)
        self._key = secrets.token_bytes(32)

    def session(self, request: Request) -> Session | None:
        return self._sessions.find(request.cookies.get(COOKIE, ""))

    def session_of(self, cookie: str) -> Session | None:
        return self._sessions.find(cookie)

    def had_cookie(self, request: Request) -> bool:
        """Whether a session may have ended: what such a browser sends is worth keeping."""
        return bool(request.cookies.get(COOKIE) or request.cookies.get(BEFORE))

    def is_ours(self, request: Request) -> bool:
        """Whether a form was sent from a page of ours, as far as the browser says."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        if site not in {"same-origin", "none"}:
            return False
        known = {request.headers.get("host", ""), self._base.netloc} - {""}
        return origin is None or urlsplit(origin).netloc in known

    def may_send(self, session: Session, values: Values) -> bool:
        """Whether a form is of this session."""
        return hmac.compare_digest(_bytes(first(values, "csrf")), session.csrf.encode())

    def before(self, request: Request) -> tuple[str, str]:
        """The cookie that a sign-in form is bound to, and what the form has to send with it."""
        cookie = request.cookies.get(BEFORE, "")[:100] or secrets.token_urlsafe(24)
        return cookie, self._mark(cookie)

    async def sign_in(self, request: Request, values: Values, lang: Lang) -> str:
        """Return the cookie of a new session. Raises Refused."""
        t = TEXTS[lang]
        name = clean(first(values, "name"), NAME_LIMIT)
        bound = request.cookies.get(BEFORE, "")[:100]
        sent = _bytes(first(values, "csrf"))
        if not bound or not hmac.compare_digest(sent, _bytes(self._mark(bound))):
            raise Refused([Wrong(t["bad_form"])])
        if not name:
            raise Refused([Wrong(t["missing_name"], "name")])
        if not self._gate.token():
            raise Refused([Wrong(t["no_operator"])])
        network = self._gate.network(request)
        wait_s = self._gate.next_try_s(network)
        if wait_s > 0:
            log.warning("operator_sign_in_limited", name=name, network=network)
            raise TooManyTries(t["slower"].format(minutes=math.ceil(wait_s / 60)), wait_s)
        if not self._gate.token.is_token(first(values, "token").strip()):
            await self._gate.refused(name, "session.refused", network)
            raise Refused([Wrong(t["bad_token"], "token")])
        log.info("operator_signed_in", name=name, network=network)
        self._sessions.close(request.cookies.get(COOKIE, ""))  # one browser, one session
        await self._gate.write(name, "session.opened", network)
        return self._sessions.open(name)

    async def sign_out(self, request: Request) -> None:
        ended = self._sessions.close(request.cookies.get(COOKIE, ""))
        if ended is not None:
            await self._gate.write(ended.name, "session.closed", self._gate.network(request))

    def set_cookie(self, response: Response, request: Request, name: str, value: str) -> None:
        """Only for the operators' pages, out of reach of scripts and of other sites."""
        response.set_cookie(
            name,
            value,
            max_age=BEFORE_S if name == BEFORE else None,
            path=ROOT,
            secure=self._is_https(request),
            httponly=True,
            samesite="strict",
        )

    def drop_cookie(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path=ROOT, httponly=True, samesite="strict")

    def _mark(self, cookie: str) -> str:
        return hmac.new(self._key, _bytes(cookie), "sha256").hexdigest()

    def _is_https(self, request: Request) -> bool:
        """Whether the browser came by https: to us, or to the proxy in front of us. The header
        needs no trust: who invents it gets a stricter cookie."""
        host = request.headers.get("host", "")
        public = self._base.scheme == "https" and host == self._base.netloc
        proxied = request.headers.get("x-forwarded-proto", "").lower() == "https"
        return request.url.scheme == "https" or public or proxied


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
