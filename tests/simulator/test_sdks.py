"""The official SDKs, pointed straight at a vendor, accept what it says and hear the truth."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pydantic
import pytest

from outlast.simulator import Fault, FaultKind, Script, ToolPart, Vendor, text, tool_use

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
}
ASKED: list[Any] = [{"role": "user", "content": "Tell me [[chars=900 language=fr]]"}]


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(Script(seed=3)) as vendor:
        yield vendor


@pytest.fixture
async def claude(vendor: Vendor) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=vendor.url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
async def gpt(vendor: Vendor) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=vendor.url + "/v1", api_key="k", max_retries=0
    ) as client:
        yield client


@pytest.mark.parametrize("chunking", ["event", "byte", "random"])
async def test_a_stream_of_messages_in_any_chunks_is_the_whole_answer(
    vendor: Vendor, claude: anthropic.AsyncAnthropic, chunking: Any
) -> None:
    vendor.script = Script(seed=3, chunking=chunking)
    turns = [{"role": "user", "content": "Tell me [[chars=150 thinking=40 language=ja]]"}]
    body: dict[str, Any] = {"model": "m", "max_tokens": 4000, "messages": turns}
    body["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    async with claude.messages.stream(**body) as stream:
        streamed = await stream.get_final_message()
    whole = await claude.messages.create(**body)
    truth = vendor.answer("/v1/messages", body)
    assert [block.to_dict() for block in streamed.content] == [
        block.to_dict() for block in whole.content
    ]
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert "".join(block.text for block in whole.content if block.type == "text") == truth.text
    assert (len(truth.text), len(truth.thinking)) == (150, 40)
    assert streamed.stop_reason == whole.stop_reason == "end_turn"
    assert streamed.usage.output_tokens == whole.usage.output_tokens == truth.usage.output


async def test_the_three_formats_tell_the_same_text_streamed_and_whole(
    vendor: Vendor, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    message = await claude.messages.create(model="a", max_tokens=4000, messages=ASKED)
    chat = await gpt.chat.completions.create(model="b", messages=ASKED)
    async with gpt.chat.completions.stream(model="c", messages=ASKED) as stream:
        chatted = await stream.get_final_completion()
    response = await gpt.responses.create(model="d", input=ASKED)
    async with gpt.responses.stream(model="e", input=ASKED) as responding:
        responded = await responding.get_final_response()
    first = message.content[0]
    assert first.type == "text"
    assert len(first.text) == 900
    assert chat.choices[0].message.content == first.text
    assert chatted.choices[0].message.content == first.text
    assert response.output_text == responded.output_text == first.text
    assert chat.choices[0].finish_reason == "stop"
    assert responded.status == "completed"
    assert chat.model == "b"


async def test_tools_are_called_with_arguments_that_fit_in_every_format(
    claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    asked: list[Any] = [{"role": "user", "content": "How is the weather in Lyon?"}]
    tool: dict[str, Any] = {"name": "get_weather", "description": "", "parameters": WEATHER}
    claude_tools: list[Any] = [{"name": "get_weather", "input_schema": WEATHER}]
    chat_tools: list[Any] = [{"type": "function", "function": tool}]
    tools: list[Any] = [{"type": "function", "strict": False, **tool}]
    async with claude.messages.stream(
        model="m",
        max_tokens=900,
        messages=asked,
        tools=claude_tools,
    ) as stream:
        message = await stream.get_final_message()
    async with gpt.chat.completions.stream(model="m", messages=asked, tools=chat_tools) as chatting:
        chat = await chatting.get_final_completion()
    async with gpt.responses.stream(model="m", input=asked, tools=tools) as responding:
        response = await responding.get_final_response()
    used = message.content[-1]
    assert used.type == "tool_use"
    calls = chat.choices[0].message.tool_calls
    assert calls
    item = response.output[-1]
    assert item.type == "function_call"
    given: Any = used.input
    assert given["city"] == "Lyon"
    assert given["unit"] in {"C", "F"}
    assert json.loads(calls[0].function.arguments) == json.loads(item.arguments) == given
    assert (message.stop_reason, chat.choices[0].finish_reason) == ("tool_use", "tool_calls")


async def test_after_a_tool_result_comes_a_short_text(
    gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    tools: list[Any] = [{"name": "get_weather", "input_schema": WEATHER}]
    history: list[Any] = [{"role": "user", "content": "The weather in Lyon?"}]
    message = await claude.messages.create(model="m", max_tokens=900, messages=history, tools=tools)
    used = message.content[-1]
    assert used.type == "tool_use"
    history += [
        {"role": "assistant", "content": message.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": used.id, "content": "21 °C"}],
        },
    ]
    after = await claude.messages.create(model="m", max_tokens=900, messages=history, tools=tools)
    assert after.stop_reason == "end_turn"
    assert [block.type for block in after.content] == ["text"]


async def test_scripted_parallel_calls_arrive_in_order(
    vendor: Vendor, gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    vendor.script = Script(answers=((text("Both."), tool_use("one", a=1), tool_use("two", b="é")),))
    tools: list[Any] = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in ("one", "two")
    ]
    async with gpt.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "go"}], tools=tools
    ) as stream:
        chat = await stream.get_final_completion()
    calls = chat.choices[0].message.tool_calls
    assert calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("one", {"a": 1}),
        ("two", {"b": "é"}),
    ]
    assert calls[0].id != calls[1].id


async def test_a_custom_tool_gets_free_text(vendor: Vendor, gpt: openai.AsyncOpenAI) -> None:
    vendor.script = Script(answers=((ToolPart(name="patch", input="*** Begin\n+é\n"),),))
    async with gpt.responses.stream(
        model="m", input="go", tools=[{"type": "custom", "name": "patch"}]
    ) as stream:
        response = await stream.get_final_response()
    item = response.output[0]
    assert item.type == "custom_tool_call"
    assert item.input == "*** Begin\n+é\n"


class Recipe(pydantic.BaseModel):
    title: str
    minutes: int
    steps: list[str]
    source: str | None


async def test_structured_output_fits_its_schema_in_every_format(
    claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    asked: list[Any] = [{"role": "user", "content": "A recipe, please"}]
    chat = await gpt.chat.completions.parse(model="m", messages=asked, response_format=Recipe)
    response = await gpt.responses.parse(model="m", input=asked, text_format=Recipe)
    message = await claude.messages.parse(
        model="m", max_tokens=900, messages=asked, output_format=Recipe
    )
    parsed = chat.choices[0].message.parsed
    assert isinstance(parsed, Recipe)
    assert parsed == response.output_parsed == message.parsed_output


async def test_refusals_are_each_vendors_own(
    claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    asked: list[Any] = [{"role": "user", "content": "[[refuse]]"}]
    message = await claude.messages.create(model="m", max_tokens=900, messages=asked)
    assert message.stop_reason == "refusal"
    async with gpt.chat.completions.stream(model="m", messages=asked) as stream:
        chat = await stream.get_final_completion()
    assert chat.choices[0].message.refusal
    assert not chat.choices[0].message.content
    async with gpt.responses.stream(model="m", input=asked) as responding:
        response = await responding.get_final_response()
    item = response.output[0]
    assert item.type == "message"
    assert item.content[0].type == "refusal"


async def test_max_tokens_and_stop_sequences_end_an_answer_early(
    vendor: Vendor, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    short = await claude.messages.create(model="m", max_tokens=7, messages=ASKED)
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 7)
    response = await gpt.responses.create(model="m", input=ASKED, max_output_tokens=7)
    assert response.status == "incomplete"
    truth = vendor.answer("/v1/chat/completions", {"model": "m", "messages": ASKED}).text
    stopped = await claude.messages.create(
        model="m", max_tokens=4000, messages=ASKED, stop_sequences=[truth[100:110]]
    )
    block = stopped.content[0]
    assert block.type == "text"
    assert block.text == truth[: truth.index(truth[100:110])]
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", truth[100:110])


async def test_reasoning_comes_with_its_seal_when_asked_for(gpt: openai.AsyncOpenAI) -> None:
    async with gpt.responses.stream(
        model="m",
        input="Think",
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
    ) as stream:
        response = await stream.get_final_response()
    item = response.output[0]
    assert item.type == "reasoning"
    assert item.summary[0].text
    assert item.encrypted_content
    assert response.usage
    assert response.usage.output_tokens_details.reasoning_tokens > 0


async def test_a_forged_signature_is_refused_and_a_genuine_one_is_not(
    claude: anthropic.AsyncAnthropic,
) -> None:
    asked: list[Any] = [{"role": "user", "content": "Think"}]
    message = await claude.messages.create(
        model="m",
        max_tokens=4000,
        messages=asked,
        thinking={"type": "enabled", "budget_tokens": 2000},
    )
    history = [*asked, {"role": "assistant", "content": message.content}]
    history.append({"role": "user", "content": "And now?"})
    await claude.messages.create(model="m", max_tokens=4000, messages=history)
    block = message.content[0]
    assert block.type == "thinking"
    block.signature = "Zm9yZ2Vk"
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        await claude.messages.create(model="m", max_tokens=4000, messages=history)


async def test_embeddings_models_and_token_counts_answer(
    claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    numbers = await gpt.embeddings.create(model="e", input=["a", "b"], encoding_format="float")
    packed = await gpt.embeddings.create(model="e", input=["a", "b"])
    assert len(numbers.data[0].embedding) == 64
    assert numbers.data[1].embedding == pytest.approx(packed.data[1].embedding)
    assert numbers.data[0].embedding != numbers.data[1].embedding
    assert [model.id async for model in claude.models.list()] == ["sim-large", "sim-small"]
    assert [model.id async for model in gpt.models.list()] == ["sim-large", "sim-small"]
    counted = await claude.messages.count_tokens(model="m", messages=ASKED)
    used = await claude.messages.create(model="m", max_tokens=5, messages=ASKED)
    assert counted.input_tokens == used.usage.input_tokens


async def test_usage_tells_cached_tokens_in_each_vendors_way(
    claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    long = "words and more " * 800
    turns: list[Any] = [
        {"role": "user", "content": long},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Go"},
    ]
    message = await claude.messages.create(
        model="m",
        max_tokens=50,
        messages=turns,
        system=[{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}],
    )
    assert message.usage.cache_read_input_tokens
    chat = await gpt.chat.completions.create(model="m", messages=turns, max_completion_tokens=50)
    assert chat.usage
    assert chat.usage.prompt_tokens_details
    cached = chat.usage.prompt_tokens_details.cached_tokens
    assert cached
    assert cached % 128 == 0
    assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens


@pytest.mark.parametrize(
    ("status", "of_claude", "of_gpt"),
    [
        (401, anthropic.AuthenticationError, openai.AuthenticationError),
        (403, anthropic.PermissionDeniedError, openai.PermissionDeniedError),
        (404, anthropic.NotFoundError, openai.NotFoundError),
        (429, anthropic.RateLimitError, openai.RateLimitError),
        (500, anthropic.InternalServerError, openai.InternalServerError),
        (529, anthropic.InternalServerError, openai.InternalServerError),
    ],
)
async def test_statuses_raise_the_sdks_own_errors(
    vendor: Vendor,
    claude: anthropic.AsyncAnthropic,
    gpt: openai.AsyncOpenAI,
    status: int,
    of_claude: type[Exception],
    of_gpt: type[Exception],
) -> None:
    vendor.script = Script(faults=(Fault(FaultKind.STATUS, status=status),))
    with pytest.raises(of_claude):
        await claude.messages.create(model="m", max_tokens=5, messages=ASKED)
    with pytest.raises(of_gpt):
        await gpt.chat.completions.create(model="m", messages=ASKED)
    with pytest.raises(of_gpt):
        await gpt.responses.create(model="m", input=ASKED)


@pytest.mark.parametrize("status", [500, 529])
async def test_an_error_inside_a_stream_is_an_error_to_every_sdk(
    vendor: Vendor, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI, status: int
) -> None:
    row = Fault(FaultKind.STREAM_ERROR, where="text", status=status)
    vendor.script = Script(faults=(row,))
    with pytest.raises(anthropic.APIStatusError):
        async with claude.messages.stream(model="m", max_tokens=900, messages=ASKED) as stream:
            await stream.get_final_message()
    with pytest.raises(openai.APIError):
        async with gpt.chat.completions.stream(model="m", messages=ASKED) as chatting:
            await chatting.get_final_completion()
    # The SDK hands response.failed to the reader, and then misses response.completed.
    with pytest.raises(RuntimeError, match=r"response\.completed"):
        async with gpt.responses.stream(model="m", input=ASKED) as responding:
            await responding.get_final_response()
    row = Fault(FaultKind.STREAM_ERROR, where="text", status=status, variant="error_event")
    vendor.script = Script(faults=(row,))
    with pytest.raises((openai.APIError, RuntimeError)):
        async with gpt.responses.stream(model="m", input=ASKED) as responding:
            await responding.get_final_response()
