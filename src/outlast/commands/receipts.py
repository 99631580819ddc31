"""`outlast receipts list | show`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, TypeVar

from cyclopts import App, Parameter
from cyclopts.validators import Number
from sqlalchemy import Connection

from outlast.commands.common import CommandFailed, say, say_json, settings_for
from outlast.commands.options import ConfigOption, JsonOption
from outlast.commands.store import place_of, with_database
from outlast.config import Settings
from outlast.gateway import ledger_tables
from outlast.nouns import Attempt, Degraded, Receipt

app = App(name="receipts", help="See what happened to each request.", help_format="plaintext")
T = TypeVar("T")


@app.command(name="list")
def list_(
    *,
    limit: Annotated[
        int, Parameter(help="How many, the newest first.", validator=Number(gte=1, lte=1000))
    ] = 20,
    key: Annotated[str | None, Parameter(help="Only those of this key (its id).")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show the last requests: who served them and how they ended.

    Example: outlast receipts list --limit 5
    Example: outlast receipts list --json | jq '.[] | select(.degraded != "none")'
    """
    settings = settings_for(config)
    found = read(settings, partial(ledger_tables.select_recent, key_id=key, limit=limit))
    if json:
        say_json(found)
        return
    for receipt in found:
        say(_line(receipt))
    if not found:
        say(f"No receipts yet in {place_of(settings)}.")


@app.command
def show(
    receipt_id: Annotated[
        str, Parameter(help="From the header outlast-receipt, or from the list.")
    ],
    /,
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show one request with every attempt: where, how long, how it ended.

    Example: outlast receipts show req_01hx…
    """
    settings = settings_for(config)
    receipt_id = receipt_id.rpartition("/")[2]
    found = read(settings, partial(ledger_tables.select_one, receipt_id=receipt_id, key_id=None))
    if found is None:
        raise CommandFailed(f"There is no receipt {receipt_id} in {place_of(settings)}.")
    if json:
        say_json(found)
        return
    say(_line(found))
    if found.error:
        say(f"  {found.error}")
    if found.dropped:
        say(f"  without an equivalent at that upstream, left out: {', '.join(found.dropped)}")
    for number, attempt in enumerate(found.attempts, start=1):
        say(f"  {number}. {_attempt(attempt)}")


def read(settings: Settings, fn: Callable[[Connection], T]) -> T:
    """Read from the service's database. Raises CommandFailed when it cannot be reached."""
    return with_database(settings, lambda database: database.read(fn))


def _line(receipt: Receipt) -> str:
    when = datetime.fromtimestamp(receipt.started_at).astimezone()
    took_s = receipt.ended_at - receipt.started_at
    parts = [
        f"{when:%Y-%m-%d %H:%M:%S}",
        receipt.id,
        f"{receipt.model} → {receipt.served_by or 'nobody'}",
        f"{receipt.outcome} ({receipt.status})",
        f"{took_s:.1f} s",
        f"{len(receipt.attempts)} attempt{'s' * (len(receipt.attempts) != 1)}",
    ]
    if receipt.degraded is not Degraded.NONE:
        parts.append(receipt.degraded.value)
    return "  ".join(parts)


def _attempt(attempt: Attempt) -> str:
    tokens = attempt.tokens
    about = "about " if tokens.estimated else ""
    parts = [
        f"{attempt.upstream}/{attempt.model}",
        attempt.outcome.value,
        f"{attempt.ended_at - attempt.started_at:.2f} s",
    ]
    if attempt.first_content_s is not None:
        parts.append(f"first content after {attempt.first_content_s:.2f} s")
    if tokens.input or tokens.output:
        parts.append(f"{about}{tokens.input} tokens in, {tokens.output} out")
    if attempt.evidence:
        parts.append(attempt.evidence)
    if attempt.request_id:
        parts.append(f"their id {attempt.request_id}")
    return " · ".join(parts)
