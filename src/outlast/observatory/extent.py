"""How far an outage reaches: by surface, model and region, with what is not known. Pure.

A surface that nobody looked at is unknown, not well. A share comes with its 95 % interval. A
region is named only where enough people reported from it (k-anonymity is the reports' business:
what comes here has been through it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from outlast.nouns import Component, ComponentState, Incident, Status, Surface, Suspicion
from outlast.observatory.words import (
    LANGS,
    listed,
    number,
    percent,
    status_name,
    surface_name,
)

TRIED: dict[str, dict[str, str]] = {
    "traffic": {"en": "requests", "fr": "requêtes"},
    "probe": {"en": "probes", "fr": "sondes"},
}
"""What shares of failures are of."""
SEEN = frozenset({"traffic", "probe", "elsewhere"})


class SurfaceExtent(msgspec.Struct, frozen=True):
    """One surface of the provider. `known`: somebody looked at it lately."""

    surface: str
    known: bool
    status: Status | None = None
    error_share: tuple[float, float, float] | None = None
    """Estimate, low and high end of the 95 % interval; None: no requests of ours went there."""
    models_failing: tuple[str, ...] = ()
    models_fine: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    """What the share is of: traffic, probe, or both."""


class Extent(msgspec.Struct, frozen=True):
    provider: str
    surfaces: tuple[SurfaceExtent, ...]
    regions: dict[str, int]
    """Region → people who report from it; empty: not known."""
    says: dict[str, str]
    """In words, `en` and `fr`."""


def extent_of(
    incident: Incident,
    states: Iterable[ComponentState],
    regions: Mapping[str, int] | None = None,
) -> Extent:
    """Return how far an incident reaches now. `states`: what is said of every component."""
    own: dict[str, ComponentState] = {}
    models: dict[str, dict[str, ComponentState]] = {}
    for state in states:
        component = Component.parse(state.component)
        if component.provider != incident.provider or component.surface == "upstream":
            continue
        if component.model:
            models.setdefault(component.surface, {})[component.model] = state
        elif not component.region:
            own[component.surface] = state
    surfaces = tuple(
        _surface(name, own.get(name), models.get(name, {})) for name in _order(own, models)
    )
    found = dict(sorted((regions or {}).items(), key=lambda pair: -pair[1]))
    return Extent(incident.provider, surfaces, found, _says(surfaces, found))


def _order(own: Mapping[str, object], models: Mapping[str, object]) -> list[str]:
    known = [surface.value for surface in Surface]
    return [*known, *sorted((own.keys() | models.keys()) - set(known))]


def _surface(
    name: str, state: ComponentState | None, models: Mapping[str, ComponentState]
) -> SurfaceExtent:
    failing = tuple(sorted(m for m, s in models.items() if s.suspicion is not Suspicion.NONE))
    fine = tuple(sorted(m for m, s in models.items() if m not in failing and _looked_at(s)))
    if state is None or not (_looked_at(state) or state.suspicion is not Suspicion.NONE):
        return SurfaceExtent(name, False, None, None, failing, fine)
    tried = tuple(one.kind for one in state.evidence if one.kind in TRIED and one.total)
    share = state.error_share if tried else None
    return SurfaceExtent(name, True, state.status, share, failing, fine, tried)


def _looked_at(state: ComponentState) -> bool:
    return any(one.kind in SEEN and one.total > 0 for one in state.evidence)


def _says(surfaces: Iterable[SurfaceExtent], regions: Mapping[str, int]) -> dict[str, str]:
    surfaces = list(surfaces)
    out: dict[str, str] = {}
    for lang in LANGS:
        bad = [s for s in surfaces if s.known and s.status is not None and s.status.rank]
        well = [s for s in surfaces if s.known and s not in bad]
        fine = [s for s in well if not s.error_share or not s.error_share[0]]
        usual = [s for s in well if s not in fine]
        blind = [s for s in surfaces if not s.known]
        colon = ": " if lang == "en" else "\u00a0: "
        sentences = []
        for one in bad:
            assert one.status is not None
            words = f"{surface_name(one.surface, lang)}{colon}{status_name(one.status, lang)}"
            if one.error_share is not None:
                p, low, high = (percent(x, lang) for x in one.error_share)
                failing = _failing(one.tried, lang)
                between = "between" if lang == "en" else "entre"
                join = "and" if lang == "en" else "et"
                words += f" ({p} {failing}, {between} {low} {join} {high})"
            if one.models_failing and one.models_fine:
                words += _models(one, lang)
            sentences.append(words)
        for group, name in (
            (fine, {"en": "no failure seen", "fr": "aucun échec constaté"}),
            (usual, {"en": "few failures, no outage seen", "fr": "peu d'échecs, aucune panne"}),
            (blind, {"en": "not known", "fr": "inconnu"}),
        ):
            if group:
                names = listed([surface_name(one.surface, lang) for one in group], lang)
                sentences.append(f"{names}{colon}{name[lang]}")
        if regions:
            shown = [f"{name} ({number(count, lang)})" for name, count in list(regions.items())[:6]]
            label = "reports by region" if lang == "en" else "signalements par région"
            sentences.append(f"{label}{colon}{listed(shown, lang)}")
        out[lang] = " ".join(f"{s[:1].upper()}{s[1:]}." for s in sentences)
    return out


def _failing(tried: Iterable[str], lang: str) -> str:
    kinds = [TRIED[kind][lang] for kind in TRIED if kind in tried] or [TRIED["traffic"][lang]]
    if lang == "en":
        return f"of our {' and '.join(kinds)} fail"
    return f"de nos {' et '.join(kinds)} échouent"


def _models(one: SurfaceExtent, lang: str) -> str:
    failing, fine = ", ".join(one.models_failing[:6]), ", ".join(one.models_fine[:6])
    if lang == "en":
        return f", failing: {failing}; not failing: {fine}"
    return f", en échec\u00a0: {failing}\u00a0; sans échec\u00a0: {fine}"
