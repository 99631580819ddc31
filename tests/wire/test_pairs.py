"""All six translations, both ways: requests there, answers back."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from outlast.nouns import Format
from outlast.wire import CODECS
from outlast.wire.canon import (
    JSON,
    Document,
    Image,
    Message,
    Rendered,
    Request,
    Text,
    ToolResult,
    ToolUse,
    Untranslatable,
)
from outlast.wire.sse import SSEParser
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    End,
    MalformedFrame,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)
from tests.wire import cases_anthropic, cases_openai_chat, cases_openai_responses
from tests.wire.cases_pairs import (
    CASES,
    FORMATS,
    MODELS,
    PAIRS,
    SIGNATURE,
    TOOLS,
    A,
    C,
    PairCase,
    R,
    body_of,
)

PAIR_IDS = [f"{a} to {b}" for a, b in PAIRS]
CASE_IDS = [case.name for case in CASES]
_MARK = re.compile(r"Mark\d{4}")


def translated(body: JSON, origin: Format, target: Format) -> Rendered:
    """What the gateway does: read, put the upstream's model name in, write."""
    request = CODECS[origin].parse_request(body)
    named = msgspec.structs.replace(request, model=MODELS[target])
    rendered = CODECS[target].render_request(named)
    return msgspec.structs.replace(rendered, body=json.loads(json.dumps(rendered.body)))


def marks(body: JSON) -> list[str]:
    parts = [body.get(name) for name in ("system", "instructions", "messages", "input")]
    return _MARK.findall(json.dumps(parts))


def each_block(request: Request) -> Iterable[tuple[Message, Any]]:
    for message in request.messages:
        for block in message.content:
            yield message, block


def results(request: Request) -> list[tuple[int, str]]:
    """Each result with the ordinal of its call, and its marked words."""
    calls = [block.id for _, block in each_block(request) if isinstance(block, ToolUse)]
    found: list[tuple[int, str]] = []
    for _, block in each_block(request):
        if isinstance(block, ToolResult):
            words = "".join(part.text for part in block.content if isinstance(part, Text))
            found.append((calls.index(block.tool_use_id), " ".join(_MARK.findall(words))))
    return found


def media(request: Request) -> list[str]:
    flat: list[Any] = []
    for _, block in each_block(request):
        flat += block.content if isinstance(block, ToolResult) else [block]
    return [
        f"{part.media_type} {part.data or part.url}"
        for part in flat
        if isinstance(part, Image | Document)
    ]


def essence(request: Request) -> JSON:
    """What must be the same whichever format says it."""
    output = request.output
    return {
        "calls": [
            (block.name, json.loads(block.arguments))
            for _, block in each_block(request)
            if isinstance(block, ToolUse)
        ],
        "results": results(request),
        "media": sorted(media(request)),
        "tools": [(t.name, t.description, t.parameters, bool(t.strict)) for t in request.tools],
        "choice": request.tool_choice,
        "parallel": request.parallel_tool_calls is not False,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "shape": output and output.schema,
    }


