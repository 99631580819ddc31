"""The next turn of a conversation that moved: the history holds what only one account can read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import pytest
import pytest_asyncio

from outlast.config import RetrySettings
from outlast.nouns import Kind
from outlast.simulator import Fault, FaultKind, Script, Vendor
from outlast.simulator.script import Part, TextPart, ThinkingPart, tool_use
from outlast.simulator.truth import sign
from tests.sdks.house import UNBREAKABLE, House, with_sdks
from tests.service import route, serving, settings, upstream

CLAUDE, GPT = "claude-haiku-4-5", "gpt-5"
DOWN = (Fault(kind=FaultKind.STATUS, status=503),)
THINKING: Any = {"type": "enabled", "budget_tokens": 2000}
ASK: Any = {"role": "user", "content": "What does the sea say?"}
TOOLS: Any = [{"name": "get_time", "input_schema": {"type": "object", "properties": {}}}]
KINDS = {
    "one": Kind.ANTHROPIC,
    "two": Kind.ANTHROPIC,
    "gpt-one": Kind.OPENAI_RESPONSES,
    "gpt-two": Kind.OPENAI_RESPONSES,
}


def script(account: str, *parts: Part, faults: tuple[Fault, ...] = ()) -> Script:
    return Script(seed=1, account=account, answers=(parts,) if parts else (), faults=faults)


@asynccontextmanager
async def open_accounts(
    folder: Path, vendors: dict[str, Vendor], key: str = "", **changes: Any
) -> AsyncIterator[House]:
    """A service in front of vendors that sign, each for an account of its own.

    `key`: the one of a service that stood on this folder before.
    """
    chosen = settings(
        folder,
        [changes.get(name) or upstream(name, KINDS[name], vendors[name].url) for name in vendors],
        [
            route(CLAUDE, f"one/{CLAUDE}", f"two/{CLAUDE}"),
            route(GPT, f"gpt-one/{GPT}", f"gpt-two/{GPT}"),
        ],
        breaker=UNBREAKABLE,
        retry=RetrySettings(same_upstream_max=0),
    )
    async with serving(chosen) as running:
        running.key = running.key or key
        async with with_sdks(running, vendors) as house:
            yield house


@asynccontextmanager
async def open_vendors() -> AsyncIterator[dict[str, Vendor]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(Vendor(script(name))) for name in KINDS}


@pytest_asyncio.fixture(loop_scope="module")
async def vendors() -> AsyncIterator[dict[str, Vendor]]:
    async with open_vendors() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def accounts(tmp_path: Path, vendors: dict[str, Vendor]) -> AsyncIterator[House]:
    async with open_accounts(tmp_path, vendors) as house:
        yield house


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def turn(house: House, messages: list[Any], **more: Any) -> anthropic.types.Message:
    async with house.claude.messages.stream(
        model=CLAUDE, max_tokens=4000, messages=messages, thinking=THINKING, **more
    ) as stream:
        async for _ in stream:
            pass
        return await stream.get_final_message()


def told(message: anthropic.types.Message) -> dict[str, Any]:
    """The turn as an application keeps it and sends it back."""
    return {"role": "assistant", "content": [block.model_dump() for block in message.content]}


def moved(house: House, first: str = "one", second: str = "two") -> None:
    """From now on the second vendor answers."""
    house.vendors[first].script = script(first, faults=DOWN)
    house.vendors[second].requests.clear()


def sent(house: House, name: str) -> list[dict[str, Any]]:
    return [request.body or {} for request in house.asked(name)]


def kinds(body: dict[str, Any]) -> list[str]:
    """The kinds of all blocks of a history's answers."""
    return [
        block["type"]
        for message in body["messages"]
        if message["role"] == "assistant"
        for block in message["content"]
    ]


async def test_what_one_account_signed_is_taken_out_before_another_is_asked(
    accounts: House,
) -> None:
    first = await turn(accounts, [ASK])
    assert [block.type for block in first.content] == ["thinking", "text"]
    moved(accounts)
    second = await turn(accounts, [ASK, told(first), ASK])
    assert [block.type for block in second.content] == ["thinking", "text"]
    (body,) = sent(accounts, "two")
    assert kinds(body) == ["text"]
    assert body["thinking"] == THINKING
    assert accounts.headers["outlast-dropped"] == "messages.thinking"
    receipt = await accounts.receipt()
    assert receipt.dropped == ("messages.thinking",)


