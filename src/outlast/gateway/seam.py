"""Where one model's text ends and another's goes on: nothing twice, nothing lost. Pure.

A model that is told to continue does so in its own way: it repeats the end, starts from the
beginning, says "Sure, continuing:", or opens a second code fence. So the first characters of a
continuation wait here until it is clear how they join what the reader has already seen
(continuity.md 1.4). An exact continuation passes at once, and a prefilled one, but for the white
space at the end of what was shown: it is stripped from what they go on from, and comes again.
"""

from __future__ import annotations

import re
from typing import Literal

from outlast.gateway.blocks import in_code_fence, line_again, line_end

Continuation = Literal["exact", "prefill", "instruct"]

HOLD_CHARS = 400
"""How much of a continuation is looked at before it is joined."""
OVERLAP_CHARS = 8
"""The shortest repetition that is taken for one: shorter ones are everyday words."""
OVERLAP_WORD_CHARS = 5
"""The shortest whole word that is taken for a repetition."""
PREAMBLE_CHARS = 240
OVERLAP_LIMIT_CHARS = 4000
RESTART_CHARS = 64
RESTART_SHARE = 0.8
ALIGN_CHARS = 48

_OPENING_FENCE = re.compile(r"\A\s*(?:```+|~~~+)[ ]?[^\s`][^\n`]{0,40}\n")
"""With a word after it, as in "```python": without one it would be the end of a block."""
_PREAMBLE = re.compile(
    r"\s*(?:(?:sure|certainly|of course|ok(?:ay)?|absolutely|right|apologies|sorry|"
    r"bien s[ûu]r|d['’]accord|tr[èe]s bien|voici|here(?:['’]s| is| are)|"
    r"continuing|as i was saying|picking up|resuming|je (?:continue|reprends)|reprenons|"
    r"let me continue|i['’]ll continue)\b[^\n]{0,160}?(?:[:.!…]+|—|\n))(?:[ \t]*\n+|[ \t]+|\Z)",
    re.IGNORECASE,
)
_ABOUT_CONTINUING = re.compile(
    r"continu|left off|as i was saying|the rest|pick(?:ing)? up|resum|suite|repren|reprise|"
    r"interrupt|interrompu|cut off",
    re.IGNORECASE,
)


class Misfit(Exception):
    """The continuation does not join what was said: it restarted and went another way."""


class Seam:
    """Feed it the continuation's text; it returns what may be shown after `shown`.

    `mid_word`: the last thing shown may be half a word (it was flushed, not cut at a boundary).
    """

    def __init__(self, shown: str, how: Continuation, *, mid_word: bool = False) -> None:
        self._shown = shown
        self._how = how
        self._mid_word = mid_word
        self._held = ""
        self._open = not shown or (how == "exact" and not shown[-1].isspace())

    @property
    def waiting(self) -> bool:
        """Whether text is held."""
        return not self._open and bool(self._held)

    def feed(self, text: str) -> str:
        """Return what of the continuation may be shown now. Raises Misfit."""
        if self._open:
            return text
        self._held += text
        if self._how != "instruct":
            if not self._held.strip():
                return ""
            return self._release(_after_prefill(self._shown, self._held))
        if len(self._held) < HOLD_CHARS or (
            _restarts(self._shown, self._held) and len(self._held) < len(self._shown) + HOLD_CHARS
        ):
            return ""
        return self._release(join(self._shown, self._held, mid_word=self._mid_word))

    def end(self) -> str:
        """The continuation's text is complete: return the rest. Raises Misfit."""
        if self._open:
            return ""
        if self._how != "instruct":
            return self._release(_after_prefill(self._shown, self._held))
        return self._release(join(self._shown, self._held, mid_word=self._mid_word))

    def _release(self, text: str) -> str:
        self._open = True
        self._held = ""
        return text


def join(shown: str, new: str, *, mid_word: bool = False) -> str:
    """Return what of `new` continues `shown`. Raises Misfit where it starts again differently."""
    text = _without_preamble(shown, new)
    if _restarts(shown, text):
        return _aligned(shown, text)
    unfenced = _unfenced(shown, text)
    if unfenced != text and _restarts(shown, unfenced):
        return _aligned(shown, unfenced)
    overlap = (
        _overlap(shown, unfenced) or line_again(shown, unfenced) or _whole_start(shown, unfenced)
    )
    if overlap:
        return unfenced[overlap:]
    return _spaced(shown, unfenced, mid_word=mid_word)


def _without_preamble(shown: str, new: str) -> str:
    """Drop "Sure! Here is the rest:" where it speaks of continuing, or a repetition follows."""
    end = 0
    while end < PREAMBLE_CHARS and (preamble := _PREAMBLE.match(new, end)) is not None:
        end = preamble.end()
    if not end:
        return new
    rest = new[end:]
    if _ABOUT_CONTINUING.search(new[:end]) or _restarts(shown, rest):
        return rest
    return rest if _overlap(shown, _unfenced(shown, rest)) else new


def _unfenced(shown: str, text: str) -> str:
    """Drop a code fence that opens again what is still open."""
    opening = _OPENING_FENCE.match(text)
    if opening is not None and in_code_fence(shown):
        return text[opening.end() :]
    return text


