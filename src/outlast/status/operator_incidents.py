"""What an operator can do to an incident: an update, a cause, a correction, a retraction, an end,
claims, a post-mortem. Each is looked at by the function that decides it in the end. Thin."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from outlast.clock import Clock
from outlast.nouns import Incident, Stage
from outlast.observatory import acting, claims
from outlast.observatory.acting import CAUSES, Action
from outlast.observatory.causing import cause_name
from outlast.observatory.claims import BadClaim, Claim, Kind, State
from outlast.observatory.http import Operators
from outlast.observatory.words import Lang
from outlast.status.filters import when
from outlast.status.operator_forms import (
    Choice,
    Field,
    Refused,
    Values,
    Wrong,
    first,
    lines,
    texts,
)
from outlast.status.operator_task import Piece, Task, both, pieces
from outlast.status.operator_templates import first_post_mortem, retractions, updates
from outlast.status.operator_texts import TEXTS
from outlast.status.post_mortem_book import PostMortems
from outlast.status.post_mortems import NOTE_LIMIT, TEXT_LIMIT, NewPostMortem
from outlast.status.stamps import clean

ROOT = "/operator/incidents"
KINDS = {
    "annotate": "annotate",
    "confirm-cause": "confirm_cause",
    "correct": "correct",
    "retract": "retract",
    "resolve": "resolve",
    "claim": "enter_claim",
    "post-mortem": "write_post_mortem",
}
"""The end of a task's path, and the name of its title in the texts."""
_WHOLE = "whole"


