"""Each fault, seen from outside by a raw client, is what the script says, to the byte."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp
import msgspec
import pytest

from outlast.simulator import Fault, FaultKind, Match, Recorded, Script, Vendor, text, tool_use
from outlast.simulator.script import Where
from outlast.wire.sse import SSEParser

PATHS = ("/v1/messages", "/v1/chat/completions", "/v1/responses")
K = FaultKind


class Seen(msgspec.Struct):
    """What a client saw of one answer."""

    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    error: str = ""
    """Name of the client's exception, where the answer did not end cleanly."""

    @property
    def events(self) -> list[dict[str, Any]]:
        found = SSEParser().feed(self.body)
        return [msgspec.json.decode(e.data) for e in found if e.data and e.data != b"[DONE]"]

    @property
    def text(self) -> str:
        return "".join(_text(event) for event in self.events)

    @property
    def arguments(self) -> str:
        return "".join(_arguments(event) for event in self.events)


def _text(event: dict[str, Any]) -> str:
    if event.get("type") == "response.output_text.delta":
        return str(event["delta"])
    if event.get("type") == "content_block_delta":
        return str(event["delta"].get("text", ""))
    return "".join(c["delta"].get("content") or "" for c in event.get("choices", ()))


def _arguments(event: dict[str, Any]) -> str:
    if event.get("type") == "response.function_call_arguments.delta":
        return str(event["delta"])
    if event.get("type") == "content_block_delta":
        return str(event["delta"].get("partial_json", ""))
    calls = [call for c in event.get("choices", ()) for call in c["delta"].get("tool_calls", ())]
    return "".join(call["function"]["arguments"] for call in calls)


def asked(path: str, *, stream: bool = True, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": "Tell me [[chars=800]]"}]
    field = "input" if path == "/v1/responses" else "messages"
    return {"model": "m", "max_tokens": 5000, field: turns, "stream": stream, **more}


async def ask(
    vendor: Vendor,
    path: str = PATHS[0],
    body: dict[str, Any] | None = None,
    *,
    tls: ssl.SSLContext | bool = True,
) -> Seen:
    seen = Seen()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(vendor.url + path, json=body or asked(path), ssl=tls) as response,
        ):
            seen.status = response.status
            seen.headers = {k.lower(): v for k, v in response.headers.items()}
            async for chunk in response.content.iter_any():
                seen.body += chunk
    except aiohttp.ClientError as error:
        seen.error = type(error).__name__
    return seen


def one(**row: Any) -> Script:
    return Script(seed=5, faults=(Fault(**row),))


def last(vendor: Vendor) -> Recorded:
    return vendor.requests[-1]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("after", [0, 1, 317])
async def test_a_cut_after_n_characters_of_text_leaves_exactly_these(
    path: str, how: Any, after: int
) -> None:
    async with Vendor(one(kind=K.CUT, where="text", after_chars=after, how=how)) as vendor:
        seen = await ask(vendor, path)
        truth = vendor.answer(path, asked(path)).text
    assert seen.status == 200
    assert seen.text == truth[:after]
    assert seen.error
    assert last(vendor).fault is not None
    assert not last(vendor).client_closed_early


@pytest.mark.parametrize("path", PATHS)
async def test_a_clean_eof_in_the_text_looks_like_an_end(path: str) -> None:
    async with Vendor(one(kind=K.EOF, where="text", after_share=0.5)) as vendor:
        seen = await ask(vendor, path)
        truth = vendor.answer(path, asked(path)).text
    assert seen.text == truth[:400]
    assert not seen.error


@pytest.mark.parametrize("path", PATHS)
async def test_a_cut_inside_a_tool_call_leaves_half_of_its_arguments(path: str) -> None:
    script = one(kind=K.CUT, where="tool", after_chars=11)
    plan = (text("I write."), tool_use("rm", path="/", only_if="empty"))
    async with Vendor(msgspec.structs.replace(script, answers=(plan,))) as vendor:
        seen = await ask(vendor, path)
        (call,) = vendor.answer(path, asked(path)).calls
    assert seen.text == "I write."
    assert seen.arguments == call.arguments[:11]
    assert seen.error


async def test_a_cut_inside_thinking_comes_before_its_signature() -> None:
    async with Vendor(one(kind=K.CUT, where="thinking", after_chars=50)) as vendor:
        body = asked(PATHS[0], thinking={"type": "adaptive"})
        seen = await ask(vendor, PATHS[0], body)
        truth = vendor.answer(PATHS[0], body).thinking
    thought = "".join(e["delta"].get("thinking", "") for e in seen.events if "delta" in e)
    assert thought == truth[:50]
    assert b"signature_delta" not in seen.body


