"""2 March 2026, read as a worried person and as a pedant would: nothing that is said was false.

What was known then is public: people complained from 11:37; the vendor's first word came at 11:49;
at 12:06 it marked everything, at 12:21 it said that the API was fine, at 13:37 that it was not;
it saw a fix at 15:25 and the end at 15:47 (another notice: 15:50); at 16:50 it all began again.
No cause was ever stated. How much failed is the rehearsal's own guess (its first lines say so).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from outlast.nouns import Stage, Status, Suspicion
from outlast.observatory.recovery import TooFew
from outlast.observatory.words import LANGS, Lang
from outlast.status import machines
from outlast.status.page import Renderer
from outlast.status.view import Row, Snapshot
from tests.status.days import MOMENTS, clock, second_of_march

RENDERER = Renderer()
BAD = [one for one in MOMENTS if one not in {"11:30", "15:55"}]
CAUSES = re.compile(
    r"overload|capacity|deploy|configuration|datacent|AWS|ChatGPT|surcharge|capacité|déploiement",
    re.IGNORECASE,
)


def view(at: str) -> Snapshot:
    return second_of_march()[at]


def body(at: str, lang: Lang, path: str = "") -> str:
    return RENDERER.render(view(at), path, lang).body.decode()


def words(text: str) -> str:
    """A page as it is read aloud, with a mark between blocks."""
    text = re.sub(r"<(style|script|title)>.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"</(p|li|h\d|tr|td|th|article|section|summary|caption|div)>", " ¶ ", text)
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    return re.sub(r"\s+", " ", text.replace("\u00a0", " "))


def pages(at: str) -> list[str]:
    incidents = [one.incident.id for one in (*view(at).open, *view(at).recent)]
    return ["", "anthropic", *(f"incidents/{one}" for one in incidents)]


def everything(at: str, lang: Lang) -> Iterator[str]:
    for path in pages(at):
        yield words(body(at, lang, path))


def row(at: str, surface: str) -> Row:
    (provider,) = view(at).providers
    return next(one for one in provider.rows if one.surface == surface and not one.model)


def listed(at: str, lang: Lang, name: str) -> str:
    """What stands beside a component in the list of them."""
    found = re.search(rf'<div class="row"><b>{name}</b>(.*?)</div>', body(at, lang), re.DOTALL)
    assert found is not None
    return words(found[1]).strip()


def document(at: str, path: str) -> dict[str, Any]:
    made = machines.answer(view(at), path)
    assert made is not None
    found: dict[str, Any] = json.loads(made.body)
    return found


# -- the headline, at each moment ------------------------------------------------------------

HEADLINES = {
    "11:30": ("No outage is known.", "Aucune panne connue."),
    "11:45": (
        "Anthropic is failing, since about 11:38 UTC. This is confirmed.",
        "Anthropic est en panne, depuis 11:38 UTC environ. C'est confirmé.",
    ),
    "17:00": (
        "Anthropic is failing again, since about 16:50 UTC. This is confirmed.",
        "Anthropic est à nouveau en panne, depuis 16:50 UTC environ. C'est confirmé.",
    ),
}


@pytest.mark.parametrize("at", ["11:30", "11:45", "17:00"])
def test_the_first_sentence_is_the_whole_truth_in_one_line(at: str) -> None:
    for lang, said in zip(LANGS, HEADLINES[at], strict=True):
        assert f"<h1>{said}</h1>" in body(at, lang).replace("\u00a0", " ").replace("&#39;", "'")


def test_what_only_fails_in_part_is_not_said_to_be_down() -> None:
    """At 15:30 the fix is in place, and nothing is a major outage any more."""
    now = [state.status for shown in view("15:30").open for state in shown.states]
    assert Status.MAJOR not in now
    assert "Anthropic is failing in part, since about 11:38" in view("15:30").headline["en"]


def test_after_the_vendor_s_all_clear_it_is_watched_and_not_yet_called_over() -> None:
    assert view("15:55").headline["en"].startswith("Anthropic: working again.")
    for lang, said in (("en", "says (resolved): “It is over.”"), ("fr", "dit (résolu) : «")):
        text = words(body("15:55", lang, pages("15:55")[-1]))  # type: ignore[arg-type]
        assert said in text
        assert "Healthy for 15 min" not in text
        assert "Tout fonctionne depuis" not in text


# -- suspected and confirmed -----------------------------------------------------------------


def test_nothing_is_called_confirmed_by_one_kind_of_evidence() -> None:
    """Nobody but our probes saw the login: people and the vendor's page have no word for it."""
    for at in BAD:
        assert row(at, "login").state.suspicion is Suspicion.S_DOWN
        assert listed(at, "en", "Login").startswith("suspected, not confirmed")
        card = words(body(at, "en"))
        login = card[card.index("Anthropic login") :][:60]
        assert login.startswith("Anthropic login suspected, not confirmed")
        assert listed(at, "fr", "Connexion").startswith("soupçonné, pas confirmé")


