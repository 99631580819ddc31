"""Which part of the page a program asks for: all, one provider or one component. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from outlast.nouns import Component, ComponentState, Status, Suspicion
from outlast.observatory.headline import headline
from outlast.observatory.words import Lang, component_name, provider_name
from outlast.status.view import Row, Shown, Snapshot, Window, within

PAGE = "/status"


class Scope(msgspec.Struct, frozen=True):
    """Both empty: the whole page. A component stands for its models and regions too."""

    provider: str = ""
    component: str = ""

    @property
    def path(self) -> str:
        """Where people read it. A component has no page of its own: its provider's."""
        provider = self.provider or self.component.partition("/")[0]
        return f"{PAGE}/{quote(provider, safe='')}" if provider else PAGE

    @property
    def folder(self) -> str:
        """Below which path its documents for programs stand."""
        name = self.component or self.provider
        return f"{PAGE}/{quote(name, safe='/@:')}" if name else PAGE

    def title(self, lang: Lang) -> str:
        if self.component:
            return component_name(self.component, lang)
        if self.provider:
            return provider_name(self.provider)
        return {"en": "Status of AI services", "fr": "État des services d'IA"}[lang]


def scope_of(snapshot: Snapshot, name: str) -> Scope | None:
    """Return the scope that a name means (`anthropic`, `anthropic/api`); None for no such thing."""
    if not name:
        return Scope()
    if snapshot.provider(name) is not None:
        return Scope(provider=name)
    known = any(row.state.component == name for row in rows(snapshot))
    return Scope(component=name) if known else None


def scopes(snapshot: Snapshot) -> list[Scope]:
    """Every scope that there is, the whole page first."""
    found = [Scope()]
    found += [Scope(provider=one.provider) for one in snapshot.providers]
    return found + [Scope(component=row.state.component) for row in rows(snapshot)]


def rows(snapshot: Snapshot, scope: Scope = Scope()) -> Iterator[Row]:  # noqa: B008 - a value
    """Every row within a scope, our own upstreams last."""
    listed = [row for provider in snapshot.providers for row in provider.rows]
    for row in (*listed, *snapshot.upstreams):
        if touches(row.state.component, scope):
            yield row


def touches(name: str, scope: Scope) -> bool:
    """Whether a component lies within a scope."""
    if scope.component:
        return within(name, scope.component)
    return not scope.provider or name.startswith(f"{scope.provider}/")


def shown(snapshot: Snapshot, scope: Scope) -> list[Shown]:
    """Incidents within a scope: open ones, then past ones, as the snapshot has them."""
    return [one for one in (*snapshot.open, *snapshot.recent) if reaches(one, scope)]


def reaches(one: Shown, scope: Scope) -> bool:
    """Whether an incident lies within a scope."""
    if scope.component:
        return any(touches(name, scope) for name in one.incident.components)
    return scope.provider in {"", one.incident.provider}


def windows(snapshot: Snapshot, scope: Scope) -> list[Window]:
    """Windows of maintenance within a scope, the latest first."""
    found = [
        one
        for one in snapshot.windows
        if scope == Scope()
        or scope.provider == one.by != ""
        or any(touches(name, scope) for name in one.components)
    ]
    return sorted(found, key=lambda one: (-one.starts_at, one.id))


def headline_of(snapshot: Snapshot, scope: Scope, lang: Lang) -> str:
    """The one sentence for a scope."""
    if scope == Scope():
        return snapshot.headline.get(lang, "")
    incidents = [one.incident for one in snapshot.open if reaches(one, scope)]
    states = [row.state for row in rows(snapshot, scope)]
    return headline(incidents, states).get(lang, "")


def status_for_programs(state: ComponentState) -> Status:
    """A component's status in a format that cannot say "suspected".

    What is only suspected is at most degraded there: a program that pages somebody must not read
    an outage out of what nobody has confirmed.
    """
    if state.suspicion is Suspicion.S_DOWN and state.status.rank > Status.DEGRADED.rank:
        return Status.DEGRADED
    return state.status


def announced_at(window: Window) -> float:
    """When a window became known; its start, where that is not known."""
    return window.announced_at or window.starts_at


def component_of(name: str) -> Component | None:
    try:
        return Component.parse(name)
    except ValueError:
        return None
