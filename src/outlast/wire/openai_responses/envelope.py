"""The `response` object that frames an answer."""

from __future__ import annotations

from typing import Any

from outlast.nouns import Tokens
from outlast.wire.canon import JSON, Request
from outlast.wire.openai_responses.names import original_name
from outlast.wire.openai_responses.render import render_format
from outlast.wire.openai_responses.usage import write_usage
from outlast.wire.stream import StopReason

_INCOMPLETE: dict[StopReason, str] = {
    "max_tokens": "max_output_tokens",
    "context_window": "max_output_tokens",
    "refusal": "content_filter",
    "pause_turn": "max_messages",
}


def ending(reason: StopReason, refused: bool) -> tuple[str, str | None]:
    """Return status and incompleteness reason. A refusal in the model's own words is complete."""
    incomplete = None if reason == "refusal" and refused else _INCOMPLETE.get(reason)
    return ("incomplete" if incomplete else "completed"), incomplete


class Envelope:
    """What is known of one response while it is written."""

    def __init__(self, request: Request) -> None:
        self.id = ""
        self.model = request.model
        self.created = 0
        self._echo = _echo(request)

    def render(
        self,
        status: str,
        output: list[JSON],
        tokens: Tokens | None = None,
        incomplete: str | None = None,
        error: JSON | None = None,
    ) -> JSON:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": error,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "model": self.model,
            "output": output,
            "usage": write_usage(tokens),
            **self._echo,
        }


def _echo(request: Request) -> JSON:
    """Return the settings that a response repeats.

    Instructions and tool definitions are left out: they are the client's own words, and would be
    sent three times over in every stream.
    """
    text: JSON = {"format": {"type": "text"}}
    if request.output is not None:
        text["format"] = render_format(request.output)
    if request.verbosity:
        text["verbosity"] = request.verbosity
    reasoning = request.reasoning
    return {
        "instructions": None,
        "max_output_tokens": request.max_tokens,
        "metadata": request.metadata,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {
            "effort": (reasoning.effort or None) if reasoning else None,
            "summary": (reasoning.summary or None) if reasoning else None,
        },
        "store": False,
        "temperature": request.temperature,
        "text": text,
        "tool_choice": _tool_choice(request),
        "tools": [],
        "top_p": request.top_p,
        "truncation": "disabled",
    }


def _tool_choice(request: Request) -> Any:
    choice = request.tool_choice
    if choice is None:
        return "auto"
    if choice.mode != "tool":
        return choice.mode
    for tool in request.tools:
        if tool.name == choice.name:
            kind = "custom" if tool.kind == "custom" else "function"
            return {"type": kind, "name": original_name(tool).name}
    return {"type": "function", "name": choice.name}
