"""A large request, rebuilt for a small model on a slow machine. Pure.

A coding tool sends 77 kB (19,000 tokens), which is minutes of prefill on two cores. What fits in
a budget of prefill seconds is kept: what the user asked last, what happened since, the few tools
that matter, the newest of the rest. What was cut is said in the notes. A request that fits stays
whole.
"""

from __future__ import annotations

import re

import msgspec

from outlast.local import turns, words
from outlast.local.tokens import MESSAGE_TOKENS, estimate_tokens
from outlast.local.tools import Plan, plan, usable, without_tools
from outlast.local.turns import Turn
from outlast.wire.canon import Message, Request, Text, Tool, ToolUse

MAX_TOOLS = 4
"""When something must go, this many tools stay."""
_LEAST_PROMPT_TOKENS = 512
_MARGIN_TOKENS = 64
_WORTH_KEEPING_TOKENS = 32
_SYSTEM_SHARE = 0.25
_SHORT_SYSTEM_SHARE = 0.10
_ENVIRONMENT_CHARS = 400

_ENVIRONMENT = re.compile(
    r"^.{0,20}\b(?:working directory|cwd|platform|operating system|today's date|current date|"
    r"is directory a git repo|shell)\b.{0,120}$",
    re.IGNORECASE | re.MULTILINE,
)
_ATTRIBUTION = "x-anthropic-billing-header"
_NAME_PART = re.compile(r"[a-zà-ÿ]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_UNTELLING = """
the and for with that this from into you your file files please une les des dans pour avec que qui
sur fichier
"""
_STOP_WORDS = frozenset(_UNTELLING.split())
# What people ask for → the words that tools' names are made of.
_KIN = {
    "write": "write create make save new add generate implement écris écrire crée créer ajoute",
    "edit": "edit change replace rename fix refactor update modify modifie remplace corrige",
    "read": "read show open view display look cat lis montre affiche ouvre",
    "bash": "run execute test install build command start list ls git lance exécute liste",
    "grep": "search find grep where occurrences cherche trouve",
    "glob": "search find files list matching cherche",
    "fetch": "fetch url http https website page web",
    "patch": "edit change replace fix create write patch modifie crée",
}
_ALIKE = {"shell": "bash", "exec": "bash", "command": "bash", "search": "grep", "update": "edit"}
# With nothing else to go by: what a coding tool cannot do without.
_STAPLES = {"write": 0.5, "bash": 0.45, "read": 0.4, "edit": 0.35, "patch": 0.2, "grep": 0.1}


class Limits(msgspec.Struct, frozen=True):
    """What the engine can bear. `context_tokens` is one slot's, prompt and answer together."""

    context_tokens: int = 8192
    prefill_tokens_per_s: float = 120.0
    prefill_s: float = 20.0
    """How long the first token may wait for the prompt to be read."""
    output_tokens: int = 2048
    """The longest answer, and the default one."""

    @property
    def prompt_tokens(self) -> int:
        """The budget: what is read in time, and leaves room in the context for an answer."""
        readable = int(self.prefill_s * self.prefill_tokens_per_s)
        answer = min(self.output_tokens, self.context_tokens // 3)
        room = self.context_tokens - answer - _MARGIN_TOKENS
        return max(min(_LEAST_PROMPT_TOKENS, room), min(readable, room))


class Rebuilt(msgspec.Struct, frozen=True):
    """A request for the engine. `plan` is set where the answer will be JSON calls."""

    request: Request
    plan: Plan | None
    prompt_tokens: int
    """Estimated."""
    notes: tuple[str, ...] = ()


def rebuild(request: Request, limits: Limits) -> Rebuilt:
    """Return the request in plain text turns, within the budget, and what was changed."""
    language = words.language_of(last_user_text(request))
    flat, notes = turns.flatten(request, language)
    system, conversation = _split(flat)
    unusable = sum(1 for tool in request.tools if not usable(tool))
    if unusable:
        notes.append(f"{unusable} tools left out that the local model cannot use")
    calls = plan(request)
    if calls is not None and conversation and conversation[-1].role == "assistant":
        # The client began the answer itself (a prefill): the engine goes on from there, in text.
        calls = None
        notes.append("tools left out: the answer was begun as text")
    identity = words.IDENTITY[language]
    budget = limits.prompt_tokens

    fixed = _cost(identity) + (_plan_cost(calls) if calls else 0)
    whole = fixed + sum(_cost(t.text) for t in (*system, *conversation))
    if whole <= budget:
        said = "\n\n".join(t.text for t in system)
        return _assembled(request, calls, (identity, said), conversation, whole, notes)

    calls, tool_notes = _fewer_tools(request, calls, budget)
    notes += tool_notes
    said, note = _short_system(system, budget, language)
    notes += note
    head = (f"{identity} {words.SHORTENED[language]}", said)
    fixed = sum(_cost(part) for part in head) + (_plan_cost(calls) if calls else 0)
    conversation, cut = turns.fit(conversation, max(budget - fixed, budget // 3), language)
    notes += cut
    tokens = fixed + sum(_cost(t.text) for t in conversation)
    return _assembled(request, calls, head, conversation, tokens, notes)


def last_user_text(request: Request) -> str:
    """Return what the user typed last, without what the client's tool put around it."""
    for message in reversed(request.messages):
        if message.role == "user":
            typed = turns.typed_text(message)
            if typed:
                return typed
    return ""


def _split(flat: list[Turn]) -> tuple[list[Turn], list[Turn]]:
    """The leading system turns, and the rest."""
    first = next((i for i, turn in enumerate(flat) if turn.role != "system"), len(flat))
    system = [t for t in flat[:first] if not t.text.startswith(_ATTRIBUTION)]
    return system, flat[first:]


def _cost(text: str) -> int:
    return estimate_tokens(text) + MESSAGE_TOKENS if text else 0


def _plan_cost(calls: Plan) -> int:
    examples = sum(_cost(text) for message in calls.examples for text in _texts(message))
    return _cost(calls.instructions) + examples


def _texts(message: Message) -> list[str]:
    return [block.text for block in message.content if isinstance(block, Text)]


def _assembled(
    request: Request,
    calls: Plan | None,
    system: tuple[str, str],
    conversation: list[Turn],
    tokens: int,
    notes: list[str],
) -> Rebuilt:
    parts = [*system, calls.instructions if calls else ""]
    head = Message("system", (Text("\n\n".join(part for part in parts if part)),))
    talk = turns.merged(conversation)
    # Examples end with an answer: they would run into a conversation that begins with one.
    shown = calls.examples if calls and talk and talk[0].role == "user" else ()
    messages = (head, *shown, *talk)
    plain = msgspec.structs.replace(request, messages=messages, tools=(), tool_choice=None)
    if calls is not None:
        plain = without_tools(plain, calls)
        notes = [*notes, *calls.notes]
    return Rebuilt(plain, calls, tokens, tuple(notes))


def _short_system(
    system: list[Turn], budget: int, language: words.Language
) -> tuple[str, list[str]]:
    """The client's system prompt: whole if small, else its beginning and where the work is."""
    said = "\n\n".join(turn.text for turn in system)
    cost = _cost(said)
    if cost <= budget * _SYSTEM_SHARE:
        return said, []
    said = turns.without_reminders(said)
    where = "\n".join(m.group(0).strip() for m in _ENVIRONMENT.finditer(said))[:_ENVIRONMENT_CHARS]
    short = turns.shortened(said, int(budget * _SHORT_SYSTEM_SHARE), language, head_share=1.0)
    kept = f"{short}\n{where}" if where else short
    return kept, [f"system prompt shortened from about {cost} to {_cost(kept)} tokens"]


def _fewer_tools(
    request: Request, calls: Plan | None, budget: int
) -> tuple[Plan | None, list[str]]:
    if calls is None:
        return None, []
    offered = [tool for tool in request.tools if usable(tool)]
    ranked = rank_tools(request)
    forced = request.tool_choice.name if request.tool_choice else ""
    ranked.sort(key=lambda tool: tool.name != forced)
    for count in range(min(MAX_TOOLS, len(ranked)), 0, -1):
        kept = {tool.name for tool in ranked[:count]}
        fewer = tuple(tool for tool in offered if tool.name in kept)
        calls = plan(msgspec.structs.replace(request, tools=fewer))
        if calls is None or _plan_cost(calls) <= budget // 2:
            break
    if len(fewer) == len(offered):
        return calls, []
    names = ", ".join(tool.name for tool in fewer)
    return calls, [f"{len(fewer)} of {len(offered)} tools kept: {names}"]


def rank_tools(request: Request) -> list[Tool]:
    """Return the usable tools, those that matter most first: by use in the history, by words
    that the user's last text shares with them, then by what coding cannot do without.
    """
    used: dict[str, float] = {}
    # A call counts less the longer ago it was.
    weight = 1.0
    for message in reversed(request.messages):
        for block in message.content:
            if isinstance(block, ToolUse):
                used[block.name] = used.get(block.name, 0.0) + weight
                weight *= 0.8
    asked = set(_NAME_PART.findall(last_user_text(request).lower())) - _STOP_WORDS

    def score(tool: Tool) -> float:
        name = _name_words(tool.name)
        kin = {k for word in name for k in _KIN.get(word, word).split()} | name
        described = set(_NAME_PART.findall(tool.description[:300].lower())) - _STOP_WORDS
        return (
            min(2.0, used.get(tool.name, 0.0))
            + 2.0 * min(2, len(asked & kin))
            + 0.3 * min(3, len(asked & described))
            + max((_STAPLES.get(word, 0.0) for word in name), default=0.0)
            - (1.0 if tool.kind == "custom" else 0.0)
            # `NotebookEdit` is a narrower tool than `Edit`, `BashOutput` than `Bash`.
            - 0.3 * max(0, len(name) - 1)
        )

    offered = [tool for tool in request.tools if usable(tool)]
    return sorted(offered, key=score, reverse=True)


def _name_words(name: str) -> set[str]:
    """`NotebookEdit`, `exec_command` → their words, alike ones made the same."""
    parts = _NAME_PART.findall(_CAMEL.sub(" ", name).lower().replace("_", " "))
    return {_ALIKE.get(part, part) for part in parts}
