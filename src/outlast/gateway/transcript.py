"""What the client has been told of an answer, merged into few events. Pure."""

from __future__ import annotations

import re

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

_Delta = TextDelta | ThinkingDelta | ArgsDelta | SignatureDelta


class Transcript:
    """Consecutive deltas of one kind are kept as pieces and joined when asked for."""

    def __init__(self) -> None:
        self._events: list[AnswerEvent] = []
        self._pieces: list[str] = []
        self._kind: type[_Delta] | None = None
        self._index = 0
        self._last_raw = b""

    def note(self, events: list[AnswerEvent], raw: bytes) -> None:
        if raw:
            self._last_raw = raw
        for event in events:
            match event:
                case TextDelta(index=index, text=text):
                    self._piece(TextDelta, index, text)
                case ThinkingDelta(index=index, text=text):
                    self._piece(ThinkingDelta, index, text)
                case ArgsDelta(index=index, json=text):
                    self._piece(ArgsDelta, index, text)
                case SignatureDelta(index=index, signature=text):
                    self._piece(SignatureDelta, index, text)
                case Ping():
                    pass
                case _:
                    self._flush()
                    self._events.append(event)

    def events(self) -> list[AnswerEvent]:
        """Return what was said, each run of deltas as one."""
        self._flush()
        return list(self._events)

    @property
    def text(self) -> str:
        """All text of the answer so far, without thinking and tool calls."""
        return "".join(event.text for event in self.events() if isinstance(event, TextDelta))

    @property
    def sequence(self) -> int | None:
        """The last `sequence_number` that passed through (Responses), or None."""
        found = _SEQUENCE.findall(self._last_raw)
        return int(found[-1]) if found else None

    @property
    def start(self) -> Start | None:
        return next((event for event in self._events if isinstance(event, Start)), None)

    @property
    def open_block(self) -> BlockStart | None:
        """The block that was begun and not ended, if any."""
        opened: BlockStart | None = None
        for event in self._events:
            if isinstance(event, BlockStart):
                opened = event
            elif isinstance(event, BlockStop):
                opened = None
        return opened

    @property
    def stop(self) -> Stop | None:
        return next((event for event in self._events if isinstance(event, Stop)), None)

    def _piece(self, kind: type[_Delta], index: int, text: str) -> None:
        if kind is not self._kind or index != self._index:
            self._flush()
            self._kind, self._index = kind, index
        self._pieces.append(text)

    def _flush(self) -> None:
        if self._kind is not None and self._pieces:
            self._events.append(self._kind(self._index, "".join(self._pieces)))
        self._kind, self._pieces = None, []
