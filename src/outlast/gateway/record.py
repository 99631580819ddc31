"""What an exchange remembers of itself: attempts, times, truth headers, the receipt. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from outlast.gateway.asked import Asked, Prepared
from outlast.gateway.events import Observe
from outlast.gateway.holding import Unit
from outlast.gateway.leg import Leg
from outlast.gateway.resuming import Going, Restart
from outlast.gateway.routing import degraded
from outlast.nouns import (
    Attempt,
    Candidate,
    Degraded,
    Observation,
    Outcome,
    Receipt,
    Resumption,
    Scope,
)
from outlast.outcome import Verdict
from outlast.wire.canon import JSON, Request
from outlast.wire.codec import Codec
from outlast.wire.stream import AnswerEvent

if TYPE_CHECKING:
    from outlast.gateway.exchange import Plan


class Record:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._asked: Asked = plan.asked
        self._attempts: list[Attempt] = []
        self._resumptions: list[Resumption] = []
        self._started_at = 0.0
        self._attempt_at = 0.0
        self._first_content_s: float | None = None
        self._dropped: tuple[str, ...] = ()
        self._served_by: Candidate | None = None
        self._events: list[AnswerEvent] = []
        self.committed = False
        """Whether the client has seen something of an attempt."""

    def start(self, now: float) -> None:
        self._started_at = now

    def open(self, prepared: Prepared, now: float) -> None:
        self._attempt_at = now
        self._first_content_s = None
        self._dropped = prepared.dropped
        self._events = []

    def first_content(self, now: float) -> None:
        if self._first_content_s is None:
            self._first_content_s = now - self._attempt_at

    def keep(self, units: list[Unit]) -> None:
        """Keep events of an answer that is sent whole."""
        for unit in units:
            self._events += unit.events

    def render(self, codec: Codec, request: Request) -> bytes:
        """Return the kept events as a whole answer in the client's format."""
        return msgspec.json.encode(codec.render_answer(self._events, request))

    def wall(self, now: float) -> float:
        return self._asked.at + (now - self._started_at)

    def attempt(
        self, candidate: Candidate, leg: Leg, verdict: Verdict | None, now: float
    ) -> Observe:
        """Note how an attempt ended; return its one Observation."""
        outcome = verdict.outcome if verdict is not None else Outcome.OK
        scope = verdict.scope if verdict is not None else Scope.NONE
        evidence = verdict.evidence if verdict is not None else ""
        if verdict is None or self.committed:
            self._served_by = candidate
        tokens = leg.estimated(self._plan.prompt_tokens if leg.content_seen else 0)
        self._attempts.append(
            Attempt(
                upstream=candidate.upstream,
                model=leg.model or candidate.model,
                outcome=outcome,
                scope=scope,
                started_at=self.wall(self._attempt_at),
                ended_at=self.wall(now),
                status=leg.status,
                evidence=evidence,
                first_content_s=self._first_content_s,
                tokens=tokens,
                request_id=leg.request_id,
            )
        )
        latency_s = now - self._attempt_at
        observation = Observation(
            at=self.wall(now),
            source="attempt",
            component=candidate.name,
            outcome=outcome,
            scope=scope,
            latency_s=latency_s if self._first_content_s is None else self._first_content_s,
            evidence=evidence,
        )
        return Observe(candidate, observation, verdict)

    def resumed(self, going_on: Going, candidate: Candidate, at_char: int) -> JSON:
        """Note a seam; return the truth about it for the stream."""
        how: str = going_on.ability.how or "instruct"
        if isinstance(going_on.decision, Restart):
            how = "restart"
        self._served_by = candidate
        return self._seam(going_on.candidate, candidate.name, how, going_on.verdict, at_char)

    def finished(self, candidate: Candidate, verdict: Verdict, at_char: int) -> JSON:
        """Note that what was shown was ended as a whole by us."""
        return self._seam(candidate, "", "finished", verdict, at_char)

    def _seam(
        self, broken: Candidate, resumed: str, how: str, verdict: Verdict, at_char: int
    ) -> JSON:
        reason = f"{verdict.outcome}: {verdict.evidence}"
        self._resumptions.append(Resumption(at_char, broken.name, resumed, how, reason))
        event = "resumed" if resumed else "finished_by_gateway"
        truth: JSON = {"event": event, "from": broken.name, "to": resumed, "how": how}
        return truth | {"reason": verdict.outcome.value, "at_char": at_char}

    def receipt(self, outcome: str, status: int, now: float, error: str = "") -> Receipt:
        served = self._served_by
        return Receipt(
            id=self._asked.id,
            key_id=self._asked.key_id,
            surface=self._asked.path,
            format=self._asked.format,
            model=self._asked.model,
            stream=self._asked.stream,
            started_at=self._asked.at,
            ended_at=self.wall(now),
            outcome=outcome,
            status=status,
            served_by=served.name if served is not None else "",
            degraded=degraded(served, self._plan.primary) if served is not None else Degraded.NONE,
            attempts=tuple(self._attempts),
            dropped=self._dropped if served is not None else (),
            error=error,
            resumptions=tuple(self._resumptions),
        )

    def identity(self) -> dict[str, str]:
        """Headers that are true of every reply, however it will end."""
        return {
            "outlast-request-id": self._asked.id,
            "outlast-receipt": self._asked.receipt_path,
        }

    def truth(self, leg: Leg | None, candidate: Candidate | None) -> dict[str, str]:
        """Headers that say who answers, after how many attempts, how far from what was asked."""
        open_attempt = leg is not None and candidate is not None
        headers = self.identity()
        headers["outlast-attempts"] = str(max(1, len(self._attempts) + open_attempt))
        if leg is not None and candidate is not None:
            headers["outlast-served-by"] = candidate.upstream
            headers["outlast-model"] = _ascii(leg.model or candidate.model)
            headers["outlast-degraded"] = degraded(candidate, self._plan.primary)
            if self._dropped:
                headers["outlast-dropped"] = _ascii(", ".join(self._dropped))[:1000]
        return headers


def _ascii(text: str) -> str:
    """Header values carry visible ASCII only (RFC 9110, 5.5)."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)
