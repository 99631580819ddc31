"""What the gateway knows from what it is told: breakers, network, budgets, loads together."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from outlast.accounts.keys import Key
from outlast.config import (
    BreakerSettings,
    CandidateSettings,
    LocalSettings,
    RouteSettings,
    Secret,
    Settings,
    TimeoutSettings,
    UpstreamSettings,
)
from outlast.config.routes import complete
from outlast.gateway import state as state_module
from outlast.gateway.breaker import State
from outlast.gateway.events import Observe
from outlast.gateway.hearing import EXPIRES_S
from outlast.gateway.state import GatewayState
from outlast.nouns import (
    Allow,
    Candidate,
    ComponentState,
    Evidence,
    Kind,
    Observation,
    Outcome,
    Scope,
    Status,
    Suspicion,
)
from outlast.outcome import Fault, FaultKind, Verdict, classify_fault, classify_status
from tests.gateway.answers import A
from tests.gateway.test_prepare import asked


def upstream(name: str, **more: Any) -> UpstreamSettings:
    fields = {"name": name, "kind": Kind.ANTHROPIC, "base_url": f"https://api.{name}.com"}
    return UpstreamSettings(**(fields | more))


def settings(*upstreams: UpstreamSettings, **more: Any) -> Settings:
    """Upstreams in one route, in this order, and the embedded model behind them."""
    candidates = tuple(
        CandidateSettings(upstream=one.name, order=position)
        for position, one in enumerate(upstreams)
    )
    route = RouteSettings(model="*", candidates=candidates)
    bare = Settings(upstreams={u.name: u for u in upstreams}, routes=(route,), **more)
    return complete(bare)


FAR = settings(upstream("anthropic"), upstream("openai", vendor="anthropic"), upstream("mistral"))


class House:
    """A state with its route, and short words for what happens to it."""

    def __init__(self, given: Settings = FAR) -> None:
        self.state = GatewayState(given, random.Random(1).random)
        self.now = 1000.0

    @property
    def route(self) -> RouteSettings:
        return self.state.settings.routes[-1]

    def order(self, **more: Any) -> list[str]:
        plan = self.state.plan(asked(A, **more), self.route, self.now)
        return [candidate.upstream for candidate in plan.candidates]

    def candidate(self, name: str) -> Candidate:
        plan = self.state.plan(asked(A), self.route, self.now)
        return next(c for c in plan.candidates if c.upstream == name)

    def ends(self, name: str, verdict: Verdict | None, times: int = 1) -> None:
        candidate = self.candidate(name)
        outcome = verdict.outcome if verdict is not None else Outcome.OK
        scope = verdict.scope if verdict is not None else Scope.NONE
        observation = Observation(self.now, "attempt", candidate.name, outcome, scope)
        for _ in range(times):
            self.state.observe(Observe(candidate, observation, verdict), self.now)

    def hears(
        self,
        component: str,
        status: Status,
        kind: str = "traffic",
        suspicion: Suspicion = Suspicion.S_DOWN,
    ) -> None:
        fine = status is Status.OPERATIONAL
        said = Suspicion.NONE if fine else suspicion
        evidence = (Evidence(kind, 0.0, -1.0 if fine else 5.0, fired=not fine),)
        state = ComponentState(component, status, said, 0.9, 0.0, 0.0, evidence)
        self.state.heed(state, self.now)

    def breaker(self, name: str) -> State:
        return self.state.breaker(self.candidate(name)).state(self.now)


def fault(kind: FaultKind) -> Verdict:
    return classify_fault(Fault(kind))


# -- the plan ------------------------------------------------------------------------------------


def test_a_plan_holds_the_routes_order_its_times_and_what_was_asked_for() -> None:
    slow = TimeoutSettings(first_byte_s=7)
    house = House(settings(upstream("anthropic"), upstream("openai", timeouts=slow)))
    plan = house.state.plan(asked(A), house.route, house.now, prompt_tokens=9)
    assert [c.upstream for c in plan.candidates] == ["anthropic", "openai", "local"]
    assert plan.primary.name == "anthropic/public"
    assert plan.timeouts["openai"].first_byte_s == 7
    assert plan.timeouts["local"] == TimeoutSettings()
    assert plan.prompt_tokens == 9


@pytest.mark.parametrize(
    ("allow", "names"),
    [
        (Allow.SAME_MODEL, ["anthropic", "openai", "mistral"]),
        (Allow.ANY, ["anthropic", "openai", "mistral"]),
        (Allow.LOCAL, ["anthropic", "openai", "mistral", "local"]),
    ],
)
def test_only_what_is_allowed_is_planned(allow: Allow, names: list[str]) -> None:
    assert House().order(allow=allow) == names


def test_a_request_never_widens_its_route() -> None:
    route = msgspec.structs.replace(FAR.routes[-1], allow=Allow.ANY)
    plan = House().state.plan(asked(A, allow=Allow.LOCAL), route, 0)
    assert "local" not in [c.upstream for c in plan.candidates]


def test_what_status_speaks_against_is_asked_later() -> None:
    house = House()
    house.hears("anthropic/api", Status.MAJOR)
    assert house.order() == ["openai", "mistral", "anthropic", "local"]
    house.hears("outlast/upstream/openai", Status.PARTIAL)
    assert house.order() == ["mistral", "anthropic", "openai", "local"]


def test_a_lost_bus_changes_nothing_but_that_status_is_not_heard() -> None:
    house = House()
    house.hears("anthropic/api", Status.MAJOR)
    house.now += EXPIRES_S + 1
    assert house.order() == ["anthropic", "openai", "mistral", "local"]


def test_what_status_says_is_well_again_gets_its_traffic_back_slowly() -> None:
    house = House()
    house.order()
    house.hears("anthropic/api", Status.MAJOR)
    house.hears("anthropic/api", Status.OPERATIONAL)
    share = house.state.breaker(house.candidate("anthropic")).share
    assert share(house.now) == pytest.approx(0.1)
    assert share(house.now + 15) == pytest.approx(0.5)
    assert share(house.now + 30) == 1.0


HEARD = [
    ("half an outage that our requests see counts", Status.PARTIAL, "traffic", True, True),
    ("so does one that our probes see", Status.MAJOR, "probe", True, True),
    ("a slow provider is still asked", Status.DEGRADED, "traffic", True, False),
    ("people's reports alone move no request", Status.PARTIAL, "report", True, False),
    ("nor does a vendor's page alone", Status.PARTIAL, "notice", True, False),
    ("two kinds of evidence do, whichever they are", Status.PARTIAL, "notice", False, True),
]


@pytest.mark.parametrize(
    ("status", "kind", "suspected", "demotes"),
    [row[1:] for row in HEARD],
    ids=[r[0] for r in HEARD],
)
def test_which_status_moves_requests(
    status: Status, kind: str, suspected: bool, demotes: bool
) -> None:
    house = House()
    house.hears("anthropic/api", status, kind, Suspicion.S_DOWN if suspected else Suspicion.O_DOWN)
    assert (house.order()[0] != "anthropic") is demotes


# -- what attempts teach -------------------------------------------------------------------------


def test_an_overloaded_upstream_is_asked_last_until_a_probe_brings_it_back() -> None:
    house = House()
    house.ends("anthropic", classify_status(529), times=5)
    assert house.order() == ["openai", "mistral", "local", "anthropic"]
    house.now += 10
    assert house.order()[0] == "anthropic"  # the probe
    house.state.breaker(house.candidate("anthropic")).take(house.now)
    assert house.order()[0] == "openai"
    house.ends("anthropic", None)
    house.now += 30
    assert house.order()[0] == "anthropic"


def test_while_it_recovers_an_upstream_is_spared_for_its_peers_and_never_for_the_local_model() -> (
    None
):
    alone = House(settings(upstream("anthropic")))
    alone.ends("anthropic", classify_status(529), times=5)
    alone.now += 10
    alone.ends("anthropic", None)
    assert {tuple(alone.order()) for _ in range(50)} == {("anthropic", "local")}
    among = House()
    among.ends("anthropic", classify_status(529), times=5)
    among.now += 10
    among.ends("anthropic", None)
    assert {among.order()[0] for _ in range(50)} == {"anthropic", "openai"}


def test_when_all_are_refused_the_routes_order_holds() -> None:
    house = House()
    for name in ("anthropic", "openai", "mistral", "local"):
        house.ends(name, classify_status(500), times=5)
    assert house.order() == ["anthropic", "openai", "mistral", "local"]


def test_a_rate_limit_is_waited_out_elsewhere() -> None:
    house = House()
    house.ends("anthropic", classify_status(429, retry_after_s=42))
    house.now += 41
    assert house.order()[0] == "openai"
    house.now += 1
    assert house.order()[0] == "anthropic"


def test_models_of_one_upstream_have_breakers_of_their_own() -> None:
    house = House()
    house.ends("anthropic", classify_status(404), times=5)
    assert house.order()[0] == "openai"
    assert house.order(model="another")[0] == "anthropic"


@pytest.mark.parametrize("kind", ["too_many", "internal"])
def test_our_own_doing_marks_nobody_down(kind: FaultKind) -> None:
    house = House()
    house.ends("anthropic", fault(kind), times=50)
    assert house.order()[0] == "anthropic"


def test_a_callers_fault_and_a_client_that_left_mark_nobody_down() -> None:
    house = House()
    house.ends("anthropic", classify_status(400), times=50)
    gone = Verdict(Outcome.CLIENT_GONE, Scope.NONE, "")
    house.ends("anthropic", gone, times=50)
    assert house.order()[0] == "anthropic"


# -- our own network -----------------------------------------------------------------------------


def test_offline_the_embedded_model_comes_first_and_nobody_is_marked_down() -> None:
    house = House()
    house.ends("anthropic", fault("connect_timeout"), times=4)
    house.ends("openai", fault("dns_unavailable"))
    assert house.order()[0] == "local"
    house.ends("openai", fault("connect_timeout"), times=20)
    house.ends("mistral", fault("stall"), times=20)
    house.ends("anthropic", fault("first_byte_timeout"), times=20)
    house.now += 15  # the world is asked again
    assert house.order() == ["anthropic", "openai", "mistral", "local"]


def test_one_silent_provider_is_that_providers_trouble() -> None:
    house = House()
    house.ends("anthropic", fault("connect_timeout"), times=5)
    assert house.order() == ["openai", "mistral", "local", "anthropic"]


def test_breakers_that_the_missing_network_opened_are_closed_again() -> None:
    house = House()
    house.ends("anthropic", fault("connect_timeout"), times=5)
    assert house.breaker("anthropic") is State.OPEN
    house.ends("openai", fault("connect_timeout"))
    assert house.breaker("anthropic") is State.CLOSED


def test_breakers_that_their_upstreams_words_opened_stay_open() -> None:
    house = House()
    house.ends("mistral", classify_status(401))
    house.ends("anthropic", fault("unreachable"))
    assert house.order()[0] == "local"
    assert house.breaker("mistral") is State.OPEN


def test_an_answer_ends_being_offline() -> None:
    house = House()
    house.ends("anthropic", fault("unreachable"))
    assert house.order()[0] == "local"
    house.ends("openai", classify_status(500))
    assert house.order()[0] == "anthropic"


@pytest.mark.parametrize("left", [Outcome.CLIENT_GONE, Outcome.LEFT])
def test_an_attempt_that_was_left_says_nothing_of_the_network(left: Outcome) -> None:
    house = House()
    house.ends("anthropic", fault("connect_timeout"))
    house.ends("mistral", Verdict(left, Scope.NONE, ""))
    house.ends("openai", fault("connect_timeout"))
    assert house.order()[0] == "local"


def test_servers_on_this_machine_say_nothing_and_are_near() -> None:
    house = House(
        settings(
            upstream("anthropic"),
            upstream("ollama", base_url="http://127.0.0.1:11434"),
            upstream("vllm", base_url="http://localhost:8000"),
        )
    )
    house.ends("ollama", fault("connect_timeout"))
    house.ends("vllm", fault("connect_timeout"))
    assert house.order()[0] == "anthropic"
    house.ends("anthropic", fault("unreachable"))
    assert house.order() == ["ollama", "vllm", "local", "anthropic"]


# -- new settings --------------------------------------------------------------------------------


def test_what_was_learnt_of_upstreams_that_stay_is_kept() -> None:
    house = House()
    house.ends("anthropic", classify_status(529), times=5)
    house.state.reconfigure(msgspec.structs.replace(FAR, timeouts=TimeoutSettings(stall_s=1)))
    assert house.order()[-1] == "anthropic"


@pytest.mark.parametrize(
    "change",
    [{"key": Secret("new")}, {"base_url": "https://other.example"}],
    ids=["key", "address"],
)
def test_an_upstream_that_was_mended_is_tried_at_once(change: dict[str, Any]) -> None:
    house = House()
    house.ends("anthropic", classify_status(401))
    house.ends("openai", classify_status(401))
    mended = settings(
        upstream("anthropic", **change), upstream("openai", vendor="anthropic"), upstream("mistral")
    )
    house.state.reconfigure(mended)
    assert house.order() == ["anthropic", "mistral", "local", "openai"]


def test_new_rules_for_breakers_begin_anew() -> None:
    house = House()
    house.ends("anthropic", classify_status(529), times=5)
    house.state.reconfigure(
        msgspec.structs.replace(FAR, breaker=BreakerSettings(consecutive_failures=1))
    )
    assert house.order()[0] == "anthropic"
    house.ends("anthropic", classify_status(529))
    assert house.order()[-1] == "anthropic"


def test_an_attempt_at_an_upstream_that_was_removed_is_forgotten() -> None:
    house = House()
    removed = Candidate("gone", "m", Kind.ANTHROPIC, "gone", "gone")
    observation = Observation(0, "attempt", "gone/m", Outcome.OVERLOADED)
    house.state.observe(Observe(removed, observation, classify_status(529)), house.now)
    assert "gone/m" not in house.state.breakers()


def test_limits_of_upstreams_follow_the_settings() -> None:
    house = House(settings(upstream("anthropic", max_concurrency=1)))
    load = house.state.upstream_load("anthropic")
    assert [load.enter(), load.enter()] == [True, False]
    house.state.reconfigure(settings(upstream("anthropic", max_concurrency=2)))
    assert house.state.upstream_load("anthropic").enter()
    house.state.reconfigure(settings(upstream("anthropic")))
    assert house.state.upstream_load("anthropic").limit is None


# -- keys ----------------------------------------------------------------------------------------


def key(**limits: Any) -> Key:
    fields: dict[str, Any] = {"id": "key_1", "name": "n", "prefix": "ol_x", "created_at": 0.0}
    return Key(**(fields | limits))


def test_a_key_without_limits_is_never_made_to_wait() -> None:
    state = House().state
    assert {state.admit(key(), 0) for _ in range(1000)} == {0.0}
    assert state.load(key()).limit is None


def test_a_keys_requests_a_minute_are_counted() -> None:
    state = House().state
    limited = key(requests_per_minute=2)
    assert [state.admit(limited, 0) for _ in range(2)] == [0, 0]
    assert state.admit(limited, 0) == 30
    assert state.admit(key(id="key_2", requests_per_minute=2), 0) == 0
    assert state.admit(key(requests_per_minute=3), 0) == 0  # a new limit holds at once


def test_a_keys_requests_at_once_are_counted() -> None:
    state = House().state
    assert [state.load(key(concurrent=1)).enter() for _ in range(2)] == [True, False]
    assert state.load(key(concurrent=2)).enter()


# -- bounds --------------------------------------------------------------------------------------


def test_names_from_outside_fill_no_memory_and_push_out_nobody_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_module, "MAX_TRACKED", 50)
    house = House()
    house.ends("anthropic", classify_status(529), times=5)
    for number in range(500):
        house.order(model=f"made-up-{number}")
        house.state.admit(key(id=f"key_{number}", requests_per_minute=1), 0)
        house.state.load(key(id=f"key_{number}"))
        assert house.order()[-1] == "anthropic"  # asked for all the time: never forgotten
    assert len(house.state.breakers()) <= 50


def test_somebody_beyond_this_machine_is_healthy_or_not() -> None:
    house = House()
    assert house.state.healthy(house.route, "public", house.now)
    for name in ("anthropic", "openai", "mistral"):
        house.ends(name, classify_status(529), times=5)
    assert not house.state.healthy(house.route, "public", house.now)


def test_without_an_embedded_model_a_plan_still_has_somebody_to_ask() -> None:
    bare = settings(upstream("anthropic"), local=LocalSettings(enabled=False))
    house = House(bare)
    for allow in Allow:
        assert house.order(allow=allow) == ["anthropic"]


def test_each_request_pays_into_the_budget_of_retries() -> None:
    house = House()
    budget = house.state.budget
    spent = sum(budget.withdraw(house.now) for _ in range(1000))
    for _ in range(11):  # a fifth of a retry each
        house.order()
    assert spent == 30
    assert [budget.withdraw(house.now) for _ in range(3)] == [True, True, False]
