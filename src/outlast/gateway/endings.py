"""How an exchange ends when it does not simply end: the record, then the last words. Pure.

Each method returns the commands of one ending; the exchange is done after it. `in_band`: the
client has a status 200 already (pings were sent), so the error goes into the stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from outlast.gateway import verdicts
from outlast.gateway.asked import Asked, Reply
from outlast.gateway.events import Close, Command, Forward, SendReply, Settle
from outlast.gateway.leg import Broken
from outlast.gateway.racer import Racer
from outlast.gateway.record import Record
from outlast.gateway.speaker import Speaker
from outlast.nouns import Candidate, Format
from outlast.outcome import Verdict
from outlast.wire.canon import BadRequest
from outlast.wire.codec import ApiError, Codec
from outlast.wire.stream import AnswerEvent, BlockStop, End, Stop, StopReason


class Endings:
    def __init__(
        self, asked: Asked, codecs: Mapping[Format, Codec], speaker: Speaker, record: Record
    ) -> None:
        self._asked = asked
        self._codec = codecs[asked.format]
        self._speaker = speaker
        self._record = record

    def refuse(self, racer: Racer, broken: Broken, now: float, *, in_band: bool) -> list[Command]:
        """A caller's fault: the same at every upstream, so it goes back as it came."""
        leg = racer.leg
        error = broken.error or ApiError(400, broken.verdict.evidence)
        headers = self._record.truth(racer)
        if racer.prepared.same_format and broken.body:
            status = leg.status or error.status
            reply = verdicts.passed(status, leg.headers, broken.body, headers)
        else:
            reply = verdicts.reply(self._codec, error, self._asked.id, headers)
        return self._no(reply, error, "caller_error", now, in_band=in_band)

    def exhausted(
        self,
        tried: Sequence[tuple[Candidate, Verdict]],
        reason: BadRequest | None,
        took_s: float,
        now: float,
        *,
        in_band: bool,
    ) -> list[Command]:
        """Nobody could answer; `reason` where nobody could even be asked."""
        if reason is not None:
            error = ApiError(400, str(reason), param=reason.field)
            reply = verdicts.reply(self._codec, error, self._asked.id, self._record.identity())
            return self._no(reply, error, "caller_error", now, in_band=in_band)
        error, extra = verdicts.exhausted(self._asked.format, tried, took_s)
        headers = self._record.truth(None) | extra
        reply = verdicts.reply(self._codec, error, self._asked.id, headers)
        return self._no(reply, error, "exhausted", now, in_band=in_band)

    def broken(self, candidate: Candidate, verdict: Verdict, now: float) -> list[Command]:
        """Something was seen and cannot be finished: say so, and never end cleanly."""
        message = verdicts.broken_message(candidate, verdict)
        settle = Settle(self._record.receipt("broken_after_commit", 200, now, message))
        data = self._speaker.failure(verdicts.status_of(verdict), message, self._asked.id)
        return [settle, Forward(data), Close(clean=False)]

    def interrupted(self, now: float, *, in_band: bool) -> list[Command]:
        """We are stopped before the answer's end."""
        words = "Outlast is being restarted and could not finish this answer. Send it again."
        error = ApiError(503, words)
        headers = self._record.identity() | {"retry-after": "2"}
        reply = verdicts.reply(self._codec, error, self._asked.id, headers)
        return self._no(reply, error, "interrupted", now, in_band=in_band)

    def finish(
        self, reason: StopReason, candidate: Candidate, verdict: Verdict, now: float
    ) -> list[Command]:
        """What was shown is a valid whole: end it, and say on record who did."""
        transcript = self._speaker.transcript
        truth = self._record.finished(candidate, verdict, len(transcript.text))
        data = self._speaker.seam(truth)
        opened = transcript.open_block
        closing: list[AnswerEvent] = [BlockStop(opened.index)] if opened is not None else []
        stop = self._record.summed(Stop(reason))
        data += self._speaker.voice([*closing, stop, End()])
        settle = Settle(self._record.receipt("ok", 200, now))
        return [settle, Forward(data), Close(clean=True)]

    def _no(
        self, reply: Reply, error: ApiError, outcome: str, now: float, *, in_band: bool
    ) -> list[Command]:
        settle = Settle(self._record.receipt(outcome, reply.status, now, error.message))
        if not in_band:
            return [settle, SendReply(reply)]
        data = self._speaker.failure(reply.status, error.message, self._asked.id)
        return [settle, Forward(data), Close(clean=False)]
