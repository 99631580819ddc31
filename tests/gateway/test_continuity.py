"""Any chunking, any cut, any pair of upstream formats, any surface: the client's SDK sees one
valid message whose text is the truth, or a truthful error.

The exchange runs for real; the upstreams are streams of real bytes; the judges are the official
SDKs' own accumulators.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic._streaming import SSEDecoder as AnthropicDecoder
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from outlast.config import RetrySettings
from outlast.gateway.events import (
    AttemptBroke,
    BodyEnded,
    HeadReceived,
    OpenAttempt,
    SendReply,
)
from outlast.nouns import Format, Kind
from outlast.outcome import Fault
from outlast.wire.stream import (
    AnswerEvent,
    BlockStart,
    BlockStop,
    SignatureDelta,
    ThinkingDelta,
)
from tests.gateway.answers import FORMATS, OPEN, A, C, call, closed, stream, text, whole
from tests.gateway.exchanges import JSON_TYPE, SSE, Driver, TestPrepare, candidate, exchange
from tests.gateway.test_speaker import judged

TRUTH = (
    "The sea is wide, « et la mer est profonde ». Waves come in sets; the seventh is said to be "
    "the highest, but nobody counts.\n\n```python\nfor wave in sea:\n    print(wave)\n```\n\n"
    "Crabs 🦀 walk sideways, as everybody knows. That is all."
)
ANTHROPIC: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
RESPONSES: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def pieces(words: str, size: int) -> list[str]:
    return [words[i : i + size] for i in range(0, len(words), size)]


def answer(words: str, size: int, then: list[AnswerEvent] | None = None) -> list[AnswerEvent]:
    if then is not None:
        return [*OPEN, *text(*pieces(words, size)), *then, *closed("tool_use")]
    return [*OPEN, *text(*pieces(words, size)), *closed()]


def upstream_head(number: int) -> HeadReceived:
    return HeadReceived(number, 200, SSE, 1)


def send(driver: Driver, data: bytes, chunk: int) -> None:
    driver.feed(upstream_head)
    for start in range(0, len(data), chunk):
        if not driver.machine.done:
            driver.sends(data[start : start + chunk])


def breaks(driver: Driver, *, clean: bool) -> None:
    if not driver.machine.done:
        driver.feed(lambda n: BodyEnded(n, 3) if clean else AttemptBroke(n, Fault("reset"), 3))


def attempts(driver: Driver) -> int:
    return len([c for c in driver.commands if isinstance(c, OpenAttempt)])


def sdk_text(form: Format, said: bytes) -> str:
    """What the client's SDK has in the end. Every event is checked against its models before."""
    judged(form, said)
    if form is A:
        return _anthropic_text(said)
    return _chat_text(said) if form is C else _responses_text(said)


def _anthropic_text(said: bytes) -> str:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for frame in AnthropicDecoder().iter_bytes(iter([said])):
        event = json.loads(frame.data)
        if event["type"] != "ping":
            snapshot = accumulate_event(
                event=ANTHROPIC.validate_python(event),
                current_snapshot=snapshot,
                json_bufs=buffers,
            )
    assert snapshot.stop_reason
    return "".join(block.text for block in snapshot.content if block.type == "text")


def _chat_text(said: bytes) -> str:
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for event in _data(said):
        state.handle_chunk(ChatCompletionChunk.model_validate(event))
    final = state.get_final_completion().choices[0]
    assert final.finish_reason
    return final.message.content or ""


def _responses_text(said: bytes) -> str:
    events = [RESPONSES.validate_python(event) for event in _data(said)]
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(numbers)))
    deltas = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    done = "".join(e.text for e in events if e.type == "response.output_text.done")
    last = events[-1]
    assert last.type in {"response.completed", "response.incomplete"}
    assert deltas == done == last.response.output_text
    return str(last.response.output_text)


def _data(said: bytes) -> Iterator[Any]:
    for frame in SSEDecoder().iter_bytes(iter([said])):
        if frame.data and frame.data != "[DONE]":
            yield json.loads(frame.data)


forms = st.sampled_from(FORMATS)


