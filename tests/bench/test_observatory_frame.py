"""The frame of the observatory's benchmark, and the worlds and scores of its parts."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bench.observatory import __main__ as frame
from bench.observatory import calibration, crowd, crowd_data, march, world
from bench.observatory.living import Sample, live, page_of
from bench.observatory.picture import draw
from bench.observatory.report import Part, shortfalls, written
from bench.observatory.result import Chart, Figure, Line, Result, Table
from bench.observatory.world import API, DAY_S, FAILING, MODELS, MONTH_S

GOOD = Figure("right", 0.9, 0.8, 1.0, 10)
BAD = Figure("wrong", 0.9, 0.0, 0.1, 10)
UNKNOWN = Figure("not measured", math.nan, 0.0, 0.1, 0)


@pytest.mark.parametrize(
    ("figure", "holds", "bar"),
    [
        (GOOD, True, "0.8 to 1"),
        (BAD, False, "at most 0.1"),
        (UNKNOWN, False, "at most 0.1"),
        (Figure("all", 3, 3, 3, 3), True, "3"),
        (Figure("many", 5, 4, math.inf, 3), True, "at least 4"),
    ],
)
def test_a_figure_holds_between_its_bounds(figure: Figure, holds: bool, bar: str) -> None:
    assert (figure.holds, figure.bar) == (holds, bar)


def test_what_falls_short_is_said_and_what_was_not_measured_is_no_shortfall() -> None:
    parts = [
        Part("a", "?", Result((GOOD, BAD, UNKNOWN), (), ())),
        Part("b", "?", None, skipped="no file"),
        Part("c", "?", Result((), (), ())),
    ]
    assert shortfalls(parts) == ["a: wrong: 0.9, bar at most 0.1", "c: no figure was made"]


def test_the_report_is_json_without_infinities() -> None:
    table = Table("t", ("a",), (("1",),))
    part = Part("a", "?", Result((Figure("many", 5, 4, math.inf, 3), UNKNOWN), (table,), ("n",)))
    report = json.loads(written([part], {"quick": True}))
    many, unknown = report["parts"]["a"]["figures"]
    assert (many["high"], unknown["value"]) == (None, None)


def test_what_was_not_measured_is_named_and_does_not_hold() -> None:
    good = Part("a", "?", Result((GOOD,), (), ()))
    assert json.loads(written([good], {}))["holds"] is True
    for part, name in (
        (Part("b", "?", Result((GOOD, UNKNOWN), (), ())), "b: not measured"),
        (Part("c", "?", None, skipped="no file"), "c: no file"),
    ):
        report = json.loads(written([good, part], {}))
        assert (report["holds"], report["not_measured"]) == (False, [name])


def test_where_no_incident_is_scored_no_figure_of_the_crowd_holds() -> None:
    counts = {int(1200 * n): 1.0 for n in range(72 * 30)}
    after = max(counts) + 10 * DAY_S
    nothing = crowd.score((), (), crowd.span_of(counts, after))
    figures, _ = crowd._services({"github": counts}, after)
    made = [*crowd._official_figures(nothing, nothing, ()), *figures]
    assert len(made) == 3
    assert [one.name for one in made if one.measured or one.holds] == []


def test_a_major_incident_is_asked_for_where_a_crowd_spoke_of_it() -> None:
    loud, silent = (crowd_data.Official("major", at, at + 3600.0) for at in (1e6, 2e6))
    counts = {1_000_800: 9.0, 1_002_000: 1.0, 2_000_400: 9.0}
    nothing = crowd.score((), (loud, silent), crowd.Span(0.0, 3e6))
    assert [
        (one.value, one.n) for one in crowd._major_figures(nothing, (loud, silent), counts)
    ] == [(0.0, 1)]
    assert crowd._major_figures(nothing, (silent,), counts) == []


def test_a_part_without_its_data_is_skipped_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        frame.main(["--data", str(tmp_path), "--only", "march,recovery"]) == frame.EXIT_UNMEASURED
    )
    out = " ".join(capsys.readouterr().out.split())
    assert "skipped: no record of 2 March 2026" in out
    assert "not measured: recovery: no incidents" in out


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        pytest.param((GOOD,), 0, id="all holds"),
        pytest.param((GOOD, BAD), frame.EXIT_SHORT, id="one falls short"),
        pytest.param((GOOD, UNKNOWN), frame.EXIT_UNMEASURED, id="one was not measured"),
        pytest.param((BAD, UNKNOWN), frame.EXIT_SHORT, id="both: what falls short is worse"),
        pytest.param((UNKNOWN,), frame.EXIT_UNMEASURED, id="nothing was measured"),
        pytest.param((), frame.EXIT_UNMEASURED, id="there is no figure"),
    ],
)
def test_the_exit_code_says_whether_all_was_measured_and_holds(
    figures: tuple[Figure, ...], code: int
) -> None:
    good = Part("a", "?", Result((GOOD,), (), ()))
    measured = any(figure.measured for figure in figures)
    result = Result(figures, (), ()) if measured else None
    assert frame.exit_code([good, Part("b", "?", result, skipped="nothing to score")]) == code


def test_a_folder_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame.main(["--data", str(tmp_path / "none"), "--only", "march"])
    assert "There is no folder" in capsys.readouterr().err


def test_the_environment_gives_what_arguments_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    monkeypatch.setenv("SINCE", "2025-01-01")
    monkeypatch.setenv("ONLY", "causes")
    out = tmp_path / "out"
    assert frame.main(["--out", str(out)]) == frame.EXIT_UNMEASURED
    options = json.loads((out / "observatory.json").read_text())["options"]
    assert (options["since"], options["only"]) == ("2025-01-01", ["causes"])
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "weather"], "weather is no part"),
        (["--only", ","], "nothing is no part"),
        (["--since", "soon"], "soon is no date"),
    ],
)
def test_wrong_options_are_explained(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        frame.main(arguments)
    assert words in capsys.readouterr().err


def test_a_picture_is_an_svg_with_a_title_and_words_and_escapes_both() -> None:
    lines = (Line("a & b", ((0, 0), (1, 2))), Line("c", ((0.5, 0.5),), dots=True))
    chart = Chart(
        "x", "<b>", "x", "y", lines, (0, 0), (1, 1), levels=((0.5, "l"),), moments=((0.5, "m"),),
        diagonal=True, words="“5” < 6",
    )  # fmt: skip
    root = ET.fromstring(draw(chart))
    found = {child.tag.rpartition("}")[2]: child.text for child in root}
    assert (found["title"], found["desc"]) == ("<b>", "“5” < 6")
    assert root.attrib["role"] == "img"
    assert "prefers-color-scheme: dark" in draw(chart)


# The simulated world


def test_a_world_is_the_same_each_time_and_another_with_another_seed() -> None:
    assert world.make(1, 2, 0.0) == world.make(1, 2, 0.0)
    assert world.make(1, 2, 0.0) != world.make(2, 2, 0.0)


def test_outages_do_not_overlap_and_vendors_post_after_they_begin() -> None:
    made = world.make(3, 6, 0.0)
    outages = made.outages
    assert len(outages) > 100
    assert all(a.end_at < b.start_at for a, b in pairwise(outages))
    starts = {one.start_at for one in outages}
    real = [one for one in made.posted if one.id.startswith("n")]
    assert 0.2 < len(real) / len(outages) < 0.5
    for one in real:
        assert max(s for s in starts if s <= one.stages[0][0]) <= one.stages[0][0]
        assert [at for at, _ in one.stages] == sorted(at for at, _ in one.stages)


def test_the_api_fails_as_much_as_its_models_together() -> None:
    made = world.make(3, 2, 0.0)
    for outage in made.outages:
        shares = [made.share(name, outage.start_at) * part for name, part in MODELS.items()]
        assert made.share(API, outage.start_at) == pytest.approx(sum(shares))
        assert made.failing(API, outage.start_at) is (sum(shares) >= FAILING)
    assert made.share(API, made.outages[0].start_at - 1) == 0


def test_requests_and_reports_follow_the_day() -> None:
    rates = [world.requests_per_minute(hour * 3600.0) for hour in range(24)]
    assert min(rates) >= 2
    assert 9 < max(rates) <= 10
    shape = [world.day_shape(minute * 60.0) for minute in range(1440)]
    assert sum(shape) / len(shape) == pytest.approx(1)


def test_the_vendors_page_shows_what_it_has_posted_by_then_and_nothing_later() -> None:
    made = world.make(3, 1, 0.0)
    one = made.posted[0]
    (began, _), (over, _) = one.stages[0], one.stages[-1]
    assert one.id not in {n.id for n in page_of(made, began - 1).notices}
    (notice,) = [n for n in page_of(made, began + 1).notices if n.id == one.id]
    assert (notice.stage, len(notice.updates)) == ("investigating", 1)
    (notice,) = [n for n in page_of(made, over + 1).notices if n.id == one.id]
    assert notice.resolved_at == over


def test_a_day_is_lived_through_and_sampled_every_ten_minutes() -> None:
    made = world.make(3, DAY_S / MONTH_S, 0.0)
    lived = live(made, 1)
    assert len(lived.samples) == 143 * len(world.SCORED)
    assert {one.component for one in lived.samples} == set(world.SCORED)
    assert all(0 <= one.probability <= 1 for one in lived.samples)


# Scores


def sample(p: float, failing: bool) -> Sample:
    return Sample("a/api", 0.0, p, failing, False)


def test_scores_of_what_is_known() -> None:
    assert calibration.brier([1.0, 0.0], [True, False]) == 0
    assert calibration.brier([0.5, 0.5], [True, False]) == 0.25
    assert calibration.reliability_error([0.95] * 20, [True] * 19 + [False]) == pytest.approx(0)
    assert calibration.reliability_error([0.95] * 20, [False] * 20) == pytest.approx(0.95)


def test_a_fit_finds_the_logistic_that_made_the_truth() -> None:
    roll = random.Random(1)
    found = []
    for _ in range(20_000):
        p = roll.random()
        x = calibration.log_odds(sample(p, False))
        true = 1 / (1 + math.exp(-(2.0 * x - 0.5)))
        found.append(sample(p, roll.random() < true))
    slope, offset = calibration.platt(found)
    assert slope == pytest.approx(2.0, abs=0.15)
    assert offset == pytest.approx(-0.5, abs=0.15)


def test_outages_that_were_never_suspected_count_as_the_slowest() -> None:
    outage = world.Outage(0.0, 1.0, "full", {API: 1.0}, 0.0)
    pairs = [(outage, 30.0)] * 94 + [(outage, None)] * 6
    assert calibration.quantile(pairs, 0.5) == 30
    assert calibration.quantile(pairs, 0.95) == math.inf


def test_the_record_of_march_is_read_with_its_names_marks_and_looks() -> None:
    update = {
        "at": "2026-03-02T12:21:24.244Z",
        "status": "(investigating; body not read)",
        "body": None,
        "new_status": {"api": "operational", "code": "partial_outage"},
    }
    record = {
        "components": {"1": "claude.ai", "2": "platform.claude.com (console)", "3": "Claude API",
                       "4": "Claude Code", "5": "Claude for Government"},
        "incidents": [{"id": "i", "name": "n", "impact": "major", "updates": [update]}],
    }  # fmt: skip
    script = march.written(record, march.Setting(1, 0.6, 1.0, 300.0))
    first, second = script.page
    assert second.at.strftime("%H:%M") == "12:25"
    assert second.components["Claude Code"] == "partial_outage"
    assert second.notices[0].entries[0].stage == "investigating"
    assert set(first.components.values()) == {"operational"}
    assert len(script.rumour) == 2
