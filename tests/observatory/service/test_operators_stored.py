"""Whether what an operator did is stored yet, as the API says it; and the audit, page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.observatory.casebook import Written
from outlast.store.database import DatabaseUnavailable
from tests.observatory.service.test_service import failing, house, open_house

NOTE = {"kind": "annotate", "text": {"en": "We moved."}}
CLAIM = {"kind": "cause", "text": {"en": "A rumour."}, "sources": ["press"]}


async def test_an_answer_says_whether_the_database_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(house(tmp_path)) as reader:
        incident = await failing(reader)
        operator = {"authorization": f"Bearer {reader.token}", "outlast-operator": "ana"}
        path = f"/api/incidents/{incident['id']}"
        assert (await reader.post(f"{path}/actions", NOTE, headers=operator))["stored"] is True
        claim = await reader.post(f"{path}/claims", CLAIM, 201, operator)
        assert claim["stored"] is True

        async def dead(*_: object) -> None:
            raise DatabaseUnavailable("The database cannot be used now: it is gone.")

        monkeypatch.setattr(reader.running.service.database, "write", dead)
        done = await reader.post(f"{path}/actions", NOTE, headers=operator)
        assert (done["stored"], len(done["updates"])) == (False, 3)
        judged = {"state": "refuted", "reason": "Not so."}
        url = f"/api/claims/{claim['id']}/state"
        assert (await reader.post(url, judged, headers=operator))["stored"] is False
        monkeypatch.undo()
        observing = reader.running.service.observing
        assert observing is not None
        assert await observing.casebook.flush()
        stored = await observing.casebook.incident(incident["id"])
        assert stored is not None
        assert len(stored.updates) == 3


async def test_what_the_database_refuses_is_told_and_not_called_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(house(tmp_path)) as reader:
        incident = await failing(reader)
        observing = reader.running.service.observing
        assert observing is not None

        async def refused(*_: object) -> Written:
            return Written.REFUSED

        monkeypatch.setattr(observing.casebook, "commit", refused)
        operator = {"authorization": f"Bearer {reader.token}"}
        path = f"/api/incidents/{incident['id']}/actions"
        answer = await reader.post(path, NOTE, 500, operator)
        assert "is not kept" in answer["error"]["message"]


async def test_the_audit_goes_on_before_a_time(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        incident = await failing(reader)
        operator = {"authorization": f"Bearer {reader.token}", "outlast-operator": "ana"}
        for _ in range(3):
            await reader.post(f"/api/incidents/{incident['id']}/actions", NOTE, headers=operator)
        url = reader.running.url + "/api/audit?limit=2"
        async with reader.session.get(url, headers=operator) as answer:
            newest = (await answer.json())["entries"]
        before = f"{url}&before={newest[-1]['at']!r}"
        async with reader.session.get(before, headers=operator) as answer:
            older = (await answer.json())["entries"]
        assert (len(newest), len(older)) == (2, 1)
        assert older[0]["at"] < newest[-1]["at"]
