"""OpenAI Chat Completions, as the vendor and its many imitators read and write it.

Source: the official SDK's types (openai 3.54). `prefix` (Mistral, DeepSeek) and
`continue_final_message` (vLLM) ask to continue the last assistant turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from outlast.nouns import Format
from outlast.simulator.ask import Ask, Call, Rejected, Result, Tool, Turn, merge, unanswered
from outlast.simulator.frames import Cutter, Frame, Stamp, frame
from outlast.simulator.truth import Answer
from outlast.wire import canon
from outlast.wire.canon import JSON
from outlast.wire.sse import format_event
from outlast.wire.stream import StopReason

_FINISH: dict[StopReason, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "stop",
    "context_window": "length",
    "pause_turn": "stop",
}
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def missing(field: str) -> Rejected:
    return Rejected(
        400, f"Missing required parameter: '{field}'.", field, "missing_required_parameter"
    )


def wrong(field: str, want: str, value: object) -> Rejected:
    got = {"dict": "an object", "list": "an array", "str": "a string", "NoneType": "null"}
    kind = got.get(type(value).__name__, f"a {type(value).__name__}")
    return Rejected(
        400,
        f"Invalid type for '{field}': expected {want}, but got {kind} instead.",
        field,
        "invalid_type",
    )


def read(body: JSON) -> Ask:
    """Return what is asked. Raises Rejected as the vendor does."""
    for field in ("model", "messages"):
        if field not in body:
            raise missing(field)
    messages = body["messages"]
    if not isinstance(messages, list):
        raise wrong("messages", "an array of objects", messages)
    if not messages:
        raise Rejected(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an"
            " empty array instead.",
            "messages",
            "empty_array",
        )
    if body.get("n") not in {None, 1}:
        raise Rejected(400, "The simulator gives one choice: 'n' must be 1.", "n", "invalid_value")
    system: list[str] = []
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        _message(message, f"messages[{number}]", system, turns)
    merged = merge(turns)
    _, left = unanswered(merged)
    if left:
        raise Rejected(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding"
            " to each 'tool_call_id'. The following tool_call_ids did not have response messages:"
            f" {', '.join(left)}",
            "messages",
        )
    last = messages[-1]
    form = body.get("response_format") or {}
    effort = body.get("reasoning_effort")
    choice, chosen = _choice(body.get("tool_choice"))
    return Ask(
        format=Format.OPENAI_CHAT,
        model=str(body["model"]),
        turns=merged,
        system="\n".join(filter(None, system)),
        stream=body.get("stream") is True,
        tools=tuple(_tools(body.get("tools"))),
        choice=choice,
        chosen=chosen,
        parallel=body.get("parallel_tool_calls") is not False,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=(stop,) if isinstance(stop := body.get("stop") or (), str) else tuple(stop),
        schema=(form.get("json_schema") or {}).get("schema"),
        any_json=form.get("type") == "json_object",
        thinks=effort not in {None, "none"} or bool((body.get("thinking") or {}).get("type")),
        usage_chunk=(body.get("stream_options") or {}).get("include_usage") is True,
        goes_on=body.get("continue_final_message") is True or last.get("prefix") is True,
    )


def _message(message: Any, where: str, system: list[str], turns: list[Turn]) -> None:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in _ROLES:
        raise Rejected(
            400,
            f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user',"
            " 'function', 'tool', and 'developer'.",
            f"{where}.role",
            "invalid_value",
        )
    words = plain(message.get("content"), f"{where}.content")
    if role in {"system", "developer"}:
        system.append(words)
    elif role == "user":
        turns.append(Turn("user", words))
    elif role in {"tool", "function"}:
        known = {call.id for turn in turns for call in turn.calls}
        given = str(message.get("tool_call_id", message.get("name", "")))
        if given not in known:
            raise Rejected(
                400,
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding"
                " message with 'tool_calls'.",
                where + ".role",
            )
        turns.append(Turn("user", results=(Result(given, words),)))
    else:
        calls = tuple(
            Call(str(call.get("id")), str((call.get("function") or call.get("custom"))["name"]))
            for call in message.get("tool_calls") or ()
        )
        turns.append(Turn("assistant", words, calls))


def plain(content: Any, where: str) -> str:
    """Return the text of a string, a list of parts, or nothing."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise wrong(where, "one of a string or array of objects", content)
    return "\n".join(
        str(part.get("text") or part.get("refusal") or "")
        for part in content
        if isinstance(part, dict) and ("text" in part or "refusal" in part)
    )


