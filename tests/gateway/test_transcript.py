"""What was said, merged into few events: enough for another voice to go on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway.transcript import Transcript
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    ForeignDelta,
    Ping,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)
from tests.gateway.answers import OPEN, A, call, closed, text, thinking


def noted(*events: AnswerEvent) -> Transcript:
    transcript = Transcript()
    for event in events:
        transcript.note([event], b"")
    return transcript


def test_runs_of_deltas_are_joined_and_pings_forgotten() -> None:
    transcript = noted(
        *OPEN,
        *thinking("a", "b")[:3],
        SignatureDelta(0, "s1", A),
        SignatureDelta(0, "s2", A),
        BlockStop(0),
        BlockStart(1, "text"),
        TextDelta(1, "c"),
        Ping(),
        TextDelta(1, "d"),
        BlockStop(1),
        *call("{", "}", index=2),
        *closed("tool_use"),
    )
    assert transcript.events() == [
        *OPEN,
        BlockStart(0, "thinking"),
        ThinkingDelta(0, "ab"),
        SignatureDelta(0, "s1s2", A),
        BlockStop(0),
        BlockStart(1, "text"),
        TextDelta(1, "cd"),
        BlockStop(1),
        BlockStart(2, "tool_use", id="call_2", name="rm"),
        ArgsDelta(2, "{}"),
        BlockStop(2),
        *closed("tool_use"),
    ]


def test_what_stands_between_two_deltas_keeps_its_place() -> None:
    events: list[AnswerEvent] = [
        BlockStart(0, "text"),
        TextDelta(0, "a"),
        ForeignDelta(0, {"type": "citations_delta"}, A),
        TextDelta(0, "b"),
    ]
    assert noted(*events).events() == events


def test_deltas_of_neighbouring_blocks_are_not_joined() -> None:
    events = [*text("a"), *text("b", index=1)]
    assert noted(*events).events() == events


def test_asking_in_the_middle_changes_nothing_of_what_is_said_later() -> None:
    transcript = noted(*OPEN, BlockStart(0, "text"), TextDelta(0, "a"))
    assert transcript.text == "a"
    transcript.note([TextDelta(0, "b")], b"")
    assert transcript.text == "ab"
    assert transcript.events()[-1] in (TextDelta(0, "ab"), TextDelta(0, "b"))


def test_the_text_is_what_people_read() -> None:
    transcript = noted(*thinking("no"), *text("yes ", index=1), *call("{}", index=2))
    transcript.note(text("and yes", index=3), b"")
    assert transcript.text == "yes and yes"


def test_it_knows_where_the_answer_stands() -> None:
    block = BlockStart(0, "text")
    steps: list[tuple[list[AnswerEvent], BlockStart | None, int]] = [
        (OPEN, None, 0),
        ([block, TextDelta(0, "a")], block, 1),
        ([BlockStop(0)], None, 1),
        ([BlockStart(1, "thinking"), BlockStop(1)], None, 2),
    ]
    transcript = Transcript()
    for events, opened, index in steps:
        transcript.note(events, b"")
        assert (transcript.open_block, transcript.next_index) == (opened, index)
    assert transcript.start == OPEN[0]
    assert [known.kind for known in transcript.blocks] == ["text", "thinking"]


def test_the_last_stop_counts_and_the_first_start() -> None:
    transcript = noted(Start("1", "m"), Start("2", "n"), Stop("end_turn"), Stop("max_tokens"))
    assert transcript.start == Start("1", "m")
    assert transcript.stop == Stop("max_tokens")


def test_the_sequence_number_is_the_last_that_passed() -> None:
    frames = [
        (b"", None),
        (b'data: {"type":"x","sequence_number": 7,"delta":"a"}\n\n', 7),
        # What a model says about sequence numbers is no sequence number.
        (b'data: {"sequence_number":8,"delta":"\\"sequence_number\\": 99"}\n\n', 8),
        (b": a comment of the upstream's\n\n", 8),
    ]
    transcript = Transcript()
    for raw, sequence in frames:
        transcript.note([], raw)
        assert transcript.sequence == sequence


EVENTS = st.lists(
    st.one_of(
        st.builds(TextDelta, st.integers(0, 1), st.text("ab", max_size=2)),
        st.builds(ThinkingDelta, st.integers(0, 1), st.text("ab", max_size=2)),
        st.builds(ArgsDelta, st.integers(0, 1), st.text("ab", max_size=2)),
        st.builds(BlockStop, st.integers(0, 1)),
        st.just(Ping()),
        st.just(End()),
    ),
    max_size=30,
)


def spelled(events: list[AnswerEvent]) -> list[object]:
    """Each character by itself, so that it does not matter how deltas are cut."""
    letters: list[object] = []
    for event in events:
        match event:
            case TextDelta(index=index, text=said) | ThinkingDelta(index=index, text=said):
                letters += [(type(event), index, letter) for letter in said]
            case ArgsDelta(index=index, json=said):
                letters += [(ArgsDelta, index, letter) for letter in said]
            case Ping():
                pass
            case _:
                letters.append(event)
    return letters


@given(EVENTS, st.integers(0, 30))
def test_merging_loses_nothing_and_reorders_nothing(
    events: list[AnswerEvent], asked_at: int
) -> None:
    transcript = Transcript()
    transcript.note(events[:asked_at], b"")
    transcript.events()  # somebody asks in between
    transcript.note(events[asked_at:], b"")
    assert spelled(transcript.events()) == spelled(events)
