"""Reading answers: every case fed whole, byte by byte and in random cuts."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from outlast.wire.openai_responses import CODEC
from outlast.wire.sse import SSEParser
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    Failed,
    MalformedFrame,
    TextDelta,
    ThinkingDelta,
)
from tests.wire.cases_openai_responses import (
    CASES,
    MALFORMED,
    Case,
    ended,
    response,
    sse,
    stream,
)


def read_whole(chunks: list[bytes]) -> list[AnswerEvent]:
    parser, reader = SSEParser(), CODEC.reader()
    events: list[AnswerEvent] = []
    for chunk in chunks:
        for event in parser.feed(chunk):
            events += reader.feed(event)
    return events


def read(chunks: list[bytes]) -> list[AnswerEvent]:
    return without_items(read_whole(chunks))


def without_items(events: list[AnswerEvent]) -> list[AnswerEvent]:
    """The events without the ids of their items, which have a test of their own."""
    return [
        msgspec.structs.replace(event, item="") if isinstance(event, BlockStart) else event
        for event in events
    ]


def test_a_block_knows_the_item_that_it_is_in() -> None:
    """A second voice that goes on in it has to name the same item."""
    text = next(case for case in CASES if case.frames[2]["item"]["type"] == "message")
    wanted = text.frames[2]["item"]["id"]
    starts = [e for e in read_whole([sse(text.frames)]) if isinstance(e, BlockStart)]
    assert wanted
    assert starts[0].item == wanted


def joined(events: list[AnswerEvent]) -> list[AnswerEvent]:
    """Return the events with neighbouring deltas of one block put together."""
    result: list[AnswerEvent] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            result[-1] = TextDelta(event.index, last.text + event.text)
        elif isinstance(event, ThinkingDelta) and isinstance(last, ThinkingDelta):
            result[-1] = ThinkingDelta(event.index, last.text + event.text)
        elif isinstance(event, ArgsDelta) and isinstance(last, ArgsDelta):
            result[-1] = ArgsDelta(event.index, last.json + event.json)
        else:
            result.append(event)
    return result


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_stream_means_the_same_however_it_is_cut(case: Case, line_end: str) -> None:
    data = sse(case.frames, line_end)
    assert read([data]) == case.events
    assert read([data[i : i + 1] for i in range(len(data))]) == case.events
    cuts = random.Random(case.name)
    for _ in range(5):
        at = sorted(cuts.randrange(len(data)) for _ in range(6))
        pieces = [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]
        assert read(pieces) == case.events


@pytest.mark.parametrize("case", [c for c in CASES if c.whole], ids=lambda case: case.name)
def test_a_whole_answer_means_the_same_as_its_stream(case: Case) -> None:
    body = case.frames[-1]["response"]
    assert joined(without_items(CODEC.parse_answer(body))) == joined(case.events)


@pytest.mark.parametrize(("why", "data"), MALFORMED, ids=[why for why, _ in MALFORMED])
def test_a_frame_that_breaks_the_format_is_never_skipped(why: str, data: bytes) -> None:
    with pytest.raises(MalformedFrame):
        read([data])


def test_nothing_is_read_after_the_end_and_done_is_no_end() -> None:
    assert read([b"data: [DONE]\n\n"]) == []
    data = sse(stream(ended([])))
    assert read([data, b"data: [DONE]\n\n", data, b"data: not JSON\n\n"]) == read([data])


def test_comments_mean_nothing() -> None:
    assert read([b": keepalive\n\n: again\n\n"]) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output": "text"},
        response([], "in_progress"),
        response([], "cancelled"),
        {"status": "completed", "output": [], "model": "m"},
        {"status": "completed", "output": [5], "model": "m", "id": "r"},
        {"choices": []},
    ],
)
def test_a_body_that_is_no_finished_answer_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.parse_answer(body)


def test_a_failed_answer_and_an_error_with_status_200_are_failures() -> None:
    failed = response([], "failed", error={"code": "rate_limit_exceeded", "message": "m"})
    assert CODEC.parse_answer(failed) == [Failed("rate_limit_exceeded", "m", 429)]
    error = {"error": {"type": "server_error", "message": "m", "code": None}}
    assert CODEC.parse_answer(error) == [Failed("server_error", "m", 500)]


def test_indices_with_gaps_do_not_repeat_an_item() -> None:
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "Once.", "annotations": []}
    whole = {**item, "content": [part]}
    frames = stream(
        {"type": "response.output_item.added", "output_index": 0, "item": None},
        {"type": "response.output_item.added", "output_index": 3, "item": item},
        {"type": "response.output_item.done", "output_index": 3, "item": whole},
        ended([whole]),
    )
    texts = [event for event in read([sse(frames)]) if isinstance(event, TextDelta)]
    assert texts == [TextDelta(0, "Once.")]


def test_an_item_left_open_is_settled_from_the_final_response() -> None:
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "Once.", "annotations": []}
    frames = stream(
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        ended([{**item, "content": [part]}]),
    )
    assert read([sse(frames)])[1:4] == [BlockStart(0, "text"), TextDelta(0, "Once."), BlockStop(0)]


def test_an_answer_without_end_is_bounded() -> None:
    delta = {
        "type": "response.output_text.delta",
        "output_index": 0,
        "content_index": 0,
        "delta": "x" * (1 << 20),
    }
    with pytest.raises(MalformedFrame, match="characters"):
        read([sse([frame]) for frame in [*stream(), *[delta] * 20]])
