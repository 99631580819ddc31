"""The task that probes, with a real clock and checks that answer when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from outlast.clock import SystemClock
from outlast.config import ObservatorySettings
from outlast.gateway.inward import Inward
from outlast.nouns import Kind, Observation, Outcome, Scope
from outlast.observatory.probe_checks import Checks
from outlast.observatory.probe_events import Seen
from outlast.observatory.probe_targets import ProbeKind, Target, targets_of
from outlast.observatory.prober import Prober
from outlast.observatory.probing import Pace
from outlast.simulator import Script, Vendor
from outlast.simulator.script import Fault, FaultKind
from tests.service import route, serving, settings, upstream

WEB = Target("web", ProbeKind.PAGE, "a/web", "a")
OTHER = Target("other", ProbeKind.PAGE, "b/web", "b")
HERE = msgspec.structs.replace(OTHER, name="box", remote=False)
OK = Seen(1.0, Outcome.OK)


class Desk:
    """Where checks are answered, and results arrive."""

    def __init__(self) -> None:
        self.running: asyncio.Queue[tuple[Target, asyncio.Future[Seen]]] = asyncio.Queue()
        self.told: asyncio.Queue[Observation] = asyncio.Queue()
        self.heard: list[tuple[str, str]] = []
        self.offline = False

    async def check(self, target: Target) -> Seen:
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        await self.running.put((target, answer))
        return await answer

    def prober(self, *targets: Target, **more: Any) -> Prober:
        return Prober(
            targets,
            Pace(every_s=more.pop("every_s", 10), vantage="paris"),
            self.check,
            more.pop("sink", self.told.put_nowait),
            SystemClock(),
            lambda: 0.0,
            offline=lambda: self.offline,
            heard=lambda provider, network: self.heard.append((provider, network)),
        )


@asynccontextmanager
async def probing(prober: Prober) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(prober.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_results_are_told_as_observations_and_the_gateway_hears_of_the_network() -> None:
    desk = Desk()
    async with probing(desk.prober(WEB, HERE)):
        for _ in range(2):
            (await desk.running.get())[1].set_result(OK)
        told = {(await desk.told.get()).component for _ in range(2)}
    assert told == {"a/web", "b/web"}
    assert desk.heard == [("a", "carried")]  # what is on this machine says nothing of it


async def test_hurry_probes_at_once_and_from_anywhere() -> None:
    desk = Desk()
    prober = desk.prober(WEB)
    prober.hurry("a/web")
    async with probing(prober):
        target, answer = await desk.running.get()
        answer.set_result(OK)
        assert (target, (await desk.told.get()).network) == (WEB, "paris")


async def test_a_close_look_asks_again_long_before_the_next_turn() -> None:
    desk = Desk()
    prober = desk.prober(WEB, every_s=86_400)
    async with probing(prober):
        (await desk.running.get())[1].set_result(OK)
        await desk.told.get()
        prober.closer("a/web")
        for _ in range(2):
            (await asyncio.wait_for(desk.running.get(), 60))[1].set_result(OK)
            await desk.told.get()
        prober.enough("a/web")


async def test_nothing_is_probed_while_we_are_offline() -> None:
    desk = Desk()
    desk.offline = True
    prober = desk.prober(WEB)
    prober.hurry("a/web")
    async with probing(prober):
        for _ in range(5):
            await asyncio.sleep(0)
        assert desk.running.empty()


async def test_a_check_that_raises_is_ours_and_the_prober_goes_on() -> None:
    desk = Desk()
    async with probing(desk.prober(WEB, OTHER)):
        (await desk.running.get())[1].set_exception(RuntimeError("a bug"))
        assert (await desk.told.get()).outcome is Outcome.OURS
        (await desk.running.get())[1].set_result(OK)
        assert (await desk.told.get()).outcome is Outcome.OK


async def test_a_sink_that_fails_loses_one_result_and_no_more() -> None:
    desk = Desk()
    fails = iter([True, False])

    def sink(observation: Observation) -> None:
        if next(fails):
            raise OSError("disk full")
        desk.told.put_nowait(observation)

    async with probing(desk.prober(WEB, OTHER, sink=sink)):
        for _ in range(2):
            (await desk.running.get())[1].set_result(OK)
        assert (await desk.told.get()).outcome is Outcome.OK


async def test_what_runs_when_it_is_stopped_is_abandoned_and_never_told() -> None:
    desk = Desk()
    async with probing(desk.prober(WEB)) as task:
        _, answer = await desk.running.get()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert answer.cancelled()
    assert desk.told.empty()


async def test_without_targets_there_is_nothing_to_do() -> None:
    await asyncio.wait_for(Desk().prober().run(), 5)


async def test_a_flood_of_wishes_is_bounded() -> None:
    prober = Desk().prober(WEB)
    for number in range(5000):
        prober.hurry(f"a/api/model-{number}")
    assert len(prober._waiting) <= 1000


async def test_a_whole_service_probes_its_vendor_and_sees_it_fail(tmp_path: Path) -> None:
    """Everything real: settings, targets, checks, the gateway's exchange, a vendor that fails."""
    well = Script(seed=1)
    async with Vendor(well) as vendor:
        chosen = settings(
            tmp_path,
            [upstream("vendor", Kind.ANTHROPIC, vendor.url)],
            [route("m", "vendor")],
            observatory=ObservatorySettings(feeds=False, probes=False),
        )
        async with serving(chosen) as running:
            service = running.service
            inward = Inward(service.gateway, service.network, service.clock)
            told: asyncio.Queue[Observation] = asyncio.Queue()
            prober = Prober(
                targets_of(chosen),
                Pace(vantage="paris"),
                Checks(chosen, inward, service.clock),
                told.put_nowait,
                service.clock,
                lambda: 0.0,
                offline=inward.offline,
                heard=inward.heard,
            )
            async with probing(prober):
                first = [await told.get() for _ in range(3)]
            vendor.script = msgspec.structs.replace(
                well, faults=(Fault(FaultKind.STATUS, status=529),)
            )
            again = Prober(
                targets_of(chosen),
                Pace(vantage="paris"),
                Checks(chosen, inward, service.clock),
                told.put_nowait,
                service.clock,
                lambda: 0.0,
            )
            async with probing(again):
                failing = [await told.get() for _ in range(3)]
    assert {(o.symptom, o.component, o.outcome) for o in first} == {
        ("reach", "vendor/api", Outcome.OK),
        ("models", "vendor/api", Outcome.OK),
        ("canary", "vendor/api/m", Outcome.OK),
    }
    answered = next(o for o in first if o.symptom == "canary")
    assert answered.evidence.endswith("right answer")
    assert all((o.region, o.network, o.upstream) == ("paris", "paris", "vendor") for o in first)
    canary = next(o for o in failing if o.symptom == "canary")
    assert (canary.outcome, canary.scope) == (Outcome.OVERLOADED, Scope.PROVIDER)
