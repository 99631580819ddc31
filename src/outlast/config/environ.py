"""The process's environment. The one place that reads it; everything else is handed a mapping.

It stands apart so that what imports Settings reaches no `os`, not even indirectly.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """The environment as it is now."""
    return os.environ


def taken(*names: str) -> dict[str, str]:
    """Those of these variables that are there, taken out: they are for this process alone, and
    what it starts does not inherit them."""
    return {name: os.environ.pop(name) for name in names if name in os.environ}
