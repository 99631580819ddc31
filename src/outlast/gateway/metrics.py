"""What Prometheus reads at /metrics. Names follow OpenTelemetry's GenAI conventions where one
exists (`gen_ai.server.request.duration`, `gen_ai.server.time_to_first_token`,
`gen_ai.client.token.usage`), with dots as underscores and the unit last.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from outlast.gateway.events import Observe
from outlast.gateway.state import GatewayState
from outlast.nouns import Receipt

MAX_MODELS = 200
"""Model names come from outside: beyond this many they count as `other`."""

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._models: set[str] = set()
        self.exchanges = Counter(
            "outlast_exchanges",
            "Client requests, by how they ended.",
            ["surface", "outcome", "degraded"],
            registry=self.registry,
        )
        self.attempts = Counter(
            "outlast_attempts",
            "Attempts at upstreams, by how they ended.",
            ["upstream", "gen_ai_request_model", "outcome"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "From the client's request to its last byte.",
            ["surface"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.first_token = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From sending an attempt to its first content.",
            ["upstream"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.tokens = Counter(
            "gen_ai_client_token_usage",
            "Tokens that upstreams counted, or that were estimated.",
            ["upstream", "gen_ai_token_type"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "outlast_exchanges_in_flight", "Requests being answered.", registry=self.registry
        )
        self.breaker_open = Gauge(
            "outlast_breaker_open",
            "1 while a candidate is out of use, 0.5 while half-open.",
            ["candidate"],
            registry=self.registry,
        )
        self.offline = Gauge(
            "outlast_offline", "1 while our own network is gone.", registry=self.registry
        )
        self.ledger_waiting = Gauge(
            "outlast_ledger_waiting",
            "Receipts on disk that the database has not taken yet.",
            registry=self.registry,
        )

    def observe(self, observed: Observe) -> None:
        candidate, observation = observed.candidate, observed.observation
        model = self._model(candidate.model)
        self.attempts.labels(candidate.upstream, model, observation.outcome.value).inc()

    def settle(self, receipt: Receipt) -> None:
        labels = (receipt.surface, receipt.outcome, receipt.degraded.value)
        self.exchanges.labels(*labels).inc()
        self.duration.labels(receipt.surface).observe(receipt.ended_at - receipt.started_at)
        for attempt in receipt.attempts:
            if attempt.first_content_s is not None:
                self.first_token.labels(attempt.upstream).observe(attempt.first_content_s)
            self.tokens.labels(attempt.upstream, "input").inc(attempt.tokens.input)
            self.tokens.labels(attempt.upstream, "output").inc(attempt.tokens.output)

    def render(self, state: GatewayState, waiting: int, now: float) -> bytes:
        """Return the page; gauges are read from the state at this moment."""
        self.breaker_open.clear()
        level = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
        for name, breaker in list(state.breakers().items())[:MAX_MODELS]:
            self.breaker_open.labels(name).set(level[breaker.state(now)])
        self.offline.set(state.connectivity.offline(now))
        self.ledger_waiting.set(waiting)
        return generate_latest(self.registry)

    def _model(self, name: str) -> str:
        if name in self._models:
            return name
        if len(self._models) >= MAX_MODELS:
            return "other"
        self._models.add(name)
        return name
