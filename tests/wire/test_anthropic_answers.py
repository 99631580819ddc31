"""Answers of the Messages API: read whole, byte by byte and cut anywhere, and written back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message as SdkMessage
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from outlast.nouns import Format, Tokens
from outlast.wire.anthropic import CODEC
from outlast.wire.canon import Message, Request, Text
from outlast.wire.sse import ServerSentEvent, SSEParser
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    ForeignDelta,
    MalformedFrame,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)
from tests.wire.cases_anthropic import (
    CASES,
    OURS,
    START,
    TEXT,
    THINK,
    Case,
    begin,
    block,
    delta,
    finish,
    stop,
    stream,
    tool,
    usage,
)

REQUEST = Request("claude-opus-4-8", (Message("user", (Text("Hello"),)),), Format.ANTHROPIC)
NAMES = [case.name for case in CASES]
WHOLE = [case for case in CASES if case.whole is not None]
SDK_EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def read(chunks: list[bytes]) -> list[AnswerEvent]:
    parser, reader = SSEParser(), CODEC.reader()
    return [
        event for chunk in chunks for frame in parser.feed(chunk) for event in reader.feed(frame)
    ]


def write(events: list[AnswerEvent], request: Request = REQUEST) -> bytes:
    writer = CODEC.writer(request)
    return b"".join(writer.write(event) for event in events)


def frames_of(said: bytes) -> list[dict[str, Any]]:
    frames = []
    for event in SSEParser().feed(said):
        frame = json.loads(event.data)
        assert frame["type"] == event.name, "the event's name is its type"
        frames.append(frame)
    return frames


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_stream_means_its_events_whole_and_byte_by_byte(case: Case) -> None:
    said = stream(case.frames)
    assert read([said]) == case.events
    assert read([bytes([byte]) for byte in said]) == case.events


@given(st.sampled_from(CASES), st.data())
def test_a_stream_means_its_events_however_it_is_cut(case: Case, data: st.DataObject) -> None:
    said = stream(case.frames).replace(b"\n", data.draw(st.sampled_from([b"\n", b"\r\n"])))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=12)))
    pieces = [said[a:b] for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    assert read(pieces) == case.events


@pytest.mark.parametrize("case", [case for case in CASES if case.both], ids=lambda case: case.name)
def test_events_are_said_in_exactly_these_frames(case: Case) -> None:
    assert frames_of(write(case.events)) == case.frames


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_a_whole_answer_means_what_its_stream_means(case: Case) -> None:
    assert case.whole is not None
    assert joined(CODEC.parse_answer(case.whole)) == joined(case.events)
    assert CODEC.render_answer(case.events, REQUEST) == case.whole
    assert CODEC.render_answer(CODEC.parse_answer(case.whole), REQUEST) == case.whole


def joined(events: list[AnswerEvent]) -> list[object]:
    """Events with the pieces of each block put together, without the first count of tokens."""
    result: list[object] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, Start):
            result.append((event.id, event.model))
        elif isinstance(event, TextDelta | ThinkingDelta) and type(last) is type(event):
            assert isinstance(last, TextDelta | ThinkingDelta)
            result[-1] = type(event)(event.index, last.text + event.text)
        elif isinstance(event, ArgsDelta) and isinstance(last, ArgsDelta):
            result[-1] = ArgsDelta(event.index, last.json + event.json)
        else:
            result.append(event)
    return result


def test_a_whole_answer_keeps_its_citations() -> None:
    citation = {"type": "char_location", "cited_text": "sky"}
    body = {
        "id": "msg_1",
        "type": "message",
        "model": "m",
        "content": [{"type": "text", "text": "Blue", "citations": [citation]}],
        "stop_reason": "end_turn",
        "usage": usage(1, 1),
    }
    events = CODEC.parse_answer(body)
    assert ForeignDelta(0, {"type": "citations_delta", "citation": citation}, OURS) in events
    assert CODEC.render_answer(events, REQUEST)["content"] == body["content"]


MALFORMED: list[tuple[str, list[dict[str, Any]]]] = [
    ("a delta before the start", [delta(0, "text_delta", text="a")]),
    ("a block before the start", [block(0, TEXT)]),
    ("a stop before the start", finish("end_turn", usage(1, 1))[:1]),
    ("two starts", [begin(), begin()]),
    ("a delta for a block that is not open", [begin(), delta(0, "text_delta", text="a")]),
    ("a delta for another block", [begin(), block(0, TEXT), delta(1, "text_delta", text="a")]),
    ("a block out of order", [begin(), block(1, TEXT)]),
    ("a block inside another", [begin(), block(0, TEXT), block(1, TEXT)]),
    ("a block that stops twice", [begin(), block(0, TEXT), stop(0), stop(0)]),
    ("a block without a type", [begin(), block(0, {"text": ""})]),
    ("text in a tool call", [begin(), block(0, tool("t", "n")), delta(0, "text_delta", text="a")]),
    ("arguments in text", [begin(), block(0, TEXT), delta(0, "input_json_delta", partial_json="")]),
    ("text in thinking", [begin(), block(0, THINK), delta(0, "text_delta", text="a")]),
    ("a delta without its text", [begin(), block(0, TEXT), delta(0, "text_delta")]),
    (
        "a reason while a call is open",
        [begin(), block(0, tool("t", "n")), finish("tool_use", {})[0]],
    ),
    ("an end without a reason", [begin(), {"type": "message_stop"}]),
    ("a block after the reason", [begin(), finish("end_turn", usage(1, 1))[0], block(0, TEXT)]),
    ("a start after the end", [begin(), *finish("end_turn", usage(1, 1)), begin()]),
    ("usage that is no number", [begin(usage={"input_tokens": "many"})]),
    ("a message that is none", [{"type": "message_start", "message": 3}]),
]


@pytest.mark.parametrize(("why", "frames"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_a_frame_that_breaks_the_order_is_never_skipped(
    why: str, frames: list[dict[str, Any]]
) -> None:
    reader = CODEC.reader()
    events = SSEParser().feed(stream(frames))
    for event in events[:-1]:
        reader.feed(event)
    with pytest.raises(MalformedFrame):
        reader.feed(events[-1])


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"5",
        b"[]",
        b'"message_stop"',
        b'{"type":5}',
        b"{}",
        b'{"type":"ping"',
        b"\xff",
        b'{"type":"message_start","message":' + b"[" * 100_000,
    ],
)
def test_data_that_is_no_event_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.reader().feed(ServerSentEvent("message_start", data, b""))


def test_a_done_line_after_the_end_is_a_habit_and_means_nothing() -> None:
    reader = CODEC.reader()
    for event in SSEParser().feed(stream([begin(), *finish("end_turn", usage(1, 1))])):
        reader.feed(event)
    assert reader.feed(ServerSentEvent("message", b"[DONE]", b"")) == []


def test_an_event_without_a_name_is_read_by_its_type() -> None:
    said = b"".join(f"data: {json.dumps(frame)}\n\n".encode() for frame in CASES[0].frames)
    assert read([said]) == CASES[0].events


BROKEN_WHOLES: list[tuple[str, dict[str, Any]]] = [
    ("an error", {"type": "error", "error": {"type": "api_error", "message": "x"}}),
    ("no reason to stop", {"type": "message", "content": [], "stop_reason": None}),
    ("no content", {"type": "message", "stop_reason": "end_turn"}),
    ("content of strings", {"type": "message", "stop_reason": "end_turn", "content": ["a"]}),
    ("a chat completion", {"object": "chat.completion", "choices": []}),
    (
        "text that is a number",
        {"type": "message", "stop_reason": "end_turn", "content": [{"type": "text", "text": 1}]},
    ),
]


@pytest.mark.parametrize(("why", "body"), BROKEN_WHOLES, ids=[row[0] for row in BROKEN_WHOLES])
def test_a_body_that_is_no_finished_answer_is_malformed(why: str, body: dict[str, Any]) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.parse_answer(body)


# What other vendors' answers become.


def test_ids_of_other_vendors_become_stable_ids_of_this_one() -> None:
    events: list[AnswerEvent] = [
        Start("chatcmpl-7", "gpt-5"),
        BlockStart(0, "tool_use", id="call_0", name="a"),
        ArgsDelta(0, "{}"),
        BlockStop(0),
        BlockStart(1, "tool_use", id="call_0", name="a"),
        ArgsDelta(1, "{}"),
        BlockStop(1),
        Stop("tool_use", Tokens(1, 1)),
        End(),
    ]
    first, again = CODEC.render_answer(events, REQUEST), CODEC.render_answer(events, REQUEST)
    assert first == again
    assert first["id"].startswith("msg_")
    ids = [one["id"] for one in first["content"]]
    assert all(one.startswith("toolu_") for one in ids)
    assert len(set(ids)) == 2
    later = CODEC.render_answer([Start("chatcmpl-8", "gpt-5"), *events[1:]], REQUEST)
    assert not set(ids) & {one["id"] for one in later["content"]}


def test_what_only_another_vendor_understands_is_left_out_and_indices_close_up() -> None:
    events: list[AnswerEvent] = [
        Start("resp_1", "gpt-5"),
        BlockStart(0, "foreign", raw={"type": "web_search_call"}, origin=Format.OPENAI_RESPONSES),
        BlockStop(0),
        BlockStart(1, "redacted_thinking", data="x", origin=Format.OPENAI_RESPONSES),
        BlockStop(1),
        BlockStart(2, "thinking"),
        ThinkingDelta(2, "Hm."),
        SignatureDelta(2, "gAAAA", Format.OPENAI_RESPONSES),
        SignatureDelta(2, "gAAAA"),
        BlockStop(2),
        BlockStart(3, "text"),
        TextDelta(3, "Hi"),
        ForeignDelta(3, {"logprobs": []}),
        BlockStop(3),
        Stop("end_turn", Tokens(1, 2)),
        End(),
    ]
    assert CODEC.render_answer(events, REQUEST)["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "Hi"},
    ]
    indices = [frame["index"] for frame in frames_of(write(events)) if "index" in frame]
    assert indices == [0, 0, 0, 1, 1, 1]


def test_free_text_of_a_custom_tool_becomes_one_json_string() -> None:
    events: list[AnswerEvent] = [
        Start("resp_1", "gpt-5"),
        BlockStart(0, "custom_tool", id="call_1", name="patch"),
        ArgsDelta(0, 'say "hi"\n'),
        ArgsDelta(0, "\\ é 🦊"),
        BlockStop(0),
        Stop("tool_use"),
        End(),
    ]
    answer = CODEC.render_answer(events, REQUEST)
    assert answer["content"][0]["input"] == {"input": 'say "hi"\n\\ é 🦊'}
    empty = [*events[:2], *events[4:]]
    assert CODEC.render_answer(empty, REQUEST)["content"][0]["input"] == {"input": ""}


def test_a_stop_is_said_once_with_the_last_word_on_its_cost() -> None:
    events: list[AnswerEvent] = [
        Start("chatcmpl-1", "gpt-5"),
        Stop("end_turn"),
        Stop("end_turn", Tokens(10, 3, 5, 0)),
        End(),
    ]
    frames = frames_of(write(events))
    assert [frame["type"] for frame in frames] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert frames[1]["usage"] == usage(10, 3, read=5)


def test_counts_that_nobody_gave_are_estimated_rather_than_zero() -> None:
    events: list[AnswerEvent] = [
        Start("chatcmpl-1", "gpt-5"),
        BlockStart(0, "text"),
        TextDelta(0, "A sentence of about ten tokens, one may say."),
        BlockStop(0),
        Stop("end_turn"),
        End(),
    ]
    used = CODEC.render_answer(events, REQUEST)["usage"]
    assert used["input_tokens"] > 3
    assert 8 <= used["output_tokens"] <= 16


def test_a_stop_after_a_tool_call_is_said_as_tool_use() -> None:
    events: list[AnswerEvent] = [
        Start("chatcmpl-1", "llama"),
        BlockStart(0, "tool_use", id="1", name="now"),
        ArgsDelta(0, "{}"),
        BlockStop(0),
        Stop("end_turn", Tokens(1, 1)),
        End(),
    ]
    assert CODEC.render_answer(events, REQUEST)["stop_reason"] == "tool_use"


ILLEGAL: list[tuple[str, list[AnswerEvent]]] = [
    ("a delta first", [TextDelta(0, "a")]),
    ("a block first", [BlockStart(0, "text")]),
    ("two starts", [START, START]),
    ("a stop inside an open call", [START, BlockStart(0, "tool_use"), Stop("tool_use")]),
    ("an end inside an open block", [START, BlockStart(0, "text"), End()]),
    ("an end without a stop", [START, End()]),
    ("text in a tool call", [START, BlockStart(0, "tool_use"), TextDelta(0, "a")]),
    ("a delta for another block", [START, BlockStart(0, "text"), TextDelta(1, "a")]),
    ("a block inside another", [START, BlockStart(0, "text"), BlockStart(1, "text")]),
    ("a stop of another block", [START, BlockStart(0, "text"), BlockStop(1)]),
    ("a block after the stop", [START, Stop("end_turn"), BlockStart(0, "text")]),
    ("anything after the end", [START, Stop("end_turn"), End(), Stop("end_turn")]),
]


@pytest.mark.parametrize(("why", "events"), ILLEGAL, ids=[row[0] for row in ILLEGAL])
def test_a_writer_never_makes_a_broken_answer_look_whole(
    why: str, events: list[AnswerEvent]
) -> None:
    writer = CODEC.writer(REQUEST)
    for event in events[:-1]:
        writer.write(event)
    with pytest.raises(MalformedFrame):
        writer.write(events[-1])


@pytest.mark.parametrize(
    ("why", "events"),
    [
        ("it failed", [START, Failed("overloaded_error", "x", 529)]),
        ("it just ends", [START, BlockStart(0, "text"), TextDelta(0, "a"), BlockStop(0)]),
        ("a call was cut", [
            START, BlockStart(0, "tool_use"), ArgsDelta(0, '{"a'), BlockStop(0), Stop("tool_use"),
        ]),
        ("a call is a list", [
            START, BlockStart(0, "tool_use"), ArgsDelta(0, "[]"), BlockStop(0), Stop("tool_use"),
        ]),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_complete_is_not_rendered(
    why: str, events: list[AnswerEvent]
) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.render_answer(events, REQUEST)


def test_signs_of_life_are_ping_events_at_any_point() -> None:
    writer = CODEC.writer(REQUEST)
    said = writer.keepalive() + writer.write(START) + writer.keepalive()
    assert [frame["type"] for frame in frames_of(said)] == ["ping", "message_start", "ping"]


def test_an_error_inside_the_stream_is_an_error_event() -> None:
    said = CODEC.writer(REQUEST).failure(529, "Everyone is busy", "req_1")
    assert frames_of(said) == [
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "Everyone is busy"},
            "request_id": "req_1",
        }
    ]
    assert read([said]) == [Failed("overloaded_error", "Everyone is busy", 529)]


# Properties.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
OBJECTS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers() | TEXTS, max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> list[AnswerEvent]:
    events: list[AnswerEvent] = [Start("msg_" + draw(st.sampled_from("ab")), "m", Tokens(3, 0))]
    for index in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["text", "thinking", "tool_use"]))
        if kind == "text":
            events.append(BlockStart(index, "text"))
            events += [TextDelta(index, piece) for piece in draw(st.lists(TEXTS, max_size=3))]
        elif kind == "thinking":
            events.append(BlockStart(index, "thinking"))
            events += [ThinkingDelta(index, piece) for piece in draw(st.lists(TEXTS, max_size=3))]
            if draw(st.booleans()):
                events.append(SignatureDelta(index, draw(TEXTS), OURS))
        else:
            events.append(BlockStart(index, "tool_use", id=f"toolu_{index}", name="f"))
            arguments = json.dumps(draw(OBJECTS), ensure_ascii=draw(st.booleans()))
            cut = draw(st.integers(1, len(arguments)))
            events += [
                ArgsDelta(index, part) for part in (arguments[:cut], arguments[cut:]) if part
            ]
        events.append(BlockStop(index))
    called = any(isinstance(one, BlockStart) and one.kind == "tool_use" for one in events)
    reason = "tool_use" if called else "end_turn"
    return [*events, Stop(reason, Tokens(3, draw(st.integers(0, 99)))), End()]  # type: ignore[arg-type]  # one of two literals


@given(answers())
def test_what_the_writer_says_the_reader_understands(events: list[AnswerEvent]) -> None:
    assert read([write(events)]) == events


@given(answers())
def test_a_rendered_answer_means_its_events(events: list[AnswerEvent]) -> None:
    body = CODEC.render_answer(events, REQUEST)
    SdkMessage.model_validate(body)
    understood = CODEC.parse_answer(json.loads(json.dumps(body)))
    assert CODEC.render_answer(understood, REQUEST) == body


@settings(max_examples=60)
@given(answers())
def test_the_official_sdk_adds_the_stream_up_to_the_same_message(
    events: list[AnswerEvent],
) -> None:
    snapshot = None
    buffers: dict[int, bytes] = {}
    for frame in frames_of(write(events)):
        event = SDK_EVENT.validate_python(frame)
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot is not None
    added_up = snapshot.model_dump(exclude_unset=True, mode="json", warnings=False)
    added_up.pop("stop_details", None)
    whole = CODEC.render_answer(events, REQUEST)
    for one in (*added_up["content"], *whole["content"]):
        for key in [key for key, value in one.items() if value is None]:
            del one[key]
    assert added_up["content"] == whole["content"]
    assert added_up["stop_reason"] == whole["stop_reason"]
    assert added_up["usage"]["input_tokens"] == whole["usage"]["input_tokens"]
    assert added_up["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
