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
* What was shown is never taken back or said again: resuming.py decides what may follow it,
  going.py and splicer.py make another attempt's answer follow, and nobody ever closes what is torn.
* Every OpenAttempt is answered by exactly one Observe, and every exchange by exactly one Settle,
  which stands before the last bytes: what the client holds whole is on record.
* Failing over is not charged to anybody; asking the same upstream again, or two at once, is.

Its parts: search.py says who is asked next, racer.py is one attempt (leg.py its answer), speaker.py
what the client hears, record.py what is written down, endings.py how it ends when not well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from outlast.gateway import verdicts
from outlast.gateway.asked import Plan, Prepared, Reply
from outlast.gateway.endings import Endings
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
    Interrupted,
    OpenAttempt,
    SendHead,
    SendReply,
    SetTimer,
    Settle,
    TimerFired,
    Warm,
)
from outlast.gateway.flow import FLUSH_S, FLUSH_SLACK_S, Flow
from outlast.gateway.foreword import words_for
from outlast.gateway.gaps import Gaps
from outlast.gateway.going import Going, Prepare
from outlast.gateway.holding import HoldPolicy, Unit
from outlast.gateway.leg import Broken, Leg, broke
from outlast.gateway.limits import RetryBudget
from outlast.gateway.racer import GONE, LEFT, STOPPED, Racer
from outlast.gateway.record import Record
from outlast.gateway.resuming import Continue, Finish, FinishTools, Restart, decide
from outlast.gateway.search import Search
from outlast.gateway.speaker import Speaker
from outlast.nouns import Candidate, Format
from outlast.outcome import Verdict, classify_fault
from outlast.wire.codec import Codec
from outlast.wire.stream import MalformedFrame, Stop


