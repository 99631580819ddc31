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


class BadMaintenance(Exception):
    """What was asked for cannot be done. `problems`: one sentence for each field at fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = tuple(problems)


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


def announce(
    asked: NewWindow, window_id: str, by: str, now: float, known: Collection[str]
) -> Maintenance:
    """Return the window that is asked for. `known`: the components that there are.

    Raises BadMaintenance with every problem.
    """
    problems: list[str] = []
    title = _text(asked.title, TITLE_LIMIT, "title", problems, needed=True)
    text = _text(asked.text, TEXT_LIMIT, "text", problems)
    components = tuple(dict.fromkeys(asked.components[: COMPONENTS_LIMIT + 1]))
    if not components:
        problems.append("components: name at least one, as GET /api/components lists them.")
    if len(components) > COMPONENTS_LIMIT:
        problems.append(f"components: at most {COMPONENTS_LIMIT}.")
    unknown = [name for name in components if name not in known]
    problems += [f"components: there is no {clean(one, 60)!r} here." for one in unknown[:5]]
    _check_times(asked.starts_at, asked.ends_at, now, problems)
    if asked.starts_at < now - LATE_S:
        problems.append("starts_at: a window is announced before it begins, or within an hour.")
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
    problems: list[str] = []
    if asked.kind not in KINDS:
        raise BadMaintenance([f"kind is one of {', '.join(KINDS)}."])
    if asked.kind != "note" and state in {"completed", "cancelled"}:
        raise BadMaintenance([f"It is {state} already: a note is all that can be added."])
    if len(one.notes) >= NOTES_LIMIT:
        raise BadMaintenance([f"It has {NOTES_LIMIT} notes already: announce a new window."])
    text = _text(asked.text, TEXT_LIMIT, "text", problems, needed=asked.kind == "note")
    fields: dict[str, float] = {}
    match asked.kind:
        case "move":
            fields = _moved(one, asked, now, problems)
        case "begin":
            if state != "scheduled":
                problems.append("begin: it has begun already.")
            fields = {"starts_at": now}
        case "complete":
            if state != "in_progress":
                problems.append("complete: it has not begun; cancel it instead.")
            fields = {"ends_at": now}
        case "cancel":
            fields = {"cancelled_at": now}
    if problems:
        raise BadMaintenance(problems)
    said = text if any(text.values()) else _SAYS[asked.kind]
    note = Note(now, asked.kind, said, clean(by, 80) or "operator")
    return msgspec.structs.replace(one, notes=(*one.notes, note), **fields)


def _moved(
    one: Maintenance, asked: WindowChange, now: float, problems: list[str]
) -> dict[str, float]:
    starts_at = one.starts_at if asked.starts_at is None else asked.starts_at
    ends_at = one.ends_at if asked.ends_at is None else asked.ends_at
    if (starts_at, ends_at) == (one.starts_at, one.ends_at):
        problems.append("move: give starts_at or ends_at, and another time than before.")
    if starts_at != one.starts_at and one.state(now) == "in_progress":
        problems.append("starts_at: it has begun; only its end can be moved.")
    elif starts_at != one.starts_at and starts_at < now:
        problems.append("starts_at: that is over; `begin` it if it begins now.")
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
        raise BadMaintenance([f"{KEPT} windows are to come already: cancel or complete one first."])
    forgotten = {other.id for other in over[: max(0, surplus)]}
    found = [*(other for other in others if other.id not in forgotten), one]
    return tuple(sorted(found, key=lambda other: (other.starts_at, other.id)))


def written(kept: Sequence[Maintenance]) -> bytes:
    return msgspec.json.encode(kept)


def read(body: bytes) -> tuple[Maintenance, ...]:
    """Raises msgspec.MsgspecError for what is none of ours."""
    return msgspec.json.decode(body, type=tuple[Maintenance, ...])


def _check_times(starts_at: float, ends_at: float, now: float, problems: list[str]) -> None:
    # A comparison with a time that is no number is false: it is asked for what may be.
    if not 0 < starts_at <= now + FARTHEST_S:
        problems.append("starts_at: seconds since 1970, at most a year ahead.")
    elif not starts_at < ends_at <= starts_at + LONGEST_S:
        problems.append("ends_at: after starts_at, by a week at most.")
    elif not ends_at > now:
        problems.append("ends_at: a window that is over already cannot be announced.")


def _text(
    given: Mapping[str, str], limit: int, field: str, problems: list[str], *, needed: bool = False
) -> Text:
    """Both languages, each cleaned; what was said in one alone stands for both."""
    if unknown := sorted(set(given) - set(LANGS)):
        problems.append(f"{field}: {clean(unknown[0], 20)!r} is no language here; use en and fr.")
    too_long = [lang for lang, words in given.items() if len(words) > limit]
    problems += [f"{field}.{clean(lang, 20)}: at most {limit} signs." for lang in too_long]
    said = {lang: clean(given[lang], limit) for lang in LANGS if given.get(lang, "").strip()}
    first = next((words for words in said.values() if words), "")
    if needed and not first:
        problems.append(f"{field}: say it in `en` or `fr`.")
    return {lang: said.get(lang) or first for lang in LANGS}
