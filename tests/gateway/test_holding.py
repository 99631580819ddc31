"""What may be shown, and when: continuity.md 1.2 as tables over real frames, and as properties."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway.holding import Holder, HoldLimit, HoldPolicy, TornToolCall, Unit
from outlast.nouns import Format
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    ForeignDelta,
    Ping,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    TextDelta,
)
from tests.gateway.answers import (
    FORMATS,
    OPEN,
    A,
    C,
    R,
    argued,
    call,
    chunks,
    closed,
    named,
    stream,
    text,
    thinking,
    units,
)

PING = Unit(b'event: ping\ndata: {"type": "ping"}\n\n', [Ping()])
COMMENT = Unit(b": keep-alive\n\n", [])


def fed(holder: Holder, given_units: list[Unit]) -> bytes:
    return b"".join(unit.raw for one in given_units for unit in holder.feed(one))


def unit(*events: AnswerEvent, raw: bytes = b"x") -> Unit:
    return Unit(raw, list(events))


# -- nothing before content ----------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_the_envelope_waits_for_the_first_word_and_comes_with_it(form: Format) -> None:
    holder = Holder(HoldPolicy())
    envelope = units(form, stream(form, OPEN))
    word = units(form, stream(form, [*OPEN, BlockStart(0, "text"), TextDelta(0, "hello")]))
    assert fed(holder, envelope) == b""
    assert (holder.held, holder.committed, holder.content_seen) == (True, False, False)
    shown = fed(holder, word[len(envelope) :])
    assert shown == b"".join(one.raw for one in word)
    assert (holder.held, holder.committed, holder.content_seen) == (False, True, True)


def test_an_empty_text_is_no_content() -> None:
    holder = Holder(HoldPolicy())
    assert fed(holder, [unit(Start("", "")), unit(BlockStart(0, "text"))]) == b""
    assert fed(holder, [unit(TextDelta(0, "")), unit(BlockStop(0))]) == b""
    assert not holder.content_seen


@pytest.mark.parametrize("form", FORMATS)
def test_text_passes_at_once_frame_by_frame(form: Format) -> None:
    holder = Holder(HoldPolicy())
    events = [*OPEN, BlockStart(0, "text"), *(TextDelta(0, f"word{n} ") for n in range(5))]
    frames = units(form, stream(form, events))
    pieces = [fed(holder, [one]) for one in frames]
    texts = [bool(one.events) and isinstance(one.events[-1], TextDelta) for one in frames]
    first = texts.index(True)
    assert all(pieces[first:])  # every one of them is shown when it comes
    assert not any(pieces[:first])


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_answer_is_shown_whole_at_its_end(form: Format) -> None:
    data = stream(form, [*OPEN, *closed()])
    holder = Holder(HoldPolicy())
    assert fed(holder, units(form, data)) == data
    assert holder.ended


@pytest.mark.parametrize("form", FORMATS)
def test_the_last_frames_come_together_with_the_end(form: Format) -> None:
    """So that the record is written before the client holds the whole answer."""
    holder = Holder(HoldPolicy())
    *frames, last = units(form, stream(form, [*OPEN, *text("hi"), *closed()]))
    fed(holder, frames)
    assert [holder.ended, last.raw in fed(holder, [last])] == [False, True]
    assert (holder.ended, holder.held) == (True, False)


# -- signs of life -------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [PING, COMMENT])
def test_signs_of_life_commit_to_nothing_and_pass_while_nothing_waits(sign: Unit) -> None:
    holder = Holder(HoldPolicy())
    assert fed(holder, [sign, unit(Start("", "")), sign]) == b""
    assert not holder.committed
    fed(holder, [unit(BlockStart(0, "text")), unit(TextDelta(0, "hi"))])
    assert fed(holder, [sign]) == sign.raw
    fed(holder, [unit(BlockStop(0)), unit(BlockStart(1, "tool_use", name="rm"))])
    assert fed(holder, [sign]) == b""  # something waits: the exchange sends its own


def test_a_frame_with_a_comment_in_it_is_not_a_comment() -> None:
    """Dropped, it would be missing from an answer that is passed on byte for byte."""
    frame = b': hello\ndata: {"choices": []}\n\n'
    holder = Holder(HoldPolicy())
    assert fed(holder, [Unit(frame, []), unit(TextDelta(0, "a"))]).startswith(frame)


# -- tool calls ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("before", [[], text("I will ")], ids=["at once", "after text"])
def test_a_tool_call_is_shown_whole_or_not_at_all(form: Format, before: list[AnswerEvent]) -> None:
    """Wherever the stream is cut: who has the call's name has its last argument too."""
    index = 1 if before else 0
    made = call('{"path":', '"/","only_if":', '"empty"}', index=index)
    data = stream(form, [*OPEN, *before, *made, *closed("tool_use")])
    frames = units(form, data)
    for cut in range(len(frames) + 1):
        holder = Holder(HoldPolicy())
        shown = fed(holder, frames[:cut])
        assert (b'"rm"' in shown) == (b"empty" in shown), f"cut after frame {cut}"
    assert shown == data


