"""After the first visible content: an error in the stream and an unclean end, never a clean one.

These tests are about answers that cannot be finished. What is done to finish one is tested where
that is decided (continuity).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from itertools import product
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from outlast.simulator import Fault, FaultKind, Script, ToolPart, text
from tests.sdks.asking import AnswerFailed, hear, question
from tests.sdks.house import FORMATS, PATHS, House
from tests.sdks.test_tools import tools_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

K = FaultKind
surfaces = pytest.mark.parametrize("surface", FORMATS)

IN_TEXT = {
    "cut": Fault(K.CUT, where="text"),
    "clean end": Fault(K.EOF, where="text"),
    "error": Fault(K.STREAM_ERROR, status=529, where="text"),
    "stall": Fault(K.STALL, where="text"),
    "malformed": Fault(K.MALFORMED, where="text"),
}
RAISED = (anthropic.APIError, openai.APIError, httpx2.RemoteProtocolError, AnswerFailed)


@contextlib.contextmanager
def giving_up() -> Iterator[None]:
    """The SDK raises. What it leaves half read is collected here, by the loop's own thread.

    Its nested generators stay in a cycle with the error. A collection in another thread can meet
    one of them that the loop is closing at that moment, and Python says so as an error that
    nobody raised ("async generator already executing").
    """
    with pytest.raises(RAISED):
        yield
    gc.collect()


@pytest.mark.parametrize(
    ("fault", "surface", "target"),
    [
        *product(("cut", "clean end", "error", "malformed"), FORMATS, FORMATS),
        ("stall", "chat", "chat"),
        ("stall", "anthropic", "responses"),
    ],
)
async def test_a_torn_text_that_nobody_can_finish_is_never_a_clean_answer(
    house: House, fault: str, surface: str, target: str
) -> None:
    house.play(Script(seed=1, faults=(IN_TEXT[fault],)))
    body = question(surface, f"to-{target}", "Hello [[chars=200]]")
    with giving_up():
        await hear(house, surface, body, stream=True)
    reply = await house.post(PATHS[surface], {**body, "stream": True})
    assert (reply.status, reply.whole, reply.closed) == (200, False, True)
    ends = {"anthropic": b"message_stop", "chat": b"[DONE]", "responses": b"response.completed"}
    errors = {"anthropic": b"event: error", "chat": b'"error":', "responses": b"response.failed"}
    assert ends[surface] not in reply.body
    assert errors[surface] in reply.body
    assert b"incomplete" in reply.body
    assert house.truth(surface, body).text[:20] not in reply.body.decode()  # it came in pieces
    house.heads.append(reply.headers)
    receipt = await house.receipt()
    assert (receipt.outcome, receipt.status) == ("broken_after_commit", 200)
    assert receipt.attempts[-1].outcome != "ok"
    assert receipt.attempts[-1].tokens.estimated
    assert receipt.attempts[-1].tokens.output > 0


@surfaces
@pytest.mark.parametrize("target", ["anthropic", "responses"])
async def test_a_whole_call_before_a_torn_one_is_a_valid_turn_of_its_own(
    house: House, surface: str, target: str
) -> None:
    """Continuity 1.3: the client may act on the call that it has; the torn one is never seen."""
    calls: Any = tuple(ToolPart(name="write", arguments={"path": p, "x": "y" * 60}) for p in "ab")
    torn = Fault(K.CUT, where="tool", after_share=0.8)
    house.play(Script(seed=1, answers=((text("I will."), *calls),), faults=(torn,)))
    tools = tools_of(surface, write={"type": "object"})
    body = question(surface, f"to-{target}", "Go.", tools=tools)
    reply = await house.post(PATHS[surface], {**body, "stream": True})
    assert b'path\\":\\"b' not in reply.body
    if reply.whole:
        heard = await hear(house, surface, body, stream=True)
        assert [call.arguments["path"] for call in heard.calls] == ["a"]
    else:
        with giving_up():
            await hear(house, surface, body, stream=True)
