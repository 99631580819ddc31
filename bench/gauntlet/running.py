"""Exchanges through one gateway: asked, heard, held against the vendors' records and the ledger."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from bench.gauntlet import cases, lanes
from bench.gauntlet.cases import Case
from bench.gauntlet.clients import Call, Heard, Judges, arguments_of, judges
from bench.gauntlet.gateways import Endpoint, Gateway
from bench.gauntlet.judging import booked_ok, judge
from bench.gauntlet.options import Options
from bench.gauntlet.results import Result
from bench.gauntlet.stage import Served, Stage, calibrate, sent_tokens
from outlast.simulator.truth import is_signed

Tick = Callable[[Case], None]


class Asked(msgspec.Struct):
    case: Case
    heard: Heard
    second: bool = False
    """The next turn of a conversation whose first answer broke."""


class Runner:
    """All phases at one gateway share it: the calibration and the results."""

    def __init__(
        self, gateway: Gateway, stage: Stage, options: Options, tick: Tick, retries: int = 0
    ) -> None:
        self._gateway = gateway
        self._stage = stage
        self._options = options
        self._tick = tick
        self._retries = retries
        self._bytes_per_token: dict[str, float] = {}
        self._stack = AsyncExitStack()
        self._lent: dict[bytes, Judges] = {}
        self.results: list[Result] = []

    async def singles(self, chosen: Sequence[Case]) -> None:
        """Ask each case, some at once, in an order that the seed draws: waits spread out."""
        warm = {case.surface: case for case in chosen if not case.script}
        await asyncio.gather(*(self._ask(case) for case in warm.values()))
        self._stage.take()
        queue = iter(random.Random(self._options.seed).sample(chosen, len(chosen)))
        asked: list[Asked] = []

        async def work() -> None:
            for case in queue:
                asked.append(await self._ask(case))
                if (second := following(case, asked[-1].heard)) is not None:
                    asked.append(await self._ask(second[0], second[1]))

        await asyncio.gather(*(work() for _ in range(self._options.concurrency)))
        await self._settle(asked)

    async def timed(self, chosen: Sequence[Case]) -> None:
        """Ask each case at its own time."""
        began = time.monotonic()

        async def work(case: Case) -> Asked:
            await asyncio.sleep(max(0.0, case.at_s - (time.monotonic() - began)))
            return await self._ask(case)

        await self._settle(await asyncio.gather(*(work(case) for case in chosen)))

    async def lasting(
        self, make: Callable[[int], Case], streams: int, for_s: float, pause_s: float = 0.0
    ) -> None:
        """Keep so many streams open for so long; each asks again when it was answered."""
        ends = time.monotonic() + for_s
        asked: list[Asked] = []
        numbers = iter(range(100_000))

        async def work(number: int) -> None:
            await asyncio.sleep(number / streams * min(1.0, for_s / 4))
            while time.monotonic() < ends:
                asked.append(await self._ask(make(next(numbers))))
                await asyncio.sleep(pause_s)

        await asyncio.gather(*(work(number) for number in range(streams)))
        await self._settle(asked)

    async def _ask(self, case: Case, body: dict[str, Any] | None = None) -> Asked:
        endpoint = self._gateway.endpoint(case.lane)
        asked = body or case.body()
        asked["model"] = endpoint.named(asked["model"], case.mark)
        sdk = await self._judges(endpoint)
        heard = await sdk.hear(case.surface, asked, stream=case.stream)
        self._tick(case)
        return Asked(case, heard, body is not None)

    async def _judges(self, endpoint: Endpoint) -> Judges:
        """One pair of SDKs for each endpoint, until the runner is closed."""
        key = msgspec.json.encode(endpoint)
        if key not in self._lent:
            made = judges(endpoint, self._options.compress, self._retries)
            self._lent[key] = await self._stack.enter_async_context(made)
        return self._lent[key]

    async def __aenter__(self) -> Runner:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _settle(self, asked: Iterable[Asked]) -> None:
        """Judge what was heard, by the vendors' records and the ledger."""
        await asyncio.sleep(0.1)
        records = self._stage.take()
        self._bytes_per_token |= calibrate(one for served in records.values() for one in served)
        gate = asyncio.Semaphore(8)

        async def one(each: Asked) -> Result:
            async with gate:
                receipt = await self._receipt(each.heard)
            return self._judged(each, records.get(each.case.mark, []), receipt)

        self.results += await asyncio.gather(*(one(each) for each in asked))

    async def _receipt(self, heard: Heard) -> dict[str, Any] | None:
        path = heard.headers.get("outlast-receipt", "")
        return await self._gateway.receipt(path) if path else None

    def _judged(self, asked: Asked, served: list[Served], receipt: dict[str, Any] | None) -> Result:
        case, heard = asked.case, asked.heard
        truth = case.truth(self._options.seed)
        known = not (case.script == 13 and self._gateway.own_words)
        wanted = [Call(call.name, arguments_of(call.arguments)) for call in truth.calls]
        failed = Counter(one.vendor for one in served if one.failed or one.status != 200)
        judgement = judge(
            heard,
            truth.text,
            wanted,
            loosely=_loosely(case, served),
            truth_known=known,
            begins=truth.text[: _shown(receipt)],
            forged=sum(1 for thought, sign in heard.signatures if not is_signed(thought, sign)),
            receipt=receipt,
            booked_ok=booked_ok(receipt, failed, Counter(one.vendor for one in served)),
        )
        fell_short = not judgement.whole or judgement.wrong_success
        return Result(
            gateway=self._gateway.name,
            retries=self._retries,
            script=case.script,
            surface=case.surface,
            lane=case.lane.label + (", next turn" if asked.second else ""),
            way=case.lane.way,
            mark=case.mark,
            position=case.position,
            stream=case.stream,
            judgement=judgement,
            first_text_s=heard.first_text_s,
            largest_gap_s=heard.largest_gap_s,
            took_s=heard.took_s,
            asked=tuple(one.vendor for one in served),
            tokens_sent=sent_tokens(served, self._bytes_per_token),
            tokens_needed=truth.usage.output if known else 0,
            ledger=in_a_line(receipt) if fell_short else "",
        )


