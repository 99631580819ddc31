"""Nothing that was acknowledged is ever missing from the stream, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from outlast.observatory.rollups import roll_up
from tests.observatory.history.houses import House
from tests.observatory.history.test_history import all_sums, same
from tests.store.children import child, line

if TYPE_CHECKING:
    from pathlib import Path

APPENDER = """
import asyncio, os, signal, sys
from pathlib import Path
from outlast.nouns import Observation, Outcome
from outlast.observatory.history import History
from outlast.store.database import Database
from outlast.store.journal import Journal

class DiesBetweenCommits(Journal):
    '''The database has committed; the journal never hears of it.'''
    def commit(self, batch):
        if sys.argv[4] == "between" and batch.records:
            os.kill(os.getpid(), signal.SIGKILL)
        super().commit(batch)

async def main():
    history = History(DiesBetweenCommits(Path(sys.argv[1])), Database(sys.argv[2]))
    running = asyncio.create_task(history.run())
    n = 0
    while True:
        assert history.append(Observation(
            at=1e9 + n, source="report", component="anthropic/web", outcome=Outcome.SERVER_ERROR,
            id=f"{sys.argv[3]}/{n}", latency_s=0.25 * (n % 4),
        ))
        print(n, flush=True)
        n += 1
        await asyncio.sleep(0.002 if sys.argv[4] else 0)

asyncio.run(main())
"""


async def check(url: str, folder: Path, acknowledged: set[str]) -> None:
    """The next start: every acknowledged id is there once, and the sums are those of the rows."""
    house = House(url, folder.parent, retention_days=36_500)
    assert await house.history.flush()
    rows = await house.history.recent(0, limit=100_000)
    ids = [one.id for one in rows]
    assert len(ids) == len(set(ids))
    assert acknowledged - set(ids) == set()
    same(await all_sums(house.database), roll_up(rows))
    assert house.history.state.pending == 0
    await house.close()


@pytest.mark.parametrize("after", [1, 800])
async def test_after_kill_9_every_acknowledged_observation_is_there_once(
    url: str, tmp_path: Path, after: int
) -> None:
    """Two replicas on one folder and one database, killed the moment that so many were said."""
    folder = tmp_path / "observations"

    def kill_two() -> None:
        arguments = (str(folder), url)
        with (
            child(APPENDER, *arguments, "a", "") as one,
            child(APPENDER, *arguments, "b", "") as other,
        ):
            for expected in range(after):
                assert line(one) == line(other) == str(expected)
            one.send_signal(signal.SIGKILL)
            other.send_signal(signal.SIGKILL)

    await asyncio.to_thread(kill_two)
    await check(url, folder, {f"{who}/{n}" for who in "ab" for n in range(after)})


async def test_a_kill_between_the_two_commits_counts_nothing_twice(
    url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "observations"

    def until_it_dies() -> set[str]:
        with child(APPENDER, str(folder), url, "a", "between") as process:
            assert process.stdout is not None
            said = {f"a/{one.rstrip()}" for one in process.stdout if one.endswith("\n")}
            assert process.wait() == -signal.SIGKILL
            return said

    acknowledged = await asyncio.to_thread(until_it_dies)
    assert acknowledged
    house = House(url, tmp_path / "elsewhere")
    before = await house.ids()
    await house.close()
    # Some are in the database already, and all of them are still in the journal.
    assert before
    await check(url, folder, acknowledged)
