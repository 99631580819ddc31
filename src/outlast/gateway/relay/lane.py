"""The express lane: plain requests from the body to the receipt, without an exchange. Thin.

express.py says what is plain. What is not, from the start or at any word of the upstream, of the
client or of a timer, goes the long way: a run of an exchange takes over what is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec
import structlog

from outlast.accounts.keys import Key
from outlast.clock import Clock
from outlast.config import RouteSettings, Settings
from outlast.gateway import express, verdicts
from outlast.gateway.asked import Asked, Plan
from outlast.gateway.events import BytesReceived, Event, HeadReceived
from outlast.gateway.exchange import Exchange
from outlast.gateway.http import Gateway, Roster, new_ids, notice_of
from outlast.gateway.limits import InFlight
from outlast.gateway.live import Live
from outlast.gateway.metrics import Plain as Sums
from outlast.gateway.record import degraded_of, served
from outlast.gateway.relay import heads
from outlast.gateway.relay.call import Call, Listener, Origin
from outlast.gateway.relay.outbound import Relay
from outlast.gateway.relay.request import Request
from outlast.gateway.relay.run import Alarms, Run
from outlast.outcome import Fault
from outlast.wire.canon import BadRequest
from outlast.wire.splice import read_head, splice

_log = structlog.get_logger(__name__)

LOOK_S = 2.5
"""A request whose first timer is nearer than this when it is looked at is plain no more; they are
looked at once a second (inbound.py)."""

WAYS_MAX = 8
"""Models that one head is known to ask for."""

IDS_AT_ONCE = 64

MakeRun = Callable[[Request, Exchange, InFlight], Run]


class Way(msgspec.Struct):
    """What a head and a model's name mean, as long as settings and key are these."""

    settings: Settings
    generation: int
    """Of the keys."""
    key: Key
    case: express.Case | None = None
    """None: such requests are never plain."""
    sums: Sums | None = None
    origin: Origin | None = None
    head: bytes = b""
    """Of the call, up to its body's length."""
    said: tuple[str, bytes, express.Form] | None = None
    """The model that answered last, the lines that say in the answer's head who it was, and the
    form of its receipts."""


class Plain(Call):
    """One plain request under way: the call that is made for it, and who hears it."""

    __slots__ = (
        "_lane",
        "_size",
        "at",
        "heard",
        "ident",
        "load",
        "question",
        "request",
        "since",
        "way",
    )

    def __init__(
        self,
        lane: Lane,
        request: Request,
        way: Way,
        load: InFlight,
        question: bytes,
        body: bytes,
        since: float,
    ) -> None:
        """`question`: the client's body; `body`: the upstream's."""
        assert way.origin is not None
        head = b"%b%d\r\n\r\n" % (way.head, len(body))
        super().__init__(lane.relay, way.origin, head, body, self)
        self._lane = lane
        self._size = 0
        self.request = request
        self.way = way
        self.load = load
        self.question = question
        self.ident = lane.new_id()
        self.at = lane.wall()
        self.since = since
        self.heard: list[Event] = []

    # -- the upstream --------------------------------------------------------------------------

    def headed(self, status: int, headers: dict[str, str]) -> None:
        if status == 200:
            self.heard.append(HeadReceived(0, status, headers, self._lane.monotonic()))
        else:
            self._the_long_way()[1].headed(status, headers)

    def received(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > express.BODY_LIMIT_BYTES:
            self._the_long_way()[1].received(data)
        else:
            self.heard.append(BytesReceived(0, data, self._lane.monotonic()))

    def ended(self) -> None:
        head, *pieces = self.heard
        assert isinstance(head, HeadReceived)
        body = b"".join([one.data for one in pieces if isinstance(one, BytesReceived)])
        found = self._found(200, body)
        if found is None:
            self._the_long_way()[1].ended()
            return
        pairs = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in head.headers.items()]
        self._lane.answer(self, pairs, body, found)

    def answered(self, status: int, pairs: heads.Pairs, body: bytes) -> None:
        found = self._found(status, body)
        if found is None:
            self._the_long_way()[1].answered(status, pairs, body)
        else:
            self._lane.answer(self, pairs, body, found)

    def failed(self, fault: Fault) -> None:
        self._the_long_way()[1].failed(fault)

    def _found(self, status: int, body: bytes) -> express.Found | None:
        case = self.way.case
        assert case is not None
        return express.glance(case.plan.asked.format, body) if status == 200 else None

    # -- the client ----------------------------------------------------------------------------

    def client_gone(self) -> None:
        self._the_long_way()[0].client_gone()

    def interrupt(self) -> None:
        self._the_long_way()[0].interrupt()

    def clogged(self) -> None:
        self._the_long_way()[0].clogged()

    def unclogged(self) -> None:
        self._the_long_way()[0].unclogged()

    def look(self) -> None:
        """Let the exchange have its timers before they are due."""
        case = self.way.case
        assert case is not None
        timeouts = case.plan.timeouts[case.prepared.candidate.upstream]
        due = self.since + min(timeouts.deadline_s, timeouts.whole_s)
        if due < self._lane.monotonic() + LOOK_S:
            self._the_long_way()

    def _the_long_way(self) -> tuple[Run, Listener]:
        """It is not plain: a run takes it over. Returns that, and who hears the upstream now."""
        run = self.request.running = self._lane.run_of(self)
        hearing = run.adopt(self, self.since, self.heard)
        if self.listener is self:
            self.listener = hearing
        return run, hearing


