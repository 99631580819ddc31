"""The operators' pages in a whole service: every thing that can be done there, and what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.observatory.casebook import Written
from outlast.status.operator_forms import time_text
from outlast.store.database import DatabaseUnavailable
from tests.observatory.service.test_service import failing
from tests.status.machine_house import HOSTILE
from tests.status.operator_house import desk, past_incident


async def test_an_update_is_drafted_looked_at_in_both_languages_and_published(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        page = await operator.sign_in()
        assert page.status == 200
        assert incident["title"]["en"] in page.words
        path = f"/operator/incidents/{incident['id']}/annotate"
        page = await operator.send(await operator.get(path), path, step="insert", template="draft")
        assert "This is not confirmed." in page.value("text_en")
        assert "Ce n'est pas confirmé." in page.value("text_fr")
        typed = {"text_en": "We moved to another one.", "text_fr": "Nous avons changé."}
        page = await operator.send(page, path, step="preview", **typed)
        assert "What readers will see" in page.words
        assert "We moved to another one." in page.words
        assert "Nous avons changé." in page.words
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert now["updates"] == incident["updates"]
        page = await operator.send(page, path, step="publish")
        assert (page.status, page.url.partition("?")[0].rpartition("/")[2]) == (200, incident["id"])
        assert "Done." in page.words
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert now["updates"][-1]["text"]["fr"] == "Nous avons changé."
        assert now["updates"][-1]["by"] == "Ada"
        assert [one["what"] for one in await operator.audit()] == [
            "incident.annotate",
            "session.opened",
        ]


async def test_a_template_is_added_below_what_was_typed(tmp_path: Path) -> None:
    async with desk(tmp_path, "fr") as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/annotate"
        page = await operator.send(
            await operator.get(path), path, step="insert", template="detour", text_fr="Bonjour."
        )
        assert page.value("text_fr").startswith("Bonjour.\r\n\r\nEn attendant le retour de")
        assert page.value("text_en").startswith("While it lasts, instead of")
        page = await operator.send(page, path, step="insert", template="none-such")
        assert page.value("text_fr").startswith("Bonjour.")
        page = await operator.send(page, path, step="preview")
        assert "Encore ouvert, entre crochets" in page.words
        assert "[ce que les lecteurs peuvent faire]" in page.words
        filled = {"text_fr": "Fait, [voir](https://example.org/).", "text_en": ""}
        page = await operator.send(page, path, step="preview", **filled)
        assert "Encore ouvert" not in page.words


async def test_a_cause_is_confirmed_an_entry_corrected_and_the_incident_called_over(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        root = f"/operator/incidents/{incident['id']}"
        await operator.publish(f"{root}/confirm-cause", cause="deploy", text_en="A deploy.")
        page = await operator.get(f"{root}/correct?number=0")
        assert page.value("number") == "0"
        await operator.publish(f"{root}/correct", number="0", text_en="It began earlier.")
        await operator.publish(f"{root}/retract", number="1", text_en="It was no deploy.")
        await operator.publish(f"{root}/resolve", text_en="It is over.", text_fr="C'est fini.")
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        kinds = [(one["kind"], one["corrects"]) for one in now["updates"][-4:]]
        assert kinds == [("cause", None), ("corrected", 0), ("retracted", 1), ("resolved", None)]
        assert (now["cause"], now["cause_confirmed_by"], now["stage"]) == (
            "deploy",
            "Ada",
            "resolved",
        )
        page = await operator.get(root)
        assert f"{root}/resolve?lang=en" not in page.links
        assert f"{root}/post-mortem?lang=en" in page.links


async def test_a_whole_incident_is_retracted_after_a_warning(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/retract"
        assert "takes it out of the uptime figures" in (await operator.get(path)).words
        page = await operator.publish(path, number="whole", text_en="It was our network.")
        assert "retracted" in page.words
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert now["retracted"] is True


async def test_claims_are_entered_with_sources_and_judged(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        root = f"/operator/incidents/{incident['id']}"
        page = await operator.publish(
            f"{root}/claim",
            kind="end",
            text_en="Back at noon.",
            sources="A forum\r\n\r\nhttps://example.org/x",
        )
        assert "Back at noon." in page.words
        (claim,) = operator.observing.board.claims[incident["id"]]
        assert claim.sources == ("A forum", "https://example.org/x")
        path = f"{root}/claims/{claim.id}"
        for state, reason in [("confirmed", "They said so."), ("unconfirmed", "We cannot know.")]:
            await operator.publish(path, state=state, reason=reason, sources="Their page")
            (claim,) = operator.observing.board.claims[incident["id"]]
            assert claim.state == state
            assert claim.history[-1].reason["fr"] == f"{reason} (Their page)"
            assert claim.history[-1].by == "Ada"
        assert (await operator.get(f"{root}/claims/clm_none")).status == 404


async def test_maintenance_is_announced_begun_moved_noted_and_done(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        await operator.sign_in()
        now = operator.reader.running.service.clock.wall()
        path = "/operator/maintenance"
        page = await operator.publish(
            path,
            title_en="New database",
            title_fr="Nouvelle base",
            components=["anthropic/api", "anthropic/web"],
            starts_at=time_text(now + 7200),
            ends_at=time_text(now + 10_800),
            text_en="Short breaks.",
        )
        assert "New database" in page.words
        (window,) = operator.observing.operating.maintenance.kept()
        assert window.components == ("anthropic/api", "anthropic/web")
        assert abs(window.starts_at - now - 7200) <= 60
        root = f"{path}/{window.id}"
        await operator.publish(f"{root}/move", ends_at=time_text(now + 14_400))
        await operator.publish(f"{root}/note", text_fr="Tout est prêt.")
        await operator.publish(f"{root}/begin")
        page = await operator.publish(f"{root}/complete", text_en="It went well.")
        assert "It went well." in page.words
        (window,) = operator.observing.operating.maintenance.kept()
        kinds = [one.kind for one in window.notes]
        assert kinds == ["announced", "move", "note", "begin", "complete"]
        assert {one.by for one in window.notes} == {"Ada"}
        assert f"{root}/cancel?lang=en" not in page.links
        assert (await operator.get(f"{path}/win_none/note")).status == 404
        assert (await operator.get(f"{root}/explode")).status == 404


async def test_the_end_of_a_window_that_has_begun_is_moved_though_its_start_has_seconds(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        await operator.sign_in()
        now = operator.reader.running.service.clock.wall()
        times = {"starts_at": time_text(now + 7200), "ends_at": time_text(now + 10_800)}
        await operator.publish(
            "/operator/maintenance", title_en="Work", components="anthropic/api", **times
        )
        (window,) = operator.observing.operating.maintenance.kept()
        root = f"/operator/maintenance/{window.id}"
        await operator.publish(f"{root}/begin")
        (begun,) = operator.observing.operating.maintenance.kept()
        await operator.publish(f"{root}/move", ends_at=time_text(now + 14_400))
        (moved,) = operator.observing.operating.maintenance.kept()
        assert moved.starts_at == begun.starts_at
        assert moved.ends_at > begun.ends_at


async def test_a_post_mortem_starts_from_the_record_and_is_corrected_in_sight(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        incident = await past_incident(operator)
        await operator.sign_in()
        root = f"/operator/incidents/{incident.id}"
        page = await operator.get(root)
        assert "its timeline is closed" in page.words
        assert f"{root}/annotate?lang=en" not in page.links
        path = f"{root}/post-mortem"
        page = await operator.get(path)
        assert page.value("text_en").startswith("## What happened\r\n\r\nThis is over.")
        assert page.value("text_fr").startswith("## Ce qui s'est passé")
        text = "# Cause\r\n\r\n- A change.\r\n\r\nSorry."
        await operator.publish(path, text_en=text, text_fr="")
        page = await operator.get(path)
        assert page.value("text_en") == text
        refused = await operator.send(page, path, step="preview", text_en="Another text.")
        assert refused.status == 422
        assert "say what this version corrects" in refused.words.lower()
        assert refused.value("text_en") == "Another text."
        await operator.publish(path, text_en="Another text.", note_en="The cause was another.")
        versions = operator.observing.operating.book.of(incident.id)
        assert [one.text["en"] for one in versions] == [text.replace("\r", ""), "Another text."]
        public = await operator.get(f"/status/incidents/{incident.id}")
        assert "The cause was another." in public.words


async def test_two_who_correct_at_once_see_each_other(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        incident = await past_incident(operator)
        await operator.sign_in()
        path = f"/operator/incidents/{incident.id}/post-mortem"
        await operator.publish(path, text_en="First.")
        mine = await operator.get(path)
        await operator.publish(path, text_en="Second.", note_en="By another.")
        page = await operator.send(mine, path, step="preview", text_en="Third.", note_en="Mine.")
        assert page.status == 422
        assert "read it before you write over it" in page.words
        assert page.value("text_en") == "Third."


async def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path, "fr") as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        root = f"/operator/incidents/{incident['id']}"
        page = await operator.send(
            await operator.get("/operator/maintenance"),
            "/operator/maintenance",
            step="preview",
            title_fr="Travaux & <b>co</b>",
            starts_at="bientôt",
            text_fr="ligne un\r\n\r\nligne deux",
        )
        assert page.status == 422
        assert "Donnez une date et une heure" in page.words
        assert 'href="#f-starts_at"' in page.body
        assert 'aria-invalid="true"' in page.body
        assert page.value("title_fr") == "Travaux & <b>co</b>"
        assert page.value("text_fr") == "ligne un\r\n\r\nligne deux"
        for path, typed, words in [
            (f"{root}/annotate", {"text_fr": " "}, "Le texte est vide"),
            (f"{root}/confirm-cause", {"text_fr": "x", "cause": "magic"}, "dans la liste"),
            (f"{root}/correct", {"text_fr": "x", "number": ""}, "dans la liste"),
            (f"{root}/correct", {"text_fr": "x", "number": "77"}, "doit désigner une entrée"),
            (f"{root}/claim", {"text_fr": "x", "kind": "cause"}, "Il faut la source"),
            ("/operator/maintenance", {"title_fr": "x"}, "Nommez-en au moins un"),
        ]:
            page = await operator.send(await operator.get(path), path, step="preview", **typed)
            assert (page.status, words in page.words) == (422, True), (path, page.words)


async def test_what_was_not_looked_at_is_not_published(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/annotate"
        page = await operator.send(await operator.get(path), path, step="publish", text_en="Blind.")
        assert page.status == 409
        page = await operator.send(page, path, step="publish", text_en="Other words.")
        assert page.status == 409
        assert "Look at them again" in page.words
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert len(now["updates"]) == 1
        await operator.send(page, path, step="publish")
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert now["updates"][-1]["text"]["en"] == "Other words."


async def test_a_form_that_is_sent_twice_is_done_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/annotate"
        page = await operator.send(await operator.get(path), path, step="preview", text_en="Once.")
        await operator.send(page, path, step="publish")
        page = await operator.send(page, path, step="publish")
        assert "done once" in page.words
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert len(now["updates"]) == 2


async def test_hostile_words_are_words_on_every_page(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in(name=HOSTILE.replace("\x00", ""))
        root = f"/operator/incidents/{incident['id']}"
        typed = {"text_en": HOSTILE, "text_fr": f"{HOSTILE}\r\n</textarea>{HOSTILE}"}
        page = await operator.send(
            await operator.get(f"{root}/annotate"), f"{root}/annotate", step="preview", **typed
        )
        pages = [page, await operator.send(page, f"{root}/annotate", step="publish")]
        await operator.publish(f"{root}/claim", kind="cause", text_en=HOSTILE, sources=HOSTILE)
        for path in ("/operator", "/operator/audit", root, f"{root}/correct", f"{root}/none"):
            pages.append(await operator.get(path))
        for page in pages:
            assert "<script" not in page.body
            assert "<img" not in page.body
            assert "onerror=alert" not in "".join(
                tag for tag in page.body.split("<") if tag.startswith("img")
            )


async def test_what_is_not_stored_yet_is_said_and_what_is_refused_is_not_called_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/annotate"
        ready = await operator.send(await operator.get(path), path, step="preview", text_en="Yes.")

        async def dead(*_: object) -> None:
            raise DatabaseUnavailable("The database cannot be used now: it is gone.")

        monkeypatch.setattr(operator.reader.running.service.database, "write", dead)
        monkeypatch.setattr(operator.reader.running.service.database, "read", dead)
        page = await operator.send(ready, path, step="publish")
        assert "but not stored yet" in page.words
        assert "the database does not answer" in (await operator.get("/operator/audit")).words
        assert "the database does not answer" in (await operator.get("/operator")).words
        assert (await operator.get("/operator/incidents/inc_of_old")).status == 503
        assert "the database does not answer" in (await operator.get("/operator/incidents")).words
        monkeypatch.undo()

        async def refused(*_: object) -> Written:
            return Written.REFUSED

        ready = await operator.send(await operator.get(path), path, step="preview", text_en="No.")
        monkeypatch.setattr(operator.observing.casebook, "commit", refused)
        page = await operator.send(ready, path, step="publish")
        assert page.status == 422
        assert "is not kept" in page.words
        assert page.value("text_en") == "No."


async def test_the_audit_says_who_did_what_and_leads_there(tmp_path: Path) -> None:
    async with desk(tmp_path, "fr") as operator:
        incident = await failing(operator.reader)
        await operator.sign_in(token="not the token at all", name="Eve")
        await operator.sign_in()
        root = f"/operator/incidents/{incident['id']}"
        await operator.publish(f"{root}/annotate", text_fr="Nous avons changé.")
        page = await operator.get("/operator/audit")
        assert "Ada a publié une mise à jour" in page.words
        assert "Nous avons changé." in page.words
        assert "Eve a été refusé" in page.words
        assert "not the token" not in page.words
        assert f"{root}?lang=fr" in page.links


async def test_older_incidents_are_listed_page_by_page(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        now = operator.reader.running.service.clock.wall()
        for number in range(52):
            at = now - 86_400 * (10 + number)
            await past_incident(
                operator, id=f"inc_{number:02}", opened_at=at, started_at=at, resolved_at=at + 60
            )
        await operator.sign_in()
        page = await operator.get("/operator/incidents")
        assert "/operator/incidents/inc_49?lang=en" in page.links
        (older,) = [one for one in page.links if "before=" in one]
        page = await operator.get(older.partition("&lang")[0])
        assert "/operator/incidents/inc_51?lang=en" in page.links
        assert "/operator/incidents/inc_49?lang=en" not in page.links


async def test_what_was_typed_for_an_incident_that_cannot_be_read_now_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as operator:
        incident = await past_incident(operator)
        await operator.sign_in()
        path = f"/operator/incidents/{incident.id}/post-mortem"
        page = await operator.get(path)

        async def dead(*_: object) -> None:
            raise DatabaseUnavailable("The database cannot be used now: it is gone.")

        monkeypatch.setattr(operator.reader.running.service.database, "read", dead)
        page = await operator.send(page, path, step="preview", text_en="All of it.", text_fr="")
        assert (page.status, "the database does not answer" in page.words) == (503, True)
        assert page.value("text_en") == "All of it."
        monkeypatch.undo()
        page = await operator.send(page, path, step="preview")
        await operator.send(page, path, step="publish")
        (made,) = operator.observing.operating.book.of(incident.id)
        assert made.text == {"en": "All of it."}


@pytest.mark.parametrize(("lang", "place"), [("en", "title_en"), ("fr", "title_fr")])
async def test_a_missing_title_is_said_at_the_operator_s_own_language(
    tmp_path: Path, lang: str, place: str
) -> None:
    async with desk(tmp_path, lang) as operator:
        await operator.sign_in()
        path = "/operator/maintenance"
        page = await operator.send(
            await operator.get(path), path, step="preview", components="anthropic/api"
        )
        assert (page.status, f'href="#f-{place}"' in page.body) == (422, True)


async def test_a_failure_of_our_own_is_a_page_that_keeps_what_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/annotate"
        ready = await operator.send(await operator.get(path), path, step="preview", text_en="Kept.")

        async def broken(*_: object) -> Written:
            raise RuntimeError("a fault of our own")

        monkeypatch.setattr(operator.observing.casebook, "commit", broken)
        page = await operator.send(ready, path, step="publish")
        assert (page.status, "Something of our own failed" in page.words) == (500, True)
        assert page.value("text_en") == "Kept."
        assert "a fault of our own" not in page.words
        monkeypatch.setattr(operator.observing.operating.maintenance, "kept", None)
        page = await operator.get("/operator")
        assert (page.status, "Something of our own failed" in page.words) == (500, True)
        monkeypatch.undo()


async def test_a_form_without_its_marks_is_shown_again_before_it_is_done(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/annotate"
        ready = await operator.send(await operator.get(path), path, step="preview", text_en="A.")
        page = await operator.send(ready, path, step="publish", once="")
        assert page.status == 409
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert len(now["updates"]) == 1