async def test_what_is_signed_by_whom_is_known_after_a_restart(
    tmp_path: Path, vendors: dict[str, Vendor]
) -> None:
    async with open_accounts(tmp_path, vendors) as house:
        first = await turn(house, [ASK])
        key = house.running.key
    async with open_accounts(tmp_path, vendors, key) as house:
        moved(house)
        await turn(house, [ASK, told(first), ASK])
        assert [kinds(body) for body in sent(house, "two")] == [["text"]]


async def test_an_account_gets_its_own_thinking_back_when_it_is_asked_again(
    accounts: House,
) -> None:
    first = await turn(accounts, [ASK])
    moved(accounts)
    second = await turn(accounts, [ASK, told(first), ASK])
    accounts.vendors["one"].script = script("one")
    accounts.vendors["one"].requests.clear()
    await turn(accounts, [ASK, told(first), ASK, told(second), ASK])
    assert [kinds(body) for body in sent(accounts, "one")] == [["thinking", "text", "text"]]
    assert accounts.headers["outlast-dropped"] == "messages.thinking"


async def test_two_keys_of_one_account_read_each_others_thinking(
    tmp_path: Path, vendors: dict[str, Vendor]
) -> None:
    for name in ("one", "two"):
        vendors[name].script = script("shared")
    both = {
        name: msgspec.structs.replace(
            upstream(name, Kind.ANTHROPIC, vendors[name].url), account="ours"
        )
        for name in ("one", "two")
    }
    async with open_accounts(tmp_path, vendors, "", **both) as house:
        first = await turn(house, [ASK])
        house.vendors["one"].script = script("shared", faults=DOWN)
        await turn(house, [ASK, told(first), ASK])
        assert [kinds(body) for body in sent(house, "two")] == [["thinking", "text"]]
        assert "outlast-dropped" not in house.headers


UNKNOWN: list[Any] = [
    ASK,
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": sign("Hm.", "elsewhere")},
            {"type": "text", "text": "It says: wait."},
        ],
    },
    ASK,
]


async def test_a_refused_signature_is_followed_by_the_same_question_without_it(
    accounts: House,
) -> None:
    answer = await turn(accounts, UNKNOWN)
    assert answer.stop_reason == "end_turn"
    assert [kinds(body) for body in sent(accounts, "one")] == [["thinking", "text"], ["text"]]
    assert sent(accounts, "two") == []
    receipt = await accounts.receipt()
    assert [attempt.outcome.value for attempt in receipt.attempts] == ["caller_error", "ok"]
    assert "asked again without" in receipt.attempts[0].evidence
    assert accounts.headers["outlast-dropped"] == "messages.thinking"
    assert accounts.headers["outlast-attempts"] == "2"


async def test_what_was_refused_once_is_not_sent_to_that_account_again(accounts: House) -> None:
    answer = await turn(accounts, UNKNOWN)
    accounts.vendors["one"].requests.clear()
    await turn(accounts, [*UNKNOWN, told(answer), ASK])
    (body,) = sent(accounts, "one")
    assert kinds(body) == ["text", "thinking", "text"]


async def test_a_whole_answer_is_asked_for_again_as_well(accounts: House) -> None:
    message = await accounts.claude.messages.create(
        model=CLAUDE, max_tokens=4000, messages=UNKNOWN, thinking=THINKING
    )
    assert message.stop_reason == "end_turn"
    assert len(sent(accounts, "one")) == 2


async def test_inside_a_tool_loop_the_rest_of_the_turn_is_answered_without_thinking(
    accounts: House,
) -> None:
    """With a budget a turn of calls has to begin with its thinking, and that is gone."""
    parts = (ThinkingPart(text="The time is asked for."), tool_use("get_time"))
    accounts.vendors["one"].script = script("one", *parts)
    first = await turn(accounts, [ASK], tools=TOOLS)
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "noon"}  # type: ignore[union-attr]
    moved(accounts)
    second = await turn(
        accounts, [ASK, told(first), {"role": "user", "content": [result]}], tools=TOOLS
    )
    assert [block.type for block in second.content] == ["text"]
    (body,) = sent(accounts, "two")
    assert body["thinking"] == {"type": "disabled"}
    assert kinds(body) == ["tool_use"]
    assert accounts.headers["outlast-dropped"] == "messages.thinking, thinking"


