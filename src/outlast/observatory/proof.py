"""A small proof of work for times of flood, so that inventing voices costs something. Pure.

The challenge is a signed text; the solution is a number whose SHA-256 together with the text
begins with so many zero bits. That is Hashcash (Back, 2002) with the stamp's date and address
replaced by a signature: nothing is kept for a challenge that was given out, it expires, it holds
for one reporter, and `Reporting` takes each once. 16 bits are 65,536 hashes at the mean: a tenth
of a second in a browser, in the background, after the person has already been answered.

Why not the package `altcha` (2.3), which is about the same: its server part is HMAC and SHA-256
that Python brings along; its challenge is bound to nobody and its single use is left to the
caller; and its widget is a script of its own, heavier than the page that would load it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

import msgspec

LIFE_S = 300.0
BITS = 16
BITS_MAX = 22
TEXT_LIMIT = 160
"""Longest proof that is looked at: challenge, dot, number."""
_NUMBER_LIMIT = 20


class BadProof(ValueError):
    """A proof that is none. The message says why, in a word: shape, signature, expired, work."""


class Proof(msgspec.Struct, frozen=True):
    """A proof that holds: to be used once before it expires."""

    salt: str
    expires_at: float


def challenge(secret: bytes, reporter: str, salt: str, at: float, bits: int = BITS) -> str:
    """Return the text to be solved. `salt` is a random text of the caller's, letters and digits."""
    bits = max(1, min(bits, BITS_MAX))
    expires_at = int(at + LIFE_S)
    return f"1.{bits}.{expires_at}.{salt}.{_signature(secret, reporter, salt, expires_at, bits)}"


def bits_for(rate: float, threshold: float) -> int:
    """One bit more, which is twice the work, for each doubling of the flood above its threshold."""
    if threshold <= 0 or rate <= threshold:
        return BITS
    return min(BITS_MAX, BITS + int(rate / threshold).bit_length() - 1)


def verify(text: str, keys: Iterable[tuple[bytes, str]], now: float) -> Proof:
    """Check `challenge.number` for any of (secret, reporter): today's and yesterday's.

    Raises BadProof.
    """
    parts = text.split(".") if len(text) <= TEXT_LIMIT else []
    if len(parts) != 6 or parts[0] != "1" or not all(map(_plain, parts)):
        raise BadProof("shape")
    _, bits_text, expires_text, salt, signature, number = parts
    numbers = (bits_text, expires_text, number)
    if not all(one.isdigit() and len(one) <= _NUMBER_LIMIT for one in numbers):
        raise BadProof("shape")
    bits, expires_at = int(bits_text), int(expires_text)
    wanted = [_signature(secret, who, salt, expires_at, bits) for secret, who in keys]
    if not any(hmac.compare_digest(signature, one) for one in wanted):
        raise BadProof("signature")
    if now > expires_at:
        raise BadProof("expired")
    if zero_bits(hashlib.sha256(text.encode("ascii")).digest()) < bits:
        raise BadProof("work")
    return Proof(salt, float(expires_at))


def solve(text: str, tries: int = 1 << 26) -> str:
    """Return `challenge.number`, as a client would. Raises BadProof after so many tries."""
    bits = int(text.split(".")[1])
    begun = hashlib.sha256(f"{text}.".encode("ascii"))
    for number in range(tries):
        attempt = begun.copy()
        attempt.update(b"%d" % number)
        if zero_bits(attempt.digest()) >= bits:
            return f"{text}.{number}"
    raise BadProof("work")


def zero_bits(digest: bytes) -> int:
    """How many bits a digest begins with that are zero."""
    return len(digest) * 8 - int.from_bytes(digest, "big").bit_length()


def _plain(part: str) -> bool:
    return part.isascii() and bool(part) and part.replace("-", "").replace("_", "").isalnum()


def _signature(secret: bytes, reporter: str, salt: str, expires_at: int, bits: int) -> str:
    signed = f"proof|{bits}|{expires_at}|{reporter}|{salt}".encode()
    digest = hmac.digest(secret, signed, "sha256")
    return base64.urlsafe_b64encode(digest)[:22].decode("ascii")