def test_chat_completions_name_the_tool_before_its_first_argument() -> None:
    """The Reader says nothing of that frame yet; shown after text, it would be half a call."""
    data = chunks({"role": "assistant", "content": ""}, {"content": "Now: "}, named(0, "rm"))
    holder = Holder(HoldPolicy())
    shown = fed(holder, units(C, data))
    assert b"Now: " in shown
    assert b'"rm"' not in shown


@pytest.mark.parametrize(
    "idle",
    [
        {"content": "", "tool_calls": None, "function_call": None},
        {"content": "", "tool_calls": []},
        {},
    ],
)
def test_chunks_that_only_mention_tools_hold_nothing_up(idle: dict[str, Any]) -> None:
    """Many servers write every field into every chunk."""
    data = chunks({"role": "assistant"}, {"content": "a"}, idle, {"content": "b"})
    holder = Holder(HoldPolicy())
    assert fed(holder, units(C, data)) == data


def test_parallel_calls_of_chat_completions_come_together() -> None:
    """They interleave, and which of them is finished nobody knows before the end."""
    data = chunks(
        {"role": "assistant", "content": None},
        named(0, "read"),
        argued(0, '{"a":'),
        named(1, "rm", '{"b"'),
        argued(0, "1}"),
        argued(1, ":2}"),
    )
    ending = chunks({}, finish_reason="tool_calls") + b"data: [DONE]\n\n"
    holder = Holder(HoldPolicy())
    frames = units(C, data + ending)
    assert fed(holder, frames[:6]) == b""
    assert fed(holder, frames[6:]) == data + ending


def test_one_torn_call_among_parallel_ones_is_a_failure() -> None:
    data = chunks(named(0, "read", "{}"), named(1, "rm", '{"b"'), finish_reason="tool_calls")
    holder = Holder(HoldPolicy())
    with pytest.raises(TornToolCall, match="'rm' are not JSON"):
        fed(holder, units(C, data + b"data: [DONE]\n\n"))


@pytest.mark.parametrize("form", [A, R])
def test_a_second_call_is_held_after_a_first_whole_one(form: Format) -> None:
    events = [*OPEN, *call('{"a":1}', name="read"), *call('{"b":', index=1)[:2]]
    holder = Holder(HoldPolicy())
    shown = fed(holder, units(form, stream(form, events)))
    assert b"read" in shown
    assert b'"rm"' not in shown


@pytest.mark.parametrize("form", [A, R])
def test_text_after_a_whole_call_is_live_again(form: Format) -> None:
    events = [*OPEN, *call("{}"), *text("and ", "now", index=1)[:2]]
    shown = fed(Holder(HoldPolicy()), units(form, stream(form, events)))
    assert b"and " in shown


def test_items_of_the_responses_format_that_grow_side_by_side_hide_no_call() -> None:
    """Canonical blocks do not overlap: the Reader is silent about the call until the text ends."""
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "rm"}
    data = b"".join(
        b"data: " + json.dumps(body).encode() + b"\n\n"
        for body in (
            {"type": "response.created", "response": {"id": "resp_1", "model": "m"}},
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
             "item_id": "msg_1", "delta": "first "},
            {"type": "response.output_item.added", "output_index": 1, "item": item},
            {"type": "response.function_call_arguments.delta", "output_index": 1,
             "item_id": "fc_1", "delta": '{"path":'},
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
             "item_id": "msg_1", "delta": "second"},
        )
    )  # fmt: skip
    holder = Holder(HoldPolicy())
    shown = fed(holder, units(R, data))
    assert b"first" in shown
    assert b'"rm"' not in shown
    assert b"path" not in shown


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("torn", ['{"path":"/', "{", "no json", '{"a":1}}', "[" * 5000])
def test_a_call_closed_over_torn_arguments_is_a_failure(form: Format, torn: str) -> None:
    frames = [unit(*call(torn)), unit(*closed("tool_use"))]
    with pytest.raises(TornToolCall):
        fed(Holder(HoldPolicy()), frames)


def test_a_call_torn_in_the_middle_of_an_answer_is_a_failure_at_once() -> None:
    holder = Holder(HoldPolicy())
    assert fed(holder, [unit(*call("{"))]) == b""
    with pytest.raises(TornToolCall):
        fed(holder, [unit(BlockStart(1, "text"))])


