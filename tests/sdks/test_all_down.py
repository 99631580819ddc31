"""Nobody can answer: a real status, a truthful body in the caller's dialect, and when to return."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

from outlast.config import RetrySettings, TimeoutSettings
from outlast.simulator import Fault, FaultKind, Script
from tests.raw import Reply, ask
from tests.sdks.asking import hear, question
from tests.sdks.house import (
    FORMATS,
    NEXT,
    PATHS,
    UNBREAKABLE,
    House,
    direct_routes,
    failover_routes,
    open_house,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
surfaces = pytest.mark.parametrize("surface", FORMATS)


def down(status: int = 529, **more: Any) -> Script:
    return Script(seed=1, faults=(Fault(FaultKind.STATUS, status=status, **more),))


def error_of(surface: str, body: Any) -> dict[str, Any]:
    """Check the dialect's shape and return its inner error."""
    error: dict[str, Any] = body["error"]
    if surface == "anthropic":
        assert body["type"] == "error"
        assert body["request_id"].startswith("req_")
        assert set(error) >= {"type", "message"}
    else:
        assert set(error) == {"message", "type", "param", "code"}
    return error


@surfaces
@streamed
async def test_all_down_is_a_real_status_with_the_whole_story(
    house: House, surface: str, stream: bool
) -> None:
    house.play(down(529))
    first, second = surface, NEXT[surface]
    model = f"{first}-then-{second}"
    reply = await house.post(PATHS[surface], question(surface, model, "Hi", stream=stream))
    assert reply.status == (529 if surface == "anthropic" else 503)
    assert reply.headers["content-type"] == "application/json"
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    error = error_of(surface, reply.json())
    if surface == "anthropic":
        assert error["type"] == "overloaded_error"
    assert first in error["message"]
    assert second in error["message"]
    assert "HTTP 529" in error["message"]
    assert f"Try again in {reply.headers['retry-after']} s" in error["message"]
    assert reply.headers["outlast-attempts"] == "2"
    house.heads.append(reply.headers)
    receipt = await house.receipt()
    assert (receipt.outcome, receipt.status, receipt.served_by) == ("exhausted", reply.status, "")
    assert [one.outcome for one in receipt.attempts] == ["overloaded", "overloaded"]


@surfaces
@streamed
async def test_the_sdk_raises_what_it_raises_for_an_overloaded_vendor(
    house: House, surface: str, stream: bool
) -> None:
    house.play(down(529))
    body = question(surface, f"to-{surface}", "Hi")
    with pytest.raises((anthropic.APIStatusError, openai.InternalServerError)) as caught:
        await hear(house, surface, body, stream=stream)
    error: Any = caught.value
    if surface == "anthropic":
        assert type(error).__name__ == "OverloadedError"
    assert error.request_id == house.headers["outlast-request-id"]


@surfaces
async def test_a_refused_port_everywhere_is_told_as_that(house: House, surface: str) -> None:
    house.play(Script(seed=1, faults=(Fault(FaultKind.REFUSE),)))
    model = f"{surface}-then-{NEXT[surface]}"
    reply = await house.post(PATHS[surface], question(surface, model, "Hi"))
    assert reply.status == (529 if surface == "anthropic" else 503)
    assert "connection refused" in error_of(surface, reply.json())["message"]


@surfaces
async def test_our_own_bad_credentials_are_never_told_as_the_callers(
    house: House, surface: str
) -> None:
    house.play(down(401))
    reply = await house.post(PATHS[surface], question(surface, f"to-{surface}", "Hi"))
    assert reply.status == 502
    assert reply.headers["x-should-retry"] == "false"
    assert "Your key is fine" in error_of(surface, reply.json())["message"]
    assert "secret-of" not in reply.body.decode()


