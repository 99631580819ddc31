"""From what happened to a line that a person reads. Pure."""

from __future__ import annotations

from outlast.demo.board import Event, Sign, sorted_attempts
from outlast.demo.texts import NAMES, Texts
from outlast.nouns import Attempt, Outcome

SIGNS: dict[Sign, str] = {"good": "✔", "bad": "✖", "note": "·"}
COLOURS: dict[Sign, str] = {"good": "green", "bad": "red", "note": "cyan"}


def sentence(event: Event, texts: Texts) -> str:
    """Say an event in the reader's language."""
    values = dict(event.values)
    if "vendor" in values:
        values["vendor"] = NAMES.get(values["vendor"], values["vendor"])
    if "page" in values:
        values["sentence"] = texts(values["notice"])
        values["state"] = texts(f"page_{values['page']}")
    elif "state" in values:
        values["state"] = texts(f"breaker_{values['state']}")
    if "path" in values:
        values["path"] = way(values["path"], texts)
    if "failure" in values:
        values["failure"] = texts.failure(values["failure"])
    return texts(event.key, **values)


def way(path: tuple[Attempt, ...], texts: Texts) -> str:
    """Say which upstreams were asked: `Anthropic overloaded → OpenAI`."""
    steps = []
    for upstream, outcome in sorted_attempts(path):
        name = NAMES.get(upstream, upstream)
        steps.append(name if outcome is Outcome.OK else f"{name} {texts(f'outcome_{outcome}')}")
    return " → ".join(steps)
