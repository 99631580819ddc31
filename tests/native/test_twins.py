"""What C says of bytes, Python says too."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.native import compiled, module
from tests.gateway.relay.test_lane import asks
from tests.gateway.test_express import bodies
from tests.native.seeds import JSON_EDGES, MAKERS, bent
from tests.native.twins import ALIKE, FORMS, answer_alike, body_alike, completion_alike, refused

pytestmark = pytest.mark.skipif(
    module() is None, reason="nothing is compiled here: `make native` needs a C compiler"
)


@pytest.mark.parametrize("name", ALIKE)
@settings(max_examples=1500, deadline=None)
@given(seed=st.integers(0, 1 << 48))
def test_both_say_the_same_of_good_and_bent_bytes(name: str, seed: int) -> None:
    rng = random.Random(seed)
    ALIKE[name](bent(rng, MAKERS[name](rng)))


@settings(max_examples=1500, deadline=None)
@given(data=st.data())
def test_both_say_the_same_of_odd_answers(data: st.DataObject) -> None:
    completion_alike(data.draw(bodies(data.draw(st.sampled_from(FORMS)))))


@pytest.mark.parametrize("body", JSON_EDGES)
def test_at_the_edges_of_json_c_takes_nothing_that_python_refuses(body: bytes) -> None:
    assert not (body_alike(body) and refused(body))


PLAIN = [
    b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}',
    b'{"model": "m", "stream": true, "temperature": 0.7, "max_tokens": 100}',
    '{"model":"m","messages":[{"content":"é 🦀 \\n \\u00e9 \\ud83e\\udd80"}]}'.encode(),
    b'{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{}}}]}',
]


@pytest.mark.parametrize("body", PLAIN)
def test_of_usual_bodies_c_is_certain(body: bytes) -> None:
    assert body_alike(body)


@pytest.mark.parametrize("mark", [b"[Outlast", b"[[Outlast: x", b".x[Outlast", b"[Outlas"])
@pytest.mark.parametrize("room", range(0, 40, 7))
def test_a_notice_is_seen_wherever_it_stands(mark: bytes, room: int) -> None:
    skim = compiled("skim")
    assert skim is not None
    body = b'{"a":"' + b"." * room + mark + b"." * (40 - room) + b'","model":"m"}'
    assert body_alike(body)
    assert skim(body, False)[2] is (b"[Outlast" in mark)


@pytest.mark.parametrize("cut", range(0, len(asks()), 7))
def test_a_body_that_is_cut_is_never_certain(cut: int) -> None:
    body = asks().partition(b"\r\n\r\n")[2]
    assert body_alike(body)
    if cut < len(body):
        assert not body_alike(body[:cut])


USUAL = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r\r\ncontent-length: 2"


@pytest.mark.parametrize(
    ("sentence", "data", "certain"),
    [
        ("an answer as most are", USUAL + b"\r\n\r\n{}", True),
        ("more than was told", USUAL + b"\r\n\r\n{}x", False),
        ("less than was told", USUAL + b"\r\n\r\n{", False),
        ("two lengths", USUAL + b"\r\ncontent-length: 2\r\n\r\n{}", False),
        ("a coding", USUAL + b"\r\ntransfer-encoding: chunked\r\n\r\n{}", False),
        ("the connection's end", USUAL + b"\r\nconnection: close\r\n\r\n{}", False),
        ("a bare line feed", USUAL + b"\n\r\n{}", False),
        ("a folded line", USUAL + b"\r\n x\r\n\r\n{}", False),
        ("twice the same name", USUAL + b"\r\nX-Request-ID: s\r\n\r\n{}", False),
        ("a head that is too long", USUAL + b"\r\nx: " + b"y" * 9000 + b"\r\n\r\n{}", False),
        ("no body", USUAL.replace(b"length: 2", b"length: 0") + b"\r\n\r\n", False),
        ("no length", b"HTTP/1.1 200 OK\r\n\r\n{}", False),
        ("another status", USUAL.replace(b"200", b"201") + b"\r\n\r\n{}", False),
    ],
)
def test_c_takes_answers_that_are_plain(sentence: str, data: bytes, certain: bool) -> None:
    assert answer_alike(data) is certain, sentence


def test_what_is_not_bytes_is_pythons() -> None:
    for name in ("skim", "completion", "answer", "ask"):
        function = compiled(name)
        assert function is not None
        assert function() is None
        assert function("text", None, None, None) is None
        assert function(bytearray(b"{}"), {}, None) is None


def test_what_the_caller_raises_comes_through() -> None:
    answer = compiled("answer")
    assert answer is not None

    def broken(_: bytes) -> bytes:
        raise LookupError("as it is")

    with pytest.raises(LookupError, match="as it is"):
        answer(USUAL + b"\r\n\r\n{}", {}, broken)
