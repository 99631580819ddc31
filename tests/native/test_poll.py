"""What reads many connections at a turn of the event loop, and what writes to one, in C."""

from __future__ import annotations

import gc
import socket
import struct
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outlast.native import compiled, module

pytestmark = pytest.mark.skipif(
    module() is None or sys.platform != "linux",
    reason="nothing is compiled here (`make native` needs a C compiler), or this is not Linux",
)
READ_BYTES = 256 << 10
"""How much a poll reads at once."""


def made(name: str, *arguments: Any) -> Any:
    function = compiled(name)
    assert function is not None
    return function(*arguments)


@pytest.fixture(name="poll")
def new_poll() -> Iterator[Any]:
    poll = made("poll")
    yield poll
    poll.close()


class End:
    """One end of a connection that is watched, what was read of it, and how that ended."""

    def __init__(self, poll: Any, then: Callable[[bytes], None] = lambda _: None) -> None:
        self.poll = poll
        self.then = then
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.read: list[bytes] = []
        self.left: list[BaseException | None] = []
        self.watch()

    def watch(self) -> None:
        self.poll.add(self.here.fileno(), self.received, self.left.append)

    def received(self, data: bytes) -> None:
        self.read.append(data)
        self.then(data)

    def remove(self) -> None:
        self.poll.remove(self.here.fileno())

    def close(self) -> None:
        self.remove()
        self.here.close()
        self.there.close()


@pytest.fixture(name="ends")
def three_ends(poll: Any) -> Iterator[list[End]]:
    ends = [End(poll) for _ in range(3)]
    yield ends
    for end in ends:
        end.close()


def test_what_has_come_is_read_once(poll: Any, ends: list[End]) -> None:
    poll()
    assert [end.read for end in ends] == [[], [], []]
    for number, end in enumerate(ends):
        end.there.send(b"%d" % number)
    poll()
    poll()
    assert [end.read for end in ends] == [[b"0"], [b"1"], [b"2"]]
    ends[1].there.send(b"more")
    poll()
    assert [end.read for end in ends] == [[b"0"], [b"1", b"more"], [b"2"]]


def test_more_than_one_read_takes_comes_at_the_next_turns(poll: Any, ends: list[End]) -> None:
    (end, *_) = ends
    end.there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    end.there.setblocking(False)
    sent = end.there.send(bytes(3 * READ_BYTES))
    while sum(map(len, end.read)) < sent:
        before = len(end.read)
        poll()
        assert len(end.read) == before + 1
    assert max(map(len, end.read)) <= READ_BYTES


def test_who_was_removed_is_read_no_more_not_even_in_the_same_turn(
    poll: Any, ends: list[End]
) -> None:
    def only(end: End) -> None:
        for other in ends:
            if other is not end:
                other.remove()

    for end in ends:
        end.there.send(b"x")
        end.then = lambda _, end=end: only(end)  # type: ignore[misc]
    poll()
    assert sum(len(end.read) for end in ends) == 1
    ends[0].remove()  # twice does no harm


def test_what_is_known_of_one_is_not_said_of_the_next_with_its_number(
    poll: Any, ends: list[End]
) -> None:
    def again(_: bytes) -> None:
        for other in ends[1:]:
            other.remove()
            other.here.recv(1)
            other.watch()

    ends[0].then = again
    for end in ends:
        end.there.send(b"x")
    poll()
    assert [end.read for end in ends] == [[b"x"], [], []]
    ends[2].there.send(b"y")
    poll()
    assert [end.read for end in ends] == [[b"x"], [], [b"y"]]


def test_what_was_there_before_it_was_added_is_read(poll: Any, ends: list[End]) -> None:
    ends[0].remove()
    ends[0].there.send(b"early")
    poll()
    assert ends[0].read == []
    ends[0].watch()
    poll()
    assert ends[0].read == [b"early"]


def test_an_end_is_left_to_somebody_else_with_what_came_before_it(
    poll: Any, ends: list[End]
) -> None:
    ends[0].there.send(b"last words")
    ends[0].there.shutdown(socket.SHUT_WR)
    poll()
    poll()
    assert (ends[0].read, ends[0].left) == ([], [None])
    assert ends[0].here.recv(64) == b"last words"


