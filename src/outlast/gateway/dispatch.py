"""Which transport carries a call: the network's, or the embedded model's. Thin.

Two ways to ask: `open` for those who wait (pump.py, probes), `send` for those who are called back
(relay/run.py). Both count against an upstream's limit, and both tell its breaker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog

from outlast.clock import Clock
from outlast.gateway.asked import Prepared
from outlast.gateway.limits import InFlight
from outlast.gateway.relay.call import LINGER_S, Listener, Tap
from outlast.gateway.relay.heads import Pairs
from outlast.gateway.relay.outbound import Relay
from outlast.gateway.relay.run import Holding
from outlast.gateway.state import GatewayState
from outlast.gateway.transport import Answer, NetworkFault, Transport
from outlast.nouns import Candidate, Kind
from outlast.outcome import Fault

_log = structlog.get_logger(__name__)


class Dispatch:
    """A Transport over the others, with our own limits per upstream."""

    def __init__(
        self, state: GatewayState, network: Transport, local: Transport, clock: Clock
    ) -> None:
        self._state = state
        self._network = network
        self._local = local
        self._clock = clock

    async def open(self, prepared: Prepared) -> Answer:
        candidate = prepared.candidate
        self._state.breaker(candidate).take(self._clock.monotonic())
        if candidate.kind is Kind.LOCAL:
            return await self._local.open(prepared)
        load = self._state.upstream_load(candidate.upstream)
        if not load.enter():
            detail = f"max_concurrency {load.limit}"
            raise NetworkFault(Fault("too_many", detail, retry_after_s=1))
        try:
            return _Counted(await self._network.open(prepared), load)
        except BaseException:
            load.leave()
            raise

    def send(self, prepared: Prepared, listener: Listener) -> Holding:
        """Send the call; its listener hears the answer. Nothing is raised for an upstream."""
        candidate = prepared.candidate
        self._state.breaker(candidate).take(self._clock.monotonic())
        if candidate.kind is Kind.LOCAL:
            return Awaited(self._local, prepared, listener)
        load = self._state.upstream_load(candidate.upstream)
        if load.limit is None:
            return self._carry(prepared, listener)
        if not load.enter():
            listener.failed(Fault("too_many", f"max_concurrency {load.limit}", retry_after_s=1))
            return _Over()
        counted = _CountedCall(listener, load)
        counted.carried_by(self._carry(prepared, counted))
        return counted

    def _carry(self, prepared: Prepared, listener: Listener) -> Holding:
        if isinstance(self._network, Relay):
            return self._network.send(prepared, listener)
        return Awaited(self._network, prepared, listener)

    @property
    def relay(self) -> Relay | None:
        """The network's transport, where it can call back."""
        return self._network if isinstance(self._network, Relay) else None

    async def warm(self, candidate: Candidate) -> None:
        if candidate.kind is not Kind.LOCAL:
            await self._network.warm(candidate)

    async def close(self) -> None:
        await self._network.close()
        await self._local.close()


class _Counted:
    """An answer that gives its place back when it is closed."""

    def __init__(self, answer: Answer, load: InFlight) -> None:
        self._answer = answer
        self._load: InFlight | None = load
        self.status = answer.status
        self.headers = answer.headers

    def chunks(self) -> AsyncIterator[bytes]:
        return self._answer.chunks()

    def close(self) -> None:
        self._answer.close()
        load, self._load = self._load, None
        if load is not None:
            load.leave()


class _Over:
    """A call that ended before it began."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abandon(self) -> None: ...
    def release(self) -> None: ...
    def show(self, tap: Tap | None) -> None: ...


class _CountedCall:
    """A call that gives its place back when it ends, by itself or because it is left."""

    def __init__(self, listener: Listener, load: InFlight) -> None:
        self._listener = listener
        self._load: InFlight | None = load
        self._call: Holding = _Over()

    def carried_by(self, call: Holding) -> None:
        self._call = call

    def _leave(self) -> None:
        load, self._load = self._load, None
        if load is not None:
            load.leave()

    def headed(self, status: int, headers: dict[str, str]) -> None:
        self._listener.headed(status, headers)

    def received(self, data: bytes) -> None:
        self._listener.received(data)

    def answered(self, status: int, pairs: Pairs, body: bytes) -> None:
        self._leave()
        self._listener.answered(status, pairs, body)

    def ended(self) -> None:
        self._leave()
        self._listener.ended()

    def failed(self, fault: Fault) -> None:
        self._leave()
        self._listener.failed(fault)

    def pause(self) -> None:
        self._call.pause()

    def resume(self) -> None:
        self._call.resume()

    def abandon(self) -> None:
        self._leave()
        self._call.abandon()

    def release(self) -> None:
        self._leave()
        self._call.release()

    def show(self, tap: Tap | None) -> None:
        self._call.show(tap)


class Awaited:
    """A call through a transport that is waited for, told to a listener."""

    def __init__(self, transport: Transport, prepared: Prepared, listener: Listener) -> None:
        self._transport = transport
        self._listener = listener
        self._room = asyncio.Event()
        self._room.set()
        self._task = asyncio.create_task(self._run(prepared))

    def pause(self) -> None:
        self._room.clear()

    def resume(self) -> None:
        self._room.set()

    def abandon(self) -> None:
        self._task.cancel()

    def release(self) -> None:
        self._room.set()
        if not self._task.done():
            asyncio.get_running_loop().call_later(LINGER_S, self._task.cancel)

    def show(self, tap: Tap | None) -> None:
        """Nothing: what comes here is no chunk."""

    async def _run(self, prepared: Prepared) -> None:
        try:
            answer = await self._transport.open(prepared)
            try:
                self._listener.headed(answer.status, answer.headers)
                async for chunk in answer.chunks():
                    self._listener.received(chunk)
                    await self._room.wait()
            finally:
                answer.close()
            self._listener.ended()
        except NetworkFault as error:
            self._listener.failed(error.fault)
        except Exception as error:
            _log.exception("attempt failed inside Outlast")
            self._listener.failed(Fault("internal", type(error).__name__))
