"""A request with turns added at its end: a partial answer, and the wish that it go on. Pure.

Append-only, so that cached prefixes hold and signatures of thinking stay valid: since 2026
Anthropic checks them against the whole conversation before them (continuity.md, finding 7).
"""

from __future__ import annotations

import msgspec

from outlast.nouns import Format
from outlast.wire.canon import JSON, Message, Request, Text


class Addition(msgspec.Struct, frozen=True):
    """What is added. Without `instruction` the partial answer stands last, to be gone on from."""

    partial: str
    instruction: str = ""
    max_tokens: int | None = None
    """What is left of the limit, where the request had one."""
    marks: JSON = {}
    """Fields for the last assistant turn (`prefix`), as some vendors want it."""
    fields: JSON = {}
    """Fields for the body, as some engines want them; None takes one out."""


def extend_request(request: Request, addition: Addition) -> Request:
    """Return the canonical request with the turns added."""
    turns = [*request.messages, Message("assistant", (Text(addition.partial),))]
    if addition.instruction:
        turns.append(Message("user", (Text(addition.instruction),)))
    limit = addition.max_tokens if addition.max_tokens is not None else request.max_tokens
    return msgspec.structs.replace(request, messages=tuple(turns), max_tokens=limit)


def extend_body(form: Format, body: JSON, addition: Addition) -> JSON:
    """Return a body of this format with the turns added; all other fields as they are.

    The caller has parsed this body before: its list of turns is known to be one.
    """
    extended = dict(body)
    if form is Format.OPENAI_RESPONSES:
        extended["input"] = _responses_input(body, addition)
    else:
        turns: list[JSON] = [{"role": "assistant", "content": addition.partial, **addition.marks}]
        if addition.instruction:
            turns.append({"role": "user", "content": addition.instruction})
        extended["messages"] = [*body["messages"], *turns]
    if addition.max_tokens is not None:
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
            if isinstance(body.get(name), int):
                extended[name] = addition.max_tokens
    for name, value in addition.fields.items():
        if value is None:
            extended.pop(name, None)
        else:
            extended[name] = value
    return extended


def marked(body: JSON, addition: Addition) -> JSON:
    """Return a rendered body with the marks of its last turn and the fields of the engine."""
    extended = {**body, **{k: v for k, v in addition.fields.items() if v is not None}}
    messages = extended.get("messages")
    if addition.marks and messages:
        extended["messages"] = [*messages[:-1], {**messages[-1], **addition.marks}]
    return extended


def _responses_input(body: JSON, addition: Addition) -> list[JSON]:
    given = body.get("input")
    items = [_message("user", "input_text", given)] if isinstance(given, str) else list(given or [])
    items.append(_message("assistant", "output_text", addition.partial))
    if addition.instruction:
        items.append(_message("user", "input_text", addition.instruction))
    return items


def _message(role: str, kind: str, text: str) -> JSON:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
