"""Reports for tests: somebody says something, in few words."""

from __future__ import annotations

from zlib import crc32

from outlast.nouns import Observation
from outlast.observatory.report_nouns import Decision, Report
from outlast.observatory.reporting import Reporting

NOON = 1_800_000_000.0
WEB = "anthropic/web"


def says(who: str, works: bool = False, **more: object) -> Report:
    """Reporter `who`, from a network and a group of its own unless told otherwise."""
    values: dict[str, object] = {
        "component": WEB,
        "works": works,
        "reporter": who,
        "network": f".g{who}.n{who}",
        **more,
    }
    return Report(**values)  # type: ignore[arg-type]


def take(reporting: Reporting, report: Report, at: float) -> Decision:
    """Decide and, as the shell does, accept once it is stored."""
    decision = reporting.decide(report, at)
    reporting.accept(decision, at)
    return decision


def keep(reporting: Reporting, report: Report, at: float, stored: list[Observation]) -> Decision:
    decision = take(reporting, report, at)
    if decision.observation is not None:
        stored.append(decision.observation)
    return decision


def name_with(bits: int, wanted: bool, number: int = 0) -> str:
    """A reporter's name that a sample of this level holds, or does not."""
    while (crc32(f"r{number}".encode()) & ((1 << bits) - 1) == 0) is not wanted:
        number += 1
    return f"r{number}"
