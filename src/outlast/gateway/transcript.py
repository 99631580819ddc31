"""What the client has been told of an answer, merged into few events. Pure.

It is what a second voice needs to go on: which blocks there are, which is open, which text was
said. Consecutive deltas of one kind are kept as pieces and joined when somebody asks.
"""

from __future__ import annotations

import re

import msgspec

from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    Ping,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)

_SEQUENCE = re.compile(rb'"sequence_number"\s*:\s*(\d+)')

_ITEM_DONE = b"response.output_item.done"
_ITEM_ID = re.compile(rb'"id"\s*:\s*"([^"\\]{1,200})"')

_Delta = TextDelta | ThinkingDelta | ArgsDelta | SignatureDelta
_FIELD = {
    TextDelta: "text",
    ThinkingDelta: "text",
    ArgsDelta: "json",
    SignatureDelta: "signature",
}


class Transcript:
    def __init__(self) -> None:
        self._events: list[AnswerEvent] = []
        self._pieces: list[str] = []
        self._last: _Delta | None = None
        self._last_raw = b""
        self.done_items: set[str] = set()
        """Responses: ids of the output items whose end passed through."""
        self.open_block: BlockStart | None = None
        """The block that was begun and not ended, if any."""
        self.blocks: list[BlockStart] = []
        self.asides: set[int] = set()
        """Blocks that are ours and no part of the answer."""
        self.stop: Stop | None = None
        self.start: Start | None = None

    def note(self, events: list[AnswerEvent], raw: bytes) -> None:
        """Take in what was said; `raw` as it passed through, or nothing."""
        if b'"sequence_number"' in raw:
            self._last_raw = raw
            if _ITEM_DONE in raw:
                self.done_items |= {found.decode() for found in _ITEM_ID.findall(raw)}
        for event in events:
            match event:
                case TextDelta(text=text) | ThinkingDelta(text=text) | ArgsDelta(json=text):
                    self._piece(event, text)
                case SignatureDelta(signature=text):
                    self._piece(event, text)
                case Ping():
                    pass
                case _:
                    self._flush()
                    self._events.append(event)
                    self._mark(event)

    def events(self) -> list[AnswerEvent]:
        """Return what was said, each run of deltas as one."""
        self._flush()
        return list(self._events)

    @property
    def text(self) -> str:
        """All text of the answer so far, without thinking and tool calls."""
        return "".join(
            event.text
            for event in self.events()
            if isinstance(event, TextDelta) and event.index not in self.asides
        )

    @property
    def sequence(self) -> int | None:
        """The last `sequence_number` that passed through (Responses), or None."""
        found = _SEQUENCE.findall(self._last_raw)
        return int(found[-1]) if found else None

    @property
    def next_index(self) -> int:
        """The index that the next block has to have."""
        return max((block.index for block in self.blocks), default=-1) + 1

    def _mark(self, event: AnswerEvent) -> None:
        match event:
            case BlockStart():
                self.open_block = event
                self.blocks.append(event)
            case BlockStop():
                self.open_block = None
            case Start():
                self.start = self.start or event
            case Stop():
                self.stop = event
            case _:
                pass

    def _piece(self, event: _Delta, text: str) -> None:
        last = self._last
        if last is None or type(event) is not type(last) or event.index != last.index:
            self._flush()
            self._last = event
        self._pieces.append(text)

    def _flush(self) -> None:
        if self._last is not None and self._pieces:
            joined = {_FIELD[type(self._last)]: "".join(self._pieces)}
            self._events.append(msgspec.structs.replace(self._last, **joined))
            self._pieces = []
        self._last = None
