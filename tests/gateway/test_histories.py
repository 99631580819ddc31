"""Bodies that pass through: which are looked at, and that all others keep their bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outlast.config import Settings, UpstreamSettings
from outlast.gateway.histories import mended, seals_in
from outlast.gateway.prepare import Preparer, account_of
from outlast.nouns import Candidate, Format, Kind
from outlast.wire import CODECS
from outlast.wire.codec import ApiError
from outlast.wire.notices import seam_notice
from tests.gateway.answers import FORMATS, A, C, R
from tests.gateway.exchanges import candidate
from tests.gateway.test_prepare import asked


def history(*blocks: Any, **more: Any) -> bytes:
    turns = [{"role": "assistant", "content": list(blocks)}, {"role": "user", "content": "hi"}]
    return json.dumps({"model": "public", "messages": turns, **more}, ensure_ascii=False).encode()


def thought(signature: str) -> dict[str, str]:
    return {"type": "thinking", "thinking": "Hm.", "signature": signature}


TEXT = {"type": "text", "text": 'Not a "signature": "" at all, nor a fallback.'}


def never() -> None:
    pytest.fail("nothing is signed here, so nobody has to be asked")


UNTOUCHED = [
    (A, history(TEXT)),
    (A, b'{"a": 1.0e0}'),
    (A, b"not JSON at all"),
    (C, history({"type": "text", "text": "x", "signature": ""})),
    (R, b'{"input": [{"role": "user", "content": "hi"}]}'),
]


@pytest.mark.parametrize(("form", "body"), UNTOUCHED)
def test_without_anything_signed_the_memory_is_not_asked_and_bytes_pass(
    form: Format, body: bytes
) -> None:
    assert mended(form, body, never).body is body


def test_the_bytes_pass_where_the_account_can_read_all() -> None:
    body = history(thought("ours"), TEXT)
    assert mended(A, body, lambda: None).body is body
    assert mended(A, body, lambda: lambda seal: seal == "theirs").body is body


def test_a_foreign_signature_is_found_in_the_bytes() -> None:
    body = history(thought("theirs"), TEXT)
    found = mended(A, body, lambda: lambda seal: seal == "theirs")
    assert json.loads(found.body)["messages"][0]["content"] == [TEXT]
    assert found.dropped == ("messages.thinking",)


def test_a_client_that_knows_seams_keeps_them() -> None:
    body = history({"type": "fallback", "from": {}, "to": {}}, TEXT)
    assert mended(A, body).dropped == ("messages.fallback",)
    declared = "x,server-side-fallback-2026-07-01"
    assert mended(A, body, betas=declared).body is body
    assert mended(A, body, refused="turns", betas=declared).dropped == ("messages.fallback",)


@pytest.mark.parametrize("form", FORMATS)
def test_our_own_words_are_taken_out_however_they_are_escaped(form: Format) -> None:
    said = "Half" + seam_notice("fr", "claude", "gpt") + " and half."
    turn = {"role": "assistant", "content": said}
    field = "input" if form is R else "messages"
    for ascii_only in (True, False):
        body = json.dumps({"model": "m", field: [turn]}, ensure_ascii=ascii_only).encode()
        found = mended(form, body)
        assert json.loads(found.body)[field][0]["content"] == "Half and half."


def test_everything_signed_is_found_once() -> None:
    data = {"type": "redacted_thinking", "data": "d"}
    assert seals_in(A, history(thought("a"), data, thought("a"), thought(""), TEXT)) == ("a", "d")
    sealed = {"type": "reasoning", "encrypted_content": "e", "summary": []}
    assert seals_in(R, json.dumps({"input": [sealed]}).encode()) == ("e",)
    assert seals_in(C, b"{}") == ()


# -- a candidate's call ----------------------------------------------------------------------------


def to(name: str, model: str = "claude-opus-4-8") -> Candidate:
    return candidate(name, model=model)


def preparer(body: bytes, **upstreams: UpstreamSettings) -> Preparer:
    names = {
        name: upstreams.get(name)
        or UpstreamSettings(name=name, kind=Kind.ANTHROPIC, base_url="https://x.test")
        for name in ("one", "two")
    }

    def foreign_to(account: str) -> Any:
        return lambda seal: not seal.startswith(account)

    local: Any = None
    return Preparer(asked(A, body), Settings(upstreams=names), CODECS, local, foreign_to)


def body_for(one: Preparer, chosen: Candidate) -> Any:
    return json.loads(one(chosen).body)


def test_each_account_gets_what_it_can_read() -> None:
    one = preparer(history(thought("one"), thought("two"), TEXT))
    for name in ("one", "two"):
        made = body_for(one, to(name))
        assert [b.get("signature") for b in made["messages"][0]["content"]] == [name, None]
        assert one(to(name)).dropped == ("messages.thinking",)


def test_a_refusal_is_answered_once_and_only_where_something_can_be_taken_out() -> None:
    refusal = ApiError(400, "messages.0.content.0: Invalid `signature` in `thinking` block")
    one = preparer(history(thought("one"), TEXT))
    assert one.mend(to("one"), refusal)
    assert not one.mend(to("one"), refusal)
    made = one(to("one"))
    assert made.refused == ("one",)
    assert json.loads(made.body)["messages"][0]["content"] == [TEXT]
    assert not preparer(history(TEXT)).mend(to("one"), refusal)
    assert not one.mend(to("two"), ApiError(400, "max_tokens: Field required"))
    assert not one.mend(to("two"), None)


def test_upstreams_of_one_account_are_one() -> None:
    shared = UpstreamSettings(name="one", kind=Kind.ANTHROPIC, base_url="", account="ours")
    assert account_of(to("one"), Settings(upstreams={"one": shared})) == "ours"
    assert account_of(to("gone"), Settings(upstreams={})) == "gone"


# -- another Claude model --------------------------------------------------------------------------

BUDGET = {"type": "enabled", "budget_tokens": 4000}
ADAPTIVE = {"type": "adaptive"}

FITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("claude-sonnet-4-5", {"thinking": ADAPTIVE}, {"thinking": {**BUDGET, "budget_tokens": 8000}}),
    ("claude-sonnet-4-5", {"output_config": {"effort": "high"}}, {}),
    ("claude-opus-4-8", {"thinking": BUDGET, "temperature": 1}, {"thinking": ADAPTIVE}),
    ("claude-3-5-haiku-latest", {"thinking": ADAPTIVE}, {}),
    ("claude-opus-5-5", {"thinking": {"type": "disabled"}}, {}),
    (
        "claude-opus-4-6",
        {"output_config": {"effort": "xhigh"}},
        {"output_config": {"effort": "high"}},
    ),
    ("kimi-k3", {"thinking": ADAPTIVE}, {"thinking": ADAPTIVE}),
]


@pytest.mark.parametrize(
    ("model", "said", "fits"), FITS, ids=[f"{f[0]} {sorted(f[1])}" for f in FITS]
)
def test_another_model_is_asked_to_think_its_own_way(model: str, said: Any, fits: Any) -> None:
    one = preparer(history(TEXT, max_tokens=16_000, **said))
    made = body_for(one, to("one", model))
    assert {
        name: made[name] for name in made if name not in {"model", "messages", "max_tokens"}
    } == fits


def test_a_budget_is_not_asked_for_where_a_turn_of_calls_began_without_thinking() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}
    turns = [{"role": "assistant", "content": [call]}, result]
    body = {"model": "public", "max_tokens": 9000, "messages": turns, "thinking": ADAPTIVE}
    body["context_management"] = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    made = body_for(preparer(json.dumps(body).encode()), to("one", "claude-sonnet-4-5"))
    assert "thinking" not in made
    assert "context_management" not in made


def test_the_configuration_has_the_last_word_on_thinking() -> None:
    plain = UpstreamSettings(
        name="one", kind=Kind.ANTHROPIC, base_url="https://x.test", thinking="none"
    )
    one = preparer(history(TEXT, thinking=ADAPTIVE), one=plain)
    assert "thinking" not in body_for(one, to("one", "kimi-k3"))
    assert one(to("one", "kimi-k3")).dropped == ("thinking",)
