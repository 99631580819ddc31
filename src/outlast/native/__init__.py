"""Functions of bytes that are written a second time, in C, where this machine could compile them.

Each of them is written in Python first, where it is used: that is what it means. The C says the
same of the same bytes, sooner, or None: "ask the Python". `scripts/native` compiles it where there
is a C compiler; elsewhere, or where what was compiled is older than its source, the Python alone
is used. tests/native compares both. docs/decisions/0021-some-bytes-in-c.md says why. Two files are
no such functions but read and write plain connections, where otherwise their transports do:
docs/decisions/0022-past-the-transports.md. And one says where Python's memory lies:
docs/decisions/0023-large-pages.md.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

MODULE = "outlast_native"


def sources() -> list[Path]:
    """Return the C files and what they include, in the order in which they are compiled."""
    return sorted(Path(__file__).parent.glob("*.[ch]"))


def state_of_source() -> str:
    """Return what tells one state of the source from another."""
    said = hashlib.sha256()
    for path in sources():
        said.update(path.read_bytes())
    return said.hexdigest()[:16]


@cache
def module() -> ModuleType | None:
    """Return what was compiled of this source; None: nothing, or of an older one."""
    try:
        found = importlib.import_module(MODULE)
    except ImportError:
        return None
    return found if getattr(found, "SOURCE", "") == state_of_source() else None


def compiled(name: str) -> Callable[..., Any] | None:
    """Return the function of this name in C, where there is one."""
    found = module()
    return getattr(found, name) if found is not None else None
