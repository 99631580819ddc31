"""The words of the Messages API that both directions share: stop reasons, usage, block kinds."""

from __future__ import annotations

import msgspec

from outlast.nouns import Tokens
from outlast.wire.canon import JSON
from outlast.wire.stream import MalformedFrame, StopReason

STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
    "compaction": "pause_turn",
    "model_context_window_exceeded": "context_window",
}
"""Anthropic's words → ours. `compaction`: the client is asked to send the turn back, as with
`pause_turn`."""

STOP_WORDS: dict[StopReason, str] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
    "context_window": "model_context_window_exceeded",
}


def stop_reason(word: str) -> StopReason:
    """Return our word. One that is newer than this table ended the turn: nothing more is known."""
    return STOP_REASONS.get(word, "end_turn")


def arguments_of(tool_input: JSON | None) -> str:
    """Return a tool's input as the JSON text that streams carry. Raises MalformedFrame."""
    try:
        return msgspec.json.encode(tool_input or {}).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedFrame(f"the input of a tool cannot be read: {error}") from error


class OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class Usage(msgspec.Struct):
    """`usage` of message_start, message_delta and whole messages. Counts are cumulative."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


def merge_tokens(before: Tokens | None, usage: Usage | None) -> Tokens | None:
    """Return the counts after `usage`; what it leaves out keeps its value."""
    if usage is None:
        return before
    base = before or Tokens()
    details = usage.output_tokens_details
    return Tokens(
        input=_count(usage.input_tokens, base.input),
        output=_count(usage.output_tokens, base.output),
        cache_read=_count(usage.cache_read_input_tokens, base.cache_read),
        cache_write=_count(usage.cache_creation_input_tokens, base.cache_write),
        reasoning=_count(details.thinking_tokens if details else None, base.reasoning),
    )


def _count(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else max(0, value)


def usage_of(tokens: Tokens) -> JSON:
    """Return a `usage` object: the counts of the two sides do not overlap, as in Tokens."""
    usage: JSON = {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "output_tokens": tokens.output,
    }
    if tokens.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage
