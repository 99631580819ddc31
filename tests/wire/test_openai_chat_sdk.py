"""The official SDK as a judge of what the Writer says and of what render_answer builds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from outlast.nouns import Format
from outlast.wire.canon import Request
from outlast.wire.openai_chat import CODEC
from outlast.wire.stream import AnswerEvent, ArgsDelta, BlockStart, Stop, TextDelta
from tests.wire.cases_openai_chat import CASES

REQUEST = Request("m", (), Format.OPENAI_CHAT, stream=True, include_usage=True)
# The SDK's helper has no streamed custom tool calls, and raises for the length and filter stops.
JUDGED = [
    case
    for case in CASES
    if not any(isinstance(e, BlockStart) and e.kind in {"custom_tool", "foreign"} for e in case[2])
    and not any(isinstance(e, Stop) and e.reason in {"max_tokens", "refusal"} for e in case[2])
]


def written(events: list[AnswerEvent]) -> list[Any]:
    writer = CODEC.writer(REQUEST)
    stream = b"".join(writer.write(event) for event in events)
    data = [each.data for each in SSEDecoder().iter_bytes(iter([stream]))]
    assert data.pop() == "[DONE]"
    return [json.loads(each) for each in data]


@pytest.mark.parametrize(("sentence", "frames", "events"), JUDGED, ids=[case[0] for case in JUDGED])
def test_the_official_helper_builds_the_same_answer(
    sentence: str, frames: list[Any], events: list[AnswerEvent]
) -> None:
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in written(events):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk, strict=True))
    completion = state.get_final_completion()
    message = completion.choices[0].message
    said = "".join(each.text for each in events if isinstance(each, TextDelta))
    assert (message.content or "") == said, sentence
    calls = [each for each in events if isinstance(each, BlockStart) and each.kind == "tool_use"]
    found = message.tool_calls or []
    assert [(each.id, each.function.name) for each in found] == [(c.id, c.name) for c in calls]
    for block, call in zip(calls, found, strict=True):
        arguments = [e.json for e in events if isinstance(e, ArgsDelta) and e.index == block.index]
        assert call.function.arguments == ("".join(arguments) or "{}")


@pytest.mark.parametrize(("sentence", "frames", "events"), CASES, ids=[case[0] for case in CASES])
def test_the_official_types_accept_a_whole_answer(
    sentence: str, frames: list[Any], events: list[AnswerEvent]
) -> None:
    body = CODEC.render_answer(events, REQUEST)
    again = ChatCompletion.model_validate(body, strict=True)
    assert again.choices[0].message.content == body["choices"][0]["message"]["content"], sentence
