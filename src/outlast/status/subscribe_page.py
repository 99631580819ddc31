"""The pages on which people subscribe, as HTML: forms that work without a script.

The one script on them does what only a script can: it writes the reader's time zone into the form,
and offers the notifications of the browser itself where the browser has them, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup

from outlast.nouns import Impact
from outlast.observatory.accepting import Asked, Problem
from outlast.observatory.notify_texts import MANAGE_PAGE
from outlast.observatory.subscribing import DEFAULT_STATES, EXTRA_STATES, Channel, Digest, Wanted
from outlast.observatory.words import Lang, component_name, provider_name, surface_name
from outlast.observatory.zones import is_zone
from outlast.status.page import FOLDER, ROOT, Renderer, content_hash, squeezed
from outlast.status.subscribe_texts import FORM
from outlast.status.texts import TEXTS
from outlast.status.view import Snapshot

HERE = f"{ROOT}/subscribe"
WORKER = f"{ROOT}/push.js"
FORM_KINDS = (Channel.EMAIL, Channel.SLACK, Channel.WEBHOOK)
"""What can be asked for with a form; a browser's own notifications need a script."""
_PLACES = frozenset(
    {"kind", "target", "components", "impact", "digest", "hour", "zone", "lang", "states"}
)
"""Fields of the form that a problem can lead to."""


class Option(msgspec.Struct, frozen=True):
    field: str
    value: str
    label: str
    on: bool


class Group(msgspec.Struct, frozen=True):
    """What is offered of one provider."""

    name: str
    options: tuple[Option, ...]
    models: tuple[Option, ...] = ()
    """Folded away unless one of them is selected."""

    @property
    def unfolded(self) -> bool:
        return any(one.on for one in self.models)


class Choice(msgspec.Struct, frozen=True):
    """What a form offers, and what of it is selected."""

    kinds: tuple[str, ...]
    groups: tuple[Group, ...]
    impacts: tuple[str, ...]
    digests: tuple[str, ...]
    states: tuple[Option, ...]
    zoned: bool
    """Whether time zones are known here, beyond UTC."""


class Wrong(msgspec.Struct, frozen=True):
    """A problem as the page shows it."""

    text: str
    place: str = ""
    """The id of what it is about on the page."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a page about a subscription says, and its button if there is something to do."""

    title: str
    lines: tuple[str, ...] = ()
    card: str = ""
    """How the lines are set off: fine, bad or maybe."""
    wishes: tuple[str, ...] = ()
    secret: str = ""
    manage: str = ""
    action: str = ""
    button: str = ""
    do: str = ""
    after: tuple[str, ...] = ()
    again: bool = False


