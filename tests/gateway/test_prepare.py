"""One candidate's call: which bytes, headers and address leave for an upstream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.config import Secret, Settings, UpstreamSettings
from outlast.gateway.asked import Asked, Prepared
from outlast.gateway.histories import decode_object
from outlast.gateway.prepare import Preparer, passed_headers, url_path
from outlast.gateway.surfaces import COUNT_TOKENS, SURFACES
from outlast.nouns import Candidate, Format, Kind
from outlast.wire import CODECS
from outlast.wire.canon import BadRequest, Request
from outlast.wire.codec import ApiError
from tests.gateway.answers import FORMATS, A, C, R

BODIES: dict[Format, Any] = {
    A: {
        "model": "public",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hi"}],
        "stop_sequences": ["END"],
        "stream": True,
    },
    C: {
        "model": "public",
        "messages": [{"role": "user", "content": "hi"}],
        "stop": ["END"],
        "stream": True,
    },
    R: {"model": "public", "input": "hi", "stream": True},
}
KEY = "ol_" + "x" * 39


class Local:
    """Stands where the embedded model's room is; keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Request, Candidate, str, str]] = []

    def __call__(
        self, request: Request, candidate: Candidate, exchange: str, partial: str
    ) -> Prepared:
        self.calls.append((request, candidate, exchange, partial))
        reader = CODECS[C].reader()
        return Prepared(candidate, "", {}, b"", reader, streamed=True, same_format=False)


def asked(form: Format, body: bytes | None = None, **more: Any) -> Asked:
    fields: dict[str, Any] = {
        "id": "req_1",
        "format": form,
        "path": CODECS[form].path,
        "query": "",
        "headers": {"content-type": "application/json"},
        "body": json.dumps(BODIES[form]).encode() if body is None else body,
        "model": "public",
        "stream": True,
        "at": 0.0,
    }
    return Asked(**(fields | more))


def preparer(request: Asked, *, local: Local | None = None, **upstream: Any) -> Preparer:
    settings = Settings(
        upstreams={
            kind.value: UpstreamSettings(
                **{"name": kind.value, "kind": kind, "base_url": "https://api.vendor.com"}
                | upstream
            )
            for kind in (Kind.ANTHROPIC, Kind.OPENAI_CHAT, Kind.OPENAI_RESPONSES)
        }
    )
    return Preparer(request, settings, CODECS, local or Local())


def to(form: Format, model: str = "public") -> Candidate:
    return Candidate(form.value, model, Kind(form.value))


# -- same format: bytes pass ---------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_in_the_same_format_the_bytes_are_the_callers(form: Format) -> None:
    body = (
        b' {"stream" :true,\n"model": "public", "unknown": 1.50, "input": "h\\u00ef", "model2":[]}'
    )
    made = preparer(asked(form, body))(to(form))
    assert made.body is body
    assert (made.same_format, made.streamed, made.dropped, made.stops) == (True, True, (), ())
    assert made.path == CODECS[form].path


@pytest.mark.parametrize("form", FORMATS)
def test_only_the_models_name_is_changed_in_the_bytes(form: Format) -> None:
    body = b'{"stream" :true,\n"model":  "public" , "messages": [{"model": "public"}], "n": 1.50}'
    made = preparer(asked(form, body))(to(form, "theirs"))
    assert made.body == body.replace(b'"public" ,', b'"theirs" ,')


def test_a_body_that_passes_need_not_be_understood() -> None:
    """A field newer than Outlast is the vendor's business."""
    body = b'{"model": "public", "messages": {"brand": "new"}}'
    one = preparer(asked(A, body))
    assert one(to(A)).body == body
    assert one.writer_request() == Request("public", (), A, stream=True)
    assert one.parsed() is None


def test_the_query_is_kept_in_the_same_format_and_dropped_in_another() -> None:
    one = preparer(asked(A, query="beta=true&x=%2F"))
    assert one(to(A)).path == "/v1/messages?beta=true&x=%2F"
    assert one(to(C)).path == "/v1/chat/completions"


