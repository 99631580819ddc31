"""What messages to subscribers say, in English and French, as plain text and as JSON. Pure.

The words of an incident are its own (title, updates); here they are put in order: what it is, what
is new since the last message, how sure it is, where to read on, how to leave. Everything that came
from outside stands on a line of its own making: no line break, no control sign of others gets
into a subject, a header or a chat message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from outlast.nouns import Incident, Suspicion, Update
from outlast.observatory.notifying import News, Parcel
from outlast.observatory.subscribing import Wanted
from outlast.observatory.words import (
    Lang,
    clock_time,
    component_name,
    listed,
    plain,
    provider_name,
    status_name,
    surface_name,
)

SUBJECT_LIMIT = 120
LINE_LIMIT = 1000
CHAT_LIMIT = 3500
"""Slack cuts messages at 4,000 signs."""
PUSH_LINES = 6
PUSH_LINE_LIMIT = 300
CONFIRM_PAGE = "/status/subscribe/confirm"
MANAGE_PAGE = "/status/subscribe/manage"
WEBHOOK_UPDATES = 10
"""Standard Webhooks asks for bodies below 20 kB; the link has the rest."""

_HEADS: dict[str, dict[Lang, str]] = {
    "opened": {"en": "Suspected", "fr": "Soupçonné"},
    "confirmed": {"en": "Confirmed", "fr": "Confirmé"},
    "extended": {"en": "Spreading", "fr": "S'étend"},
    "worse": {"en": "Worse", "fr": "S'aggrave"},
    "contradiction": {"en": "Contradiction", "fr": "Contradiction"},
    "monitoring": {"en": "Recovering", "fr": "Se rétablit"},
    "relapsed": {"en": "Back again", "fr": "De retour"},
    "resolved": {"en": "Resolved", "fr": "Résolu"},
    "vendor": {"en": "Vendor's word", "fr": "Annonce du fournisseur"},
    "cause": {"en": "Cause", "fr": "Cause"},
    "annotated": {"en": "Note", "fr": "Note"},
    "corrected": {"en": "Correction", "fr": "Correction"},
    "retracted": {"en": "Retracted", "fr": "Rétracté"},
}

_WORDS: dict[str, dict[Lang, str]] = {
    "more": {"en": "Read on:", "fr": "La suite\u00a0:"},
    "leave": {
        "en": "To hear of other things, or no more:",
        "fr": "Pour être averti d'autre chose, ou de plus rien\u00a0:",
    },
    "since": {"en": "Since our last message:", "fr": "Depuis notre dernier message\u00a0:"},
    "affected": {"en": "Affected:", "fr": "Touchés\u00a0:"},
    "suspected": {
        "en": "This is a suspicion: one kind of evidence, not confirmed.",
        "fr": "C'est un soupçon\u00a0: un seul type d'indice, non confirmé.",
    },
    "false": {
        "en": "We told you of this, and we were wrong. We take it back.",
        "fr": "Nous vous en avions parlé à tort. Nous le retirons.",
    },
    "several": {"en": "{n} incidents", "fr": "{n} incidents"},
    "confirm subject": {
        "en": "Confirm that you want to hear of outages",
        "fr": "Confirmez que vous voulez être averti des pannes",
    },
    "confirm": {
        "en": "Somebody, we hope you, asked that this address hear of outages ({what}). To "
        "confirm, open this page within 24 hours:",
        "fr": "Quelqu'un, vous-même nous l'espérons, a demandé que cette adresse soit avertie des "
        "pannes ({what}). Pour confirmer, ouvrez cette page dans les 24 heures\u00a0:",
    },
    "ignore": {
        "en": "If it was not you, do nothing: you will hear no more, and the address is deleted.",
        "fr": "Si ce n'était pas vous, ne faites rien\u00a0: vous ne recevrez plus rien et "
        "l'adresse sera effacée.",
    },
    "welcome": {
        "en": "This channel hears of outages from now on ({what}).",
        "fr": "Ce canal sera désormais averti des pannes ({what}).",
    },
    "welcome title": {"en": "Notices are on", "fr": "Les avis sont activés"},
    "welcome browser": {
        "en": "This browser hears of outages from now on ({what}).",
        "fr": "Ce navigateur sera désormais averti des pannes ({what}).",
    },
    "everything": {"en": "all that we watch", "fr": "tout ce que nous surveillons"},
}


class Links(msgspec.Struct, frozen=True):
    """Where a reader may go on."""

    base: str
    """The service's public address, without a slash at its end."""
    confirm: str = ""
    leave: str = ""
    """For programs. With this subscription's token; whoever has it can end the subscription."""
    manage: str = ""
    """The same for people: a page on which to change or end it."""

    def incident(self, incident_id: str) -> str:
        return f"{self.base}/status/incidents/{quote(incident_id, safe='')}"


