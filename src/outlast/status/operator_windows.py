"""What an operator can do to a window of maintenance. Looked at by the function that decides. Thin.

Times are typed and shown as UTC: without a script a page does not know the reader's zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from outlast.clock import Clock
from outlast.nouns import Component
from outlast.observatory.words import Lang, component_name, listed
from outlast.status.filters import when
from outlast.status.maintenance import (
    TEXT_LIMIT,
    TITLE_LIMIT,
    Maintenance,
    NewWindow,
    WindowChange,
)
from outlast.status.maintenance_http import MaintenanceApi
from outlast.status.operator_forms import (
    Choice,
    Field,
    Refused,
    Values,
    Wrong,
    first,
    texts,
    time_of,
    time_text,
)
from outlast.status.operator_task import Piece, Task, both, pieces
from outlast.status.operator_templates import WINDOWS
from outlast.status.operator_texts import TEXTS

ROOT = "/operator/maintenance"
HOME = "/operator"
HOUR_S = 3600.0
OFFERED_MAX = 150
"""Components that a form offers: fewer than a form may have fields."""
_KINDS = {
    "scheduled": ("begin", "move", "cancel", "note"),
    "in_progress": ("complete", "move", "cancel", "note"),
}
"""What can be done in which state; a note always."""


def links_of(one: Maintenance, now: float, lang: Lang) -> tuple[tuple[str, str], ...]:
    """What can be done to it now: where, and in words."""
    kinds = _KINDS.get(one.state(now), ("note",))
    return tuple((f"{ROOT}/{one.id}/{kind}", TEXTS[lang][f"window_{kind}"]) for kind in kinds)


class WindowTasks:
    def __init__(
        self, maintenance: MaintenanceApi, known: Callable[[], Iterable[str]], clock: Clock
    ) -> None:
        self._maintenance = maintenance
        self._known = known
        self._clock = clock

    def announcing(self, by: str, lang: Lang) -> Task:
        t = TEXTS[lang]

        def asked(values: Values) -> NewWindow:
            times = _times(values, lang)
            return NewWindow(
                title=texts(values, "title"),
                components=tuple(values.get("components", ())),
                starts_at=times["starts_at"],
                ends_at=times["ends_at"],
                text=texts(values, "text"),
            )

        def look(values: Values) -> tuple[Piece, ...]:
            made = self._maintenance.would_announce(asked(values), by)
            return _seen(made, values, lang)

        async def do(values: Values) -> bool:
            _, stored = await self._maintenance.put_new(asked(values), by)
            return stored

        # An hour from the next full one: something to change rather than an empty field.
        starts_at = (self._clock.wall() // HOUR_S + 1) * HOUR_S
        choices = tuple(Choice(name, component_name(name, lang)) for name in self._offered())
        return Task(
            path=ROOT,
            back=HOME,
            back_words=t["back_desk"],
            title=t["announce"],
            about=t["window_new_about"],
            button=t["publish"],
            fields=(
                *both(lang, "title", TITLE_LIMIT, {}, kind="line"),
                Field("components", t["components"], "many", choices=choices),
                *_time_fields(starts_at, starts_at + HOUR_S, lang),
                *both(lang, "text", TEXT_LIMIT, {}),
            ),
            look=look,
            do=do,
            templates=WINDOWS,
        )

    def _offered(self) -> list[str]:
        """What can be ticked: whole surfaces first, then models. Others are the API's."""
        names = [name for name in self._known() if not Component.parse(name).region]
        return sorted(names, key=lambda name: (name.count("/"), name))[:OFFERED_MAX]

    def task(self, kind: str, window_id: str, by: str, lang: Lang) -> Task | None:
        """None: there is no such task. Raises Problem where there is no such window."""
        t, one = TEXTS[lang], self._maintenance.find(window_id)
        if f"window_{kind}" not in t or kind not in {*_KINDS["scheduled"], "complete"}:
            return None

        def asked(values: Values) -> WindowChange:
            times = _times(values, lang) if kind == "move" else {}
            for name in times:  # a field has minutes alone: what was not touched stays as it is
                at = float(getattr(one, name))
                times[name] = at if time_text(at) == time_text(times[name]) else times[name]
            return WindowChange(kind, texts(values, "text"), **times)

        def look(values: Values) -> tuple[Piece, ...]:
            made = self._maintenance.would_change(window_id, asked(values), by)
            return _seen(made, values, lang)

        async def do(values: Values) -> bool:
            _, stored = await self._maintenance.put_change(window_id, asked(values), by)
            return stored

        times = _time_fields(one.starts_at, one.ends_at, lang) if kind == "move" else []
        return Task(
            path=f"{ROOT}/{one.id}/{kind}",
            back=HOME,
            back_words=t["back_desk"],
            title=f"{t[f'window_{kind}']}{t['colon']} {one.title.get(lang, one.id)}",
            about=t["window_note_about"] if kind == "note" else t["window_about"],
            button=t["publish"] if kind == "note" else t["do"],
            fields=(*times, *both(lang, "text", TEXT_LIMIT, {})),
            look=look,
            do=do,
            templates=WINDOWS if kind == "note" else (),
        )


def _seen(made: Maintenance, values: Values, lang: Lang) -> tuple[Piece, ...]:
    t = TEXTS[lang]
    names = listed([component_name(name, lang) for name in made.components], lang)
    facts = (
        (t["starts_at"], when(made.starts_at, lang)),
        (t["ends_at"], when(made.ends_at, lang)),
        (t["components"], names),
    )
    note = made.notes[-1]
    typed = texts(values, "text")
    return pieces(note.text, typed, title=made.title, by=note.by, facts=facts)


def _time_fields(starts_at: float, ends_at: float, lang: Lang) -> list[Field]:
    t = TEXTS[lang]
    return [
        Field("starts_at", t["starts_at"], "time", values=(time_text(starts_at),), needed=True),
        Field("ends_at", t["ends_at"], "time", values=(time_text(ends_at),), needed=True),
    ]


def _times(values: Values, lang: Lang) -> dict[str, float]:
    """Raises Refused with every time that is none."""
    found = {name: time_of(first(values, name)) for name in ("starts_at", "ends_at")}
    wrong = [Wrong(TEXTS[lang]["bad_time"], name) for name, at in found.items() if at is None]
    if wrong:
        raise Refused(wrong)
    return {name: at for name, at in found.items() if at is not None}
