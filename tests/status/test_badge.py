"""Badges: what they say, that all can read it, and that they load nothing."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from outlast.nouns import Stage, Status, Suspicion
from outlast.observatory.words import Lang
from outlast.status.badge import Said, badge, draw, said
from outlast.status.scope import Scope
from outlast.status.view import Snapshot
from tests.status.machine_house import (
    API,
    HOSTILE,
    NOW,
    OPENAI,
    WEB,
    failing,
    outage,
    quiet,
    shot,
    state,
)

SVG = "{http://www.w3.org/2000/svg}"
ANTHROPIC = Scope(provider="anthropic")

SAYS: tuple[tuple[Snapshot, Scope, Lang, str], ...] = (
    (quiet(), Scope(), "en", "operational"),
    (quiet(), Scope(), "fr", "opérationnel"),
    (failing(), Scope(), "en", "major outage"),
    (failing(), Scope(component=WEB), "en", "partial outage"),
    (failing(), Scope(component=OPENAI), "en", "suspected: major outage"),
    (shot(stale=True, at=NOW - 900), Scope(), "en", "not known (out of date)"),
    (shot(states=(state(OPENAI, evidence=()),)), Scope(component=OPENAI), "en", "not looked at"),
    (shot(outage(stage=Stage.MONITORING)), ANTHROPIC, "en", "working again"),
    (shot(states=(state(API, Status.MAINTENANCE),)), ANTHROPIC, "en", "under maintenance"),
)


@pytest.mark.parametrize(("snapshot", "scope", "lang", "words"), SAYS)
def test_a_badge_says_the_worst_that_is_known(
    snapshot: Snapshot, scope: Scope, lang: Lang, words: str
) -> None:
    assert said(snapshot, scope, lang).words == words


def test_what_is_confirmed_goes_before_a_worse_suspicion() -> None:
    snapshot = shot(
        states=(
            state(API, Status.MAJOR, Suspicion.S_DOWN),
            state(WEB, Status.DEGRADED, Suspicion.O_DOWN),
        )
    )
    assert said(snapshot, Scope(), "en").words == "degraded"


def test_it_has_a_name_for_who_does_not_see_it_and_words_for_who_sees_no_colours() -> None:
    root = ElementTree.fromstring(badge(failing(), ANTHROPIC, "en"))
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext(f"{SVG}title") == "Anthropic: major outage"
    assert [one.text for one in root.iter(f"{SVG}text")] == ["Anthropic", "major outage"]


def test_it_loads_and_runs_nothing() -> None:
    body = badge(failing(), ANTHROPIC, "en").decode()
    for word in ("href", "url(", "<style", "<script", "@import", "onload", "<image"):
        assert word not in body


def test_a_hostile_name_stays_a_text() -> None:
    root = ElementTree.fromstring(draw(HOSTILE * 3, Said(HOSTILE, "#123456"), "en"))
    kinds = {one.tag.removeprefix(SVG) for one in root.iter()}
    assert kinds == {"svg", "title", "rect", "path", "g", "text"}
    assert int(root.get("width") or 0) < 1000


def test_what_does_not_exist_is_called_so() -> None:
    root = ElementTree.fromstring(badge(quiet(), None, "fr"))
    assert root.findtext(f"{SVG}title") == "Outlast\u00a0: composant inconnu"


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("snapshot", "scope", "lang", "words"), SAYS)
def test_its_white_words_can_be_read_on_their_colour(
    snapshot: Snapshot, scope: Scope, lang: Lang, words: str
) -> None:
    found = said(snapshot, scope, lang)
    assert 1.05 / (luminance(found.colour) + 0.05) >= 4.5, words
