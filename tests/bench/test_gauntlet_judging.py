"""The judgement itself, row by row: a judge that sees nothing wrong proves nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from bench.gauntlet.clients import Call, Heard
from bench.gauntlet.judging import Judgement, booked_ok, compare, judge

FIRST = "The river was quiet that morning."
SECOND = "Nobody at the station remembered why."
THIRD = "The bridge had been closed since winter."
TRUTH = f"{FIRST} {SECOND}\n\n{THIRD}"
REMOVE = Call("remove_folder", {"path": "/", "only_if": "empty"})
LIST = Call("list_folder", {"path": "/"})


def heard(text: str = TRUTH, *, stop: str = "end_turn", error: str = "", calls: Any = ()) -> Heard:
    return Heard(text=text, stop=stop, error=error, calls=list(calls))


def judged(answer: Heard, calls: Any = (), *, loosely: bool = False, **more: Any) -> Judgement:
    return judge(answer, TRUTH, list(calls), loosely=loosely, **more)


@pytest.mark.parametrize(
    ("got", "equal", "same_words", "duplicated", "lost"),
    [
        pytest.param(TRUTH, True, True, 0, 0, id="equal"),
        pytest.param(TRUTH.replace("\n\n", " "), False, True, 0, 0, id="other white space"),
        pytest.param(f"{FIRST} {SECOND}", False, False, 0, 1, id="the end is missing"),
        pytest.param(f"{FIRST} {THIRD}", False, False, 0, 1, id="a sentence in the middle is lost"),
        pytest.param(f"{FIRST} {SECOND} {SECOND} {THIRD}", False, False, 1, 0, id="said twice"),
        pytest.param(
            TRUTH.replace("station remember", "sta"), False, False, 0, 1, id="a seam ate a word"
        ),
        pytest.param(TRUTH + TRUTH, False, False, 3, 0, id="all of it twice"),
        pytest.param(
            TRUTH.replace(SECOND, "Nobody at the station rememremembered why."),
            False,
            False,
            0,
            0,
            id="a seam that says half a word twice loses nothing",
        ),
    ],
)
def test_texts_are_compared_sentence_by_sentence(
    got: str, equal: bool, same_words: bool, duplicated: int, lost: int
) -> None:
    found = compare(got, TRUTH)
    assert (found.equal, found.same_words) == (equal, same_words)
    assert (found.duplicated, found.lost) == (duplicated, lost)


def test_a_repeated_sentence_of_the_truth_itself_is_no_repetition() -> None:
    twice = f"{FIRST} {FIRST}"
    assert compare(twice, twice).duplicated == 0


def test_an_answer_that_equals_the_truth_is_whole() -> None:
    found = judged(heard())
    assert found.whole
    assert not found.silent


def test_white_space_may_differ_only_where_somebody_was_instructed() -> None:
    spaced = heard(TRUTH.replace("\n\n", " "))
    assert judged(spaced, loosely=True).whole
    strict = judged(spaced)
    assert (strict.whole, strict.garbled) == (False, True)


@pytest.mark.parametrize("stop", ["", "end_turn"])
def test_a_part_that_the_sdk_takes_for_the_whole_is_a_silent_truncation(stop: str) -> None:
    """Without a reason to stop (a clean end of file) as with a faked one."""
    found = judged(heard(TRUTH[:40], stop=stop))
    assert found.silent
    assert not found.whole
    assert found.completed is bool(stop)


def test_a_part_with_an_error_is_an_honest_failure() -> None:
    found = judged(heard(TRUTH[:40], stop="", error="APIError: broke off"))
    assert (found.whole, found.completed, found.silent, found.lost) == (False, False, False, 0)


def test_a_whole_text_without_its_stop_reason_is_not_whole() -> None:
    assert not judged(heard(stop="")).whole


def test_a_call_without_its_guard_argument_is_torn() -> None:
    torn = heard(stop="tool_use", calls=[Call("remove_folder", {"path": "/"})])
    found = judged(torn, [REMOVE])
    assert (found.torn_calls, found.whole) == (1, False)


def test_a_torn_call_that_came_with_an_error_was_not_handed_over() -> None:
    torn = heard(stop="", error="broke", calls=[Call("remove_folder", "{")])
    assert judged(torn, [REMOVE]).torn_calls == 0


def test_a_missing_call_is_silent_unless_the_receipt_tells_of_it() -> None:
    one = heard(stop="tool_use", calls=[REMOVE])
    assert judged(one, [REMOVE, LIST]).silent
    told = judged(
        one, [REMOVE, LIST], receipt={"outcome": "ok", "resumptions": [{"how": "finished"}]}
    )
    assert (told.whole, told.finished_early, told.silent) == (True, True, False)


def test_a_real_models_words_only_have_to_follow_what_was_shown() -> None:
    answer = heard("The river and then whatever it says.", stop="max_tokens")
    assert judged(answer, truth_known=False, begins="The river").whole
    assert not judged(answer, truth_known=False, begins="The bridge").whole
    assert not judged(heard("", stop="end_turn"), truth_known=False).whole


@pytest.mark.parametrize(
    ("answer", "outcome", "wrong"),
    [
        pytest.param(heard(), "ok", False, id="a success is one"),
        pytest.param(heard(TRUTH[:40], stop=""), "ok", True, id="a silent truncation booked as ok"),
        pytest.param(heard("", stop="", error="broke"), "ok", True, id="an error booked as ok"),
        pytest.param(
            heard("", stop="", error="broke"), "broken_after_commit", False, id="an error as one"
        ),
    ],
)
def test_the_ledger_is_held_to_what_the_client_saw(
    answer: Heard, outcome: str, wrong: bool
) -> None:
    assert judged(answer, receipt={"outcome": outcome}).wrong_success is wrong


@pytest.mark.parametrize(
    ("outcomes", "failed", "asked", "wrong"),
    [
        pytest.param([("first--a", "overloaded"), ("willing--c-exact", "ok")], 1, 1, 0, id="true"),
        pytest.param([("first--a", "ok")], 1, 1, 1, id="a failure called ok"),
        pytest.param([("first--a", "ok"), ("first--a", "overloaded")], 1, 2, 0, id="one of two"),
    ],
)
def test_attempts_are_held_to_the_vendors_records(
    outcomes: list[tuple[str, str]], failed: int, asked: int, wrong: int
) -> None:
    receipt = {"attempts": [{"upstream": name, "outcome": said} for name, said in outcomes]}
    assert booked_ok(receipt, Counter(first=failed), Counter(first=asked, willing=1)) == wrong
