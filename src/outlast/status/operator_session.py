"""Operators who are signed in: random cookies, kept in this process's memory, for a while.

A session ends when it is signed out, after an hour without a request, after eight hours, when the
operators' token changes, and with the process. What a browser holds is a random value; what we hold
is its hash.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque

from outlast.clock import Clock
from outlast.observatory.operators import OperatorToken

IDLE_S = 3600.0
LIFE_S = 8 * 3600.0
SESSIONS_MAX = 100
"""Beyond it the one that was used longest ago ends."""
DONE_MAX = 200
_COOKIE_LIMIT = 100


class Session:
    """Belongs to the name that was given at the sign-in."""

    def __init__(self, name: str, token_hash: bytes, now: float) -> None:
        self.name = name
        self.csrf = secrets.token_urlsafe(24)
        self.token_hash = token_hash
        self.opened_at = now
        """Of the monotonic clock, as `used_at`."""
        self.used_at = now
        self.said = ""
        """What the next page says of what was done: a name of texts, once."""
        self._done: deque[str] = deque(maxlen=DONE_MAX)

    def once(self, mark: str) -> bool:
        """Whether this form is sent for the first time. The second time does nothing."""
        if mark in self._done:
            return False
        self._done.append(mark)
        return True

    def again(self, mark: str) -> None:
        """It was not done: it may be sent again."""
        if mark in self._done:
            self._done.remove(mark)

    def tell(self) -> str:
        said, self.said = self.said, ""
        return said


class Sessions:
    """Owned by one event loop."""

    def __init__(self, token: OperatorToken, clock: Clock) -> None:
        self._token = token
        self._clock = clock
        self._open: OrderedDict[bytes, Session] = OrderedDict()
        """By the hash of the cookie, the one that was used last at the end."""

    def open(self, name: str) -> str:
        """Open a session and return its cookie. The caller has seen the token."""
        cookie = secrets.token_urlsafe(32)
        now = self._clock.monotonic()
        self._open[_hash(cookie)] = Session(name, _hash(self._token()), now)
        while len(self._open) > SESSIONS_MAX:
            self._open.popitem(last=False)
        return cookie

    def find(self, cookie: str) -> Session | None:
        if not cookie or len(cookie) > _COOKIE_LIMIT:
            return None
        key = _hash(cookie)
        found = self._open.get(key)
        if found is None:
            return None
        now = self._clock.monotonic()
        token = self._token()
        same = bool(token) and hmac.compare_digest(found.token_hash, _hash(token))
        if not same or now - found.used_at > IDLE_S or now - found.opened_at > LIFE_S:
            del self._open[key]
            return None
        found.used_at = now
        self._open.move_to_end(key)
        return found

    def close(self, cookie: str) -> Session | None:
        """End it; the session that was ended."""
        return self._open.pop(_hash(cookie), None)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
