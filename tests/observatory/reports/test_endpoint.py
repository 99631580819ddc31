"""`POST /api/reports` over real HTTP: what a reporter hears, and what is kept of whom."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from outlast.clock import ManualClock
from outlast.gateway.server import protocol_class
from outlast.nouns import (
    ComponentState,
    Impact,
    Incident,
    Observation,
    Outcome,
    Stage,
    Status,
    Suspicion,
)
from outlast.observatory import report_http
from outlast.observatory.board import Board
from outlast.observatory.networks import parse_table, read_networks
from outlast.observatory.proof import solve
from outlast.observatory.report_answer import Answer, Refusal
from outlast.observatory.report_body import BODY_LIMIT_BYTES
from outlast.observatory.report_http import PATH, Kept, Options, ReportEndpoint, keeper
from outlast.observatory.report_nouns import Limits
from outlast.observatory.reporting import Reporting
from outlast.observatory.words import Lang
from tests.heard import heard
from tests.observatory.reports.voices import NOON
from tests.raw import Reply, ask, exchange

GOOD: dict[str, object] = {"provider": "anthropic", "surface": "web", "works": False}
PROXIES = read_networks(["127.0.0.0/8"])


class Secrets:
    def pair(self, now: float) -> tuple[bytes, bytes | None]:
        return b"t" * 32, b"y" * 32


class House(msgspec.Struct):
    """A running endpoint, and everything behind it."""

    url: str
    endpoint: ReportEndpoint
    reporting: Reporting
    board: Board
    clock: ManualClock
    stored: list[Observation]

    async def post(self, said: object, /, **headers: str) -> Reply:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        body = said if isinstance(said, bytes) else msgspec.json.encode(said)
        return await ask(
            self.url, "POST", PATH, {"content-type": "application/json", **named}, body
        )

    async def report(self, host: str = "198.51.100.7", /, **more: object) -> Any:
        reply = await self.post({**GOOD, **more}, x_forwarded_for=host)
        return reply.json()


@asynccontextmanager
async def house(
    limits: Limits | None = None,
    keep: Kept = "kept",
    secrets: report_http.Secrets | None = None,
    **options: Any,
) -> AsyncIterator[House]:
    stored: list[Observation] = []

    def store(observation: Observation) -> Kept:
        if keep == "kept":
            stored.append(observation)
        return keep

    known = {"anthropic": frozenset({"claude-opus-4-8"}), "openai": frozenset[str]()}
    chosen = Options(**{"known": lambda: known, "trusted": PROXIES, **options})
    reporting, board, clock = Reporting(limits), Board(), ManualClock(NOON)
    endpoint = ReportEndpoint(reporting, store, secrets or Secrets(), board, clock, chosen)
    app = Starlette(routes=[Route(PATH, endpoint)])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            http=protocol_class(64 << 10, 100),
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
        )
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield House(url, endpoint, reporting, board, clock, stored)
        finally:
            server.should_exit = True
            await serving


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


async def test_a_report_is_kept_counted_and_answered_with_what_others_see() -> None:
    async with house() as here:
        first = await here.post(GOOD, x_forwarded_for="198.51.100.7")
        assert first.status == 202
        await here.report("203.0.113.9", works=True)
        told = await here.report("192.0.2.9")
        assert (told["accepted"], told["counted"], told["verdict"]) == (True, True, "counted")
        assert told["others"] == {"not_working": 1, "working": 1, "window_s": 900.0}
        assert (told["component"], told["status"], told["incident"]) == (
            "anthropic/web",
            None,
            None,
        )
        assert told["message"] == told["says"]["en"]
        assert "1 say that it does not work, 1 that it works" in told["message"]
        assert [one.id for one in here.stored][-1] == told["id"]


async def test_the_answer_says_what_is_known_in_both_languages() -> None:
    async with house() as here:
        here.board.set_states(
            [
                ComponentState(
                    "anthropic/web",
                    Status.PARTIAL,
                    Suspicion.S_DOWN,
                    0.87,
                    NOON,
                    NOON,
                    incident="inc_1",
                )
            ]
        )
        incident = Incident(
            "inc_1",
            "anthropic",
            NOON,
            NOON - 60,
            Stage.INVESTIGATING,
            Impact.MAJOR,
            Suspicion.S_DOWN,
            {"anthropic/web": Status.PARTIAL},
            {"en": "Errors", "fr": "Erreurs"},
        )
        here.board.set_incidents([incident])
        reply = await here.post(GOOD, accept_language="fr-FR,fr;q=0.9,en;q=0.8")
        told = reply.json()
        assert (told["status"], told["suspicion"], told["probability"]) == (
            "partial_outage",
            "s_down",
            0.87,
        )
        assert told["incident"]["id"] == "inc_1"
        assert told["incident"]["title"] == {"en": "Errors", "fr": "Erreurs"}
        assert told["message"].startswith("Merci\u00a0: votre signalement compte.")
        assert "Une panne est soupçonnée, non confirmée (probabilité 87\u00a0%)." in told["message"]
        assert "An outage is suspected, not confirmed (probability 87%)." in told["says"]["en"]


@pytest.mark.parametrize(
    ("accepted", "begins"),
    [
        pytest.param("", "Thank", id="nothing wished: English"),
        pytest.param("de, fr;q=0.5", "Merci", id="the first that we speak"),
        pytest.param("fr;q=0.2, en;q=0.9", "Thank", id="by weight"),
        pytest.param("fr;q=0", "Thank", id="weight 0 means never"),
        pytest.param("fr;q=x, ;;;,", "Thank", id="nonsense wishes nothing"),
    ],
)
async def test_the_message_is_in_the_language_that_was_asked_for(
    accepted: str, begins: str
) -> None:
    async with house() as here:
        reply = await here.post(GOOD, accept_language=accepted)
        assert reply.json()["message"].startswith(begins)


async def test_the_same_request_twice_is_one_report() -> None:
    async with house() as here:
        first = await here.report(id="key-1", token="mine")
        second = await here.report(id="key-1", token="mine")
        reply = await here.post(
            {**GOOD, "id": "key-1", "token": "mine"}, x_forwarded_for="198.51.100.7"
        )
        assert (reply.status, second["verdict"]) == (200, "again")
        assert second["id"] == first["id"]
        assert second["others"] == {"not_working": 0, "working": 0, "window_s": 900.0}
        assert len(here.stored) == 1


async def test_two_browsers_of_one_network_are_two_and_one_without_tokens() -> None:
    async with house() as here:
        verdicts = [
            (await here.report("198.51.100.7", token="a"))["verdict"],
            (await here.report("198.51.100.8", token="b"))["verdict"],
            (await here.report("198.51.100.7"))["verdict"],
            (await here.report("198.51.100.9"))["verdict"],
        ]
        assert verdicts == ["counted", "counted", "counted", "again"]


async def test_midnight_makes_nobody_a_second_person() -> None:
    class Turning:
        """Secrets that change at midnight."""

        def pair(self, now: float) -> tuple[bytes, bytes | None]:
            old, new = b"y" * 32, b"t" * 32
            return (new, old) if now >= midnight else (old, None)

    midnight = NOON - NOON % 86_400 + 86_400
    async with house(secrets=Turning()) as here:
        here.clock.at = midnight - 60
        assert (await here.report(token="mine"))["verdict"] == "counted"
        here.clock.at = midnight + 60
        assert (await here.report(token="mine"))["verdict"] == "again"
        assert (await here.report(token="other"))["verdict"] == "counted"
        assert len({one.network for one in here.stored}) == 1
        here.clock.at = midnight + 3600
        await here.report(token="third")
        assert len({one.network for one in here.stored}) == 2


async def test_nothing_that_is_kept_or_logged_holds_an_address_or_a_token() -> None:
    with heard() as logs:
        async with house() as here:
            here.endpoint.table = parse_table(["198.51.100.0,198.51.100.255,64500,FR"])
            told = await here.report("198.51.100.7", token="browser-token", id="request-key")
            (kept,) = here.stored
            written = msgspec.json.encode([kept, told, logs]).decode()
            for word in ("198.51.100", "c63364", "64500", "browser-token", "request-key"):
                assert word not in written
            assert kept.network.count(".") == 2
            assert not kept.network.startswith(".")


async def test_a_model_that_nobody_watches_is_left_out_and_said_so() -> None:
    async with house() as here:
        known = await here.report("192.0.2.1", model="claude-opus-4-8", surface="api")
        other = await here.report("198.51.100.1", model="made-up", surface="api")
        assert "notes" not in known
        assert "This model is not one that is watched here" in other["notes"][0]["en"]
        assert [one.component for one in here.stored] == [
            "anthropic/api/claude-opus-4-8",
            "anthropic/api",
        ]


async def ended(receipt: str) -> bool | None:
    if receipt == "req_slow":
        await asyncio.Event().wait()
    if receipt == "req_broken":
        raise RuntimeError("the database is gone")
    return {"req_failed": False, "req_good": True}.get(receipt)


@pytest.mark.parametrize(
    ("receipt", "weight", "note"),
    [
        pytest.param("req_failed", 3, "", id="a failed exchange of ours weighs"),
        pytest.param("req_good", 1, "ended otherwise", id="a good one does not speak for it"),
        pytest.param("req_none", 1, "no such receipt", id="an invented one does not help"),
        pytest.param("req_broken", 1, "could not be looked up", id="a dead database delays nobody"),
    ],
)
async def test_a_receipt_is_looked_up(receipt: str, weight: int, note: str) -> None:
    async with house(receipt=ended) as here:
        told = await here.report(receipt=receipt)
        assert here.stored[0].weight == weight
        assert note in told.get("notes", [{"en": ""}])[0]["en"]


async def test_what_cannot_be_stored_is_not_said_to_count() -> None:
    async with house(keep="failed") as here:
        reply = await here.post(GOOD)
        assert (reply.status, reply.headers["retry-after"]) == (503, "60")
        told = reply.json()
        assert told["accepted"] is False
        assert "Nothing was counted" in told["error"]["message"]
        assert len(here.reporting) == 0


async def test_what_the_history_has_already_is_answered_as_kept() -> None:
    async with house(keep="known") as here:
        reply = await here.post({**GOOD, "id": "from-before"})
        assert (reply.status, reply.json()["verdict"]) == (200, "again")
        assert reply.json()["counted"] is True


async def test_who_reports_too_often_is_told_when_to_come_back() -> None:
    async with house() as here:
        replies = [await here.post({**GOOD, "works": n % 2 == 0}) for n in range(7)]
        last = replies[-1]
        assert (last.status, last.headers["retry-after"]) == (429, "10")
        assert last.json()["counted"] is True
        assert last.json()["accepted"] is False


async def test_in_a_flood_a_crowded_network_is_set_a_task_and_counts_when_it_is_solved() -> None:
    async with house(Limits(flood_per_s=0.1, free_voices=2)) as here:
        for number in range(10):
            await here.report(f"203.0.{number}.1")
        for token in "ab":
            assert (await here.report(token=token))["counted"] is True
        asked = await here.report(token="c")
        assert (asked["counted"], asked["verdict"]) == (False, "challenged")
        assert asked["challenge"]["expires_at"] == NOON + 300
        solved = solve(asked["challenge"]["text"])
        assert (await here.report(token="d", proof=solved))["counted"] is False
        answer = await here.report(token="c", proof=solved)
        assert (answer["counted"], answer["verdict"]) == (True, "counted")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        pytest.param(b"{", 400, "unreadable", id="no JSON"),
        pytest.param({**GOOD, "provider": "acme"}, 404, "unknown_provider", id="a stranger"),
        pytest.param({**GOOD, "x": 1}, 400, "unknown_field", id="a field that is none"),
        pytest.param(b" " * (BODY_LIMIT_BYTES + 1), 413, "too_large", id="a body without end"),
    ],
)
async def test_what_cannot_be_taken_is_refused_in_both_languages(
    sent: object, status: int, code: str
) -> None:
    async with house() as here:
        reply = await here.post(sent, accept_language="fr")
        assert reply.status == status
        error = reply.json()["error"]
        assert error["code"] == code
        assert error["message"] == error["says"]["fr"] != error["says"]["en"]
        assert here.stored == []


async def test_a_body_that_does_not_come_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report_http, "BODY_READ_S", 0.05)
    async with house() as here:
        head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{{"
        reply = await exchange(here.url, head.encode())
        assert (reply.status, reply.json()["error"]["code"]) == (408, "late")
        assert reply.closed


async def test_other_methods_are_told_which_one() -> None:
    async with house() as here:
        reply = await ask(here.url, "GET", PATH)
        assert (reply.status, reply.headers["allow"]) == (405, "POST, OPTIONS")
        assert "takes POST, not GET" in reply.json()["error"]["message"]


async def test_a_widget_on_another_site_may_post_without_credentials() -> None:
    async with house() as here:
        asked = {
            "origin": "https://status.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        allowed = await ask(here.url, "OPTIONS", PATH, asked)
        assert allowed.status == 204
        assert allowed.headers["access-control-allow-origin"] == "*"
        assert "content-type" in allowed.headers["access-control-allow-headers"]
        reply = await here.post(GOOD, origin="https://status.example")
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in {**reply.headers, **allowed.headers}


FORM = {"content_type": "application/x-www-form-urlencoded"}


async def test_a_page_without_script_is_led_back_to_where_it_wants() -> None:
    async with house(after_form="/status") as here:
        fields = {**GOOD, "works": "false"}
        about = f"{GOOD['provider']}/{GOOD['surface']}"
        sent = urlencode(fields).encode()
        reply = await here.post(sent, accept="text/html", **FORM)
        assert reply.status == 303
        assert reply.headers["location"] == f"/status?reported=counted&about={about}"
        sent = urlencode({**fields, "next": "/p?lang=fr"}).encode()
        reply = await here.post(sent, accept="text/html", **FORM)
        assert reply.headers["location"] == f"/p?lang=fr&reported=again&about={about}"
        sent = urlencode({**fields, "next": "https://evil.example"}).encode()
        reply = await here.post(sent, accept="text/html", **FORM)
        assert reply.headers["location"] == f"/status?reported=again&about={about}"


async def test_a_form_of_a_program_is_answered_in_json() -> None:
    async with house() as here:
        reply = await here.post(urlencode({**GOOD, "works": "false"}).encode(), **FORM)
        assert (reply.status, reply.json()["verdict"]) == (202, "counted")


async def test_a_page_of_our_own_can_be_the_answer() -> None:
    def page(told: Answer | Refusal, lang: Lang) -> bytes:
        words = told.says[lang] if isinstance(told, Answer) else told.error.says[lang]
        return f"<p lang={lang}>{words}</p>".encode()

    async with house(render=page) as here:
        sent = urlencode({**GOOD, "works": "false"}).encode()
        reply = await here.post(sent, accept="text/html", accept_language="fr", **FORM)
        assert (reply.status, reply.headers["content-type"]) == (202, "text/html; charset=utf-8")
        assert reply.body.startswith(b"<p lang=fr>Merci")
        refused = await here.post(b"x=1", accept="text/html", **FORM)
        assert (refused.status, refused.body[:12]) == (400, b"<p lang=en>A")


async def test_a_form_that_cannot_be_taken_is_refused_as_text() -> None:
    async with house() as here:
        reply = await here.post(b"provider=a&surface=web", accept="text/html", **FORM)
        assert (reply.status, reply.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        assert reply.body.startswith(b"`works` is missing")


async def test_without_trusted_proxies_a_named_client_is_not_believed_and_that_is_said_once() -> (
    None
):
    with heard() as logs:
        async with house(trusted=()) as here:
            first = await here.report("198.51.100.7")
            second = await here.report("203.0.113.9")
            assert (first["verdict"], second["verdict"]) == ("counted", "again")
    warned = [entry["event"] for entry in logs if "trusted_proxies" in entry["event"]]
    assert len(warned) == 1
    assert "198.51" not in warned[0]


class Stream:
    """A history in one of its moods."""

    def __init__(self, takes: bool, durable: bool, known: bool) -> None:
        self.durable = durable
        self.repeated = 0
        self._takes, self._known = takes, known

    def append(self, observation: Observation) -> bool:
        self.repeated += self._known
        return self._takes


@pytest.mark.parametrize(
    ("takes", "durable", "known", "kept"),
    [
        pytest.param(True, True, False, "kept", id="on disk: it outlives a kill"),
        pytest.param(True, False, False, "failed", id="only in memory: nothing is promised"),
        pytest.param(False, True, True, "known", id="it is there already"),
        pytest.param(False, False, True, "failed", id="it is there, perhaps in memory alone"),
        pytest.param(False, True, False, "failed", id="it cannot be kept"),
    ],
)
def test_kept_means_that_it_outlives_a_kill(
    takes: bool, durable: bool, known: bool, kept: Kept
) -> None:
    keep: Callable[[Observation], Kept] = keeper(Stream(takes, durable, known))
    observation = Observation(NOON, "report", "anthropic/web", Outcome.SERVER_ERROR)
    assert keep(observation) == kept
