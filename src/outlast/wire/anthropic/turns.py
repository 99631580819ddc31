"""Canonical turns → the `system` and `messages` of the Messages API. Pure.

The rules there: user and assistant alternate; the results of a turn's tool calls stand first in
the very next user turn, one for each call, and nowhere else; no text is blank; thinking carries
Anthropic's signature or is not sent. A history that breaks them is mended, because a conversation
that cannot move to another vendor is lost in an outage; every mending is named in `dropped`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from outlast.nouns import Format
from outlast.wire.anthropic.ids import request_tool_id
from outlast.wire.anthropic.media import document_block, image_block
from outlast.wire.anthropic.models import Traits
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

_MEANING = {"input_audio", "audio", "input_video", "item_reference"}
"""Blocks that the answer depends on: leaving them out would answer another question."""
_NO_RESULT = "No result was recorded for this call."
_GO_ON = "Please continue."
_BEGIN = "(The conversation begins here.)"


class Dropped:
    """Names of what had no equivalent, in the order they were met, each once."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        self._names[name] = None

    def names(self) -> tuple[str, ...]:
        return tuple(self._names)


class _Turn:
    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[JSON] = []
        self.blocks: list[JSON] = []
        self.calls: list[str] = []

    def content(self) -> list[JSON]:
        return [*self.results, *self.blocks]