def test_the_web_was_confirmed_at_11_44_before_the_vendor_s_first_word() -> None:
    (shown,) = view("11:45").open
    confirmed = [one for one in shown.incident.updates if one.kind == "confirmed"]
    assert [one.components for one in confirmed] == [("anthropic/web",)]
    assert clock("11:44") <= confirmed[0].at < clock("11:45")
    assert shown.incident.opened_at < clock("11:40")
    for lang, said in (("en", "Anthropic has posted nothing about it."), ("fr", "n'a rien publié")):
        assert said in words(body("11:45", lang))  # type: ignore[arg-type]
    for at in BAD[1:]:
        assert "has posted nothing" not in words(body(at, "en"))


def test_times_are_those_of_the_day() -> None:
    for at in BAD:
        (shown,) = view(at).open
        assert clock("11:37") <= shown.incident.started_at <= clock("11:39")
        assert all(update.at <= clock(at) for update in shown.incident.updates)
        assert f"As of 2026-03-02 {at} UTC" in words(body(at, "en"))
        assert f"État au 2026-03-02 {at} UTC" in words(body(at, "fr"))


# -- no cause, no promise ----------------------------------------------------------------------


@pytest.mark.parametrize("at", BAD)
def test_no_cause_is_claimed_by_us_at_any_time(at: str) -> None:
    for text in everything(at, "en"):
        assert CAUSES.search(text.partition("Rumours and statements")[0]) is None
    (shown,) = view(at).open
    assert shown.incident.cause == "unknown"
    assert "Unknown. Anthropic has named none" in words(body(at, "en"))
    assert "Inconnu. Anthropic n'en a donné aucun" in words(body(at, "fr"))


@pytest.mark.parametrize("at", BAD)
def test_without_history_no_end_is_foretold(at: str) -> None:
    (shown,) = view(at).open
    assert isinstance(shown.forecast, TooFew)
    for lang, said in (("en", "Not enough history to say when"), ("fr", "Pas assez d'historique")):
        text = words(body(at, lang))  # type: ignore[arg-type]
        assert said in text
        assert "Most likely" not in text
        assert "Le plus probable" not in text


def test_while_it_is_only_watched_nothing_is_said_of_how_long_it_lasts() -> None:
    for lang in LANGS:
        assert "Not enough history" not in words(body("15:55", lang))
        assert "Pas assez d'historique" not in words(body("15:55", lang))


def test_rumours_come_when_they_came_and_stay_unconfirmed() -> None:
    for at, rumours in {"11:45": 0, "12:30": 0, "13:40": 2, "15:30": 2, "17:00": 2}.items():
        text = words(body(at, "en"))
        assert text.count("unconfirmed Source:") == rumours
        assert ("ChatGPT" in text) is (rumours > 0)
        assert ("AWS" in text) is (rumours > 0)
        french = words(body(at, "fr"))
        assert french.count("non confirmé Source :") == rumours


def test_the_vendor_s_all_clear_is_the_vendor_s_and_was_refuted() -> None:
    text = words(body("17:00", "en"))
    assert text.count("Anthropic says: “It is over.” refuted Source: Anthropic") == 2
    assert "démenti Source : Anthropic" in words(body("17:00", "fr"))


# -- the API was never fine ----------------------------------------------------------------------


@pytest.mark.parametrize("at", BAD)
def test_the_api_is_never_called_fine_while_probes_or_traffic_fail(at: str) -> None:
    state = row(at, "api").state
    assert sum(one.failures for one in state.evidence if one.kind in {"traffic", "probe"}) > 0
    assert "operational" not in listed(at, "en", "API")
    assert "opérationnel" not in listed(at, "fr", "API")
    badge = machines.answer(view(at), "/status/anthropic/api/badge.svg")
    assert badge is not None
    assert b"operational" not in badge.body
    summary = document(at, "/api/v2/summary.json")
    assert "Operational" not in json.dumps(summary["status"])
    if at != "11:45":
        (one,) = [c for c in summary["components"] if c["name"] == "Anthropic API"]
        assert one["status"] != "operational"


def test_what_nobody_tried_is_not_called_operational() -> None:
    """Nobody but people ever speaks of the app; at 11:45 they complain, and no test has fired."""
    assert row("11:45", "mobile").state.status is Status.OPERATIONAL
    for at in ("11:30", "11:45", "17:00"):
        assert listed(at, "en", "Mobile app").startswith("not looked at")
        assert listed(at, "fr", "Application mobile").startswith("pas observé")
    assert "20 of problems" in words(body("11:45", "en"))


# -- what the vendor says, and what is seen -----------------------------------------------------

SIDES = {"en": "The vendor and the evidence disagree", "fr": "Le fournisseur et les indices se"}


