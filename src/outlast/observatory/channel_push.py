"""Web push: a notification in a browser, without an account, through the browser's push service.

The service's address came from outside and is guarded as a webhook's is. What goes there is sealed
for the one browser (push_sealing.py): the service learns that something was sent, and no more.
It takes a message and delivers it when the browser is there; an older one of the same incident
that still waits there is replaced. 404 or 410: the browser wants no more (RFC 8030, 7.3).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from outlast.observatory import push_sealing as sealing
from outlast.observatory.channels import PostChannel, links_for
from outlast.observatory.notify_texts import push
from outlast.observatory.notifying import BEGINNINGS, Parcel, Refused, Result

KEEP_S = 24 * 3600
"""How long a push service may hold a message for a browser that is away: as long as we try."""


class PushChannel(PostChannel):
    doubtful = frozenset({502, 504})

    def __init__(
        self,
        base: str,
        key: bytes,
        open_session: Callable[[], aiohttp.ClientSession],
        contact: str = "",
    ) -> None:
        """`contact`: an e-mail address by which push services reach us, where `base` is none that
        they could open."""
        super().__init__(base, key, open_session)
        self._sender = sealing.sender_key(key)
        self._subject = base if base.startswith("https://") else f"mailto:{contact or NOBODY}"

    async def send(self, parcel: Parcel, now: float) -> Result:
        links = links_for(parcel, self._base, self._key, now)
        subscription = parcel.subscription
        plain = msgspec.json.encode(push(parcel, links, sealing.PLAIN_LIMIT_BYTES))
        once, salt = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        try:
            body = sealing.seal(plain, subscription.keys, once, salt)
        except ValueError:
            return Refused("the browser's keys cannot be used", again=False, gone=True)
        audience = str(URL(subscription.target, encoded=True).origin())
        headers = {
            "authorization": sealing.token(self._sender, audience, self._subject, now),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(KEEP_S),
            "urgency": "high" if _is_urgent(parcel) else "normal",
        }
        if len(parcel.news) == 1:
            headers["topic"] = sealing.topic(parcel.news[0].incident.id)
        return await self._post(subscription.target, body, headers)

    def _judge(self, status: int, retry_after: str) -> Result:
        if status in {404, 410}:
            return Refused(f"it answered {status}: gone", again=False, gone=True)
        if status in {400, 401, 403, 413}:  # it would say the same of the same message
            return Refused(f"it answered {status}", again=False)
        return super()._judge(status, retry_after)


NOBODY = "postmaster@localhost"


def _is_urgent(parcel: Parcel) -> bool:
    """Whether it is worth waking a sleeping phone for (RFC 8030, 5.3): a beginning, or the first
    message, for which somebody waits."""
    return not parcel.news or any(item.kind in BEGINNINGS for item in parcel.news)
