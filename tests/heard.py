"""What the code under test logs, whatever ran before in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog


@contextlib.contextmanager
def heard() -> Iterator[list[MutableMapping[str, Any]]]:
    """Every event of the block, as it is logged.

    A command that ran earlier in this process may have left only errors to be logged, which
    `capture_logs` alone would keep to.
    """
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as events:
        yield events
