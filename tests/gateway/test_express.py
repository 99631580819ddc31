"""What is plain at a glance is what the exchange makes of it, to the last word of the receipt."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.config import RetrySettings, TimeoutSettings
from outlast.gateway.asked import Prepared
from outlast.gateway.events import (
    BodyEnded,
    BytesReceived,
    Command,
    HeadReceived,
    OpenAttempt,
    SendReply,
    Settle,
)
from outlast.gateway.exchange import Exchange
from outlast.gateway.express import BODY_LIMIT_BYTES, ID_CHARS, Case, Form, fits, glance
from outlast.gateway.record import served
from outlast.nouns import Degraded, Format, Kind, Receipt
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


def ended(form: Format, body: bytes) -> list[Command]:
    """What the exchange makes of an answer."""
    long_way = machine(form)
    long_way.start(1.0)
    long_way.handle(HeadReceived(0, 200, HEADERS, 1.5))
    long_way.handle(BytesReceived(0, body, 2.0))
    return long_way.handle(BodyEnded(0, 3.0))


def agrees(form: Format, body: bytes) -> bool:
    """Whether an answer is plain; raises AssertionError where the exchange says something else."""
    found = glance(form, body)
    if found is None:
        return False
    plan = machine(form)._plan
    asked, prepared = plan.asked, prepared_by(form)
    case = Case(plan, prepared, Degraded.NONE, ())
    model, counts = found
    shown, ident = model or prepared.candidate.model, "req_" + "0" * (ID_CHARS - 4)
    record = Form(case, shown).whole(ident, asked.at, asked.at + 2.0, counts, "r1")
    _, settle, reply = ended(form, body)
    assert isinstance(settle, Settle)
    kept = msgspec.msgpack.decode(record, type=Receipt)
    assert msgspec.structs.replace(kept, id=settle.receipt.id) == settle.receipt
    assert isinstance(reply, SendReply)
    assert (reply.reply.status, reply.reply.body) == (200, body)
    who = served(prepared, shown, Degraded.NONE)
    assert who.items() <= reply.reply.headers.items()
    return True


def prepared_by(form: Format) -> Prepared:
    opened = [one for one in machine(form).start(1.0) if isinstance(one, OpenAttempt)]
    return opened[0].prepared


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(list(PLAIN)).flatmap(lambda form: st.tuples(st.just(form), bodies(form))))
def test_what_is_found_at_a_glance_is_what_the_exchange_reads(case: tuple[Format, bytes]) -> None:
    agrees(*case)


@pytest.mark.parametrize("form", PLAIN)
def test_a_plain_answer_is_found_at_a_glance(form: Format) -> None:
    assert agrees(form, msgspec.json.encode(PLAIN[form]))


USAGES: list[dict[str, Any]] = [
    {"prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}},
    {"prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 3}},
    {"prompt_tokens_details": None, "prompt_cache_hit_tokens": 5},
    {"prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 5},
    {"completion_tokens_details": {"reasoning_tokens": 2}},
    {"completion_tokens_details": None},
]


@pytest.mark.parametrize("more", USAGES)
def test_tokens_are_counted_as_the_exchange_counts_them(more: dict[str, Any]) -> None:
    usage = CHAT["usage"] | more
    assert agrees(Format.OPENAI_CHAT, msgspec.json.encode(CHAT | {"usage": usage}))


@pytest.mark.parametrize(
    "rubbish", [b'"\xff"', b"1e999", b'"\\ud800"', b"-", b"[[[[", b'{"a": 01}', b"nul"]
)
def test_rubbish_where_nobody_looks_is_no_plain_answer(rubbish: bytes) -> None:
    body = msgspec.json.encode(CHAT)[:-1] + b', "x": %b}' % rubbish
    assert glance(Format.OPENAI_CHAT, body) is None


def test_a_large_answer_goes_the_long_way() -> None:
    body = msgspec.json.encode(CHAT)
    assert glance(Format.OPENAI_CHAT, body + b" " * BODY_LIMIT_BYTES) is None


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("a second may be asked", {"stream": True, "retry": RetrySettings(hedge_after_s=1)}),
        ("a notice may be wanted", {"notice": "en"}),
        ("its format has no glance", {"form": Format.OPENAI_RESPONSES}),
    ],
)
def test_what_is_not_plain_from_the_start_does_not_fit(why: str, changes: dict[str, Any]) -> None:
    plain = exchange("a", stream=False)._plan
    assert fits(plain, chat=True), why
    assert not fits(plain, chat=False)
    assert not fits(exchange("a", **({"stream": False} | changes))._plan, chat=True), why


@pytest.mark.parametrize("timeouts", [TimeoutSettings(deadline_s=4), TimeoutSettings(whole_s=4)])
def test_who_has_little_time_is_not_plain(timeouts: TimeoutSettings) -> None:
    assert not fits(exchange("a", stream=False, timeouts=timeouts)._plan, chat=True)


@pytest.mark.parametrize("empty", [[], {}, 0, False])
@pytest.mark.parametrize("name", ["refusal", "tool_calls", "reasoning", "audio"])
def test_an_empty_value_of_another_type_is_judged_as_the_exchange_does(
    name: str, empty: object
) -> None:
    agrees(
        Format.OPENAI_CHAT,
        msgspec.json.encode(changed(CHAT, ("choices", 0, "message", name), empty)),
    )
