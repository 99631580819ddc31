"""What to do when an answer breaks off that the client has already seen a part of. Pure.

The decision table of continuity.md 1.3, over what was *shown*: whatever was held is discarded,
nobody saw it. A row per state; what no row allows is given up, honestly.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from outlast.gateway.transcript import Transcript
from outlast.wire.canon import Request
from outlast.wire.estimate import estimate_tokens

TAIL_CHARS = 300
SURELY = 2
"""The count of what was shown is an estimate: below this many times the limit it proves nothing,
and an answer must not be ended as if it were complete."""


class Continue(msgspec.Struct, frozen=True):
    """Text was seen: somebody goes on from `partial`."""

    partial: str


class Restart(msgspec.Struct, frozen=True):
    """Only thinking was seen: the request is asked again, the new answer follows the old blocks.

    A block that was torn has no signature; histories are mended by that (prepare.py, `mended`).
    """


class FinishTools(msgspec.Struct, frozen=True):
    """The last thing seen is a whole tool call: a valid turn, which the client can act on."""


class Finish(msgspec.Struct, frozen=True):
    """Nothing is left to say: the limit of tokens was reached with what was shown."""

    reason: Literal["max_tokens"]


class GiveUp(msgspec.Struct, frozen=True):
    why: str


Decision = Continue | Restart | FinishTools | Finish | GiveUp

_TOOLS = {"tool_use", "custom_tool"}


def decide(transcript: Transcript, request: Request | None) -> Decision:
    """Return what follows a break after content was shown.

    `request`: the canonical request, None where it cannot be parsed (and so not continued).
    """
    kinds = [block.kind for block in transcript.blocks]
    opened = transcript.open_block
    if opened is not None and opened.kind in _TOOLS:
        return GiveUp("half a tool call was shown, and it must not be closed as if it were whole")
    if request is None:
        return GiveUp("the request has a form that only its own vendor understands")
    if kinds and kinds[-1] in _TOOLS:
        return FinishTools()
    if any(kind in _TOOLS for kind in kinds):
        return GiveUp("text after a tool call cannot be continued without the tool's result")
    if any(kind == "foreign" for kind in kinds):
        return GiveUp("the answer contains parts that only its own vendor can go on from")
    text = transcript.text
    if not text:
        return Restart()
    if (why := _not_continuable(request)) is not None:
        return GiveUp(why)
    limit = request.max_tokens
    if limit is not None and estimate_tokens(text) >= SURELY * limit:
        return Finish("max_tokens")
    return Continue(text)


def _not_continuable(request: Request) -> str | None:
    """Why an answer to this request cannot be text of two models; None: it can."""
    if request.output is not None:
        return "structured output cannot be put together from two halves"
    choice = request.tool_choice
    if choice is not None and choice.mode in {"required", "tool"}:
        return "a forced tool call cannot be continued as text"
    if {"logprobs", "top_logprobs"} & set(request.extra):
        return "log probabilities of two models do not belong together"
    return None


def instruction(partial: str) -> str:
    """Return the turn that asks a model to go on, in words that leave it little choice."""
    tail = partial[-TAIL_CHARS:]
    return (
        "Your previous message was cut off by a connection failure. It ended with exactly these "
        f"characters: «{tail}»\n"
        "Continue it from exactly there, as if nothing had happened: no greeting, no comment, no "
        "repetition of what is already written, no new code fence inside an open one. Keep the "
        "language, the tone and the formatting."
    )
