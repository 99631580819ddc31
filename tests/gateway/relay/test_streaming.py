"""A plain stream says, does and writes down what the exchange would, whatever happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.config import RetrySettings, Settings
from outlast.gateway.relay.run import Run
from outlast.gateway.relay.streaming import Streamed
from outlast.nouns import Format
from tests.gateway.relay.test_lane import (
    HEADS,
    LENGTH,
    MODELS,
    PATHS,
    Both,
    asks,
    cut,
    plainly,
    request,
    whole,
)
from tests.gateway.relay.twins import settings_of
from tests.gateway.test_skimming import AFTER, BEFORE, PIECE, streams, words

pytestmark = pytest.mark.asyncio

WISH = b', "stream": true}'
STEPS = ["leave", "wait", "pause", "pause", "interrupt", "stop", "clog", "unclog"]
ANSWER_HEADS = [
    b"content-type: text/event-stream\r\n",
    b"Content-Type: text/event-stream; charset=utf-8\r\nx-request-id: r1\r\nServer: x\r\n",
    b"request-id: r2\r\ncontent-type: text/event-stream\r\n"
    b"x-ratelimit-a: 1\r\nX-Ratelimit-a: 2\r\n",
    b"content-type: application/json\r\n",
    b"",
]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(lines: bytes, frames: list[bytes], status: int = 200) -> bytes:
    head = b"HTTP/1.1 %d X\r\n%btransfer-encoding: chunked\r\n\r\n" % (status, lines)
    return head + b"".join(map(chunk, frames)) + b"0\r\n\r\n"


def plain(form: Format, *texts: str) -> list[bytes]:
    """The frames of a stream that is one text."""
    pieces = [PIECE[form](text, "plain", False) for text in texts]
    return [BEFORE[form], *pieces, AFTER[form]]


def learn(both: Both, form: Format, model: str, extra: bytes) -> None:
    """Two plain streams with this head, answered plainly."""
    for _ in range(2):
        both.do("connect")
        both.do("ask", request(form, model, extra, LENGTH[0], WISH))
        for name in both.asked():
            both.do("answer", name, answer(ANSWER_HEADS[0], plain(form, "Well", ". ", "So")))


def some_answer(both: Both, data: st.DataObject, pieces: list[bytes], statuses: list[int]) -> None:
    """An answer of these pieces, or a part of it, cut anywhere, with anything in between."""
    status = data.draw(st.sampled_from([200] * 12 + statuses))
    lines = data.draw(st.sampled_from([*ANSWER_HEADS[:3] * 4, *ANSWER_HEADS]))
    sent = answer(lines, [piece for piece in pieces if piece], status)
    cuts = data.draw(st.lists(st.integers(0, len(sent)), max_size=8))
    if data.draw(st.integers(0, 5)) == 5:
        sent = sent[: data.draw(st.integers(0, len(sent)))]
    for one in cut(sent, cuts):
        if both.asked():
            both.do("answer", both.asked()[0], one)
        if data.draw(st.integers(0, 3)) == 3:
            both.do(data.draw(st.sampled_from(STEPS)))
    if both.asked() and data.draw(st.integers(0, 1)) == 1:
        both.do("answer", both.asked()[0], closes=True)


def one_text(both: Both, data: st.DataObject, form: Format) -> None:
    """An answer that is one text from its first word to its last, however it is cut."""
    frames = plain(form, *data.draw(st.lists(words.filter(bool), min_size=1, max_size=12)))
    if data.draw(st.booleans()):
        frames = [frame + b"\n\n" for frame in b"".join(frames).split(b"\n\n")[:-1]]
    sent = answer(data.draw(st.sampled_from(ANSWER_HEADS[:3])), frames)
    places = data.draw(st.lists(st.integers(0, len(sent)), max_size=6))
    if data.draw(st.booleans()):  # mostly a read is a chunk
        ends = [m.end() for m in re.finditer(rb"\n\n\r\n|\r\n\r\n", sent)]
        places = data.draw(st.lists(st.sampled_from(ends), max_size=12)) + places[:1]
    for one in cut(sent, places):
        if both.asked():
            both.do("answer", both.asked()[0], one)
        if data.draw(st.integers(0, 7)) == 7:
            both.do(data.draw(st.sampled_from(["pause", "pause", *STEPS])))


def given_up(both: Both) -> None:
    """Whoever is still asked says nothing more."""
    for _ in range(8):
        if both.asked():
            both.do("wait", 1000.0)


@settings(max_examples=400, deadline=None)
@given(st.data())
async def test_both_say_do_and_write_down_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    form, pieces = data.draw(streams())
    model = data.draw(st.sampled_from([MODELS[form], MODELS[form], "named"]))
    extra = data.draw(st.one_of(st.just(b""), st.sampled_from(HEADS)))
    both = Both(settings_of(tmp_path_factory.getbasetemp()), alone=data.draw(st.booleans()))
    learn(both, form, model, extra)
    for _ in range(data.draw(st.integers(1, 2))):
        both.do("connect")
        both.do("ask", request(form, model, extra, LENGTH[0], WISH))
        some_answer(both, data, pieces, [201, 204, 400, 529])
        given_up(both)
    if not both.sides[0].socket.closing:
        both.do("leave")


@settings(max_examples=300, deadline=None)
@given(st.data())
async def test_streams_that_are_one_text_are_passed_on_alike_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(list(PATHS)))
    both = Both(settings_of(tmp_path_factory.getbasetemp()), alone=data.draw(st.booleans()))
    learn(both, form, MODELS[form], b"")
    for _ in range(2):
        both.do("connect")
        both.do("ask", request(form, MODELS[form], b"", LENGTH[0], WISH))
        one_text(both, data, form)
        given_up(both)
    if not both.sides[0].socket.closing:
        both.do("leave")


async def test_frames_that_have_no_names_are_named_for_the_client(tmp_path: Path) -> None:
    """The official SDKs pass over frames without their names."""
    both = begun(tmp_path, Format.ANTHROPIC)
    frames = [
        b"\n".join(line for line in frame.split(b"\n") if not line.startswith(b"event: "))
        for frame in plain(Format.ANTHROPIC, "So. ", "It", " is. ")
    ]
    both.do("answer", both.asked()[0], answer(ANSWER_HEADS[0], frames))
    assert b"event: content_block_delta\ndata: " in both.sides[0].socket.sent


def begun(folder: Path, form: Format = Format.OPENAI_CHAT, chosen: Settings | None = None) -> Both:
    """A stream was asked for, by a head that is known."""
    both = Both(chosen or settings_of(folder))
    learn(both, form, MODELS[form], b"")
    both.do("connect")
    both.do("ask", request(form, MODELS[form], b"", LENGTH[0], WISH))
    return both


def express(both: Both) -> bool:
    """Whether the stream goes without an exchange on one side; on the other it never does."""
    short, long = both.sides
    assert not isinstance(long.running, Streamed)
    return isinstance(short.running, Streamed)


@pytest.mark.parametrize("form", PATHS)
@pytest.mark.parametrize("together", [True, False])
async def test_a_plain_stream_needs_no_exchange(
    tmp_path: Path, form: Format, together: bool
) -> None:
    both = begun(tmp_path, form)
    assert express(both)
    name, frames = both.asked()[0], plain(form, "The", " sea", " is", " wi", "de", ". ", "é", "!")
    if together:
        both.do("answer", name, answer(ANSWER_HEADS[1], frames))
    else:
        head, _, _ = answer(ANSWER_HEADS[1], []).partition(b"0\r\n")
        both.do("answer", name, head)
        for frame in frames[:-1]:
            both.do("answer", name, chunk(frame))
            assert express(both)
        both.do("answer", name, chunk(frames[-1]) + b"0\r\n\r\n")
    assert [side.settled[-1].outcome for side in both.sides] == ["ok", "ok"]
    assert both.sides[0].took_express > both.sides[1].took_express == 0


@pytest.mark.parametrize("form", PATHS)
async def test_half_a_word_and_silences_are_looked_at(tmp_path: Path, form: Format) -> None:
    both = begun(tmp_path, form)
    name, frames = both.asked()[0], plain(form, "So", " it", "s", " is")
    head, _, _ = answer(ANSWER_HEADS[1], []).partition(b"0\r\n")
    both.do("answer", name, head + chunk(frames[0]) + chunk(frames[1]))
    both.do("pause")
    assert b"So" in both.sides[0].socket.sent
    assert express(both)
    both.do("answer", name, chunk(frames[2]))
    both.do("pause")
    both.do("answer", name, chunk(frames[3]))
    assert express(both)
    both.do("wait", 1.5)
    assert not express(both)
    assert isinstance(both.sides[0].running, Run)
    both.do("answer", name, chunk(frames[4]) + chunk(frames[5]) + b"0\r\n\r\n")
    assert both.sides[0].settled[-1].outcome == "ok"


async def test_what_a_head_means_is_known_to_all_connections(tmp_path: Path) -> None:
    both = begun(tmp_path)
    both.do("come_again")
    both.do("connect")
    both.do("ask", request(Format.OPENAI_CHAT, "gpt-5", b"", LENGTH[0], WISH))
    assert express(both)
    for name in both.asked():
        both.do("answer", name, answer(ANSWER_HEADS[0], plain(Format.OPENAI_CHAT, "So. ")))
    both.do("come_again")
    both.do("connect")
    both.do("ask", request(Format.OPENAI_CHAT, "gpt-5", b"x: y\r\n", LENGTH[0], WISH))
    assert not express(both)


async def test_a_stranger_teaches_other_connections_nothing(tmp_path: Path) -> None:
    both = Both(settings_of(tmp_path))
    stranger = request(Format.OPENAI_CHAT, "gpt-5", b"", LENGTH[0], WISH).replace(
        b": s\r", b": x\r"
    )
    for _ in range(3):
        both.do("ask", stranger)
    for side in both.sides:
        assert side.connection.known_heads == {}


async def test_a_stream_that_may_be_hedged_is_the_exchanges(tmp_path: Path) -> None:
    hedging = RetrySettings(hedge_after_s=30)
    assert not express(begun(tmp_path, chosen=settings_of(tmp_path, retry=hedging)))


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_does_not_read_ends_no_answer_twice(
    tmp_path: Path, streamed: bool
) -> None:
    """What is written last may be more than the client takes at once."""
    form = Format.OPENAI_CHAT
    if streamed:
        both, said = begun(tmp_path), answer(ANSWER_HEADS[1], plain(form, "So. "))
    else:
        both, said = await plainly(tmp_path), whole(form)
        both.do("connect")
        both.do("ask", asks())
    for side in both.sides:
        side.clogs_at_once = True
    both.do("answer", both.asked()[0], said)
    both.do("unclog")
    for side in both.sides:
        assert (len(side.settled), side.metrics.under_way, side.running) == (3, 0, None)
        assert side.entrance._alarms is None or not side.entrance._alarms._runs
