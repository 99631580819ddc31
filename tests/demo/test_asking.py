"""The clients' own eyes: what counts as a whole answer, in both formats."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import pytest

from outlast.demo.board import Board, how_it_went
from outlast.demo.questions import question, surface_of, truth
from outlast.demo.seen import Seen, judge, take
from outlast.demo.timeline import scripts
from outlast.nouns import Attempt, Degraded, Format, Outcome, Receipt, Resumption, Scope

TEXT = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}'
STOP = b'{"type":"message_delta","delta":{"stop_reason":"end_turn"}}'
END = b'{"type":"message_stop"}'
CHUNK = b'{"choices":[{"index":0,"delta":{"content":"Hi"}}]}'
FINISH = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
USAGE = b'{"choices":[],"usage":{}}'
DONE = b"[DONE]"
ERROR = b'{"type":"error","error":{"type":"overloaded_error"}}'

SEEN = [
    ("Messages, whole", [TEXT, STOP, END], ""),
    ("Messages, without its last event", [TEXT, STOP], "unfinished"),
    ("Messages, without a reason to stop", [TEXT, END], "unfinished"),
    ("Messages, an error inside", [TEXT, ERROR], "stream_error"),
    ("Chat, whole", [CHUNK, FINISH, USAGE, DONE], ""),
    ("Chat, without [DONE]", [CHUNK, FINISH], "unfinished"),
    ("Chat, a clean end without a reason", [CHUNK, DONE], "unfinished"),
    ("Chat, an error inside", [CHUNK, b'{"error":{"message":"Overloaded"}}'], "stream_error"),
    ("text that is not the truth", [TEXT, TEXT, STOP, END], "other_text"),
    ("half a frame", [TEXT, b'{"type":"content_bl'], "stream_error"),
    ("nothing", [], "unfinished"),
]


@pytest.mark.parametrize(("name", "frames", "failure"), SEEN, ids=[row[0] for row in SEEN])
def test_only_a_stream_that_ends_as_its_format_says_is_whole(
    name: str, frames: list[bytes], failure: str
) -> None:
    seen = Seen(expected="Hi")
    for frame in frames:
        take(frame, seen)
    judge(seen)
    assert seen.failure == failure, name


def test_a_mark_in_the_stream_says_who_went_on() -> None:
    seen = Seen(served_by="anthropic")
    take(b'{"type":"ping","outlast":{"event":"resumed","to":"openai/gpt-5.5"}}', seen)
    assert seen.served_by == "openai"


def receipt(*outcomes: Outcome, served_by: str = "openai/m", resumed: int = 0) -> Receipt:
    attempts = tuple(
        Attempt("a", "m", outcome, Scope.NONE, started_at, started_at + 1)
        for started_at, outcome in enumerate(outcomes)
    )
    return Receipt(
        id="req_1",
        key_id="key_1",
        surface="/v1/messages",
        format=Format.ANTHROPIC,
        model="m",
        stream=True,
        started_at=0.0,
        ended_at=1.0,
        outcome="ok",
        status=200,
        served_by=served_by,
        degraded=Degraded.NONE,
        attempts=attempts,
        resumptions=(Resumption(10, "a/m", "b/m", "instruct", "cut"),) * resumed,
    )


OK, CUT, LEFT = Outcome.OK, Outcome.BROKEN_STREAM, Outcome.LEFT
HOWS = [
    ("the first attempt answered", "", receipt(OK), "at_once"),
    ("another one answered before anything was seen", "", receipt(CUT, OK), "moved"),
    ("a later attempt was faster", "", receipt(LEFT, OK), "moved"),
    ("a later attempt was sent in vain", "", receipt(OK, LEFT), "at_once"),
    ("another one went on", "", receipt(CUT, OK, resumed=1), "resumed"),
    ("this machine answered", "", receipt(CUT, CUT, OK, served_by="local/qwen"), "local"),
    ("the client's eyes count more than a receipt", "cut", receipt(CUT, OK, resumed=1), "failed"),
]


@pytest.mark.parametrize(("why", "failure", "kept", "how"), HOWS, ids=[row[0] for row in HOWS])
def test_an_answer_is_counted_by_what_the_client_saw_and_the_receipt_says(
    why: str, failure: str, kept: Receipt, how: str
) -> None:
    assert how_it_went(Seen(failure=failure), kept) == how, why


def test_an_answer_without_a_receipt_counts_as_a_loss() -> None:
    board = Board([], [])
    board.outlast.asked = 1
    board.answered(1, Seen(), None)
    assert (board.outlast.whole, board.unrecorded, board.lost) == (1, 1, True)


def test_questions_and_their_truth_depend_on_the_seed_alone() -> None:
    script, other = scripts(seed=3, speed=1, language="fr")
    for client in (1, 2):
        asked = question(3, client, 5, "fr")
        assert asked == question(3, client, 5, "fr")
        assert asked.body != question(4, client, 5, "fr").body
        assert truth(asked, script) == truth(asked, other)
    assert {surface_of(client) for client in (1, 2)} == {"messages", "chat"}


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_true_answer_says_a_word_twice_in_a_row(language: Literal["en", "fr"]) -> None:
    script, _ = scripts(seed=3, speed=1, language=language)
    for number in range(1, 40):
        words = truth(question(3, 1, number, language), script).split()
        twice = [one for one, two in pairwise(words) if one == two and len(one) > 2]
        assert twice == []
