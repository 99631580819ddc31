"""Readers without an account: so many questions to the database at once, and no more."""

from __future__ import annotations

import asyncio

import pytest

from outlast.nouns import Incident
from outlast.observatory.past import READS_MAX, PublicPast
from outlast.status.stage import Nothing
from outlast.store.database import DatabaseUnavailable


class Slow(Nothing):
    """A past that answers when it is told to."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.asked = 0

    async def incident(self, incident_id: str) -> Incident | None:
        self.asked += 1
        await self.answers.wait()
        if incident_id == "broken":
            raise DatabaseUnavailable("it is gone")
        return None


async def test_who_comes_while_too_many_are_answered_is_turned_away_and_welcome_afterwards() -> (
    None
):
    slow = Slow()
    past = PublicPast(slow)
    names = ["broken", *(f"inc_{number}" for number in range(READS_MAX - 1))]
    reading = [asyncio.create_task(past.incident(name)) for name in names]
    while slow.asked < READS_MAX:  # noqa: ASYNC110 - they begin one by one
        await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable, match="others ask"):
        await past.incident("inc_late")
    with pytest.raises(DatabaseUnavailable, match="others ask"):
        await past.incidents()
    assert slow.asked == READS_MAX
    slow.answers.set()
    ended = await asyncio.gather(*reading, return_exceptions=True)
    assert isinstance(ended[0], DatabaseUnavailable)
    assert await asyncio.gather(*(past.incident(name) for name in names[1:])) == ended[1:]
    assert await past.claims() == []


async def test_who_goes_away_gives_the_place_back() -> None:
    slow = Slow()
    past = PublicPast(slow)
    for _ in range(2 * READS_MAX):
        reading = asyncio.create_task(past.incident("inc_1"))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    slow.answers.set()
    assert await past.incident("inc_1") is None
