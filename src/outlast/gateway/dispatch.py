"""Which transport carries a call: the network's, or the embedded model's. Thin."""

from __future__ import annotations

from collections.abc import AsyncIterator

from outlast.clock import Clock
from outlast.gateway.asked import Prepared
from outlast.gateway.limits import InFlight
from outlast.gateway.state import GatewayState
from outlast.gateway.transport import Answer, NetworkFault, Transport
from outlast.nouns import Candidate, Kind
from outlast.outcome import Fault


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
