"""Every command of the command line, as words: `config check`."""

from __future__ import annotations

from collections.abc import Iterator

from cyclopts import App

from outlast.cli import build


def commands() -> list[str]:
    """All commands that do something, groups left out."""
    return sorted(_below(build(), ()))


def _below(app: App, path: tuple[str, ...]) -> Iterator[str]:
    names = [name for name in app if not name.startswith("-")]
    if not names:
        yield " ".join(path)
    for name in names:
        yield from _below(app[name], (*path, name))
