"""What a subscription is, and which news it wants. Pure.

A subscriber is a target: one e-mail address, one webhook, one browser. It has one living
subscription, so that two of them cannot tell it the same thing twice; a further one for the same
address replaces the first when it is confirmed. What comes from outside is checked in accepting.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from outlast.nouns import Component, Impact

IMPACTS = list(Impact)


class Channel(StrEnum):
    """How a subscriber hears."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"
    APPRISE = "apprise"
    PUSH = "push"
    """A browser, through its vendor's push service."""


class Digest(StrEnum):
    """When a subscriber hears: at once, or what has gathered at each full hour, or once a day."""

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
UTC_ZONE = "UTC"
MORNING = 7
"""Where no hour is asked for, a daily digest leaves at 07:00."""
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
    hour: int = MORNING
    """When a daily digest leaves: a full hour of `zone`."""
    zone: str = UTC_ZONE
    """Its name in the IANA database."""


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to hear what. Unconfirmed, it is told nothing but how to confirm."""

    id: str
    kind: Channel
    target: str
    created_at: float
    confirmed_at: float | None = None
    wanted: Wanted = Wanted()
    keys: str = ""
    """Of a browser: its `p256dh` and `auth`, in base64url, with a dot between (RFC 8291, 3)."""
    asked_from: str = ""
    """Whose it is while it is unconfirmed: keyed hashes of a network and the one around it."""


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

    def left_s(self, key: str, now: float) -> float:
        """How long to wait for the next, and none is used up; 0 where there is one."""
        return max(0.0, self._full_at.get(self._place(key, now), now) - now - self._slack_s)

    def wait_s(self, key: str, now: float) -> float:
        """0, and one is used up; or how long to wait for the next."""
        key = self._place(key, now)
        at = max(self._full_at.get(key, now), now)
        if at - now > self._slack_s:
            return at - now - self._slack_s
        self._full_at[key] = at + self._every_s
        return 0.0

    def _place(self, key: str, now: float) -> str:
        """The key under which it counts: its own where there is room, else the shared one."""
        if key not in self._full_at and len(self._full_at) >= self._keys_max:
            self._full_at = {one: at for one, at in self._full_at.items() if at > now}
            if len(self._full_at) >= self._keys_max:
                return ""
        return key
