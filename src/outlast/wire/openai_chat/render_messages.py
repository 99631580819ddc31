"""Canonical messages → chat messages.

This format wants the results of a turn's calls right after the turn, one `tool` message each,
text only. So results are collected from wherever they stand, images of results follow in a user
message, and turns of the assistant that stand together become one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

import msgspec

from outlast.nouns import Format
from outlast.wire.canon import (
    JSON,
    Block,
    Document,
    Image,
    Message,
    Opaque,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Untranslatable,
)
from outlast.wire.openai_chat.fields import speakable

CALL_ID_LIMIT = 40
"""OpenAI refuses a longer id of a tool call in a chat request."""
ATTRIBUTION = "x-anthropic-billing-header:"
"""Claude Code's first system block: a line for Anthropic's accounting, not for a model."""

_OPENAI = (Format.OPENAI_CHAT, Format.OPENAI_RESPONSES)


class Dropped:
    """The names of what is left out, each once, in order."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = dict.fromkeys(names)

    def add(self, name: str) -> None:
        self._names[name] = None

    def names(self) -> tuple[str, ...]:
        return tuple(self._names)


def call_id(tool_use_id: str) -> str:
    """Return an id that this format takes; the same one for a call and its result."""
    if 0 < len(tool_use_id) <= CALL_ID_LIMIT:
        return tool_use_id
    return "call_" + hashlib.sha256(tool_use_id.encode("utf-8", "replace")).hexdigest()[:32]


def render_messages(request: Request, dropped: Dropped, *, native_custom: bool) -> list[JSON]:
    """Return the chat messages. Raises Untranslatable."""
    return _Renderer(request, dropped, native_custom).render()


