"""What the playbooks of the exchange share: short commands, frames, an exchange with upstreams."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec

from outlast.config import RetrySettings, TimeoutSettings
from outlast.gateway.asked import Asked, Plan, Prepared
from outlast.gateway.capability import Ability, ability_of
from outlast.gateway.events import (
    Abandon,
    BytesReceived,
    Close,
    Command,
    Event,
    Forward,
    HeadReceived,
    Observe,
    OpenAttempt,
    SendHead,
    SendReply,
    SetTimer,
    Settle,
    Timer,
    TimerFired,
    Warm,
)
from outlast.gateway.exchange import Exchange
from outlast.gateway.gaps import Gaps
from outlast.gateway.limits import RetryBudget
from outlast.gateway.speaker import Speaker
from outlast.nouns import Candidate, Format, Kind, Receipt
from outlast.wire import CODECS
from outlast.wire.canon import BadRequest, Request
from outlast.wire.codec import ApiError
from tests.playbook import Playbook

MODEL = "claude-opus-4-8"


def candidate(name: str, kind: Kind = Kind.ANTHROPIC, **more: str) -> Candidate:
    return Candidate(
        upstream=name,
        model=more.pop("model", MODEL),
        kind=kind,
        provider=more.pop("provider", name),
        vendor=more.pop("vendor", name),
        credential=more.pop("credential", name),
    )


def frame(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


START = frame(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 1},
    },
)
PING = frame("ping")
TEXT_START = frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
BLOCK_STOP = frame("content_block_stop", index=0)
DELTA = frame(
    "message_delta",
    delta={"stop_reason": "end_turn", "stop_sequence": None},
    usage={"output_tokens": 7},
)
STOP = frame("message_stop")
OVERLOADED = frame("error", error={"type": "overloaded_error", "message": "Overloaded"})
ENDING = BLOCK_STOP + DELTA + STOP


def words(text: str, index: int = 0) -> bytes:
    return frame("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


HELLO = words("hello ")


def tool_start(index: int, name: str = "rm") -> bytes:
    block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
    return frame("content_block_start", index=index, content_block=block)


def arguments(text: str, index: int) -> bytes:
    delta = {"type": "input_json_delta", "partial_json": text}
    return frame("content_block_delta", index=index, delta=delta)


def thinking_start(index: int) -> bytes:
    block = {"type": "thinking", "thinking": "", "signature": ""}
    return frame("content_block_start", index=index, content_block=block)


def thinks(text: str, index: int) -> bytes:
    return frame(
        "content_block_delta", index=index, delta={"type": "thinking_delta", "thinking": text}
    )


def stop_of(index: int) -> bytes:
    return frame("content_block_stop", index=index)


DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    """One chunk of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    body = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5",
        "choices": [choice],
    }
    return f"data: {json.dumps(body)}\n\n".encode()


SSE = {"content-type": "text/event-stream"}
JSON_TYPE = {"content-type": "application/json"}


def head(number: int, status: int = 200, at: float = 1.0, **headers: str) -> HeadReceived:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HeadReceived(number, status, (SSE if status == 200 else JSON_TYPE) | named, at)


def data(number: int, chunk: bytes, at: float = 2.0) -> BytesReceived:
    return BytesReceived(number, chunk, at)


class TestPrepare:
    """Makes calls without an upstream; names in `refuses` cannot carry the request."""

    __test__ = False

    def __init__(
        self,
        asked: Asked,
        refuses: tuple[str, ...] = (),
        request: Request | None = None,
        continuation: str = "exact",
    ) -> None:
        self._asked = asked
        self._refuses = refuses
        self._continuation = continuation
        self._request = request or Request(model=asked.model, messages=(), origin=asked.format)
        self.partials: list[tuple[str, str, str | None]] = []
        """Who was asked to go on, from what, and how."""
        self.mended: list[str] = []
        """Whose history was mended; a refusal that speaks of a signature asks for it."""

    def __call__(self, candidate: Candidate) -> Prepared:
        if candidate.upstream in self._refuses:
            raise BadRequest("n", "cannot be carried")
        return Prepared(
            candidate=candidate,
            path="/v1/messages",
            headers={},
            body=b"{}",
            reader=CODECS[candidate.kind.wire].reader(),
            streamed=self._asked.stream,
            same_format=candidate.kind.wire is self._asked.format,
        )

    def writer_request(self) -> Request:
        return self._request

    def parsed(self) -> Request | None:
        return self._request

    def ability(self, candidate: Candidate) -> Ability:
        return ability_of(candidate, self._continuation)

    def mend(self, candidate: Candidate, error: ApiError | None) -> bool:
        again = error is not None and "signature" in error.message
        again = again and candidate.upstream not in self.mended
        self.mended += [candidate.upstream] if again else []
        return again

    def continuing(self, candidate: Candidate, partial: str, ability: Ability) -> Prepared:
        self.partials.append((candidate.upstream, partial, ability.how))
        return self(candidate)


