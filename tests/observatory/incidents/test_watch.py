"""The decider as a whole: what it looks at, whom it hurries, what it learns and forgets."""

from __future__ import annotations

import pytest

from outlast.nouns import Notice, NoticeUpdate, Observation, Outcome, Stage, Suspicion
from outlast.observatory import watch as watch_module
from outlast.observatory.acting import Action, BadAction
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.recovery import NEEDED, Forecast, TooFew
from outlast.observatory.watch import (
    CLOSER_EVERY_S,
    FORECAST_EVERY_S,
    HURRY_EVERY_S,
    IDLE_S,
    LOOK_EVERY_S,
    REPEAT_EVERY_S,
    Said,
    Watch,
    components_of,
)

T0 = 1_772_451_000.0
MODEL, API = "anthropic/api/m", "anthropic/api"


def attempt(at: float, *, failed: bool = False, component: str = MODEL) -> Observation:
    outcome = Outcome.SERVER_ERROR if failed else Outcome.OK
    return Observation(at, "attempt", component, outcome)


def fail(watch: Watch, at: float, count: int = 40) -> float:
    for second in range(count):
        watch.observe(attempt(at + second, failed=True), at + second)
    return at + count


def suspected(watch: Watch | None = None) -> tuple[Watch, Said, float]:
    watch = watch or Watch()
    watch.tick(T0)
    now = fail(watch, T0)
    return watch, watch.tick(now), now


@pytest.mark.parametrize(
    ("source", "component", "upstream", "names"),
    [
        ("attempt", "a/api/m", "main", ("a/api/m", "a/api", "outlast/upstream/main")),
        ("attempt", "a/api", "", ("a/api",)),
        ("probe", "a/web", "", ("a/web",)),
        ("probe", "a/api/m@eu", "main", ("a/api/m@eu", "a/api", "outlast/upstream/main")),
        ("report", "a/web@eu", "main", ("a/web",)),
        ("attempt", "nonsense", "", ()),
    ],
)
def test_what_an_observation_is_evidence_for(
    source: str, component: str, upstream: str, names: tuple[str, ...]
) -> None:
    seen = Observation(T0, source, component, Outcome.OK, upstream=upstream)
    assert components_of(seen) == names


def test_a_tick_in_which_nothing_happened_says_nothing() -> None:
    watch = Watch()
    watch.expect([API])
    assert watch.tick(T0).states
    quiet = watch.tick(T0 + LOOK_EVERY_S)
    assert [*quiet.states, *quiet.incidents, *quiet.claims, *quiet.hurry] == []


def test_every_state_is_said_again_each_minute() -> None:
    watch = Watch()
    watch.expect([API, "anthropic/web"])
    watch.tick(T0)
    again = watch.tick(T0 + REPEAT_EVERY_S)
    assert [state.component for state in again.states] == [API, "anthropic/web"]


def test_what_our_own_network_loses_is_seen_by_nobody() -> None:
    watch = Watch()
    for second in range(60):
        lost = Observation(T0 + second, "attempt", MODEL, Outcome.OURS)
        watch.observe(lost, T0 + second)
    assert watch.tick(T0 + 60).states == []


def test_states_name_the_incident_that_they_belong_to() -> None:
    _, said, _ = suspected()
    (incident,) = said.incidents
    found = {state.component: state.incident for state in said.states}
    assert found == {MODEL: incident.id, API: incident.id}


def test_a_suspicion_hurries_probes_and_page_once_in_a_while_and_its_end_relaxes_them() -> None:
    watch, said, now = suspected()
    assert said.hurry == {MODEL, API}
    fail(watch, now, 5)
    assert watch.tick(now + 10).hurry == set()
    now = fail(watch, now + HURRY_EVERY_S, 5)
    assert watch.tick(now).hurry == {MODEL, API}
    relaxed: set[str] = set()
    while now < T0 + 4 * 3600 and relaxed != {MODEL, API}:
        now += 10
        watch.observe(attempt(now), now)
        relaxed |= watch.tick(now).relax
    assert relaxed == {MODEL, API}


def on_the_way() -> tuple[Watch, Said, float]:
    """Two failures close to each other: more than chance brings, and not yet a suspicion."""
    watch, now = Watch(), T0
    watch.tick(now)
    for _ in range(2):
        now = fail(watch, now, 1)
        said = watch.tick(now)
    return watch, said, now


def test_on_the_way_to_a_suspicion_it_asks_for_a_close_look_and_leaves_the_page_alone() -> None:
    watch, said, _ = on_the_way()
    assert said.closer == {MODEL, API}
    assert (said.hurry, said.enough) == (set(), set())
    assert all(state.suspicion is Suspicion.NONE for state in watch.states())


def test_one_failure_alone_is_not_looked_at() -> None:
    watch = Watch()
    now = fail(watch, T0, 1)
    assert watch.tick(now).closer == set()


def test_a_close_look_is_asked_for_once_a_minute_while_it_lasts() -> None:
    watch, _, now = on_the_way()
    assert watch.tick(now + CLOSER_EVERY_S - LOOK_EVERY_S).closer == set()
    assert watch.tick(now + CLOSER_EVERY_S).closer == {MODEL, API}


def test_when_it_was_chance_the_close_look_is_over() -> None:
    watch, _, now = on_the_way()
    enough: set[str] = set()
    for second in range(1, 30):
        watch.observe(attempt(now + second), now + second)
        said = watch.tick(now + second)
        assert said.closer == set()
        enough |= said.enough
    assert enough == {MODEL, API}


