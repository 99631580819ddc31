"""The observatory inside a whole service on a real port: what comes in, what readers see."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp

from outlast.config import ObservatorySettings, Settings, StoreSettings
from outlast.nouns import Kind, Observation, Outcome
from outlast.observatory.http import STREAMS_OF_ONE_MAX
from outlast.observatory.watcher import Role
from tests.service import Running, route, serving, settings, upstream
from tests.store.databases import Gate, postgresql_url

JSON = dict[str, Any]


def house(folder: Path, *, database: str = "", **more: Any) -> Settings:
    wanted = ObservatorySettings(feeds=False, probes=False, providers=("anthropic",), **more)
    nobody = "http://127.0.0.1:9"
    return settings(
        folder,
        [upstream("anthropic", Kind.ANTHROPIC, nobody), upstream("other", Kind.ANTHROPIC, nobody)],
        [route("claude-*", "anthropic/claude-x", "other/claude-x")],
        observatory=wanted,
        store=StoreSettings(url=database),
    )


class Reader:
    """Somebody who asks the service."""

    def __init__(self, running: Running, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.session = session
        self.number = 0

    async def get(
        self, path: str, status: int = 200, headers: dict[str, str] | None = None
    ) -> JSON:
        async with self.session.get(self.running.url + path, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            found: JSON = await answer.json()
            return found

    async def post(
        self, path: str, body: JSON, status: int = 200, headers: dict[str, str] | None = None
    ) -> JSON:
        url = self.running.url + path
        async with self.session.post(url, json=body, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            found: JSON = await answer.json()
            return found

    def see(self, component: str, outcome: Outcome, times: int, source: str = "attempt") -> None:
        """Let the history keep that something happened."""
        observing = self.running.service.observing
        assert observing is not None
        now = self.running.service.clock.wall()
        for _ in range(times):
            self.number += 1
            observing.history.append(
                Observation(now, source, component, outcome, id=f"test/{self.number}/{now}")
            )

    async def look(self) -> None:
        """Let the watch look once, as it does every second."""
        observing = self.running.service.observing
        assert observing is not None
        for _ in range(1000):
            if observing.watcher.role is not Role.STARTING:
                break
            await asyncio.sleep(0.01)
        await observing.watcher.step()

    @property
    def token(self) -> str:
        observing = self.running.service.observing
        assert observing is not None
        return observing.gate.token()


@asynccontextmanager
async def open_house(chosen: Settings) -> AsyncIterator[Reader]:
    async with serving(chosen) as running, aiohttp.ClientSession() as session:
        yield Reader(running, session)


async def failing(reader: Reader) -> JSON:
    """An outage that our own requests see."""
    reader.see("anthropic/api/claude-x", Outcome.OVERLOADED, 30)
    await reader.look()
    (incident,) = (await reader.get("/api/incidents?open=1"))["incidents"]
    return dict(incident)


async def test_a_service_that_has_seen_nothing_says_so(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        status = await reader.get("/api/status")
        assert status["incidents"] == []
        assert {c["component"] for c in status["components"]} >= {"anthropic/api", "anthropic/web"}
        assert status["stale"] is False


async def test_failing_requests_become_an_incident_that_readers_and_the_router_hear(
    tmp_path: Path,
) -> None:
    async with open_house(house(tmp_path)) as reader:
        incident = await failing(reader)
        assert incident["suspicion"] == "s_down"
        assert set(incident["components"]) == {"anthropic/api", "anthropic/api/claude-x"}
        assert "30 of 30 requests failed" in incident["updates"][0]["text"]["en"]
        assert "requêtes" in incident["updates"][0]["text"]["fr"]
        assert incident["forecast"]["n"] == 0
        assert "history" in incident["forecast_says"]["en"]
        says = (await reader.get("/api/status"))["says"]["en"]
        assert says.startswith("Anthropic may be failing")
        state = reader.running.service.state
        chosen = state.settings.routes[0]
        from outlast.gateway.routing import candidates_of

        candidates = candidates_of(chosen, "claude-x", state.settings)
        await asyncio.sleep(0)
        against = state.hearing.demoted(candidates, reader.running.service.clock.monotonic())
        assert list(against) == ["anthropic/claude-x"]


async def test_a_report_is_counted_and_shown(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        body = {"provider": "anthropic", "surface": "web", "works": False, "token": "browser-one"}
        answer = await reader.post("/api/reports", body, 202)
        assert answer["counted"] is True
        await reader.look()
        observing = reader.running.service.observing
        assert observing is not None
        assert (await observing.history.flush()) is True
        stored = await observing.history.recent(0, source="report")
        assert [one.component for one in stored] == ["anthropic/web"]
        assert "127.0.0.1" not in repr(stored)


async def test_events_bring_the_state_and_then_every_change(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        async with reader.session.get(reader.running.url + "/api/events") as stream:
            assert stream.content_type == "text/event-stream"
            kinds: list[str] = []
            while "ready" not in kinds:
                line = (await stream.content.readline()).decode().strip()
                if line.startswith("event: "):
                    kinds.append(line.removeprefix("event: "))
            assert kinds.count("component") >= 2
            await failing(reader)
            while True:
                line = (await stream.content.readline()).decode().strip()
                if line == "event: incident":
                    data = json.loads((await stream.content.readline())[6:])
                    assert data["provider"] == "anthropic"
                    break


async def test_one_network_cannot_take_all_places_of_the_event_stream(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader, AsyncExitStack() as stack:
        url = reader.running.url + "/api/events"
        for _ in range(STREAMS_OF_ONE_MAX):
            stream = await stack.enter_async_context(reader.session.get(url))
            assert stream.status == 200
            await stream.content.readline()
        async with reader.session.get(url) as refused:
            assert refused.status == 429
            assert "of your network" in (await refused.json())["error"]["message"]
        stream.close()
        async with asyncio.timeout(10):
            while True:  # its place is given back as soon as we hear that it has left
                async with reader.session.get(url) as again:
                    if again.status == 200:
                        break


async def test_what_operators_do_is_written_down_and_needs_their_token(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        incident = await failing(reader)
        path = f"/api/incidents/{incident['id']}"
        note = {"kind": "annotate", "text": {"en": "We moved to OpenAI."}}
        await reader.post(f"{path}/actions", note, 401)
        await reader.post(
            f"{path}/actions", note, 401, {"authorization": "Bearer wrong-token-1234"}
        )
        operator = {"authorization": f"Bearer {reader.token}", "outlast-operator": "ana"}
        done = await reader.post(f"{path}/actions", note, headers=operator)
        assert (done["updates"][-1]["by"], done["updates"][-1]["kind"]) == ("ana", "annotated")
        wrong = {"kind": "confirm_cause", "text": {"en": "x"}, "cause": "magic"}
        refused = await reader.post(f"{path}/actions", wrong, 400, operator)
        assert "cause is one of" in refused["error"]["message"]
        right = {"kind": "confirm_cause", "text": {"en": "A deploy."}, "cause": "deploy"}
        assert (await reader.post(f"{path}/actions", right, headers=operator))["cause"] == "deploy"
        claim = {"kind": "cause", "text": {"en": "People left ChatGPT."}, "sources": ["press"]}
        entered = await reader.post(f"{path}/claims", claim, 201, operator)
        assert entered["state"] == "unconfirmed"
        shown = await reader.get(path)
        assert [c["text"]["fr"] for c in shown["claims"]] == ["People left ChatGPT."]
        assert shown["components"] == incident["components"]  # a claim moves nothing
        judged = {"state": "refuted", "reason": "The vendor says otherwise."}
        url = f"/api/claims/{entered['id']}/state"
        assert (await reader.post(url, judged, headers=operator))["state"] == "refuted"
        async with reader.session.get(
            reader.running.url + "/api/audit", headers=operator
        ) as answer:
            entries = (await answer.json())["entries"]
        assert [one["what"] for one in entries] == [
            "claim.judged",
            "claim.entered",
            "incident.confirm_cause",
            "incident.annotate",
            "token.refused",
        ]


async def test_after_a_restart_everything_is_there_and_goes_on(tmp_path: Path) -> None:
    chosen = house(tmp_path)
    async with open_house(chosen) as reader:
        before = await failing(reader)
        claim = {"kind": "cause", "text": {"en": "A rumour."}, "sources": ["press"]}
        operator = {"authorization": f"Bearer {reader.token}"}
        await reader.post(f"/api/incidents/{before['id']}/claims", claim, 201, operator)
        token = reader.token
    async with open_house(chosen) as reader:
        assert reader.token == token
        found = await reader.get(f"/api/incidents/{before['id']}")
        assert found["updates"] == before["updates"]
        assert [c["text"]["en"] for c in found["claims"]] == ["A rumour."]
        await reader.look()
        again = await failing(reader)
        assert again["id"] == before["id"]


@asynccontextmanager
async def dying_house(folder: Path) -> AsyncIterator[tuple[Reader, Gate]]:
    """A service on a PostgreSQL behind a gate that can be shut."""
    gate = Gate()
    gate.open()
    try:
        with postgresql_url(gate.port) as url:
            async with open_house(house(folder, database=url)) as reader:
                await reader.look()
                yield reader, gate
    finally:
        gate.shut()


async def test_a_dead_database_stops_neither_the_watch_nor_the_page(tmp_path: Path) -> None:
    async with dying_house(tmp_path) as (reader, gate):
        gate.shut()
        incident = await failing(reader)
        status = await reader.get("/api/status")
        assert [one["id"] for one in status["incidents"]] == [incident["id"]]
        assert "cannot be used now" in status["trouble"]
        listed = await reader.get("/api/incidents")
        assert listed["complete"] is False
        assert [one["id"] for one in listed["incidents"]] == [incident["id"]]
        await reader.get("/api/incidents/inc_of_last_year", 503)
        gate.open()
        observing = reader.running.service.observing
        assert observing is not None
        assert (await observing.casebook.flush()) is True
        stored = await observing.casebook.incident(incident["id"])
        assert stored is not None
        await reader.get("/api/incidents/inc_of_last_year", 404)


async def test_a_locked_database_file_stops_neither_the_watch_nor_the_page(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        with closing(sqlite3.connect(tmp_path / "outlast.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            incident = await failing(reader)
            while not (status := await reader.get("/api/status"))["trouble"]:
                await reader.look()
            assert "locked" in status["trouble"]
            assert [one["id"] for one in status["incidents"]] == [incident["id"]]
            listed = await reader.get("/api/incidents")
            assert [one["id"] for one in listed["incidents"]] == [incident["id"]]
            other.execute("ROLLBACK")


async def test_bad_questions_get_sentences(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        for path, status, words in [
            ("/api/components/none/such", 404, "no such component"),
            ("/api/incidents/inc_none", 404, "no such incident"),
            ("/api/incidents?limit=0", 400, "limit is a whole number"),
            ("/api/incidents?before=soon", 400, "before is a time"),
        ]:
            assert words in (await reader.get(path, status))["error"]["message"]
        operator = {"authorization": f"Bearer {reader.token}"}
        gone = await reader.post(
            "/api/incidents/inc_none/actions",
            {"kind": "annotate", "text": {"en": "x"}},
            400,
            operator,
        )
        assert "no such incident" in gone["error"]["message"]


async def test_a_service_that_watches_nothing_serves_none_of_it(tmp_path: Path) -> None:
    async with open_house(house(tmp_path, enabled=False)) as reader:
        assert reader.running.service.observing is None
        await reader.get("/api/status", 404)


async def test_it_leads_alone_on_a_database_of_its_own(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        observing = reader.running.service.observing
        assert observing is not None
        for _ in range(200):
            if observing.watcher.role is Role.LEADS:
                break
            await asyncio.sleep(0.01)
        assert observing.watcher.role is Role.LEADS
