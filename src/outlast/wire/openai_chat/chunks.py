"""The shapes of a chat answer as servers send it: a whole one and a chunk of a stream.

As strict as the meaning needs and no stricter: fields that only say more may have any type, those
that carry content may not.
"""

from __future__ import annotations

from typing import Any

import msgspec

from outlast.nouns import Tokens
from outlast.wire.canon import JSON
from outlast.wire.stream import MalformedFrame


class FunctionPiece(msgspec.Struct):
    name: str | None = None
    arguments: str | JSON | None = None
    """Some servers send the object itself."""


class CustomPiece(msgspec.Struct):
    name: str | None = None
    input: str | None = None


class CallPiece(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None
    custom: CustomPiece | None = None


class Delta(msgspec.Struct):
    """A piece of a message, or a whole one: they have the same fields."""

    content: str | list[JSON] | None = None
    """A list from servers that put reasoning there as parts (Mistral)."""
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    tool_calls: list[CallPiece] | None = None
    function_call: FunctionPiece | None = None
    audio: JSON | None = None


class Choice(msgspec.Struct):
    index: int | None = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    """vLLM: the stop sequence that was met."""


class Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    object: Any = None
    choices: list[Choice] | msgspec.UnsetType | None = msgspec.UNSET
    usage: Any = None
    error: Any = None


_DECODER = msgspec.json.Decoder(Chunk)


def decode_chunk(data: bytes) -> Chunk:
    """Return the chunk. Raises MalformedFrame."""
    try:
        return _DECODER.decode(data)
    except msgspec.ValidationError as error:
        raise MalformedFrame(f"not a chat completion chunk: {error}") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MalformedFrame(f"not JSON: {error}") from error
    except RecursionError as error:
        raise MalformedFrame("not a chat completion chunk: nested too deeply") from error


def decode_any(data: bytes) -> object:
    """Return any JSON value. Raises MalformedFrame."""
    try:
        value: object = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise MalformedFrame(f"not JSON: {error}") from error
    return value


def convert_answer(body: JSON) -> Chunk:
    """Return a decoded whole answer in the same shape. Raises MalformedFrame."""
    try:
        return msgspec.convert(body, Chunk)
    except msgspec.ValidationError as error:
        raise MalformedFrame(f"not a chat completion: {error}") from error
    except RecursionError as error:
        raise MalformedFrame("not a chat completion: nested too deeply") from error


def tokens_of(usage: object) -> Tokens | None:
    """Return the counts of a usage object; None where it says nothing.

    `prompt_tokens` includes what came from the cache and went into it; Tokens keep them apart.
    """
    if not isinstance(usage, dict):
        return None
    prompt, output = count_of(usage.get("prompt_tokens")), count_of(usage.get("completion_tokens"))
    if not prompt and not output:
        return None
    details = usage.get("prompt_tokens_details")
    if not isinstance(details, dict):
        details = {}
    # `prompt_cache_hit_tokens` is DeepSeek's.
    read = count_of(details.get("cached_tokens")) or count_of(usage.get("prompt_cache_hit_tokens"))
    write = count_of(details.get("cache_write_tokens"))
    said = usage.get("completion_tokens_details")
    reasoning = count_of(said.get("reasoning_tokens")) if isinstance(said, dict) else 0
    return tokens_from(prompt, output, read, write, reasoning)


def tokens_from(prompt: int, output: int, read: int, write: int, reasoning: int) -> Tokens:
    """Return these counts, where `prompt` includes what was read from a cache and written to it."""
    read = min(read, prompt)
    write = min(write, prompt - read)
    return Tokens(
        input=prompt - read - write,
        output=output,
        cache_read=read,
        cache_write=write,
        reasoning=reasoning,
    )


def usage_of(tokens: Tokens) -> JSON:
    """Return the usage object that says these counts."""
    prompt = tokens.input + tokens.cache_read + tokens.cache_write
    details: JSON = {"cached_tokens": tokens.cache_read}
    if tokens.cache_write:
        details["cache_write_tokens"] = tokens.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens.output,
        "total_tokens": prompt + tokens.output,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def count_of(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(max(0, min(value, 1 << 53)))
