"""What is tried: which upstreams stand behind Outlast, and how the first of them fails. Pure.

The first upstream is asked first; the second, where there is one, is healthy. Names read
`fault:kind of the first>kind of the second`, so that `--case 529` or `--case '>chat'` choose.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from outlast.nouns import Format, Outcome
from outlast.simulator import Fault, FaultKind

FORMATS = (Format.ANTHROPIC, Format.OPENAI_CHAT, Format.OPENAI_RESPONSES)
ENDPOINTS = "endpoints"
"""What there is around the answers: models, counting, embeddings, errors. For SDKs."""
DISCOVERY = "discovery"
"""A tool that asks `GET /v1/models` which models there are."""
SHORT = {
    Format.ANTHROPIC: "messages",
    Format.OPENAI_CHAT: "chat",
    Format.OPENAI_RESPONSES: "responses",
}


@dataclass(frozen=True)
class Failure:
    """How the first upstream fails, and what a truthful receipt calls it."""

    name: str
    what: str
    fault: Fault
    outcomes: frozenset[Outcome]
    continuity: bool = False
    """Falls after something was seen: passes only where answers are continued."""
    unseen: Fault | None = None
    """The same where Anthropic's API thinks without showing it (`display: omitted`)."""


@dataclass(frozen=True)
class Case:
    """One house: the formats of its upstreams, and the failure of the first."""

    name: str
    upstreams: tuple[Format, ...]
    failure: Failure | None = None
    seed: int = field(default=7)

    @property
    def continuity(self) -> bool:
        return self.failure is not None and self.failure.continuity


BEFORE_CONTENT = (
    Failure(
        "refused",
        "the first upstream refuses connections",
        Fault(FaultKind.REFUSE),
        frozenset({Outcome.CONNECT_FAILED}),
    ),
    Failure(
        "529",
        "the first upstream answers 529 for ever",
        Fault(FaultKind.STATUS, status=529),
        frozenset({Outcome.OVERLOADED}),
    ),
    Failure(
        "200-error",
        "the first upstream says 200, then sends an error before any content",
        Fault(FaultKind.STREAM_ERROR, where="before_content"),
        # Chat and Responses have no word of their own for overload inside a stream.
        frozenset({Outcome.OVERLOADED, Outcome.SERVER_ERROR}),
    ),
)

_TORN = frozenset({Outcome.BROKEN_STREAM})
INSIDE = (
    Failure(
        "cut-early",
        "the connection breaks in the first sentence",
        Fault(FaultKind.CUT, where="text", after_chars=25),
        _TORN,
        continuity=True,
    ),
    Failure(
        "cut-late",
        "the connection breaks late in a long text",
        Fault(FaultKind.CUT, where="text", after_share=0.9),
        _TORN,
        continuity=True,
    ),
    Failure(
        "clean-eof",
        "the stream ends in the text as if it were whole",
        Fault(FaultKind.EOF, where="text", after_share=0.6),
        _TORN,
        continuity=True,
    ),
    Failure(
        "cut-tool",
        "the connection breaks inside the tool call, after text",
        Fault(FaultKind.CUT, where="tool", after_share=0.5),
        _TORN,
        continuity=True,
    ),
    Failure(
        "cut-thinking",
        "the connection breaks inside thinking",
        Fault(FaultKind.CUT, where="thinking", after_share=0.5),
        _TORN,
        continuity=True,
        # message_start, content_block_start, ping: the block is open, its signature to come.
        unseen=Fault(FaultKind.CUT, after_events=3),
    ),
)


def matrix(own: Format, *, continuity: bool = False, omits_thinking: bool = False) -> list[Case]:
    """Return the cases of a client that speaks `own`: its own format first.

    `omits_thinking`: it asks Anthropic's API not to show what the model thinks.
    """
    others = [form for form in FORMATS if form is not own]
    cases = [Case(f"healthy:{SHORT[form]}", (form,)) for form in (own, *others)]
    failures = [*BEFORE_CONTENT, *(INSIDE if continuity else ())]
    for failure in failures:
        given = failure
        if omits_thinking and failure.unseen is not None:
            given = replace(failure, fault=failure.unseen)
        cases += [_failing(given, own, second) for second in (own, *others)]
    # A failing first upstream whose answer has to be translated, too.
    for failure in failures:
        cases.append(_failing(failure, others[0], own))
    return cases


def _failing(failure: Failure, first: Format, second: Format) -> Case:
    return Case(f"{failure.name}:{SHORT[first]}>{SHORT[second]}", (first, second), failure)
