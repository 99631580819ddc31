"""The remembered signatures on the disk, so that a restart does not forget them.

Lines are only added, each in one write, so that a kill costs half a line at most and several
processes can share the file. It is written before the last bytes of the answer go out, and read at
the first history with thinking in it. A disk that fails costs the memory across restarts, and no
answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import structlog

from outlast.gateway.signatures import Foreign, Signatures, account_id

_log = structlog.get_logger(__name__)

LIMIT_BYTES = 4 << 20
"""Beyond this what has passed its day is left out; a line is 70 bytes."""


class SignatureFile:
    """One for each process. Owned by one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = Signatures()
        self._read_to = 0
        self._inode = 0
        self._rest = b""
        self._warned = False

    def learn(self, signed: Iterable[str], refused: Iterable[str], account: str, at: float) -> None:
        """Remember what an account signed, and what it could not read. Never raises OSError."""
        lines = self._known.learn(signed, refused, account_id(account), at)
        if not lines:
            return
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(fd, data)
                size = os.fstat(fd).st_size
            finally:
                os.close(fd)
            if size > LIMIT_BYTES:
                self._shorten(at)
        except OSError as error:
            self._warn(error)

    def foreign_to(self, account: str, at: float) -> Foreign | None:
        """Return what tells whether an account cannot read a block; see Signatures."""
        self._catch_up()
        return self._known.foreign_to(account_id(account), at)

    def _catch_up(self) -> None:
        """Read what was added since: at first everything, later what other processes wrote."""
        try:
            found = self._path.stat()
            if found.st_ino != self._inode or found.st_size < self._read_to:
                self._inode, self._read_to, self._rest = found.st_ino, 0, b""
            if found.st_size == self._read_to:
                return
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                data = self._rest + file.read(4 * LIMIT_BYTES)
                self._read_to = file.tell()
        except FileNotFoundError:
            return
        except OSError as error:
            self._warn(error)
            return
        whole, _, self._rest = data.rpartition(b"\n")
        for line in whole.decode("ascii", "replace").splitlines():
            self._known.take(line)

    def _shorten(self, at: float) -> None:
        """Write anew what is still worth keeping. Raises OSError."""
        new = self._path.with_suffix(f".{os.getpid()}")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write("".join(f"{line}\n" for line in self._known.lines(at)).encode())
        new.replace(self._path)

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "signatures of thinking are not kept across a restart",
                path=str(self._path),
                reason=error.strerror or str(error),
            )
