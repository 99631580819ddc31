"""One break in sight of the client, and the search for somebody who goes on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from outlast.gateway.asked import Asked, Prepared
from outlast.gateway.capability import INSTRUCT, Ability
from outlast.gateway.holding import Unit
from outlast.gateway.leg import Broken
from outlast.gateway.resuming import Continue, Restart
from outlast.gateway.routing import degraded
from outlast.gateway.splicer import Misfit, Splicer
from outlast.gateway.transcript import Transcript
from outlast.nouns import Candidate, Degraded, Kind, Outcome, Scope
from outlast.outcome import Verdict
from outlast.wire.canon import BadRequest, Request
from outlast.wire.codec import ApiError
from outlast.wire.notices import seam_notice
from outlast.wire.stream import AnswerEvent


class Prepare(Protocol):
    """Makes a candidate's call; raises BadRequest where that candidate cannot carry it."""

    def __call__(self, candidate: Candidate) -> Prepared: ...

    def writer_request(self) -> Request:
        """What the client's writer has to know of the request."""

    def parsed(self) -> Request | None:
        """The canonical request; None where it has a form that only its own vendor knows."""

    def continuing(self, candidate: Candidate, partial: str, ability: Ability) -> Prepared:
        """The call that asks a candidate to go on from `partial`. Raises BadRequest."""

    def ability(self, candidate: Candidate) -> Ability:
        """How this candidate can go on with somebody else's answer."""

    def mend(self, candidate: Candidate, error: ApiError | None) -> bool:
        """Whether a candidate that refused is to be asked once more, its history mended."""


class Going:
    """Owned by the exchange; one for each break. `candidate` broke off, for `verdict`."""

    def __init__(
        self,
        candidate: Candidate,
        verdict: Verdict,
        decision: Continue | Restart,
        *,
        mid_word: bool,
        stops: tuple[str, ...],
    ) -> None:
        self.candidate = candidate
        self.verdict = verdict
        self.heard = False
        """Whether the new voice has said something."""
        self._decision = decision
        self._mid_word = mid_word
        self._stops = stops
        self._ability = INSTRUCT
        self._instructed: set[str] = set()
        """Candidates that refused a prefill."""
        self._splicer: Splicer | None = None

    @property
    def how(self) -> str:
        if isinstance(self._decision, Restart):
            return "restart"
        return self._ability.how or "instruct"

    def call(self, prepare: Prepare, candidate: Candidate) -> Prepared:
        """Return the call that makes this candidate go on. Raises BadRequest."""
        self._splicer = None
        if isinstance(self._decision, Restart):
            return prepare(candidate)
        ability = INSTRUCT if candidate.name in self._instructed else prepare.ability(candidate)
        if ability.how is None:
            raise BadRequest("", "this upstream does not continue answers")
        self._ability = ability
        return prepare.continuing(candidate, self._decision.partial, ability)

    def ask_otherwise(self, candidate: Candidate, verdict: Verdict) -> bool:
        """Whether a candidate that failed is to be asked once more, with an instruction.

        It may not take a last turn by the assistant, whatever the table of abilities says.
        """
        refused = verdict.scope is Scope.REQUEST and self._ability.how == "prefill"
        if not refused or candidate.name in self._instructed:
            return False
        self._instructed.add(candidate.name)
        return True

    def follow(
        self, units: list[Unit], transcript: Transcript, candidate: Candidate, asked: Asked
    ) -> tuple[list[AnswerEvent], list[AnswerEvent]]:
        """Return (what closes the old voice, what the new one says), either may be empty.

        Raises Broken where the continuation does not join.
        """
        if self._splicer is None:
            self._splicer = Splicer(
                transcript,
                self._ability.how or "instruct",
                mid_word=self._mid_word,
                stops=self._stops,
                notice=notice(asked, candidate, self.candidate),
            )
        try:
            events = self._splicer.feed([event for unit in units for event in unit.events])
        except Misfit as error:
            raise Broken(Verdict(Outcome.MISFIT, Scope.MODEL, str(error))) from error
        if self.heard or not events:
            return [], events
        self.heard = True
        return self._splicer.opening(), events

    def aside(self) -> list[AnswerEvent]:
        """The visible notice, once, where the policy asks for it."""
        return self._splicer.aside() if self._splicer is not None else []


def notice(asked: Asked, candidate: Candidate, broken: Candidate) -> str:
    """Return what people read at a seam, where they asked for it and another model goes on."""
    if not asked.notice or degraded(candidate, broken) in {Degraded.NONE, Degraded.OTHER_HOST}:
        return ""
    return seam_notice(asked.notice, broken.model, candidate.model)


def again(candidates: Sequence[Candidate], broken: Sequence[str]) -> list[Candidate]:
    """Return whom to ask to go on, best first. `broken`: names of those that broke off in sight.

    Those who did not come first. Who broke once may only have lost a connection, and is the model
    that was asked for: before the embedded one. Who broke twice comes after it.
    """

    def rank(candidate: Candidate) -> int:
        times = broken.count(candidate.name)
        if candidate.kind is Kind.LOCAL:
            return 2 + times
        return times if times < 2 else times + 1

    return sorted(candidates, key=rank)


def against(
    candidate: Candidate, verdict: Verdict, left: Sequence[Candidate]
) -> list[tuple[Candidate, Verdict]]:
    """Return what a break holds against the others that share something with who broke off.

    A lost connection holds nothing against its own provider where only the embedded model could
    go on instead: it may have been the connection alone.
    """
    elsewhere = any(c.kind is not Kind.LOCAL and c.provider != candidate.provider for c in left)
    if verdict.outcome is Outcome.BROKEN_STREAM and not elsewhere:
        return []
    return [(candidate, verdict)]
