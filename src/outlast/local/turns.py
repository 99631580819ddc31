"""Turns of a conversation as plain text: flattened, shortened in the middle, fitted. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from outlast.local import words
from outlast.local.tokens import MESSAGE_TOKENS, characters_for, estimate_tokens
from outlast.local.tools import call_text, result_text
from outlast.wire.canon import (
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
)

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>\s*", re.DOTALL)
_LEAST_TOKENS = 32
_ASKED_SHARE = 0.5
_CAPS = {"typed": 0.25, "answer": 0.12, "call": 0.15, "result": 0.15, "system": 0.05}
_LAST_RESULT_SHARE = 0.45
_CALL_VALUE_CHARS = 200

Kind = Literal["typed", "answer", "call", "result", "system"]


class Turn(msgspec.Struct, frozen=True):
    """One piece of one message, as text. `kind` decides how much of it may stay."""

    role: Literal["system", "user", "assistant"]
    kind: Kind
    text: str
    call: ToolUse | None = None


def typed_text(message: Message) -> str:
    """Return what a person typed in a user message: its text without a client's reminders."""
    texts = [block.text for block in message.content if isinstance(block, Text)]
    return without_reminders("\n".join(texts)).strip()


def without_reminders(text: str) -> str:
    """Drop the `<system-reminder>` blocks that coding tools put into user turns."""
    return _REMINDER.sub("", text)


def flatten(request: Request, language: words.Language) -> tuple[list[Turn], list[str]]:
    """Return every message as text turns, and notes on what text cannot carry."""
    names: dict[str, str] = {}
    seen: dict[str, int] = {}
    flat: list[Turn] = []
    for message in request.messages:
        for block in message.content:
            if isinstance(block, ToolUse):
                names[block.id] = block.name
            flat.extend(_turns(message, block, names, language, seen))
    notes = [f"{count} {what}" for what, count in seen.items()]
    return flat, notes


def _turns(
    message: Message,
    block: Block,
    names: dict[str, str],
    language: words.Language,
    seen: dict[str, int],
) -> list[Turn]:
    match block:
        case ToolUse():
            return [Turn("assistant", "call", call_text(block), block)]
        case ToolResult():
            text = "\n".join(_words_of(part, language, seen) for part in block.content)
            name = names.get(block.tool_use_id, "tool")
            return [Turn("user", "result", result_text(name, text, block.is_error))]
        case Thinking() | Opaque():
            what = "thinking blocks left out" if isinstance(block, Thinking) else "unknown blocks"
            seen[what] = seen.get(what, 0) + 1
            return []
        case _:
            text = _words_of(block, language, seen)
            if not text.strip():
                return []
            if message.role == "user":
                return [Turn("user", "typed", text)]
            if message.role == "assistant":
                return [Turn("assistant", "answer", text)]
            return [Turn("system", "system", text)]


def _words_of(
    block: Text | Image | Document, language: words.Language, seen: dict[str, int]
) -> str:
    match block:
        case Text():
            return block.text
        case Image():
            what = "images replaced by a sentence: the local model cannot see them"
            seen[what] = seen.get(what, 0) + 1
            return words.IMAGE[language]
        case Document():
            if block.text:
                return f"{block.title}\n{block.text}" if block.title else block.text
            what = "documents replaced by a sentence: the local model cannot read them"
            seen[what] = seen.get(what, 0) + 1
            title = f" ({block.title})" if block.title else ""
            return words.DOCUMENT[language].format(title=title)


def merged(turns: Iterable[Turn]) -> list[Message]:
    """Return messages whose roles alternate as chat templates expect.

    A system turn inside the conversation becomes part of the user's side, where it stood.
    """
    messages: list[tuple[Literal["user", "assistant"], str]] = []
    for turn in turns:
        role: Literal["user", "assistant"] = "assistant" if turn.role == "assistant" else "user"
        if messages and messages[-1][0] == role:
            messages[-1] = (role, f"{messages[-1][1]}\n{turn.text}")
        else:
            messages.append((role, turn.text))
    return [Message(role, (Text(text),)) for role, text in messages]


