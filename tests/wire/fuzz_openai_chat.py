"""Hostile input for the chat completions codec and the splicer.

`python -m tests.wire.fuzz_openai_chat 1000000` feeds a million inputs, made by mutating sound
ones: bytes flipped, cut, repeated and swapped; values exchanged for others of every JSON type.
Only the declared exceptions may come out, and nothing may take long or hold much memory.
"""

from __future__ import annotations

import copy
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from outlast.nouns import Format
from outlast.wire import splice
from outlast.wire.canon import BadRequest, Request
from outlast.wire.openai_chat import CODEC, Reader
from outlast.wire.sse import EndlessEvent, SSEParser
from outlast.wire.stream import MalformedFrame
from tests.wire.cases_openai_chat import CASES, sse

SLOW_S = 2.0
"""No single input of these sizes (under 100 kB) may take longer; nearly all take under 1 ms."""

_REQUEST: dict[str, Any] = {
    "model": "m",
    "stream": True,
    "max_tokens": 5,
    "temperature": 0.5,
    "stop": ["a", "b"],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"model": {}}}},
        {"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "reasoning_effort": "low",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "file", "file": {"filename": "a.txt", "file_data": "SGk="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "r",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "assistant", "function_call": {"name": "g", "arguments": "{}"}},
        {"role": "function", "name": "g", "content": "2"},
    ],
}
_ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "c",
                "reasoning_content": "r",
                "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
            },
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {}},
}
_ERROR: dict[str, Any] = {"error": {"message": "m", "type": "t", "param": None, "code": 5}}

_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, 1e300, 1 << 70, -(1 << 70), 10**400, "", "x", "\ud800",
    "\x00\r\n", "data:;base64,", "data:image/png;base64," + "A" * 1000, "é" * 500, [], {}, [[]],
    [None], {"": {}},
    "function", "custom", "stop", "tool_calls", "model", '"model":"x"', "assistant", "tool",
]  # fmt: skip
_PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n\n", b"\r\n", b"data: ", b"\xff", b"\x00",
    b'"model":', b"\\u006d", b"\\ud800", b"1e999", b"[" * 3000, b'{"a":' * 2000,
    b"data: [DONE]\n\n", b"null", b'"index":', b"-1", b"99999999999999999999",
]  # fmt: skip
_WRITER_REQUEST = Request("m", (), Format.OPENAI_CHAT, stream=True, include_usage=True)


def _mutated_value(value: Any, rng: random.Random) -> Any:
    """Return a deep copy with one value somewhere exchanged, removed or repeated."""
    value = copy.deepcopy(value)
    node = value
    for _ in range(rng.randint(0, 8)):
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = rng.choice(keys)
        if isinstance(node[key], (dict, list)) and node[key] and rng.random() < 0.75:
            node = node[key]
            continue
        match rng.randint(0, 3):
            case 0 if isinstance(node, dict):
                del node[key]
            case 1 if isinstance(node, list):
                node.extend([node[key]] * rng.randint(1, 5))
            case _:
                node[key] = rng.choice(_ODD)
        break
    return value


def _mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        match rng.randint(0, 4):
            case 0:
                data = data[:at] + rng.choice(_PIECES) + data[at:]
            case 1:
                data = data[:at] + data[at + rng.randint(1, 20) :]
            case 2:
                data = data[:at]
            case 3 if data:
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case _:
                end = min(len(data), at + rng.randint(1, 200))
                data = data[:end] + data[at:end] + data[end:]
    return data


def _read_stream(rng: random.Random) -> None:
    frames = copy.deepcopy(rng.choice(CASES)[1])
    for index, frame in enumerate(frames):
        if not isinstance(frame, str) and rng.random() < 0.4:
            frames[index] = _mutated_value(frame, rng)
    if rng.random() < 0.3:
        frames.insert(rng.randint(0, len(frames)), rng.choice(frames))
    stream = sse(frames)
    if rng.random() < 0.5:
        stream = _mutated_bytes(stream, rng)
    cut = rng.randint(0, len(stream))
    parser, reader, writer = SSEParser(), Reader(), CODEC.writer(_WRITER_REQUEST)
    blocks = 0
    try:
        for piece in (stream[:cut], stream[cut:]):
            for frame in parser.feed(piece):
                for event in reader.feed(frame):
                    writer.write(event)
                    blocks += 1
        reader.finish()
    except (MalformedFrame, EndlessEvent):
        pass
    assert blocks <= 20 + len(stream)


def _decoded(value: Any) -> Any:
    """What the service would hand on: only what is JSON, decoded as it decodes."""
    try:
        return msgspec.json.decode(json.dumps(value))
    except (msgspec.MsgspecError, UnicodeError):
        return None


def _parse_request(rng: random.Random) -> None:
    body = _REQUEST
    for _ in range(rng.randint(1, 3)):
        body = _mutated_value(body, rng)
    decoded = _decoded(body)
    if not isinstance(decoded, dict):
        return
    try:
        request = CODEC.parse_request(decoded)
        rendered = CODEC.render_request(request)
    except BadRequest:
        return
    msgspec.json.encode(rendered.body)


def _parse_answer(rng: random.Random) -> None:
    decoded = _decoded(_mutated_value(_mutated_value(_ANSWER, rng), rng))
    if not isinstance(decoded, dict):
        return
    try:
        events = CODEC.parse_answer(decoded)
        body = CODEC.render_answer(events, _WRITER_REQUEST)
    except MalformedFrame:
        return
    msgspec.json.encode(body)


def _parse_error(rng: random.Random) -> None:
    body = json.dumps(_mutated_value(_ERROR, rng)).encode()
    error = CODEC.parse_error(rng.randint(300, 600), _mutated_bytes(body, rng))
    msgspec.json.encode(CODEC.render_error(error, "req_1"))
    assert len(error.message) <= 2_000


def _splice(rng: random.Random) -> None:
    body = json.dumps(_mutated_value(_REQUEST, rng)).encode()
    if rng.random() < 0.7:
        body = _mutated_bytes(body, rng)
    try:
        head = splice.read_head(body)
    except BadRequest:
        return
    new = splice.splice(body, head, "other")
    assert splice.read_head(new).model == "other"
    assert splice.replace_model(new, "other", head.model).count(b"{") == body.count(b"{")


TARGETS: list[Callable[[random.Random], None]] = [
    _read_stream,
    _parse_request,
    _parse_answer,
    _parse_error,
    _splice,
]


def fuzz(cases: int, seed: int) -> float:
    """Feed so many inputs; return the longest time that one took, in seconds.

    Raises whatever a target lets through, with the case's own seed as a note.
    """
    slowest = 0.0
    for number in range(cases):
        rng = random.Random(f"{seed}/{number}")
        target = TARGETS[number % len(TARGETS)]
        started = time.perf_counter()
        try:
            target(rng)
        except BaseException as error:
            error.add_note(f"{target.__name__}, seed {seed}, case {number}")
            raise
        slowest = max(slowest, time.perf_counter() - started)
    return slowest


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    slowest = fuzz(cases, seed)
    took = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{cases} inputs in {took:.0f} s, slowest {slowest * 1000:.0f} ms, memory +{grown:.0f} MB"
    )
    if slowest > SLOW_S:
        raise SystemExit(f"an input took {slowest:.1f} s")


if __name__ == "__main__":
    main()
