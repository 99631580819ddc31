"""What of an incident is told, when, and how often it is tried. Pure.

A *state* is what is told at most once to each subscriber: `inc_…/confirmed`. RULES says for each
kind of update which state it is; several updates may be one state (a component that wavers), and
an edit is none. A state's number puts it in order within its incident: what is still waiting when
a later one comes is superseded by it, and the later message says what was missed.

At most once, not at least once: a message whose fate is not known (the process died while it was
sent, no answer came) is not sent again. It is tried again only after a definite refusal: the
connection could not be made, or the other side answered that it did not take it. The next state
comes anyway, and the page has them all.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

import msgspec

from outlast.nouns import ComponentState, Impact, Incident, Stage, Update
from outlast.observatory.subscribing import IMPACTS, MORNING, Digest, Subscription, Wanted

FIRST_RETRY_S = 15.0
LAST_RETRY_S = 3600.0
TRIES_MAX = 20
GIVE_UP_S = 24 * 3600.0
"""News of yesterday are on the page; in a mailbox they confuse."""
RETRY_AFTER_MAX_S = 2 * 3600.0
UPDATES_SHOWN = 20
"""Updates that are kept with a piece of news; the page has all."""


class Key(StrEnum):
    """How a state is named after its incident: what makes two updates the same state."""

    ONCE = "once"
    EPOCH = "epoch"
    """Once between two relapses: `resolved`, after the first relapse `resolved.1`."""
    EACH = "each"
    """Every update of this kind is a state: `extended.4` is the fifth update."""
    CAUSE = "cause"
    NEVER = "never"


class Audience(StrEnum):
    """Who hears it, of those whose filters let it through."""

    ALL = "all"
    KNOWING = "knowing"
    """Who has something of this incident in the book, told or still waiting."""
    TOLD = "told"
    """Whom something has reached, or may have."""


class Rule(msgspec.Struct, frozen=True):
    key: Key
    audience: Audience
    why: str
    """In a sentence."""


RULES: dict[str, Rule] = {
    "opened": Rule(Key.ONCE, Audience.ALL, "Suspected; who wants only what is sure leaves it out."),
    "confirmed": Rule(Key.ONCE, Audience.ALL, "Two kinds of evidence agree; that happens once."),
    "extended": Rule(Key.EACH, Audience.ALL, "It adds components, and is for who watches them."),
    "changed": Rule(
        Key.NEVER, Audience.ALL, "Components waver; a worse impact is told as `worse`."
    ),
    "contradiction": Rule(Key.EPOCH, Audience.ALL, "It comes and goes; told once, to who asked."),
    "monitoring": Rule(Key.EPOCH, Audience.KNOWING, "It may waver before the end; told once."),
    "relapsed": Rule(Key.EPOCH, Audience.ALL, "It is back; that is news to all whom it reaches."),
    "resolved": Rule(Key.EPOCH, Audience.KNOWING, "No news to who heard of no beginning."),
    "vendor": Rule(Key.EACH, Audience.ALL, "The vendor's own words, for who asked for them."),
    "cause": Rule(Key.CAUSE, Audience.ALL, "Each cause is told once; `unknown` is no cause."),
    "merged": Rule(Key.NEVER, Audience.ALL, "The incident that it went into tells the rest."),
    "annotated": Rule(Key.EACH, Audience.ALL, "An operator speaks seldom, and has a reason."),
    "corrected": Rule(Key.EACH, Audience.TOLD, "An edit is on the page; told to who asked for it."),
    "retracted": Rule(Key.ONCE, Audience.TOLD, "Whom we alarmed for nothing must hear it."),
}
"""Kind of an update → its state. `worse` is no update: it is made where the impact rises."""

BEGINNINGS = frozenset({"opened", "confirmed", "extended", "worse", "relapsed"})

_WORSE = Rule(Key.ONCE, Audience.ALL, "The impact has risen: who waits for `major` hears it now.")


class News(msgspec.Struct, frozen=True, kw_only=True):
    """One state of one incident, with all that a message about it says."""

    state: str
    kind: str
    number: int
    """Its place within the incident: ten for each update, and a few between them."""
    audience: Audience
    at: float
    incident: Incident
    """As it was then, with its last updates."""
    first: int = 0
    """The number, counted from 0, of the first update that the incident still has here."""
    update: Update | None = None
    components: tuple[str, ...] = ()
    """Whose watchers it is for."""
    states: tuple[ComponentState, ...] = ()
    ends: bool = False
    """Whether what waits of this incident is not to be told any more (merged, retracted)."""

    @property
    def impact(self) -> Impact:
        return self.incident.impact

    def since(self, told: int) -> tuple[Update, ...]:
        """The updates after the news numbered `told`; -1: all that are here."""
        after = told // 10 + 1 if told >= 0 else 0
        return self.incident.updates[max(0, after - self.first) :]


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says: one piece of news, a digest's several, or (none) how to confirm."""

    id: str
    """The same at every try, so that a receiver can tell a repetition; letters and digits."""
    subscription: Subscription
    news: tuple[News, ...] = ()
    told: dict[str, int] = msgspec.field(default_factory=dict)
    """Incident → number of the last news of it that reached this subscriber."""


class Sent(msgspec.Struct, frozen=True):
    """The other side said that it has it."""


class Refused(msgspec.Struct, frozen=True):
    """It certainly does not have it."""

    why: str
    again: bool = True
    """Whether another try may help."""
    retry_after_s: float | None = None
    gone: bool = False
    """It wants no more of this: the subscription ends."""


