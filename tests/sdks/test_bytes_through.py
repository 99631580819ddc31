"""Same format on both sides: what leaves is what came, but for the model's name and the key."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from outlast.simulator import Script, ToolPart, Vendor, text
from outlast.simulator.truth import sign
from tests.raw import Reply, ask
from tests.sdks.house import FORMATS, KINDS, PATHS
from tests.sdks.tap import Tap, tapped
from tests.service import Running, route, serving, settings, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

PING = b'event: ping\ndata: {"type":"ping"}\n\n'


class Wire(msgspec.Struct):
    running: Running
    vendor: Vendor
    taps: dict[str, Tap]

    async def post(
        self, name: str, target: str, body: bytes, headers: list[tuple[str, str]]
    ) -> Reply:
        own = [("x-api-key", self.running.key), ("content-type", "application/json")]
        return await ask(self.running.url, "POST", target, [*own, *headers], body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_wire(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wire]:
    async with (
        Vendor(Script(seed=1)) as vendor,
        tapped(vendor.port) as one,
        tapped(vendor.port) as two,
        tapped(vendor.port) as three,
    ):
        taps = dict(zip(FORMATS, (one, two, three), strict=True))
        chosen = settings(
            tmp_path_factory.mktemp("wire"),
            [upstream(name, KINDS[name], taps[name].url) for name in FORMATS],
            [
                *(route(f"public-{name}", f"{name}/inner-{name}") for name in FORMATS),
                *(route(f"same-{name}", name) for name in FORMATS),
            ],
        )
        async with serving(chosen) as running:
            yield Wire(running, vendor, taps)


@pytest_asyncio.fixture(loop_scope="module")
async def wire(shared_wire: Wire) -> Wire:
    shared_wire.vendor.script = Script(seed=1)
    for tap in shared_wire.taps.values():
        tap.forget()
    return shared_wire


THOUGHT = "I thought « this »."
CLAUDE = (
    b'{\n  "max_tokens" : 1.6e1,  "model"\t:\t"public-anthropic",\r\n "system":['
    b'{"type":"text","text":"x-anthropic-billing-header: cc_version=2; cch=00000;"},'
    b'{"type":"text","text":"Second.","cache_control":{"type":"ephemeral","ttl":"1h"}},'
    b'{"type":"text","text":"Third \\u00e9 \xc3\xa9 \\ud83d\\ude00 \\/"}], "stream":STREAM,'
    b' "messages":[{"role":"user","content":"Say \\"model\\":\\"public-anthropic\\""},'
    b'{"role":"assistant","content":[{"type":"thinking","thinking":"'
    + THOUGHT.encode()
    + b'","signature":"'
    + sign(THOUGHT).encode()
    + b'"},{"type":"text","text":"Yes."}]},{"role":"system","content":"In the middle."},'
    b'{"role":"user","content":"On."}], "an_unknown_field":{"z":1,"a":[1.0,1e2,-0,'
    b'12345678901234567890123,{"model":"public-anthropic"}],"z":2},'
    b'"context_management":{"edits":[{"type":"clear_thinking_20251015"}]},'
    b'"output_config":{"effort":"high"},"thinking":{"type":"adaptive"},'
    b'"metadata":{"user_id":"{\\"device\\":1}"}  }\n'
)
CHAT = (
    b' {"stream":STREAM,"messages":[{"role":"system","content":"S"},{"content":'
    b'"Hi \\u00e9 \xc3\xa9","role":"user"}],"stream_options":{"include_usage":true,"odd":1},'
    b' "model" : "public-chat","unknown":[1.50,{"model":"public-chat"}],"temperature":7e-1}'
)
RESPONSES = (
    b'{"model":"public-responses","input":[{"role":"developer","content":"D"},{"role":"user",'
    b'"content":[{"type":"input_text","text":"Hi \\u00e9"}]}],"store":false,"include":'
    b'["reasoning.encrypted_content"],"client_metadata":{"a":"b"},"stream":STREAM,'
    b'"prompt_cache_key":"k","tools":[{"type":"namespace","name":"n","tools":[]}]}'
)
BODIES = {"anthropic": CLAUDE, "chat": CHAT, "responses": RESPONSES}

streamed = pytest.mark.parametrize("stream", [b"false", b"true"], ids=["whole", "stream"])
surfaces = pytest.mark.parametrize("surface", FORMATS)


@surfaces
@streamed
async def test_the_body_differs_in_the_models_name_alone(
    wire: Wire, surface: str, stream: bytes
) -> None:
    body = BODIES[surface].replace(b"STREAM", stream).replace(b"1.6e1", b"900")
    reply = await wire.post(surface, PATHS[surface], body, [])
    assert reply.status == 200, reply.body
    _, _, arrived = wire.taps[surface].request()
    public, inner = f'"public-{surface}"'.encode(), f'"inner-{surface}"'.encode()
    place = re.search(rb'"model"\s*:\s*("public-\w+")', body)
    assert place is not None
    start, end = place.span(1)
    assert arrived == body[:start] + inner + body[end:]
    assert arrived.count(public) == body.count(public) - 1


@surfaces
async def test_a_model_that_keeps_its_name_leaves_the_body_alone(wire: Wire, surface: str) -> None:
    body = BODIES[surface].replace(b"STREAM", b"true").replace(b"1.6e1", b"900")
    body = body.replace(b'"public-', b'"same-')
    reply = await wire.post(surface, PATHS[surface], body, [])
    assert reply.status == 200, reply.body
    assert wire.taps[surface].request()[2] == body


@surfaces
@streamed
@pytest.mark.parametrize("chunking", ["event", "random"])
async def test_the_answer_is_the_vendors_byte_for_byte(
    wire: Wire, surface: str, stream: bytes, chunking: str
) -> None:
    """With thinking, text and parallel calls. Only pings of the vendor's from before the first
    content are left out: what they say is over when it may be shown."""
    parts = (
        text("Voilà « 👩‍👩‍👧 » \u2028."),
        ToolPart(name="one", arguments={"a": "é"}),
        ToolPart(name="two", arguments={}),
    )
    wire.vendor.script = Script(seed=1, chunking=chunking, answers=((), parts), show_reasoning=True)  # type: ignore[arg-type]
    if surface != "anthropic":
        wire.vendor.script = Script(seed=1, chunking=chunking, answers=(parts,))  # type: ignore[arg-type]
    body = BODIES[surface].replace(b"STREAM", stream).replace(b"1.6e1", b"900")
    reply = await wire.post(surface, PATHS[surface], body, [])
    sent = wire.taps[surface].answer()
    assert b"one" in sent
    assert reply.status == 200
    assert reply.whole
    if surface == "anthropic" and stream == b"true":
        assert sent.count(PING) == 1
        sent = sent.replace(PING, b"")
    assert reply.body == sent


async def test_headers_go_through_but_for_those_that_are_ours(wire: Wire) -> None:
    """Open lists: whatever begins with `anthropic-`, and whatever nobody knows yet."""
    through = [
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14"),
        ("anthropic-beta", "made-up-tomorrow-2027-01-01"),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("anthropic-something-new", 'a;b="c"'),
        ("x-claude-code-session-id", "5a1b"),
        ("x-stainless-retry-count", "0"),
        ("user-agent", "claude-cli/2.1.197"),
        ("x-app", "cli"),
    ]
    ours = [
        ("cookie", "session=1"),
        ("outlast-allow", "any"),
        ("connection", "keep-alive"),
        ("accept-encoding", "br, zstd"),
        ("x-forwarded-for", "10.0.0.1"),
    ]
    body = CLAUDE.replace(b"STREAM", b"true").replace(b"1.6e1", b"900")
    await wire.post("anthropic", "/v1/messages?beta=true", body, [*through, *ours])
    target, headers, _ = wire.taps["anthropic"].request()
    assert target == "/v1/messages?beta=true"
    arrived = dict(headers)
    betas = [value for name, value in through if name == "anthropic-beta"]
    assert [one.strip() for one in arrived.pop("anthropic-beta").split(",")] == [
        flag for value in betas for flag in value.split(",")
    ]
    for name, value in through:
        assert name == "anthropic-beta" or arrived[name] == value
    assert arrived["x-api-key"] == "secret-of-anthropic"
    assert "authorization" not in arrived
    assert not {"cookie", "outlast-allow", "x-forwarded-for"} & set(arrived)
    assert arrived["accept-encoding"] == "identity"
    assert wire.running.key not in str(headers)


@pytest.mark.parametrize("surface", ["chat", "responses"])
async def test_openai_upstreams_get_their_own_credential(wire: Wire, surface: str) -> None:
    body = BODIES[surface].replace(b"STREAM", b"false")
    more = [("openai-beta", "assistants=v2"), ("openai-organization", "org-of-the-caller")]
    await wire.post(surface, f"{PATHS[surface]}?a=%20b&c", body, more)
    target, headers, _ = wire.taps[surface].request()
    assert target == f"{PATHS[surface]}?a=%20b&c"
    arrived = dict(headers)
    assert arrived["authorization"] == f"Bearer secret-of-{surface}"
    assert "x-api-key" not in arrived
    assert arrived["openai-beta"] == "assistants=v2"


async def test_the_vendors_limits_and_ids_come_back(wire: Wire) -> None:
    body = CLAUDE.replace(b"STREAM", b"true").replace(b"1.6e1", b"900")
    reply = await wire.post("anthropic", "/v1/messages", body, [])
    assert reply.headers["anthropic-ratelimit-requests-limit"] == "4000"
    assert re.fullmatch(r"req_[0-9a-f]{20}", reply.headers["request-id"])
    assert reply.headers["content-type"].startswith("text/event-stream")
