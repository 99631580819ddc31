"""Scripts and timelines: read with care, chosen from by the clock."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest

import outlast
from outlast.simulator import (
    Fault,
    FaultKind,
    Script,
    ScriptError,
    load,
    parse,
    schedule,
    timelines,
)
from outlast.simulator.script import check

K = FaultKind


@pytest.mark.parametrize("name", timelines())
def test_every_shipped_timeline_can_be_played(name: str) -> None:
    stage = load(name)
    assert stage.title
    assert all(check(script) is script for script in stage.vendor)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "no [[vendor]]"),
        ("[[vendor]]\nnam = 'x'", "unknown field `nam`"),
        ("[[vendor]]\n[[vendor.faults]]\nkind = 'explode'", "explode"),
        ("[[vendor]]\n[[vendor.faults]]\nkind = 'cut'\nrequests = 'x-3'", "is not like"),
        ("[[vendor]]\n[[vendor.faults]]\nkind = 'cut'\nrequests = '0'", "counts from 1"),
        ("[[vendor]]\n[[vendor.faults]]\nkind = 'refuse'\nrequests = '3'", "before there is"),
        ("[[vendor]]\n[[vendor.faults]]\nkind = 'tls'", "tls = true"),
        ("[[vendor]]\n[[vendor.faults]]\nkind = 'cut'\nshare = 2", "0 to 1"),
        ("[[vendor]]\n[[vendor.faults]]\nkind = 'status'\nstatus = 200", "400 to 599"),
        ("[[vendor]]\n[[vendor.faults]]\nkind = 'status'\nvariant = 'odd'", "variant is one of"),
        ("[[vendor]]\nspeed = 0", "speed must be above 0"),
        ("[[vendor", "timeline"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused_with_the_reason(
    source: str, complaint: str
) -> None:
    with pytest.raises(ScriptError) as caught:
        parse(source)
    assert complaint in str(caught.value)


def test_a_stage_hands_its_speed_and_seed_to_vendors_that_give_none() -> None:
    one, two = parse("speed = 9\nseed = 4\n[[vendor]]\n[[vendor]]\nspeed = 2").vendor
    assert (one.speed, one.seed, two.speed, two.seed) == (9, 4, 2, 4)


@pytest.mark.parametrize(
    ("row", "at_s", "active"),
    [
        (Fault(K.REFUSE), 0, True),
        (Fault(K.REFUSE, at_s=10), 9.9, False),
        (Fault(K.REFUSE, at_s=10, for_s=5), 10, True),
        (Fault(K.REFUSE, at_s=10, for_s=5), 15, False),
        (Fault(K.REFUSE, period_s=6), 2.9, True),
        (Fault(K.REFUSE, period_s=6), 3.1, False),
        (Fault(K.REFUSE, period_s=6), 6.1, True),
        (Fault(K.REFUSE, at_s=1, period_s=4, duty=0.25), 1.9, True),
        (Fault(K.REFUSE, at_s=1, period_s=4, duty=0.25), 2.1, False),
    ],
)
def test_rows_are_active_by_the_clock(row: Fault, at_s: float, active: bool) -> None:
    assert schedule.refuses(Script(faults=(row,)), at_s) is active


@pytest.mark.parametrize(
    ("row", "at_s", "change"),
    [
        (Fault(K.REFUSE), 0.5, None),
        (Fault(K.REFUSE, at_s=10, for_s=5), 0, 10),
        (Fault(K.REFUSE, at_s=10, for_s=5), 10, 15),
        (Fault(K.REFUSE, period_s=6), 0.5, 3),
        (Fault(K.REFUSE, period_s=6), 3.0, 6),
        (Fault(K.REFUSE, period_s=6, for_s=7), 6.5, 7),
        (Fault(K.CUT, at_s=10), 0, None),
    ],
)
def test_the_next_change_of_the_port_is_known(
    row: Fault, at_s: float, change: float | None
) -> None:
    assert schedule.next_change_s(Script(faults=(row,)), at_s) == change


def test_the_second_of_march_fails_succeeds_and_relapses() -> None:
    script = load("2026-03-02").vendor[0]

    def ill(at_s: float) -> float:
        chosen = [
            schedule.choose(
                script, number=n, at_s=at_s, path="/v1/messages", model="claude-x", stream=True
            )
            for n in range(1, 201)
        ]
        return sum(fault is not None for fault in chosen) / len(chosen)

    assert 0.2 < ill(600) < 0.4
    assert ill(2500) > 0.9
    assert 0.4 < ill(5000) < 0.9, "the hour in which the API was said to be fine"
    assert ill(16000) == 0
    assert ill(20000) > 0.4
    assert ill(25000) == 0


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "outlast.simulator", *arguments),
        env=os.environ | {"PYTHONPATH": str(Path(outlast.__file__).parents[1])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    lines = b""
    while line := await process.stdout.readline():
        lines += line
        if line.startswith(b"ready"):
            process.terminate()
    _, complaints = await process.communicate()
    return process.returncode, lines.decode(), complaints.decode()


async def test_the_command_says_where_the_vendors_listen_and_ends_when_told_to() -> None:
    code, said, complaints = await run("healthy")
    assert (code, complaints) == (0, "")
    assert "alpha" in said
    assert said.count("http://127.0.0.1:") == 2


async def test_the_command_explains_a_file_that_is_not_there() -> None:
    code, _, complaints = await run("nosuch")
    assert code == 2
    assert "shipped timelines: 2026-03-02" in complaints


def test_scripts_are_values() -> None:
    script = Script(faults=(Fault(K.CUT),))
    assert msgspec.structs.replace(script) == script