def test_the_contradiction_of_12_21_is_shown_with_both_sides_and_gone_when_it_was_taken_back() -> (
    None
):
    for lang, heading in SIDES.items():
        text = words(body("12:30", lang))  # type: ignore[arg-type]
        both = text[text.index(heading) :][:400]
        assert "Anthropic API" in both
        assert "95" in both  # of so many requests
        assert heading not in words(body("13:40", lang))  # type: ignore[arg-type]
    assert "Its status page shows Anthropic API as working." in words(body("12:30", "en"))
    assert "“The API is operating normally" in words(body("12:30", "en"))
    assert "“Some API methods do not work.”" in words(body("13:40", "en"))
    (shown,) = view("13:40").open
    assert sum(one.kind == "contradiction" for one in shown.incident.updates) >= 2


def test_a_vendor_s_words_are_never_given_as_proof_of_what_they_do_not_say() -> None:
    """At 12:30 its only sentence is that the API is fine; it marks the coding tool all the same."""
    text = words(body("12:30", "en"))
    tool = text[text.index("Anthropic coding tool") :][:200]
    assert "Anthropic reports trouble there, and says: “The API is operating normally" in tool


@pytest.mark.parametrize("at", BAD)
def test_shares_say_what_they_are_shares_of(at: str) -> None:
    text = words(body(at, "en"))
    assert re.search(r"Web: [a-z ]+ \(\d+% of our probes fail", text)
    api = re.search(r"API: ([^.]+)\.", text)
    assert api is not None
    assert "of our probes" not in api[1]
    assert "of our requests and probes fail" in api[1] or "few failures" in api[1]
    assert "de nos sondes échouent" in words(body(at, "fr"))


# -- the end that was none ------------------------------------------------------------------------


def test_the_relapse_of_16_50_opens_the_same_incident_again() -> None:
    before, after = view("15:55").open[0].incident, view("17:00").open[0].incident
    assert before.id == after.id
    assert (before.relapses, after.relapses) == (0, 1)
    assert after.stage is Stage.INVESTIGATING
    assert view("17:00").recent == ()
    text = words(body("17:00", "en", f"incidents/{after.id}"))
    assert "back since about 2026-03-02 16:50 UTC; it first began at about 2026-03-02 11:38" in text
    assert "It is back (relapse 1)" in text
    assert "It lasted about 4 h 12 min, from 11:38 UTC to 15:50 UTC." in text
    french = words(body("17:00", "fr", f"incidents/{after.id}"))
    assert "de retour depuis le 2026-03-02 16:50 UTC" in french


def test_the_calm_before_the_relapse_counts_for_nobody_as_an_outage() -> None:
    day = row("17:00", "web").days[-1]
    assert day.status is Status.MAJOR
    # From 11:41 to 15:50, and from 16:50 to 17:00; the API joined at 11:46.
    assert day.down_s == pytest.approx(4 * 3600 + 19 * 60, abs=120)
    assert row("17:00", "api").days[-1].down_s < day.down_s - 200
    assert row("17:00", "mobile").days[-1].down_s == 0.0
    uptime = row("17:00", "web").uptime
    assert uptime == pytest.approx(1 - day.down_s / (29 * 86_400 + 17 * 3600), rel=1e-6)


def test_a_title_calls_nothing_worse_than_it_was() -> None:
    titles = {at: view(at).open[0].incident.title["en"] for at in BAD}
    assert titles["11:45"] == "Anthropic: major outage (login and web)"
    assert (
        titles["12:30"]
        == "Anthropic: major outage (login and web), also API, coding tool and mobile app"
    )


# -- programs hear the same --------------------------------------------------------------------


@pytest.mark.parametrize("at", BAD)
def test_the_json_says_the_same(at: str) -> None:
    summary = document(at, "/api/v2/summary.json")
    assert summary["status"]["description"] == view(at).headline["en"].replace("\u00a0", " ")
    (incident,) = summary["incidents"]
    assert incident["status"] == {"13:40": "identified", "15:30": "identified"}.get(
        at, "investigating"
    )
    names = {c["name"]: c["status"] for c in summary["components"]}
    assert names["Anthropic login"] == "degraded_performance"  # suspected, at most degraded
    text = json.dumps(summary)
    assert CAUSES.search(text.replace("ChatGPT", "")) is None


def test_french_has_its_spaces_and_no_english_words() -> None:
    english = re.compile(r"\b(outage|failing|people|since|vendor|probes|Timeline|Source: )\b")
    for at in MOMENTS:
        for path in pages(at):
            made = body(at, "fr", path)
            text = re.sub(r"«.*?»|“.*?”", "", words(made))
            assert english.search(text) is None, english.search(text)
            plain = re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", "¶", made, flags=re.DOTALL)
            plain = re.sub(r"«.*?»", "", html.unescape(plain))
            bare = re.search(r"[^\W\d_][:;?!](?=[\s¶]|$)", plain)
            assert bare is None, plain[bare.start() - 40 : bare.end() + 5]
