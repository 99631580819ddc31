"""One text on its way through, as long as nothing else comes. Pure.

Nearly every read of a stream brings nothing but the next pieces of one text. For these nothing has
to be decided but where a word ends, so between two events of the exchange a Flow takes them in its
place: bytes in, bytes out. What is not such pieces to the last byte it leaves untouched, and
whatever else happens ends it: the exchange takes back what it has learnt, and goes on as if it had
been told all of it. tests/gateway/test_skimming.py compares both ways.

What waits here are the pieces of a word that may go on, as in holding.py: a seam must not cut it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

import msgspec

from outlast.gateway.skimming import FRAME_LIMIT_BYTES, Run, Template, joined

FLUSH_S = 0.08
"""How long half a word waits for its other half."""
FLUSH_SLACK_S = 0.005
"""Timers fire by the millisecond."""

Render = Callable[[int, Sequence[str]], bytes]
"""Pieces of the text in this block → the client's frames."""

TEXT_BYTES = 256
"""What is longer than this in a frame that comes alone is read as if there were several."""

_ONE = msgspec.json.Decoder(str)
_END = b"\n\n"
_INSIDE = frozenset(char for char in map(chr, range(128)) if joined(char))


class Flow:
    """Owned by the exchange; `feed` and `flush` are its shell's to call. Times: monotonic seconds.

    While it lasts nobody else knows what it has taken: `said`, of which `waiting` is not out yet.
    """

    __slots__ = (
        "_after",
        "_before",
        "_end",
        "_frames",
        "_limit_bytes",
        "_most_bytes",
        "_render",
        "_start",
        "_template",
        "_words",
        "before",
        "calm_s",
        "content_at",
        "flushing",
        "half_at",
        "index",
        "life_at",
        "mid_word",
        "number",
        "rest",
        "said",
        "spoke_at",
        "times",
        "waiting",
    )

    def __init__(
        self,
        template: Template,
        index: int,
        held: Sequence[tuple[bytes, str]] = (),
        rest: bytes = b"",
        *,
        words: bool,
        limit_bytes: int,
        render: Render | None = None,
    ) -> None:
        """`index`: of the open block. `held`: frames of the word that waits, and their texts.

        `rest`: the beginning of a frame. `words`: whether words are kept whole. `render`: what the
        client hears, where the frames do not reach it as they are.
        """
        self._template = template
        self._before, self._after = template.before, template.after
        self._start, self._end = len(self._before) - 1, 1 - len(self._after)
        self._most_bytes = len(self._before) + len(self._after) + TEXT_BYTES
        self._frames = [frame for frame, _ in held]
        self._words = words
        self._limit_bytes = limit_bytes
        self._render = render
        self.index = index
        self.rest = rest
        self.before = [text for _, text in held]
        """What waited when it began."""
        self.waiting = list(self.before)
        self.said: list[str] = []
        """Pieces that came since it began."""
        self.times = array("d")
        """When they came, once for each read."""
        self.mid_word = False
        self.number = 0
        self.life_at = self.content_at = self.half_at = self.spoke_at = 0.0
        self.calm_s = 0.0
        """After less silence than this nobody needs to look at it."""
        self.flushing = False
        """Whether somebody will call `flush`."""

    def feed(self, data: bytes, now: float) -> bytes | None:
        """Take in a read; return what goes out now. None: it brings something else, or may."""
        if self.rest:
            data = self.rest + data
        one = len(data) < self._most_bytes and data.endswith(self._after)
        if not (one and data.startswith(self._before)):
            return self._many(data, now)
        try:
            # Of several frames this is no one string: the line ends between them are in it.
            text = _ONE.decode(data[self._start : self._end])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._many(data, now)
        if not text:
            return None
        last, waiting = text[-1], self.waiting
        if self._words and (last in _INSIDE or (last > "\x7f" and joined(last))):
            if waiting and joined(text[0]):
                if sum(map(len, self._frames)) + len(data) > self._limit_bytes:
                    return None
                out = b""
                self._frames.append(data)
                waiting.append(text)
            else:
                out = self._out(b"", []) if waiting else b""
                self._frames, self.waiting = [data], [text]
                self.half_at = now
        elif waiting or self._render is not None:
            out = self._out(data, [text])
            self._frames, self.waiting = [], []
        else:
            out = data
        self.rest = b""
        self.said.append(text)
        self.times.append(now)
        self.life_at = now
        if out:
            self.mid_word = False
            self.spoke_at = now
        return out

    def _many(self, data: bytes, now: float) -> bytes | None:
        """As `feed`, for many frames or parts of them."""
        end = data.rfind(_END) + 2
        rest = data[end:] if end > 1 else data
        if b"\r" in rest or len(rest) > FRAME_LIMIT_BYTES:
            return None
        if end == 1:
            self.rest = rest
            self.life_at = now
            return b""
        found = self.read(data) if data.endswith(self._after, 0, end) else None
        if found is None or found.end != end:
            return None
        self.rest = rest
        return self.tell(data, found, now)

    def read(self, data: bytes) -> Run | None:
        """Return the frames of this text at the head of `data`, which `rest` is a part of, without
        taking them; None: there are none."""
        found = self._template.run(data)
        if found is None or found.end + sum(map(len, self._frames)) > self._limit_bytes:
            return None
        return found

    def tell(self, data: bytes, found: Run, now: float) -> bytes:
        """Take the frames that `read` found there; return what goes out now."""
        texts, waiting = found.texts, self.waiting
        told = self._told(texts)
        kept = found.size_of_last(len(texts) - max(told, 0))
        out = b""
        if told >= 0:
            if told or waiting:
                out = self._out(data[: found.end - kept], texts[:told])
            waiting = self.waiting = texts[told:]
            self._frames = []
            self.half_at = now
        else:
            waiting += texts
        self._frames += _cut(data[found.end - kept : found.end])
        self.said += texts
        self.times.append(now)
        self.life_at = now
        if out:
            self.mid_word = False
            self.spoke_at = now
        return out

    def anew(self) -> Flow:
        """Return one that goes on from here, and has taken nothing itself."""
        flow = Flow(
            self._template,
            self.index,
            self.held,
            self.rest,
            words=self._words,
            limit_bytes=self._limit_bytes,
            render=self._render,
        )
        flow.mid_word, flow.flushing = self.mid_word, self.flushing
        flow.number, flow.calm_s = self.number, self.calm_s
        flow.life_at, flow.half_at, flow.spoke_at = self.life_at, self.half_at, self.spoke_at
        flow.content_at = self.times[-1] if self.times else self.content_at
        return flow

    def _told(self, texts: list[str]) -> int:
        """Return how many of these pieces may go out, with what waits; -1: not even that."""
        told = len(texts)
        if self._words and joined(texts[-1][-1]):
            told -= 1
            while told and joined(texts[told - 1][-1]) and joined(texts[told][0]):
                told -= 1
            if not told and self.waiting and joined(texts[0][0]):
                return -1  # the word that waits goes on through all of them
        return told

    def _out(self, frames: bytes, texts: list[str]) -> bytes:
        """Return what waits and these, as the client hears it."""
        if self._render is not None:
            return self._render(self.index, [*self.waiting, *texts])
        return b"%b%b" % (b"".join(self._frames), frames)

    def flush(self, now: float) -> bytes:
        """Return half a word that has waited long enough; a younger one waits for its own time."""
        if not self.waiting or now < self.half_at + FLUSH_S - FLUSH_SLACK_S:
            return b""
        out = self._out(b"", [])
        self._frames, self.waiting = [], []
        self.mid_word = True
        self.spoke_at = now
        return out

    def become(self, other: Flow) -> None:
        """Go on from where another one has got to that began where this one does."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    @property
    def calm_until(self) -> float:
        """Before this time nobody needs to look at its silence."""
        return (self.times[-1] if self.times else self.content_at) + self.calm_s

    @property
    def held(self) -> list[tuple[bytes, str]]:
        """Frames of the word that waits, and their texts."""
        return list(zip(self._frames, self.waiting, strict=True))

    @property
    def told(self) -> list[str]:
        """The pieces that went out, those that had waited before included."""
        every = self.before + self.said
        return every[: len(every) - len(self.waiting)]


def _cut(frames: bytes) -> list[bytes]:
    """Return whole frames one by one."""
    return [frame + _END for frame in frames.split(_END)[:-1]]
