"""A browser's half of web push, and a push service that is strict: RFC 8030, 8188, 8291, 8292.

Written from the RFCs' reading procedures and not from our sealing, so that a mistake there is not
repeated here.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _derived(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


class Browser:
    """Holds a subscription's keys, and reads what is sealed for them."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, secret: bytes) -> None:
        self._key = key
        self._secret = secret
        self.point = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @classmethod
    def new(cls) -> Browser:
        return cls(ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16))

    @property
    def keys(self) -> str:
        """As a subscription holds them."""
        return f"{_b64(self.point)}.{_b64(self._secret)}"

    @property
    def given(self) -> dict[str, str]:
        """As `PushSubscription.toJSON()` gives them."""
        return {"p256dh": _b64(self.point), "auth": _b64(self._secret)}

    def open(self, sealed: bytes) -> bytes:
        """The message. Raises ValueError for what is none, or not for this browser."""
        salt, size, length = sealed[:16], int.from_bytes(sealed[16:20], "big"), sealed[20]
        sender, record = sealed[21 : 21 + length], sealed[21 + length :]
        if size < 18 or len(record) > size:
            raise ValueError("there is more than one record")
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self._key.exchange(ec.ECDH(), public)
        info = b"WebPush: info\x00" + self.point + sender
        agreed = _derived(self._secret, shared, info, 32)
        key = _derived(salt, agreed, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = _derived(salt, agreed, b"Content-Encoding: nonce\x00", 12)
        try:
            padded = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\x00")
        except InvalidTag as error:
            raise ValueError("not for this browser") from error
        if padded[-1:] != b"\x02":
            raise ValueError("the last record does not say that it is the last")
        return padded[:-1]


class PushService:
    """Takes messages for browsers as the vendors' services do, and says what is wrong."""

    def __init__(self) -> None:
        self.url = ""
        self.now = 0.0
        self.sender = ""
        """The key that the browsers were told; base64url."""
        self.browsers: dict[str, Browser] = {}
        self.taken: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        """Path, headers and what the browser reads."""
        self.instead: web.Response | None = None
        """What it says whatever comes."""

    def browser(self, name: str = "one") -> tuple[str, Browser]:
        """A new browser and its address."""
        self.browsers[f"/push/{name}"] = made = Browser.new()
        return f"{self.url}/push/{name}", made

    async def take(self, request: web.Request) -> web.Response:
        if self.instead is not None:
            return web.Response(status=self.instead.status, headers=self.instead.headers)
        browser = self.browsers.get(request.path)
        if browser is None:
            return web.Response(status=404)
        body = await request.read()
        status = self._wrong(request, body)
        if status:
            return web.Response(status=status)
        words = msgspec.json.decode(browser.open(body))
        self.taken.append((request.path, dict(request.headers), words))
        return web.Response(status=201, headers={"location": f"{self.url}/message/1"})

    def _wrong(self, request: web.Request, body: bytes) -> int:
        """The status that a service refuses with; 0: it takes it."""
        given = request.headers
        ttl, topic = given.get("ttl", ""), given.get("topic", "A")
        if not ttl.isdigit() or given.get("content-encoding") != "aes128gcm":
            return 400
        if len(topic) > 32 or not set(topic) <= set(_b64(bytes(range(256))) + "-_"):
            return 400
        if given.get("urgency", "normal") not in {"very-low", "low", "normal", "high"}:
            return 400
        if len(body) > 4096:
            return 413
        return 0 if self._is_known(given.get("authorization", "")) else 403

    def _is_known(self, authorization: str) -> bool:
        scheme, _, rest = authorization.partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        head, body, signature = parts["t"].split(".")
        said, raw = msgspec.json.decode(unb64(body)), unb64(signature)
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(parts["k"]))
        numbers = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        try:
            public.verify(
                encode_dss_signature(*numbers), f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())
            )
        except InvalidSignature:
            return False
        return (
            scheme == "vapid"
            and parts["k"] == self.sender
            and said["aud"] == self.url
            and self.now < said["exp"] <= self.now + 86_400
            and said["sub"].startswith(("https:", "mailto:"))
        )


@asynccontextmanager
async def push_service(sender: str, now: float) -> AsyncIterator[PushService]:
    made = PushService()
    made.sender, made.now = sender, now
    app = web.Application()
    app.router.add_post("/push/{name}", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{port}"
    try:
        yield made
    finally:
        await runner.cleanup()
