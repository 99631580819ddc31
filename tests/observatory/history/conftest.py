from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.observatory.history.houses import House
from tests.store.databases import postgresql_url, sqlite_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[House]:
    house = House(url, tmp_path)
    yield house
    await house.close()
