"""Post-mortems over a real database: stored with their audit, seen by others, never lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from outlast.clock import ManualClock
from outlast.nouns import Incident
from outlast.observatory.case_changes import Changes, Snapshot
from outlast.observatory.casebook import Casebook
from outlast.observatory.operator_gate import Gate
from outlast.observatory.operators import OperatorToken
from outlast.status import openapi_table
from outlast.status.post_mortem_book import PostMortems
from outlast.status.post_mortem_http import BODY_LIMIT_BYTES, PostMortemApi
from outlast.status.post_mortems import PREFIX
from outlast.store.database import Database
from tests.status.asking import ask
from tests.status.machine_house import NOW, outage, over
from tests.status.test_maintenance_http import lock

TOKEN = "op_0123456789abcdef0123456789abcdef"
TEXT = {"text": {"en": "It failed.\n\nWe know why.", "fr": "Panne."}}
AGAIN = {"text": {"en": "It failed at noon."}, "note": {"en": "The time was wrong."}}
HERE, PAST = "/api/incidents/inc_over/post-mortem", "/api/incidents/inc_past/post-mortem"


class House:
    """The API over a real database, asked without a socket."""

    def __init__(self, folder: Path) -> None:
        (folder / "token").write_text(TOKEN)
        self.path = folder / "outlast.db"
        self.clock = ManualClock(NOW)
        self.database = Database(f"sqlite:///{self.path}")
        self.casebook = Casebook(self.database)
        token = OperatorToken(folder / "token", make=False)
        self.gate = Gate(token, self.casebook, self.clock)
        self.book = self.make()

    def make(self) -> PostMortems:
        board: dict[str, Incident] = {one.id: one for one in (over(), outage())}
        return PostMortems(self.casebook, self.clock, board.get)

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = TOKEN
    ) -> tuple[int, Any]:
        app = Starlette(routes=PostMortemApi(self.book, self.gate).routes())
        return await ask(app, method, path, body, token=token)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    await made.casebook.close()
    await made.database.close()


async def test_a_post_mortem_is_stored_with_its_audit_and_seen_by_another_replica(
    house: House,
) -> None:
    status, answer = await house.ask("POST", HERE, TEXT)
    assert (status, answer["stored"], answer["version"]["by"]) == (201, True, "Ada")
    house.clock.advance(60)
    status, answer = await house.ask("POST", HERE, AGAIN)
    assert (status, answer["version"]["note"]) == (201, AGAIN["note"])
    other = house.make()
    await other.refresh()
    assert [one.text.get("fr") for one in other.of("inc_over")] == ["Panne.", None]
    said = [(one.who, one.what) for one in await house.casebook.audit()]
    assert said == [("Ada", "post_mortem.corrected"), ("Ada", "post_mortem.written")]
    status, listed = await house.ask("GET", HERE, token="")
    assert (status, len(listed["versions"])) == (200, 2)


async def test_an_incident_that_only_the_database_has_can_still_get_one(house: House) -> None:
    await house.casebook.commit(Changes(incidents=(over(id="inc_past"),)))
    assert (await house.ask("GET", PAST, token=""))[1] == {"versions": []}
    status, _ = await house.ask("POST", PAST, TEXT)
    assert status == 201
    assert len(house.book.of("inc_past")) == 1


REFUSED: tuple[tuple[str, str, Any, str, int, str], ...] = (
    ("POST", HERE, TEXT, "wrong" * 8, 401, "Another's token opens nothing."),
    ("POST", HERE, TEXT, "", 401, "None opens nothing."),
    ("POST", HERE, {"text": 5}, TOKEN, 400, "What is no text."),
    ("POST", HERE, b"{", TOKEN, 400, "What is no JSON."),
    ("POST", HERE, b"[" * 90_000, TOKEN, 400, "What is deep."),
    ("POST", HERE, TEXT | {"more": 1}, TOKEN, 400, "A field that is not known."),
    ("POST", HERE, {"text": {}}, TOKEN, 400, "What says nothing."),
    ("POST", HERE, b" " * (BODY_LIMIT_BYTES + 1), TOKEN, 413, "Too long."),
    ("POST", "/api/incidents/inc_20260302_a/post-mortem", TEXT, TOKEN, 400, "It goes on."),
    ("POST", "/api/incidents/inc_none/post-mortem", TEXT, TOKEN, 404, "No such incident."),
    ("GET", "/api/incidents/inc_none/post-mortem", None, "", 404, "No such incident."),
    ("GET", "/api/incidents/inc_20260302_a/draft", None, "", 401, "Drafts are for operators."),
    ("GET", "/api/incidents/inc_none/draft", None, TOKEN, 404, "No such incident."),
)


@pytest.mark.parametrize(("method", "path", "body", "token", "status", "why"), REFUSED)
async def test_what_is_refused_is_told_in_words_and_changes_nothing(
    house: House, method: str, path: str, body: Any, token: str, status: int, why: str
) -> None:
    found, answer = await house.ask(method, path, body, token)
    assert found == status, why
    assert answer["error"]["message"]
    assert dict(house.book.all()) == {}
    audit = [one.what for one in await house.casebook.audit()]
    assert audit == (["token.refused"] if token not in {"", TOKEN} else [])


@pytest.mark.parametrize("name", ["inc_20260302_a", "inc_past"])
async def test_a_draft_comes_in_both_languages_however_old_the_incident_is(
    house: House, name: str
) -> None:
    await house.casebook.commit(Changes(incidents=(over(id="inc_past"),)))
    status, answer = await house.ask("GET", f"/api/incidents/{name}/draft")
    assert status == 200
    assert answer["update"]["fr"].startswith(("Anthropic API", "C'est fini."))
    assert answer["post_mortem"]["en"].startswith("# Anthropic")


async def test_what_waits_for_the_database_says_so_and_is_not_forgotten_meanwhile(
    house: House,
) -> None:
    await house.ask("POST", HERE, TEXT)
    house.clock.advance(60)
    with lock(house.path):
        status, answer = await house.ask("POST", HERE, AGAIN)
        assert (status, answer["stored"]) == (201, False)
        await house.book.refresh()
        assert len(house.book.of("inc_over")) == 2
    assert await house.casebook.flush()
    other = house.make()
    await other.refresh()
    assert len(other.of("inc_over")) == 2


async def test_two_replicas_that_write_at_the_same_moment_lose_nothing(house: House) -> None:
    other = house.make()
    await house.ask("POST", HERE, TEXT)
    incident = over()
    from outlast.status.post_mortems import NewPostMortem

    known = NewPostMortem({"en": "From elsewhere."}, {"en": "As we saw it."})
    await other.write(incident, known, "Bo")
    await house.book.refresh()
    assert {one.by for one in house.book.of("inc_over")} == {"Ada", "Bo"}


async def test_who_has_not_read_the_newest_version_does_not_write_over_it(house: House) -> None:
    _, made = await house.ask("POST", HERE, TEXT)
    house.clock.advance(60)
    assert (await house.ask("POST", HERE, AGAIN | {"after": made["version"]["id"]}))[0] == 201
    third = {"text": {"en": "Third."}, "note": {"en": "More."}, "after": made["version"]["id"]}
    status, answer = await house.ask("POST", HERE, third)
    assert (status, "Ada has written" in answer["error"]["message"]) == (400, True)
    assert len(house.book.of("inc_over")) == 2


async def test_rows_that_are_none_of_ours_take_nothing_away(house: House) -> None:
    await house.ask("POST", HERE, TEXT)
    odd = Snapshot(f"{PREFIX}inc_over/odd", NOW + 1, b"[1]")
    await house.casebook.commit(Changes(snapshots=(odd,)))
    await house.book.refresh()
    assert len(house.book.of("inc_over")) == 1


async def test_the_page_is_told_at_once_that_something_is_new(house: House) -> None:
    before = house.book.all()
    await house.ask("POST", HERE, TEXT)
    assert house.book.all() is not before
    after = house.book.all()
    await house.book.refresh()
    assert house.book.all() is after


def test_every_route_is_documented() -> None:
    documented = {(one.method, one.path) for one in openapi_table.OPERATIONS}
    for route in PostMortemApi.__new__(PostMortemApi).routes():
        for method in (route.methods or set()) - {"HEAD"}:
            assert (method, route.path) in documented
