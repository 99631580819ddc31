"""Some clients that come and go as they like, on real sockets: a soak in small."""

from __future__ import annotations

import pytest

from tests.endtoend.soak import soaked


@pytest.mark.parametrize(("transport", "clients"), [("relay", 200), ("aiohttp", 60)])
async def test_whoever_stays_gets_the_truth_and_whoever_leaves_leaves_nothing_behind(
    transport: str, clients: int
) -> None:
    ends = await soaked(clients, transport)
    assert ends["true"] > clients / 2
    assert ends["left at once"]
    assert ends["left in the middle"]
