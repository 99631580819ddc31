"""What Prometheus reads at /metrics. Names follow OpenTelemetry's GenAI conventions where one
exists (`gen_ai.server.request.duration`, `gen_ai.server.time_to_first_token`,
`gen_ai.client.token.usage`), with dots as underscores and the unit last.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from outlast.gateway.events import Observe
from outlast.gateway.state import GatewayState
from outlast.nouns import Candidate, Degraded, Ended, Outcome, Receipt

MAX_MODELS = 200
"""Model names come from outside: beyond this many they count as `other`."""

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)


Labels = tuple[str, ...]


class Tally:
    """Counts by labels. The client library's own counters cost several locks for each request."""

    def __init__(self, name: str, words: str, labels: Sequence[str]) -> None:
        self.name, self._words, self._labels = name, words, labels
        self.counts: defaultdict[Labels, float] = defaultdict(float)

    def family(self) -> Metric:
        found = CounterMetricFamily(self.name, self._words, labels=self._labels)
        for labels, count in list(self.counts.items()):
            found.add_metric(labels, count)
        return found


class Spread:
    """How many values of each size, by one label."""

    def __init__(self, name: str, words: str, label: str) -> None:
        self.name, self._words, self._label = name, words, label
        self._counts: dict[str, list[int]] = {}
        self._sums: defaultdict[str, float] = defaultdict(float)

    def add(self, label: str, value: float) -> None:
        counts = self._counts.get(label)
        if counts is None:
            counts = self._counts[label] = [0] * (len(_SECONDS) + 1)
        counts[bisect_left(_SECONDS, value)] += 1
        self._sums[label] += value

    def pour(self, label: str, counts: list[int], total: float) -> None:
        """Add what was counted elsewhere, in the same sizes."""
        known = self._counts.get(label, [0] * len(counts))
        self._counts[label] = [one + other for one, other in zip(known, counts, strict=True)]
        self._sums[label] += total

    def family(self) -> Metric:
        found = HistogramMetricFamily(self.name, self._words, labels=[self._label])
        for label, counts in list(self._counts.items()):
            bounds = [*map(str, _SECONDS), "+Inf"]
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            found.add_metric([label], buckets, self._sums[label])
        return found


class Plain:
    """Answers of one kind that went well, summed where they arise until somebody reads them."""

    __slots__ = ("_labels", "_metrics", "buckets", "count", "input", "output", "sum_s")

    def __init__(self, metrics: Metrics, surface: str, upstream: str, model: str, how: str) -> None:
        self._metrics = metrics
        self._labels = (surface, upstream, model, how)
        self._clear()

    def _clear(self) -> None:
        self.count = self.input = self.output = 0
        self.sum_s = 0.0
        self.buckets = [0] * (len(_SECONDS) + 1)

    def add(self, ended: Sequence[Ended], input_: int, output: int) -> None:
        """These more, and the tokens of all."""
        buckets = self.buckets
        self.count += len(ended)
        self.input += input_
        self.output += output
        for _, took_s in ended:
            self.sum_s += took_s
            buckets[bisect_left(_SECONDS, took_s)] += 1

    def pour(self) -> None:
        """Bring the sums to the metrics."""
        if not self.count:
            return
        metrics, (surface, upstream, model, how) = self._metrics, self._labels
        metrics.exchanges.counts[surface, Outcome.OK.value, how] += self.count
        metrics.attempts.counts[upstream, model, Outcome.OK.value] += self.count
        metrics.tokens.counts[upstream, "input"] += self.input
        metrics.tokens.counts[upstream, "output"] += self.output
        metrics.duration.pour(surface, self.buckets, self.sum_s)
        self._clear()


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._models: set[str] = set()
        self._plain: dict[Labels, Plain] = {}
        self.exchanges = Tally(
            "outlast_exchanges",
            "Client requests, by how they ended.",
            ["surface", "outcome", "degraded"],
        )
        self.attempts = Tally(
            "outlast_attempts",
            "Attempts at upstreams, by how they ended.",
            ["upstream", "gen_ai_request_model", "outcome"],
        )
        self.duration = Spread(
            "gen_ai_server_request_duration_seconds",
            "From the client's request to its last byte.",
            "surface",
        )
        self.first_token = Spread(
            "gen_ai_server_time_to_first_token_seconds",
            "From sending an attempt to its first content.",
            "upstream",
        )
        self.tokens = Tally(
            "gen_ai_client_token_usage",
            "Tokens that upstreams counted, or that were estimated.",
            ["upstream", "gen_ai_token_type"],
        )
        self.under_way = 0
        """Requests being answered."""
        self.registry.register(self)
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

    def plain(self, surface: str, candidate: Candidate, how: Degraded) -> Plain:
        """Return where answers of this kind are summed; they count as `observe` and `settle` do."""
        labels = (surface, candidate.upstream, self._model(candidate.model), how.value)
        return self._plain.setdefault(labels, Plain(self, *labels))

    def collect(self) -> Iterator[Metric]:
        """What was counted here, for the registry."""
        for plain in self._plain.values():
            plain.pour()
        for one in (self.exchanges, self.attempts, self.duration, self.first_token, self.tokens):
            yield one.family()
        words = "Requests being answered."
        yield GaugeMetricFamily("outlast_exchanges_in_flight", words, value=self.under_way)

    def observe(self, observed: Observe) -> None:
        candidate, outcome = observed.candidate, observed.observation.outcome
        model = self._model(candidate.model)
        self.attempts.counts[candidate.upstream, model, outcome.value] += 1

    def settle(self, receipt: Receipt) -> None:
        self.exchanges.counts[receipt.surface, receipt.outcome, receipt.degraded.value] += 1
        self.duration.add(receipt.surface, receipt.ended_at - receipt.started_at)
        for attempt in receipt.attempts:
            if attempt.first_content_s is not None:
                self.first_token.add(attempt.upstream, attempt.first_content_s)
            self.tokens.counts[attempt.upstream, "input"] += attempt.tokens.input
            self.tokens.counts[attempt.upstream, "output"] += attempt.tokens.output

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