class Exchange:
    """`start`, then `handle` each event; carry out the returned commands in order.

    `gaps` knows how regular each candidate's streams are; it learns from this one too.
    """

    def __init__(
        self,
        plan: Plan,
        prepare: Prepare,
        codecs: Mapping[Format, Codec],
        speaker: Speaker,
        budget: RetryBudget,
        gaps: Callable[[Candidate], Gaps],
    ) -> None:
        self._plan = plan
        self._asked = plan.asked
        self._prepare = prepare
        self._codecs = codecs
        self._speaker = speaker
        self._budget = budget
        self._gaps = gaps
        self._record = Record(plan)
        self._endings = Endings(plan.asked, codecs, speaker, self._record)
        self._timeouts = plan.timeouts[plan.candidates[0].upstream]
        self._opened = 0
        self._racers: dict[int, Racer] = {}
        self._search = Search(plan, budget)
        self._too_long: tuple[Racer, Broken] | None = None
        """A prompt that was too long for somebody, while one with a larger window is asked."""
        self._started_at = 0.0
        self._spoke_at = 0.0
        self._head_sent = False
        self._flushing = False
        self._flow: Flow | None = None
        self._mid_word = False
        self._going_on: Going | None = None
        self._resumptions = 0
        self._broken: list[str] = []
        """Who broke off in sight of the client, once for each time."""
        self.done = False

    # -- the interface --------------------------------------------------------------------------

    def start(self, now: float) -> list[Command]:
        self._started_at = self._spoke_at = now
        self._record.start(now)
        timers: list[Command] = [SetTimer("deadline", now + self._timeouts.deadline_s)]
        if self._asked.stream:
            timers.append(SetTimer("keepalive", now + self._timeouts.keepalive_after_s))
            if self._plan.retry.hedge_after_s > 0:
                timers.append(SetTimer("hedge", now + self._plan.retry.hedge_after_s))
        return timers + self._next(now)

    def handle(self, event: Event) -> list[Command]:
        if self.done:
            return []
        if self._flow is not None:
            self._absorb(self._flow)
        match event:
            case TimerFired():
                return self._timer(event)
            case ClientGone(now=now):
                return self._client_gone(now)
            case Interrupted(now=now):
                return self._interrupted(now)
            case ClientSlow(now=now):
                for racer in self._racers.values():
                    racer.excuse(now)
                return []
            case _:
                racer_or_none = self._racers.get(event.attempt)
                # A late word from an attempt that was left means nothing.
                return self._heard(racer_or_none, event) if racer_or_none is not None else []

    def flow(self) -> Flow | None:
        """Return what takes in an answer's text in our place, until the next event; or None."""
        alone = len(self._racers) == 1 and self._going_on is None and not self.done
        if self._flow is None and alone and self._record.committed:
            (racer,) = self._racers.values()
            self._flow = racer.flow(self._speaker.render, flushing=self._flushing)
        return self._flow

    def _absorb(self, flow: Flow) -> None:
        self._flow = None
        self._racers[flow.number].absorb(flow)
        if told := flow.told:
            self._speaker.told(flow.index, "".join(told))
        self._spoke_at = flow.spoke_at or self._spoke_at
        self._flushing = flow.flushing

    # -- an attempt's answer --------------------------------------------------------------------

    def _heard(
        self, racer: Racer, event: HeadReceived | BytesReceived | BodyEnded | AttemptBroke
    ) -> list[Command]:
        now = event.now
        try:
            match event:
                case HeadReceived(status=status, headers=headers):
                    racer.head(status, headers, now)
                    return []
                case BytesReceived(data=data):
                    commands = self._deliver(racer, racer.feed(data, now), now)
                    return commands + self._flush_later(racer, now)
                case BodyEnded():
                    return self._deliver(racer, racer.leg.end(self._record.wall(now)), now)
                case AttemptBroke(fault=fault):
                    return self._broke(racer, Broken(classify_fault(fault)), now)
        except Broken as broken:
            return self._failed(racer, broken, now)
        except (MalformedFrame, ValueError, KeyError) as error:
            return self._failed(racer, broke("malformed", str(error)[:200]), now)

    def _flush_later(self, racer: Racer, now: float) -> list[Command]:
        """Half a word waits for its other half, but not for long."""
        if self._flushing or self.done or not racer.leg.waiting_for_word:
            return []
        self._flushing = True
        return [SetTimer("flush", racer.half_at + FLUSH_S)]

    def _broke(self, racer: Racer, broken: Broken, now: float) -> list[Command]:
        """The connection broke; what the upstream had finished saying counts all the same."""
        leg = racer.leg
        finished = leg.streaming and leg.stopped
        refused = leg.status is not None and leg.status >= 300
        if finished or refused:
            return self._deliver(racer, leg.end(self._record.wall(now)), now)
        return self._failed(racer, broken, now)

    def _deliver(self, racer: Racer, units: list[Unit], now: float) -> list[Command]:
        """Show what may be shown. Raises Broken, MalformedFrame."""
        if not units:
            return []
        if not self._asked.stream:
            return self._whole(racer, units, now)
        data = self._said(racer, units)
        if not data and not racer.leg.ended:
            return []
        self._record.committed = True
        commands = self._leave_others(racer, now)
        if not self._head_sent:
            self._head_sent = True
            commands.append(SendHead(200, self._record.stream_headers(racer)))
        self._spoke_at = now
        if not racer.leg.ended:
            return [*commands, Forward(data)]
        commands += self._succeeded(racer, now)
        return [*commands, Forward(data), Close(clean=True)]

    def _said(self, racer: Racer, units: list[Unit]) -> bytes:
        """Return these units as the client hears them. Raises Broken, MalformedFrame."""
        going_on = self._going_on
        if going_on is None:
            if not self._record.committed:
                words = words_for(self._plan, racer.candidate, self._prepare.parsed)
                self._speaker.begin(same_format=racer.prepared.same_format, words=words)
            return self._speaker.say(units)
        known = going_on.heard
        transcript = self._speaker.transcript
        closing, events = going_on.follow(units, transcript, racer.candidate, self._asked)
        events = [self._priced(racer, e) if isinstance(e, Stop) else e for e in events]
        if known or not going_on.heard:
            return self._speaker.voice(events)
        self._resumptions += 1
        truth = self._record.resumed(going_on, racer.candidate, len(transcript.text))
        head = self._speaker.seam(truth) + self._speaker.voice(closing)
        return head + self._speaker.aside(going_on.aside()) + self._speaker.voice(events)

    def _priced(self, racer: Racer, stop: Stop) -> Stop:
        """Say what all voices cost, in the dialect's way."""
        if self._asked.format is Format.ANTHROPIC:
            self._speaker.iterations = self._record.iterations(racer, stop.tokens)
            return stop
        return self._record.summed(stop)

    def _whole(self, racer: Racer, units: list[Unit], now: float) -> list[Command]:
        """A whole answer was asked for: nothing is sent before everything is here."""
        self._record.keep(units)
        leg = racer.leg
        if not leg.ended:
            return []
        headers = self._record.truth(racer)
        words = words_for(self._plan, racer.candidate, self._prepare.parsed)
        if racer.prepared.same_format and not racer.prepared.streamed and not words:
            body = units[-1].raw
            headers = verdicts.passed_headers(leg.headers) | headers
        else:
            codec = self._codecs[self._asked.format]
            body = self._record.render(codec, self._prepare.writer_request(), words)
        headers["content-type"] = "application/json"
        return [*self._succeeded(racer, now), SendReply(Reply(200, headers, body))]

    def _succeeded(self, racer: Racer, now: float) -> list[Command]:
        self.done = True
        observe = self._record.attempt(racer, None, now)
        return [observe, Settle(self._record.receipt("ok", 200, now))]

    def _leave_others(self, winner: Racer, now: float) -> list[Command]:
        """The first to have something to show wins; the others' tokens are on record."""
        commands: list[Command] = []
        for racer in [r for r in self._racers.values() if r is not winner]:
            del self._racers[racer.number]
            commands += [self._record.attempt(racer, LEFT, now), Abandon(racer.number)]
        return commands

    # -- failures -------------------------------------------------------------------------------

    def _failed(self, racer: Racer, broken: Broken, now: float) -> list[Command]:
        """This attempt is over. Move on, or end truthfully."""
        candidate, verdict = racer.candidate, broken.verdict
        del self._racers[racer.number]
        again = not racer.leg.committed and self._prepare.mend(candidate, broken.error)
        if again:
            verdict = verdicts.about_history(verdict)
        commands: list[Command] = []
        if self._record.committed and broken.units and self._going_on is None:
            commands.append(Forward(self._speaker.say(broken.units)))
        commands += [self._record.attempt(racer, verdict, now), Abandon(racer.number)]
        self._search.failed(candidate, verdict)
        if racer.leg.committed:
            self._mid_word = racer.leg.mid_word
        if again:
            # It would not take the history: once more, without what it cannot read.
            self._search.once_more(candidate)
            return commands if self._racers else commands + self._next(now)
        if self._record.committed:
            return commands + self._resume(candidate, verdict, now)
        if verdict.context_exceeded and self._search.only_wider(candidate):
            self._too_long = self._too_long or (racer, broken)
        elif not verdict.movable:
            return commands + self._leave_others(racer, now) + self._refuse(racer, broken, now)
        if self._racers:
            return commands  # its rival still runs
        return commands + self._next(now)

    def _next(self, now: float) -> list[Command]:
        """Open the next attempt, wait for a retry, or give up."""
        prepared = self._prepare_next(now)
        if prepared is not None:
            return self._open(prepared, now)
        if self._going_on is not None:
            return self._end_broken(self._going_on.candidate, self._going_on.verdict, now)
        if self._too_long is not None:
            return self._refuse(*self._too_long, now)
        if self._in_time(now) and (wait_s := self._search.retry_wait_s(now)) is not None:
            return [SetTimer("retry", now + wait_s)]
        return self._exhausted(now)

    def _prepare_next(self, now: float) -> Prepared | None:
        """Return the next candidate's call; None where nobody is left, or no time."""
        if not self._in_time(now):
            return None
        going_on = self._going_on
        if going_on is not None:
            return self._search.call(lambda candidate: going_on.call(self._prepare, candidate))
        return self._search.call(self._prepare)

    def _in_time(self, now: float) -> bool:
        return now - self._started_at < self._timeouts.deadline_s

    def _open(self, prepared: Prepared, now: float) -> list[Command]:
        candidate, number = prepared.candidate, self._opened
        self._opened += 1
        leg = Leg(
            prepared,
            self._codecs[candidate.kind.wire],
            HoldPolicy(hold_thinking=self._search.anybody, hold_words=True),
            self._plan.whole_limit_bytes,
            self._plan.prompt_tokens,
        )
        leg.skims = self._skims(prepared)
        timeouts = self._plan.timeouts[candidate.upstream]
        racer = Racer(number, prepared, leg, timeouts, self._gaps(candidate), now)
        self._racers[number] = racer
        self._record.open(prepared)
        return [OpenAttempt(number, candidate, prepared), SetTimer("watch", self._due())]

    def _skims(self, prepared: Prepared) -> bool:
        """Whether nothing between an answer's frames and the client looks at each of them."""
        plain = getattr(prepared.reader, "plain_pieces", False) and not prepared.stops
        return self._asked.stream and not self._asked.notice and plain and self._going_on is None

    # -- going on after a break in sight of the client ------------------------------------------

    def _resume(self, candidate: Candidate, verdict: Verdict, now: float) -> list[Command]:
        """The client has seen a part: let somebody go on, finish, or end truthfully."""
        going_on = self._going_on
        if going_on is not None and not going_on.heard:
            if going_on.ask_otherwise(candidate, verdict):
                self._search.once_more(candidate)
            return self._next(now)
        transcript = self._speaker.transcript
        request = self._prepare.parsed()
        decision = decide(transcript, request)
        match decision:
            case FinishTools():
                self.done = True
                return self._endings.finish("tool_use", candidate, verdict, now)
            case Finish(reason=reason):
                self.done = True
                return self._endings.finish(reason, candidate, verdict, now)
            case Continue() | Restart() if self._resumptions < self._plan.retry.resumptions_max:
                stops = request.stop if request is not None else ()
                self._going_on = Going(
                    candidate, verdict, decision, mid_word=self._mid_word, stops=stops
                )
                self._broken.append(candidate.name)
                self._search.after_break(candidate, verdict, self._broken)
                return self._next(now)
            case _:
                return self._end_broken(candidate, verdict, now)

    # -- ends -----------------------------------------------------------------------------------

    def _refuse(self, racer: Racer, broken: Broken, now: float) -> list[Command]:
        self.done = True
        return self._endings.refuse(racer, broken, now, in_band=self._head_sent)

    def _exhausted(self, now: float) -> list[Command]:
        self.done = True
        tried = self._search.tried
        reason = None if tried else self._search.untranslatable
        took_s = now - self._started_at
        return self._endings.exhausted(tried, reason, took_s, now, in_band=self._head_sent)

    def _end_broken(self, candidate: Candidate, verdict: Verdict, now: float) -> list[Command]:
        self.done = True
        return self._endings.broken(candidate, verdict, now)

    def _interrupted(self, now: float) -> list[Command]:
        """We are stopped: tell the client truthfully."""
        left = self._leave_all(STOPPED, now)
        return left + self._endings.interrupted(now, in_band=self._head_sent)

    def _client_gone(self, now: float) -> list[Command]:
        left = self._leave_all(GONE, now)
        settle = Settle(self._record.receipt("client_gone", 499, now))
        return [*left, settle, Close(clean=False)]

    def _leave_all(self, verdict: Verdict, now: float) -> list[Command]:
        self.done = True
        commands: list[Command] = []
        for racer in self._racers.values():
            commands += [self._record.attempt(racer, verdict, now), Abandon(racer.number)]
        return commands

    # -- time -----------------------------------------------------------------------------------

    def _timer(self, event: TimerFired) -> list[Command]:
        now = event.now
        match event.timer:
            case "retry":
                return [] if self._racers else self._next(now)
            case "keepalive":
                return self._keepalive(now)
            case "hedge":
                return self._hedge(now)
            case "flush":
                return self._flush(now)
            case "deadline":
                if self._record.committed:
                    return []
                late = broke("first_byte_timeout", "the deadline passed")
                return self._each_failed([(racer, late) for racer in self._racers.values()], now)
            case "watch":
                return self._watch(now)

    def _watch(self, now: float) -> list[Command]:
        """Look at the silences: finish what is whole, leave what is dead, warm what may follow."""
        commands: list[Command] = []
        for racer in list(self._racers.values()):
            if racer.leg.stopped and racer.overdue(now) is not None:
                commands.append(Abandon(racer.number))
                commands += self._heard(racer, BodyEnded(racer.number, now))
                return commands
            if racer.suspect(now) and (warm := self._search.spare(racer.candidate, self._broken)):
                commands.append(Warm(warm))
        late = [(r, b) for r in self._racers.values() if (b := r.overdue(now)) is not None]
        commands += self._each_failed(late, now)
        if self._racers and not self.done:
            commands.append(SetTimer("watch", self._due()))
        return commands

    def _each_failed(self, late: list[tuple[Racer, Broken]], now: float) -> list[Command]:
        commands: list[Command] = []
        for racer, broken in late:
            if racer.number in self._racers and not self.done:
                commands += self._failed(racer, broken, now)
        return commands

    def _due(self) -> float:
        return min(racer.due() for racer in self._racers.values())

    def _flush(self, now: float) -> list[Command]:
        """Show half a word that has waited long enough; a younger one waits for its own time."""
        self._flushing = False
        commands: list[Command] = []
        for racer in list(self._racers.values()):
            due = racer.half_at + FLUSH_S
            if racer.leg.waiting_for_word and now < due - FLUSH_SLACK_S:
                self._flushing = True
                commands.append(SetTimer("flush", due))
            elif racer.leg.waiting_for_word:
                commands += self._deliver(racer, racer.leg.flush(), now)
        return commands

    def _hedge(self, now: float) -> list[Command]:
        """Nothing was shown for too long: let a second candidate race, if the budget allows."""
        if self._record.committed or len(self._racers) != 1:
            return []
        prepared = self._prepare_next(now)
        if prepared is None or not self._budget.withdraw(now):
            return []
        return self._open(prepared, now)

    def _keepalive(self, now: float) -> list[Command]:
        timeouts = self._timeouts
        waited_s = timeouts.keepalive_every_s if self._head_sent else timeouts.keepalive_after_s
        if now < (due := self._spoke_at + waited_s):
            return [SetTimer("keepalive", due)]
        commands: list[Command] = []
        if not self._head_sent:
            self._head_sent = True
            commands.append(SendHead(200, self._record.stream_headers(None)))
        self._spoke_at = now
        commands.append(Forward(self._speaker.keepalive()))
        commands.append(SetTimer("keepalive", now + timeouts.keepalive_every_s))
        return commands
