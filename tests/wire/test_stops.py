"""Stop sequences, kept by the gateway for upstreams that have none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.wire.stops import StopCutter
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    Ping,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)

LAST: list[AnswerEvent] = [BlockStop(0), Stop("end_turn"), End()]


def feed(cutter: StopCutter, *events: AnswerEvent) -> list[AnswerEvent]:
    return [out for event in events for out in cutter.feed(event)]


def said(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_the_answer_ends_before_the_first_stop_sequence() -> None:
    cutter = StopCutter(["END", "\n\n"])
    events = feed(
        cutter,
        Start("r", "m"),
        BlockStart(0, "text"),
        TextDelta(0, "one E"),
        TextDelta(0, "N"),
        TextDelta(0, "D two\n\n"),
        *LAST,
    )
    assert events == [
        Start("r", "m"),
        BlockStart(0, "text"),
        TextDelta(0, "one "),
        BlockStop(0),
        Stop("stop_sequence", stop_sequence="END"),
        End(),
    ]
    assert cutter.cut


def test_what_only_looked_like_a_stop_sequence_is_said_after_all() -> None:
    cutter = StopCutter(["END"])
    events = feed(cutter, BlockStart(0, "text"), TextDelta(0, "the EN"), Ping(), *LAST)
    assert events[1:3] == [TextDelta(0, "the "), Ping()]
    assert said(events) == "the EN"
    assert not cutter.cut


def test_thinking_and_arguments_are_not_searched() -> None:
    events: list[AnswerEvent] = [
        BlockStart(0, "thinking"),
        ThinkingDelta(0, "END"),
        BlockStop(0),
        BlockStart(1, "tool_use"),
        ArgsDelta(1, '"END"'),
        BlockStop(1),
    ]
    assert feed(StopCutter(["END"]), *events) == events


def test_a_failure_releases_what_was_held() -> None:
    failed = Failed("server_error", "m")
    assert feed(StopCutter(["END"]), TextDelta(0, "E"), failed) == [TextDelta(0, "E"), failed]


@pytest.mark.parametrize("stops", [[], [""]])
def test_without_stop_sequences_all_passes(stops: list[str]) -> None:
    assert feed(StopCutter(stops), TextDelta(0, "x"), *LAST) == [TextDelta(0, "x"), *LAST]


@given(
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3),
    st.text("abc", max_size=12),
    st.lists(st.integers(0, 12), max_size=4),
)
def test_it_does_not_matter_how_the_text_is_cut(
    stops: list[str], text: str, cuts: list[int]
) -> None:
    at = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    begin = BlockStart(0, "text")
    whole = feed(StopCutter(stops), begin, TextDelta(0, text), *LAST)
    cut = feed(StopCutter(stops), begin, *[TextDelta(0, piece) for piece in pieces], *LAST)
    assert said(cut) == said(whole)
    assert cut[-3:] == whole[-3:]
    assert not any(stop in said(cut) for stop in stops)