class Message(msgspec.Struct, frozen=True):
    """What a person reads."""

    subject: str
    body: str


def confirm_link(base: str, token: str) -> str:
    """Where a mail's link leads: to a page with a button."""
    return f"{base}{CONFIRM_PAGE}?token={token}"


def manage_link(base: str, token: str) -> str:
    """Where people change and end a subscription."""
    return f"{base}{MANAGE_PAGE}?token={token}"


def leave_link(base: str, token: str) -> str:
    """What programs POST to (RFC 8058); whoever opens it is led to the page."""
    return f"{base}/api/subscriptions/unsubscribe?token={token}"


def head(kind: str, lang: Lang) -> str:
    return _HEADS.get(kind, {}).get(lang, kind)


def line(text: str, limit: int = LINE_LIMIT) -> str:
    return plain(text, limit)


def mail(parcel: Parcel, links: Links) -> Message:
    """A mail's subject and its text, with its lines as long as they are."""
    lang = _lang(parcel)
    if not parcel.news:
        what = wanted_words(parcel.subscription.wanted, lang)
        lines = [_say("confirm", lang).format(what=what), links.confirm, "", _say("ignore", lang)]
        return Message(_say("confirm subject", lang), _text(lines))
    blocks = [item_lines(item, parcel.told, links, lang) for item in parcel.news]
    body = "\n\n".join("\n".join(block) for block in blocks)
    foot = ["", "-- ", f"{_say('leave', lang)} {links.manage}"]
    return Message(_subject(parcel, lang), f"{body}\n" + _text(foot))


def chat(parcel: Parcel, links: Links) -> str:
    """The same for a channel of a chat: shorter, and without a subject."""
    lang = _lang(parcel)
    if not parcel.news:
        what = wanted_words(parcel.subscription.wanted, lang)
        return "\n".join(
            [_say("welcome", lang).format(what=what), f"{_say('leave', lang)} {links.manage}"]
        )
    blocks = ["\n".join(item_lines(item, parcel.told, links, lang)) for item in parcel.news]
    text = "\n\n".join(blocks)
    return text if len(text) <= CHAT_LIMIT else text[: CHAT_LIMIT - 1].rstrip() + "…"


def push(parcel: Parcel, links: Links, limit_bytes: int) -> dict[str, str]:
    """What a browser shows: a title, some lines, and the page that opens when they are clicked.

    As JSON it has at most `limit_bytes`. `tag`: what replaces what on the screen.
    """
    lang = _lang(parcel)
    if not parcel.news:
        what = wanted_words(parcel.subscription.wanted, lang)
        body, tag = _say("welcome browser", lang).format(what=what), "welcome"
        title, path = _say("welcome title", lang), links.manage
    elif len(parcel.news) == 1:
        item = parcel.news[0]
        title, tag = _headline(item, lang), item.incident.id
        body, path = _push_line(item, lang), links.incident(item.incident.id)
    else:
        title, tag, path = _subject(parcel, lang), parcel.id, f"{links.base}/status"
        body = "\n".join(f"- {_headline(item, lang)}" for item in parcel.news[:PUSH_LINES])
    joint = "&" if "?" in path else "?"
    url = f"{path.removeprefix(links.base)}{joint}lang={lang}"
    made = {"title": title, "body": body, "tag": tag, "url": url, "lang": lang}
    over = len(msgspec.json.encode(made)) - limit_bytes
    if over > 0:
        kept = body.encode()[: max(0, len(body.encode()) - over - 8)]
        made["body"] = kept.decode(errors="ignore") + "…"
    return made


