"""What people see: tables, the picture, and how quiet it was."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from bench.overhead.__main__ import EXIT_NOT_RUN, main, write
from bench.overhead.figures import Sample, memory
from bench.overhead.options import parse
from bench.overhead.picture import draw
from bench.overhead.report import Report, collect, columns, load_bound, row, show, times, whole
from bench.overhead.scenarios import SCENARIOS
from rich.console import Console

from tests.bench.test_overhead_figures import COUNTS, good, sample

SVG = "{http://www.w3.org/2000/svg}"


def report(samples: list[Sample], **more: Any) -> Report:
    rest: dict[str, Any] = {
        "options": {"urgent": False},
        "machine": {},
        "settings": {"nginx": ["one worker"]},
        "skipped": {"smg": "it could not be installed: no such package"},
        "took_s": 12.0,
    }
    servers = list(dict.fromkeys(one.server for one in samples))
    return collect(samples, servers, {"outlast": 55_000_000}, None, rest | more)


def printed(made: Report, strict: bool = False) -> str:
    out = io.StringIO()
    show(made, Console(file=out, width=160), strict)
    return out.getvalue()


def test_a_good_run_says_that_promises_are_kept_and_who_was_skipped() -> None:
    said = printed(report(good()))
    assert "Outlast keeps what it promises." in said
    assert "skipped: smg: it could not be installed" in said
    assert "nginx: one worker" in said


def test_a_run_that_falls_short_says_so_and_by_how_much() -> None:
    samples = [sample(server="nginx", requests=40_000, cpu_s=0.8), sample(requests=1000)]
    made = report(samples)
    said = printed(made)
    assert "Outlast misses 2 of its musts." in said
    assert "0.025 ×" in said
    assert len(made.short(strict=False)) == 2


def test_disturbed_runs_are_counted_and_the_largest_disturbance_is_said() -> None:
    made = report([sample(foreign_load=0.4), sample(server="nginx", foreign_servers=0.02)])
    assert (made.disturbed, made.runs, made.foreign_max) == (1, 2, 0.4)
    assert "1 of 2 runs stayed disturbed" in printed(made)


def test_a_run_on_a_busy_machine_promises_nothing() -> None:
    samples = [
        msgspec.structs.replace(one, foreign_servers=0.6) for one in good() if one.server != "smg"
    ]
    said = printed(report(samples))
    assert "promises cannot be judged" in said
    assert "keeps what it promises" not in said


def test_answers_that_were_lost_stand_in_the_table() -> None:
    assert "7/1200" in printed(report([sample(server="litellm", whole=7), sample()]))


def test_what_the_generator_cut_off_is_named_apart() -> None:
    samples = [sample(whole=1100, unfinished=90), sample(server="nginx", whole=7)]
    made = report(samples).figures["c32"]
    assert whole(made["outlast"]) == "1100/1200, 90 unfinished"
    assert whole(made["nginx"]) == "7/1200"


def test_what_was_not_measured_is_counted_beside_what_was_kept() -> None:
    assert "Promises that were not measured: 1." in printed(report(good()))


def test_where_the_load_itself_was_the_limit_it_is_said_of_servers_alone() -> None:
    samples = [
        sample(server="nginx", load_share=0.98),
        sample(server="direct", load_share=1.0),
        sample(load_share=0.6),
    ]
    made = report(samples)
    assert load_bound(made.figures) == ["nginx at c32"]
    assert "could be faster than shown: nginx at c32" in printed(made)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_each_row_has_a_cell_for_each_column(scenario: Any) -> None:
    made = report([sample(scenario=scenario.name), sample(scenario=scenario.name, server="direct")])
    for server, found in made.figures[scenario.name].items():
        assert len(row(scenario, server, found, None)) == len(columns(scenario))


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (0.034, "0.03"), (9.99, "9.99"), (431.4, "431")]
)
def test_ratios_are_short(value: float | None, words: str) -> None:
    assert times(value) == words


def bars(svg: str) -> dict[str, list[float]]:
    """Widths of the bars of the picture, by class."""
    found: dict[str, list[float]] = {}
    for rect in ET.fromstring(svg).iter(f"{SVG}rect"):
        found.setdefault(rect.attrib["class"], []).append(float(rect.attrib["width"]))
    return found


def test_the_picture_has_a_bar_for_each_server_but_the_direct_way() -> None:
    samples = [sample(server=name) for name in ("direct", "nginx", "outlast", "smg")]
    found = bars(draw(report(samples)))
    assert len(found["ours"]) == 1
    assert len(found["bar"]) == 2


def test_who_costs_more_has_the_longer_bar() -> None:
    samples = [sample(cpu_s=0.05), sample(server="litellm", requests=70, cpu_s=1.0)]
    found = bars(draw(report(samples)))
    assert found["ours"][0] < found["bar"][0] <= 560


def test_a_picture_of_nothing_is_a_picture() -> None:
    svg = draw(report([]))
    assert ET.fromstring(svg).tag == f"{SVG}svg"
    assert "ours" not in bars(svg)


def test_the_picture_says_in_words_what_it_shows() -> None:
    svg = ET.fromstring(draw(report([sample(), sample(server="nginx", cpu_s=0.02)])))
    said = svg.find(f"{SVG}desc")
    assert said is not None
    assert said.text is not None
    assert "nginx 20 µs, outlast 500 µs" in said.text


def test_a_partial_run_is_written_beside_the_full_one(tmp_path: Path) -> None:
    made = report(good())
    full, quick = (
        write(made, parse([*arguments, "--out", str(tmp_path)])) for arguments in ([], ["--quick"])
    )
    assert [path.name for path in full] == ["overhead.json", "overhead.svg"]
    assert [path.name for path in quick] == ["overhead-quick.tmp.json", "overhead-quick.tmp.svg"]
    read = msgspec.json.decode(full[0].read_bytes(), type=Report)
    assert read.verdicts == made.verdicts


def test_without_a_compiler_it_says_what_is_missing_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert main(["--quick", "--out", str(tmp_path)]) == EXIT_NOT_RUN
    said = " ".join(capsys.readouterr().out.split())
    assert "there is no C compiler" in said
    assert "apt-get install gcc" in said
    assert list(tmp_path.iterdir()) == []


def test_memory_readings_are_kept_with_the_report() -> None:
    made = report(good())
    made.memory = memory(COUNTS, [60_000_000] * len(COUNTS))
    assert "memory over 1,000,000 requests" in printed(made)
