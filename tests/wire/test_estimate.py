"""Estimates of tokens: a little high, in any script, and fast."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Format
from outlast.wire.canon import (
    Document,
    Image,
    Message,
    Opaque,
    Request,
    StructuredOutput,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from outlast.wire.estimate import estimate_request, estimate_tokens

# Bands, not counts: no vendor's tokenizer runs here. The lower ends are what the common rules of
# thumb give (four letters of English, one ideograph, two to three digits a token); the upper ends
# leave room for the wordier tokenizers.
TEXTS = [
    ("nothing", "", 0, 0),
    ("one letter", "a", 1, 1),
    ("a sentence", "The quick brown fox jumps over the lazy dog.", 10, 15),
    ("French", "L'été dernier, nous étions à la plage avec des amis.", 13, 22),
    ("Chinese", "敏捷的棕色狐狸跳过了懒狗。", 11, 20),
    ("Japanese", "素早い茶色の狐がのろまな犬を飛び越える。", 15, 27),
    ("Korean", "안녕하세요, 만나서 반갑습니다.", 8, 20),
    ("Russian", "Привет, как дела?", 5, 13),
    ("emoji", "🦊🦊", 2, 8),
    ("code", "def foo(x):\n    return x + 1\n", 10, 15),
    ("JSON", '{"type":"object","properties":{"path":{"type":"string"}}}', 14, 28),
    ("digits", "3.14159265358979", 6, 12),
]


@pytest.mark.parametrize(("why", "text", "least", "most"), TEXTS, ids=[row[0] for row in TEXTS])
def test_texts_of_many_kinds_are_near(why: str, text: str, least: int, most: int) -> None:
    assert least <= estimate_tokens(text) <= most


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(first: str, second: str) -> None:
    both = estimate_tokens(first + second)
    assert max(estimate_tokens(first), estimate_tokens(second)) <= both
    assert both <= estimate_tokens(first) + estimate_tokens(second)
    assert both <= 3 * len(first + second)


def asked(*blocks: object, **more: object) -> Request:
    messages = (Message("user", blocks),)  # type: ignore[arg-type]  # any block
    return Request("m", messages, Format.ANTHROPIC, **more)  # type: ignore[arg-type]  # fields


def test_every_part_of_a_request_counts() -> None:
    plain = estimate_request(asked(Text("Hello")))
    parts: list[Request] = [
        asked(Text("Hello"), Image(url="https://a/b.png")),
        asked(Text("Hello"), Document("application/pdf", data="A" * 200_000)),
        asked(Text("Hello"), Document("text/plain", data="QUFB" * 100)),
        asked(Text("Hello"), Document(text="a page of words")),
        asked(Text("Hello"), Thinking("Hm, what now?")),
        asked(Text("Hello"), ToolUse("1", "f", '{"a":1}')),
        asked(Text("Hello"), ToolResult("1", (Text("42"),))),
        asked(Text("Hello"), Opaque("audio", Format.OPENAI_CHAT, {"data": "xyz"})),
        asked(Text("Hello"), tools=(Tool("f", "Does f", {"type": "object"}),)),
        asked(Text("Hello"), output=StructuredOutput({"type": "object"})),
    ]
    assert all(estimate_request(part) > plain for part in parts)


def test_a_large_pdf_counts_by_its_pages() -> None:
    one = estimate_request(asked(Document("application/pdf", data="A" * 60_000)))
    ten = estimate_request(asked(Document("application/pdf", data="A" * 660_000)))
    assert ten > 8 * one