@pytest.mark.parametrize(("origin", "target"), PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("case", CASES, ids=CASE_IDS)
def test_a_request_means_the_same_in_the_other_format(
    case: PairCase, origin: Format, target: Format
) -> None:
    body = body_of(case, origin)
    rendered = translated(body, origin, target)
    assert rendered.body["model"] == MODELS[target]
    if case.in_order:
        assert marks(rendered.body) == marks(body)
    else:
        assert sorted(marks(rendered.body)) == sorted(marks(body))
    read_back = CODECS[target].parse_request(rendered.body)
    assert essence(read_back) == essence(CODECS[origin].parse_request(body))


@pytest.mark.parametrize(("origin", "target"), PAIRS, ids=PAIR_IDS)
def test_thinking_of_another_vendor_is_dropped_and_said_never_sent_as_text(
    origin: Format, target: Format
) -> None:
    case = next(case for case in CASES if "thinking" in case.name)
    rendered = translated(body_of(case, origin), origin, target)
    said = json.dumps(rendered.body)
    assert SIGNATURE not in said
    assert "Hm." not in said
    assert {"thinking", "messages.reasoning"} & set(rendered.dropped)


@pytest.mark.parametrize(("origin", "target"), PAIRS, ids=PAIR_IDS)
def test_every_call_has_its_result_in_the_place_that_the_format_wants(
    origin: Format, target: Format
) -> None:
    case = next(case for case in CASES if "two turns" in case.name)
    body = translated(body_of(case, origin), origin, target).body
    if target is A:
        turns = body["messages"]
        for turn, following in itertools.pairwise(turns):
            assert turn["role"] != following["role"]
            calls = [
                b["id"] for b in turn["content"] if isinstance(b, dict) and b["type"] == "tool_use"
            ]
            if calls:
                first = following["content"][: len(calls)]
                assert [b["tool_use_id"] for b in first] == calls
    elif target is C:
        owed: list[str] = []
        for message in body["messages"]:
            if message["role"] == "tool":
                assert message["tool_call_id"] == owed.pop(0)
                continue
            assert not owed
            owed = [call["id"] for call in message.get("tool_calls", ())]
        assert not owed
    else:
        calls = [i["call_id"] for i in body["input"] if i.get("type") == "function_call"]
        outputs = [i["call_id"] for i in body["input"] if i.get("type") == "function_call_output"]
        assert calls == outputs


STOPS = {A: "stop_sequences", C: "stop"}


@pytest.mark.parametrize("target", [A, C, R])
@pytest.mark.parametrize("origin", [A, C])
def test_stop_sequences_arrive_or_are_left_to_the_gateway(origin: Format, target: Format) -> None:
    if origin is target:
        return
    body = body_of(CASES[0], origin, **{STOPS[origin]: ["END", "###"]})
    rendered = translated(body, origin, target)
    if target in STOPS:
        assert rendered.body[STOPS[target]] == ["END", "###"]
    else:
        assert CODECS[origin].parse_request(body).stop == ("END", "###")
        assert "stop" not in rendered.dropped


EFFORT: dict[Format, JSON] = {
    A: {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    C: {"reasoning_effort": "high"},
    R: {"reasoning": {"effort": "high"}},
}


@pytest.mark.parametrize(("origin", "target"), PAIRS, ids=PAIR_IDS)
def test_effort_arrives(origin: Format, target: Format) -> None:
    request = CODECS[origin].parse_request(body_of(CASES[0], origin, **EFFORT[origin]))
    model = "claude-opus-4-8" if target is A else MODELS[target]
    body = CODECS[target].render_request(msgspec.structs.replace(request, model=model)).body
    expected = EFFORT[target]
    assert {name: body.get(name) for name in expected} == expected


FOREIGN_FILES: list[tuple[str, Format, JSON, tuple[Format, ...]]] = [
    (
        "a file stored at Anthropic",
        A,
        {"messages": [{"role": "user", "content": [
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}}]}]},
        (C, R),
    ),
    (
        "a file stored at OpenAI",
        C,
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
        (A,),
    ),
    (
        "sound",
        C,
        {"messages": [{"role": "user", "content": [
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}]}]},
        (A, R),
    ),
    ("several answers", C, {"messages": [{"role": "user", "content": "Hi"}], "n": 3}, (A, R)),
    (
        "a conversation stored at OpenAI",
        R,
        {"input": "Hi", "previous_response_id": "resp_1"},
        (A, C),
    ),
    (
        "a forced tool that only its vendor runs",
        A,
        {"messages": [{"role": "user", "content": "Hi"}],
         "tools": [{"type": "web_search_20250305", "name": "web_search"}],
         "tool_choice": {"type": "tool", "name": "web_search"}},
        (C, R),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "origin", "fields", "targets"), FOREIGN_FILES, ids=[r[0] for r in FOREIGN_FILES]
)
def test_what_cannot_be_dropped_safely_is_refused_with_the_field(
    sentence: str, origin: Format, fields: JSON, targets: tuple[Format, ...]
) -> None:
    for target in targets:
        with pytest.raises(Untranslatable) as caught:
            translated({"model": "m", "max_tokens": 5, **fields}, origin, target)
        assert caught.value.field, sentence
        assert caught.value.why, sentence


