"""Runs of text in a stream, read all at once where each frame only says the next piece. Pure.

The frames of one text differ in nothing but the text. Once one of them was read in full and meant
one piece of text, a frame with the same bytes around another JSON string means that string: the
place is a value of the same object, and nothing else in the frame changed. So a read that brings a
hundred of them is cut at the bytes between the texts, and the texts are decoded together. What
does not fit to the last byte is read in full, as ever. tests/gateway/test_skimming.py compares
both ways.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from outlast.native import compiled

FRAME_LIMIT_BYTES = 4096
"""Longer frames are no pieces of text as models send them."""

_ALL = msgspec.json.Decoder(list[str])
_ONE = msgspec.json.Decoder(str)
_END = b"\n\n"
_BETWEEN = b'","'
_pieces = compiled("pieces")


class Run(NamedTuple):
    """Whole frames at the head of some bytes."""

    said: bytes
    """Their texts, none of them empty, as they stand there, with `","` between them."""
    end: int
    """Their length."""
    told: int
    """Up to here they may go out, and what waits before them; -1: not even that."""


class Template:
    """What stands around the text in each frame, its quotes included."""

    __slots__ = ("after", "before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self.before = before
        self.after = after

    @classmethod
    def of(cls, raw: bytes, text: str) -> Template | None:
        """Return the template of a frame that meant this piece of text and nothing else.

        None where the text's place is not certain: it, or something that could spell it, stands in
        the frame twice.
        """
        if len(raw) > FRAME_LIMIT_BYTES or not raw.endswith(_END) or b"\r" in raw:
            return None
        said = msgspec.json.encode(text)
        if raw.count(said) != 1:
            return None
        before, _, after = raw.partition(said)
        if b"\\" in before or b"\\" in after or after.count(_END) != 1 or _END in before:
            return None
        return cls(before + b'"', b'"' + after)

    @classmethod
    def at(cls, raw: bytes, start: int, end: int) -> Template | None:
        """As `of`, of one whole frame whose text is known to stand here, between its quotes."""
        said = raw[start - 1 : end + 1]
        if b"\\" in raw:
            return cls.of(raw, _ONE.decode(said))
        if len(raw) > FRAME_LIMIT_BYTES or raw.count(said) != 1:
            return None
        return cls(raw[:start], raw[end:])

    def fits(self, raw: bytes) -> bool:
        """Whether a frame may be of this shape."""
        return raw.startswith(self.before) and raw.endswith(self.after)

    def run(self, data: bytes, *, waiting: bool, words: bool) -> Run | None:
        """Return the whole frames of this shape at the head of `data`; None where there is none,
        or where one of them cannot be read so. `waiting`: whether a word waits that may go on;
        `words`: whether they are kept whole.
        """
        if _pieces is not None:
            found = _pieces(data, self.before, self.after, waiting, words)
            if found is not None:
                return Run(*found)
        parts = self._parts(data)
        texts = _texts(parts) if parts is not None else None
        if parts is None or texts is None:
            return None
        around = len(self.after) + len(self.before)
        out = _told(texts, waiting=waiting) if words else len(texts)
        end = sum(map(len, parts)) + len(parts) * around
        kept = parts[out:] if out >= 0 else []
        told = end - sum(map(len, kept)) - len(kept) * around
        return Run(_BETWEEN.join(parts), end, told if out >= 0 else -1)

    def _parts(self, data: bytes) -> list[bytes] | None:
        """Return the texts of these frames as they stand there; they may be no JSON strings."""
        before, after = self.before, self.after
        if not data.startswith(before):
            return None
        end = data.rfind(after) + len(after)
        parts = self._lines(data[:end] if end != len(data) else data)
        if parts is not None and _texts(parts) is not None:
            return parts
        parts = data[len(before) :].split(after + before)
        last, found, _ = parts[-1].partition(after)
        if found:
            parts[-1] = last
        elif len(parts) == 1:
            return None
        else:
            parts.pop()
        return parts

    def _lines(self, data: bytes) -> list[bytes] | None:
        """Return the texts in `data`, as they stand there, if it is frames of this shape alone.

        As splitting it at what stands between would find them; but to look for one byte is much
        faster, and so is to compare what is put together again.
        """
        before, after = self.before, self.after
        between = after + before
        at, until = len(before) - before.rfind(b"\n") - 1, -after.find(b"\n")
        lines = data.split(b"\n")[before.count(b"\n") : -1 : between.count(b"\n")]
        parts = [line[at:until] for line in lines]
        again = b"%b%b%b" % (before, between.join(parts), after)
        return parts if parts and again == data else None


def _told(texts: list[str], *, waiting: bool) -> int:
    """Return how many of these pieces may go out, with what waits; -1: not even that."""
    told = len(texts)
    if joined(texts[-1][-1]):
        told -= 1
        while told and joined(texts[told - 1][-1]) and joined(texts[told][0]):
            told -= 1
        if not told and waiting and joined(texts[0][0]):
            return -1  # the word that waits goes on through all of them
    return told


def texts_of(runs: list[bytes]) -> list[str]:
    """Return what these runs say."""
    return _ALL.decode(b'["%b"]' % _BETWEEN.join(runs)) if runs else []


def written(runs: list[bytes]) -> bytes:
    """Return what these runs say as it stands there."""
    return runs[0] if len(runs) == 1 else _BETWEEN.join(runs)


def _texts(parts: list[bytes]) -> list[str] | None:
    """Return what these insides of JSON strings say; None where one of them is none, or empty."""
    inside = _BETWEEN.join(parts)
    if b"\n" in inside or b"\r" in inside:
        return None
    try:
        if inside.count(b'"') == 2 * (len(parts) - 1):
            # No quote in any of them. One that ends in half an escape would swallow the quote after
            # it: then there are fewer, since no other quote could make up for it.
            texts = _ALL.decode(b'["%b"]' % inside)
        else:
            texts = [_ONE.decode(b'"%b"' % part) for part in parts]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return texts if len(texts) == len(parts) and all(texts) else None


def joined(char: str) -> bool:
    """Whether a character may be inside of something that must not be cut: a word of a script
    with spaces, a number, an emoji of several code points, a citation's `[1`."""
    if char.isascii():
        return char.isalnum() or char in "_'[-"
    if "\u2e80" <= char <= "\ua4cf" or "\uac00" <= char <= "\ud7af":
        return False  # scripts without spaces: every character stands alone
    return char.isalnum() or char in "\u200d\ufe0f\u2019" or char >= "\U0001f000"
