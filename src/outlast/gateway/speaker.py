"""What the client hears, in its own dialect. Pure.

Same format on both sides: the upstream's frames go through as they are. Otherwise the client's
writer renders what they mean. Either way a transcript of what was said is kept, so that an error
or a missing end can be written in the voice the client has been hearing.
"""

from __future__ import annotations

from collections.abc import Callable

from outlast.gateway.holding import Unit
from outlast.gateway.transcript import Transcript
from outlast.wire.canon import Request
from outlast.wire.codec import Codec
from outlast.wire.stream import Writer


class Speaker:
    def __init__(self, codec: Codec, request: Callable[[], Request]) -> None:
        self._codec = codec
        self._request = request
        self._writer: Writer = codec.writer(request())
        self._through = False
        self.transcript = Transcript()

    def begin(self, *, same_format: bool) -> None:
        """An attempt is about to be heard for the first time."""
        self._through = same_format
        self._writer = self._codec.writer(self._request())

    def say(self, units: list[Unit]) -> bytes:
        """Return the bytes of these units for the client."""
        out: list[bytes] = []
        for unit in units:
            if self._through and unit.raw:
                out.append(unit.raw)
                self.transcript.note(unit.events, unit.raw)
            elif self._through:
                # Nothing of the upstream's: the format's last word, which it did not say.
                out.append(self._codec.last_word)
            else:
                out += [self._writer.write(event) for event in unit.events]
                self.transcript.note(unit.events, b"")
        return b"".join(out)

    def keepalive(self) -> bytes:
        return self._writer.keepalive()

    def failure(self, status: int, message: str, request_id: str) -> bytes:
        """Return the in-band error that ends what was said so far."""
        writer = self._caught_up() if self._through else self._writer
        return writer.failure(status, message, request_id)

    def _caught_up(self) -> Writer:
        """A writer that stands where the bytes passed through have got to."""
        writer = self._codec.writer(self._request())
        for event in self.transcript.events():
            writer.write(event)
        resume = getattr(writer, "resume_at", None)
        if resume is not None and self.transcript.sequence is not None:
            resume(self.transcript.sequence + 1)
        return writer
