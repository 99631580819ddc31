"""The claims that are alive: entered, judged, met by evidence, expired. Pure.

What may happen to one claim is in claims.py; this keeps them together and bounds their number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from outlast.nouns import (
    Component,
    ComponentState,
    Incident,
    Notice,
    Stage,
    Status,
    Suspicion,
)
from outlast.observatory import claims, claims_reading
from outlast.observatory.acting import BadAction, one_of
from outlast.observatory.causing import cause_name
from outlast.observatory.claims import BadClaim, Claim, Kind, State
from outlast.observatory.extent import SEEN
from outlast.observatory.words import LANGS

CLAIMS_MAX = 1000


class Claiming:
    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}

    def restore(self, found: Iterable[Claim]) -> None:
        for claim in found:
            self._claims[claim.id] = claim

    def of(self, incident_id: str) -> list[Claim]:
        return [claim for claim in self._claims.values() if claim.incident == incident_id]

    def enter(
        self,
        incident: str,
        kind: str,
        text: dict[str, str],
        sources: Sequence[str],
        by: str,
        now: float,
    ) -> Claim:
        """Take in what somebody says. Raises BadAction, in words."""
        if kind not in set(Kind):
            raise one_of("kind", list(Kind))
        if len(self._claims) >= CLAIMS_MAX:
            self._drop_oldest()
        words = "\n".join(text.get(lang, "") for lang in LANGS)
        digest = hashlib.sha256(f"{incident}\n{kind}\n{words}".encode()).hexdigest()
        try:
            claim = claims.enter(
                Claim(
                    id=f"clm_{digest[:12]}",
                    incident=incident,
                    kind=Kind(kind),
                    text=text,
                    sources=tuple(sources),
                    entered_by=by,
                    at=now,
                    provider="",
                )
            )
        except BadClaim as error:
            raise BadAction(error.words["en"], error.words["fr"]) from error
        # Entered twice is entered once: what has become of it since is kept.
        return self._keep(self._claims.get(claim.id, claim))

    def judge(self, claim_id: str, state: str, by: str, reason: str, now: float) -> Claim:
        """An operator says what has become of it. Raises BadAction, in words."""
        claim = self._claims.get(claim_id)
        if claim is None:
            raise BadAction("There is no such claim.", "Il n'y a rien de tel parmi ce qui se dit.")
        if state not in set(State):
            raise one_of("state", list(State))
        try:
            return self._keep(claims.decide(claim, State(state), by, reason, now))
        except BadClaim as error:
            raise BadAction(error.words["en"], error.words["fr"]) from error

    def heard(self, notice: Notice, incident_id: str, now: float) -> list[Claim]:
        """A vendor's notice: what it claims itself, and what it means for earlier claims."""
        changed = []
        for claim in self.of(incident_id):
            moved = claims_reading.with_notice(claim, notice, now)
            if moved is not claim:
                changed.append(self._keep(moved))
        for claim in claims_reading.from_notice(notice, incident_id):
            if claim.id not in self._claims and len(self._claims) < CLAIMS_MAX:
                changed.append(self._keep(claim))
        return changed

    def seen(self, incident: Incident, states: Iterable[ComponentState], now: float) -> list[Claim]:
        """What we measured, for claims of an extent; and of an end, once it is over."""
        by_surface: dict[str, Status] = {}
        for state in states:
            component = Component.parse(state.component)
            if component.provider != incident.provider or component.model:
                continue
            own = [one for one in state.evidence if one.kind in SEEN and one.total > 0]
            failing = any(one.fired for one in own)
            if own and (failing or state.suspicion is Suspicion.NONE):
                by_surface[component.surface] = state.status
        ended_at = incident.resolved_at if incident.stage is Stage.RESOLVED else None
        changed = []
        for claim in self.of(incident.id):
            moved = claims_reading.with_surfaces(claim, by_surface, now)
            if incident.stage is not Stage.MONITORING:  # whether it is over is being watched
                moved = claims_reading.with_end(moved, ended_at, now)
            if moved is not claim:
                changed.append(self._keep(moved))
        return changed

    def measured(self, incident: Incident, now: float) -> list[Claim]:
        """A cause was found: claims of the same cause gain by it, others are contradicted."""
        changed = []
        for claim in self.of(incident.id):
            if claim.kind is not Kind.CAUSE or not claim.cause:
                continue
            names = {lang: cause_name(incident.cause, lang) for lang in LANGS}
            reason = {
                "en": f"The evidence points to {names['en']}.",
                "fr": f"Les indices désignent\u00a0: {names['fr']}.",
            }
            same = claim.cause == incident.cause
            moved = (
                claims.support(claim, now, reason, measured=True)
                if same
                else claims.against(claim, now, reason)
            )
            if moved is not claim:
                changed.append(self._keep(moved))
        return changed

    def expire(self, now: float) -> list[Claim]:
        """Flag those that nothing was heard of for long."""
        changed = []
        for claim in list(self._claims.values()):
            moved = claims.expire(claim, now)
            if moved is not claim:
                changed.append(self._keep(moved))
        return changed

    def _keep(self, claim: Claim) -> Claim:
        self._claims[claim.id] = claim
        return claim

    def _drop_oldest(self) -> None:
        oldest = min(self._claims.values(), key=lambda one: one.at)
        del self._claims[oldest.id]
