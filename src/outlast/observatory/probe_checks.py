"""One probe of one target: connect, or ask, and say what was seen. Thin.

What is asked with a key goes through the gateway (`Inside`), the way of all clients. Certificates
are always checked, redirects never followed, bodies read up to a bound and thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from outlast.clock import Clock
from outlast.config import Settings
from outlast.network import days_left, fault_of, tls_context
from outlast.nouns import Observation, Outcome, Scope, Tokens
from outlast.observatory.probe_events import Seen
from outlast.observatory.probe_targets import (
    BRIEF_MAX_TOKENS,
    MAX_TOKENS,
    QUESTION,
    ProbeKind,
    Target,
    right,
)
from outlast.outcome import Fault, Network, Verdict, classify_fault, classify_status

PAGE_LIMIT_BYTES = 64 << 10
CONNECT_S = 10.0
GRACE_S = 5.0
"""How much later than its own limit a canary is given up from outside."""
HEAD_LIMIT_BYTES = 64 << 10
_HEADERS = {
    "accept": "text/html,application/json;q=0.9,*/*;q=0.8",
    "accept-encoding": "identity",
    "user-agent": "outlast-probe",
}


class Heard(Protocol):
    """What an upstream answered, as gateway/inward.py tells it."""

    @property
    def observation(self) -> Observation: ...
    @property
    def network(self) -> Network: ...
    @property
    def text(self) -> str: ...
    @property
    def stop(self) -> str: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def tokens_per_s(self) -> float | None: ...


class Inside(Protocol):
    """Asks our upstreams: gateway/inward.py."""

    async def ask(
        self, upstream: str, model: str, question: str, *, max_tokens: int, limit_s: float
    ) -> Heard: ...

    async def models(self, upstream: str, *, limit_s: float) -> Heard: ...


class Checks:
    """Call it with a target: it returns what was seen and raises nothing but a cancellation.

    `authorities`: certificates (PEM files) to trust by host besides the system's; for tests.
    """

    def __init__(
        self,
        settings: Settings,
        inside: Inside,
        clock: Clock,
        *,
        authorities: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._inside = inside
        self._clock = clock
        self._authorities = authorities or {}

    async def __call__(self, target: Target) -> Seen:
        at, began = self._clock.wall(), self._clock.monotonic()
        try:
            async with asyncio.timeout(target.limit_s + GRACE_S):
                return await self._check(target, at)
        except TimeoutError:
            verdict = Verdict(
                Outcome.TIMEOUT,
                Scope.PROVIDER,
                f"nothing came of it within {target.limit_s:.0f} s",
                network="unknown",
            )
        except Exception as error:
            verdict = classify_fault(Fault("internal", type(error).__name__))
        return _seen(at, verdict, self._clock.monotonic() - began)

    async def _check(self, target: Target, at: float) -> Seen:
        match target.kind:
            case ProbeKind.TCP | ProbeKind.TLS:
                return await self._connect(target, at)
            case ProbeKind.PAGE:
                return await self._page(target, at)
            case ProbeKind.MODELS:
                heard = await self._inside.models(target.upstream, limit_s=target.limit_s)
                return _asked(heard)
            case ProbeKind.CANARY:
                heard = await self._inside.ask(
                    target.upstream,
                    target.model,
                    QUESTION,
                    max_tokens=BRIEF_MAX_TOKENS if target.brief else MAX_TOKENS,
                    limit_s=target.limit_s,
                )
                return _answered(heard)

    # -- doors ----------------------------------------------------------------------------------

    async def _connect(self, target: Target, at: float) -> Seen:
        parts = urlsplit(target.url)
        host, secure = parts.hostname or "", target.kind is ProbeKind.TLS
        port = parts.port or (443 if secure else 80)
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(
                    host, port, ssl=self._trust(target) if secure else None
                )
        except (OSError, ValueError, TimeoutError) as error:
            return _seen(at, classify_fault(_fault(error)), self._clock.monotonic() - began)
        took_s = self._clock.monotonic() - began
        try:
            certificate = writer.get_extra_info("peercert")
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
        return _seen(at, _door(certificate, secure, self._clock.wall()), took_s)

    def _trust(self, target: Target) -> ssl.SSLContext:
        context = tls_context(self._settings, self._settings.upstreams.get(target.upstream))
        if extra := self._authorities.get(urlsplit(target.url).hostname or ""):
            context.load_verify_locations(extra)
        return context

    # -- pages ----------------------------------------------------------------------------------

    async def _page(self, target: Target, at: float) -> Seen:
        began = self._clock.monotonic()
        secure = target.url.startswith("https:")
        timeout = aiohttp.ClientTimeout(total=target.limit_s, connect=CONNECT_S)
        connector = aiohttp.TCPConnector(
            force_close=True, ssl=self._trust(target) if secure else True
        )
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                    max_line_size=HEAD_LIMIT_BYTES,
                    max_field_size=HEAD_LIMIT_BYTES,
                ) as session,
                session.get(
                    URL(target.url, encoded=True),
                    headers=_HEADERS,
                    timeout=timeout,
                    allow_redirects=False,
                ) as response,
            ):
                await _read(response)
                verdict = judged(target, response.status)
        except aiohttp.ConnectionTimeoutError as error:
            verdict = classify_fault(fault_of(error))
        except TimeoutError:
            words = f"no page within {target.limit_s:.0f} s"
            verdict = Verdict(Outcome.TIMEOUT, Scope.PROVIDER, words, network="unknown")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            verdict = classify_fault(fault_of(error))
        return _seen(at, verdict, self._clock.monotonic() - began)


def judged(target: Target, status: int) -> Verdict:
    """What a page's status says: alive, failing, or nothing.

    Edges turn programs away with 403 and 429, and a page that has moved answers 404: neither is
    an outage, and neither proves that all is well.
    """
    if status in target.answers or 300 <= status < 400:
        return Verdict(Outcome.OK, Scope.NONE, f"HTTP {status}")
    if status >= 500:
        return classify_status(status)
    words = f"HTTP {status}: it turns us away or has moved, which says nothing"
    return Verdict(Outcome.OURS, Scope.NONE, words)


async def _read(response: aiohttp.ClientResponse) -> None:
    """Read up to the bound: a page that breaks off inside is not served."""
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > PAGE_LIMIT_BYTES:
            return


def _door(certificate: object, secure: bool, now: float) -> Verdict:
    if not secure:
        return Verdict(Outcome.OK, Scope.NONE, "connected")
    days = days_left(certificate if isinstance(certificate, dict) else None, now)
    if days is None:
        return Verdict(Outcome.OK, Scope.NONE, "connected; the certificate was not checked")
    return Verdict(Outcome.OK, Scope.NONE, f"connected; certificate valid for {days:.0f} more days")


def _fault(error: BaseException) -> Fault:
    """A certificate that is refused says why: expired, for another name, of nobody known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault("tls", f"certificate refused: {error.verify_message}"[:160])
    return fault_of(error)


