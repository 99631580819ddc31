"""One service of two workers on one port: what holds for all, and what the end of one changes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from outlast.observatory.http import STREAMS_OF_ONE_MAX
from outlast.observatory.watch import REPEAT_EVERY_S
from outlast.simulator import Fault, FaultKind, Script, Vendor
from tests.endtoend.launcher import READY_S
from tests.raw import Reply, hang_up
from tests.workers.company import BODY, WORKERS, House, config_of, house_of, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
MANY = 24
"""Connections: that all of them come to one of two workers is one case in eight million."""


class Place:
    def __init__(self, house: House, vendor: Vendor) -> None:
        self.house = house
        self.vendor = vendor


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with Vendor(Script(seed=1)) as vendor:
        folder = tmp_path_factory.mktemp("company")
        async with house_of(folder, config_of(vendor.url)) as house:
            yield Place(house, vendor)


@pytest_asyncio.fixture(loop_scope="module")
async def place(shared_place: Place) -> Place:
    shared_place.vendor.script = Script(seed=1)
    return shared_place


def statuses(replies: list[Reply]) -> Counter[int]:
    return Counter(reply.status for reply in replies)


async def test_a_limit_of_ten_a_minute_is_ten_and_not_ten_for_each(place: Place) -> None:
    key = await place.house.key(requests_per_minute=10)
    began = time.monotonic()
    replies = await asyncio.gather(*(place.house.message(key) for _ in range(40)))
    found = statuses(replies)
    came_since = (time.monotonic() - began) * 10 / 60
    assert 10 <= found[200] <= 10 + came_since
    assert found[200] + found[429] == 40


async def test_a_limit_of_requests_at_once_holds_for_all_and_every_place_is_given_back(
    place: Place,
) -> None:
    key = await place.house.key(concurrent=3)
    place.vendor.script = Script(seed=1, first_token_s=600)
    asking = {asyncio.create_task(place.house.message(key)) for _ in range(MANY)}
    refused: list[Reply] = []
    while len(refused) < MANY - 3:
        done, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        refused += [one.result() for one in done]
    assert statuses(refused) == {429: MANY - 3}
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    place.vendor.script = Script(seed=1)

    async def given_back() -> bool:
        return statuses([await place.house.message(key) for _ in range(8)]) == {200: 8}

    await until(given_back)


async def test_a_receipt_is_found_by_whomever_one_asks(place: Place) -> None:
    own = {"x-api-key": place.house.service.key}
    for _ in range(6):
        path = (await place.house.message()).headers["outlast-receipt"]

        async def found(path: str = path) -> bool:
            asked = (place.house.ask("GET", path, None, own) for _ in range(8))
            seen = statuses(await asyncio.gather(*asked))
            assert seen[404] == 0  # 503: one of them was too busy to say
            return seen[200] == 8

        await until(found)
    other = {"x-api-key": await place.house.key()}
    assert (await place.house.ask("GET", path, None, other)).status == 404


async def test_metrics_are_the_sum_and_say_of_whom(place: Place) -> None:
    async def exchanges() -> float:
        return await counted(place.house, 'outlast_exchanges_total{degraded="none",outcome="ok"')

    before = await exchanges()
    await asyncio.gather(*(place.house.message() for _ in range(MANY)))
    assert await exchanges() == before + MANY
    for name in ("observer", *(f"worker {number}" for number in range(WORKERS))):
        assert await counted(place.house, f'outlast_process_up{{process="{name}"}}') == 1


async def counted(house: House, name: str) -> float:
    page = (await house.ask("GET", "/metrics")).body.decode()
    return sum(float(row.rpartition(" ")[2]) for row in page.splitlines() if row.startswith(name))


async def test_what_any_worker_sees_reaches_the_one_observatory(place: Place) -> None:
    place.vendor.script = Script(seed=1, faults=(Fault(FaultKind.STATUS, status=500),))
    # Of another component than the other tests ask for.
    body = {**BODY, "model": "other"}
    replies = await asyncio.gather(*(place.house.message(body=body) for _ in range(MANY)))
    assert 200 not in statuses(replies)
    name = 'outlast_attempts_total{gen_ai_request_model="failing"'
    seen: list[tuple[float, float]] = []

    async def heard() -> bool:
        attempts = await counted(place.house, name)
        found = (await place.house.get("/api/components/here/api/failing"))["component"]
        (traffic,) = [one for one in found["evidence"] if one["kind"] == "traffic"]
        seen.append((traffic["failures"], attempts))
        return bool(traffic["failures"] == attempts > 0)  # until breakers open

    try:
        # Figures alone, while nothing else changes, are said anew once a minute.
        await until(heard, within_s=REPEAT_EVERY_S + READY_S)
    except TimeoutError:
        pytest.fail(f"failures in the evidence, and attempts that were made: {seen[-3:]}")


async def test_new_settings_are_taken_by_all_of_them(place: Place) -> None:
    body = {**BODY, "model": "second"}
    assert (await place.house.message(body=body)).status == 404
    config = place.house.config.read_text("utf-8")
    more = '[[routes]]\nmodel = "second"\ncandidates = ["here"]\n'
    place.house.config.write_text(config + more, "utf-8")

    async def taken() -> bool:
        replies = await asyncio.gather(*(place.house.message(body=body) for _ in range(MANY)))
        return statuses(replies) == {200: MANY}

    await until(taken)


async def test_a_person_who_reports_to_several_workers_is_one_person(place: Place) -> None:
    said = {"provider": "anthropic", "surface": "web", "works": False, "token": "a-browser-token"}
    replies = [await place.house.ask("POST", "/api/reports", said) for _ in range(6)]
    assert [reply.json()["verdict"] for reply in replies] == ["counted"] + ["again"] * 5


async def test_operators_are_known_to_whomever_they_ask(place: Place) -> None:
    token = (place.house.folder / "operator-token").read_text("ascii").strip()
    for _ in range(8):
        refused = await place.house.ask("GET", "/api/audit")
        assert refused.status == 401
        headers = {"authorization": f"Bearer {token}"}
        assert (await place.house.ask("GET", "/api/audit", None, headers)).status == 200


async def test_pages_and_the_stream_of_events_come_from_any_of_them(place: Place) -> None:
    for _ in range(6):
        page = await place.house.ask("GET", "/status", None, {"accept": "text/html"})
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        assert (await place.house.ask("GET", "/nothing/here")).status == 404
        reader, writer = await asyncio.open_connection("127.0.0.1", place.house.service.port)
        writer.write(b"GET /api/events HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(10):
            await reader.readuntil(b"event: ready")
        await hang_up(writer)


async def test_a_reader_who_leaves_a_worker_has_left_the_observer_too(place: Place) -> None:
    """There are so many places for one network: they are free again when all have left."""
    port = place.house.service.port
    for _ in range(2):
        readers = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(STREAMS_OF_ONE_MAX)
        ]
        for reader, writer in readers:
            writer.write(b"GET /api/events HTTP/1.1\r\nhost: x\r\n\r\n")
            async with asyncio.timeout(20):
                assert b" 200 " in await reader.readline()
                await reader.readuntil(b"event: ready")
        assert (await place.house.ask("GET", "/api/events")).status == 429
        for _, writer in readers:
            await hang_up(writer)

        async def free() -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /api/events HTTP/1.1\r\nhost: x\r\n\r\n")
            first = await reader.readline()
            await hang_up(writer)
            return b" 200 " in first

        await until(free)


async def test_nobody_from_outside_reaches_what_the_processes_tell_each_other(
    place: Place,
) -> None:
    inside = {"outlast-inside-target": "", "outlast-inside-client": "127.0.0.1 1"}
    for path in ("/tell", "/follow/status", "/model", "/receipts/req_1", "/any"):
        for headers in ({}, inside):
            assert (await place.house.ask("GET", path, None, headers)).status == 404, path


async def test_kill_9_of_a_worker_loses_no_receipt_and_stops_nobody_else(place: Place) -> None:
    house, answered = place.house, []
    stop = asyncio.Event()
    name = 'outlast_exchanges_total{degraded="none",outcome="ok"'

    async def many() -> None:
        while not stop.is_set():
            try:
                reply = await house.message()
            except OSError:
                continue  # it was on its way to the one that died
            if reply.status == 200 and reply.whole:
                answered.append(reply.headers["outlast-receipt"])

    clients = [asyncio.create_task(many()) for _ in range(6)]
    async with asyncio.timeout(30):
        while len(answered) < 20:  # noqa: ASYNC110 - the very next moment is wanted
            await asyncio.sleep(0)
        before = await counted(house, name)
        dead = house.kill("worker 0")
        at_the_kill = len(answered)
        while len(answered) < at_the_kill + 20:  # noqa: ASYNC110 - others go on
            await asyncio.sleep(0)
    stop.set()
    await asyncio.gather(*clients)
    await house.back("worker 0", dead)
    own = {"x-api-key": house.service.key}
    for path in answered:

        async def found(path: str = path) -> bool:
            reply = await house.ask("GET", path, None, own)
            assert reply.status in {200, 503}, path
            return reply.status == 200

        await until(found)
    # What it had counted goes on counting.
    assert await counted(house, name) >= before


async def test_what_a_killed_worker_had_under_way_is_given_back(place: Place) -> None:
    house = place.house
    key = await house.key(concurrent=1)
    place.vendor.script = Script(seed=1, first_token_s=600)
    asking = [asyncio.create_task(house.message(key)) for _ in range(2)]
    (refused,), (holding,) = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert refused.result().status == 429
    place.vendor.script = Script(seed=1)
    for name in ("worker 0", "worker 1"):
        dead = house.kill(name)
        await house.back(name, dead)
    await asyncio.gather(holding, return_exceptions=True)
    assert (await house.message(key)).status == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to end"])
async def test_without_the_observer_requests_are_answered_and_pages_say_so(
    place: Place, number: signal.Signals
) -> None:
    house = place.house
    dead = house.kill("observer", number)
    replies = await asyncio.gather(*(house.message() for _ in range(MANY)))
    assert statuses(replies) == {200: MANY}
    page = await house.ask("GET", "/status")
    assert page.status in {200, 503}  # it may be back already
    if page.status == 503:
        assert "Requests to models are answered" in page.json()["error"]["message"]
        assert "redémarre" in page.json()["error"]["says"]["fr"]
    assert (await house.ask("GET", "/healthz")).status == 200
    assert (await house.ask("GET", "/metrics")).status == 200
    await house.back("observer", dead)
    assert (await house.ask("GET", "/status")).status == 200


async def test_a_stream_through_a_worker_ends_whole(place: Place) -> None:
    place.vendor.script = Script(seed=1, chars=400, tokens_per_s=200)
    replies = await asyncio.gather(
        *(place.house.message(body={**BODY, "stream": True}) for _ in range(8))
    )
    for reply in replies:
        assert reply.whole
        assert reply.body.rstrip().endswith(b'{"type":"message_stop"}')
