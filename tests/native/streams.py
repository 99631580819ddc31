"""Streams to begin from, and what C says of them beside what Python says. As seeds.py, twins.py."""

from __future__ import annotations

import json
import random
import zlib
from copy import deepcopy
from typing import Any

import httptools

from outlast.gateway.events import HeadReceived
from outlast.gateway.flow import Flow
from outlast.gateway.live import Live, Odd
from outlast.gateway.relay.connection import passed_line
from outlast.gateway.skimming import Template
from outlast.native import compiled
from outlast.nouns import Format
from outlast.wire import CODECS
from tests.gateway.relay.answers import Line
from tests.native.alone import python_alone

FORMS = (Format.OPENAI_CHAT, Format.ANTHROPIC)
WORDS = [
    " sea",
    " t",
    "x",
    "_",
    "é",
    "🦀",
    "中",
    "\n",
    '"',
    "\\",
    " 7",
    "'s",
    "So. ",
    "\u2019",
    "\x7f",
    "w" * 30,
]
ODDITIES: dict[str, list[Any]] = {
    "id": [None, "", 1],
    "model": [None, "", "m\u00e9", "a\\b", 3],
    "created": [None, 1.5, -1, "now"],
    "object": ["error", None, 1],
    "error": [None, {}, "no"],
    "usage": [None, {}, {"prompt_tokens": 3}, {"prompt_tokens": 3, "completion_tokens": 9}, 7],
    "choices": [[], None, [{}, {}]],
    "index": [None, 0, 1, "0"],
    "finish_reason": [None, "", "stop", "length", "tool_calls", "error", 1],
    "stop_reason": [None, "x"],
    "message": [None, {}, {"content": "x"}],
    "delta": [None, {}, {"content": "x"}],
    "content": [None, "", "x", [], [{"type": "text", "text": "x"}]],
    "refusal": [None, "", "no"],
    "reasoning_content": [None, "", "hm"],
    "reasoning": [None, "", "hm", {}],
    "tool_calls": [None, [], [{"index": 0, "id": "t"}]],
    "function_call": [None, {}],
    "audio": [None, {}],
    "type": ["ping", "text", "error", 1],
    "text": [None, "", "x"],
    "stop_sequence": [None, "x", 1],
    "input_tokens": [None, 0, 7, -1, 1.0, "7"],
    "prompt_tokens_details": [None, {}, {"cached_tokens": 2}, {"cached_tokens": None}, []],
    "completion_tokens_details": [None, {"reasoning_tokens": 2}, {"reasoning_tokens": 2.0}],
    "output_tokens_details": [None, {"thinking_tokens": 2}, {"thinking_tokens": None}, 1],
    "x": [1, [{}], "\u2028"],
}


def _odd(rng: random.Random, said: Any) -> Any:
    """The same with a key more, or another value, somewhere in it; mostly nothing."""
    if rng.random() < 0.9:
        return said
    places = [said]
    while rng.random() < 0.6:
        inner = [one for one in _inside(places[-1]) if isinstance(one, dict | list)]
        if not inner:
            break
        places.append(rng.choice(inner))
    place = places[-1]
    if isinstance(place, dict):
        name = rng.choice([*place, *ODDITIES]) if rng.random() < 0.5 else rng.choice([*ODDITIES])
        place[name] = deepcopy(rng.choice(ODDITIES.get(name, ODDITIES["x"])))
    return said


def _inside(place: Any) -> list[Any]:
    return list(place.values()) if isinstance(place, dict) else list(place)