class Unknown(msgspec.Struct, frozen=True):
    """It may have it: no answer came, or none that tells."""

    why: str


Result = Sent | Refused | Unknown


def parcel_id(subscription_id: str, states: Sequence[str]) -> str:
    said = "\n".join([subscription_id, *sorted(states)])
    return "dlv_" + hashlib.sha256(said.encode()).hexdigest()[:32]


def news(
    old: Incident | None,
    new: Incident,
    states: Mapping[str, ComponentState],
    now: float,
) -> tuple[News, ...]:
    """What to tell now that an incident has changed. The same change gives the same states, so
    telling it twice is harmless.

    `old`: as it was before (None: it was not there); `states`: what is said of components now.
    """
    known = len(old.updates) if old is not None else 0
    out: list[News] = []
    for index in range(known, len(new.updates)):
        update = new.updates[index]
        kind = _kind(new, update)
        rule = RULES.get(kind)
        name = _name(rule, kind, index, new) if rule is not None else ""
        if rule is not None and (name or _ends(new, update)):
            about = update.components if kind == "extended" else tuple(new.components)
            made = _make(new, states, name or f"{kind}.{index}", kind, 10 * index + 5, rule, now)
            out.append(
                msgspec.structs.replace(
                    made, update=update, components=about, ends=_ends(new, update)
                )
            )
    if (
        old is not None
        and _rank(new.impact) > _rank(old.impact)
        and new.stage is not Stage.RESOLVED
    ):
        last = len(new.updates) - 1
        # Below the news of its own step, which say the impact too; above those of an earlier one.
        number = 10 * last + (1 if len(new.updates) > known else 5 + _rank(new.impact))
        out.append(_make(new, states, f"worse.{new.impact}", "worse", number, _WORSE, now))
    return tuple(out)


def _kind(incident: Incident, update: Update) -> str:
    """An update that retracts another one is an edit; only a whole incident is retracted."""
    if update.kind == "retracted" and not incident.retracted:
        return "corrected"
    return update.kind


def _ends(incident: Incident, update: Update) -> bool:
    whole = update.kind == "retracted" and incident.retracted
    return whole or (update.kind == "merged" and bool(incident.merged_into))


def _name(rule: Rule, kind: str, index: int, incident: Incident) -> str:
    match rule.key:
        case Key.ONCE:
            return kind
        case Key.EPOCH:
            return f"{kind}.{incident.relapses}" if incident.relapses else kind
        case Key.EACH:
            return f"{kind}.{index}"
        case Key.CAUSE:
            return f"{kind}.{incident.cause}" if incident.cause != "unknown" else ""
        case Key.NEVER:
            return ""


def _make(
    incident: Incident,
    states: Mapping[str, ComponentState],
    name: str,
    kind: str,
    number: int,
    rule: Rule,
    now: float,
) -> News:
    first = max(0, len(incident.updates) - UPDATES_SHOWN)
    return News(
        state=f"{incident.id}/{name}",
        kind=kind,
        number=number,
        audience=rule.audience,
        at=now,
        incident=msgspec.structs.replace(incident, updates=incident.updates[first:]),
        first=first,
        components=tuple(incident.components),
        states=tuple(
            states[component] for component in sorted(incident.components) if component in states
        )[:UPDATES_SHOWN],
    )


def audience(item: News, wanted: Wanted) -> Audience:
    """Who of those that want this news hears it. Who asked for ends alone has heard of no
    beginning, and gets them all the same."""
    if item.audience is Audience.KNOWING and not BEGINNINGS & set(wanted.states):
        return Audience.ALL
    return item.audience


def _rank(impact: Impact) -> int:
    return IMPACTS.index(impact)


def next_at(hour: int, where: tzinfo, now: float) -> float:
    """When the clocks of a zone next show that full hour, after `now`.

    Where they skip it they show the next one; where they show it twice the first time counts.
    """
    day = datetime.fromtimestamp(now, where).date()
    at = now
    while at <= now:
        at = datetime(day.year, day.month, day.day, hour, tzinfo=where).timestamp()
        day += timedelta(days=1)
    return at


def due_at(digest: Digest, now: float, hour: int = MORNING, where: tzinfo = UTC) -> float:
    """When news that came at `now` leave; `hour`: of a daily digest, by the clocks of `where`."""
    match digest:
        case Digest.NOW:
            return now
        case Digest.HOURLY:
            return math.floor(now / 3600.0) * 3600.0 + 3600.0
        case Digest.DAILY:
            return next_at(hour, where, now)


def retry_at(
    tries: int, first_due_at: float, now: float, roll: float, retry_after_s: float | None = None
) -> float | None:
    """When to try again after the `tries`-th refusal, or None: give up.

    The pause doubles from 15 s to an hour, and `roll` in [0, 1) moves it by half its length to
    both sides, so that many that failed together do not come back together. What the other side
    asks for (`retry-after`) is the least, up to two hours.
    """
    if tries >= TRIES_MAX:
        return None
    pause_s = min(FIRST_RETRY_S * 2 ** min(tries - 1, 20), LAST_RETRY_S) * (0.5 + roll)
    pause_s = max(pause_s, min(retry_after_s or 0.0, RETRY_AFTER_MAX_S))
    at = now + pause_s
    return at if at - first_due_at <= GIVE_UP_S else None