def _overlap(shown: str, text: str) -> int:
    """Return how many characters at the start of `text` repeat the end of `shown`.

    White space at the borders does not count: a model that repeats a line may leave out the
    space that followed it. Of several the longest; at least OVERLAP_CHARS of it.
    """
    body = text.lstrip()
    lead = len(text) - len(body)
    tail = shown[-OVERLAP_LIMIT_CHARS:]
    stripped = tail.rstrip()
    for end, spaces in ((tail, 0), (stripped, len(tail) - len(stripped))):
        for size in range(min(len(end), len(body)), OVERLAP_WORD_CHARS - 1, -1):
            if end.endswith(body[:size]) and (
                size >= OVERLAP_CHARS
                or (len(body[:size].strip()) >= OVERLAP_WORD_CHARS and _whole_word(end, body, size))
            ):
                cut = lead + size
                return cut + _spaces_after(text, cut, end=tail, count=spaces)
    return 0


def _whole_start(shown: str, text: str) -> int:
    """Return how much of `text` repeats an answer of which only a word or two were shown.

    Too little to tell a restart by its likeness; but an answer that goes on with its own first
    words is one that starts again.
    """
    start, body = shown.strip(), text.lstrip()
    if not start or len(start) >= 2 * OVERLAP_CHARS or not body.startswith(start):
        return 0
    after = body[len(start) : len(start) + 1]
    if _worded(start[-1]) and after and _worded(after):
        return 0
    cut = len(text) - len(body) + len(start)
    spaces = len(shown) - len(shown.rstrip())
    return cut + _spaces_after(text, cut, end=shown, count=spaces)


def _whole_word(end: str, body: str, size: int) -> bool:
    """Whether the repetition begins and ends at word boundaries on both sides."""
    before = end[len(end) - size - 1 : len(end) - size]
    return not before.isalnum() and not (
        body[size - 1].isalnum() and body[size : size + 1].isalnum()
    )


def _spaces_after(text: str, at: int, *, end: str, count: int) -> int:
    """How many spaces after the repetition were shown already."""
    already = end[len(end) - count :] if count else ""
    same = 0
    while same < len(already) and text[at + same : at + same + 1] == already[same]:
        same += 1
    return same


def _restarts(shown: str, text: str) -> bool:
    """Whether `text` begins like the whole answer did, rather than like its end."""
    body, start = text.lstrip(), shown.lstrip()
    size = min(RESTART_CHARS, len(start), len(body))
    if size < OVERLAP_CHARS or len(start) < 2 * OVERLAP_CHARS:
        return False
    same = sum(1 for a, b in zip(body[:size], start[:size], strict=True) if a == b)
    return same >= RESTART_SHARE * size


def _aligned(shown: str, text: str) -> str:
    """Skip what was already said of an answer that started again. Raises Misfit."""
    anchor = shown.rstrip()[-ALIGN_CHARS:]
    spaces = len(shown) - len(shown.rstrip())
    wanted = len(shown.strip())
    found, best = text.find(anchor), -1
    while found != -1:
        end = found + len(anchor)
        if best < 0 or abs(end - wanted) < abs(best - wanted):
            best = end
        found = text.find(anchor, found + 1)
    if best < 0:
        raise Misfit("the continuation started again and went another way")
    return text[best + _spaces_after(text, best, end=shown, count=spaces) :]


def _after_prefill(shown: str, new: str) -> str:
    """Drop the white space that was shown, was stripped from the prefill, and came again."""
    already = shown[len(shown.rstrip()) :]
    if not already:
        return new
    if new.startswith(already):
        return new[len(already) :]
    leading = new[: len(new) - len(new.lstrip())]
    return new[len(leading) :] if already.startswith(leading) or leading else new


def _spaced(shown: str, text: str, *, mid_word: bool) -> str:
    """Join with the white space that belongs between: one space between two words, no more.

    Line ends and indentation are content, in code above all: they are left as they come, but for
    a paragraph's end that was shown and comes again.
    """
    if not shown or not text:
        return text
    last, first = shown[-1], text[0]
    if last == "\n":
        return text.lstrip("\n") if shown.endswith("\n\n") else text
    if last in " \t":
        indented = not shown[shown.rfind("\n") + 1 :].strip()
        return text if indented or in_code_fence(shown) else text.lstrip(" \t")
    if mid_word:
        return _mended(shown, text)
    if missing := line_end(shown, text):
        return missing + text
    if _worded(last) and _worded(first):
        return " " + text
    ended = (last in ".!?\u2026" and first.isupper()) or (last in ",;" and first.isalpha())
    if ended and _worded(first) and not in_code_fence(shown):
        return " " + text
    return text


def _mended(shown: str, text: str) -> str:
    """Where the last word was shown in part and comes again whole, show only its rest."""
    word = re.search(r"\w{3,}\Z", shown)
    if word is not None and text.startswith(word.group()):
        rest = text[len(word.group()) :]
        if rest[:1].isalnum():
            return rest
    return text


def _worded(char: str) -> bool:
    """Whether a script with spaces between words has this letter or digit."""
    return char.isalnum() and not "\u2e80" <= char <= "\uffef"