def test_a_reset_is_left_to_somebody_else(poll: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = socket.create_connection(server.getsockname())
        here, _ = server.accept()
    left: list[BaseException | None] = []
    poll.add(here.fileno(), pytest.fail, left.append)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    there.close()
    poll()
    assert left == [None]
    with pytest.raises(ConnectionResetError):
        here.recv(1)
    here.close()


def test_an_error_is_told_and_the_others_are_read(poll: Any, ends: list[End]) -> None:
    def broken(_: bytes) -> None:
        raise RuntimeError("ours")

    ends[1].then = broken
    for end in ends:
        end.there.send(b"x")
    poll()
    assert [end.read for end in ends] == [[b"x"]] * 3
    assert [str(error) for error in ends[1].left] == ["ours"]
    assert ends[1].left[0] is not None
    assert ends[1].left[0].__traceback__ is not None
    ends[1].there.send(b"y")
    poll()
    assert ends[1].read == [b"x"]


def test_what_cannot_be_watched_is_said(poll: Any, ends: list[End]) -> None:
    with pytest.raises(ValueError, match="does not watch yet"):
        ends[0].watch()
    with pytest.raises(ValueError, match="does not watch yet"):
        poll.add(-5, print, print)
    with pytest.raises(OSError, match="Bad file descriptor"):
        poll.add(100_000, print, print)
    with pytest.raises(TypeError, match="with nothing"):
        poll(1)
    with pytest.raises(TypeError):
        poll.add("one", print, print)
    with pytest.raises(TypeError):
        type(poll)()


def test_whom_it_watches_are_left_when_it_is_closed(poll: Any, ends: list[End]) -> None:
    ends[0].there.send(b"x")
    poll.close()
    poll()
    assert [(end.read, end.left) for end in ends] == [([], [None])] * 3
    assert poll.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        ends[0].watch()
    ends[0].remove()


def test_nothing_leaks_and_what_it_watches_is_collected(poll: Any) -> None:
    end = End(poll)
    gone = weakref.ref(end)
    gc.collect()
    counts = sys.getrefcount(None)
    for _ in range(500):
        end.there.send(b"x" * 100)
        poll()
        end.read.clear()
        end.remove()
        end.watch()
    gc.collect()
    assert abs(sys.getrefcount(None) - counts) < 50
    end.here.close()
    end.there.close()
    end.poll = None
    cycle = made("poll")
    other = End(cycle)
    other.then = cycle.add  # each holds the other
    also = weakref.ref(other)
    other.here.close()
    other.there.close()
    del other, cycle
    gc.collect()
    assert also() is None
    poll.close()
    del end
    gc.collect()
    assert gone() is None


# -- writing -----------------------------------------------------------------------------------


class Line:
    """A connection as its transport has it, and the other end of it."""

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.there.settimeout(5)
        self.kept: list[bytes] = []
        """What the transport was given."""
        self.waiting = 0
        self.write = made("writer", self.here.fileno(), self.kept.append, lambda: self.waiting)


@pytest.fixture(name="line")
def new_line() -> Iterator[Line]:
    line = Line()
    yield line
    line.here.close()
    line.there.close()


def test_what_is_written_leaves_at_once(line: Line) -> None:
    assert line.write(b"one") is None
    assert line.there.recv(64) == b"one"
    assert line.kept == []


def test_behind_what_waits_it_waits_too(line: Line) -> None:
    line.waiting = 1
    line.write(b"two")
    line.waiting = 0
    line.write(b"three")
    assert (line.kept, line.there.recv(64)) == ([b"two"], b"three")


def test_what_the_system_does_not_take_is_the_transports(line: Line) -> None:
    line.here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    piece = bytes(range(256)) * 256
    while not line.kept:
        line.write(piece)
    (rest,) = line.kept
    assert piece.endswith(rest)
    line.kept.clear()
    line.write(b"more")
    assert line.kept == [b"more"]  # nothing of it was taken


def test_of_a_connection_that_is_lost_the_transport_hears(line: Line) -> None:
    line.there.close()
    line.write(b"gone")
    assert line.kept == [b"gone"]
    line.write.close()
    line.write(b"later")
    assert line.kept == [b"gone", b"later"]


def test_what_a_writer_is_not_given_is_said(line: Line) -> None:
    for odd in ((), ("text",), (bytearray(b"x"),), (b"x", b"y")):
        with pytest.raises(TypeError, match="is given bytes"):
            line.write(*odd)
    assert made("writer", -1, print, print) is None
    with pytest.raises(TypeError):
        made("writer", "one", print, print)

    def broken() -> int:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        made("writer", line.here.fileno(), print, broken)(b"x")
