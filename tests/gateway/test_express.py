"""The plain case without the machinery says the same as the exchange, whatever happens."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.gateway.events import (
    AttemptBroke,
    BodyEnded,
    BytesReceived,
    ClientGone,
    Command,
    Event,
    HeadReceived,
    Interrupted,
    OpenAttempt,
    TimerFired,
)
from outlast.gateway.exchange import Exchange
from outlast.gateway.express import BODY_LIMIT_BYTES, Express, fits
from outlast.nouns import Format, Kind
from outlast.outcome import Fault
from tests.gateway.exchanges import JSON_TYPE, candidate, exchange

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-5",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-8",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 3},
}
PLAIN = {Format.OPENAI_CHAT: CHAT, Format.ANTHROPIC: MESSAGE}
KINDS = {Format.OPENAI_CHAT: Kind.OPENAI_CHAT, Format.ANTHROPIC: Kind.ANTHROPIC}
HEADERS = JSON_TYPE | {"x-request-id": "r1", "x-ratelimit-remaining-requests": "7", "server": "x"}

ENDS: list[Event] = [
    AttemptBroke(0, Fault("reset"), 2.5),
    ClientGone(2.5),
    Interrupted(2.5),
    TimerFired("watch", 400.0),
    TimerFired("deadline", 700.0),
]

odd: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(0, 1e300),
    st.sampled_from(
        ["", "stop", "length", "tool_calls", "refusal", "error", "text", "é🦀", "\ud800"]
    ),
    st.just([]),
    st.just({}),
    st.just([{"type": "tool_use", "id": "t", "name": "rm", "input": {}}]),
    st.just([{"id": "c", "type": "function", "function": {"name": "rm", "arguments": '{"a'}}]),
    st.just({"message": "Overloaded", "type": "overloaded_error"}),
)
NAMES = [
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "error",
    "index",
    "message",
    "delta",
    "finish_reason",
    "content",
    "refusal",
    "reasoning_content",
    "reasoning",
    "tool_calls",
    "function_call",
    "audio",
    "type",
    "stop_reason",
    "stop_sequence",
    "text",
    "citations",
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All paths to values inside of a JSON value."""
    found: list[tuple[Any, ...]] = [at] if at else []
    if isinstance(value, dict):
        found += [one for key in value for one in places(value[key], (*at, key))]
    elif isinstance(value, list):
        found += [one for index in range(len(value)) for one in places(value[index], (*at, index))]
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new) if len(path) > 1 else new
    return copy


@st.composite
def bodies(draw: st.DrawFn, form: Format) -> bytes:
    """A plain answer, or one with something odd in it, or none at all."""
    answer = PLAIN[form]
    for _ in range(draw(st.integers(0, 2))):
        path = draw(st.sampled_from(places(answer)))
        inside: Any = answer
        for step in path:
            inside = inside[step]
        if isinstance(inside, dict) and draw(st.booleans()):
            answer = changed(answer, (*path, draw(st.sampled_from(NAMES))), draw(odd))
        else:
            answer = changed(answer, path, draw(odd))
    raw = msgspec.json.encode(answer) if _encodes(answer) else b'{"x": "\xff"}'
    cut = draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    return raw[:cut] + draw(st.sampled_from([b"", b" ", b"\n", b"}", b"\x00"]))


def _encodes(answer: Any) -> bool:
    try:
        msgspec.json.encode(answer)
    except (UnicodeEncodeError, ValueError):
        return False
    return True


@st.composite
def stories(draw: st.DrawFn) -> tuple[Format, list[Event]]:
    """What may happen to one request: mostly an answer, cut anywhere, and then some end."""
    form = draw(st.sampled_from(list(PLAIN)))
    status = draw(st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 429, 500, 529]))
    kind = draw(st.sampled_from([HEADERS, HEADERS, {}, {"content-type": "text/html"}]))
    body = draw(bodies(form))
    events: list[Event] = [HeadReceived(0, status, kind, 1.5)]
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        events.append(BytesReceived(0, body[start:end], 2.0))
    events.append(BodyEnded(0, 3.0))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(events)))
        events[at:] = [draw(st.sampled_from(ENDS))]
    return form, events


