"""Statuspage's documents and incident.io's dialect of them."""

from __future__ import annotations

import pytest

from outlast.nouns import Status
from outlast.observatory.feeds import incidentio, statuspage
from outlast.observatory.feeds.reading import FeedPage, FeedUnreadable
from tests.observatory.feeds.bodies import body, component, history, incident, page, summary, update

AT = 1772452800.0
ULID = "01JMXBRMFE6N2NNT7DG6XZQ6PW"


def read(document: bytes) -> FeedPage:
    return statuspage.parse(document, "anthropic", "anthropic-summary", AT)


def test_a_summary_gives_components_the_indicator_and_what_is_open() -> None:
    found = read(summary([incident()], components=[component("web", "partial_outage")]))
    assert found.indicator == "major"
    assert found.covers == "open"
    assert [(one.name, one.status) for one in found.components] == [("claude.ai", Status.PARTIAL)]
    assert found.worst is Status.PARTIAL
    (notice,) = found.notices
    assert (notice.id, notice.kind, notice.stage, notice.impact) == (
        "0abc", "incident", "investigating", "major",
    )  # fmt: skip
    assert notice.started_at == pytest.approx(1772452160.831)
    assert notice.fetched_at == AT
    assert notice.url == "https://stspg.io/abc"


def test_updates_stand_with_the_newest_last_and_components_follow_the_newest() -> None:
    newest_first = [
        update("identified", "API again.", "2026-03-02T13:37:01Z", {"api": "partial_outage"}),
        update("investigating", "API fine.", "2026-03-02T12:21:24Z",
               {"api": "operational", "web": "partial_outage"}),
    ]  # fmt: skip
    (notice,) = read(summary([incident(updates=newest_first)])).notices
    assert [one.body for one in notice.updates] == ["API fine.", "API again."]
    assert dict(notice.components) == {
        "Claude API (api.anthropic.com)": "partial_outage",
        "claude.ai": "partial_outage",
    }


def test_a_history_lists_what_is_over_with_its_end() -> None:
    over = incident(status="resolved", resolved_at="2026-03-02T15:47:09.375Z")
    found = read(history([over]))
    assert (found.covers, found.indicator) == ("history", "")
    assert found.notices[0].resolved_at == pytest.approx(1772466429.375)


def test_an_end_that_is_not_written_is_the_time_of_the_update_that_says_so() -> None:
    updates = [update("resolved", "Over.", "2026-03-02T15:47:09Z")]
    (notice,) = read(history([incident(status="resolved", updates=updates)])).notices
    assert notice.resolved_at == 1772466429.0


def test_a_maintenance_has_its_window_and_is_no_incident() -> None:
    planned = incident(
        status="scheduled",
        scheduled_for="2026-03-03T12:00:00Z",
        scheduled_until="2026-03-03T13:00:00Z",
        updates=[update("scheduled", "Tomorrow.", "2026-03-02T12:00:00Z")],
    )
    (notice,) = read(page(scheduled_maintenances=[planned])).notices
    assert (notice.kind, notice.stage) == ("maintenance", "scheduled")
    assert notice.scheduled_until == AT + 90_000


def test_components_alone_say_nothing_about_incidents() -> None:
    found = read(page(components=[component("api")]))
    assert found.covers == ""
    assert found.notices == ()


def test_a_group_is_not_counted_beside_its_members() -> None:
    group = component("web", "major_outage") | {"group": True}
    assert read(page(components=[group, component("api")])).worst is Status.OPERATIONAL


def test_an_unknown_status_is_left_out_and_an_unknown_indicator_is_no_all_clear() -> None:
    found = read(summary([], "wobbly", components=[component("api", "wobbly")]))
    assert found.components == ()
    assert found.indicator == "minor"


def test_what_is_beyond_the_limits_is_counted() -> None:
    found = read(history([incident(str(number)) for number in range(503)]))
    assert (len(found.notices), found.cut) == (500, 3)


@pytest.mark.parametrize("document", [b"{}", b"[]", b"null", b'{"page": {}}', b'{"page": 1}'])
def test_what_is_json_but_no_page_is_said_in_a_sentence(document: bytes) -> None:
    with pytest.raises(FeedUnreadable, match=r"is JSON, but not Statuspage's.*address"):
        read(document)


def test_a_web_page_is_named_as_such() -> None:
    with pytest.raises(FeedUnreadable, match="a web page came"):
        read(b"<!DOCTYPE html><title>403</title>")


def test_wrong_types_everywhere_are_read_as_absent() -> None:
    odd = {
        "id": 5,
        "name": ["x"],
        "status": {},
        "impact": 3,
        "incident_updates": "no",
        "components": [None, 3],
        "resolved_at": [],
        "shortlink": "javascript:alert(1)",
    }
    (notice,) = read(page(incidents=[odd, "no", None], status=[])).notices
    assert (notice.id, notice.title, notice.url, notice.updates) == ("5", "", "", ())


def test_incident_ios_components_have_no_time_because_theirs_means_nothing() -> None:
    document = body(
        {
            "page": {"id": ULID, "name": "OpenAI"},
            "status": {"indicator": "minor"},
            "components": [component("api", "full_outage") | {"id": ULID}],
            "incidents": [incident(ULID, components=None)],
        }
    )
    found = incidentio.parse(document, "openai", "openai-summary", AT)
    assert found.format == "incidentio"
    assert [(one.status, one.at) for one in found.components] == [(Status.MAJOR, 0.0)]
    assert found.notices[0].components == ()


def test_incident_ios_own_document_has_components() -> None:
    document = {
        "page_title": "OpenAI",
        "ongoing_incidents": [
            {
                "id": ULID,
                "name": "Errors in ChatGPT",
                "status": "identified",
                "current_worst_impact": "partial_outage",
                "last_update_at": "2026-03-02T12:00:00Z",
                "last_update_message": "A fix comes.",
                "affected_components": [
                    {"id": "1", "name": "ChatGPT", "current_status": "partial_outage"}
                ],
            }
        ],
        "in_progress_maintenances": [],
        "scheduled_maintenances": [
            {"id": "M", "status": "maintenance_scheduled", "starts_at": "2026-03-03T12:00:00Z"}
        ],
    }
    found = incidentio.parse(body(document), "openai", "openai", AT)
    assert [(one.kind, one.stage, one.impact) for one in found.notices] == [
        ("incident", "identified", "major"),
        ("maintenance", "scheduled", ""),
    ]
    assert found.notices[0].components == (("ChatGPT", "partial_outage"),)
    assert found.notices[0].updates[0].body == "A fix comes."