def exchange(
    *candidates: Candidate | str,
    stream: bool = True,
    form: Format = Format.ANTHROPIC,
    retry: RetrySettings | None = None,
    timeouts: TimeoutSettings | None = None,
    refuses: tuple[str, ...] = (),
    request: Request | None = None,
    continuation: str = "exact",
    notice: str = "",
) -> Exchange:
    chosen = tuple(c if isinstance(c, Candidate) else candidate(c) for c in candidates)
    asked = Asked(
        id="req_1",
        format=form,
        path=CODECS[form].path,
        query="",
        headers={},
        body=b"{}",
        model=MODEL,
        stream=stream,
        at=1000.0,
        notice=notice,
    )
    plan = Plan(
        asked=asked,
        candidates=chosen,
        primary=chosen[0],
        timeouts={c.upstream: timeouts or TimeoutSettings() for c in chosen},
        retry=retry or RetrySettings(same_upstream_max=0),
    )
    prepare = TestPrepare(asked, refuses, request, continuation)
    speaker = Speaker(CODECS[form], prepare.writer_request)
    known: dict[str, Gaps] = {}

    def gaps(candidate: Candidate) -> Gaps:
        return known.setdefault(candidate.name, Gaps())

    return Exchange(plan, prepare, CODECS, speaker, RetryBudget(0.2, 3), gaps)


def short(command: Command) -> object:
    """A command as the playbooks write it."""
    match command:
        case OpenAttempt(attempt=number, candidate=candidate):
            return ("open", number, candidate.upstream)
        case Abandon(attempt=number):
            return ("abandon", number)
        case SetTimer(timer=timer, at=at):
            return ("timer", timer, at)
        case SendHead(status=status):
            return ("head", status)
        case Forward(data=data):
            return data
        case SendReply(reply=reply):
            return ("reply", reply.status)
        case Observe(candidate=candidate, observation=observation):
            return ("observe", candidate.upstream, observation.outcome.value)
        case Settle(receipt=receipt):
            return ("settle", receipt.outcome)
        case Warm(candidate=candidate):
            return ("warm", candidate.upstream)
        case Close(clean=clean):
            return ("close", "clean" if clean else "broken")


def play(machine: Exchange, *, timers: bool = False) -> Playbook[Event, Command]:
    """A playbook of an exchange that starts at 0; timers are shown only when asked for."""

    def shown(commands: list[Command]) -> list[Command]:
        return [c for c in commands if timers or not isinstance(c, SetTimer)]

    def handle(event: Event) -> list[Command]:
        return shown(machine.handle(event))

    return Playbook(shown(machine.start(0.0)), handle, short)


class Driver:
    """Runs an exchange by hand and keeps everything it said, for properties."""

    def __init__(self, machine: Exchange) -> None:
        self.machine = machine
        self.commands: list[Command] = machine.start(0.0)

    def feed(self, make: Callable[[int], Event]) -> None:
        """Feed an event to the attempt that is open now."""
        opened = [c.attempt for c in self.commands if isinstance(c, OpenAttempt)]
        self.commands += self.machine.handle(make(opened[-1] if opened else 0))

    def sends(self, chunk: bytes, at: float = 2.0) -> None:
        """The attempt that is open now sends a chunk."""
        self.feed(lambda number: BytesReceived(number, chunk, at))

    def tick(self, timer: Timer, at: float) -> None:
        """A timer fires."""
        self.feed(lambda _: TimerFired(timer, at))

    @property
    def said(self) -> bytes:
        return b"".join(c.data for c in self.commands if isinstance(c, Forward))

    @property
    def receipts(self) -> list[Receipt]:
        return [c.receipt for c in self.commands if isinstance(c, Settle)]


def decoded(body: bytes) -> dict[str, object]:
    return msgspec.json.decode(body, type=dict[str, object])
