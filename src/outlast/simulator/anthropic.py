"""Anthropic Messages, as the vendor reads and writes it.

Sources: the official SDK's types (anthropic 2.12), and the order of stream events that the
vendor documents under "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from outlast.nouns import Format
from outlast.simulator.ask import Ask, Call, Rejected, Result, Tool, Turn, items, merge
from outlast.simulator.ask import stray as stray_result
from outlast.simulator.ask import unanswered as unanswered_calls
from outlast.simulator.frames import Cutter, Frame, Stamp, frame
from outlast.simulator.truth import Answer, Usage, is_signed
from outlast.wire import canon
from outlast.wire.canon import JSON
from outlast.wire.stream import StopReason

_TAGS = frozenset(
    {
        *("text", "image", "document", "search_result", "container_upload", "compaction"),
        *("thinking", "redacted_thinking", "tool_use", "tool_result", "tool_reference"),
        *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result"),
        *("code_execution_tool_result", "bash_code_execution_tool_result"),
        *("text_editor_code_execution_tool_result", "tool_search_tool_result"),
        *("mcp_tool_use", "mcp_tool_result"),
    }
)
_STOPS: dict[StopReason, str] = {"context_window": "model_context_window_exceeded"}


def read(body: JSON, *, counting: bool = False) -> Ask:
    """Return what is asked. Raises Rejected as the vendor does."""
    for field in ("model", "messages") if counting else ("model", "max_tokens", "messages"):
        if field not in body:
            raise Rejected(400, f"{field}: Field required")
    limit = body.get("max_tokens", 1)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise Rejected(400, "max_tokens: Input should be greater than or equal to 1")
    system = [_plain(body.get("system"), "system")]
    turns: list[Turn] = []
    for number, message in enumerate(items(body["messages"], "messages")):
        where = f"messages.{number}"
        if not isinstance(message, dict):
            raise Rejected(400, f"{where}: Input should be a valid dictionary")
        role = message.get("role")
        if role == "system":
            system.append(_plain(message.get("content"), f"{where}.content"))
        elif role in {"user", "assistant"}:
            turns.append(_turn(role, message.get("content"), f"{where}.content"))
        else:
            raise Rejected(400, f'{where}.role: Input should be "user" or "assistant"')
    if not turns:
        raise Rejected(400, "messages: at least one message is required")
    merged = merge(turns)
    _paired(merged)
    thinks = _thinks(body, merged)
    choice = body.get("tool_choice") or {}
    named = {"any": "required", "tool": "tool", "none": "none"}
    output = body.get("output_config") or {}
    form = output.get("format") or body.get("output_format") or {}
    return Ask(
        format=Format.ANTHROPIC,
        model=str(body["model"]),
        turns=merged,
        system="\n".join(filter(None, system)),
        stream=body.get("stream") is True,
        tools=tuple(
            Tool(str(tool.get("name", "")), tool["input_schema"])
            for tool in body.get("tools") or ()
            if isinstance(tool, dict) and isinstance(tool.get("input_schema"), dict)
        ),
        choice=named.get(str(choice.get("type")), "auto"),  # type: ignore[arg-type]  # of the table
        chosen=str(choice.get("name", "")),
        parallel=choice.get("disable_parallel_tool_use") is not True,
        max_tokens=None if counting else limit,
        stop=tuple(body.get("stop_sequences") or ()),
        schema=form.get("schema") if form.get("type") == "json_schema" else None,
        thinks=thinks,
        shows_thinking=(body.get("thinking") or {}).get("display") != "omitted",
        cache="cache_control" in str(body),
        seals=tuple(seal for turn in merged for seal in turn.seals),
    )


def _thinks(body: JSON, turns: tuple[Turn, ...]) -> bool:
    thinking = body.get("thinking") or {}
    kind = thinking.get("type")
    if kind == "enabled":
        budget = thinking.get("budget_tokens", 0)
        if not isinstance(budget, int) or budget < 1024:
            raise Rejected(
                400,
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            )
        if budget >= body.get("max_tokens", budget + 1):
            raise Rejected(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")
        if turns[-1].role == "assistant":
            raise Rejected(
                400,
                "Expected `thinking` or `redacted_thinking`, but found `text`. When `thinking` is"
                " enabled, a final `assistant` message must start with a thinking block.",
            )
        _led(body)
    return kind in {"enabled", "adaptive"} and turns[-1].role == "user"


def _plain(content: Any, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    blocks = items(content, where)
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def _turn(role: Any, content: Any, where: str) -> Turn:
    if isinstance(content, str):
        if not content and role == "user":
            raise Rejected(400, f"{where}: user messages must have non-empty content")
        return Turn(role, content)
    texts: list[str] = []
    calls: list[Call] = []
    results: list[Result] = []
    seals: list[tuple[str, str]] = []
    for number, block in enumerate(items(content, where)):
        at = f"{where}.{number}"
        tag = block.get("type") if isinstance(block, dict) else None
        if tag not in _TAGS:
            raise Rejected(
                400,
                f"{at}: Input tag '{tag}' found using 'type' does not match any of the expected"
                " tags",
            )
        if tag == "text":
            if not block.get("text"):
                raise Rejected(400, "messages: text content blocks must be non-empty")
            texts.append(block["text"])
        elif tag in {"thinking", "redacted_thinking"}:
            seals.append(_seal(block, at))
        elif tag == "tool_use":
            if not isinstance(block.get("input"), dict):
                raise Rejected(400, f"{at}.tool_use.input: Input should be a valid dictionary")
            calls.append(Call(str(block.get("id")), str(block.get("name"))))
        elif tag == "tool_result":
            said = _plain(block.get("content"), f"{at}.tool_result.content")
            results.append(Result(str(block.get("tool_use_id")), said))
    glue = "\n" if role == "user" else ""
    return Turn(role, glue.join(texts), tuple(calls), tuple(results), tuple(seals))


def _seal(block: JSON, at: str) -> tuple[str, str]:
    """Return (how it is refused by another account, signature) of a thinking block."""
    redacted = block["type"] == "redacted_thinking"
    refusal = f"{at}: Invalid `signature` in `thinking` block"
    if redacted:
        refusal = f"{at}: Invalid `data` in `redacted_thinking` block"
    words = "" if redacted else str(block.get("thinking", ""))
    signature = str(block.get("data" if redacted else "signature", ""))
    if not is_signed(words, signature):
        raise Rejected(400, refusal)
    return refusal, signature


def _led(body: JSON) -> None:
    """With a budget, the calls of the running turn follow thinking."""
    messages = body["messages"]
    if not isinstance(messages[-1].get("content"), list):
        return
    place = len(messages) - 1
    if not any(block.get("type") == "tool_result" for block in messages[-1]["content"]):
        return
    while place > 0 and (messages[place]["role"] == "assistant" or _results(messages[place])):
        place -= 1
    first = messages[place + 1] if place + 1 < len(messages) else {}
    content = first.get("content")
    kind = content[0].get("type") if isinstance(content, list) and content else "text"
    if kind not in {"thinking", "redacted_thinking"}:
        raise Rejected(
            400,
            f"messages.{place + 1}.content.0.type: Expected `thinking` or `redacted_thinking`, but"
            f" found `{kind}`. When `thinking` is enabled, a final `assistant` message must start"
            " with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result`"
            " blocks).",
        )


def _results(message: JSON) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(b.get("type") == "tool_result" for b in content)


def _paired(turns: tuple[Turn, ...]) -> None:
    if turns[-1].role == "assistant" and turns[-1].text != turns[-1].text.rstrip():
        raise Rejected(400, "messages: final assistant content cannot end with trailing whitespace")
    number, missing = unanswered_calls(turns)
    if missing:
        raise Rejected(
            400,
            f"messages.{number}: `tool_use` ids were found without `tool_result` blocks"
            f" immediately after: {', '.join(missing)}. Each `tool_use` block must have a"
            " corresponding `tool_result` block in the next message.",
        )
    number, stray = stray_result(turns)
    if stray:
        raise Rejected(
            400,
            f"messages.{number}.content.0: unexpected `tool_use_id` found in `tool_result`"
            f" blocks: {stray}. Each `tool_result` block must have a corresponding `tool_use`"
            " block in the previous message.",
        )


def _usage(usage: Usage, *, output: int) -> JSON:
    return {
        "input_tokens": usage.input - usage.cached - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": output,
        "service_tier": "standard",
    }


def _envelope(answer: Answer) -> JSON:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(answer.usage, output=min(1, answer.usage.output)),
    }


def _stop(answer: Answer) -> JSON:
    stop: JSON = {
        "stop_reason": _STOPS.get(answer.stop, answer.stop),
        "stop_sequence": answer.stop_sequence,
    }
    if answer.stop == "refusal":
        stop["stop_details"] = {
            "type": "refusal",
            "category": "general_harms",
            "explanation": "The simulator was told to refuse.",
        }
    return stop


def whole(answer: Answer, ask: Ask, stamp: Stamp) -> JSON:
    """Return the body of an answer that is not streamed."""
    body = _envelope(answer) | _stop(answer)
    for part in answer.parts:
        if isinstance(part, canon.Text):
            body["content"].append({"type": "text", "text": part.text})
        elif isinstance(part, canon.Thinking) and part.redacted:
            body["content"].append({"type": "redacted_thinking", "data": part.signature})
        elif isinstance(part, canon.Thinking):
            shown = part.text if ask.shows_thinking else ""
            block = {"type": "thinking", "thinking": shown, "signature": part.signature}
            body["content"].append(block)
        else:
            body["content"].append(_tool_block(part, _input(part.arguments)))
    body["usage"] = _final_usage(answer)
    return body


def _input(arguments: str) -> Any:
    """Return the arguments as a value; half a call as the empty object that is left of it."""
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return {}


def _tool_block(part: canon.ToolUse, value: Any) -> JSON:
    return {"type": "tool_use", "id": f"toolu_{part.id}", "name": part.name, "input": value}


def _final_usage(answer: Answer) -> JSON:
    usage = _usage(answer.usage, output=answer.usage.output)
    usage["output_tokens_details"] = {"thinking_tokens": answer.usage.reasoning}
    return usage


def stream(answer: Answer, ask: Ask, cutter: Cutter, stamp: Stamp) -> Iterator[Frame]:
    """Return the frames of a streamed answer."""
    yield _event("head", "message_start", message=_envelope(answer))
    for index, part in enumerate(answer.parts):
        if isinstance(part, canon.Text):
            opened: JSON = {"type": "text", "text": ""}
            deltas = _text(part, cutter, index)
        elif isinstance(part, canon.Thinking) and part.redacted:
            opened, deltas = {"type": "redacted_thinking", "data": part.signature}, iter(())
        elif isinstance(part, canon.Thinking):
            opened = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = _thinking(part, ask, cutter, index)
        else:
            opened = _tool_block(part, {})
            deltas = _arguments(part, cutter, index)
        yield _event("open", "content_block_start", index=index, content_block=opened)
        if index == 0:
            yield _event("ping", "ping")
        yield from deltas
        yield _event("close", "content_block_stop", index=index)
    yield _event("stop", "message_delta", delta=_stop(answer), usage=_final_usage(answer))
    yield _event("end", "message_stop")


def _event(kind: Any, name: str, *, chars: int = 0, **fields: Any) -> Frame:
    return frame(kind, {"type": name, **fields}, name=name, chars=chars)


def _delta(kind: Any, index: int, chars: int, **delta: Any) -> Frame:
    return _event(kind, "content_block_delta", chars=chars, index=index, delta=delta)


def _text(part: canon.Text, cutter: Cutter, index: int) -> Iterator[Frame]:
    for piece in cutter.deltas("text", part.text):
        yield _delta("text", index, len(piece), type="text_delta", text=piece)


def _thinking(part: canon.Thinking, ask: Ask, cutter: Cutter, index: int) -> Iterator[Frame]:
    for piece in cutter.deltas("thinking", part.text if ask.shows_thinking else ""):
        yield _delta("thinking", index, len(piece), type="thinking_delta", thinking=piece)
    yield _delta("signature", index, 0, type="signature_delta", signature=part.signature)


def _arguments(part: canon.ToolUse, cutter: Cutter, index: int) -> Iterator[Frame]:
    yield _delta("open", index, 0, type="input_json_delta", partial_json="")
    for piece in cutter.deltas("tool", part.arguments):
        yield _delta("tool", index, len(piece), type="input_json_delta", partial_json=piece)


def stream_error(error_type: str, message: str, stamp: Stamp) -> list[Frame]:
    """Return an error inside a stream, as the vendor sends it."""
    error = {"details": None, "type": error_type, "message": message}
    return [_event("error", "error", error=error, request_id=stamp.request_id)]