def _seen(at: float, verdict: Verdict, took_s: float) -> Seen:
    return Seen(
        at=at,
        outcome=verdict.outcome,
        scope=verdict.scope,
        network=verdict.network,
        latency_s=took_s,
        evidence=verdict.evidence,
    )


def _asked(heard: Heard) -> Seen:
    observation = heard.observation
    return Seen(
        at=observation.at,
        outcome=observation.outcome,
        scope=observation.scope,
        network=heard.network,
        latency_s=observation.latency_s,
        evidence=observation.evidence,
        id=observation.id,
    )


def _answered(heard: Heard) -> Seen:
    """A canary: what the exchange saw, and whether the answer was right."""
    observation = heard.observation
    cost = heard.tokens.input + heard.tokens.output
    seen = _asked(heard)
    if observation.outcome is not Outcome.OK:
        # An answer that broke off in the middle is paid for all the same.
        return _with(seen, tokens=cost if heard.text else 0)
    verdict = right(heard.text, heard.stop)
    words = [f"first token after {observation.latency_s:.2f} s"]
    if heard.tokens_per_s is not None:
        words.append(f"{heard.tokens_per_s:.0f} tokens/s")
    words.append({True: "right answer", False: "wrong answer", None: "answer not judged"}[verdict])
    return _with(seen, tokens=cost, right=verdict, evidence=", ".join(words))


def _with(seen: Seen, **changed: object) -> Seen:
    return msgspec.structs.replace(seen, **changed)
