"""From an attempt of the gateway to an observation of a vendor, or of ourselves. Pure.

What each outcome is about:

    ok, overloaded, server error, time-out, stall, cut, no connection    provider/api/model
    no right or no room for our key and account; our network, our limits    outlast/upstream/NAME
    the embedded model, however it ends    outlast/upstream/local
    a caller's mistake, a caller who left, an attempt that we left, a misfit    nothing

Names of models come from outside: behind a route `*` a caller may write anything. So a model has a
component of its own only where settings name it or where it has answered, and there are so many
of them and no more; every other attempt is the provider's API as a whole. A refusal that is about
a model which never answered says nothing: there may be no such model.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from outlast.naming import model_name, provider_name
from outlast.nouns import Candidate, Component, Kind, Observation, Outcome, Scope, Surface

PROVIDERS_MAX = 200
MODELS_MAX = 40
"""Models of one provider that have a component each."""

NOTHING = frozenset({Outcome.CLIENT_GONE, Outcome.LEFT, Outcome.MISFIT, Outcome.CALLER_ERROR})
"""These say nothing of anybody's state."""
SILENCES = frozenset(
    {Outcome.CONNECT_FAILED, Outcome.TIMEOUT, Outcome.STALLED, Outcome.BROKEN_STREAM}
)
"""How a provider looks when our own network is gone."""
OUR_SCOPES = frozenset({Scope.CREDENTIAL, Scope.ACCOUNT, Scope.OURS})


class Intake:
    """Which models have a component of their own, and what an attempt is an observation of."""

    def __init__(self, known: Iterable[tuple[str, str]] = ()) -> None:
        """`known`: providers and models that the settings name."""
        self._models: dict[str, set[str]] = {}
        self._well: dict[tuple[str, str, str], tuple[str, str]] = {}
        """Upstream, provider and model of a success → its component's name, its upstream's."""
        for provider, model in known:
            self._take(provider_name(provider), model_name(model))

    def learn(self, components: Iterable[str]) -> None:
        """Take up the models of components that were observed before, as after a restart; what is
        no name of a model's component is passed over."""
        for name in components:
            provider, _, rest = name.partition("@")[0].partition("/")
            surface, _, model = rest.partition("/")
            if surface == Surface.API.value and model:
                self._take(provider, model)

    def well(self, candidate: Candidate) -> tuple[str, str] | None:
        """Return the component and the upstream that a success of this candidate is evidence of;
        None: `from_attempt` knows."""
        return self._well.get((candidate.upstream, candidate.provider, candidate.model))

    def from_attempt(
        self, observation: Observation, candidate: Candidate, *, offline: bool = False
    ) -> Observation | None:
        """Return what an attempt's observation, as the exchange made it, is evidence of; None
        where it is of nothing. `offline`: our own network is known to be gone.
        """
        outcome = observation.outcome
        if outcome in NOTHING:
            return None
        if outcome is Outcome.OK and observation.scope is Scope.NONE:
            known = self.well(candidate)
            if known is not None:
                return msgspec.structs.replace(observation, component=known[0], upstream=known[1])
        upstream = provider_name(candidate.upstream)
        if offline and outcome in SILENCES:
            return msgspec.structs.replace(
                observation,
                component=upstream_component(upstream).name,
                upstream=upstream,
                outcome=Outcome.OURS,
                scope=Scope.OURS,
            )
        if (
            candidate.kind is Kind.LOCAL
            or outcome is Outcome.OURS
            or observation.scope in OUR_SCOPES
        ):
            component = upstream_component(upstream)
        else:
            provider = provider_name(candidate.provider or candidate.upstream)
            model = model_name(candidate.model)
            if outcome is Outcome.OK:
                self._take(provider, model)
            if model not in self._models.get(provider, ()):
                if observation.scope is Scope.MODEL:
                    return None
                model = ""
            component = Component(provider, Surface.API.value, model)
            if outcome is Outcome.OK and len(self._well) < PROVIDERS_MAX:
                key = (candidate.upstream, candidate.provider, candidate.model)
                self._well[key] = (component.name, upstream)
        return msgspec.structs.replace(observation, component=component.name, upstream=upstream)

    def _take(self, provider: str, model: str) -> None:
        models = self._models.get(provider)
        if models is None:
            if len(self._models) >= PROVIDERS_MAX:
                return
            models = self._models[provider] = set()
        if model and len(models) < MODELS_MAX:
            models.add(model)


def upstream_component(upstream: str) -> Component:
    """The component of one of our own upstreams."""
    return Component("outlast", "upstream", provider_name(upstream))
