"""Answers of the two other formats, written for a client of this one, judged by the SDK."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.wire.stream import AnswerEvent, ArgsDelta, BlockStart, End, Failed, TextDelta
from tests.wire import cases_anthropic, cases_openai_chat
from tests.wire.test_openai_responses_reader import read
from tests.wire.test_openai_responses_writer import CODEX, assert_legal, frames_of, write

ANSWERS: list[tuple[str, list[AnswerEvent]]] = [
    *((f"anthropic: {case.name}", case.events) for case in cases_anthropic.CASES),
    *((f"chat: {name}", events) for name, _, events in cases_openai_chat.CASES),
]


@pytest.mark.parametrize(("name", "events"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_any_answer_of_another_format_is_a_legal_stream(
    name: str, events: list[AnswerEvent]
) -> None:
    data = write(events, CODEX)
    frames = frames_of(data)
    if not isinstance(events[-1], (End, Failed)):
        assert "response.completed" not in {frame["type"] for frame in frames}, name
        return
    assert_legal(frames)
    again = read([data])
    assert _said(again) == _said(events)
    assert _called(again) == _called(events)


def _said(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def _called(events: list[AnswerEvent]) -> list[tuple[str, str]]:
    calls: dict[int, list[Any]] = {}
    for event in events:
        if isinstance(event, BlockStart) and event.kind in ("tool_use", "custom_tool"):
            calls[event.index] = [event.name, ""]
        elif isinstance(event, ArgsDelta):
            calls[event.index][1] += event.json
    return [(name, arguments or "{}") for name, arguments in calls.values()]