async def test_a_fault_in_a_place_that_the_answer_lacks_does_not_happen() -> None:
    async with Vendor(one(kind=K.CUT, where="tool")) as vendor:
        seen = await ask(vendor)
    assert not seen.error
    assert last(vendor).fault is None
    assert last(vendor).finished


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("where", "kinds"),
    [
        ("after_head", 0),
        ("before_content", None),
        ("before_end", None),
        ("end", None),
    ],
)
async def test_cuts_between_the_parts_of_a_stream(
    path: str, where: Where, kinds: int | None
) -> None:
    async with Vendor() as vendor:
        whole = (await ask(vendor, path)).body
        vendor.script = Script(faults=(Fault(K.CUT, where=where),))
        seen = await ask(vendor, path)
        truth = vendor.answer(path, asked(path)).text
    assert seen.status == 200
    assert seen.error
    assert len(seen.body) < len(whole)
    assert seen.text == (truth if where in {"before_end", "end"} else "")
    assert kinds is None or len(seen.events) == kinds


async def test_bytes_and_events_can_be_counted_out() -> None:
    async with Vendor() as vendor:
        whole = (await ask(vendor)).body
        vendor.script = Script(faults=(Fault(K.CUT, after_bytes=777),))
        assert (await ask(vendor)).body == whole[:777]
        vendor.script = Script(faults=(Fault(K.EOF, after_events=4),))
        assert len((await ask(vendor)).events) == 4


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("row", [Fault(K.RESET), Fault(K.RESET, where="accept")])
async def test_a_reset_before_the_head_gives_no_answer_at_all(row: Fault, stream: bool) -> None:
    async with Vendor(Script(faults=(row,))) as vendor:
        seen = await ask(vendor, body=asked(PATHS[0], stream=stream))
    assert seen.status == 0
    assert seen.error in {"ClientOSError", "ClientConnectorError", "ServerDisconnectedError"}


async def test_refusing_is_a_closed_port_and_ends_by_itself() -> None:
    async with Vendor(Script(faults=(Fault(K.REFUSE, for_s=3600),), speed=36000)) as vendor:
        port = vendor.port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0)
        writer.close()
        assert vendor.at_s >= 3600
        assert (await ask(vendor)).status == 200
        vendor.script = Script(faults=(Fault(K.REFUSE),))
        assert (await ask(vendor)).error == "ClientConnectorError"
        vendor.script = Script()
        assert (await ask(vendor)).status == 200


async def test_kept_alive_connections_do_not_get_round_a_closed_port() -> None:
    async with Vendor() as vendor, aiohttp.ClientSession() as session:
        url = vendor.url + PATHS[0]
        async with session.post(url, json=asked(PATHS[0], stream=False)) as response:
            await response.read()
        vendor.script = Script(faults=(Fault(K.REFUSE),))
        with pytest.raises(aiohttp.ClientError):
            await session.post(url, json=asked(PATHS[0], stream=False))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 503, 504, 529]
)
async def test_statuses_have_the_vendors_bodies(path: str, status: int) -> None:
    async with Vendor(one(kind=K.STATUS, status=status, retry_after_s=7)) as vendor:
        seen = await ask(vendor, path)
    body = msgspec.json.decode(seen.body)
    assert seen.status == status
    assert body["error"]["message"]
    if path == PATHS[0]:
        assert (body["type"], body["request_id"]) == ("error", seen.headers["request-id"])
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert seen.headers["x-request-id"]
    assert (seen.headers.get("retry-after") == "7") is (status in {429, 503, 529})
    if status == 429:
        name = "anthropic-ratelimit-requests-remaining"
        other = "x-ratelimit-remaining-requests"
        assert seen.headers[name if path == PATHS[0] else other] == "0"


async def test_an_html_page_comes_from_the_proxy_in_front() -> None:
    async with Vendor(one(kind=K.STATUS, status=502, html=True)) as vendor:
        seen = await ask(vendor)
    assert seen.headers["content-type"] == "text/html"
    assert b"<h1>502 Bad Gateway</h1>" in seen.body


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("where", ["before_content", "text"])
async def test_an_error_in_a_200_is_the_last_event(path: str, where: Where) -> None:
    async with Vendor(one(kind=K.STREAM_ERROR, where=where)) as vendor:
        seen = await ask(vendor, path)
    final = seen.events[-1]
    assert seen.status == 200
    assert not seen.error
    if path == PATHS[0]:
        assert final["error"]["type"] == "overloaded_error"
    elif path == PATHS[1]:
        assert final["error"]["code"] == "server_is_overloaded"
    else:
        assert final["type"] == "response.failed"
        assert [e["sequence_number"] for e in seen.events] == list(range(len(seen.events)))
    assert bool(seen.text) is (where == "text")


