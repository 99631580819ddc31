"""One attempt's answer as it comes in: a stream, a whole body, or an error body. Pure.

The leg watches; it does not decide what a failure leads to. Everything that can be wrong with an
answer becomes `Broken` with a Verdict: an error status, an error inside a 200, a frame that is
not of its format, a clean end before the end, a page instead of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from outlast.gateway.asked import Prepared
from outlast.gateway.flow import Flow, Render
from outlast.gateway.holding import Holder, HoldLimit, HoldPolicy, TornToolCall, Unit
from outlast.gateway.skimming import FRAME_LIMIT_BYTES, Template
from outlast.nouns import Scope, Tokens
from outlast.outcome import Fault, Verdict, classify_fault, classify_status, retry_after_s
from outlast.wire.canon import JSON
from outlast.wire.codec import ApiError, Codec
from outlast.wire.estimate import estimate_tokens
from outlast.wire.sse import EndlessEvent, ServerSentEvent, SSEParser
from outlast.wire.stops import StopCutter
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    MalformedFrame,
    Ping,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)

ERROR_BODY_LIMIT_BYTES = 256 << 10
_OPENING = (Start, BlockStart)
"""What may be said with the first piece of a text without being said in its place."""
MISSES_MAX = 4
"""After so many pieces in a row that looked unlike the one before, it is not tried again."""


class Broken(Exception):
    """The attempt failed. `error` where the upstream gave one, with its `body` as it came."""

    def __init__(self, verdict: Verdict, error: ApiError | None = None, body: bytes = b"") -> None:
        super().__init__(verdict.evidence)
        self.verdict = verdict
        self.error = error
        self.body = body
        self.units: list[Unit] = []
        """What was good in the chunk that broke it."""


def broke(kind: str, detail: str = "") -> Broken:
    fault = msgspec.convert({"kind": kind, "detail": detail}, Fault)
    return Broken(classify_fault(fault))


def estimated(
    told: Tokens | None, said: Sequence[str], prompt_tokens: int, *, stopped: bool
) -> Tokens:
    """Return what an answer cost that said this: as told, as far as that counts; `stopped`: it is
    whole."""
    counted = told is not None and (told.output or not said)
    if told is not None and counted and stopped:
        return told
    if told is None and not said and not prompt_tokens:
        return Tokens()  # nothing came, so nothing was counted
    return completed(told, estimate_tokens("".join(said)), prompt_tokens)


def completed(told: Tokens | None, output: int, prompt_tokens: int) -> Tokens:
    """Return what was told with the estimates of what was not."""
    known = told or Tokens()
    return Tokens(
        input=known.input or prompt_tokens,
        output=max(known.output, output),
        cache_read=known.cache_read,
        cache_write=known.cache_write,
        estimated=True,
    )


class Leg:
    """Feed it what the upstream sends: `head`, then `feed` per chunk, then `end`."""

    def __init__(
        self,
        prepared: Prepared,
        codec: Codec,
        policy: HoldPolicy,
        whole_limit_bytes: int,
        prompt_tokens: int = 0,
    ) -> None:
        self._prepared = prepared
        self._prompt_tokens = prompt_tokens
        self._codec = codec
        self._legible = codec.legible if prepared.same_format else None
        self._parser = SSEParser()
        whole_objects = policy.object_arguments or not prepared.same_format
        self._holder = Holder(msgspec.structs.replace(policy, object_arguments=whole_objects))
        self._body = bytearray()
        self._whole_limit_bytes = whole_limit_bytes
        self._said_chars: list[str] = []
        self.skims = False
        """Whether pieces of text may be read many at once, because nothing looks at each of them:
        set by the exchange."""
        self._piece: TextDelta | None = None
        """The last piece of text, where it `skims`, and nothing else came after it."""
        self._misses = 0
        self._template: Template | None = None
        self._signature = ""
        self.signed: list[str] = []
        """Signatures of whole blocks, and the data of redacted ones."""
        self._cutter = StopCutter(prepared.stops) if prepared.stops else None
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.tokens: Tokens | None = None
        self.model = ""
        self.request_id = ""

    @property
    def streaming(self) -> bool:
        return self._prepared.streamed and self.status is not None and self.status < 300

    @property
    def committed(self) -> bool:
        return self._holder.committed

    @property
    def content_seen(self) -> bool:
        return self._holder.content_seen

    @property
    def content_size(self) -> int:
        """How many pieces of content have come, of any length."""
        return len(self._said_chars)

    @property
    def stopped(self) -> bool:
        """Whether the model finished: only the format's last word, or the usage, is missing."""
        return self._holder.stopped or getattr(self._prepared.reader, "finished", False)

    @property
    def ended(self) -> bool:
        return self._holder.ended

    @property
    def holding(self) -> bool:
        return self._holder.held

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Take in the response's head; header names are lower-case. Raises Broken."""
        self.status, self.headers = status, headers
        self.request_id = headers.get("request-id") or headers.get("x-request-id", "")
        if 300 <= status < 400:
            raise broke("wrong_type", f"HTTP {status}: redirects are not followed")
        if self.streaming:
            media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != "text/event-stream":
                raise broke("wrong_type", f"{media_type or 'no content type'} for a stream")

    def feed(self, data: bytes) -> list[Unit]:
        """Take in a chunk; return the units that may be shown now. Raises Broken."""
        if not self.streaming:
            self._collect(data)
            return []
        released: list[Unit] = []
        while data and not self._holder.ended:
            if self._piece is not None and self._holder.flowing:
                units, data = self._skim(data)
                released += units
                if not data:
                    break
            portion, data = self._portion(data)
            try:
                frames = self._parser.feed(portion)
            except EndlessEvent as error:
                raise broke("oversize", str(error)) from error
            for frame in frames:
                if self.ended:
                    break
                try:
                    events = self._events_of(frame)
                    raw = self._legible(frame) if self._legible else frame.raw
                    released += self._take(raw, events)
                except Broken as broken:
                    broken.units = released
                    raise
                self._remember(raw, events)
        return released

    def _portion(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what to read in full, and the rest: one frame where the next may be skimmed."""
        if self.skims and self._misses < MISSES_MAX:
            end = data.find(b"\n\n") + 2
            if 1 < end < len(data):
                return data[:end], data[end:]
        return data, b""

    def _remember(self, raw: bytes, events: list[AnswerEvent]) -> None:
        """Keep a frame that said one piece of text: the next ones may look like it."""
        if not self.skims or not events or isinstance(events[0], Ping):
            return
        piece, before = events[-1], events[:-1]
        if not isinstance(piece, TextDelta) or not all(isinstance(e, _OPENING) for e in before):
            self._piece = self._template = None
            return
        self._piece = piece
        if self._template is None or not self._template.fits(raw):
            self._template = Template.of(raw, piece.text)

    def _skim(self, data: bytes) -> tuple[list[Unit], bytes]:
        """Read the pieces of text at the head of a chunk all at once; return the rest."""
        flow = self.flow()
        if flow is None:
            self._misses += 1
            return [], data
        whole, flow.rest = flow.rest + data, b""
        found = flow.read(whole)
        if found is None:
            self.absorb(flow)
            self._misses += 1
            return [], whole
        out = flow.tell(whole, found, 0.0)
        self.absorb(flow)
        self._misses = 0
        told = flow.told
        said: list[AnswerEvent] = [TextDelta(flow.index, "".join(told))]
        return [Unit(out, said, told)] if told else [], whole[found.end :]

    def flow(self, render: Render | None = None) -> Flow | None:
        """Return what may take in reads in this one's place, until `absorb`; None: now nothing."""
        piece, template = self._piece, self._template
        held = self._holder.lend() if template is not None else None
        rest = self._parser.lend(b"", FRAME_LIMIT_BYTES) if held is not None else None
        if piece is None or template is None or held is None or rest is None:
            return None
        policy = self._holder.policy
        flow = Flow(
            template,
            piece.index,
            held,
            rest,
            words=policy.hold_words,
            limit_bytes=policy.limit_bytes,
            render=render,
        )
        flow.mid_word = self._holder.mid_word
        return flow

    def absorb(self, flow: Flow) -> None:
        """Go on from where a flow has got to."""
        self._parser.feed(flow.rest)
        self._said_chars += flow.said
        self._holder.take_back(flow)

    def flush(self) -> list[Unit]:
        """Return what waits for the end of a word only."""
        return self._holder.flush()

    @property
    def waiting_for_word(self) -> bool:
        return self._holder.waiting_for_word

    @property
    def mid_word(self) -> bool:
        """Whether the last text shown may end inside a word."""
        return self._holder.mid_word

    def end(self, now: float) -> list[Unit]:
        """The upstream ended cleanly: return what remains. Raises Broken, always for an error."""
        if self.status is None:
            raise broke("eof", "no answer at all")
        if self.status >= 300:
            raise self._error(now)
        if not self.streaming:
            return [Unit(bytes(self._body), self._whole())]
        if self.ended:
            return []
        if self.stopped:
            # What is missing is added, truthfully.
            return self._take(b"", self._missing_end())
        raise broke("eof", "a clean end in the middle" if self.content_seen else "no content")

    def estimated(self, prompt_tokens: int) -> Tokens:
        """Tokens as far as known; output that was never counted is estimated and says so."""
        stopped = self._holder.stopped
        return estimated(self.tokens, self._said_chars, prompt_tokens, stopped=stopped)

    def _events_of(self, frame: ServerSentEvent) -> list[AnswerEvent]:
        try:
            # A client chokes on other bytes, and noise before `data:` swallows the whole line.
            frame.raw.decode()
        except UnicodeDecodeError as error:
            raise broke("malformed", "bytes that are not UTF-8") from error
        try:
            return self._cut(self._prepared.reader.feed(frame))
        except MalformedFrame as error:
            raise broke("malformed", str(error)[:200]) from error

    def _cut(self, events: list[AnswerEvent]) -> list[AnswerEvent]:
        """Honour stop sequences where the upstream cannot."""
        if self._cutter is None:
            return events
        kept = [one for event in events for one in self._cutter.feed(event)]
        if not self._cutter.cut:
            return kept
        told = next((e.tokens for e in events if isinstance(e, Stop) and e.tokens), None)
        return [self._counted(e, told) if isinstance(e, Stop) else e for e in kept]

    def _counted(self, stop: Stop, told: Tokens | None) -> Stop:
        """A stop of our own making with what the answer cost: as told, else as estimated."""
        if stop.tokens is not None:
            return stop
        return msgspec.structs.replace(stop, tokens=told or self.estimated(self._prompt_tokens))

    def _take(self, raw: bytes, events: list[AnswerEvent]) -> list[Unit]:
        for event in events:
            match event:
                case Failed():
                    raise Broken(
                        classify_status(
                            event.status, type=event.type, message=event.message, in_answer=True
                        ),
                        ApiError(event.status or 500, event.message, event.type),
                    )
                case Start(model=model, tokens=tokens):
                    self.model = model or self.model
                    self.tokens = tokens or self.tokens
                case Stop(tokens=tokens):
                    self.tokens = tokens or self.tokens
                case TextDelta(text=text) | ThinkingDelta(text=text) | ArgsDelta(json=text):
                    self._said_chars.append(text)
                case SignatureDelta() | BlockStart() | BlockStop():
                    self._sign(event)
                case _:
                    pass
        try:
            return self._holder.feed(Unit(raw, events))
        except TornToolCall as error:
            raise broke("malformed", str(error)) from error
        except HoldLimit as error:
            raise broke("oversize", str(error)) from error

    def _sign(self, event: SignatureDelta | BlockStart | BlockStop) -> None:
        """Collect what is signed: a block that never ends was never signed."""
        match event:
            case SignatureDelta(signature=signature):
                self._signature += signature
            case BlockStart(data=data):
                self._signature = data
            case BlockStop():
                self.signed += [self._signature] if self._signature else []
                self._signature = ""

    def _missing_end(self) -> list[AnswerEvent]:
        finish = getattr(self._prepared.reader, "finish", None)
        return finish() if finish is not None else [End()]

    def _collect(self, data: bytes) -> None:
        limit = self._whole_limit_bytes
        if self.status is not None and self.status >= 300:
            limit = ERROR_BODY_LIMIT_BYTES
            data = data[: max(0, limit - len(self._body))]
        self._body += data
        if len(self._body) > limit:
            raise broke("oversize", f"more than {limit} bytes")

    def _whole(self) -> list[AnswerEvent]:
        media_type = self.headers.get("content-type", "")
        if "json" not in media_type and not self._body.lstrip().startswith((b"{", b"[")):
            raise broke("wrong_type", media_type.partition(";")[0] or "no content type")
        try:
            body = msgspec.json.decode(self._body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise broke("malformed", "the body is not JSON, or cut") from error
        if not isinstance(body, dict):
            raise broke("malformed", "the body is not an object")
        try:
            events = self._cut(self._codec.parse_answer(body))
        except MalformedFrame as error:
            self._take(b"", self._failed_inside(body))
            raise broke("malformed", str(error)[:200]) from error
        self._take(b"", events)
        return events

    def _failed_inside(self, body: JSON) -> list[AnswerEvent]:
        """What a body with an error in the place of an answer means: the same as in a stream."""
        if not body.get("error"):
            return []
        try:
            events = self._prepared.reader.feed(ServerSentEvent("error", bytes(self._body), b""))
        except MalformedFrame:
            return []
        return [event for event in events if isinstance(event, Failed)]

    def _error(self, now: float) -> Broken:
        assert self.status is not None
        body = bytes(self._body)
        error = self._codec.parse_error(self.status, body)
        verdict = classify_status(
            self.status,
            type=error.type,
            code=error.code,
            message=error.message,
            retry_after_s=retry_after_s(self.headers, now),
        )
        if not verdict.movable and body.lstrip()[:1] == b"<":
            # No API writes pages: something in front of it did, and never read the request.
            verdict = msgspec.structs.replace(
                broke("wrong_type", f"HTTP {self.status}").verdict, scope=Scope.MODEL
            )
        return Broken(verdict, error, body)
