"""Everything here is told to Python with its parts in C, and to Python alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.alone import told


@pytest.fixture(params=["c", "python"], autouse=True, scope="module")
def spoken(request: pytest.FixtureRequest) -> Iterator[None]:
    yield from told(request.param)
