"""Messages that only one browser can read, and the word of who sends them. Pure: what is random
comes from outside.

Sources: the encryption of Web Push is RFC 8291 over aes128gcm of RFC 8188; who sends is said by a
VAPID token, RFC 8292, an ES256 JWT (RFC 7515, 7518). One record holds a message, so of RFC 8188's
chain of records only the first is needed. The sender's key is made from the key of notices, as
webhooks' secrets are: replicas have the same, and there is no further file to lose.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT_BYTES = 16
RECORD_BYTES = 4096
"""What every push service takes (RFC 8030, 7.2), head included."""
PLAIN_LIMIT_BYTES = RECORD_BYTES - 86 - 17
"""So much of a message fits in, beside the head, the delimiter and the tag (RFC 8291, 4)."""
TOKEN_S = 12 * 3600.0
"""How long a token holds; 24 hours are the most (RFC 8292, 2)."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points P-256 has (SP 800-186, 3.2.1.3)."""


class BadBrowserKey(ValueError):
    """A browser's public key is no point of the curve."""


def sender_key(notify_key: bytes) -> ec.EllipticCurvePrivateKey:
    """The key that our messages are signed with. Method: FIPS 186-5, A.2.1, with 128 extra bits."""
    spread = b"".join(
        hmac.digest(notify_key, b"web push sender %d" % part, "sha256") for part in (1, 2)
    )[:48]
    number = int.from_bytes(spread, "big") % (_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Its public half, uncompressed: 65 bytes."""
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def application_key(notify_key: bytes) -> str:
    """What a browser is told to take messages from alone (`applicationServerKey`), base64url."""
    return b64(point(sender_key(notify_key)))


def seal(plain: bytes, keys: str, once: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """A message's body for the browser with these keys (`p256dh.auth`).

    `once`: a key made for this message alone; `salt`: 16 random bytes. Raises BadBrowserKey.
    """
    theirs, secret = (_unb64(part) for part in keys.split("."))
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
    except ValueError as error:
        raise BadBrowserKey("The browser's key is no point of P-256.") from error
    shared = once.exchange(ec.ECDH(), public)
    ours = point(once)
    # HKDF with one block each: HMAC of the salt, then of what it is for and the byte 1 (RFC 5869).
    agreed = _mac(_mac(secret, shared), b"WebPush: info\0" + theirs + ours + b"\x01")
    seed = _mac(salt, agreed)
    key = _mac(seed, b"Content-Encoding: aes128gcm\0\x01")[:16]
    nonce = _mac(seed, b"Content-Encoding: nonce\0\x01")[:12]
    head = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(ours)]) + ours
    return head + AESGCM(key).encrypt(nonce, plain + b"\x02", None)


def token(key: ec.EllipticCurvePrivateKey, audience: str, subject: str, now: float) -> str:
    """The `authorization` that says to one push service who sends.

    `audience`: its origin, `https://push.example.net`; `subject`: where its operators reach us, an
    https or mailto address.
    """
    said = {"aud": audience, "exp": int(now + TOKEN_S), "sub": subject}
    parts = [msgspec.json.encode(one) for one in ({"typ": "JWT", "alg": "ES256"}, said)]
    signed = ".".join(map(b64, parts))
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={signed}.{signature}, k={b64(point(key))}"


def topic(name: str) -> str:
    """A name under which a push service keeps only the newest message (RFC 8030, 5.4)."""
    return b64(hashlib.sha256(name.encode()).digest())[:32]


def b64(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
