"""Statuspage's public JSON, version 2, so that existing clients read us unchanged. Pure.

The shape is what real pages send (anthropic.statuspage.io and others, autumn 2026); ours is read
back by `observatory.feeds.statuspage` and by a public client in the tests. Where the format has no
word for what we say:

- What is only *suspected* is listed with a name that begins so, impact `minor` at most, and its
  components `degraded_performance` at most: nobody is woken by it. It is never left out.
- What we cannot see is not fine: a page that is out of date has the indicator `minor` and says so.
- A component's history between an incident's first and last entry is told with the worst that it
  reached; the newest entry has what is said now.
- A cancelled window is `completed`, and its name says that it was cancelled.
- An incident with a post-mortem is `postmortem`, as there, with an entry for each version and the
  fields `postmortem_*`; others do not have these, as on today's pages.

Nothing here changes while nothing happens, so that ETags hold: times are those of changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from outlast.nouns import ComponentState, Impact, Incident, Stage, Status, Suspicion, Update
from outlast.observatory.headline import looked_at
from outlast.observatory.words import Lang, clock_time, component_name, provider_name
from outlast.status.post_mortems import PostMortem, spoken, tidy
from outlast.status.scope import (
    Scope,
    announced_at,
    headline_of,
    rows,
    shown,
    status_for_programs,
    windows,
)
from outlast.status.stamps import clean, ident, iso, iso_or_none
from outlast.status.texts import TEXTS
from outlast.status.view import Row, Shown, Snapshot, Window, some_failed, tried, untried, worst

INCIDENTS_LIMIT = 50
"""As Statuspage lists them."""
MAINTENANCES_LIMIT = 50
ALL_WELL = "All Systems Operational"
_CHANGING = frozenset({"opened", "confirmed", "extended", "relapsed", "changed"})
_IMPACTS = [one.value for one in (Impact.NONE, Impact.MINOR, Impact.MAJOR, Impact.CRITICAL)]
_INDICATORS = ("none", "minor", "major", "critical")
_WORDS: dict[str, dict[Lang, str]] = {
    "suspected": {"en": "Suspected: ", "fr": "Soupçonné\u00a0: "},
    "retracted": {"en": "Retracted: ", "fr": "Retiré\u00a0: "},
    "cancelled": {"en": "Cancelled: ", "fr": "Annulée\u00a0: "},
    "corrects": {"en": "Correction of {time}: ", "fr": "Correction de {time}\u00a0: "},
    "not sure": {"en": "Suspected, not confirmed.", "fr": "Soupçonné, pas confirmé."},
    "not looked": {"en": "Nobody has looked yet.", "fr": "Personne n'a encore regardé."},
    "post-mortem corrected": {"en": "Corrected: ", "fr": "Corrigé\u00a0: "},
    "untried": {"en": TEXTS["en"]["unseen_vendor"], "fr": TEXTS["fr"]["unseen_vendor"]},
    "some failed": {"en": TEXTS["en"]["few"], "fr": TEXTS["fr"]["few"]},
    "upstreams": {"en": "Our own upstreams", "fr": "Nos propres accès"},
    "stale": {
        "en": "Not known: this was last looked at {time}.",
        "fr": "Inconnu\u00a0: le dernier regard date de {time}.",
    },
    "never": {
        "en": "Not known: nobody has looked yet.",
        "fr": "Inconnu\u00a0: pas encore regardé.",
    },
}
Document = dict[str, Any]


def document(
    snapshot: Snapshot, path: str, scope: Scope | None = None, lang: Lang = "en"
) -> bytes | None:
    """Return the document at `path` below `/api/v2/`, as `summary.json`; None: there is none."""
    page = _Page(snapshot, scope or Scope(), lang)
    if found := DOCUMENTS.get(path):
        return _encoded(page, found(page))
    if path.startswith("incidents/") and path.endswith(".json"):
        wanted = path.removeprefix("incidents/").removesuffix(".json")
        for one in page.shown:
            if wanted in {one.incident.id, ident("incident", one.incident.id)}:
                return _encoded(page, {"incident": page.incident(one)})
    return None


def paths(snapshot: Snapshot, scope: Scope | None = None) -> list[str]:
    """Every path that `document` answers; incidents by the id that the documents give."""
    listed = shown(snapshot, scope or Scope())[:INCIDENTS_LIMIT]
    ids = [ident("incident", one.incident.id) for one in listed]
    return [*DOCUMENTS, *(f"incidents/{one}.json" for one in ids)]


def _encoded(page: _Page, parts: Document) -> bytes:
    return msgspec.json.encode({"page": page.page(), **parts})


def _is_well(state: ComponentState) -> bool:
    return tried(state) and not some_failed(state)


class _Page:
    """One document's surroundings: what is within the scope, and in which language."""

    def __init__(self, snapshot: Snapshot, scope: Scope, lang: Lang) -> None:
        self.snapshot = snapshot
        self.scope = scope
        self.lang = lang
        self.id = ident("page", scope.provider or scope.component)
        self.rows = list(rows(snapshot, scope))
        self.shown = sorted(shown(snapshot, scope), key=lambda one: -one.incident.opened_at)
        self.windows = windows(snapshot, scope)
        self.states = {row.state.component: row for row in self.rows}

    def page(self) -> Document:
        name = "Outlast" if self.scope == Scope() else f"Outlast: {self.scope.title(self.lang)}"
        return {
            "id": self.id,
            "name": clean(name, 200),
            "url": self.snapshot.base_url + self.scope.path,
            "time_zone": "Etc/UTC",
            "updated_at": iso(self._changed_at()),
        }

    def _changed_at(self) -> float:
        """When anything that is listed changed last."""
        times = [row.state.since_at for row in self.rows]
        times += [_last_at(one) for one in self.shown]
        times += [at for at in map(announced_at, self.windows) if at <= self.snapshot.made_at]
        return max(times, default=0.0) or self.snapshot.at

    def status(self) -> Document:
        words = {key: texts[self.lang] for key, texts in _WORDS.items()}
        if self.snapshot.stale:
            at = self.snapshot.at
            said = words["stale"].format(time=iso(at)) if at else words["never"]
            return {"indicator": "minor", "description": said}
        indicator = self._indicator()
        said = clean(headline_of(self.snapshot, self.scope, self.lang), 500)
        if indicator == "none" and self.rows and all(_is_well(row.state) for row in self.rows):
            said = ALL_WELL
        return {"indicator": indicator, "description": said}

    def _indicator(self) -> str:
        """The worst of what is said now. What is only watched after its end counts as minor."""
        rank = max((status_for_programs(row.state).rank for row in self.rows), default=0)
        for one in self.unresolved():
            impact = _IMPACTS.index(_impact(one.incident))
            rank = max(rank, min(impact, 1) if one.incident.stage is Stage.MONITORING else impact)
        if rank:
            return _INDICATORS[rank]
        at_work = any(row.state.status is Status.MAINTENANCE for row in self.rows)
        return "maintenance" if at_work or self.active() else "none"

    def unresolved(self) -> list[Shown]:
        return [one for one in self.shown if one.incident.stage is not Stage.RESOLVED]

    def upcoming(self) -> list[Window]:
        return [one for one in self.windows if one.state == "scheduled"]

    def active(self) -> list[Window]:
        return [one for one in self.windows if one.state == "in_progress"]

    def components(self) -> list[Document]:
        """Each provider as a group, then what belongs to it."""
        found: list[Document] = []
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.state.component.partition("/")[0], []).append(row)
        for place, (provider, members) in enumerate(groups.items(), 1):
            found.append(self._group(provider, members, place))
            found += [self.component(row.state, at) for at, row in enumerate(members, 1)]
        return found

    def _group(self, provider: str, members: list[Row], position: int) -> Document:
        own = provider == "outlast"
        since = max(row.state.since_at for row in members) or self.snapshot.at
        group = self._component(
            ident("group", provider),
            _WORDS["upstreams"][self.lang] if own else clean(provider_name(provider), 120),
            worst(status_for_programs(row.state) for row in members),
            position,
        )
        return group | {
            "created_at": min(filter(None, map(_created, members)), default=iso(since)),
            "updated_at": iso(since),
            "description": None,
            "group": True,
            "components": [ident("component", row.state.component) for row in members],
        }

    def component(self, state: ComponentState, position: int = 1) -> Document:
        since = state.since_at or self.snapshot.at
        provider = state.component.partition("/")[0]
        said = None
        if state.suspicion is Suspicion.S_DOWN:
            said = _WORDS["not sure"][self.lang]
        elif not looked_at(state) and not state.status.rank:
            said = _WORDS["not looked"][self.lang]
        elif untried(state):
            said = _WORDS["untried"][self.lang]
        elif some_failed(state) or ((row := self.states.get(state.component)) and row.few):
            said = _WORDS["some failed"][self.lang]
        one = self._component(
            ident("component", state.component),
            clean(component_name(state.component, self.lang), 200),
            status_for_programs(state),
            position,
        )
        return one | {
            "created_at": _created(self.states.get(state.component)) or iso(since),
            "updated_at": iso(since),
            "description": said,
            "group_id": ident("group", provider),
        }

    def _component(self, ident_: str, name: str, status: Status, position: int) -> Document:
        """In the order in which Statuspage has the fields."""
        return {
            "id": ident_,
            "name": name,
            "status": status.value,
            "created_at": None,
            "updated_at": None,
            "position": position,
            "description": None,
            "showcase": False,
            "start_date": None,
            "group_id": None,
            "page_id": self.id,
            "group": False,
            "only_show_if_degraded": False,
        }

    def incident(self, one: Shown) -> Document:
        incident = one.incident
        ident_ = ident("incident", incident.id)
        monitored = [update.at for update in incident.updates if update.stage is Stage.MONITORING]
        told = self._post_mortem(one)
        found = {
            "id": ident_,
            "name": _name(incident, self.lang),
            "status": "postmortem" if told else incident.stage.value,
            "created_at": iso(incident.opened_at),
            "updated_at": iso(_last_at(one)),
            "monitoring_at": iso_or_none(monitored[-1] if monitored else None),
            "resolved_at": iso_or_none(incident.resolved_at),
            "impact": _impact(incident),
            "shortlink": f"{self.snapshot.base_url}/status/incidents/{incident.id}",
            "started_at": iso(incident.started_at),
            "page_id": self.id,
            "incident_updates": self._updates(one)[::-1],
            "components": [self.component(state) for state in one.states],
            "reminder_intervals": None,
        }
        return found | told

    def _post_mortem(self, one: Shown) -> Document:
        """The fields of an incident that has one, and while it is over alone: it may come back."""
        if not one.post_mortem or one.incident.stage is not Stage.RESOLVED:
            return {}
        return {
            "postmortem_body": _post_mortem_text(one.post_mortem[-1], self.lang),
            "postmortem_body_last_updated_at": iso(one.post_mortem[-1].at),
            "postmortem_ignored": False,
            "postmortem_published_at": iso(one.post_mortem[0].at),
            "postmortem_notified_subscribers": False,
            "postmortem_notified_twitter": False,
        }

    def _updates(self, one: Shown) -> list[Document]:
        """The oldest first."""
        incident, found = one.incident, []
        before: dict[str, Status] = {}
        last = len(incident.updates) - 1
        for number, update in enumerate(incident.updates):
            after = _after(incident, update)
            if number == last and incident.stage is not Stage.RESOLVED:
                after |= {state.component: status_for_programs(state) for state in one.states}
            affected = [
                {
                    "code": ident("component", name),
                    "name": clean(component_name(name, self.lang), 200),
                    "old_status": before.get(name, Status.OPERATIONAL).value,
                    "new_status": status.value,
                }
                for name, status in sorted(after.items())
            ]
            before |= after
            found.append(self._update(incident, number, update, affected))
        incident_id = ident("incident", incident.id)
        for version in one.post_mortem:
            body = _post_mortem_text(version, self.lang)
            ident_ = ident("update", f"{incident.id}/{version.id}")
            found.append(_entry(ident_, "postmortem", body, version.at, incident_id, []))
        if one.post_mortem:
            found.sort(key=lambda entry: str(entry["created_at"]))
        return found

    def _update(
        self, incident: Incident, number: int, update: Update, affected: list[Document]
    ) -> Document:
        body = update_text(incident, update, self.lang)
        return _entry(
            ident("update", f"{incident.id}/{number}"),
            update.stage.value,
            body,
            update.at,
            ident("incident", incident.id),
            affected,
        )

    def maintenance(self, window: Window) -> Document:
        ident_ = ident("maintenance", window.id)
        at = announced_at(window)
        state = "completed" if window.state == "cancelled" else window.state
        name = clean(_said(window.title, self.lang), 300)
        if window.state == "cancelled":
            name = _WORDS["cancelled"][self.lang] + name
        body = clean(_said(window.text, self.lang)) or name
        moments = [("scheduled", at)]
        if state in {"in_progress", "completed"} and window.state != "cancelled":
            moments.append(("in_progress", window.starts_at))
        # A cancelled one is over when that was said, not at an end that is still to come.
        over_at = window.ends_at if window.cancelled_at is None else window.cancelled_at
        if state == "completed":
            moments.append(("completed", over_at))
        listed = [self.states[name].state for name in window.components if name in self.states]
        entries = [
            _entry(ident("update", f"{window.id}/{stage}"), stage, body, when, ident_, [])
            for stage, when in moments
        ]
        return {
            "id": ident_,
            "name": name,
            "status": state,
            "created_at": iso(at),
            "updated_at": iso(moments[-1][1]),
            "monitoring_at": None,
            "resolved_at": iso(over_at) if state == "completed" else None,
            "impact": "maintenance",
            "shortlink": self.snapshot.base_url + self.scope.path,
            "started_at": iso(window.starts_at),
            "page_id": self.id,
            "incident_updates": entries[::-1],
            "components": [self.component(state_) for state_ in listed],
            "scheduled_for": iso(window.starts_at),
            "scheduled_until": iso(window.ends_at),
        }

    def maintenances(self, listed: list[Window]) -> list[Document]:
        return [self.maintenance(one) for one in listed[:MAINTENANCES_LIMIT]]

    def incidents(self, listed: list[Shown]) -> list[Document]:
        return [self.incident(one) for one in listed[:INCIDENTS_LIMIT]]


