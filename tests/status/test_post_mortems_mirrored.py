"""A post-mortem in the mirror while the service is gone, and on the page of a very old incident."""

from __future__ import annotations

from pathlib import Path

from outlast.clock import SystemClock
from outlast.commands.mirroring import stored
from outlast.observatory.case_changes import Changes
from outlast.observatory.casebook import Casebook
from outlast.status.post_mortem_book import PostMortems
from outlast.status.post_mortems import NewPostMortem
from outlast.store.database import Database
from tests.observatory.service.test_service import house, open_house
from tests.status.machine_house import over


async def test_while_the_service_is_away_its_database_tells_of_post_mortems(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'outlast.db'}")
    casebook, now = Casebook(database), SystemClock().wall()
    incident = over(opened_at=now - 9000, started_at=now - 9000, resolved_at=now - 3000)
    await casebook.commit(Changes(incidents=(incident,)))
    book = PostMortems(casebook, SystemClock(), lambda _: None)
    await book.write(incident, NewPostMortem({"en": "It failed."}), "Ada")
    shown = (await stored(database, "")).shown(incident.id)
    assert shown is not None
    assert [one.text for one in shown.post_mortem] == [{"en": "It failed."}]
    await casebook.close()
    await database.close()


async def test_an_incident_of_last_year_has_its_post_mortem_on_its_page(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        observing = reader.running.service.observing
        assert observing is not None
        began = reader.running.service.clock.wall() - 400 * 86_400
        incident = over(opened_at=began, started_at=began, resolved_at=began + 60)
        await observing.casebook.commit(Changes(incidents=(incident,)))
        operator = {"authorization": f"Bearer {reader.token}"}
        path = f"/api/incidents/{incident.id}/post-mortem"
        made = await reader.post(path, {"text": {"en": "It failed."}}, 201, operator)
        assert made["stored"] is True
        url = f"{reader.running.url}/status/incidents/{incident.id}?lang=en"
        async with reader.session.get(url) as answer:
            assert "It failed." in await answer.text()