def shortened(text: str, tokens: int, language: words.Language, head_share: float = 0.6) -> str:
    """Return `text` within about `tokens`: its beginning and end, the cut said in between."""
    keep = characters_for(tokens - 12, text) if estimate_tokens(text) > tokens else len(text)
    if keep >= len(text):
        return text
    head = int(keep * head_share)
    tail = keep - head
    mark = words.LEFT_OUT[language].format(count=f"{len(text) - keep:,}")
    return f"{text[:head]}\n{mark}\n{text[len(text) - tail :] if tail else ''}".rstrip()


def fit(turns: list[Turn], budget: int, language: words.Language) -> tuple[list[Turn], list[str]]:
    """Keep what matters within `budget` tokens, in its order; return it and what was cut.

    First what the user asked last, then everything newest first, each kind up to its share.
    """
    clean = [_without_noise(turn) for turn in turns]
    present = [i for i, turn in enumerate(clean) if turn.text.strip()]
    asked = next((i for i in reversed(present) if clean[i].kind == "typed"), None)
    order = [i for i in reversed(present) if i != asked]
    if asked is not None:
        order.insert(0, asked)
    kept: dict[int, Turn] = {}
    left = budget
    for index in order:
        turn = clean[index]
        allowed = min(left, int(budget * _share(turn, index, asked, present)))
        allowed -= MESSAGE_TOKENS
        if allowed < _LEAST_TOKENS and estimate_tokens(turn.text) > allowed:
            if index > (asked if asked is not None else -1):
                continue
            break
        kept[index] = _shorter(turn, allowed, language)
        left -= estimate_tokens(kept[index].text) + MESSAGE_TOKENS
    result = [kept[i] for i in sorted(kept)]
    # An answer or a result without what it answers helps nobody, at the very beginning.
    while len(result) > 1 and result[0].kind in {"answer", "result"}:
        result.pop(0)
    return result, _notes(clean, present, kept)


def _share(turn: Turn, index: int, asked: int | None, present: list[int]) -> float:
    if index == asked:
        return 1.0 if index == present[-1] and len(present) == 1 else _ASKED_SHARE
    if turn.kind == "result" and index == present[-1]:
        return _LAST_RESULT_SHARE
    return _CAPS[turn.kind]


def _without_noise(turn: Turn) -> Turn:
    if turn.role != "user":
        return turn
    return msgspec.structs.replace(turn, text=without_reminders(turn.text))


def _shorter(turn: Turn, tokens: int, language: words.Language) -> Turn:
    if estimate_tokens(turn.text) <= tokens:
        return turn
    if turn.call is not None:
        # A call cut in the middle would teach the model broken JSON: cut inside its values.
        return msgspec.structs.replace(turn, text=_short_call(turn.call, tokens, language))
    return msgspec.structs.replace(turn, text=shortened(turn.text, tokens, language))


def _short_call(call: ToolUse, tokens: int, language: words.Language) -> str:
    value_chars = _CALL_VALUE_CHARS
    if call.custom:
        short = shortened(call.arguments, tokens // 2, language)
        return call_text(msgspec.structs.replace(call, arguments=short))
    try:
        arguments: Any = msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        arguments = {}
    brief = {
        key: _brief(value, value_chars, language)
        for key, value in (arguments.items() if isinstance(arguments, dict) else ())
    }
    encoded = msgspec.json.encode(brief).decode()
    text = call_text(msgspec.structs.replace(call, arguments=encoded))
    if estimate_tokens(text) <= tokens:
        return text
    return call_text(msgspec.structs.replace(call, arguments="{}"))


def _brief(value: Any, chars: int, language: words.Language) -> Any:
    if isinstance(value, str) and len(value) > chars:
        return shortened(value, chars // 4, language)
    if isinstance(value, (list, dict)) and len(msgspec.json.encode(value)) > chars:
        return "…"
    return value


def _notes(clean: list[Turn], present: list[int], kept: dict[int, Turn]) -> list[str]:
    notes = []
    dropped = len(present) - len(kept)
    if dropped:
        notes.append(f"{dropped} of {len(present)} pieces of the conversation left out, the oldest")
    cut = [i for i, turn in kept.items() if turn.text != clean[i].text]
    if cut:
        notes.append(f"{len(cut)} pieces of the conversation shortened in the middle")
    return notes
