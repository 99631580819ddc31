"""Histories made safe to pass on: what goes out, what stays, and that nothing is ever forged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.simulator import Rejected, read
from outlast.wire.anthropic.fitting import fitted
from outlast.wire.anthropic.models import traits_of
from outlast.wire.anthropic.repair import Wish, begins_with_thinking, repaired
from outlast.wire.notices import foreword, may_hold_notice, seam_notice, without_notices
from outlast.wire.openai_chat.repair import repaired as chat_repaired
from outlast.wire.openai_responses.repair import repaired as responses_repaired

HI = {"role": "user", "content": "hi"}


def thought(signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "Hm.", "signature": signature}


def redacted(data: str) -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": data}


def said(text: str = "ho") -> dict[str, Any]:
    return {"type": "text", "text": text}


def call(ident: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": ident, "name": "rm", "input": {}}


def result(ident: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": ident, "content": "done"}


def answer(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def asked(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def body(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": list(messages), **more}


THEIRS = Wish(foreign=lambda seal: seal == "theirs")


def test_what_is_foreign_is_taken_out_whole_and_the_rest_is_the_very_same() -> None:
    own = answer(thought("ours"), said())
    given_ = body(HI, own, HI, answer(thought("theirs"), redacted("theirs"), said()), HI)
    mended, dropped = repaired(given_, THEIRS)
    assert mended["messages"][1] is own
    assert mended["messages"][3] == answer(said())
    assert dropped == ("messages.thinking",)


def test_nothing_foreign_is_the_very_same_object() -> None:
    given_ = body(HI, answer(thought("ours"), redacted("ours"), said()), HI)
    assert repaired(given_, THEIRS) == (given_, ())
    assert repaired(given_, THEIRS)[0] is given_


def test_a_turn_of_foreign_thinking_alone_is_left_out() -> None:
    mended, _ = repaired(body(HI, answer(thought("theirs")), HI), THEIRS)
    assert mended["messages"] == [HI, HI]


def test_seams_that_anthropic_does_not_know_are_taken_out() -> None:
    seam = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}
    given_ = body(HI, answer(said("one"), seam, said("two")), HI)
    mended, dropped = repaired(given_, Wish())
    assert mended["messages"][1] == answer(said("one"), said("two"))
    assert dropped == ("messages.fallback",)
    assert repaired(given_, Wish(seams=False))[0] is given_


BUDGET = {"type": "enabled", "budget_tokens": 1024}
EDITS = {"edits": [{"type": "clear_thinking_20251015"}, {"type": "clear_tool_uses_20250919"}]}
LOOP = (HI, answer(thought("theirs"), call("t1")), asked(result("t1")))

OFF = [
    (LOOP, BUDGET, {"type": "disabled"}, "with a budget a turn of calls begins with thinking"),
    (LOOP, {"type": "adaptive"}, {"type": "adaptive"}, "adaptive models do not ask for it"),
    ((*LOOP, answer(said()), HI), BUDGET, BUDGET, "the turn of calls is over"),
    (
        (HI, answer(thought("ours"), call("t1")), asked(result("t1"))),
        BUDGET,
        BUDGET,
        "its own thinking is there",
    ),
]


@pytest.mark.parametrize(("turns", "thinking", "then", "why"), OFF, ids=[row[3] for row in OFF])
def test_thinking_is_turned_off_only_where_a_turn_of_calls_lost_it(
    turns: tuple[Any, ...], thinking: Any, then: Any, why: str
) -> None:
    mended, dropped = repaired(body(*turns, thinking=thinking), THEIRS)
    assert mended["thinking"] == then, why
    assert ("thinking" in dropped) == (then != thinking)


def test_what_only_goes_with_thinking_goes_too() -> None:
    mended, _ = repaired(body(*LOOP, thinking=BUDGET, context_management=EDITS), THEIRS)
    assert mended["context_management"]["edits"] == EDITS["edits"][1:]
    alone = {"edits": EDITS["edits"][:1]}
    mended, _ = repaired(body(*LOOP, thinking=BUDGET, context_management=alone), THEIRS)
    assert "context_management" not in mended


def test_a_loop_may_go_on_without_new_thinking_in_each_of_its_turns() -> None:
    """Without interleaving, the thinking before the first call is that of the whole turn."""
    loop = [HI, answer(thought("ours"), call("t1")), asked(result("t1"))]
    assert begins_with_thinking([*loop, answer(call("t2")), asked(result("t2"))])


BROKEN = [
    (body(HI, answer(call("t1")), HI), "a call without a result"),
    (body(HI, answer(call("t1"), call("t2")), asked(result("t1"))), "one of two results"),
    (body(HI, answer(said()), asked(result("t9"), said("go on"))), "a result without a call"),
    (body(HI, answer(said("")), HI), "an empty text"),
    (body(HI, {"role": "assistant", "content": ""}, HI), "an empty turn"),
    (body(HI, answer(), HI), "a turn without blocks"),
    (body(HI, answer(call("t1"))), "a call at the end"),
    (
        body(HI, answer(call("t1"), call("t2")), asked(result("t1")), asked(result("t2"))),
        "results in two turns",
    ),
]


@pytest.mark.parametrize(("given_", "why"), BROKEN, ids=[row[1] for row in BROKEN])
def test_a_broken_history_is_one_that_the_vendor_takes(given_: Any, why: str) -> None:
    mended, _ = repaired(given_, Wish(refused="turns"))
    assert read("/v1/messages", mended).turns, why


def test_thinking_after_a_mended_turn_is_taken_out_because_its_prefix_changed() -> None:
    given_ = body(HI, answer(thought("ours"), call("t1")), HI, answer(thought("ours"), said()), HI)
    mended, dropped = repaired(given_, Wish(refused="turns"))
    assert mended["messages"][1] == given_["messages"][1]
    assert mended["messages"][3] == answer(said())
    assert dropped == ("messages.tool_use", "messages.thinking")


blocks = st.sampled_from(
    [said(), said(" "), call("t1"), call("t2"), result("t1"), result("t3"), thought(""), 7]
)
turns = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant"]),
        st.one_of(st.just("hi"), st.just(""), st.lists(blocks, max_size=4)),
    ),
    max_size=6,
)


@given(turns)
def test_calls_and_results_match_after_mending_whatever_came(messages: list[Any]) -> None:
    clean = [_known_to(message) for message in messages]
    mended, _ = repaired(body(HI, *clean, HI), Wish(refused="turns"))
    try:
        read("/v1/messages", mended)
    except Rejected as why:
        pytest.fail(f"{why}: {mended['messages']}")


def _known_to(message: dict[str, Any]) -> dict[str, Any]:
    """A turn with the blocks that may stand in it at all."""
    content = message["content"]
    if isinstance(content, str):
        return message
    own = {"tool_use", "thinking"} if message["role"] == "assistant" else {"tool_result"}
    kept = [b for b in content if isinstance(b, dict) and b["type"] in {"text", *own}]
    seen: set[str] = set()
    once = [b for b in kept if not (str(b) in seen or seen.add(str(b)))]  # type: ignore[func-returns-value]
    return {**message, "content": once}


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["role", "content", "type", "text", "messages", "input", "id"]),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=12,
    ),
    st.sampled_from([None, "thinking", "start", "turns"]),
)
def test_hostile_bodies_are_mended_or_left_and_never_crash(value: Any, refused: Any) -> None:
    wild = {"messages": value, "input": value, "thinking": value}
    repaired(wild, Wish(lambda _: True, refused))
    responses_repaired(wild, lambda _: True, refused)
    chat_repaired(wild, refused)


@pytest.mark.parametrize("kind", [[], {}, ["enabled"], 1])
def test_a_word_that_is_none_is_left_to_the_host(kind: Any) -> None:
    thinking = {"thinking": {"type": kind}, "tool_choice": {"type": kind}, "max_tokens": 9000}
    for model in ("claude-opus-5-5", "claude-opus-4-8", "claude-opus-4-5", "claude-3-5-sonnet"):
        assert fitted(thinking, traits_of(model)) == (thinking, ())
    adaptive = thinking | {"thinking": {"type": "adaptive"}, "messages": []}
    assert fitted(adaptive, traits_of("claude-opus-4-5"))[0]["thinking"]["type"] == "enabled"
    items = {"input": [{"type": "reasoning", "encrypted_content": "x"}, {"role": kind}]}
    assert responses_repaired(items, None, "thinking")[0]["input"] == [{"role": kind}]


# -- our own words ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_notice_never_comes_back_to_a_model(language: str) -> None:
    seam = seam_notice(language, "claude-opus-4-8", "gpt-5[1m]")
    first = foreword(language, "claude-opus-4-8", "gpt-5")
    assert without_notices(f"{first}One{seam}two.") == "Onetwo."
    assert may_hold_notice(seam.encode())
    assert may_hold_notice(first.encode())
    separate = answer(said(first), said("One"), said(seam), said("two."))
    mended, dropped = repaired(body(HI, separate, HI), Wish())
    assert mended["messages"][1] == answer(said("One"), said("two."))
    assert dropped == ("messages.notice",)
    spoken = {"role": "assistant", "content": f"{first}One{seam}two."}
    chat, _ = chat_repaired({"messages": [HI, spoken]}, None)
    assert chat["messages"][1]["content"] == "Onetwo."
    parts = {"role": "assistant", "content": [{"type": "output_text", "text": f"{first}One"}]}
    items, _ = responses_repaired({"input": [HI, parts]}, None, None)
    assert items["input"][1]["content"][0]["text"] == "One"


def test_what_a_person_quotes_of_a_notice_stays() -> None:
    quoted = {"role": "user", "content": seam_notice("en", "a", "b")}
    given_ = body(quoted)
    assert repaired(given_, Wish())[0] is given_


@pytest.mark.parametrize(
    "text", ["", "[link](x)", "[Outlast: a failed here; b goes on", "array[0] = 1"]
)
def test_other_brackets_stay(text: str) -> None:
    assert without_notices(text) is text


def test_no_notice_begins_inside_another_so_that_many_beginnings_are_read_once() -> None:
    seam = seam_notice("en", "a", "b").strip()
    assert without_notices(f"[Outlast: {seam}") == "[Outlast: "


# -- the other two formats -------------------------------------------------------------------------


def test_items_whose_reasoning_was_taken_out_no_longer_name_themselves() -> None:
    """OpenAI looks for an item that has an id together with its reasoning."""
    sealed = {"type": "reasoning", "id": "rs_1", "encrypted_content": "theirs"}
    made = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "done"}
    later = {"type": "message", "id": "msg_2", "role": "assistant", "content": "x"}
    given_ = {"input": [HI, sealed, made, output, HI, later]}
    mended, dropped = responses_repaired(given_, lambda seal: seal == "theirs", None)
    assert [item.get("id") for item in mended["input"]] == [None, None, None, None, "msg_2"]
    assert dropped == ("input.reasoning",)
    assert responses_repaired(given_, lambda _: False, None)[0] is given_


def test_responses_calls_and_outputs_find_each_other() -> None:
    lost = {"type": "function_call_output", "call_id": "x", "output": "done"}
    made = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    mended, _ = responses_repaired({"input": [HI, lost, made, HI]}, None, "turns")
    kinds = [item.get("type", "message") for item in mended["input"]]
    assert kinds == ["message", "message", "function_call", "function_call_output", "message"]
    assert read("/v1/responses", {"model": "m", **mended}).turns


def test_chat_calls_and_tool_messages_find_each_other() -> None:
    function = {"name": "f", "arguments": "{}"}
    made = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    lost = {"role": "tool", "tool_call_id": "x", "content": "done"}
    mended, _ = chat_repaired({"messages": [HI, lost, made, HI, made]}, "turns")
    roles = [message["role"] for message in mended["messages"]]
    assert roles == ["user", "user", "assistant", "tool", "user", "assistant", "tool"]
    assert read("/v1/chat/completions", {"model": "m", **mended}).turns
