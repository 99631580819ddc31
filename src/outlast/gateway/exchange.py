"""One client request, from arrival to last byte: events in, commands out. Pure.

The exchange decides; the pump does. Nothing here sleeps, reads a clock or touches a socket.

    TRYING ──first content──▶ COMMITTED ──end──▶ DONE
     │  ▲  ▲                      │  ▲
     │  │  └─retry timer─ WAITING │  └─another voice goes on─ RESUMING
     │  └──next candidate───┐     └──failure──▶ ────────────────┘ │
     └──────failure─────────┘       DONE (in-band error, unclean close) ◀─ nobody can

The subtle rules:
* While only held things exist (holding.py) the client has seen nothing of an attempt, and any
  failure moves on unseen. Pings of our own may have been sent; they commit to a status 200 and
  to nothing else.
* Every OpenAttempt is answered by exactly one Observe, and every exchange by exactly one Settle,
  which stands before the last bytes: what the client holds whole is on record.
* What was shown is never taken back or said again: resuming.py decides what may follow it,
  splicer.py makes another attempt's answer follow, and nobody ever closes what is torn.
* Failing over is not charged to anybody; asking the same upstream again is (limits.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from outlast.config import RetrySettings, TimeoutSettings
from outlast.gateway import verdicts
from outlast.gateway.asked import Asked, Prepared, Reply
from outlast.gateway.capability import INSTRUCT, Ability
from outlast.gateway.events import (
    Abandon,
    AttemptBroke,
    BodyEnded,
    BytesReceived,
    ClientGone,
    ClientSlow,
    Close,
    Command,
    Event,
    Forward,
    HeadReceived,
    OpenAttempt,
    SendHead,
    SendReply,
    SetTimer,
    Settle,
    TimerFired,
)
from outlast.gateway.holding import HoldPolicy, Unit
from outlast.gateway.leg import Broken, Leg, broke
from outlast.gateway.limits import RetryBudget
from outlast.gateway.record import Record
from outlast.gateway.resuming import Continue, Finish, FinishTools, Going, Restart, again, decide
from outlast.gateway.routing import degraded, next_candidate
from outlast.gateway.speaker import Speaker
from outlast.gateway.splicer import Misfit, Splicer
from outlast.nouns import Candidate, Degraded, Format, Outcome, Scope
from outlast.outcome import Verdict, classify_fault
from outlast.wire.canon import BadRequest, Request
from outlast.wire.codec import ApiError, Codec
from outlast.wire.estimate import estimate_tokens
from outlast.wire.stream import AnswerEvent, BlockStop, End, MalformedFrame, Stop, StopReason

GRACE_S = 2.0
"""How long the format's last word may take after the model said why it stopped."""


class Plan(msgspec.Struct, frozen=True):
    """What an exchange may do: decided once, before it starts."""

    asked: Asked
    candidates: tuple[Candidate, ...]
    """In the order to try them."""
    primary: Candidate
    """What was asked for: degradation is measured against it."""
    timeouts: Mapping[str, TimeoutSettings]
    """By upstream name; every candidate has one."""
    retry: RetrySettings
    whole_limit_bytes: int = 64 << 20
    prompt_tokens: int = 0
    """An estimate, for attempts whose upstream never counted."""


class Prepare(Protocol):
    """Makes a candidate's call; raises BadRequest where that candidate cannot carry it."""

    def __call__(self, candidate: Candidate) -> Prepared: ...

    def writer_request(self) -> Request:
        """What the client's writer has to know of the request."""

    def parsed(self) -> Request | None:
        """The canonical request; None where it has a form that only its own vendor knows."""

    def continuing(self, candidate: Candidate, partial: str, ability: Ability) -> Prepared:
        """The call that asks a candidate to go on from `partial`. Raises BadRequest."""

    def ability(self, candidate: Candidate) -> Ability:
        """How this candidate can go on with somebody else's answer."""


