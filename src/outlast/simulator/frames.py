"""What an answer is made of on its way out: frames, with what each one carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from outlast.simulator.prose import pieces
from outlast.wire.canon import JSON
from outlast.wire.sse import format_event

FrameKind = Literal[
    "head", "ping", "open", "text", "thinking", "signature", "tool", "close", "stop", "end", "error"
]


class Frame(msgspec.Struct, frozen=True):
    """One Server-Sent Event. `chars` of content in it, of the kind that `kind` says."""

    kind: FrameKind
    data: bytes
    chars: int = 0

    @property
    def is_content(self) -> bool:
        return self.kind in {"text", "thinking", "tool"}


def frame(kind: FrameKind, body: JSON, *, name: str = "", chars: int = 0) -> Frame:
    return Frame(kind, format_event(msgspec.json.encode(body), name), chars)


class Cutter:
    """Cuts content into deltas of a token each, and once more where a fault is to fall."""

    def __init__(self, kind: str = "", after_chars: int = 0) -> None:
        self._kind = kind
        self._left = after_chars

    def deltas(self, kind: str, words: str) -> Iterator[str]:
        for piece in pieces(words):
            if kind == self._kind and 0 < self._left < len(piece):
                yield piece[: self._left]
                yield piece[self._left :]
            else:
                yield piece
            if kind == self._kind:
                self._left -= len(piece)


class Stamp(msgspec.Struct, frozen=True):
    """What differs between two runs of the same request."""

    request_id: str
    created: int
