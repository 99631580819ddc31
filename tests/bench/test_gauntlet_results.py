"""Sums, promises, picture: what is made of many judgements."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from bench.gauntlet.holding import Cost, first_word_tokens
from bench.gauntlet.judging import Judgement
from bench.gauntlet.picture import draw
from bench.gauntlet.report import Report, collect, late
from bench.gauntlet.results import Result, add, baseline, shortfalls
from bench.gauntlet.stage import Served, calibrate, sent_tokens

WHOLE = Judgement(completed=True, whole=True)
FAILED = Judgement(completed=False, whole=False)


def result(judgement: Judgement = WHOLE, **more: Any) -> Result:
    values: dict[str, Any] = {
        "gateway": "outlast",
        "retries": 0,
        "script": 5,
        "surface": "chat",
        "lane": "a → b",
        "way": "exact",
        "mark": "q00001",
        "position": 0,
        "stream": True,
        "first_text_s": 0.2,
        "largest_gap_s": 0.1,
        "took_s": 1.0,
        "asked": ("first",),
        "tokens_sent": 110.0,
        "tokens_needed": 100,
    }
    return Result(judgement=judgement, **(values | more))


def report(*results: Result) -> Report:
    rest: dict[str, Any] = {
        "options": {"compress": 20.0},
        "settings": {},
        "skipped": {},
        "embedded": "",
    }
    return collect(results, baseline(results), [], shortfalls(results), rest)


def test_nothing_is_short_where_everything_came_home() -> None:
    assert shortfalls([result(), result(script=15)]) == []


@pytest.mark.parametrize(
    "bad",
    [
        FAILED,
        Judgement(completed=True, whole=True, torn_calls=1),
        Judgement(completed=True, whole=False, silent=True),
        Judgement(completed=True, whole=False, garbled=True),
        Judgement(completed=True, whole=True, duplicated=1),
        Judgement(completed=True, whole=True, forged=1),
        Judgement(completed=True, whole=True, wrong_success=True),
    ],
)
def test_each_promise_that_is_broken_once_is_said(bad: Judgement) -> None:
    assert shortfalls([result(), result(bad)]) != []


def test_one_in_a_thousand_may_be_lost_in_the_brown_out_and_nowhere_else() -> None:
    brown = [result(script=15)] * 999 + [result(FAILED, script=15)]
    assert shortfalls(brown) == []
    assert shortfalls(brown[500:]) != []
    assert shortfalls([result()] * 999 + [result(FAILED)]) != []


def test_what_peers_or_sdk_retries_do_is_no_shortfall_of_outlast() -> None:
    assert shortfalls([result(FAILED, gateway="ccr"), result(FAILED, retries=2)]) == []


def test_times_are_told_as_multiples_of_a_healthy_run_of_the_same_gateway() -> None:
    healthy = baseline([result(script=0), result(script=0, gateway="ccr", first_text_s=9.0)])
    found = add([result(first_text_s=0.6, largest_gap_s=1.0)], healthy)
    assert found.first_text_ratio == pytest.approx(3.0)
    assert found.gap_ratio == pytest.approx(10.0)
    assert found.wasted == pytest.approx(0.1)


def served(**more: Any) -> Served:
    values: dict[str, Any] = {
        "at_s": 0.0,
        "vendor": "first",
        "path": "/v1/messages",
        "model": "m",
        "status": 200,
        "failed": False,
        "finished": True,
        "sent_bytes": 10_000,
        "output_tokens": 100,
    }
    return Served(**(values | more))


def test_tokens_of_a_torn_answer_are_estimated_by_its_bytes() -> None:
    per_token = calibrate([served()])
    assert per_token == {"/v1/messages": 100.0}
    torn = served(failed=True, finished=False, sent_bytes=2_500)
    refused = served(status=529, finished=False)
    assert sent_tokens([torn, refused, served()], per_token) == pytest.approx(125.0)


def test_text_may_be_seen_one_word_later_and_no_more() -> None:
    assert late([Cost("outlast", "chat", 0.1, 0.2, 1.0)]) == []
    assert late([Cost("outlast", "chat", 0.1, 0.4, 3.0)]) != []
    assert late([Cost("litellm", "chat", 0.1, 0.4, 3.0)]) == []


@pytest.mark.parametrize(
    ("text", "tokens"), [("The river", 1), ("Remembered why", 2), ("Why", 1), ("«Oui» non", 2)]
)
def test_a_first_word_may_have_several_tokens(text: str, tokens: int) -> None:
    assert first_word_tokens(text) == tokens


def test_the_picture_is_sound_and_says_itself_in_words() -> None:
    made = report(result(script=0), result(), result(FAILED, gateway="<peer & co>"))
    root = ET.fromstring(draw(made))
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "The gauntlet: answers that came home whole"
    assert "<peer & co>: 0 of 1 whole" in (root.findtext(f"{space}desc") or "")
    style = root.findtext(f"{space}style") or ""
    assert "prefers-color-scheme: dark" in style


def test_a_share_that_is_not_everything_is_never_shown_as_100() -> None:
    nearly = [result()] * 4999 + [result(FAILED)]
    assert "99.9 %" in draw(report(*nearly))
    assert "100 %" not in draw(report(*nearly))