def _choice(given: Any) -> tuple[Any, str]:
    if isinstance(given, dict):
        inner = given.get("function") or given.get("custom") or given
        name = str(inner.get("name", ""))
        return ("tool", name) if name else ("auto", "")
    return (given if given in {"none", "required"} else "auto"), ""


def _tools(given: Any) -> Iterator[Tool]:
    for tool in given or ():
        if "function" in tool:
            function = tool["function"]
            yield Tool(str(function["name"]), function.get("parameters") or {})
        elif "custom" in tool:
            yield Tool(str(tool["custom"]["name"]), custom=True)


def _usage(answer: Answer) -> JSON:
    usage = answer.usage
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _call(part: canon.ToolUse) -> JSON:
    if part.custom:
        custom = {"name": part.name, "input": part.arguments}
        return {"id": f"call_{part.id}", "type": "custom", "custom": custom}
    function = {"name": part.name, "arguments": part.arguments}
    return {"id": f"call_{part.id}", "type": "function", "function": function}


def whole(answer: Answer, ask: Ask, stamp: Stamp) -> JSON:
    """Return the body of an answer that is not streamed."""
    refused = answer.stop == "refusal"
    message: JSON = {
        "role": "assistant",
        "content": None if refused else answer.text or (None if answer.calls else ""),
        "refusal": answer.text if refused else None,
        "annotations": [],
    }
    if answer.calls:
        message["tool_calls"] = [_call(part) for part in answer.calls]
    if ask.shows_thinking and answer.thinking:
        message["reasoning_content"] = answer.thinking
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _FINISH[answer.stop],
    }
    return _envelope(answer, stamp, "chat.completion", [choice]) | {"usage": _usage(answer)}


def _envelope(answer: Answer, stamp: Stamp, kind: str, choices: list[JSON]) -> JSON:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": stamp.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_51a1a70f",
        "choices": choices,
    }


def stream(answer: Answer, ask: Ask, cutter: Cutter, stamp: Stamp) -> Iterator[Frame]:
    """Return the frames of a streamed answer."""

    def chunk(kind: Any, delta: JSON, *, finish: str | None = None, chars: int = 0) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        body = _envelope(answer, stamp, "chat.completion.chunk", [choice])
        if ask.usage_chunk:
            body["usage"] = None
        return frame(kind, body, chars=chars)

    yield chunk("head", {"role": "assistant", "content": "", "refusal": None})
    field = "refusal" if answer.stop == "refusal" else "content"
    calls = 0
    for part in answer.parts:
        if isinstance(part, canon.Text):
            for piece in cutter.deltas("text", part.text):
                yield chunk("text", {field: piece}, chars=len(piece))
        elif isinstance(part, canon.Thinking):
            for piece in cutter.deltas("thinking", part.text if ask.shows_thinking else ""):
                yield chunk("thinking", {"reasoning_content": piece}, chars=len(piece))
        else:
            key, inside = ("custom", "input") if part.custom else ("function", "arguments")
            opened = _call(part)
            opened[key] = opened[key] | {inside: ""}
            yield chunk("open", {"tool_calls": [{"index": calls, **opened}]})
            for piece in cutter.deltas("tool", part.arguments):
                call = {"index": calls, key: {inside: piece}}
                yield chunk("tool", {"tool_calls": [call]}, chars=len(piece))
            calls += 1
    yield chunk("stop", {}, finish=_FINISH[answer.stop])
    if ask.usage_chunk:
        body = _envelope(answer, stamp, "chat.completion.chunk", []) | {"usage": _usage(answer)}
        yield frame("stop", body)
    yield Frame("end", format_event(b"[DONE]"))


def stream_error(error: JSON) -> list[Frame]:
    """Return an error inside a stream, as the vendor sends it."""
    return [frame("error", error)]
