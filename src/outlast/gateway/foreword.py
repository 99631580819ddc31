"""A notice before the first word, where a weaker model answers from the start. Pure.

The same rules as at a seam (going.py): only where it was asked for, never with tools, and a block
of its own that is no part of the answer. Nothing is put before an answer that a program reads.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from outlast.gateway.asked import Plan
from outlast.gateway.routing import degraded
from outlast.nouns import Candidate, Degraded
from outlast.wire.canon import Request
from outlast.wire.notices import foreword
from outlast.wire.stream import AnswerEvent, BlockStart, BlockStop, Start, TextDelta


def words_for(plan: Plan, candidate: Candidate, parsed: Callable[[], Request | None]) -> str:
    """Return what people read before this candidate's answer; mostly nothing."""
    language = plan.asked.notice
    weaker = degraded(candidate, plan.primary) not in {Degraded.NONE, Degraded.OTHER_HOST}
    request = parsed() if language and weaker else None
    if request is None or not _read_by_people(request):
        return ""
    return foreword(language, plan.primary.model, candidate.model)


def _read_by_people(request: Request) -> bool:
    """Whether the answer is text alone, begun by the model."""
    begun = bool(request.messages) and request.messages[-1].role == "assistant"
    counted = {"logprobs", "top_logprobs"} & set(request.extra)
    return not (request.tools or request.output is not None or begun or counted)


class Foreword:
    """Puts the words after the answer's start, as block 0, and numbers the others after it."""

    INDEX = 0

    def __init__(self, words: str) -> None:
        self._words = words
        self._said = False

    def feed(self, events: list[AnswerEvent]) -> list[AnswerEvent]:
        return [told for event in events for told in self._take(event)]

    def _take(self, event: AnswerEvent) -> list[AnswerEvent]:
        if isinstance(event, Start) and not self._said:
            self._said = True
            block = BlockStart(self.INDEX, "text")
            return [event, block, TextDelta(self.INDEX, self._words), BlockStop(self.INDEX)]
        index = getattr(event, "index", None)
        if index is None or not self._said:
            return [event]
        moved: AnswerEvent = msgspec.structs.replace(event, index=index + 1)
        return [moved]