def _loosely(case: Case, served: Sequence[Served]) -> bool:
    """Whether somebody was instructed to go on: the lane's second, or whoever came after it."""
    return case.lane.way == "instruct" or len(served) > 2


def _shown(receipt: dict[str, Any] | None) -> int:
    """How many characters had been shown before the first break, as the receipt says."""
    seams = receipt.get("resumptions", []) if receipt is not None else []
    return int(seams[0]["at_char"]) if seams else 0


def following(case: Case, heard: Heard) -> tuple[Case, dict[str, Any]] | None:
    """Return the conversation's next turn, where the broken answer came home: a healthy one.

    A history that a gateway has spoilt is refused by the vendors (docs/simulator.md).
    """
    tried = case.lane.name.startswith(("own", "double"))
    if not tried or not 4 <= case.script <= 12 or heard.error or not heard.turns:
        return None
    mark = f"q9{case.mark[2:]}"
    next_case = msgspec.structs.replace(
        case,
        mark=mark,
        words=f"And after that, {mark}? [[chars=200 language=en]]",
        calls=False,
        lane=lanes.own(case.lane.first),
        model=f"{lanes.own(case.lane.first).base}-s00p0-{mark}",
    )
    body = case.body()
    body["model"] = next_case.asked_model
    user = {"role": "user", "content": next_case.words}
    if case.surface == "responses":
        given: list[Any] = [{"role": "user", "content": case.words}, *heard.turns]
        body["input"] = [*given, *cases.results_of(case.surface, heard.turns), user]
    else:
        results = cases.results_of(case.surface, heard.turns)
        body["messages"] = [*body["messages"], *heard.turns, *results]
        if case.surface == "messages" and results:
            results[0]["content"].append({"type": "text", "text": next_case.words})
        else:
            body["messages"].append(user)
    return next_case, body


def in_a_line(receipt: dict[str, Any] | None) -> str:
    if receipt is None:
        return "no receipt"
    tries = ", ".join(
        f"{one['upstream']} {one['outcome']} ({one['evidence']})"
        for one in receipt.get("attempts", [])
    )
    seams = ", ".join(
        f"{one['how']} by {one['resumed'] or 'nobody'} at {one['at_char']}"
        for one in receipt.get("resumptions", [])
    )
    return f"{receipt['outcome']}: {tries}; seams: {seams or 'none'}; {receipt.get('error', '')}"
