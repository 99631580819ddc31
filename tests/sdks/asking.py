"""One question, asked with an official SDK at any of the three surfaces, whole or streamed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import openai

from outlast.wire.stream import StopReason
from tests.sdks.house import House

Body = dict[str, Any]

STOPS: dict[str, dict[StopReason, str]] = {
    "anthropic": {},
    "chat": {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "tool_use": "tool_calls",
    },
    "responses": {
        "end_turn": "completed",
        "stop_sequence": "completed",
        "max_tokens": "incomplete: max_output_tokens",
        "tool_use": "completed",
    },
}
"""How each surface says why an answer ended; Anthropic's words are our own."""


class AnswerFailed(Exception):
    """A Responses stream said that it failed; the SDK leaves that to its caller."""


class Call(msgspec.Struct, frozen=True):
    id: str
    name: str
    arguments: Any


class Heard(msgspec.Struct):
    """What the SDK made of an answer, in one shape."""

    text: str
    thinking: str
    calls: list[Call]
    stop: str
    input: int
    """All of the prompt, cached or not."""
    cached: int
    output: int
    message: Any
    """The SDK's own object."""


def said_as(surface: str, stop: StopReason) -> str:
    return STOPS[surface].get(stop, stop)


def question(surface: str, model: str, words: str, **more: Any) -> Body:
    """A request's body with one user turn, in the surface's own format."""
    if surface == "responses":
        return {"model": model, "input": words, **more}
    body = {"model": model, "messages": [{"role": "user", "content": words}], **more}
    return {"max_tokens": 8000, **body} if surface == "anthropic" else body


async def hear(house: House, surface: str, body: Body, *, stream: bool) -> Heard:
    """Ask and return the answer. Raises what the SDK raises."""
    match surface:
        case "anthropic":
            return of_message(await _message(house, body, stream=stream))
        case "chat":
            return of_chat(await _chat(house, body, stream=stream))
        case _:
            return of_response(await _response(house, body, stream=stream))


async def _message(house: House, body: Body, *, stream: bool) -> Any:
    if not stream:
        return await house.claude.messages.create(**body)
    async with house.claude.messages.stream(**body) as streaming:
        return await streaming.get_final_message()


async def _chat(house: House, body: Body, *, stream: bool) -> Any:
    completions = house.gpt.chat.completions
    if not stream:
        return await completions.create(**body)
    body = {"stream_options": {"include_usage": True}, **body}
    async with completions.stream(**body) as streaming:
        try:
            return await streaming.get_final_completion()
        except openai.LengthFinishReasonError as short:
            return short.completion  # the helper wants whole answers; this one is short on purpose


async def _response(house: House, body: Body, *, stream: bool) -> Any:
    if not stream:
        return await house.gpt.responses.create(**body)
    final: Any = None
    # Not the helper: it takes an incomplete answer for an error.
    async with await house.gpt.responses.create(**body, stream=True) as streaming:
        async for event in streaming:
            if event.type == "response.failed":
                raise AnswerFailed(str(event.response.error))
            if event.type in {"response.completed", "response.incomplete"}:
                assert final is None, "two ends"
                final = event.response
    assert final is not None, "the stream ended without its end"
    return final


def of_message(message: Any) -> Heard:
    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens or 0
    return Heard(
        text="".join(block.text for block in message.content if block.type == "text"),
        thinking="".join(b.thinking for b in message.content if b.type == "thinking"),
        calls=[Call(b.id, b.name, b.input) for b in message.content if b.type == "tool_use"],
        stop=message.stop_reason,
        input=usage.input_tokens + cached + written,
        cached=cached,
        output=usage.output_tokens,
        message=message,
    )


def of_chat(completion: Any) -> Heard:
    choice, usage = completion.choices[0], completion.usage
    details = usage.prompt_tokens_details
    return Heard(
        text=choice.message.content or "",
        thinking=getattr(choice.message, "reasoning_content", None) or "",
        calls=[
            Call(call.id, call.function.name, json.loads(call.function.arguments))
            for call in choice.message.tool_calls or ()
        ],
        stop=choice.finish_reason,
        input=usage.prompt_tokens,
        cached=(details.cached_tokens or 0) if details else 0,
        output=usage.completion_tokens,
        message=completion,
    )


def of_response(response: Any) -> Heard:
    why = response.incomplete_details
    return Heard(
        text=response.output_text,
        thinking="".join(
            part.text
            for item in response.output
            if item.type == "reasoning"
            for part in item.summary
        ),
        calls=[
            Call(item.call_id, item.name, json.loads(item.arguments))
            for item in response.output
            if item.type == "function_call"
        ],
        stop=f"{response.status}: {why.reason}" if why else response.status,
        input=response.usage.input_tokens,
        cached=response.usage.input_tokens_details.cached_tokens,
        output=response.usage.output_tokens,
        message=response,
    )
