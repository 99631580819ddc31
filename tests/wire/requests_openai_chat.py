"""What the tests of chat requests, read and written, share: short messages, a schema, an image."""

from __future__ import annotations

from typing import Any

from outlast.nouns import Format
from outlast.wire.canon import JSON, Block, Image, Message, Request, Text

PNG = "iVBORw0KGgo="
SCHEMA: JSON = {"type": "object", "properties": {"a": {"type": "string"}}}


def said(*blocks: Block, role: Any = "user") -> Message:
    return Message(role, blocks)


def request(*messages: Message, origin: Format = Format.ANTHROPIC, **fields: Any) -> Request:
    return Request(fields.pop("model", "m"), messages, origin, **fields)


IMAGE = Image(media_type="image/png", data=PNG)
END_USER, USER = said(Text("Go")), {"role": "user", "content": "Go"}
