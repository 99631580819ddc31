"""The format is found out by content, and no body whatever breaks the reader."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.observatory.feeds.detect import PARSERS, detect, parse
from outlast.observatory.feeds.reading import BODY_LIMIT_BYTES, FeedPage, FeedUnreadable
from tests.observatory.feeds.bodies import (
    ATOM,
    BETTERSTACK,
    GOOGLE,
    body,
    component,
    history,
    incident,
    page,
    rss,
    summary,
)

AT = 1772452800.0
ULID = "01JMXBRMFE6N2NNT7DG6XZQ6PW"
INSTATUS = body({"page": {"name": "P", "status": "UP"}, "activeIncidents": []})

SAMPLES = {
    "statuspage's summary": (summary([incident()]), "statuspage"),
    "statuspage's history": (history([incident()]), "statuspage"),
    "statuspage's components": (page(components=[component("api")]), "statuspage"),
    "incident.io by its ids": (history([incident(ULID)]), "incidentio"),
    "incident.io's own": (body({"ongoing_incidents": []}), "incidentio"),
    "instatus's summary": (INSTATUS, "instatus"),
    "instatus with no incident": (body({"page": {"name": "P", "status": "UP"}}), "instatus"),
    "instatus's components": (body({"components": []}), "instatus"),
    "better stack": (body(BETTERSTACK), "betterstack"),
    "google": (body(GOOGLE), "google"),
    "google without incidents": (b"[]", "google"),
    "rss": (rss(), "syndication"),
    "atom after a byte order mark": (b"\xef\xbb\xbf" + ATOM, "syndication"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_format_is_found_out(name: str) -> None:
    document, wanted = SAMPLES[name]
    assert detect(document, "f") == wanted
    assert parse(document, "p", "f", AT).format == wanted


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"<!DOCTYPE html><html>", "web page for people"),
        (b'{"ok": true}', "none of the formats"),
        (b"[1, 2]", "none of the formats"),
        (b"hello", "something else"),
        (b"", "empty answer"),
        (b"x" * (BODY_LIMIT_BYTES + 1), "8 MiB"),
        (b"[" * 100_000, "something else"),
    ],
    ids=["html", "other json", "other list", "text", "nothing", "too much", "deep"],
)
def test_what_is_no_feed_is_said_in_a_sentence(document: bytes, says: str) -> None:
    with pytest.raises(FeedUnreadable, match=says):
        parse(document, "p", "f", AT)


def test_a_feed_of_more_is_narrowed_and_its_indicator_is_dropped() -> None:
    found = parse(body(GOOGLE), "google", "g", AT, only=("gemini",))
    assert [one.id for one in found.notices] == ["gOpen"]
    assert [one.name for one in found.components] == ["Vertex Gemini API"]
    assert found.indicator == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["page", "status", "components", "incidents", "id", "name", "incident_updates", "data",
             "type", "attributes", "included", "activeIncidents", "ongoing_incidents", "body",
             "affected_components", "begin", "end", "updates", "external_desc", "affected_products",
             "scheduled_maintenances", "indicator", "started_at", "affected_resources", "uri"]
        ),
        inner | st.sampled_from(["status_page", "status_report", "resolved", "operational", ULID]),
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


def survives(document: bytes) -> None:
    for name in ("", *PARSERS):
        try:
            found = parse(document, "p", "f", AT, format=name)
        except FeedUnreadable:
            continue
        assert isinstance(found, FeedPage)
        assert all(one.version and one.id for one in found.notices)


@given(JSON)
@settings(max_examples=150)
def test_any_json_gives_a_page_or_a_sentence(value: object) -> None:
    try:
        document = msgspec.json.encode(value)
    except (msgspec.MsgspecError, ValueError, OverflowError):
        return
    survives(document)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_page_or_a_sentence(document: bytes) -> None:
    survives(document)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
@settings(max_examples=150)
def test_any_damage_to_a_body_gives_a_page_or_a_sentence(name: str, data: st.DataObject) -> None:
    document = bytearray(SAMPLES[name][0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(document)))
        document[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    survives(bytes(document))


def test_reading_the_same_twice_gives_the_same_version_at_another_time() -> None:
    first = parse(summary([incident()]), "p", "f", AT).notices[0]
    second = parse(summary([incident()]), "p", "other", AT + 900).notices[0]
    assert first.version == second.version
    assert (first.fetched_at, second.fetched_at) == (AT, AT + 900)
