"""A real Outlast on loopback in front of simulated vendors, as one case wants them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from outlast.config import Settings
from outlast.gateway import ledger_tables
from outlast.nouns import Format, Kind, Receipt
from outlast.simulator import Script, Vendor
from outlast.store.database import Database
from tests.conformance.cases import Case
from tests.service import route, serving, settings, upstream

MODEL = "claude-opus-4-8"
"""The public name that every client asks for; a name that Claude Code accepts."""
DISPLAY_NAME = "Opus, kept alive"
THERE = {
    Format.ANTHROPIC: "claude-opus-4-8",
    Format.OPENAI_CHAT: "gpt-5",
    Format.OPENAI_RESPONSES: "gpt-5",
}
"""The model's name at an upstream: what a model is known to take is translated differently."""
ASIDE = "aside"
"""The model and the upstream of what a tool asks on the side, such as a title: always healthy."""
RECEIPTS_MAX = 1000


@dataclass
class House:
    """What a client is pointed at, and what can be looked at afterwards."""

    url: str
    key: str
    case: Case
    scripts: list[Script]
    vendors: list[Vendor]
    aside: Vendor
    settings: Settings = field(repr=False)

    async def receipts(self) -> list[Receipt]:
        """Every receipt, oldest first, from the database. Call when the house has closed."""
        database = Database(self.settings.store_url, readers=1)
        try:
            found = await database.read(
                partial(ledger_tables.select_recent, key_id=None, limit=RECEIPTS_MAX)
            )
        finally:
            await database.close()
        return sorted(found, key=lambda receipt: receipt.started_at)


def scripts_for(case: Case, script: Script) -> list[Script]:
    """Return a script per upstream: the same truth from each, the fault at the first."""
    scripts = [
        msgspec.structs.replace(script, seed=case.seed, name=f"{number}")
        for number in range(len(case.upstreams))
    ]
    if case.failure is not None:
        scripts[0] = msgspec.structs.replace(scripts[0], faults=(case.failure.fault,))
    return scripts


@asynccontextmanager
async def opened(
    folder: Path, case: Case, own: Format, script: Script | None = None
) -> AsyncIterator[House]:
    """Serve a case until the end of the block. `folder` gets the database."""
    scripts = scripts_for(case, script or Script())
    async with AsyncExitStack() as stack:
        vendors = [await stack.enter_async_context(Vendor(one)) for one in scripts]
        aside = await stack.enter_async_context(Vendor(Script(seed=case.seed, name=ASIDE)))
        chosen = _settings(folder, case, own, vendors, aside)
        running = await stack.enter_async_context(serving(chosen))
        yield House(running.url, running.key, case, scripts, vendors, aside, chosen)


def names(case: Case) -> list[str]:
    """Return the upstreams' names, in the order in which they are asked."""
    return ["first", "second"][: len(case.upstreams)]


def candidates(case: Case) -> list[str]:
    """Return `upstream/model`, in the order in which they are asked."""
    pairs = zip(names(case), case.upstreams, strict=True)
    return [f"{name}/{THERE[form]}" for name, form in pairs]


def _settings(
    folder: Path, case: Case, own: Format, vendors: Sequence[Vendor], aside: Vendor
) -> Settings:
    upstreams = [
        upstream(name, Kind(form.value), vendor.url)
        for name, form, vendor in zip(names(case), case.upstreams, vendors, strict=True)
    ]
    upstreams.append(upstream(ASIDE, Kind(own.value), aside.url))
    routes = [
        route(MODEL, *candidates(case), display_name=DISPLAY_NAME),
        route(ASIDE, f"{ASIDE}/sim-small"),
    ]
    if own is not Format.ANTHROPIC:
        routes.append(route("embedder", f"{ASIDE}/sim-embed", serves="embeddings"))
    return settings(folder, upstreams, routes)
