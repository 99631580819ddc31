"""The plain case of an exchange without its machinery: asked once, answered whole, all well. Pure.

Nine of ten answers that are not streamed need no decision at all: the first candidate says 200, and
its body is a plain text with its usage. For these the commands are made here directly. Whatever
else happens, the exchange is built after all, told everything from the beginning (it is a function
of its events), and goes on. A property in tests/gateway/test_express.py compares the commands of
both for any answer, cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from outlast.gateway import verdicts
from outlast.gateway.asked import Plan, Prepared, Reply
from outlast.gateway.events import (
    BodyEnded,
    BytesReceived,
    Command,
    Event,
    HeadReceived,
    Observe,
    OpenAttempt,
    SendReply,
    SetTimer,
    Settle,
)
from outlast.gateway.record import degraded_of, observation_of, served
from outlast.nouns import Attempt, Candidate, Format, Kind, Outcome, Receipt, Scope, Tokens
from outlast.wire.anthropic.tables import Usage, merge_tokens
from outlast.wire.canon import BadRequest
from outlast.wire.openai_chat.chunks import tokens_of

BODY_LIMIT_BYTES = 1 << 20
"""Larger bodies go the long way, which counts their bytes."""

Glance = Callable[[dict[str, Any]], tuple[str, Tokens] | None]


class Machine(Protocol):
    """What runs an exchange, as its shell sees it."""

    def start(self, now: float) -> list[Command]: ...
    def handle(self, event: Event) -> list[Command]: ...


def fits(plan: Plan, chat: bool) -> bool:
    """Whether a request can be plain: `chat`, one of the endpoints that answer with text."""
    asked, first = plan.asked, plan.candidates[0]
    return (
        chat
        and not asked.stream
        and not asked.notice
        and asked.format in _GLANCES
        and first.kind.wire is asked.format
        and first.kind is not Kind.LOCAL
    )


class Express:
    """As Exchange: `start`, then `handle` each event. For requests that `fits`."""

    __slots__ = (
        "_build",
        "_bytes",
        "_done",
        "_heard",
        "_machine",
        "_plan",
        "_prepare",
        "_prepared",
        "_started_at",
    )

    def __init__(
        self,
        plan: Plan,
        prepare: Callable[[Candidate], Prepared],
        build: Callable[[], Machine],
    ) -> None:
        """`build` makes the exchange of the same plan."""
        self._plan = plan
        self._prepare = prepare
        self._build = build
        self._machine: Machine | None = None
        self._prepared: Prepared | None = None
        self._heard: list[Event] = []
        self._bytes = 0
        self._done = False
        self._started_at = 0.0

    def start(self, now: float) -> list[Command]:
        plan, candidate = self._plan, self._plan.candidates[0]
        self._started_at = now
        try:
            prepared = self._prepared = self._prepare(candidate)
        except BadRequest:
            self._machine = self._build()
            return self._machine.start(now)
        timeouts = plan.timeouts[candidate.upstream]
        return [
            SetTimer("deadline", now + timeouts.deadline_s),
            OpenAttempt(0, candidate, prepared),
            SetTimer("watch", now + timeouts.whole_s),
        ]

    def handle(self, event: Event) -> list[Command]:
        if self._machine is not None:
            return self._machine.handle(event)
        if self._done:
            return []
        if type(event) is HeadReceived and event.status == 200:
            self._heard.append(event)
            return []
        if type(event) is BytesReceived and self._bytes <= BODY_LIMIT_BYTES:
            self._bytes += len(event.data)
            self._heard.append(event)
            return []
        if type(event) is BodyEnded and (commands := self._plain(event.now)) is not None:
            self._done = True
            return commands
        return self._the_long_way(event)

    def _the_long_way(self, event: Event) -> list[Command]:
        machine = self._machine = self._build()
        machine.start(self._started_at)  # its commands were carried out
        for heard in self._heard:
            machine.handle(heard)  # pieces of a body: nothing follows from them yet
        return machine.handle(event)

    def _plain(self, now: float) -> list[Command] | None:
        """Return the commands of a plain answer; None where it is anything else."""
        head = self._heard[0] if self._heard else None
        if type(head) is not HeadReceived:
            return None
        pieces = [event.data for event in self._heard[1:] if type(event) is BytesReceived]
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._bytes > BODY_LIMIT_BYTES or (found := self._glance(body)) is None:
            return None
        return self._succeeded(head, body, *found, now)

    def _succeeded(
        self, head: HeadReceived, body: bytes, model: str, tokens: Tokens, now: float
    ) -> list[Command]:
        prepared, plan = self._prepared, self._plan
        assert prepared is not None
        asked, candidate, took_s = plan.asked, prepared.candidate, now - self._started_at
        ended_at, how, theirs = asked.at + took_s, degraded_of(plan, candidate), head.headers
        attempt = Attempt(
            upstream=candidate.upstream,
            model=model or candidate.model,
            outcome=Outcome.OK,
            scope=Scope.NONE,
            started_at=asked.at,
            ended_at=ended_at,
            status=200,
            tokens=tokens,
            request_id=theirs.get("request-id") or theirs.get("x-request-id", ""),
        )
        receipt = Receipt(
            id=asked.id,
            key_id=asked.key_id,
            surface=asked.path,
            format=asked.format,
            model=asked.model,
            stream=False,
            started_at=asked.at,
            ended_at=ended_at,
            outcome="ok",
            status=200,
            served_by=candidate.name,
            degraded=how,
            attempts=(attempt,),
            dropped=prepared.dropped,
        )
        headers = verdicts.passed_headers(theirs)
        headers["outlast-request-id"] = asked.id
        headers["outlast-receipt"] = asked.receipt_path
        headers["outlast-attempts"] = "1"
        headers |= served(prepared, attempt.model, how)
        headers["content-type"] = "application/json"
        observation = observation_of(attempt, candidate, took_s)
        return [
            Observe(candidate, observation, refused=prepared.refused),
            Settle(receipt),
            SendReply(Reply(200, headers, body)),
        ]

    def _glance(self, body: bytes) -> tuple[str, Tokens] | None:
        try:
            answer = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if type(answer) is not dict or self._prepared is None or self._prepared.stops:
            return None
        found = _GLANCES[self._plan.asked.format](answer)
        return found if found is not None and found[1].output else None


def _chat(answer: dict[str, Any]) -> tuple[str, Tokens] | None:
    """Return model and usage of a chat completion that is one plain text."""
    choices, model = answer.get("choices"), answer.get("model")
    if answer.get("error") is not None or type(choices) is not list or len(choices) != 1:
        return None
    choice = choices[0]
    if type(choice) is not dict or choice.get("finish_reason") not in _CHAT_ENDS:
        return None
    message = choice.get("message")
    if type(message) is not dict or not _nothing(message, _CHAT_EMPTY):
        return None
    content, created = message.get("content"), answer.get("created")
    if type(model) is not str or type(answer.get("id")) is not str:
        return None
    plain = (
        type(content) is str
        and content != ""
        and choice.get("delta") is None
        and type(choice.get("index")) is int
        and choice["index"] == 0
        and (created is None or type(created) is int)
    )
    tokens = tokens_of(answer.get("usage")) if plain else None
    return (model, tokens) if tokens is not None else None


def _messages(answer: dict[str, Any]) -> tuple[str, Tokens] | None:
    """Return model and usage of a message whose blocks are plain texts."""
    blocks, model, usage = answer.get("content"), answer.get("model"), answer.get("usage")
    if answer.get("type") != "message" or answer.get("stop_reason") not in _MESSAGE_ENDS:
        return None
    if type(blocks) is not list or not blocks or type(usage) is not dict:
        return None
    for block in blocks:
        if type(block) is not dict or block.get("type") != "text":
            return None
        if not _nothing(block, _BLOCK_EMPTY):
            return None
        if type(block.get("text")) is not str or not block["text"]:
            return None
    sequence = answer.get("stop_sequence")
    if type(model) is not str or type(answer.get("id")) is not str:
        return None
    if sequence is not None and type(sequence) is not str:
        return None
    try:
        tokens = merge_tokens(None, msgspec.convert(usage, Usage))
    except msgspec.ValidationError:
        return None
    return (model, tokens) if tokens is not None else None


def _nothing(holder: Mapping[str, Any], empty: Mapping[str, object]) -> bool:
    """Whether nothing is there, in the type it would have: `refusal: []` is not the format."""
    found = ((holder.get(name), nothing) for name, nothing in empty.items())
    return all(one is None or one == nothing for one, nothing in found)


_CHAT_ENDS = ("stop", "length")
_MESSAGE_ENDS = ("end_turn", "max_tokens", "stop_sequence")
_CHAT_EMPTY: Mapping[str, object] = {
    "refusal": "",
    "reasoning_content": "",
    "reasoning": "",
    "tool_calls": [],
    "function_call": None,
    "audio": None,
}
"""What a message may hold besides its text, as it looks where there is none; the rest goes the
long way."""
_BLOCK_EMPTY: Mapping[str, object] = {"citations": []}
_GLANCES: Mapping[Format, Glance] = {Format.OPENAI_CHAT: _chat, Format.ANTHROPIC: _messages}
