"""Who is an operator: whoever has the token, until accounts exist. Default deny.

The token lies in a file that its owner alone can read; it is made at the first start.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

NAME = "operator-token"
LENGTH_MIN = 24
LIMIT_BYTES = 4096


class OperatorToken:
    """The token as the file has it now: a changed file counts at once."""

    def __init__(self, path: Path, *, make: bool) -> None:
        """`make`: write a new one where there is none."""
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._token = ""
        if make:
            _make(path)

    def __call__(self) -> str:
        """Return the token; empty where there is none that could be trusted."""
        try:
            found = self._path.stat()
        except OSError:
            self._stamp, self._token = None, ""
            return ""
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._stamp, self._token = stamp, self._read()
        return self._token

    def admits(self, authorization: str) -> bool:
        """Whether a header `authorization: Bearer …` is an operator's."""
        scheme, _, given = authorization.partition(" ")
        return self.is_token(given.strip()) and scheme.lower() == "bearer"

    def is_token(self, given: str) -> bool:
        """Compared in a time that tells nothing of where they differ."""
        token = self()
        same = hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
        return bool(token) and same

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                token = file.read(LIMIT_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            log.warning("operator_token_not_read", reason=str(error)[:200])
            return ""
        if len(token) < LENGTH_MIN or not token.isprintable() or " " in token:
            log.warning(
                "operator_token_not_usable",
                reason=f"it must be one line of {LENGTH_MIN} plain signs or more",
            )
            return ""
        return token


def _make(path: Path) -> None:
    """Two processes that start at once agree on one: who comes second finds the file there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"op_{secrets.token_urlsafe(32)}\n")
    except OSError as error:
        log.warning("operator_token_not_made", reason=str(error))
