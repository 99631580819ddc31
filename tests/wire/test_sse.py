"""Server-Sent Events: whole, byte by byte and cut anywhere, the events are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.wire.sse import EndlessEvent, ServerSentEvent, SSEParser, format_event

ROWS: list[tuple[str, bytes, list[tuple[str, bytes]]]] = [
    ("a named event", b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
    ("an unnamed event is a message", b"data: [DONE]\n\n", [("message", b"[DONE]")]),
    ("no space after the colon", b"event:a\ndata:b\n\n", [("a", b"b")]),
    ("only one space is taken away", b"data:  b\n\n", [("message", b" b")]),
    ("lines of data are joined", b"data: a\ndata: b\n\n", [("message", b"a\nb")]),
    ("data without a value", b"data\n\n", [("message", b"")]),
    ("a comment", b": keep-alive\n\n", [("comment", b"")]),
    ("an event without data keeps its name", b"event: x\n\n", [("x", b"")]),
    ("unknown fields mean nothing", b"id: 7\nretry: 1\nfoo: 2\ndata: a\n\n", [("message", b"a")]),
    ("carriage returns and line feeds", b"event: a\r\ndata: b\r\n\r\n", [("a", b"b")]),
    (
        "carriage returns alone",
        b"event: a\rdata: b\r\rdata: c\r\r",
        [("a", b"b"), ("message", b"c")],
    ),
    ("mixed line ends", b"data: a\n\r\ndata: b\r\n\n", [("message", b"a"), ("message", b"b")]),
    ("CRLF then CR", b"data: a\r\n\rdata: b\n\n", [("message", b"a"), ("message", b"b")]),
    (
        "blank lines between events",
        b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n",
        [("message", b"a"), ("message", b"b")],
    ),
    ("a byte order mark", b"\xef\xbb\xbfdata: a\n\n", [("message", b"a")]),
    ("half a byte order mark is data", b"\xef\xbbdata: a\n\n", [("comment", b"")]),
    ("characters of several bytes", "data: é漢🦊\n\n".encode(), [("message", "é漢🦊".encode())]),
    ("a name that is not UTF-8", b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")]),
    ("an unfinished event is not an event", b"data: a\n\ndata: b\n", [("message", b"a")]),
    ("nothing", b"", []),
]


def said(events: list[ServerSentEvent]) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in events]


@pytest.mark.parametrize(("why", "stream", "events"), ROWS, ids=[row[0] for row in ROWS])
def test_whole_and_byte_by_byte_give_the_events(
    why: str, stream: bytes, events: list[tuple[str, bytes]]
) -> None:
    assert said(SSEParser().feed(stream)) == events, why
    parser = SSEParser()
    slowly = [event for byte in stream for event in parser.feed(bytes([byte]))]
    assert said(slowly) == events, why


@given(st.data())
def test_any_cut_gives_the_same_events_and_loses_no_byte(data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(st.sampled_from([row[1] for row in ROWS if row[1].endswith(b"\n\n")]))
    )
    stream = b"".join(rows).replace(b"\xef\xbb\xbf", b"").lstrip(b"\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parser, events = SSEParser(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += parser.feed(stream[start:end])
    assert said(events) == said(SSEParser().feed(stream))
    passed_on = b"".join(event.raw for event in events) + parser.rest
    assert passed_on.replace(b"\n", b"") == stream.replace(b"\n", b"")


@given(st.lists(st.binary(max_size=12), max_size=30))
def test_bytes_of_any_kind_give_the_same_events_however_they_are_cut(chunks: list[bytes]) -> None:
    parser = SSEParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    whole = SSEParser().feed(b"".join(chunks))
    # A stream that ends each event in CR CR may be decided one byte earlier when cut there.
    assert said(events) == said(whole)


def test_the_raw_bytes_of_an_event_can_be_passed_on_unchanged() -> None:
    stream = b"event: a\r\nid: 3\r\ndata: b\r\n\r\n: hi\n\ndata: c\n\n"
    assert b"".join(event.raw for event in SSEParser().feed(stream)) == stream


def test_an_endless_event_is_refused_whole_and_in_pieces() -> None:
    with pytest.raises(EndlessEvent):
        SSEParser(limit_bytes=10).feed(b"data: 12345678901234567890\n\n")
    parser = SSEParser(limit_bytes=10)
    for _ in range(10):
        parser.feed(b"x")
    with pytest.raises(EndlessEvent):
        parser.feed(b"x")


def test_small_events_may_together_exceed_the_limit() -> None:
    assert len(SSEParser(limit_bytes=20).feed(b"data: a\n\n" * 100)) == 100


def test_what_is_unfinished_can_be_seen() -> None:
    parser = SSEParser()
    parser.feed(b"data: a\n\ndata: b")
    assert parser.rest == b"data: b"


def test_a_formatted_event_is_read_back() -> None:
    assert said(SSEParser().feed(format_event(b"{}", "ping") + format_event(b"1"))) == [
        ("ping", b"{}"),
        ("message", b"1"),
    ]
