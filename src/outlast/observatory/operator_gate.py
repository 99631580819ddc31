"""The one place where the operators' token is looked at, whatever door it is shown at.

Programs send it with each request, people type it once (status/operator_door.py). At all doors a
network has so many wrong tries, and then none for a while, with the right token neither; what is
refused is in the audit, with the network it came from and never with what was sent. A flood of
refusals is counted rather than written.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import secrets
from typing import Protocol

import msgspec
import structlog
from starlette.requests import Request

from outlast.clock import Clock
from outlast.observatory.case_changes import AuditEntry, Changes
from outlast.observatory.casebook import Written
from outlast.observatory.networks import Network, client_address, groups_of
from outlast.observatory.operators import OperatorToken
from outlast.observatory.subscribing import Allowance
from outlast.observatory.words import plain

log = structlog.get_logger(__name__)

TRIES_AT_ONCE, TRIES_PER_HOUR = 10, 30
"""Of one network: wrong tokens, and sign-ins good and bad."""
WRITTEN_AT_ONCE, WRITTEN_PER_HOUR = 60, 600
"""Refusals that are written to the audit, of all networks."""
NAME_LIMIT = 80


class Audit(Protocol):
    """The casebook."""

    async def commit(self, changes: Changes) -> Written: ...


class Denied(Exception):
    """Not an operator's request. `wait_s`: until a further try is looked at; 0: at once."""

    def __init__(self, status: int, english: str, french: str, wait_s: float = 0.0) -> None:
        super().__init__(english)
        self.status = status
        self.words = {"en": english, "fr": french}
        self.wait_s = wait_s

    @property
    def headers(self) -> dict[str, str]:
        if self.status == 401:
            return {"www-authenticate": "Bearer"}
        return {"retry-after": str(math.ceil(self.wait_s))}


class Gate:
    """Owned by one event loop."""

    def __init__(
        self, token: OperatorToken, audit: Audit, clock: Clock, trusted: tuple[Network, ...] = ()
    ) -> None:
        """`trusted`: proxies whose `x-forwarded-for` counts."""
        self.token = token
        self._audit = audit
        self._clock = clock
        self._trusted = trusted
        self._tries = Allowance(TRIES_AT_ONCE, TRIES_PER_HOUR)
        self._writes = Allowance(WRITTEN_AT_ONCE, WRITTEN_PER_HOUR, keys_max=1)
        self._unwritten = 0

    async def who(self, request: Request) -> str:
        """The name of the operator whose program this is. Default deny: raises Denied."""
        given = request.headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        # Without one somebody just looked, or has signed in to a proxy before us.
        tries = scheme.lower() == "bearer" and token.strip() != ""
        name = _name(request.headers.get("outlast-operator", ""))
        network, now = self.network(request), self._clock.monotonic()
        wait_s = self._tries.left_s(network, now) if tries else 0.0
        if wait_s > 0:
            minutes = math.ceil(wait_s / 60)
            raise Denied(
                429,
                f"Too many wrong tokens came from your network. Try again in {minutes} min.",
                "Trop de jetons erronés sont venus de votre réseau. Réessayez dans "
                f"{minutes}\u00a0min.",
                wait_s,
            )
        if not self.token.admits(given):
            if tries:
                self._tries.wait_s(network, now)
                await self.refused(name, "token.refused", network)
            raise Denied(
                401,
                "This is for operators: send their token as `authorization: Bearer …`.",
                "Réservé aux opérateurs\u00a0: envoyez leur jeton dans `authorization: Bearer …`.",
            )
        return name or "operator"

    async def admits(self, request: Request) -> bool:
        """Whether a request that anybody may send is an operator's."""
        try:
            await self.who(request)
        except Denied:
            return False
        return True

    def next_try_s(self, network: str) -> float:
        """Take one of a network's tries: 0, or how long to wait for the next."""
        return self._tries.wait_s(network, self._clock.monotonic())

    async def refused(self, name: str, what: str, network: str) -> None:
        """Somebody of a network showed a wrong token, calling themselves `name`."""
        log.warning("operator_refused", what=what, name=name, network=network)
        if self._writes.wait_s("", self._clock.monotonic()) > 0:
            self._unwritten += 1
            return
        missed, self._unwritten = self._unwritten, 0
        await self.write(name, what, network, missed)

    async def write(self, name: str, what: str, network: str, missed: int = 0) -> None:
        """`missed`: refusals before it that were not written."""
        body = {"network": network} | ({"missed": missed} if missed else {})
        entry = AuditEntry(
            id=f"aud_{secrets.token_hex(12)}",
            at=self._clock.wall(),
            who=name,
            what=what,
            body=msgspec.json.encode(body),
        )
        await self._audit.commit(Changes(audit=(entry,), fenced=False))

    def network(self, request: Request) -> str:
        """The network that a request comes from, for people: `192.0.2.0/24`."""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        peer = request.client.host if request.client is not None else ""
        address = client_address(peer, forwarded, self._trusted)
        if address is None:
            return groups_of(None, None).network
        size = 24 if address.version == 4 else 48
        return str(ipaddress.ip_network((address, size), strict=False))


def _name(header: str) -> str:
    """A header's text as it was typed: terminals send UTF-8, and servers read each byte alone."""
    with contextlib.suppress(UnicodeError):  # it was no UTF-8: as it came
        header = header.encode("latin-1").decode()
    return plain(header, NAME_LIMIT)
