"""Close looks: what may begin to fail is asked every two to three seconds, within an allowance."""

from __future__ import annotations

import itertools
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.nouns import Outcome
from outlast.observatory.probe_budget import Budget
from outlast.observatory.probe_closely import (
    ALLOWED_S,
    GAP_S,
    LASTS_S,
    LOOKS_MAX,
    SPAN_S,
    CloseLooks,
)
from outlast.observatory.probe_events import (
    Closer,
    Due,
    Enough,
    Event,
    Hurry,
    Offline,
    Result,
    Run,
    Seen,
)
from outlast.observatory.probe_targets import BRIEF_TOKENS, ProbeKind, Target, briefly
from outlast.observatory.probing import HURRY_EVERY_S
from tests.observatory.probes.test_probing import (
    A_API,
    A_WEB,
    B_API,
    CANARY,
    DOWN,
    OK,
    book,
    probing,
)

DOOR = Target("a-door", ProbeKind.TLS, "a/api", "a", upstream="ua")
OTHER = msgspec.structs.replace(CANARY, name="a-n", component="a/api/n", model="n")
SHORT = Seen(1.0, Outcome.OK, tokens=30)


class Lab:
    """Lets time pass in half seconds; each probe takes one of them, and sees `seen`."""

    def __init__(self, *targets: Target, seen: Seen = SHORT, **pace: Any) -> None:
        self.probes = probing(*targets, **{"every_s": 86_400, **pace})
        self.seen = seen
        self.now = 0.0
        self.begun: list[tuple[float, Target]] = []
        self._waiting: list[str] = []

    def feed(self, event: Event) -> None:
        for command in self.probes.handle(event):
            if isinstance(command, Run):
                self.begun.append((self.now, command.target))
                self._waiting.append(command.target.name)

    def run(self, until: float) -> None:
        while self.now < until:
            self.now += 0.5
            ended, self._waiting = self._waiting, []
            for name in ended:
                self.feed(Result(name, self.seen, self.now))
            self.feed(Due(self.now))

    def times(self) -> list[float]:
        return [at for at, _ in self.begun]

    def names(self) -> list[str]:
        return [target.name for _, target in self.begun]

    def gaps(self) -> list[float]:
        return [later - at for at, later in itertools.pairwise(self.times())]


def test_a_look_begins_at_once_and_asks_every_two_to_three_seconds() -> None:
    playbook = book(A_WEB) >> Closer("a/web", 3) << "run a-web"
    playbook = playbook >> Result("a-web", OK, 3.8) << "tell a/web ok"
    assert playbook >> Due(5.4) >> Due(5.5) << "run a-web"


def test_a_look_ends_when_it_was_enough() -> None:
    playbook = book(A_WEB) >> Closer("a/web", 3) << "run a-web"
    playbook = playbook >> Result("a-web", OK, 4) << "tell a/web ok" >> Enough("a/web", 5)
    assert playbook >> Due(6) >> Due(100)


def test_a_look_ends_when_its_component_is_suspected_and_its_turns_are_hurried() -> None:
    playbook = book(A_WEB) >> Closer("a/web", 3) << "run a-web"
    playbook = playbook >> Result("a-web", OK, 4) << "tell a/web ok" >> Hurry("a/web", 5)
    assert playbook >> Due(7.9) >> Due(8) << "run a-web"


def test_what_nobody_probes_is_not_looked_at() -> None:
    probes = probing(A_WEB)
    assert probes.handle(Closer("a/login", 3)) == []
    assert probes.wake_at() == 30


def test_a_look_that_nobody_prolongs_ends_by_itself() -> None:
    looks = CloseLooks()
    looks.ask("a", 0.0)
    assert looks.due(LASTS_S - 1) == ["a"]
    assert looks.due(LASTS_S) == []
    assert looks.wake_at() is None


def test_a_minute_in_ten_is_all_that_a_look_may_take() -> None:
    lab = Lab(A_WEB)
    for minute in range(30):
        lab.feed(Enough("a/web", lab.now))  # what is prolonged would be hurried too
        lab.feed(Closer("a/web", lab.now))
        lab.run(minute * 60.0 + 60)
    times = lab.times()
    assert 55 <= len(times) <= 75
    most = ALLOWED_S / GAP_S[0]
    assert all(sum(at <= one < at + SPAN_S for one in times) <= most for at in times)
    assert max(lab.gaps()) > SPAN_S - 2 * ALLOWED_S


def test_what_still_looks_like_failing_after_a_minute_is_hurried() -> None:
    lab = Lab(A_WEB)
    lab.feed(Closer("a/web", 0.0))
    lab.run(60.0)
    lab.feed(Closer("a/web", 60.0))
    lab.run(300.0)
    late = [gap for at, gap in zip(lab.times(), lab.gaps(), strict=False) if at > 90]
    assert all(0.9 * HURRY_EVERY_S <= gap <= 1.1 * HURRY_EVERY_S + 1 for gap in late)
    assert len(late) >= 5


def test_the_deepest_probes_are_asked_briefly_and_in_turns() -> None:
    lab = Lab(DOOR, A_API, CANARY, OTHER)
    lab.feed(Closer("a/api", 0.0))
    lab.run(20.0)
    assert all(one != other for one, other in itertools.pairwise(lab.names()))
    assert set(lab.names()) == {"a-m", "a-n"}
    assert len(lab.names()) >= 7
    assert all((one.brief, one.tokens) == (True, BRIEF_TOKENS) for _, one in lab.begun)


