"""What subscribers read: in both languages, in order, and nothing of others' making steers it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Impact, Status
from outlast.observatory.notify_texts import (
    CHAT_LIMIT,
    PUSH_LINES,
    Links,
    chat,
    confirm_link,
    head,
    leave_link,
    mail,
    manage_link,
    payload,
    push,
    wanted_words,
)
from outlast.observatory.notifying import RULES
from outlast.observatory.subscribe_texts import TEXTS
from outlast.observatory.subscribing import DEFAULT_STATES, EXTRA_STATES, Wanted
from outlast.observatory.words import LANGS, Lang, language
from tests.observatory.notify.people import AT, incident, parcel, step, subscription

BASE = "https://status.example.org"
LINKS = Links(BASE, confirm_link(BASE, "t1"), leave_link(BASE, "t2"), manage_link(BASE, "t2"))


def test_a_suspicion_says_what_is_affected_and_where_to_read_on() -> None:
    said = mail(parcel(*step("opened")), LINKS)
    assert said.subject == "Suspected: Anthropic: partial outage (API)"
    assert said.body.splitlines() == [
        "Suspected — Anthropic: partial outage (API)",
        "",
        "12:00\u00a0UTC: opened in words",
        "Affected: Anthropic API (partial outage).",
        "",
        f"Read on: {BASE}/status/incidents/inc_a",
        "",
        "-- ",
        f"To hear of other things, or no more: {BASE}/status/subscribe/manage?token=t2",
    ]


def test_what_was_missed_is_told_with_the_next_message() -> None:
    (end,) = step("opened", "confirmed", "extended", "resolved")
    said = mail(parcel(end, told=5), LINKS)
    assert "Since our last message:" in said.body
    assert "confirmed in words" in said.body
    assert "extended in words" in said.body
    assert "opened in words" not in said.body
    assert "Affected" not in said.body  # it is over


def test_who_was_told_nothing_yet_gets_no_list_of_what_was_before() -> None:
    (now,) = step("opened", "confirmed")
    assert "Since our last" not in mail(parcel(now), LINKS).body


def test_what_is_not_confirmed_says_so_each_time() -> None:
    (wider,) = step("opened", "extended")
    assert "not confirmed" in mail(parcel(wider), LINKS).body
    (sure,) = step("opened", "confirmed")
    assert "not confirmed" not in mail(parcel(sure), LINKS).body


def test_a_retraction_says_that_we_were_wrong() -> None:
    (back,) = step("opened", "retracted", retracted=True)
    assert "we were wrong" in mail(parcel(back), LINKS).body


def test_a_digest_has_one_subject_and_every_incident() -> None:
    items = (*step("opened"), *step("opened", name="inc_b"))
    said = mail(parcel(*items), LINKS)
    assert said.subject == "2 incidents: Anthropic"
    assert f"{BASE}/status/incidents/inc_a" in said.body
    assert f"{BASE}/status/incidents/inc_b" in said.body


def test_a_mail_to_confirm_says_what_for_and_what_happens_without() -> None:
    wanted = Wanted(lang="fr", providers=("anthropic",))
    said = mail(parcel(to=subscription(wanted=wanted)), LINKS)
    assert said.subject == "Confirmez que vous voulez être averti des pannes"
    assert "(Anthropic)" in said.body
    assert LINKS.confirm in said.body
    assert "l'adresse sera effacée" in said.body


def test_a_chat_message_is_cut_before_the_service_cuts_it() -> None:
    items = [one for number in range(40) for one in step("opened", name=f"inc_{number}")]
    assert len(chat(parcel(*items), LINKS)) <= CHAT_LIMIT
    assert "from now on (all that we watch)" in chat(parcel(to=subscription()), LINKS)


@pytest.mark.parametrize("lang", LANGS)
def test_every_state_that_can_be_told_has_words(lang: Lang) -> None:
    for kind in DEFAULT_STATES + EXTRA_STATES:
        assert head(kind, lang) != kind
        if kind in RULES:
            name = "opened" if kind == "opened" else ""
            kinds = ("opened",) if name else ("opened", kind)
            items = step(*kinds, retracted=kind == "retracted", cause="overload")
            wanted = Wanted(lang=lang)
            said = mail(parcel(*items, to=subscription(wanted=wanted)), LINKS)
            assert said.subject.startswith(head(kind, lang))


def test_words_of_a_missing_language_are_those_of_the_other() -> None:
    (one,) = step("opened", title={"en": "Only English"})
    said = mail(parcel(one, to=subscription(wanted=Wanted(lang="fr"))), LINKS)
    assert "Only English" in said.subject


def test_hostile_words_stay_on_their_line() -> None:
    title = "x\r\nSubject: y\u202e\x1b[31m"
    said = mail(parcel(*step("opened", title={"en": title, "fr": title})), LINKS)
    assert "\r" not in said.subject + said.body
    assert "\n" not in said.subject
    assert "\x1b" not in said.body
    assert "\u202e" not in said.body


def test_an_incident_with_a_strange_id_does_not_break_its_link() -> None:
    assert LINKS.incident("a/b?c") == f"{BASE}/status/incidents/a%2Fb%3Fc"


def test_what_a_subscription_is_about_in_words() -> None:
    wanted = Wanted(providers=("anthropic",), surfaces=("web",), components=("openai/api",))
    assert wanted_words(wanted, "en") == "Anthropic, web and OpenAI API"
    assert wanted_words(Wanted(), "fr") == "tout ce que nous surveillons"


def test_a_webhooks_type_names_the_state() -> None:
    (worse,) = step("opened", "confirmed", impact=Impact.MAJOR)
    assert payload(parcel(worse), LINKS, AT)["type"] == "incident.confirmed"
    assert payload(parcel(), LINKS, AT)["type"] == "subscription.test"
    assert worse.incident.components == {"anthropic/api": Status.PARTIAL}


def test_a_browser_is_shown_what_is_new_and_where_to_read_on() -> None:
    (worse,) = step("opened", "confirmed")
    shown = push(parcel(worse, to=subscription(wanted=Wanted(lang="fr"))), LINKS, 3000)
    assert shown == {
        "title": "Confirmé\u00a0: Anthropic : panne partielle (API)",
        "body": "confirmed en mots\nTouchés\u00a0: Anthropic API (panne partielle).",
        "tag": "inc_a",
        "url": "/status/incidents/inc_a?lang=fr",
        "lang": "fr",
    }
    (suspected,) = step("opened")
    assert "one kind of evidence" in push(parcel(suspected), LINKS, 3000)["body"]
    (wrong,) = step("opened", "retracted", retracted=True)
    assert "we were wrong" in push(parcel(wrong), LINKS, 3000)["body"]


def test_a_browser_s_first_notification_leads_to_the_page_that_ends_it() -> None:
    shown = push(parcel(), LINKS, 3000)
    assert shown["url"] == "/status/subscribe/manage?token=t2&lang=en"
    assert "all that we watch" in shown["body"]


def test_a_browser_s_digest_is_a_line_for_each() -> None:
    items = [step("opened", name=f"inc_{number}")[0] for number in range(9)]
    shown = push(parcel(*items), LINKS, 3000)
    assert shown["title"].startswith("9 incidents")
    assert len(shown["body"].splitlines()) == PUSH_LINES
    assert shown["url"] == "/status?lang=en"


@given(st.sampled_from('aé€𝄞"\\'), st.integers(700, 900))
def test_a_notification_never_outgrows_what_fits_in(sign: str, limit: int) -> None:
    long = {"en": sign * 900, "fr": sign * 900}
    update = msgspec.structs.replace(incident("opened").updates[0], text=long)
    one = step("opened", title=long, updates=(update,))[0]
    items = [step("opened", name=f"inc_{number}", title=long)[0] for number in range(9)]
    for parcels in (parcel(one), parcel(*items)):
        made = push(parcels, LINKS, limit)
        assert len(msgspec.json.encode(made)) <= limit
        assert made["title"]
    assert len(msgspec.json.encode(push(parcel(*items), LINKS, 99_999))) > limit


def test_every_text_of_the_api_is_there_in_both_languages_with_the_same_blanks() -> None:
    for name, text in TEXTS.items():
        assert set(text) == set(LANGS), name
        assert text["en"].count("{") == text["fr"].count("{"), name


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [
        ("fr-CA,en;q=0.5", "fr"),
        ("de, fr;q=0.5", "fr"),
        ("en,fr", "en"),
        ("", "en"),
        ("x" * 9999, "en"),
        ("fr;q=0.2,en;q=0.9", "en"),
        ("fr;q=0,de", "en"),
    ],
)
def test_the_readers_language_is_chosen_from_what_is_accepted(accepted: str, lang: Lang) -> None:
    assert language(accepted.encode()) == lang
