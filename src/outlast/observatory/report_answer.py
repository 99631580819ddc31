"""What the answer to a report holds. Pure."""

from __future__ import annotations

import msgspec

from outlast.nouns import ComponentState, Incident
from outlast.observatory import report_texts as texts
from outlast.observatory.report_nouns import Decision, Verdict
from outlast.observatory.words import Lang

UNCOUNTED = frozenset({Verdict.ESTIMATED, Verdict.CHALLENGED, Verdict.SHED})
STATUS = {
    "counted": 202,
    "changed": 202,
    "again": 200,
    "estimated": 202,
    "challenged": 202,
    "limited": 429,
    "shed": 429,
}
"""By verdict. 200: nothing new was stored."""


class Others(msgspec.Struct, frozen=True):
    not_working: int
    working: int
    window_s: float


class Shown(msgspec.Struct, frozen=True):
    """The open incident that the component belongs to."""

    id: str
    title: dict[str, str]
    stage: str
    impact: str
    suspicion: str
    started_at: float


class Task(msgspec.Struct, frozen=True):
    """A proof of work: find a number for which SHA-256 of `text.number` begins with zero bits."""

    text: str
    bits: int
    expires_at: float


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a reporter hears; `message` is `says` in the language that the request prefers."""

    accepted: bool
    counted: bool
    verdict: str
    component: str
    message: str
    says: dict[str, str]
    others: Others
    status: str | None
    suspicion: str | None
    probability: float | None
    incident: Shown | None
    id: str = ""
    """Under which it is stored; empty where it is only in the estimate."""
    notes: list[dict[str, str]] = []
    challenge: Task | None = None
    retry_after_s: float = 0.0


class Error(msgspec.Struct, frozen=True):
    code: str
    field: str
    message: str
    says: dict[str, str]


class Refusal(msgspec.Struct, frozen=True):
    error: Error
    accepted: bool = False


def answer(
    decision: Decision,
    lang: Lang,
    others: Others,
    component: str,
    state: ComponentState | None,
    incident: Incident | None,
) -> Answer:
    """Say what became of a report, and what is known of its component."""
    counts = (others.not_working, others.working)
    says = texts.says(decision, component, counts, others.window_s, state)
    return Answer(
        accepted=decision.verdict not in {Verdict.LIMITED, Verdict.SHED},
        counted=decision.verdict not in UNCOUNTED,
        verdict=decision.verdict.value,
        component=component,
        message=says[lang],
        says=says,
        others=others,
        status=state.status.value if state else None,
        suspicion=state.suspicion.value if state else None,
        probability=state.probability if state else None,
        incident=_shown(incident) if incident else None,
        id=decision.id,
        retry_after_s=round(decision.retry_after_s, 1),
    )


def _shown(incident: Incident) -> Shown:
    return Shown(
        incident.id,
        incident.title,
        incident.stage.value,
        incident.impact.value,
        incident.suspicion.value,
        incident.started_at,
    )
