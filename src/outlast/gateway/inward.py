"""An exchange from inside: nobody's HTTP request, one candidate, the path that all take. Thin.

Probes ask through here. They run through the very exchange of a client's request, without moving
on to anybody: the receipt stands under the key `probe`, no key is charged, and breakers and
connectivity learn from the answer. A breaker that is open or half-open does not keep a probe away,
so that an upstream is found well again without a user's request (a probe that ends while the
breaker is still open proves nothing to it). What an attempt showed is not published here: whoever
asks knows more of it (where from, whether the answer was right) and does.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Protocol

import msgspec

from outlast.clock import Clock
from outlast.config import CandidateSettings, RouteSettings
from outlast.gateway.asked import Asked, Plan, Reply
from outlast.gateway.events import Observe
from outlast.gateway.http import Gateway, new_id
from outlast.gateway.prepare import url_path
from outlast.gateway.routing import candidates_of
from outlast.gateway.surfaces import SURFACES, Surface
from outlast.gateway.transport import Answer, NetworkFault
from outlast.nouns import Candidate, Kind, Observation, Outcome, Scope, Tokens
from outlast.outcome import Network, Verdict, classify_fault, classify_status
from outlast.wire.estimate import estimate_tokens
from outlast.wire.stream import TextDelta, ThinkingDelta

KEY_ID = "probe"
"""Whose receipts these are. Keys that people have begin with `key_`."""
ANSWER_LIMIT_BYTES = 256 << 10
LIST_LIMIT_BYTES = 4 << 20
ERROR_LIMIT_BYTES = 64 << 10

API_PATHS = {
    Kind.ANTHROPIC: "/v1/messages",
    Kind.OPENAI_CHAT: "/v1/chat/completions",
    Kind.OPENAI_RESPONSES: "/v1/responses",
}
MODELS_PATH = "/v1/models"
_NO_LIST = frozenset({404, 405, 410, 501})
_HEADERS = {"accept-encoding": "identity", "user-agent": "outlast-probe"}


class Heard(msgspec.Struct, frozen=True):
    """What an upstream answered."""

    observation: Observation
    """Source `probe`; its component is the candidate's name, or the upstream's for a list."""
    network: Network = "carried"
    text: str = ""
    stop: str = ""
    """Why the model stopped (`end_turn`, `max_tokens`, …); empty where it did not."""
    tokens: Tokens = Tokens()
    took_s: float = 0.0
    """From asking to the answer's end."""
    tokens_per_s: float | None = None
    """After the first content; None where there was too little to tell."""


class Getting(Protocol):
    async def get(self, name: str, path: str, headers: dict[str, str]) -> Answer:
        """Ask the upstream of this name with its key. Raises NetworkFault."""


