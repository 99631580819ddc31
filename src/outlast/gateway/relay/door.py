"""Where a connection meets the gateway: who asks, what, and the run that answers. Thin."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from outlast.accounts.keys import Key
from outlast.clock import Clock
from outlast.gateway.dispatch import Dispatch
from outlast.gateway.exchange import Exchange
from outlast.gateway.express import Seen
from outlast.gateway.http import (
    Gateway,
    Refused,
    Roster,
    check_encoding,
    new_id,
    secret_of,
    too_large,
    too_late,
    unknown_key,
)
from outlast.gateway.limits import InFlight
from outlast.gateway.relay.lane import Lane
from outlast.gateway.relay.request import Request
from outlast.gateway.relay.run import Alarms, Run
from outlast.gateway.relay.streaming import Streamed
from outlast.wire.codec import ApiError

_log = structlog.get_logger(__name__)


class Entrance:
    """The gateway's door for the relay's connections (see inbound.Door)."""

    def __init__(self, gateway: Gateway, roster: Roster, calling: Dispatch, clock: Clock) -> None:
        self._gateway = gateway
        self._roster = roster
        self._calling = calling
        self._clock = clock
        self._alarms: Alarms | None = None
        relay = calling.relay
        # Who wants to read of each request in the log has them all go the long way, which says it.
        self._lane: Lane | None = None
        if relay is not None and not gateway.chatty:
            self._lane = Lane(gateway, roster, relay, clock, self._run, self._alarms_of, Streamed)

    @property
    def body_read_s(self) -> float:
        return self._gateway.body_read_s

    def body_limit_bytes(self) -> int:
        return self._gateway.state.settings.server.body_limit_bytes

    def welcome(self, request: Request) -> None:
        try:
            secret = secret_of(request.headers)
            key = self._roster.authenticate(secret)
            if key is None:
                # It may have been made a moment ago by another process.
                task = asyncio.get_running_loop().create_task(self._late_key(request, secret))
                request.wait_for(task)
                return
            check_encoding(request.headers)
        except Refused as refused:
            self._refuse(request, refused)
            return
        request.proceed(key)

    async def _late_key(self, request: Request, secret: str) -> None:
        key = await self._roster.authenticate_fresh(secret)
        try:
            if key is None:
                raise unknown_key(secret)
            check_encoding(request.headers)
        except Refused as refused:
            self._refuse(request, refused)
            return
        request.proceed(key)

    def at_once(self, request: Request, body: bytes, seen: Seen | None = None) -> bool:
        """Whether a request whose head came before is plain, and under way."""
        lane = self._lane
        return lane is not None and lane.take(request, body, seen)

    def serve(self, request: Request, key: Key, body: bytes) -> None:
        try:
            if not self.at_once(request, body):
                self._serve(request, key, body)
        except Refused as refused:
            self._refuse(request, refused)
        except Exception:  # our own fault: the client must not wait for ever
            _log.exception("a request failed inside Outlast")
            request.crash()

    def too_large(self, request: Request) -> None:
        self._refuse(request, too_large(self.body_limit_bytes()))

    def too_late(self, request: Request) -> None:
        self._refuse(request, too_late(self.body_read_s))

    def _refuse(self, request: Request, refused: Refused) -> None:
        request.reply(self._gateway.refusal(request.surface, refused, new_id()))

    def _alarms_of(self) -> Alarms:
        if self._alarms is None:
            self._alarms = Alarms(self._clock)
        return self._alarms

    def _serve(self, request: Request, key: Key, body: bytes) -> None:
        gateway, surface = self._gateway, request.surface
        request_id = new_id()
        try:
            asked, route = gateway.asked(
                surface, request.headers, request.query, body, key, request_id
            )
            load = gateway.state.load(key)
            if not load.enter():
                raise _busy(load)
        except Refused as refused:
            request.reply(gateway.refusal(surface, refused, request_id))
            return
        gateway.metrics.under_way += 1
        try:
            plan = gateway.plan(surface, asked, route)
            if plan is None:
                request.reply(gateway.estimate(surface, asked))
                self._done(load)
                return
            if self._lane is not None:
                self._lane.learn(request, key, asked, route, plan)
            exchange, _ = gateway.exchange(surface, asked, plan)
        except Refused as refused:
            self._done(load)
            request.reply(gateway.refusal(surface, refused, request_id))
            return
        except BaseException:
            self._done(load)
            raise
        run = request.running = self._run(request, exchange, load)
        run.start()

    def _run(self, request: Request, exchange: Exchange, load: InFlight) -> Run:
        return Run(
            exchange,
            self._calling,
            request,
            self._clock,
            self._alarms_of(),
            on_observe=self._gateway.observe,
            on_settle=self._gateway.settle,
            on_done=partial(self._done, load),
        )

    def _done(self, load: InFlight) -> None:
        load.leave()
        self._gateway.metrics.under_way -= 1


def _busy(load: InFlight) -> Refused:
    words = f"Your key already has {load.limit} requests under way, its limit."
    return Refused(ApiError(429, words), {"retry-after": "1"})
