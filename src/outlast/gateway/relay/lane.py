"""The express lane: plain requests from the body to the receipt, without an exchange. Thin.

express.py says what is plain. What is not, from the start or at any word of the upstream, of the
client or of a timer, goes the long way: a run of an exchange takes over what is under way.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

import msgspec

from outlast.accounts.keys import Key
from outlast.clock import Clock
from outlast.config import RouteSettings
from outlast.gateway import express, verdicts
from outlast.gateway.asked import Asked, Plan
from outlast.gateway.carrying import Carrying, carrying_of
from outlast.gateway.events import BytesReceived, Event, HeadReceived
from outlast.gateway.exchange import Exchange
from outlast.gateway.http import Gateway, Roster, new_ids, notice_of
from outlast.gateway.limits import InFlight
from outlast.gateway.record import degraded_of
from outlast.gateway.relay import heads
from outlast.gateway.relay.call import WHOLE, Call, Listener
from outlast.gateway.relay.connection import TOGETHER_BYTES, Connection, passed_line
from outlast.gateway.relay.outbound import Relay
from outlast.gateway.relay.request import Request
from outlast.gateway.relay.run import Alarms, Run
from outlast.gateway.relay.settling import STREAM_LINES, Settling
from outlast.gateway.relay.way import Way
from outlast.outcome import Fault

LOOK_S = 2.5
"""A request whose first timer is nearer than this when it is looked at is plain no more; they are
looked at once a second (inbound.py)."""

WAYS_MAX = 8
"""Models that one head is known to ask for."""

IDS_AT_ONCE = 64

MakeRun = Callable[[Request, Exchange, InFlight], Run]


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
        # As Call does: it is made for each request.
        self.pool = lane.relay
        self.origin = way.origin
        size = len(body)
        if size <= TOGETHER_BYTES:
            self.head, self.body = b"%b%d\r\n\r\n%b" % (way.head, size, body), b""
        else:
            self.head, self.body = b"%b%d\r\n\r\n" % (way.head, size), body
        self.listener = self
        self._connection = None
        self._task = None
        self._paused = False
        self.quick = WHOLE
        self._lane = lane
        self._size = 0
        self.request = request
        self.way = way
        self.load = load
        self.question = question
        ids = lane.ids
        self.ident = ids.pop() if ids else lane.new_id()
        self.at = lane.wall()
        self.since = since
        self.heard: list[Event] = []

    # -- the upstream --------------------------------------------------------------------------

    def quickly(self, connection: Connection, answer: tuple[bytes, str, bytes]) -> bool:
        lines, theirs, body = answer
        way = self.way
        if len(body) > express.BODY_LIMIT_BYTES:
            return False
        if way.carrying is not None:
            found, lines, body = self._carried(way.carrying, body)
        else:
            found = way.read(body) if way.read is not None else None
            if found is None:
                found = express.glance(way.format, body)
        if found is None:
            return False
        connection.give_back()
        self.listener = self._connection = None
        self._lane.settling.add(self, lines, theirs, body, found)
        return True

    def _carried(
        self, carrying: Carrying, body: bytes
    ) -> tuple[express.Found | None, bytes, bytes]:
        """Return what an answer in another format says, and header lines and body for the client,
        who gets none of the upstream's headers."""
        carried = carrying.answer(body, int(self.at))
        return (None, b"", body) if carried is None else (carried[0], b"", carried[1])

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
        pairs = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in head.headers.items()]
        if not self._told(200, pairs, body):
            self._the_long_way()[1].ended()

    def answered(self, status: int, pairs: heads.Pairs, body: bytes) -> None:
        if not self._told(status, pairs, body):
            self._the_long_way()[1].answered(status, pairs, body)

    def _told(self, status: int, pairs: heads.Pairs, body: bytes) -> bool:
        """Whether this is a plain whole answer, and on its way to the client."""
        if status != 200:
            return False
        passed = {line: value for name, value in pairs if (line := passed_line(name))}
        theirs = passed.get(b"request-id: ") or passed.get(b"x-request-id: ", b"")
        way = self.way
        if way.carrying is None:
            lines = b"".join([b"%b%b\r\n" % pair for pair in passed.items()])
            found = express.glance(way.format, body)
        else:
            found, lines, body = self._carried(way.carrying, body)
        if found is None:
            return False
        self._lane.settling.add(self, lines, theirs.decode("latin-1"), body, found)
        return True

    def failed(self, fault: Fault) -> None:
        self._the_long_way()[1].failed(fault)

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
        self.quick = 0
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
        self.settling = Settling(gateway, clock, lambda: relay.loop)
        self.ids: list[str] = []
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
        name, generation = _named(asked.model, asked.stream), self._roster.generation
        known = ways.get(name)
        if known is not None and known.case is not None and known.settings is state.settings:
            if known.generation == generation:
                return  # this one is not plain; the next may be
        elif len(ways) >= WAYS_MAX:
            ways.clear()
        way = ways[name] = Way(state.settings, generation, key)
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
        carrying = None
        if first.kind.wire is not asked.format:
            carrying = carrying_of(asked, first)
            if carrying is None:
                return
            if carrying.question(asked.body, stream=asked.stream) is None:
                del ways[name]  # as above
                return
        prepared = gateway.preparer(surface, asked)(first)
        way.carrying = carrying
        way.origin, head = self.relay.head_of(upstream, "POST", prepared.path, prepared.headers)
        way.head = f"{head}content-length: ".encode()
        way.case = express.Case(
            plan=msgspec.structs.replace(plan, asked=msgspec.structs.replace(asked, body=b"")),
            prepared=msgspec.structs.replace(prepared, body=b""),
            how=degraded_of(plan, first),
            names=tuple(candidate.name for candidate in plan.candidates),
        )
        way.sums = gateway.metrics.plain(asked.path, first, way.case.how)
        way.format, way.read = asked.format, express.reading(asked.format)
        way.renamed = first.model if first.model != asked.model else ""

    def take(self, request: Request, body: bytes, seen: express.Seen | None = None) -> bool:
        """Begin to answer a plain request. False: it is not plain, and nothing was done.

        `seen`: what is to be seen of the body, where that was looked at already.
        """
        ways, gateway = request.ways, self._gateway
        state = gateway.state
        if not ways or request.clogged or len(body) > state.settings.server.body_limit_bytes:
            return False
        if seen is None:
            seen = express.look(request.surface.format, body)
            if seen is None:
                return False
        model, stream, marked, _, _, _ = seen
        stream = stream and request.surface.streams
        way = ways.get(_named(model, stream) if stream else model)
        if way is None or way.case is None or way.settings is not state.settings or marked:
            return False
        if way.generation != self._roster.generation or not state.smooth(way.case.names):
            return False
        sent = body
        if way.carrying is not None or way.renamed:
            said = way.sent(seen)
            if said is None:
                return False
            sent = said
        load, now = state.enter(way.key), self.monotonic()
        if load is None:
            return False
        if way.key.requests_per_minute is not None and state.admit(way.key, now) > 0:
            load.leave()
            return False
        gateway.metrics.under_way += 1
        state.budget.deposit(now)
        kind = self._streamed if stream else Plain
        plain = request.running = kind(self, request, way, load, body, sent, now)
        self.settling.ask(plain)
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

    def stream_lines(self, plain: Plain, lines: bytes, model: str) -> bytes:
        """Return the header lines of a stream that this model answers. `lines`: the upstream's."""
        ident = plain.ident.encode()
        who = plain.way.saying(model).lines
        return STREAM_LINES % (lines, ident, ident, who)

    def passed_lines(self, plain: Plain, head: HeadReceived) -> bytes:
        """Return those of an upstream's header lines that the client sees."""
        if plain.way.carrying is not None:
            return b""
        return heads.lines(verdicts.passed_headers(head.headers)).encode("latin-1", "replace")

    def learn_gaps(self, plain: Plain, times: array[float]) -> float:
        """Learn from a stream's pace; return the seconds to its first content. `times`: when pieces
        of it came."""
        case = plain.way.case
        assert case is not None
        self._gateway.state.gaps(case.prepared.candidate).learn(times[0], times[1:])
        return times[0] - plain.since

    def new_id(self) -> str:
        """Return a request's id; the random bytes of many are asked for at once."""
        if not self.ids:
            self.ids = new_ids(IDS_AT_ONCE)
        return self.ids.pop()


def _named(model: str, stream: bool) -> str:
    """What ways are known by: a model that answers in streams is another one."""
    return f"{model}\n" if stream else model