class IncidentTasks:
    def __init__(self, operators: Operators, book: PostMortems, clock: Clock) -> None:
        self._operators = operators
        self._book = book
        self._clock = clock

    def task(
        self, kind: str, incident: Incident, by: str, lang: Lang, number: str = ""
    ) -> Task | None:
        """The task of that name; None: there is none. `number`: of an entry that is meant."""
        match kind:
            case "annotate":
                return self._act(kind, incident, by, lang, templates=updates(incident))
            case "confirm-cause":
                return self._act(kind, incident, by, lang, [_cause_field(incident, lang)])
            case "correct":
                return self._act(kind, incident, by, lang, [_entry_field(incident, lang, number)])
            case "retract":
                entry = _entry_field(incident, lang, number, whole=True)
                more = retractions(incident)
                return self._act(kind, incident, by, lang, [entry], templates=more)
            case "resolve":
                return self._act(kind, incident, by, lang)
            case "claim":
                return self._claim(incident, by, lang)
            case "post-mortem":
                return self._post_mortem(incident, by, lang)
        return None

    def _act(
        self,
        kind: str,
        incident: Incident,
        by: str,
        lang: Lang,
        fields: list[Field] | None = None,
        **more: object,
    ) -> Task:
        t, name = TEXTS[lang], KINDS[kind]

        def look(values: Values) -> tuple[Piece, ...]:
            action = _action(name, values, lang)
            done = acting.act(incident, action, by, self._clock.wall())
            facts = _facts(incident, action, lang)
            return pieces(done.update.text, texts(values, "text"), by=done.update.by, facts=facts)

        async def do(values: Values) -> bool:
            _, stored = await self._operators.act(incident.id, _action(name, values, lang), by)
            return stored

        task = _base(incident, kind, lang, look, do, t["publish"])
        return msgspec.structs.replace(
            task,
            title=f"{t[name]}{t['colon']} {incident.title.get(lang, incident.id)}",
            about=t[f"{name}_about"],
            fields=(*(fields or []), *both(lang, "text", acting.TEXT_LIMIT, {})),
            grave=t.get(f"{name}_grave", ""),
            **more,
        )

    def _claim(self, incident: Incident, by: str, lang: Lang) -> Task:
        t = TEXTS[lang]

        def entered(values: Values) -> dict[str, object]:
            return {
                "kind": _chosen(values, "kind", list(Kind), lang),
                "text": texts(values, "text"),
                "sources": lines(values, "sources"),
            }

        def look(values: Values) -> tuple[Piece, ...]:
            kind = Kind(_chosen(values, "kind", list(Kind), lang))
            now, sources = self._clock.wall(), tuple(lines(values, "sources"))
            typed = texts(values, "text")
            made = _checked(
                lambda: claims.enter(Claim("", incident.id, kind, typed, sources, by, now)), lang
            )
            facts = (
                (t["kind"], t[f"kind_{kind}"]),
                (t["state"], _state_words(made.state, lang)),
                (t["sources"], ", ".join(made.sources)),
            )
            return pieces(made.text, typed, facts=facts)

        async def do(values: Values) -> bool:
            _, stored = await self._operators.enter_claim(incident.id, entered(values), by)
            return stored

        kinds = tuple(Choice(one, t[f"kind_{one}"]) for one in Kind)
        sources = Field("sources", t["sources"], "area", hint=t["sources_hint"], rows=3)
        return msgspec.structs.replace(
            _base(incident, "claim", lang, look, do, t["enter"]),
            fields=(
                Field("kind", t["kind"], "choice", choices=kinds),
                *both(lang, "text", claims.TEXT_LIMIT_CHARS, {}),
                sources,
            ),
        )

    def judging(self, incident: Incident, claim: Claim, by: str, lang: Lang) -> Task:
        """Say what has become of a claim."""
        t = TEXTS[lang]

        def judged(values: Values) -> tuple[str, str]:
            """State and reason; sources stand behind the reason."""
            reason = first(values, "reason").strip()
            sources = "; ".join(lines(values, "sources"))
            whole = f"{reason} ({sources})" if reason and sources else reason
            return _chosen(values, "state", list(State), lang), whole

        def look(values: Values) -> tuple[Piece, ...]:
            state, reason = judged(values)
            now = self._clock.wall()
            made = _checked(lambda: claims.decide(claim, State(state), by, reason, now), lang)
            facts = ((t["state"], _state_words(made.state, lang)), (t["reason"], reason))
            return pieces(claim.text, claim.text, by=by, facts=facts)

        async def do(values: Values) -> bool:
            state, reason = judged(values)
            body = {"state": state, "reason": reason}
            _, stored = await self._operators.judge_claim(claim.id, body, by)
            return stored

        states = tuple(Choice(one, t[f"state_{one}"]) for one in State)
        sources = Field("sources", t["sources"], "area", hint=t["sources_hint"], rows=3)
        task = _base(incident, "claim", lang, look, do, t["publish"])
        said = claim.text.get(lang) or next(iter(claim.text.values()), "")
        return msgspec.structs.replace(
            task,
            path=f"{ROOT}/{incident.id}/claims/{claim.id}",
            title=f"{t['judge']}{t['colon']} {clean(said, 120)}",
            about=t["judge_about"],
            fields=(
                Field("state", t["state"], "choice", choices=states, values=(claim.state,)),
                Field("reason", t["reason"], "area", limit=claims.TEXT_LIMIT_CHARS, rows=3),
                sources,
            ),
        )

    def _post_mortem(self, incident: Incident, by: str, lang: Lang) -> Task | None:
        if incident.stage is not Stage.RESOLVED:
            return None
        t, before = TEXTS[lang], self._book.of(incident.id)

        def asked(values: Values) -> NewPostMortem:
            note = texts(values, "note")
            return NewPostMortem(texts(values, "text"), note, first(values, "after")[:100])

        def look(values: Values) -> tuple[Piece, ...]:
            wanted = asked(values)
            made = self._book.draft(incident, wanted, by)
            typed = wanted.text
            note = made.note.get(lang) or next(iter(made.note.values()), "")
            facts = ((t["note"], note),) if note else ()
            return pieces(made.text, typed, by=made.by, facts=facts, prose=True)

        async def do(values: Values) -> bool:
            _, stored = await self._book.write(incident, asked(values), by)
            return stored

        start = before[-1].text if before else first_post_mortem(incident)
        fields = both(lang, "text", TEXT_LIMIT, start, rows=18)
        if before:
            latest = Field("after", kind="hidden", values=(before[-1].id,))
            fields = [latest, *both(lang, "note", NOTE_LIMIT, {}, rows=2), *fields]
        name = "correct_post_mortem" if before else "write_post_mortem"
        about = [t["post_mortem_about"], t["post_mortem_about_again"] if before else ""]
        return msgspec.structs.replace(
            _base(incident, "post-mortem", lang, look, do, t["publish"]),
            title=f"{t[name]}{t['colon']} {incident.title.get(lang, incident.id)}",
            about=" ".join(one for one in about if one),
            fields=tuple(fields),
        )


