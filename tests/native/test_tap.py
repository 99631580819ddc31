"""What the event loop calls with each read of a connection, where it is in C."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import pytest

from outlast.gateway.flow import Flow
from outlast.gateway.skimming import Template
from outlast.native import compiled, module

pytestmark = pytest.mark.skipif(
    module() is None, reason="nothing is compiled here: `make native` needs a C compiler"
)
TEMPLATE = Template(b'data: "', b'"\n\n')


def chunk(text: str) -> bytes:
    frame = b'data: "%b"\n\n' % text.encode()
    return b"%x\r\n%b\r\n" % (len(frame), frame)


READ = chunk("Well. ")


def flow() -> Flow:
    return Flow(TEMPLATE, 0, words=True, limit_bytes=1 << 20)


def reads(listener: Any) -> Any:
    made = compiled("reads")
    assert made is not None
    return made(listener)


def test_a_tap_is_asked_first_where_a_chunk_begins() -> None:
    heard, sent, one = list[bytes](), list[bytes](), flow()
    front = reads(heard.append)
    assert (front.tap, front.missing) == (None, -1)
    front(READ)
    front.tap = one.tap(sent.append, lambda: None, lambda: 1.0)
    front(READ)
    assert (heard, sent) == ([READ, READ], [])
    front.missing = 0
    front(READ)
    front(b"3\r\n: \n\r\n")
    assert (heard[2:], sent) == ([b"3\r\n: \n\r\n"], [READ])
    front.missing = 3
    front(READ)
    front.tap, front.missing = None, 0
    front(READ)
    assert (len(heard), len(sent)) == (5, 1)
    assert (one.said, one.times.tolist()) == (["Well. "], [1.0])


def test_what_a_tap_may_not_be_is_said() -> None:
    tap = compiled("tap")
    assert tap is not None
    shape: tuple[Any, ...] = (b'data: "', b'"\n\n', True, [])
    with pytest.raises(TypeError, match="a flow with its slots"):
        tap(object(), *shape, print, print, print)
    assert tap(flow(), b"", b"", True, [], print, print, print) is None
    with pytest.raises(TypeError, match="one read"):
        flow().tap(print, lambda: None, lambda: 1.0)()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        reads(print).other = 1
    with pytest.raises(TypeError):
        type(reads(print))()


def test_an_error_of_those_it_calls_is_told_and_nothing_leaks() -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("ours")

    one = flow()
    front = reads(broken)
    front.missing = 0
    for write, half, clock in (
        (broken, lambda: None, lambda: 1.0),
        (lambda _: None, lambda: None, broken),
    ):
        front.tap = one.tap(write, half, clock)
        gc.collect()
        counts = sys.getrefcount(READ), sys.getrefcount(None)
        for _ in range(500):
            with pytest.raises(RuntimeError, match="ours"):
                front(READ)
        gc.collect()
        assert abs(sys.getrefcount(READ) - counts[0]) < 5
        assert abs(sys.getrefcount(None) - counts[1]) < 50
    front.tap = one.tap(lambda _: None, broken, lambda: 1.0)
    with pytest.raises(RuntimeError, match="ours"):
        front(chunk("Well"))
    with pytest.raises(RuntimeError, match="ours"):
        front(b"x")  # who hears it


def test_a_connection_that_is_called_by_what_it_holds_is_collected() -> None:
    class Connection:
        def __init__(self) -> None:
            self.reads = reads(self.heard)
            self.flow = flow()
            self.reads.tap = self.flow.tap(self.heard, self.half, lambda: 1.0)

        def heard(self, data: bytes) -> None: ...
        def half(self) -> None: ...

    gone = weakref.ref(Connection())
    gc.collect()
    assert gone() is None
