"""Writing answers: legal streams, judged by the Reader and by the official SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type_unchecked
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from outlast.nouns import Format, Tokens
from outlast.wire.canon import Message, Request, Text, Tool
from outlast.wire.openai_responses import CODEC
from outlast.wire.openai_responses.request import parse_request
from outlast.wire.sse import SSEParser
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    ForeignDelta,
    Ping,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)
from tests.wire.cases_openai_responses import CASES, Case
from tests.wire.test_openai_responses_reader import joined, read, without_items

REQUEST = Request(
    model="claude-auto",
    messages=(Message("user", (Text("Hi"),)),),
    origin=Format.OPENAI_RESPONSES,
)
CODEX_TOOLS = [
    {"type": "function", "name": "exec_command", "parameters": {"type": "object"}},
    {"type": "custom", "name": "apply_patch", "format": {"type": "text"}},
    {
        "type": "namespace",
        "name": "multi_agent_v1",
        "description": "Agents",
        "tools": [
            {"type": "function", "name": "spawn_agent", "parameters": {"type": "object"}},
            {"type": "function", "name": "wait_" + "x" * 90, "parameters": {}},
        ],
    },
    {"type": "web_search"},
]
CODEX = parse_request({"model": "m", "input": "Hi", "tools": CODEX_TOOLS})
START = Start(id="resp_1", model="claude-opus-5", created=1790000000)
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def frames_of(data: bytes) -> list[dict[str, Any]]:
    frames = []
    for event in SSEParser().feed(data):
        if event.name != "comment":
            frame = json.loads(event.data)
            assert frame["type"] == event.name
            frames.append(frame)
    return frames


def write(events: list[AnswerEvent], request: Request = REQUEST) -> bytes:
    writer = CODEC.writer(request)
    return b"".join(writer.write(event) for event in events)


def judge(frames: list[dict[str, Any]]) -> Any:
    """Feed the official SDK's stream state; return its completed response, if any.

    Every event must also be valid in the SDK's own types, not merely accepted.
    """
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for frame in frames:
        _EVENT.validate_python(frame)
        union: Any = ResponseStreamEvent
        event: Any = construct_type_unchecked(type_=union, value=frame)
        state.handle_event(event)
    return state._completed_response


def assert_legal(frames: list[dict[str, Any]]) -> None:
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert [frame["type"] for frame in frames[:2]] == ["response.created", "response.in_progress"]
    last = frames[-1]
    assert last["type"] in ("response.completed", "response.incomplete", "response.failed")
    done = [frame["item"] for frame in frames if frame["type"] == "response.output_item.done"]
    assert last["response"]["output"] == done
    added = [f["output_index"] for f in frames if f["type"] == "response.output_item.added"]
    assert added == list(range(len(added)))
    ids = [frame["item"]["id"] for frame in frames if frame["type"] == "response.output_item.added"]
    assert len(set(ids)) == len(ids)
    judge(frames)


@pytest.mark.parametrize(
    "case", [c for c in CASES if isinstance(c.events[-1], End)], ids=lambda case: case.name
)
def test_what_is_written_means_what_was_to_be_written(case: Case) -> None:
    data = write(case.events, CODEX)
    assert_legal(frames_of(data))
    assert joined(read([data])) == joined(case.events)
    whole = CODEC.render_answer(case.events, CODEX)
    Response.model_validate(whole)
    assert whole == frames_of(data)[-1]["response"]


def test_the_sdk_builds_the_answer_from_the_stream() -> None:
    events: list[AnswerEvent] = [
        START,
        BlockStart(0, "thinking"),
        ThinkingDelta(0, "Let me "),
        ThinkingDelta(0, "see."),
        SignatureDelta(0, "signature-of-another-vendor", Format.ANTHROPIC),
        BlockStop(0),
        BlockStart(1, "text"),
        TextDelta(1, "Two "),
        BlockStop(1),
        BlockStart(2, "text"),
        TextDelta(2, "parts."),
        BlockStop(2),
        BlockStart(3, "tool_use", id="toolu_01", name="multi_agent_v1__spawn_agent"),
        ArgsDelta(3, '{"a":'),
        ArgsDelta(3, "1}"),
        BlockStop(3),
        Stop("tool_use", Tokens(input=3, output=2, cache_read=10, cache_write=4, reasoning=1)),
        End(),
    ]
    frames = frames_of(write(events, CODEX))
    assert_legal(frames)
    answer = judge(frames)
    assert answer.output_text == "Two parts."
    assert answer.model == "claude-opus-5"
    assert (answer.usage.input_tokens, answer.usage.total_tokens) == (17, 19)
    assert answer.usage.input_tokens_details.cached_tokens == 10
    reasoning, message, call = answer.output
    assert [part.text for part in message.content] == ["Two ", "parts."]
    assert reasoning.summary[0].text == "Let me see."
    assert reasoning.encrypted_content is None, "a foreign signature must not pass for OpenAI's"
    assert (call.namespace, call.name, call.arguments) == (
        "multi_agent_v1",
        "spawn_agent",
        '{"a":1}',
    )
    assert call.call_id == "call_toolu_01"
    assert b"signature-of-another-vendor" not in write(events, CODEX)


def test_a_long_name_in_a_namespace_finds_its_way_back() -> None:
    flat = next(tool.name for tool in CODEX.tools if "wait" in tool.name)
    assert len(flat) <= 64
    events: list[AnswerEvent] = [
        START,
        BlockStart(0, "tool_use", id="call_1", name=flat),
        BlockStop(0),
        Stop("tool_use"),
        End(),
    ]
    item = CODEC.render_answer(events, CODEX)["output"][0]
    assert (item["namespace"], item["name"]) == ("multi_agent_v1", "wait_" + "x" * 90)
    assert item["arguments"] == "{}"


@pytest.mark.parametrize(
    ("why", "arguments", "expected"),
    [
        ("a function of one string named input", '{"input": "*** Begin"}', "*** Begin"),
        ("a function of one string of any name", '{"patch": "*** Begin"}', "*** Begin"),
        ("several fields are kept as they are", '{"a": "x", "b": "y"}', '{"a": "x", "b": "y"}'),
        ("text that is no JSON is kept as it is", "*** Begin", "*** Begin"),
        ("nothing stays nothing", "", ""),
    ],
)
def test_a_custom_tool_called_as_a_function_is_unwrapped(
    why: str, arguments: str, expected: str
) -> None:
    events: list[AnswerEvent] = [
        START,
        BlockStart(0, "tool_use", id="call_1", name="apply_patch"),
        *[ArgsDelta(0, char) for char in arguments],
        BlockStop(0),
        Stop("tool_use"),
        End(),
    ]
    frames = frames_of(write(events, CODEX))
    assert_legal(frames)
    item = frames[-1]["response"]["output"][0]
    assert (item["type"], item["input"]) == ("custom_tool_call", expected), why
    said = [f["delta"] for f in frames if f["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(said) == expected


@pytest.mark.parametrize("name", ["get_weather", "apply_patch"])
@pytest.mark.parametrize("kind", ["tool_use", "custom_tool"])
def test_a_call_cut_by_the_limit_is_never_said_to_be_done(name: str, kind: Any) -> None:
    events: list[AnswerEvent] = [
        START,
        BlockStart(0, kind, id="call_1", name=name),
        ArgsDelta(0, '{"path":"/","recursive":true,"only_if":"empt'),
        BlockStop(0),
        Stop("max_tokens"),
        End(),
    ]
    frames = frames_of(write(events, CODEX))
    assert_legal(frames)
    kinds = {frame["type"] for frame in frames}
    assert "response.function_call_arguments.done" not in kinds
    assert "response.custom_tool_call_input.done" not in kinds
    assert "response.completed" not in kinds
    assert all(item["status"] == "incomplete" for item in frames[-1]["response"]["output"])


def test_invalid_arguments_of_a_finished_call_are_passed_on_as_written() -> None:
    events: list[AnswerEvent] = [
        START,
        BlockStart(0, "tool_use", id="call_1", name="f"),
        ArgsDelta(0, "{oops"),
        BlockStop(0),
        Stop("tool_use"),
        End(),
    ]
    item = frames_of(write(events))[-1]["response"]["output"][0]
    assert (item["arguments"], item["status"]) == ("{oops", "completed")


@pytest.mark.parametrize(
    ("reason", "status", "incomplete"),
    [
        ("end_turn", "completed", None),
        ("tool_use", "completed", None),
        ("stop_sequence", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("context_window", "incomplete", "max_output_tokens"),
        ("refusal", "incomplete", "content_filter"),
        ("pause_turn", "incomplete", "max_messages"),
    ],
)
def test_each_stop_reason_ends_in_its_status(reason: Any, status: str, incomplete: Any) -> None:
    events: list[AnswerEvent] = [
        START,
        BlockStart(0, "text"),
        TextDelta(0, "x"),
        BlockStop(0),
        Stop(reason),
        End(),
    ]
    last = frames_of(write(events))[-1]
    assert last["type"] == f"response.{status}"
    assert last["response"]["status"] == status
    assert (last["response"]["incomplete_details"] or {}).get("reason") == incomplete
    assert last["response"]["output"][0]["status"] == status


def test_foreign_blocks_of_other_vendors_are_left_out() -> None:
    events: list[AnswerEvent] = [
        START,
        BlockStart(0, "foreign", raw={"type": "web_search_call"}, origin=Format.ANTHROPIC),
        ForeignDelta(0, {"type": "x"}),
        BlockStop(0),
        BlockStart(1, "redacted_thinking", data="secret"),
        BlockStop(1),
        Stop("end_turn"),
        End(),
    ]
    frames = frames_of(write(events))
    assert_legal(frames)
    assert frames[-1]["response"]["output"] == []
    assert b"secret" not in write(events)


def test_an_upstream_that_takes_over_changes_the_model_but_not_the_id() -> None:
    events: list[AnswerEvent] = [START, Start("msg_2", "gpt-5.6"), Stop("end_turn"), End()]
    frames = frames_of(write(events))
    assert [f["response"]["id"] for f in frames] == ["resp_1"] * 3
    assert frames[-1]["response"]["model"] == "gpt-5.6"


def test_input_counted_only_at_the_start_is_kept() -> None:
    start = Start("resp_1", "m", Tokens(input=7, cache_read=3))
    whole = CODEC.render_answer([start, Stop("end_turn", Tokens(output=2)), End()], REQUEST)
    assert (whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]) == (10, 2)


def test_a_failure_before_anything_else_is_a_legal_stream() -> None:
    writer = CODEC.writer(REQUEST)
    data = writer.keepalive() + writer.failure(529, "Everyone is overloaded.", "req_1")
    frames = frames_of(data)
    assert_legal(frames)
    error = frames[-1]["response"]["error"]
    assert error["code"] == "server_error", "any other code makes Codex give up"
    assert "Everyone is overloaded." in error["message"]
    assert "req_1" in error["message"]
    assert writer.failure(500, "again", "req_1") == b""
    assert writer.write(End()) == b""


@pytest.mark.parametrize("until", range(1, 6))
def test_a_failure_is_legal_at_any_point(until: int) -> None:
    events: list[AnswerEvent] = [
        START,
        BlockStart(0, "text"),
        TextDelta(0, "Hi"),
        BlockStop(0),
        Stop("end_turn"),
    ]
    writer = CODEC.writer(REQUEST)
    data = b"".join(writer.write(event) for event in events[:until])
    data += writer.write(Failed("overloaded_error", "Overloaded", 529))
    frames = frames_of(data)
    assert_legal(frames)
    assert frames[-1]["type"] == "response.failed"
    assert isinstance(read([data])[-1], Failed)


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "prompt is too long: 9 tokens > 8 maximum", "context_length_exceeded"),
        (400, "max_tokens: must be positive", "invalid_prompt"),
        (429, "slow down", "server_error"),
        (0, "cut", "server_error"),
    ],
)
def test_a_failure_that_repetition_cannot_mend_says_so(
    status: int, message: str, code: str
) -> None:
    frames = frames_of(CODEC.writer(REQUEST).failure(status, message, ""))
    assert frames[-1]["response"]["error"] == {"code": code, "message": message}


def test_a_ping_is_a_comment() -> None:
    assert CODEC.writer(REQUEST).write(Ping()).startswith(b":")


@pytest.mark.parametrize(
    "events",
    [
        [START, TextDelta(0, "x")],
        [START, BlockStart(0, "text"), ArgsDelta(0, "x")],
        [START, BlockStart(0, "text"), TextDelta(1, "x")],
    ],
)
def test_events_out_of_order_are_refused(events: list[AnswerEvent]) -> None:
    with pytest.raises(ValueError, match="does not belong"):
        write(events)


def test_an_answer_without_end_cannot_be_rendered_whole() -> None:
    with pytest.raises(ValueError, match="no end"):
        CODEC.render_answer([START, Stop("end_turn")], REQUEST)


# Any answer at all.

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
FUNCTIONS = [Tool(name="f"), Tool(name="g"), *CODEX.tools]
ANY_REQUEST = Request(
    model="m",
    messages=REQUEST.messages,
    origin=Format.OPENAI_RESPONSES,
    tools=tuple(FUNCTIONS),
)


@st.composite
def answers(draw: st.DrawFn) -> list[AnswerEvent]:
    events: list[AnswerEvent] = [START]
    kinds = draw(st.lists(st.sampled_from(["text", "refusal", "thinking", "call", "custom"])))
    for index, kind in enumerate(kinds):
        pieces = draw(st.lists(TEXT.filter(bool), min_size=1, max_size=4))
        if kind in ("text", "refusal"):
            raw = {"type": "refusal"} if kind == "refusal" else {}
            events.append(BlockStart(index, "text", raw=raw))
            events += [TextDelta(index, piece) for piece in pieces]
        elif kind == "thinking":
            origin = Format.OPENAI_RESPONSES
            events.append(BlockStart(index, "thinking", id=f"rs_{index}", origin=origin))
            events += [ThinkingDelta(index, piece) for piece in pieces]
            if draw(st.booleans()):
                events.append(SignatureDelta(index, "gAAAA", origin))
        elif kind == "call":
            names = st.sampled_from(["f", "g", "unknown", "multi_agent_v1__spawn_agent"])
            arguments = json.dumps({"x": pieces})
            cut = draw(st.integers(1, len(arguments)))
            ident = f"call_{index}"
            events.append(BlockStart(index, "tool_use", id=ident, name=draw(names)))
            parts = [part for part in (arguments[:cut], arguments[cut:]) if part]
            events += [ArgsDelta(index, part) for part in parts]
        else:
            ident = f"call_{index}"
            events.append(BlockStart(index, "custom_tool", id=ident, name="apply_patch"))
            events += [ArgsDelta(index, piece) for piece in pieces]
        events.append(BlockStop(index))
    finished = "end_turn"
    if "refusal" in kinds:
        finished = "refusal"
    elif "call" in kinds or "custom" in kinds:
        finished = "tool_use"
    reason: Any = draw(st.sampled_from([finished, "max_tokens", "pause_turn"]))
    count = st.integers(0, 10**6)
    tokens = st.builds(Tokens, count, count, count, count, count)
    return [*events, Stop(reason, draw(tokens)), End()]


@settings(max_examples=150, deadline=None)
@given(answers())
def test_any_answer_survives_being_written_and_read(events: list[AnswerEvent]) -> None:
    data = write(events, ANY_REQUEST)
    assert_legal(frames_of(data))
    again = joined(read([data]))
    assert again == joined(events)
    whole = CODEC.parse_answer(CODEC.render_answer(events, ANY_REQUEST))
    assert joined(without_items(whole)) == [
        event for event in again if not _lost_in_whole(event, events)
    ]


def _lost_in_whole(event: AnswerEvent, events: list[AnswerEvent]) -> bool:
    """A free-text call that the limit cut is in the stream alone: whole answers cannot mark it."""
    last_start = [e for e in events if isinstance(e, BlockStart)][-1:]
    stop = next(e for e in events if isinstance(e, Stop))
    if (
        not last_start
        or last_start[0].kind != "custom_tool"
        or stop.reason not in ("max_tokens", "pause_turn")
    ):
        return False
    return getattr(event, "index", None) == last_start[0].index