class FormRenderer(Renderer):
    """The status page's templates, with the forms' style and script."""

    def __init__(self) -> None:
        super().__init__()
        self._css += squeezed((FOLDER / "forms.css").read_text(encoding="utf-8"))
        self._script = (FOLDER / "subscribe.js").read_text(encoding="utf-8").strip()
        self.worker = (FOLDER / "push.js").read_bytes()

    @property
    def policy(self) -> str:
        return (
            f"default-src 'none'; style-src '{content_hash(self._css)}'; "
            f"script-src '{content_hash(self._script)}'; worker-src 'self'; connect-src 'self'; "
            "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )

    def form(
        self,
        view: Snapshot,
        lang: Lang,
        asked: Asked,
        kinds: Sequence[Channel],
        *,
        push_key: str = "",
        problems: Sequence[Wrong] = (),
    ) -> bytes:
        """The page to subscribe on. `push_key`: what a browser needs; empty: no notifications."""
        offered = tuple(one.value for one in FORM_KINDS if one in kinds)
        if asked.kind not in offered and offered:
            asked = msgspec.structs.replace(asked, kind=offered[0])
        return self._page(
            "subscribe.html",
            lang,
            HERE,
            {},
            title=FORM[lang]["title"],
            asked=asked,
            choice=choice(view, asked, lang, kinds=offered),
            push_key=push_key,
            problems=problems,
        )

    def about(
        self, lang: Lang, said: Said, path: str = HERE, query: dict[str, str] | None = None
    ) -> bytes:
        """A page that says something, with one button at most. It needs to know of no status."""
        return self._page(
            "subscription.html",
            lang,
            path,
            query or {},
            title=said.title,
            said=said,
            asked=None,
            choice=None,
            problems=(),
        )

    def managed(
        self,
        view: Snapshot,
        lang: Lang,
        said: Said,
        query: dict[str, str],
        *,
        wanted: Asked,
        problems: Sequence[Wrong] = (),
    ) -> bytes:
        """The page of one subscription: with the form to change it, and the button to leave."""
        digests = (Digest.NOW,) if wanted.kind == Channel.WEBHOOK else tuple(Digest)
        return self._page(
            "subscription.html",
            lang,
            MANAGE_PAGE,
            query,
            title=said.title,
            said=said,
            asked=wanted,
            choice=choice(view, wanted, lang, digests=digests),
            problems=problems,
        )

    def _page(
        self,
        template: str,
        lang: Lang,
        here: str,
        query: dict[str, str],
        *,
        title: str,
        problems: Sequence[Wrong],
        **more: object,
    ) -> bytes:
        other: Lang = "fr" if lang == "en" else "en"
        text, form = TEXTS[lang], FORM[lang]
        first = f"{form['problem_title']}{text['colon']} " if problems else ""
        return (
            self._templates.get_template(template)
            .render(
                lang=lang,
                other=other,
                t=text,
                f=form,
                here_other=f"{here}?{urlencode({**query, 'lang': other})}",
                css=Markup(self._css),  # noqa: S704 - our own file
                script=Markup(self._script),  # noqa: S704 - our own file
                title=f"{first}{title} – {text['title']}",
                problems=problems,
                bad={one.place for one in problems},
                **more,
            )
            .encode()
        )


def choice(
    view: Snapshot,
    asked: Asked,
    lang: Lang,
    *,
    kinds: tuple[str, ...] = (),
    digests: Sequence[Digest] = tuple(Digest),
) -> Choice:
    """What a form offers: what is watched, and whatever was chosen before."""
    groups = []
    listed: set[str] = set()
    for provider in view.providers:
        options = [
            (bool(row.model), _component(row.state.component, asked, lang)) for row in provider.rows
        ]
        listed |= {one.value for _, one in options}
        surfaces = tuple(one for is_model, one in options if not is_model)
        models = tuple(one for is_model, one in options if is_model)
        groups.append(Group(provider.name, surfaces, models))
    other = [("components", one, component_name(one, lang)) for one in asked.components]
    other += [("providers", one, provider_name(one)) for one in asked.providers]
    other += [("surfaces", one, surface_name(one, lang)) for one in asked.surfaces]
    kept = tuple(Option(*one, on=True) for one in other if one[1] not in listed)
    if kept:
        groups.append(Group("", kept))
    form = FORM[lang]
    chosen = asked.states or DEFAULT_STATES
    return Choice(
        kinds=kinds,
        groups=tuple(group for group in groups if group.options or group.models),
        impacts=tuple(one.value for one in Impact),
        digests=tuple(one.value for one in digests),
        states=tuple(
            Option("states", one, form[f"state_{one}"], one in chosen)
            for one in (*DEFAULT_STATES, *EXTRA_STATES)
        ),
        zoned=is_zone("Europe/Paris"),
    )


def _component(name: str, asked: Asked, lang: Lang) -> Option:
    return Option("components", name, component_name(name, lang), name in asked.components)


def asked_of(wanted: Wanted, kind: Channel) -> Asked:
    """A subscription's wishes as its form shows them."""
    return Asked(
        kind=kind.value,
        target="",
        lang=wanted.lang,
        providers=wanted.providers,
        surfaces=wanted.surfaces,
        components=wanted.components,
        impact=wanted.impact.value,
        states=wanted.states,
        digest=wanted.digest.value,
        hour=wanted.hour,
        zone=wanted.zone,
    )


def wrongs(problems: Sequence[Problem], texts: dict[str, str], lang: Lang) -> tuple[Wrong, ...]:
    """What went wrong, field by field; in one sentence where no field is at fault."""
    if not problems:
        return (Wrong(texts[lang]),)
    return tuple(
        Wrong(
            (one.fr if lang == "fr" else one.en).replace("`", "")[:1].upper()
            + (one.fr if lang == "fr" else one.en).replace("`", "")[1:],
            one.field if one.field in _PLACES else "",
        )
        for one in problems
    )
