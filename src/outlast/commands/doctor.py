"""`outlast doctor`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from outlast.commands.common import (
    EXIT_OK,
    EXIT_PROBLEM,
    EXIT_USAGE,
    CommandFailed,
    say,
    say_json,
    settings_for,
)
from outlast.commands.options import ConfigOption, JsonOption
from outlast.config.problems import suggestion
from outlast.doctor import Finding, Mark, examine, worst


def doctor(
    upstream: Annotated[str | None, Parameter(help="Examine only this upstream.")] = None,
    /,
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Check each upstream and this machine, step by step, and say what to do.

    For each upstream: name, connection, certificate, key, one small answer,
    and whether its events arrive as they are made. It costs a request of at
    most 48 tokens each. Exit code 1 when a check failed.

    Example: outlast doctor
    Example: outlast doctor anthropic --json
    """
    settings = settings_for(config)
    if upstream is not None and upstream not in settings.upstreams:
        known = ", ".join(settings.upstreams)
        hint = suggestion(upstream, settings.upstreams)
        raise CommandFailed(f'There is no upstream "{upstream}".{hint} Known: {known}', EXIT_USAGE)
    if json:
        found = examine(settings, upstream)
        say_json({"ok": worst(found) is not Mark.FAILED, "findings": found})
    else:
        found = examine(settings, upstream, _show)
        _summary(found)
    return EXIT_PROBLEM if worst(found) is Mark.FAILED else EXIT_OK


def _show(finding: Finding) -> None:
    took = f"{finding.took_s * 1000:6.0f} ms" if finding.took_s is not None else " " * 9
    say(f"{finding.mark.sign} {finding.subject:16} {finding.check:12} {took}  {finding.what}")
    if finding.todo:
        say(f"{'':43}→ {finding.todo}")


def _summary(found: list[Finding]) -> None:
    failed = sum(finding.mark is Mark.FAILED for finding in found)
    warnings = sum(finding.mark is Mark.WARNING for finding in found)
    say("", f"{len(found)} checks, {failed} failed, {warnings} to look at.")
