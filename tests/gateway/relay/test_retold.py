"""Translated streams that are plain: said, done and written down as the exchange would."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.gateway.events import HeadReceived
from outlast.gateway.live import Live, Odd, Retelling
from outlast.gateway.relay.run import Run
from outlast.gateway.relay.streaming import Streamed
from outlast.nouns import Format
from outlast.wire import CODECS, canon
from outlast.wire.openai_chat.writer import Writer
from outlast.wire.stream import AnswerEvent, End, MalformedFrame
from tests.gateway.relay.test_carrying import form_of
from tests.gateway.relay.test_lane import HEADS, LENGTH, Both, cut, request
from tests.gateway.relay.test_streaming import (
    ANSWER_HEADS,
    WISH,
    answer,
    given_up,
    one_text,
    plain,
    some_answer,
)
from tests.gateway.relay.twins import settings_of
from tests.gateway.test_skimming import streams

pytestmark = pytest.mark.asyncio
CLAUDE = Format.ANTHROPIC
WISHES = [
    WISH,
    WISH,
    b', "stream": true, "stream_options": {"include_usage": true}}',
    b', "stream": true, "stream_options": {"include_usage": false}}',
]


def asks(extra: bytes = b"", ending: bytes = WISH) -> bytes:
    return request(Format.OPENAI_CHAT, "crossed", extra, LENGTH[0], ending)


def learn(both: Both, extra: bytes = b"") -> None:
    """Two plain streams with this head, answered plainly."""
    for _ in range(2):
        both.do("connect")
        both.do("ask", asks(extra))
        for name in both.asked():
            both.do("answer", name, answer(ANSWER_HEADS[0], plain(form_of(both, name), "Well")))


@settings(max_examples=400, deadline=None)
@given(st.data())
async def test_both_say_do_and_write_down_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    extra = data.draw(st.one_of(st.just(b""), st.sampled_from(HEADS)))
    both = Both(settings_of(tmp_path_factory.getbasetemp()), alone=data.draw(st.booleans()))
    learn(both, extra)
    for _ in range(data.draw(st.integers(1, 2))):
        both.do("connect")
        both.do("ask", asks(extra, data.draw(st.sampled_from(WISHES))))
        for _ in range(3):
            if not both.asked():
                break
            form = form_of(both, both.asked()[0])
            pieces = data.draw(streams(form))[1] if form is CLAUDE else plain(form, " one. ", "two")
            some_answer(both, data, pieces, [204, 529])
        given_up(both)
    if not both.sides[0].socket.closing:
        both.do("leave")


@settings(max_examples=300, deadline=None)
@given(st.data())
async def test_streams_that_are_one_text_are_said_again_alike_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    both = Both(settings_of(tmp_path_factory.getbasetemp()), alone=data.draw(st.booleans()))
    learn(both)
    for _ in range(2):
        both.do("connect")
        both.do("ask", asks(b"", data.draw(st.sampled_from(WISHES))))
        one_text(both, data, CLAUDE)
        given_up(both)
    if not both.sides[0].socket.closing:
        both.do("leave")


@pytest.mark.parametrize("cuts", [[], [700], [200, 300, 700]])
async def test_a_plain_translated_stream_builds_no_exchange(
    tmp_path: Path, cuts: list[int]
) -> None:
    both = Both(settings_of(tmp_path))
    learn(both)
    both.do("connect")
    both.do("ask", asks())
    short, long = both.sides
    assert isinstance(short.running, Streamed)
    assert isinstance(long.running, Run)
    (name,) = both.asked()
    assert form_of(both, name) is CLAUDE
    sent = answer(ANSWER_HEADS[2], plain(CLAUDE, " one", " two", ". three"))
    for piece in cut(sent, cuts):
        assert isinstance(short.running, Streamed)
        both.do("answer", name, piece)
    assert short.settled[-1].outcome == "ok"
    assert bytes(short.socket.sent).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def long_way(both: Both) -> bool:
    return isinstance(both.sides[0].running, Run)


def behind(index: int, block: str, delta: str) -> bytes:
    """A block more, from its beginning to its end."""
    said = {
        "content_block_start": f'"content_block":{block}',
        "content_block_delta": f'"delta":{delta}',
        "content_block_stop": "",
    }
    return b"".join(
        f'event: {name}\ndata: {{"type":"{name}","index":{index}{more and ","}{more}}}\n\n'.encode()
        for name, more in said.items()
    )


async def test_who_takes_over_knows_how_the_text_ended(tmp_path: Path) -> None:
    """Text behind a call is a paragraph of its own, where the text before it ended in a word."""
    both = Both(settings_of(tmp_path))
    learn(both)
    both.do("connect")
    both.do("ask", asks())
    (name,) = both.asked()
    said = answer(ANSWER_HEADS[0], plain(CLAUDE, "One. ", "Two. ", "Three.")[:-1])
    both.do("answer", name, *cut(said.removesuffix(b"0\r\n\r\n"), [len(said) - 200]))
    both.do("pause")
    assert not long_way(both)
    stop = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    call = '{"type":"tool_use","id":"toolu_1","name":"look","input":{}}'
    more = stop + behind(1, call, '{"type":"input_json_delta","partial_json":"{}"}')
    more += behind(2, '{"type":"text","text":""}', '{"type":"text_delta","text":"Four. "}')
    both.do("answer", name, b"%x\r\n%b\r\n" % (len(more), more))
    both.do("pause")
    assert long_way(both)
    assert b'"content":"\\n\\nFour. "' in bytes(both.sides[0].socket.sent)
    both.do("leave")


async def test_an_end_that_cannot_be_said_again_was_not_taken_in() -> None:
    class Stuck(Writer):
        def write(self, event: AnswerEvent) -> bytes:
            if isinstance(event, End):
                raise MalformedFrame("no end")
            return super().write(event)

    asked = canon.Request(model="m", messages=(), origin=Format.OPENAI_CHAT, stream=True)
    retelling = Retelling(Stuck(asked), 0)
    live = Live(CLAUDE, CODECS[CLAUDE], HeadReceived(0, 200, {}, 0.0), retelling)
    *frames, last, end = plain(CLAUDE, "One. ", "Two. ")
    assert b"One. " in live.feed(b"".join(frames), 1.0)
    with pytest.raises(Odd):
        live.feed(last + end, 2.0)
    assert live.flow is not None
    assert (live.ended, live.flow.said, live.flow.times.tolist()) == (False, [], [])
