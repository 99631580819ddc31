"""What began in one turn of the event loop is sent together; so is what ended, once it is on
record. Thin.

Under load a turn brings a dozen answers. One write to the journal keeps all their receipts, and
breakers, observatory and metrics are told once; each answer waits for no more than the rest of its
turn. The order stays: the record first, then the last bytes. Calls to upstreams leave one behind
the other as well: whoever receives them is woken once. A request that is alone waits for nothing.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import structlog

from outlast.clock import Clock
from outlast.gateway import express
from outlast.gateway.http import Gateway
from outlast.nouns import Ended, Kept, Tokens
from outlast.outcome import Fault

if TYPE_CHECKING:
    from outlast.gateway.relay.lane import Plain
    from outlast.gateway.relay.way import Way

_log = structlog.get_logger(__name__)

AT_ONCE_MAX = 32
"""Answers that are settled together at most: those behind them wait for all."""

STREAM_LINES = (
    b"%bcontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\noutlast-request-id: %b\r\n"
    b"outlast-receipt: /v1/receipts/%b\r\noutlast-attempts: 1\r\n%b"
)
"""Header lines: the upstream's, our id twice, who answered."""

_Found = tuple[str, express.Counts | Tokens]
_Answer = tuple["Plain", bytes, str, bytes, _Found, float, float, bool]
"""Whose it is; the upstream's header lines, its own request id, its body; what that says, of a
stream in Tokens; when it was here (monotonic); when a stream's content began, after the start;
whether the client has all but this."""


class _Sum(NamedTuple):
    """Of answers of one way."""

    ended: list[Ended]
    inputs: list[int]
    outputs: list[int]
    """Tokens."""
    begun: list[Ended]
    """Of streams: when their content began."""


class _Leaving:
    """Who drives a request whose answer leaves before the turn ends: nothing changes that."""

    def client_gone(self) -> None: ...
    def interrupt(self) -> None: ...
    def clogged(self) -> None: ...
    def unclogged(self) -> None: ...
    def look(self) -> None: ...


_LEAVING = _Leaving()


class Settling:
    """Plain answers, whole or their ends, on their way to the record and to their clients."""

    def __init__(
        self, gateway: Gateway, clock: Clock, loop: Callable[[], AbstractEventLoop]
    ) -> None:
        self._gateway = gateway
        self._monotonic = clock.monotonic
        self._loop = loop
        self._answers: list[_Answer] = []
        self._calls: list[Plain] = []

    def ask(self, plain: Plain) -> None:
        """Send its call."""
        calls = self._calls
        if self._gateway.metrics.under_way <= 1:
            plain.pool.dispatch(plain)
            return
        calls.append(plain)
        if len(calls) == 1 and not self._answers:
            self._loop().call_soon(self.settle)

    def add(
        self,
        plain: Plain,
        lines: bytes,
        theirs: str,
        body: bytes,
        found: _Found,
        first_s: float = 0.0,
        *,
        begun: bool = False,
    ) -> None:
        """Take an answer; its request is nobody's from now on: it is over. `found`: the model and
        what it cost, of a stream in Tokens; `first_s`: when its first content came; `begun`:
        whether this is the rest of one that was under way."""
        plain.request.running = _LEAVING
        answers = self._answers
        answers.append((plain, lines, theirs, body, found, self._monotonic(), first_s, begun))
        if self._gateway.metrics.under_way <= 1:
            self.settle()
        elif len(answers) == 1 and not self._calls:
            self._loop().call_soon(self.settle)
        elif len(answers) >= AT_ONCE_MAX:
            self.settle()

    def settle(self) -> None:
        """Send the calls that wait; put on record what waits, and send it."""
        calls, self._calls = self._calls, []
        for plain in calls:
            if plain.listener is None:
                continue  # nobody wants it any more
            try:
                plain.pool.dispatch(plain)
            except Exception as error:  # our own fault: the others of this turn go out all the same
                _log.exception("a call failed inside Outlast")
                plain.fail(Fault("internal", type(error).__name__))
        answers, self._answers = self._answers, []
        if not answers:
            return
        try:
            said, sums = self._record(answers)
        except Exception:  # our own fault: the clients must not wait for ever
            _log.exception("exchanges failed inside Outlast", count=len(answers))
            for answer in answers:
                answer[0].request.crash()
                self.leave(answer[0])
            return
        for answer, who in zip(answers, said, strict=True):
            try:
                _send(answer, who)
            except Exception:  # as above; the others are answered all the same
                _log.exception("an answer failed inside Outlast")
                answer[0].request.crash()
            self.leave(answer[0])
        try:
            self._tell(sums, answers[-1][5])
        except Exception:
            _log.exception("what went well could not be told", count=len(answers))

    def leave(self, plain: Plain) -> None:
        """A plain request is over."""
        plain.load.leave()
        self._gateway.metrics.under_way -= 1

    def _record(self, answers: list[_Answer]) -> tuple[list[bytes], dict[Way, _Sum]]:
        """Put them on record; return the header lines that say who answered, and their sums."""
        who: list[bytes] = []
        kept: list[Kept] = []
        sums: dict[Way, _Sum] = {}
        for plain, _, theirs, _, (model, told), now, first_s, _ in answers:
            way, ident, began = plain.way, plain.ident, plain.at
            said = way.said
            if said is None or said.model != model:
                said = way.saying(model)
            took_s = now - plain.since
            at = began + took_s
            one = sums.get(way)
            if one is None:
                one = sums[way] = _Sum([], [], [], [])
            if isinstance(told, Tokens):
                record = said.form.fill(ident, began, at, told, theirs, first_s)
                counts: tuple[int, ...] = (told.input, told.output)
                one[3].append((at, first_s))
            else:
                record, counts = said.form.whole(ident, began, at, told, theirs), told
            kept.append((ident, record, at))
            one[0].append((at, took_s))
            one[1].append(counts[0])
            one[2].append(counts[1])
            who.append(said.lines)
        self._gateway.on_plain(kept)
        return who, sums

    def _tell(self, sums: dict[Way, _Sum], now: float) -> None:
        """Tell breakers, observatory and metrics, which nobody who was answered waits for."""
        gateway = self._gateway
        for way, (ended, inputs, outputs, begun) in sums.items():
            case = way.case
            assert case is not None
            assert way.sums is not None
            candidate = case.prepared.candidate
            way.sums.add(ended, sum(inputs), sum(outputs))
            gateway.state.well(candidate, now, len(ended))
            gateway.on_well(candidate, begun or ended)
            for _, first_s in begun:
                gateway.metrics.first_token.add(candidate.upstream, first_s)


def _send(answer: _Answer, who: bytes) -> None:
    """Write an answer that is on record. `who`: header lines that say who answered."""
    plain, lines, _, body, (_, told), _, _, begun = answer
    if begun:
        plain.request.body(body)
        plain.request.end()
    elif isinstance(told, Tokens):
        name = plain.ident.encode()
        plain.request.streamed(STREAM_LINES % (lines, name, name, who), body)
    else:
        plain.request.whole(lines, plain.ident, who, body)
