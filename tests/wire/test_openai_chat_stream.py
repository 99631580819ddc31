"""Chat completion streams: read, written, read again."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Format, Tokens
from outlast.wire.canon import Request, Tool
from outlast.wire.openai_chat import CODEC, Reader
from outlast.wire.openai_chat.parse import LEGACY
from outlast.wire.sse import SSEParser
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockKind,
    BlockStart,
    BlockStop,
    End,
    Failed,
    ForeignDelta,
    MalformedFrame,
    Ping,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    TextDelta,
    ThinkingDelta,
)
from tests.wire.cases_openai_chat import CASES, DONE, MALFORMED, OPENAI, ROLE, Frames, chunk, sse

IDS = [case[0] for case in CASES]
REQUEST = Request("m", (), Format.OPENAI_CHAT, stream=True, include_usage=True)


def read(pieces: list[bytes]) -> list[AnswerEvent]:
    parser, reader = SSEParser(), Reader()
    events: list[AnswerEvent] = []
    for piece in pieces:
        for frame in parser.feed(piece):
            events += reader.feed(frame)
    return events


def write(events: list[AnswerEvent], request: Request = REQUEST) -> bytes:
    writer = CODEC.writer(request)
    return b"".join(writer.write(event) for event in events)


def frames_of(stream: bytes) -> list[Any]:
    data = [frame.data for frame in SSEParser().feed(stream) if frame.data]
    return [json.loads(each) if each != b"[DONE]" else DONE for each in data]


def merged(events: list[AnswerEvent]) -> list[AnswerEvent]:
    """The same events with the pieces of each block joined: how a text is cut has no meaning."""
    out: list[AnswerEvent] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            out[-1] = TextDelta(event.index, last.text + event.text)
        elif isinstance(event, ThinkingDelta) and isinstance(last, ThinkingDelta):
            out[-1] = ThinkingDelta(event.index, last.text + event.text)
        elif isinstance(event, ArgsDelta) and isinstance(last, ArgsDelta):
            out[-1] = ArgsDelta(event.index, last.json + event.json)
        else:
            out.append(event)
    return out


@pytest.mark.parametrize(("sentence", "frames", "events"), CASES, ids=IDS)
def test_a_stream_means_what_the_table_says(
    sentence: str, frames: Frames, events: list[AnswerEvent]
) -> None:
    assert read([sse(frames)]) == events, sentence


@pytest.mark.parametrize(("sentence", "frames", "events"), CASES, ids=IDS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_stream_means_the_same_byte_by_byte(
    sentence: str, frames: Frames, events: list[AnswerEvent], line_end: str
) -> None:
    stream = sse(frames, line_end)
    assert read([stream[i : i + 1] for i in range(len(stream))]) == events, sentence


@given(st.sampled_from(CASES), st.lists(st.integers(0, 4_000), max_size=12))
def test_a_stream_means_the_same_wherever_it_is_cut(
    case: tuple[str, Frames, list[AnswerEvent]], cuts: list[int]
) -> None:
    stream = sse(case[1])
    at = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert read([stream[a:b] for a, b in itertools.pairwise(at)]) == case[2]


WRITABLE = [case for case in CASES if not any(isinstance(e, ForeignDelta) for e in case[2])]


@pytest.mark.parametrize(
    ("sentence", "frames", "events"), WRITABLE, ids=[case[0] for case in WRITABLE]
)
def test_what_the_writer_says_the_reader_understands_as_the_same(
    sentence: str, frames: Frames, events: list[AnswerEvent]
) -> None:
    again = without_invented_arguments(merged(read([write(events)])), events)
    assert [as_chat_says_it(e) for e in again] == [as_chat_says_it(e) for e in merged(events)]


def as_chat_says_it(event: AnswerEvent) -> AnswerEvent:
    """`stop` stands for the model's own end and for a met stop sequence alike."""
    if isinstance(event, Stop) and event.reason == "stop_sequence":
        return Stop("end_turn", event.tokens)
    return event


