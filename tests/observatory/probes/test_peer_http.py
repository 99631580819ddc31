"""Two Outlasts over real sockets: one sends what its probes see, the other takes it in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette

from outlast.app import Server
from outlast.clock import SystemClock
from outlast.config import ObservatorySettings, Settings
from outlast.nouns import Observation, Outcome
from outlast.observatory.history import History
from outlast.observatory.peer_http import PeerApi, PeerSender, secrets_of
from outlast.observatory.peers import PATH, Door, PeerProblem
from outlast.observatory.report_http import Kept, keeper
from outlast.store.database import Database
from outlast.store.journal import Journal
from tests.observatory.pages import raw_server
from tests.raw import ask
from tests.store.databases import sqlite_url

SECRET = "k" * 40
CLOCK = SystemClock()


@asynccontextmanager
async def listening(api: PeerApi) -> AsyncIterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            Starlette(routes=api.routes()), lifespan="off", log_config=None, ws="none"
        )
        started = asyncio.Event()
        server = Server(config, started.set)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await started.wait()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await task


def place(folder: Path, peers: dict[str, str], vantage: str, secret: str = SECRET) -> Settings:
    file = folder / f"{vantage}-secret"
    file.write_text(secret, encoding="ascii")
    observatory = ObservatorySettings(
        peers=peers, peer_secret_file=file.name, vantage=vantage, probes=False, feeds=False
    )
    return Settings(observatory=observatory, base_dir=folder)


def seen(number: int = 1) -> Observation:
    return Observation(
        CLOCK.wall(),
        "probe",
        "a/api",
        Outcome.OVERLOADED,
        id=str(number),
        network="oslo",
        region="oslo",
        symptom="canary",
    )


def keeping(put: Callable[[Observation], None]) -> Callable[[Observation], Kept]:
    """Everything is new, and kept."""

    def keep(observation: Observation) -> Kept:
        put(observation)
        return "kept"

    return keep


async def send(sender: PeerSender) -> None:
    """Send what waits now, whether half a minute has passed or not."""
    outbox = sender.outboxes["paris"]
    outbox.due_at = CLOCK.monotonic()
    async with aiohttp.ClientSession() as session:
        await sender.send(session, "paris")


async def test_what_one_outlast_probes_another_takes_in(tmp_path: Path) -> None:
    taken: list[Observation] = []
    paris = place(tmp_path, {"oslo": "http://127.0.0.1:9"}, "paris")
    api = PeerApi(Door(secrets_of(paris), {"a/api"}.__contains__), keeping(taken.append), CLOCK)
    async with listening(api) as url:
        oslo = place(tmp_path, {"paris": f"{url}/"}, "oslo")
        sender = PeerSender(oslo, secrets_of(oslo), CLOCK)
        sender.offer(seen())
        await send(sender)
    (observation,) = taken
    assert (observation.network, observation.outcome) == ("oslo", Outcome.OVERLOADED)
    assert len(sender.outboxes["paris"]) == 0


async def test_what_cannot_be_kept_is_not_said_to_be_and_is_told_again(tmp_path: Path) -> None:
    """A file stands where the journal's folder belongs, which stops root as a full disk would."""
    paris = place(tmp_path, {"oslo": "http://127.0.0.1:9"}, "paris")
    obstacle = tmp_path / "journal"
    obstacle.touch()
    journal, database = Journal(obstacle), Database(sqlite_url(tmp_path))
    history = History(journal, database, clock=CLOCK)
    api = PeerApi(Door(secrets_of(paris), {"a/api"}.__contains__), keeper(history), CLOCK)
    async with listening(api) as url:
        oslo = place(tmp_path, {"paris": url}, "oslo")
        sender = PeerSender(oslo, secrets_of(oslo), CLOCK)
        for number in (1, 2):
            sender.offer(seen(number))
        await send(sender)
        assert len(sender.outboxes["paris"]) == 2
        # There is room again. That the first two are safe by now is known once a third one is.
        obstacle.unlink()
        journal.maintain()
        sender.offer(seen(3))
        await send(sender)
        assert len(sender.outboxes["paris"]) == 3
        await send(sender)
        assert len(sender.outboxes["paris"]) == 0
    assert await history.flush()
    assert len(await history.recent(0)) == 3
    await history.close()
    journal.close()
    await database.close()


