"""Several processes that answer on one port, and one that observes for them all.

    supervisor    starts them, starts them again, drains them; reads the settings for all
    worker 0 …    answer requests: breakers, connections and journal of their own
    observer      the observatory, the embedded model, all paths but inference

Each of them is the Service of app.py; `part.py` says what is different in which.
"""

from __future__ import annotations

from pathlib import Path

from outlast import logs  # first, before anybody else loads structlog in its own way
from outlast.config import Settings

__all__ = ["logs", "serve"]


def serve(settings: Settings, *, reload_from: Path | None) -> int:
    """Run the service until SIGTERM or Ctrl-C; returns the exit code.

    The one process of a service has no supervisor, and a supervisor nothing of the service.
    """
    if settings.server.workers == 1:
        from outlast import app  # noqa: PLC0415

        return app.serve(settings, reload_from=reload_from)
    from outlast.workers import supervisor  # noqa: PLC0415

    return supervisor.serve(settings, reload_from=reload_from)
