"""The house that most files here share; each file gets one of its own, each test a clean one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from outlast.config import RetrySettings, TimeoutSettings
from tests.sdks.house import (
    UNBREAKABLE,
    House,
    direct_routes,
    failover_routes,
    open_house,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    timeouts = TimeoutSettings(first_byte_s=1.5, stall_s=1.5, whole_s=2.0, connect_s=4.0)
    async with open_house(
        tmp_path_factory.mktemp("house"),
        [*direct_routes(), *failover_routes()],
        timeouts=timeouts,
        breaker=UNBREAKABLE,
        retry=RetrySettings(same_upstream_max=0),
    ) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared_house: House) -> House:
    shared_house.reset()
    return shared_house
