"""A head and its body leave in one write, and nothing that was written is held back or lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.gateway.joining import JOIN_LIMIT_BYTES, Joined


class Wire:
    """What a transport was told."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def joined() -> tuple[Joined, Wire]:
    wire = Wire()
    return Joined(cast("Any", wire), asyncio.get_running_loop()), wire


async def test_a_head_and_its_body_leave_in_one_write_at_once() -> None:
    door, wire = joined()
    door.write(b"head ")
    door.write(b"body")
    assert wire.written == [b"head body"]
    await asyncio.sleep(0)
    assert wire.written == [b"head body"]


async def test_a_head_without_a_body_leaves_with_the_loop_s_next_turn() -> None:
    door, wire = joined()
    door.write(b"head")
    assert wire.written == []
    await asyncio.sleep(0)
    assert wire.written == [b"head"]


async def test_what_waits_leaves_before_who_writes_for_himself() -> None:
    door, wire = joined()
    door.write(b"head")
    door.flush()
    door.flush()
    assert wire.written == [b"head"]


async def test_closing_loses_nothing_that_was_written() -> None:
    door, wire = joined()
    door.write(b"the last words")
    door.close()
    assert (wire.written, wire.closed, door.is_closing()) == ([b"the last words"], True, True)
    await asyncio.sleep(0)
    assert wire.written == [b"the last words"]


async def test_what_is_large_is_not_copied() -> None:
    door, wire = joined()
    large = b"x" * (JOIN_LIMIT_BYTES + 1)
    door.write(large)
    assert wire.written[0] is large


@pytest.mark.parametrize("rest", [b"", b"x" * (JOIN_LIMIT_BYTES + 1)])
async def test_an_empty_or_large_body_comes_after_its_head(rest: bytes) -> None:
    door, wire = joined()
    door.write(b"head")
    door.write(rest)
    await asyncio.sleep(0)
    assert b"".join(wire.written) == b"head" + rest


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=5), st.sampled_from(["turn", "flush"])), max_size=30))
def test_all_bytes_leave_once_and_in_their_order(steps: list[bytes | str]) -> None:
    async def play() -> None:
        door, wire = joined()
        for step in steps:
            if isinstance(step, bytes):
                door.write(step)
            elif step == "flush":
                door.flush()
            else:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert b"".join(wire.written) == b"".join(one for one in steps if isinstance(one, bytes))

    asyncio.run(play())


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_is_written_to_a_connection_that_is_gone_is_nobodys_error(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    errors: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=ours)
            door = Joined(transport, loop)
            transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)
            door.write(b"the last words")
            for _ in range(3):
                await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    assert errors == []
