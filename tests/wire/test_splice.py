"""The head of a body, and the one value that the relay exchanges in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.wire import splice
from outlast.wire.canon import BadRequest
from outlast.wire.splice import read_head, replace_model

HEADS: list[tuple[str, bytes, tuple[str, bool]]] = [
    ("the model alone", b'{"model":"m"}', ("m", False)),
    ("stream true", b'{"stream":true,"model":"m"}', ("m", True)),
    ("stream null counts as absent", b'{"model":"m","stream":null}', ("m", False)),
    ("white space", b' \n{ "model"\t: "m" ,\r\n"stream" : true } ', ("m", True)),
    ("a key spelled with escapes", b'{"mo\\u0064el":"m"}', ("m", False)),
    ("a value spelled with escapes", b'{"model":"\\u006d\\/1"}', ("m/1", False)),
    ("another model further in", b'{"a":{"model":"x"},"model":"m"}', ("m", False)),
    ("the word as a value", b'{"a":"model","model":"m","b":["model"]}', ("m", False)),
    ("the key inside a string", b'{"a":"\\"model\\":\\"x\\"","model":"m"}', ("m", False)),
    ("the key inside a key", b'{"a\\"model":"x","model":"m","b":{"model":1}}', ("m", False)),
    ("given twice alike", b'{"model":"m","model":"m"}', ("m", False)),
    ("a broken letter elsewhere", b'{"model":"m","a":"\xff"}', ("m", False)),
]


@pytest.mark.parametrize(("sentence", "body", "head"), HEADS, ids=[row[0] for row in HEADS])
def test_the_head_is_read(sentence: str, body: bytes, head: tuple[str, bool]) -> None:
    found = read_head(body)
    assert (found.model, found.stream) == head, sentence


BAD: list[tuple[str, bytes, str, str]] = [
    ("nothing", b"", "", "the body is empty; it must be a JSON object"),
    ("blanks", b" \n", "", "the body is empty; it must be a JSON object"),
    ("a word", b"model=m", "", "the body is not JSON: invalid character (byte 0)"),
    ("cut", b'{"model":"m"', "", "the body is not JSON: it ends in the middle, after 12 bytes"),
    ("a comma too many", b'{"model":"m",}', "", "the body is not JSON: "),
    ("something after it", b'{"model":"m"}x', "", "the body is not JSON: trailing characters"),
    ("a list", b'[{"model":"m"}]', "", "the body must be a JSON object, not array"),
    ("no model", b'{"stream":true}', "model", "is missing; it must name a model"),
    ("only a nested one", b'{"a":{"model":"m"}}', "model", "is missing; it must name a model"),
    ("model null", b'{"model":null}', "model", "is missing; it must name a model"),
    ("model a number", b'{"model":5}', "model", "must be a string, not a number"),
    ("model a list", b'{"model":["m"]}', "model", "must be a string, not an array"),
    ("model empty", b'{"model":""}', "model", "must not be empty"),
    ("model endless", b'{"model":"' + b"m" * 300 + b'"}', "model", "is longer than 256 characters"),
    ("model not UTF-8", b'{"model":"\xff"}', "model", "cannot be read"),
    ("stream a word", b'{"model":"m","stream":"yes"}', "stream", "must be true or false, not a"),
    (
        "two models",
        b'{"model":"a","model":"b"}',
        "model",
        "is given more than once, with different values",
    ),
    (
        "two models, one spelled with escapes",
        b'{"mod\\u0065l":"a","x":1,"model":"b"}',
        "model",
        "is given more than once, with different values",
    ),
    ("a second model that is no string", b'{"model":{"a":1},"model":"b"}', "model", ""),
    ("too deep", b'{"a":' + b"[" * 200_000, "", "the body is nested too deeply"),
]


@pytest.mark.parametrize(("sentence", "body", "field", "why"), BAD, ids=[row[0] for row in BAD])
def test_a_bad_body_gets_a_sentence(sentence: str, body: bytes, field: str, why: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_head(body)
    assert caught.value.field == field, sentence
    assert caught.value.why.startswith(why), sentence


def test_nothing_but_the_model_changes() -> None:
    body = (
        b'{ "x": {"model" : "m"}, "mod\\u0065l"  : "\\u006d" , "n": 1.50, "s": "\\u00e9 \xc3\xa9"}'
    )
    new = replace_model(body, "m", 'q"7')
    assert new == body.replace(b'"\\u006d"', b'"q\\"7"')


def test_both_of_two_equal_models_change() -> None:
    body = b'{"model":"m","a":0,"model":"m"}'
    assert replace_model(body, "m", "x") == b'{"model":"x","a":0,"model":"x"}'


def test_a_model_that_is_not_the_expected_one_is_refused() -> None:
    with pytest.raises(BadRequest):
        replace_model(b'{"model":"m"}', "other", "x")


_names = st.sampled_from(["model", "mod", "a", 'x"model', "model\\", "stream", "é"])
_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["model", '"model":"m"', "m", "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)


def _written(value: dict[str, Any], space: str, ascii_only: bool) -> bytes:
    separators = (f"{space},{space}", f"{space}:{space}")
    return json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()


@pytest.mark.parametrize("way", ["as it comes", "without the map", "token by token"])
@given(
    before=st.dictionaries(_names.filter(lambda n: n not in {"model", "stream"}), _values),
    after=st.dictionaries(st.sampled_from(["b", "c", "d"]), _values),
    space=st.sampled_from(["", " ", "\n\t"]),
    ascii_only=st.booleans(),
)
def test_any_body_keeps_all_but_its_model(
    way: str, before: dict[str, Any], after: dict[str, Any], space: str, ascii_only: bool
) -> None:
    """The three ways of finding the place agree: two of them are for odd and huge bodies."""
    old, new = ({**before, "model": name, **after} for name in ("old-model", "new-model"))
    body = _written(old, space, ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        if way != "as it comes":
            patch.setattr(splice, "_MAP_LIMIT_BYTES", 0)
        if way == "token by token":
            patch.setattr(splice, "_TRIES_LIMIT", 0)
        assert replace_model(body, "old-model", "new-model") == _written(new, space, ascii_only)


def test_a_great_many_nested_models_do_not_hide_the_real_one() -> None:
    nested = b",".join(b'{"model":"n"}' for _ in range(200_000))
    body = b'{"tools":[' + nested + b'],"model":"m","z":"' + b" " * 1_000_000 + b'"}'
    assert replace_model(body, "m", "x") == body.replace(b'"model":"m"', b'"model":"x"')
