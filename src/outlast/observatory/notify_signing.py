"""Tokens in links, webhooks' secrets and signatures: all from one key. Pure.

Nothing of these is stored: a token says of itself what it is for, and a webhook's secret is made
anew from the key and the subscription's id whenever it is needed. So a copy of the database alone
neither confirms, ends nor forges anything. Whoever changes the key ends every link and secret.

Webhooks are signed after Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks,
spec/standard-webhooks.md, "Signature scheme"): HMAC-SHA256 over `id.timestamp.body`, base64,
behind `v1,`; secrets are base64 behind `whsec_`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from enum import StrEnum

KEY_BYTES = 32
TOKEN_LIMIT = 300
CONFIRM_S = 24 * 3600.0
"""How long the link in a mail confirms; after it the address is forgotten."""
FOREVER = 0


class Purpose(StrEnum):
    CONFIRM = "confirm"
    LEAVE = "leave"


class BadToken(ValueError):
    """A token that is not ours, for something else, or too old. Says which to its bearer."""

    def __init__(self, english: str, french: str) -> None:
        super().__init__(english)
        self.texts = {"en": english, "fr": french}


def mint(key: bytes, purpose: Purpose, subscription_id: str, until: float = FOREVER) -> str:
    """A token for one thing with one subscription, until a time (0: for ever)."""
    said = f"{purpose}.{subscription_id}.{int(until)}"
    return f"{said}.{_b64(_mac(key, f'token {said}'.encode())[:24])}"


def read(key: bytes, purpose: Purpose, token: str, now: float) -> str:
    """The subscription's id. Raises BadToken."""
    said, _, signature = token[: TOKEN_LIMIT + 1].rpartition(".")
    if len(token) > TOKEN_LIMIT or not token.isascii():
        raise BadToken(
            "This link is not one of ours. Copy it whole.",
            "Ce lien n'est pas un des nôtres. Copiez-le en entier.",
        )
    expected = _b64(_mac(key, f"token {said}".encode())[:24])
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise BadToken(
            "This link is not one of ours, or it was cut on its way. Copy it whole.",
            "Ce lien n'est pas un des nôtres, ou il a été coupé en route. Copiez-le en entier.",
        )
    what, _, rest = said.partition(".")
    subscription_id, _, until = rest.rpartition(".")
    if what != purpose:
        raise BadToken("This link is for something else.", "Ce lien sert à autre chose.")
    if int(until) and now > int(until):
        raise BadToken(
            "This link is too old. Subscribe again to get a new one.",
            "Ce lien est trop ancien. Abonnez-vous à nouveau pour en recevoir un autre.",
        )
    return subscription_id


def webhook_secret(key: bytes, subscription_id: str) -> str:
    """`whsec_` and 32 bytes in base64: what a webhook's owner checks our signature with."""
    return "whsec_" + base64.b64encode(_mac(key, f"webhook {subscription_id}".encode())).decode()


def webhook_signature(secret: str, delivery_id: str, at: int, body: bytes) -> str:
    """`v1,` and the signature; `at` is the time of this try. Raises ValueError for a bad secret."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("A webhook's secret is `whsec_` and base64.") from error
    signed = _mac(key, f"{delivery_id}.{at}.".encode() + body)
    return "v1," + base64.b64encode(signed).decode()


def fingerprint(key: bytes) -> str:
    """What replicas compare to see that they use the same key; tells nothing of it."""
    return hashlib.sha256(b"fingerprint " + key).hexdigest()[:32]


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