def test_when_it_is_suspected_the_close_look_is_over_and_all_is_hurried() -> None:
    watch, _, now = on_the_way()
    now = fail(watch, now, 5)
    said = watch.tick(now)
    assert said.hurry == said.enough == {MODEL, API}
    assert said.closer == set()


def test_what_nobody_expects_and_nobody_sees_is_forgotten() -> None:
    watch = Watch()
    watch.expect(["anthropic/web"])
    watch.observe(attempt(T0), T0)
    watch.tick(T0)
    watch.tick(T0 + IDLE_S + REPEAT_EVERY_S)
    assert {state.component for state in watch.states()} == {"anthropic/web"}


def test_there_is_room_for_so_many_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "COMPONENTS_MAX", 4)
    watch = Watch()
    for number in range(20):
        watch.observe(attempt(T0, component=f"vendor{number}/api"), T0)
    assert len(watch.tick(T0).states) == 4


def test_an_operator_annotates_an_incident_and_cannot_change_one_that_is_unknown() -> None:
    watch, said, now = suspected()
    (incident,) = said.incidents
    action = Action("annotate", {"en": "We call the vendor."})
    (changed,) = watch.act(incident.id, action, "ann", now).incidents
    assert (changed.updates[-1].by, changed.updates[-1].kind) == ("ann", "annotated")
    with pytest.raises(BadAction, match="no such incident"):
        watch.act("inc_nothing", action, "ann", now)


def test_a_rumour_belongs_to_the_providers_open_incident_and_moves_nothing() -> None:
    watch, said, now = suspected()
    (incident,) = said.incidents
    before = {state.component: state.probability for state in watch.states()}
    text = {"en": "Squirrels.", "fr": "Des écureuils."}
    (claim,) = watch.rumour("anthropic", "cause", text, ["a blog"], now).claims
    assert (claim.incident, claim.state) == (incident.id, "unconfirmed")
    watch.tick(now)
    assert {state.component: state.probability for state in watch.states()} == before
    with pytest.raises(BadAction, match="kind is one of"):
        watch.rumour("anthropic", "weather", text, ["a blog"], now)


def over(number: int, lasts_s: float = 3600.0) -> Notice:
    """A notice of the past, from its first entry to resolved."""
    began = T0 - 86_400 * (number + 2)
    updates = (
        NoticeUpdate(began, "investigating", "We look."),
        NoticeUpdate(began + lasts_s, "resolved", "Over."),
    )
    return Notice(
        "anthropic",
        "page",
        f"n{number}",
        "incident",
        "Elevated errors",
        "resolved",
        updates=updates,
        started_at=began,
        resolved_at=began + lasts_s,
        version=f"v{number}",
    )


def history(count: int, at: float = T0 - 60) -> FeedPage:
    notices = tuple(over(number, 600.0 * (number % 7 + 1)) for number in range(count))
    return FeedPage("anthropic", "page", "statuspage", at, notices=notices, covers="history")


@pytest.mark.parametrize(("count", "kind"), [(NEEDED - 1, TooFew), (NEEDED, Forecast)])
def test_a_vendors_past_notices_teach_how_long_outages_last(count: int, kind: type) -> None:
    watch = Watch()
    watch.page(history(count))
    _, said, _ = suspected(watch)
    (forecast,) = said.forecasts.values()
    assert isinstance(forecast, kind)


def test_a_page_that_is_read_again_teaches_nothing_twice() -> None:
    watch = Watch()
    for minute in range(5):
        watch.page(history(NEEDED - 1, T0 - 600 + 60 * minute))
    _, said, _ = suspected(watch)
    assert isinstance(next(iter(said.forecasts.values())), TooFew)


def test_what_was_learnt_outlives_a_restart() -> None:
    watch, again = Watch(), Watch()
    watch.page(history(NEEDED))
    again.recall(watch.snapshot(T0 - 30))
    _, said, _ = suspected(again)
    assert isinstance(next(iter(said.forecasts.values())), Forecast)


def test_forecasts_are_made_again_each_minute_while_it_lasts() -> None:
    watch, _, now = suspected()
    watch.tick(now + 10)
    assert watch.tick(now + 20).forecasts == {}
    assert watch.tick(now + FORECAST_EVERY_S + 10).forecasts


def test_after_a_restart_what_was_failing_fails_until_a_look_says_otherwise() -> None:
    watch, said, now = suspected()
    again = Watch()
    again.restore(said.incidents, [], watch.states())
    assert [one.id for one in again.open()] == [said.incidents[0].id]
    fail(again, now, 40)
    assert not [one for one in again.tick(now + 40).incidents if one.id != said.incidents[0].id]


def test_a_page_that_cannot_be_read_is_remembered_with_its_reason() -> None:
    watch = Watch()
    watch.expect([], ["anthropic"])
    watch.page_failed("anthropic", "HTTP 503", T0)
    page = watch.vendor_pages()["anthropic"]
    assert (page.unreachable_since, page.reason) == (T0, "HTTP 503")
    watch.page_unchanged("anthropic", T0 + 60)
    assert (page.unreachable_since, page.read_at) == (None, T0 + 60)


def test_an_incident_ends_by_itself_and_is_not_open_any_more() -> None:
    watch, said, now = suspected()
    stages = [said.incidents[-1].stage]
    while stages[-1] is not Stage.RESOLVED and now < T0 + 6 * 3600:
        now += 10
        watch.observe(attempt(now), now)
        stages += [one.stage for one in watch.tick(now).incidents]
    assert list(dict.fromkeys(stages)) == [Stage.INVESTIGATING, Stage.MONITORING, Stage.RESOLVED]
    assert watch.open() == []
