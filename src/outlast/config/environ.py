"""The process's environment. The one place that reads it; everything else is handed a mapping.

It stands apart so that what imports Settings reaches no `os`, not even indirectly.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """The environment as it is now."""
    return os.environ
