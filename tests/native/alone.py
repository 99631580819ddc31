"""Python without its parts in C, as where no compiler is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from outlast.gateway import carrying, express, flow, gaps, live, skimming
from outlast.gateway.relay import connection, heads, inbound
from outlast.native import module
from outlast.store import segment
from outlast.wire import estimate, splice

USES: list[tuple[ModuleType, str]] = [
    (splice, "_skim"),
    (express, "_skim"),
    (express, "_completion"),
    (express, "_message"),
    (carrying, "_question"),
    (carrying, "_carried"),
    (express, "_receipt"),
    (segment, "_frames"),
    (heads, "_reply"),
    (connection, "_chunks"),
    (skimming, "_pieces"),
    (flow, "_tap"),
    (connection, "_reads"),
    (gaps, "_learn"),
    (estimate, "_weigh"),
    (inbound, "_ask"),
]
"""Where what was compiled is used."""


@contextmanager
def python_alone() -> Iterator[None]:
    """Inside of it nothing is asked of C."""
    with pytest.MonkeyPatch.context() as patch:
        for place, name in USES:
            assert hasattr(place, name)
            patch.setattr(place, name, None)
        patch.setattr(live, "_ENDS", {})
        patch.setattr(connection, "_READS", [None, None, None])
        yield


def told(param: str) -> Iterator[None]:
    """For fixtures: `c`, as it is where a compiler is; `python`, as it is elsewhere."""
    if param == "python":
        with python_alone():
            yield
        return
    if module() is None:
        pytest.skip("nothing is compiled here: `make native` needs a C compiler")
    yield
