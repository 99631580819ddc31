"""OpenAI Responses, as the vendor reads and writes it. Source: the official SDK's types."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from outlast.nouns import Format
from outlast.simulator.ask import Ask, Call, Rejected, Result, Tool, Turn, merge
from outlast.simulator.chat import missing, plain, wrong
from outlast.simulator.frames import Cutter, Frame, FrameKind, Stamp, frame
from outlast.simulator.truth import Answer, is_signed
from outlast.wire import canon
from outlast.wire.canon import JSON

_SEALED = "gAAAAAB"


def read(body: JSON) -> Ask:
    """Return what is asked. Raises Rejected as the vendor does."""
    for field in ("model", "input"):
        if field not in body:
            raise missing(field)
    if body.get("previous_response_id"):
        given = body["previous_response_id"]
        raise Rejected(
            400,
            f"Previous response with id '{given}' not found.",
            "previous_response_id",
            "previous_response_not_found",
        )
    system = [plain(body.get("instructions"), "instructions")]
    turns = merge(_turns(body["input"], system))
    if not turns:
        raise Rejected(400, "Input is empty.", "input", "empty_input")
    _paired(turns)
    form = (body.get("text") or {}).get("format") or {}
    reasoning = body.get("reasoning") or {}
    choice, chosen = _choice(body.get("tool_choice"))
    return Ask(
        format=Format.OPENAI_RESPONSES,
        model=str(body["model"]),
        turns=turns,
        system="\n".join(filter(None, system)),
        stream=body.get("stream") is True,
        tools=tuple(_tools(body.get("tools") or ())),
        choice=choice,
        chosen=chosen,
        parallel=body.get("parallel_tool_calls") is not False,
        max_tokens=body.get("max_output_tokens"),
        schema=form.get("schema") if form.get("type") == "json_schema" else None,
        any_json=form.get("type") == "json_object",
        thinks=bool(reasoning) and reasoning.get("effort") != "none",
        shows_thinking=bool(reasoning.get("summary")),
        encrypted="reasoning.encrypted_content" in (body.get("include") or ()),
        seals=tuple(seal for turn in turns for seal in turn.seals),
    )


def _turns(given: Any, system: list[str]) -> list[Turn]:
    if isinstance(given, str):
        return [Turn("user", given)]
    if not isinstance(given, list):
        raise wrong("input", "one of a string or array of input items", given)
    turns: list[Turn] = []
    for number, item in enumerate(given):
        where = f"input[{number}]"
        if not isinstance(item, dict):
            raise wrong(where, "an object", item)
        kind = item.get("type", "message")
        if kind == "message":
            words = plain(item.get("content"), f"{where}.content")
            if item.get("role") in {"system", "developer"}:
                system.append(words)
            elif item.get("role") in {"user", "assistant"}:
                turns.append(Turn(item["role"], words))
            else:
                raise Rejected(
                    400,
                    f"Invalid value: '{item.get('role')}'. Supported values are: 'assistant',"
                    " 'system', 'developer', and 'user'.",
                    f"{where}.role",
                    "invalid_value",
                )
        elif kind in {"function_call", "custom_tool_call"}:
            call = Call(str(item.get("call_id")), str(item.get("name")))
            turns.append(Turn("assistant", calls=(call,)))
        elif kind in {"function_call_output", "custom_tool_call_output"}:
            said = plain(item.get("output"), f"{where}.output")
            turns.append(Turn("user", results=(Result(str(item.get("call_id")), said),)))
        elif kind == "reasoning" and item.get("encrypted_content") is not None:
            turns.append(Turn("assistant", seals=(_genuine(item),)))
    return turns


def _genuine(item: JSON) -> tuple[str, str]:
    """Return (how it is refused by another organisation, what is sealed). Raises Rejected."""
    sealed = str(item.get("encrypted_content"))
    refusal = f"The encrypted content {sealed[:8]}... could not be verified."
    said = "".join(str(part.get("text", "")) for part in item.get("summary") or ())
    signature = sealed.removeprefix(_SEALED)
    if not sealed.startswith(_SEALED) or not is_signed(said, signature):
        raise Rejected(400, refusal, "", "invalid_encrypted_content")
    return refusal, signature


def _paired(turns: tuple[Turn, ...]) -> None:
    # Calls and outputs may stand in any order after each other; each must have its partner.
    made = {call.id for turn in turns for call in turn.calls}
    given = {result.id for turn in turns for result in turn.results}
    for turn in turns[:-1]:
        for call in turn.calls:
            if call.id not in given:
                raise Rejected(400, f"No tool output found for function call {call.id}.", "input")
    for result in given - made:
        raise Rejected(
            400, f"No tool call found for function call output with call_id {result}.", "input"
        )


def _choice(given: Any) -> tuple[Any, str]:
    if isinstance(given, dict):
        name = str(given.get("name", ""))
        return ("tool", name) if name else ("auto", "")
    return (given if given in {"none", "required"} else "auto"), ""


def _tools(given: Any, namespace: str = "") -> Iterator[Tool]:
    for tool in given:
        kind = tool.get("type")
        if kind == "function":
            yield Tool(str(tool["name"]), tool.get("parameters") or {}, namespace=namespace)
        elif kind == "custom":
            yield Tool(str(tool["name"]), custom=True, namespace=namespace)
        elif kind == "namespace":
            yield from _tools(tool.get("tools") or (), str(tool.get("name", "")))


def _usage(answer: Answer) -> JSON:
    usage = answer.usage
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _envelope(answer: Answer, ask: Ask, stamp: Stamp, status: str) -> JSON:
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": stamp.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": ask.max_tokens,
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": ask.parallel,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


def _item(part: Any, answer: Answer, ask: Ask, index: int) -> JSON:
    """Return one finished item of the output."""
    mark = hashlib.sha256(f"{answer.id}|{index}".encode()).hexdigest()[:24]
    if isinstance(part, canon.Thinking):
        shown = [{"type": "summary_text", "text": part.text}] if ask.shows_thinking else []
        item: JSON = {"id": f"rs_{mark}", "type": "reasoning", "summary": shown}
        if ask.encrypted:
            item["encrypted_content"] = _SEALED + part.signature
        return item
    if isinstance(part, canon.ToolUse):
        kind, field = (
            ("custom_tool_call", "input") if part.custom else ("function_call", "arguments")
        )
        item = {
            "id": f"{'ctc' if part.custom else 'fc'}_{mark}",
            "type": kind,
            "status": "completed",
            field: part.arguments,
            "call_id": f"call_{part.id}",
            "name": part.name,
        }
        namespace = next((tool.namespace for tool in ask.tools if tool.name == part.name), "")
        return item | ({"namespace": namespace} if namespace else {})
    content = {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
    if answer.stop == "refusal":
        content = {"type": "refusal", "refusal": part.text}
    return {
        "id": f"msg_{mark}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }


def _finished(answer: Answer, ask: Ask, stamp: Stamp) -> JSON:
    cut = answer.stop in {"max_tokens", "context_window"}
    body = _envelope(answer, ask, stamp, "incomplete" if cut else "completed")
    if cut:
        body["incomplete_details"] = {"reason": "max_output_tokens"}
    body["output"] = [_item(part, answer, ask, index) for index, part in enumerate(answer.parts)]
    if cut and body["output"] and body["output"][-1]["type"] == "message":
        body["output"][-1]["status"] = "incomplete"
    body["usage"] = _usage(answer)
    return body


def whole(answer: Answer, ask: Ask, stamp: Stamp) -> JSON:
    """Return the body of an answer that is not streamed."""
    return _finished(answer, ask, stamp)


class _Numbered:
    """Makes events with the sequence numbers that the format wants."""

    def __init__(self) -> None:
        self.next = 0

    def event(self, kind: FrameKind, name: str, /, *, chars: int = 0, **fields: Any) -> Frame:
        body = {"type": name, "sequence_number": self.next, **fields}
        self.next += 1
        return frame(kind, body, name=name, chars=chars)


def stream(answer: Answer, ask: Ask, cutter: Cutter, stamp: Stamp) -> Iterator[Frame]:
    """Return the frames of a streamed answer."""
    events = _Numbered()
    begun = _envelope(answer, ask, stamp, "in_progress")
    yield events.event("head", "response.created", response=begun)
    yield events.event("head", "response.in_progress", response=begun)
    final = _finished(answer, ask, stamp)
    for index, (part, item) in enumerate(zip(answer.parts, final["output"], strict=True)):
        opened = _opened(item)
        yield events.event("open", "response.output_item.added", output_index=index, item=opened)
        at = {"item_id": item["id"], "output_index": index}
        if isinstance(part, canon.Thinking):
            yield from _summary(events, part, item, at, cutter)
        elif isinstance(part, canon.ToolUse):
            yield from _arguments(events, part, at, cutter)
        else:
            yield from _text(events, part, item["content"][0], at, cutter)
        yield events.event("close", "response.output_item.done", output_index=index, item=item)
    yield events.event("end", f"response.{final['status']}", response=final)


def _opened(item: JSON) -> JSON:
    empty: JSON = {"content": [], "arguments": "", "input": "", "summary": []}
    opened = item | {name: value for name, value in empty.items() if name in item}
    return opened | ({"status": "in_progress"} if "status" in item else {})


def _text(
    events: _Numbered, part: canon.Text, content: JSON, at: JSON, cutter: Cutter
) -> Iterator[Frame]:
    refused = content["type"] == "refusal"
    word, field = ("refusal", "refusal") if refused else ("output_text", "text")
    # The SDK wants logprobs on text events, and knows none on refusals.
    extra: JSON = {} if refused else {"logprobs": []}
    at = at | {"content_index": 0}
    yield events.event("open", "response.content_part.added", **at, part=content | {field: ""})
    for piece in cutter.deltas("text", part.text):
        name = f"response.{word}.delta"
        yield events.event("text", name, **at, delta=piece, **extra, chars=len(piece))
    final: dict[str, Any] = {field: part.text, **extra}
    yield events.event("close", f"response.{word}.done", **at, **final)
    yield events.event("close", "response.content_part.done", **at, part=content)


def _summary(
    events: _Numbered, part: canon.Thinking, item: JSON, at: JSON, cutter: Cutter
) -> Iterator[Frame]:
    if not item["summary"]:
        return
    at = at | {"summary_index": 0}
    name = "response.reasoning_summary"
    empty = {"type": "summary_text", "text": ""}
    yield events.event("open", f"{name}_part.added", **at, part=empty)
    for piece in cutter.deltas("thinking", part.text):
        yield events.event("thinking", f"{name}_text.delta", **at, delta=piece, chars=len(piece))
    yield events.event("close", f"{name}_text.done", **at, text=part.text)
    yield events.event("close", f"{name}_part.done", **at, part=item["summary"][0])


def _arguments(events: _Numbered, part: canon.ToolUse, at: JSON, cutter: Cutter) -> Iterator[Frame]:
    name, field = "response.function_call_arguments", "arguments"
    if part.custom:
        name, field = "response.custom_tool_call_input", "input"
    for piece in cutter.deltas("tool", part.arguments):
        yield events.event("tool", f"{name}.delta", **at, delta=piece, chars=len(piece))
    done: dict[str, Any] = {field: part.arguments} | ({} if part.custom else {"name": part.name})
    yield events.event("close", f"{name}.done", **at, **done)


def stream_error(
    code: str, message: str, answer: Answer, ask: Ask, stamp: Stamp, *, sequence: int, bare: bool
) -> list[Frame]:
    """Return `response.failed`, or the `bare` event `error`, as the vendor sends them."""
    events = _Numbered()
    events.next = sequence
    if bare:
        return [events.event("error", "error", code=code, message=message, param=None)]
    body = _envelope(answer, ask, stamp, "failed")
    body["error"] = {"code": code, "message": message}
    return [events.event("error", "response.failed", response=body)]
