"""Connections that go where they may, and nowhere else: aiohttp with the rules of addresses.py.

A name is resolved once, every address that it resolves to must be allowed, and the connection goes
to exactly these: a name that answers differently a moment later (DNS rebinding) changes nothing.
The socket is checked once more when it is made, whatever led to it. Used by feeds and webhooks.

Who owns a name can let us wait for its addresses as long as the system's resolver waits. So names
from outside are looked up in threads of their own, and not in the event loop's, which look up the
names of our upstreams.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from outlast.observatory.addresses import Forbidden, Rules, why_not

ADDRESSES_LIMIT = 32
LOOKUPS_AT_ONCE = 16


class ForbiddenAddress(OSError):
    """A name led to an address that may not be reached. aiohttp hands OSErrors through."""


class OwnThreads(AbstractResolver):
    """Looks names up as aiohttp's ThreadedResolver does, in threads that nobody else waits for.

    They start when they are needed, and end with this object.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="outside-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = partial(
            socket.getaddrinfo,
            host,
            port,
            family=family,
            type=socket.SOCK_STREAM,
            flags=socket.AI_ADDRCONFIG,
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """Resolves names; one forbidden address among the results refuses them all."""

    def __init__(self, rules: Rules, inner: AbstractResolver | None = None) -> None:
        self._rules = rules
        self._inner = inner or OwnThreads()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises ForbiddenAddress, or OSError where the name cannot be resolved."""
        found = await self._inner.resolve(host, port, family)
        for one in found:
            if why := why_not(one["host"], self._rules):
                raise ForbiddenAddress(f"{host} leads to {one['host']}, which is {why}.")
        return found[:ADDRESSES_LIMIT]

    async def close(self) -> None:
        await self._inner.close()


def guarded_connector(
    rules: Rules,
    *,
    tls: ssl.SSLContext | bool = True,
    resolver: AbstractResolver | None = None,
    limit: int = 20,
) -> aiohttp.TCPConnector:
    """Return a connector for sessions that are given addresses from outside.

    A session must be used with `allow_redirects=False`, and each redirect followed through
    `addresses.next_url`; `trust_env` must stay off, because a proxy would resolve names itself.
    """

    def checked(info: Any) -> socket.socket:  # aiohttp's AddrInfoType: getaddrinfo's tuple
        family, kind, protocol, _, address = info
        if why := why_not(str(address[0]), rules):
            raise ForbiddenAddress(f"{address[0]} may not be reached: {why}.")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return aiohttp.TCPConnector(
        limit=limit,
        ssl=tls,
        resolver=GuardedResolver(rules, resolver),
        use_dns_cache=False,
        force_close=True,
        socket_factory=checked,
    )


def forbidden_behind(error: BaseException) -> Forbidden | None:
    """Return the refusal that a client's error stands for; None where it stands for another."""
    seen: BaseException | None = error
    for _ in range(8):
        if isinstance(seen, ForbiddenAddress):
            return Forbidden(str(seen))
        if seen is None:
            return None
        inner = getattr(seen, "os_error", None)
        seen = inner if isinstance(inner, BaseException) else (seen.__cause__ or seen.__context__)
    return None