@settings(max_examples=300, deadline=None)
@given(
    forms,
    forms,
    forms,
    st.floats(0, 1),
    st.integers(1, 30),
    st.integers(1, 400),
    st.booleans(),
    st.sampled_from(["exact", "prefill", "instruct"]),
)
def test_whatever_breaks_the_clients_sdk_has_the_whole_text(
    surface: Format,
    first: Format,
    second: Format,
    share: float,
    size: int,
    chunk: int,
    clean: bool,
    how: str,
) -> None:
    driver = Driver(
        exchange(
            candidate("a", Kind(first.value)),
            candidate("b", Kind(second.value), model="other"),
            form=surface,
            continuation=how,
        )
    )
    data = stream(first, answer(TRUTH, size))
    send(driver, data[: int(share * len(data))], chunk)
    breaks(driver, clean=clean)
    if not driver.machine.done:
        prepare = driver.machine._prepare
        assert isinstance(prepare, TestPrepare)
        partial = prepare.partials[-1][1] if prepare.partials else ""
        rest = TRUTH[len(partial if how == "instruct" else partial.rstrip()) :]
        send(driver, stream(second, answer(rest, size)), chunk)
    assert driver.machine.done
    assert driver.receipts[0].outcome == "ok"
    assert sdk_text(surface, driver.said) == TRUTH


@settings(max_examples=200, deadline=None)
@given(forms, forms, forms, st.floats(0, 1), st.integers(1, 400), st.booleans())
def test_a_tool_call_is_never_torn_and_never_lost(
    surface: Format, first: Format, second: Format, share: float, chunk: int, clean: bool
) -> None:
    arguments = '{"path": "/tmp/x", "recursive": true, "only_if": "empty"}'
    driver = Driver(
        exchange(
            candidate("a", Kind(first.value)),
            candidate("b", Kind(second.value), model="other"),
            form=surface,
        )
    )
    truth = "I clean up."
    data = stream(first, answer(truth, 4, call(*pieces(arguments, 5), index=1)))
    send(driver, data[: int(share * len(data))], chunk)
    breaks(driver, clean=clean)
    if not driver.machine.done:
        prepare = driver.machine._prepare
        assert isinstance(prepare, TestPrepare)
        partial = prepare.partials[-1][1] if prepare.partials else ""
        rest = truth[len(partial.rstrip()) :]
        events = answer(rest, 4, call(*pieces(arguments, 5), index=1))
        if not rest:
            events = [*OPEN, *call(*pieces(arguments, 5)), *closed("tool_use")]
        send(driver, stream(second, events), chunk)
    assert driver.receipts[0].outcome == "ok"
    said = driver.said
    assert sdk_text(surface, said) == truth
    assert calls(surface, said) == [("rm", json.loads(arguments))]


def calls(form: Format, said: bytes) -> list[tuple[str, Any]]:
    """The calls that the client would run."""
    if form is A:
        return _anthropic_calls(said)
    if form is C:
        state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
        for event in _data(said):
            state.handle_chunk(ChatCompletionChunk.model_validate(event))
        made = state.get_final_completion().choices[0].message.tool_calls or []
        return [(c.function.name, json.loads(c.function.arguments)) for c in made]
    last = RESPONSES.validate_python(list(_data(said))[-1])
    items = [item for item in last.response.output if item.type == "function_call"]
    return [(item.name, json.loads(item.arguments)) for item in items]


def _anthropic_calls(said: bytes) -> list[tuple[str, Any]]:
    names: list[str] = []
    texts: list[str] = []
    for event in _data(said):
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            names.append(event["content_block"]["name"])
            texts.append("")
        elif event["type"] == "content_block_delta" and "partial_json" in event["delta"]:
            texts[-1] += event["delta"]["partial_json"]
    return [(name, json.loads(arguments)) for name, arguments in zip(names, texts, strict=True)]


