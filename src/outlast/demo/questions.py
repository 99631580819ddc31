"""What the scripted clients ask: by the seed, the client and the number alone."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from outlast.demo.timeline import MODEL, Surface
from outlast.simulator import answer, read
from outlast.simulator.prose import dice
from outlast.simulator.script import Language, Script

VARIANTS = 200
_TWICE = re.compile(r"(?<!\S)(\S.{2,40}?)\s+\1")
PATHS: dict[Surface, str] = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}


class Question(msgspec.Struct, frozen=True):
    client: int
    number: int
    surface: Surface
    body: dict[str, Any]
    pause_s: float
    """How long the client reads before it asks again, at speed 1."""

    @property
    def path(self) -> str:
        return PATHS[self.surface]


def surface_of(client: int) -> Surface:
    """Clients take turns in what they speak: 1 Messages, 2 Chat, …"""
    return "messages" if client % 2 else "chat"


def question(
    seed: int, client: int, number: int, language: Language, *, brief: bool = False
) -> Question:
    """Return the `number`-th question of a client (both count from 1).

    Where a second voice goes on after a tear and begins with the last word that was shown, Outlast
    takes that for a repetition and drops it. The scripted prose says a word twice in a row many
    times as often as people do, so questions whose true answer does are not asked.
    """
    script = Script(seed=seed)
    for variant in range(VARIANTS):
        asked = _question(seed, client, number, language, variant, brief=brief)
        if not _TWICE.search(truth(asked, script)):
            break
    return asked


def _question(
    seed: int, client: int, number: int, language: Language, variant: int, *, brief: bool
) -> Question:
    chance = dice("question", seed, client, number, variant)
    chars, pause_s = chance.randrange(380, 760), chance.uniform(0.1, 0.5)
    if brief:
        chars = 90
    words = f"Client {client}, question {number}.{variant} [[chars={chars} language={language}]]"
    surface = surface_of(client)
    system = "You answer questions in a demo."
    user = {"role": "user", "content": words}
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 64 if brief else 1000, "stream": True}
    if surface == "messages":
        body |= {"system": system, "messages": [user]}
    else:
        body |= {"messages": [{"role": "system", "content": system}, user]}
    return Question(client, number, surface, body, pause_s)


def truth(asked: Question, script: Script) -> str:
    """Return the text that every vendor of the demo has for this question."""
    return answer(read(asked.path, dict(asked.body)), script).text
