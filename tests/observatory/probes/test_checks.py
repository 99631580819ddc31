"""Single probes against real servers on loopback: each way to be ill has its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from outlast.clock import SystemClock
from outlast.config import Settings, UpstreamSettings
from outlast.nouns import Kind, Observation, Outcome, Scope, Tokens
from outlast.observatory.probe_checks import Checks, judged
from outlast.observatory.probe_events import Seen
from outlast.observatory.probe_targets import (
    BRIEF_MAX_TOKENS,
    QUESTION,
    ProbeKind,
    Target,
    briefly,
)
from outlast.outcome import Network
from outlast.simulator import Script, Vendor
from outlast.simulator.script import Fault, FaultKind

COUNT = " ".join(str(number) for number in range(1, 21))


class Heard(msgspec.Struct, frozen=True):
    observation: Observation
    network: Network = "carried"
    text: str = COUNT
    stop: str = "end_turn"
    tokens: Tokens = Tokens(20, 40)
    tokens_per_s: float | None = 55.4


WELL = Observation(1.0, "probe", "u/m", Outcome.OK, latency_s=0.42, id="probe/req_1")


class Inside:
    """Stands where the gateway stands: answers what it was given."""

    def __init__(self, heard: Heard | None = None, error: Exception | None = None) -> None:
        self.heard = heard or Heard(WELL)
        self.error = error
        self.asked: list[Any] = []
        self.limits: list[int] = []

    async def ask(
        self, upstream: str, model: str, question: str, *, max_tokens: int, limit_s: float
    ) -> Heard:
        self.asked.append((upstream, model, question))
        self.limits.append(max_tokens)
        if self.error is not None:
            raise self.error
        return self.heard

    async def models(self, upstream: str, *, limit_s: float) -> Heard:
        self.asked.append(upstream)
        return self.heard


def checks(settings: Settings | None = None, inside: Inside | None = None, **more: Any) -> Checks:
    return Checks(settings or Settings(), inside or Inside(), SystemClock(), **more)


def target(kind: ProbeKind, url: str = "", **more: Any) -> Target:
    return Target(f"{kind} {url}", kind, "v/web", "v", url=url, **more)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def page(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/login"
    finally:
        await runner.cleanup()


# -- doors -----------------------------------------------------------------------------------------


async def test_an_open_port_is_reached_and_a_closed_one_is_not() -> None:
    async with Vendor(Script()) as vendor:
        seen = await checks()(target(ProbeKind.TCP, vendor.url))
        assert (seen.outcome, seen.evidence) == (Outcome.OK, "connected")
        vendor.script = Script(faults=(Fault(FaultKind.REFUSE),))
        seen = await checks()(target(ProbeKind.TCP, vendor.url))
    assert (seen.outcome, seen.scope) == (Outcome.CONNECT_FAILED, Scope.PROVIDER)
    assert seen.network == "carried"


async def test_a_name_that_does_not_exist_is_no_proof_of_a_network() -> None:
    seen = await checks()(target(ProbeKind.TCP, "http://nobody.invalid"))
    assert (seen.outcome, seen.network) == (Outcome.CONNECT_FAILED, "silent")


async def test_a_certificate_is_checked_and_its_days_are_evidence() -> None:
    async with Vendor(Script(tls=True)) as vendor:
        trusting = checks(authorities={"127.0.0.1": str(vendor.ca_file)})
        seen = await trusting(target(ProbeKind.TLS, vendor.url))
        assert seen.outcome is Outcome.OK
        assert seen.evidence in {
            f"connected; certificate valid for {days} more days" for days in (1, 2)
        }
        seen = await checks()(target(ProbeKind.TLS, vendor.url))
        assert seen.outcome is Outcome.CONNECT_FAILED
        assert "certificate refused: self-signed certificate" in seen.evidence


async def test_an_upstreams_own_authority_is_the_one_that_counts() -> None:
    async with Vendor(Script(tls=True)) as vendor:
        upstream = UpstreamSettings(
            name="u", kind=Kind.ANTHROPIC, base_url=vendor.url, ca_file=str(vendor.ca_file)
        )
        settings = Settings(upstreams={"u": upstream})
        seen = await checks(settings)(target(ProbeKind.TLS, vendor.url, upstream="u"))
    assert seen.outcome is Outcome.OK


async def test_a_handshake_that_fails_is_theirs() -> None:
    broken = Script(tls=True, faults=(Fault(FaultKind.TLS),))
    async with Vendor(broken) as vendor:
        seen = await checks()(target(ProbeKind.TLS, vendor.url))
    assert (seen.outcome, seen.network) == (Outcome.CONNECT_FAILED, "carried")
    assert seen.evidence.startswith("TLS failed")


# -- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(200, Outcome.OK, id="a page"),
        pytest.param(302, Outcome.OK, id="a redirect is an answer, and is not followed"),
        pytest.param(405, Outcome.OK, id="a token endpoint that wants a POST is in"),
        pytest.param(403, Outcome.OURS, id="an edge that turns programs away says nothing"),
        pytest.param(404, Outcome.OURS, id="a page that has moved says nothing"),
        pytest.param(429, Outcome.OURS, id="too many questions are our affair"),
        pytest.param(500, Outcome.SERVER_ERROR, id="an error of theirs"),
        pytest.param(503, Outcome.OVERLOADED, id="overloaded"),
        pytest.param(504, Outcome.TIMEOUT, id="nobody behind the edge"),
        pytest.param(529, Outcome.OVERLOADED, id="Anthropic's own word"),
    ],
)
def test_what_a_pages_status_says(status: int, outcome: Outcome) -> None:
    verdict = judged(target(ProbeKind.PAGE, answers=(200, 401, 405)), status)
    assert verdict.outcome is outcome
    assert str(status) in verdict.evidence


async def test_a_page_is_asked_once_without_a_credential_and_not_followed() -> None:
    asked: list[web.Request] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        raise web.HTTPFound("/elsewhere")

    async with page(handler) as url:
        seen = await checks()(target(ProbeKind.PAGE, url, answers=(200,)))
    assert (seen.outcome, seen.evidence) == (Outcome.OK, "HTTP 302")
    (request,) = asked
    assert request.path == "/login"
    assert not {"authorization", "cookie", "x-api-key"} & {n.lower() for n in request.headers}


async def test_a_page_without_end_is_read_up_to_the_bound() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            sent += 65536

    async with page(handler) as url:
        seen = await checks()(target(ProbeKind.PAGE, url, answers=(200,)))
    assert seen.outcome is Outcome.OK
    assert sent < 64 << 20


async def test_a_page_that_breaks_off_is_broken() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000"})
        await response.prepare(request)
        await response.write(b"<html>")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with page(handler) as url:
        seen = await checks()(target(ProbeKind.PAGE, url, answers=(200,)))
    assert seen.outcome is Outcome.BROKEN_STREAM


async def test_a_page_that_never_comes_is_a_time_out_and_proves_no_network() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with page(handler) as url:
        seen = await checks()(target(ProbeKind.PAGE, url, answers=(200,), limit_s=0.1))
    assert (seen.outcome, seen.network) == (Outcome.TIMEOUT, "unknown")


async def test_what_is_not_http_is_malformed() -> None:
    async def shout(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-box\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        seen = await checks()(target(ProbeKind.PAGE, f"http://127.0.0.1:{port}/", answers=(200,)))
    assert seen.outcome is Outcome.BROKEN_STREAM


# -- questions -------------------------------------------------------------------------------------


async def asked(inside: Inside, kind: ProbeKind = ProbeKind.CANARY) -> Seen:
    return await checks(inside=inside)(target(kind, upstream="u", model="m"))


async def test_a_canary_tells_its_speed_and_whether_it_was_right() -> None:
    inside = Inside()
    seen = await asked(inside)
    assert inside.asked == [("u", "m", QUESTION)]
    assert seen.evidence == "first token after 0.42 s, 55 tokens/s, right answer"
    assert (seen.right, seen.tokens, seen.latency_s) == (True, 60, 0.42)
    assert seen.id == "probe/req_1"


async def test_a_brief_canary_asks_for_fewer_words_and_is_judged_by_those_that_came() -> None:
    inside = Inside(Heard(WELL, text="1 2 3 4 5 6 7 8", stop="max_tokens"))
    canary = target(ProbeKind.CANARY, upstream="u", model="m", tokens=90)
    seen = await checks(inside=inside)(briefly(canary))
    assert inside.limits == [BRIEF_MAX_TOKENS]
    assert (seen.outcome, seen.right) == (Outcome.OK, None)


async def test_a_wrong_answer_is_seen_and_not_yet_judged() -> None:
    seen = await asked(Inside(Heard(WELL, text="banana")))
    assert (seen.outcome, seen.right) == (Outcome.OK, False)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("", 0, id="a refusal costs nothing"),
        pytest.param("1 2", 60, id="a torn answer does"),
    ],
)
async def test_a_failure_keeps_what_the_exchange_said_of_it(text: str, tokens: int) -> None:
    failed = msgspec.structs.replace(
        WELL, outcome=Outcome.OVERLOADED, scope=Scope.PROVIDER, evidence="HTTP 529"
    )
    seen = await asked(Inside(Heard(failed, text=text)))
    assert (seen.outcome, seen.scope, seen.evidence) == (
        Outcome.OVERLOADED,
        Scope.PROVIDER,
        "HTTP 529",
    )
    assert (seen.right, seen.tokens) == (None, tokens)


async def test_a_list_of_models_is_told_as_it_was_seen() -> None:
    inside = Inside(Heard(msgspec.structs.replace(WELL, evidence="3 models listed")))
    seen = await asked(inside, ProbeKind.MODELS)
    assert (inside.asked, seen.evidence, seen.tokens) == (["u"], "3 models listed", 0)


async def test_an_error_of_our_own_does_not_look_like_theirs() -> None:
    seen = await asked(Inside(error=RuntimeError("a secret")))
    assert (seen.outcome, seen.network) == (Outcome.OURS, "unknown")
    assert "RuntimeError" in seen.evidence
    assert "secret" not in seen.evidence
