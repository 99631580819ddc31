"""The operators' token shown by programs: who they are then, and what becomes of wrong ones."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request

from outlast.clock import ManualClock
from outlast.observatory.case_changes import AuditEntry, Changes
from outlast.observatory.casebook import Written
from outlast.observatory.networks import read_networks
from outlast.observatory.operator_gate import (
    TRIES_AT_ONCE,
    TRIES_PER_HOUR,
    WRITTEN_AT_ONCE,
    Denied,
    Gate,
)
from outlast.observatory.operators import OperatorToken
from tests.observatory.service.test_service import failing, house, open_house

TOKEN = "op_0123456789abcdef0123456789abcdef"
RIGHT, WRONG = f"Bearer {TOKEN}", "Bearer op_another_token_of_that_length"


class Log:
    """An audit that keeps its entries in a list."""

    def __init__(self) -> None:
        self.found: list[AuditEntry] = []

    async def commit(self, changes: Changes) -> Written:
        self.found += changes.audit
        return Written.STORED


class House:
    def __init__(self, folder: Path, token: str = TOKEN) -> None:
        (folder / "token").write_text(token)
        self.clock = ManualClock(1000.0)
        self.log = Log()
        trusted = read_networks(["10.0.0.0/8"])
        self.gate = Gate(OperatorToken(folder / "token", make=False), self.log, self.clock, trusted)

    async def ask(self, authorization: str = "", address: str = "192.0.2.7", **more: str) -> str:
        """The name, or the status of the refusal."""
        try:
            return await self.gate.who(request(authorization, address, **more))
        except Denied as denied:
            return str(denied.status)


def request(authorization: str, address: str, **more: str) -> Request:
    given = ({"authorization": authorization} if authorization else {}) | more
    headers = [(name.replace("_", "-").encode(), one.encode()) for name, one in given.items()]
    return Request({"type": "http", "headers": headers, "client": (address, 1)})


@pytest.mark.parametrize(
    ("why", "authorization", "name", "found"),
    [
        ("the token opens", RIGHT, "", "operator"),
        ("under whatever name", RIGHT, "Ada", "Ada"),
        ("on one line of plain signs", RIGHT, " Z\u202eoé\t B ", "Zoé B"),
        ("in whatever case the scheme is", f"bearer  {TOKEN} ", "Ada", "Ada"),
        ("without a token nobody is one", "", "Ada", "401"),
        ("with another's neither", WRONG, "Ada", "401"),
        ("nor with a beginning of it", RIGHT[:-1], "Ada", "401"),
        ("nor with more than it", RIGHT + "0", "Ada", "401"),
        ("nor by another scheme", f"Basic {TOKEN}", "Ada", "401"),
        ("nor by none", TOKEN, "Ada", "401"),
    ],
)
async def test_whoever_shows_the_token_is_an_operator_and_nobody_else(
    tmp_path: Path, why: str, authorization: str, name: str, found: str
) -> None:
    assert await House(tmp_path).ask(authorization, outlast_operator=name) == found, why


async def test_where_there_is_no_token_nobody_is_an_operator(tmp_path: Path) -> None:
    place = House(tmp_path, token="")
    assert await place.ask("Bearer ") == "401"
    assert await place.ask("Bearer x") == "401"


async def test_after_some_wrong_tokens_a_network_is_heard_again_with_time(tmp_path: Path) -> None:
    place = House(tmp_path)
    for number in range(TRIES_AT_ONCE):
        assert await place.ask(WRONG, f"192.0.2.{number}") == "401"
    assert await place.ask(WRONG) == "429"
    assert await place.ask(RIGHT) == "429"
    assert await place.ask(RIGHT, "192.0.3.7") == "operator"
    assert await place.ask("") == "401"  # who shows none tries nothing
    with pytest.raises(Denied) as denied:
        await place.gate.who(request(RIGHT, "192.0.2.7"))
    assert 0 < int(denied.value.headers["retry-after"]) <= 3600 / TRIES_PER_HOUR
    place.clock.advance(3600 / TRIES_PER_HOUR)
    assert await place.ask(RIGHT) == "operator"
    assert await place.ask(RIGHT) == "operator"  # the right one uses up no try
    assert await place.ask(WRONG) == "401"
    assert await place.ask(RIGHT) == "429"


async def test_a_browser_that_signs_in_to_a_proxy_before_us_tries_nothing(tmp_path: Path) -> None:
    place = House(tmp_path)
    for _ in range(10 * TRIES_AT_ONCE):
        assert await place.ask("Basic dXNlcjpwYXNz") == "401"
    assert await place.ask(RIGHT) == "operator"
    assert place.log.found == []


async def test_tries_count_for_the_client_behind_a_proxy_of_ours(tmp_path: Path) -> None:
    place = House(tmp_path)
    for _ in range(TRIES_AT_ONCE):
        await place.ask(WRONG, "10.1.1.1", x_forwarded_for="203.0.113.5")
    assert await place.ask(RIGHT, "10.1.1.1", x_forwarded_for="203.0.113.9") == "429"
    assert await place.ask(RIGHT, "10.1.1.1", x_forwarded_for="198.51.100.9") == "operator"
    assert await place.ask(RIGHT, "203.0.113.9") == "429"


async def test_what_is_refused_is_in_the_audit_and_what_was_sent_is_not(tmp_path: Path) -> None:
    place = House(tmp_path)
    await place.ask(WRONG, outlast_operator="Eve")
    (entry,) = place.log.found
    assert (entry.who, entry.what) == ("Eve", "token.refused")
    assert msgspec.json.decode(entry.body) == {"network": "192.0.2.0/24"}
    for number in range(WRITTEN_AT_ONCE + 9):
        await place.ask(WRONG, f"198.51.{number}.1")
    assert len(place.log.found) == WRITTEN_AT_ONCE
    place.clock.advance(60.0)
    await place.ask(WRONG, "203.0.113.5")
    assert msgspec.json.decode(place.log.found[-1].body)["missed"] == 10


async def test_every_path_for_operators_goes_through_it(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        incident = await failing(reader)
        path = f"/api/incidents/{incident['id']}"
        wrong = {"authorization": WRONG}
        posts = (
            f"{path}/actions",
            f"{path}/claims",
            "/api/claims/clm_1/state",
            "/api/maintenance",
            "/api/maintenance/win_1",
            f"{path}/post-mortem",
        )
        for one in posts:
            await reader.post(one, {}, 401, wrong)
        for one in ("/api/audit", f"{path}/draft"):
            await reader.get(one, 401, wrong)
        apprise = {"kind": "apprise", "target": "json://192.0.2.1"}
        await reader.post("/api/subscriptions", apprise, 400, wrong)
        for _ in range(TRIES_AT_ONCE - len(posts) - 3):
            await reader.get("/api/audit", 401, wrong)
        right = {"authorization": f"Bearer {reader.token}"}
        for one in posts:
            await reader.post(one, {}, 429, right)
        for one in ("/api/audit", f"{path}/draft"):
            await reader.get(one, 429, right)
