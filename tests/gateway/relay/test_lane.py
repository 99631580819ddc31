"""The express lane says, does and writes down what the exchange would, whatever happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.accounts.keys import Key
from outlast.config import Settings
from outlast.gateway.relay.connection import Connection
from outlast.gateway.relay.lane import Plain
from outlast.nouns import Format
from tests.gateway.relay.twins import Side, settings_of
from tests.gateway.relay.wire import KEY
from tests.gateway.test_express import PLAIN, bodies

pytestmark = pytest.mark.asyncio

PATHS = {Format.OPENAI_CHAT: "/v1/chat/completions", Format.ANTHROPIC: "/v1/messages"}
MODELS = {Format.OPENAI_CHAT: "gpt-5", Format.ANTHROPIC: "claude-opus-4-8"}
OPENING = b'{"model": "%s", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]'
ENDINGS = [
    b"}",
    b', "stream": true}',
    b', "stream": "yes"}',
    b', "tools": [{"name": "rm"}]}',
    b', "model": "gpt-5"}',
    b', "n": "\\u006dodel"}',
    b', "system": "[Outlast: a cannot answer now; b answers instead.]"}',
    b', "thinking": {"type": "enabled", "budget_tokens": 2000}}',
    b', "x": [{"type": "thinking", "signature": ""}]}',
    b', "pad": "' + b"x" * 3000 + b'"}',
    b"",
]
HEADS = [
    b"",
    b"user-agent: t/1\r\naccept: application/json\r\n",
    b"outlast-notice: fr\r\n",
    b"outlast-allow: same-model\r\n",
    b"connection: x-a\r\nx-a: 1\r\n",
    b"anthropic-beta: a\r\nAnthropic-Beta: b\r\n",
    b"connection: close\r\n",
    b"expect: 100-continue\r\n",
    b"content-encoding: gzip\r\n",
    b"x-odd: \xe9\r\n",
    b"host: y\r\n",
]
ANSWER_HEADS = [
    b"content-type: application/json\r\nx-request-id: r1\r\n",
    b"Request-Id: r2\r\nX-RateLimit-Remaining: 7\r\nx-ratelimit-remaining: 8\r\nset-cookie: a\r\n",
    b"content-type: text/html\r\nretry-after: 3\r\n",
    b"connection: close\r\nopenai-version: \xe9\r\n",
]
LENGTH = [b"content-length: %d\r\n", b"Content-Length:   %d\r\n", b"content-length: 0%d\r\n"]


def request(form: Format, model: str, extra: bytes, length: bytes, ending: bytes) -> bytes:
    body = OPENING % model.encode() + ending
    head = f"POST {PATHS[form]} HTTP/1.1\r\nhost: x\r\nx-api-key: s\r\n".encode()
    return head + length % len(body) + extra + b"\r\n" + body


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(place, len(data)) for place in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@st.composite
def answers(draw: st.DrawFn, form: Format) -> tuple[list[bytes], bool]:
    """What an upstream sends, and whether it closes then."""
    status = draw(st.sampled_from([200] * 6 + [201, 204, 302, 400, 401, 429, 500, 529]))
    body = draw(st.one_of(st.just(msgspec.json.encode(PLAIN[form])), bodies(form)))
    lines = draw(st.sampled_from(ANSWER_HEADS)) + b"content-length: %d\r\n" % len(body)
    data = b"HTTP/1.1 %d X\r\n%b\r\n%b" % (status, lines, body)
    data = draw(st.sampled_from([b"", b"", b"", b"HTTP/1.1 103 Early\r\n\r\n"])) + data
    data = data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))]
    data += draw(st.sampled_from([b"", b"", b"", b"\r\n", b"x"]))
    return cut(data, draw(st.lists(st.integers(0, 600), max_size=2))), draw(st.booleans())


STEPS = ["leave", "wait", "interrupt", "stop", "clog", "unclog"]


class Both:
    """Two sides that are told the same and must say the same."""

    def __init__(self, chosen: Settings, key: Key = KEY, *, alone: bool = True) -> None:
        """`alone`: nothing else is under way, so that nothing waits for the end of a turn."""
        self.sides = [Side(chosen, key, express=express) for express in (True, False)]
        for side in self.sides:
            side.metrics.under_way = 0 if alone else 1

    def do(self, name: str, *arguments: Any, **more: Any) -> None:
        for side in self.sides:
            getattr(side, name)(*arguments, **more)
            side.turn()
        self.agree()

    def agree(self) -> None:
        short, long = (side.told() for side in self.sides)
        for what, said in long.items():
            assert short[what] == said, what

    def asked(self) -> list[str]:
        """The upstreams that have been asked more than they have answered."""
        side = self.sides[1]
        return [name for name, (up, _) in side.upstreams.items() if up._call is not None]


async def learnt(both: Both, form: Format, model: str, extra: bytes, length: bytes) -> None:
    """Two plain requests with this head, answered plainly."""
    for _ in range(2):
        both.do("connect")
        both.do("ask", request(form, model, extra, length, b"}"))
        for name in both.asked():
            body = msgspec.json.encode(PLAIN[form])
            head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
            both.do("answer", name, head + body)


@settings(max_examples=400, deadline=None)
@given(st.data())
async def test_both_say_do_and_write_down_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(list(PATHS)))
    model = data.draw(st.sampled_from([MODELS[form], MODELS[form], "named", "unknown"]))
    extra = data.draw(st.one_of(st.just(b""), st.sampled_from(HEADS)))
    length = data.draw(st.sampled_from(LENGTH))
    limit = data.draw(st.sampled_from([None, None, 1, 4]))
    key = msgspec.structs.replace(KEY, requests_per_minute=limit, concurrent=limit)
    both = Both(settings_of(tmp_path_factory.getbasetemp()), key, alone=data.draw(st.booleans()))
    await learnt(both, form, model, extra, length)
    for _ in range(data.draw(st.integers(1, 3))):
        both.do("connect")
        ending = data.draw(st.one_of(st.just(b"}"), st.sampled_from(ENDINGS)))
        asking = request(form, model, extra, length, ending)
        if data.draw(st.integers(0, 5)) == 5:
            asking += request(form, model, extra, length, b"}")
        both.do("ask", *cut(asking, data.draw(st.lists(st.integers(0, 500), max_size=2))))
        if data.draw(st.integers(0, 3)) == 3:
            both.do(data.draw(st.sampled_from(STEPS)))
        for _ in range(6):
            if not both.asked():
                break
            pieces, closes = data.draw(answers(form))
            both.do("answer", both.asked()[0], *pieces, closes=closes)
            if both.asked() and data.draw(st.integers(0, 5)) == 5:
                both.do(data.draw(st.sampled_from(STEPS)))
        if both.asked():
            both.do("wait", 1000.0)
    if not both.sides[0].socket.closing:
        both.do("leave")


# What takes it


async def plainly(
    folder: Path, form: Format = Format.OPENAI_CHAT, model: str = "", *, alone: bool = True
) -> Both:
    both = Both(settings_of(folder), alone=alone)
    await learnt(both, form, model or MODELS[form], b"", LENGTH[0])
    return both


def asks(form: Format = Format.OPENAI_CHAT, model: str = "", ending: bytes = b"}") -> bytes:
    return request(form, model or MODELS[form], b"", LENGTH[0], ending)


def took(both: Both) -> bool:
    """Whether the last question went the express way, and the other side's the long one."""
    short, long = both.sides
    assert not isinstance(long.running, Plain)
    return isinstance(short.running, Plain)


