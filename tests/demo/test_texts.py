"""Two languages, each of them whole."""

from __future__ import annotations

import re
from collections import Counter
from string import Formatter

import pytest

from outlast.demo.board import Board, BreakerState, Event, Stream, VendorState
from outlast.demo.sentences import sentence
from outlast.demo.summary import as_json, lines
from outlast.demo.texts import CATALOGUES, ENGLISH, FRENCH, Language, Texts, language_of
from outlast.demo.timeline import NOTICES, PHASES, Page
from outlast.gateway.breaker import State
from outlast.nouns import Attempt, Outcome, Scope
from tests.house.tree import ROOT, python_files


def fields(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name}


def test_both_languages_have_the_same_sentences() -> None:
    assert list(ENGLISH) == list(FRENCH)
    assert {k: fields(v) for k, v in ENGLISH.items()} == {k: fields(v) for k, v in FRENCH.items()}


def test_the_french_is_french() -> None:
    same = {key for key in ENGLISH if ENGLISH[key] == FRENCH[key]}
    assert same == {
        "gateway",
        "clients",
        "page",
        "with",
        "state_streaming",
        "failure_status",
    }
    assert [w for w in FRENCH.values() if re.search(r"\w[;:!?](?:\s|$)", w)] == []


def test_every_sentence_that_the_day_needs_exists() -> None:
    needed = {phase.key for phase in PHASES} | {notice.key for notice in NOTICES}
    needed |= {f"page_{page}" for page in Page} | {f"outcome_{outcome}" for outcome in Outcome}
    needed |= {f"breaker_{state}" for state in State}
    assert needed <= set(ENGLISH)


def test_no_sentence_is_left_over() -> None:
    folder = ROOT / "src/outlast/demo"
    code = "".join(p.read_text("utf-8") for p in python_files("src") if p.parent == folder)
    code = code.replace((folder / "texts.py").read_text("utf-8"), "")
    made = ("phase_", "notice_", "page_", "outcome_", "breaker_", "failure_", "event_")
    said = set(re.findall(r"""["']([a-z_]+)["']""", code))
    assert [k for k in ENGLISH if not k.startswith(made) and k not in said] == []


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "C", "LANG": "fr_FR.UTF-8"}, "en"),
        ({"LC_MESSAGES": "fr_CA.UTF-8", "LANG": "en_CA.UTF-8"}, "fr"),
        ({"LC_ALL": "", "LANG": "fr"}, "fr"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_environment(
    environ: dict[str, str], language: Language
) -> None:
    assert language_of(environ) == language


def attempt(upstream: str, outcome: Outcome) -> Attempt:
    return Attempt(upstream, "m", outcome, Scope.NONE, 0.0, 1.0)


EVENTS = [
    (
        Event(
            0,
            "event_page",
            {"vendor": "anthropic", "page": "operational", "notice": NOTICES[3].key},
        ),
        "Anthropic's page: API operational; the API works",
    ),
    (
        Event(0, "event_breaker", {"vendor": "openai", "state": State.HALF_OPEN}),
        "Outlast: breaker of OpenAI half-open",
    ),
    (
        Event(
            0,
            "event_moved",
            {
                "client": 2,
                "path": (
                    attempt("anthropic", Outcome.OVERLOADED),
                    attempt("anthropic", Outcome.OVERLOADED),
                    attempt("openai", Outcome.OK),
                ),
            },
        ),
        "client 2: Anthropic overloaded → OpenAI; nobody noticed",
    ),
    (
        Event(0, "event_failed", {"client": 1, "failure": "status 503"}),
        "client 1: answer lost, HTTP 503",
    ),
]


@pytest.mark.parametrize(("event", "said"), EVENTS, ids=[event.key for event, _ in EVENTS])
def test_an_event_is_said_in_words(event: Event, said: str) -> None:
    assert sentence(event, Texts("en")) == said
    assert sentence(event, Texts("fr")) != said


def board() -> Board:
    made = Board([Stream(1, "chat")], [VendorState("anthropic"), VendorState("openai")])
    made.breakers = {"anthropic": BreakerState("anthropic")}
    made.outlast.asked = made.direct.asked = 3
    for failure in ("", "", "cut"):
        made.outlast.ended(failure)
    for failure in ("", "status 529"):
        made.direct.ended(failure)
    made.hows = Counter(at_once=1, resumed=1, failed=1)
    made.attempts = Counter({("anthropic", Outcome.OK): 2, ("anthropic", Outcome.STALLED): 2})
    return made


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_summary_says_what_was_lost_in_each_language(language: Language) -> None:
    told = "\n".join(lines(board(), Texts(language)))
    texts = Texts(language)
    assert texts("summary_bad", failed=1, asked=3) in told
    assert texts("summary_direct", direct=1, asked=3) in told
    assert texts.failure("cut") in told
    assert texts("under_way") in told, "one of the control group had not ended"


def test_the_summary_for_scripts_has_the_same_numbers() -> None:
    made = as_json(board(), speed=2, seed=9)
    assert made["lost"] is True
    assert made["outlast"]["failed"] == 1
    assert made["outlast"]["resumed_mid_answer"] == 1
    assert (made["outlast"]["attempts"], made["outlast"]["attempts_failed"]) == (4, 2)
    assert made["direct"] == {
        "asked": 3,
        "whole": 1,
        "failed": 1,
        "under_way": 1,
        "failures": {"status 529": 1},
    }