PASSED = {
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": "claude-cli/2.1",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "fine-grained-tool-streaming-2025-05-14,server-side-fallback-2026-01-01",
    "anthropic-dangerous-direct-browser-access": "true",
    "openai-beta": "responses=v1",
    "x-stainless-retry-count": "0",
    "x-app": "cli",
    "idempotency-key": "abc",
    "traceparent": "00-1-2-01",
}
KEPT_BACK = {
    "authorization": f"Bearer {KEY}",
    "x-api-key": KEY,
    "api-key": KEY,
    "x-goog-api-key": KEY,
    "proxy-authorization": "Basic abc",
    "cookie": "session=1",
    "openai-organization": "org-of-the-client",
    "openai-project": "proj-of-the-client",
    "host": "127.0.0.1:8400",
    "content-length": "100",
    "content-encoding": "identity",
    "transfer-encoding": "chunked",
    "accept-encoding": "gzip, br",
    "connection": "keep-alive, X-Secret-Hop",
    "x-secret-hop": "1",
    "keep-alive": "timeout=5",
    "te": "trailers",
    "trailer": "x",
    "upgrade": "h2c",
    "expect": "100-continue",
    "forwarded": "for=1.2.3.4",
    "via": "1.1 proxy",
    "x-forwarded-for": "1.2.3.4",
    "x-forwarded-port": "443",
    "x-real-ip": "1.2.3.4",
    "cf-connecting-ip": "1.2.3.4",
    "outlast-allow": "any",
}


def test_the_callers_headers_pass_but_for_credentials_and_the_hops_own() -> None:
    assert passed_headers(PASSED | KEPT_BACK) == PASSED


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_the_callers_credential_never_leaves(form: Format, target: Format) -> None:
    made = preparer(asked(form, headers=PASSED | KEPT_BACK))(to(target))
    assert KEY not in str(made.headers)
    assert "session=1" not in str(made.headers)
    assert made.headers["accept-encoding"] == "identity"


def test_headers_of_the_settings_win_whatever_their_case() -> None:
    headers = {"Anthropic-Beta": "from-settings", "X-Team": "a"}
    made = preparer(asked(A, headers=PASSED), headers=headers)(to(A))
    assert made.headers["anthropic-beta"] == "from-settings"
    assert made.headers["x-team"] == "a"
    assert "Anthropic-Beta" not in made.headers
    translated = preparer(asked(C), headers={"Anthropic-Version": "2099-01-01"})(to(A))
    assert translated.headers["anthropic-version"] == "2099-01-01"


# -- another format ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_a_request_is_put_into_the_targets_words(form: Format, target: Format) -> None:
    if form is target:
        return
    made = preparer(asked(form))(to(target, "theirs"))
    body = json.loads(made.body)
    assert body["model"] == "theirs"
    assert body["stream"] is True
    assert b'"hi"' in made.body
    assert made.path == CODECS[target].path
    assert not made.same_format
    assert CODECS[target].parse_request(body).messages


def test_only_headers_that_mean_the_same_everywhere_are_translated() -> None:
    made = preparer(asked(A, headers=PASSED | KEPT_BACK | {"accept-language": "fr"}))(to(C))
    assert made.headers == {
        "user-agent": "claude-cli/2.1",
        "accept-language": "fr",
        "content-type": "application/json",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
    }


def test_what_anthropic_must_have_is_added() -> None:
    made = preparer(asked(C))(to(A))
    assert made.headers["anthropic-version"] == "2023-06-01"
    assert json.loads(made.body)["max_tokens"] > 0


def test_a_whole_answer_is_asked_for_as_such() -> None:
    body = json.dumps({**BODIES[A], "stream": False}).encode()
    made = preparer(asked(A, body, stream=False))(to(C))
    assert made.headers["accept"] == "application/json"
    assert not made.streamed


@pytest.mark.parametrize(
    ("form", "target", "stops"), [(A, R, ("END",)), (C, R, ("END",)), (A, C, ()), (C, A, ())]
)
def test_stop_sequences_are_emulated_only_where_the_format_has_none(
    form: Format, target: Format, stops: tuple[str, ...]
) -> None:
    assert preparer(asked(form))(to(target)).stops == stops


def test_what_had_to_be_left_out_is_named() -> None:
    body = json.dumps({**BODIES[A], "top_k": 5}).encode()
    assert "top_k" in preparer(asked(A, body))(to(C)).dropped


