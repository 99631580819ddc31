"""What is carried over in one step says what the codecs say, to the last byte."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.config import LocalSettings, Settings
from outlast.gateway.asked import Asked
from outlast.gateway.carrying import Carrying
from outlast.gateway.prepare import Preparer
from outlast.gateway.speaker import dated
from outlast.nouns import Candidate, Format, Kind, Tokens
from outlast.wire import CODECS
from outlast.wire.canon import BadRequest, Request
from outlast.wire.stream import MalformedFrame, Start, Stop
from tests.gateway.test_express import MESSAGE, bodies
from tests.service import upstream

MODELS = ["claude-opus-4-8", "claude-sonnet-4-5", "claude-3-haiku-20240307", "bench-messages"]
CREATED = 1_700_000_000

texts = st.one_of(
    st.sampled_from(["Hi", " x ", "", " \n", "é 🦀", "[Outlast"]), st.text(max_size=9)
)
roles = st.sampled_from(["user", "assistant", "user", "system", "developer", "tool"])
turns: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"role": roles, "content": st.one_of(texts, texts, texts, st.none(), st.just([]))},
    optional={"name": st.sampled_from(["", "n", None])},
)
talk = st.integers(0, 3).flatmap(
    lambda pairs: st.tuples(*[texts] * (2 * pairs + 1)).map(
        lambda said: [
            {"role": "assistant" if place % 2 else "user", "content": text}
            for place, text in enumerate(said)
        ]
    )
)
system = st.lists(st.fixed_dictionaries({"role": st.just("system"), "content": texts}), max_size=2)
asked: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["crossed", "x"]),
        "messages": st.one_of(
            st.tuples(system, talk).map(lambda both: both[0] + both[1]),
            st.lists(turns, max_size=4),
        ),
    },
    optional={
        "max_tokens": st.sampled_from([1, 200, 4096, 10**6, 0, -1, None, 5.0, "9", 10**20]),
        "max_completion_tokens": st.sampled_from([7, None]),
        "stream": st.sampled_from([False, None, True]),
        "stream_options": st.sampled_from(
            [{"include_usage": True}, {"include_usage": False}, {}, None, {"x": 1}, 7]
        ),
        "temperature": st.sampled_from([0.5, None]),
        "user": st.just("u"),
    },
)


def of_codecs(body: bytes, model: str) -> bytes | None:
    """The upstream's body as the codecs make it; None where they refuse."""
    try:
        request = CODECS[Format.OPENAI_CHAT].parse_request(msgspec.json.decode(body))
    except BadRequest:
        return None
    request = msgspec.structs.replace(request, model=model)
    rendered = CODECS[Format.ANTHROPIC].render_request(request)
    return None if rendered.dropped else msgspec.json.encode(rendered.body)


@settings(max_examples=1500, deadline=None)
@given(asked, st.sampled_from(MODELS))
def test_a_question_is_said_in_the_same_words(said: Any, model: str) -> None:
    try:
        body = msgspec.json.encode(said)
    except UnicodeEncodeError:
        return
    for stream in (False, True):
        carried = Carrying(model).question(body, stream=stream)
        if carried is not None:
            assert carried == of_codecs(body, model)
            assert (said.get("stream") is True) is stream


def test_a_streams_question_is_carried_as_one() -> None:
    said = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    body = msgspec.json.encode(said)
    carried = Carrying("claude-opus-4-8").question(body, stream=True)
    assert carried is not None
    assert carried == of_codecs(body, "claude-opus-4-8")


def preparer(body: bytes, stream: bool) -> Preparer:
    asked_for = Asked(
        id="req_1",
        format=Format.OPENAI_CHAT,
        path="/v1/chat/completions",
        query="",
        headers={"user-agent": "t/1", "x-a": "1"},
        body=body,
        model="crossed",
        stream=stream,
        at=1000.0,
    )
    claude = upstream("claude", Kind.ANTHROPIC, "https://x.example/v1")
    chosen = Settings(upstreams={"claude": claude}, local=LocalSettings(enabled=False))
    return Preparer(asked_for, chosen, CODECS, cast("Any", None))


@settings(max_examples=300, deadline=None)
@given(asked)
def test_a_call_is_the_same_whoever_made_its_body(said: Any) -> None:
    try:
        body = msgspec.json.encode(said)
        stream = said.get("stream") is True
        parsed = preparer(body, stream)
        parsed.request()
    except (UnicodeEncodeError, BadRequest):
        return
    to = Candidate("claude", "claude-opus-4-8", Kind.ANTHROPIC, provider="p", credential="c")
    shortly = preparer(body, stream)
    short, long = shortly(to), parsed(to)
    for name in short.__struct_fields__:
        if name != "reader":
            assert getattr(short, name) == getattr(long, name), name
    assert shortly.writer_request().include_usage == parsed.writer_request().include_usage


QUESTIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("one turn", {"messages": [{"role": "user", "content": "Hi"}]}, True),
    ("a limit", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}, True),
    (
        "a system prompt and three turns",
        {
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": "Go on."},
            ],
            "stream": False,
        },
        True,
    ),
    ("a stream", {"messages": [{"role": "user", "content": "Hi"}], "stream": True}, False),
    ("tools", {"messages": [{"role": "user", "content": "Hi"}], "tools": []}, False),
    ("nothing", {"messages": []}, False),
    ("blank text", {"messages": [{"role": "user", "content": " "}]}, False),
    ("two of one role", {"messages": [{"role": "user", "content": "Hi"}] * 2}, False),
    ("parts", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, False),
]


@pytest.mark.parametrize(("sentence", "said", "plain"), QUESTIONS, ids=[q[0] for q in QUESTIONS])
def test_plain_questions_are_carried(sentence: str, said: dict[str, Any], plain: bool) -> None:
    body = msgspec.json.encode({"model": "crossed", **said})
    carried = Carrying("claude-opus-4-8").question(body)
    assert (carried is not None) is plain, sentence
    if plain:
        assert carried == of_codecs(body, "claude-opus-4-8")


def answered(body: bytes) -> tuple[str, Tokens | None, bytes]:
    """Model, usage and the client's body as the codecs have them. Raises MalformedFrame."""
    events = CODECS[Format.ANTHROPIC].parse_answer(msgspec.json.decode(body))
    events = [dated(event, CREATED) for event in events]
    asked_for = Request(model="crossed", messages=(), origin=Format.OPENAI_CHAT)
    whole = CODECS[Format.OPENAI_CHAT].render_answer(events, asked_for)
    start = next(event for event in events if isinstance(event, Start))
    stop = next(event for event in events if isinstance(event, Stop))
    return start.model, stop.tokens, msgspec.json.encode(whole)


@settings(max_examples=1500, deadline=None)
@given(bodies(Format.ANTHROPIC))
def test_an_answer_is_said_in_the_same_words(body: bytes) -> None:
    carried = Carrying("claude-opus-4-8").answer(body, CREATED)
    if carried is None:
        return
    (model, counts), said = carried
    try:
        assert (model, Tokens(*counts), said) == answered(body)
    except MalformedFrame as error:
        raise AssertionError("carried what is no answer") from error


def test_a_plain_answer_is_carried() -> None:
    body = msgspec.json.encode(MESSAGE)
    carried = Carrying("claude-opus-4-8").answer(body, CREATED)
    assert carried is not None
    assert carried[1] == answered(body)[2]
