"""The small form of long texts: paragraphs, headings, points and links, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.status.prose import Block, Span, blocks, spans

HREF = "https://example.org/a?b=c"
FORMS: tuple[tuple[str, list[tuple[str, list[str]]]], ...] = (
    ("One.\nStill one.\n\nTwo.", [("text", ["One. Still one."]), ("text", ["Two."])]),
    ("# Head\nText", [("head", ["Head"]), ("text", ["Text"])]),
    ("###### Deep", [("head", ["Deep"])]),
    ("####### Too deep", [("text", ["####### Too deep"])]),
    ("#no heading", [("text", ["#no heading"])]),
    ("Why:\n- a\n- b\n  goes on\n* c", [("text", ["Why:"]), ("list", ["a", "b goes on", "c"])]),
    ("- a\n\n- b", [("list", ["a"]), ("list", ["b"])]),
    ("-no point", [("text", ["-no point"])]),
    ("<b>bold</b> & co", [("text", ["<b>bold</b> & co"])]),
    ("", []),
    (" \n\t\n", []),
)


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_a_text_has_the_form_that_its_signs_give_it(
    text: str, expected: list[tuple[str, list[str]]]
) -> None:
    found = [(b.kind, ["".join(s.text for s in item) for item in b.items]) for b in blocks(text)]
    assert found == expected


LINKS = (
    (f"See {HREF}.", [Span("See "), Span(HREF, HREF), Span(".")]),
    (f"[here]({HREF}) and on", [Span("here", HREF), Span(" and on")]),
    (f"({HREF})", [Span("("), Span(HREF, HREF), Span(")")]),
    ("[x](javascript:alert(1))", [Span("[x](javascript:alert(1))")]),
    ("[x](/status)", [Span("[x](/status)")]),
    ("[x](data:text/html,hi)", [Span("[x](data:text/html,hi)")]),
    ("javascript:alert(1)", [Span("javascript:alert(1)")]),
    ("https://our-bank.example@evil.example/", [Span("https://our-bank.example@evil.example/")]),
    ("https://[broken/", [Span("https://[broken/")]),
    ("https://", [Span("https://")]),
    (
        'https://a.example/"onclick=',
        [Span("https://a.example/", "https://a.example/"), Span('"onclick=')],
    ),
)


@pytest.mark.parametrize(("line", "expected"), LINKS)
def test_only_plain_addresses_of_the_web_become_links(line: str, expected: list[Span]) -> None:
    assert list(spans(line)) == expected


@given(st.text(alphabet="ab#-* \n[]()https://@.<>\"'&", max_size=300))
def test_no_text_is_lost_and_no_link_leads_out_of_the_web(text: str) -> None:
    found = blocks(text)
    for block in found:
        assert block.kind in {"text", "head", "list"}
        for item in block.items:
            for span in item:
                assert span.href == "" or span.href.startswith(("http://", "https://"))
    letters = [sign for sign in text if sign in "ab"]
    shown = [sign for b in found for item in b.items for s in item for sign in _source(s)]
    assert [sign for sign in shown if sign in "ab"] == letters


def _source(span: Span) -> str:
    """What was written for it."""
    return span.text if span.href in {"", span.text} else span.text + span.href


def test_a_block_is_a_plain_value() -> None:
    assert blocks("a") == (Block("text", ((Span("a"),),)),)
