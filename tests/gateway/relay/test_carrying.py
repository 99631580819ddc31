"""Translated requests that are plain: the express lane says, does and writes down the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.gateway.relay.lane import Plain
from outlast.nouns import Format
from tests.gateway.relay.test_lane import ENDINGS, HEADS, LENGTH, STEPS, Both, answers, cut, request
from tests.gateway.relay.twins import settings_of
from tests.gateway.test_express import PLAIN

pytestmark = pytest.mark.asyncio

ASKS = request(Format.OPENAI_CHAT, "crossed", b"", LENGTH[0], b"}")


def form_of(both: Both, name: str) -> Format:
    """What was asked last on a connection: all upstreams here have the same address."""
    sent = bytes(both.sides[1].upstreams[name][1].sent)
    path = sent[sent.rindex(b"POST ") :].split(b" ", 2)[1]
    return Format.ANTHROPIC if path == b"/v1/messages" else Format.OPENAI_CHAT


def whole(form: Format) -> bytes:
    body = msgspec.json.encode(PLAIN[form])
    return b"HTTP/1.1 200 OK\r\nrequest-id: r9\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def learnt(both: Both, extra: bytes = b"") -> None:
    for _ in range(2):
        both.do("connect")
        both.do("ask", request(Format.OPENAI_CHAT, "crossed", extra, LENGTH[0], b"}"))
        for name in both.asked():
            both.do("answer", name, whole(form_of(both, name)))


@settings(max_examples=200, deadline=None)
@given(st.data())
async def test_both_say_do_and_write_down_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    both = Both(settings_of(tmp_path_factory.getbasetemp()), alone=data.draw(st.booleans()))
    extra = data.draw(st.one_of(st.just(b""), st.sampled_from(HEADS)))
    learnt(both, extra)
    for _ in range(data.draw(st.integers(1, 3))):
        both.do("connect")
        ending = data.draw(st.one_of(st.just(b"}"), st.sampled_from(ENDINGS)))
        asking = request(Format.OPENAI_CHAT, "crossed", extra, LENGTH[0], ending)
        both.do("ask", *cut(asking, data.draw(st.lists(st.integers(0, 500), max_size=2))))
        if data.draw(st.integers(0, 3)) == 3:
            both.do(data.draw(st.sampled_from(STEPS)))
        for _ in range(6):
            if not both.asked():
                break
            name = both.asked()[0]
            pieces, closes = data.draw(answers(form_of(both, name)))
            both.do("answer", name, *pieces, closes=closes)
            if both.asked() and data.draw(st.integers(0, 5)) == 5:
                both.do(data.draw(st.sampled_from(STEPS)))
        if both.asked():
            both.do("wait", 1000.0)
    if not both.sides[0].socket.closing:
        both.do("leave")


@pytest.mark.parametrize("cuts", [[], [700], [5, 300]])
async def test_a_plain_translated_request_takes_the_express_lane(
    tmp_path: Path, cuts: list[int]
) -> None:
    both = Both(settings_of(tmp_path))
    learnt(both)
    both.do("connect")
    both.do("ask", ASKS)
    short, long = both.sides
    assert isinstance(short.running, Plain)
    assert not isinstance(long.running, Plain)
    (name,) = both.asked()
    assert form_of(both, name) is Format.ANTHROPIC
    both.do("answer", name, *cut(whole(Format.ANTHROPIC), cuts))
    assert len(short.settled) == 3
    assert short.metrics.under_way == 0
    assert b"chat.completion" in bytes(short.socket.sent)


async def test_what_only_the_codecs_can_say_goes_the_long_way(tmp_path: Path) -> None:
    both = Both(settings_of(tmp_path))
    learnt(both)
    both.do("connect")
    both.do("ask", request(Format.OPENAI_CHAT, "crossed", b"", LENGTH[0], b', "temperature": 0}'))
    assert not isinstance(both.sides[0].running, Plain)
    both.do("answer", both.asked()[0], whole(Format.ANTHROPIC))
    both.do("connect")
    both.do("ask", ASKS)
    assert isinstance(both.sides[0].running, Plain)
    both.do("answer", both.asked()[0], b"HTTP/1.1 529 X\r\ncontent-length: 0\r\n\r\n")
    both.do("answer", both.asked()[0], whole(Format.OPENAI_CHAT))
    assert both.sides[0].settled[-1].outcome == "ok"
