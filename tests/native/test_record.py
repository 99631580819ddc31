"""Receipts and the journal's frames, written by C, are those that Python writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway.asked import Prepared
from outlast.gateway.express import ID_CHARS, Case, Counts, Form
from outlast.gateway.relay.heads import written
from outlast.native import compiled, module
from outlast.nouns import Degraded, Format
from outlast.store.segment import RECORD_LIMIT_BYTES, framed
from tests.gateway.test_express import machine, prepared_by
from tests.native.alone import python_alone

pytestmark = pytest.mark.skipif(
    module() is None, reason="nothing is compiled here: `make native` needs a C compiler"
)

IDENT = "req_" + "0" * (ID_CHARS - 4)
edges = st.sampled_from([0, 1, 127, 128, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32, 1 << 53])
counts = st.tuples(*[st.one_of(edges, st.integers(0, 1 << 53))] * 5)
times = st.floats(0, 4e9)


@given(counts, times, times, st.text("abc-_:1", max_size=300))
def test_both_write_the_same_receipt(told: Counts, began: float, ended: float, theirs: str) -> None:
    form = Form(Case(machine(Format.OPENAI_CHAT)._plan, prepared(), Degraded.NONE, ()), "gpt-5")
    made = compiled("receipt")
    assert made is not None
    assert made(form._parts, IDENT, began, ended, told, theirs) is not None
    written = form.whole(IDENT, began, ended, told, theirs)
    with python_alone():
        assert form.whole(IDENT, began, ended, told, theirs) == written


def prepared() -> Prepared:
    return prepared_by(Format.OPENAI_CHAT)


def test_what_c_cannot_write_python_writes() -> None:
    made = compiled("receipt")
    assert made is not None
    parts = (b"a",) * 6
    good: tuple[object, ...] = (parts, IDENT, 1.0, 2.0, (1, 2, 3, 4, 5), "r")
    assert made(*good) is not None
    for place, odd in [
        (0, parts[1:]),
        (0, (*parts[1:], "a")),
        (1, "req_é"),
        (2, 1),
        (3, None),
        (4, (1, 2, 3, 4)),
        (4, (1, 2, 3, 4, -1)),
        (4, (1, 2, 3, 4, 1 << 70)),
        (4, (1, 2, 3, 4, 1.5)),
        (5, "é"),
        (5, "r" * 70_000),
    ]:
        bad = list(good)
        bad[place] = odd
        assert made(*bad) is None, odd


@given(
    st.lists(st.binary(min_size=1, max_size=600), max_size=6),
    st.integers(1, 1 << 62),
    st.integers(64, 1 << 40),
)
def test_both_frame_records_alike(records: list[bytes], number: int, end: int) -> None:
    frames = compiled("frames")
    assert frames is not None
    assert frames(records, number, end) == framed(records, number, end)


def test_a_record_of_the_greatest_length_is_framed() -> None:
    frames = compiled("frames")
    assert frames is not None
    records = [bytes(range(256)) * (RECORD_LIMIT_BYTES // 256)]
    assert frames(records, 3, 64) == framed(records, 3, 64)
    assert frames(["text"], 3, 64) is None


@given(
    st.binary(max_size=99), st.binary(max_size=99), st.binary(max_size=99), st.binary(max_size=999)
)
def test_both_write_the_same_answer(usual: bytes, lines: bytes, who: bytes, body: bytes) -> None:
    made = compiled("reply")
    assert made is not None
    assert made(usual, lines, IDENT, who, body) == written(usual, lines, IDENT, who, body)
    with python_alone():
        assert made(usual, lines, IDENT, who, body) == written(usual, lines, IDENT, who, body)
    assert made(usual, lines, IDENT.encode(), who, body) is None
