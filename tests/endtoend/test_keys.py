"""Keys that open, keys that do not and why, and what each key may do and see."""

from __future__ import annotations

import asyncio

import pytest

from outlast.accounts.keys import mint
from outlast.simulator import Script
from tests.endtoend.place import CHAT, GOOD, MESSAGES, SURFACES, Place, message_of
from tests.raw import Reply, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")


def mistyped(key: str) -> str:
    return key[:10] + ("a" if key[10] != "a" else "b") + key[11:]


async def _with(place: Place, path: str, *headers: tuple[str, str]) -> Reply:
    return await place.post(path, GOOD[path] | {"model": "m"}, list(headers))


@pytest.mark.parametrize("path", SURFACES)
async def test_keys_that_do_not_open_say_why(place: Place, path: str) -> None:
    key = place.running.key
    unknown, _ = mint(b"\x01" * 32, name="x", at=0)
    rows: list[tuple[list[tuple[str, str]], str]] = [
        ([], "No API key came"),
        ([("x-api-key", "")], "No API key came"),
        ([("authorization", "Basic dXNlcjpwYXNz")], "No API key came"),
        ([("authorization", "Bearer")], "No API key came"),
        ([("x-api-key", unknown)], "not known here, or was revoked"),
        ([("x-api-key", mistyped(key))], "typing error"),
        ([("x-api-key", key[:-3])], "it was cut"),
        ([("x-api-key", key + "x")], "something was added"),
        ([("x-api-key", "sk-ant-api03-abcdef")], "not a key of Outlast"),
        ([("authorization", "Bearer sk-proj-abc")], "not a key of Outlast"),
        ([("x-api-key", key), ("authorization", f"Bearer {unknown}")], "Two different keys"),
        ([("x-api-key", "é\u00ff")], "not a key of Outlast"),
        ([("x-api-key", "ol_" + "k" * 9000)], ""),
    ]
    for headers, words in rows:
        reply = await _with(place, path, *headers)
        assert reply.status == 401, headers
        assert words in message_of(path, reply)
        for _, value in headers:
            sent = value.removeprefix("Bearer ")
            assert len(sent) < 12 or sent not in reply.body.decode()
    assert not place.vendor.requests


@pytest.mark.parametrize("path", SURFACES)
async def test_the_same_key_in_both_headers_opens(place: Place, path: str) -> None:
    key = place.running.key
    both = (("x-api-key", key), ("Authorization", f"bearer  {key} "))
    assert (await _with(place, path, *both)).status == 200


async def test_a_key_in_the_query_does_not_open(place: Place) -> None:
    """Query strings end up in the logs of proxies."""
    path = f"{MESSAGES}?key={place.running.key}"
    reply = await place.post(path, GOOD[MESSAGES], [])
    assert reply.status == 401


async def test_receipts_are_for_the_key_that_made_them(place: Place) -> None:
    reply = await place.post(MESSAGES, GOOD[MESSAGES])
    path = reply.headers["outlast-receipt"]
    other, _ = await place.running.service.roster.create("other")
    own = await ask(place.running.url, "GET", path, {"x-api-key": place.running.key})
    assert own.status == 200
    for key in (other, place.running.key):
        wanted = path if key == other else "/v1/receipts/req_0123456789"
        theirs = await ask(place.running.url, "GET", wanted, {"x-api-key": key})
        assert theirs.status == 404
        assert "no receipt with this id for your key" in message_of(MESSAGES, theirs)
    nobody = await ask(place.running.url, "GET", path)
    assert nobody.status == 401
    odd = await ask(place.running.url, "GET", "/v1/receipts/%00%ff", {"x-api-key": other})
    assert odd.status == 404


async def test_a_key_is_held_to_its_requests_per_minute(place: Place) -> None:
    key, _ = await place.running.service.roster.create("few", requests_per_minute=2)
    replies = [await _with(place, CHAT, ("x-api-key", key)) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 60
    assert "2 requests a minute" in message_of(CHAT, replies[-1])


async def test_a_key_is_held_to_its_requests_at_once(place: Place) -> None:
    key, _ = await place.running.service.roster.create("one", concurrent=1)
    place.vendor.script = Script(seed=1, first_token_s=0.3)
    one, two = await asyncio.gather(
        _with(place, MESSAGES, ("x-api-key", key)), _with(place, CHAT, ("x-api-key", key))
    )
    assert sorted((one.status, two.status)) == [200, 429]
    refused, path = (one, MESSAGES) if one.status == 429 else (two, CHAT)
    assert "already has 1 request" in message_of(path, refused)
    place.vendor.script = Script(seed=1)
    assert (await _with(place, MESSAGES, ("x-api-key", key))).status == 200


async def test_a_key_sees_and_asks_only_its_models(place: Place) -> None:
    key, _ = await place.running.service.roster.create("claude only", models=("claude-*",))
    reply = await place.post(CHAT, GOOD[CHAT], [("x-api-key", key)])
    assert reply.status == 404
    message = message_of(CHAT, reply)
    assert "to-chat" not in message
    listed = await ask(place.running.url, "GET", "/v1/models", {"authorization": f"Bearer {key}"})
    assert {one["id"] for one in listed.json()["data"]} == {"claude-opus-4-8", "claude-sonnet-5"}
    one = await ask(place.running.url, "GET", "/v1/models/to-chat", {"x-api-key": key})
    assert one.status == 404


async def test_a_revoked_key_is_refused_at_once(place: Place) -> None:
    roster = place.running.service.roster
    key, made = await roster.create("short")
    assert (await _with(place, CHAT, ("x-api-key", key))).status == 200
    await roster.revoke(made.id)
    reply = await _with(place, CHAT, ("x-api-key", key))
    assert reply.status == 401
    assert "was revoked" in message_of(CHAT, reply)