def _frame(rng: random.Random, said: Any, name: str = "") -> bytes:
    spaced = (", ", ": ") if rng.random() < 0.1 else (",", ":")
    data = json.dumps(said, ensure_ascii=rng.random() < 0.5, separators=spaced).encode()
    if rng.random() < 0.02:
        name = rng.choice(["", "message", "ping", "x"])
    return (b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + data + b"\n\n"


def _chat(rng: random.Random) -> list[bytes]:
    def chunk(delta: Any, reason: Any = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        said = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
        return _frame(rng, _odd(rng, {**said, "choices": [choice], **more}))

    frames = [chunk({"role": "assistant", "content": rng.choice(["", "", None])})]
    if rng.random() < 0.1:
        frames.pop()
    frames += [chunk({"content": rng.choice(WORDS)}) for _ in range(rng.randrange(1, 5))]
    usage = {"prompt_tokens": 9, "completion_tokens": rng.randrange(3), "total_tokens": 12}
    if rng.random() < 0.3:
        details = rng.choice(ODDITIES["prompt_tokens_details"])
        usage["prompt_tokens_details"] = deepcopy(details)
    within = {"usage": usage} if rng.random() < 0.2 else {}
    frames.append(
        chunk(rng.choice([{}, {"content": ""}]), rng.choice(["stop", "length"]), **within)
    )
    if rng.random() < 0.5:
        frames.append(_frame(rng, _odd(rng, {"id": "c", "choices": [], "usage": usage})))
    return [*frames, b"data: [DONE]\n\n"]


def _messages(rng: random.Random) -> list[bytes]:
    def typed(name: str, **more: Any) -> bytes:
        return _frame(rng, _odd(rng, {"type": name, **more}), name)

    usage = {"input_tokens": 9, "cache_read_input_tokens": rng.randrange(3), "output_tokens": 1}
    message = {"id": "m", "type": "message", "model": "m-1", "content": [], "usage": usage}
    frames = [
        typed("message_start", message=message),
        typed("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *[typed("ping") for _ in range(rng.choice([0, 0, 1, 2]))],
    ]
    for _ in range(rng.randrange(1, 5)):
        delta = {"type": "text_delta", "text": rng.choice(WORDS)}
        frames.append(typed("content_block_delta", index=0, delta=delta))
    reason = {"stop_reason": rng.choice(["end_turn", "max_tokens", "new"]), "stop_sequence": None}
    told = {"usage": rng.choice([{"output_tokens": 5}, {"output_tokens": 0}, None, {}])}
    frames.append(typed("content_block_stop", index=0))
    frames.append(typed("message_delta", delta=reason, **(told if rng.random() < 0.8 else {})))
    return [*frames, typed("message_stop")]


def frames(rng: random.Random) -> list[bytes]:
    """The frames of a stream, good as a rule."""
    found = rng.choice([_chat, _messages])(rng)
    if rng.random() < 0.05:
        found.insert(rng.randrange(len(found)), rng.choice([b": hi\n\n", b"data: x\n\n", found[0]]))
    return found


def stream(rng: random.Random) -> bytes:
    return b"".join(frames(rng))


def chunked(rng: random.Random) -> bytes:
    """A stream as an upstream sends it."""
    said = frames(rng)
    if rng.random() < 0.3:
        said = [b"".join(said)]
    sizes = ["%x", "%x", "%x", "%X", "0%x", "%x;a=b", "%x "] if rng.random() < 0.2 else ["%x"]
    chunks = [(rng.choice(sizes) % len(one)).encode() + b"\r\n" + one + b"\r\n" for one in said]
    lines = [b"content-type: text/event-stream", b"transfer-encoding: chunked"]
    lines += rng.choice([[], [b"x-request-id: r1"], [b"date: now"], [b"connection: keep-alive"]])
    if rng.random() < 0.2:
        odd = [
            b"connection: close",
            b"content-length: 3",
            b"transfer-encoding: gzip",
            b"trailer: x",
        ]
        odd += [b"Content-Type: Text/Event-Stream ; charset=x", b"content-type: text/plain"]
        lines[rng.randrange(len(lines))] = rng.choice(odd)
    rng.shuffle(lines)
    end = rng.choice([b"0\r\n\r\n"] * 9 + [b"00\r\n\r\n", b"0\r\nx: y\r\n\r\n", b""])
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""]) + b"".join(chunks) + end


def pieces_of(data: bytes) -> list[bytes]:
    """The same in a few reads, the same ones each time."""
    rng = random.Random(zlib.crc32(data))
    if rng.random() < 0.1:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice([0, 1, 2, 5])))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def lived(form: Format, reads: list[bytes]) -> object:
    """All that a Live says and knows after these reads."""
    live, out = Live(form, CODECS[form], HeadReceived(0, 200, {}, 0.0)), []
    try:
        for number, one in enumerate(reads):
            out.append(live.feed(one, float(number)))
            if live.ended:
                break
    except Odd:
        return out
    flow = live.flow
    known = (live.model, live.tokens, live.ended, live.committed, live.times.tolist())
    if flow is None:
        return out, known
    return out, known, flow.said, flow.held, flow.told, flow.rest, flow.half_at, live.estimated(7)


def stream_alike(data: bytes) -> bool:
    """A stream's frames, in some reads: Live with C against Live without."""
    certain = False
    for form, name in zip(FORMS, ("chat", "messages"), strict=True):
        for reads in ([data], pieces_of(data)):
            told = lived(form, reads)
            with python_alone():
                assert lived(form, reads) == told
        begins = compiled(f"{name}_begins")
        assert begins is not None
        found = begins(data)
        if found is not None:
            certain = True
            _, at, start, until, end, *_ = found
            template = Template(data[at:start], data[until:end])
            certain |= run_alike(template, data[at:])
    return certain