class Inward:
    """Asks upstreams on the service's own account."""

    def __init__(self, gateway: Gateway, network: Getting, clock: Clock) -> None:
        self._gateway = gateway
        self._network = network
        self._clock = clock

    async def ask(
        self, upstream: str, model: str, question: str, *, max_tokens: int, limit_s: float
    ) -> Heard:
        """Put one question, streamed, and hear the answer out, for `limit_s` at most.

        What went wrong is in the observation; nothing is raised but a cancellation.
        """
        settings = self._gateway.state.settings
        found = settings.upstreams.get(upstream)
        if found is None or found.kind is Kind.LOCAL:
            return Heard(self._gone(f"{upstream}/{model}"), "unknown")
        body = msgspec.json.encode(request_body(found.kind, model, question, max_tokens))
        surface = SURFACES[API_PATHS[found.kind]]
        asked = self._asked(surface, model, body)
        route = RouteSettings(
            model=model, candidates=(CandidateSettings(upstream=upstream, model=model),)
        )
        plan = self._plan(asked, candidates_of(route, model, settings)[0], limit_s)
        listener = Listener(limit_s)
        noted: list[Observe] = []

        def note(observed: Observe) -> None:
            noted.append(_marked(observed, asked.id, listener.left))
            self._gateway.learn(noted[-1])

        began = self._clock.monotonic()
        transcript = await self._gateway.run(surface, listener, asked, plan, note)
        took_s = self._clock.monotonic() - began
        if not noted:
            return Heard(self._gone(f"{upstream}/{model}"), "unknown", took_s=took_s)
        observation, verdict = noted[0].observation, noted[0].verdict
        said = "".join(
            event.text
            for event in transcript.events()
            if isinstance(event, TextDelta | ThinkingDelta)
        )
        stop = transcript.stop
        tokens = stop.tokens if stop is not None and stop.tokens is not None else None
        tokens = tokens or Tokens(estimate_tokens(question), estimate_tokens(said), estimated=True)
        return Heard(
            observation,
            verdict.network if verdict is not None else "carried",
            transcript.text,
            stop.reason if stop is not None else "",
            tokens,
            took_s,
            _speed(tokens.output, took_s - observation.latency_s) if verdict is None else None,
        )

    async def models(self, upstream: str, *, limit_s: float) -> Heard:
        """Ask for the list of models: it costs nothing and needs the key."""
        found = self._gateway.state.settings.upstreams.get(upstream)
        if found is None or found.kind is Kind.LOCAL:
            return Heard(self._gone(upstream), "unknown")
        path = url_path(found.base_url, found.kind, MODELS_PATH)
        headers = _HEADERS | api_headers(found.kind) | found.headers
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                answer = await self._network.get(upstream, path, headers)
                try:
                    limit_bytes = LIST_LIMIT_BYTES if answer.status < 300 else ERROR_LIMIT_BYTES
                    status, body = answer.status, await _bounded(answer, limit_bytes)
                finally:
                    answer.close()
            verdict = self._judged(found.kind, status, body)
        except NetworkFault as error:
            verdict = classify_fault(error.fault)
        except TimeoutError:
            words = f"no list of models within {limit_s:.0f} s"
            verdict = Verdict(Outcome.TIMEOUT, Scope.PROVIDER, words, network="unknown")
        took_s = self._clock.monotonic() - began
        observation = Observation(
            at=self._clock.wall(),
            source="probe",
            component=upstream,
            outcome=verdict.outcome,
            scope=verdict.scope,
            latency_s=took_s,
            evidence=verdict.evidence,
            id=f"probe/{new_id()}",
        )
        return Heard(observation, verdict.network, took_s=took_s)

    def offline(self) -> bool:
        """Whether our own network is gone, as far as traffic and probes tell."""
        return self._gateway.state.connectivity.offline(self._clock.monotonic())

    def heard(self, provider: str, network: Network) -> None:
        """Take in what a probe of somebody remote says of our own network."""
        state, now = self._gateway.state, self._clock.monotonic()
        if state.connectivity.observe(provider, network, remote=True, now=now):
            for breaker in state.breakers().values():
                breaker.forgive()

    def _judged(self, kind: Kind, status: int, body: bytes) -> Verdict:
        if status == 200:
            names = model_names(body)
            if names is None:
                return Verdict(Outcome.SERVER_ERROR, Scope.PROVIDER, "HTTP 200, no list of models")
            return Verdict(Outcome.OK, Scope.NONE, f"{len(names)} models listed")
        if status in _NO_LIST or 300 <= status < 400:
            words = f"HTTP {status}: it has no list of models, which says nothing"
            return Verdict(Outcome.OURS, Scope.NONE, words)
        surface = SURFACES[API_PATHS[kind]]
        error = surface.codecs[surface.format].parse_error(status, body)
        return classify_status(status, type=error.type, code=error.code, message=error.message)

    def _asked(self, surface: Surface, model: str, body: bytes) -> Asked:
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        kind = Kind(surface.format.value)
        return Asked(
            id=new_id(),
            format=surface.format,
            path=surface.path,
            query="",
            headers=headers | _HEADERS | api_headers(kind),
            body=body,
            model=model,
            stream=True,
            at=self._clock.wall(),
            key_id=KEY_ID,
        )

    def _plan(self, asked: Asked, candidate: Candidate, limit_s: float) -> Plan:
        """One candidate, one try, no going on: what fails here is to be seen."""
        settings = self._gateway.state.settings
        timeouts = settings.timeouts_of(candidate.upstream)
        limited = msgspec.structs.replace(
            timeouts,
            first_byte_s=min(timeouts.first_byte_s, limit_s),
            deadline_s=min(timeouts.deadline_s, limit_s),
        )
        return Plan(
            asked=asked,
            candidates=(candidate,),
            primary=candidate,
            timeouts={candidate.upstream: limited},
            retry=msgspec.structs.replace(
                settings.retry,
                same_upstream_max=0,
                max_attempts=1,
                resumptions_max=0,
                hedge_after_s=0.0,
            ),
            prompt_tokens=max(1, len(asked.body) // 4),
        )

    def _gone(self, component: str) -> Observation:
        words = "this upstream is not in the settings any more"
        at, number = self._clock.wall(), new_id()
        return Observation(
            at, "probe", component, Outcome.OURS, Scope.OURS, evidence=words, id=f"probe/{number}"
        )


class Listener:
    """The client of such an exchange: it hears, and leaves when it has heard enough."""

    def __init__(self, limit_s: float) -> None:
        self.left = ""
        """Why it left before the end; empty: it did not."""
        self._limit_s = limit_s
        self._size = 0
        self._enough = asyncio.Event()

    async def head(self, status: int, headers: dict[str, str]) -> None:
        """Nobody to send it to."""

    async def body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > ANSWER_LIMIT_BYTES:
            self._enough.set()

    async def reply(self, reply: Reply) -> None:
        """Nobody to send it to."""

    async def end(self) -> None:
        """Nothing to close."""

    async def abort(self) -> None:
        """Nothing to close."""

    async def gone(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limit_s):
                await self._enough.wait()
        too_long = f"more than {ANSWER_LIMIT_BYTES} bytes of answer"
        self.left = too_long if self._enough.is_set() else f"not whole after {self._limit_s:.0f} s"


def request_body(kind: Kind, model: str, question: str, max_tokens: int) -> dict[str, Any]:
    """A small streamed request in the upstream's own format."""
    if kind is Kind.OPENAI_RESPONSES:
        return {
            "model": model,
            "input": question,
            "max_output_tokens": max_tokens,
            "stream": True,
            "store": False,
        }
    limit = "max_tokens" if kind is Kind.ANTHROPIC else "max_completion_tokens"
    messages = [{"role": "user", "content": question}]
    return {"model": model, "messages": messages, limit: max_tokens, "stream": True}


def api_headers(kind: Kind) -> dict[str, str]:
    """What every request of this API carries besides its key."""
    return {"anthropic-version": "2023-06-01"} if kind is Kind.ANTHROPIC else {}


def model_names(body: bytes) -> list[str] | None:
    """The names in an answer to GET /v1/models; None where it is no such list."""
    try:
        listed = msgspec.json.decode(body)["data"]
        return [str(entry["id"]) for entry in listed]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return None


def _marked(observed: Observe, request_id: str, left: str) -> Observe:
    """What an attempt of ours showed. That we left is a time-out: no user lost patience."""
    observation = msgspec.structs.replace(
        observed.observation, source="probe", id=f"probe/{request_id}"
    )
    verdict = observed.verdict
    if observation.outcome is Outcome.CLIENT_GONE and left:
        verdict = Verdict(Outcome.TIMEOUT, Scope.PROVIDER, left, network="unknown")
        observation = msgspec.structs.replace(
            observation, outcome=verdict.outcome, scope=verdict.scope, evidence=left
        )
    return msgspec.structs.replace(observed, observation=observation, verdict=verdict)


def _speed(tokens: int, spent_s: float) -> float | None:
    """Tokens a second; fewer than five, or all at once, tell nothing."""
    return tokens / spent_s if tokens >= 5 and spent_s > 0.001 else None


async def _bounded(answer: Answer, limit_bytes: int) -> bytes:
    """The body, or its first `limit_bytes`. Raises NetworkFault."""
    body = bytearray()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > limit_bytes:
            break
    return bytes(body[:limit_bytes])
