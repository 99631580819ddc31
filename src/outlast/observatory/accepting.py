"""What may stand in a subscription that comes from outside. Pure.

It is checked field by field, and every problem is said at once, in English and French.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence

import msgspec

from outlast.nouns import Component, Impact, Surface
from outlast.observatory.addresses import Forbidden, Rules, check_url
from outlast.observatory.subscribing import (
    DEFAULT_STATES,
    EXTRA_STATES,
    MORNING,
    UTC_ZONE,
    Channel,
    Digest,
    Wanted,
)

TARGET_LIMIT = 2000
"""Signs of an address; an e-mail address has 254 at most (RFC 5321, 4.5.3.1.3)."""
MAIL_LIMIT = 254
FILTER_LIMIT = 50
"""Providers, surfaces or components that one subscription may name, each."""
NAME_LIMIT = 200
PROBLEMS_LIMIT = 20
POINT_BYTES, AUTH_BYTES = 65, 16
"""An uncompressed point of P-256, and a secret (RFC 8291, 3.1 and 3.2)."""
KEY_LIMIT = 200

PUBLIC = Rules()
IsZone = Callable[[str], bool]


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """A browser's own keys, as `PushSubscription.toJSON()` gives them."""

    p256dh: str = ""
    auth: str = ""


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
    hour: int = MORNING
    zone: str = ""
    """Empty: nothing was said of it."""
    keys: Keys = Keys()


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    en: str
    fr: str


class BadSubscription(ValueError):
    """What was asked for cannot be had: one problem for each field at fault."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self.texts: dict[str, str] = {
            "en": " ".join(f"{one.field}: {one.en}" for one in problems),
            "fr": " ".join(f"{one.field}\u00a0: {one.fr}" for one in problems),
        }
        super().__init__(self.texts["en"])


def accept(
    asked: Asked,
    *,
    kinds: Sequence[Channel],
    rules: Rules = PUBLIC,
    is_zone: IsZone = UTC_ZONE.__eq__,
) -> tuple[Channel, str, Wanted]:
    """The channel, the target as it is compared, and what is wanted.

    `kinds`: the channels that are set up here; `rules`: which addresses a webhook may have;
    `is_zone`: which time zones there are.
    Raises BadSubscription with every problem.
    """
    problems: list[Problem] = []
    kind = _one_of(asked.kind, [one.value for one in kinds], "kind", problems)
    target = ""
    if kind:
        try:
            target = clean_target(Channel(kind), asked.target, rules)
        except BadSubscription as error:
            problems += error.problems
        try:
            clean_keys(Channel(kind), asked.keys)
        except BadSubscription as error:
            problems += error.problems
    wanted = _wishes(asked, kind, problems, is_zone)
    if problems or wanted is None:
        raise BadSubscription(problems[:PROBLEMS_LIMIT])
    return Channel(kind), target, wanted


def wishes(asked: Asked, kind: Channel, is_zone: IsZone) -> Wanted:
    """What a subscriber of this kind wants from now on. Raises BadSubscription."""
    problems: list[Problem] = []
    wanted = _wishes(asked, kind, problems, is_zone)
    if wanted is None:
        raise BadSubscription(problems[:PROBLEMS_LIMIT])
    return wanted


def _wishes(asked: Asked, kind: str, problems: list[Problem], is_zone: IsZone) -> Wanted | None:
    """What is wanted; None and at least one problem more where that cannot be."""
    before = len(problems)
    lang = _one_of(asked.lang, ["en", "fr"], "lang", problems)
    impact = _one_of(asked.impact, [one.value for one in Impact], "impact", problems)
    digests = [one.value for one in Digest]
    digest = _one_of(
        asked.digest, ["now"] if kind == Channel.WEBHOOK else digests, "digest", problems
    )
    if not 0 <= asked.hour < 24:
        problems.append(
            Problem(
                "hour",
                "a full hour is needed, from 0 to 23.",
                "il faut une heure pleine, de 0 à 23.",
            )
        )
    if asked.zone and not is_zone(asked.zone):
        problems.append(
            Problem(
                "zone",
                f"{asked.zone[:60]!r} is no time zone known here, like `Europe/Paris` or `UTC`.",
                f"{asked.zone[:60]!r} n'est pas un fuseau horaire connu ici, comme `Europe/Paris` "
                "ou `UTC`.",
            )
        )
    states = [*DEFAULT_STATES, *EXTRA_STATES]
    for state in asked.states[:FILTER_LIMIT]:
        _one_of(state, states, "states", problems)
    surfaces = [one.value for one in Surface]
    for surface in asked.surfaces[:FILTER_LIMIT]:
        _one_of(surface, surfaces, "surfaces", problems)
    _named(asked, problems)
    if len(problems) > before:
        return None
    return Wanted(
        lang="fr" if lang == "fr" else "en",
        providers=_each(asked.providers),
        surfaces=_each(asked.surfaces),
        components=_each(asked.components),
        impact=Impact(impact),
        states=_each(asked.states) or DEFAULT_STATES,
        digest=Digest(digest),
        hour=asked.hour,
        zone=asked.zone or UTC_ZONE,
    )


def _named(asked: Asked, problems: list[Problem]) -> None:
    """What is wrong with names of providers and components, and with too many names."""
    for name in asked.providers[:FILTER_LIMIT]:
        if not _PROVIDER.fullmatch(name):
            problems.append(
                Problem(
                    "providers",
                    f"{name[:60]!r} is no provider's name, like `anthropic`.",
                    f"{name[:60]!r} n'est pas un nom de fournisseur, comme `anthropic`.",
                )
            )
    for name in asked.components[:FILTER_LIMIT]:
        if not _component(name):
            problems.append(
                Problem(
                    "components",
                    f"{name[:60]!r} is no component, like `anthropic/api`.",
                    f"{name[:60]!r} n'est pas un composant, comme `anthropic/api`.",
                )
            )
    for field in ("providers", "surfaces", "components", "states"):
        if len(getattr(asked, field)) > FILTER_LIMIT:
            problems.append(
                Problem(
                    field,
                    f"at most {FILTER_LIMIT} may be named.",
                    f"{FILTER_LIMIT} au plus peuvent être nommés.",
                )
            )


def clean_target(kind: Channel, text: str, rules: Rules = PUBLIC) -> str:
    """The target as it is stored and compared. Raises BadSubscription."""
    if kind is Channel.EMAIL:
        return _address(text)
    if not 0 < len(text) <= TARGET_LIMIT or not text.isascii() or not text.isprintable():
        raise _bad_target(
            f"an address of 1 to {TARGET_LIMIT} plain signs is needed, without spaces.",
            f"il faut une adresse de 1 à {TARGET_LIMIT} signes simples, sans espace.",
        )
    if kind is Channel.PUSH:
        # Push services are on https without exception (RFC 8030, 8).
        rules = msgspec.structs.replace(rules, plain=False)
    return text if kind is Channel.APPRISE else _url(text, rules)


def clean_keys(kind: Channel, keys: Keys) -> str:
    """A browser's keys as they are stored; empty for other kinds. Raises BadSubscription."""
    if kind is not Channel.PUSH:
        return ""
    point, secret = _unpadded(keys.p256dh), _unpadded(keys.auth)
    if len(point) != POINT_BYTES or point[0] != 4 or len(secret) != AUTH_BYTES:
        raise BadSubscription(
            [
                Problem(
                    "keys",
                    "`p256dh` and `auth` are needed as the browser gives them, in base64url.",
                    "il faut `p256dh` et `auth` tels que le navigateur les donne, en base64url.",
                )
            ]
        )
    return f"{_b64(point)}.{_b64(secret)}"


