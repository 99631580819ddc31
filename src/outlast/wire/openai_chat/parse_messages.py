"""Chat messages → canonical messages."""

from __future__ import annotations

import re

import msgspec

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
    ToolResult,
    ToolUse,
    Untranslatable,
)
from outlast.wire.openai_chat.fields import Obj, kind_of

MESSAGES_LIMIT = 20_000
PARTS_LIMIT = 2_000
CALLS_LIMIT = 256

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)
_USER_PARTS = ("text", "image_url", "input_audio", "file")
_MEDIA_TYPES = {
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
}
_MESSAGE_FIELDS = frozenset({
    "role", "content", "refusal", "tool_calls", "function_call", "tool_call_id",
    "reasoning_content", "reasoning", "cache_control",
})  # fmt: skip


class _Conversation:
    """What is known so far while the messages are read in order."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.extra: dict[str, None] = {}
        self.custom_ids: set[str] = set()
        self.legacy_ids: dict[str, str] = {}

    def add(self, role: Role, blocks: list[Block]) -> None:
        self.messages.append(Message(role, tuple(blocks)))

    def add_result(self, result: ToolResult) -> None:
        """Results of one turn stand together in one user turn."""
        last = self.messages[-1] if self.messages else None
        if last and last.role == "user" and all(isinstance(b, ToolResult) for b in last.content):
            self.messages[-1] = Message("user", (*last.content, result))
        else:
            self.add("user", [result])


def parse_messages(values: list[object], path: str) -> tuple[tuple[Message, ...], list[str]]:
    """Return the messages and the names of what they hold that nobody else knows.

    Raises BadRequest, and Untranslatable for input that is sound.
    """
    if not values:
        raise BadRequest(path, "must hold at least one message")
    conversation = _Conversation()
    for index, value in enumerate(values):
        _parse_message(Obj(value, f"{path}.{index}"), conversation)
    return tuple(conversation.messages), list(conversation.extra)


def _parse_message(message: Obj, conversation: _Conversation) -> None:
    role = message.need_text("role")
    for name in message.others(_MESSAGE_FIELDS):
        conversation.extra[f"messages.{name}"] = None
    match role:
        case "system":
            conversation.add("system", _content(message, ("text",)))
        case "developer":
            conversation.add("developer", _content(message, ("text",)))
        case "user":
            conversation.add("user", _content(message, _USER_PARTS))
        case "assistant":
            conversation.add("assistant", _assistant(message, conversation))
        case "tool":
            conversation.add_result(_tool_result(message, conversation))
        case "function":
            conversation.add_result(_function_result(message, conversation))
        case _:
            raise BadRequest(
                message.at("role"),
                "must be one of system, developer, user, assistant, tool, function, "
                f"not {role[:60]!r}",
            )


def _content(message: Obj, kinds: tuple[str, ...]) -> list[Block]:
    """Return the blocks of `content`, which must be there."""
    if not message.has("content"):
        raise BadRequest(message.at("content"), "is missing; it must be text or a list of parts")
    content = message.raw["content"]
    if isinstance(content, str):
        return [Text(content, _cache(message))]
    if not isinstance(content, list):
        raise BadRequest(
            message.at("content"), f"must be a string or a list of parts, not {kind_of(content)}"
        )
    parts = message.items("content", PARTS_LIMIT)
    if not parts:
        raise BadRequest(message.at("content"), "is an empty list; it must hold at least one part")
    return [_part(Obj(part, message.at(f"content.{i}")), kinds) for i, part in enumerate(parts)]


def _part(part: Obj, kinds: tuple[str, ...]) -> Block:
    kind = part.need_text("type")
    if kind not in kinds:
        raise BadRequest(
            part.at("type"), f"must be one of {', '.join(kinds)} here, not {kind[:60]!r}"
        )
    match kind:
        case "image_url":
            return _image(part)
        case "file":
            return _document(part)
        case "input_audio":
            raise Untranslatable(
                part.path, "is sound, which this model's provider does not take in; send text"
            )
        case "refusal":
            return Text(part.text("refusal") or "")
        case _:
            text = part.text("text")
            if text is None:
                raise BadRequest(part.at("text"), "is missing; it must be a string")
            return Text(text, _cache(part))


def _cache(part: Obj) -> JSON | None:
    """OpenAI's breakpoint means what Anthropic's cache mark means; some gateways take the mark."""
    if part.has("prompt_cache_breakpoint"):
        return {"type": "ephemeral"}
    mark = part.obj("cache_control")
    return mark.raw if mark else None


def split_data_url(url: str, path: str) -> tuple[str, str]:
    """Return media type and base64 text of a data URL. Raises BadRequest."""
    match = _DATA_URL.match(url)
    if match is None:
        raise BadRequest(path, "must be of the form data:<media type>;base64,<data>")
    return (match[1] or "").lower(), url[match.end() :]


def _image(part: Obj) -> Image:
    image = part.need_obj("image_url")
    url = image.need_text("url")
    detail = image.text("detail") or ""
    if url[:5].lower() == "data:":
        media_type, data = split_data_url(url, image.at("url"))
        if not media_type.startswith("image/"):
            raise BadRequest(image.at("url"), "must be an image: data:image/png;base64,…")
        return Image(media_type=media_type, data=data, detail=detail, cache_control=_cache(part))
    if url[:7].lower() != "http://" and url[:8].lower() != "https://":
        raise BadRequest(image.at("url"), "must be an http(s) address or a data URL")
    return Image(url=url, detail=detail, cache_control=_cache(part))


def _document(part: Obj) -> Document:
    file = part.need_obj("file")
    title = file.text("filename") or ""
    data, file_id = file.text("file_data"), file.text("file_id")
    if data:
        suffix = title[title.rfind(".") :].lower() if "." in title else ""
        media_type = _MEDIA_TYPES.get(suffix, "application/pdf")
        if data[:5].lower() == "data:":
            said, data = split_data_url(data, file.at("file_data"))
            media_type = said or media_type
        return Document(media_type=media_type, data=data, title=title, cache_control=_cache(part))
    if file_id:
        return Document(file_id=file_id, title=title, cache_control=_cache(part))
    raise BadRequest(file.path, "must hold file_data or file_id")


def _assistant(message: Obj, conversation: _Conversation) -> list[Block]:
    blocks: list[Block] = []
    thought = message.text("reasoning_content")
    if not thought and isinstance(message.raw.get("reasoning"), str):
        thought = message.text("reasoning")
    if thought:
        blocks.append(Thinking(thought, origin=Format.OPENAI_CHAT))
    if message.has("content"):
        blocks += [
            block
            for block in _content(message, ("text", "refusal"))
            if not (isinstance(block, Text) and not block.text)
        ]
    if refusal := message.text("refusal"):
        blocks.append(Text(refusal))
    if message.has("audio"):
        blocks.append(Opaque("audio", Format.OPENAI_CHAT, message.need_obj("audio").raw))
    calls = message.items("tool_calls", CALLS_LIMIT) or []
    for index, call in enumerate(calls):
        blocks.append(_tool_call(Obj(call, message.at(f"tool_calls.{index}")), conversation))
    if legacy := message.obj("function_call"):
        name = legacy.need_text("name")
        legacy_id = f"call_legacy_{len(conversation.messages)}"
        conversation.legacy_ids[name] = legacy_id
        blocks.append(ToolUse(legacy_id, name, legacy.text("arguments") or "{}"))
    return blocks


def _tool_call(call: Obj, conversation: _Conversation) -> ToolUse:
    call_id = call.need_text("id")
    kind = call.choice("type", ("function", "custom")) or "function"
    inner = call.need_obj(kind)
    name = inner.need_text("name")
    if kind == "custom":
        conversation.custom_ids.add(call_id)
        return ToolUse(call_id, name, inner.text("input") or "", custom=True)
    conversation.custom_ids.discard(call_id)
    arguments = inner.raw.get("arguments")
    if isinstance(arguments, dict):
        # Not OpenAI's, but several clients send the object itself.
        return ToolUse(call_id, name, msgspec.json.encode(arguments).decode())
    return ToolUse(call_id, name, inner.text("arguments") or "{}")


def _tool_result(message: Obj, conversation: _Conversation) -> ToolResult:
    call_id = message.need_text("tool_call_id")
    content = _result_content(message)
    return ToolResult(call_id, content, custom=call_id in conversation.custom_ids)


def _result_content(message: Obj) -> tuple[Text | Image | Document, ...]:
    # OpenAI documents text alone; images in tool results are taken because several clients
    # send them and the other two formats can carry them.
    blocks = _content(message, ("text", "image_url", "file"))
    return tuple(block for block in blocks if isinstance(block, Text | Image | Document))


def _function_result(message: Obj, conversation: _Conversation) -> ToolResult:
    name = message.need_text("name")
    call_id = conversation.legacy_ids.get(name)
    if call_id is None:
        raise BadRequest(message.at("name"), f"answers a call of {name[:60]!r} that was never made")
    content = message.text("content")
    return ToolResult(call_id, (Text(content),) if content else ())
