"""The official SDKs hear the vendor's own words, at every surface, from every format."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.simulator import Script, text
from tests.sdks.asking import hear, question, said_as
from tests.sdks.house import FORMATS, MODELS, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

surfaces = pytest.mark.parametrize("surface", FORMATS)
targets = pytest.mark.parametrize("target", FORMATS)
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

ODD = (
    "Voilà 👩‍👩‍👧‍👦 🇫🇷 — « œuf », naïve, \u202eא\u202c, \u2028 and \t tabs.\n\n"
    '```python\nprint("\\n\\u0041 {}".format(\'"\'))  # 100 % </s> <|im_end|> data: [DONE]\n```\n\n'
    "data: not a frame\n\nevent: error\n\n한국어 テスト 🏳️‍🌈 \U0001f9d1\U0001f3fd‍\U0001f4bb."
)
WORDS = {
    "english": "Tell me about the sea.",
    "french": "Parle-moi de la mer, s'il te plaît. [[language=fr chars=300]]",
    "japanese": "海について [[language=ja chars=120]]",
    "odd": "Say something odd.",
}


@surfaces
@targets
@streamed
@pytest.mark.parametrize("words", WORDS)
async def test_the_text_is_the_truth_to_the_letter(
    house: House, surface: str, target: str, stream: bool, words: str
) -> None:
    if words == "odd":
        house.play(Script(seed=1, answers=((text(ODD),),)))
    body = question(surface, f"to-{target}", WORDS[words])
    heard = await hear(house, surface, body, stream=stream)
    truth = house.truth(surface, body)
    assert heard.text == truth.text
    assert words != "odd" or heard.text == ODD
    assert heard.stop == said_as(surface, "end_turn")
    assert not heard.calls
    assert len(house.asked(target)) == 1


@surfaces
@targets
@pytest.mark.parametrize("chunking", ["byte", "random"])
async def test_however_the_vendor_cuts_its_bytes_the_text_is_the_same(
    house: House, surface: str, target: str, chunking: Any
) -> None:
    words = ODD[:60] if chunking == "byte" else ODD
    house.play(Script(seed=1, chunking=chunking, answers=((text(words),),)))
    body = question(surface, f"to-{target}", "Say something odd.")
    assert (await hear(house, surface, body, stream=True)).text == words


@surfaces
@targets
@streamed
async def test_headers_and_receipt_say_who_answered(
    house: House, surface: str, target: str, stream: bool
) -> None:
    body = question(surface, f"to-{target}", "Hello")
    heard = await hear(house, surface, body, stream=stream)
    served = f"{target}/{MODELS[target]}"
    head = house.headers
    assert head["outlast-served-by"] == target
    assert head["outlast-model"] == MODELS[target]
    assert (head["outlast-attempts"], head["outlast-degraded"]) == ("1", "none")
    assert head["outlast-request-id"].startswith("req_")
    assert head["outlast-receipt"] == f"/v1/receipts/{head['outlast-request-id']}"

    receipt = await house.receipt()
    assert (receipt.id, receipt.outcome, receipt.status) == (head["outlast-request-id"], "ok", 200)
    assert (receipt.model, receipt.stream, receipt.served_by) == (f"to-{target}", stream, served)
    (attempt,) = receipt.attempts
    assert (attempt.upstream, attempt.model, attempt.outcome) == (target, MODELS[target], "ok")
    assert attempt.status == 200
    assert attempt.request_id.startswith("req_")
    billed = house.billed(target).usage
    tokens = attempt.tokens
    assert tokens.input + tokens.cache_read + tokens.cache_write == billed.input == heard.input
    assert tokens.output == billed.output == heard.output
    assert not tokens.estimated
    assert receipt.started_at <= attempt.started_at <= attempt.ended_at <= receipt.ended_at
    assert (attempt.first_content_s is not None) is stream


@surfaces
@targets
@streamed
async def test_a_limit_of_tokens_is_kept_and_said(
    house: House, surface: str, target: str, stream: bool
) -> None:
    limit = {"anthropic": "max_tokens", "chat": "max_completion_tokens"}
    body = question(surface, f"to-{target}", "At length.")
    body[limit.get(surface, "max_output_tokens")] = 20
    heard = await hear(house, surface, body, stream=stream)
    truth = house.truth(surface, body)
    assert truth.stop == "max_tokens"
    assert (heard.text, heard.stop) == (truth.text, said_as(surface, "max_tokens"))
    assert heard.output == 20


@pytest.mark.parametrize("surface", ["anthropic", "chat"])
@targets
@streamed
async def test_a_stop_sequence_ends_the_answer_at_the_right_letter(
    house: House, surface: str, target: str, stream: bool
) -> None:
    house.play(Script(seed=1, answers=((text("one two STOP three four"),),)))
    name = "stop_sequences" if surface == "anthropic" else "stop"
    body = question(surface, f"to-{target}", "Count.", **{name: ["never", "STOP"]})
    heard = await hear(house, surface, body, stream=stream)
    assert heard.text == "one two "
    billed = house.billed(target).usage
    if target == "responses" and stream:
        # Its usage comes with an end that is not waited for: an estimate, and said to be one.
        assert heard.input > 0
        assert (await house.receipt()).attempts[-1].tokens.estimated
    else:
        assert heard.input == billed.input
    assert 2 <= heard.output <= billed.output
    if surface == "anthropic" and target != "chat":
        # Chat completions do not tell a met stop sequence from an end.
        assert heard.stop == "stop_sequence"
        assert heard.message.stop_sequence == "STOP"
    else:
        assert heard.stop in {"stop", "end_turn"}


@surfaces
@targets
@streamed
async def test_cached_tokens_are_counted_apart(
    house: House, surface: str, target: str, stream: bool
) -> None:
    long = "The sea is wide and deep. " * 400
    body = question(surface, f"to-{target}", long + "[[chars=50]]")
    if surface == "anthropic":
        mark = {"type": "ephemeral"}
        turns: Any = [
            {"role": "user", "content": [{"type": "text", "text": long, "cache_control": mark}]},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "More [[chars=50]]"},
        ]
        body["messages"] = turns
    heard = await hear(house, surface, body, stream=stream)
    billed = house.billed(target).usage
    assert (heard.input, heard.cached, heard.output) == (billed.input, billed.cached, billed.output)
    expected = target != "anthropic" or surface == "anthropic"
    assert (heard.cached > 0) is expected


THINK: dict[str, dict[str, Any]] = {
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    "chat": {"reasoning_effort": "medium"},
    "responses": {"reasoning": {"effort": "medium", "summary": "auto"}},
}


@surfaces
@targets
@streamed
async def test_thinking_comes_apart_from_the_text_and_is_never_signed_by_us(
    house: House, surface: str, target: str, stream: bool
) -> None:
    house.play(Script(seed=1, show_reasoning=True))
    body = question(surface, f"to-{target}", "Think, then say [[chars=200]]", **THINK[surface])
    heard = await hear(house, surface, body, stream=stream)
    truth = house.truth(surface, body)
    assert heard.text == truth.text
    if surface == "responses" or target != "responses":
        assert heard.thinking == truth.thinking
    else:
        # OpenAI tells what a model thought only to those who ask for a summary.
        assert heard.thinking in {"", truth.thinking}
    if surface == "anthropic":
        for block in heard.message.content:
            if block.type == "thinking":
                genuine = truth.parts[0]
                signature = getattr(genuine, "signature", "")
                assert block.signature == (signature if target == "anthropic" else "")


@targets
async def test_thinking_goes_back_in_the_next_turn_without_offending_anybody(
    house: House, target: str
) -> None:
    """What one vendor thought, another one answers after: foreign signatures are dropped."""
    house.play(Script(seed=1, show_reasoning=True))
    body = question("anthropic", f"to-{target}", "Think [[chars=80]]", **THINK["anthropic"])
    first = await hear(house, "anthropic", body, stream=True)
    assert [block.type for block in first.message.content] == ["thinking", "text"]
    for then in FORMATS:
        turns = [
            *body["messages"],
            {"role": "assistant", "content": [b.to_dict() for b in first.message.content]},
            {"role": "user", "content": "And then? [[chars=90]]"},
        ]
        again = {**body, "model": f"to-{then}", "messages": turns}
        heard = await hear(house, "anthropic", again, stream=True)
        assert len(heard.text) == 90