async def test_another_secret_is_refused_in_words_and_tried_again(tmp_path: Path) -> None:
    taken: list[Observation] = []
    paris = place(tmp_path, {"oslo": "http://127.0.0.1:9"}, "paris")
    api = PeerApi(Door(secrets_of(paris), {"a/api"}.__contains__), keeping(taken.append), CLOCK)
    async with listening(api) as url:
        oslo = place(tmp_path, {"paris": url}, "oslo", secret="z" * 40)
        sender = PeerSender(oslo, secrets_of(oslo), CLOCK)
        sender.offer(seen())
        await send(sender)
        reply = await ask(url, "POST", PATH, {}, b"{}")
    assert taken == []
    assert len(sender.outboxes["paris"]) == 1
    assert reply.status == 401
    assert "outlast-signature" in msgspec.json.decode(reply.body)["error"]


async def test_a_peer_that_is_away_delays_nobody_and_loses_nothing(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        oslo = place(tmp_path, {"paris": f"http://127.0.0.1:{deaf.getsockname()[1]}"}, "oslo")
        sender = PeerSender(oslo, secrets_of(oslo), CLOCK)
        for number in range(10):
            sender.offer(seen(number))
        await send(sender)
    assert len(sender.outboxes["paris"]) == 10
    assert sender.outboxes["paris"].lost == 0


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"[" * 16_000, id="nested deeper than can be read"),
        pytest.param(b'"no"', id="no object"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
async def test_what_a_peer_answers_ends_no_sending(tmp_path: Path, said: bytes) -> None:
    async with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n" + said) as url:
        oslo = place(tmp_path, {"paris": url.removesuffix("/summary.json")}, "oslo")
        sender = PeerSender(oslo, secrets_of(oslo), CLOCK)
        sender.offer(seen())
        await send(sender)
    assert (len(sender.outboxes["paris"]), sender.outboxes["paris"].lost) == (0, 1)


async def test_the_task_sends_when_it_is_due_and_ends_when_cancelled(tmp_path: Path) -> None:
    taken: asyncio.Queue[Observation] = asyncio.Queue()
    paris = place(tmp_path, {"oslo": "http://127.0.0.1:9"}, "paris")
    api = PeerApi(Door(secrets_of(paris), {"a/api"}.__contains__), keeping(taken.put_nowait), CLOCK)
    async with listening(api) as url:
        oslo = place(tmp_path, {"paris": url}, "oslo")
        sender = PeerSender(oslo, secrets_of(oslo), CLOCK)
        sender.offer(seen())
        sender.outboxes["paris"].due_at = CLOCK.monotonic()
        task = asyncio.create_task(sender.run())
        assert (await taken.get()).network == "oslo"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()


async def test_a_batch_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    paris = place(tmp_path, {"oslo": "http://127.0.0.1:9"}, "paris")
    taken: list[Observation] = []
    api = PeerApi(Door(secrets_of(paris), {"a/api"}.__contains__), keeping(taken.append), CLOCK)
    async with listening(api) as url:
        reply = await ask(url, "POST", PATH, {}, b"x" * 100_000)
    assert (reply.status, taken) == (413, [])


def test_without_peers_there_are_no_secrets() -> None:
    assert secrets_of(Settings()) == {}


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        pytest.param("peer_secret_file", "needs a secret", id="no file is named"),
        pytest.param("vantage", "a name for this place", id="we have no name"),
    ],
)
def test_peers_that_cannot_work_say_what_is_missing(
    tmp_path: Path, missing: str, words: str
) -> None:
    chosen = place(tmp_path, {"oslo": "http://127.0.0.1:9"}, "paris")
    lacking = msgspec.structs.replace(chosen.observatory, **{missing: ""})
    with pytest.raises(PeerProblem, match=words):
        secrets_of(msgspec.structs.replace(chosen, observatory=lacking))


def test_a_secret_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    chosen = place(tmp_path, {"oslo": "http://127.0.0.1:9"}, "paris")
    (tmp_path / "paris-secret").unlink()
    with pytest.raises(PeerProblem, match="paris-secret cannot be read"):
        secrets_of(chosen)
