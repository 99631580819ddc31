"""The benchmark's own parts: what it reads, its losses, and that it never looks ahead."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from bench.observatory.incident_data import load
from bench.observatory.recovery import crps, quantiles, replay, run

from outlast.observatory.recovery import Case
from tests.observatory.recovery.histories import SPREAD, T0, steady

HEADER = (
    "incident_id,provider,title,impact,investigating_at,identified_at,monitoring_at,"
    "resolved_at,first_update_at,closed_at,minutes_first_to_close,update_text\n"
)
DAY = "2024-01-01 "


def written(
    tmp_path: Path, rows: str, name: str = "llm_incidents_a.csv", head: str = HEADER
) -> Path:
    (tmp_path / "incidents").mkdir(exist_ok=True)
    (tmp_path / "incidents" / name).write_text(head + rows, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("row", "read"),
    [
        pytest.param(
            f"a,OpenAI,x,major,{DAY}10:00:00+00:00,,{DAY}10:30:00Z,,{DAY}10:00,{DAY}11:00,60,t",
            (60, ["investigating", "monitoring"]),
            id="an incident with stages; a time without a zone is UTC",
        ),
        pytest.param(
            f'a,openai,x,major,,,,,{DAY}10:00,{DAY}11:00,60,"two\nlines, and a comma"',
            (60, []),
            id="its text may have lines and commas",
        ),
        pytest.param(
            f"a,openai,x,major,{DAY}10:00,,,{DAY}10:20,,,,t",
            (20, ["investigating"]),
            id="without first update and close, stages and resolved stand in",
        ),
        pytest.param(
            f"a,openai,x,major,,,,,{DAY}10:00,,45.5,t", (45.5, []), id="or the minutes do"
        ),
        pytest.param(f"a,openai,x,major,,,,,{DAY}10:00,,,t", (None, []), id="not over: kept, live"),
        pytest.param(f"a,openai,x,major,,,,,{DAY}10:00,{DAY}10:00,0,t", "notice after the fact"),
        pytest.param(f"a,openai,x,maintenance,,,,,{DAY}10:00,{DAY}11:00,60,t", "maintenance"),
        pytest.param(
            f"a,openai,Planned Maintenance,,,,,,{DAY}10:00,{DAY}11:00,60,t", "maintenance"
        ),
        pytest.param(f"a,openai,x,,,,,,{DAY}12:00,{DAY}11:00,60,t", "unreadable"),
        pytest.param("a,openai,x,,soon,,,,whenever,later,many,t", "unreadable"),
        pytest.param("half a row", "unreadable"),
    ],
)
def test_a_row_is_read(tmp_path: Path, row: str, read: object) -> None:
    found = load(written(tmp_path, row + "\n"))
    if isinstance(read, str):
        assert (found.cases, found.left_out) == ((), {read: 1})
    else:
        (case,) = found.cases
        lasts = None if case.ended_at is None else (case.ended_at - case.started_at) / 60
        assert (lasts, [stage for _, stage in case.stages]) == read


def test_all_files_count_once_each_incident_in_order_of_time(tmp_path: Path) -> None:
    row = "{},openai,x,,,,,,2024-01-0{} 10:00,2024-01-0{} {},,t\n"
    written(tmp_path, row.format("b", 2, 2, "11:00") + row.format("a", 1, 1, "11:00"))
    later = row.format("b", 2, 2, "12:00") + row.format("c", 3, 3, "11:00")
    found = load(written(tmp_path, later, "llm_incidents_b.csv"))
    assert [case.id for case in found.cases] == ["openai/a", "openai/b", "openai/c"]
    assert found.cases[1].ended_at == found.cases[1].started_at + 7200
    assert found.files == ("llm_incidents_a.csv", "llm_incidents_b.csv")


def test_missing_columns_are_blank(tmp_path: Path) -> None:
    row = f"openai,{DAY}10:00,{DAY}11:00\n"
    found = load(written(tmp_path, row, head="provider,first_update_at,closed_at\n"))
    assert len(found.cases) == 1


def test_without_data_it_says_so_and_holds_nothing(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert not result.holds
    assert "absent" in result.notes[0]


def test_quantiles_are_linear_between_the_middles_of_steps() -> None:
    at = quantiles([4, 1, 2, 3])
    assert [at(level) for level in (0.01, 0.125, 0.25, 0.5, 0.99)] == [1, 1, 1.5, 2.5, 4]


def test_the_loss_is_none_for_certainty_that_is_right_and_the_distance_where_it_is_wrong() -> None:
    minute = 60.0
    assert crps(lambda _: 100 * minute, 100 * minute) == pytest.approx(0)
    assert crps(lambda _: 100 * minute, 271.8281828 * minute) == pytest.approx(1.0)
    assert crps(lambda _: -5.0, 30.0) == pytest.approx(0)  # below a minute all is alike


def test_what_comes_later_changes_no_forecast_and_history_is_not_scored() -> None:
    cases = steady(SPREAD)
    since = cases[40].started_at
    early, _ = replay(cases[:50], since)
    late, refused = replay([*cases[:50], *(longer(case) for case in cases[50:])], since)
    assert 120 in refused  # few of this history last two hours
    assert [one for one in late if one.started_at < cases[50].started_at] == early
    assert min(one.started_at for one in late) == since


def longer(case: Case) -> Case:
    assert case.ended_at is not None
    return msgspec.structs.replace(case, ended_at=case.ended_at + 30_000)


def test_a_result_has_all_figures_tables_and_points(tmp_path: Path) -> None:
    rows = "".join(
        f"{case.id},openai,x,,,,,,{day(number)},,{lasts:.3f},t\n"
        for number, (case, lasts) in enumerate(zip(steady(SPREAD), SPREAD, strict=True))
    )
    result = run(written(tmp_path, rows))
    assert len(result.figures) == 7
    assert [len(table.rows) > 0 for table in result.tables] == [True, True, True]
    coverage, levels = result.charts
    assert coverage.lines[0].points[0][0] == 0
    assert sum(y for _, y in levels.lines[0].points) == pytest.approx(1)


def day(number: int) -> str:
    return datetime.fromtimestamp(T0 + number * 86400, UTC).isoformat()
