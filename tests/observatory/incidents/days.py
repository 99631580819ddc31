"""Short days, written as scripts: what is left out is as usual."""

from __future__ import annotations

from collections.abc import Sequence

from outlast.nouns import Incident
from outlast.observatory.rehearsal import Rehearsal, from_script, read_script
from outlast.observatory.replaying import Step, play
from outlast.observatory.retelling import Teller
from outlast.observatory.watch import Watch

HEAD = """
title = "a day"
from = 2026-03-02T12:00:00Z
to = 2026-03-02T{end}:00Z
seed = {seed}
expect = ["anthropic/api", "anthropic/web"]
"""
GREEN = """
[[page]]
at = 2026-03-02T12:00:00Z
provider = "anthropic"
components = { "claude.ai" = "operational", "Claude API (api.anthropic.com)" = "operational" }
"""


def day(*tables: str, end: str = "13:30", seed: int = 1) -> Rehearsal:
    """A day from 12:00 on. Times in tables are written `12:10`."""
    return from_script(read_script(HEAD.format(end=end, seed=seed) + "\n".join(tables)))


def span(kind: str, component: str, start: str, end: str, **more: object) -> str:
    """A table of a script: `span("probe", "anthropic/web", "12:00", "12:30", error_share=1)`."""
    lines = [f"[[{kind}]]", f'component = "{component}"']
    lines += [f"from = 2026-03-02T{start}:00Z", f"to = 2026-03-02T{end}:00Z"]
    lines += [f"{key} = {value!r}".replace("'", '"') for key, value in more.items()]
    return "\n".join(lines)


def failing(component: str, start: str, end: str, share: float = 1.0, until: str = "13:30") -> str:
    """Requests, ten a minute, that fail for a while."""
    api = {"per_minute": 10.0}
    return "\n".join(
        (
            span("traffic", component, "12:00", start, **api),
            span("traffic", component, start, end, error_share=share, **api),
            span("traffic", component, end, until, **api),
        )
    )


def told(rehearsal: Rehearsal, watch: Watch | None = None) -> Teller:
    """Play it to its end."""
    teller, watch = Teller(), watch or Watch()
    rehearsal.prepare(watch)
    for at, said in play(rehearsal.steps, watch, until_at=rehearsal.until_at):
        teller.hear(at, said)
    return teller


def played(steps: Sequence[Step], watch: Watch, until_at: float) -> list[Incident]:
    """Play steps; return the incidents as they were said last, the first to open first."""
    teller = Teller()
    for at, said in play(steps, watch, until_at=until_at):
        teller.hear(at, said)
    return teller.incidents()