@pytest.mark.parametrize("form", FORMATS)
def test_a_call_cut_off_by_the_callers_limit_is_the_answer(form: Format) -> None:
    """Every other upstream would be cut off at the same place, and the answer says so."""
    raw = b"".join
    frames = [unit(*call('{"path":"/'), raw=b"call"), unit(*closed("max_tokens"), raw=b"end")]
    holder = Holder(HoldPolicy())
    assert fed(holder, frames[:1]) == b""
    assert fed(holder, frames[1:]) == raw([b"call", b"end"])


@pytest.mark.parametrize(
    ("reason", "torn"),
    [
        ("max_tokens", False),
        ("context_window", False),
        ("refusal", False),
        ("end_turn", True),
        ("tool_use", True),
        ("stop_sequence", True),
        ("pause_turn", True),
    ],
)
def test_only_a_reason_that_no_client_takes_for_a_whole_call_excuses_a_torn_one(
    reason: StopReason, torn: bool
) -> None:
    holder = Holder(HoldPolicy())
    fed(holder, [unit(*call("{"))])
    if torn:
        with pytest.raises(TornToolCall):
            fed(holder, [unit(*closed(reason))])
    else:
        assert fed(holder, [unit(*closed(reason))])


@pytest.mark.parametrize(
    "pieces", [(), ("",), (" ",), ("{}",), ('{"a":', "1}"), ('{"ü":"\\ud83d\\ude00"}',)]
)
def test_whole_arguments_are_whole(pieces: tuple[str, ...]) -> None:
    assert fed(Holder(HoldPolicy()), [unit(*call(*pieces))]) == b"x"


@pytest.mark.parametrize("arguments", ["null", "[]", "5", '"text"'])
def test_arguments_must_be_an_object_only_where_they_are_translated(arguments: str) -> None:
    assert fed(Holder(HoldPolicy()), [unit(*call(arguments))]) == b"x"
    with pytest.raises(TornToolCall, match="not an object"):
        fed(Holder(HoldPolicy(object_arguments=True)), [unit(*call(arguments))])


def test_a_custom_tools_input_is_free_text_and_held_whole() -> None:
    holder = Holder(HoldPolicy())
    start = BlockStart(0, "custom_tool", id="c", name="apply_patch")
    assert fed(holder, [unit(start), unit(ArgsDelta(0, "*** Begin {"))]) == b""
    assert fed(holder, [unit(BlockStop(0))]) == b"xxx"


def test_tools_may_be_shown_live_but_never_closed_torn() -> None:
    holder = Holder(HoldPolicy(hold_tools=False))
    start, piece, stop = (unit(event) for event in call('{"a":'))
    assert fed(holder, [start, piece]) == b"xx"
    assert fed(holder, [stop]) == b""
    with pytest.raises(TornToolCall):
        fed(holder, [unit(*closed("tool_use"))])


def test_a_tools_name_in_an_error_is_never_long() -> None:
    with pytest.raises(TornToolCall) as torn:
        fed(Holder(HoldPolicy()), [unit(*call("{", name="n" * 9999)), unit(*closed())])
    assert len(str(torn.value)) < 120


# -- thinking, foreign blocks --------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_thinking_is_held_whole_where_another_could_answer(form: Format) -> None:
    events = [*OPEN, *thinking("hm ", "aha"), *text("So", index=1), *closed()]
    frames = units(form, stream(form, events))
    for cut in range(len(frames) + 1):
        shown = fed(Holder(HoldPolicy(hold_thinking=True)), frames[:cut])
        assert (b"hm " in shown) == (b"aha" in shown), f"cut after frame {cut}"
    assert fed(Holder(HoldPolicy()), frames) == b"".join(one.raw for one in frames)


@pytest.mark.parametrize("form", FORMATS)
def test_thinking_is_live_where_nobody_else_could(form: Format) -> None:
    events = [*OPEN, *thinking("hm ", "aha")[:2]]
    shown = fed(Holder(HoldPolicy(hold_thinking=False)), units(form, stream(form, events)))
    assert b"hm " in shown


def test_a_signature_comes_with_its_thought() -> None:
    holder = Holder(HoldPolicy())
    start, piece, stop = (unit(event) for event in thinking("hm"))
    assert fed(holder, [start, piece, unit(SignatureDelta(0, "sig"))]) == b""
    assert fed(holder, [stop]) == b"xxxx"


def test_redacted_thinking_is_held_until_it_is_whole() -> None:
    holder = Holder(HoldPolicy())
    assert fed(holder, [unit(BlockStart(0, "redacted_thinking", data="e"))]) == b""
    assert fed(holder, [unit(BlockStop(0))]) == b"xx"


