"""A notice before the first word, where a weaker model answers from the start."""

from __future__ import annotations

import json

import pytest

from outlast.gateway.events import AttemptBroke, BodyEnded, BytesReceived, HeadReceived, SendReply
from outlast.nouns import Format, Kind
from outlast.outcome import Fault
from outlast.wire.canon import Message, Request, StructuredOutput, Text, Tool
from outlast.wire.notices import without_notices
from tests.gateway.answers import FORMATS, OPEN, A, call, closed, stream, text
from tests.gateway.exchanges import (
    ENDING,
    JSON_TYPE,
    SSE,
    START,
    TEXT_START,
    Driver,
    candidate,
    exchange,
    words,
)
from tests.gateway.test_continuity import sdk_text
from tests.gateway.test_resuming import legal

WORDS = "[Outlast: claude-opus-4-8 cannot answer now; gpt-5 answers instead.]\n\n"


def head(number: int, status: int = 200) -> HeadReceived:
    return HeadReceived(number, status, SSE if status == 200 else JSON_TYPE, 1)


def second(driver: Driver, data: bytes) -> Driver:
    """The first upstream fails, the second answers."""
    driver.feed(lambda n: AttemptBroke(n, Fault("reset"), 1))
    driver.feed(head)
    driver.sends(data)
    return driver


@pytest.mark.parametrize("other", FORMATS)
@pytest.mark.parametrize("surface", FORMATS)
def test_people_read_who_answers_before_they_read_the_answer(
    surface: Format, other: Format
) -> None:
    weaker = candidate("b", Kind(other.value), model="gpt-5")
    driver = Driver(exchange("a", weaker, form=surface, notice="en"))
    second(driver, stream(other, [*OPEN, *text("It is ", "noon."), *closed()]))
    assert sdk_text(surface, driver.said) == WORDS + "It is noon."
    assert driver.receipts[0].outcome == "ok"


def test_whoever_goes_on_goes_on_from_the_answer_and_not_from_the_notice() -> None:
    weaker = candidate("b", model="gpt-5")
    driver = Driver(exchange("a", weaker, candidate("c", model="gpt-5"), notice="en"))
    second(driver, START + TEXT_START + words("It is "))
    driver.feed(lambda n: AttemptBroke(n, Fault("reset"), 3))
    driver.feed(head)
    driver.sends(START + TEXT_START + words("noon.") + ENDING)
    prepare = driver.machine._prepare
    assert [partial for _, partial, _ in prepare.partials] == ["It is "]  # type: ignore[attr-defined]
    assert legal(driver.said)
    said = sdk_text(A, driver.said)
    assert said.startswith(WORDS)
    assert without_notices(said) == "It is noon."


USER = Message("user", (Text("What time is it?"),))
PLAIN = Request(model="m", messages=(USER,), origin=A)
SILENT = [
    ("", PLAIN, "gpt-5", "nobody asked for it"),
    ("de", PLAIN, "gpt-5", "the language is none of ours"),
    ("en", PLAIN, "claude-opus-4-8", "it is the same model elsewhere"),
    (
        "en",
        Request(model="m", messages=(USER,), origin=A, tools=(Tool("f"),)),
        "gpt-5",
        "between tools nobody reads",
    ),
    (
        "en",
        Request(model="m", messages=(USER,), origin=A, output=StructuredOutput({})),
        "gpt-5",
        "a program reads it",
    ),
    (
        "en",
        Request(model="m", messages=(USER, Message("assistant", (Text("It"),))), origin=A),
        "gpt-5",
        "the caller began the answer",
    ),
]


@pytest.mark.parametrize(("notice", "request_", "model", "why"), SILENT, ids=[s[3] for s in SILENT])
def test_otherwise_the_answer_stands_alone(
    notice: str, request_: Request, model: str, why: str
) -> None:
    driver = Driver(exchange("a", candidate("b", model=model), notice=notice, request=request_))
    second(driver, START + TEXT_START + words("It is noon.") + ENDING)
    assert sdk_text(A, driver.said) == "It is noon.", why


def test_who_was_asked_answers_without_a_notice() -> None:
    driver = Driver(exchange("a", candidate("b", model="gpt-5"), notice="en"))
    driver.feed(head)
    driver.sends(START + TEXT_START + words("It is noon.") + ENDING)
    assert sdk_text(A, driver.said) == "It is noon."


def test_calls_after_a_notice_keep_their_places() -> None:
    driver = Driver(exchange("a", candidate("b", model="gpt-5"), notice="en"))
    events = [*OPEN, *text("Look."), *call('{"path": "/"}', index=1), *closed("tool_use")]
    second(driver, stream(A, events))
    assert legal(driver.said)


def test_a_whole_answer_has_the_notice_in_front_as_well() -> None:
    driver = Driver(exchange("a", candidate("b", model="gpt-5"), notice="en", stream=False))
    driver.feed(lambda n: AttemptBroke(n, Fault("reset"), 1))
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-5",
        "content": [{"type": "text", "text": "It is noon."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    driver.feed(lambda n: HeadReceived(n, 200, JSON_TYPE, 1))
    driver.feed(lambda n: BytesReceived(n, json.dumps(body).encode(), 2))
    driver.feed(lambda n: BodyEnded(n, 3))
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    content = json.loads(reply.body)["content"]
    assert [block["text"] for block in content] == [WORDS, "It is noon."]
