"""The files of the project, as git knows them: what is ignored or not yet added does not count."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks and that is still there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def python_files(*folders: str) -> list[Path]:
    """The tracked Python files below these folders of the project."""
    roots = tuple(ROOT / folder for folder in folders)
    return [p for p in tracked() if p.suffix == ".py" and any(r in p.parents for r in roots)]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
