"""The manager that started the service: what it keeps of what is said, and what it is told, that
the service answers, that it lives, that it ends; and the port that it may hold for it.

Source: sd_notify(3). Lines of `NAME=value` go as a datagram to the socket that NOTIFY_SOCKET names;
systemd speaks so, and others after it. Without such a socket nothing is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from typing import TextIO

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""For the service alone, not for what it starts: whoever makes a Manager takes them away."""
HANDED_OVER = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
"""Of sd_listen_fds(3)."""
FIRST_FD = 3
HEARD_S = 1.0
"""How long what matters waits for room in the manager's queue."""
BEATS = 3
"""In the time that the manager waits for one: two may be late."""


def is_kept(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether what is written there goes to systemd's journal, which keeps it for months.

    Source: systemd.exec(5): JOURNAL_STREAM names device and inode of the stream. A terminal may
    have inherited the variable from whoever started it, so the stream is looked at too.
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM", "") == f"{found.st_dev}:{found.st_ino}"


def handed_over(environ: Mapping[str, str], port: int) -> socket.socket | None:
    """The socket that the manager listens on for us, given what HANDED_OVER hold; else None.

    It goes on listening while we start again, so that nobody is turned away meanwhile. `port`: of
    the settings. Raises OSError for what cannot be served.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environ.get("LISTEN_FDS") != "1":
        raise OSError(f"systemd hands over {environ.get('LISTEN_FDS')} sockets; one can be served.")
    try:
        found = socket.socket(fileno=FIRST_FD)
    except OSError as error:
        raise OSError("systemd hands over what is no socket.") from error
    found.set_inheritable(False)
    if found.family not in {socket.AF_INET, socket.AF_INET6} or found.type != socket.SOCK_STREAM:
        found.close()
        raise OSError("systemd hands over a socket that is not TCP's.")
    if found.getsockname()[1] != port:
        theirs = found.getsockname()[1]
        found.close()
        raise OSError(
            f"systemd listens on port {theirs}, and server.port is {port}: write the same in both."
        )
    return found


class Manager:
    """Given what VARIABLES hold."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        period, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        mine = pid in {"", str(os.getpid())}
        self.beat_s = int(period) / 1e6 / BEATS if mine and period.isdecimal() else 0.0
        """Between two signs of life; 0: nobody waits for any."""
        self._answers = False

    def ready(self, where: str) -> None:
        self._answers = True
        self._tell("READY=1", f"STATUS=Answers on {where}", within_s=HEARD_S)

    def stopping(self, within_s: float) -> None:
        """The end begins, and may take so long."""
        limit = f"EXTEND_TIMEOUT_USEC={round(within_s * 1e6)}"
        self._tell("STOPPING=1", "STATUS=Lets answers end", limit, within_s=HEARD_S)

    async def live(self) -> None:
        """Give signs of life until cancelled. An event loop that stands still gives none, and
        nobody waits for one before the service answers."""
        while self._address and self.beat_s:
            if self._answers:
                self._tell("WATCHDOG=1")
            await asyncio.sleep(self.beat_s)

    def _tell(self, *lines: str, within_s: float = 0.0) -> None:
        """Never fails, and hardly waits: a manager that does not listen keeps nobody from work.
        `within_s`: how long at most; its queue holds ten words on many machines."""
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # a name that is in no file system (unix(7))
            address = "\0" + address[1:]
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.settimeout(within_s)
            sender.sendto("\n".join(lines).encode(), address)
