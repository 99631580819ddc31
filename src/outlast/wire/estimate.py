"""How many tokens a text or a request is, roughly, without any vendor's tokenizer. Pure.

For /v1/messages/count_tokens where no upstream can count, and for answers that broke off before
they said what they cost. Tokenizers differ by a third among themselves, so the estimate leans to
the high side: a client that compacts a little early is better off than one that is refused.

Characters are counted by class, in C, and weighed. The weights follow published rules of thumb
(English: about 4 characters a token; Chinese, Japanese and Korean: about one character; digits:
two to three a token), and were set so that prose, code and JSON come out a little high.
"""

from __future__ import annotations

import math
import re
import string

import msgspec

from outlast.native import compiled
from outlast.wire.canon import (
    Block,
    Document,
    Image,
    Opaque,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

_LETTERS = string.ascii_letters.encode()
_DIGITS = string.digits.encode()
_SPACES = b" \t\n\r\x0b\x0c"
_ALL_LETTERS_AND = _LETTERS + _DIGITS + _SPACES
_NON_ASCII = re.compile(r"[^\x00-\x7f]+")
_CLASSES = (
    # Latin with accents, Greek, Cyrillic, Armenian, Hebrew, Arabic: words of a few tokens.
    (re.compile("[\u0080-\u07ff]+"), 0.65),
    # Chinese, Japanese, Korean and their punctuation.
    (re.compile("[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]+"), 1.15),
    # Everything else of the first plane: Indic and South-East Asian scripts, symbols.
    (re.compile("[\u0800-\u2e7f\ua000-\uabff\ud800-\uf8ff\ufb00-\ufeff\ufff0-\uffff]+"), 0.9),
    # Emoji and rare characters: several bytes, several tokens.
    (re.compile("[\U00010000-\U0010ffff]+"), 2.4),
)
_PER_LETTER, _PER_DIGIT, _PER_SPACE, _PER_LINE, _PER_SIGN = 0.26, 0.45, 0.15, 0.7, 0.7

_weigh = compiled("weigh")

_PER_MESSAGE = 4
_PER_TOOL = 14
_TOOLS_PREAMBLE = 346
"""Anthropic's documented system prompt for tool use (Claude 4, tool_choice auto)."""
_PER_IMAGE = 1600
"""An image of the largest size that is not scaled down (docs "Vision": width * height / 750)."""
_PER_PAGE = 2500
_BYTES_PER_PAGE = 50_000
"""A page of a PDF: its text and its image (docs "PDF support": 1,500 to 3,000 for the text)."""


def estimate_tokens(text: str) -> int:
    """Return an estimate of the tokens of `text`: 0 for none, else at least 1."""
    if not text:
        return 0
    weight = 0.0
    if not text.isascii():
        other = "".join(_NON_ASCII.findall(text))
        for pattern, per_character in _CLASSES:
            weight += per_character * sum(map(len, pattern.findall(other)))
    ascii_bytes = text.encode("ascii", "ignore")
    total = len(ascii_bytes)
    letters = total - len(ascii_bytes.translate(None, _LETTERS))
    digits = total - len(ascii_bytes.translate(None, _DIGITS))
    signs = len(ascii_bytes.translate(None, _ALL_LETTERS_AND))
    lines = ascii_bytes.count(b"\n")
    spaces = total - letters - digits - signs - lines
    return _weighed(weight, letters, digits, spaces, lines, signs)


def estimate_written(said: bytes) -> int | None:
    """Return the same for pieces of a text as they stand in JSON strings, with `","` between them;
    None: they must be read for it. Only where C is there does it ever know."""
    counts = _weigh(said) if _weigh is not None and said else None
    return None if counts is None else _weighed(0.0, *counts)


def _weighed(weight: float, letters: int, digits: int, spaces: int, lines: int, signs: int) -> int:
    weight += letters * _PER_LETTER + digits * _PER_DIGIT + signs * _PER_SIGN
    weight += spaces * _PER_SPACE + lines * _PER_LINE
    return max(1, math.ceil(weight))


def estimate_request(request: Request) -> int:
    """Return an estimate of the input tokens of a request: turns, tools, images, documents."""
    total = 3
    for message in request.messages:
        total += _PER_MESSAGE + sum(_block(block) for block in message.content)
    if request.tools:
        total += _TOOLS_PREAMBLE
    for tool in request.tools:
        total += _PER_TOOL + estimate_tokens(tool.name) + estimate_tokens(tool.description)
        if tool.parameters:
            total += _json(tool.parameters)
    if request.output is not None and request.output.schema is not None:
        total += _json(request.output.schema)
    return total


def _block(block: Block) -> int:
    match block:
        case Text(text=text):
            return estimate_tokens(text)
        case Image():
            return _PER_IMAGE
        case Document():
            return _document(block)
        case Thinking(text=text):
            return estimate_tokens(text)
        case ToolUse(name=name, arguments=arguments):
            return 12 + estimate_tokens(name) + estimate_tokens(arguments)
        case ToolResult(content=content):
            return 12 + sum(_block(inside) for inside in content)
        case Opaque(raw=raw):
            return _json(raw)


def _document(document: Document) -> int:
    title = estimate_tokens(document.title)
    if document.text:
        return title + estimate_tokens(document.text)
    if document.media_type.startswith("text/"):
        return title + len(document.data) * 3 // 4 // 3
    pages = math.ceil(len(document.data) * 3 / 4 / _BYTES_PER_PAGE) or 1
    return title + pages * _PER_PAGE


def _json(value: object) -> int:
    try:
        return estimate_tokens(msgspec.json.encode(value).decode())
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return 0  # nested too deeply to be written: it will be refused anyway
