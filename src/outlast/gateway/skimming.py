"""Runs of text in a stream, read all at once where each frame only says the next piece. Pure.

The frames of one text differ in nothing but the text. Once one of them was read in full and meant
one piece of text, a frame with the same bytes around another JSON string means that string: the
place is a value of the same object, and nothing else in the frame changed. So a read that brings a
hundred of them is cut at the bytes between the texts, and the texts are decoded together. What
does not fit to the last byte is read in full, as ever. tests/gateway/test_skimming.py compares
both ways.
"""

from __future__ import annotations

import msgspec

FRAME_LIMIT_BYTES = 4096
"""Longer frames are no pieces of text as models send them."""

_ALL = msgspec.json.Decoder(list[str])
_ONE = msgspec.json.Decoder(str)
_END = b"\n\n"


class Run(msgspec.Struct, frozen=True):
    """Whole frames at the head of some bytes: `texts`, none of them empty; `end`, their length."""

    texts: list[str]
    end: int
    parts: list[bytes]
    """The texts as they stand there."""
    around_bytes: int
    """How much stands around each."""

    def size_of_last(self, count: int) -> int:
        """Return the length of the last frames, in bytes."""
        parts = self.parts[len(self.parts) - count :]
        return sum(map(len, parts)) + count * self.around_bytes


class Template:
    """What stands around the text in each frame, its quotes included."""

    __slots__ = ("_at", "_between", "_line", "_lines_each", "_until", "after", "before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self.before = before
        self.after = after
        self._between = after + before
        self._lines_each = self._between.count(b"\n")
        self._line = before.count(b"\n")
        self._at = len(before) - before.rfind(b"\n") - 1
        self._until = -after.find(b"\n")

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

    def fits(self, raw: bytes) -> bool:
        """Whether a frame may be of this shape."""
        return raw.startswith(self.before) and raw.endswith(self.after)

    def run(self, data: bytes) -> Run | None:
        """Return the whole frames of this shape at the head of `data`; None where there is none,
        or where one of them cannot be read so.
        """
        before, after = self.before, self.after
        if not data.startswith(before):
            return None
        end = data.rfind(after) + len(after)
        parts = self._lines(data[:end] if end != len(data) else data)
        if parts is not None and (texts := _texts(parts)) is not None:
            return Run(texts, end, parts, len(self._between))
        parts = data[len(before) :].split(self._between)
        last, found, _ = parts[-1].partition(after)
        if found:
            parts[-1] = last
        elif len(parts) == 1:
            return None
        else:
            parts.pop()
        texts = _texts(parts)
        if texts is None:
            return None
        around = len(self._between)
        return Run(texts, sum(map(len, parts)) + len(parts) * around, parts, around)

    def _lines(self, data: bytes) -> list[bytes] | None:
        """Return the texts in `data`, as they stand there, if it is frames of this shape alone.

        As splitting it at what stands between would find them; but to look for one byte is much
        faster, and so is to compare what is put together again.
        """
        at, until = self._at, self._until
        lines = data.split(b"\n")[self._line : -1 : self._lines_each]
        parts = [line[at:until] for line in lines]
        again = b"%b%b%b" % (self.before, self._between.join(parts), self.after)
        return parts if parts and again == data else None


def _texts(parts: list[bytes]) -> list[str] | None:
    """Return what these insides of JSON strings say; None where one of them is none, or empty."""
    inside = b'","'.join(parts)
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
