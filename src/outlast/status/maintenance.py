"""Windows of maintenance that operators announce: what may be asked, and what becomes of it. Pure.

A window goes by the clock: scheduled until its start, in progress until its end, then completed.
An operator may begin or complete it earlier, move it or cancel it; each of these is a note in both
languages, and no note is ever changed. All windows are one snapshot (`NAME`) in the casebook.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from outlast.observatory.words import LANGS
from outlast.status.stamps import clean
from outlast.status.view import Window

NAME = "maintenance"
"""Of the snapshot in the casebook."""
TITLE_LIMIT = 200
TEXT_LIMIT = 2000
COMPONENTS_LIMIT = 50
NOTES_LIMIT = 50
KEPT = 100
"""Windows that are kept; those that were over first are forgotten first, and no other."""
LONGEST_S = 7 * 86_400.0
FARTHEST_S = 366 * 86_400.0
LATE_S = 3600.0
"""How long after its start a window may still be announced: work that has just begun."""
SHOWN_S = 7 * 86_400.0
"""How long a window is shown after its end."""
KINDS = ("note", "move", "begin", "complete", "cancel")

Text = dict[str, str]


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with one field, or with the whole (an empty name), by language."""

    field: str
    en: str
    fr: str

    def said(self, lang: str) -> str:
        words = self.fr if lang == "fr" else self.en
        colon = "\u00a0:" if lang == "fr" else ":"
        return f"{self.field}{colon} {words}" if self.field else words


class BadMaintenance(Exception):
    """What was asked for cannot be done. `problems`: one sentence for each field at fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        self.problems = tuple(one.said("en") for one in faults)
        super().__init__(" ".join(self.problems))


class NewWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator announces. Texts in the languages that they wrote; one is enough."""

    title: Text
    components: tuple[str, ...]
    starts_at: float
    ends_at: float
    text: Text = {}


class WindowChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator does to a window."""

    kind: str
    """note · move · begin · complete · cancel"""
    text: Text = {}
    starts_at: float | None = None
    ends_at: float | None = None


class Note(msgspec.Struct, frozen=True):
    at: float
    kind: str
    """announced, or as in KINDS."""
    text: Text
    by: str


class Maintenance(msgspec.Struct, frozen=True):
    """One window with its history."""

    id: str
    title: Text
    text: Text
    components: tuple[str, ...]
    starts_at: float
    ends_at: float
    announced_at: float
    by: str
    """The operator."""
    cancelled_at: float | None = None
    notes: tuple[Note, ...] = ()
    """The newest last."""

    @property
    def over_at(self) -> float:
        return self.ends_at if self.cancelled_at is None else self.cancelled_at

    def state(self, now: float) -> str:
        """scheduled · in_progress · completed · cancelled"""
        if self.cancelled_at is not None:
            return "cancelled"
        if now < self.starts_at:
            return "scheduled"
        return "in_progress" if now < self.ends_at else "completed"


_SAYS: dict[str, Text] = {
    "announced": {"en": "Announced.", "fr": "Annoncée."},
    "move": {"en": "The time has changed.", "fr": "L'horaire a changé."},
    "begin": {"en": "It has begun.", "fr": "Elle a commencé."},
    "complete": {"en": "It is done.", "fr": "Elle est terminée."},
    "cancel": {"en": "It does not take place.", "fr": "Elle n'a pas lieu."},
}


_NO_COMPONENT = Fault(
    "components",
    "name at least one of those that are watched.",
    "nommez-en au moins un de ceux qui sont observés.",
)
_TOO_LATE = Fault(
    "starts_at",
    "a window is announced before it begins, or within an hour.",
    "une maintenance s'annonce avant son début, ou dans l'heure qui suit.",
)
_OVER = {
    "completed": Fault(
        "",
        "It is completed already: a note is all that can be added.",
        "Elle est déjà terminée\u00a0: seule une note peut être ajoutée.",
    ),
    "cancelled": Fault(
        "",
        "It is cancelled already: a note is all that can be added.",
        "Elle est déjà annulée\u00a0: seule une note peut être ajoutée.",
    ),
}
_FULL = Fault(
    "",
    f"It has {NOTES_LIMIT} notes already: announce a new window.",
    f"Elle a déjà {NOTES_LIMIT} notes\u00a0: annoncez-en une nouvelle.",
)
_BEGUN = Fault("begin", "it has begun already.", "elle a déjà commencé.")
_NOT_BEGUN = Fault(
    "complete",
    "it has not begun; cancel it instead.",
    "elle n'a pas commencé\u00a0; annulez-la plutôt.",
)
_NOT_MOVED = Fault(
    "move",
    "give its start or its end, and another time than before.",
    "donnez son début ou sa fin, et un autre horaire qu'avant.",
)
_ONLY_END = Fault(
    "starts_at",
    "it has begun; only its end can be moved.",
    "elle a commencé\u00a0; seule sa fin peut être déplacée.",
)
_PAST = Fault(
    "starts_at",
    "that is over; begin it if it begins now.",
    "c'est déjà passé\u00a0; commencez-la si elle commence maintenant.",
)
_TOO_MANY = Fault(
    "",
    f"{KEPT} windows are to come already: cancel or complete one first.",
    f"{KEPT} maintenances sont déjà à venir\u00a0: annulez ou terminez-en une d'abord.",
)
_TOO_FAR = Fault(
    "starts_at",
    "a time, at most a year ahead.",
    "un horaire, dans un an au plus.",
)
_TOO_LONG = Fault(
    "ends_at",
    "after its start, by a week at most.",
    "après son début, d'une semaine au plus.",
)
_OVER_BEFORE = Fault(
    "ends_at",
    "a window that is over already cannot be announced.",
    "une maintenance déjà passée ne peut pas être annoncée.",
)


def announce(
    asked: NewWindow, window_id: str, by: str, now: float, known: Collection[str]
) -> Maintenance:
    """Return the window that is asked for. `known`: the components that there are.

    Raises BadMaintenance with every problem.
    """
    problems: list[Fault] = []
    title = _text(asked.title, TITLE_LIMIT, "title", problems, needed=True)
    text = _text(asked.text, TEXT_LIMIT, "text", problems)
    components = tuple(dict.fromkeys(asked.components[: COMPONENTS_LIMIT + 1]))
    if not components:
        problems.append(_NO_COMPONENT)
    if len(components) > COMPONENTS_LIMIT:
        problems.append(
            Fault("components", f"at most {COMPONENTS_LIMIT}.", f"{COMPONENTS_LIMIT} au plus.")
        )
    for name in [clean(one, 60) for one in components if one not in known][:5]:
        problems.append(
            Fault("components", f"there is no {name!r} here.", f"{name!r} n'existe pas ici.")
        )
    _check_times(asked.starts_at, asked.ends_at, now, problems)
    if asked.starts_at < now - LATE_S:
        problems.append(_TOO_LATE)
    if problems:
        raise BadMaintenance(problems)
    who = clean(by, 80) or "operator"
    return Maintenance(
        id=window_id,
        title=title,
        text=text,
        components=components,
        starts_at=asked.starts_at,
        ends_at=asked.ends_at,
        announced_at=now,
        by=who,
        notes=(Note(now, "announced", text if any(text.values()) else _SAYS["announced"], who),),
    )


def change(one: Maintenance, asked: WindowChange, by: str, now: float) -> Maintenance:
    """Return the window after what an operator does. Raises BadMaintenance."""
    state = one.state(now)
    problems: list[Fault] = []
    if asked.kind not in KINDS:
        kinds = ", ".join(KINDS)
        raise BadMaintenance(
            [Fault("", f"kind is one of {kinds}.", f"kind est l'un de\u00a0: {kinds}.")]
        )
    if asked.kind != "note" and state in {"completed", "cancelled"}:
        raise BadMaintenance([_OVER[state]])
    if len(one.notes) >= NOTES_LIMIT:
        raise BadMaintenance([_FULL])
    text = _text(asked.text, TEXT_LIMIT, "text", problems, needed=asked.kind == "note")
    fields: dict[str, float] = {}
    match asked.kind:
        case "move":
            fields = _moved(one, asked, now, problems)
        case "begin":
            if state != "scheduled":
                problems.append(_BEGUN)
            fields = {"starts_at": now}
        case "complete":
            if state != "in_progress":
                problems.append(_NOT_BEGUN)
            fields = {"ends_at": now}
        case "cancel":
            fields = {"cancelled_at": now}
    if problems:
        raise BadMaintenance(problems)
    said = text if any(text.values()) else _SAYS[asked.kind]
    note = Note(now, asked.kind, said, clean(by, 80) or "operator")
    return msgspec.structs.replace(one, notes=(*one.notes, note), **fields)


def _moved(
    one: Maintenance, asked: WindowChange, now: float, problems: list[Fault]
) -> dict[str, float]:
    starts_at = one.starts_at if asked.starts_at is None else asked.starts_at
    ends_at = one.ends_at if asked.ends_at is None else asked.ends_at
    if (starts_at, ends_at) == (one.starts_at, one.ends_at):
        problems.append(_NOT_MOVED)
    if starts_at != one.starts_at and one.state(now) == "in_progress":
        problems.append(_ONLY_END)
    elif starts_at != one.starts_at and starts_at < now:
        problems.append(_PAST)
    _check_times(starts_at, ends_at, now, problems)
    return {"starts_at": starts_at, "ends_at": ends_at}


def windows(kept: Iterable[Maintenance], now: float) -> tuple[Window, ...]:
    """Return those that are shown, as the page has them: to come, under way, lately over."""
    return tuple(
        Window(
            id=one.id,
            title=one.title,
            text=one.notes[-1].text if one.notes else one.text,
            components=one.components,
            starts_at=one.starts_at,
            ends_at=one.ends_at,
            state=one.state(now),
            by="outlast",
            announced_at=one.announced_at,
            cancelled_at=one.cancelled_at,
        )
        for one in kept
        if now < max(one.ends_at, one.cancelled_at or 0.0) + SHOWN_S
    )


def put(kept: Sequence[Maintenance], one: Maintenance, now: float) -> tuple[Maintenance, ...]:
    """Return all windows with this one in its place, by their start; at most KEPT of them.

    Raises BadMaintenance when none that is over is left to be forgotten for it.
    """
    others = [other for other in kept if other.id != one.id]
    surplus = len(others) + 1 - KEPT
    over = sorted((other for other in others if other.over_at <= now), key=lambda o: o.over_at)
    if surplus > len(over):
        raise BadMaintenance([_TOO_MANY])
    forgotten = {other.id for other in over[: max(0, surplus)]}
    found = [*(other for other in others if other.id not in forgotten), one]
    return tuple(sorted(found, key=lambda other: (other.starts_at, other.id)))


def written(kept: Sequence[Maintenance]) -> bytes:
    return msgspec.json.encode(kept)


def read(body: bytes) -> tuple[Maintenance, ...]:
    """Raises msgspec.MsgspecError for what is none of ours."""
    return msgspec.json.decode(body, type=tuple[Maintenance, ...])


def _check_times(starts_at: float, ends_at: float, now: float, problems: list[Fault]) -> None:
    # A comparison with a time that is no number is false: it is asked for what may be.
    if not 0 < starts_at <= now + FARTHEST_S:
        problems.append(_TOO_FAR)
    elif not starts_at < ends_at <= starts_at + LONGEST_S:
        problems.append(_TOO_LONG)
    elif not ends_at > now:
        problems.append(_OVER_BEFORE)


def _text(
    given: Mapping[str, str], limit: int, field: str, problems: list[Fault], *, needed: bool = False
) -> Text:
    """Both languages, each cleaned; what was said in one alone stands for both."""
    if unknown := sorted(set(given) - set(LANGS)):
        name = clean(unknown[0], 20)
        problems.append(
            Fault(
                field,
                f"{name!r} is no language here; use en and fr.",
                f"{name!r} n'est pas une langue d'ici\u00a0; utilisez en et fr.",
            )
        )
    too_long = [clean(lang, 20) for lang, words in given.items() if len(words) > limit]
    problems += [
        Fault(f"{field}.{lang}", f"at most {limit} signs.", f"{limit} signes au plus.")
        for lang in too_long
    ]
    said = {lang: clean(given[lang], limit) for lang in LANGS if given.get(lang, "").strip()}
    first = next((words for words in said.values() if words), "")
    if needed and not first:
        problems.append(
            Fault(field, "say it in English or French.", "dites-le en anglais ou en français.")
        )
    return {lang: said.get(lang) or first for lang in LANGS}
