"""Stop sequences for upstreams whose format has none: the answer is cut here instead.

A pure filter over canonical answer events. The gateway puts it behind the Reader where the
upstream's format is in `EMULATED_STOP` and the request has stop sequences; after `cut` it lets
go of the upstream, which would otherwise go on writing (and billing).
"""

from __future__ import annotations

from collections.abc import Iterable

from outlast.nouns import Format
from outlast.wire.stream import (
    AnswerEvent,
    BlockStart,
    BlockStop,
    End,
    Failed,
    Ping,
    Stop,
    TextDelta,
)

EMULATED_STOP = frozenset({Format.OPENAI_RESPONSES})
"""Formats of upstreams without a parameter for stop sequences."""


class StopCutter:
    """Ends an answer at the first stop sequence in its text, which is not part of the answer.

    Like the vendors' own: only the text that people read is searched, each block by itself, and
    never a tool's arguments or thinking. Text that could be the beginning of a stop sequence is
    held back until it is known not to be one: at most as long as the longest sequence.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(dict.fromkeys(stop for stop in stops if stop))
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self._index = -1
        self.cut = False
        """A stop sequence was found: the answer has ended, whatever the upstream still sends."""

    def feed(self, event: AnswerEvent) -> list[AnswerEvent]:
        """Return the events to pass on. After the cut there are none."""
        if self.cut:
            return []
        if isinstance(event, TextDelta) and self._stops:
            return self._text(event)
        if isinstance(event, (BlockStart, BlockStop, Stop, End, Failed)):
            return [*self._release(), event]
        return [event] if isinstance(event, Ping) or not self._held else [*self._release(), event]

    def _release(self) -> list[AnswerEvent]:
        held, self._held = self._held, ""
        return [TextDelta(self._index, held)] if held else []

    def _text(self, event: TextDelta) -> list[AnswerEvent]:
        events = self._release() if event.index != self._index else []
        self._index = event.index
        text = self._held + event.text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            # The one that is complete first, as if the model had been stopped there.
            end, at = min(found)
            return [*events, *self._end(text[:at], text[at:end])]
        keep = self._prefix_at_end(text)
        self._held = text[len(text) - keep :]
        if said := text[: len(text) - keep]:
            events.append(TextDelta(event.index, said))
        return events

    def _end(self, text: str, stop: str) -> list[AnswerEvent]:
        self.cut, self._held = True, ""
        events: list[AnswerEvent] = [TextDelta(self._index, text)] if text else []
        reason = Stop("stop_sequence", stop_sequence=stop)
        return [*events, BlockStop(self._index), reason, End()]

    def _prefix_at_end(self, text: str) -> int:
        """Return how many last characters may be the beginning of a stop sequence."""
        for length in range(min(len(text), self._longest - 1), 0, -1):
            tail = text[len(text) - length :]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0