@pytest.mark.parametrize(
    ("form", "model"), [(f, MODELS[f]) for f in PATHS] + [(Format.OPENAI_CHAT, "named")]
)
@pytest.mark.parametrize("cuts", [[], [20], [len(asks()) - 1], [5, 400]])
async def test_a_head_that_is_known_takes_the_express_lane(
    tmp_path: Path, form: Format, model: str, cuts: list[int]
) -> None:
    both = await plainly(tmp_path, form, model)
    both.do("connect")
    both.do("ask", *cut(asks(form, model, b', "more": "' + b"y" * 200 + b'"}'), cuts))
    assert took(both) is (cuts not in ([20], [5, 400]))
    both.do("answer", both.asked()[0], whole(form))
    assert both.sides[0].settled[-1].outcome == "ok"


def whole(form: Format) -> bytes:
    body = msgspec.json.encode(PLAIN[form])
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def test_what_is_known_ends_with_the_key_and_with_the_settings(tmp_path: Path) -> None:
    both = await plainly(tmp_path)
    other = msgspec.structs.replace(KEY, models=("none",))
    for change, value in (
        ("exchange_key", other),
        ("exchange_key", None),
        ("exchange_key", KEY),
        ("reconfigure", settings_of(tmp_path, max_concurrency=1)),
    ):
        both.do(change, value)
        both.do("connect")
        both.do("ask", asks())
        assert not took(both)
        for name in both.asked():
            both.do("answer", name, whole(Format.OPENAI_CHAT))


async def test_while_anything_speaks_against_anybody_nothing_is_plain(tmp_path: Path) -> None:
    both = await plainly(tmp_path)
    for _ in range(8):
        both.do("connect")
        both.do("ask", asks())
        both.do("answer", both.asked()[0], b"HTTP/1.1 529 X\r\ncontent-length: 0\r\n\r\n")
        while both.asked():
            both.do("answer", both.asked()[0], whole(Format.OPENAI_CHAT))
    both.do("connect")
    both.do("ask", asks())
    assert not took(both)


async def test_a_plain_request_that_waits_long_has_its_timers_in_time(tmp_path: Path) -> None:
    both = await plainly(tmp_path)
    both.do("connect")
    both.do("ask", asks())
    both.do("wait", 10.0)
    assert took(both)
    both.do("wait", 588.0)
    assert not took(both)
    both.do("wait", 100.0)
    assert not both.asked()


