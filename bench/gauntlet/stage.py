"""The simulated vendors of a run, and what they say was asked of them and sent."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from bench.gauntlet import scripts
from bench.gauntlet.lanes import CONTINUING
from bench.gauntlet.options import Options
from outlast.simulator import (
    Fault,
    FaultKind,
    Recorded,
    Rejected,
    Script,
    Vendor,
    answer,
    load,
    read,
)

TOKENS_PER_S = 300.0
BROWN_TOKENS_PER_S = 30.0
"""Fifty streams of this are as much as the judges can read on two cores."""
PACED_TOKENS_PER_S = 10.0
"""Slow enough to tell one word from the next."""
_MARK = re.compile(rb"\bq\d{5}\b")


class Served(msgspec.Struct, frozen=True):
    """One request as its vendor saw it."""

    at_s: float
    vendor: str
    path: str
    model: str
    status: int
    failed: bool
    """A fault was played that no client can take for a whole answer."""
    finished: bool
    sent_bytes: int
    output_tokens: int
    """Of the whole answer."""


class Stage(msgspec.Struct):
    """Vendors by name; `small` stands in for the embedded model where its weights are not."""

    vendors: dict[str, Vendor]

    def url(self, vendor: str) -> str:
        return self.vendors[vendor].url

    def restart(self) -> None:
        """Begin all timelines anew: each gateway meets the same outage at the same time."""
        for vendor in self.vendors.values():
            vendor.script = vendor.script

    def take(self) -> dict[str, list[Served]]:
        """Return all requests since the last call, by the mark in their words."""
        found: dict[str, list[Served]] = defaultdict(list)
        for name, vendor in self.vendors.items():
            for request in vendor.requests:
                marks = _MARK.findall(request.raw)
                if marks and request.number:
                    # A second turn holds the first one's mark too; its own is the larger.
                    mark = max(marks).decode()
                    found[mark].append(_served(name, vendor.script, request))
            vendor.requests.clear()
        return {mark: sorted(served, key=lambda one: one.at_s) for mark, served in found.items()}


def _served(name: str, script: Script, request: Recorded) -> Served:
    tokens = 0
    if request.status == 200 and request.body is not None:
        try:
            tokens = answer(read(request.path, request.body), script).usage.output
        except (KeyError, Rejected):
            tokens = 0
    fault = request.fault
    harmless = fault is None or (
        fault.kind in {FaultKind.SLOW, FaultKind.STALL} and request.finished
    )
    return Served(
        at_s=request.at_s / script.speed,
        vendor=name,
        path=request.path,
        model=request.model,
        status=request.status,
        failed=not harmless,
        finished=request.finished and harmless,
        sent_bytes=request.sent_bytes,
        output_tokens=tokens,
    )


def sent_tokens(served: Iterable[Served], bytes_per_token: dict[str, float]) -> float:
    """Return the output tokens that vendors sent, estimated by bytes where they broke off."""
    total = 0.0
    for one in served:
        if one.finished:
            total += one.output_tokens
        elif one.status == 200:
            total += min(one.output_tokens, one.sent_bytes / bytes_per_token.get(one.path, 150.0))
    return total


def calibrate(served: Iterable[Served]) -> dict[str, float]:
    """Return bytes of a stream per token of its answer, by path, from whole answers."""
    seen: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in served:
        if one.finished and one.output_tokens and one.sent_bytes > 50 * one.output_tokens:
            seen[one.path][0] += one.sent_bytes
            seen[one.path][1] += one.output_tokens
    return {path: sent / tokens for path, (sent, tokens) in seen.items() if tokens}


def cast(options: Options) -> dict[str, Script]:
    """Return the vendors' scripts. Pure: the same options, the same vendors."""
    base = Script(
        seed=options.seed, tokens_per_s=TOKENS_PER_S, show_reasoning=True, first_token_s=0.02
    )

    def vendor(name: str, *faults: Fault, **more: object) -> Script:
        changes = {"name": name, "account": name, "faults": faults, **more}
        return msgspec.structs.replace(base, **changes)

    made = [
        vendor("first", *scripts.faults(options.places, options.compress, options.seed)),
        vendor("willing", chunking="random"),
        vendor("third"),
        vendor("torn", *scripts.torn(options.seed)),
        vendor("dead", *scripts.dead()),
        vendor("down", *scripts.down()),
        vendor("flapping", *scripts.flapping(3.0 if options.flapping_s > 12 else 1.0)),
        vendor("brown-1", *scripts.brownout(), tokens_per_s=BROWN_TOKENS_PER_S),
        vendor("brown-2", *scripts.brownout(turned=3), tokens_per_s=BROWN_TOKENS_PER_S),
        vendor("small"),
        vendor("paced", tokens_per_s=PACED_TOKENS_PER_S, first_token_s=0.0),
        *(vendor(f"second-{habit}", continuing=habit, prefill=False) for habit in CONTINUING),
        *(_of_march(script, options) for script in load("2026-03-02").vendor),
    ]
    return {script.name: script for script in made}


MARCH_S = 23_100.0
"""Script time of the shipped timeline: 11:30 to 17:55."""


def _of_march(script: Script, options: Options) -> Script:
    """The shipped timeline, with its waits shortened like all others."""
    faults = tuple(
        msgspec.structs.replace(
            fault,
            stall_s=None if fault.stall_s is None else fault.stall_s / options.compress,
            tokens_per_s=fault.tokens_per_s * options.compress,
        )
        for fault in script.faults
    )
    return msgspec.structs.replace(
        script,
        seed=options.seed,
        faults=faults,
        speed=MARCH_S / options.timeline_s,
        tokens_per_s=TOKENS_PER_S,
    )


@asynccontextmanager
async def open_stage(options: Options) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        vendors = {
            name: await stack.enter_async_context(Vendor(script))
            for name, script in cast(options).items()
        }
        yield Stage(vendors)