async def test_a_whole_answer_fails_by_status_where_a_stream_fails_inside() -> None:
    async with Vendor(one(kind=K.STREAM_ERROR)) as vendor:
        assert (await ask(vendor, body=asked(PATHS[0], stream=False))).status == 529


@pytest.mark.parametrize("where", ["before_head", "after_head", "before_content", "text"])
async def test_a_stall_is_silence_until_the_client_leaves(where: Where) -> None:
    script = one(kind=K.STALL, where=where, after_chars=20)
    async with Vendor(script) as vendor:
        whole = vendor.answer(PATHS[0], asked(PATHS[0])).text
        reader, writer = await asyncio.open_connection("127.0.0.1", vendor.port)
        writer.write(_raw(asked(PATHS[0])))
        seen = b""
        # The last thing that comes before the silence.
        last_words = {
            "before_head": b"",
            "after_head": b"\r\n\r\n",
            "before_content": b"event: ping",
            "text": b"text_delta",
        }[where]
        while last_words not in seen:
            seen += await reader.read(65536)
        with pytest.raises(TimeoutError):  # noqa: PT012
            async with asyncio.timeout(0.1):
                while more := await reader.read(65536):
                    seen += more
        writer.close()
        await writer.wait_closed()
        while not last(vendor).client_closed_early:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert not last(vendor).finished
    assert (where == "before_head") is (seen == b"")
    assert whole.encode()[-20:] not in seen


def _raw(body: dict[str, Any], path: str = PATHS[0]) -> bytes:
    data = msgspec.json.encode(body)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


@pytest.mark.parametrize(
    ("then", "clean", "whole"),
    [("go_on", True, True), ("cut", False, False), ("eof", True, False), ("error", True, False)],
)
async def test_after_a_stall_comes_what_is_scripted(then: Any, clean: bool, whole: bool) -> None:
    async with Vendor(one(kind=K.STALL, where="text", stall_s=0.01, then=then)) as vendor:
        seen = await ask(vendor)
        truth = vendor.answer(PATHS[0], asked(PATHS[0])).text
    assert (not seen.error) is clean
    assert seen.text == (truth if whole else truth[:400])


async def test_one_malformed_frame_is_still_a_frame_and_the_rest_is_sound() -> None:
    async with Vendor(one(kind=K.MALFORMED, where="text", after_chars=10)) as vendor:
        seen = await ask(vendor)
    broken = []
    for event in SSEParser().feed(seen.body):
        try:
            msgspec.json.decode(event.data)
        except msgspec.DecodeError:
            broken.append(event)
    assert [event.name for event in broken] == ["content_block_delta"]
    assert seen.body.rstrip().endswith(b'{"type":"message_stop"}')


async def test_garbage_is_the_same_for_the_same_seed() -> None:
    row = {"kind": K.GARBAGE, "where": "text", "size_bytes": 500}
    async with Vendor(one(**row)) as vendor:
        first = await ask(vendor)
        vendor.script = one(**row)
        again = await ask(vendor)
    assert b"\xff" in first.body
    assert first.body == again.body
    with pytest.raises(UnicodeDecodeError):
        first.body.decode()


async def test_half_a_tool_call_ends_as_if_it_were_whole() -> None:
    plan = ((tool_use("rm", path="/", only_if="empty"),),)
    script = msgspec.structs.replace(one(kind=K.HALF_TOOL), answers=plan)
    async with Vendor(script) as vendor:
        seen = await ask(vendor)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(seen.arguments)
    assert seen.events[-1]["type"] == "message_stop"
    assert seen.events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_wrong_headers_and_torn_bodies_of_whole_answers() -> None:
    body = asked(PATHS[0], stream=False)
    async with Vendor(one(kind=K.CONTENT_TYPE)) as vendor:
        seen = await ask(vendor, body=body)
        assert seen.headers["content-type"] == "text/html"
        assert msgspec.json.decode(seen.body)["type"] == "message"
        vendor.script = one(kind=K.CONTENT_TYPE, html=True)
        assert (await ask(vendor, body=body)).body.startswith(b"<html>")
        vendor.script = one(kind=K.TRUNCATED_JSON)
        seen = await ask(vendor, body=body)
        assert not seen.error
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(seen.body)
        vendor.script = one(kind=K.CONTENT_LENGTH)
        assert (await ask(vendor, body=body)).error == "ClientPayloadError"
        vendor.script = one(kind=K.CONTENT_LENGTH, off_by=-10)
        reader, writer = await asyncio.open_connection("127.0.0.1", vendor.port)
        writer.write(_raw(body))
        head, _, sent = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert f"content-length: {len(sent) - 10}".encode() in head
        vendor.script = one(kind=K.CUT)
        assert (await ask(vendor, body=body)).error
        vendor.script = Script()
        assert (await ask(vendor, body=body)).status == 200