def _summary(page: _Page) -> Document:
    return {
        "components": page.components(),
        "incidents": page.incidents(page.unresolved()),
        "scheduled_maintenances": page.maintenances([*page.active(), *page.upcoming()]),
        "status": page.status(),
    }


DOCUMENTS: Mapping[str, Callable[[_Page], Document]] = {
    "summary.json": _summary,
    "status.json": lambda page: {"status": page.status()},
    "components.json": lambda page: {"components": page.components()},
    "incidents.json": lambda page: {"incidents": page.incidents(page.shown)},
    "incidents/unresolved.json": lambda page: {"incidents": page.incidents(page.unresolved())},
    "scheduled-maintenances.json": lambda page: {
        "scheduled_maintenances": page.maintenances(page.windows)
    },
    "scheduled-maintenances/upcoming.json": lambda page: {
        "scheduled_maintenances": page.maintenances(page.upcoming())
    },
    "scheduled-maintenances/active.json": lambda page: {
        "scheduled_maintenances": page.maintenances(page.active())
    },
}


def update_text(incident: Incident, update: Update, lang: Lang) -> str:
    """What an entry says; a correction names the time of what it corrects."""
    body = clean(_said(update.text, lang))
    number = update.corrects
    if number is not None and 0 <= number < len(incident.updates):
        time = clock_time(incident.updates[number].at)
        body = _WORDS["corrects"][lang].format(time=time) + body
    return body


