"""Input items of a Responses request → canonical messages."""

from __future__ import annotations

from typing import cast

from outlast.nouns import Format
from outlast.wire.canon import (
    JSON,
    BadRequest,
    Block,
    Document,
    Image,
    Message,
    Opaque,
    Role,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Untranslatable,
)
from outlast.wire.openai_responses import fields
from outlast.wire.openai_responses.media import parse_file, parse_image
from outlast.wire.openai_responses.names import flat_name
from outlast.wire.openai_responses.tools import merge, parse_tools

ORIGIN = Format.OPENAI_RESPONSES
_ROLES = ("user", "assistant", "system", "developer")
_STATEFUL = {
    "item_reference": "refers to an item that OpenAI stored; send the whole item instead",
    "compaction": "is a compacted history that only OpenAI can read; send the items themselves",
    "compaction_summary": "is a compacted history that only OpenAI can read; "
    "send the items themselves",
    "compaction_trigger": "asks OpenAI to compact the history, which no other upstream does",
}


class Conversation:
    """Collects messages; neighbours of one turn are joined into one message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.tools: list[Tool] = []
        """Tools that the input itself brings (`additional_tools`, `tool_search_output`)."""
        self.updates: JSON = {}
        """Last words of `configuration_update` items."""
        self.stored: bool = False
        self._open: list[Block] = []
        self._kind = ""

    def add(self, role: Role, blocks: list[Block]) -> None:
        """Append a message of its own."""
        self.close()
        self.messages.append(Message(role, tuple(blocks)))

    def extend(self, kind: str, blocks: list[Block]) -> None:
        """Append to the open message of this kind: `assistant` or tool `results`."""
        if kind != self._kind:
            self.close()
            self._kind = kind
        self._open += blocks

    def close(self) -> None:
        if self._open:
            role: Role = "assistant" if self._kind == "assistant" else "user"
            self.messages.append(Message(role, tuple(self._open)))
        self._open, self._kind = [], ""


def parse_input(value: object) -> Conversation:
    """Return the conversation in `input`. Raises BadRequest and Untranslatable."""
    conversation = Conversation()
    if isinstance(value, str):
        conversation.add("user", [Text(value)])
        return conversation
    if not isinstance(value, list):
        raise BadRequest("input", f"must be a string or a list, not {fields.kind_of(value)}")
    if not value:
        raise BadRequest("input", "must not be empty")
    for index, item in enumerate(value):
        path = f"input.{index}"
        _item(fields.as_object(item, path), path, conversation)
    conversation.close()
    return conversation


def _item(raw: JSON, path: str, into: Conversation) -> None:
    kind = fields.text_or(raw, "type", path)
    if not kind:
        kind = "item_reference" if "id" in raw and "role" not in raw else "message"
    if kind == "message":
        _message(raw, path, into)
    elif kind in ("function_call", "custom_tool_call"):
        into.extend("assistant", [_call(raw, path, kind == "custom_tool_call")])
    elif kind in ("function_call_output", "custom_tool_call_output"):
        into.extend("results", [_output(raw, path, kind == "custom_tool_call_output")])
    elif kind == "reasoning":
        into.extend("assistant", [_reasoning(raw, path)])
    elif kind in _STATEFUL:
        raise Untranslatable(path, _STATEFUL[kind])
    elif kind == "configuration_update":
        for key in ("reasoning", "text"):
            if (update := fields.optional_object(raw, key, path)) is not None:
                into.updates[key] = {**into.updates.get(key, {}), **update}
    else:
        if kind in ("additional_tools", "tool_search_output"):
            more = parse_tools(raw.get("tools") or [], fields.join(path, "tools"))
            into.tools = merge(into.tools, more)
        block = Opaque(name=kind, origin=ORIGIN, raw=raw)
        into.extend("results" if kind.endswith("_output") else "assistant", [block])


def _message(raw: JSON, path: str, into: Conversation) -> None:
    role = fields.name(raw, "role", path)
    if role == "tool":
        raise BadRequest(
            fields.join(path, "role"),
            "tool is of chat completions; here a result is an item of type function_call_output",
        )
    if role not in _ROLES:
        raise BadRequest(
            fields.join(path, "role"), f"must be one of {', '.join(_ROLES)}, not {role!r:.60}"
        )
    blocks = _content(raw.get("content"), fields.join(path, "content"))
    if role == "assistant":
        into.extend("assistant", list(blocks))
    else:
        into.add(cast("Role", role), list(blocks))


def _content(value: object, path: str) -> list[Text | Image | Document]:
    if isinstance(value, str):
        return [Text(value)]
    if not isinstance(value, list):
        raise BadRequest(path, f"must be a string or a list of parts, not {fields.kind_of(value)}")
    parts = enumerate(value)
    return [_part(fields.as_object(part, f"{path}.{i}"), f"{path}.{i}") for i, part in parts]


def _part(raw: JSON, path: str) -> Text | Image | Document:
    kind = fields.name(raw, "type", path)
    if kind in ("input_text", "output_text"):
        return Text(fields.text(raw, "text", path))
    if kind == "refusal":
        return Text(fields.text(raw, "refusal", path))
    if kind == "input_image":
        return parse_image(raw, path)
    if kind == "input_file":
        return parse_file(raw, path)
    if kind == "input_audio":
        raise Untranslatable(path, "is audio, which the other formats' upstreams cannot hear")
    if kind == "encrypted_content":
        raise Untranslatable(path, "is encrypted content that only OpenAI can read")
    raise BadRequest(
        fields.join(path, "type"),
        "must be one of input_text, output_text, refusal, input_image, input_file, "
        f"not {kind!r:.60}",
    )


def _call(raw: JSON, path: str, custom: bool) -> ToolUse:
    namespace = fields.text_or(raw, "namespace", path)
    return ToolUse(
        id=fields.name(raw, "call_id", path),
        name=flat_name(namespace, fields.name(raw, "name", path)),
        arguments=fields.text(raw, "input" if custom else "arguments", path),
        custom=custom,
    )


def _output(raw: JSON, path: str, custom: bool) -> ToolResult:
    content = _content(raw.get("output"), fields.join(path, "output"))
    call_id = fields.name(raw, "call_id", path)
    return ToolResult(tool_use_id=call_id, content=tuple(content), custom=custom)


def _reasoning(raw: JSON, path: str) -> Thinking:
    texts: list[str] = []
    for key in ("summary", "content"):
        where = fields.join(path, key)
        for index, part in enumerate(fields.as_list(raw.get(key) or [], where)):
            entry = fields.as_object(part, f"{where}.{index}")
            texts.append(fields.text_or(entry, "text", f"{where}.{index}"))
        if texts:
            break
    return Thinking(
        text="\n\n".join(texts),
        signature=fields.text_or(raw, "encrypted_content", path),
        origin=ORIGIN,
        id=fields.text_or(raw, "id", path),
    )
