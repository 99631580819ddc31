"""What a bus promises, whatever carries it.

A topic is a stream of messages. A message with a key is also state: the last one per key is kept
and given to every new subscriber before the stream, without a gap and without a repetition
between the two. (The idea is Alertmanager's `SlurpAndSubscribe`.) Delivery is at most once: a
subscriber that is too slow loses its oldest messages and is told how many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

QUEUE_LIMIT = 1000
"""Messages that wait for one subscriber, unless it asks for another number."""
SUBSCRIBERS_LIMIT = 1000
KEYS_LIMIT = 10_000
"""Keys whose last message is kept, per topic; beyond it the one least lately set is forgotten."""
TOPICS_LIMIT = 1000
MESSAGE_LIMIT_BYTES = 256 * 1024


class BusFull(Exception):
    """A limit of the bus is reached; the message says which."""


class Message(msgspec.Struct, frozen=True):
    topic: str
    value: bytes | None
    """None: what this key stood for is gone."""
    key: str | None = None
    """None: an event only, not kept."""


class Lost(msgspec.Struct, frozen=True):
    """Told to a subscriber in place of what it was too slow for. Read the state again."""

    count: int


class Lease(msgspec.Struct, frozen=True):
    """The right to do a job alone, until it ends or is given back."""

    name: str
    holder: str
    token: int
    """Grows with every new holder: a store that remembers the highest one seen can refuse a
    holder that slept through the end of its lease (a fencing token)."""
    until: float
    """On the monotonic clock of the holder's process."""


class Subscription(Protocol):
    """An asynchronous iterator over what is published after `state` was taken. Close it."""

    @property
    def state(self) -> Mapping[str, bytes]:
        """The last value of each key when the subscription began."""

    def __aiter__(self) -> Subscription: ...

    async def __anext__(self) -> Message | Lost: ...

    def close(self) -> None:
        """End the stream: whoever waits for it stops. Calling it again is harmless."""


class Bus(Protocol):
    def publish(self, topic: str, value: bytes | None, *, key: str | None = None) -> None:
        """Send to every subscriber of the topic. Never waits.

        Raises ValueError for a message that is too long, or that is neither value nor key, and
        BusFull for one topic too many: mistakes of the caller, not weather.
        """

    def subscribe(self, topic: str, *, limit: int = QUEUE_LIMIT) -> Subscription:
        """The state, then the stream. Raises BusFull."""

    def state(self, topic: str) -> Mapping[str, bytes]:
        """The last value of each key of the topic, now."""

    async def lease(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """Take the lease, or lengthen it if `holder` has it. None: somebody else has it."""

    async def release(self, lease: Lease) -> None:
        """Give it back; without effect if somebody else has it by now."""
