"""The queue in front of the engine: how many at once, in what order, and an honest no."""

from __future__ import annotations

import asyncio

import pytest

from outlast.clock import ManualClock
from outlast.local.slots import MOST_RETRY_S, Busy, Slots


async def hold(slots: Slots, let_go: asyncio.Event, order: list[int], number: int) -> None:
    async with slots.slot():
        order.append(number)
        await let_go.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_at_most_so_many_run_and_the_others_follow_in_order() -> None:
    slots, order = Slots(2, 3), list[int]()
    gates = [asyncio.Event() for _ in range(5)]
    tasks = [asyncio.create_task(hold(slots, gates[i], order, i)) for i in range(5)]
    await settle()
    assert (order, slots.running, slots.waiting) == ([0, 1], 2, 3)
    gates[1].set()
    await settle()
    assert (order, slots.running, slots.waiting) == ([0, 1, 2], 2, 2)
    for gate in gates:
        gate.set()
    await asyncio.gather(*tasks)
    assert (order, slots.running, slots.waiting) == ([0, 1, 2, 3, 4], 0, 0)


async def test_a_full_queue_is_refused_at_once_with_a_time_to_come_back() -> None:
    clock = ManualClock()
    slots, gate = Slots(1, 1, clock=clock), asyncio.Event()
    order: list[int] = []
    tasks = [asyncio.create_task(hold(slots, gate, order, i)) for i in range(2)]
    await settle()
    with pytest.raises(Busy, match=r"1 answers are being written and 1 requests wait\.") as caught:
        async with slots.slot():
            raise AssertionError("there was no slot")
    assert caught.value.retry_after_s == 20
    gate.set()
    await asyncio.gather(*tasks)


async def test_the_time_to_come_back_follows_what_answers_took_and_stays_usable() -> None:
    clock = ManualClock()
    slots = Slots(1, 4, clock=clock)
    for _ in range(20):
        async with slots.slot():
            clock.advance(2.0)
    assert slots.retry_after_s in {2, 3}
    for _ in range(20):
        async with slots.slot():
            clock.advance(10_000.0)
    assert slots.retry_after_s == MOST_RETRY_S


async def test_waiting_ends_with_busy_when_it_was_too_long() -> None:
    slots, gate = Slots(1, 1, max_wait_s=0.01), asyncio.Event()
    task = asyncio.create_task(hold(slots, gate, [], 0))
    await settle()
    with pytest.raises(Busy, match="was busy for"):
        async with slots.slot():
            raise AssertionError("there was no slot")
    assert slots.waiting == 0
    gate.set()
    await task
    assert slots.running == 0


async def test_a_client_that_leaves_the_queue_loses_no_slot() -> None:
    slots, gate, order = Slots(1, 3), asyncio.Event(), list[int]()
    tasks = [asyncio.create_task(hold(slots, gate, order, i)) for i in range(3)]
    await settle()
    tasks[1].cancel()
    await settle()
    assert slots.waiting == 1
    gate.set()
    await asyncio.gather(tasks[0], tasks[2])
    assert (order, slots.running) == ([0, 2], 0)


async def test_a_slot_handed_to_a_client_that_leaves_in_the_same_moment_is_passed_on() -> None:
    slots, order = Slots(1, 3), list[int]()
    first, rest = asyncio.Event(), asyncio.Event()
    rest.set()
    holder = asyncio.create_task(hold(slots, first, order, 0))
    leaving = asyncio.create_task(hold(slots, rest, order, 1))
    next_one = asyncio.create_task(hold(slots, rest, order, 2))
    await settle()
    first.set()
    # One turn of the loop at a time: the moment between handing over and waking up is meant.
    while slots.waiting != 1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(holder, next_one)
    assert order == [0, 2]
    assert (slots.running, slots.waiting) == (0, 0)


async def test_an_error_while_holding_gives_the_slot_back() -> None:
    slots = Slots(1, 0)
    with pytest.raises(ValueError, match="broke"):
        async with slots.slot():
            raise ValueError("broke")
    assert slots.running == 0