def without_invented_arguments(
    again: list[AnswerEvent], original: list[AnswerEvent]
) -> list[AnswerEvent]:
    """Clients parse arguments, so a call without any is written as `{}`."""
    indices = {each.index for each in original if isinstance(each, ArgsDelta)}
    return [e for e in again if not (isinstance(e, ArgsDelta) and e.index not in indices)]


@pytest.mark.parametrize(("sentence", "frames"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_a_malformed_frame_is_a_failure_and_never_skipped(sentence: str, frames: Frames) -> None:
    with pytest.raises(MalformedFrame):
        read([sse(frames)])


def test_the_stop_waits_for_the_usage_and_is_said_once() -> None:
    reader, parser = Reader(), SSEParser()
    stages = [ROLE, chunk({"content": "Hi"}), chunk({}, "stop"), chunk(usage={"prompt_tokens": 3})]
    seen = [[e for f in parser.feed(sse([s])) for e in reader.feed(f)] for s in stages]
    assert seen[2] == [BlockStop(0)]
    assert reader.finished
    assert seen[3] == [Stop("end_turn", Tokens(input=3))]
    assert reader.finish() == [End()]
    assert reader.finish() == []


def test_a_finished_stream_without_the_last_word_can_be_completed() -> None:
    reader = Reader()
    parser = SSEParser()
    for frame in parser.feed(sse([ROLE, chunk({"content": "Hi"}), chunk({}, "length")])):
        reader.feed(frame)
    assert reader.finished
    assert reader.finish() == [Stop("max_tokens"), End()]


def test_a_torn_stream_is_never_completed() -> None:
    reader = Reader()
    for frame in SSEParser().feed(sse([ROLE, chunk({"content": "Hi"})])):
        reader.feed(frame)
    assert not reader.finished
    with pytest.raises(MalformedFrame):
        reader.finish()


ERRORS: list[tuple[str, bytes, Failed]] = [
    (
        "OpenAI's",
        b'data: {"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}}',
        Failed("requests", "Slow down", 429),
    ),
    (
        "OpenRouter's: the status as a number, beside choices",
        b'data: {"id":"x","error":{"code":502,"message":"Upstream"},"choices":[{"index":0,'
        b'"delta":{"content":""},"finish_reason":"error"}]}',
        Failed("502", "Upstream", 502),
    ),
    (
        "vLLM's: an error object in the place of a chunk",
        b'data: {"object":"error","message":"boom","type":"InternalServerError","code":500}',
        Failed("InternalServerError", "boom", 500),
    ),
    (
        "a named event",
        b'event: error\ndata: {"message":"overloaded","type":"overloaded_error"}',
        Failed("overloaded_error", "overloaded", 529),
    ),
    ("a word", b'data: {"error":"out of memory"}', Failed("server_error", "out of memory", 0)),
    (
        "DeepSeek's finish reason",
        b'data: {"choices":[{"delta":{},"finish_reason":"insufficient_system_resource"}]}',
        Failed(
            "server_error",
            "the upstream stopped with finish_reason insufficient_system_resource",
            503,
        ),
    ),
]


@pytest.mark.parametrize(("sentence", "frame", "failed"), ERRORS, ids=[row[0] for row in ERRORS])
def test_an_error_inside_a_stream_is_seen(sentence: str, frame: bytes, failed: Failed) -> None:
    events = read([frame + b"\n\n"])
    assert events[-1] == failed, sentence


def test_comments_and_unknown_events_mean_nothing() -> None:
    assert read([b": OPENROUTER PROCESSING\n\nevent: ping\ndata: {}\n\n"]) == []


# The writer


@pytest.mark.parametrize(("sentence", "frames", "events"), OPENAI, ids=[c[0] for c in OPENAI])
def test_a_written_stream_keeps_the_rules_that_clients_rely_on(
    sentence: str, frames: Frames, events: list[AnswerEvent]
) -> None:
    stream = write(events)
    written = frames_of(stream)
    assert b"event:" not in stream
    assert written[-1] == DONE
    chunks = written[:-1]
    assert len({(each["id"], each["created"]) for each in chunks}) == 1
    assert all(isinstance(each["choices"], list) for each in chunks)
    choices = [choice for each in chunks for choice in each["choices"]]
    assert [c["delta"]["role"] for c in choices if "role" in c["delta"]] == ["assistant"]
    assert len([c for c in choices if c["finish_reason"]]) == 1
    assert choices[-1]["finish_reason"]


def test_the_usage_chunk_comes_only_when_it_was_asked_for() -> None:
    events: list[AnswerEvent] = [
        Start("msg_1", "claude", Tokens(input=5)),
        Stop("end_turn", Tokens(input=5, output=2, cache_read=7)),
        End(),
    ]
    usage = frames_of(write(events))[-2]
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens"] == 12
    assert usage["usage"]["prompt_tokens_details"]["cached_tokens"] == 7
    silent = Request("m", (), Format.OPENAI_CHAT, stream=True)
    assert all("usage" not in each for each in frames_of(write(events, silent))[:-1])


def test_a_repeated_stop_gives_one_finish_reason_the_last() -> None:
    written = frames_of(write([Start("a", "m"), Stop("end_turn"), Stop("max_tokens"), End()]))
    assert [c["finish_reason"] for f in written[:-1] for c in f["choices"]] == [None, "length"]


def test_a_second_leg_keeps_the_id_and_tells_the_new_model() -> None:
    written = frames_of(
        write([Start("msg_1", "a"), BlockStart(0, "text"), Start("chatcmpl-9", "b"), End()])
    )
    assert {f["id"] for f in written[:-1]} == {"chatcmpl-msg_1"}
    assert [f["model"] for f in written[:-1]][-1] == "b"


def test_signatures_and_pings_say_nothing_to_a_chat_client() -> None:
    writer = CODEC.writer(REQUEST)
    writer.write(Start("a", "m"))
    assert writer.write(BlockStart(0, "thinking")) == b""
    assert writer.write(SignatureDelta(0, "EqQB")) == b""
    assert writer.write(Ping()) == writer.keepalive() == b": keep-alive\n\n"


def test_text_after_something_else_is_a_new_paragraph_and_next_to_text_is_not() -> None:
    events: list[AnswerEvent] = [
        Start("a", "m"),
        *(BlockStart(0, "text"), TextDelta(0, "One"), BlockStop(0)),
        *(BlockStart(1, "text"), TextDelta(1, " and"), BlockStop(1)),
        *(BlockStart(2, "thinking"), ThinkingDelta(2, "hm"), BlockStop(2)),
        *(BlockStart(3, "text"), TextDelta(3, "two"), BlockStop(3)),
        Stop("end_turn"),
        End(),
    ]
    written = frames_of(write(events))[:-1]
    text = "".join(c["delta"].get("content") or "" for f in written for c in f["choices"])
    assert text == "One and\n\ntwo"
    assert CODEC.render_answer(events, REQUEST)["choices"][0]["message"]["content"] == text


def test_a_failure_is_an_error_frame_and_nothing_after_it() -> None:
    writer = CODEC.writer(REQUEST)
    writer.write(Start("a", "m"))
    frame = writer.failure(529, "Everything is down.", "req_1")
    body = json.loads(SSEParser().feed(frame)[0].data)
    assert body["error"]["message"] == "Everything is down."
    assert body["error"]["code"] == "overloaded"
    assert body["request_id"] == "req_1"
    assert writer.write(End()) == b""
    assert read([frame])[-1] == Failed("server_error", "Everything is down.", 529)


CUSTOM = Request(
    "m", (), Format.OPENAI_CHAT, tools=(Tool("patch", kind="custom"),), include_usage=True
)
WRAPPED: list[AnswerEvent] = [
    Start("a", "m"),
    BlockStart(0, "tool_use", id="t1", name="patch"),
    ArgsDelta(0, '{"input":"*** Be'),
    ArgsDelta(0, 'gin"}'),
    BlockStop(0),
    Stop("tool_use"),
    End(),
]


def test_a_custom_tool_that_ran_as_a_function_comes_back_as_a_custom_call() -> None:
    calls = [e for e in read([write(WRAPPED, CUSTOM)]) if isinstance(e, BlockStart | ArgsDelta)]
    assert calls == [BlockStart(0, "custom_tool", id="t1", name="patch"), ArgsDelta(0, "*** Begin")]
    message = CODEC.render_answer(WRAPPED, CUSTOM)["choices"][0]["message"]
    assert message["tool_calls"] == [
        {"id": "t1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    ]


def test_a_client_of_functions_gets_a_function_call() -> None:
    request = Request("m", (), Format.OPENAI_CHAT, tools=(Tool("f", raw=LEGACY),))
    events: list[AnswerEvent] = [
        Start("a", "m"),
        BlockStart(0, "tool_use", id="t1", name="f"),
        ArgsDelta(0, '{"a":1}'),
        BlockStop(0),
        Stop("tool_use"),
        End(),
    ]
    written = frames_of(write(events, request))[:-1]
    deltas = [
        c["delta"]["function_call"]
        for f in written
        for c in f["choices"]
        if "function_call" in c["delta"]
    ]
    assert deltas == [{"name": "f", "arguments": ""}, {"arguments": '{"a":1}'}]
    assert written[-1]["choices"][0]["finish_reason"] == "function_call"
    answer = CODEC.render_answer(events, request)["choices"][0]
    assert answer["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert answer["finish_reason"] == "function_call"


# Properties

_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@st.composite
def answers(draw: st.DrawFn) -> list[AnswerEvent]:
    """Answers as this format can hold them: thoughts, then text, then calls."""
    events: list[AnswerEvent] = [Start("chatcmpl-" + draw(st.text("abc123", max_size=8)), "m")]
    index = 0
    kinds: list[BlockKind] = draw(
        st.sampled_from([[], ["thinking"], ["text"], ["thinking", "text"]])
    )
    for kind in kinds:
        events.append(BlockStart(index, kind))
        for text in draw(st.lists(_texts, min_size=1, max_size=4)):
            events.append(TextDelta(index, text) if kind == "text" else ThinkingDelta(index, text))
        events.append(BlockStop(index))
        index += 1
    calls = draw(st.integers(0, 3))
    for number in range(calls):
        events.append(
            BlockStart(
                index, "tool_use", id=f"call_{number}", name=draw(st.text("fgh", min_size=1))
            )
        )
        events += [
            ArgsDelta(index, text) for text in draw(st.lists(_texts, min_size=1, max_size=4))
        ]
        events.append(BlockStop(index))
        index += 1
    counts = st.integers(0, 1 << 40)
    tokens = Tokens(draw(counts), draw(st.integers(1, 1 << 40)), draw(counts), draw(counts), 0)
    reasons: list[StopReason] = ["tool_use"] if calls else ["end_turn", "max_tokens", "refusal"]
    reason = draw(st.sampled_from(reasons))
    events += [Stop(reason, tokens), End()]
    return events


@given(answers())
def test_any_answer_survives_being_written_and_read(events: list[AnswerEvent]) -> None:
    assert merged(read([write(events)])) == merged(events)


@given(answers())
def test_any_whole_answer_survives_being_rendered_and_parsed(events: list[AnswerEvent]) -> None:
    body = json.loads(json.dumps(CODEC.render_answer(events, REQUEST)))
    assert CODEC.parse_answer(body) == merged(events)
