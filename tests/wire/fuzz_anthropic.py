"""Hostile input for the event stream parser and the Messages API codec.

`fuzz(cases, seed)` mutates good inputs and feeds so many to each parser; only the declared
exceptions may come out. `python -m tests.wire.fuzz_anthropic 1000000` feeds a million to each.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from outlast.nouns import Format
from outlast.wire.anthropic import CODEC, parse_prompt
from outlast.wire.anthropic.repair import without_unsigned_thinking
from outlast.wire.canon import BadRequest, Message, Request, Text, Untranslatable
from outlast.wire.codec import ApiError
from outlast.wire.estimate import estimate_request
from outlast.wire.sse import EndlessEvent, SSEParser
from outlast.wire.stream import MalformedFrame
from tests.wire.cases_anthropic import CASES, stream

LIMIT_BYTES = 16 << 10
"""Of one event: small, so that the limit is met too."""

SCALARS: list[Any] = [
    None, True, False, 0, -1, 1, 3.5, 1e308, 10**30, "", "a", "tool_use", "\x00", "é🦊", [], {},
    [[]], {"type": "text"}, {"type": "tool_use"}, "data:image/png;base64,AA", "x" * 300,
]  # fmt: skip
PIECES = [
    b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\n\r", b"data:", b"event: ", b": ", b"\xef\xbb\xbf",
    b"{", b"}", b"[", b'"', b"\\", b"\\ud83d", b"null", b"1e999", b"-", b"\x00", b"\xff",
    b"[" * 2000, b'{"a":' * 2000,
    b"data: x\n" * 50, b"9" * 5000,
]  # fmt: skip

BODIES: list[dict[str, Any]] = [
    {
        "model": "claude-opus-4-8",
        "max_tokens": 1000,
        "stream": True,
        "system": [{"type": "text", "text": "Be kind", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Later"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": "s"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, {}]}},
                    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": False,
                        "content": [
                            {"type": "text", "text": "42"},
                            {
                                "type": "image",
                                "source": {
                                    "type": "base64",
                                    "media_type": "image/png",
                                    "data": "AA==",
                                },
                            },
                        ],
                    },
                    {
                        "type": "document",
                        "title": "T",
                        "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                    },
                    {
                        "type": "search_result",
                        "title": "T",
                        "source": "https://a",
                        "content": [{"type": "text", "text": "x"}],
                    },
                ],
            },
        ],
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
        "output_config": {
            "effort": "high",
            "format": {"type": "json_schema", "schema": {"type": "object"}},
        },
        "temperature": 0.5,
        "stop_sequences": ["a"],
        "metadata": {"user_id": "u"},
    }
]
STREAMS = [stream(case.frames) for case in CASES]
ANSWERS = [case.whole for case in CASES if case.whole is not None]
ERRORS = [
    b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    b'{"error":{"message":"No","type":"x","param":"p","code":7}}',
    b"<html><title>502</title>",
]
REQUEST = Request("m", (Message("user", (Text("Hi"),)),), Format.ANTHROPIC)


class Report(NamedTuple):
    cases: int
    refused: int
    seconds: float
    slowest_s: float
    memory_mib: float
    """The most that the process ever held."""


def mangle(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with a few cuts, copies, insertions and flips."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0:
                out[at : at + rng.randrange(1, 40)] = b""
            case 1:
                out[at:at] = rng.choice(PIECES)
            case 2 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 3:
                start = rng.randrange(len(out) + 1)
                out[at:at] = out[start : start + rng.randrange(200)]
            case _:
                del out[at:]
    return bytes(out)


def bend(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """Return a JSON value with some of its parts replaced, removed or repeated."""
    if rng.random() < 0.04:
        return rng.choice(SCALARS)
    if isinstance(value, dict):
        items = {key: bend(rng, inner, depth + 1) for key, inner in value.items()}
        if items and rng.random() < 0.05:
            del items[rng.choice(list(items))]
        if rng.random() < 0.03:
            items[rng.choice(["type", "content", "source", "id", "input", "x"])] = rng.choice(
                SCALARS
            )
        return items
    if isinstance(value, list):
        items_ = [bend(rng, inner, depth + 1) for inner in value]
        if items_ and rng.random() < 0.1:
            items_ *= rng.randrange(3)
        return items_
    return value


def nested(rng: random.Random) -> Any:
    value: Any = "deep"
    for _ in range(rng.choice([10, 200, 900])):
        value = {"type": "object", "items": value} if rng.random() < 0.5 else [value]
    return value


def _stream(rng: random.Random) -> None:
    data = mangle(rng, rng.choice(STREAMS))
    parser, reader, writer = SSEParser(LIMIT_BYTES), CODEC.reader(), CODEC.writer(REQUEST)
    size = rng.choice([1, 7, 64, len(data) + 1])
    if size == 1:
        data = data[:600]
    for start in range(0, len(data), size):
        for frame in parser.feed(data[start : start + size]):
            for event in reader.feed(frame):
                writer.write(event)
        assert len(parser.rest) <= LIMIT_BYTES


def _request(rng: random.Random) -> None:
    body = bend(rng, rng.choice(BODIES))
    if not isinstance(body, dict):
        return
    if rng.random() < 0.02:
        body[rng.choice(list(body) or ["x"])] = nested(rng)
    without_unsigned_thinking(body)
    request = parse_prompt(body) if rng.random() < 0.3 else CODEC.parse_request(body)
    estimate_request(request)
    origin = rng.choice(list(Format))
    CODEC.render_request(msgspec.structs.replace(request, origin=origin))


def _answer(rng: random.Random) -> None:
    body = bend(rng, rng.choice(ANSWERS))
    if isinstance(body, dict):
        if rng.random() < 0.02:
            body["content"] = [{"type": "tool_use", "input": {"a": nested(rng)}}]
        CODEC.render_answer(CODEC.parse_answer(body), REQUEST)


def _error(rng: random.Random) -> None:
    status = rng.choice([0, 200, 400, 429, 500, 529, 999])
    error = CODEC.parse_error(status, mangle(rng, rng.choice(ERRORS)))
    assert isinstance(error, ApiError)
    assert len(error.message) <= 2000
    msgspec.json.encode(CODEC.render_error(error, "req_1"))


TARGETS: list[tuple[Callable[[random.Random], None], tuple[type[Exception], ...]]] = [
    (_stream, (MalformedFrame, EndlessEvent)),
    (_request, (BadRequest, Untranslatable)),
    (_answer, (MalformedFrame,)),
    (_error, ()),
]


def fuzz(cases: int, seed: int) -> Report:
    """Feed `cases` hostile inputs to each target, in turn; raise what is not declared."""
    rng = random.Random(seed)
    begun = time.perf_counter()
    refused, slowest = 0, 0.0
    total = cases * len(TARGETS)
    for number in range(total):
        target, declared = TARGETS[number % len(TARGETS)]
        started = time.perf_counter()
        try:
            target(rng)
        except declared:
            refused += 1
        except Exception as error:
            error.add_note(f"case {number} of seed {seed}, {target.__name__}")
            raise
        slowest = max(slowest, time.perf_counter() - started)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Report(total, refused, time.perf_counter() - begun, slowest, memory)


if __name__ == "__main__":
    print(fuzz(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
