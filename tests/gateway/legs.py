"""One attempt fed by hand: what the tests of the leg share."""

from __future__ import annotations

import pytest

from outlast.gateway.asked import Prepared
from outlast.gateway.holding import HoldPolicy, Unit
from outlast.gateway.leg import Broken, Leg
from outlast.nouns import Candidate, Format, Kind
from outlast.wire import CODECS
from outlast.wire.codec import Codec
from outlast.wire.stream import (
    AnswerEvent,
)
from tests.gateway.answers import (
    OPEN,
    call,
    closed,
    text,
    thinking,
)

SSE = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_up"}
JSON_TYPE = {"content-type": "application/json", "x-request-id": "req_up"}
MIXED = [
    *OPEN,
    *thinking("let me ", "see"),
    *text("Hello ", "wörld", index=1),
    *call('{"path":', '"/tmp"}', index=2),
    *closed("tool_use"),
]


def leg(
    form: Format,
    *,
    streamed: bool = True,
    same_format: bool = True,
    stops: tuple[str, ...] = (),
    policy: HoldPolicy | None = None,
    limit_bytes: int = 1 << 20,
    codec: Codec | None = None,
) -> Leg:
    codec = codec or CODECS[form]
    prepared = Prepared(
        candidate=Candidate("up", "the-model", Kind(form.value)),
        path=codec.path,
        headers={},
        body=b"{}",
        reader=codec.reader(),
        streamed=streamed,
        same_format=same_format,
        stops=stops,
    )
    return Leg(prepared, codec, policy or HoldPolicy(), limit_bytes)


def bytes_of(units: list[Unit]) -> bytes:
    return b"".join(unit.raw for unit in units)


def events_of(units: list[Unit]) -> list[AnswerEvent]:
    return [event for unit in units for event in unit.events]


def run(one: Leg, data: bytes, size: int | None = None) -> list[Unit]:
    """Feed a stream in pieces of `size`, and end it."""
    one.head(200, SSE)
    size = size or len(data) or 1
    shown: list[Unit] = []
    for at in range(0, len(data), size):
        shown += one.feed(data[at : at + size])
    return shown + one.end(0)


def answer(one: Leg, body: bytes, status: int = 200) -> list[Unit]:
    """Feed a whole body, and end it."""
    one.head(status, JSON_TYPE)
    one.feed(body)
    return one.end(0)


def broken(one: Leg, data: bytes) -> Broken:
    with pytest.raises(Broken) as caught:
        run(one, data)
    return caught.value
