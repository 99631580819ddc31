"""What a subscription is, what may stand in one, and which news it wants. Pure.

A subscriber is a target: one e-mail address, one webhook. It has one living subscription, so that
two of them cannot tell it the same thing twice; a further one for the same address replaces the
first when it is confirmed. What comes from outside is checked here field by field, and every
problem is said at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from outlast.nouns import Component, Impact, Surface
from outlast.observatory.addresses import Forbidden, Rules, check_url

TARGET_LIMIT = 2000
"""Signs of an address; an e-mail address has 254 at most (RFC 5321, 4.5.3.1.3)."""
MAIL_LIMIT = 254
FILTER_LIMIT = 50
"""Providers, surfaces or components that one subscription may name, each."""
NAME_LIMIT = 200

IMPACTS = list(Impact)
PUBLIC = Rules()


class Channel(StrEnum):
    """How a subscriber hears."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"
    APPRISE = "apprise"


class Digest(StrEnum):
    """When a subscriber hears: at once, or what has gathered at each full hour or morning."""

    NOW = "now"
    HOURLY = "hourly"
    DAILY = "daily"


DEFAULT_STATES = (
    "opened",
    "confirmed",
    "extended",
    "worse",
    "relapsed",
    "resolved",
    "annotated",
    "retracted",
)
EXTRA_STATES = ("monitoring", "vendor", "cause", "contradiction", "corrected")
"""Told to those alone who ask for them."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber wants to hear. Empty filters let everything through.

    Filters of one kind widen each other, filters of different kinds narrow each other.
    """

    lang: Literal["en", "fr"] = "en"
    providers: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    """Names of components; `anthropic/api` stands for its models and regions too."""
    impact: Impact = Impact.NONE
    """The least impact that is told."""
    states: tuple[str, ...] = DEFAULT_STATES
    digest: Digest = Digest.NOW


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to hear what. Unconfirmed, it is told nothing but how to confirm."""

    id: str
    kind: Channel
    target: str
    created_at: float
    confirmed_at: float | None = None
    wanted: Wanted = Wanted()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as it comes from outside, read but not yet believed."""

    kind: str
    target: str
    lang: str = "en"
    providers: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    impact: str = "none"
    states: tuple[str, ...] = ()
    digest: str = "now"