# Answers


STREAMS: dict[Format, list[tuple[str, bytes]]] = {
    A: [(case.name, cases_anthropic.stream(case.frames)) for case in cases_anthropic.CASES],
    C: [(case[0], cases_openai_chat.sse(case[1])) for case in cases_openai_chat.CASES],
    R: [
        (case.name, cases_openai_responses.sse(case.frames))
        for case in cases_openai_responses.CASES
    ],
}


def read(stream: bytes, origin: Format) -> list[AnswerEvent]:
    reader = CODECS[origin].reader()
    return [event for frame in SSEParser().feed(stream) for event in reader.feed(frame)]


def asking(client: Format) -> Request:
    """The request of a client of this format, with all tools that the answers call."""
    return msgspec.structs.replace(
        CODECS[client].parse_request(body_of(CASES[0], client)), stream=True, include_usage=True
    )


def write(events: list[AnswerEvent], client: Format) -> bytes:
    writer = CODECS[client].writer(asking(client))
    return b"".join(writer.write(event) for event in events)


def answer_essence(events: list[AnswerEvent]) -> JSON:
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, BlockStart) and event.kind in {"tool_use", "custom_tool"}:
            calls[event.index] = [event.name, ""]
        elif isinstance(event, ArgsDelta) and event.index in calls:
            calls[event.index][1] += event.json
    stops = [event for event in events if isinstance(event, Stop)]
    stop = stops[-1] if stops else None
    reason = stop.reason if stop else None
    tokens = stop.tokens if stop else None
    return {
        # Where blocks of text meet, formats without blocks put a blank line.
        "text": "".join(e.text for e in events if isinstance(e, TextDelta)).replace("\n\n", ""),
        "calls": [(name, _arguments(arguments)) for name, arguments in calls.values()],
        "reason": "end_turn" if reason in {"stop_sequence", "pause_turn"} else reason,
        "tokens": tokens and (tokens.input + tokens.cache_write, tokens.cache_read, tokens.output),
        "ended": isinstance(events[-1], End),
    }


def _arguments(text: str) -> Any:
    """The arguments; a custom tool's text and the `input` that stands for it are the same."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return text
    return value["input"] if isinstance(value, dict) and list(value) == ["input"] else value


COMPLETE = {
    upstream: [
        (name, events)
        for name, stream in streams
        if isinstance((events := read(stream, upstream))[-1], End)
    ]
    for upstream, streams in STREAMS.items()
}
"""The answers that end well; what becomes of the others is the gateway's affair."""

ANSWERS = [
    pytest.param(upstream, client, events, id=f"{upstream} to {client}: {name}")
    for upstream, client in PAIRS
    for name, events in COMPLETE[upstream]
]


def is_half(events: list[AnswerEvent]) -> bool:
    """Whether the limit of tokens cut a call's arguments."""
    return any(
        isinstance(arguments, str) and arguments.startswith("{")
        for _, arguments in answer_essence(events)["calls"]
    )


def only_openai_says(essence: JSON, client: Format) -> JSON:
    """Stop reasons that a format has no word for."""
    if client is not A and essence["reason"] == "context_window":
        essence["reason"] = "max_tokens"
    return essence


@pytest.mark.parametrize(("upstream", "client", "events"), ANSWERS)
def test_an_answer_means_the_same_to_a_client_of_the_other_format(
    upstream: Format, client: Format, events: list[AnswerEvent]
) -> None:
    again = read(write(events, client), client)
    expected, found = only_openai_says(answer_essence(events), client), answer_essence(again)
    if expected["tokens"] is None:
        del expected["tokens"], found["tokens"]
    assert found == expected


