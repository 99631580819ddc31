"""Options, scripts, lanes and cases: what is asked, and that every vendor has its row for it."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec
import pytest
from bench.gauntlet import cases, lanes, ours, peers, scripts, traffic
from bench.gauntlet.gateways import NO_MARK
from bench.gauntlet.options import QUICK, Options, parse
from bench.gauntlet.stage import Stage, cast

from outlast.config import load
from outlast.gateway.blocks import in_code_fence
from outlast.simulator import FaultKind, Vendor
from outlast.simulator.schedule import choose


@cache
def full() -> list[cases.Case]:
    return cases.plan(Options())


def test_all_sixteen_scripts_of_the_list_are_there() -> None:
    assert [script.number for script in scripts.SCRIPTS] == list(range(1, 17))


def test_arguments_choose_scripts_surfaces_and_peers() -> None:
    chosen = parse(["--only", "5,12-13", "--surface", "chat", "--peers", "ccr,litellm"])
    assert chosen.only == (5, 12, 13)
    assert chosen.surfaces == ("chat",)
    assert chosen.peers == ("litellm", "ccr")
    assert parse(["--quick"]).peers == ()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--only", "17"],
        ["--only", "five"],
        ["--surface", "embeddings"],
        ["--peers", "bifrost"],
        ["--compress", "0"],
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(wrong)
    assert wrong[0] in capsys.readouterr().err


def test_every_case_meets_the_fault_of_its_script_and_no_other() -> None:
    vendor = cast(QUICK)["first"]
    for case in cases.plan(QUICK):
        if case.lane.targets[0].vendor != "first":
            continue
        fault = choose(
            vendor,
            number=1,
            at_s=1.0,
            path=cases.PATHS[case.surface],
            model=case.asked_model,
            stream=case.stream,
        )
        assert (fault is None) == (case.script == 0), case.asked_model
        if case.script == 7:
            assert fault is not None
            assert (fault.kind, fault.where) == (FaultKind.CUT, "tool")


def test_marks_are_never_shared() -> None:
    marks = [case.mark for case in full()]
    marks += [case.mark for case in traffic.march(Options(), Options().surfaces)]
    assert len(marks) == len(set(marks))


@pytest.mark.parametrize("number", [s.number for s in scripts.SCRIPTS if s.breaks])
def test_each_way_of_going_on_is_tried_at_each_surface(number: int) -> None:
    tried = [case for case in full() if case.script == number]
    for surface in Options().surfaces:
        wanted = {lane.name for lane in lanes.variants(lanes.OWN[surface])}
        assert wanted <= {case.lane.name for case in tried if case.surface == surface}
        formats = {case.lane.targets[1].kind for case in tried if case.surface == surface}
        assert formats == set(lanes.KINDS)


def test_answers_for_new_fences_break_off_inside_one() -> None:
    options = Options()
    share = {
        row.match.model.split("-")[1]: row.after_share
        for row in scripts.faults(options.places, options.compress, options.seed)
    }
    fenced = [case for case in full() if case.script == 5 and case.lane.habit == "new_fence"]
    inside = [
        case
        for case in fenced
        if in_code_fence(
            case.truth(options.seed).text[: int(case.chars * share[scripts.tag(5, case.position)])]
        )
    ]
    assert len(inside) >= 0.9 * len(fenced) > 0


def test_of_the_brown_out_three_in_ten_requests_fail() -> None:
    vendor = cast(QUICK)["brown-1"]
    failed = sum(
        choose(vendor, number=n, at_s=1.0, path="/v1/messages", model="m", stream=True) is not None
        for n in range(1, 4001)
    )
    assert 0.27 < failed / 4000 < 0.33


def test_lengths_of_real_traffic_are_used_where_they_are(tmp_path: Path) -> None:
    assert traffic.lengths(tmp_path) == []
    path = tmp_path / "AzureLLMInferenceTrace2023_conv.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\nx,374,44\nx,396,10\ntorn", "utf-8")
    assert traffic.lengths(tmp_path) == [(374, 44), (396, 10)]
    chosen = msgspec.structs.replace(QUICK, traces=tmp_path)
    assert {case.chars for case in traffic.march(chosen, ("chat",))} == {220, 50}


def test_the_configuration_written_for_outlast_is_one_that_it_takes(tmp_path: Path) -> None:
    stage = Stage({name: Vendor(script) for name, script in cast(QUICK).items()})
    text = ours.configuration(lanes.everything(), stage, QUICK, 8400, None)
    path = tmp_path / "outlast.toml"
    path.write_text(text, "utf-8")
    settings = load(path, {"GAUNTLET_KEY": "x"})
    assert settings.upstreams["willing--c-exact"].continuation == "exact"
    assert settings.timeouts_of("first--a").stall_s == ours.STALL_S / QUICK.compress
    assert tomllib.loads(text)["local"] == {"enabled": False}


def test_peers_are_configured_for_every_name_that_they_are_asked_for() -> None:
    known = {name for lane in peers.simple_lanes() for name in peers.asked(lane, Options())}
    for case in cases.simple(Options()):
        name = case.asked_model.removesuffix(case.mark) + NO_MARK
        assert name in known, name
