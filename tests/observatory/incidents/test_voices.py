"""What people say: one voice each, taken back by themselves, forgotten, and never a crowd alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Observation, Outcome
from outlast.observatory import voices as voices_module
from outlast.observatory.voices import REGION_MIN, WINDOW_S, Voices

T0 = 1_772_451_000.0


def report(
    reporter: str = "", *, works: bool = False, network: str = ".as1.n1", region: str = ""
) -> Observation:
    outcome = Outcome.OK if works else Outcome.SERVER_ERROR
    return Observation(
        T0,
        "report",
        "anthropic/web",
        outcome,
        reporter=reporter,
        network=network,
        region=region,
    )


def test_who_speaks_twice_has_one_voice() -> None:
    voices = Voices()
    for second in range(5):
        voices.add(report("ann"), T0 + second)
    assert voices.people() == (1, 0)
    assert voices.weight() == 1
    assert voices.new_in(int(T0 // 60)) == 1


def test_works_for_me_takes_back_what_was_said_before() -> None:
    voices = Voices()
    voices.add(report("ann"), T0)
    voices.add(report("ann", works=True), T0 + 5)
    assert voices.people() == (0, 1)
    assert voices.weight() == 0
    assert voices.first_at() == 0


def test_those_for_whom_it_works_weigh_against_the_others_and_never_below_nothing() -> None:
    voices = Voices()
    for number in range(3):
        voices.add(report(f"no{number}", network=f".as{number}.n"), T0)
    voices.add(report("yes", works=True, network=".as9.n"), T0)
    assert voices.weight() == 2
    for number in range(9):
        voices.add(report(f"yes{number}", works=True, network=f".as9{number}.n"), T0)
    assert voices.weight() == 0


def test_a_voice_is_over_after_a_quarter_of_an_hour() -> None:
    voices = Voices()
    voices.add(report("ann"), T0)
    voices.expire(T0 + WINDOW_S)
    assert len(voices) == 1
    voices.expire(T0 + WINDOW_S + 1)
    assert (len(voices), voices.weight(), voices.people()) == (0, 0, (0, 0))


def test_who_does_not_say_who_it_is_shares_the_voice_of_a_network() -> None:
    voices = Voices()
    for second in range(50):
        voices.add(report(network=".as1.n7"), T0 + second)
    assert voices.people() == (1, 0)


def test_a_thousand_of_one_network_are_no_crowd() -> None:
    voices = Voices()
    for number in range(1000):
        voices.add(report(f"bot{number}", network=f".as1.n{number % 3}"), T0)
    assert voices.weight() < 10
    assert voices.new_in(int(T0 // 60)) < 10
    assert voices.top_share() == 1
    for number in range(20):
        voices.add(report(f"ann{number}", network=f".as{number + 2}.n"), T0)
    assert voices.weight() > 20


@pytest.mark.parametrize(
    ("count", "shown"),
    [(REGION_MIN - 1, {}), (REGION_MIN, {"FR": REGION_MIN})],
    ids=["too few to hide each of them", "enough"],
)
def test_a_region_is_named_when_enough_speak_from_it(count: int, shown: dict[str, int]) -> None:
    voices = Voices()
    for number in range(count):
        voices.add(report(f"r{number}", region="FR"), T0)
    voices.add(report("works", region="FR", works=True), T0)
    assert voices.regions() == shown


def test_there_is_room_for_so_many_and_who_has_none_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(voices_module, "VOICES_MAX", 10)
    voices = Voices()
    for number in range(25):
        voices.add(report(f"r{number}", network=f".as{number}.n"), T0 + number)
    assert (len(voices), voices.forgotten) == (10, 15)
    assert voices.first_at() == T0 + 15


speech = st.lists(
    st.tuples(st.integers(0, 8), st.booleans(), st.integers(0, 5), st.floats(0, 400)), max_size=60
)


@given(speech)
def test_whatever_is_said_nothing_is_left_of_it_in_the_end(
    said: list[tuple[int, bool, int, float]],
) -> None:
    voices, now = Voices(), T0
    for who, works, network, later in said:
        now += later
        voices.add(report(f"r{who}", works=works, network=f".as{network}.n"), now)
        against, well = voices.people()
        assert against + well == len(voices) <= 9
        assert 0 <= voices.weight() <= against
        assert 0 <= voices.top_share() <= 1
    voices.expire(now + WINDOW_S + 1)
    assert (len(voices), voices.weight(), voices.top_share()) == (0, 0, 0)