class Lane:
    """Takes requests that are plain. One for all connections."""

    def __init__(
        self,
        gateway: Gateway,
        roster: Roster,
        relay: Relay,
        clock: Clock,
        make_run: MakeRun,
        alarms: Callable[[], Alarms],
        streamed: type[Plain],
    ) -> None:
        """`streamed`: what becomes of requests for streams."""
        self.relay = relay
        self.clock = clock
        self.wall, self.monotonic = clock.wall, clock.monotonic
        self.alarms = alarms
        self._streamed = streamed
        self._ids: list[str] = []
        self._gateway = gateway
        self._roster = roster
        self._make_run = make_run

    def learn(
        self, request: Request, key: Key, asked: Asked, route: RouteSettings, plan: Plan
    ) -> None:
        """Find out whether requests like this one, which goes the long way, are plain."""
        gateway, state, ways = self._gateway, self._gateway.state, request.ways
        if ways is None or plan.candidates != state.listed(route, asked):
            return
        if len(ways) >= WAYS_MAX:
            ways.clear()
        name = _named(asked.model, asked.stream)
        way = ways[name] = Way(state.settings, self._roster.generation, key)
        first, surface = plan.candidates[0], request.surface
        upstream = state.settings.upstreams[first.upstream]
        usual = notice_of(request.headers, b"", key.notice or route.notice)
        if (
            usual
            or upstream.max_concurrency is not None
            or not express.fits(plan, surface.translates)
        ):
            return
        if not express.passes(asked.format, asked.body):
            del ways[name]  # this one is not; the next may be
            return
        prepared = gateway.preparer(surface, asked)(first)
        way.origin, head = self.relay.head_of(upstream, "POST", prepared.path, prepared.headers)
        way.head = f"{head}content-length: ".encode()
        way.case = express.Case(
            plan=msgspec.structs.replace(plan, asked=msgspec.structs.replace(asked, body=b"")),
            prepared=msgspec.structs.replace(prepared, body=b""),
            how=degraded_of(plan, first),
            names=tuple(candidate.name for candidate in plan.candidates),
        )
        way.sums = gateway.metrics.plain(asked.path, first, way.case.how)

    def take(self, request: Request, body: bytes) -> bool:
        """Begin to answer a plain request. False: it is not plain, and nothing was done."""
        ways, state = request.ways, self._gateway.state
        if not ways or request.clogged or len(body) > state.settings.server.body_limit_bytes:
            return False
        try:
            head = read_head(body)
        except BadRequest:
            return False
        stream = head.stream and request.surface.streams
        way = ways.get(_named(head.model, stream))
        if way is None or way.case is None or way.settings is not state.settings:
            return False
        asked, candidate = way.case.plan.asked, way.case.prepared.candidate
        if way.generation != self._roster.generation or not state.smooth(way.case.names):
            return False
        if not express.passes(asked.format, body):
            return False
        same = candidate.model == asked.model
        sent = body if same else splice(body, head, candidate.model)
        load, now = state.load(way.key), self.monotonic()
        if not load.enter():
            return False
        if way.key.requests_per_minute is not None and state.admit(way.key, now) > 0:
            load.leave()
            return False
        self._gateway.metrics.under_way += 1
        state.budget.deposit(now)
        kind = self._streamed if stream else Plain
        plain = request.running = kind(self, request, way, load, body, sent, now)
        self.relay.dispatch(plain)
        return True

    def run_of(self, plain: Plain) -> Run:
        """Return the run of the exchange that a plain request would have been from the start."""
        case, gateway, request = plain.way.case, self._gateway, plain.request
        assert case is not None
        asked = msgspec.structs.replace(
            case.plan.asked, id=plain.ident, body=plain.question, at=plain.at
        )
        tokens = max(1, len(asked.body) // 4)
        plan = msgspec.structs.replace(case.plan, asked=asked, prompt_tokens=tokens)
        exchange, _ = gateway.exchange(request.surface, asked, plan, plain.way.settings)
        return self._make_run(request, exchange, plain.load)

    def answer(self, plain: Plain, pairs: heads.Pairs, body: bytes, found: express.Found) -> None:
        """The answer is here, and plain: put it on record, then send it."""
        plain.request.running = None  # what happens now is nobody's: it is over
        try:
            self._answer(plain, pairs, body, found)
        except Exception:  # our own fault: the client must not wait for ever
            _log.exception("exchange failed inside Outlast")
            plain.request.crash()
        self.leave(plain)

    def _answer(self, plain: Plain, pairs: heads.Pairs, body: bytes, found: express.Found) -> None:
        way, gateway, now = plain.way, self._gateway, self.monotonic()
        case, sums, took_s = way.case, way.sums, now - plain.since
        assert case is not None
        assert sums is not None
        candidate, (model, tokens) = case.prepared.candidate, found
        said = self.said(way, model)
        passed = {line: value for name, value in pairs if (line := passed_line(name))}
        theirs = passed.get(b"request-id: ") or passed.get(b"x-request-id: ", b"")
        ended_at, ident = plain.at + took_s, plain.ident
        record = said[2].fill(ident, plain.at, ended_at, tokens, theirs.decode("latin-1"), None)
        gateway.state.well(candidate, now)
        gateway.on_well(candidate, ended_at, took_s)
        gateway.on_plain(ident, record, ended_at)
        sums.add(took_s, tokens)
        lines = b"".join([b"%b%b\r\n" % pair for pair in passed.items()])
        name = ident.encode()
        plain.request.whole(
            b"%boutlast-request-id: %b\r\noutlast-receipt: /v1/receipts/%b\r\n"
            b"outlast-attempts: 1\r\n%bcontent-type: application/json\r\n"
            % (lines, name, name, said[1]),
            body,
        )

    def stream_lines(self, plain: Plain, head: HeadReceived, model: str) -> bytes:
        """Return the header lines of a stream that this model answers."""
        passed = heads.lines(verdicts.passed_headers(head.headers)).encode("latin-1", "replace")
        ident = plain.ident.encode()
        return (
            b"%bcontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
            b"x-accel-buffering: no\r\noutlast-request-id: %b\r\n"
            b"outlast-receipt: /v1/receipts/%b\r\noutlast-attempts: 1\r\n%b"
            % (passed, ident, ident, self.said(plain.way, model)[1])
        )

    def settle(self, plain: Plain, live: Live) -> None:
        """A plain stream is whole: put it on record."""
        case, sums, gateway, now = (
            plain.way.case,
            plain.way.sums,
            self._gateway,
            self.monotonic(),
        )
        assert case is not None
        assert sums is not None
        candidate, times, headers = case.prepared.candidate, live.times, live.head.headers
        gateway.state.gaps(candidate).learn(times[0], times[1:])
        first_s, took_s = times[0] - plain.since, now - plain.since
        found = (live.model, live.estimated(max(1, len(plain.question) // 4)))
        theirs = headers.get("request-id") or headers.get("x-request-id", "")
        ended_at, form = plain.at + took_s, self.said(plain.way, found[0])[2]
        record = form.fill(plain.ident, plain.at, ended_at, found[1], theirs, first_s)
        gateway.state.well(candidate, now)
        gateway.on_well(candidate, ended_at, first_s)
        gateway.on_plain(plain.ident, record, ended_at)
        sums.add(took_s, found[1])
        gateway.metrics.first_token.add(candidate.upstream, first_s)

    def leave(self, plain: Plain) -> None:
        """A plain request is over."""
        plain.load.leave()
        self._gateway.metrics.under_way -= 1

    def new_id(self) -> str:
        """Return a request's id; the random bytes of many are asked for at once."""
        if not self._ids:
            self._ids = new_ids(IDS_AT_ONCE)
        return self._ids.pop()

    def said(self, way: Way, model: str) -> tuple[str, bytes, express.Form]:
        """Return what is said of this model in heads and receipts; it is mostly the last one."""
        case, said = way.case, way.said
        assert case is not None
        if said is None or said[0] != model:
            shown = model or case.prepared.candidate.model
            who = heads.lines(served(case.prepared, shown, case.how))
            form = express.Form(case, shown)
            said = way.said = (model, who.encode("latin-1", "replace"), form)
        return said


def _named(model: str, stream: bool) -> str:
    """What ways are known by: a model that answers in streams is another one."""
    return f"{model}\n" if stream else model


@lru_cache(maxsize=512)
def passed_line(name: bytes) -> bytes:
    """Return how a header of an upstream's begins where clients see it; empty: they do not."""
    text = name.lower().decode("latin-1")
    return f"{text}: ".encode("latin-1") if verdicts.passes(text) else b""