class BadSubscription(ValueError):
    """What was asked for cannot be had. `problems` holds one sentence for each field at fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = tuple(problems)


def accept(
    asked: Asked, *, kinds: Sequence[Channel], rules: Rules = PUBLIC
) -> tuple[Channel, str, Wanted]:
    """The channel, the target as it is compared, and what is wanted.

    `kinds`: the channels that are set up here; `rules`: which addresses a webhook may have.
    Raises BadSubscription with every problem.
    """
    problems: list[str] = []
    kind = _one_of(asked.kind, [one.value for one in kinds], "kind", problems)
    target = ""
    if kind:
        try:
            target = clean_target(Channel(kind), asked.target, rules)
        except BadSubscription as error:
            problems += error.problems
    lang = _one_of(asked.lang, ["en", "fr"], "lang", problems)
    impact = _one_of(asked.impact, [one.value for one in Impact], "impact", problems)
    digests = [one.value for one in Digest]
    digest = _one_of(
        asked.digest, ["now"] if kind == Channel.WEBHOOK else digests, "digest", problems
    )
    states = [*DEFAULT_STATES, *EXTRA_STATES]
    for state in asked.states[:FILTER_LIMIT]:
        _one_of(state, states, "states", problems)
    surfaces = [one.value for one in Surface]
    for surface in asked.surfaces[:FILTER_LIMIT]:
        _one_of(surface, surfaces, "surfaces", problems)
    for name in asked.providers[:FILTER_LIMIT]:
        if not _PROVIDER.fullmatch(name):
            problems.append(f"providers: {name[:60]!r} is no provider's name, like `anthropic`.")
    for name in asked.components[:FILTER_LIMIT]:
        if not _component(name):
            problems.append(f"components: {name[:60]!r} is no component, like `anthropic/api`.")
    for field in ("providers", "surfaces", "components", "states"):
        if len(getattr(asked, field)) > FILTER_LIMIT:
            problems.append(f"{field}: at most {FILTER_LIMIT} may be named.")
    if problems:
        raise BadSubscription(problems[:20])
    wanted = Wanted(
        lang="fr" if lang == "fr" else "en",
        providers=_each(asked.providers),
        surfaces=_each(asked.surfaces),
        components=_each(asked.components),
        impact=Impact(impact),
        states=_each(asked.states) or DEFAULT_STATES,
        digest=Digest(digest),
    )
    return Channel(kind), target, wanted


def clean_target(kind: Channel, text: str, rules: Rules = PUBLIC) -> str:
    """The target as it is stored and compared. Raises BadSubscription."""
    if kind is Channel.EMAIL:
        return _address(text)
    if not 0 < len(text) <= TARGET_LIMIT or not text.isascii() or not text.isprintable():
        raise BadSubscription(
            [f"target: an address of 1 to {TARGET_LIMIT} plain signs is needed, without spaces."]
        )
    return text if kind is Channel.APPRISE else _url(text, rules)


# The first part is RFC 5322's dot-atom; quoted local parts are left out on purpose: nobody has
# one, and they may hold what steers a mail server. Nor may one begin an encoded word (RFC 2047),
# which a mail's header would show decoded: as another address, or as a further header.
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAIL = re.compile(rf"({_LOCAL})@({_LABEL}(?:\.{_LABEL})+)")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")


def _address(text: str) -> str:
    found = _MAIL.fullmatch(text) if len(text) <= MAIL_LIMIT else None
    if found is None or len(found[1]) > 64 or "=?" in text:
        raise BadSubscription(
            [
                "target: that is not an e-mail address that we can write to. It looks like "
                "`name@example.org`; write a domain with other letters in its `xn--` form."
            ]
        )
    return text.lower()  # in theory two mailboxes may differ by case; in practice none do


def _url(text: str, rules: Rules) -> str:
    try:
        parsed = check_url(text, rules)
    except Forbidden as error:
        raise BadSubscription([f"target: {error}"]) from None
    return str(parsed.with_fragment(None))


def _component(name: str) -> bool:
    try:
        found = Component.parse(name)
    except ValueError:
        return False
    return (
        len(name) <= NAME_LIMIT
        and name.isprintable()
        and _PROVIDER.fullmatch(found.provider) is not None
    )


def _one_of(text: str, allowed: Sequence[str], field: str, problems: list[str]) -> str:
    if text in allowed:
        return text
    choice = ", ".join(f"`{one}`" for one in allowed) or "nothing, for none is set up here"
    problems.append(f"{field}: {text[:40]!r} is not one of {choice}.")
    return ""


def _each(names: Sequence[str]) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(names))


def wants(wanted: Wanted, kind: str, impact: Impact, components: Sequence[str]) -> bool:
    """Whether news of this kind and impact, about these components, is for this subscriber."""
    if kind not in wanted.states or IMPACTS.index(impact) < IMPACTS.index(wanted.impact):
        return False
    if not (wanted.providers or wanted.surfaces or wanted.components):
        return True
    return any(_reaches(wanted, name) for name in components)


def _reaches(wanted: Wanted, name: str) -> bool:
    try:
        component = Component.parse(name)
    except ValueError:
        return False
    if wanted.providers and component.provider not in wanted.providers:
        return False
    if wanted.surfaces and component.surface not in wanted.surfaces:
        return False
    return not wanted.components or any(_within(component, one) for one in wanted.components)


def _within(component: Component, wanted: str) -> bool:
    """Whether a component is the wanted one, a part of it, or the whole that it is a part of.

    Who uses one model wants to hear that its whole surface is gone.
    """
    other = Component.parse(wanted)
    if component.whole != other.whole:
        return False
    return all(
        not (ours and theirs) or ours == theirs
        for ours, theirs in ((component.model, other.model), (component.region, other.region))
    )


class Allowance:
    """So many at once, and so many an hour, for each of many keys. Bounded: beyond `keys_max`
    keys under way at once, all further ones share one allowance.

    Source: the generic cell rate algorithm (ITU-T I.371, annex A): one time for each key.
    """

    def __init__(self, at_once: int, per_hour: float, keys_max: int = 10_000) -> None:
        self._every_s = 3600.0 / per_hour
        self._slack_s = self._every_s * (at_once - 1)
        self._keys_max = keys_max
        self._full_at: dict[str, float] = {}

    def wait_s(self, key: str, now: float) -> float:
        """0, and one is used up; or how long to wait for the next."""
        if key not in self._full_at and len(self._full_at) >= self._keys_max:
            self._full_at = {one: at for one, at in self._full_at.items() if at > now}
            if len(self._full_at) >= self._keys_max:
                key = ""
        at = max(self._full_at.get(key, now), now)
        if at - now > self._slack_s:
            return at - now - self._slack_s
        self._full_at[key] = at + self._every_s
        return 0.0
