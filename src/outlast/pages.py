"""Large pages for what Python allocates in a service (docs/decisions/0023-large-pages.md).

A request walks over some thousand pages of 4 KiB, and on a machine that is virtual itself finding
one anew costs as much as a step of ours. On pages of 2 MiB the same fits into a few dozen. Nothing
needs it: where a system has no such pages, or where no C is compiled, all is as ever.
"""

from __future__ import annotations

from outlast.native import compiled


def use() -> None:
    """From now on, for as long as the process lives. The sooner, the more lies there."""
    arenas = compiled("arenas")
    if arenas is not None:
        arenas()
