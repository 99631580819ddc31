"""Schemas of tools and answers, in the part of JSON Schema that the Messages API takes."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.wire.anthropic.schema import input_schema, strict_schema
from outlast.wire.canon import Untranslatable


def test_a_schema_keeps_what_is_taken_and_tells_the_rest() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "code": {"type": "string", "format": "zip", "description": "Post code"},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
            "more": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
            "either": {"oneOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["when"],
        "$defs": {"tag": {"type": "string", "maxLength": 3}},
    }
    assert strict_schema(schema, "x") == {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "code": {"type": "string", "description": 'Post code (format: "zip")'},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
            "more": {
                "type": ["object", "null"],
                "properties": {},
                "additionalProperties": False,
                "description": "(additionalProperties: true)",
            },
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["when"],
        "additionalProperties": False,
        "$defs": {"tag": {"type": "string", "description": "(maxLength: 3)"}},
    }
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(200):
        deep = {"type": "array", "items": deep}
    with pytest.raises(Untranslatable):
        strict_schema(deep, "x")


def test_alternatives_on_top_of_a_tool_are_laid_side_by_side() -> None:
    one = {"properties": {"a": {}}, "required": ["a"]}
    two = {"properties": {"b": {}}, "required": ["b"]}
    both = {"type": "object", "properties": {"a": {}, "b": {}}}
    assert input_schema({"anyOf": [one, two]}) == both
    assert input_schema({"allOf": [one, two]}) == both | {"required": ["a", "b"]}
