"""The real model: English, French, a tool call, structured output, two at once, a large prompt,
kill -9. Needs the weights in data/models (`outlast model get`, or `make run` once).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from outlast.local import weights
from outlast.local.catalogue import SMALL
from outlast.local.service import LocalModel, LocalSettings
from outlast.nouns import Format
from outlast.wire.canon import Message, Request, StructuredOutput, Text, ToolResult, ToolUse
from outlast.wire.sse import SSEParser
from outlast.wire.stream import AnswerEvent, ArgsDelta, BlockStart, End, Failed, Stop, TextDelta
from tests.local.made import until
from tests.local.test_prompt import coding_request, coding_tools

FOLDER = Path(__file__).parents[2] / "data" / "models"
FOUND = weights.chosen(FOLDER, default=SMALL.name)
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        FOUND is None, reason=f"no weights in {FOLDER}: run `outlast model get` first"
    ),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[LocalModel]:
    running = LocalModel(
        FOLDER, LocalSettings(context_tokens=16_384, output_tokens=256, fetch=False)
    )
    running.start()
    assert await running.wait_ready(120), running.state
    yield running
    await running.stop()


def asked(text: str, **more: object) -> Request:
    request = Request("outlast-local", (Message("user", (Text(text),)),), Format.ANTHROPIC)
    return msgspec.structs.replace(request, temperature=0.0, **more)


async def answer(model: LocalModel, request: Request, partial: str = "") -> list[AnswerEvent]:
    prepared = model.prepare(request, "ex_test", partial)
    headers = {"Authorization": f"Bearer {model.api_key}", "Content-Type": "application/json"}
    events: list[AnswerEvent] = []
    parser = SSEParser()
    async with (
        model.slots.slot(),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=280)) as session,
        session.post(model.base_url + prepared.path, data=prepared.body, headers=headers) as got,
    ):
        assert got.status == 200, await got.text()
        async for chunk in got.content.iter_any():
            for frame in parser.feed(chunk):
                events.extend(prepared.reader.feed(frame))
    assert isinstance(events[-1], End), events
    assert not any(isinstance(e, Failed) for e in events)
    return events


def text_of(events: list[AnswerEvent]) -> str:
    return "".join(e.text for e in events if isinstance(e, TextDelta))


async def test_it_answers_in_english(model: LocalModel) -> None:
    events = await answer(model, asked("What is the capital of France? One sentence."))
    assert "Paris" in text_of(events)
    [stop] = [e for e in events if isinstance(e, Stop)]
    assert stop.reason == "end_turn"
    assert stop.tokens is not None
    assert stop.tokens.output > 0


async def test_it_answers_in_french(model: LocalModel) -> None:
    text = text_of(await answer(model, asked("Quelle est la capitale du Japon ? Une phrase.")))
    assert "Tokyo" in text
    assert any(word in text for word in ("capitale", "est", "Japon"))


async def test_it_writes_a_file_through_a_tool_call(model: LocalModel) -> None:
    request = asked("Create a file hello.txt that says hello world", tools=coding_tools()[:4])
    events = await answer(model, request)
    [start] = [e for e in events if isinstance(e, BlockStart)]
    assert (start.kind, start.name) == ("tool_use", "Write")
    [arguments] = [e.json for e in events if isinstance(e, ArgsDelta)]
    assert "hello.txt" in msgspec.json.decode(arguments)["file_path"]
    assert [e.reason for e in events if isinstance(e, Stop)] == ["tool_use"]


async def test_after_the_tools_result_it_replies(model: LocalModel) -> None:
    call = ToolUse("t1", "Write", '{"file_path":"hello.txt","content":"hello world"}')
    done = ToolResult("t1", (Text("File created successfully at: hello.txt"),))
    request = asked("Create a file hello.txt that says hello world", tools=coding_tools()[:4])
    history = (*request.messages, Message("assistant", (call,)), Message("user", (done,)))
    events = await answer(model, msgspec.structs.replace(request, messages=history))
    assert text_of(events).strip()
    assert [e.reason for e in events if isinstance(e, Stop)] == ["end_turn"]


async def test_structured_output_has_the_shape(model: LocalModel) -> None:
    shape = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["city", "people"],
    }
    request = asked("Lyon has 520000 people.", output=StructuredOutput(shape))
    said = msgspec.json.decode(text_of(await answer(model, request)))
    assert isinstance(said["city"], str)
    assert isinstance(said["people"], int)


async def test_it_goes_on_from_a_partial_answer_without_repeating_it(model: LocalModel) -> None:
    request = asked("Count from one to ten in English words, separated by commas.")
    rest = text_of(await answer(model, request, partial="one, two, three, "))
    assert rest.lstrip().startswith("four")
    assert "two" not in rest


async def test_two_answers_are_written_at_once(model: LocalModel) -> None:
    request = asked("Count from one to thirty in English words.", max_tokens=60)
    both = await asyncio.gather(answer(model, request), answer(model, request))
    assert [bool(text_of(events).strip()) for events in both] == [True, True]


async def test_a_large_request_of_a_coding_tool_is_answered(model: LocalModel) -> None:
    events = await answer(model, coding_request())
    assert any(isinstance(e, BlockStart) for e in events)
    [stop] = [e for e in events if isinstance(e, Stop)]
    assert stop.tokens is not None
    read = stop.tokens.input + stop.tokens.cache_read
    assert read <= model.limits.prompt_tokens * 1.3


async def test_the_weights_are_in_the_engine_and_not_in_this_process(model: LocalModel) -> None:
    assert FOUND is not None
    assert model.engine_pid is not None
    assert str(FOUND) not in own_maps()
    assert "xllamacpp" not in own_maps()
    assert resident_bytes(model.engine_pid) > FOUND.stat().st_size / 2


def own_maps() -> str:
    return Path("/proc/self/maps").read_text(encoding="utf-8")


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(x for x in status.splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


async def test_killed_with_9_it_answers_again(model: LocalModel) -> None:
    first = model.engine_pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: model.ready and model.engine_pid not in {None, first}, 120)
    assert "4" in text_of(await answer(model, asked("What is 2+2? Only the number.")))