async def test_redacted_thinking_moves_no_more_than_signed_thinking_does(accounts: House) -> None:
    parts = (ThinkingPart(text="Secret.", redacted=True), TextPart(text="It says: wait."))
    accounts.vendors["one"].script = script("one", *parts)
    first = await turn(accounts, [ASK])
    assert [block.type for block in first.content] == ["redacted_thinking", "text"]
    moved(accounts)
    await turn(accounts, [ASK, told(first), ASK])
    assert [kinds(body) for body in sent(accounts, "two")] == [["text"]]


async def test_redacted_thinking_that_is_refused_is_left_out(accounts: House) -> None:
    data = {"type": "redacted_thinking", "data": sign("Secret.", "elsewhere")}
    answer = {"role": "assistant", "content": [data, {"type": "text", "text": "Wait."}]}
    await turn(accounts, [ASK, answer, ASK])
    bodies = sent(accounts, "one")
    assert [kinds(body) for body in bodies] == [["redacted_thinking", "text"], ["text"]]


async def test_a_history_that_another_tool_left_broken_is_answered(accounts: House) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}
    broken: list[Any] = [ASK, {"role": "assistant", "content": [call]}, ASK]
    answer = await turn(accounts, broken, tools=TOOLS)
    assert answer.stop_reason == "end_turn"
    assert len(sent(accounts, "one")) == 2
    assert accounts.headers["outlast-dropped"] == "messages.tool_use, thinking"


async def test_a_refusal_of_anything_else_goes_back_as_it_came(accounts: House) -> None:
    with pytest.raises(anthropic.BadRequestError, match="must be greater than"):
        await accounts.claude.messages.create(
            model=CLAUDE, max_tokens=1500, messages=[ASK], thinking=THINKING
        )
    assert len(sent(accounts, "one")) == 1


async def test_a_history_without_thinking_passes_byte_for_byte(accounts: House) -> None:
    body = (
        b'{"model": "' + CLAUDE.encode() + b'",\n "max_tokens":  64, "messages": ['
        b'{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text",'
        b'"text":"ho", "x": 1.0e0}]},{"role":"user","content":"\\u0068i"}]}'
    )
    await turn(accounts, UNKNOWN)  # something is known, and something was refused
    accounts.vendors["one"].requests.clear()
    await accounts.post("/v1/messages", body)
    assert [request.raw for request in accounts.asked("one")] == [body]


async def gpt_turn(house: House, items: list[Any]) -> Any:
    async with house.gpt.responses.stream(
        model=GPT,
        input=items,
        store=False,
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
    ) as stream:
        async for _ in stream:
            pass
        return await stream.get_final_response()


async def test_encrypted_reasoning_stays_with_its_organisation(accounts: House) -> None:
    for name in ("gpt-one", "gpt-two"):
        parts = (ThinkingPart(text="Hm."), TextPart(text="It says: wait."))
        accounts.vendors[name].script = script(name, *parts)
    first = await gpt_turn(accounts, [ASK])
    history = [ASK, *(item.model_dump(exclude_none=True) for item in first.output), ASK]
    assert [item.type for item in first.output] == ["reasoning", "message"]
    moved(accounts, "gpt-one", "gpt-two")
    await gpt_turn(accounts, history)
    (body,) = sent(accounts, "gpt-two")
    assert "reasoning" not in [item.get("type") for item in body["input"]]
    assert accounts.headers["outlast-dropped"] == "input.reasoning"


async def test_encrypted_reasoning_that_is_refused_is_left_out(accounts: House) -> None:
    sealed = "gAAAAAB" + sign("Hm.", "elsewhere")
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    said = {"role": "assistant", "content": "It says: wait."}
    answer = await gpt_turn(accounts, [ASK, item, said, ASK])
    assert answer.status == "completed"
    assert len(sent(accounts, "gpt-one")) == 2
