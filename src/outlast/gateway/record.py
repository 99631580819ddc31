"""What an exchange remembers of itself: attempts, times, truth headers, the receipt. Pure."""

from __future__ import annotations

import msgspec

from outlast.config.routes import LOCAL_NAMES
from outlast.gateway.asked import Asked, Plan, Prepared
from outlast.gateway.events import Observe
from outlast.gateway.foreword import Foreword
from outlast.gateway.going import Going
from outlast.gateway.holding import Unit
from outlast.gateway.racer import Racer
from outlast.gateway.routing import degraded
from outlast.gateway.speaker import dated
from outlast.gateway.splicer import merged
from outlast.gateway.verdicts import passed_headers
from outlast.nouns import (
    Attempt,
    Candidate,
    Degraded,
    Kind,
    Observation,
    Outcome,
    Receipt,
    Resumption,
    Scope,
    Tokens,
)
from outlast.outcome import Verdict
from outlast.wire.canon import JSON, Request
from outlast.wire.codec import Codec
from outlast.wire.stream import AnswerEvent, Stop


class Record:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._asked: Asked = plan.asked
        self._attempts: list[Attempt] = []
        self._resumptions: list[Resumption] = []
        self._started_at = 0.0
        self._dropped: tuple[str, ...] = ()
        self._served_by: Candidate | None = None
        self._events: list[AnswerEvent] = []
        self.committed = False
        """Whether the client has seen something of an attempt."""

    def start(self, now: float) -> None:
        self._started_at = now

    def open(self, prepared: Prepared) -> None:
        self._dropped = prepared.dropped
        self._events = []

    def keep(self, units: list[Unit]) -> None:
        """Keep events of an answer that is sent whole."""
        created = int(self._asked.at)
        for unit in units:
            self._events += [dated(event, created) for event in unit.events]

    def render(self, codec: Codec, request: Request, words: str = "") -> bytes:
        """Return the kept events as a whole answer in the client's format, after these words."""
        events = Foreword(words).feed(self._events) if words else self._events
        return msgspec.json.encode(codec.render_answer(events, request))

    def wall(self, now: float) -> float:
        return self._asked.at + (now - self._started_at)

    def attempt(self, racer: Racer, verdict: Verdict | None, now: float) -> Observe:
        """Note how an attempt ended (`verdict` None: well); return its one Observation."""
        leg, candidate = racer.leg, racer.candidate
        outcome = verdict.outcome if verdict is not None else Outcome.OK
        scope = verdict.scope if verdict is not None else Scope.NONE
        evidence = verdict.evidence if verdict is not None else ""
        if verdict is None or (self.committed and outcome is not Outcome.LEFT):
            self._served_by = candidate
        tokens = leg.estimated(self._plan.prompt_tokens if leg.content_seen else 0)
        self._attempts.append(
            Attempt(
                upstream=candidate.upstream,
                model=leg.model or candidate.model,
                outcome=outcome,
                scope=scope,
                started_at=self.wall(racer.opened_at),
                ended_at=self.wall(now),
                status=leg.status,
                evidence=evidence,
                first_content_s=racer.first_content_s,
                tokens=tokens,
                request_id=leg.request_id,
            )
        )
        return Observe(
            candidate,
            observation_of(self._attempts[-1], candidate, now - racer.opened_at),
            verdict,
            signed=tuple(leg.signed) if racer.prepared.same_format else (),
            refused=racer.prepared.refused if leg.content_seen else (),
        )

    def resumed(self, going_on: Going, candidate: Candidate, at_char: int) -> JSON:
        """Note a seam; return the truth about it for the stream."""
        self._served_by = candidate
        broken, verdict = going_on.candidate, going_on.verdict
        return self._seam(broken, candidate.name, going_on.how, verdict, at_char)

    def summed(self, stop: Stop) -> Stop:
        """What the answer cost, all voices together: OpenAI's clients know one usage."""
        tokens = stop.tokens
        for attempt in self._attempts:
            if attempt.tokens.output:
                tokens = merged(attempt.tokens, tokens or Tokens())
        return msgspec.structs.replace(stop, tokens=tokens)

    def iterations(self, racer: Racer, tokens: Tokens | None) -> list[JSON]:
        """`usage.iterations` as Anthropic's own fallbacks give it, an entry for each voice."""
        voices = [(a.model, a.tokens) for a in self._attempts if a.tokens.output]
        last = racer.leg.model or racer.candidate.model
        told: list[JSON] = [_iteration("message", model, spent) for model, spent in voices]
        return [*told, _iteration("fallback_message", last, tokens or Tokens())]

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
            degraded=self._degraded(served) if served is not None else Degraded.NONE,
            attempts=tuple(self._attempts),
            dropped=self._dropped if served is not None else (),
            error=error,
            resumptions=tuple(self._resumptions),
        )

    def _degraded(self, candidate: Candidate) -> Degraded:
        return degraded_of(self._plan, candidate)

    def identity(self) -> dict[str, str]:
        """Headers that are true of every reply, however it will end."""
        return {
            "outlast-request-id": self._asked.id,
            "outlast-receipt": self._asked.receipt_path,
        }

    def stream_headers(self, racer: Racer | None) -> dict[str, str]:
        """Headers of a stream; without an attempt, because only pings are sent so far, little."""
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }
        if racer is None:
            return headers | self.identity()
        if racer.prepared.same_format:
            headers = passed_headers(racer.leg.headers) | headers
        return headers | self.truth(racer)

    def truth(self, racer: Racer | None) -> dict[str, str]:
        """Headers that say who answers, after how many attempts, how far from what was asked."""
        headers = self.identity()
        if racer is None:
            return headers | {"outlast-attempts": str(max(1, len(self._attempts)))}
        candidate = racer.candidate
        headers["outlast-attempts"] = str(racer.number + 1)
        model = racer.leg.model or candidate.model
        return headers | served(racer.prepared, model, self._degraded(candidate))


def degraded_of(plan: Plan, candidate: Candidate) -> Degraded:
    """How the answer differs from what was asked; the embedded model only where it was."""
    if candidate.kind is Kind.LOCAL and plan.asked.model not in {candidate.model, *LOCAL_NAMES}:
        return Degraded.LOCAL
    return degraded(candidate, plan.primary)


def observation_of(attempt: Attempt, candidate: Candidate, took_s: float) -> Observation:
    """Return what an attempt showed of its candidate."""
    first_s = attempt.first_content_s
    return Observation(
        at=attempt.ended_at,
        source="attempt",
        component=candidate.name,
        outcome=attempt.outcome,
        scope=attempt.scope,
        latency_s=took_s if first_s is None else first_s,
        evidence=attempt.evidence,
    )


def served(prepared: Prepared, model: str, how: Degraded) -> dict[str, str]:
    """Headers that say who answers, and how far that is from what was asked."""
    headers = {
        "outlast-served-by": prepared.candidate.upstream,
        "outlast-model": _ascii(model),
        "outlast-degraded": how.value,
    }
    if prepared.dropped:
        headers["outlast-dropped"] = _ascii(", ".join(prepared.dropped))[:1000]
    return headers


def _iteration(kind: str, model: str, tokens: Tokens) -> JSON:
    return {
        "type": kind,
        "model": model,
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation_input_tokens": tokens.cache_write,
    }


def _ascii(text: str) -> str:
    """Header values carry visible ASCII only (RFC 9110, 5.5)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if " " <= char <= "~" else "?" for char in text)
