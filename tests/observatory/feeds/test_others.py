"""Instatus, Better Stack and Google."""

from __future__ import annotations

import pytest

from outlast.nouns import Status
from outlast.observatory.feeds import betterstack, google, instatus
from outlast.observatory.feeds.reading import FeedUnreadable
from tests.observatory.feeds.bodies import BETTERSTACK, GOOGLE, body

AT = 1772452800.0

INSTATUS = {
    "page": {"name": "Perplexity", "url": "https://status.test", "status": "HASISSUES"},
    "activeIncidents": [
        {
            "name": "Search degraded",
            "started": "Mon Mar 02 2026 11:00:00 GMT+0000 (Coordinated Universal Time)",
            "status": "IDENTIFIED",
            "impact": "MAJOROUTAGE",
            "url": "https://status.test/incident/cl4a8n307",
        }
    ],
    "activeMaintenances": [
        {"id": "m1", "name": "Reboot", "start": "2026-03-03T12:00:00Z", "status": "NOTSTARTEDYET",
         "duration": "60"}
    ],
}  # fmt: skip


def test_instatus_lists_what_is_open_and_its_address_is_the_id() -> None:
    found = instatus.parse(body(INSTATUS), "perplexity", "perplexity", AT)
    incident, maintenance = found.notices
    assert (found.indicator, found.covers) == ("minor", "open")
    assert (incident.id, incident.stage, incident.impact) == ("cl4a8n307", "identified", "critical")
    assert incident.started_at == AT - 3600
    assert (maintenance.kind, maintenance.stage) == ("maintenance", "scheduled")
    assert maintenance.scheduled_until == (maintenance.scheduled_for or 0) + 3600


def test_instatus_components_have_states_and_say_nothing_about_incidents() -> None:
    document = {"components": [{"id": "1", "name": "API", "status": "PARTIALOUTAGE"}]}
    found = instatus.parse(body(document), "perplexity", "perplexity", AT)
    assert [(one.name, one.status) for one in found.components] == [("API", Status.PARTIAL)]
    assert (found.indicator, found.covers) == ("", "")


def test_better_stacks_reports_are_open_until_their_end_has_passed() -> None:
    found = betterstack.parse(body(BETTERSTACK), "together", "together", AT)
    (report,) = found.notices
    assert (found.indicator, report.stage, report.impact) == ("minor", "investigating", "minor")
    assert report.components == (("Inference API", "degraded_performance"),)
    assert [one.body for one in report.updates] == ["We look at it."]


def test_better_stacks_unmonitored_resources_are_no_readings() -> None:
    found = betterstack.parse(body(BETTERSTACK), "together", "together", AT)
    assert [one.name for one in found.components] == ["Inference API"]


@pytest.mark.parametrize(
    ("kind", "ends_at", "stage"),
    [
        ("manual", "2026-03-02T11:55:00Z", "resolved"),
        ("manual", "2026-03-02T12:05:00Z", "investigating"),
        ("maintenance", "2026-03-02T11:55:00Z", "completed"),
        ("maintenance", "2026-03-02T12:05:00Z", "in_progress"),
    ],
    ids=["an end in the past", "an end to come", "a maintenance over", "a maintenance now"],
)
def test_better_stacks_stage_follows_from_the_end(kind: str, ends_at: str, stage: str) -> None:
    included = [
        one | {"attributes": one["attributes"] | {"report_type": kind, "ends_at": ends_at}}
        if one["type"] == "status_report"
        else one
        for one in BETTERSTACK["included"]
    ]
    found = betterstack.parse(body(BETTERSTACK | {"included": included}), "t", "t", AT)
    assert found.notices[0].stage == stage


def test_googles_state_is_derived_from_what_has_no_end() -> None:
    found = google.parse(body(GOOGLE), "google", "google-incidents", AT)
    assert found.indicator == "critical"
    assert {one.name: one.status for one in found.components} == {
        "Google Compute Engine": Status.OPERATIONAL,
        "Vertex Gemini API": Status.MAJOR,
    }
    open_now, over = found.notices
    assert (open_now.stage, open_now.resolved_at) == ("investigating", None)
    assert [one.body for one in open_now.updates] == ["We look.", "Still."]
    assert open_now.url == "https://status.cloud.google.com/incidents/gOpen"
    assert (over.stage, over.resolved_at) == ("resolved", 1772362800.0)


def test_googles_products_get_a_state_from_the_incidents_alone() -> None:
    listed = [
        {"id": "Z0", "title": "Vertex Gemini API"},
        {"id": "Z1", "title": "Cloud Run"},
    ]
    names = google.products(body({"products": listed}), "g")
    found = google.parse(body(GOOGLE), "google", "google-incidents", AT)
    states = {one.name: (one.status, one.id) for one in google.derive(names, list(found.notices))}
    assert states["Vertex Gemini API"] == (Status.MAJOR, "Z0")
    assert states["Cloud Run"] == (Status.OPERATIONAL, "Z1")


def test_googles_list_of_products_is_not_taken_for_an_all_clear() -> None:
    with pytest.raises(FeedUnreadable, match=r"ends in incidents\.json"):
        google.parse(body({"products": []}), "google", "google-incidents", AT)


def test_an_empty_list_of_googles_says_that_nothing_is_open() -> None:
    found = google.parse(b"[]", "google", "google-incidents", AT)
    assert (found.indicator, found.notices, found.covers) == ("none", (), "history")
