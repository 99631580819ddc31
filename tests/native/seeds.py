"""Bytes to begin from: what people and vendors send, and what stands at the edges of JSON."""

from __future__ import annotations

import json
import random
from typing import Any

from outlast.wire.canon import JSON
from tests.gateway.test_express import CHAT, MESSAGE
from tests.native.streams import chunked, reads, stream

TEXTS = [
    "Hi",
    "é 🦀 \u2028 \x7f",
    'say "no" \\ / \n\t',
    "[Outlast: a cannot answer now; b answers instead.]\n\n",
    '"model":"x"',
    '"signature"',
    'a"thinking',
    "x" * 40,
]
VALUES: list[Any] = [None, True, False, 0, -1, 1.5e3, 1e-7, 10**30, "", [], {}, [{}], TEXTS]
KEYS = [
    "model",
    "stream",
    "max_tokens",
    "thinking",
    "temperature",
    "signature",
    "system",
    "mod\tel",
]
JSON_EDGES = [
    b'{"model":"m"}',
    b' \n{ "model"\t: "m" ,\r\n"stream" : true } ',
    b'{"mo\\u0064el":"m"}',
    b'{"model":"\\u006d"}',
    b'{"model":"m","model":"m"}',
    b'{"model":"m","a":"\\ud83e\\udd80"}',
    b'{"model":"m","a":"\\ud83e"}',
    b'{"model":"m","a":"\xff"}',
    b'{"model":"m","a":"\xed\xa0\x80"}',
    b'{"model":"m","a":[01]}',
    b'{"model":"m","a":-}',
    b'{"model":"m","a":1.}',
    b'{"model":"m","a":1e400}',
    b'{"model":"m","a":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"model":"m","a":' + b"[" * 100 + b"]" * 100 + b"}",
    b'{"model":"m","stream":1}',
    b'{"model":"m","stream":true,"stream":false}',
    b'{"model":"m","a":{"stream":true,"model":"n"}}',
    b'{"model":"m",}',
    b'{"model":"m"}{}',
    b'{"model":"m","x\\"thinking":1}',
    b'{"model":"m","x\\"thinking" :1}',
    b'{"model":"m","x":"a\\"signature"}',
    b'{"model":"m","x":"signature"}',
    b'{"model":"m","x":"thinking"}',
    b'{"model":"m","thinking"\n:1}',
    b'{"model":"' + b"m" * 256 + b'"}',
    b'{"model":"' + b"m" * 257 + b'"}',
    b'{"model":"m","a":"\x1f"}',
    b"",
    b"[]",
    b'"model"',
]
HEAD_LINES = [
    b"content-type: application/json",
    b"Content-Type:application/json; charset=utf-8",
    b"x-request-id: r1",
    b"Request-Id: r2",
    b"request-id:  r3 ",
    b"x-ratelimit-remaining: 7",
    b"X-RateLimit-Remaining: 8",
    b"set-cookie: a=b",
    b"connection: keep-alive",
    b"Connection: Keep-Alive",
    b"connection: close",
    b"connection: keep-alive, x",
    b"transfer-encoding: chunked",
    b"content-encoding: gzip",
    b"trailer: x",
    b"upgrade: h2c",
    b"keep-alive: timeout=5",
    b"x-odd: \xe9",
    b"x-tab: a\tb",
    b"x-empty:",
    b"x-space : 1",
    b" folded: 1",
    b"x-control: a\x01",
    b"no colon",
    b": nameless",
    b"retry-after: 3",
    b"openai-version: 2020-10-01",
    b"anthropic-organization-id: o",
]


LENGTHS = [b"content-length: %d", b"Content-Length:%d", b"Content-length: 0%d"]
FIRST_LINES = [
    b"HTTP/1.1 200 ",
    b"HTTP/1.1 200",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 201 OK",
    b"HTTP/1.1 200 O\xe9",
]


def body(rng: random.Random) -> bytes:
    """A request's body, good as a rule."""
    if rng.random() < 0.2:
        return rng.choice(JSON_EDGES)
    said: dict[str, Any] = {"model": rng.choice(["m", "gpt-5", "é", "a/b"])}
    if rng.random() < 0.5:
        said["stream"] = rng.choice([True, False, None, "yes"])
    for _ in range(rng.randrange(4)):
        said[rng.choice(KEYS)] = rng.choice(VALUES + TEXTS)
    said["messages"] = [{"role": "user", "content": rng.choice(TEXTS)}]
    items = list(said.items())
    rng.shuffle(items)
    return json.dumps(
        dict(items), ensure_ascii=rng.random() < 0.3, indent=rng.choice([None, None, 1])
    ).encode()


