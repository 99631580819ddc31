"""A request as a model sees it, whatever format it came in.

On purpose not `wire.canon`: the simulator judges Outlast's translation, so it reads each format
with code of its own, and no more of it than an answer depends on.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from outlast.nouns import Format
from outlast.wire.canon import JSON


class Call(msgspec.Struct, frozen=True):
    id: str
    name: str


class Result(msgspec.Struct, frozen=True):
    id: str
    text: str


class Turn(msgspec.Struct, frozen=True):
    """Neighbouring turns of one role are one Turn."""

    role: Literal["user", "assistant"]
    text: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    seals: tuple[tuple[str, str], ...] = ()
    """(How it is refused where it cannot be read, signature) of each thinking block."""


class Tool(msgspec.Struct, frozen=True):
    name: str
    parameters: JSON = {}
    custom: bool = False
    """Takes free text."""
    namespace: str = ""


class Ask(msgspec.Struct, frozen=True):
    format: Format
    model: str
    turns: tuple[Turn, ...]
    system: str = ""
    stream: bool = False
    tools: tuple[Tool, ...] = ()
    choice: Literal["auto", "none", "required", "tool"] = "auto"
    chosen: str = ""
    parallel: bool = True
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    schema: JSON | None = None
    any_json: bool = False
    thinks: bool = False
    shows_thinking: bool = True
    encrypted: bool = False
    """Responses: the client wants encrypted reasoning back."""
    usage_chunk: bool = False
    cache: bool = False
    """Anthropic: there is a cache_control."""
    seals: tuple[tuple[str, str], ...] = ()
    """What was signed in the history: (the refusal where it cannot be read, the signature)."""
    goes_on: bool = False
    """The request says in its own format that the last assistant turn is to be continued."""

    @property
    def words(self) -> str:
        """Text of the last user turn; after a tool, of its results."""
        for turn in reversed(self.turns):
            if turn.role == "user":
                return turn.text or " ".join(result.text for result in turn.results)
        return ""


class Rejected(Exception):
    """A request that the vendor would refuse, in the vendor's words."""

    def __init__(self, status: int, message: str, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


def merge(turns: list[Turn]) -> tuple[Turn, ...]:
    """Return the turns with neighbours of one role joined."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            last = merged.pop()
            glue = "\n" if last.text and turn.text and turn.role == "user" else ""
            joined = Turn(
                turn.role,
                last.text + glue + turn.text,
                last.calls + turn.calls,
                last.results + turn.results,
                last.seals + turn.seals,
            )
            merged.append(joined)
        else:
            merged.append(turn)
    return tuple(merged)


def items(value: Any, field: str) -> list[Any]:
    """Return a list that a field must be. Raises Rejected."""
    if not isinstance(value, list):
        raise Rejected(400, f"{field}: Input should be a valid list", field)
    return value


def unanswered(turns: tuple[Turn, ...]) -> tuple[int, list[str]]:
    """Return (turn number, ids) of calls without results in the very next turn, or (-1, [])."""
    for number, turn in enumerate(turns):
        if turn.calls and number + 1 < len(turns):
            given = {result.id for result in turns[number + 1].results}
            missing = [call.id for call in turn.calls if call.id not in given]
            if missing:
                return number, missing
    return -1, []


def stray(turns: tuple[Turn, ...]) -> tuple[int, str]:
    """Return (turn number, id) of a result whose call is not in the turn before, or (-1, "")."""
    for number, turn in enumerate(turns):
        if turn.results:
            before = turns[number - 1].calls if number else ()
            known = {call.id for call in before}
            for result in turn.results:
                if result.id not in known:
                    return number, result.id
    return -1, ""
