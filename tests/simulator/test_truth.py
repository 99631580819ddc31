"""The truth is a function of seed and request; a torn answer goes on as the script says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.simulator import Answer, Rejected, Script, answer, read, text, tool_use
from outlast.simulator.hands import instance
from outlast.simulator.prose import dice, pieces, prose
from outlast.simulator.script import Continuing, Language
from outlast.simulator.truth import PREAMBLE

ASKED = {"role": "user", "content": "Write much [[chars=1200]]"}
CONTINUE = {"role": "user", "content": "You were interrupted. Continue from exactly there."}
CHAT = "/v1/chat/completions"


def told(script: Script, *messages: dict[str, Any], path: str = CHAT, **more: Any) -> Answer:
    field = "input" if path == "/v1/responses" else "messages"
    body = {"model": "m", "max_tokens": 9000, field: list(messages), **more}
    return answer(read(path, body), script)


@given(
    st.integers(0, 3000), st.sampled_from(["en", "fr", "de", "es", "ja"]), st.integers(0, 1 << 30)
)
@settings(max_examples=60, deadline=None)
def test_prose_has_the_length_asked_for_and_its_pieces_join_to_it(
    length: int, language: Language, seed: int
) -> None:
    words = prose(length, language, seed)
    assert len(words) == length
    assert words == words.rstrip()
    assert "".join(pieces(words)) == words
    assert words == prose(length, language, seed)


def test_other_seeds_and_other_questions_have_other_answers() -> None:
    same = told(Script(seed=1), ASKED).text
    assert same == told(Script(seed=1, name="other"), ASKED).text
    assert same != told(Script(seed=2), ASKED).text
    assert same != told(Script(seed=1), {"role": "user", "content": "More [[chars=1200]]"}).text


def test_model_format_thinking_and_white_space_do_not_change_the_text() -> None:
    script = Script(seed=1)
    same = told(script, ASKED).text
    assert told(script, ASKED, path="/v1/messages", thinking={"type": "adaptive"}).text == same
    assert told(script, ASKED, path="/v1/responses", instructions="Be brief").text == same
    parts = [{"type": "text", "text": "Write much"}, {"type": "text", "text": "[[chars=1200]]"}]
    assert told(script, {"role": "user", "content": parts}).text == same


@given(st.integers(1, 1199), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_torn_answer_goes_on_exactly_from_any_character(cut: int, instructed: bool) -> None:
    script = Script(seed=1)
    truth = told(script, ASKED).text
    said = {"role": "assistant", "content": truth[:cut]}
    if not truth[:cut].strip():
        return
    torn = (ASKED, said, CONTINUE) if instructed else (ASKED, said)
    assert truth[:cut] + told(script, *torn).text == truth


def test_space_that_a_gateway_stripped_from_a_prefill_comes_again() -> None:
    script = Script(seed=1)
    truth = told(script, ASKED).text
    cut = truth.index(" ", 200) + 1
    said = {"role": "assistant", "content": truth[:cut].rstrip()}
    assert told(script, ASKED, said, path="/v1/messages").text == truth[cut - 1 :]


def test_a_second_tear_goes_on_as_well() -> None:
    script = Script(seed=1)
    truth = told(script, ASKED).text
    one, two = truth[:300], truth[300:700]
    turns = (ASKED, {"role": "assistant", "content": one}, CONTINUE)
    assert told(script, *turns, {"role": "assistant", "content": two}, CONTINUE).text == truth[700:]


def test_the_tool_call_after_a_torn_text_still_comes() -> None:
    script = Script(answers=((text("First I look, then I write."), tool_use("w", a=1)),))
    rest = told(script, ASKED, {"role": "assistant", "content": "First I look, "}, CONTINUE)
    assert rest.text == "then I write."
    assert [call.name for call in rest.calls] == ["w"]
    assert rest.stop == "tool_use"


@pytest.mark.parametrize(
    ("continuing", "want"),
    [
        ("exact", "{rest}"),
        ("restart", "{said}{rest}"),
        ("preamble", PREAMBLE + "{rest}"),
        ("repeat_end", "{tail}{rest}"),
    ],
)
def test_models_misbehave_at_the_seam_as_scripted(continuing: Continuing, want: str) -> None:
    truth = told(Script(seed=1), ASKED).text
    said, rest = truth[:500], truth[500:]
    tail = said[-60:]
    tail = tail[tail.find(" ") + 1 :]
    torn = (ASKED, {"role": "assistant", "content": said}, CONTINUE)
    got = told(Script(seed=1, continuing=continuing), *torn).text
    assert got == want.format(said=said, rest=rest, tail=tail)


def test_a_new_fence_opens_only_inside_an_open_one() -> None:
    script = Script(answers=((text("Look:\n```python\na = 1\nb = 2\n```\nDone."),),))
    bad = msgspec.structs.replace(script, continuing="new_fence")
    inside = (ASKED, {"role": "assistant", "content": "Look:\n```python\na = 1\n"}, CONTINUE)
    assert told(bad, *inside).text == "```python\nb = 2\n```\nDone."
    outside = (ASKED, {"role": "assistant", "content": "Look:\n"}, CONTINUE)
    assert told(bad, *outside).text == told(script, *outside).text


def test_without_prefill_a_chat_model_starts_again() -> None:
    script = Script(seed=1, prefill=False)
    truth = told(script, ASKED).text
    said = {"role": "assistant", "content": truth[:100]}
    assert told(script, ASKED, said).text == truth
    # …unless the request says so in the way of Mistral or of vLLM.
    assert told(script, ASKED, said | {"prefix": True}).text == truth[100:]
    assert told(script, ASKED, said, continue_final_message=True).text == truth[100:]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        pytest.param("Count from 1 to 5, please.", "1 2 3 4 5", id="as asked"),
        pytest.param("count  from 7\nto 9", "7 8 9", id="white space does not matter"),
        pytest.param("Count from 9 to 7.", "", id="not backwards"),
        pytest.param("Count from 1 to 5 [[chars=40]]", "", id="a wish for a length wins"),
    ],
)
def test_a_vendor_can_count(question: str, said: str) -> None:
    text = told(Script(seed=1), {"role": "user", "content": question}).text
    assert (text == said) if said else not text[0].isdigit()


def test_scripted_answers_follow_the_conversation() -> None:
    script = Script(answers=((text("one"),), (text("two"),)))
    said = {"role": "assistant", "content": "one"}
    assert told(script, ASKED).text == "one"
    assert told(script, ASKED, said, {"role": "user", "content": "next"}).text == "two"


@pytest.mark.parametrize(
    ("tool", "field", "value"),
    [
        ("Write(file_path, content)", "file_path", "/w/a/hello.txt"),
        ("write(filePath, content)", "filePath", "/w/a/hello.txt"),
        ("Bash(command, description)", "command", "printf '%s\\n' 'hi there' > hello.txt"),
        ("exec_command(cmd)", "cmd", "printf '%s\\n' 'hi there' > hello.txt"),
    ],
)
def test_a_wish_for_a_file_becomes_the_call_that_makes_it(
    tool: str, field: str, value: str
) -> None:
    name, _, rest = tool.partition("(")
    fields = rest.rstrip(")").split(", ")
    schema = {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
        "required": fields,
    }
    body = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Working directory: /w/a\nBe kind"},
            {"role": "user", "content": "Create a file hello.txt containing 'hi there'"},
        ],
        "tools": [{"type": "function", "function": {"name": name, "parameters": schema}}],
    }
    (call,) = answer(read(CHAT, body), Script()).calls
    assert call.name == name
    assert msgspec.json.decode(call.arguments)[field] == value
    assert set(msgspec.json.decode(call.arguments)) == set(fields)


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/v1/messages", {"model": "m", "messages": [ASKED]}, "max_tokens: Field required"),
        ("/v1/messages", {"model": "m", "max_tokens": 1, "messages": []}, "at least one message"),
        (
            "/v1/messages",
            {
                "model": "m",
                "max_tokens": 9,
                "messages": [ASKED, {"role": "assistant", "content": "so "}],
            },
            "trailing whitespace",
        ),
        (
            "/v1/messages",
            {
                "model": "m",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": [{"type": "fallback"}]}],
            },
            "Input tag 'fallback'",
        ),
        (CHAT, {"model": "m"}, "Missing required parameter: 'messages'"),
        (
            CHAT,
            {
                "model": "m",
                "messages": [
                    ASKED,
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "c", "function": {"name": "f"}}],
                    },
                    ASKED,
                ],
            },
            "must be followed by tool messages",
        ),
        (
            "/v1/responses",
            {"model": "m", "input": [{"type": "function_call_output", "call_id": "x"}]},
            "No tool call found",
        ),
        (
            "/v1/responses",
            {"model": "m", "input": [{"type": "reasoning", "encrypted_content": "forged"}]},
            "could not be verified",
        ),
    ],
)
def test_histories_that_a_vendor_refuses_are_refused(
    path: str, body: dict[str, Any], why: str
) -> None:
    with pytest.raises(Rejected, match=why):
        read(path, body)


def test_schemas_with_themselves_inside_come_to_an_end() -> None:
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            }
        },
        "$ref": "#/$defs/node",
    }
    assert "kids" in instance(schema, dice(1), schema)
