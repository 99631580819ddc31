"""Everything at once: a thread for each upstream, and this machine meanwhile."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from outlast.config import Settings
from outlast.doctor.findings import Finding, Mark, clock
from outlast.doctor.machine import SUBJECT, examine_machine
from outlast.doctor.upstream import Examination
from outlast.nouns import Kind

PARALLEL = 16


def examine(
    settings: Settings, only: str | None = None, report: Callable[[Finding], None] = lambda _: None
) -> list[Finding]:
    """All findings, each also handed to `report`. `only` names one upstream, without the machine.

    Costs one small request (at most 48 tokens) per upstream.
    """
    examinations = [
        Examination(settings, upstream, model_of(settings, name))
        for name, upstream in settings.upstreams.items()
        if upstream.kind is not Kind.LOCAL and only in {None, name}
    ]
    found: list[Finding] = []

    def take(findings: list[Finding]) -> None:
        for finding in findings:
            found.append(finding)
            report(finding)

    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        running = [pool.submit(examination.run) for examination in examinations]
        if only is None:
            take(examine_machine(settings))
        for one in running:
            take(one.result())
    skews = [skew for examination in examinations for skew in examination.skews]
    if skews:
        take([clock(statistics.median(skews))])
    elif only is None:
        take([Finding(SUBJECT, "clock", Mark.SKIPPED, "no upstream told the time")])
    return found


def model_of(settings: Settings, upstream: str) -> str:
    """A model that a route asks of this upstream; empty when none is named."""
    for route in settings.routes:
        for candidate in route.candidates:
            if candidate.upstream != upstream:
                continue
            if candidate.model:
                return candidate.model
            if route.serves == "chat" and not set("*?[") & set(route.model):
                return route.model
    return ""
