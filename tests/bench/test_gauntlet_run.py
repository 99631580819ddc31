"""One tiny real run: Outlast as a process, vendors that break, the SDKs as judges."""

from __future__ import annotations

from pathlib import Path

import msgspec
from bench.gauntlet import cases, lanes
from bench.gauntlet.cases import Case
from bench.gauntlet.options import QUICK
from bench.gauntlet.ours import Outlast
from bench.gauntlet.running import Runner
from bench.gauntlet.stage import open_stage

# Nothing stalls in these scripts: time-outs need not be short, and a busy machine meets none. Half
# of all answers break: on a slow machine the observatory would rightly move requests away.
OPTIONS = msgspec.structs.replace(
    QUICK, embedded=False, observed=False, variants=False, only=(2, 5, 7), compress=2.0
)


async def test_answers_that_break_come_home_whole_and_are_judged_by_both_sdks(
    tmp_path: Path,
) -> None:
    chosen = [case for case in cases.plan(OPTIONS) if case.position == 0]
    seen: list[Case] = []
    async with open_stage(OPTIONS) as stage:
        routes = [lanes.own(first) for first in lanes.KINDS]
        async with Outlast(routes, stage, OPTIONS, tmp_path) as gateway:
            assert not gateway.own_words
            async with Runner(gateway, stage, OPTIONS, seen.append) as runner:
                await runner.singles(chosen)
    assert {case.surface for case in seen} == {"messages", "chat", "responses"}
    assert {one.script for one in runner.results} == {0, 2, 5, 7}
    for one in runner.results:
        assert one.judgement.whole, (one.surface, one.judgement.note, one.ledger)
        assert not one.judgement.wrong_success, one.ledger
        if one.script and "next turn" not in one.lane:
            assert one.asked[0] == "first", one
        if one.script in {2, 5}:  # after whole calls nobody needs to go on
            assert "willing" in one.asked or "next turn" in one.lane, one