@pytest.mark.parametrize(("upstream", "client", "events"), ANSWERS)
def test_a_whole_answer_means_what_its_stream_means(
    upstream: Format, client: Format, events: list[AnswerEvent]
) -> None:
    if client is A and is_half(events):
        # A whole message holds arguments as an object; half of one cannot be said.
        with pytest.raises(MalformedFrame):
            CODECS[client].render_answer(events, asking(client))
        return
    body = json.loads(json.dumps(CODECS[client].render_answer(events, asking(client))))
    whole = answer_essence(CODECS[client].parse_answer(body))
    streamed = answer_essence(read(write(events, client), client))
    if answer_essence(events)["tokens"] is None:
        del whole["tokens"], streamed["tokens"]
    assert whole == streamed


@pytest.mark.parametrize(("upstream", "client", "events"), ANSWERS)
def test_thinking_never_gets_a_signature_that_another_vendor_made(
    upstream: Format, client: Format, events: list[AnswerEvent]
) -> None:
    secrets = {e.signature for e in events if isinstance(e, SignatureDelta)}
    secrets |= {e.data for e in events if isinstance(e, BlockStart) and e.data}
    written = write(events, client)
    again = read(written, client)
    assert all(json.dumps(secret).encode() not in written for secret in secrets)
    assert not [e for e in again if isinstance(e, SignatureDelta) and e.signature]
    thought = "".join(e.text for e in events if isinstance(e, ThinkingDelta))
    said = "".join(e.text for e in again if isinstance(e, TextDelta))
    assert not thought or thought not in said


@pytest.mark.parametrize(("upstream", "client"), [(b, a) for a, b in PAIRS])
def test_a_calls_id_is_the_same_in_answer_and_history(upstream: Format, client: Format) -> None:
    """Turn one: the upstream calls. Turn two: the client sends call and result back."""
    events = next(
        events
        for _, events in COMPLETE[upstream]
        if any(isinstance(e, BlockStart) and e.kind == "tool_use" for e in events)
    )
    streamed = [e.id for e in read(write(events, client), client)
                if isinstance(e, BlockStart) and e.kind == "tool_use"]  # fmt: skip
    whole = CODECS[client].render_answer(events, asking(client))
    body = history_of(whole, client)
    request = CODECS[client].parse_request(body)
    ids = [block.id for _, block in each_block(request) if isinstance(block, ToolUse)]
    assert ids == streamed
    first, second = (translated(body, client, upstream).body for _ in range(2))
    assert first == second
    again = CODECS[upstream].parse_request(first)
    assert [ordinal for ordinal, _ in results(again)] == list(range(len(ids)))


def history_of(whole: JSON, client: Format) -> JSON:
    """What an agent sends next: the question, the answer as it came, a result for each call."""
    if client is A:
        calls = [block["id"] for block in whole["content"] if block["type"] == "tool_use"]
        answers = [{"type": "tool_result", "tool_use_id": i, "content": "ok"} for i in calls]
        messages = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": whole["content"]},
            {"role": "user", "content": answers},
        ]
        return {"model": "m", "max_tokens": 5, "messages": messages, "tools": TOOLS[A]}
    if client is C:
        message = whole["choices"][0]["message"]
        tools = [
            {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
            for call in message["tool_calls"]
        ]
        said = [{"role": "user", "content": "Hi"}, message, *tools]
        return {"model": "m", "messages": said, "tools": TOOLS[C]}
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}
        for item in whole["output"]
        if item["type"] == "function_call"
    ]
    items = [{"role": "user", "content": "Hi"}, *whole["output"], *outputs]
    return {"model": "m", "input": items, "tools": TOOLS[R], "store": False}


@pytest.mark.parametrize("client", FORMATS)
def test_an_unfinished_answer_is_never_rendered_whole(client: Format) -> None:
    with pytest.raises(Exception, match=r"complete|end|finish"):
        CODECS[client].render_answer([Start("a", "m")], asking(client))
