"""Questions of our own: the clients' path, a receipt of their own, and breakers that learn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from outlast.config import BreakerSettings, TimeoutSettings
from outlast.gateway.breaker import State
from outlast.gateway.inward import KEY_ID, Heard, Inward
from outlast.nouns import Kind, Observation, Outcome, Scope
from outlast.simulator import Script, Vendor
from outlast.simulator.script import Fault, FaultKind, text
from tests.service import Running, route, serving, settings, upstream

COUNT = " ".join(str(number) for number in range(1, 21))
KINDS = {"a": Kind.ANTHROPIC, "c": Kind.OPENAI_CHAT, "r": Kind.OPENAI_RESPONSES}
WELL = Script(seed=1, answers=((text(COUNT),),), keys=tuple(f"secret-of-{n}" for n in KINDS))
QUICK = BreakerSettings(consecutive_failures=2, ejection_s=0.001, ramp_s=0)


class Place(msgspec.Struct):
    """A service, its vendor, and a way in."""

    running: Running
    vendor: Vendor
    inward: Inward

    async def ask(self, name: str = "a", limit_s: float = 10.0) -> Heard:
        return await self.inward.ask(name, "m", "Count!", max_tokens=64, limit_s=limit_s)

    def break_with(self, kind: FaultKind, **more: object) -> None:
        fault = Fault(kind, **more)  # type: ignore[arg-type]
        self.vendor.script = msgspec.structs.replace(WELL, faults=(fault,))

    def state(self, name: str = "a/m") -> State:
        service = self.running.service
        return service.state.breakers()[name].state(service.clock.monotonic())


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with Vendor(WELL) as vendor:
        chosen = settings(
            tmp_path,
            [upstream(name, kind, vendor.url) for name, kind in KINDS.items()],
            [route("m", *KINDS)],
            breaker=QUICK,
            timeouts=TimeoutSettings(connect_s=2),
        )
        async with serving(chosen) as running:
            service = running.service
            yield Place(running, vendor, Inward(service.gateway, service.network, service.clock))


@pytest.mark.parametrize("name", KINDS)
async def test_an_answer_is_heard_out_in_every_format(place: Place, name: str) -> None:
    heard = await place.ask(name)
    assert (heard.text, heard.stop) == (COUNT, "end_turn")
    observation = heard.observation
    assert (observation.source, observation.component) == ("probe", f"{name}/m")
    assert (observation.outcome, observation.scope) == (Outcome.OK, Scope.NONE)
    assert observation.id.startswith("probe/req_")
    assert 0 < observation.latency_s <= heard.took_s
    assert heard.tokens.output > 0


async def test_the_question_goes_to_one_upstream_and_fails_over_to_nobody(place: Place) -> None:
    place.break_with(FaultKind.STATUS, status=529)
    heard = await place.ask()
    assert (heard.observation.outcome, heard.text) == (Outcome.OVERLOADED, "")
    assert len(place.vendor.requests) == 1


async def test_a_probe_has_a_receipt_that_is_no_users(place: Place) -> None:
    heard = await place.ask()
    receipt_id = heard.observation.id.removeprefix("probe/")
    receipts = place.running.service.ledger
    found = await receipts.find(receipt_id, None)
    assert found is not None
    assert (found.key_id, found.outcome, found.served_by) == (KEY_ID, "ok", "a/m")
    assert not KEY_ID.startswith("key_")


async def test_what_a_probe_saw_is_not_published_as_an_attempt(place: Place) -> None:
    subscription = place.running.service.bus.subscribe("observations")
    await place.ask()
    place.running.service.bus.publish("observations", b"last")
    message = await anext(aiter(subscription))
    subscription.close()
    assert getattr(message, "value", None) == b"last"


@pytest.mark.parametrize(
    ("kind", "more", "outcome"),
    [
        pytest.param(FaultKind.STATUS, {"status": 429}, Outcome.RATE_LIMITED, id="429 is ours"),
        pytest.param(FaultKind.STATUS, {"status": 401}, Outcome.AUTH, id="401 is ours"),
        pytest.param(FaultKind.STATUS, {"status": 500}, Outcome.SERVER_ERROR, id="500"),
        pytest.param(
            FaultKind.CUT, {"where": "text"}, Outcome.BROKEN_STREAM, id="a stream that breaks off"
        ),
        pytest.param(
            FaultKind.EOF, {"where": "text"}, Outcome.BROKEN_STREAM, id="an end before the end"
        ),
        pytest.param(
            FaultKind.STREAM_ERROR, {"where": "text"}, Outcome.OVERLOADED, id="an error inside"
        ),
    ],
)
async def test_how_it_failed_is_told_as_for_any_client(
    place: Place, kind: FaultKind, more: dict[str, object], outcome: Outcome
) -> None:
    place.break_with(kind, **more)
    heard = await place.ask()
    assert heard.observation.outcome is outcome
    assert heard.observation.evidence


async def test_a_silent_upstream_is_left_at_the_limit(place: Place) -> None:
    place.break_with(FaultKind.STALL, where="before_head")
    heard = await place.ask(limit_s=0.1)
    assert (heard.observation.outcome, heard.network) == (Outcome.TIMEOUT, "unknown")


async def test_an_answer_that_drips_is_left_at_the_limit_and_counts_as_theirs(
    place: Place,
) -> None:
    place.break_with(FaultKind.SLOW, where="text", tokens_per_s=2)
    heard = await place.ask(limit_s=0.3)
    assert heard.observation.outcome is Outcome.TIMEOUT
    assert "not whole" in heard.observation.evidence


async def test_failures_of_probes_open_a_breaker_and_a_good_one_closes_it(place: Place) -> None:
    place.break_with(FaultKind.STATUS, status=529)
    await place.ask()
    await place.ask()
    assert place.state() is not State.CLOSED
    place.vendor.script = WELL
    # For a millisecond, on the real clock.
    while place.state() is State.OPEN:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert place.state() is State.HALF_OPEN
    await place.ask()
    assert place.state() is State.CLOSED


async def test_an_upstream_that_nobody_listens_at_refused_and_the_network_carries(
    place: Place,
) -> None:
    place.break_with(FaultKind.REFUSE)
    heard = await place.ask()
    assert (heard.observation.outcome, heard.network) == (Outcome.CONNECT_FAILED, "carried")


async def test_an_upstream_that_is_gone_from_the_settings_is_our_affair(place: Place) -> None:
    for heard in (await place.ask("gone"), await place.inward.models("gone", limit_s=1)):
        assert (heard.observation.outcome, heard.network) == (Outcome.OURS, "unknown")


async def test_a_question_that_is_cancelled_ends(place: Place) -> None:
    place.break_with(FaultKind.STALL, where="before_head")
    asking = asyncio.create_task(place.ask())
    async with asyncio.timeout(30):
        while not place.vendor.requests:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    asking.cancel()
    (heard,) = await asyncio.gather(asking, return_exceptions=True)
    left = isinstance(heard, Heard) and heard.observation.outcome is Outcome.LEFT
    assert left or isinstance(heard, asyncio.CancelledError)


# -- lists of models -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
async def test_the_list_of_models_needs_the_key_and_costs_nothing(place: Place, name: str) -> None:
    observation = (await place.inward.models(name, limit_s=5)).observation
    assert (observation.outcome, observation.evidence) == (Outcome.OK, "2 models listed")
    (request,) = place.vendor.requests
    assert (request.method, request.path) == ("GET", "/v1/models")


async def listed(place: Place, **script: object) -> Observation:
    place.vendor.script = msgspec.structs.replace(WELL, **script)
    return (await place.inward.models("c", limit_s=5)).observation


async def test_a_refused_key_is_ours_and_not_the_vendors(place: Place) -> None:
    assert (await listed(place, keys=("another",))).outcome is Outcome.AUTH


async def test_a_vendor_that_fails_at_its_list_fails(place: Place) -> None:
    overloaded = Fault(FaultKind.STATUS, status=503)
    assert (await listed(place, faults=(overloaded,))).outcome is Outcome.OVERLOADED


async def test_a_list_that_is_cut_is_a_broken_answer(place: Place) -> None:
    cut = Fault(FaultKind.TRUNCATED_JSON)
    assert (await listed(place, faults=(cut,))).outcome in {
        Outcome.SERVER_ERROR,
        Outcome.BROKEN_STREAM,
    }


# -- the network -----------------------------------------------------------------------------------


def hears(place: Place, provider: str, network: str) -> bool:
    place.inward.heard(provider, network)  # type: ignore[arg-type]
    return place.inward.offline()


async def test_two_silent_vendors_mean_that_we_are_offline_and_any_answer_ends_it(
    place: Place,
) -> None:
    assert not hears(place, "one", "silent")
    assert hears(place, "two", "silent")
    assert not hears(place, "three", "carried")