@pytest.mark.parametrize("surface", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_without_anybody_to_go_on_the_end_is_an_error_at_every_cut(
    surface: Format, first: Format
) -> None:
    data = stream(first, answer(TRUTH, 7))
    for cut in range(0, len(data), 97):
        one = candidate("a", Kind(first.value))
        driver = Driver(exchange(one, form=surface, continuation="none"))
        send(driver, data[:cut], 50)
        breaks(driver, clean=True)
        if driver.receipts[0].outcome == "ok":
            assert sdk_text(surface, driver.said) == TRUTH
            continue
        if driver.said:
            assert driver.commands[-1].clean is False  # type: ignore[union-attr]
            *_, last = judged(surface, driver.said)
            assert "error" in last or last["type"] in {"error", "response.failed"}


@settings(max_examples=200, deadline=None)
@given(forms, forms, forms, st.floats(0, 1), st.integers(1, 400), st.booleans())
def test_a_whole_answer_is_whole_wherever_a_body_broke(
    surface: Format, first: Format, second: Format, share: float, chunk: int, clean: bool
) -> None:
    driver = Driver(
        exchange(
            candidate("a", Kind(first.value)),
            candidate("b", Kind(second.value), model="other"),
            form=surface,
            stream=False,
        )
    )
    data = whole(first, answer(TRUTH, 50))
    cut, spare = data[: int(share * len(data))], whole(second, answer(TRUTH, 50))
    for body, ends_well in ((cut, clean), (spare, True)):
        if not driver.machine.done:
            driver.feed(lambda n: HeadReceived(n, 200, JSON_TYPE, 1))
            for start in range(0, len(body), chunk):
                driver.sends(body[start : start + chunk])
            breaks(driver, clean=ends_well)
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    assert reply.status == 200
    assert body_text(surface, reply.body) == TRUTH
    assert driver.receipts[0].outcome == "ok"


def body_text(form: Format, body: bytes) -> str:
    """The text of a whole answer as the client's SDK has it."""
    if form is A:
        message = Message.model_validate_json(body, strict=True)
        assert message.stop_reason == "end_turn"
        return "".join(block.text for block in message.content if block.type == "text")
    if form is C:
        choice = ChatCompletion.model_validate_json(body).choices[0]
        assert choice.finish_reason == "stop"
        return choice.message.content or ""
    response = Response.model_validate_json(body)
    assert response.status == "completed"
    return response.output_text


SIGNATURES = {"one": "c2lnbmVkIGJ5IG9uZQ==", "two": "c2lnbmVkIGJ5IHR3bw=="}


def thoughtful(form: Format, who: str) -> bytes:
    """An answer that begins with thinking, signed where the format signs."""
    thought: list[AnswerEvent] = [
        BlockStart(0, "thinking"),
        *(ThinkingDelta(0, piece) for piece in pieces(f"Thought by {who}.", 3)),
        SignatureDelta(0, SIGNATURES[who], origin=form),
        BlockStop(0),
    ]
    return stream(form, [*OPEN, *thought, *text(*pieces("It is noon.", 3), index=1), *closed()])


@settings(max_examples=200, deadline=None)
@given(forms, forms, forms, st.floats(0, 1), st.floats(0, 1), st.integers(1, 200))
def test_no_signature_is_made_up_and_none_is_moved(
    surface: Format, first: Format, second: Format, share: float, other: float, chunk: int
) -> None:
    """Two break off in turn, then somebody answers: thinking is live where nobody is left."""
    driver = Driver(
        exchange(
            candidate("a", Kind(first.value)),
            candidate("b", Kind(second.value), model="other"),
            candidate("c", Kind(first.value)),
            form=surface,
            retry=RetrySettings(same_upstream_max=1),
        )
    )
    data = {"a": thoughtful(first, "one"), "b": thoughtful(second, "two")}
    cuts = [share, other]
    while not driver.machine.done:
        opened = [c for c in driver.commands if isinstance(c, OpenAttempt)]
        who = opened[-1].candidate.upstream
        prepare = driver.machine._prepare
        assert isinstance(prepare, TestPrepare)
        sent = data.get(who) or data["a"]
        if prepare.partials:
            partial = prepare.partials[-1][1]
            form = second if who == "b" else first
            sent = stream(form, answer("It is noon."[len(partial.rstrip()) :], 3))
        cut = cuts.pop(0) if cuts else 1.0
        send(driver, sent[: int(cut * len(sent))], chunk)
        breaks(driver, clean=False)
    assert driver.receipts[0].outcome == "ok"
    assert sdk_text(surface, driver.said) == "It is noon."
    if surface is A:
        for said, signature in thoughts(driver.said):
            assert (said, signature) in {
                *((f"Thought by {who}.", SIGNATURES[who]) for who in SIGNATURES),
                (said, ""),
            }


def thoughts(said: bytes) -> list[tuple[str, str]]:
    """(thinking, signature) of each block that a client of Anthropic's has."""
    found: dict[int, list[str]] = {}
    for event in _data(said):
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "thinking":
            block = event["content_block"]
            found[event["index"]] = [block["thinking"], block["signature"]]
        elif event["type"] == "content_block_delta" and event["index"] in found:
            delta = event["delta"]
            found[event["index"]][0] += delta.get("thinking", "")
            found[event["index"]][1] += delta.get("signature", "")
    return [(thought, signature) for thought, signature in found.values()]
