"""Content blocks of the Messages API → canonical blocks. Pure."""

from __future__ import annotations

from outlast.nouns import Format
from outlast.wire.anthropic.fields import (
    an_array,
    an_object,
    encoded,
    join,
    one_of,
    opt_bool,
    opt_object,
    opt_text,
    required,
    text,
)
from outlast.wire.canon import (
    JSON,
    BadRequest,
    Block,
    Document,
    Image,
    Opaque,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

_ORIGIN = Format.ANTHROPIC

_ONLY_IN = {
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "tool_result": "user",
}


class Extra:
    """Names of fields that no other format knows, in the order they were met, each once."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        self._names[name] = None

    def names(self) -> tuple[str, ...]:
        return tuple(self._names)


def parse_content(content: object, path: str, role: str, extra: Extra) -> tuple[Block, ...]:
    """Return the blocks of a turn: a string stands for one text block."""
    if isinstance(content, str):
        return (Text(content),)
    blocks: list[Block] = []
    for index, value in enumerate(an_array(content, path)):
        at = join(path, index)
        blocks += _block(an_object(value, at), at, role, extra)
    return tuple(blocks)


def _block(block: JSON, path: str, role: str, extra: Extra) -> list[Block]:
    kind = text(block, "type", path)
    if (only := _ONLY_IN.get(kind)) and role != only:
        raise BadRequest(path, f"a {kind} block stands in {only} turns only, not in {role} turns")
    match kind:
        case "text" | "image" | "document" | "search_result":
            return [*_media(block, kind, path, extra)]
        case "tool_use":
            arguments = encoded(
                an_object(required(block, "input", path), join(path, "input")), path
            )
            return [
                ToolUse(
                    text(block, "id", path, empty=False),
                    text(block, "name", path, empty=False),
                    arguments,
                    cache_control=opt_object(block, "cache_control", path),
                )
            ]
        case "tool_result":
            return [_tool_result(block, path, extra)]
        case "thinking":
            # An empty signature is one that another vendor's thinking was shown with.
            signature = opt_text(block, "signature", path)
            origin = _ORIGIN if signature else None
            return [Thinking(text(block, "thinking", path), signature, origin=origin)]
        case "redacted_thinking":
            data = text(block, "data", path)
            return [Thinking(signature=data, redacted=True, origin=_ORIGIN)]
        case "fallback":
            return []  # a seam in an earlier answer; it is not part of the conversation
        case _:
            return [Opaque(kind, _ORIGIN, block)]


def _media(block: JSON, kind: str, path: str, extra: Extra) -> list[Text | Image | Document]:
    cache = opt_object(block, "cache_control", path)
    match kind:
        case "text":
            citations = block.get("citations")
            if citations is not None:
                at = join(path, "citations")
                citations = [an_object(one, at) for one in an_array(citations, at)]
            return [Text(text(block, "text", path), cache, citations or None)]
        case "image":
            if block.get("transformations") is not None:
                extra.add("messages.content.transformations")
            return [_image(block, path, cache)]
        case "search_result":
            if block.get("citations") is not None:
                extra.add("messages.content.citations")
            return [_search_result(block, path, cache)]
        case _:
            return _document(block, path, cache, extra)


def _source(block: JSON, path: str, kinds: tuple[str, ...]) -> tuple[str, JSON, str]:
    at = join(path, "source")
    source = an_object(required(block, "source", path), at)
    return one_of(source, "type", at, kinds), source, at


def _base64(source: JSON, at: str) -> str:
    data = text(source, "data", at, empty=False)
    if data.startswith("data:"):
        raise BadRequest(join(at, "data"), "should be base64 alone, without a `data:` prefix")
    return data


def _image(block: JSON, path: str, cache: JSON | None) -> Image:
    kind, source, at = _source(block, path, ("base64", "url", "file"))
    match kind:
        case "base64":
            media_type = text(source, "media_type", at, empty=False)
            return Image(media_type, _base64(source, at), cache_control=cache)
        case "url":
            return Image(url=text(source, "url", at, empty=False), cache_control=cache)
        case _:
            return Image(file_id=text(source, "file_id", at, empty=False), cache_control=cache)


def _document(
    block: JSON, path: str, cache: JSON | None, extra: Extra
) -> list[Text | Image | Document]:
    kind, source, at = _source(block, path, ("base64", "text", "url", "content", "file"))
    title = opt_text(block, "title", path)
    citations = opt_object(block, "citations", path)
    if citations and citations.get("enabled"):
        extra.add("messages.content.citations")
    before: list[Text | Image | Document] = []
    if context := opt_text(block, "context", path):
        before = [Text(f"About the next document: {context}")]
    match kind:
        case "base64":
            media_type = text(source, "media_type", at, empty=False)
            data = _base64(source, at)
            return [*before, Document(media_type, data, title=title, cache_control=cache)]
        case "text":
            plain = text(source, "data", at)
            return [*before, Document("text/plain", text=plain, title=title, cache_control=cache)]
        case "url":
            url = text(source, "url", at, empty=False)
            return [*before, Document(url=url, title=title, cache_control=cache)]
        case "file":
            file_id = text(source, "file_id", at, empty=False)
            return [*before, Document(file_id=file_id, title=title, cache_control=cache)]
        case _:
            heading = [Text(title)] if title else []
            inside = _inside(required(source, "content", at), join(at, "content"), extra)
            return [*before, *heading, *inside]


def _search_result(block: JSON, path: str, cache: JSON | None) -> Text:
    at = join(path, "content")
    pieces = [
        text(an_object(one, join(at, index)), "text", join(at, index))
        for index, one in enumerate(an_array(required(block, "content", path), at))
    ]
    head = f"{text(block, 'title', path)}\n{text(block, 'source', path)}"
    return Text("\n\n".join([head, *pieces]), cache)


def _inside(content: object, path: str, extra: Extra) -> list[Text | Image | Document]:
    """Return what stands inside a document or a tool result."""
    if isinstance(content, str):
        return [Text(content)]
    blocks: list[Text | Image | Document] = []
    for index, value in enumerate(an_array(content, path)):
        at = join(path, index)
        block = an_object(value, at)
        kind = text(block, "type", at)
        if kind in {"text", "image", "document", "search_result"}:
            blocks += _media(block, kind, at, extra)
        elif kind == "tool_reference":
            blocks.append(Text(f"Found the tool {text(block, 'tool_name', at)}."))
        else:
            extra.add(f"messages.content.{kind}")
    return blocks


def _tool_result(block: JSON, path: str, extra: Extra) -> ToolResult:
    content = block.get("content")
    inside = [] if content is None else _inside(content, join(path, "content"), extra)
    return ToolResult(
        text(block, "tool_use_id", path, empty=False),
        tuple(inside),
        bool(opt_bool(block, "is_error", path)),
        cache_control=opt_object(block, "cache_control", path),
    )