async def test_slow_tokens_come_ever_slower_and_all_arrive() -> None:
    row = Fault(K.SLOW, where="text", after_chars=780, tokens_per_s=2000, slowdown=1.2)
    async with Vendor(Script(faults=(row,))) as vendor:
        seen = await ask(vendor)
        truth = vendor.answer(PATHS[0], asked(PATHS[0])).text
    assert seen.text == truth
    assert last(vendor).fault == row


async def test_a_failing_handshake_fails_and_a_sound_one_serves() -> None:
    script = Script(tls=True, faults=(Fault(K.TLS, requests="1"),))
    async with Vendor(script) as vendor:
        assert vendor.ca_file
        trust = ssl.create_default_context(cafile=str(vendor.ca_file))
        assert (await ask(vendor, tls=trust)).error in {
            "ClientConnectorSSLError",
            "ClientConnectorError",
        }
        vendor.script = Script(tls=True)
        seen = await ask(vendor, tls=trust)
        assert (seen.status, seen.error) == (200, "")
        assert (await ask(vendor)).error == "ClientConnectorCertificateError"


async def test_rows_choose_by_number_path_model_and_stream() -> None:
    rows = (
        Fault(K.STATUS, requests="1-2", status=500),
        Fault(K.STATUS, match=Match(path="/v1/chat/*"), status=503),
        Fault(K.STATUS, match=Match(model="claude-*", stream=False), status=529),
    )
    async with Vendor(Script(faults=rows)) as vendor:
        assert [(await ask(vendor)).status for _ in range(3)] == [500, 500, 200]
        assert (await ask(vendor, PATHS[1])).status == 503
        claude = asked(PATHS[0]) | {"model": "claude-x"}
        assert (await ask(vendor, body=claude)).status == 200
        assert (await ask(vendor, body=claude | {"stream": False})).status == 529
        vendor.script = vendor.script
        assert (await ask(vendor)).status == 500, "a new script counts from 1 again"


async def test_a_share_of_failures_is_drawn_from_the_seed() -> None:
    async def run(seed: int) -> list[int]:
        rows = (Fault(K.STATUS, status=500, share=0.3),)
        async with Vendor(Script(seed=seed, faults=rows)) as vendor:
            body = asked(PATHS[0], stream=False)
            return [(await ask(vendor, body=body)).status for _ in range(40)]

    first = await run(1)
    assert first == await run(1)
    assert first != await run(2)
    assert 4 <= first.count(500) <= 20


async def test_the_vendor_remembers_what_it_was_asked() -> None:
    async with Vendor() as vendor, aiohttp.ClientSession() as session:
        async with session.head(vendor.url + "/") as response:
            assert response.status == 200
        await ask(vendor, PATHS[2])
    head, request = vendor.requests
    assert (head.number, head.method, request.number) == (0, "HEAD", 1)
    assert (request.path, request.model, request.finished) == (PATHS[2], "m", True)
    assert request.body == asked(PATHS[2])
    assert request.headers["content-type"] == "application/json"
    assert request.sent_bytes > 1000


async def test_connections_are_kept_alive_and_pipelined_requests_answered_in_order() -> None:
    async with Vendor() as vendor:
        reader, writer = await asyncio.open_connection("127.0.0.1", vendor.port)
        body = asked(PATHS[0], stream=False)
        writer.write(_raw(body) + _raw(body, PATHS[1]) + b"GARBAGE\r\n\r\n")
        seen = await reader.read()
        writer.close()
    assert seen.count(b"HTTP/1.1 200 OK") == 2
    assert b'"chat.completion"' in seen


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"model":1,"max_tokens":5,"messages":[[]]}', b"\xff", b"null"]
)
async def test_bodies_that_are_no_request_get_a_400(body: bytes) -> None:
    async with Vendor() as vendor, aiohttp.ClientSession() as session:
        async with session.post(vendor.url + PATHS[0], data=body) as response:
            assert response.status == 400
            assert (await response.json())["error"]["type"] == "invalid_request_error"
        async with session.post(vendor.url + "/v2/nothing", data=b"{}") as response:
            assert response.status == 404
