"""What may be shown to the client, and when. Pure.

Half of an answer that a client can act on is worse than none: a tool call that lost its guard
argument is a complete-looking command (continuity.md, finding 3). So a stream is cut into units
(one upstream frame and what it means) and units wait here until they are safe:

    envelope      message_start, empty blocks, pings      until the first content
    tool calls    from BlockStart to BlockStop            until their JSON parses; one that does
                                                          not, until the model says that it was
                                                          cut off by a limit
    thinking      from BlockStart to BlockStop            whole, where another upstream could
                                                          answer instead
    text          the piece that ends inside a word       until the next begins another, or
                                                          `flush`: a seam must not cut a word
    the stop      with the end, so that the record is written before the last byte

While everything is held the client has seen nothing, and any failure may move on unseen.
"""

from __future__ import annotations

import re

import msgspec

from outlast.gateway.flow import Flow
from outlast.gateway.skimming import joined
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    ForeignDelta,
    Ping,
    Stop,
    StopReason,
    TextDelta,
    ThinkingDelta,
)


class Unit(msgspec.Struct, frozen=True):
    """One frame of the upstream, as bytes and as what it means."""

    raw: bytes
    events: list[AnswerEvent]
    pieces: list[str] = []
    """Of text that was read many frames at once, which is one event: what each of them said."""


class HoldPolicy(msgspec.Struct, frozen=True):
    hold_tools: bool = True
    hold_thinking: bool = True
    hold_words: bool = False
    object_arguments: bool = False
    """Whether arguments must be an object, as all formats want them that we translate into."""
    limit_bytes: int = 32 << 20


class TornToolCall(Exception):
    """A tool call was closed whose arguments are not JSON: a failure of the attempt.

    But where the model itself says that a limit of the caller's cut it off: then no other
    upstream does better, and no client takes such a call for a whole one.
    """


class HoldLimit(Exception):
    """More was held than the limit allows."""


_TOOLS = ("tool_use", "custom_tool")
_THINKING = ("thinking", "redacted_thinking")
_CUT_OFF: frozenset[StopReason] = frozenset({"max_tokens", "context_window", "refusal"})
_HIDDEN_CALL = re.compile(
    rb'"tool_calls"\s*:\s*\[\s*\{|"function_call"\s*:\s*\{'
    rb'|"(?:response\.)?(?:function_call|custom_tool_call)[a-z_.]*"\s*[,}]'
)
"""The beginning of a call in a frame that its Reader says nothing of yet: chat completions name
the tool before its first argument, and Responses items may grow side by side."""


_SAID_WHOLE = b'.done"'


