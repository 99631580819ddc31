"""The page over HTTP, in a whole service: caching, languages, forms, and what fails behind it."""

from __future__ import annotations

from pathlib import Path

from outlast.nouns import Outcome
from tests.observatory.service.test_service import (
    Reader,
    dying_house,
    failing,
    house,
    open_house,
)


async def page(
    reader: Reader,
    path: str = "/status",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> str:
    url = reader.running.url + path
    async with reader.session.get(url, headers=headers, allow_redirects=False) as answer:
        assert answer.status == status
        assert "script-src 'sha256-" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        return await answer.text()


async def test_it_speaks_the_reader_s_language(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        assert '<html lang="en">' in await page(reader)
        french = {"accept-language": "de, fr-CA;q=0.8, en;q=0.5"}
        assert '<html lang="fr">' in await page(reader, headers=french)
        assert '<html lang="en">' in await page(reader, "/status?lang=en", headers=french)
        assert '<html lang="en">' in await page(
            reader, headers={"accept-language": "de;q=x, ;;, zz"}
        )


async def test_it_can_be_cached_and_asked_whether_it_changed(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        url = reader.running.url + "/status"
        async with reader.session.get(url) as answer:
            etag = answer.headers["etag"]
            assert "max-age" in answer.headers["cache-control"]
            assert "accept-language" in answer.headers["vary"]
        async with reader.session.get(url, headers={"if-none-match": etag}) as answer:
            assert answer.status == 304
        await failing(reader)
        async with reader.session.get(url, headers={"if-none-match": etag}) as answer:
            assert answer.status == 200
            assert "Anthropic may be failing" in await answer.text()


async def test_a_form_reports_without_a_script_and_leads_back(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        form = {
            "component": "anthropic/web",
            "works": "false",
            "next": "/status?lang=fr",
        }
        url = reader.running.url + "/api/reports"
        html = {"accept": "text/html"}
        async with reader.session.post(
            url, data=form, headers=html, allow_redirects=False
        ) as answer:
            assert answer.status == 303
            place = answer.headers["location"]
        assert place == "/status?lang=fr&reported=counted&about=anthropic/web"
        said = await page(reader, place)
        assert "Votre signalement compte." in said
        assert "Anthropic site web" in said
        assert "Rien d’autre n’indique une panne pour l’instant" in said


async def test_every_field_of_the_page_s_form_is_one_that_reports_take(tmp_path: Path) -> None:
    import re

    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        form = re.search(r"<form.*?</form>", await page(reader), re.DOTALL)
        assert form is not None
        names = set(re.findall(r'name="(\w+)"', form[0]))
        assert names == {"component", "works", "next"}


async def test_programs_read_statuspage_feeds_badges_and_the_description(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await failing(reader)
        for path, kind in [
            ("/api/v2/summary.json", "application/json"),
            ("/api/v2/incidents/unresolved.json", "application/json"),
            ("/status/feed.atom?lang=fr", "application/atom+xml"),
            ("/status/feed.json", "application/feed+json"),
            ("/status/badge.svg?component=anthropic/api", "image/svg+xml"),
            ("/status/widget.js", "text/javascript"),
            ("/status/widget", "text/html"),
            ("/api/openapi.json", "application/json"),
            ("/llms.txt", "text/plain"),
        ]:
            async with reader.session.get(reader.running.url + path) as answer:
                assert answer.status == 200, path
                assert answer.content_type == kind
                assert answer.headers["access-control-allow-origin"] == "*"
                assert len(await answer.read()) > 20
        summary = await reader.get("/api/v2/summary.json")
        assert [one["status"] for one in summary["incidents"]] == ["investigating"]
        await reader.get("/api/v2/nothing.json", 404)


async def test_pages_of_providers_incidents_and_what_is_not_there(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        incident = await failing(reader)
        assert "30 of 30 requests failed" in await page(reader, "/status/anthropic")
        assert "Suspected" in await page(reader, f"/status/incidents/{incident['id']}")
        assert "History" in await page(reader, "/status/history?month=2026-01")
        assert "no such page" in await page(reader, "/status/nobody", 404)


async def test_with_the_database_gone_the_last_state_is_shown_and_said_to_be_so(
    tmp_path: Path,
) -> None:
    async with dying_house(tmp_path) as (reader, gate):
        await failing(reader)
        gate.shut()
        reader.see("anthropic/web", Outcome.TIMEOUT, 40, "probe")
        await reader.look()
        shown = await page(reader)
        assert "Anthropic may be failing" in shown
        assert "Something of our own does not work" in shown


async def test_with_the_database_gone_no_older_incident_is_said_not_to_exist(
    tmp_path: Path,
) -> None:
    async with dying_house(tmp_path) as (reader, gate):
        gate.shut()
        older = "/status/incidents/inc_of_last_year"
        async with reader.session.get(reader.running.url + older) as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "15"
            assert answer.headers["cache-control"] == "no-store"
        assert "Whether there is such a page cannot be said now" in await page(reader, older, 503)
        french = {"accept-language": "fr"}
        assert "pour l&#39;instant si cette page existe" in await page(reader, older, 503, french)
        await page(reader, "/status/nothing-like-it", 404)


async def test_names_that_no_database_can_hold_are_names_of_nothing(tmp_path: Path) -> None:
    async with dying_house(tmp_path) as (reader, _):
        for name in ("%00", "inc_%00", "inc_%ff", "%f0%9f%98%80", "x" * 5000):
            await page(reader, f"/status/incidents/{name}", 404)
            await reader.get(f"/api/incidents/{name}", 404)
            await reader.get(f"/api/components/{name}", 404)