def test_its_usual_turns_are_asked_as_ever() -> None:
    probes = probing(CANARY)
    (run,) = probes.handle(Due(30.0))
    assert run == Run(CANARY)
    assert briefly(CANARY).name == CANARY.name
    assert briefly(A_WEB) is A_WEB


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        pytest.param("a/api/m", ["a-m"], id="a model: itself alone"),
        pytest.param("a/api", ["a-m", "a-n"], id="an API: its models"),
        pytest.param("outlast/upstream/ua", ["a-m", "a-n"], id="an upstream of ours: its models"),
        pytest.param("a/web", ["a-web"], id="a surface"),
    ],
)
def test_whom_a_look_asks(target: str, asked: list[str]) -> None:
    lab = Lab(DOOR, A_API, A_WEB, B_API, CANARY, OTHER)
    lab.feed(Closer(target, 0.0))
    lab.run(12.0)
    assert sorted(set(lab.names())) == asked


def test_two_looks_at_what_one_probe_shows_ask_it_once() -> None:
    lab = Lab(CANARY)
    for name in ("a/api/m", "a/api", "outlast/upstream/ua"):
        lab.feed(Closer(name, 0.0))
    lab.run(29.0)
    assert min(lab.gaps()) >= GAP_S[0]
    assert len(lab.begun) >= 10


def test_two_looks_at_what_one_probe_shows_have_one_allowance() -> None:
    lab = Lab(CANARY, A_API)
    names = ("a/api/m", "a/api", "outlast/upstream/ua")
    for minute in range(20):
        for name in names:
            lab.feed(Enough(name, lab.now))
            lab.feed(Closer(name, lab.now))
        lab.run(minute * 60.0 + 60)
    times = lab.times()
    most = ALLOWED_S / GAP_S[0]
    assert all(sum(at <= one < at + SPAN_S for one in times) <= most for at in times)


def test_one_part_that_was_looked_at_leaves_another_its_look() -> None:
    lab = Lab(CANARY, OTHER)
    lab.feed(Closer("a/api/m", 0.0))
    lab.run(80.0)
    lab.feed(Closer("a/api/n", 80.0))
    lab.run(90.0)
    assert lab.names()[-1] == "a-n"


def test_an_answer_that_takes_long_is_waited_for() -> None:
    playbook = book(A_WEB) >> Closer("a/web", 3) << "run a-web"
    playbook = playbook >> Due(6) >> Due(10) >> Due(30)
    assert playbook >> Result("a-web", OK, 40) << "tell a/web ok" << "run a-web"


def test_without_tokens_a_look_asks_what_is_free() -> None:
    lab = Lab(CANARY, A_API, DOOR, tokens_per_day=0)
    lab.feed(Closer("a/api/m", 0.0))
    lab.run(12.0)
    assert set(lab.names()) == {"a-api"}
    assert len(lab.names()) >= 4


def test_looks_leave_a_part_of_the_reserve_to_what_is_suspected() -> None:
    budget = Budget(50_000, 90, now=0.0)
    taken = 0
    while budget.take(BRIEF_TOKENS, hurried=False, close=True, now=1.0):
        taken += 1
    assert taken * BRIEF_TOKENS > 3600 * budget.usual_per_s
    assert budget.take(90, hurried=True, now=1.0)


def test_nothing_is_looked_at_while_we_are_offline() -> None:
    playbook = book(A_WEB) >> Closer("a/web", 3) << "run a-web"
    playbook = playbook >> Result("a-web", OK, 4) << "tell a/web ok" >> Offline(True, 5)
    playbook = playbook >> Due(6) >> Closer("a/web", 7) >> Due(30)
    assert playbook >> Offline(False, 31) << "run a-web"


def test_a_wish_for_a_look_that_comes_offline_is_met_while_it_lasts() -> None:
    playbook = book(A_WEB) >> Offline(True, 1) >> Closer("a/web", 7)
    assert playbook >> Offline(False, 7 + LASTS_S) >> Due(7 + LASTS_S + 1)


def test_failing_probes_of_a_look_are_told_like_any_other() -> None:
    playbook = book(CANARY) >> Closer("a/api/m", 3) << "run a-m"
    assert playbook >> Result("a-m", DOWN, 4) << "tell a/api/m overloaded"


def test_there_are_so_many_looks_at_once_and_no_more() -> None:
    looks = CloseLooks()
    for number in range(2 * LOOKS_MAX):
        looks.ask(f"a/api/{number}", 0.0)
    assert len(looks.due(1.0)) == LOOKS_MAX


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.floats(0.0, 200.0), st.sampled_from(["ask", "end", "step"])), max_size=200
    ),
    seed=st.integers(0, 2**32),
)
def test_no_component_is_looked_at_for_more_than_its_allowance(
    steps: list[tuple[float, str]], seed: int
) -> None:
    roll, looks, now = random.Random(seed), CloseLooks(), 0.0
    begun: list[float] = []
    for wait_s, what in steps:
        until = now + wait_s
        while now < until:
            for name in looks.due(now):
                looks.begun([name], now, roll.random())
                begun.append(now)
            now = min(until, max(now + 0.1, looks.wake_at() or until))
        if what == "ask":
            looks.ask("a", now)
        elif what == "end":
            looks.end("a")
    for at in begun:
        within = [one for one in begun if at <= one < at + SPAN_S]
        assert len(within) * GAP_S[0] <= ALLOWED_S


def test_the_pace_varies_so_that_many_services_do_not_ask_as_one() -> None:
    looks = CloseLooks()
    looks.ask("a", 0.0)
    found = []
    for roll in (0.0, 0.5, 0.999):
        looks.begun(["a"], 10.0, roll)
        found.append(looks.wake_at())
    assert found == pytest.approx([12.0, 12.5, 12.999])
