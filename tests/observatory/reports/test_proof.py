"""The proof of work: what holds, what does not, and that it holds for one reporter only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.proof import (
    BITS,
    BITS_MAX,
    LIFE_S,
    BadProof,
    bits_for,
    challenge,
    solve,
    verify,
    zero_bits,
)

SECRET, OTHER, NOW = b"s" * 32, b"o" * 32, 1_800_000_000.0


def solved(bits: int = 4) -> str:
    return solve(challenge(SECRET, "who", "a1b2", NOW, bits))


def test_a_solution_holds_for_its_reporter_until_it_expires() -> None:
    proof = verify(solved(), [(SECRET, "who")], NOW + LIFE_S - 1)
    assert (proof.salt, proof.expires_at) == ("a1b2", NOW + LIFE_S)


def test_a_challenge_of_yesterday_holds_with_yesterdays_secret() -> None:
    assert verify(solved(), [(OTHER, "who-today"), (SECRET, "who")], NOW).salt == "a1b2"


@pytest.mark.parametrize(
    ("text", "keys", "at", "why"),
    [
        pytest.param("", [(SECRET, "who")], NOW, "shape", id="nothing"),
        pytest.param("1.2.3", [(SECRET, "who")], NOW, "shape", id="too few parts"),
        pytest.param("x" * 200, [(SECRET, "who")], NOW, "shape", id="too long"),
        pytest.param("1.4.9²9.a.b.1", [(SECRET, "who")], NOW, "shape", id="digits of other kinds"),
        pytest.param(solved(), [(SECRET, "else")], NOW, "signature", id="somebody else's"),
        pytest.param(solved(), [(OTHER, "who")], NOW, "signature", id="another secret's"),
        pytest.param(solved(), [(SECRET, "who")], NOW + 301, "expired", id="too late"),
        pytest.param(
            solved().replace("1.4.", "1.1.", 1),
            [(SECRET, "who")],
            NOW,
            "signature",
            id="made easier than it was given",
        ),
        pytest.param(
            challenge(SECRET, "who", "a1b2", NOW, 22) + ".1",
            [(SECRET, "who")],
            NOW,
            "work",
            id="not solved",
        ),
    ],
)
def test_what_does_not_hold_says_why(
    text: str, keys: list[tuple[bytes, str]], at: float, why: str
) -> None:
    with pytest.raises(BadProof, match=why):
        verify(text, keys, at)


@given(st.text(max_size=170))
def test_any_text_is_judged_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(BadProof):
        verify(text, [(SECRET, "who")], NOW)


def test_work_doubles_with_the_flood_up_to_a_limit() -> None:
    assert [bits_for(rate, 10) for rate in (5, 10, 19, 20, 40, 1e9)] == [
        BITS,
        BITS,
        BITS,
        BITS + 1,
        BITS + 2,
        BITS_MAX,
    ]


def test_zero_bits_are_counted_from_the_first() -> None:
    assert [zero_bits(digest) for digest in (b"\xff\xff", b"\x0f\xff", b"\x00\x01", b"\0\0")] == [
        0,
        4,
        15,
        16,
    ]
