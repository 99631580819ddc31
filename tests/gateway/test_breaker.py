"""The breaker's life as playbooks, and the two promises: it always comes back, it stays small."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.config import BreakerSettings
from outlast.gateway.breaker import CREDENTIAL_EJECTION_S, Breaker, State
from outlast.nouns import Outcome, Scope
from tests.playbook import Playbook

SETTINGS = BreakerSettings()
NOTHING = [
    Outcome.CALLER_ERROR,
    Outcome.CLIENT_GONE,
    Outcome.OURS,
    Outcome.LEFT,
    Outcome.MISFIT,
]
OK, OVERLOADED, ERROR, TIMEOUT = (
    Outcome.OK,
    Outcome.OVERLOADED,
    Outcome.SERVER_ERROR,
    Outcome.TIMEOUT,
)


class Ends(msgspec.Struct, frozen=True):
    """An attempt ended, at a time."""

    outcome: Outcome
    at: float
    retry_after_s: float | None = None


class Sent(msgspec.Struct, frozen=True):
    """A request was sent there."""

    at: float


class Looks(msgspec.Struct, frozen=True):
    """Nothing happened but time."""

    at: float


class Forgive(msgspec.Struct, frozen=True):
    at: float


Happening = Ends | Sent | Looks | Forgive


def play(settings: BreakerSettings = SETTINGS) -> Playbook[Happening, str]:
    """After each happening: the state, and `admits` where a request may go there now."""
    breaker = Breaker(settings)

    def handle(event: Happening) -> list[str]:
        match event:
            case Ends(outcome=outcome, at=at, retry_after_s=retry_after_s):
                breaker.observe(outcome, Scope.PROVIDER, at, retry_after_s)
            case Sent(at=at):
                breaker.take(at)
            case Looks(at=at):
                pass
            case Forgive(at=at):
                breaker.forgive()
        return [f"{breaker.state(at)} {'admits' if breaker.admits(at, 0.05) else 'refuses'}"]

    return Playbook([], handle, str)


def opened(settings: BreakerSettings = SETTINGS, at: float = 0.0) -> Playbook[Happening, str]:
    """A playbook in which five overloads in a row have just opened the breaker."""
    book = play(settings)
    for _ in range(4):
        book = book >> Ends(OVERLOADED, at) << "closed admits"
    return book >> Ends(OVERLOADED, at) << "open refuses"


def test_five_failures_in_a_row_open_it_and_one_probe_closes_it() -> None:
    assert (
        opened()
        >> Looks(9.9)
        << "open refuses"
        >> Looks(10)
        << "half-open admits"
        >> Sent(10)
        << "half-open refuses"  # one probe at a time
        >> Ends(OK, 11)
        << "closed admits"
    )


def test_a_success_in_between_begins_the_count_anew() -> None:
    settings = BreakerSettings(min_requests=1000)
    book = play(settings)
    for _ in range(3):
        for _ in range(4):
            book = book >> Ends(ERROR, 1) << "closed admits"
        book = book >> Ends(OK, 1) << "closed admits"
    assert book


@pytest.mark.parametrize("slow", [Outcome.TIMEOUT, Outcome.STALLED])
def test_a_time_out_counts_double(slow: Outcome) -> None:
    """Three of them are six: the person behind has waited minutes by then."""
    assert (
        play()
        >> Ends(slow, 1)
        << "closed admits"
        >> Ends(slow, 2)
        << "closed admits"
        >> Ends(slow, 3)
        << "open refuses"
    )


def test_half_of_the_window_failing_opens_it_without_any_row_of_failures() -> None:
    book = play()
    for outcome in (OK, ERROR, OK, ERROR, OK):
        book = book >> Ends(outcome, 1) << "closed admits"
    assert book >> Ends(ERROR, 1) << "open refuses"


def test_the_share_needs_enough_requests_and_only_young_ones() -> None:
    assert (
        play()
        >> Ends(ERROR, 0)
        << "closed admits"
        >> Ends(OK, 0)
        << "closed admits"
        >> Ends(ERROR, 0)
        << "closed admits"
        >> Ends(OK, 40)
        << "closed admits"
        >> Ends(ERROR, 40)
        << "closed admits"  # those of second 0 are too old to count
    )


def test_the_ejection_doubles_with_each_lost_probe_and_is_capped() -> None:
    book = opened(BreakerSettings(ejection_max_s=60))
    at = 0.0
    for wait_s in (10, 20, 40, 60, 60):
        book = book >> Looks(at + wait_s - 0.1) << "open refuses"
        at += wait_s
        book = book >> Sent(at) << "half-open refuses" >> Ends(ERROR, at) << "open refuses"
    assert book


def test_a_probe_that_never_reports_back_is_given_up() -> None:
    assert (
        opened()
        >> Sent(10)
        << "half-open refuses"
        >> Looks(310)
        << "half-open refuses"
        >> Looks(310.1)
        << "half-open admits"
    )


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_probe_that_says_nothing_makes_room_for_another(nothing: Outcome) -> None:
    assert (
        opened()
        >> Sent(10)
        << "half-open refuses"
        >> Ends(nothing, 11)
        << "half-open admits"
        >> Ends(OK, 12)
        << "closed admits"
    )


@pytest.mark.parametrize("nothing", NOTHING)
def test_what_is_not_the_upstreams_fault_never_opens_it(nothing: Outcome) -> None:
    book = play()
    for at in range(50):
        book = book >> Ends(nothing, at) << "closed admits"
    assert book


def test_a_late_success_during_the_ejection_proves_nothing() -> None:
    """It was sent before the trouble began."""
    assert (
        opened()
        >> Ends(OK, 5)
        << "open refuses"
        >> Looks(9.9)
        << "open refuses"
        >> Looks(10)
        << "half-open admits"
    )


def test_late_failures_during_the_ejection_do_not_prolong_it() -> None:
    assert (
        opened()
        >> Ends(OVERLOADED, 9)
        << "open refuses"
        >> Looks(10)
        << "half-open admits"
    )  # fmt: skip


def test_traffic_comes_back_in_a_ramp() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(5):
        breaker.observe(OVERLOADED, Scope.PROVIDER, 0)
    breaker.take(10)
    breaker.observe(OK, Scope.NONE, 10)
    shares = [round(breaker.share(10 + s), 2) for s in (0, 2, 15, 29.9, 30, 100)]
    assert shares == [0.1, 0.1, 0.5, 1.0, 1.0, 1.0]
    assert [breaker.admits(25, roll) for roll in (0.49, 0.51)] == [True, False]


def test_without_a_ramp_traffic_comes_back_at_once() -> None:
    breaker = Breaker(BreakerSettings(ramp_s=0))
    for _ in range(5):
        breaker.observe(OVERLOADED, Scope.PROVIDER, 0)
    breaker.observe(OK, Scope.NONE, 10)
    assert breaker.admits(10, 0.999)


def test_a_recovery_that_lasts_makes_the_next_ejection_short_again() -> None:
    book = opened() >> Ends(ERROR, 10) << "open refuses"  # now 20 s
    book = book >> Ends(OK, 30) << "closed admits" >> Ends(OK, 61) << "closed admits"
    for _ in range(4):
        book = book >> Ends(OVERLOADED, 100) << "closed admits"
    assert book >> Ends(OVERLOADED, 100) << "open refuses" >> Looks(110) << "half-open admits"


def test_a_recovery_that_does_not_last_makes_the_next_ejection_longer() -> None:
    book = opened() >> Ends(OK, 10) << "closed admits"
    for _ in range(3):
        book = book >> Ends(OVERLOADED, 11) << "closed admits"
    # With the probe's success these are four of five.
    assert book >> Ends(OVERLOADED, 11) << "open refuses" >> Looks(30.9) << "open refuses"


def test_a_rate_limit_rests_as_long_as_it_asks() -> None:
    assert (
        play()
        >> Ends(Outcome.RATE_LIMITED, 0, 42)
        << "open refuses"
        >> Looks(41.9)
        << "open refuses"
        >> Looks(42)
        << "half-open admits"
        >> Ends(OK, 42)
        << "closed admits"
    )


@pytest.mark.parametrize(
    ("retry_after_s", "rests_s"),
    [(None, 10), (0, 0), (86_400, 300)],
    ids=["nothing said", "at once", "a day, capped"],
)
def test_a_rate_limit_rests_within_bounds(retry_after_s: float | None, rests_s: float) -> None:
    breaker = Breaker(SETTINGS)
    breaker.observe(Outcome.RATE_LIMITED, Scope.ACCOUNT, 1000, retry_after_s)
    assert breaker.state(1000 + rests_s - 0.1) is State.OPEN
    assert breaker.state(1000 + rests_s) is State.HALF_OPEN


def test_an_overload_that_names_a_time_rests_at_least_so_long() -> None:
    book = play()
    for _ in range(4):
        book = book >> Ends(OVERLOADED, 0, 25) << "closed admits"
    assert (
        book
        >> Ends(OVERLOADED, 0, 25)
        << "open refuses"
        >> Looks(24.9)
        << "open refuses"
        >> Looks(25)
        << "half-open admits"
    )


def test_a_refused_credential_rests_a_minute_at_once() -> None:
    assert (
        play()
        >> Ends(Outcome.AUTH, 0)
        << "open refuses"
        >> Looks(CREDENTIAL_EJECTION_S)
        << "half-open admits"
        >> Ends(Outcome.AUTH, CREDENTIAL_EJECTION_S)
        << "open refuses"
    )


def test_our_own_networks_silence_is_forgiven_completely() -> None:
    book = play()
    for _ in range(4):
        book = book >> Ends(Outcome.CONNECT_FAILED, 0) << "closed admits"
    book = book >> Ends(Outcome.CONNECT_FAILED, 0) << "open refuses"
    book = book >> Forgive(1) << "closed admits"
    for _ in range(4):
        book = book >> Ends(OVERLOADED, 2) << "closed admits"
    book = book >> Ends(OVERLOADED, 2) << "open refuses"
    # As if it were the first: neither longer nor added to the one that was forgiven.
    assert book >> Looks(11.9) << "open refuses" >> Looks(12) << "half-open admits"


@pytest.mark.parametrize("said", [Outcome.RATE_LIMITED, Outcome.AUTH])
def test_what_the_upstream_said_itself_is_not_forgiven(said: Outcome) -> None:
    assert play() >> Ends(said, 0, 60) << "open refuses" >> Forgive(1) << "open refuses"


def test_an_overload_is_not_forgiven() -> None:
    assert opened() >> Forgive(1) << "open refuses"


OUTCOMES = st.sampled_from(list(Outcome))
WAITS_S = st.floats(0, 1000)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ends", "sent", "forgive"]),
        OUTCOMES,
        WAITS_S,
        st.one_of(st.none(), st.floats(0, 1e9)),
    ),
    max_size=60,
)


@given(STEPS, st.floats(0, 1))
def test_a_breaker_always_comes_back(
    steps: list[tuple[str, Outcome, float, float | None]], roll: float
) -> None:
    """Whatever was seen: after the longest rest it admits a request, and one success is enough."""
    breaker, now = Breaker(SETTINGS), 0.0
    for verb, outcome, wait_s, retry_after_s in steps:
        now += wait_s
        if verb == "ends":
            breaker.observe(outcome, Scope.PROVIDER, now, retry_after_s)
        elif verb == "sent":
            breaker.take(now)
        else:
            breaker.forgive()
        assert breaker.open_until <= now + SETTINGS.ejection_max_s
    now += SETTINGS.ejection_max_s + 0.1
    assert breaker.admits(now, 0.0)
    breaker.take(now)
    breaker.observe(OK, Scope.NONE, now)
    assert breaker.state(now) is State.CLOSED
    assert breaker.admits(now + SETTINGS.ramp_s, min(roll, 0.999))


def test_its_memory_is_bounded_however_many_requests_a_second() -> None:
    breaker = Breaker(BreakerSettings(failure_share=1))
    for number in range(5000):
        breaker.observe(OK, Scope.NONE, number / 1000)
    assert len(breaker._window) == 1000
    breaker.observe(OK, Scope.NONE, 100)
    assert len(breaker._window) == 1
