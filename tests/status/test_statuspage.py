"""Statuspage's JSON: its shape, what it says, and that our own reader reads it back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from outlast.nouns import Stage, Status, Suspicion
from outlast.observatory.feeds import statuspage as reader
from outlast.observatory.feeds.detect import detect
from outlast.observatory.feeds.mapping import place
from outlast.status.badge import said
from outlast.status.page import Renderer
from outlast.status.scope import Scope
from outlast.status.statuspage import ALL_WELL, DOCUMENTS, document, paths
from outlast.status.view import Snapshot
from tests.status.machine_house import (
    API,
    HOSTILE,
    MODEL,
    NOW,
    OPENAI,
    WEB,
    failing,
    hostile,
    outage,
    over,
    quiet,
    shot,
    state,
    suspected,
    window,
)


def read(snapshot: Snapshot, path: str = "summary.json", **more: Any) -> dict[str, Any]:
    body = document(snapshot, path, **more)
    assert body is not None, path
    found = msgspec.json.decode(body)
    assert isinstance(found, dict)
    return found


def by_name(listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in listed}


COMPONENT = {
    "id", "name", "status", "created_at", "updated_at", "position", "description", "showcase",
    "start_date", "group_id", "page_id", "group", "only_show_if_degraded",
}  # fmt: skip
INCIDENT = {
    "id", "name", "status", "created_at", "updated_at", "monitoring_at", "resolved_at", "impact",
    "shortlink", "started_at", "page_id", "incident_updates", "components", "reminder_intervals",
}  # fmt: skip
UPDATE = {
    "id", "status", "body", "incident_id", "created_at", "updated_at", "display_at",
    "affected_components", "deliver_notifications", "custom_tweet", "tweet_id",
}  # fmt: skip


def test_every_document_has_the_parts_that_clients_look_for() -> None:
    parts = {
        "summary.json": {"page", "components", "incidents", "scheduled_maintenances", "status"},
        "status.json": {"page", "status"},
        "components.json": {"page", "components"},
        "incidents.json": {"page", "incidents"},
        "incidents/unresolved.json": {"page", "incidents"},
        "scheduled-maintenances.json": {"page", "scheduled_maintenances"},
        "scheduled-maintenances/upcoming.json": {"page", "scheduled_maintenances"},
        "scheduled-maintenances/active.json": {"page", "scheduled_maintenances"},
    }
    assert parts.keys() == DOCUMENTS.keys()
    for path, expected in parts.items():
        assert read(failing(), path).keys() == expected, path


def test_components_incidents_and_updates_have_the_fields_of_real_pages() -> None:
    found = read(failing())
    members = [one for one in found["components"] if not one["group"]]
    assert all(one.keys() == COMPONENT for one in members)
    groups = [one for one in found["components"] if one["group"]]
    assert all(one.keys() == COMPONENT | {"components"} for one in groups)
    assert all(one.keys() == INCIDENT for one in found["incidents"])
    updates = [update for one in found["incidents"] for update in one["incident_updates"]]
    assert all(one.keys() == UPDATE for one in updates)
    maintenance = found["scheduled_maintenances"][0]
    more = {"scheduled_for", "scheduled_until"}
    assert maintenance.keys() == INCIDENT - {"reminder_intervals"} | more
    assert set(found["page"]) == {"id", "name", "url", "time_zone", "updated_at"}


def test_a_provider_is_a_group_that_names_its_members() -> None:
    listed = read(failing())["components"]
    ids = {one["id"]: one for one in listed}
    assert len(ids) == len(listed)
    group = by_name(listed)["Anthropic"]
    names = [ids[one]["name"] for one in group["components"]]
    assert names == ["Anthropic web", "Anthropic API", "Anthropic API (claude-opus-4-8)"]
    assert all(ids[one]["group_id"] == group["id"] for one in group["components"])
    assert group["status"] == "major_outage"


def test_our_own_reader_reads_it_back() -> None:
    body = document(failing(), "summary.json")
    assert body is not None
    assert detect(body, "ours") == "statuspage"
    page = reader.parse(body, "anthropic", "ours", NOW)
    assert page.indicator == "critical"
    states = {one.name: one.status for one in page.components}
    assert states["Anthropic API"] is Status.MAJOR
    assert states["Anthropic API (claude-opus-4-8)"] is Status.OPERATIONAL
    notices = {one.title: one for one in page.notices}
    found = notices["Anthropic: major outage (API)"]
    assert (found.kind, found.stage, found.impact) == ("incident", "investigating", "critical")
    assert dict(found.components) == {
        "Anthropic API": "major_outage",
        "Anthropic web": "partial_outage",
    }
    assert found.started_at == pytest.approx(outage().started_at, abs=0.001)
    assert [one.body for one in found.updates][:2] == ["Suspected: API.", "Confirmed."]
    assert notices["New database"].scheduled_for == NOW + 3600
    assert page.covers == "open"


def test_our_own_reader_knows_from_the_history_that_it_is_over() -> None:
    body = document(failing(), "incidents.json")
    assert body is not None
    page = reader.parse(body, "anthropic", "ours", NOW)
    assert page.covers == "history"
    ended = next(one for one in page.notices if one.resolved_at)
    assert ended.stage == "resolved"
    assert ended.resolved_at == over().resolved_at
    assert dict(ended.components) == {"Anthropic API": "operational"}


@pytest.mark.parametrize("surface", ["web", "mobile", "api", "code", "login"])
def test_another_outlast_finds_each_surface_by_its_name(surface: str) -> None:
    for provider in ("anthropic", "openai", "mistral"):
        snapshot = shot(states=(state(f"{provider}/{surface}"),))
        scope = Scope(component=f"{provider}/{surface}")
        one = next(c for c in read(snapshot, scope=scope)["components"] if not c["group"])
        assert place(provider, one["name"]).surface == surface


def test_what_is_only_suspected_wakes_nobody_and_is_not_hidden() -> None:
    snapshot = shot(suspected(), states=(state(OPENAI, Status.MAJOR, Suspicion.S_DOWN),))
    found = read(snapshot)
    assert found["status"]["indicator"] == "minor"
    assert "not confirmed" in found["status"]["description"]
    (incident,) = found["incidents"]
    assert incident["name"] == "Suspected: OpenAI: problems (API)"
    assert incident["impact"] == "minor"
    component = by_name(found["components"])["OpenAI API"]
    assert component["status"] == "degraded_performance"
    assert component["description"] == "Suspected, not confirmed."
    assert incident["incident_updates"][0]["affected_components"] == [
        {
            "code": component["id"],
            "name": "OpenAI API",
            "old_status": "operational",
            "new_status": "degraded_performance",
        }
    ]


def test_updates_come_newest_first_and_say_what_changed() -> None:
    ended = next(
        one for one in read(failing(), "incidents.json")["incidents"] if one["resolved_at"]
    )
    kinds = [one["status"] for one in ended["incident_updates"]]
    assert kinds == ["resolved", "monitoring", "investigating", "investigating"]
    (last,) = ended["incident_updates"][0]["affected_components"]
    assert (last["old_status"], last["new_status"]) == ("major_outage", "operational")
    assert ended["monitoring_at"] == ended["incident_updates"][1]["created_at"]


def test_a_correction_says_which_entry_it_corrects() -> None:
    newest = read(shot(outage()))["incidents"][0]["incident_updates"][0]
    assert newest["body"] == "Correction of 11:51\u00a0UTC: Not all of web."


QUIET = (
    (quiet(), "none", ALL_WELL, "All is looked at and works."),
    (
        shot(states=(state(API, evidence=()),)),
        "none",
        "No outage is known.",
        "One component is not looked at: then not everything can be called well.",
    ),
    (
        shot(stale=True, at=NOW - 999),
        "minor",
        "Not known: this was last looked at 2026-03-02T12:13:21.000Z.",
        "What we cannot see is not fine.",
    ),
    (shot(stale=True, at=0.0), "minor", "Not known: nobody has looked yet.", "At the start."),
    (
        shot(states=(state(API, Status.MAINTENANCE),)),
        "maintenance",
        "No outage is known. Under maintenance: Anthropic API.",
        "Work that was announced is no outage.",
    ),
)


@pytest.mark.parametrize(("snapshot", "indicator", "words", "why"), QUIET)
def test_the_page_says_no_more_than_is_known(
    snapshot: Snapshot, indicator: str, words: str, why: str
) -> None:
    assert read(snapshot, "status.json")["status"] == {
        "indicator": indicator,
        "description": words,
    }, why


def test_an_incident_that_is_only_watched_counts_as_minor() -> None:
    found = read(shot(outage(stage=Stage.MONITORING)))
    assert found["status"]["indicator"] == "minor"
    assert "working again" in found["status"]["description"]


def test_a_retracted_incident_has_no_impact() -> None:
    (one,) = read(shot(over(retracted=True)), "incidents.json")["incidents"]
    assert one["impact"] == "none"
    assert one["name"].startswith("Retracted: ")


def test_ids_stay_the_same_when_more_happens() -> None:
    before, after = read(shot(outage())), read(failing(), "incidents.json")
    one = before["incidents"][0]
    same = next(other for other in after["incidents"] if other["id"] == one["id"])
    assert [u["id"] for u in same["incident_updates"]] == [u["id"] for u in one["incident_updates"]]
    assert before["page"]["id"] == after["page"]["id"]


def test_nothing_changes_while_nothing_happens() -> None:
    later = msgspec.structs.replace(failing(), at=NOW + 50, made_at=NOW + 55)
    for path in paths(later):
        assert document(later, path) == document(failing(), path), path


def test_one_incident_is_found_by_either_id_and_by_no_other() -> None:
    listed = [one for one in paths(failing()) if one not in DOCUMENTS]
    assert len(listed) == 3
    for path in listed:
        assert read(failing(), path)["incident"].keys() == INCIDENT
    assert read(failing(), "incidents/inc_over.json")["incident"]["id"] in listed[2]
    assert document(failing(), "incidents/inc_none.json") is None
    assert document(failing(), "else.json") is None


def test_a_provider_has_its_own_page_of_the_same_shape() -> None:
    found = read(failing(), scope=Scope(provider="openai"), lang="fr")
    assert found["page"]["url"] == "https://status.example/status/openai"
    assert [one["name"] for one in found["incidents"]] == [
        "Soupçonné\u00a0: OpenAI : difficultés (API)"
    ]
    assert {one["name"] for one in found["components"]} == {"OpenAI", "OpenAI API"}
    assert found["status"]["indicator"] == "minor"
    assert len(found["scheduled_maintenances"]) == 1
    assert read(failing(), scope=Scope(provider="anthropic"))["scheduled_maintenances"] == []


def test_a_component_stands_for_its_models() -> None:
    names = {one["name"] for one in read(quiet(), scope=Scope(component=API))["components"]}
    assert names == {"Anthropic", "Anthropic API", "Anthropic API (claude-opus-4-8)"}
    assert MODEL.startswith(API)


WINDOWS = (
    ("scheduled", ["scheduled"], "upcoming"),
    ("in_progress", ["in_progress", "scheduled"], "active"),
    ("completed", ["completed", "in_progress", "scheduled"], ""),
)


@pytest.mark.parametrize(("state_", "entries", "document_"), WINDOWS)
def test_a_window_of_maintenance_goes_its_way(
    state_: str, entries: list[str], document_: str
) -> None:
    snapshot = shot(windows=(window(state_),))
    (one,) = read(snapshot, "scheduled-maintenances.json")["scheduled_maintenances"]
    assert one["status"] == state_
    assert [update["status"] for update in one["incident_updates"]] == entries
    for name in ("upcoming", "active"):
        listed = read(snapshot, f"scheduled-maintenances/{name}.json")["scheduled_maintenances"]
        assert len(listed) == (name == document_)


def test_what_operators_work_on_is_under_maintenance_wherever_it_is_told() -> None:
    work = window("in_progress", components=(API,), by="outlast")
    snapshot = shot(states=(state(WEB, Status.DEGRADED, Suspicion.S_DOWN),), windows=(work,))
    listed = {one["name"]: one["status"] for one in read(snapshot)["components"]}
    assert listed["Anthropic API"] == "under_maintenance"
    assert listed["Anthropic API (claude-opus-4-8)"] == "under_maintenance"
    assert listed["Anthropic web"] == listed["Anthropic"] == "degraded_performance"
    assert listed["OpenAI API"] == "operational"
    assert said(snapshot, Scope(component=API), "en").words == "under maintenance"
    assert "Under maintenance: Anthropic API" in snapshot.headline["en"]
    assert b"under maintenance" in Renderer().render(snapshot, "anthropic", "en").body


def test_maintenance_hides_no_outage() -> None:
    work = window("in_progress", components=(API,), by="outlast")
    failing_ = state(API, Status.MAJOR, Suspicion.O_DOWN)
    snapshot = shot(outage(), states=(failing_,), windows=(work,))
    assert said(snapshot, Scope(component=API), "en").words == "major outage"
    assert read(snapshot)["status"]["indicator"] == "critical"


def test_a_cancelled_window_says_so() -> None:
    snapshot = shot(windows=(window("cancelled", cancelled_at=NOW - 60),))
    (one,) = read(snapshot, "scheduled-maintenances.json")["scheduled_maintenances"]
    assert (one["name"], one["status"]) == ("Cancelled: New database", "completed")
    assert one["resolved_at"] == one["updated_at"] == "2026-03-02T12:29:00.000Z"
    assert read(snapshot)["scheduled_maintenances"] == []


def test_hostile_texts_stay_texts_without_control_signs() -> None:
    for path in paths(hostile()):
        body = document(hostile(), path)
        assert body is not None
        for sign in ("\x00", "\x0b", "\u202e"):
            assert sign not in body.decode()
    text = read(hostile())["incidents"][0]["incident_updates"][0]["body"]
    assert text.startswith(HOSTILE[:30])
