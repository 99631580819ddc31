"""API keys: their form, what is kept of them, what they permit. Pure.

A key is `ol_` + 33 characters of secret (192 random bits) + 6 characters of checksum, all base 62.
The checksum (CRC-32) tells a mistyped or cut key from an unknown one without asking anybody; the
prefix lets secret scanners find one that leaked. GitHub's tokens are built the same way:
https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/

Only the SHA-256 of a key is kept. A slow hash (Argon2) protects passwords because people choose
guessable ones; 192 random bits cannot be guessed at any speed. The hash is looked up in a table,
so no constant-time comparison is needed: what timing could tell is about the hash of what was
sent, and nobody can choose a text whose SHA-256 shares a wanted beginning and learn from it.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal
from zlib import crc32

import msgspec

from outlast.nouns import Allow

PREFIX = "ol_"
SECRET_BYTES = 24
ID_BYTES = 8
RANDOM_BYTES = SECRET_BYTES + ID_BYTES
"""What `mint` wants."""

BODY_LENGTH = 33
CHECKSUM_LENGTH = 6
LENGTH = len(PREFIX) + BODY_LENGTH + CHECKSUM_LENGTH
SHOWN_LENGTH = 8
"""How much of a key is shown to recognise it: `ol_` and 5 characters of 33."""

SENT_LIMIT = 512
"""Longer texts than this are not keys of anybody's; they are not hashed."""
NAME_LIMIT = 100
MODELS_LIMIT = 100
GLOB_LIMIT = 200

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTERS = frozenset(_ALPHABET)


class KeyFault(StrEnum):
    """What is wrong with the form of a text that should be a key."""

    NOT_OURS = "not_ours"
    MISTYPED = "mistyped"


class BadKey(ValueError):
    """A text that cannot be one of our keys. The message is for its sender; it repeats nothing."""

    def __init__(self, fault: KeyFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class BadKeySettings(ValueError):
    """A name, a model pattern or a limit that a key cannot have; says which and why."""


_ALL = ("*",)

Notice = Literal["", "off", "en", "fr"]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as everyone may see it: never the secret, never its hash."""

    id: str
    name: str
    prefix: str
    """The beginning of the secret, to recognise it by."""
    created_at: float
    revoked_at: float | None = None
    allow: Allow = Allow.LOCAL
    """How far answers for this key may degrade."""
    models: tuple[str, ...] = ("*",)
    """Public model names that it may ask for; `*` stands for any text, `?` for one character."""
    requests_per_minute: int | None = None
    concurrent: int | None = None
    """Requests under way at once."""
    notice: Notice = ""
    """Language of visible notices where a weaker model answers, or `off`; empty: the route's."""

    @property
    def revoked(self) -> bool:
        return self.revoked_at is not None

    def permits(self, model: str) -> bool:
        """Whether it may ask for this public model name now."""
        if self.revoked:
            return False
        return self.models == _ALL or any(matches(glob, model) for glob in self.models)


class KeyRecord(msgspec.Struct, frozen=True):
    """A key with the hash that it is found by, as the database and the snapshot keep it."""

    key: Key
    hash: str


def permits(key: Key, model: str) -> bool:
    """Whether this key may ask for this public model name."""
    return key.permits(model)


def mint(
    random_bytes: bytes,
    *,
    name: str,
    at: float,
    allow: Allow = Allow.LOCAL,
    models: tuple[str, ...] = ("*",),
    requests_per_minute: int | None = None,
    concurrent: int | None = None,
    notice: Notice = "",
) -> tuple[str, KeyRecord]:
    """A new key: its secret, to be shown once, and what to keep.

    `random_bytes`: RANDOM_BYTES bytes from the operating system. `at`: seconds since the epoch.
    Raises BadKeySettings.
    """
    if len(random_bytes) != RANDOM_BYTES:
        raise ValueError(f"a key is made from {RANDOM_BYTES} random bytes")
    _check(name, models, {"requests per minute": requests_per_minute, "concurrent": concurrent})
    body = PREFIX + _base62(int.from_bytes(random_bytes[:SECRET_BYTES], "big"), BODY_LENGTH)
    secret = body + _checksum(body)
    key = Key(
        id="key_" + _base62(int.from_bytes(random_bytes[SECRET_BYTES:], "big"), 11),
        name=name.strip(),
        prefix=secret[:SHOWN_LENGTH],
        created_at=at,
        allow=allow,
        models=models,
        requests_per_minute=requests_per_minute,
        concurrent=concurrent,
        notice=notice,
    )
    return secret, KeyRecord(key, hash_of(secret))


def hash_of(secret: str) -> str:
    """What a key is found by: the SHA-256 of its text, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def parse(text: str) -> str:
    """Check the form of a key that somebody sent and return its hash. Raises BadKey."""
    if not text.startswith(PREFIX):
        raise BadKey(
            KeyFault.NOT_OURS,
            f"This is not a key of Outlast: those begin with {PREFIX}. A provider's own key "
            "belongs into the configuration of an upstream.",
        )
    if len(text) != LENGTH:
        raise BadKey(
            KeyFault.MISTYPED,
            f"This key has {len(text)} characters instead of {LENGTH}: it was cut, or something "
            "was added.",
        )
    body, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    if not _LETTERS.issuperset(text[len(PREFIX) :]) or _checksum(body) != checksum:
        raise BadKey(
            KeyFault.MISTYPED, "This key contains a typing error: its checksum does not fit."
        )
    return hash_of(text)


def matches(glob: str, text: str) -> bool:
    """Whether the pattern covers the whole text, case counting. `*`: any text, `?`: any one.

    Works from left to right and goes back to the last star only: at worst the product of both
    lengths, never exponential. (fnmatch builds a regular expression, and wants `os`.)
    """
    at = pattern_at = 0
    star = -1
    star_at = 0
    while at < len(text):
        if pattern_at < len(glob) and glob[pattern_at] == "*":
            star, star_at = pattern_at, at
            pattern_at += 1
        elif pattern_at < len(glob) and glob[pattern_at] in {"?", text[at]}:
            pattern_at += 1
            at += 1
        elif star >= 0:
            star_at += 1
            at, pattern_at = star_at, star + 1
        else:
            return False
    return all(sign == "*" for sign in glob[pattern_at:])


def _check(name: str, models: tuple[str, ...], limits: dict[str, int | None]) -> None:
    if not name.strip() or len(name) > NAME_LIMIT or not name.isprintable():
        raise BadKeySettings(
            f"The name of a key has 1 to {NAME_LIMIT} printable characters, for instance the "
            "person or the machine that it is for."
        )
    if not models or len(models) > MODELS_LIMIT:
        raise BadKeySettings(
            f"A key has 1 to {MODELS_LIMIT} model patterns; * permits every model."
        )
    for glob in models:
        if not glob or len(glob) > GLOB_LIMIT or not glob.isprintable():
            raise BadKeySettings(
                f"The model pattern {glob[:50]!r} must have 1 to {GLOB_LIMIT} printable characters."
            )
    for what, value in limits.items():
        if value is not None and not 0 < value <= 1_000_000:
            raise BadKeySettings(
                f"The limit {what} is {value}; it must be between 1 and 1000000. To forbid "
                "everything, revoke the key."
            )


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode("utf-8", "replace")), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    signs = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        signs.append(_ALPHABET[rest])
    return "".join(reversed(signs))
