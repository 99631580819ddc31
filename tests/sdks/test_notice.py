"""A chat whose route asks for it: people read who answers, and no model ever reads it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from outlast.config import RetrySettings
from outlast.simulator import Fault, FaultKind, Script, Vendor
from tests.sdks.house import FORMATS, KINDS, UNBREAKABLE, House, with_sdks
from tests.service import route, serving, settings, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOWN = Script(seed=1, faults=(Fault(kind=FaultKind.STATUS, status=529),))
ASK: Any = {"role": "user", "content": "What does the sea say?"}
WORDS = "[Outlast: claude-haiku-4-5 cannot answer now; gpt-5 answers instead.]\n\n"
TOOLS: Any = [{"name": "get_time", "input_schema": {"type": "object", "properties": {}}}]


@pytest_asyncio.fixture(loop_scope="module")
async def chat(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        vendors = {
            name: await stack.enter_async_context(Vendor(Script(seed=1))) for name in FORMATS
        }
        vendors["anthropic"].script = DOWN
        chosen = settings(
            tmp_path,
            [upstream(name, KINDS[name], vendors[name].url) for name in FORMATS],
            [route("talk", "anthropic/claude-haiku-4-5", "chat/gpt-5", notice="en")],
            breaker=UNBREAKABLE,
            retry=RetrySettings(same_upstream_max=0),
        )
        running = await stack.enter_async_context(serving(chosen))
        yield await stack.enter_async_context(with_sdks(running, vendors))


async def said(house: House, messages: list[Any], **more: Any) -> list[str]:
    async with house.claude.messages.stream(
        model="talk", max_tokens=500, messages=messages, **more
    ) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_message()
    return [block.text for block in final.content if block.type == "text"]


async def test_the_route_asks_for_a_notice_and_the_next_turn_goes_without(chat: House) -> None:
    words, text = await said(chat, [ASK])
    assert words == WORDS
    told = {
        "role": "assistant",
        "content": [{"type": "text", "text": words}, {"type": "text", "text": text}],
    }
    await said(chat, [ASK, told, ASK])
    turns = (chat.asked("chat")[-1].body or {})["messages"]
    assert turns[1]["content"] == text
    chat.vendors["anthropic"].script = Script(seed=1)
    await said(chat, [ASK, told, ASK])
    turns = (chat.asked("anthropic")[-1].body or {})["messages"]
    assert turns[1]["content"] == [{"type": "text", "text": text}]


async def test_a_request_can_do_without(chat: House) -> None:
    assert len(await said(chat, [ASK], extra_headers={"outlast-notice": "off"})) == 1


async def test_a_key_decides_for_those_who_read_and_those_who_do_not(chat: House) -> None:
    roster = chat.running.service.roster
    french, _ = await roster.create("chat", notice="fr")
    script, _ = await roster.create("script", notice="off")
    reader = chat.claude.with_options(api_key=french)
    words = (await reader.messages.create(model="talk", max_tokens=500, messages=[ASK])).content[0]
    assert words.type == "text"
    assert words.text.startswith("[Outlast : claude-haiku-4-5 ne peut pas")
    program = chat.claude.with_options(api_key=script)
    answer = await program.messages.create(model="talk", max_tokens=500, messages=[ASK])
    assert len(answer.content) == 1


async def test_with_tools_nothing_is_put_before_the_answer(chat: House) -> None:
    assert WORDS not in await said(chat, [ASK], tools=TOOLS)


async def test_a_chat_completion_has_it_in_front_of_its_text(chat: House) -> None:
    answer = await chat.gpt.chat.completions.create(model="talk", messages=[ASK])
    assert (answer.choices[0].message.content or "").startswith(WORDS)
    plain = await chat.gpt.chat.completions.create(
        model="talk", messages=[ASK], extra_headers={"outlast-notice": "off"}
    )
    assert answer.choices[0].message.content == WORDS + (plain.choices[0].message.content or "")