class _Renderer:
    def __init__(self, request: Request, dropped: Dropped, native_custom: bool) -> None:
        self._messages = request.messages
        self._openai = request.origin in _OPENAI
        self._dropped = dropped
        self._native_custom = native_custom
        self._out: list[JSON] = []
        self._taken: set[tuple[int, int]] = set()
        """Where results stood that were already moved up to their call."""

    def render(self) -> list[JSON]:
        position = self._leading_system()
        while position < len(self._messages):
            message = self._messages[position]
            if message.role == "assistant":
                last = position
                while self._continues(last + 1):
                    last += 1
                self._assistant(position, last)
                position = last + 1
                continue
            if message.role == "user":
                self._user(position)
            else:
                self._add_system((message,))
            position += 1
        if not self._out:
            raise Untranslatable("messages", "holds nothing that this model's provider could read")
        if self._out[-1]["role"] == "assistant":
            # The beginning of an answer, put in the model's mouth: some servers go on from it,
            # OpenAI starts anew.
            self._dropped.add("prefill")
        return self._out

    def _continues(self, position: int) -> bool:
        return position < len(self._messages) and self._messages[position].role == "assistant"

    # System

    def _leading_system(self) -> int:
        """Many servers take one system message, at the start: the leading ones become one."""
        end = 0
        while end < len(self._messages) and self._messages[end].role in {"system", "developer"}:
            end += 1
        self._add_system(self._messages[:end])
        return end

    def _add_system(self, messages: Iterable[Message]) -> None:
        texts: list[str] = []
        for message in messages:
            for block in message.content:
                if not isinstance(block, Text):
                    raise Untranslatable(
                        "system",
                        "holds something other than text, which this model's provider takes "
                        "from users only",
                    )
                if block.text.startswith(ATTRIBUTION):
                    self._dropped.add("system.x-anthropic-billing-header")
                    continue
                self._note(block)
                texts.append(block.text)
        if texts:
            self._out.append({"role": "system", "content": join_texts(texts)})

    # Assistant

    def _assistant(self, first: int, last: int) -> None:
        texts: list[str] = []
        calls: list[JSON] = []
        uses: list[ToolUse] = []
        glued = False
        for message in self._messages[first : last + 1]:
            for block in message.content:
                match block:
                    case Text(text=text):
                        self._note(block)
                        if texts and glued:
                            texts[-1] += text
                        elif text:
                            texts.append(text)
                        glued = bool(texts)
                        continue
                    case ToolUse():
                        self._note(block)
                        uses.append(block)
                        calls.append(self._call(block))
                    case Thinking():
                        self._dropped.add("thinking")
                    case Opaque():
                        self._dropped.add(f"content.{speakable(block.name)}")
                    case _:
                        self._dropped.add(f"assistant.{_kind(block)}")
                glued = False
            glued = False
        message_out: JSON = {"role": "assistant", "content": join_texts(texts) if texts else None}
        if calls:
            message_out["tool_calls"] = calls
        if texts or calls:
            self._out.append(message_out)
        self._results(uses, last)

    def _call(self, use: ToolUse) -> JSON:
        if use.custom and self._native_custom:
            inner: JSON = {"name": use.name, "input": use.arguments}
            return {"id": call_id(use.id), "type": "custom", "custom": inner}
        arguments = use.arguments or "{}"
        if use.custom:
            arguments = msgspec.json.encode({"input": use.arguments}).decode()
        inner = {"name": use.name, "arguments": arguments}
        return {"id": call_id(use.id), "type": "function", "function": inner}

    # Tool results

    def _results(self, uses: list[ToolUse], last: int) -> None:
        """Put the results of these calls right after them, and their images after all results."""
        images: list[JSON] = []
        for use in uses:
            found = self._find_result(use.id, last + 1)
            if found is None:
                # This format refuses a call without a result; the truth is the only honest one.
                self._dropped.add("tool_use.without_result")
                text = "(No result of this call was recorded.)"
            else:
                text, media = self._result(found)
                images += media
            self._out.append({"role": "tool", "tool_call_id": call_id(use.id), "content": text})
        if images:
            self._out.append({"role": "user", "content": images})

    def _find_result(self, tool_use_id: str, start: int) -> ToolResult | None:
        """Return the next result for this id: ids may come back in a later turn."""
        for position in range(start, len(self._messages)):
            for index, block in enumerate(self._messages[position].content):
                if isinstance(block, ToolUse) and block.id == tool_use_id:
                    return None
                if (
                    isinstance(block, ToolResult)
                    and block.tool_use_id == tool_use_id
                    and (position, index) not in self._taken
                ):
                    self._taken.add((position, index))
                    return block
        return None

    def _result(self, result: ToolResult) -> tuple[str, list[JSON]]:
        """Return a result's text, and the parts that only a user message can carry."""
        self._note(result)
        texts: list[str] = ["[The tool reported an error.]"] if result.is_error else []
        parts: list[JSON] = []
        for block in result.content:
            part = self._part(block)
            if part["type"] == "text":
                texts.append(part["text"])
                continue
            word = "image" if part["type"] == "image_url" else "document"
            texts.append(f"[The {word} of this result is in the next user message.]")
            origin = f"[The {word} from the result of tool call {call_id(result.tool_use_id)}:]"
            parts += [{"type": "text", "text": origin}, part]
        return join_texts(texts), parts

    # User

    def _user(self, position: int) -> None:
        parts: list[JSON] = []
        for index, block in enumerate(self._messages[position].content):
            if isinstance(block, ToolResult):
                if (position, index) in self._taken:
                    continue
                # A result whose call is gone: kept as what a person could have said.
                self._dropped.add("tool_result.without_call")
                text, media = self._result(block)
                parts.append({"type": "text", "text": f"[Result of an earlier tool call:]\n{text}"})
                parts += media
            elif isinstance(block, Text | Image | Document):
                parts.append(self._part(block))
            elif isinstance(block, Thinking):
                self._dropped.add("thinking")
            elif isinstance(block, Opaque):
                self._dropped.add(f"content.{speakable(block.name)}")
            else:
                self._dropped.add("user.tool_use")
        if not parts:
            return
        if all(part["type"] == "text" for part in parts):
            # One string: the form that every compatible server reads.
            content: str | list[JSON] = join_texts([part["text"] for part in parts])
        else:
            content = parts
        self._out.append({"role": "user", "content": content})

    def _part(self, block: Text | Image | Document) -> JSON:
        self._note(block)
        if isinstance(block, Text):
            return {"type": "text", "text": block.text}
        return self._image(block) if isinstance(block, Image) else self._document(block)

    def _image(self, image: Image) -> JSON:
        if image.data:
            url = f"data:{image.media_type or 'image/png'};base64,{image.data}"
        elif image.url:
            url = image.url
        else:
            raise Untranslatable(
                "image",
                "is given by a file id, which chat completions do not take; send its data or "
                "address",
            )
        inner: JSON = {"url": url}
        if image.detail:
            inner["detail"] = image.detail
        return {"type": "image_url", "image_url": inner}

    def _document(self, document: Document) -> JSON:
        title = document.title
        text = document.text or _decoded_text(document)
        if not (text or document.data or document.url or document.file_id):
            text = ""
        if text is not None:
            head = f"[Document: {title}]" if title else "[Document]"
            return {"type": "text", "text": f"{head}\n{text}\n[End of the document]"}
        if document.data:
            media_type = document.media_type or "application/pdf"
            name = title if "." in title else f"{title or 'document'}.{_suffix(media_type)}"
            data = f"data:{media_type};base64,{document.data}"
            return {"type": "file", "file": {"filename": name, "file_data": data}}
        if document.file_id and self._openai:
            return {"type": "file", "file": {"file_id": document.file_id}}
        raise Untranslatable(
            "document",
            "is given by an address or by another vendor's file id, which this model's provider "
            "cannot open; send its data",
        )

    def _note(self, block: Text | Image | Document | ToolUse | ToolResult) -> None:
        """Name the marks on a block that have no equivalent here."""
        if block.cache_control:
            self._dropped.add("cache_control")
        if isinstance(block, Text) and block.citations:
            self._dropped.add("citations")


def join_texts(texts: list[str]) -> str:
    """Return one text of several, a blank line between those without a line end of their own."""
    joined = texts[0] if texts else ""
    for text in texts[1:]:
        apart = not joined or not text or joined.endswith("\n") or text.startswith("\n")
        joined += text if apart else f"\n\n{text}"
    return joined


def _decoded_text(document: Document) -> str | None:
    """Return the text of a base64 document that is text, else None."""
    if not document.data or not document.media_type.startswith("text/"):
        return None
    try:
        return base64.b64decode(document.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _suffix(media_type: str) -> str:
    return "pdf" if media_type == "application/pdf" else media_type.rpartition("/")[2][:16]


def _kind(block: Block) -> str:
    return str(block.__struct_config__.tag)
