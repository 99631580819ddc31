"""What every bus promises; the in-process one for now. Another joins by a line in `BUSES`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.bus import base
from outlast.bus.base import BusFull, Lost, Message
from outlast.bus.memory import MemoryBus
from outlast.clock import ManualClock

if TYPE_CHECKING:
    from outlast.bus.base import Bus, Subscription

BUSES = [MemoryBus]


@pytest.fixture(params=BUSES)
def bus(request: pytest.FixtureRequest, clock: ManualClock) -> Bus:
    made: Bus = request.param(clock)
    return made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


async def rest(subscription: Subscription) -> list[Message | Lost]:
    """What waits for the subscriber; ends its subscription."""
    subscription.close()
    return [one async for one in subscription]


async def test_a_subscriber_hears_what_is_published_after_it_came_in_order(bus: Bus) -> None:
    bus.publish("news", b"before")
    subscription = bus.subscribe("news")
    for n in range(5):
        bus.publish("news", str(n).encode())
    bus.publish("other", b"not for you")
    assert subscription.state == {}
    assert await rest(subscription) == [Message("news", str(n).encode()) for n in range(5)]


async def test_a_subscriber_gets_the_state_first_and_then_the_stream(bus: Bus) -> None:
    bus.publish("status", b"up", key="a")
    bus.publish("status", b"up", key="b")
    bus.publish("status", b"down", key="a")
    bus.publish("status", b"an event without a key")
    subscription = bus.subscribe("status")
    bus.publish("status", b"down", key="b")
    assert subscription.state == {"a": b"down", "b": b"up"}
    assert await rest(subscription) == [Message("status", b"down", "b")]
    assert bus.state("status") == {"a": b"down", "b": b"down"}


async def test_a_key_without_a_value_is_gone_and_its_going_is_told(bus: Bus) -> None:
    bus.publish("status", b"up", key="a")
    subscription = bus.subscribe("status")
    bus.publish("status", None, key="a")
    bus.publish("status", None, key="never there")
    assert bus.state("status") == {}
    assert subscription.state == {"a": b"up"}
    assert await rest(subscription) == [
        Message("status", None, "a"),
        Message("status", None, "never there"),
    ]


async def test_every_subscriber_has_its_own_stream(bus: Bus) -> None:
    one, other = bus.subscribe("news"), bus.subscribe("news")
    bus.publish("news", b"1")
    one.close()
    bus.publish("news", b"2")
    assert await rest(one) == [Message("news", b"1")]
    assert await rest(other) == [Message("news", b"1"), Message("news", b"2")]


async def test_a_slow_subscriber_loses_the_oldest_and_is_told_how_many(bus: Bus) -> None:
    slow, quick = bus.subscribe("news", limit=3), bus.subscribe("news")
    for n in range(10):
        bus.publish("news", str(n).encode())
    assert await rest(slow) == [Lost(7)] + [Message("news", str(n).encode()) for n in (7, 8, 9)]
    assert len(await rest(quick)) == 10


async def test_a_subscriber_that_waits_is_woken(bus: Bus) -> None:
    subscription = bus.subscribe("news")
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    assert not waiting.done()
    bus.publish("news", b"here")
    assert await waiting == Message("news", b"here")
    ending = asyncio.ensure_future(anext(subscription, None))
    await asyncio.sleep(0)
    subscription.close()
    subscription.close()
    assert await ending is None


async def test_a_wait_that_is_cancelled_loses_nothing(bus: Bus) -> None:
    subscription = bus.subscribe("news")
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    bus.publish("news", b"in that very moment")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await rest(subscription) == [Message("news", b"in that very moment")]


async def test_the_state_that_was_given_does_not_change_afterwards(bus: Bus) -> None:
    bus.publish("status", b"up", key="a")
    subscription = bus.subscribe("status")
    bus.publish("status", b"down", key="a")
    assert subscription.state == {"a": b"up"}
    subscription.close()


async def test_a_lease_has_one_holder_until_it_ends(bus: Bus, clock: ManualClock) -> None:
    first = await bus.lease("prober", "one", 10.0)
    assert first is not None
    assert first.until == 110.0
    assert await bus.lease("prober", "other", 10.0) is None
    assert await bus.lease("feeds", "other", 10.0) is not None
    clock.advance(5)
    renewed = await bus.lease("prober", "one", 10.0)
    assert renewed is not None
    assert (renewed.token, renewed.until) == (first.token, 115.0)
    clock.advance(9.9)
    assert await bus.lease("prober", "other", 10.0) is None
    clock.advance(0.1)
    taken = await bus.lease("prober", "other", 10.0)
    assert taken is not None
    assert taken.token > first.token


async def test_only_its_holder_gives_a_lease_back(bus: Bus, clock: ManualClock) -> None:
    first = await bus.lease("prober", "one", 10.0)
    assert first is not None
    clock.advance(11)
    second = await bus.lease("prober", "other", 10.0)
    assert second is not None
    await bus.release(first)
    assert await bus.lease("prober", "one", 10.0) is None
    await bus.release(second)
    assert await bus.lease("prober", "one", 10.0) is not None


async def test_limits_hold_and_say_so(bus: Bus) -> None:
    with pytest.raises(ValueError, match="at most"):
        bus.publish("news", b"x" * (base.MESSAGE_LIMIT_BYTES + 1))
    with pytest.raises(ValueError, match="needs the key"):
        bus.publish("news", None)
    for n in range(base.KEYS_LIMIT + 5):
        bus.publish("status", b"up", key=str(n))
    assert len(bus.state("status")) == base.KEYS_LIMIT
    assert "4" not in bus.state("status")
    assert "5" in bus.state("status")
    many = [bus.subscribe("news") for _ in range(base.SUBSCRIBERS_LIMIT)]
    with pytest.raises(BusFull, match="subscribers"):
        bus.subscribe("news")
    many.pop().close()
    bus.subscribe("news").close()
    for n in range(base.TOPICS_LIMIT - 1):
        bus.publish(f"topic {n}", b"up", key="a")
    with pytest.raises(BusFull, match="topics"):
        bus.publish("one more", b"up", key="a")
    bus.publish("topic 0", None, key="a")
    bus.publish("one more", b"up", key="a")
    for one in many:
        one.close()


MESSAGES = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.binary(max_size=2))), max_size=30
)


@settings(deadline=None)
@given(before=MESSAGES, after=MESSAGES)
async def test_state_and_stream_together_are_always_the_present_state(
    before: list[tuple[str, bytes | None]], after: list[tuple[str, bytes | None]]
) -> None:
    bus = MemoryBus()
    for key, value in before:
        bus.publish("t", value, key=key)
    subscription = bus.subscribe("t")
    for key, value in after:
        bus.publish("t", value, key=key)
    view = dict(subscription.state)
    for message in await rest(subscription):
        assert isinstance(message, Message)
        assert message.key is not None
        if message.value is None:
            view.pop(message.key, None)
        else:
            view[message.key] = message.value
    assert view == bus.state("t")