@surfaces
@streamed
async def test_a_rate_limit_of_the_only_vendor_comes_with_its_waiting_time(
    house: House, surface: str, stream: bool
) -> None:
    house.play(down(429, retry_after_s=17))
    reply = await house.post(
        PATHS[surface], question(surface, f"to-{surface}", "Hi", stream=stream)
    )
    assert (reply.status, reply.headers["retry-after"]) == (429, "17")
    error = error_of(surface, reply.json())
    assert "rate limit" in error["message"]
    assert "rate_limit" in f"{error['type']} {error.get('code')}"


@surfaces
@streamed
async def test_a_callers_mistake_comes_back_as_the_vendor_said_it(
    house: House, surface: str, stream: bool
) -> None:
    """Byte for byte, and the second vendor is never asked."""
    body = question(surface, f"{surface}-then-{NEXT[surface]}", "Hi", stream=stream)
    house.play(down(400, message="thinking.budget: « odd »  is\twrong"))
    reply = await house.post(PATHS[surface], body)
    (asked,) = house.asked(surface)
    straight = await _straight(house, surface, asked.raw)
    assert reply.status == straight.status == 400
    assert _without_ids(reply.body) == _without_ids(straight.body)
    assert "« odd »" in error_of(surface, reply.json())["message"]
    assert not house.asked(NEXT[surface])
    name = "request-id" if surface == "anthropic" else "x-request-id"
    assert reply.headers[name] != reply.headers["outlast-request-id"]


async def _straight(house: House, surface: str, raw: bytes) -> Reply:
    return await ask(house.vendors[surface].url, "POST", PATHS[surface], {}, raw)


def _without_ids(body: bytes) -> bytes:
    """The vendor numbers its answers."""
    return re.sub(rb"req_[0-9a-f]+", b"req_", body)


@pytest.mark.parametrize("target", FORMATS)
@surfaces
async def test_a_callers_mistake_at_another_vendor_is_told_in_the_callers_dialect(
    house: House, surface: str, target: str
) -> None:
    house.play(down(400, message="this is odd"))
    reply = await house.post(PATHS[surface], question(surface, f"to-{target}", "Hi"))
    assert reply.status == 400
    error = error_of(surface, reply.json())
    assert error["message"] == "this is odd"
    assert error["type"] == "invalid_request_error"


@surfaces
async def test_a_prompt_that_is_too_long_says_so_in_the_words_that_tools_know(
    house: House, surface: str
) -> None:
    """Claude Code compacts and tries again when it reads `prompt is too long`."""
    house.play(Script(seed=1, context_tokens=50))
    reply = await house.post(PATHS[surface], question(surface, "to-anthropic", "word " * 100))
    assert reply.status == 400
    assert "prompt is too long" in error_of(surface, reply.json())["message"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def patient_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One that asks the same vendor again where the vendor says when."""
    async with open_house(
        tmp_path_factory.mktemp("patient"),
        [*direct_routes(), *failover_routes()],
        timeouts=TimeoutSettings(keepalive_after_s=0.1, keepalive_every_s=0.1),
        retry=RetrySettings(same_upstream_max=1, retry_after_max_s=1),
        breaker=UNBREAKABLE,
    ) as made:
        yield made


@surfaces
async def test_a_short_rate_limit_of_the_only_vendor_is_waited_for(
    patient_house: House, surface: str
) -> None:
    patient_house.reset()
    limited = Fault(FaultKind.STATUS, status=429, retry_after_s=0.2, requests="1")
    patient_house.play(Script(seed=1, faults=(limited,)))
    body = question(surface, f"to-{surface}", "Hi [[chars=60]]")
    heard = await hear(patient_house, surface, body, stream=True)
    assert len(heard.text) == 60
    assert len(patient_house.asked(surface)) == 2
    receipt = await patient_house.receipt()
    assert [one.outcome for one in receipt.attempts] == ["rate_limited", "ok"]
    # Asked again no sooner than the vendor wanted.
    first, second = (asked.at_s for asked in patient_house.asked(surface))
    assert second - first >= 0.2
