"""The blocks of an answer that is being read: their text so far, and their order.

Output items of this format may in principle grow side by side; canonical blocks may not. The
first unfinished block is passed on at once, later ones wait for it.
"""

from __future__ import annotations

from collections import deque
from io import StringIO

from outlast.nouns import Format
from outlast.wire.canon import JSON
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockKind,
    BlockStart,
    BlockStop,
    ForeignDelta,
    MalformedFrame,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)

ORIGIN = Format.OPENAI_RESPONSES
LIMIT_CHARS = 16 << 20
"""All texts of one answer together. The largest answers of today are about 1 MiB."""
LIMIT_BLOCKS = 4096


class Block:
    """One canonical block. `parts` holds what arrived, by part: a reasoning item has several."""

    def __init__(self, index: int, kind: BlockKind) -> None:
        self.index = index
        self.kind = kind
        self.parts: dict[str, StringIO] = {}
        self.settled: set[str] = set()
        """Parts whose full text has been confirmed."""
        self.closed = False
        self.waiting: list[AnswerEvent] = []

    def so_far(self, part: str) -> str:
        buffer = self.parts.get(part)
        return buffer.getvalue() if buffer is not None else ""


class Blocks:
    """Opens, grows and closes blocks; every method returns the events that may go out now."""

    def __init__(self) -> None:
        self._line: deque[Block] = deque()
        self._count = 0
        self._chars = 0

    def open(
        self,
        kind: BlockKind,
        ident: str = "",
        name: str = "",
        raw: JSON | None = None,
        origin: Format | None = None,
        item: str = "",
    ) -> tuple[Block, list[AnswerEvent]]:
        if self._count >= LIMIT_BLOCKS:
            raise MalformedFrame(f"the answer has more than {LIMIT_BLOCKS} blocks")
        block = Block(self._count, kind)
        self._count += 1
        self._line.append(block)
        start = BlockStart(
            block.index, kind, id=ident, name=name, raw=raw or {}, origin=origin, item=item
        )
        return block, self._emit(block, start)

    def grow(self, block: Block, text: str, part: str = "") -> list[AnswerEvent]:
        """Append `text`. Raises MalformedFrame after the part's end or beyond the limit."""
        if not text:
            return []
        if block.closed or part in block.settled:
            raise MalformedFrame("text arrived after its end")
        self._spend(len(text))
        events: list[AnswerEvent] = []
        buffer = block.parts.get(part)
        if buffer is None:
            if block.parts and block.kind == "thinking":
                events += self._emit(block, ThinkingDelta(block.index, "\n\n"))
            if len(block.parts) >= LIMIT_BLOCKS:
                raise MalformedFrame(f"an item has more than {LIMIT_BLOCKS} parts")
            buffer = block.parts[part] = StringIO()
        buffer.write(text)
        return events + self._emit(block, _delta(block, text))

    def settle(self, block: Block, full: object, part: str = "") -> list[AnswerEvent]:
        """Compare with the full text that the upstream repeats, and fill in what is missing.

        Raises MalformedFrame where it contradicts what was sent before. Null says nothing.
        """
        if full is None:
            return []
        if not isinstance(full, str):
            raise MalformedFrame("a text is not a string")
        so_far = block.so_far(part)
        if full == so_far:
            block.settled.add(part)
            return []
        if block.closed or part in block.settled or not full.startswith(so_far):
            raise MalformedFrame("the repeated text differs from the text that was streamed")
        events = self.grow(block, full[len(so_far) :], part)
        block.settled.add(part)
        return events

    def _spend(self, chars: int) -> None:
        self._chars += chars
        if self._chars > LIMIT_CHARS:
            raise MalformedFrame(f"the answer has more than {LIMIT_CHARS} characters")

    def sign(self, block: Block, signature: str) -> list[AnswerEvent]:
        return self._emit(block, SignatureDelta(block.index, signature, ORIGIN))

    def foreign(self, block: Block, raw: JSON) -> list[AnswerEvent]:
        if block.closed:
            return []
        self._spend(256)  # a guess at its size, so that it counts at all
        return self._emit(block, ForeignDelta(block.index, raw, ORIGIN))

    def close(self, block: Block) -> list[AnswerEvent]:
        if block.closed:
            return []
        block.closed = True
        if self._line[0] is not block:
            return []
        events: list[AnswerEvent] = []
        while self._line:
            head = self._line[0]
            events += head.waiting
            head.waiting = []
            if not head.closed:
                break
            events.append(BlockStop(head.index))
            self._line.popleft()
        return events

    def _emit(self, block: Block, event: AnswerEvent) -> list[AnswerEvent]:
        if self._line[0] is block:
            return [event]
        block.waiting.append(event)
        return []


def _delta(block: Block, text: str) -> AnswerEvent:
    if block.kind == "text":
        return TextDelta(block.index, text)
    if block.kind == "thinking":
        return ThinkingDelta(block.index, text)
    return ArgsDelta(block.index, text)
