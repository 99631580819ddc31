"""What a model can do that decides where an answer may go on. Pure, a table with sources.

exact      the engine continues the very characters: the embedded model, llama.cpp, vLLM
prefill    the API takes a last turn by the assistant and goes on from it
instruct   it is asked to, in a turn of its own, and a filter joins the seam (seam.py)
none       it is never asked to

How it thinks is in wire/anthropic/models.py, its window at the end here. The configuration has the
last word on all of it: `continuation` and `thinking` of an upstream, `context_tokens` of a
candidate.
"""

from __future__ import annotations

import re

import msgspec

from outlast.gateway.seam import Continuation
from outlast.nouns import Candidate, Kind
from outlast.wire.anthropic.models import traits_of
from outlast.wire.canon import JSON


class Ability(msgspec.Struct, frozen=True):
    """`marks` and `fields` are what the vendor wants said; see wire/extend.py."""

    how: Continuation | None
    marks: JSON = {}
    fields: JSON = {}
    source: str = ""


EXACT_LOCAL = Ability("exact", source="our own engine, prefill_assistant; tried November 2026")
EXACT_ENGINE = Ability(
    "exact",
    fields={"continue_final_message": True, "add_generation_prompt": False},
    source="vLLM chat API `continue_final_message`; llama.cpp server continues a last assistant "
    "turn by default (--prefill-assistant); read November 2026",
)
PREFILL_CLAUDE = Ability(
    "prefill",
    fields={"thinking": None},
    source="Anthropic, `Prefill` and `What's new`: models up to 4.5; thinking excludes it; "
    "read November 2026",
)
PREFILL_PREFIX = Ability(
    "prefill",
    marks={"prefix": True},
    source="Mistral `prefix` and DeepSeek `Chat Prefix Completion`; read November 2026",
)
INSTRUCT = Ability("instruct", source="any chat model; the seam filter mends its habits")
NONE = Ability(None, source="the configuration says so")

_PREFIX_MODELS = re.compile(
    r"(?:^|/)(?:open-)?(?:mistral|mixtral|codestral|devstral|ministral|magistral|deepseek)",
    re.IGNORECASE,
)


def ability_of(candidate: Candidate, setting: str = "auto") -> Ability:
    """Return how this candidate continues. `setting`: the upstream's `continuation`."""
    match setting:
        case "exact":
            return EXACT_ENGINE
        case "prefill":
            return PREFILL_CLAUDE if candidate.kind is Kind.ANTHROPIC else Ability("prefill")
        case "instruct":
            return INSTRUCT
        case "none":
            return NONE
        case _:
            return _by_table(candidate)


def _by_table(candidate: Candidate) -> Ability:
    match candidate.kind:
        case Kind.LOCAL:
            return EXACT_LOCAL
        case Kind.ANTHROPIC:
            claude = "claude" in candidate.model.lower()
            takes_it = claude and traits_of(candidate.model).prefill
            return PREFILL_CLAUDE if takes_it else INSTRUCT
        case Kind.OPENAI_CHAT if _PREFIX_MODELS.search(candidate.model):
            return PREFILL_PREFIX
        case _:
            return INSTRUCT


class Window(msgspec.Struct, frozen=True):
    """The longest prompt a model takes, in tokens; 0: not known."""

    tokens: int = 0
    source: str = ""


_CLAUDE = "Anthropic, `Context windows` and the models' pages; read November 2026"
_OPENAI = "OpenAI, the models' pages, as resellers repeat them; read November 2026"
_WINDOWS: tuple[tuple[re.Pattern[str], Window], ...] = (
    (re.compile(r"gpt-5(?:\.\d)?-chat"), Window(128_000, _OPENAI)),
    (re.compile(r"gpt-5\.[45](?:-pro)?(?:-20\d\d.*)?$"), Window(1_050_000, _OPENAI)),
    (re.compile(r"gpt-5"), Window(400_000, _OPENAI)),
    (re.compile(r"gpt-4\.1"), Window(1_047_576, _OPENAI)),
    (re.compile(r"gpt-4o|gpt-4-turbo"), Window(128_000, _OPENAI)),
    (re.compile(r"o[134](?:-mini|-pro)?(?:-20\d\d.*)?$"), Window(200_000, _OPENAI)),
    (
        re.compile(r"gemini-(?:2|3)"),
        Window(1_048_576, "Google, `Gemini models`; read November 2026"),
    ),
)
"""The first that fits counts. Names are compared without a host's prefix, in lower case."""


def window_of(model: str) -> Window:
    """Return how long a prompt this model takes, as far as the table knows."""
    name = model.rpartition("/")[2].lower()
    if "claude" in name:
        return Window(traits_of(name).context_tokens, _CLAUDE)
    return next((window for pattern, window in _WINDOWS if pattern.match(name)), Window())
