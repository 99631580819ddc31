"""Any failure before the first content moves on unseen: the SDK hears one whole, true answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outlast.config import RetrySettings, TimeoutSettings
from outlast.nouns import Outcome
from outlast.simulator import Fault, FaultKind, Script, ToolPart, Vendor
from tests.sdks.asking import hear, question, said_as
from tests.sdks.house import (
    FORMATS,
    KINDS,
    MODELS,
    NEXT,
    PATHS,
    PLAIN,
    House,
    candidate,
    direct_routes,
    open_house,
    with_sdks,
)
from tests.sdks.test_tools import tools_of
from tests.service import route, serving, settings, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

K = FaultKind

OTHER = {"anthropic": "responses", "chat": "anthropic", "responses": "chat"}
PAIRS = [*((name, name) for name in FORMATS), *OTHER.items()]
"""(surface, first vendor): each surface over its own format, and over one other."""
SOME = [
    *((surface, first, True) for surface, first in PAIRS),
    *((name, name, False) for name in FORMATS),
]

AT_THE_DOOR: dict[str, tuple[Fault, Outcome]] = {
    "refuse": (Fault(K.REFUSE), Outcome.CONNECT_FAILED),
    "reset": (Fault(K.RESET), Outcome.BROKEN_STREAM),
    "closed before the head": (Fault(K.EOF, where="before_head"), Outcome.BROKEN_STREAM),
    "401": (Fault(K.STATUS, status=401), Outcome.AUTH),
    "402": (Fault(K.STATUS, status=402), Outcome.RATE_LIMITED),
    "403": (Fault(K.STATUS, status=403), Outcome.AUTH),
    "404 model": (Fault(K.STATUS, status=404, variant="model_not_found"), Outcome.SERVER_ERROR),
    "408": (Fault(K.STATUS, status=408), Outcome.TIMEOUT),
    "409": (Fault(K.STATUS, status=409), Outcome.SERVER_ERROR),
    "429": (Fault(K.STATUS, status=429, retry_after_s=30), Outcome.RATE_LIMITED),
    "429 quota": (
        Fault(K.STATUS, status=429, variant="insufficient_quota"),
        Outcome.RATE_LIMITED,
    ),
    "400 empty balance": (
        Fault(K.STATUS, status=400, variant="credit_balance"),
        Outcome.RATE_LIMITED,
    ),
    "500": (Fault(K.STATUS, status=500), Outcome.SERVER_ERROR),
    "502 page": (Fault(K.STATUS, status=502, html=True), Outcome.SERVER_ERROR),
    "503": (Fault(K.STATUS, status=503), Outcome.OVERLOADED),
    "504": (Fault(K.STATUS, status=504), Outcome.TIMEOUT),
    "529": (Fault(K.STATUS, status=529), Outcome.OVERLOADED),
    "200 page": (Fault(K.CONTENT_TYPE, html=True), Outcome.SERVER_ERROR),
}
INSIDE: dict[str, tuple[Fault, Outcome]] = {
    "overloaded": (
        Fault(K.STREAM_ERROR, status=529, where="before_content"),
        Outcome.OVERLOADED,
    ),
    "error 500": (Fault(K.STREAM_ERROR, status=500, where="before_content"), Outcome.SERVER_ERROR),
    "cut": (Fault(K.CUT, where="before_content"), Outcome.BROKEN_STREAM),
    "cut after the head": (Fault(K.CUT, where="after_head"), Outcome.BROKEN_STREAM),
    "closed": (Fault(K.CUT, where="before_content", how="close"), Outcome.BROKEN_STREAM),
    "clean end": (Fault(K.EOF, where="before_content"), Outcome.BROKEN_STREAM),
    "clean end after the head": (Fault(K.EOF, where="after_head"), Outcome.BROKEN_STREAM),
    "garbage": (Fault(K.GARBAGE, where="before_content"), Outcome.BROKEN_STREAM),
    "malformed": (Fault(K.MALFORMED, where="before_content"), Outcome.BROKEN_STREAM),
    "content type": (Fault(K.CONTENT_TYPE, content_type="text/plain"), Outcome.SERVER_ERROR),
}
ONLY_WHOLE: dict[str, tuple[Fault, Outcome]] = {
    "truncated": (Fault(K.TRUNCATED_JSON), Outcome.BROKEN_STREAM),
    "malformed": (Fault(K.MALFORMED), Outcome.BROKEN_STREAM),
    "content length": (Fault(K.CONTENT_LENGTH), Outcome.BROKEN_STREAM),
    "cut": (Fault(K.CUT, where="text"), Outcome.BROKEN_STREAM),
}


async def moves_on(
    house: House, surface: str, first: str, script: Script, body: dict[str, Any], *, stream: bool
) -> Outcome:
    """Ask; check that the second vendor gave the whole answer. Return how the first one failed."""
    second = NEXT[first]
    house.vendors[first].script = script
    truth = house.truth(surface, body) if first != surface else None
    heard = await hear(house, surface, body, stream=stream)
    house.vendors[first].script = PLAIN
    truth = truth or house.truth(surface, body)
    assert heard.text == truth.text
    assert [call.arguments for call in heard.calls] == [_decoded(c) for c in truth.calls]
    assert heard.stop == said_as(surface, truth.stop)
    head = house.headers
    assert head["outlast-served-by"] == second
    assert (head["outlast-attempts"], head["outlast-model"]) == ("2", MODELS[second])
    same = MODELS[first] == MODELS[second]
    assert head["outlast-degraded"] == ("other-host" if same else "other-model")
    receipt = await house.receipt()
    failed, served = receipt.attempts
    assert (failed.upstream, served.upstream, served.outcome) == (first, second, Outcome.OK)
    assert failed.evidence
    assert receipt.outcome == "ok"
    return failed.outcome


def _decoded(call: Any) -> Any:
    return msgspec.json.decode(call.arguments)


@pytest.mark.parametrize(("surface", "first", "stream"), SOME)
@pytest.mark.parametrize("fault", AT_THE_DOOR)
async def test_a_vendor_that_fails_at_the_door_is_not_noticed(
    house: House, fault: str, surface: str, first: str, stream: bool
) -> None:
    row, outcome = AT_THE_DOOR[fault]
    if fault == "200 page" and not stream:
        outcome = Outcome.BROKEN_STREAM  # without a stream, what counts is that it is not JSON
    body = question(surface, f"{first}-then-{NEXT[first]}", "Hello [[chars=80]]")
    script = Script(seed=1, faults=(row,))
    assert await moves_on(house, surface, first, script, body, stream=stream) == outcome


@pytest.mark.parametrize(("surface", "first"), PAIRS)
@pytest.mark.parametrize("fault", INSIDE)
async def test_a_stream_that_fails_inside_its_200_is_not_noticed(
    house: House, fault: str, surface: str, first: str
) -> None:
    row, outcome = INSIDE[fault]
    body = question(surface, f"{first}-then-{NEXT[first]}", "Hello [[chars=80]]")
    script = Script(seed=1, faults=(row,))
    assert await moves_on(house, surface, first, script, body, stream=True) == outcome


@pytest.mark.parametrize(("surface", "first"), PAIRS)
@pytest.mark.parametrize("fault", ONLY_WHOLE)
async def test_a_whole_answer_that_is_not_whole_is_not_noticed(
    house: House, fault: str, surface: str, first: str
) -> None:
    row, outcome = ONLY_WHOLE[fault]
    body = question(surface, f"{first}-then-{NEXT[first]}", "Hello [[chars=80]]")
    script = Script(seed=1, faults=(row,))
    assert await moves_on(house, surface, first, script, body, stream=False) == outcome


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("where", ["before_head", "before_content"])
async def test_a_vendor_that_stands_still_is_left_in_time(
    house: House, where: Any, stream: bool
) -> None:
    """All nine directions at once, so that the waiting is done once."""
    script = Script(seed=1, faults=(Fault(K.STALL, where=where),))
    for first in FORMATS:
        house.play(PLAIN)
        house.vendors[first].script = script
        bodies = {
            surface: question(surface, f"{first}-then-{NEXT[first]}", "Hello [[chars=80]]")
            for surface in FORMATS
        }
        heard = await asyncio.gather(
            *(hear(house, surface, body, stream=stream) for surface, body in bodies.items())
        )
        house.play(PLAIN)
        for (surface, body), answer in zip(bodies.items(), heard, strict=True):
            assert answer.text == house.truth(surface, body).text
        for head in house.heads[-3:]:
            assert head["outlast-served-by"] == NEXT[first]


CALLS = (
    ToolPart(name="write", arguments={"path": "a", "content": "é" * 40}),
    ToolPart(name="write", arguments={"path": "b", "content": "x" * 40}),
)
IN_A_CALL = {
    "cut": Fault(K.CUT, where="tool", after_share=0.3),
    "clean end": Fault(K.EOF, where="tool", after_share=0.2),
    "error": Fault(K.STREAM_ERROR, status=529, where="tool", after_share=0.4),
    "half": Fault(K.HALF_TOOL),
    "malformed": Fault(K.MALFORMED, where="tool", after_share=0.1),
    "stall": Fault(K.STALL, where="tool", after_share=0.1),
}
"""All in the first call: after a whole one the client may act on that (test_after_content.py)."""


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("surface", FORMATS)
@pytest.mark.parametrize("fault", IN_A_CALL)
async def test_a_call_that_breaks_is_never_seen_half(
    house: House, fault: str, surface: str, first: str
) -> None:
    """Finding 3 of continuity.md: a call without its last argument is a complete-looking one."""
    calls = CALLS[:1] if fault == "half" else CALLS
    house.play(Script(seed=1, answers=(calls,)))
    tools = tools_of(surface, write={"type": "object"})
    body = question(surface, f"{first}-then-{NEXT[first]}", "Go.", tools=tools)
    broken = Script(seed=1, answers=(calls,), faults=(IN_A_CALL[fault],))
    house.vendors[first].script = broken
    heard = await hear(house, surface, body, stream=True)
    assert [call.arguments for call in heard.calls] == [part.arguments for part in calls]
    assert heard.stop == said_as(surface, "tool_use")
    assert house.headers["outlast-served-by"] == NEXT[first]
    assert house.headers["outlast-attempts"] == "2"


@pytest.mark.parametrize("surface", ["anthropic", "responses"])
async def test_thinking_that_breaks_is_never_seen_half(house: House, surface: str) -> None:
    script = Script(seed=1, show_reasoning=True, faults=(Fault(K.CUT, where="thinking"),))
    think: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    if surface == "responses":
        think = {"reasoning": {"effort": "medium", "summary": "auto"}}
    house.play(Script(seed=1, show_reasoning=True))
    body = question(surface, f"{surface}-then-chat", "Think [[chars=80]]", **think)
    truth = house.truth(surface, body)
    house.vendors[surface].script = script
    heard = await hear(house, surface, body, stream=True)
    assert (heard.text, heard.thinking) == (truth.text, truth.thinking)
    assert house.headers["outlast-served-by"] == "chat"


@pytest.mark.parametrize("surface", ["anthropic", "chat"])
async def test_a_stream_whose_last_word_is_missing_is_whole_and_ends_well(
    house: House, surface: str
) -> None:
    """The model said why it stopped; what is missing is the format's own formula. (The last event
    of Responses is the one that says why.)"""
    where = Fault(K.CUT, where="end")
    house.play(Script(seed=1, faults=(where,)))
    body = question(surface, f"to-{surface}", "Hello [[chars=80]]")
    truth = house.truth(surface, body)
    heard = await hear(house, surface, body, stream=True)
    assert (heard.text, heard.stop) == (truth.text, said_as(surface, "end_turn"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("surface", FORMATS)
async def test_an_untrusted_or_broken_tls_moves_on_unseen(
    tmp_path: Path, surface: str, stream: bool
) -> None:
    kind = KINDS[surface]
    broken = Script(seed=1, tls=True, faults=(Fault(K.TLS, requests="1"),))
    async with Vendor(broken) as secure, Vendor(PLAIN) as plain:
        chosen = settings(
            tmp_path,
            [
                upstream("broken", kind, secure.url, ca_file=str(secure.ca_file)),
                upstream("untrusted", kind, secure.url),
                upstream("plain", kind, plain.url),
            ],
            [route("m", "broken", "untrusted", "plain"), route("tls", "broken")],
        )
        async with (
            serving(chosen) as running,
            with_sdks(running, {surface: plain}) as house,
        ):
            heard = await hear(house, surface, question(surface, "m", "Hi"), stream=stream)
            assert heard.text == house.truth(surface, question(surface, "m", "Hi")).text
            receipt = await house.receipt()
            assert [a.outcome for a in receipt.attempts] == [
                Outcome.CONNECT_FAILED,
                Outcome.CONNECT_FAILED,
                Outcome.OK,
            ]
            assert all("TLS" in a.evidence for a in receipt.attempts[:2])
            # And with the certificate that it was told to trust, TLS works.
            secure.script = Script(seed=1, tls=True)
            again = await hear(house, surface, question(surface, "tls", "Hi"), stream=stream)
            assert again.text == heard.text


@pytest.mark.parametrize("surface", FORMATS)
async def test_while_nobody_answers_the_client_hears_signs_of_life(
    tmp_path: Path, surface: str
) -> None:
    """Slow first vendor, then a slow second one: keep-alives commit to nothing but a 200."""
    timeouts = TimeoutSettings(
        keepalive_after_s=0.05, keepalive_every_s=0.05, first_byte_s=1.0, stall_s=1.0, whole_s=1.0
    )
    routes = [*direct_routes(), route("slow", candidate(surface), candidate(NEXT[surface]))]
    retry = RetrySettings(same_upstream_max=0)
    async with open_house(tmp_path, routes, timeouts=timeouts, retry=retry) as house:
        still = Script(seed=1, faults=(Fault(K.STALL, where="before_head"),))
        house.vendors[surface].script = still
        body = question(surface, "slow", "Hello [[chars=80]]")
        reply = await house.post(PATHS[surface], {**body, "stream": True})
        assert reply.status == 200
        assert reply.whole
        signs = b"event: ping\n" if surface == "anthropic" else b":"
        assert reply.body.startswith(signs)
        assert reply.body.count(signs) >= 3
        assert "outlast-served-by" not in reply.headers
        heard = await hear(house, surface, body, stream=True)
        house.vendors[surface].script = PLAIN
        assert heard.text == house.truth(surface, body).text
        receipt = await house.receipt()
        assert receipt.served_by == candidate(NEXT[surface])
        # A caller who wants a whole answer hears nothing before it.
        house.vendors[surface].script = still
        whole = await house.post(PATHS[surface], body)
        assert whole.headers["content-type"] == "application/json"
        assert whole.json()


@pytest.mark.parametrize("surface", FORMATS)
async def test_if_all_fail_after_a_sign_of_life_it_is_said_in_band(
    tmp_path: Path, surface: str
) -> None:
    timeouts = TimeoutSettings(keepalive_after_s=0.05, first_byte_s=1.0, stall_s=1.0)
    retry = RetrySettings(same_upstream_max=0)
    async with open_house(tmp_path, direct_routes(), timeouts=timeouts, retry=retry) as house:
        house.play(Script(seed=1, faults=(Fault(K.STALL, where="before_head"),)))
        body = question(surface, f"to-{surface}", "Hello", stream=True)
        reply = await house.post(PATHS[surface], body)
        assert (reply.status, reply.whole) == (200, False)
        assert b"No upstream could answer" in reply.body
        with pytest.raises(Exception, match="No upstream could answer"):
            await hear(house, surface, question(surface, f"to-{surface}", "Hello"), stream=True)
