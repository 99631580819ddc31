"""Background work: what ends by an error is begun again, later and later, and that is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outlast.clock import SystemClock
from outlast.observing.background import Background, Job, Pauses
from tests.heard import heard
from tests.observatory.service.test_service import house, open_house

SOON = Pauses(first_s=0.01, last_s=0.05)


@asynccontextmanager
async def working(job: Job, pauses: Pauses) -> AsyncIterator[Background]:
    background = Background(SystemClock(), pauses)
    stop = background.start("probes", job)
    try:
        yield background
    finally:
        await stop()


@pytest.mark.parametrize(
    ("failures", "pause_s"), [(1, 1.0), (2, 2.0), (5, 16.0), (9, 256.0), (10, 300.0), (5000, 300.0)]
)
def test_pauses_grow_up_to_a_bound(failures: int, pause_s: float) -> None:
    assert Pauses().after(failures) == pause_s


async def test_work_that_fails_is_begun_again_and_goes_on() -> None:
    begun, goes_on = 0, asyncio.Event()

    async def job() -> None:
        nonlocal begun
        begun += 1
        if begun < 4:
            raise RuntimeError(f"attempt {begun}")
        goes_on.set()
        await asyncio.Event().wait()

    with heard() as told:
        async with working(job, SOON) as background:
            await asyncio.wait_for(goes_on.wait(), 30)
            said = background.describe()
    assert (begun, said["in_order"], said["restarts"]) == (4, 1, 3)
    assert said["failed"]["probes"]["failures"] == 3
    assert said["failed"]["probes"]["again_in_s"] is None
    failed = [one for one in told if one["event"] == "background_work_failed"]
    assert [one["again_in_s"] for one in failed] == [0.01, 0.02, 0.04]


async def test_while_it_rests_it_is_said_why_and_until_when_without_what_nobody_should_read() -> (
    None
):
    begun = asyncio.Event()

    async def job() -> None:
        begun.set()
        raise ValueError("ana@example.org")

    async with working(job, Pauses(first_s=3600.0, last_s=3600.0)) as background:
        await asyncio.wait_for(begun.wait(), 30)
        said = background.describe()
    rests = said["failed"]["probes"]
    assert said["in_order"] == 0
    assert 3590 < rests["again_in_s"] <= 3600
    assert "ValueError" in rests["error"]
    assert "ana" not in repr(said)


async def test_what_ran_for_long_before_it_failed_is_begun_again_soon() -> None:
    begun, goes_on = 0, asyncio.Event()

    async def job() -> None:
        nonlocal begun
        begun += 1
        if begun == 5:
            goes_on.set()
            await asyncio.Event().wait()
        raise RuntimeError("again")

    # Each run counts as long here.
    with heard() as told:
        async with working(job, Pauses(first_s=0.01, last_s=3600.0, steady_s=0.0)):
            await asyncio.wait_for(goes_on.wait(), 30)
    failed = [one for one in told if one["event"] == "background_work_failed"]
    assert [one["again_in_s"] for one in failed] == [0.01] * 4


async def test_work_that_is_done_is_not_begun_again() -> None:
    begun = 0

    async def job() -> None:
        nonlocal begun
        begun += 1

    async with working(job, SOON) as background:
        for _ in range(100):
            await asyncio.sleep(0)
        assert background.describe() == {"in_order": 1, "restarts": 0, "failed": {}}
    assert begun == 1


async def test_ending_it_while_it_rests_ends_it() -> None:
    begun = asyncio.Event()

    async def job() -> None:
        begun.set()
        raise RuntimeError("at once")

    async with working(job, Pauses(first_s=3600.0)) as background:
        await asyncio.wait_for(begun.wait(), 30)
    assert background.describe()["restarts"] == 0


async def test_a_service_says_how_its_background_work_goes(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        said = (await reader.get("/readyz"))["observatory"]["background"]
        assert said["in_order"] >= 8
        assert (said["restarts"], said["failed"]) == (0, {})
