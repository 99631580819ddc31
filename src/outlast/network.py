"""What all that connect to somewhere share: trust, and what a failed connection means. Thin.

Upstreams (gateway/transport.py), the embedded engine, probes and the doctor reach other machines
in their own ways; what they meet there has to mean the same.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from collections.abc import Mapping
from typing import Any

from outlast.config import Settings, UpstreamSettings
from outlast.outcome import Fault, FaultKind

DAY_S = 86_400

_ERRNO: Mapping[int | None, FaultKind] = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "connect_timeout",
    errno.ENETDOWN: "unreachable",
    errno.ETIMEDOUT: "connect_timeout",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
}


def fault_of(error: BaseException) -> Fault:
    """Return what a failed connection or a broken one means, without addresses or secrets."""
    # Errors of aiohttp there are where it is loaded, which is not everywhere: 9 MB.
    if "aiohttp" in sys.modules and (fault := _of_client(error)) is not None:
        return fault
    match error:
        case socket.gaierror():
            return _resolving(error)
        case ssl.SSLError():
            return Fault("tls", error.reason or "")
        case TimeoutError():
            return Fault("connect_timeout")
        case ValueError():
            return Fault("malformed", "not HTTP")
        case OSError():
            return Fault(_ERRNO.get(error.errno, "reset"))
        case _:
            return Fault("reset", type(error).__name__)


def _of_client(error: BaseException) -> Fault | None:
    """What an error of aiohttp's own means; None: it is none, or one of the system's as well."""
    import aiohttp  # noqa: PLC0415 - it is loaded

    match error:
        case aiohttp.ClientConnectorDNSError():
            return _resolving(error.os_error)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return Fault("tls", type(error.__cause__ or error).__name__)
        case aiohttp.ConnectionTimeoutError():
            return Fault("connect_timeout")
        case aiohttp.ClientConnectorError():
            return Fault(_ERRNO.get(error.os_error.errno, "refused"))
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return Fault("reset")
        case aiohttp.ClientResponseError():
            return Fault("malformed", "not HTTP")
        case _:
            return None


def _resolving(cause: OSError) -> Fault:
    temporary = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
    return Fault("dns_unavailable" if temporary else "dns")


def tls_context(settings: Settings, upstream: UpstreamSettings | None = None) -> ssl.SSLContext:
    """Return what to trust: the system's authorities, or what the upstream's settings say."""
    if upstream is not None and not upstream.verify:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    ca_file = upstream.ca_file if upstream is not None else ""
    return ssl.create_default_context(cafile=settings.resolve(ca_file) if ca_file else None)


def days_left(certificate: Mapping[str, Any] | None, now: float) -> float | None:
    """Return the days until a peer's certificate ends (`getpeercert()`); None: not checked.

    `now` in seconds since the epoch.
    """
    ends = (certificate or {}).get("notAfter")
    if not isinstance(ends, str):
        return None
    return (ssl.cert_time_to_seconds(ends) - now) / DAY_S
