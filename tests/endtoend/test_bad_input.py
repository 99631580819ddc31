"""Every mistake that a person makes gets a sentence that says what was wrong and what to do."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import msgspec
import pytest

from outlast.simulator import Fault, FaultKind, Match, Script
from tests.endtoend.place import CHAT, GOOD, MESSAGES, RESPONSES, SURFACES, Place, message_of
from tests.raw import ask, exchange, hang_up, read_reply

pytestmark = pytest.mark.asyncio(loop_scope="module")


def nested(depth: int) -> bytes:
    return b'{"model":"m","max_tokens":5,"messages":' + b"[" * depth + b"]" * depth + b"}"


BODIES: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 400, "the body is empty"),
    ("white space", b" \n ", 400, "the body is empty"),
    ("cut", b'{"model":"m","messages":[{"ro', 400, "ends in the middle"),
    ("trailing comma", b'{"model":"m",}', 400, "not JSON"),
    ("single quotes", b"{'model':'m'}", 400, "not JSON"),
    ("form data", b"model=m&stream=true", 400, "not JSON"),
    ("two objects", b'{"model":"m"}{"model":"m"}', 400, "not JSON"),
    ("NaN", b'{"model":"m","temperature":NaN}', 400, "not JSON"),
    ("Infinity", b'{"model":"m","temperature":-Infinity}', 400, "not JSON"),
    ("an array", b'[{"model":"m"}]', 400, "must be a JSON object, not"),
    ("a string", b'"m"', 400, "must be a JSON object, not"),
    ("null", b"null", 400, "must be a JSON object, not"),
    ("not UTF-8", b'{"model":"m\xff\xfe"}', 400, ""),
    ("UTF-16", '{"model":"m"}'.encode("utf-16"), 400, ""),
    ("no model", b'{"messages":[]}', 400, "model"),
    ("model null", b'{"model":null}', 400, "model"),
    ("model number", b'{"model":5}', 400, "must be a string"),
    ("model empty", b'{"model":""}', 400, "model"),
    ("model long", b'{"model":"' + b"m" * 5000 + b'"}', 400, "longer than"),
    ("model lone surrogate", b'{"model":"\\ud800"}', 400, "not JSON"),
    ("text lone surrogate", b'{"model":"m","x":"cut \\ud83d here, twice"}', 400, "not JSON"),
    ("model control", b'{"model":"a\\u0000b\\n"}', 404, "There is no model"),
    ("two models", b'{"model":"m","model":"to-chat"}', 400, "more than once"),
    ("stream text", b'{"model":"m","stream":"yes"}', 400, "true or false"),
    ("stream number", b'{"model":"m","stream":1}', 400, "true or false"),
    ("deep", nested(5000), 400, "nested too deeply"),
    ("very deep", nested(200_000), 400, "nested too deeply"),
]


@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize(
    ("raw", "status", "words"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES]
)
async def test_a_body_that_cannot_be_read_is_explained(
    place: Place, path: str, raw: bytes, status: int, words: str
) -> None:
    reply = await place.post(path, raw)
    assert reply.status == status
    assert words in message_of(path, reply)
    assert reply.headers["x-should-retry"] == "false"
    assert not place.vendor.requests


BROKEN_IMAGE = {"role": "user", "content": [{"type": "image", "source": 5}]}
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("messages is text", MESSAGES, {"messages": "Hi"}, "messages"),
    ("messages is missing", MESSAGES, {"messages": None}, "messages"),
    ("messages of numbers", MESSAGES, {"messages": [1, 2]}, "messages"),
    ("an unknown role", MESSAGES, {"messages": [{"role": "king", "content": "x"}]}, "role"),
    ("no limit", MESSAGES, {"max_tokens": None}, "max_tokens"),
    ("a limit in words", MESSAGES, {"max_tokens": "many"}, "max_tokens"),
    ("tools as an object", MESSAGES, {"tools": {"a": 1}}, "tools"),
    (
        "a broken image",
        MESSAGES,
        {"messages": [{"role": "user", "content": [{"type": "image", "source": 5}]}]},
        "source",
    ),
    ("a huge temperature", MESSAGES, {"temperature": 1e308}, "temperature"),
    ("tool_choice as a number", CHAT, {"tool_choice": 7}, "tool_choice"),
    ("messages is an object", CHAT, {"messages": {}}, "messages"),
    ("content is a number", CHAT, {"messages": [{"role": "user", "content": 5}]}, "content"),
    ("stop as numbers", CHAT, {"stop": [1]}, "stop"),
    ("two answers", CHAT, {"n": 2}, "n"),
    ("input is a number", RESPONSES, {"input": 5}, "input"),
    ("no input", RESPONSES, {"input": None}, "input"),
    ("an unknown item", RESPONSES, {"input": [{"type": 3}]}, "input"),
    ("kept state", RESPONSES, {"previous_response_id": "resp_1"}, "previous_response_id"),
]


@pytest.mark.parametrize(
    ("path", "change", "words"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
async def test_a_field_of_the_wrong_kind_is_named(
    place: Place, path: str, change: dict[str, Any], words: str
) -> None:
    """Where the request has to be translated: Outlast reads it, and says what it cannot read."""
    model = "to-chat" if path == MESSAGES else "m"
    body = {
        name: value
        for name, value in ({**GOOD[path], **change, "model": model}).items()
        if value is not None
    }
    reply = await place.post(path, body)
    if change.get("temperature"):
        # What is only too much is the vendor's to say, or made to fit.
        assert reply.status in {200, 400}
        return
    assert reply.status == 400, reply.body
    assert words in message_of(path, reply)


@pytest.mark.parametrize("path", SURFACES)
async def test_odd_but_legal_json_is_passed_on_as_it_is(place: Place, path: str) -> None:
    odd = msgspec.json.encode(GOOD[path])[:-1]
    odd += b',"x":1,"x":2,"big":123456789012345678901234567890e999,"small":1e-999,"":""}'
    own = {MESSAGES: "m", CHAT: "to-chat", RESPONSES: ""}[path]
    reply = await place.post(path, odd.replace(b'"m"', f'"{own or "m"}"'.encode()))
    if own:
        assert place.vendor.requests[-1].raw.endswith(odd[-60:])
    else:
        assert reply.status in {200, 400}
        message = reply.json()
        assert message


@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize(
    ("model", "near"),
    [
        ("claude-opus-4.8", "claude-opus-4-8"),
        ("claude-sonet-5", "claude-sonnet-5"),
        ("CLAUDE-OPUS-4-8", "claude-"),
        ("zzzzzz", "m"),
    ],
)
async def test_an_unknown_model_is_told_with_the_nearest_names(
    place: Place, path: str, model: str, near: str
) -> None:
    reply = await place.post(path, {**GOOD[path], "model": model})
    assert reply.status == 404
    message = message_of(path, reply)
    assert f"There is no model '{model}'" in message
    assert near in message.partition("Nearest: ")[2]
    assert "GET /v1/models" in message


@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_of_100_megabytes_is_refused_and_the_client_can_read_why(
    place: Place, path: str, chunked: bool
) -> None:
    size = 100 << 20
    lines = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {place.running.key}\r\n"
    lines += "transfer-encoding: chunked\r\n\r\n" if chunked else f"content-length: {size}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    async with asyncio.timeout(30):
        writer.write(lines.encode())
        piece = b" " * (1 << 20)
        for _ in range(100):
            writer.write(b"100000\r\n" + piece + b"\r\n" if chunked else piece)
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
        reply = await read_reply(reader)
    await hang_up(writer)
    assert reply.status == 413
    message = message_of(path, reply)
    assert "larger than 64 MiB" in message
    assert "server.body_limit_bytes" in message
    assert reply.closed
    assert (await place.post(path, GOOD[path])).status == 200


@pytest.mark.parametrize("path", SURFACES)
async def test_a_compressed_body_is_refused(place: Place, path: str) -> None:
    raw = gzip.compress(msgspec.json.encode(GOOD[path]))
    headers = [("x-api-key", place.running.key), ("content-encoding", "gzip")]
    reply = await place.post(path, raw, headers)
    assert reply.status == 415
    assert "'gzip'" in message_of(path, reply)


async def test_too_many_or_too_large_headers_are_refused(place: Place) -> None:
    many = [(f"x-{number}", "1") for number in range(300)]
    large = [("x-large", "a" * 20_000)]
    for headers, words in ((many, "More than 200 headers"), (large, "larger than 16384 bytes")):
        reply = await place.post(MESSAGES, GOOD[MESSAGES], headers)
        assert (reply.status, reply.closed) == (431, True)
        assert words in reply.body.decode()
    long = await ask(place.running.url, "GET", "/v1/models?x=" + "a" * 20_000)
    assert long.status == 431


async def test_a_slow_head_is_not_waited_for_for_ever(place: Place) -> None:
    reply = await exchange(place.running.url, b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-")
    assert (reply.status, reply.closed) == (408, True)
    assert "head did not arrive" in reply.body.decode()


@pytest.mark.parametrize("path", SURFACES)
async def test_a_slow_body_is_not_waited_for_for_ever(place: Place, path: str) -> None:
    key = place.running.key
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: 500\r\n\r\n"
    gateway = place.running.service.gateway
    usual_s, gateway.body_read_s = gateway.body_read_s, 0.2
    reply = await exchange(place.running.url, head.encode() + b'{"model":')
    gateway.body_read_s = usual_s
    assert (reply.status, reply.closed) == (408, True)
    assert "body did not arrive" in message_of(path, reply)


async def test_a_connection_that_says_nothing_is_closed(place: Place) -> None:
    reply = await exchange(place.running.url, b"")
    assert reply.status == 408


async def test_what_is_not_http_is_refused(place: Place) -> None:
    for raw in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELO there\r\n\r\n"):
        reply = await exchange(place.running.url, raw)
        assert reply.status == 400


@pytest.mark.parametrize("sign", ["\x00", "\x07", "\x7f", "\x1b[31m"])
async def test_control_characters_in_a_header_do_no_harm(place: Place, sign: str) -> None:
    headers = [("x-api-key", place.running.key), ("x-odd", f"a{sign}b")]
    reply = await place.post(MESSAGES, GOOD[MESSAGES], headers)
    if reply.status == 200:
        # Passed on as it came or left out; the vendor's parser decides.
        assert place.vendor.requests
    else:
        assert reply.status == 400
    smuggled = [("x-api-key", place.running.key), ("outlast-allow", f"any{sign}")]
    assert (await place.post(MESSAGES, GOOD[MESSAGES], smuggled)).status == 400


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", MESSAGES, "POST"),
        ("PUT", CHAT, "POST"),
        ("DELETE", RESPONSES, "POST"),
        ("POST", "/v1/models", "GET"),
        ("PATCH", "/healthz", "GET"),
    ],
)
async def test_a_wrong_method_is_told_the_right_one(
    place: Place, method: str, path: str, allowed: str
) -> None:
    key = {"authorization": f"Bearer {place.running.key}"}
    reply = await ask(place.running.url, method, path, key)
    assert reply.status == 405
    assert reply.headers["allow"] == allowed
    assert f"{path} takes {allowed}, not {method}" in message_of(path, reply)


@pytest.mark.parametrize(
    "path", ["/v1/complete", "/v1/messages/", "/messages", "/", "/v1//messages", "/v1/files"]
)
async def test_an_unknown_path_is_told_the_known_ones(place: Place, path: str) -> None:
    key = [("authorization", f"Bearer {place.running.key}")]
    reply = await place.post(path, GOOD[MESSAGES], key)
    assert reply.status == (405 if path == "/" else 404)
    assert "location" not in reply.headers
    said = reply.json()["error"]
    assert set(said) == {"message", "type", "param", "code"}
    theirs = await place.post(path, GOOD[MESSAGES], [*key, ("anthropic-version", "2023-06-01")])
    assert theirs.json()["type"] == "error"
    if path != "/":
        assert "/v1/messages, /v1/chat/completions" in said["message"]


@pytest.mark.parametrize("path", SURFACES)
async def test_an_unknown_allow_is_told_the_known_ones(place: Place, path: str) -> None:
    headers = [("x-api-key", place.running.key), ("outlast-allow", "everything")]
    reply = await place.post(path, GOOD[path], headers)
    assert reply.status == 400
    words = "outlast-allow is 'everything'; it may be one of: same-model, same-vendor, any, local"
    assert words in message_of(path, reply)


@pytest.mark.parametrize("path", SURFACES)
async def test_an_allow_that_nobody_satisfies_is_told_as_that(place: Place, path: str) -> None:
    """The only one that may answer is down, and the caller wants no other model."""
    down = Fault(FaultKind.STATUS, status=529, match=Match(model="a"))
    place.vendor.script = Script(seed=1, faults=(down,))
    headers = [("x-api-key", place.running.key), ("outlast-allow", "same-model")]
    reply = await place.post(path, {**GOOD[path], "model": "fickle"}, headers)
    assert reply.status == (529 if path == MESSAGES else 503)
    assert "here: HTTP 529" in message_of(path, reply)
    assert {request.model for request in place.vendor.requests} == {"a"}
    headers[1] = ("outlast-allow", "Any ")
    free = await place.post(path, {**GOOD[path], "model": "fickle"}, headers)
    assert free.status == 200
    assert free.headers["outlast-degraded"] == "other-model"


async def test_small_endpoints_want_a_key_too_and_speak_both_dialects(place: Place) -> None:
    for path in ("/v1/models", "/v1/models/m", "/v1/receipts/req_1"):
        openai = await ask(place.running.url, "GET", path)
        assert openai.status == 401
        assert "type" not in openai.json()
        version = {"anthropic-version": "2023-06-01"}
        claude = await ask(place.running.url, "GET", path, version)
        assert (claude.status, claude.json()["type"]) == (401, "error")


async def test_a_client_that_leaves_in_the_middle_of_its_request_harms_nobody(
    place: Place,
) -> None:
    for cut in (b"POST", b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"):
        _, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(cut)
        await writer.drain()
        await hang_up(writer)
    assert (await place.post(CHAT, GOOD[CHAT])).status == 200


async def test_a_client_that_leaves_lets_go_of_the_vendor(place: Place) -> None:
    place.vendor.script = Script(seed=1, tokens_per_s=5)
    body = msgspec.json.encode({**GOOD[MESSAGES], "max_tokens": 4000, "stream": True})
    key = place.running.key
    head = f"POST {MESSAGES} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(head.encode() + body)
    await reader.readuntil(b"content_block_delta")
    await hang_up(writer)
    async with asyncio.timeout(5):
        while not place.vendor.requests[-1].client_closed_early:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
