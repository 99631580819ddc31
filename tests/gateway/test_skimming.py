"""Text that is read many pieces at once means what it means piece by piece, at any cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
    ClientGone,
    ClientSlow,
    Command,
    Event,
    Forward,
    HeadReceived,
    Interrupted,
    SetTimer,
    Timer,
    TimerFired,
)
from outlast.gateway.exchange import Exchange
from outlast.gateway.flow import FLUSH_S, Flow
from outlast.gateway.holding import HoldPolicy
from outlast.gateway.leg import Broken, Leg
from outlast.gateway.skimming import Template, texts_of
from outlast.nouns import Format, Kind
from outlast.outcome import Fault
from outlast.wire import CODECS
from tests.gateway.exchanges import SSE, candidate, exchange, frame
from tests.gateway.test_express import told
from tests.native.alone import told as spoken_by


@pytest.fixture(params=["c", "python"], autouse=True, scope="module")
def spoken(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything here is told to Python with its parts in C, and to Python alone."""
    yield from spoken_by(request.param)


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
def streams(draw: st.DrawFn, form: Format | None = None) -> tuple[Format, list[bytes]]:
    """A stream of mostly alike pieces of text, cut anywhere."""
    form = form or draw(st.sampled_from(list(PIECE)))
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


def machine(form: Format, *, skims: bool, client: Format | None = None) -> Exchange:
    """An exchange whose upstreams speak `form`; so does its client, if no other one is said."""
    kind = KINDS[form]
    found = exchange(candidate("a", kind), candidate("b", kind, model="other"), form=client or form)
    if not skims:
        found._skims = lambda prepared: False  # type: ignore[method-assign]
    return found


class Shell:
    """Runs an exchange as the relay does: what a flow takes in never becomes an event."""

    def __init__(self, machine: Exchange) -> None:
        self.machine = machine
        self.taken = 0

    def handle(self, event: Event) -> list[Command]:
        flow = self.machine.flow()
        if flow is not None and isinstance(event, BytesReceived):
            out = flow.feed(event.data, event.now)
            if out is not None:
                self.taken += 1
                return self._told(flow, out, flow.waiting and not flow.flushing)
        elif flow is not None and isinstance(event, TimerFired) and event.timer == "flush":
            out = flow.flush(event.now)
            flow.flushing = False
            return self._told(flow, out, flow.waiting)
        return self.machine.handle(event)

    def _told(self, flow: Flow, out: bytes, again: object) -> list[Command]:
        commands: list[Command] = [Forward(out)] if out else []
        if again:
            flow.flushing = True
            commands.append(SetTimer("flush", flow.half_at + FLUSH_S))
        return commands


@st.composite
def stories(draw: st.DrawFn) -> tuple[Format, list[Event]]:
    """A stream, what else happens meanwhile, and an end."""
    form, pieces = draw(streams())
    events: list[Event] = [HeadReceived(0, 200, SSE, 1.0)]
    events += [BytesReceived(0, piece, 1.0 + i / 100) for i, piece in enumerate(pieces)]
    for at in draw(st.lists(st.integers(0, len(events) - 1), max_size=4)):
        now = getattr(events[at], "now", 1.0)
        late = draw(st.sampled_from([0.0, 0.0, FLUSH_S, 1.0]))
        timer: Timer = draw(st.sampled_from(["flush", "flush", "watch", "keepalive", "deadline"]))
        other = draw(st.sampled_from([False, False, False, True]))
        events.insert(at, ClientSlow(now) if other else TimerFired(timer, now + late))
    broke = AttemptBroke(0, Fault("reset"), 9.0)
    ends: list[Event] = [BodyEnded(0, 9.0), broke, Interrupted(9.0), ClientGone(9.0)]
    return form, [*events, draw(st.sampled_from(ends))]


def same(slow: Exchange, fast: Exchange | Shell, events: list[Event]) -> None:
    """Both say the same of each event, and remember the same."""
    for event in events:
        assert told(slow.handle(event)) == told(fast.handle(event))
    other = fast.machine if isinstance(fast, Shell) else fast
    ours, theirs = slow._speaker.transcript, other._speaker.transcript
    assert (ours.text, ours.events()) == (theirs.text, theirs.events())


@settings(max_examples=700, deadline=None)
@given(stories())
def test_both_ways_give_the_same_commands_at_the_same_moments(
    story: tuple[Format, list[Event]],
) -> None:
    form, events = story
    slow, fast = machine(form, skims=False), machine(form, skims=True)
    assert told(slow.start(0.0)) == told(fast.start(0.0))
    same(slow, fast, events)


@settings(max_examples=1000, deadline=None)
@given(stories(), st.sampled_from([*KINDS, None]))
def test_a_flow_in_its_place_says_what_the_exchange_would(
    story: tuple[Format, list[Event]], client: Format | None
) -> None:
    form, events = story
    slow = machine(form, skims=False, client=client)
    fast = Shell(machine(form, skims=True, client=client))
    assert told(slow.start(0.0)) == told(fast.machine.start(0.0))
    same(slow, fast, events)


@pytest.mark.parametrize("client", [*KINDS, Format.OPENAI_RESPONSES])
@pytest.mark.parametrize("form", KINDS)
def test_a_live_stream_goes_through_a_flow_and_ends_like_any_other(
    form: Format, client: Format
) -> None:
    """Piece by piece, words that go on and escapes in it; all but the two ends are taken."""
    said = [" sea", " t", "wo", "\n", 'say "', "é", "🦀", "_x", " 7", "."] * 5
    frames = [PIECE[form](text, "plain", False) for text in said]
    events: list[Event] = [HeadReceived(0, 200, SSE, 1.0), BytesReceived(0, BEFORE[form], 1.0)]
    events += [BytesReceived(0, one, 1.1 + i / 50) for i, one in enumerate(frames)]
    events += [BytesReceived(0, AFTER[form], 3.0), BodyEnded(0, 3.0)]
    slow = machine(form, skims=False, client=client)
    fast = Shell(machine(form, skims=True, client=client))
    assert told(slow.start(0.0)) == told(fast.machine.start(0.0))
    same(slow, fast, events)
    assert fast.taken >= len(said) - 2


def test_a_hundred_pieces_in_one_read_are_one_run() -> None:
    pieces = [chat_piece(f" t{number}", "plain", True) for number in range(100)]
    template = Template.of(pieces[0], " t0")
    assert template is not None
    rest = b'data: {"id":"c","choices":['
    run = template.run(b"".join(pieces) + rest, waiting=False, words=True)
    assert run is not None
    assert texts_of([run.said]) == [f" t{number}" for number in range(100)]
    assert run.end == len(b"".join(pieces))
    assert run.told == run.end - len(pieces[-1])


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
    assert template.run(bad, waiting=False, words=True) is None, why
    assert template.run(good + bad, waiting=False, words=True) is None, why
    assert msgspec.json.decode(b'"fine"') == "fine"
    assert template.run(good + good, waiting=False, words=True) is not None


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
    leg.skims = skims
    leg.head(200, SSE)
    leg.feed(BEFORE[Format.ANTHROPIC] + message_piece("So ", "plain", True))
    with pytest.raises(Broken) as raised:
        leg.feed(message_piece("x", "plain", True) * 100)
    assert "2000 bytes" in raised.value.verdict.evidence