def _unpadded(text: str) -> bytes:
    """Base64url with or without its padding; empty for what is none."""
    bare = text.rstrip("=")
    if len(text) > KEY_LIMIT or not _BASE64URL.fullmatch(bare):
        return b""
    try:
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return b""


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# The first part is RFC 5322's dot-atom; quoted local parts are left out on purpose: nobody has
# one, and they may hold what steers a mail server. Nor may one begin an encoded word (RFC 2047),
# which a mail's header would show decoded: as another address, or as a further header.
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAIL = re.compile(rf"({_LOCAL})@({_LABEL}(?:\.{_LABEL})+)")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def _address(text: str) -> str:
    found = _MAIL.fullmatch(text) if len(text) <= MAIL_LIMIT else None
    if found is None or len(found[1]) > 64 or "=?" in text:
        raise _bad_target(
            "that is not an e-mail address that we can write to. It looks like "
            "`name@example.org`; write a domain with other letters in its `xn--` form.",
            "ce n'est pas une adresse électronique à laquelle nous pouvons écrire. Elle ressemble "
            "à `nom@example.org`\u00a0; écrivez un domaine aux lettres accentuées sous sa forme "
            "`xn--`.",
        )
    return text.lower()  # in theory two mailboxes may differ by case; in practice none do


def _url(text: str, rules: Rules) -> str:
    try:
        parsed = check_url(text, rules)
    except Forbidden as error:
        raise _bad_target(str(error), error.french) from None
    return str(parsed.with_fragment(None))


def _bad_target(en: str, fr: str) -> BadSubscription:
    return BadSubscription([Problem("target", en, fr)])


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


def _one_of(text: str, allowed: Sequence[str], field: str, problems: list[Problem]) -> str:
    if text in allowed:
        return text
    choice = ", ".join(f"`{one}`" for one in allowed)
    problems.append(
        Problem(
            field,
            f"{text[:40]!r} is not one of {choice or 'nothing, for none is set up here'}.",
            f"{text[:40]!r} n'est pas un choix possible\u00a0: {choice or 'rien ici'}.",
        )
    )
    return ""


def _each(names: Sequence[str]) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(names))