class Holder:
    def __init__(self, policy: HoldPolicy) -> None:
        self.policy = policy
        self._held: list[Unit] = []
        self._held_bytes = 0
        self._open: BlockStart | None = None
        self._arguments: list[str] = []
        self._torn: TornToolCall | None = None
        self._call_hidden = False
        self._content_held = False
        self._last_char = ""
        self._word_at: int | None = None
        """Where in `_held` the piece is that ends inside a word."""
        self.mid_word = False
        """Whether the last text that was shown may end inside a word."""
        self.committed = False
        """Whether content was released: from then on the client has seen this attempt."""
        self.content_seen = False
        """Whether the upstream has produced content, shown or held."""
        self.stopped = False
        """Whether the upstream said why it stopped: whole, only the end is missing."""
        self.ended = False

    def feed(self, unit: Unit) -> list[Unit]:
        """Take one unit; return those that may be shown now, in order.

        Raises TornToolCall and HoldLimit.
        """
        if only_signs_of_life(unit):
            # Shown late they would mean nothing: while something waits, the exchange sends its own.
            return [unit] if self.committed and not self._held else []
        waiting, free = len(self._held), self._releasable()
        for event in unit.events:
            self._note(event)
        if not unit.events and not self._in_call and _HIDDEN_CALL.search(unit.raw):
            self._call_hidden = True
        self._keep(unit)
        if not unit.events and _SAID_WHOLE in unit.raw:
            # Responses say a text whole before its block ends: not before it is sure to end.
            return []
        if self._releasable():
            return self._release(len(self._held) if self._word_at is None else self._word_at)
        # Something that is held begins: the text before it is complete.
        return self._release(waiting) if free else []

    @property
    def flowing(self) -> bool:
        """Whether text passes through now, and nothing waits but the piece of a word at its end."""
        return (
            self.committed
            and self._open is not None
            and self._open.kind == "text"
            and not (self.stopped or self.ended or self._call_hidden)
            and self._torn is None
            and (self._word_at == 0 if self._held else self._word_at is None)
        )

    def lend(self) -> list[tuple[bytes, str]] | None:
        """Return the frames of the word that waits, and their texts, for a Flow.

        None while anything but text comes, or waits.
        """
        if not self.flowing:
            return None
        held: list[tuple[bytes, str]] = []
        for unit in self._held:
            event = unit.events[0] if len(unit.events) == 1 else None
            if not isinstance(event, TextDelta):
                return None
            held.append((unit.raw, event.text))
        return held

    def take_back(self, flow: Flow) -> None:
        """Go on from where a Flow has got to, which what was lent went to."""
        index = flow.index
        self._held = [Unit(raw, [TextDelta(index, text)]) for raw, text in flow.held]
        self._held_bytes = sum(len(unit.raw) for unit in self._held)
        self._word_at = 0 if self._held else None
        self.mid_word = flow.mid_word
        if flow.said:
            self._last_char = flow.said[-1][-1]

    def flush(self) -> list[Unit]:
        """Return what waits for the end of a word only: it has waited long enough."""
        if self._word_at is None or not self._releasable():
            return []
        released = self._release(len(self._held))
        self.mid_word = True
        return released

    @property
    def waiting_for_word(self) -> bool:
        return self._word_at is not None

    def _release(self, count: int) -> list[Unit]:
        if not count:
            return []
        if not self.committed and not any(map(_has_content, self._held[:count])):
            return []
        released, self._held = self._held[:count], self._held[count:]
        self._held_bytes = sum(len(unit.raw) for unit in self._held)
        self._word_at = None if self._word_at is None or not self._held else 0
        self.mid_word = False
        self.committed = True
        return released

    @property
    def held(self) -> bool:
        """Whether something waits here."""
        return bool(self._held)

    @property
    def _in_call(self) -> bool:
        return self._open is not None and self._open.kind in _TOOLS

    def _keep(self, unit: Unit) -> None:
        self._held.append(unit)
        self._held_bytes += len(unit.raw)
        if self._held_bytes > self.policy.limit_bytes:
            raise HoldLimit(f"more than {self.policy.limit_bytes} bytes held")

    def _note(self, event: AnswerEvent) -> None:
        match event:
            case BlockStart():
                self._begin(event)
            case TextDelta(text=text):
                if text:
                    self._content_held = self.content_seen = True
                    self._word(text)
            case ThinkingDelta(text=text):
                if text:
                    self._content_held = self.content_seen = True
            case ArgsDelta(json=json):
                self._arguments.append(json)
            case BlockStop():
                self._close()
            case ForeignDelta():
                self._content_held = self.content_seen = True
            case Stop(reason=reason):
                if self._torn is not None and reason not in _CUT_OFF:
                    raise self._torn
                self.stopped = self.content_seen = True
            case End():
                self._content_held = self.content_seen = self.ended = True
            case _:
                pass

    def _word(self, text: str) -> None:
        """Find out whether the text now ends inside a word, and in which unit that began."""
        if not self.policy.hold_words:
            return
        if not joined(text[-1]):
            self._word_at = None
        elif self._word_at is None or not joined(self._last_char) or not joined(text[0]):
            self._word_at = len(self._held)  # the unit that is being noted comes there
        self._last_char = text[-1]

    def _begin(self, block: BlockStart) -> None:
        if self._torn is not None:
            raise self._torn  # the model went on: it was not cut off
        self._open = block
        self._arguments = []
        if block.kind in _TOOLS:
            self._call_hidden = False
        if block.kind not in {"text", "thinking"}:
            self._content_held = self.content_seen = True

    def _close(self) -> None:
        block, self._open = self._open, None
        self._word_at, self._last_char = None, ""
        if block is None or block.kind != "tool_use":
            return
        arguments = "".join(self._arguments)
        if not arguments.strip():
            return  # a tool without parameters
        try:
            value = msgspec.json.decode(arguments.encode())
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self._torn = TornToolCall(f"the arguments of {block.name[:60]!r} are not JSON")
            return
        if self.policy.object_arguments and not isinstance(value, dict):
            raise TornToolCall(f"the arguments of {block.name[:60]!r} are not an object")

    def _releasable(self) -> bool:
        if self.ended:
            return True
        if self.stopped or not (self.committed or self._content_held):
            return False
        if self._torn is not None:
            return False
        if self._call_hidden and self.policy.hold_tools:
            return False
        if self._open is None:
            return True
        if self._in_call:
            return not self.policy.hold_tools
        if self._open.kind in _THINKING:
            return not self.policy.hold_thinking
        return True


def _has_content(unit: Unit) -> bool:
    return any(
        isinstance(event, (ArgsDelta, ForeignDelta, End))
        or (isinstance(event, (TextDelta, ThinkingDelta)) and event.text)
        or (isinstance(event, BlockStart) and event.kind not in {"text", "thinking"})
        for event in unit.events
    )


def only_signs_of_life(unit: Unit) -> bool:
    """Whether a frame says no more than that somebody is there."""
    if unit.events:
        return all(isinstance(event, Ping) for event in unit.events)
    lines = unit.raw.splitlines()
    return unit.raw != b"" and all(line[:1] in {b":", b""} for line in lines)