def completion(rng: random.Random) -> bytes:
    """An answer's body, good as a rule."""
    said: Any = json.loads(json.dumps(rng.choice([CHAT, CHAT, CHAT, MESSAGE])))
    usage = said["usage"]
    if rng.random() < 0.4:
        usage["prompt_tokens_details"] = rng.choice(
            [None, {"cached_tokens": rng.randrange(12)}, {"cache_write_tokens": 2, "x": 1}, []]
        )
        usage["completion_tokens_details"] = rng.choice([None, {"reasoning_tokens": 2}, {}])
    if rng.random() < 0.2:
        usage["prompt_cache_hit_tokens"] = rng.randrange(20)
    place = rng.choice([said, usage, *(said.get("choices") or [])])
    for _ in range(rng.choice([0, 0, 1, 2])):
        place[rng.choice([*place, "error", "delta", "refusal", "x"])] = rng.choice(VALUES + TEXTS)
    return json.dumps(said, ensure_ascii=rng.random() < 0.5).encode()


def message(rng: random.Random) -> bytes:
    """A message's body, good as a rule."""
    said: Any = json.loads(json.dumps(MESSAGE))
    usage = said["usage"]
    said["content"][0]["text"] = rng.choice(TEXTS)
    if rng.random() < 0.2:
        said["content"] *= 2
    if rng.random() < 0.4:
        usage["cache_read_input_tokens"] = rng.choice([None, 0, 5])
        usage["cache_creation_input_tokens"] = rng.choice([None, 0, 7])
        usage["output_tokens_details"] = rng.choice([None, {}, {"thinking_tokens": 3}])
    if rng.random() < 0.2:
        said["id"] = rng.choice(["", "chatcmpl-1", "chatcmpl", "é"])
    place = rng.choice([said, usage, said["content"][0]])
    for _ in range(rng.choice([0, 0, 1, 2])):
        place[rng.choice([*place, "citations", "error", "x"])] = rng.choice(VALUES + TEXTS)
    return json.dumps(said, ensure_ascii=rng.random() < 0.3).encode()


OPTIONS: list[Any] = [{"include_usage": True}] * 4
OPTIONS += [{"include_usage": False}, {}, None, {"x": 1}]


def question(rng: random.Random) -> bytes:
    """A chat request of turns of text, good as a rule."""
    roles = ["user", "assistant"] * 3
    many, operator = rng.choice([1, 3, 5]), rng.choice(["system", "developer"])
    turns: list[JSON] = [{"role": one, "content": rng.choice(TEXTS)} for one in roles[:many]]
    operators: list[JSON] = [{"role": operator, "content": rng.choice(TEXTS)}]
    said: dict[str, Any] = {"model": "m", "messages": operators * rng.randrange(3) + turns}
    if rng.random() < 0.5:
        said["max_tokens"] = rng.choice([1, 200, None, 4096, 10**6, 0, 5.0, 2**31, 2**31 + 1])
    if rng.random() < 0.2:
        said["max_completion_tokens"] = rng.choice([7, None, 10**7])
    if rng.random() < 0.3:
        said["stream"] = rng.choice([False, None, True])
    if rng.random() < 0.2:
        said |= {
            "stream": rng.choice([True, True, True, None]),
            "stream_options": rng.choice(OPTIONS),
        }
    if rng.random() < 0.2:
        rng.choice([said, *turns])[rng.choice(["name", "tools", "role", "user"])] = rng.choice(
            VALUES
        )
    if rng.random() < 0.2:
        rng.choice(turns)["content"] = rng.choice(["", " ", " \n", "\u00a0", "\u2028", None])
    items = list(said.items())
    rng.shuffle(items)
    return json.dumps(dict(items), ensure_ascii=rng.random() < 0.3).encode()


def answer(rng: random.Random) -> bytes:
    """An upstream's answer, good as a rule."""
    content = completion(rng) if rng.random() < 0.5 else b"x" * rng.randrange(3)
    lines = [rng.choice(HEAD_LINES[:4]) for _ in range(rng.randrange(3))]
    if rng.random() < 0.4:
        lines.append(rng.choice(HEAD_LINES))
    size = len(content) + (rng.random() < 0.03) - (rng.random() < 0.03)
    lines.append(rng.choice(LENGTHS) % size)
    if rng.random() < 0.05:
        lines.append(b"content-length: %d" % len(content))
    rng.shuffle(lines)
    first = b"HTTP/1.1 200 OK"
    if rng.random() < 0.2:
        first = rng.choice(FIRST_LINES)
    end = b"\n" if rng.random() < 0.03 else b"\r\n"
    return end.join([first, *lines, b"", content]) + rng.choice(
        [b"", b"", b"", b"", b"", b"\r\n", b"x"]
    )


def bent(rng: random.Random, data: bytes) -> bytes:
    """The same with something wrong in it, half of the times."""
    for _ in range(rng.choice([0, 0, 0, 0, 1, 2, 5])):
        if not data:
            return data
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[at + rng.randrange(1, 9) :]
            case 2:
                data = data[:at] + rng.choice([b'"', b"\\", b"\r\n", b",", b"}", b"\0"]) + data[at:]
            case 3:
                data = data[:at]
            case _:
                other = rng.randrange(len(data))
                data = data[:at] + data[other : other + rng.randrange(1, 20)] + data[at:]
    return data


MAKERS = {
    "body": body,
    "answer": answer,
    "completion": completion,
    "message": message,
    "question": question,
    "stream": stream,
    "chunked": chunked,
    "reads": reads,
}
