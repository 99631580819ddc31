"""The plain case of an exchange without its machinery: asked once, answered whole, all well. Pure.

Nine of ten answers that are not streamed need no decision at all: the first candidate says 200, and
its body is a plain text with its usage. Here is what makes a request plain, what makes an answer
plain, and what is written down of both; relay/plain.py carries it out. Whatever is not plain is
the exchange's: it is told everything from the beginning (it is a function of its events), and goes
on. Properties in tests/gateway compare both ways, to the last byte and the last record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from outlast.gateway.asked import Plan, Prepared
from outlast.gateway.histories import untouched
from outlast.native import compiled
from outlast.nouns import Degraded, Format, Kind, Outcome, Scope, Tokens
from outlast.wire.anthropic.fitting import may_need_fitting
from outlast.wire.anthropic.tables import Usage, merge_tokens
from outlast.wire.canon import BadRequest
from outlast.wire.splice import Head, read_head, splice

BODY_LIMIT_BYTES = 1 << 20
"""Larger answers go the long way, which counts their bytes."""
PATIENCE_S = 5.0
"""Timers that are nearer than this want the exchange from the start."""


class Seen(NamedTuple):
    """Of a request's body, as `native.ask` says it too."""

    model: str
    stream: bool
    marked: bool
    """Whether it does not go on as it came (see `passes`)."""
    start: int
    """Where the model's JSON string stands, to `end`; 0: `splice` knows."""
    end: int
    body: bytes


Counts = tuple[int, int, int, int, int]
"""The numbers of a Tokens, in its order."""
Found = tuple[str, Counts]
_Glance = Callable[[bytes], Found | None]


def fits(plan: Plan, chat: bool) -> bool:
    """Whether a request can be plain: `chat`, one of the endpoints that answer with text.

    Where the first candidate speaks another format, carrying.py knows more.
    """
    asked, first = plan.asked, plan.candidates[0]
    timeouts = plan.timeouts[first.upstream]
    return (
        chat
        and not (asked.stream and plan.retry.hedge_after_s > 0)
        and not asked.notice
        and asked.format in _GLANCES
        and first.kind.wire in _GLANCES
        and first.kind is not Kind.LOCAL
        and min(timeouts.deadline_s, timeouts.whole_s) >= PATIENCE_S
        and (
            not asked.stream or min(timeouts.first_byte_s, timeouts.keepalive_after_s) >= PATIENCE_S
        )
    )


def passes(form: Format, body: bytes) -> bool:
    """Whether a request's body goes on as it came, but for the model's name."""
    if form is Format.ANTHROPIC and may_need_fitting(body):
        return False
    return untouched(form, body)


def look(form: Format, body: bytes) -> Seen | None:
    """Return what is to be seen of a request's body; None where only the long way can say it."""
    if _skim is not None and (seen := _skim(body, form is Format.ANTHROPIC)) is not None:
        return Seen._make((*seen, body))
    try:
        head = read_head(body)
    except BadRequest:
        return None
    return Seen(head.model, head.stream, not passes(form, body), 0, 0, body)


def named(seen: Seen, model: str) -> bytes:
    """Return the body with another model's name in it."""
    old, stream, _, start, end, body = seen
    if end:
        return b"%b%b%b" % (body[:start], _json(model), body[end:])
    return splice(body, Head(old, stream, ()), model)


def reading(form: Format) -> Callable[[bytes], Found | None] | None:
    """Return what says of most answers what `glance` says, where C is; None of the others."""
    return _completion if form is Format.OPENAI_CHAT else _message


def glance(form: Format, body: bytes) -> Found | None:
    """Return model and usage of an answer that is one plain text; None where it is anything else,
    or may be."""
    if len(body) > BODY_LIMIT_BYTES:
        return None
    read = reading(form)
    said = read(body) if read is not None else None
    if said is not None:
        return said
    return _GLANCES[form](body)


class Case(msgspec.Struct, frozen=True):
    """What a head and a model's name mean, where that is plain."""

    plan: Plan
    """As of the first such request; only its id, body and time are of no meaning."""
    prepared: Prepared
    """The call; its body as well is the first one's."""
    how: Degraded
    names: tuple[str, ...]
    """Of all who may answer: while nothing speaks against them, the first is asked."""


_skim = compiled("skim")
_completion = compiled("completion")
_message = compiled("message")
_receipt = compiled("receipt")
_json = msgspec.json.Encoder().encode
_encode = msgspec.msgpack.Encoder().encode
_time = struct.Struct(">d").pack
_DOUBLE = b"\xcb"
"""What msgpack says before a number of eight bytes."""
_ID = b"\xbc"
"""… and before a text of `ID_CHARS`."""
ID_CHARS = 28


