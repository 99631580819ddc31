"""What is told: a line per run while it goes, a table at the end, JSON for machines."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.conformance.runs import Client, Verdict

SHOWN_PROBLEMS = 6


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def opening(
    clients: Iterable[Client], skipped: Mapping[str, str], runs: int, *, alone: bool
) -> None:
    say(f"{runs} runs of real clients against Outlast, with simulated vendors, on loopback.")
    say(
        "They run in a network of their own: there is no way out."
        if alone
        else "This machine gives no network of one's own: a proxy turns away what would leave."
    )
    for client in clients:
        say(f"  {client.name:18} {client.version}")
    for name, why in skipped.items():
        say(f"  {name:18} SKIPPED: {why}")
    say()


def progress(done: int, total: int, verdict: Verdict) -> None:
    mark = "✓" if verdict.ok else "✗"
    say(f"[{done:3}/{total}] {mark} {verdict.client:18} {verdict.case:32} {verdict.seconds:5.1f} s")
    for problem in verdict.problems[:SHOWN_PROBLEMS]:
        say(f"            {problem}")
    if len(verdict.problems) > SHOWN_PROBLEMS:
        say(f"            … and {len(verdict.problems) - SHOWN_PROBLEMS} more")
    if verdict.kept:
        say(f"            kept: {verdict.kept}")


def table(clients: Sequence[Client], verdicts: Sequence[Verdict]) -> None:
    """Cases down, clients across; `·` where a case is not for a client."""
    found = {(verdict.client, verdict.case): verdict for verdict in verdicts}
    columns = [client.name for client in clients]
    names = list(dict.fromkeys(verdict.case for verdict in verdicts))
    first = max(len(name) for name in names)
    widths = [max(len(column), 8) for column in columns]
    head = "  ".join(column.rjust(width) for column, width in zip(columns, widths, strict=True))
    say()
    say(f"{'case':{first}}  {head}")
    for name in names:
        cells = []
        for column, width in zip(columns, widths, strict=True):
            verdict = found.get((column, name))
            cell = "·" if verdict is None else f"{'✓' if verdict.ok else '✗'} {verdict.seconds:.1f}"
            cells.append(cell.rjust(width))
        say(f"{name:{first}}  {'  '.join(cells)}")


def closing(
    verdicts: Sequence[Verdict],
    skipped: Mapping[str, str],
    asked: Mapping[str, int],
    took_s: float,
) -> None:
    failed = [verdict for verdict in verdicts if not verdict.ok]
    checks = sum(verdict.checks for verdict in verdicts)
    say()
    if asked:
        hosts = ", ".join(f"{host} ({count})" for host, count in sorted(asked.items()))
        say(f"Turned away at the wall: {hosts}")
    for name, why in skipped.items():
        say(f"SKIPPED {name}: {why}")
    for verdict in failed:
        say(f"✗ {verdict.client}, {verdict.case}: {verdict.problems[0]}")
    say(f"{checks} answers and files were held to the truth in {took_s:.0f} s.")
    say(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed, {len(skipped)} skipped")


def write(
    path: Path,
    verdicts: Sequence[Verdict],
    versions: Mapping[str, str],
    skipped: Mapping[str, str],
    *,
    took_s: float,
    whole: bool,
) -> None:
    """Write the results; a run of a part goes beside them, so that it never hides a whole one."""
    if not whole:
        path = path.with_suffix(".part.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.system(), "processor": platform.machine()},
        "python": platform.python_version(),
        "took_s": round(took_s, 1),
        "passed": sum(verdict.ok for verdict in verdicts),
        "failed": sum(not verdict.ok for verdict in verdicts),
        "clients": dict(versions),
        "skipped": dict(skipped),
        "runs": [
            {
                "client": verdict.client,
                "case": verdict.case,
                "ok": verdict.ok,
                "seconds": round(verdict.seconds, 2),
                "checks": verdict.checks,
                "problems": verdict.problems,
            }
            for verdict in verdicts
        ],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"Written: {path}")