def run_alike(template: Template, data: bytes) -> bool:
    """Frames of one shape: `pieces` against what Template.run splits and joins."""
    pieces = compiled("pieces")
    assert pieces is not None
    for waiting, words in ((False, False), (False, True), (True, True)):
        found = pieces(data, template.before, template.after, waiting, words)
        if found is None:
            return False
        with python_alone():
            assert template.run(data, waiting=waiting, words=words) == found
    return True


def heard(reads: list[bytes]) -> tuple[int, dict[str, str], bytes, str, bool, int]:
    """What a listener hears of an upstream, and what becomes of the connection."""
    line = Line()
    line.feed(*reads)
    said = line.heard
    closing = line.socket.closing
    return said.status, said.headers, said.body, said.end, closing, len(line.pool.idle)


def chunked_alike(data: bytes) -> bool:
    """An upstream's stream, in some reads: with `chunks`, and with llhttp alone; and `streamed`."""
    streamed = compiled("streamed")
    assert streamed is not None
    for reads in ([data], pieces_of(data)):
        told = heard(reads)
        with python_alone():
            assert heard(reads) == told
    found = streamed(data, {}, passed_line)
    if found is None:
        return False
    lines, theirs, body = found
    status, headers, said, end, closing, _ = heard([data])
    if isinstance(body, int):  # a head alone
        assert data[body - 4 : body] == b"\r\n\r\n"
        if not status:  # what came behind it in this read was not HTTP
            status, headers, *_ = heard([data[:body]])
        assert status == 200
    else:
        assert (status, said, end, closing) == (200, body, "ended", False)
    assert headers["content-type"].partition(";")[0].strip().lower() == "text/event-stream"
    passed = [(line, headers[n]) for n in headers if (line := passed_line(n.encode("latin-1")))]
    assert lines == b"".join([b"%b%b\r\n" % (n, v.encode("latin-1")) for n, v in passed])
    assert theirs == (headers.get("request-id") or headers.get("x-request-id", ""))
    return True


# -- the reads of a text that flows ------------------------------------------------------------

_TEMPLATE = Template(b'data: {"choices":[{"delta":{"content":"', b'"}}]}\n\n')


def _said(text: str, *, plain: bool) -> bytes:
    return _TEMPLATE.before + json.dumps(text, ensure_ascii=plain)[1:-1].encode() + _TEMPLATE.after


def reads(rng: random.Random) -> bytes:
    """One read: chunks of frames of one shape, good as a rule."""
    frames = [
        _said(rng.choice(WORDS), plain=rng.random() < 0.5) for _ in range(rng.randrange(1, 5))
    ]
    if rng.random() < 0.3:
        frames = [b"".join(frames)]
    if rng.random() < 0.05:
        frames.append(_said("", plain=True))
    sizes = ["%x", "%x", "%X", "0%x"] + ["%x;a=b", "%x "] * (rng.random() < 0.1)
    return b"".join(
        (rng.choice(sizes) % len(one)).encode() + b"\r\n" + one + b"\r\n" for one in frames
    )


class _Body:
    """What llhttp says is in a body."""

    def __init__(self, chunks: bytes) -> None:
        self.pieces: list[bytes] = []
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        httptools.HttpResponseParser(self).feed_data(head + chunks)

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)


def tap_alike(data: bytes) -> bool:
    """A read of a flow: what takes it in C against `feed` of what is in it."""
    rng = random.Random(zlib.crc32(data))
    held = [(_said(text, plain=True), text) for text in rng.choice([[], [" s"], [" s", "ea"]])]
    words = bool(held) or rng.random() < 0.5
    fast, slow = (Flow(_TEMPLATE, 0, held, words=words, limit_bytes=1 << 20) for _ in range(2))
    sent: list[bytes] = []
    for read in (data, reads(rng)):
        before, out = _known(fast), len(sent)
        if not fast.tap(sent.append, lambda: None, lambda: 7.0)(read):
            assert (_known(fast), len(sent)) == (before, out)
            return read is not data
        with python_alone():
            said = slow.feed(b"".join(_Body(read).pieces), 7.0)
        assert said is not None
        assert b"".join(sent[out:]) == (b"%x\r\n%b\r\n" % (len(said), said) if said else b"")
        assert _known(fast) == _known(slow)
    return True


def _known(flow: Flow) -> object:
    waits = flow.half_at if flow.waiting else None
    told = (flow.said, flow.held, flow.told, flow.times.tolist())
    return told, waits, flow.mid_word, flow.spoke_at, flow.life_at
