"""What `outlast serve` does once its words are read, and a short way of reading them.

The package that reads words and writes help takes 7 MB, which a service would carry for weeks. So
the words that services are started with are read here; all others (help, abbreviations, mistakes)
are the command's own matter, which says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from outlast import pages
from outlast.commands.common import settings_for


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What was given on the command line."""

    config: Path | None = None
    host: str | None = None
    port: int | None = None
    workers: int | None = None
    data_dir: Path | None = None
    log_level: str | None = None


_READ: Mapping[str, tuple[str, type[str | int | Path]]] = {
    "--config": ("config", Path),
    "-c": ("config", Path),
    "--host": ("host", str),
    "--port": ("port", int),
    "--workers": ("workers", int),
    "--data-dir": ("data_dir", Path),
    "--log-level": ("log_level", str),
}
_DIGITS_LIMIT = 9


def plain(words: Sequence[str]) -> Given | None:
    """Read `--name value` and `--name=value`; None: ask the command itself."""
    found: dict[str, Any] = {}
    left = iter(words)
    for word in left:
        name, joined, text = word.partition("=")
        if not joined:
            text = next(left, "")
        elif not name.startswith("--"):
            return None
        if name not in _READ:
            return None
        field, kind = _READ[name]
        if field in found or not _is_plain(text, number=kind is int):
            return None
        found[field] = kind(text)
    return Given(**found)


def _is_plain(text: str, *, number: bool) -> bool:
    if number:
        return text.isascii() and text.isdigit() and len(text) <= _DIGITS_LIMIT
    return bool(text) and not text.startswith("-")


def run(given: Given) -> int:
    """Run the service until it is told to stop; returns the exit code. Raises ConfigError."""
    pages.use()
    settings = settings_for(
        given.config,
        {
            "server.host": given.host,
            "server.port": given.port,
            "server.workers": given.workers,
            "server.data_dir": None if given.data_dir is None else str(given.data_dir.absolute()),
            "server.log_level": given.log_level,
        },
    )
    from outlast.workers import serve  # noqa: PLC0415 - after the settings: mistakes are told first

    return serve(settings, reload_from=settings.path)