class Turns:
    """Builds both parts in one walk over the turns."""

    def __init__(self, request: Request, traits: Traits, dropped: Dropped) -> None:
        self._request = request
        self._traits = traits
        self._dropped = dropped
        self._turns: list[_Turn] = []
        self._seen: dict[str, int] = {}
        self._used: set[str] = set()
        self._waiting: dict[str, list[str]] = {}
        self._answered: set[str] = set()

    def build(self, *, thinking: bool) -> tuple[list[JSON], list[JSON]]:
        """Return (system blocks, messages). `thinking`: whether the answer will think first."""
        messages = self._request.messages
        leading = 0
        while leading < len(messages) and messages[leading].role in {"system", "developer"}:
            leading += 1
        system = [block for message in messages[:leading] for block in self._system(message)]
        for index in range(leading, len(messages)):
            self._add(messages[index], index)
        self._settle()
        self._mend_calls()
        self._mend_ends(system, thinking=thinking)
        return system, [{"role": turn.role, "content": turn.content()} for turn in self._turns]

    def _system(self, message: Message) -> list[JSON]:
        blocks = []
        for block in message.content:
            if isinstance(block, Text):
                blocks += self._text(block)
            else:
                self._dropped.add(f"system.{_name(block)}")
        return blocks

    def _add(self, message: Message, index: int) -> None:
        if message.role in {"system", "developer"}:
            self._system_turn(message)
            return
        turn = self._turn(message.role)
        for position, block in enumerate(message.content):
            field = f"messages.{index}.content.{position}"
            if message.role == "user":
                self._user_block(turn, block, field)
            else:
                self._assistant_block(turn, block)

    def _turn(self, role: str) -> _Turn:
        """Return the turn to add to: turns of one role in a row are one."""
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _system_turn(self, message: Message) -> None:
        """A later system turn: as it is where the model takes it, else marked in a user turn."""
        blocks = self._system(message)
        if not blocks:
            return
        if self._traits.system_turns:
            self._turn("system").blocks += blocks
        else:
            self._turn("user").blocks += self._marked(blocks)

    def _marked(self, blocks: list[JSON]) -> list[JSON]:
        """A later instruction of the operator, where only the user can speak: it loses weight."""
        self._dropped.add("messages.system")
        return [block | {"text": f"<system>\n{block['text']}\n</system>"} for block in blocks]

    def _user_block(self, turn: _Turn, block: Block, field: str) -> None:
        match block:
            case Text():
                turn.blocks += self._text(block)
            case Image():
                turn.blocks.append(image_block(block, self._request, field, self._dropped.add))
            case Document():
                turn.blocks.append(document_block(block, self._request, field))
            case ToolResult():
                self._result(turn, block, field)
            case Opaque():
                self._opaque(turn, block, field)
            case _:
                self._dropped.add(f"messages.{_name(block)}")

    def _assistant_block(self, turn: _Turn, block: Block) -> None:
        match block:
            case Text():
                turn.blocks += self._text(block)
            case Thinking():
                turn.blocks += self._thinking(block)
            case ToolUse():
                self._call(turn, block)
            case Opaque() if block.origin is Format.ANTHROPIC:
                turn.blocks.append(block.raw)
            case _:
                self._dropped.add(f"messages.{_name(block)}")

    def _text(self, block: Text) -> list[JSON]:
        if not block.text.strip():
            return []  # blank text is refused, and says nothing
        shown: JSON = {"type": "text", "text": block.text}
        if block.citations and self._request.origin is Format.ANTHROPIC:
            shown["citations"] = block.citations
        elif block.citations:
            self._dropped.add("messages.annotations")
        return [_cached(shown, block.cache_control)]

    def _thinking(self, block: Thinking) -> list[JSON]:
        if block.origin is not Format.ANTHROPIC or not block.signature:
            self._dropped.add("messages.reasoning")
            return []
        if block.redacted:
            return [{"type": "redacted_thinking", "data": block.signature}]
        return [{"type": "thinking", "thinking": block.text, "signature": block.signature}]

    def _opaque(self, turn: _Turn, block: Opaque, field: str) -> None:
        if block.origin is Format.ANTHROPIC:
            turn.blocks.append(block.raw)
        elif block.name in _MEANING:
            raise Untranslatable(field, f"{block.name} has no equivalent in Anthropic's format")
        else:
            self._dropped.add(f"messages.{block.name}")

    def _call(self, turn: _Turn, block: ToolUse) -> None:
        occurrence = 0
        while (call := request_tool_id(block.id, occurrence)) in self._used:
            occurrence = max(occurrence + 1, self._seen.get(block.id, 0))
        self._seen[block.id] = occurrence + 1
        self._used.add(call)
        self._waiting.setdefault(block.id, []).append(call)
        turn.calls.append(call)
        shown = {"type": "tool_use", "id": call, "name": block.name, "input": _input(block)}
        turn.blocks.append(_cached(shown, block.cache_control))

    def _result(self, turn: _Turn, block: ToolResult, field: str) -> None:
        content: list[JSON] = []
        for inside in block.content:
            self._inside(content, inside, field)
        waiting = self._waiting.get(block.tool_use_id, [])
        owed = next((one.calls for one in reversed(self._turns) if one.role == "assistant"), [])
        call = next((one for one in waiting if one in owed), "")
        if not call:
            self._dropped.add("messages.tool_result")
            turn.blocks.append({"type": "text", "text": "The result of a tool call:"})
            turn.blocks += content
            return
        waiting.remove(call)
        self._answered.add(call)
        shown: JSON = {"type": "tool_result", "tool_use_id": call}
        if content:
            shown["content"] = content
        if block.is_error:
            shown["is_error"] = True
        turn.results.append(_cached(shown, block.cache_control))

    def _inside(self, content: list[JSON], block: Text | Image | Document, field: str) -> None:
        match block:
            case Text():
                content += self._text(block)
            case Image():
                content.append(image_block(block, self._request, field, self._dropped.add))
            case _:
                content.append(document_block(block, self._request, field))

    def _settle(self) -> None:
        """Leave no empty turn, no two of one role in a row, no system turn where none is taken."""
        turns = [turn for turn in self._turns if turn.content()]
        self._turns = []
        for place, turn in enumerate(turns):
            following = turns[place + 1].role if place + 1 < len(turns) else ""
            before = self._turns[-1].role if self._turns else ""
            if turn.role == "system" and not (before == "user" and following in {"", "assistant"}):
                turn.role = "user"
                turn.blocks = self._marked(turn.blocks)
            target = self._turn(turn.role)
            target.results += turn.results
            target.blocks += turn.blocks
            target.calls += turn.calls

    def _mend_calls(self) -> None:
        """Give a result to every call but those of a last turn: Anthropic asks for all of them."""
        mended: list[_Turn] = []
        for turn in self._turns:
            owed = mended[-1].calls if mended else []
            missing = [call for call in owed if call not in self._answered]
            if missing:
                self._dropped.add("messages.tool_use")
                if turn.role != "user":
                    mended.append(_Turn("user"))
                target = turn if turn.role == "user" else mended[-1]
                target.results += [_missing(call) for call in missing]
            mended.append(turn)
        if mended and mended[-1].calls:
            last = _Turn("user")
            last.results = [_missing(call) for call in mended[-1].calls]
            self._dropped.add("messages.tool_use")
            mended.append(last)
        self._turns = [turn for turn in mended if turn.content()]

    def _mend_ends(self, system: list[JSON], *, thinking: bool) -> None:
        if not self._turns:
            # Only a system prompt: its last block is what is asked.
            turn = _Turn("user")
            turn.blocks = [system.pop()] if system else [{"type": "text", "text": _GO_ON}]
            self._turns = [turn]
        if self._turns[0].role == "assistant":
            first = _Turn("user")
            first.blocks = [{"type": "text", "text": _BEGIN}]
            self._turns.insert(0, first)
        last = self._turns[-1]
        if last.role != "assistant":
            return
        if self._traits.prefill and not thinking and last.blocks[-1]["type"] == "text":
            last.blocks[-1] = last.blocks[-1] | {"text": last.blocks[-1]["text"].rstrip()}
            return
        # The other formats answer such a turn with a new one; so must this one.
        asked = _Turn("user")
        asked.blocks = [{"type": "text", "text": _GO_ON}]
        self._turns.append(asked)


def _missing(call: str) -> JSON:
    content = [{"type": "text", "text": _NO_RESULT}]
    return {"type": "tool_result", "tool_use_id": call, "content": content, "is_error": True}


def _cached(block: JSON, cache_control: JSON | None) -> JSON:
    return block | {"cache_control": cache_control} if cache_control else block


def _name(block: Block) -> str:
    return block.name if isinstance(block, Opaque) else type(block).__name__.lower()


def _input(block: ToolUse) -> JSON:
    """A call's arguments as the object they must be here; what is none is kept as text."""
    if block.custom:
        return {"input": block.arguments}
    if not block.arguments.strip():
        return {}
    try:
        value: Any = msgspec.json.decode(block.arguments)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": block.arguments}
