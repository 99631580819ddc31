"""The benchmark of causes, on a folder small enough to know every figure."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from bench.observatory import cause_data
from bench.observatory.causes import run
from bench.observatory.result import Result

ROWS = [
    ("The root cause was a recent release.", "DEPLOY", "…"),
    ("We believe the issue was caused\nby increased load.", "OVERLOAD", "…"),
    ("The root cause was a recent release.<br>More.", "CONFIG", "…"),
    ("We look.", "CONFIG", "…"),
    ("The issue was caused by packet loss.", "", "UNKNOWN"),
    ("We look at it.", "", "UNKNOWN"),
    ("The issue was caused by increased load.", "", "a sentence"),
]
PRINTED = (
    "[{'created': '2022-06-14T16:37:43+00:00', 'text': 'We rolled it back.\\nDone.'}\n"
    " {'created': '2022-06-14T15:37:43+00:00', 'text': \"It's a release that caused errors.\"}]"
)


def folder(tmp_path: Path, rows: list[tuple[str, str, str]]) -> Path:
    (tmp_path / "causes").mkdir()
    with (tmp_path / "causes" / "new_label.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", "description", "label_root_cause_category", "label_root_cause"])
        for number, row in enumerate(rows):
            writer.writerow([number, row[0], row[1], row[2]])
    return tmp_path


def figures(result: Result) -> dict[str, tuple[float, bool, int]]:
    return {one.name: (one.value, one.holds, one.n) for one in result.figures}


def test_what_is_right_wrong_and_claimed_is_counted(tmp_path: Path) -> None:
    found = figures(run(folder(tmp_path, ROWS)))
    assert found["stated cause is right"] == (2 / 3, False, 3)
    assert found["cause stated where none is known"] == (0.5, False, 2)


def test_what_no_record_can_tell_does_not_hold(tmp_path: Path) -> None:
    found = figures(run(folder(tmp_path, [("We look.", "DEPLOY", "…")])))
    for name in ("stated cause is right", "cause stated where none is known"):
        assert found[name][1:] == (False, 0)


def test_a_record_that_names_no_cause_must_not_be_claimed_upon(tmp_path: Path) -> None:
    data = folder(tmp_path, ROWS)
    march = data / "claude_2026-03-02"
    march.mkdir()
    for body, claims in (("We look.", 0.0), ("The outage was caused by increased load.", 2.0)):
        record = {"incidents": [{"id": "1", "name": None, "updates": [{"body": body}]}]}
        (march / "statuspage_updates.json").write_text(json.dumps(record))
        value, holds, _ = figures(run(data))["causes claimed on 2 March 2026"]
        assert (value, holds) == (claims, claims == 0)


def test_printed_lists_are_read_oldest_first(tmp_path: Path) -> None:
    assert cause_data.texts_of(PRINTED) == [
        "It's a release that caused errors.",
        "We rolled it back.\nDone.",
    ]
    assert cause_data.texts_of('[{"text": "A <b>b</b>"}]') == ["A b"]
    assert cause_data.texts_of("<div>11:55 AM&nbsp;We look.</div>") == ["11:55 AM We look."]


def test_since_leaves_out_what_came_before(tmp_path: Path) -> None:
    data = folder(tmp_path, [(PRINTED, "DEPLOY", "…"), *ROWS])
    assert figures(run(data))["stated cause is right"][2] == 4
    assert figures(run(data, 1672531200.0))["stated cause is right"][2] == 3


def test_an_empty_folder_fails_and_says_why(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert not result.holds
    assert any("absent" in note for note in result.notes)
