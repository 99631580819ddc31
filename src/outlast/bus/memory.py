"""The bus inside one process. To be used from one event loop; nothing in it ever waits."""

from __future__ import annotations

import asyncio
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING

from outlast.bus.base import (
    KEYS_LIMIT,
    MESSAGE_LIMIT_BYTES,
    QUEUE_LIMIT,
    SUBSCRIBERS_LIMIT,
    TOPICS_LIMIT,
    BusFull,
    Lease,
    Lost,
    Message,
)
from outlast.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from outlast.clock import Clock


class MemorySubscription:
    """See bus.base.Subscription. Also a context manager that closes itself."""

    def __init__(
        self,
        state: Mapping[str, bytes],
        limit: int,
        forget: Callable[[MemorySubscription], None],
    ) -> None:
        self._state = state
        self._queue: deque[Message] = deque()
        self._limit = max(1, limit)
        self._forget = forget
        self._lost = 0
        self._closed = False
        self._arrived = asyncio.Event()

    @property
    def state(self) -> Mapping[str, bytes]:
        return self._state

    def __aiter__(self) -> MemorySubscription:
        return self

    async def __anext__(self) -> Message | Lost:
        """What was lost comes first, then what is kept, then StopAsyncIteration once closed."""
        while True:
            if self._lost:
                lost, self._lost = Lost(self._lost), 0
                return lost
            if self._queue:
                return self._queue.popleft()
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._forget(self)
            self._arrived.set()

    def __enter__(self) -> MemorySubscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def put(self, message: Message) -> None:
        """Called by the bus alone."""
        if len(self._queue) >= self._limit:
            self._queue.popleft()
            self._lost += 1
        self._queue.append(message)
        self._arrived.set()


class MemoryBus:
    """See bus.base.Bus."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._states: dict[str, dict[str, bytes]] = {}
        self._subscribers: dict[str, list[MemorySubscription]] = {}
        self._leases: dict[str, Lease] = {}
        self._tokens = 0

    def publish(self, topic: str, value: bytes | None, *, key: str | None = None) -> None:
        if value is None and key is None:
            raise ValueError("a message without a value needs the key that it removes")
        if value is not None and len(value) > MESSAGE_LIMIT_BYTES:
            raise ValueError(f"a message on the bus has at most {MESSAGE_LIMIT_BYTES} bytes")
        if key is not None:
            self._keep(topic, key, value)
        message = Message(topic, value, key)
        for subscriber in self._subscribers.get(topic, ()):
            subscriber.put(message)

    def subscribe(self, topic: str, *, limit: int = QUEUE_LIMIT) -> MemorySubscription:
        if sum(map(len, self._subscribers.values())) >= SUBSCRIBERS_LIMIT:
            raise BusFull(f"There are {SUBSCRIBERS_LIMIT} subscribers already, the limit.")
        everyone = self._subscribers.setdefault(topic, [])

        def forget(one: MemorySubscription) -> None:
            everyone.remove(one)
            if not everyone and self._subscribers.get(topic) is everyone:
                del self._subscribers[topic]

        # No await between the two: nothing can be published in between.
        subscription = MemorySubscription(self.state(topic), limit, forget)
        everyone.append(subscription)
        return subscription

    def state(self, topic: str) -> Mapping[str, bytes]:
        return MappingProxyType(dict(self._states.get(topic, {})))

    async def lease(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        now = self._clock.monotonic()
        held = self._leases.get(name)
        if held is not None and held.until > now:
            if held.holder != holder:
                return None
            token = held.token
        else:
            self._tokens += 1
            token = self._tokens
        lease = Lease(name, holder, token, now + ttl_s)
        self._leases[name] = lease
        return lease

    async def release(self, lease: Lease) -> None:
        held = self._leases.get(lease.name)
        if held is not None and held.token == lease.token:
            del self._leases[lease.name]

    def _keep(self, topic: str, key: str, value: bytes | None) -> None:
        state = self._states.get(topic)
        if value is None:
            if state is not None:
                state.pop(key, None)
                if not state:
                    del self._states[topic]
            return
        if state is None:
            if len(self._states) >= TOPICS_LIMIT:
                raise BusFull(f"There are {TOPICS_LIMIT} topics with state already, the limit.")
            state = self._states[topic] = {}
        state.pop(key, None)
        state[key] = value
        if len(state) > KEYS_LIMIT:
            del state[next(iter(state))]
