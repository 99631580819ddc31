"""Text that is read many pieces at once means what it means piece by piece, at any cut."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.gateway.asked import Prepared
from outlast.gateway.events import (
    AttemptBroke,
    BodyEnded,
    BytesReceived,
    Event,
    HeadReceived,
    TimerFired,
)
from outlast.gateway.exchange import Exchange
from outlast.gateway.holding import HoldPolicy
from outlast.gateway.leg import Broken, Leg
from outlast.gateway.skimming import Template
from outlast.nouns import Format, Kind
from outlast.outcome import Fault
from outlast.wire import CODECS
from tests.gateway.exchanges import SSE, candidate, exchange, frame
from tests.gateway.test_express import told

KINDS = {Format.OPENAI_CHAT: Kind.OPENAI_CHAT, Format.ANTHROPIC: Kind.ANTHROPIC}

words = st.one_of(
    st.text(max_size=6),
    st.sampled_from([" sea", " t", "x", "_", "é", "🦀", "中", "\n", '"', "\\", "\\n", " 7", "'s"]),
)


def spelled(text: str, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)


def chat_piece(text: str, look: str, ascii_only: bool) -> bytes:
    """One frame of a chat completion; `look`: how this server writes it."""
    said = spelled(text, ascii_only)
    more = {"plain": "", "odd": f',"obfuscation":"{len(text) * "ab"}"'}.get(look, "")
    space = " " if look == "spaced" else ""
    name = "refusal" if look == "refusal" else "content"
    index = 1 if look == "second" else 0
    data = (
        f'{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{'
        f'"index":{index},"delta":{{"{name}":{space}{said}}},"finish_reason":null}}]{more}}}'
    )
    return f"data: {data}\n\n".encode("utf-8", "surrogatepass")


def message_piece(text: str, look: str, ascii_only: bool) -> bytes:
    said = spelled(text, ascii_only)
    space = " " if look == "spaced" else ""
    index = 1 if look == "second" else 0
    data = (
        f'{{"type":"content_block_delta","index":{index},'
        f'"delta":{{"type":"text_delta","text":{space}{said}}}}}'
    )
    return f"event: content_block_delta\ndata: {data}\n\n".encode("utf-8", "surrogatepass")


BEFORE = {
    Format.OPENAI_CHAT: b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    Format.ANTHROPIC: frame(
        "message_start",
        message={"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []},
    )
    + frame("content_block_start", index=0, content_block={"type": "text", "text": ""}),
}
AFTER = {
    Format.OPENAI_CHAT: b'data: {"id":"c","choices":[{"index":0,"finish_reason":"stop"}]}'
    b'\n\ndata: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9}}\n\n'
    b"data: [DONE]\n\n",
    Format.ANTHROPIC: frame("content_block_stop", index=0)
    + frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7})
    + frame("message_stop"),
}
BETWEEN = {
    Format.OPENAI_CHAT: [
        b": ping\n\n",
        b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9}}\n\n',
        b'data: {"error":{"message":"Overloaded","type":"overloaded_error"}}\n\n',
        b'data: {"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t",'
        b'"function":{"name":"rm","arguments":"{}"}}]},"finish_reason":null}]}\n\n',
        b'data: {"id":"c","choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n',
        b"data: {broken\n\n",
        b"data: \xff\n\n",
    ],
    Format.ANTHROPIC: [
        frame("ping"),
        b": comment\n\n",
        frame("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        frame("content_block_stop", index=0)
        + frame("content_block_start", index=1, content_block={"type": "text", "text": ""}),
        frame("content_block_stop", index=0)
        + frame("content_block_start", index=1, content_block={"type": "thinking", "thinking": ""}),
        b"event: content_block_delta\ndata: {broken\n\n",
    ],
}
PIECE = {Format.OPENAI_CHAT: chat_piece, Format.ANTHROPIC: message_piece}
LOOKS = ["plain"] * 12 + ["spaced", "odd", "second", "refusal"]


@st.composite
def streams(draw: st.DrawFn) -> tuple[Format, list[bytes]]:
    """A stream of mostly alike pieces of text, cut anywhere."""
    form = draw(st.sampled_from(list(PIECE)))
    usual, ascii_only = draw(st.sampled_from(LOOKS)), draw(st.booleans())
    frames = [BEFORE[form]]
    for text in draw(st.lists(words, max_size=40)):
        look = draw(st.sampled_from([*LOOKS, usual, usual])) if draw(st.booleans()) else usual
        frames.append(PIECE[form](text, look, ascii_only))
        if draw(st.integers(0, 11)) == 0:
            frames.append(draw(st.sampled_from(BETWEEN[form])))
    frames.append(AFTER[form])
    data = b"".join(frames)
    if draw(st.integers(0, 9)) == 0:
        data = data.replace(b"\n", b"\r\n")
    size = draw(st.sampled_from([1, 7, 60, 150, 400, 2000, 100_000]))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return form, [p[i : i + size] for p in pieces for i in range(0, len(p), size)]


def machine(form: Format, *, skims: bool) -> Exchange:
    kind = KINDS[form]
    found = exchange(candidate("a", kind), candidate("b", kind, model="other"), form=form)
    if not skims:
        found._passes = lambda prepared: False  # type: ignore[method-assign]
    return found


@settings(max_examples=700, deadline=None)
@given(streams(), st.sampled_from(["clean", "broken"]), st.integers(0, 60))
def test_both_ways_give_the_same_commands_at_the_same_moments(
    stream: tuple[Format, list[bytes]], ending: str, flush_at: int
) -> None:
    form, pieces = stream
    slow, fast = machine(form, skims=False), machine(form, skims=True)
    assert told(slow.start(0.0)) == told(fast.start(0.0))
    events: list[Event] = [HeadReceived(0, 200, SSE, 1.0)]
    events += [BytesReceived(0, piece, 1.0 + i / 100) for i, piece in enumerate(pieces)]
    events.insert(min(flush_at, len(events)), TimerFired("flush", 2.0))
    events.append(BodyEnded(0, 9.0) if ending == "clean" else AttemptBroke(0, Fault("reset"), 9.0))
    for event in events:
        assert told(slow.handle(event)) == told(fast.handle(event))
    one, other = slow._speaker.transcript, fast._speaker.transcript
    assert (one.text, one.events()) == (other.text, other.events())


def test_a_hundred_pieces_in_one_read_are_one_run() -> None:
    pieces = [chat_piece(f" t{number}", "plain", True) for number in range(100)]
    template = Template.of(pieces[0], " t0")
    assert template is not None
    rest = b'data: {"id":"c","choices":['
    run = template.run(b"".join(pieces) + rest)
    assert run is not None
    assert run.texts == [f" t{number}" for number in range(100)]
    assert run.ends[-1] == len(b"".join(pieces))


@pytest.mark.parametrize(
    ("why", "raw", "text"),
    [
        ("the text stands in the frame twice", chat_piece("m", "plain", True), "m"),
        ("the text is a name in the frame", chat_piece("delta", "plain", True), "delta"),
        ("it is written in another way than ours", chat_piece("é", "plain", True), "é"),
        ("something else in it is escaped", b'data: {"a":"\\u0074","b":"t"}\n\n', "t"),
        ("it is longer than pieces are", chat_piece("x" * 5000, "plain", True), "x" * 5000),
        ("its lines end otherwise", b'data: {"a":"t"}\r\n\r\n', "t"),
    ],
)
def test_a_frame_whose_place_for_the_text_is_uncertain_is_no_template(
    why: str, raw: bytes, text: str
) -> None:
    assert Template.of(raw, text) is None, why


@pytest.mark.parametrize(
    ("why", "inside"),
    [
        ("a quote ends the string early", b'a","role":"user'),
        ("the string does not end", b"a\\"),
        ("a line end in it", b"a\nb"),
        ("bytes that are no text", b"\xff"),
        ("an escape that is none", b"\\q"),
        ("half a surrogate pair", b"\\ud83d"),
        ("nothing is said", b""),
        ("a control character", b"a\x01"),
    ],
)
def test_what_is_no_piece_of_text_is_read_in_full(why: str, inside: bytes) -> None:
    template = Template.of(chat_piece(" t", "plain", True), " t")
    assert template is not None
    good, odd = (chat_piece(text, "plain", True) for text in ("x", "HOLE"))
    bad = odd.replace(b"HOLE", inside)
    assert template.run(bad) is None, why
    assert template.run(good + bad) is None, why
    assert msgspec.json.decode(b'"fine"') == "fine"
    assert template.run(good + good) is not None


def test_chunks_cut_one_by_one_are_not_read_again_and_again() -> None:
    """A long frame that comes byte by byte is given back to the parser, which counts its bytes."""
    fast = machine(Format.OPENAI_CHAT, skims=True)
    fast.start(0.0)
    fast.handle(HeadReceived(0, 200, SSE, 1.0))
    head: Any = BEFORE[Format.OPENAI_CHAT] + chat_piece(" one", "plain", True)
    fast.handle(BytesReceived(0, head, 1.0))
    fast.handle(BytesReceived(0, b'data: {"x":"' + b"y" * 8000, 1.1))
    parser = fast._racers[0].leg._parser
    assert parser.lend(b"z", 4096) is None
    assert len(parser.rest) > 8000


@pytest.mark.parametrize("skims", [True, False])
def test_a_word_that_never_ends_is_a_failure_at_the_limit(skims: bool) -> None:
    """Even where it comes so fast that no time is left to show it."""
    found = candidate("a")
    prepared = Prepared(
        found, "", {}, b"", CODECS[found.kind.wire].reader(), streamed=True, same_format=True
    )
    policy = HoldPolicy(limit_bytes=2000, hold_words=True)
    leg = Leg(prepared, CODECS[found.kind.wire], policy, 1 << 20)
    leg.passing = skims
    leg.head(200, SSE)
    leg.feed(BEFORE[Format.ANTHROPIC] + message_piece("So ", "plain", True))
    with pytest.raises(Broken) as raised:
        leg.feed(message_piece("x", "plain", True) * 100)
    assert "2000 bytes" in raised.value.verdict.evidence
