"""Hostile input for the Responses codec: only declared exceptions, no hang, bounded output.

    PYTHONPATH=src python -m tests.wire.fuzz_openai_responses 1000000 [seed]

runs that many cases against each parser: requests, streams, whole answers, error bodies.
"""

from __future__ import annotations

import copy
import random
import sys
import time
from typing import Any

import msgspec

from outlast.wire.canon import BadRequest
from outlast.wire.openai_responses import CODEC
from outlast.wire.sse import EndlessEvent, SSEParser, format_event
from outlast.wire.stream import AnswerEvent, MalformedFrame
from tests.wire.cases_openai_responses import CASES, sse

_WORDS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 10**15, 1.5, 1e300, "", "x", "message", "reasoning", "\x00",
    "function_call", "function_call_output", "custom_tool_call", "item_reference", "input_text",
    "input_image", "input_file", "output_text", "refusal", "namespace", "custom", "function",
    "data:image/png;base64,QQ==", "data:,", "call_1", "developer", "assistant", [], {}, [[]], [{}],
    {"type": "function"}, {"type": "message", "role": "user"}, "response.completed", "é" * 50,
)  # fmt: skip
_KEYS = (
    "type", "role", "content", "name", "call_id", "arguments", "output", "input", "text", "delta",
    "output_index", "content_index", "item", "part", "id", "response", "summary", "tools", "error",
    "status", "namespace", "image_url", "file_data", "format", "usage", "encrypted_content",
    "previous_response_id", "model",
)  # fmt: skip
_REQUEST: dict[str, Any] = {
    "model": "m",
    "instructions": "i",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "s"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_image", "image_url": "data:image/png;base64,QQ=="}],
        },
        {"type": "web_search_call", "id": "ws"},
        {"role": "user", "content": [{"type": "input_file", "file_data": "QQ=="}]},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object"}},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]},
        {"type": "custom", "name": "p", "format": {"type": "text"}},
    ],
    "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "max_output_tokens": 5,
    "metadata": {"k": "v"},
}
_STREAMS = [case.frames for case in CASES]
_WHOLE = [case.frames[-1]["response"] for case in CASES if "response" in case.frames[-1]]
_ERRORS = [
    b'{"error":{"message":"m","type":"t","param":null,"code":"c"}}',
    b"<html><title>502</title></html>",
    b'{"detail":[{"msg":"m"}]}',
    b"\xff\xfe",
]


def _spots(value: Any, found: list[tuple[Any, Any]]) -> None:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            _spots(value[key], found)


def _mutated(rng: random.Random, value: Any) -> Any:
    """Return a copy with a few values exchanged, taken out, doubled or added."""
    value = copy.deepcopy(value)
    for _ in range(rng.randrange(1, 4)):
        spots: list[tuple[Any, Any]] = []
        _spots(value, spots)
        if not spots:
            return value
        holder, key = rng.choice(spots)
        way = rng.randrange(5)
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif way == 2 and isinstance(holder, dict):
            holder[rng.choice(_KEYS)] = copy.deepcopy(rng.choice(_WORDS))
        elif way == 3:
            holder[key] = copy.deepcopy(rng.choice(spots)[0])
        else:
            holder[key] = copy.deepcopy(rng.choice(_WORDS))
    return value


def _bytes(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes with a few flipped, cut out or doubled."""
    damaged = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if not damaged:
            break
        at = rng.randrange(len(damaged))
        way = rng.randrange(4)
        if way == 0:
            damaged[at] = rng.randrange(256)
        elif way == 1:
            del damaged[at : at + rng.randrange(1, 30)]
        elif way == 2:
            damaged[at:at] = damaged[at : at + rng.randrange(1, 30)]
        else:
            damaged[at:at] = bytes(rng.choices(b'{}[]",:\n\r\\u0', k=rng.randrange(1, 6)))
    return bytes(damaged)


def _is_brief(error: Exception) -> None:
    """Hostile input must not come back at full length in messages and logs."""
    if len(str(error)) > 1000:
        raise AssertionError(f"an error of {len(str(error))} characters: {error!s:.200}")


def _request(rng: random.Random) -> None:
    try:
        request = CODEC.parse_request(_mutated(rng, _REQUEST))
        body = CODEC.render_request(request).body
    except BadRequest as error:
        _is_brief(error)
    else:
        msgspec.json.encode(body)


def _written(events: list[AnswerEvent]) -> None:
    """Whatever a reader accepts, the writer must be able to say."""
    request = CODEC.parse_request({"model": "m", "input": "x"})
    writer = CODEC.writer(request)
    for event in events:
        writer.write(event)


def _stream(rng: random.Random) -> None:
    frames = rng.choice(_STREAMS)
    if rng.random() < 0.7:
        mutated = [f for f in _mutated(rng, frames) if isinstance(f, dict)]
        rng.shuffle(mutated) if rng.random() < 0.1 else None
        data = b"".join(format_event(msgspec.json.encode(frame), "x") for frame in mutated)
    else:
        data = _bytes(rng, sse(frames))
    parser, reader = SSEParser(), CODEC.reader()
    events: list[AnswerEvent] = []
    try:
        for event in parser.feed(data):
            events += reader.feed(event)
    except (MalformedFrame, EndlessEvent) as error:
        _is_brief(error)
    assert len(events) < 1000
    _written(events)


def _whole(rng: random.Random) -> None:
    try:
        events = CODEC.parse_answer(_mutated(rng, rng.choice(_WHOLE)))
    except MalformedFrame as error:
        _is_brief(error)
    else:
        _written(events)


def _error(rng: random.Random) -> None:
    error = CODEC.parse_error(rng.randrange(100, 600), _bytes(rng, rng.choice(_ERRORS)))
    assert 0 < len(error.message) < 3000


PARSERS = {"requests": _request, "streams": _stream, "whole answers": _whole, "errors": _error}


def fuzz(cases: int, seed: int) -> None:
    """Run `cases` inputs against each parser. Raises whatever was not declared."""
    for name, parser in PARSERS.items():
        rng = random.Random(f"{name} {seed}")
        for number in range(cases):
            try:
                parser(rng)
            except Exception as error:
                error.add_note(f"parser {name}, seed {seed}, case {number}")
                raise


def main() -> None:
    import resource

    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for name in list(PARSERS):
        parser = PARSERS[name]
        rng = random.Random(f"{name} {seed}")
        begin = time.monotonic()
        slowest = 0.0
        for number in range(cases):
            before = time.monotonic()
            try:
                parser(rng)
            except Exception as error:
                error.add_note(f"parser {name}, seed {seed}, case {number}")
                raise
            slowest = max(slowest, time.monotonic() - before)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{name}: {cases} cases in {time.monotonic() - begin:.0f} s, "
            f"slowest {slowest * 1000:.0f} ms, peak memory {memory} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
