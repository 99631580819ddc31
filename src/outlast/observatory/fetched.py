"""What became of a GET (fetching.py), for those who read it and fetch nothing."""

from __future__ import annotations

import msgspec


class FetchFailed(Exception):
    """No answer that could be used came. Its message says what happened, in a few words."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        """silent: no answer · refused: the address may not be reached · garbage: not readable."""


class Fetched(msgspec.Struct, frozen=True):
    """An answer, whatever its status."""

    status: int
    body: bytes = b""
    """Of 200 alone; other answers are not read."""
    etag: str = ""
    last_modified: str = ""
    retry_after_s: float | None = None
    url: str = ""
    """Where it came from in the end."""
