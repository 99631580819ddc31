"""What C says of the reads of streams, Python says too."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.gateway.flow import Flow
from outlast.gateway.gaps import Gaps
from outlast.gateway.skimming import Template
from outlast.native import compiled, module
from outlast.nouns import Format
from outlast.wire.estimate import estimate_tokens, estimate_written
from tests.gateway.test_skimming import AFTER, BEFORE, PIECE, words
from tests.native.alone import python_alone

pytestmark = pytest.mark.skipif(
    module() is None, reason="nothing is compiled here: `make native` needs a C compiler"
)

FIRST = {form: PIECE[form]("(first)", "plain", True) for form in PIECE}


def function(name: str) -> Callable[..., object]:
    found = compiled(name)
    assert found is not None
    return found


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def flow_of(form: Format, held: list[str], *, words: bool) -> Flow:
    template = Template.of(FIRST[form], "(first)")
    assert template is not None
    lent = [(PIECE[form](text, "plain", False), text) for text in held]
    return Flow(template, 0, lent, words=words, limit_bytes=1 << 20)


def known(flow: Flow) -> object:
    times = flow.times.tolist()
    waits = flow.half_at if flow.waiting else None
    return flow.said, flow.held, flow.told, times, waits, flow.mid_word, flow.spoke_at


@settings(max_examples=800, deadline=None)
@given(st.data())
def test_chunks_that_pass_a_flow_are_what_it_would_say_of_what_is_in_them(
    data: st.DataObject,
) -> None:
    form, keeps = data.draw(st.sampled_from(list(PIECE))), data.draw(st.booleans())
    held = data.draw(st.sampled_from([[], [" s"], [" s", "ea"]])) if keeps else []
    fast, slow = (flow_of(form, held, words=keeps) for _ in range(2))
    sent: list[bytes] = []
    now = [0.0]
    halves: list[float] = []
    tap = fast.tap(sent.append, lambda: halves.append(now[0]), lambda: now[0])
    for _ in range(data.draw(st.integers(1, 8))):
        now[0] += 1.0
        look = data.draw(st.sampled_from(["plain"] * 9 + ["spaced"]))
        said = [
            PIECE[form](text, look, data.draw(st.booleans()))
            for text in data.draw(st.lists(words, min_size=1, max_size=4))
        ]
        read = b"".join(said)
        chunks = b"".join(map(chunk, said)) if data.draw(st.booleans()) else chunk(read)
        before = len(sent)
        if not tap(chunks):
            break
        with python_alone():
            out = slow.feed(read, now[0])
        assert out is not None
        assert sent[before:] == ([chunk(out)] if out else [])
        assert known(fast) == known(slow)
        assert bool(halves and halves[-1] == now[0]) == bool(fast.waiting)
        if data.draw(st.integers(0, 4)) == 0:
            now[0] += data.draw(st.sampled_from([0.01, 0.1]))
            assert fast.flush(now[0]) == slow.flush(now[0])


@pytest.mark.parametrize("form", PIECE)
@pytest.mark.parametrize(
    ("sentence", "bend"),
    [
        ("a chunk that is not whole", lambda good: good[:-1]),
        ("a part of the next one", lambda good: good + b"1"),
        ("the last chunk", lambda good: good + b"0\r\n\r\n"),
        ("an extension", lambda good: good.replace(b"\r\n", b";a=b\r\n", 1)),
        ("a bare line feed", lambda good: good.replace(b"\r\n", b"\n", 1)),
        ("no size", lambda good: b"\r\n" + good),
        ("a frame in two chunks", lambda good: chunk(good[5:9]) + chunk(good[9:-2])),
    ],
)
def test_what_is_no_whole_chunk_is_left(
    sentence: str, bend: Callable[[bytes], bytes], form: Format
) -> None:
    flow, sent = flow_of(form, [], words=True), list[bytes]()
    tap = flow.tap(sent.append, lambda: None, lambda: 1.0)
    good = chunk(PIECE[form](" one. ", "plain", False))
    assert tap(good)
    assert sent == [good]
    assert not tap(bend(good)), sentence
    assert not tap(chunk(BEFORE[form]))
    assert not tap(chunk(AFTER[form]))
    assert (sent, flow.said, len(flow.times)) == ([good], [" one. "], 1)


def test_a_flow_that_holds_half_a_frame_takes_no_chunks() -> None:
    form = Format.OPENAI_CHAT
    flow, frame = flow_of(form, [], words=True), PIECE[form](" one. ", "plain", False)
    assert flow.feed(frame[:20], 1.0) == b""
    assert not flow.tap(list[bytes]().append, lambda: None, lambda: 1.0)(chunk(frame))
    assert flow.feed(frame[20:], 2.0) == frame


def test_a_size_is_written_as_ours_is_whatever_the_upstream_writes() -> None:
    form, sent = Format.OPENAI_CHAT, list[bytes]()
    frame = PIECE[form](" one. ", "plain", False)
    tap = flow_of(form, [], words=True).tap(sent.append, lambda: None, lambda: 1.0)
    assert tap(b"00%X\r\n%b\r\n" % (len(frame), frame))
    assert sent == [chunk(frame)]


@pytest.mark.parametrize(
    ("data", "start", "expected"),
    [
        (b"", 0, (b"", 0, 0)),
        (b"5\r\nhello\r\n", 0, (b"hello", 10, 0)),
        (b"5\r\nhello\r\n1\r\n!\r\n", 0, (b"hello!", 16, 0)),
        (b"xx5\r\nhello\r\n", 2, (b"hello", 12, 0)),
        (b"1\r\n!\r\n5\r\nhe", 0, (b"!", 6, 5)),
        (b"5\r\nhello", 0, (b"", 0, 2)),
        (b"5\r\nhello\r", 0, (b"", 0, 1)),
        (b"5\r\n", 0, (b"", 0, 7)),
        (b"5\r", 0, (b"", 0, -1)),
        (b"5", 0, (b"", 0, -1)),
        (b"5\r\nhelloXX", 0, (b"", 0, -1)),
        (b"0\r\n\r\n", 0, (b"", 0, -1)),
        (b"1\r\n!\r\n0\r\n\r\n", 0, (b"!", 6, -1)),
        (b"5;x\r\nhello\r\n", 0, (b"", 0, -1)),
        (b"ffffffff\r\nx", 0, (b"", 0, -1)),
        (b"A\r\n0123456789\r\n", 0, (b"0123456789", 15, 0)),
    ],
)
def test_whole_chunks_are_taken_and_what_the_next_lacks_is_told(
    data: bytes, start: int, expected: object
) -> None:
    assert function("chunks")(data, start) == expected


@settings(max_examples=600, deadline=None)
@given(st.lists(st.one_of(words, st.text(max_size=40)).filter(bool), min_size=1, max_size=6))
def test_pieces_weigh_the_same_read_or_not(texts: list[str]) -> None:
    from json import dumps

    texts = [text.encode("utf-8", "ignore").decode() or "x" for text in texts]
    written = ",".join(dumps(text, ensure_ascii=False) for text in texts)[1:-1].encode()
    found = estimate_written(written)
    assert found in (None, estimate_tokens("".join(texts)))
    assert found is not None or not written.isascii() or b"\\u" in written


@given(
    st.lists(st.floats(0, 1e6), max_size=120).map(sorted),
    st.floats(0, 1.0),
)
def test_both_learn_the_same_of_silences(times: list[float], since: float) -> None:
    ours, theirs = Gaps(), Gaps()
    for some in ([], [0.01, 0.5, 0.5], times):
        ours.learn(since, array("d", some))
        with python_alone():
            theirs.learn(since, array("d", some))
        assert ours.__dict__ == theirs.__dict__


def test_what_is_not_bytes_is_pythons() -> None:
    names = ["chunks", "pieces", "weigh", "streamed"]
    names += [f"{form}_{end}" for form in ("chat", "messages") for end in ("begins", "ends")]
    for name in names:
        assert function(name)() is None
        assert function(name)("text", "text", "text", "text", "text") is None
        assert function(name)(bytearray(b"x"), 0) is None
    for name in ("chunks", "chat_ends", "messages_ends"):
        assert function(name)(b"x", 2) is None
        assert function(name)(b"x", -1) is None
        with pytest.raises((TypeError, OverflowError)):
            function(name)(b"x", "y")
    with pytest.raises(TypeError):
        function("learn")(0.0, [1.0], 1, 0.0, 0.0)
    assert function("learn")(0.0, array("q", [1]), 1, 0.0, 0.0) is None


def test_usual_streams_begin_and_end_as_c_reads_them() -> None:
    for form, name in ((Format.OPENAI_CHAT, "chat"), (Format.ANTHROPIC, "messages")):
        body = BEFORE[form] + PIECE[form]("So", "plain", False)
        assert function(f"{name}_begins")(body) is not None
        assert function(f"{name}_ends")(body + AFTER[form], len(body)) is not None
        for cut, _ in pairwise(range(len(body))):
            assert function(f"{name}_begins")(body[:cut]) is None
        for cut in range(len(AFTER[form])):
            assert function(f"{name}_ends")(AFTER[form][:cut], 0) is None
