"""Vendors' texts: what people see is plain, and reads as it was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.feeds.text import TEXT_LIMIT_BYTES, cut, line, plain


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("We are <b>investigating</b>.", "We are investigating."),
        ("one<br/>two<p>three</p>", "one\ntwo\nthree"),
        ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ("latency < 5 s and > 3 s", "latency < 5 s and > 3 s"),
        ("x<script>alert('<b>')</script>y", "xy"),
        ("x<SCRIPT src=a>never closed", "x"),
        ("x<style>p{}</style >y<!-- hidden -->z", "xyz"),
        ("<a href='javascript:x'>here</a>", "here"),
        ("safe\u202egnp.exe\u202c", "safegnp.exe"),
        ("&#8238;reversed", "reversed"),
        ("\u2066isolated\u2069 \u200bzero", "isolated zero"),
        ("bell\x07 null\x00 escape\x1b[31m", "bell null escape[31m"),
        ("  much    space \t and\n\n\n\nlines  ", "much space and\n\nlines"),
        ("line\u2028separator", "line\nseparator"),
        ("l’équipe d’astreinte 🚀", "l’équipe d’astreinte 🚀"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("İ<script>x</script>ı", "İı"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_text_is_shown_as(text: str, seen: str) -> None:
    assert plain(text) == seen


def test_a_title_is_one_line() -> None:
    assert line("Elevated\n errors<br>on\tclaude.ai") == "Elevated errors on claude.ai"


def test_a_long_text_is_cut_at_a_whole_character_and_says_so() -> None:
    assert cut("é" * 10, 10) == "é" * 3 + "…"
    assert cut("é" * 5, 10) == "é" * 5


@given(st.text(max_size=300), st.sampled_from(["<", "&#", "<script", "<!--", "\u202e", "<p"]))
def test_whatever_comes_no_control_or_direction_character_is_left(text: str, mark: str) -> None:
    seen = plain(mark.join(text[:20]) + text)
    assert len(seen.encode()) <= TEXT_LIMIT_BYTES
    assert not any(one < " " and one != "\n" for one in seen)
    assert not any("\u202a" <= one <= "\u202e" or "\u2066" <= one <= "\u2069" for one in seen)


@pytest.mark.parametrize("piece", ["<", "<a", "<!", "<script", "&#", "<br", "\n ", "</p", " "])
def test_a_megabyte_of_one_mark_is_bounded(piece: str) -> None:
    seen = plain(piece * (1_000_000 // len(piece)))
    assert len(seen.encode()) <= TEXT_LIMIT_BYTES
