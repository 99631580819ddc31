"""How far an outage reaches, in figures and in both languages' words."""

from __future__ import annotations

from outlast.nouns import ComponentState, Evidence, Status, Suspicion
from outlast.observatory.extent import extent_of
from tests.observatory.incidents.test_acting import incident


def state(
    name: str, status: Status = Status.OPERATIONAL, tried: float = 0, share: float = 0.0
) -> ComponentState:
    suspicion = Suspicion.S_DOWN if status.rank else Suspicion.NONE
    evidence = (Evidence("traffic", 1.0, 1.0, failures=share * tried, total=tried),) * bool(tried)
    interval = (share, max(0.0, share - 0.1), min(1.0, share + 0.1))
    return ComponentState(name, status, suspicion, 0.9, 1.0, 1.0, evidence, "", interval)


def test_it_tells_what_fails_what_does_not_and_what_nobody_looked_at() -> None:
    found = extent_of(
        incident(),
        [
            state("anthropic/api", Status.PARTIAL, 200, 0.4),
            state("anthropic/api/opus", Status.MAJOR, 100, 0.8),
            state("anthropic/api/haiku", Status.OPERATIONAL, 100),
            state("anthropic/login", Status.OPERATIONAL, 5),
            state("anthropic/web", Status.OPERATIONAL),
            state("openai/api", Status.MAJOR, 10, 1.0),
            state("outlast/upstream/main", Status.MAJOR, 10, 1.0),
        ],
        {"FR": 12, "US": 40},
    )
    assert found.says["en"] == (
        "API: partial outage (40% of our requests fail, between 30% and 50%), failing: opus; "
        "not failing: haiku. Login: no failure seen. Web, mobile app and coding tool: not known. "
        "Reports by region: US (40) and FR (12)."
    )
    assert found.says["fr"].startswith("API\u00a0: panne partielle (40\u00a0% de nos requêtes")
    by_name = {one.surface: one for one in found.surfaces}
    assert by_name["api"].models_failing == ("opus",)
    assert not by_name["web"].known
    assert by_name["login"].error_share is not None


def test_a_few_failures_as_usual_are_not_called_none() -> None:
    found = extent_of(incident(), [state("anthropic/api", Status.OPERATIONAL, 200, 0.01)])
    assert found.says["en"].startswith("API: few failures, no outage seen.")
    assert found.says["fr"].startswith("API\u00a0: peu d'échecs, aucune panne.")


def test_a_surface_that_only_people_speak_of_has_no_share() -> None:
    crowd = ComponentState(
        "anthropic/web",
        Status.DEGRADED,
        Suspicion.S_DOWN,
        0.5,
        1.0,
        1.0,
        (Evidence("report", 1.0, 2.0, failures=30),),
    )
    web = next(s for s in extent_of(incident(), [crowd]).surfaces if s.surface == "web")
    assert web.known
    assert web.error_share is None
