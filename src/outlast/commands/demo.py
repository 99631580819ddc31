"""`outlast demo`."""

from __future__ import annotations

from outlast.demo import run


def demo() -> int:
    """Watch an outage: two scripted vendors and Outlast, on this machine alone.

    One vendor goes down as on 2 March 2026; the terminal shows what clients
    see and what Outlast does. It ends by itself, with a summary. It needs no
    key, no network and no model.

    Example: outlast demo
    """
    return run()