def test_foreign_blocks_are_content_and_pass() -> None:
    holder = Holder(HoldPolicy())
    assert fed(holder, [unit(Start("", "")), unit(BlockStart(0, "foreign", raw={"type": "new"}))])
    assert holder.committed
    assert fed(holder, [unit(ForeignDelta(0, {"type": "new_delta"})), unit(BlockStop(0))]) == b"xx"


def test_frames_of_unknown_types_keep_their_place() -> None:
    holder = Holder(HoldPolicy())
    unknown = Unit(b"event: brand_new\ndata: {}\n\n", [])
    assert fed(holder, [unknown]) == b""
    assert fed(holder, [unit(TextDelta(0, "a"))]) == unknown.raw + b"x"
    assert fed(holder, [unknown]) == unknown.raw


# -- the limit -----------------------------------------------------------------------------------


def test_more_than_the_limit_is_never_held() -> None:
    holder = Holder(HoldPolicy(limit_bytes=100))
    fed(holder, [unit(BlockStart(0, "tool_use", name="w"), raw=b"x" * 60)])
    fed(holder, [unit(ArgsDelta(0, "a"), raw=b"x" * 40)])
    with pytest.raises(HoldLimit, match="100 bytes"):
        fed(holder, [unit(ArgsDelta(0, "a"))])


def test_what_was_shown_no_longer_counts_towards_the_limit() -> None:
    holder = Holder(HoldPolicy(limit_bytes=100))
    for _ in range(50):
        assert fed(holder, [unit(TextDelta(0, "a"), raw=b"x" * 90)])


# -- properties ----------------------------------------------------------------------------------

BLOCKS = st.lists(
    st.one_of(
        st.lists(st.text("ab ", max_size=3), max_size=4).map(lambda t: ("text", t)),
        st.lists(st.text("ab ", max_size=3), max_size=4).map(lambda t: ("thinking", t)),
        st.sampled_from([["{}"], ['{"a":', "1}"], [], ['{"a"', ":", "[1,2]", "}"]]).map(
            lambda t: ("tool_use", t)
        ),
        st.just(("foreign", [])),
    ),
    max_size=5,
)
NOISE = st.sampled_from([None, None, None, PING, COMMENT])


def made(blocks: list[tuple[str, list[str]]]) -> list[AnswerEvent]:
    events: list[AnswerEvent] = [Start("", "")]
    for index, (kind, pieces) in enumerate(blocks):
        make = {"text": text, "thinking": thinking, "tool_use": call}.get(kind)
        if make is None:
            events += [BlockStart(index, "foreign", raw={"type": "new"}), BlockStop(index)]
        else:
            events += make(*pieces, index=index)
    return [*events, Stop("end_turn"), End()]


@given(BLOCKS, st.lists(NOISE, max_size=40), st.booleans(), st.lists(st.integers(1, 4)))
def test_what_is_shown_is_what_came_in_order_and_all_of_it_but_pings(
    blocks: list[tuple[str, list[str]]],
    noise: list[Unit | None],
    hold_thinking: bool,
    sizes: list[int],
) -> None:
    """A frame may mean several events; signs of life may come anywhere."""
    events, given_units, number = made(blocks), list[Unit](), 0
    while events:
        size = sizes.pop() if sizes else 1
        given_units.append(Unit(b"%d;" % number, events[:size]))
        events, number = events[size:], number + 1
        if noise and (sign := noise.pop()) is not None:
            given_units.append(sign)
    holder = Holder(HoldPolicy(hold_thinking=hold_thinking))
    shown: list[Unit] = []
    for one in given_units:
        shown += holder.feed(one)
        seen = [event for each in shown for event in each.events]
        if shown and not holder.ended:
            _assert_safe(seen)
        if not holder.committed:
            assert not shown
    positions = [int(one.raw[:-1]) for one in shown if one not in (PING, COMMENT)]
    assert positions == list(range(number))
    assert holder.ended
    assert not holder.held


def _assert_safe(seen: list[AnswerEvent]) -> None:
    """No half tool call, no stop before the end, and never only an envelope."""
    opened = {e.index for e in seen if isinstance(e, BlockStart) and e.kind == "tool_use"}
    whole = {e.index for e in seen if isinstance(e, BlockStop)}
    assert opened <= whole
    assert not any(isinstance(event, Stop) for event in seen)
    assert any(
        (isinstance(e, TextDelta) and e.text)
        or isinstance(e, ArgsDelta)
        or (isinstance(e, BlockStart) and e.kind != "text")
        for e in seen
    )
