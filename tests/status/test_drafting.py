"""Drafts: what the record says, and nothing that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from outlast.nouns import Evidence, Incident, Stage
from outlast.observatory.words import LANGS, Lang
from outlast.status.drafting import _WORDS, draft, post_mortem
from outlast.status.texts import TEXTS
from tests.status.machine_house import HOSTILE, NOW, outage, over, suspected, update

SEEN = Evidence("traffic", NOW, 5.0, failures=1240, total=2000, fired=True)


def with_evidence() -> Incident:
    more = update(NOW, "extended", Stage.INVESTIGATING, "More.", evidence=(SEEN,))
    return outage(updates=(*outage().updates, more))


SAYS: tuple[tuple[Incident, Lang, str], ...] = (
    (outage(), "en", "major outage, since about 11:47"),
    (outage(), "fr", "panne majeure, depuis 11:47"),
    (outage(), "en", "This is confirmed."),
    (suspected(), "en", "This is not confirmed."),
    (with_evidence(), "en", "1,240 of 2,000 requests failed in the last 5 minutes."),
    (outage(), "en", "The cause is not known."),
    (outage(cause="deploy"), "en", "Nobody has confirmed it."),
    (outage(cause="deploy", cause_confirmed_by="Ada"), "en", "rolled out, confirmed by Ada."),
    (outage(stage=Stage.MONITORING), "en", "API and Anthropic web: working again."),
    (outage(stage=Stage.MONITORING), "fr", "web\u00a0: à nouveau en marche."),
    (over(relapses=2), "en", "It came back 2 times."),
    (over(), "en", "from 2026-03-01 11:29 UTC to 2026-03-01 12:20 UTC"),
    (over(retracted=True), "en", "it was not an outage"),
)


@pytest.mark.parametrize(("incident", "lang", "words"), SAYS)
def test_a_draft_says_what_the_record_says(incident: Incident, lang: Lang, words: str) -> None:
    assert words in draft(incident, lang)


def test_a_draft_leaves_open_what_only_a_person_can_know() -> None:
    for lang in LANGS:
        assert "[" in draft(outage(), lang)
        assert "[" in post_mortem(over(), lang)


def test_a_post_mortem_has_its_parts_and_every_entry_but_the_wavering() -> None:
    wavering = update(NOW, "changed", Stage.INVESTIGATING, "Wavers.")
    text = post_mortem(over(updates=(*over().updates, wavering)), "en")
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(heads) == 6
    assert "- 2026-03-01 11:30 UTC: Suspected." in text
    assert "- Anthropic API: major outage" in text
    assert "Wavers." not in text


VENDOR = (
    ((), "No notice of Anthropic's"),
    ((update(NOW, "vendor", Stage.IDENTIFIED, "Said."),), "40\u00a0min after we opened it."),
    ((update(NOW - 9000, "vendor", Stage.IDENTIFIED, "Said."),), "by the time we opened it"),
)


@pytest.mark.parametrize(("more", "words"), VENDOR)
def test_a_post_mortem_says_when_the_vendor_spoke(more: tuple[object, ...], words: str) -> None:
    incident = outage(updates=(*outage().updates, *more), notices=("f/1",) if more else ())
    assert words in post_mortem(incident, "en")


def test_a_strangers_words_begin_no_heading() -> None:
    bad = update(NOW, "vendor", Stage.IDENTIFIED, f"\n# Heading\n## More {HOSTILE}")
    said = {"en": "\n# no heading", "fr": "\n# no heading"}
    text = post_mortem(outage(title=said, updates=(*outage().updates, bad)), "en")
    assert [line for line in text.splitlines() if line.startswith("# ")] == ["# # no heading"]
    assert not any(line.startswith("## More") for line in text.splitlines())


@pytest.mark.parametrize("words", [_WORDS, {"texts": TEXTS["fr"]}], ids=["drafts", "page"])
def test_french_needs_no_elision_before_a_name(words: Mapping[str, Mapping[str, str]]) -> None:
    """Said is "de Mistral" and "d'Anthropic": no sentence puts such a word there."""
    said = " ".join(text for texts in words.values() for text in texts.values())
    assert "{vendor}" in said
    assert re.findall(r"\b(?:de|que|le|la|je|se) \{(?:vendor|provider|who)\}", said) == []