def told(commands: list[Command]) -> list[object]:
    """Commands as they can be compared: two calls have readers of their own."""
    return [
        (c.attempt, c.candidate, c.prepared.body) if isinstance(c, OpenAttempt) else c
        for c in commands
    ]


def machine(form: Format) -> Exchange:
    kind = KINDS[form]
    return exchange(
        candidate("a", kind), candidate("b", kind, model="other"), form=form, stream=False
    )


def express(form: Format) -> Express:
    base = machine(form)
    return Express(base._plan, base._prepare, lambda: machine(form))


@settings(max_examples=1500, deadline=None)
@given(stories())
def test_both_give_the_same_commands_at_the_same_moments(story: tuple[Format, list[Event]]) -> None:
    form, events = story
    long_way, short_way = machine(form), express(form)
    assert told(long_way.start(1.0)) == told(short_way.start(1.0))
    for event in events:
        assert told(long_way.handle(event)) == told(short_way.handle(event))


@pytest.mark.parametrize("form", PLAIN)
def test_a_plain_answer_needs_no_machinery(form: Format) -> None:
    def never() -> Exchange:
        raise AssertionError("the exchange was built")

    base = machine(form)
    short_way = Express(base._plan, base._prepare, never)
    short_way.start(1.0)
    short_way.handle(HeadReceived(0, 200, HEADERS, 1.5))
    short_way.handle(BytesReceived(0, msgspec.json.encode(PLAIN[form]), 2.0))
    assert len(short_way.handle(BodyEnded(0, 3.0))) == 3


def test_a_large_answer_is_not_held_here() -> None:
    short_way, long_way = express(Format.OPENAI_CHAT), machine(Format.OPENAI_CHAT)
    events: list[Event] = [HeadReceived(0, 200, HEADERS, 1.5)]
    events += [BytesReceived(0, b" " * (BODY_LIMIT_BYTES // 2), 2.0) for _ in range(5)]
    events += [BytesReceived(0, msgspec.json.encode(CHAT), 2.5), BodyEnded(0, 3.0)]
    short_way.start(1.0)
    long_way.start(1.0)
    for event in events:
        assert told(long_way.handle(event)) == told(short_way.handle(event))
    assert sum(len(e.data) for e in short_way._heard if isinstance(e, BytesReceived)) < (
        2 * BODY_LIMIT_BYTES
    )


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("it is streamed", {"stream": True}),
        ("a notice may be wanted", {"notice": "en"}),
        ("its format has no glance", {"form": Format.OPENAI_RESPONSES}),
        ("the first candidate speaks another format", {"form": Format.OPENAI_CHAT}),
    ],
)
def test_what_is_not_plain_from_the_start_does_not_fit(why: str, changes: dict[str, Any]) -> None:
    plain = exchange("a", stream=False)._plan
    assert fits(plain, chat=True), why
    assert not fits(plain, chat=False)
    assert not fits(exchange("a", **({"stream": False} | changes))._plan, chat=True), why


@pytest.mark.parametrize("empty", [[], {}, 0, False])
@pytest.mark.parametrize("name", ["refusal", "tool_calls", "reasoning", "audio"])
def test_an_empty_value_of_another_type_is_judged_the_long_way(name: str, empty: object) -> None:
    short_way, long_way = express(Format.OPENAI_CHAT), machine(Format.OPENAI_CHAT)
    body = msgspec.json.encode(changed(CHAT, ("choices", 0, "message", name), empty))
    events: list[Event] = [HeadReceived(0, 200, HEADERS, 1.5), BytesReceived(0, body, 2.0)]
    short_way.start(1.0)
    long_way.start(1.0)
    for event in [*events, BodyEnded(0, 3.0)]:
        assert told(long_way.handle(event)) == told(short_way.handle(event))
