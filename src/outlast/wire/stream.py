"""An answer as it arrives, in no vendor's format: the canonical answer events.

A Reader turns one format's frames into these, a Writer turns these into another format's bytes.
The order is Anthropic's, because it is the strictest of the three:

    Start (BlockStart (TextDelta | ThinkingDelta | SignatureDelta | ArgsDelta | ForeignDelta)*
    BlockStop)* Stop End

Blocks do not overlap in what a Reader yields: where a format interleaves tool calls (parallel
calls of chat completions), the Reader sorts them out. `Failed` may come anywhere, `Ping` too.
An answer without `End` is not finished, whatever the transport says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from outlast.nouns import Format, Tokens
from outlast.wire.canon import JSON
from outlast.wire.sse import ServerSentEvent

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "refusal",
    "pause_turn",
    "context_window",
]
BlockKind = Literal["text", "thinking", "redacted_thinking", "tool_use", "custom_tool", "foreign"]


class Start(msgspec.Struct, frozen=True):
    id: str
    model: str
    tokens: Tokens | None = None
    created: int = 0


class BlockStart(msgspec.Struct, frozen=True):
    """`id` and `name` for tools; `data` for redacted thinking; `raw` for foreign blocks.

    `origin` with `data` and `raw`: the only format whose clients can use them.
    """

    index: int
    kind: BlockKind
    id: str = ""
    name: str = ""
    data: str = ""
    raw: JSON = {}
    origin: Format | None = None
    item: str = ""
    """Responses: the id of the output item that the block is in."""


class TextDelta(msgspec.Struct, frozen=True):
    index: int
    text: str


class ThinkingDelta(msgspec.Struct, frozen=True):
    index: int
    text: str


class SignatureDelta(msgspec.Struct, frozen=True):
    """A signature holds at its `origin` only; a Writer of another format leaves it out."""

    index: int
    signature: str
    origin: Format | None = None


class ArgsDelta(msgspec.Struct, frozen=True):
    """A piece of a tool call's JSON arguments (free text for a custom tool)."""

    index: int
    json: str


class ForeignDelta(msgspec.Struct, frozen=True):
    """Something only the origin's clients understand (citations, logprobs…)."""

    index: int
    raw: JSON
    origin: Format | None = None


class BlockStop(msgspec.Struct, frozen=True):
    index: int


class Stop(msgspec.Struct, frozen=True):
    """Why the model stopped, and what it cost. May be repeated; the last one counts."""

    reason: StopReason
    tokens: Tokens | None = None
    stop_sequence: str | None = None


class End(msgspec.Struct, frozen=True):
    """The format's own final word: message_stop, [DONE], response.completed."""


class Failed(msgspec.Struct, frozen=True):
    """An error inside the stream. `status` as the vendor's table maps the type (0: unknown)."""

    type: str
    message: str
    status: int = 0


class Ping(msgspec.Struct, frozen=True):
    pass


AnswerEvent = (
    Start
    | BlockStart
    | TextDelta
    | ThinkingDelta
    | SignatureDelta
    | ArgsDelta
    | ForeignDelta
    | BlockStop
    | Stop
    | End
    | Failed
    | Ping
)


class MalformedFrame(Exception):
    """A frame that is not of its format. Never skipped: it is a failure of the attempt."""


class Reader(Protocol):
    """Watches one upstream's stream. Pure; one instance per attempt."""

    def feed(self, event: ServerSentEvent) -> list[AnswerEvent]:
        """Return what this frame means. Unknown event types mean nothing: `[]`.

        Raises MalformedFrame where data is not JSON or breaks the format's grammar.
        """


class Writer(Protocol):
    """Speaks to one client. Pure; one instance per answer; always a complete, legal stream."""

    def write(self, event: AnswerEvent) -> bytes:
        """Return the frames for this event (b"" where the format says nothing)."""

    def pieces(self, index: int, texts: Sequence[str]) -> bytes:
        """As `write` for each of these pieces of the text in an open block; none is empty."""

    def keepalive(self) -> bytes:
        """Bytes that keep a waiting client patient and mean nothing, legal at any point."""

    def failure(self, status: int, message: str, request_id: str) -> bytes:
        """The in-band error that ends a stream which cannot be finished."""
