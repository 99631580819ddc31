"""What C says of bytes, beside what Python says of them. Raises AssertionError where they differ.

Each returns whether C was certain: where it is not, Python is asked, and nothing can differ.
"""

from __future__ import annotations

from typing import cast

from outlast.gateway import express
from outlast.gateway.carrying import Carrying
from outlast.gateway.relay import heads
from outlast.gateway.relay.call import Call, Origin, Pool
from outlast.gateway.relay.connection import Connection, passed_line
from outlast.native import compiled
from outlast.nouns import Format
from outlast.outcome import Fault
from outlast.wire.canon import BadRequest
from outlast.wire.splice import Head, read_head, splice
from tests.gateway.relay.wire import Socket
from tests.native.alone import python_alone
from tests.native.streams import chunked_alike, stream_alike, tap_alike

BEFORE = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: "
AFTER = b"\r\nx-api-key: s\r\n\r\n"
FORMS = (Format.OPENAI_CHAT, Format.ANTHROPIC)
_ORIGIN = Origin(("x", -80, "", True), "x", 80, tls=False, host_line="", credential={}, connect_s=1)


def body_alike(body: bytes) -> bool:
    """A request's body: `skim` and `ask` against read_head, passes and splice."""
    skim, ask = compiled("skim"), compiled("ask")
    assert skim is not None
    assert ask is not None
    certain = False
    for form in FORMS:
        anthropic = form is Format.ANTHROPIC
        seen = skim(body, anthropic)
        data = BEFORE + b"%d" % len(body) + AFTER + body
        asked = ask(data, BEFORE, AFTER, anthropic)
        assert asked == (None if seen is None or not body else (*seen, body))
        assert ask(data + b" ", BEFORE, AFTER, anthropic) is None
        assert ask(data[:-1], BEFORE, AFTER, anthropic) is None
        if seen is None:
            continue
        certain = True
        with python_alone():
            head, passes = read_head(body), express.passes(form, body)
            assert seen[:3] == (head.model, head.stream, not passes)
            expected = splice(body, head, "other/é")
        found = express.Seen._make((*seen, body))
        assert express.named(found, "other/é") == expected
        assert splice(body, Head(head.model, head.stream, ((seen[3], seen[4]),)), "other/é") == (
            expected
        )
    return certain


def refused(body: bytes) -> bool:
    """Whether Python refuses a body; then C must not be certain."""
    with python_alone():
        try:
            read_head(body)
        except BadRequest:
            return True
    return False


class _Pool:
    """A pool that keeps nothing."""

    class loop:  # noqa: N801 - stands for an event loop
        @staticmethod
        def time() -> float:
            return 0.0

    def dispatch(self, call: Call) -> None: ...
    def put_back(self, origin: Origin, connection: Connection) -> None: ...
    def forget(self, origin: Origin, connection: Connection) -> None: ...


class _Heard:
    """A listener that remembers an answer that was told at once."""

    def __init__(self) -> None:
        self.answer: tuple[int, heads.Pairs, bytes] | None = None

    def headed(self, status: int, headers: dict[str, str]) -> None: ...
    def received(self, data: bytes) -> None: ...
    def ended(self) -> None: ...
    def failed(self, fault: Fault) -> None: ...
    def answered(self, status: int, pairs: heads.Pairs, body: bytes) -> None:
        self.answer = (status, pairs, body)


def parsed(data: bytes) -> tuple[bytes, str, bytes, bool] | None:
    """What llhttp and Python make of an upstream's bytes: header lines for the client, the
    upstream's request id, the body, whether the connection stays; None: no whole answer of 200.
    """
    heard, socket = _Heard(), Socket()
    connection = Connection(cast("Pool", _Pool()), _ORIGIN)
    connection.connection_made(socket)
    connection.send(Call(cast("Pool", _Pool()), _ORIGIN, b"", b"", heard), 0.0, reused=False)
    connection.data_received(data)
    if heard.answer is None or heard.answer[0] != 200:
        return None
    _, pairs, body = heard.answer
    passed = {line: value for name, value in pairs if (line := passed_line(name))}
    theirs = passed.get(b"request-id: ") or passed.get(b"x-request-id: ", b"")
    lines = b"".join([b"%b%b\r\n" % pair for pair in passed.items()])
    return lines, theirs.decode("latin-1"), body, not socket.closing


def answer_alike(data: bytes) -> bool:
    """An upstream's answer: `answer` against llhttp and what lane.py does with the headers."""
    answer = compiled("answer")
    assert answer is not None
    found = answer(data, {}, passed_line)
    if found is not None:
        assert parsed(data) == (*found, True)
    return found is not None


def completion_alike(body: bytes) -> bool:
    """What an answer says: `completion` against express's reading of chat completions."""
    completion = compiled("completion")
    assert completion is not None
    found = completion(body)
    if found is not None:
        with python_alone():
            assert express.glance(Format.OPENAI_CHAT, body) == found
    return found is not None


def message_alike(body: bytes) -> bool:
    """A message: `message` and `carried` against express's and carrying's reading."""
    message, carried = compiled("message"), compiled("carried")
    assert message is not None
    assert carried is not None
    found, over = message(body), carried(body, 1_700_000_000)
    with python_alone():
        if found is not None:
            assert express.glance(Format.ANTHROPIC, body) == found
        if over is not None:
            assert Carrying("claude-opus-4-8").answer(body, 1_700_000_000) == over
    return over is not None


def question_alike(body: bytes) -> bool:
    """A chat request: `question` against carrying's."""
    question = compiled("question")
    assert question is not None
    certain = False
    for model in ("claude-opus-4-8", "claude-3-haiku-20240307", "bench/é"):
        carrying = Carrying(model)
        limits = (carrying._usual_tokens, carrying._most_tokens or 0)
        for stream in (False, True):
            made = question(body, carrying._said, *limits, stream)
            if made is not None:
                certain = True
                with python_alone():
                    assert carrying.question(body, stream=stream) == made
    return certain


ALIKE = {
    "body": body_alike,
    "answer": answer_alike,
    "completion": completion_alike,
    "message": message_alike,
    "question": question_alike,
    "stream": stream_alike,
    "chunked": chunked_alike,
    "reads": tap_alike,
}
