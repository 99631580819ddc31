"""Where an exchange may go: who breaks, who goes on and how, who is left. Pure.

A lane is a route of the configuration. Its first candidate breaks as the model's name says
(scripts.py); the second is the one whose way of going on is tried; the third is healthy and
speaks another format than the first.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from outlast.nouns import Kind

CONTINUING = ("exact", "repeat_end", "restart", "preamble", "new_fence")
"""What the simulated vendors do when they are asked to continue (docs/simulator.md)."""
KINDS = (Kind.ANTHROPIC, Kind.OPENAI_CHAT, Kind.OPENAI_RESPONSES)
OWN = {
    "messages": Kind.ANTHROPIC,
    "chat": Kind.OPENAI_CHAT,
    "responses": Kind.OPENAI_RESPONSES,
}
"""The format of each surface."""
BASE = {
    Kind.ANTHROPIC: "claude-sonnet-4-5",
    Kind.OPENAI_CHAT: "gpt-5",
    Kind.OPENAI_RESPONSES: "gpt-5",
}
MODELS = {
    ("exact", Kind.OPENAI_CHAT): "qwen3-32b",
    ("prefill", Kind.ANTHROPIC): "claude-sonnet-4-5",
    ("prefill", Kind.OPENAI_CHAT): "mistral-large-latest",
    ("instruct", Kind.ANTHROPIC): "claude-opus-4-8",
    ("instruct", Kind.OPENAI_CHAT): "gpt-5.5",
    ("instruct", Kind.OPENAI_RESPONSES): "gpt-5.5",
}
SHORT = {Kind.ANTHROPIC: "a", Kind.OPENAI_CHAT: "c", Kind.OPENAI_RESPONSES: "r"}

Way = Literal["exact", "prefill", "instruct"]


class Target(msgspec.Struct, frozen=True):
    """A candidate. `model` empty: the name that was asked for."""

    vendor: str
    kind: Kind
    model: str = ""
    continuation: str = "auto"

    @property
    def upstream(self) -> str:
        """Its name in the configuration; before the `--` stands the vendor's."""
        exact = "-exact" if self.continuation == "exact" else ""
        return f"{self.vendor}--{SHORT[self.kind]}{exact}"


class Lane(msgspec.Struct, frozen=True):
    name: str
    first: Kind
    targets: tuple[Target, ...]
    way: Way = "instruct"
    """How the second candidate goes on."""
    habit: str = "exact"
    """What it does when it is instructed; see CONTINUING."""
    local: bool = False

    @property
    def base(self) -> str:
        return f"{BASE[self.first]}-{self.name}"

    @property
    def label(self) -> str:
        second = self.targets[1] if len(self.targets) > 1 else None
        if second is None:
            return self.name
        habit = f", {self.habit}" if self.way == "instruct" and self.habit != "exact" else ""
        return f"{self.first} → {second.kind} ({self.way}{habit})"


def third(first: Kind) -> Target:
    other = Kind.OPENAI_CHAT if first is Kind.ANTHROPIC else Kind.ANTHROPIC
    return Target("third", other, MODELS["instruct", other])


def own(first: Kind, vendor: str = "first", name: str = "own") -> Lane:
    """The same model at two hosts, and another vendor's model."""
    way: Way = "prefill" if first is Kind.ANTHROPIC else "instruct"
    targets = (Target(vendor, first), Target("willing", first), third(first))
    return Lane(f"{name}-{SHORT[first]}", first, targets, way)


def double(first: Kind) -> Lane:
    """The second breaks off too."""
    targets = (Target("first", first), Target("torn", first), third(first))
    return Lane(f"double-{SHORT[first]}", first, targets)


def down(first: Kind) -> Lane:
    """Nobody beyond this machine answers, or the first breaks off and then nobody does."""
    targets = (Target("first", first), Target("dead", first), Target("down", third(first).kind))
    return Lane(f"alldown-{SHORT[first]}", first, targets, "exact", local=True)


def variant(first: Kind, way: Way, second: Kind, habit: str = "exact") -> Lane:
    vendor = f"second-{habit}" if way == "instruct" else "willing"
    target = Target(vendor, second, MODELS[way, second], "exact" if way == "exact" else "auto")
    name = f"{way[:2]}{CONTINUING.index(habit)}-{SHORT[first]}{SHORT[second]}"
    return Lane(name, first, (Target("first", first), target, third(first)), way, habit)


def variants(first: Kind) -> list[Lane]:
    """Each way of going on in each format that has it, and each habit of the instructed."""
    found = [
        variant(first, "exact", Kind.OPENAI_CHAT),
        variant(first, "prefill", Kind.ANTHROPIC),
        variant(first, "prefill", Kind.OPENAI_CHAT),
    ]
    return found + [variant(first, "instruct", kind, h) for kind in KINDS for h in CONTINUING]


def translated(first: Kind) -> list[Lane]:
    """A shorter list, for surfaces of another format than the first upstream's."""
    return [
        variant(first, "exact", Kind.OPENAI_CHAT),
        variant(first, "prefill", Kind.ANTHROPIC),
        variant(first, "instruct", Kind.OPENAI_RESPONSES, "repeat_end"),
        variant(first, "instruct", Kind.ANTHROPIC, "restart"),
        variant(first, "instruct", Kind.OPENAI_CHAT, "preamble"),
        variant(first, "instruct", Kind.OPENAI_CHAT, "new_fence"),
    ]


def timeline() -> Lane:
    """2 March 2026: the vendor of that day, and the other one. Its models have real names."""
    other = Target("openai", Kind.OPENAI_CHAT, "gpt-5.5")
    return Lane("march", Kind.ANTHROPIC, (Target("anthropic", Kind.ANTHROPIC), other))


TIMELINE_MODELS = ("claude-opus-4-8", "claude-sonnet-5")


def everything() -> list[Lane]:
    """All lanes of single exchanges and of traffic, each once."""
    found: list[Lane] = []
    for first in KINDS:
        found += [own(first), own(first, "dead", "dead"), own(first, "flapping", "flap")]
        found += [paced(first), brown(first), double(first), down(first), *variants(first)]
    return [*found, timeline()]


def paced(first: Kind) -> Lane:
    """A healthy vendor that speaks slowly, and another that would hold thinking back."""
    return Lane(f"paced-{SHORT[first]}", first, (Target("paced", first), third(first)))


def brown(first: Kind) -> Lane:
    """Two of three fail at random, each 30 % of its requests."""
    targets = (Target("brown-1", first), Target("brown-2", first), third(first))
    return Lane(f"brown-{SHORT[first]}", first, targets)
