"""Schemas of the outside world, simplified: what stays, what goes, and that nothing crashes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.local import schemas

CLOSED = {"additionalProperties": False}
STRING = {"type": "string"}

CASES: list[tuple[str, Any, Any]] = [
    (
        "keywords that the grammar does not enforce go",
        {"type": "string", "pattern": "^a", "minLength": 2, "format": "uri", "description": "d"},
        STRING,
    ),
    (
        "an enum stays",
        {"type": "string", "enum": ["a", "b"], "description": "d"},
        {"enum": ["a", "b"]},
    ),
    ("a const stays", {"const": 3, "title": "t"}, {"const": 3}),
    ("a value that may be null is asked for as itself", {"type": ["string", "null"]}, STRING),
    (
        "several types are a choice",
        {"type": ["string", "integer"]},
        {"anyOf": [STRING, {"type": "integer"}]},
    ),
    (
        "oneOf is a choice",
        {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "number"}]},
        {"anyOf": [STRING, {"type": "number"}]},
    ),
    ("a choice of one is no choice", {"anyOf": [STRING, STRING]}, STRING),
    ("an unknown type is any value", {"type": "weird"}, {}),
    ("true, the schema of everything, is any value", True, {}),
    (
        "a reference is looked up",
        {"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}},
        {"type": "integer"},
    ),
    ("a reference that leads nowhere is any value", {"$ref": "#/nope"}, {}),
    ("a reference to itself is any value", {"$ref": "#"}, {}),
    ("a foreign reference is any value", {"$ref": "https://example.com/x"}, {}),
    (
        "an object of free keys stays open",
        {"type": "object", "additionalProperties": STRING},
        {"type": "object"},
    ),
    (
        "an object of no keys stays closed",
        {"type": "object", "properties": {}, **CLOSED},
        {"type": "object", "properties": {}, **CLOSED},
    ),
    (
        "a list keeps its items and a small minimum",
        {
            "type": "array",
            "items": {"type": "string", "pattern": "x"},
            "minItems": 1,
            "maxItems": 5,
            "uniqueItems": True,
        },
        {"type": "array", "items": STRING, "minItems": 1},
    ),
    (
        "allOf is merged",
        {
            "allOf": [
                {"type": "object", "properties": {"a": STRING}, "required": ["a"]},
                {"properties": {"b": STRING}, "required": ["b"]},
            ]
        },
        {
            "type": "object",
            "properties": {"a": STRING, "b": STRING},
            "required": ["a", "b"],
            **CLOSED,
        },
    ),
    (
        "a required name without a property is asked for",
        {"type": "object", "properties": {"a": STRING}, "required": ["z", "a"]},
        {"type": "object", "properties": {"z": {}, "a": STRING}, "required": ["z", "a"], **CLOSED},
    ),
]


@pytest.mark.parametrize(("says", "schema", "expected"), CASES, ids=[case[0] for case in CASES])
def test_simplified(says: str, schema: Any, expected: Any) -> None:
    assert schemas.simplify(schema, keep_optional=True) == expected, says


def test_optional_arguments_are_left_to_the_client_where_there_are_required_ones() -> None:
    schema = {"type": "object", "properties": {"o": STRING, "r": STRING}, "required": ["r"]}
    assert list(schemas.simplify(schema, keep_optional=False)["properties"]) == ["r"]
    assert list(schemas.simplify(schema, keep_optional=True)["properties"]) == ["r", "o"]
    free = {"type": "object", "properties": {"o": STRING}}
    assert list(schemas.simplify(free, keep_optional=False)["properties"]) == ["o"]


def test_a_recursive_schema_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "required": ["next"]}
    simple = schemas.simplify({"$ref": "#/$defs/n", "$defs": {"n": node}}, keep_optional=True)
    assert str(simple).count("next") <= 2 * (schemas.MAX_DEPTH + 1)


def test_a_signature_is_short_and_says_the_types() -> None:
    schema = schemas.simplify(
        {
            "type": "object",
            "properties": {
                "path": STRING,
                "mode": {"enum": ["r", "w"]},
                "lines": {"type": "array", "items": {"type": "integer"}},
                "at": {"type": "object", "properties": {"x": {"type": "number"}}},
                "extra": {},
            },
            "required": ["path"],
        },
        keep_optional=True,
    )
    assert schemas.signature(schema) == (
        "path: string, mode?: 'r' | 'w', lines?: [integer], at?: {x: number}, extra?: any"
    )


_WORDS = (
    "type properties required items enum const anyOf oneOf allOf $ref $defs minItems pattern "
    "additionalProperties"
)
KEYWORDS = st.sampled_from(_WORDS.split())
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | KEYWORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)
KNOWN = {
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "anyOf",
    "minItems",
    "additionalProperties",
}


def assert_known(schema: Any) -> None:
    assert isinstance(schema, dict)
    assert set(schema) <= KNOWN
    if "const" in schema or "enum" in schema:
        return
    assert schema.get("type", "string") in schemas._TYPES
    for name, value in schema.get("properties", {}).items():
        assert isinstance(name, str)
        assert_known(value)
    for value in schema.get("anyOf", []):
        assert_known(value)
    if "items" in schema:
        assert_known(schema["items"])


@settings(max_examples=300, deadline=None)
@given(ANY_JSON)
def test_whatever_comes_only_known_keywords_leave(schema: Any) -> None:
    simple = schemas.simplify(schema, keep_optional=True)
    assert_known(simple)
    assert isinstance(schemas.signature(simple), str)
