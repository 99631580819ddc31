"""Our own API as an OpenAPI 3.1 document, made from one table and from the types themselves. Pure.

A test holds the table against the routes of the service, so that none is undocumented. The table
is `openapi_table.py`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from outlast import __version__
from outlast.status.openapi_table import OPERATIONS, TAGS, Operation, Param

VERSION = "3.1.0"
_REF = "#/components/schemas/{name}"
_PROBLEM = {
    "type": "object",
    "properties": {"error": {"type": "object", "properties": {"message": {"type": "string"}}}},
}


def document(base_url: str) -> bytes:
    """Return the document as JSON. `base_url`: where the service is, without a closing slash."""
    types = _types()
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    named = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, named)
    return msgspec.json.encode(
        {
            "openapi": VERSION,
            "info": {
                "title": "Outlast",
                "version": __version__,
                "summary": "What is known of outages of AI providers, and how sure it is.",
                "description": (
                    "Times that end in `_at` are seconds since 1970. A `probability` is of an "
                    "outage. `suspicion` is `s_down` (suspected: one kind of evidence) or `o_down` "
                    "(confirmed: two independent kinds). Readers need no account. Statuspage's "
                    "JSON, for clients that know it, is at /api/v2/summary.json."
                ),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": base_url or "/"}],
            "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
            "paths": paths,
            "components": {
                "schemas": components | {"Problem": _PROBLEM},
                "securitySchemes": {
                    "operator": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "The operators' token, as the service's file has it.",
                    },
                    "peer": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "outlast-signature",
                        "description": "A signature with the secret that both peers have.",
                    },
                },
            },
        }
    )


def _types() -> list[Any]:
    """Every type of the table, each once."""
    found = [one for op in OPERATIONS for one in (op.answer, op.body) if one is not None]
    return list({id(one): one for one in found}.values())


def _operation(one: Operation, named: dict[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "As asked."}
    if one.answer is not None:
        answer["content"] = {one.media_type: {"schema": named[one.answer]}}
    elif one.media_type:
        answer["content"] = {one.media_type: {"schema": {"type": "string"}}}
    refusal = {
        "description": "Why not, in a sentence for people.",
        "content": {"application/json": {"schema": {"$ref": _REF.format(name="Problem")}}},
    }
    found: dict[str, Any] = {
        "operationId": operation_id(one),
        "tags": [one.tag],
        "summary": one.about,
        "responses": {str(one.status): answer, "default": refusal},
    }
    if one.params:
        found["parameters"] = [_parameter(param) for param in one.params]
    if one.body is not None:
        content = {"application/json": {"schema": named[one.body]}}
        found["requestBody"] = {"required": True, "content": content}
    if one.auth:
        found["security"] = [{one.auth: []}]
    return found


def operation_id(one: Operation) -> str:
    """`post_incidents_incident_id_actions`."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", one.path.removeprefix("/api")).strip("_")
    return f"{one.method.lower()}_{words}"


def _parameter(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": param.where,
        "required": param.needed,
        "description": param.about,
        "schema": {"type": param.kind},
    }
