"""RSS and Atom: the shapes of status pages, and XML that means harm."""

from __future__ import annotations

import pytest

from outlast.observatory.feeds.reading import FeedPage, FeedUnreadable
from outlast.observatory.feeds.syndication import parse
from tests.observatory.feeds.bodies import ATOM, rss

AT = 1772452800.0


def read(document: bytes) -> FeedPage:
    return parse(document, "anthropic", "anthropic-rss", AT)


def test_statuspages_entries_are_read_with_stage_time_and_text() -> None:
    (notice,) = read(ATOM).notices
    assert [(one.stage, one.at, one.body) for one in notice.updates] == [
        ("investigating", 1772452140.0, "We look at it."),
        ("investigating", 1772458800.0, "Still at it."),
        ("resolved", 1772466420.0, "This incident has been resolved."),
    ]
    assert (notice.stage, notice.resolved_at) == ("resolved", 1772466420.0)
    assert notice.url == "https://status.test/incidents/27"


def test_incident_ios_items_name_status_and_components() -> None:
    item = (
        "<item><title>Elevated errors</title><guid>https://status.test/incidents/01J</guid>"
        "<pubDate>Mon, 02 Mar 2026 11:49:00 GMT</pubDate><description>"
        "&lt;b&gt;Status: Identified&lt;/b&gt;&lt;br/&gt;&lt;br/&gt;A fix comes.&lt;br/&gt;"
        "&lt;b&gt;Affected components&lt;/b&gt;&lt;ul&gt;&lt;li&gt;Codex (Degraded performance)"
        "&lt;/li&gt;&lt;li&gt;Login (Operational)&lt;/li&gt;&lt;/ul&gt;</description></item>"
    )
    (notice,) = read(rss(item)).notices
    assert (notice.stage, notice.resolved_at) == ("identified", None)
    assert dict(notice.components) == {"Codex": "degraded_performance", "Login": "operational"}


@pytest.mark.parametrize(
    ("categories", "stage", "impact"),
    [
        (("outage", "investigating"), "investigating", "critical"),
        (("disruption", "monitoring"), "monitoring", "major"),
        (("info", "resolved"), "resolved", "minor"),
        (("available", "resolved"), "resolved", ""),
    ],
)
def test_xais_items_say_it_by_category(
    categories: tuple[str, str], stage: str, impact: str
) -> None:
    marks = "".join(f"<category>{one}</category>" for one in categories)
    item = f"<item><title>[API (us-east-1)] Errors</title><guid>INC1</guid>{marks}</item>"
    (notice,) = read(rss(item)).notices
    assert (notice.stage, notice.impact) == (stage, impact)
    assert [name for name, _ in notice.components] == (["API (us-east-1)"] if impact else [])


def test_amazons_title_says_when_it_is_over() -> None:
    item = (
        "<item><title>Service is operating normally: [RESOLVED] Increased error rates</title>"
        "<guid>https://status.aws.test/#ec2_1</guid>"
        "<pubDate>Mon, 02 Mar 2026 04:00:00 PST</pubDate><description>Between.</description>"
        "</item>"
    )
    (notice,) = read(rss(item)).notices
    assert (notice.stage, notice.resolved_at) == ("resolved", AT)


def test_a_planned_maintenance_is_no_incident() -> None:
    (notice,) = read(rss("<item><title>Scheduled maintenance</title><guid>1</guid></item>")).notices
    assert notice.kind == "maintenance"


def test_what_is_not_recognised_stays_empty() -> None:
    (notice,) = read(rss("<item><title>Something</title><guid>1</guid></item>")).notices
    assert (notice.stage, notice.impact, notice.components, notice.started_at) == ("", "", (), 0.0)


def test_an_empty_feed_is_no_all_clear() -> None:
    found = read(rss())
    assert (found.notices, found.indicator, found.components) == ((), "", ())


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    b'<rss version="2.0"><channel><title>&b;</title></channel></rss>'
)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (LAUGHS, "declares a document type"),
        (b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><rss/>', "declares a document type"),
        (b"<rss><channel>&undeclared;</channel></rss>", "undefined entity"),
        (b"<a>" * 40, "nested too deep"),
        (b"<rss><channel>" + b"<a/>" * 60_000 + b"</channel></rss>", "too many elements"),
        (b"<rss><channel>", "cannot be read"),
        (b'<?xml version="1.0" encoding="rot13"?><rss/>', "encoding rot13"),
        (b'<?xml version="1.0" encoding="utf-7"?><rss/>', "encoding utf-7"),
        (b"<svg/>", "neither RSS nor Atom"),
        (b"<rss/>", "without a channel"),
        (b"<html><body>403</body></html>", "neither RSS nor Atom"),
        (b"<html><body>403<p>", "a web page came"),
        (b"\x00\x01", "cannot be read"),
        (b"   ", "empty answer"),
    ],
    ids=[
        "a billion laughs",
        "a file outside",
        "an entity of its own",
        "depth",
        "number",
        "the end is missing",
        "a codec that is no encoding",
        "an encoding with escapes",
        "another kind of xml",
        "no channel",
        "a web page that is xml",
        "a web page that is not",
        "bytes",
        "nothing",
    ],
)
def test_xml_that_means_harm_is_refused_in_a_sentence(document: bytes, says: str) -> None:
    with pytest.raises(FeedUnreadable, match=says):
        read(document)


def test_other_encodings_that_feeds_use_are_read() -> None:
    feed = "<rss><channel><title>État</title></channel></rss>"
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?>' + feed
    assert read(latin.encode("latin-1")).title == "État"
    assert (
        read("<rss><channel><title>État</title></channel></rss>".encode("utf-16")).title == "État"
    )


def test_atoms_xhtml_content_is_read_as_text() -> None:
    entry = (
        b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id><content type="xhtml">'
        b'<div xmlns="http://www.w3.org/1999/xhtml"><p>We look.</p></div></content></entry></feed>'
    )
    (notice,) = read(entry).notices
    assert [one.body for one in notice.updates] == ["We look."]