def asked_of(side: Side) -> int:
    """How many bytes upstreams have been sent."""
    return sum(len(socket.sent) for _, socket in side.upstreams.values())


def carrier(side: Side) -> Connection:
    return next(one for one, _ in side.upstreams.values() if one._call is not None)


@pytest.mark.parametrize("alone", [True, False])
async def test_who_is_alone_waits_for_nothing(tmp_path: Path, *, alone: bool) -> None:
    both = await plainly(tmp_path, alone=alone)
    side = both.sides[0]
    side.connect()
    asked, settled, sent = asked_of(side), len(side.settled), len(side.socket.sent)
    side.ask(asks())
    assert (asked_of(side) > asked) is alone
    side.turn()
    assert asked_of(side) > asked
    carrier(side).data_received(whole(Format.OPENAI_CHAT))
    assert (len(side.settled) > settled, len(side.socket.sent) > sent) == (alone, alone)
    side.turn()
    assert (len(side.settled) > settled, len(side.socket.sent) > sent) == (True, True)


ENDINGS_OF = {"interrupt": "interrupted", "clog": "ok", "leave": "client_gone", "stop": "ok"}


@pytest.mark.parametrize("step", ENDINGS_OF)
async def test_a_call_that_waits_for_the_turns_end_leaves_if_somebody_wants_it(
    tmp_path: Path, step: str
) -> None:
    both = await plainly(tmp_path, alone=False)
    side = both.sides[0]
    side.connect()
    asked = asked_of(side)
    side.ask(asks())
    assert side.took_express
    getattr(side, step)()
    side.turn()
    wanted = ENDINGS_OF[step] == "ok"
    assert (asked_of(side) > asked) is wanted
    if wanted:
        carrier(side).data_received(whole(Format.OPENAI_CHAT))
        side.turn()
    assert side.settled[-1].outcome == ENDINGS_OF[step]
    assert side.metrics.under_way == 1


async def test_a_call_that_cannot_be_sent_costs_no_other_one_of_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await plainly(tmp_path, alone=False)
    side = both.sides[0]
    side.connect()
    sent, failed = list[Any](), list[Any]()

    class Broken:
        listener = object()

        class pool:  # noqa: N801 - in the place of an attribute
            @staticmethod
            def dispatch(call: Any) -> None:
                raise RuntimeError("ours")

        def fail(self, fault: Any) -> None:
            failed.append(fault)

    lane = side.entrance._lane
    assert lane is not None
    side.metrics.under_way = 2
    lane.settling.ask(Broken())  # type: ignore[arg-type]
    side.ask(asks())
    monkeypatch.setattr(side.relay, "dispatch", sent.append)
    side.turn()
    assert [fault.kind for fault in failed] == ["internal"]
    assert len(sent) == 1


@pytest.mark.parametrize("step", ["interrupt", "clog", "leave", "stop"])
async def test_an_answer_that_waits_for_the_turns_end_leaves_whatever_happens(
    tmp_path: Path, step: str
) -> None:
    both = await plainly(tmp_path, alone=False)
    both.do("connect")
    both.do("ask", asks())
    side = both.sides[0]
    settled, sent = len(side.settled), len(side.socket.sent)
    connection, _ = side.upstreams[both.asked()[0]]
    connection.data_received(whole(Format.OPENAI_CHAT))
    assert len(side.settled) == settled, "it waits for the others of its turn"
    getattr(side, step)()
    side.turn()
    assert side.settled[settled].outcome == "ok"
    assert side.metrics.under_way == 1
    assert (b"chat.completion" in bytes(side.socket.sent[sent:])) is (step != "leave")


async def test_an_answer_leaves_although_nobody_can_be_told_how_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await plainly(tmp_path)
    both.do("connect")
    both.do("ask", asks())
    side = both.sides[0]
    connection, sent = carrier(side), len(side.socket.sent)
    monkeypatch.setattr(side.gateway, "on_well", None)
    connection.data_received(whole(Format.OPENAI_CHAT))
    side.turn()
    assert b"chat.completion" in bytes(side.socket.sent[sent:])
    assert side.settled[-1].outcome == "ok"
    assert connection.usable


async def test_what_is_wrong_with_one_answer_costs_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await plainly(tmp_path, alone=False)
    both.do("connect")
    both.do("ask", asks())
    side = both.sides[0]
    settling = side.entrance._lane.settling if side.entrance._lane is not None else None
    assert settling is not None
    connection, _ = side.upstreams[both.asked()[0]]
    connection.data_received(whole(Format.OPENAI_CHAT))
    first = settling._answers[0]

    class Broken:
        request = type("Request", (), {"crash": lambda _: None})()

        def __getattr__(self, name: str) -> Any:
            return getattr(first[0], name)

    settling._answers.insert(0, (Broken(), *first[1:]))  # type: ignore[arg-type]
    side.turn()
    assert bytes(side.socket.sent).count(b"chat.completion") == 3
