"""The plan of probes as playbooks: turns, hurry, our own network, wrong answers, the budget."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.nouns import Outcome, Scope
from outlast.observatory.probe_budget import DAY_S, Budget
from outlast.observatory.probe_events import (
    Calm,
    Closer,
    Command,
    Due,
    Enough,
    Event,
    Hurry,
    Offline,
    Result,
    Run,
    Seen,
    Tell,
)
from outlast.observatory.probe_targets import ProbeKind, Target
from outlast.observatory.probing import HURRY_FOR_S, OPINION_S, PER_PROVIDER_MAX, Pace, Probing
from tests.playbook import Playbook

OK = Seen(at=1.0, outcome=Outcome.OK)
DOWN = Seen(at=1.0, outcome=Outcome.OVERLOADED, scope=Scope.PROVIDER, evidence="HTTP 529")
LIMITED = Seen(at=1.0, outcome=Outcome.RATE_LIMITED, scope=Scope.ACCOUNT)
SILENT = Seen(
    at=1.0, outcome=Outcome.CONNECT_FAILED, scope=Scope.PROVIDER, network="silent", evidence="quiet"
)
NO_ROUTE = Seen(at=1.0, outcome=Outcome.OURS, scope=Scope.OURS, network="ours")
RIGHT = msgspec.structs.replace(OK, right=True, tokens=70)
WRONG = msgspec.structs.replace(OK, right=False, tokens=70)


def page(name: str, component: str, **more: Any) -> Target:
    provider = component.partition("/")[0]
    return Target(name, ProbeKind.PAGE, component, provider, **more)


A_WEB = page("a-web", "a/web")
A_API = page("a-api", "a/api", upstream="ua")
B_API = page("b-api", "b/api")
CANARY = Target("a-m", ProbeKind.CANARY, "a/api/m", "a", upstream="ua", model="m", tokens=90)


def short(command: Command) -> str:
    match command:
        case Run(target=target):
            return f"run {target.name}"
        case Tell(observation=observation):
            weight = "" if observation.weight else " 0"
            return f"tell {observation.component} {observation.outcome}{weight}"


def middle() -> float:
    """A roll without surprise: no jitter, and a start in the middle of the spread."""
    return 0.5


def probing(*targets: Target, tokens_per_day: int = 50_000, **pace: Any) -> Probing:
    return Probing(targets, Pace(tokens_per_day=tokens_per_day, **pace), middle, now=0.0)


def book(*targets: Target, **pace: Any) -> Playbook[Event, Command]:
    return Playbook([], probing(*targets, **pace).handle, short)


def after(probes: Probing, seen: Seen, name: str, began: float) -> float:
    """Run a target at `began`, end it a second later; return when it is due again."""
    assert short(probes.handle(Due(began))[-1]) == f"run {name}"
    probes.handle(Result(name, seen, began + 1))
    due_at = probes.wake_at()
    assert due_at is not None
    return due_at - (began + 1)


# -- turns ---------------------------------------------------------------------------------------


def test_a_target_has_its_turn_and_then_waits_for_the_next() -> None:
    playbook = book(A_WEB)
    assert playbook >> Due(29.9) >> Due(30) << "run a-web" >> Due(31) >> Due(330)
    assert playbook >> Result("a-web", OK, 331) << "tell a/web ok"
    assert playbook >> Due(630) >> Due(631) << "run a-web"


def test_at_the_start_targets_are_spread() -> None:
    rolls = iter([0.0, 0.25, 0.5, 0.75])
    many = [page(str(number), f"p{number}/web") for number in range(4)]
    probes = Probing(many, Pace(), lambda: next(rolls), now=0.0)
    begun = []
    for now in range(60):
        begun += [(now, short(command)) for command in probes.handle(Due(now))]
    assert begun == [(0, "run 0"), (15, "run 1"), (30, "run 2"), (45, "run 3")]


@pytest.mark.parametrize(("roll", "wait_s"), [(0.0, 270.0), (0.5, 300.0), (1.0, 330.0)])
def test_turns_vary_by_a_tenth(roll: float, wait_s: float) -> None:
    probes = Probing([A_WEB], Pace(), lambda: roll, now=0.0)
    assert after(probes, OK, "a-web", 60) == pytest.approx(wait_s)


def test_no_more_run_at_once_than_the_limit_and_one_vendor_does_not_get_all() -> None:
    ours = [page(f"a{number}", "a/web") for number in range(9)]
    theirs = [page(f"b{number}", "b/web") for number in range(2)]
    probes = probing(*ours, *theirs, running_max=4)
    begun = [short(command) for command in probes.handle(Due(30))]
    assert begun == ["run a0", "run a1", "run a2", "run b0"]
    assert PER_PROVIDER_MAX == 3
    told = [short(command) for command in probes.handle(Result("a0", OK, 31))]
    assert told == ["tell a/web ok", "run a3"]


def test_a_result_of_something_that_is_not_probed_any_more_is_nothing() -> None:
    assert book(A_WEB) >> Result("gone", DOWN, 5)


def test_what_was_left_by_us_is_not_told() -> None:
    left = msgspec.structs.replace(OK, outcome=Outcome.LEFT)
    assert book(A_WEB) >> Due(30) << "run a-web" >> Result("a-web", left, 31)


# -- what is said of a result ----------------------------------------------------------------------


def told(seen: Seen, target: Target = A_WEB, vantage: str = "paris") -> Any:
    probes = probing(target, vantage=vantage)
    probes.handle(Due(30))
    (command,) = probes.handle(Result(target.name, seen, 31))
    assert isinstance(command, Tell)
    return command.observation


def test_a_result_becomes_an_observation_of_this_vantage_point() -> None:
    seen = msgspec.structs.replace(DOWN, latency_s=0.25)
    observation = told(seen, A_API)
    assert (observation.source, observation.component) == ("probe", "a/api")
    assert (observation.outcome, observation.scope) == (Outcome.OVERLOADED, Scope.PROVIDER)
    assert (observation.region, observation.network) == ("paris", "paris")
    assert (observation.upstream, observation.symptom) == ("ua", "page")
    assert (observation.latency_s, observation.evidence) == (0.25, "HTTP 529")
    assert observation.id == "probe/paris/1.000/a-api"


def test_a_vantage_point_without_a_name_has_one_vote_all_the_same() -> None:
    assert (told(OK, vantage="").region, told(OK, vantage="").network) == ("", "here")


def test_a_failure_weighs_all_and_a_success_what_it_shows() -> None:
    door = msgspec.structs.replace(A_WEB, kind=ProbeKind.TLS)
    assert told(DOWN, door).weight == told(RIGHT, CANARY).weight == 1.0
    assert told(OK, door).weight < told(OK).weight < 1.0


# -- hurry ---------------------------------------------------------------------------------------


def test_after_a_failure_its_turns_come_faster_and_then_as_before() -> None:
    probes = probing(A_WEB)
    assert after(probes, OK, "a-web", 30) == pytest.approx(300)
    assert after(probes, DOWN, "a-web", 400) == pytest.approx(30)
    assert after(probes, OK, "a-web", 431) == pytest.approx(30)
    assert after(probes, OK, "a-web", 401 + HURRY_FOR_S) == pytest.approx(300)


def test_what_is_our_own_limit_hurries_nobody() -> None:
    assert after(probing(A_WEB), LIMITED, "a-web", 30) == pytest.approx(300)


def test_a_failure_hurries_what_it_is_a_part_of_and_not_the_rest() -> None:
    playbook = book(CANARY, A_API, A_WEB, B_API) >> Due(30)
    playbook = playbook << "run a-m" << "run a-api" << "run a-web" << "run b-api"
    for name, component in (("a-api", "a/api"), ("a-web", "a/web"), ("b-api", "b/api")):
        playbook = playbook >> Result(name, OK, 31) << f"tell {component} ok"
    assert playbook >> Result("a-m", DOWN, 40) << "tell a/api/m overloaded" << "run a-api"


def test_two_that_fail_do_not_hurry_each_other_on_and_on() -> None:
    probes = probing(CANARY, A_API)
    now, begun = 0.0, 0
    while now < 600:
        now += 1
        for command in probes.handle(Due(now)):
            assert isinstance(command, Run)
            begun += 1
            again = probes.handle(Result(command.target.name, DOWN, now + 0.1))
            assert all(isinstance(more, Tell) for more in again)
    assert begun <= 2 * 600 / 30


@pytest.mark.parametrize(
    ("suspected", "runs"),
    [
        pytest.param("a/api/m", ["a-m", "a-api"], id="a model, and the API that it is a part of"),
        pytest.param("a/api", ["a-m", "a-api"], id="an API, and its models"),
        pytest.param("a/api/m@eu", ["a-m", "a-api"], id="a region of it"),
        pytest.param("a/web", ["a-web"], id="a surface"),
        pytest.param("a", ["a-m", "a-api", "a-web"], id="a whole provider"),
        pytest.param("outlast/upstream/ua", ["a-m", "a-api"], id="one of our upstreams"),
        pytest.param("a/login", [], id="what nobody probes"),
    ],
)
def test_hurry_begins_at_once_with_what_it_is_about(suspected: str, runs: list[str]) -> None:
    probes = probing(CANARY, A_API, A_WEB, B_API)
    begun = [short(command) for command in probes.handle(Hurry(suspected, 6.0))]
    assert begun == [f"run {name}" for name in runs]


def test_hurry_does_not_ask_again_what_was_asked_just_now() -> None:
    playbook = book(A_WEB) >> Due(30) << "run a-web" >> Result("a-web", OK, 31) << "tell a/web ok"
    assert playbook >> Hurry("a/web", 32) >> Due(34.9) >> Due(35) << "run a-web"


def test_calm_brings_the_usual_turns_back() -> None:
    probes = probing(A_WEB)
    after(probes, DOWN, "a-web", 30)
    probes.handle(Calm("a/web", 40))
    assert after(probes, OK, "a-web", 61) == pytest.approx(300)


# -- our own network -------------------------------------------------------------------------------


def test_nothing_runs_while_we_are_offline_and_all_does_afterwards() -> None:
    playbook = book(A_WEB) >> Offline(True, 10) >> Due(500) >> Offline(False, 510)
    assert playbook >> Due(519) >> Due(520) << "run a-web"


def test_what_failed_while_we_were_offline_is_ours() -> None:
    playbook = book(A_WEB) >> Due(30) << "run a-web" >> Offline(True, 31)
    assert playbook >> Result("a-web", DOWN, 32) << "tell a/web ours"


def test_what_went_well_while_we_were_offline_went_well() -> None:
    playbook = book(A_WEB) >> Due(30) << "run a-web" >> Offline(True, 31)
    assert playbook >> Result("a-web", OK, 32) << "tell a/web ok"


def both_asked() -> Playbook[Event, Command]:
    """The first vendor was asked and is silent; the second is asked for its opinion."""
    late = Probing([A_API, B_API], Pace(), iter([0.1, 0.9, 0.5, 0.5, 0.5, 0.5]).__next__, now=0.0)
    playbook = Playbook[Event, Command]([], late.handle, short) >> Due(6) << "run a-api"
    return playbook >> Result("a-api", SILENT, 7) << "run b-api"


def test_one_vendors_silence_is_believed_when_another_answers() -> None:
    playbook = both_asked() >> Result("b-api", OK, 8)
    assert playbook << "tell a/api connect_failed" << "tell b/api ok"


def test_an_error_of_another_vendor_proves_our_network_too() -> None:
    playbook = both_asked() >> Result("b-api", DOWN, 8)
    assert playbook << "tell a/api connect_failed" << "tell b/api overloaded"


def test_two_silent_vendors_mean_our_own_network() -> None:
    playbook = both_asked() >> Result("b-api", SILENT, 8)
    assert playbook << "tell a/api ours" << "tell b/api ours"


def test_a_network_without_a_route_excuses_the_silence_before_it() -> None:
    playbook = both_asked() >> Result("b-api", NO_ROUTE, 8)
    assert playbook << "tell a/api ours" << "tell b/api ours"


def test_the_gateway_knows_better_when_it_says_that_we_are_offline() -> None:
    assert both_asked() >> Offline(True, 8) << "tell a/api ours"


def test_a_second_opinion_that_never_comes_is_not_waited_for() -> None:
    playbook = both_asked() >> Due(7 + OPINION_S - 1) >> Due(7 + OPINION_S)
    assert playbook << "tell a/api connect_failed"


def test_silence_is_told_at_once_where_nobody_else_could_be_asked() -> None:
    playbook = book(A_API, A_WEB) >> Due(30) << "run a-api" << "run a-web"
    assert playbook >> Result("a-api", SILENT, 31) << "tell a/api connect_failed"


def test_what_is_on_this_machine_says_nothing_of_the_network() -> None:
    box = page("box", "box/api", remote=False)
    playbook = book(box, B_API) >> Due(30) << "run box" << "run b-api"
    assert playbook >> Result("box", SILENT, 31) << "tell box/api connect_failed"


# -- canaries --------------------------------------------------------------------------------------


def test_a_wrong_answer_counts_from_the_second_in_a_row() -> None:
    playbook = book(CANARY) >> Due(30) << "run a-m"
    playbook = playbook >> Result("a-m", WRONG, 31) << "tell a/api/m ok 0"
    playbook = playbook >> Due(61) << "run a-m"
    playbook = playbook >> Result("a-m", WRONG, 62) << "tell a/api/m server_error"
    playbook = playbook >> Due(92) << "run a-m" >> Result("a-m", RIGHT, 93) << "tell a/api/m ok"
    assert playbook >> Due(123) << "run a-m" >> Result("a-m", WRONG, 124) << "tell a/api/m ok 0"


def test_a_failure_between_two_wrong_answers_does_not_make_them_right() -> None:
    playbook = book(CANARY) >> Due(30) << "run a-m"
    playbook = playbook >> Result("a-m", WRONG, 31) << "tell a/api/m ok 0"
    playbook = playbook >> Due(61) << "run a-m"
    playbook = playbook >> Result("a-m", DOWN, 62) << "tell a/api/m overloaded"
    playbook = playbook >> Due(92) << "run a-m"
    assert playbook >> Result("a-m", WRONG, 93) << "tell a/api/m server_error"


# -- the budget ------------------------------------------------------------------------------------


def test_without_a_budget_only_what_is_free_is_probed() -> None:
    probes = probing(CANARY, A_API, tokens_per_day=0)
    assert [short(command) for command in probes.handle(Due(30))] == ["run a-api"]
    assert [short(c) for c in probes.handle(Hurry("a/api/m", 31))] == []
    assert probes.unpaid == 2


def spent(probes: Probing, per_probe: int, seconds: int, *, hurry: bool = False) -> list[int]:
    """Let time pass; return the seconds at which a canary ran."""
    begun = []
    for now in range(seconds):
        commands = probes.handle(Due(float(now)))
        if hurry and now % 600 == 0:
            commands += probes.handle(Hurry("a", float(now)))
        for command in commands:
            if isinstance(command, Run):
                begun.append(now)
                seen = msgspec.structs.replace(RIGHT, tokens=per_probe)
                probes.handle(Result(command.target.name, seen, now + 0.5))
    return begun


def test_a_small_budget_lasts_the_whole_day() -> None:
    begun = spent(probing(CANARY, tokens_per_day=6000), 90, int(DAY_S))
    assert 35 <= len(begun) <= 42
    gaps = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert max(gaps) < 2 * DAY_S / len(begun)


def test_a_reserve_is_left_for_when_something_is_suspected() -> None:
    probes = probing(CANARY, tokens_per_day=6000)
    spent(probes, 90, 40_000)
    assert probes.budget.reserve >= 0.12 * 6000
    assert [short(command) for command in probes.handle(Hurry("a/api/m", 40_010))] == ["run a-m"]


def test_however_much_is_suspected_a_day_costs_no_more_than_the_budget() -> None:
    begun = spent(probing(CANARY, tokens_per_day=20_000), 90, int(DAY_S), hurry=True)
    assert len(begun) * 90 <= 20_000


@settings(deadline=None)
@given(
    per_day=st.integers(min_value=1000, max_value=1_000_000),
    steps=st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=20_000),
            st.sampled_from(["usual", "hurried", "close"]),
            st.integers(min_value=0, max_value=200),
        ),
        max_size=300,
    ),
)
def test_the_budget_holds_in_every_day_whatever_happens(
    per_day: int, steps: list[tuple[float, str, int]]
) -> None:
    budget = Budget(per_day, 90, now=0.0)
    now, paid = 0.0, []
    for wait_s, why, really in steps:
        now += wait_s
        if budget.take(90, hurried=why == "hurried", close=why == "close", now=now):
            budget.settle(90, really)
            paid.append((now, really))
    for start, _ in paid:
        within = sum(tokens for at, tokens in paid if start <= at < start + DAY_S)
        # The last probe may turn out dearer than it was estimated.
        assert within <= per_day + 200


@settings(deadline=None)
@given(st.data())
def test_every_run_is_told_once_and_nothing_else_is(data: st.DataObject) -> None:
    """Whatever happens in whatever order, no result is lost and none is told twice."""
    probes = probing(CANARY, A_API, A_WEB, B_API)
    running: dict[str, int] = {}
    now, ended, heard = 0.0, 0, 0
    for _ in range(data.draw(st.integers(0, 60))):
        now += data.draw(st.floats(0, 400))
        choices: list[Event] = [Due(now), Hurry("a/api", now), Calm("a", now)]
        choices += [Offline(True, now), Offline(False, now)]
        choices += [Closer("a/api", now), Closer("a/api/m", now), Enough("a/api", now)]
        choices += [
            Result(name, seen, now) for name in running for seen in (OK, DOWN, SILENT, NO_ROUTE)
        ]
        event = data.draw(st.sampled_from(choices))
        if isinstance(event, Result):
            del running[event.target]
            ended += 1
        for command in probes.handle(event):
            if isinstance(command, Run):
                assert command.target.name not in running
                running[command.target.name] = 1
            else:
                heard += 1
    heard += len(probes.handle(Offline(True, now)))
    assert heard == ended
