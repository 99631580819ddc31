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

from outlast.gateway.skimming import FRAME_LIMIT_BYTES, Run, Template, joined, texts_of
from outlast.native import compiled

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
_NOTHING: list[int] = []
_INSIDE = frozenset(char for char in map(chr, range(128)) if joined(char))
_tap = compiled("tap")


class Flow:
    """Owned by the exchange; `feed` and `flush` are its shell's to call. Times: monotonic seconds.

    While it lasts nobody else knows what it has taken: `said`, of which `held` is not out yet.
    """

    __slots__ = (
        "_after",
        "_before",
        "_end",
        "_lent",
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
        "runs",
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
        self._lent = [len(frame) for frame, _ in held]
        """How long the frames are that waited when it began, as long as they do."""
        self._words = words
        self._limit_bytes = limit_bytes
        self._render = render
        self.runs: list[bytes] = []
        """What came since it began, as it stands in the frames: it is read when somebody asks."""
        self.index = index
        self.rest = rest
        self.before = [text for _, text in held]
        """What waited when it began."""
        self.waiting = b"".join([frame for frame, _ in held])
        """Frames of the word that may go on."""
        self.times = array("d")
        """When pieces came since it began, once for each read."""
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
                if len(waiting) + len(data) > self._limit_bytes:
                    return None
                out = b""
                self.waiting += data
            else:
                out = self._out(b"", ()) if waiting else b""
                self._lent = _NOTHING
                self.waiting = data
                self.half_at = now
        elif waiting or self._render is not None:
            out = self._out(data, (text,))
            self._lent = _NOTHING
            self.waiting = b""
        else:
            out = data
        self.rest = b""
        self.runs.append(data[self._start + 1 : self._end - 1])
        self.times.append(now)
        self.life_at = now
        if out:
            self.mid_word = False
            self.spoke_at = now
        return out

    @property
    def passes_chunks(self) -> bool:
        """Whether frames reach the client as they are, and can be read where chunks are."""
        return _tap is not None and self._render is None

    def tap(
        self, write: Callable[[bytes], None], half: Callable[[], None], clock: Callable[[], float]
    ) -> Callable[[bytes], bool]:
        """Return what does as `feed`, where it `passes_chunks`, for whole chunks and a client who
        gets chunks too; it returns False where they bring anything else than whole frames of this
        text, or may. `half`: a word waits, and nobody will call `flush`.

        All of it in C: most reads of live streams pass it alone.
        """
        assert _tap is not None
        shape = self._before, self._after, self._words
        taking: Callable[[bytes], bool] = _tap(self, *shape, _NOTHING, write, half, clock)
        return taking

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
        found = self._template.run(data, waiting=bool(self.waiting), words=self._words)
        if found is None or found.end + len(self.waiting) > self._limit_bytes:
            return None
        return found

    def tell(self, data: bytes, found: Run, now: float) -> bytes:
        """Take the frames that `read` found there; return what goes out now."""
        said, end, told = found
        out = b""
        if told < 0:
            self.waiting += data[:end]
        else:
            if told or self.waiting:
                out = self._out(data[:told], self._texts(data, found))
            self._lent = _NOTHING
            self.waiting = data[told:end]
            self.half_at = now
        self.runs.append(said)
        self.times.append(now)
        self.life_at = now
        if out:
            self.mid_word = False
            self.spoke_at = now
        return out

    def end(self, found: Run | None, now: float) -> bytes:
        """The frames that `read` found are the last ones: return what waits before them."""
        if found is not None:
            self.runs.append(found.said)
            self.times.append(now)
        return self.waiting

    def last(self, found: Run | None, render: Render) -> bytes:
        """Return what waits and these last frames as somebody says them; nothing is taken."""
        texts = texts_of([found.said]) if found is not None else []
        return render(self.index, [*self._still(), *texts])

    def begin_anew(self) -> None:
        """Go on from here as one that has taken nothing itself."""
        if self.times:
            self.content_at = self.times[-1]
        held = self.held if self.waiting else []
        self._lent = [len(frame) for frame, _ in held]
        self.before = [text for _, text in held]
        self.runs = []
        self.times = array("d")

    def _texts(self, data: bytes, found: Run) -> Sequence[str]:
        """Return what those of these frames say that go out, where it is rendered anew."""
        if self._render is None:
            return ()
        return texts_of([found.said])[: data.count(_END, 0, found.told)]

    def _out(self, frames: bytes, texts: Sequence[str]) -> bytes:
        """Return what waits and these, as the client hears it."""
        if self._render is not None:
            return self._render(self.index, [*self._still(), *texts])
        return self.waiting + frames

    def flush(self, now: float) -> bytes:
        """Return half a word that has waited long enough; a younger one waits for its own time."""
        if not self.waiting or now < self.half_at + FLUSH_S - FLUSH_SLACK_S:
            return b""
        out = self._out(b"", ())
        self._lent = _NOTHING
        self.waiting = b""
        self.mid_word = True
        self.spoke_at = now
        return out

    def become(self, other: Flow) -> None:
        """Go on from where another one has got to that began where this one does."""
        render = self._render
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))
        if render is not None:  # who speaks from here on has said it too
            self._render = render
            render(self.index, self.told)

    @property
    def calm_until(self) -> float:
        """Before this time nobody needs to look at its silence."""
        return (self.times[-1] if self.times else self.content_at) + self.calm_s

    @property
    def said(self) -> list[str]:
        """Pieces that came since it began."""
        return texts_of(self.runs)

    @property
    def held(self) -> list[tuple[bytes, str]]:
        """Frames of the word that waits, and their texts."""
        return list(zip(self._frames(), self._still(), strict=True))

    @property
    def told(self) -> list[str]:
        """The pieces that went out, those that had waited before included."""
        every = self.before + self.said
        return every[: len(every) - len(self._frames())]

    def _frames(self) -> list[bytes]:
        """Return what waits, frame by frame."""
        frames, at = [], 0
        for size in self._lent:
            frames.append(self.waiting[at : at + size])
            at += size
        return frames + [frame + _END for frame in self.waiting[at:].split(_END)[:-1]]

    def _still(self) -> list[str]:
        """Return the pieces that wait: the last ones."""
        frames = self._frames()
        return (self.before + self.said)[-len(frames) :] if frames else []
