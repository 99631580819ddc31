"""Pages of several processes as one: /metrics is the sum, /readyz the worst."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

HIGHEST = frozenset({"outlast_breaker_open", "outlast_offline"})
"""Of these, one process's word is enough: the highest counts. All others are added up."""
GROWING = frozenset({"counter", "histogram"})


class _Families:
    """Metric families as something that the library's registry can collect."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def summed(pages: Iterable[bytes], *, growing: bool = False) -> list[Metric]:
    """Add up pages as Prometheus reads them. `growing`: only what never gets less."""
    found: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for page in pages:
        for family in text_string_to_metric_families(page.decode()):
            if growing and family.type not in GROWING:
                continue
            found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            sums = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.items()))
                before = sums.get(key)
                highest = family.name in HIGHEST and before is not None
                sums[key] = (
                    max(before or 0.0, sample.value)
                    if highest
                    else ((before or 0.0) + sample.value)
                )
    for name, family in found.items():
        for (sample_name, labels), value in values[name].items():
            family.add_sample(sample_name, dict(labels), value)
    return list(found.values())


def metrics(pages: Sequence[bytes], answering: Mapping[str, bool]) -> bytes:
    """Return one page for all, which says whose numbers are in it."""
    words = "1 while a process of this service answers; the numbers of one that does not are old."
    up = GaugeMetricFamily("outlast_process_up", words, labels=["process"])
    for name, answers in answering.items():
        up.add_metric([name], float(answers))
    return page([*summed(pages), up])


def page(families: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(registry)


def readiness(
    own: dict[str, Any], workers: Mapping[str, dict[str, Any] | None]
) -> tuple[bool, dict[str, Any]]:
    """Return whether all workers are ready, and what the page says.

    `own`: the observer's detail. `workers`: each one's, with `ready`; None: it does not answer.
    """
    details = [one for one in workers.values() if one is not None]
    ready = len(details) == len(workers) and all(one["ready"] for one in details)
    observatory = dict(own.get("observatory") or {})
    seen = [one["observatory"].get("observations") for one in details if "observatory" in one]
    if observatory:
        observatory["observations"] = _added([observatory["observations"], *filter(None, seen)])
    told = {
        **own,
        "ledger": _added([own["ledger"], *(one["ledger"] for one in details)]),
        "offline": any(one["offline"] for one in details),
        **({"observatory": observatory} if observatory else {}),
        "processes": {
            name: {"state": "away"}
            if one is None
            else {
                "state": "ready" if one["ready"] else "not ready",
                "keys": one["keys"],
                "local": one["local"],
                "background": one["background"],
            }
            for name, one in workers.items()
        },
    }
    return ready, told


def _added(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers are added up; of everything else the first that says something counts."""
    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            before = total.get(name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and isinstance(before, int | float):
                total[name] = before + value
            elif not before:
                total[name] = value
    return total
