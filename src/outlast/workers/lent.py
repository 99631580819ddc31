"""The embedded model, asked through the process that has it: one engine, one queue. Thin."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from outlast.config import Settings
from outlast.gateway.asked import Prepared
from outlast.gateway.embedded import NOT_READY_RETRY_S, call_of
from outlast.gateway.transport import Answer, HttpAnswer, NetworkFault
from outlast.local import upstream
from outlast.local.prompt import Limits
from outlast.nouns import Candidate
from outlast.outcome import Fault
from outlast.wire.canon import BadRequest, Request
from outlast.workers.inside import AWAY, Away, Neighbour
from outlast.workers.told import ModelTold

PATH = "/model"
ENGINE_PATH = "outlast-engine-path"
REFUSED_STATUS = 599
"""The model cannot be asked, and the body is a Fault: no status of the engine's own."""


class Lent:
    """See gateway.embedded.LocalUpstream."""

    def __init__(
        self, settings: Settings, observer: Neighbour, told: Callable[[], ModelTold | None]
    ) -> None:
        self._enabled = settings.local.enabled
        local = settings.local
        self._usual = Limits(
            context_tokens=local.context_tokens // local.slots, prefill_s=local.prefill_budget_s
        )
        self._name = local.model
        self._observer = observer
        self._told = told

    def prepare(
        self, request: Request, candidate: Candidate, exchange_id: str, partial: str = ""
    ) -> Prepared:
        if not self._enabled:
            raise BadRequest("", "the embedded model is switched off (local.enabled)")
        told = self._told()
        limits, name = (told.limits, told.model_name) if told else (self._usual, self._name)
        made = upstream.prepare(request, limits, exchange_id, name, partial)
        return call_of(made, candidate)

    async def open(self, prepared: Prepared) -> Answer:
        headers = {**prepared.headers, ENGINE_PATH: prepared.path}
        try:
            response = await self._observer.begin(
                "POST", PATH, headers=headers, body=prepared.body, limit_s=None
            )
        except Away as away:
            words = "the process that has the local model is being started again"
            raise NetworkFault(Fault("not_ready", words, NOT_READY_RETRY_S)) from away
        if response.status != REFUSED_STATUS:
            return HttpAnswer(response)
        try:
            refusal = msgspec.json.decode(await response.read(), type=Fault)
        except (*AWAY, msgspec.MsgspecError) as error:
            raise NetworkFault(Fault("reset")) from error
        finally:
            response.close()
        raise NetworkFault(refusal)

    async def warm(self, candidate: Candidate) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing of its own."""
