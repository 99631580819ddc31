"""Histories of any origin, written for the Messages API: tables of turns, and properties."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Format
from outlast.wire.anthropic import CODEC
from outlast.wire.anthropic.ids import request_tool_id
from outlast.wire.anthropic.models import traits_of
from outlast.wire.anthropic.repair import without_unsigned_thinking
from outlast.wire.canon import (
    Block,
    Document,
    Image,
    Message,
    Opaque,
    Reasoning,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Untranslatable,
)
from tests.wire.requests_anthropic import (
    CACHE,
    CHAT,
    EIGHT,
    FIVE,
    NEW,
    OLD,
    OTHER,
    SIX,
    answer,
    rendered,
    say,
)

REFUSED_BLOCKS: list[tuple[str, Block]] = [
    ("an image that Anthropic does not take", Image("image/heic", "AA==")),
    ("an image that was uploaded elsewhere", Image(file_id="file-1")),
    ("an image at no web address", Image(url="ftp://a/b.png")),
    ("a spreadsheet", Document("application/vnd.ms-excel", "AA==")),
    ("a document that was uploaded elsewhere", Document(file_id="file-1")),
    ("text that is not text", Document("text/plain", "//8=")),
    ("a sound", Opaque("input_audio", CHAT, {})),
    ("an image deep in a result", ToolResult("1", (Image("image/tiff", "AA=="),))),
]


@pytest.mark.parametrize(("why", "block"), REFUSED_BLOCKS, ids=[row[0] for row in REFUSED_BLOCKS])
def test_a_block_that_the_answer_depends_on_is_refused_with_its_place(
    why: str, block: Block
) -> None:
    with pytest.raises(Untranslatable) as raised:
        rendered(say("Hi"), Message("user", (Text("See"), block)))
    assert raised.value.field == "messages.1.content.1"


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(id_: str, name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def result(id_: str, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": "tool_result", "tool_use_id": id_}
    return shown | ({"content": list(content)} if content else {}) | more


GO_ON = ("user", [text("Please continue.")])
BEGIN = ("user", [text("(The conversation begins here.)")])


def missing(id_: str) -> dict[str, Any]:
    return result(id_, text("No result was recorded for this call."), is_error=True)


TURNS: list[
    tuple[str, list[Message], list[dict[str, Any]], list[tuple[str, list[dict[str, Any]]]]]
] = [
    ("leading system turns are the system prompt",
     [Message("system", (Text("A", CACHE),)), Message("developer", (Text("B"),)), say("Hi")],
     [text("A") | {"cache_control": CACHE}, text("B")], [("user", [text("Hi")])]),
    ("only a system prompt is what is asked", [Message("system", (Text("A"), Text("B")))],
     [text("A")], [("user", [text("B")])]),
    ("turns of one role are one", [say("a"), say("b"), answer(Text("c")), answer(Text("d")),
                                   say("e")],
     [], [("user", [text("a"), text("b")]), ("assistant", [text("c"), text("d")]),
          ("user", [text("e")])]),
    ("blank text and empty turns are left out", [say("a"), answer(Text(" \n")), say("b"), say("")],
     [], [("user", [text("a"), text("b")])]),
    ("the assistant cannot begin", [answer(Text("Hello")), say("Hi")],
     [], [BEGIN, ("assistant", [text("Hello")]), ("user", [text("Hi")])]),
    ("nor have the last word", [say("Hi"), answer(Text("Hello "))],
     [], [("user", [text("Hi")]), ("assistant", [text("Hello ")]), GO_ON]),
    ("results stand first in the next turn, in the words of their calls",
     [say("Hi"), answer(Text("I look."), ToolUse("call_1", "f", '{"a":1}'),
                        ToolUse("call 2", "f", "")),
      say("wait"), Message("user", (ToolResult("call_1", (Text("42"),)),)),
      Message("user", (ToolResult("call 2", (), is_error=True),))],
     [], [("user", [text("Hi")]),
          ("assistant", [text("I look."), call("call_1", a=1),
                         call(request_tool_id("call 2"))]),
          ("user", [result("call_1", text("42")),
                    result(request_tool_id("call 2"), is_error=True), text("wait")])]),
    ("ids that repeat are told apart, in order",
     [say("Hi"), answer(ToolUse("0", "f", "{}"), ToolUse("0", "g", "{}")),
      Message("user", (ToolResult("0", (Text("a"),)), ToolResult("0", (Text("b"),)))),
      answer(ToolUse("0", "f", "{}")), Message("user", (ToolResult("0", (Text("c"),)),))],
     [], [("user", [text("Hi")]), ("assistant", [call("0"), call("0_2", "g")]),
          ("user", [result("0", text("a")), result("0_2", text("b"))]),
          ("assistant", [call("0_3")]), ("user", [result("0_3", text("c"))])]),
    ("a call without a result gets one that says so",
     [say("Hi"), answer(ToolUse("1", "f", "{}"), ToolUse("2", "f", "{}")),
      Message("user", (Text("and?"), ToolResult("2", (Text("b"),))))],
     [], [("user", [text("Hi")]), ("assistant", [call("1"), call("2")]),
          ("user", [result("2", text("b")), missing("1"), text("and?")])]),
    ("even the last one", [say("Hi"), answer(ToolUse("1", "f", "{}"))],
     [], [("user", [text("Hi")]), ("assistant", [call("1")]), ("user", [missing("1")])]),
    ("a result without a call is told in words",
     [say("Hi"), Message("user", (ToolResult("9", (Text("42"),)),))],
     [], [("user", [text("Hi"), text("The result of a tool call:"), text("42")])]),
    ("arguments that are no object are kept as text",
     [say("Hi"), answer(ToolUse("1", "f", '{"a'), ToolUse("2", "p", "diff", custom=True)),
      Message("user", (ToolResult("1"), ToolResult("2")))],
     [], [("user", [text("Hi")]),
          ("assistant", [call("1", arguments='{"a'), call("2", "p", input="diff")]),
          ("user", [result("1"), result("2")])]),
    ("only Anthropic's signed thinking goes back",
     [say("Hi"), answer(Thinking("a", "s", origin=Format.ANTHROPIC), Thinking("b", "t",
                        origin=Format.OPENAI_RESPONSES), Thinking("c"),
                        Thinking(signature="r", redacted=True, origin=Format.ANTHROPIC),
                        Text("d")), say("e")],
     [], [("user", [text("Hi")]),
          ("assistant", [{"type": "thinking", "thinking": "a", "signature": "s"},
                         {"type": "redacted_thinking", "data": "r"}, text("d")]),
          ("user", [text("e")])]),
    ("a system turn stays one where it may", [say("a"), Message("developer", (Text("b"),)),
                                              answer(Text("c")), say("d"),
                                              Message("system", (Text("e"),))],
     [], [("user", [text("a")]), ("system", [text("b")]), ("assistant", [text("c")]),
          ("user", [text("d")]), ("system", [text("e")])]),
    ("else it is marked in the user's turn, and results stay first",
     [say("a"), Message("system", (Text("b"),)), say("c"), answer(ToolUse("1", "f", "{}")),
      Message("system", (Text("d"),)), Message("user", (ToolResult("1"),))],
     [], [("user", [text("a"), text("<system>\nb\n</system>"), text("c")]),
          ("assistant", [call("1")]),
          ("user", [result("1"), text("<system>\nd\n</system>")])]),
    ("images and documents",
     [Message("user", (Image("image/jpg", "AA==", cache_control=CACHE), Image(url="https://a/b"),
                       Document("application/pdf", "AA==", title="T"),
                       Document("text/markdown", "SGk="), Document(url="https://a/c")))],
     [], [("user", [
         {"type": "image", "cache_control": CACHE,
          "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}},
         {"type": "image", "source": {"type": "url", "url": "https://a/b"}},
         {"type": "document", "title": "T",
          "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
         {"type": "document",
          "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}},
         {"type": "document", "source": {"type": "url", "url": "https://a/c"}},
     ])]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("why", "messages", "system", "turns"), TURNS, ids=[row[0] for row in TURNS]
)
def test_turns(
    why: str,
    messages: list[Message],
    system: list[dict[str, Any]],
    turns: list[tuple[str, list[dict[str, Any]]]],
) -> None:
    body, _ = rendered(*messages)
    assert body.get("system", []) == system
    assert [(turn["role"], turn["content"]) for turn in body["messages"]] == turns


def test_a_model_that_continues_a_last_turn_is_let_to() -> None:
    body, _ = rendered(say("Hi"), answer(Text("The answer is \n")), model=OLD)
    assert body["messages"][-1] == {"role": "assistant", "content": [text("The answer is")]}
    thinking, _ = rendered(
        say("Hi"), answer(Text("The answer is ")), model=OLD, reasoning=Reasoning(effort="low")
    )
    assert thinking["messages"][-1]["role"] == "user"


def test_older_models_get_later_system_turns_as_marked_text() -> None:
    body, dropped = rendered(say("a"), Message("system", (Text("b"),)), model=OLD)
    assert dropped == ("messages.system",)
    assert body["messages"] == [
        {"role": "user", "content": [text("a"), text("<system>\nb\n</system>")]}
    ]


def test_a_budget_is_not_asked_for_inside_a_loop_of_another_vendor() -> None:
    unsigned = [say("Hi"), answer(ToolUse("1", "f", "{}")), Message("user", (ToolResult("1"),))]
    body, dropped = rendered(*unsigned, model=OLD, reasoning=Reasoning(effort="high"))
    assert "thinking" not in body
    assert dropped == ("reasoning_effort",)
    signed = Thinking("a", "s", origin=Format.ANTHROPIC)
    unsigned[1] = answer(signed, ToolUse("1", "f", "{}"))
    body, _ = rendered(*unsigned, model=OLD, reasoning=Reasoning(effort="high"))
    assert body["thinking"]["type"] == "enabled"


def test_a_history_is_made_safe_to_pass_on() -> None:
    unsigned = {"type": "thinking", "thinking": "Hm", "signature": ""}
    signed = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    user = {"role": "user", "content": "Hi"}
    body = {
        "model": "m",
        "messages": [
            user,
            {"role": "assistant", "content": [unsigned, text("a")]},
            user,
            {"role": "assistant", "content": [unsigned]},
            {"role": "assistant", "content": [signed, text("b")]},
        ],
    }
    assert without_unsigned_thinking(body) == {
        "model": "m",
        "messages": [
            user,
            {"role": "assistant", "content": [text("a")]},
            user,
            {"role": "assistant", "content": [signed, text("b")]},
        ],
    }
    clean = {"messages": [user, {"role": "assistant", "content": [signed]}]}
    assert without_unsigned_thinking(clean) is clean
    odd: dict[str, Any] = {"messages": ["x", {"content": [1]}]}
    assert without_unsigned_thinking(odd) is odd


# Properties.

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
IDS = st.sampled_from(["call_1", "call_2", "", "a b", "0", "0_2"])
TEXT_BLOCKS = st.builds(Text, WORDS)
RESULTS = st.builds(
    lambda id_, inside, bad: ToolResult(id_, tuple(inside), bad),
    IDS, st.lists(TEXT_BLOCKS, max_size=2), st.booleans(),
)  # fmt: skip
CALLS = st.builds(
    ToolUse, IDS, st.just("f"), st.sampled_from(["{}", '{"a":1}', "", "[", "3"]), st.booleans()
)
THOUGHTS = st.builds(Thinking, WORDS, WORDS, origin=st.sampled_from([None, Format.ANTHROPIC, CHAT]))
PLACED: dict[Role, st.SearchStrategy[Any]] = {
    "user": TEXT_BLOCKS | RESULTS,
    "assistant": TEXT_BLOCKS | CALLS | THOUGHTS,
    "system": TEXT_BLOCKS,
    "developer": TEXT_BLOCKS,
}
MESSAGES = st.lists(
    st.sampled_from(list(PLACED)).flatmap(
        lambda role: st.lists(PLACED[role], max_size=3).map(
            lambda blocks: Message(role, tuple(blocks))
        )
    ),
    min_size=1,
    max_size=8,
)


@given(MESSAGES, st.sampled_from([OLD, SIX, EIGHT, FIVE, NEW, OTHER]))
def test_every_history_becomes_a_legal_one(messages: list[Message], model: str) -> None:
    body, _ = rendered(*messages, model=model)
    turns = body["messages"]
    roles = [turn["role"] for turn in turns]
    assert roles[0] == "user"
    assert all(first != second for first, second in pairwise(roles))
    for place, role in enumerate(roles):
        if role == "system":
            assert traits_of(model).system_turns
            assert roles[place - 1] == "user"
            assert roles[place + 1 : place + 2] in (["assistant"], [])
    if not traits_of(model).prefill:
        assert roles[-1] != "assistant"
    seen: set[str] = set()
    owed: list[str] = []
    for turn in turns:
        assert turn["content"]
        results = [one for one in turn["content"] if one["type"] == "tool_result"]
        assert turn["content"][: len(results)] == results, "results stand first"
        assert sorted(one["tool_use_id"] for one in results) == sorted(owed)
        owed = [one["id"] for one in turn["content"] if one["type"] == "tool_use"]
        assert not seen & set(owed), "ids are used once"
        seen |= set(owed)
        assert len(set(owed)) == len(owed)
        assert all(re.fullmatch("[a-zA-Z0-9_-]+", one) for one in owed)
        for one in turn["content"]:
            match one["type"]:
                case "text":
                    assert one["text"].strip()
                case "thinking":
                    assert one["signature"]
                case "tool_use":
                    assert isinstance(one["input"], dict)
    assert not owed


@given(MESSAGES)
def test_a_rendered_request_is_read_back_and_rendered_the_same(messages: list[Message]) -> None:
    body, _ = rendered(*messages)
    understood = CODEC.parse_request(body)
    again = CODEC.render_request(msgspec.structs.replace(understood, origin=Format.ANTHROPIC))
    assert again.body == body