def _base(
    incident: Incident,
    kind: str,
    lang: Lang,
    look: Callable[[Values], tuple[Piece, ...]],
    do: Callable[[Values], object],
    button: str,
) -> Task:
    t, name = TEXTS[lang], KINDS[kind]
    return Task(
        path=f"{ROOT}/{incident.id}/{kind}",
        back=f"{ROOT}/{incident.id}",
        back_words=t["back_incident"],
        title=f"{t[name]}{t['colon']} {incident.title.get(lang, incident.id)}",
        about=t.get(f"{name}_about", ""),
        button=button,
        fields=(),
        look=look,
        do=do,  # type: ignore[arg-type]
    )


def _action(kind: str, values: Values, lang: Lang) -> Action:
    """What was typed as an action; only what cannot be said in one is refused here."""
    number: int | None = None
    if kind in {"correct", "retract"}:
        chosen = first(values, "number")
        if kind == "correct" or chosen != _WHOLE:
            if not (chosen.isascii() and chosen.isdigit() and len(chosen) <= 6):
                raise Refused([Wrong(TEXTS[lang]["bad_choice"], "number")])
            number = int(chosen)
    cause = _chosen(values, "cause", CAUSES, lang) if kind == "confirm_cause" else ""
    return Action(kind, texts(values, "text"), cause, number)


def _facts(incident: Incident, action: Action, lang: Lang) -> tuple[tuple[str, str], ...]:
    t = TEXTS[lang]
    if action.cause:
        return ((t["cause"], cause_name(action.cause, lang)),)
    if action.number is not None:
        return ((t["number"], _entry_words(incident, action.number, lang)),)
    return ((t["number"], t["whole"]),) if action.kind == "retract" else ()


def _cause_field(incident: Incident, lang: Lang) -> Field:
    choices = tuple(Choice(one, cause_name(one, lang)) for one in CAUSES)
    chosen = (incident.cause,) if incident.cause in CAUSES and incident.cause != "unknown" else ()
    return Field("cause", TEXTS[lang]["cause"], "choice", choices=choices, values=chosen)


def _entry_field(incident: Incident, lang: Lang, number: str, *, whole: bool = False) -> Field:
    """Which entry is meant, the newest first."""
    t = TEXTS[lang]
    listed = [
        Choice(str(place), _entry_words(incident, place, lang))
        for place in reversed(range(len(incident.updates)))
    ]
    if whole:
        listed.append(Choice(_WHOLE, t["whole"]))
    known = number in {one.value for one in listed}
    return Field(
        "number", t["number"], "choice", choices=tuple(listed), values=(number,) if known else ()
    )


def _entry_words(incident: Incident, number: int, lang: Lang) -> str:
    if not 0 <= number < len(incident.updates):
        return str(number)
    update = incident.updates[number]
    said = clean(update.text.get(lang) or next(iter(update.text.values()), ""), 80)
    return f"{number + 1} · {when(update.at, lang)} · {said}"


def _chosen(values: Values, name: str, known: list[str] | tuple[str, ...], lang: Lang) -> str:
    chosen = first(values, name)
    if chosen not in known:
        raise Refused([Wrong(TEXTS[lang]["bad_choice"], name)])
    return chosen


def _checked(make: Callable[[], Claim], lang: Lang) -> Claim:
    try:
        return make()
    except BadClaim as error:
        raise Refused([Wrong(error.words[lang])]) from error


def _state_words(state: State, lang: Lang) -> str:
    t = TEXTS[lang]
    return t[f"state_{state}"].partition(t["colon"])[0]
