"""From tools to a grammar, and from the model's JSON back to text and tool calls."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.local import tools
from outlast.local.calls import CallReader
from outlast.local.tools import Plan
from outlast.nouns import Format, Tokens
from outlast.wire.canon import (
    Message,
    Request,
    StructuredOutput,
    Text,
    Tool,
    ToolChoice,
    ToolUse,
)
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    Start,
    Stop,
    StopReason,
    TextDelta,
)

WRITE = Tool(
    "Write",
    "Writes a file. It overwrites.",
    {
        "type": "object",
        "properties": {
            "file_path": {"type": "string"},
            "content": {"type": "string"},
            "mode": {"type": "string"},
        },
        "required": ["file_path", "content"],
    },
)
BASH = Tool(
    "Bash",
    "Runs a command.",
    {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
)
PATCH = Tool("apply_patch", "Applies a patch.", kind="custom")
SEARCH = Tool("web_search", kind="server")


def request(
    *offered: Tool,
    choice: ToolChoice | None = None,
    output: StructuredOutput | None = None,
) -> Request:
    said = (Message("user", (Text("Create hello.txt"),)),)
    return Request("m", said, Format.ANTHROPIC, tools=offered, tool_choice=choice, output=output)


def planned(asked: Request) -> Plan:
    plan = tools.plan(asked)
    assert plan is not None
    return plan


def names(plan: Plan) -> list[str]:
    assert plan.output.schema is not None
    calls = plan.output.schema.get("anyOf", [plan.output.schema])
    return [call["properties"]["name"]["const"] for call in calls]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ["reply", "Write", "Bash"]),
        (ToolChoice("auto"), ["reply", "Write", "Bash"]),
        (ToolChoice("required"), ["Write", "Bash"]),
        (ToolChoice("tool", "Bash"), ["Bash"]),
    ],
    ids=["not said: it may reply", "auto: it may reply", "required: no reply", "one tool"],
)
def test_the_grammar_offers_what_tool_choice_says(
    choice: ToolChoice | None, expected: list[str]
) -> None:
    assert names(planned(request(WRITE, BASH, choice=choice))) == expected


def test_no_plan_where_no_tool_may_be_called() -> None:
    assert tools.plan(request(WRITE, choice=ToolChoice("none"))) is None
    assert tools.plan(request(SEARCH)) is None
    assert tools.plan(request(Tool("x", namespace="n"))) is None


def test_the_prompt_lists_functions_in_few_words() -> None:
    text = planned(request(WRITE, BASH)).instructions
    assert "- Write(file_path: string, content: string): Writes a file.\n" in text
    assert "mode" not in text


def test_examples_show_the_clients_own_tools() -> None:
    shown = "\n".join(
        b.text
        for m in planned(request(WRITE, BASH)).examples
        for b in m.content
        if isinstance(b, Text)
    )
    assert '{"name":"Write","arguments":{"file_path":"notes.txt","content":"hi"}}' in shown
    assert '{"name":"Bash","arguments":{"command":"ls -la"}}' in shown
    assert planned(request(WRITE, choice=ToolChoice("required"))).examples == ()


def test_a_clients_tool_called_reply_keeps_its_name() -> None:
    plan = planned(request(Tool("reply", parameters=BASH.parameters)))
    assert names(plan) == ["reply_to_user", "reply"]
    assert plan.kind_of("reply") == "function"


def read(
    plan: Plan, text: str, reason: StopReason = "end_turn", cuts: int = 1
) -> list[AnswerEvent]:
    """The events for an answer that arrives in pieces of `cuts` characters."""
    reader = CallReader(plan, "ex_1")
    said: list[AnswerEvent] = [Start("chatcmpl-1", "local"), BlockStart(0, "text")]
    said += [TextDelta(0, text[i : i + cuts]) for i in range(0, len(text), cuts)]
    said += [BlockStop(0), Stop(reason, Tokens(input=3, output=2)), End()]
    return [meant for event in said for meant in reader.read(event)]


def texts(events: list[AnswerEvent]) -> str:
    return "".join(e.text for e in events if isinstance(e, TextDelta))


def assert_legal(events: list[AnswerEvent]) -> None:
    """Start, then whole blocks one after another, then Stop and End."""
    assert isinstance(events[0], Start)
    assert isinstance(events[-1], End)
    is_open = False
    for event in events:
        if isinstance(event, BlockStart):
            assert not is_open
            is_open = True
        elif isinstance(event, TextDelta | ArgsDelta):
            assert is_open
        elif isinstance(event, BlockStop):
            assert is_open
            is_open = False
        elif isinstance(event, Stop):
            assert not is_open


@pytest.mark.parametrize("cuts", [1, 2, 7, 1000])
def test_a_reply_streams_as_text(cuts: int) -> None:
    answer = '{\n "name": "reply",\n "arguments": {"text": "Voilà : \\"é\\" \\ud83d\\ude00\\nfin"}}'
    events = read(planned(request(WRITE)), answer, cuts=cuts)
    assert_legal(events)
    assert texts(events) == 'Voilà : "é" 😀\nfin'
    stops = [e for e in events if isinstance(e, Stop)]
    assert stops == [Stop("end_turn", Tokens(input=3, output=2))]
    if cuts == 1:
        assert sum(isinstance(e, TextDelta) for e in events) > 5


@pytest.mark.parametrize("cuts", [1, 1000])
def test_a_call_is_handed_over_whole(cuts: int) -> None:
    answer = '{"name": "Write", "arguments": {"file_path": "hello.txt", "content": "hi\\n"}}'
    events = read(planned(request(WRITE, BASH)), answer, cuts=cuts)
    assert_legal(events)
    call = tools.call_id("ex_1")
    assert events[1:-2] == [
        BlockStart(0, "tool_use", id=call, name="Write"),
        ArgsDelta(0, '{"file_path":"hello.txt","content":"hi\\n"}'),
        BlockStop(0),
    ]
    assert events[-2] == Stop("tool_use", Tokens(input=3, output=2))
    assert call.startswith("call_")
    assert call == tools.call_id("ex_1") != tools.call_id("ex_2")


def test_a_custom_tool_gets_free_text() -> None:
    events = read(
        planned(request(PATCH)), '{"name":"apply_patch","arguments":{"input":"*** Begin\\nx"}}'
    )
    assert events[1] == BlockStart(0, "custom_tool", id=tools.call_id("ex_1"), name="apply_patch")
    assert events[2] == ArgsDelta(0, "*** Begin\nx")


def test_a_call_that_was_cut_is_told_and_never_handed_over() -> None:
    events = read(
        planned(request(WRITE)),
        '{"name": "Write", "arguments": {"file_path": "/", "content": "ha',
        "max_tokens",
    )
    assert_legal(events)
    assert [e.kind for e in events if isinstance(e, BlockStart)] == ["text"]
    assert texts(events) == "[The local model was cut off while writing a call of Write.]"
    assert [e.reason for e in events if isinstance(e, Stop)] == ["max_tokens"]


def test_a_reply_that_was_cut_keeps_what_was_said() -> None:
    events = read(
        planned(request(WRITE)), '{"name":"reply","arguments":{"text":"Half a sen', "max_tokens"
    )
    assert_legal(events)
    assert texts(events) == "Half a sen"


@pytest.mark.parametrize(
    "answer",
    ["", "Hello!", '{"name": "Nope", "arguments": {}}', "[1]", '{"name":"reply"}', "null"],
)
def test_an_answer_outside_the_grammar_is_a_failure(answer: str) -> None:
    events = read(planned(request(WRITE)), answer)
    assert sum(isinstance(e, Failed) for e in events) == 1
    assert not any(isinstance(e, BlockStart) for e in events)


def test_structured_output_beside_tools_comes_as_its_json() -> None:
    shape = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    plan = planned(request(WRITE, output=StructuredOutput(shape)))
    events = read(plan, '{"name": "reply", "arguments": {"answer": {"sum": 7}}}')
    assert_legal(events)
    assert texts(events) == '{"sum":7}'


def test_history_is_shown_to_the_model_in_the_form_it_must_write() -> None:
    call = ToolUse("t", "Write", '{"file_path": "a"}')
    assert tools.call_text(call) == '{"name":"Write","arguments":{"file_path":"a"}}'
    assert tools.call_text(ToolUse("t", "p", "x y", custom=True)) == (
        '{"name":"p","arguments":{"input":"x y"}}'
    )
    assert tools.call_text(ToolUse("t", "p", "{torn")) == '{"name":"p","arguments":"{torn"}'


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.text(), st.integers(1, 9))
def test_any_reply_arrives_unchanged_in_any_cuts(said: str, cuts: int) -> None:
    answer = tools.encode_call("reply", {"text": said})
    events = read(planned(request(WRITE)), answer, cuts=cuts)
    assert_legal(events)
    assert texts(events) == said


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(), JSON_VALUES, max_size=4), st.integers(1, 9))
def test_any_arguments_arrive_equal_in_any_cuts(arguments: dict[str, Any], cuts: int) -> None:
    events = read(planned(request(WRITE)), tools.encode_call("Write", arguments), cuts=cuts)
    assert_legal(events)
    [delta] = [e for e in events if isinstance(e, ArgsDelta)]
    assert msgspec.json.decode(delta.json) == arguments


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 80))
def test_no_prefix_of_a_call_is_ever_handed_over(length: int) -> None:
    whole = tools.encode_call("Write", {"file_path": "/etc/x", "content": "only if empty" * 3})
    events = read(planned(request(WRITE)), whole[: min(length, len(whole) - 1)], "max_tokens")
    assert_legal(events)
    assert not any(isinstance(e, ArgsDelta) for e in events)