def _push_line(item: News, lang: Lang) -> str:
    """The newest word, whether it is sure, and what is affected: few lines fit on a phone."""
    said = item.update
    lines = [line(_in(said.text, lang), PUSH_LINE_LIMIT)] if said is not None else []
    if item.kind == "retracted":
        return _say("false", lang)
    if item.kind != "resolved":
        if item.incident.suspicion is not Suspicion.O_DOWN:
            lines.append(_say("suspected", lang))
        lines.append(f"{_say('affected', lang)} {_affected(item.incident, lang)}.")
    return "\n".join(lines)


def _headline(item: News, lang: Lang) -> str:
    title = line(_in(item.incident.title, lang), SUBJECT_LIMIT)
    return f"{head(item.kind, lang)}{_colon(lang)} {title}"


def item_lines(item: News, told: Mapping[str, int], links: Links, lang: Lang) -> list[str]:
    incident = item.incident
    out = [f"{head(item.kind, lang)} — {line(_in(incident.title, lang), SUBJECT_LIMIT)}", ""]
    known = told.get(incident.id, -1)
    fresh = [one for one in item.since(known) if one is not item.update]
    said = item.update
    if item.kind == "retracted":
        out.append(_say("false", lang))
    if said is not None:
        out.append(_update_line(said, lang))
    if item.kind not in {"resolved", "retracted"}:
        if incident.suspicion is not Suspicion.O_DOWN and item.kind != "opened":
            out.append(_say("suspected", lang))
        out.append(f"{_say('affected', lang)} {_affected(incident, lang)}.")
    earlier = [one for one in fresh if said is None or one != said]
    if known >= 0 and earlier:
        out += ["", _say("since", lang), *(f"- {_update_line(one, lang)}" for one in earlier)]
    return [*out, "", f"{_say('more', lang)} {links.incident(incident.id)}"]


def _update_line(update: Update, lang: Lang) -> str:
    return f"{clock_time(update.at)}{_colon(lang)} {line(_in(update.text, lang))}"


def _affected(incident: Incident, lang: Lang) -> str:
    names = [
        f"{line(component_name(name, lang), 120)} ({status_name(status, lang)})"
        for name, status in sorted(incident.components.items())
    ]
    return listed(names, lang, 8)


def _subject(parcel: Parcel, lang: Lang) -> str:
    if len(parcel.news) == 1:
        return line(_headline(parcel.news[0], lang), SUBJECT_LIMIT)
    names = {provider_name(item.incident.provider) for item in parcel.news}
    count = _say("several", lang).format(n=len(parcel.news))
    return line(f"{count}{_colon(lang)} {listed(sorted(names), lang)}", SUBJECT_LIMIT)


def wanted_words(wanted: Wanted, lang: Lang) -> str:
    """What a subscription is about, in a few words."""
    names = [provider_name(one) for one in wanted.providers]
    names += [surface_name(one, lang) for one in wanted.surfaces]
    names += [component_name(one, lang) for one in wanted.components]
    return line(listed(names, lang) or _say("everything", lang), 300)


def payload(parcel: Parcel, links: Links, at: float) -> dict[str, Any]:
    """A webhook's body: one piece of news whole, or the test that comes before the first.

    `type` is `incident.STATE` (Standard Webhooks' way of naming) or `subscription.test`.
    """
    if not parcel.news:
        return {
            "type": "subscription.test",
            "delivery": parcel.id,
            "at": at,
            "subscription": parcel.subscription.id,
            "unsubscribe": links.leave,
        }
    item = parcel.news[0]
    shown = msgspec.structs.replace(item.incident, updates=item.incident.updates[-WEBHOOK_UPDATES:])
    return {
        "type": f"incident.{item.kind}",
        "delivery": parcel.id,
        "state": item.state,
        "at": item.at,
        "incident": shown,
        "update": item.update,
        "components": item.states,
        "url": links.incident(item.incident.id),
        "unsubscribe": links.leave,
    }


def _lang(parcel: Parcel) -> Lang:
    return "fr" if parcel.subscription.wanted.lang == "fr" else "en"


def _in(text: Mapping[str, str], lang: Lang) -> str:
    return text.get(lang) or text.get("en") or next(iter(text.values()), "")


def _colon(lang: Lang) -> str:
    return ":" if lang == "en" else "\u00a0:"


def _say(name: str, lang: Lang) -> str:
    return _WORDS[name][lang]


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
