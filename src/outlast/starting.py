"""What every way of starting the service shares: the port, what is said, settings read again, and
words for what keeps it from starting.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import structlog

from outlast.config import ConfigError, Settings, reload
from outlast.config.environ import environment

log = structlog.get_logger(__name__)

WATCH_CONFIG_S = 1.0
CLOSE_S = 15.0
"""How long a process may take beyond `server.drain_s` to close what it has open."""
EXIT_OK = 0
EXIT_PROBLEM = 1


def stop_within_s(settings: Settings) -> float:
    """How long the end of the service may take, from SIGTERM on: with workers they end first."""
    ends = 1 if settings.server.workers == 1 else 2
    return ends * (settings.server.drain_s + CLOSE_S)


def say(lines: Sequence[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


class Taker(Protocol):
    """Whose settings can change while it runs."""

    settings: Settings

    def take(self, settings: Settings) -> None: ...


async def watch_settings(taker: Taker, path: Path | None) -> None:
    """Read the configuration again on SIGHUP and when the file changes."""
    again = asyncio.Event()
    with contextlib.suppress(NotImplementedError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again.set)
    stamp = _stamp(path)
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WATCH_CONFIG_S):
                await again.wait()
        if not again.is_set() and _stamp(path) == stamp:
            continue
        again.clear()
        stamp = _stamp(path)
        try:
            taker.take(reload(taker.settings, path, environment()))
        except ConfigError as error:
            log.warning("configuration is wrong, the old one stays in force", problems=str(error))
        else:
            log.info("configuration taken", path=str(path) if path else "none")


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if found is not None else None


def check_port(settings: Settings) -> None:
    """Find out about a port in use before anything else is started. Raises OSError."""
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def explain(error: OSError, settings: Settings) -> str:
    server = settings.server
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"Port {server.port} on {server.host} is in use, perhaps by another Outlast. "
                f"Stop that one, or take another port: outlast serve --port {server.port + 1}"
            )
        case errno.EACCES | errno.EPERM:
            where = error.filename or f"{server.host}:{server.port}"
            return (
                f"{where} may not be used by this user. Choose a port from 1024 on, and a data "
                "folder that you may write to (--data-dir)."
            )
        case errno.EEXIST | errno.ENOTDIR | errno.EROFS:
            return (
                f"{error.filename or settings.data_path} cannot be the data folder "
                f"({error.strerror}). Take another one: --data-dir, or server.data_dir."
            )
        case errno.ENOSPC:
            return (
                f"There is no space left on the disk of {settings.data_path}. Make room, or "
                "take a data folder elsewhere (--data-dir)."
            )
        case errno.EADDRNOTAVAIL:
            return f"{server.host} is not an address of this machine (server.host)."
        case _:
            return f"The service cannot start: {error}"