class Exchange:
    """`start`, then `handle` each event; carry out the returned commands in order."""

    def __init__(
        self,
        plan: Plan,
        prepare: Prepare,
        codecs: Mapping[Format, Codec],
        speaker: Speaker,
        budget: RetryBudget,
    ) -> None:
        self._plan = plan
        self._asked = plan.asked
        self._prepare = prepare
        self._codecs = codecs
        self._speaker = speaker
        self._budget = budget
        self._record = Record(plan)
        self._attempt = -1
        self._candidate: Candidate | None = None
        self._prepared: Prepared | None = None
        self._leg: Leg | None = None
        self._tried: list[tuple[Candidate, Verdict]] = []
        self._left = list(plan.candidates)
        self._untranslatable: BadRequest | None = None
        self._retries = 0
        self._life_at = 0.0
        self._content_at = 0.0
        self._spoke_at = 0.0
        self._started_at = 0.0
        self._head_sent = False
        self._going_on: Going | None = None
        self._resumptions = 0
        self.done = False

    # -- the interface --------------------------------------------------------------------------

    def start(self, now: float) -> list[Command]:
        self._started_at = self._spoke_at = now
        self._record.start(now)
        first = self._plan.timeouts[self._plan.candidates[0].upstream]
        timers: list[Command] = [SetTimer("deadline", now + first.deadline_s)]
        if self._asked.stream:
            timers.append(SetTimer("keepalive", now + first.keepalive_after_s))
        return timers + self._next(now)

    def handle(self, event: Event) -> list[Command]:
        if self.done:
            return []
        match event:
            case TimerFired():
                return self._timer(event)
            case ClientGone(now=now):
                return self._client_gone(now)
            case ClientSlow(now=now):
                self._life_at = self._content_at = now
                return []
            case _ if event.attempt != self._attempt or self._leg is None:
                return []  # a late word from an attempt that was left
        leg = self._leg
        assert leg is not None
        try:
            match event:
                case HeadReceived(status=status, headers=headers, now=now):
                    self._life_at = now
                    leg.head(status, headers)
                    return []
                case BytesReceived(data=data, now=now):
                    return self._received(leg, data, now)
                case BodyEnded(now=now):
                    return self._deliver(leg, leg.end(self._record.wall(now)), now)
                case AttemptBroke(fault=fault, now=now):
                    return self._broke(leg, Broken(classify_fault(fault)), now)
        except Broken as broken:
            return self._failed(broken, event.now)
        except (MalformedFrame, ValueError) as error:
            return self._failed(broke("malformed", str(error)[:200]), event.now)

    # -- an attempt's answer --------------------------------------------------------------------

    def _received(self, leg: Leg, data: bytes, now: float) -> list[Command]:
        self._life_at = now
        seen = leg.content_seen
        units = leg.feed(data)
        if leg.content_seen:
            self._content_at = now
            if not seen:
                self._record.first_content(now)
        return self._deliver(leg, units, now)

    def _broke(self, leg: Leg, broken: Broken, now: float) -> list[Command]:
        """The connection broke; an answer whose model had finished is whole all the same."""
        if leg.streaming and leg.stopped:
            return self._deliver(leg, leg.end(now), now)
        if leg.status is not None and leg.status >= 300:
            return self._deliver(leg, leg.end(now), now)  # an error status is told all the same
        return self._failed(broken, now)

    def _deliver(self, leg: Leg, units: list[Unit], now: float) -> list[Command]:
        if not units:
            return []
        if not self._asked.stream:
            return self._whole(leg, units, now)
        commands: list[Command] = []
        prepared = self._prepared
        assert prepared is not None
        if self._going_on is not None:
            data = self._go_on(self._going_on, units)
        else:
            if not self._record.committed:
                self._speaker.begin(same_format=prepared.same_format)
            data = self._speaker.say(units)
        self._record.committed = True
        if not self._head_sent:
            self._head_sent = True
            commands.append(SendHead(200, self._stream_headers(leg)))
        self._spoke_at = now
        if not leg.ended:
            return [*commands, Forward(data)] if data else commands
        commands += self._succeeded(leg, now)
        return [*commands, Forward(data), Close(clean=True)]

    def _whole(self, leg: Leg, units: list[Unit], now: float) -> list[Command]:
        """A whole answer was asked for: nothing is sent before everything is here."""
        self._record.keep(units)
        if not leg.ended:
            return []
        prepared = self._prepared
        assert prepared is not None
        headers = self._record.truth(leg, self._candidate)
        if prepared.same_format and not prepared.streamed:
            body = units[-1].raw
            headers = verdicts.passed_headers(leg.headers) | headers
        else:
            codec = self._codecs[self._asked.format]
            body = self._record.render(codec, self._prepare.writer_request())
        headers["content-type"] = "application/json"
        return [*self._succeeded(leg, now), SendReply(Reply(200, headers, body))]

    def _succeeded(self, leg: Leg, now: float) -> list[Command]:
        candidate = self._candidate
        assert candidate is not None
        self.done = True
        observe = self._record.attempt(candidate, leg, None, now)
        return [observe, Settle(self._record.receipt("ok", 200, now))]

    def _stream_headers(self, leg: Leg | None) -> dict[str, str]:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }
        if leg is None:
            return headers | self._record.identity()
        if self._prepared is not None and self._prepared.same_format:
            headers = verdicts.passed_headers(leg.headers) | headers
        return headers | self._record.truth(leg, self._candidate)

    # -- failures -------------------------------------------------------------------------------

    def _failed(self, broken: Broken, now: float) -> list[Command]:
        """This attempt is over. Move on, or end truthfully."""
        candidate, leg = self._candidate, self._leg
        assert candidate is not None
        assert leg is not None
        observe = self._record.attempt(candidate, leg, broken.verdict, now)
        left: list[Command] = [observe, Abandon(self._attempt)]
        if self._record.committed and broken.units and self._going_on is None:
            left.insert(0, Forward(self._speaker.say(broken.units)))
        self._tried.append((candidate, broken.verdict))
        self._leg = None
        if self._record.committed:
            return left + self._resume(candidate, broken.verdict, now)
        if not broken.verdict.movable:
            return left + self._refuse(broken, leg, now)
        return left + self._next(now)

    def _next(self, now: float) -> list[Command]:
        """Open the next attempt, wait for a retry, or give up."""
        deadline_s = self._plan.timeouts[self._plan.candidates[0].upstream].deadline_s
        in_time = now - self._started_at < deadline_s
        while in_time and len(self._tried) < self._plan.retry.max_attempts:
            candidate = next_candidate(self._left, self._tried)
            if candidate is None:
                break
            self._left.remove(candidate)
            try:
                prepared = self._call(candidate)
            except BadRequest as reason:
                self._untranslatable = self._untranslatable or reason
                continue
            return self._open(candidate, prepared, now)
        if self._going_on is not None:
            return self._end_broken(self._going_on.verdict, now)
        if in_time and (wait_s := self._retry_wait_s(now)) is not None:
            return [SetTimer("retry", now + wait_s)]
        return self._exhausted(now)

    def _open(self, candidate: Candidate, prepared: Prepared, now: float) -> list[Command]:
        self._attempt += 1
        self._candidate, self._prepared = candidate, prepared
        alternatives = bool(self._left)
        self._leg = Leg(
            prepared,
            self._codecs[candidate.kind.wire],
            HoldPolicy(hold_thinking=alternatives),
            self._plan.whole_limit_bytes,
        )
        self._life_at = self._content_at = now
        self._record.open(prepared, now)
        return [OpenAttempt(self._attempt, candidate, prepared), SetTimer("watch", self._due())]

    # -- going on after a break in sight of the client --------------------------------------------

    def _resume(self, candidate: Candidate, verdict: Verdict, now: float) -> list[Command]:
        """The client has seen a part: let somebody go on, finish, or end truthfully."""
        going_on = self._going_on
        if going_on is not None and not going_on.heard:
            if verdict.scope is Scope.REQUEST and going_on.ability.how == "prefill":
                # It does not take a last turn by the assistant, whatever the table says.
                going_on.instructed.add(candidate.name)
                self._left.insert(0, candidate)
            return self._next(now)
        transcript = self._speaker.transcript
        decision = decide(transcript, self._prepare.parsed(), self._tokens_left())
        match decision:
            case FinishTools():
                return self._finish_here("tool_use", candidate, verdict, now)
            case Finish(reason=reason):
                return self._finish_here(reason, candidate, verdict, now)
            case Continue() | Restart() if self._resumptions < self._plan.retry.resumptions_max:
                self._going_on = Going(candidate, verdict, decision)
                self._left = again(self._plan.candidates, candidate)
                self._tried = [(candidate, verdict)]
                return self._next(now)
            case _:
                return self._end_broken(verdict, now)

    def _call(self, candidate: Candidate) -> Prepared:
        """Make this candidate's call, new or going on. Raises BadRequest."""
        going_on = self._going_on
        if going_on is None or isinstance(going_on.decision, Restart):
            return self._prepare(candidate)
        ability = self._prepare.ability(candidate)
        if candidate.name in going_on.instructed:
            ability = INSTRUCT
        if ability.how is None:
            raise BadRequest("", "this upstream does not continue answers")
        going_on.ability = ability
        return self._prepare.continuing(candidate, going_on.decision.partial, ability)

    def _go_on(self, going_on: Going, units: list[Unit]) -> bytes:
        """Return what the new voice says, made to follow the old one. Raises Broken."""
        candidate = self._candidate
        assert candidate is not None
        transcript = self._speaker.transcript
        splicer = going_on.splicer
        if splicer is None:
            same_block = (
                going_on.ability.how != "instruct"
                or self._asked.format is not Format.ANTHROPIC
                or degraded(candidate, going_on.candidate) in {Degraded.NONE, Degraded.OTHER_HOST}
            )
            splicer = going_on.splicer = Splicer(
                transcript, going_on.ability.how or "instruct", same_block=same_block
            )
        try:
            events = splicer.feed([event for unit in units for event in unit.events])
        except Misfit as error:
            raise Broken(Verdict(Outcome.MISFIT, Scope.MODEL, str(error))) from error
        if going_on.heard or not events:
            return self._speaker.voice(events)
        going_on.heard = True
        self._resumptions += 1
        truth = self._record.resumed(going_on, candidate, len(transcript.text))
        return self._speaker.seam(truth) + self._speaker.voice([*splicer.opening(), *events])

    def _finish_here(
        self, reason: StopReason, candidate: Candidate, verdict: Verdict, now: float
    ) -> list[Command]:
        """What was shown is a valid whole: end it, and say on record who did."""
        self.done = True
        transcript = self._speaker.transcript
        truth = self._record.finished(candidate, verdict, len(transcript.text))
        data = self._speaker.seam(truth)
        opened = transcript.open_block
        closing: list[AnswerEvent] = [BlockStop(opened.index)] if opened is not None else []
        data += self._speaker.voice([*closing, Stop(reason), End()])
        settle = Settle(self._record.receipt("ok", 200, now))
        return [settle, Forward(data), Close(clean=True)]

    def _tokens_left(self) -> int | None:
        request = self._prepare.parsed()
        if request is None or request.max_tokens is None:
            return None
        return request.max_tokens - estimate_tokens(self._speaker.transcript.text)

    def _retry_wait_s(self, now: float) -> float | None:
        """How long to wait before asking a tried upstream again; None: not worth it."""
        retry = self._plan.retry
        waits = [
            (verdict.retry_after_s if verdict.retry_after_s is not None else 0.5, candidate)
            for candidate, verdict in self._tried
            if verdict.scope in {Scope.PROVIDER, Scope.MODEL, Scope.ACCOUNT}
        ]
        if not waits or self._retries >= retry.same_upstream_max:
            return None
        wait_s, candidate = min(waits, key=lambda pair: pair[0])
        if wait_s > retry.retry_after_max_s or not self._budget.withdraw(now):
            return None
        self._retries += 1
        self._left = [candidate]
        return wait_s

    def _refuse(self, broken: Broken, leg: Leg, now: float) -> list[Command]:
        """A caller's fault: the same at every upstream, so it goes back as it came."""
        prepared = self._prepared
        error = broken.error or ApiError(400, broken.verdict.evidence)
        headers = self._record.truth(leg, self._candidate)
        if prepared is not None and prepared.same_format and broken.body:
            passed = verdicts.passed_headers(leg.headers)
            kind = leg.headers.get("content-type", "application/json")
            reply = Reply(
                leg.status or error.status, passed | headers | {"content-type": kind}, broken.body
            )
        else:
            reply = verdicts.reply(self._codecs[self._asked.format], error, self._asked.id, headers)
        return self._say_no(reply, error, "caller_error", now)

    def _exhausted(self, now: float) -> list[Command]:
        codec = self._codecs[self._asked.format]
        if not self._tried and self._untranslatable is not None:
            reason = self._untranslatable
            error = ApiError(400, str(reason), param=reason.field)
            reply = verdicts.reply(codec, error, self._asked.id, self._record.identity())
            return self._say_no(reply, error, "caller_error", now)
        error, extra = verdicts.exhausted(self._asked.format, self._tried, now - self._started_at)
        headers = self._record.truth(None, None) | extra
        reply = verdicts.reply(codec, error, self._asked.id, headers)
        return self._say_no(reply, error, "exhausted", now)

    def _say_no(self, reply: Reply, error: ApiError, outcome: str, now: float) -> list[Command]:
        self.done = True
        settle = Settle(self._record.receipt(outcome, reply.status, now, error.message))
        if not self._head_sent:
            return [settle, SendReply(reply)]
        data = self._speaker.failure(reply.status, error.message, self._asked.id)
        return [settle, Forward(data), Close(clean=False)]

    def _end_broken(self, verdict: Verdict, now: float) -> list[Command]:
        """Something was seen and cannot be finished: say so, and never end cleanly."""
        self.done = True
        message = verdicts.broken_message(self._candidate, verdict)
        settle = Settle(self._record.receipt("broken_after_commit", 200, now, message))
        data = self._speaker.failure(verdicts.status_of(verdict), message, self._asked.id)
        return [settle, Forward(data), Close(clean=False)]

    def _client_gone(self, now: float) -> list[Command]:
        self.done = True
        commands: list[Command] = []
        if self._candidate is not None and self._leg is not None:
            verdict = Verdict(Outcome.CLIENT_GONE, Scope.NONE, "the client closed the connection")
            commands.append(self._record.attempt(self._candidate, self._leg, verdict, now))
            commands.append(Abandon(self._attempt))
        settle = Settle(self._record.receipt("client_gone", 499, now))
        return [*commands, settle, Close(clean=False)]

    # -- time -----------------------------------------------------------------------------------

    def _timer(self, event: TimerFired) -> list[Command]:
        now = event.now
        match event.timer:
            case "retry":
                return self._next(now) if self._leg is None else []
            case "keepalive":
                return self._keepalive(now)
            case "deadline":
                if self._record.committed or self._leg is None:
                    return []
                return self._failed(broke("first_byte_timeout", "the deadline passed"), now)
            case "watch":
                return self._watch(now)

    def _watch(self, now: float) -> list[Command]:
        if self._leg is None:
            return []
        if now < (due := self._due()):
            return [SetTimer("watch", due)]
        leg = self._leg
        if leg.stopped:
            try:
                return [Abandon(self._attempt), *self._deliver(leg, leg.end(now), now)]
            except Broken as broken:
                return self._failed(broken, now)
        kind = "stall" if leg.content_seen else "first_byte_timeout"
        return self._failed(broke(kind, f"after {now - self._life_at:.0f} s of silence"), now)

    def _due(self) -> float:
        """When the current attempt has been silent too long.

        Pings are life, since a model may think for minutes; but not for longer than a whole
        answer may take.
        """
        candidate, leg = self._candidate, self._leg
        assert candidate is not None
        assert leg is not None
        timeouts = self._plan.timeouts[candidate.upstream]
        if not leg.streaming and self._prepared is not None and not self._prepared.streamed:
            return self._content_at + timeouts.whole_s
        if leg.stopped:
            return self._life_at + GRACE_S
        silent_s = timeouts.stall_s if leg.content_seen else timeouts.first_byte_s
        return min(self._life_at + silent_s, self._content_at + timeouts.whole_s)

    def _keepalive(self, now: float) -> list[Command]:
        timeouts = self._plan.timeouts[self._plan.candidates[0].upstream]
        waited_s = timeouts.keepalive_every_s if self._head_sent else timeouts.keepalive_after_s
        if now < (due := self._spoke_at + waited_s):
            return [SetTimer("keepalive", due)]
        commands: list[Command] = []
        if not self._head_sent:
            self._head_sent = True
            commands.append(SendHead(200, self._stream_headers(None)))
        self._spoke_at = now
        commands.append(Forward(self._speaker.keepalive()))
        commands.append(SetTimer("keepalive", now + timeouts.keepalive_every_s))
        return commands
