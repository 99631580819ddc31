"""What somebody posts: taken, or refused in a sentence that says what to send."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.report_body import COUNTRIES, BadReport, Posted, local_path, read

GOOD = {"provider": "anthropic", "surface": "web", "works": False}


def body(**more: object) -> bytes:
    return msgspec.json.encode({**GOOD, **more})


def refusal(sent: bytes, form: bool) -> BadReport | None:
    try:
        read(sent, form=form)
    except BadReport as bad:
        return bad
    return None


def test_three_fields_are_enough() -> None:
    assert read(body(), form=False) == (Posted("anthropic", "web", False), "")


def test_everything_that_may_be_said_is_read() -> None:
    sent = body(
        symptom="cut_off",
        model="claude-opus-4-8",
        receipt="req_0123456789abcdef01234567",
        region="FR",
        token="t" * 64,
        id="0190-42",
        proof="1.2.3.4.5.6",
    )
    posted, _ = read(sent, form=False)
    assert (posted.region, posted.symptom, posted.model) == ("fr", "cut_off", "claude-opus-4-8")


@pytest.mark.parametrize(
    ("sent", "code", "field", "says"),
    [
        pytest.param(b"", "unreadable", "", "a JSON object, or a form's", id="nothing"),
        pytest.param(b"{", "unreadable", "", "a JSON object, or a form's", id="half an object"),
        pytest.param(b"\xff{}", "unreadable", "", "a JSON object", id="no UTF-8"),
        pytest.param(b"[1]", "unreadable", "", "`provider`, `surface` and `works`", id="a list"),
        pytest.param(b"{}", "missing_field", "provider", "is missing; it must be a short name"),
        pytest.param(body(works="no"), "wrong_field", "works", "true (it works for me) or false"),
        pytest.param(body(surface="desk"), "wrong_field", "surface", "web, mobile, api, code or"),
        pytest.param(body(symptom="sad"), "wrong_field", "symptom", "errors, slow, login, cut_off"),
        pytest.param(body(region="xx"), "wrong_field", "region", "ISO 3166-1, like fr"),
        pytest.param(body(region="France"), "wrong_field", "region", "ISO 3166-1, like fr"),
        pytest.param(body(model="a b"), "wrong_field", "model", "at most 100 letters"),
        pytest.param(body(model="x@eu"), "wrong_field", "model", "at most 100 letters"),
        pytest.param(body(token="t" * 65), "wrong_field", "token", "up to 64 visible"),
        pytest.param(body(token="\n"), "wrong_field", "token", "up to 64 visible"),
        pytest.param(body(id="a\u00e9"), "wrong_field", "id", "new for each report"),
        pytest.param(body(email="a@b"), "unknown_field", "email", "has no field 'email'"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words(
    sent: bytes, code: str, field: str, says: str
) -> None:
    with pytest.raises(BadReport) as caught:
        read(sent, form=False)
    refused = caught.value
    assert (refused.status, refused.code, refused.field) == (400, code, field)
    assert says in refused.says["en"]
    assert refused.says["fr"] != refused.says["en"]


def test_a_form_says_the_same() -> None:
    fields = {**GOOD, "works": "no", "symptom": "slow", "token": "", "next": "/status?lang=fr"}
    assert read(urlencode(fields).encode(), form=True) == (
        Posted("anthropic", "web", False, "slow"),
        "/status?lang=fr",
    )


@pytest.mark.parametrize(
    ("text", "works"),
    [("true", True), ("1", True), ("yes", True), ("on", True), ("false", False), ("NO", False)],
)
def test_yes_and_no_in_the_words_of_forms(text: str, works: bool) -> None:
    assert read(urlencode({**GOOD, "works": text}).encode(), form=True)[0].works is works


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({**GOOD, "works": "perhaps"}, "works", id="neither yes nor no"),
        pytest.param({"provider": "a", "surface": "web"}, "works", id="no word of it"),
        pytest.param({**GOOD, "works": "1", "extra": "x"}, "extra", id="a field too many"),
    ],
)
def test_a_form_that_cannot_be_taken_names_the_field(fields: dict[str, str], field: str) -> None:
    with pytest.raises(BadReport) as caught:
        read(urlencode(fields).encode(), form=True)
    assert caught.value.field == field


def test_a_form_of_a_thousand_fields_is_not_read() -> None:
    with pytest.raises(BadReport, match="at most 16"):
        read("&".join(f"a{n}=1" for n in range(1000)).encode(), form=True)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param("/status", "/status", id="a path of ours"),
        pytest.param("/s?a=1&b=2", "/s?a=1&b=2", id="with a query"),
        pytest.param("https://evil.example/", "", id="another site"),
        pytest.param("//evil.example/", "", id="another site without a scheme"),
        pytest.param("/\\evil.example/", "", id="what browsers take for that"),
        pytest.param("/a\r\nset-cookie: x", "", id="a header smuggled in"),
        pytest.param("/é", "", id="signs that no header carries"),
        pytest.param("status", "", id="a path that begins nowhere"),
        pytest.param("/" + "a" * 200, "", id="too long"),
    ],
)
def test_a_form_leads_nobody_elsewhere(text: str, path: str) -> None:
    assert local_path(text) == path


def test_there_are_249_countries() -> None:
    assert len(COUNTRIES) == 249
    assert all(len(code) == 2 for code in COUNTRIES)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(sent: bytes, form: bool) -> None:
    refused = refusal(sent, form)
    assert refused is None or set(refused.says) == {"en", "fr"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(Posted.__struct_fields__), JSON))
def test_any_values_of_known_fields_are_read_or_refused(values: dict[str, object]) -> None:
    refused = refusal(msgspec.json.encode(values), form=False)
    assert refused is None or refused.status == 400


def test_a_form_may_choose_provider_and_surface_at_once() -> None:
    posted, _ = read(b"component=anthropic%2Fweb&works=false", form=True)
    assert (posted.provider, posted.surface, posted.works) == ("anthropic", "web", False)
    for bad in (
        b"component=anthropic&works=false",
        b"component=/web&works=false",
        b"component=a/b",
    ):
        with pytest.raises(BadReport):
            read(bad, form=True)