def _entry(
    ident_: str, stage: str, body: str, at: float, incident_id: str, affected: list[Document]
) -> Document:
    return {
        "id": ident_,
        "status": stage,
        "body": body,
        "incident_id": incident_id,
        "created_at": iso(at),
        "updated_at": iso(at),
        "display_at": iso(at),
        "affected_components": affected or None,
        "deliver_notifications": True,
        "custom_tweet": None,
        "tweet_id": None,
    }


def _after(incident: Incident, update: Update) -> dict[str, Status]:
    """What an entry makes of which components."""
    if update.stage is Stage.RESOLVED:
        return dict.fromkeys(incident.components, Status.OPERATIONAL)
    if update.kind not in _CHANGING:
        return {}
    sure, reached = incident.suspicion is Suspicion.O_DOWN, incident.components
    found = {one: reached[one] for one in update.components if one in reached}
    return {
        name: status if sure or status.rank <= Status.DEGRADED.rank else Status.DEGRADED
        for name, status in found.items()
    }


def _name(incident: Incident, lang: Lang) -> str:
    said = clean(_said(incident.title, lang), 300)
    if incident.retracted:
        return _WORDS["retracted"][lang] + said
    return said if incident.suspicion is Suspicion.O_DOWN else _WORDS["suspected"][lang] + said


def _impact(incident: Incident) -> str:
    if incident.retracted:
        return Impact.NONE.value
    if incident.suspicion is Suspicion.O_DOWN or incident.impact is Impact.NONE:
        return incident.impact.value
    return Impact.MINOR.value


def _last_at(one: Shown) -> float:
    times = [update.at for update in one.incident.updates]
    times += [version.at for version in one.post_mortem]
    return max(times, default=one.incident.opened_at)


def _post_mortem_text(version: PostMortem, lang: Lang) -> str:
    """A version's words; a correction begins with what it corrects."""
    words = tidy(spoken(version.text, lang)[1])
    if not version.note:
        return words
    note = clean(spoken(version.note, lang)[1])
    return f"{_WORDS['post-mortem corrected'][lang]}{note}\n\n{words}"


def _created(row: Row | None) -> str | None:
    """The first of the days that are shown on which anybody looked; None: not known."""
    days = row.days if row is not None else ()
    date = next((day.date for day in days if day.status is not None), "")
    return f"{date}T00:00:00.000Z" if date else None


def _said(text: Mapping[str, str], lang: Lang) -> str:
    return text.get(lang) or next(iter(text.values()), "")