class Form:
    """A receipt of plain answers in msgpack, as the ledger keeps it: all but what differs is
    written once. Fields that a Receipt need not have are left out.
    """

    def __init__(self, case: Case, model: str) -> None:
        """`model`: what the upstream says that answered."""
        asked, candidate = case.plan.asked, case.prepared.candidate
        receipt = {
            "key_id": asked.key_id,
            "surface": asked.path,
            "format": asked.format.value,
            "model": asked.model,
            "stream": asked.stream,
            "outcome": "ok",
            "status": 200,
            "served_by": candidate.name,
            "degraded": case.how.value,
        }
        attempt = {
            "upstream": candidate.upstream,
            "model": model,
            "outcome": Outcome.OK.value,
            "scope": Scope.NONE.value,
            "status": 200,
        }
        started, ended = _encode("started_at") + _DOUBLE, _encode("ended_at") + _DOUBLE
        self._start = bytes([0x80 | len(receipt) + 4]) + _encode("id") + _ID
        self._started, self._ended = started, ended
        self._middle = b"".join(
            (
                *(_encode(one) for pair in receipt.items() for one in pair),
                _encode("attempts"),
                b"\x91",
                bytes([0x80 | len(attempt) + 5]),
                *(_encode(one) for pair in attempt.items() for one in pair),
                started,
            )
        )
        self._first, self._tokens = _encode("first_content_s"), _encode("tokens")
        self._whole = self._first + _encode(None) + self._tokens
        self._theirs = _encode("request_id")
        start = self._start.removesuffix(_ID)
        self._parts = (start, started, ended, self._middle, self._whole, self._theirs)

    def whole(self, ident: str, at: float, ended_at: float, counts: Counts, theirs: str) -> bytes:
        """As `fill`, of an answer that was no stream."""
        if _receipt is not None:
            made: bytes | None = _receipt(self._parts, ident, at, ended_at, counts, theirs)
            if made is not None:
                return made
        return self.fill(ident, at, ended_at, Tokens(*counts), theirs, None)

    def fill(
        self,
        ident: str,
        at: float,
        ended_at: float,
        tokens: Tokens,
        theirs: str,
        first_s: float | None,
    ) -> bytes:
        """Return the receipt of an answer that was asked for and ended then (wall clock). `theirs`:
        the upstream's own request id; `ident`: ours, of ID_CHARS; `first_s`: when a stream's first
        content came, after the beginning."""
        began, end = _time(at), _time(ended_at)
        return b"".join(
            (
                self._start,
                ident.encode(),
                self._started,
                began,
                self._ended,
                end,
                self._middle,
                began,
                self._ended,
                end,
                self._whole
                if first_s is None
                else b"%b%b%b" % (self._first, _encode(first_s), self._tokens),
                _encode(tokens),
                self._theirs,
                _encode(theirs),
            )
        )


# -- answers -----------------------------------------------------------------------------------

_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class _Cached(msgspec.Struct, gc=False):
    cached_tokens: _Count = 0
    cache_write_tokens: _Count = 0


class _Thought(msgspec.Struct, gc=False):
    reasoning_tokens: _Count = 0


class _Usage(msgspec.Struct):
    prompt_tokens: _Count
    completion_tokens: _Count
    prompt_tokens_details: _Cached | None = None
    completion_tokens_details: _Thought | None = None
    prompt_cache_hit_tokens: _Count = 0
    """DeepSeek's."""


class _Message(msgspec.Struct):
    """Besides its text a message may hold what looks like nothing, in the type it would have."""

    content: str
    refusal: Literal[""] | None = None
    reasoning_content: Literal[""] | None = None
    reasoning: Literal[""] | None = None
    tool_calls: list[Any] | None = None
    function_call: None = None
    audio: None = None


class _Choice(msgspec.Struct):
    index: Literal[0]
    message: _Message
    finish_reason: Literal["stop", "length"]
    delta: None = None


class _Completion(msgspec.Struct):
    id: str
    model: str
    choices: tuple[_Choice]
    usage: _Usage
    created: int | None = None
    error: None = None


class _Block(msgspec.Struct):
    type: Literal["text"]
    text: str
    citations: list[Any] | None = None


class _Answer(msgspec.Struct):
    id: str
    type: Literal["message"]
    model: str
    content: list[_Block]
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence"]
    usage: Usage
    stop_sequence: str | None = None


def _chat(body: bytes) -> Found | None:
    try:
        # All of it is read, and not what is looked at alone: rubbish anywhere is no answer.
        answer = msgspec.convert(msgspec.json.decode(body), _Completion)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    message, usage = answer.choices[0].message, answer.usage
    if not message.content or message.tool_calls or not usage.completion_tokens:
        return None
    cached = usage.prompt_tokens_details or _Cached()
    thought = usage.completion_tokens_details or _Thought()
    read = cached.cached_tokens or usage.prompt_cache_hit_tokens
    return answer.model, _chat_counts(
        usage.prompt_tokens,
        usage.completion_tokens,
        read,
        cached.cache_write_tokens,
        thought.reasoning_tokens,
    )


def _chat_counts(prompt: int, output: int, read: int, write: int, reasoning: int) -> Counts:
    """Prompts are counted whole there, with what was read of a cache and written to it."""
    read = min(read, prompt)
    write = min(write, prompt - read)
    return prompt - read - write, output, read, write, reasoning


def plain_message(body: bytes) -> tuple[_Answer, Tokens] | None:
    """Return a message that is one plain text, or several, and its usage."""
    if len(body) > BODY_LIMIT_BYTES:
        return None
    try:
        answer = msgspec.convert(msgspec.json.decode(body), _Answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if not answer.content or not all(one.text and not one.citations for one in answer.content):
        return None
    tokens = merge_tokens(None, answer.usage)
    if tokens is None or not tokens.output or tokens.estimated:
        return None
    return answer, tokens


def _messages(body: bytes) -> Found | None:
    read = plain_message(body)
    if read is None:
        return None
    answer, tokens = read
    cached = (tokens.cache_read, tokens.cache_write)
    return answer.model, (tokens.input, tokens.output, *cached, tokens.reasoning)


_GLANCES: Mapping[Format, _Glance] = {Format.OPENAI_CHAT: _chat, Format.ANTHROPIC: _messages}