def test_each_call_has_a_reader_of_its_own() -> None:
    one = preparer(asked(A))
    assert one(to(A)).reader is not one(to(A)).reader


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"model":"public","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
        (b'{"model": "public", "messages": 5, "max_tokens": 1}', "messages"),
    ],
)
def test_a_body_that_cannot_be_translated_is_refused_with_the_place(
    body: bytes, words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        preparer(asked(A, body))(to(C))


@given(st.binary(max_size=200))
def test_any_body_is_an_object_or_refused(body: bytes) -> None:
    try:
        decoded: object = decode_object(body)
    except BadRequest:
        decoded = {}
    assert isinstance(decoded, dict)


# -- the embedded model, and endpoints without translation ----------------------------------------


def test_the_embedded_model_is_asked_in_its_own_room() -> None:
    local = Local()
    candidate = Candidate("local", "qwen", Kind.LOCAL)
    preparer(asked(A), local=local)(candidate)
    ((request, given_candidate, exchange, partial),) = local.calls
    assert (request.stop, given_candidate, exchange, partial) == (("END",), candidate, "req_1", "")


def test_a_token_count_passes_and_is_never_translated() -> None:
    surface = SURFACES[COUNT_TOKENS]
    body = b'{"model":"public","messages":[{"role":"user","content":"hi"}]}'
    request = asked(A, body, path=COUNT_TOKENS, stream=False, query="beta=true")
    settings = Settings(
        upstreams={
            "anthropic": UpstreamSettings(
                name="anthropic", kind=Kind.ANTHROPIC, base_url="https://api.anthropic.com/v1"
            )
        }
    )
    one = Preparer(request, settings, surface.codecs, Local())
    made = one(to(A))
    assert made.path == "/v1/messages/count_tokens?beta=true"
    assert made.body == body
    assert [message.role for message in one.estimable().messages] == ["user"]
    with pytest.raises(BadRequest, match="no equivalent"):
        one.request()


# -- addresses -----------------------------------------------------------------------------------

ADDRESSES = [
    ("https://api.anthropic.com", A, "/v1/messages"),
    ("https://api.anthropic.com/", A, "/v1/messages"),
    ("https://api.anthropic.com/v1", A, "/v1/messages"),
    ("https://api.deepseek.com/anthropic", A, "/anthropic/v1/messages"),
    ("https://gateway.example/team/v1/", A, "/team/v1/messages"),
    ("https://api.openai.com", C, "/v1/chat/completions"),
    ("https://api.openai.com/v1", C, "/v1/chat/completions"),
    ("https://api.openai.com/v1/", R, "/v1/responses"),
    ("https://api.groq.com/openai/v1", C, "/openai/v1/chat/completions"),
    (
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        C,
        "/v1beta/openai/chat/completions",
    ),
    ("https://open.bigmodel.cn/api/paas/v4", C, "/api/paas/v4/chat/completions"),
    ("https://openrouter.ai/api/v1", C, "/api/v1/chat/completions"),
    ("https://mine.openai.azure.com/openai/v1", R, "/openai/v1/responses"),
    ("http://127.0.0.1:11434", C, "/v1/chat/completions"),
    ("http://[::1]:8080/v1", C, "/v1/chat/completions"),
]


@pytest.mark.parametrize(("base_url", "form", "path"), ADDRESSES)
def test_an_address_may_be_written_in_many_ways(base_url: str, form: Format, path: str) -> None:
    assert url_path(base_url, Kind(form.value), CODECS[form].path) == path
    made = preparer(asked(form), base_url=base_url)(to(form))
    assert made.path == path


def test_the_upstreams_key_is_the_transports_affair() -> None:
    made = preparer(asked(A), key=Secret("sk-secret"))(to(A))
    assert "sk-secret" not in str(made.headers)


def test_a_limit_is_lowered_by_what_was_surely_shown_only() -> None:
    """Counted too high, it would cut an answer off that fits the caller's own limit."""
    body = BODIES[A] | {"max_tokens": 160}
    one = preparer(asked(A, json.dumps(body).encode()))
    ability = one.ability(to(A, "claude-opus-4-8"))
    for shown, at_least in (("word " * 60, 110), ("電" * 150, 70), ("電" * 900, 16)):
        made = one.continuing(to(A), shown, ability)
        assert at_least <= json.loads(made.body)["max_tokens"] < 160


def test_a_history_that_cannot_be_read_is_not_mended_and_harms_nobody() -> None:
    body = b'{"model": "public", "messages": [{"role": "user", "content": "\xff"}]}'
    refusal = ApiError(400, "`thinking` blocks in the latest turn cannot be modified")
    assert preparer(asked(A, body)).mend(to(A), refusal) is False
