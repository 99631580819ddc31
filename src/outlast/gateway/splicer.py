"""A second voice's events, made to go on where the first broke off. Pure.

The second attempt is a whole answer of its own: with a start, blocks from zero, an end. What
comes out tells who speaks now (a writer takes a later start for that alone), goes on in the open
text block (`claude -p` prints the last block alone: a second one would cost its reader the first
half), numbers its blocks after those that were shown, and passes its first text through the seam
filter.
"""

from __future__ import annotations

import msgspec

from outlast.gateway.seam import Continuation, Misfit, Seam
from outlast.gateway.transcript import Transcript
from outlast.nouns import Tokens
from outlast.wire.stream import (
    AnswerEvent,
    BlockStart,
    BlockStop,
    End,
    Start,
    Stop,
    TextDelta,
)

__all__ = ["Misfit", "Splicer"]


_THOUGHT = {"thinking", "redacted_thinking"}


class Splicer:
    """One per continuing attempt. `opening` first, then `feed` its events."""

    def __init__(
        self,
        transcript: Transcript,
        how: Continuation,
        *,
        mid_word: bool = False,
        stops: tuple[str, ...] = (),
        notice: str = "",
    ) -> None:
        self._seam = Seam(transcript.text, how, mid_word=mid_word)
        self._opened = transcript.open_block
        self._closing: list[AnswerEvent] = []
        self._next = transcript.next_index
        self._notice = notice
        self._notice_at = self._next
        self._next += bool(notice)
        joins = not notice
        if self._opened is not None and not (self._opened.kind == "text" and joins):
            self._closing = [BlockStop(self._opened.index)]
            self._opened = None
        self._indices: dict[int, int] = {}
        self._joining: int | None = None
        """The second voice's block whose text is being joined."""
        self._joined = not transcript.text
        self._left_out: set[int] = set()
        self._start: Start | None = None
        """Who speaks now: told with the first words, since before them nothing is sure."""
        self._stops = _Straddling(transcript.text, stops) if stops else None

    def opening(self) -> list[AnswerEvent]:
        """Return what has to be said before the first event: an end of the block left open."""
        return self._closing

    def aside(self) -> list[AnswerEvent]:
        """Return the notice as a block of its own: said to people, and no part of the answer."""
        if not self._notice:
            return []
        index = self._notice_at
        return [BlockStart(index, "text"), TextDelta(index, self._notice), BlockStop(index)]

    def feed(self, events: list[AnswerEvent]) -> list[AnswerEvent]:
        """Return these events as the client may hear them. Raises Misfit."""
        spliced = [out for event in events for out in self._take(event)]
        if spliced and self._start is not None:
            spliced, self._start = [self._start, *spliced], None
        if self._stops is None:
            return spliced
        return [kept for event in spliced for kept in self._stops.feed(event)]

    def _take(self, event: AnswerEvent) -> list[AnswerEvent]:
        match event:
            case Start():
                self._start = event
                return []
            case BlockStart(kind=kind, index=index) if kind in _THOUGHT and not self._joined:
                # Thinking between two halves of a sentence would tear them apart.
                self._left_out.add(index)
                return []
            case BlockStart():
                return self._block_start(event)
            case _ if getattr(event, "index", None) in self._left_out:
                return []
            case TextDelta(index=index, text=text) if index == self._joining:
                shown = self._seam.feed(text)
                return [TextDelta(self._indices[index], shown)] if shown else []
            case BlockStop(index=index):
                return self._block_stop(index)
            case Stop() | End():
                return [*self._close_left_open(), event]
            case _ if hasattr(event, "index"):
                return [msgspec.structs.replace(event, index=self._indices[event.index])]
            case _:
                return [event]

    def _block_start(self, event: BlockStart) -> list[AnswerEvent]:
        if event.kind == "text" and not self._joined:
            self._joined = True
            self._joining = event.index
            opened, self._opened = self._opened, None
            if opened is not None:
                self._indices[event.index] = opened.index
                return []
        before = self._close_left_open()
        self._indices[event.index] = self._next
        self._next += 1
        return [*before, msgspec.structs.replace(event, index=self._indices[event.index])]

    def _block_stop(self, index: int) -> list[AnswerEvent]:
        at = self._indices[index]
        if index != self._joining:
            return [BlockStop(at)]
        self._joining = None
        rest = self._seam.end()
        return [*([TextDelta(at, rest)] if rest else []), BlockStop(at)]

    def _close_left_open(self) -> list[AnswerEvent]:
        """End the first voice's block, which the second has not gone on in."""
        opened, self._opened = self._opened, None
        return [BlockStop(opened.index)] if opened is not None else []


class _Straddling:
    """Finds a stop sequence that begins in the shown text and ends in what follows.

    The second upstream finds those that lie in its own text; nobody but us sees these. What of
    the sequence was shown stays shown: it cannot be taken back.
    """

    def __init__(self, shown: str, stops: tuple[str, ...]) -> None:
        self._stops = stops
        longest = max(map(len, stops))
        self._shown = shown[-(longest - 1) :] if longest > 1 else ""
        self._after = ""
        self._left = longest - 1
        self._cut = False

    def feed(self, event: AnswerEvent) -> list[AnswerEvent]:
        if self._cut:
            return []
        if self._left <= 0 or not isinstance(event, TextDelta):
            return [event]
        before = len(self._after)
        self._after += event.text
        self._left -= len(event.text)
        joint = self._shown + self._after
        ends = [
            (at + len(stop), stop)
            for stop in self._stops
            if 0 <= (at := joint.find(stop)) < len(self._shown) < at + len(stop)
        ]
        if not ends:
            return [event]
        self._cut = True
        _, stop = min(ends)
        kept = event.text[: max(0, joint.find(stop) - len(self._shown) - before)]
        told: list[AnswerEvent] = [TextDelta(event.index, kept)] if kept else []
        reason = Stop("stop_sequence", stop_sequence=stop)
        return [*told, BlockStop(event.index), reason, End()]


def merged(first: Tokens | None, last: Tokens) -> Tokens:
    """Return what an answer of two voices cost: the prompts of both, the outputs of both."""
    if first is None:
        return last
    return Tokens(
        input=first.input + last.input,
        output=first.output + last.output,
        cache_read=first.cache_read + last.cache_read,
        cache_write=first.cache_write + last.cache_write,
        reasoning=first.reasoning + last.reasoning,
        estimated=first.estimated or last.estimated,
    )
