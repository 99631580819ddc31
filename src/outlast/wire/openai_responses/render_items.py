"""Canonical messages → input items of a Responses request."""

from __future__ import annotations

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
from outlast.wire.openai_responses.media import render_part
from outlast.wire.openai_responses.names import Names, ToolName, upstream_call_id

ORIGIN = Format.OPENAI_RESPONSES


class Items:
    """Collects the input items of one request, and the names of what had to be left out."""

    def __init__(self, request: Request, dropped: list[str]) -> None:
        self.input: list[JSON] = []
        self.instructions = ""
        self._request = request
        self._names = Names(request.tools)
        self._dropped = dropped
        self._custom = {
            block.id
            for message in request.messages
            for block in message.content
            if isinstance(block, ToolUse) and block.custom
        }
        self._open: list[JSON] = []
        """Parts of the message that is being filled."""

    def render(self) -> None:
        """Fill `input` and `instructions`. Raises Untranslatable."""
        messages = self._request.messages
        leading = _leading_system(messages)
        if leading == len(messages):
            leading = 0  # a request must have input: an all-system one keeps it as messages
        texts = [self._text(block) for message in messages[:leading] for block in message.content]
        self.instructions = "\n\n".join(text for text in texts if text)
        for index, message in enumerate(messages[leading:], leading):
            self._message(message, f"messages.{index}")
        self._refuse_prefill(messages)

    def _refuse_prefill(self, messages: tuple[Message, ...]) -> None:
        last = messages[-1] if messages else None
        if (
            self._request.origin is Format.ANTHROPIC
            and last is not None
            and last.role == "assistant"
            and any(isinstance(block, Text) and block.text for block in last.content)
        ):
            raise Untranslatable(
                f"messages.{len(messages) - 1}",
                "starts the answer for the model (a prefill), which this upstream cannot "
                "continue; end with a user message",
            )

    def drop(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)

    def _text(self, block: Block) -> str:
        if not isinstance(block, Text):
            self.drop(f"system.{_kind(block)}")
            return ""
        self._note(block)
        return block.text

    def _note(self, block: Block) -> None:
        if not isinstance(block, (Thinking, Opaque)) and block.cache_control is not None:
            self.drop("cache_control")
        if isinstance(block, Text) and block.citations:
            self.drop("citations")

    def _message(self, message: Message, path: str) -> None:
        role = "developer" if message.role == "system" else message.role
        for index, block in enumerate(message.content):
            where = f"{path}.content.{index}"
            self._note(block)
            if isinstance(block, (Text, Image, Document)):
                self._part(role, block, where)
            else:
                self._flush(role)
                self._item(block, where)
        self._flush(role)

    def _part(self, role: str, block: Text | Image | Document, path: str) -> None:
        if role != "assistant":
            self._open.append(render_part(block, self._request.origin, path))
        elif isinstance(block, Text):
            # A message for each text: as parts of one, the API would want the item's own id.
            if block.text:
                self.input.append({"type": "message", "role": role, "content": block.text})
        else:
            self.drop(f"assistant.{_kind(block)}")

    def _flush(self, role: str) -> None:
        if self._open:
            self.input.append({"type": "message", "role": role, "content": self._open})
            self._open = []

    def _item(self, block: Thinking | ToolUse | ToolResult | Opaque, path: str) -> None:
        if isinstance(block, ToolUse):
            self.input.append(self._call(block))
        elif isinstance(block, ToolResult):
            self.input.append(self._result(block, path))
        elif isinstance(block, Opaque):
            if block.origin is ORIGIN:
                self.input.append(block.raw)
            else:
                self.drop(block.name)
        elif block.origin is ORIGIN and block.signature:
            summary = [{"type": "summary_text", "text": block.text}] if block.text else []
            item: JSON = {"type": "reasoning", "summary": summary}
            if block.id:
                item["id"] = block.id
            self.input.append({**item, "encrypted_content": block.signature})
        else:
            self.drop("thinking")

    def _call(self, block: ToolUse) -> JSON:
        called: ToolName = self._names.of(block.name)
        item: JSON = {
            "type": "custom_tool_call" if block.custom else "function_call",
            "call_id": upstream_call_id(block.id),
            "name": called.name,
        }
        if called.namespace:
            item["namespace"] = called.namespace
        item["input" if block.custom else "arguments"] = block.arguments
        return item

    def _result(self, block: ToolResult, path: str) -> JSON:
        custom = block.custom or block.tool_use_id in self._custom
        return {
            "type": "custom_tool_call_output" if custom else "function_call_output",
            "call_id": upstream_call_id(block.tool_use_id),
            "output": self._output(block, path),
        }

    def _output(self, block: ToolResult, path: str) -> str | list[JSON]:
        """Return text where there is only text: every server of this format takes that.

        The format has no word for a failed call, so a failure says so in its text.
        """
        content = block.content
        texts = [part.text for part in content if isinstance(part, Text)]
        if block.is_error and not "".join(texts).lstrip().lower().startswith("error"):
            content = (Text("Error: " + (texts[0] if texts else "")), *_without_first_text(content))
        if all(isinstance(part, Text) for part in content):
            return "\n".join(part.text for part in content if isinstance(part, Text))
        origin = self._request.origin
        return [render_part(part, origin, f"{path}.content.{i}") for i, part in enumerate(content)]


def _without_first_text(
    content: tuple[Text | Image | Document, ...],
) -> list[Text | Image | Document]:
    rest = list(content)
    for index, part in enumerate(rest):
        if isinstance(part, Text):
            del rest[index]
            break
    return rest


def _leading_system(messages: tuple[Message, ...]) -> int:
    for index, message in enumerate(messages):
        if message.role != "system":
            return index
    return len(messages)


def _kind(block: Block) -> str:
    return type(block).__name__.lower()
