"""A million hostile connections from both sides: `python -m tests.gateway.relay.fuzz_relay N`.

Judged against h11: nothing is taken that it refuses or reads in another way, what is well-formed is
taken whole, and nothing crashes or hangs. Called by `make fuzz`.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
import time

import msgspec

from outlast.gateway.relay.request import Request
from tests.gateway.relay.answers import check_answer, hostile_answer, valid_answer
from tests.gateway.relay.requests import cut, damaged, hostile, repeated, valid
from tests.gateway.relay.wire import PATH, Taken, Wire, oracle

SEED = 20_261_125
MEMORY_KIB = 64 << 10
LENGTH = "content-length"


def inference(taken: list[Taken]) -> list[Taken]:
    """Those that the relay serves itself."""
    return [one for one in taken if one.method == "POST" and one.target.partition("?")[0] == PATH]


def without_length(taken: list[Taken]) -> list[Taken]:
    """The body says how long it was; the headers of a known head are those of its first time."""
    return [
        msgspec.structs.replace(
            one, headers={name: text for name, text in one.headers.items() if name != LENGTH}
        )
        for one in taken
    ]


async def check_request(data: bytes, pieces: list[bytes], *, well_formed: bool) -> None:
    """Raises AssertionError where the relay and h11 do not agree."""
    wire = Wire()
    wire.feed(*pieces)
    await asyncio.sleep(0)
    expected, _ = oracle(data)
    expected, taken = without_length(expected), without_length(wire.door.taken)
    assert taken == inference(expected)[: len(taken)], "taken in another way than h11 does"
    if well_formed:
        assert taken == expected, "a well-formed request was not taken"
        assert wire.statuses == [200] * len(taken)
    assert len(wire.statuses) >= len(taken), "an answer that is none"
    wire.lost()
    tasks: set[object] = {*wire.connection.tasks}
    left = [one for one in tasks if isinstance(one, Request)]
    assert not left, "something goes on after the connection's end"


async def one(rng: random.Random, number: int) -> None:
    """Try one case, of a client or of an upstream. Raises AssertionError."""
    well_formed = rng.random() < 0.25
    if number % 2:
        make = valid_answer if well_formed else hostile_answer
        answer = make(rng)
        check_answer(answer, cut(rng, answer.data), well_formed=well_formed)
    elif rng.random() < 0.3:
        await again(rng, well_formed=well_formed)
    else:
        count = rng.randrange(1, 4) if well_formed else 0
        data = b"".join(valid(rng) for _ in range(count)) if count else hostile(rng)
        await check_request(data, cut(rng, data), well_formed=well_formed)


async def again(rng: random.Random, *, well_formed: bool) -> None:
    """A head that comes again is known, and its request does not pass the parser: each begins with
    a read of its own here, in one piece or several. Raises AssertionError.
    """
    requests = repeated(rng)
    if not well_formed:
        place = rng.randrange(len(requests))
        requests[place] = damaged(rng, requests[place])
    pieces = [
        piece for one in requests for piece in ([one] if rng.random() < 0.5 else cut(rng, one))
    ]
    await check_request(b"".join(requests), pieces, well_formed=well_formed)


async def fuzz(cases: int) -> None:
    rng = random.Random(SEED)
    began, memory = time.monotonic(), 0
    for number in range(cases):
        try:
            await one(rng, number)
        except BaseException:
            print(f"case {number} of seed {SEED}", file=sys.stderr)
            raise
        if number == cases // 10:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < MEMORY_KIB, f"{grown} KiB more memory at the end"
    print(f"relay: {cases} cases in {time.monotonic() - began:.0f} s, {grown} KiB more memory")


if __name__ == "__main__":
    asyncio.run(fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
