"""What updates and the headline say, and that they say no more than is known."""

from __future__ import annotations

import msgspec
import pytest

from outlast.nouns import ComponentState, Evidence, Status, Suspicion
from outlast.observatory import incident_texts as texts
from outlast.observatory.headline import headline
from outlast.observatory.watch import Watch
from tests.observatory.incidents.test_acting import incident

T0 = 1_772_451_000.0
API = "anthropic/api"


def state(*evidence: Evidence, contradiction: str = "") -> ComponentState:
    return ComponentState(
        API, Status.PARTIAL, Suspicion.S_DOWN, 0.9, T0, T0, evidence, contradiction
    )


def seen(kind: str, failures: float, *, fired: bool = True) -> Evidence:
    return Evidence(kind, T0, 3.0, failures=failures, total=100, fired=fired)


@pytest.mark.parametrize(
    ("kinds", "en", "fr"),
    [
        pytest.param(("traffic",), "One kind of evidence", "Un seul type", id="one"),
        pytest.param(("traffic", "probe"), "One kind of evidence", "Un seul type", id="both ours"),
        pytest.param(("traffic", "report"), "Not confirmed yet.", "Pas encore confirmé.", id="two"),
    ],
)
def test_a_suspicion_says_how_many_kinds_it_rests_on(
    kinds: tuple[str, ...], en: str, fr: str
) -> None:
    said = texts.opened(state(*(seen(kind, 30) for kind in kinds)), "anthropic")
    assert en in said["en"]
    assert fr in said["fr"]
    assert ("One kind" in said["en"]) is (en == "One kind of evidence")


def test_no_failure_is_said_only_where_there_was_none() -> None:
    none = state(seen("traffic", 0, fired=False), contradiction="vendor_says_down")
    assert "We see no failure there" in texts.contradiction(none, "anthropic")["en"]
    few = state(seen("traffic", 2, fired=False), contradiction="vendor_says_down")
    said = texts.contradiction(few, "anthropic")
    assert said["en"].endswith("We see none ourselves: 2 of 100 tries of the last minutes failed.")
    assert "2 essais sur 100" in said["fr"]
    assert "aucun échec" not in said["fr"]


def test_a_page_that_nobody_could_read_is_not_taken_for_a_look() -> None:
    watch = Watch()
    watch.expect([API], ["anthropic"])
    watch.page_failed("anthropic", "HTTP 503", T0)
    watch.tick(T0)
    assert headline([], watch.states())["en"].startswith("Nothing has been looked at yet")
    watch.page_unchanged("anthropic", T0 + 60)
    watch.tick(T0 + 60)
    assert headline([], watch.states())["en"] == "No outage is known."


@pytest.mark.parametrize(
    ("providers", "en", "fr"),
    [
        (("anthropic",), "is failing", "est en panne"),
        (("anthropic", "anthropic"), "is failing", "est en panne"),
        (("anthropic", "openai"), "are failing", "sont en panne"),
    ],
)
def test_the_headline_counts_providers_and_not_incidents(
    providers: tuple[str, ...], en: str, fr: str
) -> None:
    one = msgspec.structs.replace(incident(), suspicion=Suspicion.O_DOWN)
    found = headline([msgspec.structs.replace(one, provider=name) for name in providers], [])
    assert f" {en} " in found["en"]
    assert f" {fr} " in found["fr"]


def test_a_suspicion_of_two_is_of_several_in_french() -> None:
    two = [msgspec.structs.replace(incident(), provider=name) for name in ("anthropic", "openai")]
    assert "semblent en panne" in headline(two, [])["fr"]
