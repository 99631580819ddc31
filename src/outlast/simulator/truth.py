"""What a healthy vendor answers: a function of (script's seed, request), in no vendor's format.

It depends on what is asked, not on how: the same conversation in another format, at a vendor of
another name, for a model of another name, has the same text and the same tool arguments. Tests
compare what arrived with `answer(read(path, body), script)`. Users may ask for a certain answer
with words in double brackets: `[[chars=4213 language=fr thinking=300 call=get_time,get_weather]]`,
`[[refuse]]`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from itertools import accumulate
from typing import get_args

import msgspec

from outlast.simulator import hands
from outlast.simulator.ask import Ask, Tool
from outlast.simulator.prose import dice, pieces, prose
from outlast.simulator.script import (
    Language,
    Part,
    RefusalPart,
    Script,
    TextPart,
    ThinkingPart,
    ToolPart,
)
from outlast.wire import canon
from outlast.wire.stream import StopReason

_DIRECTIVE = re.compile(r"\[\[([^\[\]]{1,200})\]\]")
_CONTINUE = re.compile(
    r"continu|interrupt|resum|carry on|go on|cut off|fortsetz|fortfahr|weiter|reprend|poursui"
    r"|sigue",
    re.IGNORECASE,
)
PREAMBLE = "Sure, continuing from where I left off:\n\n"
AnswerPart = canon.Text | canon.Thinking | canon.ToolUse


class Usage(msgspec.Struct, frozen=True):
    """`input` is all of the prompt, cached or not; `output` includes `reasoning`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


class Answer(msgspec.Struct, frozen=True):
    """`id` without a vendor's prefix; so are the ids of tool calls."""

    id: str
    model: str
    parts: tuple[AnswerPart, ...]
    stop: StopReason
    usage: Usage
    stop_sequence: str | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, canon.Text))

    @property
    def thinking(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, canon.Thinking))

    @property
    def calls(self) -> tuple[canon.ToolUse, ...]:
        return tuple(part for part in self.parts if isinstance(part, canon.ToolUse))


def answer(ask: Ask, script: Script) -> Answer:
    """Return the vendor's whole answer to a request, faults apart."""
    torn = _torn(ask, script)
    parts = _exact(ask, script)
    refused = any(isinstance(part, RefusalPart) for part in parts)
    if torn is not None and script.continuing != "exact":
        parts = _misbehave(parts, torn, script)
    ready = [_finished(part, ask, script, number) for number, part in enumerate(parts)]
    stop: StopReason = "refusal" if refused else "end_turn"
    if any(isinstance(part, canon.ToolUse) for part in ready):
        stop = "tool_use"
    ready, sequence = _stop_sequences(ready, ask.stop)
    if sequence is not None:
        stop = "stop_sequence"
    ready, spent, whole = _within(ready, ask.max_tokens)
    if not whole:
        stop, sequence = "max_tokens", None
    return Answer(
        id=digest(script.seed, script.name, ask.format, *map(repr, ask.turns))[:24],
        model=ask.model,
        parts=tuple(ready),
        stop=stop,
        usage=_usage(ask, ready, spent),
        stop_sequence=sequence,
    )


def sign(words: str, account: str = "") -> str:
    """Return the simulator's signature of a thinking block. Any other one is a forgery.

    Its first half vouches for the words, its second half for the account, where there is one.
    """
    vouched = hashlib.sha256(b"sim" + words.encode()).digest()
    own = hashlib.sha256(b"account" + account.encode()).digest() if account else vouched
    return base64.b64encode(vouched + own).decode()


def is_signed(words: str, signature: str) -> bool:
    """Say whether some account of the simulator's signed these words."""
    # Thinking that was shown empty (`display: omitted`) keeps the signature of what was thought.
    return (not words and len(signature) == 88) or _halves(signature)[0] == _halves(sign(words))[0]


def is_own(signature: str, account: str) -> bool:
    """Say whether a vendor of this account can read what was signed; one without reads all."""
    return not account or _halves(signature)[1] == _halves(sign("", account))[1]


def _halves(signature: str) -> tuple[bytes, bytes]:
    try:
        raw = base64.b64decode(signature, validate=True)
    except ValueError:
        return b"", b""
    return (raw[:32], raw[32:]) if len(raw) == 64 else (b"", b"")


def continues(ask: Ask, script: Script) -> bool:
    """Say whether the request asks to go on with an answer that was begun."""
    return _torn(ask, script) is not None


def _torn(ask: Ask, script: Script) -> tuple[Ask, str] | None:
    """Return (the request before the tear, what was said) where a torn answer is to go on."""
    turns = ask.turns
    if not turns:
        return None
    last = turns[-1]
    if last.role == "assistant":
        if not (script.prefill or ask.goes_on) or not last.text or last.calls:
            return None
        return msgspec.structs.replace(ask, turns=turns[:-1]), last.text
    if len(turns) < 3 or last.results or not _CONTINUE.search(last.text):
        return None
    said = turns[-2]
    if not said.text or said.calls:
        return None
    base = msgspec.structs.replace(ask, turns=turns[:-2])
    rest = _after(_exact(base, script), said.text)
    # A user who says "go on" after a finished answer starts a new one.
    return (base, said.text) if rest else None


def _exact(ask: Ask, script: Script) -> list[Part]:
    torn = _torn(ask, script)
    if torn is not None:
        base, said = torn
        rest = _after(_exact(base, script), said)
        if rest is None:
            return _planned(base, script)
        if ask.thinks and ask.turns[-1].role == "user":
            return [ThinkingPart(text="The answer was torn; go on from there."), *rest]
        return rest
    return _planned(ask, script)


def _after(parts: Iterable[Part], said: str) -> list[Part] | None:
    """Return what follows `said`; None where the truth does not begin with it.

    Space at the end of `said` may be missing (vendors strip it): then it comes again.
    """
    left = said.rstrip()
    rest: list[Part] = []
    for part in parts:
        if not isinstance(part, TextPart):
            if not left and not isinstance(part, ThinkingPart):
                rest.append(part)
            continue
        if len(part.text) <= len(left):
            if not left.startswith(part.text):
                return None
            left = left[len(part.text) :]
            continue
        if not part.text.startswith(left):
            return None
        remaining = part.text[len(left) :]
        if left and said != said.rstrip():
            space = said[len(said.rstrip()) :]
            remaining = remaining.removeprefix(space)
        left = ""
        rest.append(TextPart(text=remaining))
    return None if left else rest


def _misbehave(parts: list[Part], torn: tuple[Ask, str], script: Script) -> list[Part]:
    base, said = torn
    for number, part in enumerate(parts):
        if not isinstance(part, TextPart):
            continue
        words = part.text
        if script.continuing == "repeat_end":
            # Of so little that it has no end of its own, all is repeated.
            tail = said[-60:]
            words = (said if len(said) <= 60 else tail[tail.find(" ") + 1 :]) + words
        elif script.continuing == "preamble":
            words = PREAMBLE + words
        elif script.continuing == "new_fence" and said.count("```") % 2:
            words = "```python\n" + words.removeprefix("\n")
        elif script.continuing == "restart":
            return _planned(base, script)
        return [*parts[:number], TextPart(text=words), *parts[number + 1 :]]
    return parts


def _planned(ask: Ask, script: Script) -> list[Part]:
    answered = sum(turn.role == "assistant" for turn in ask.turns)
    if ask.turns and ask.turns[-1].role == "assistant":
        answered -= 1
    wishes = _directives(ask.words)
    key = (script.seed, "".join(ask.words.split()))
    if answered < len(script.answers):
        plan = list(script.answers[answered])
    else:
        plan = _automatic(ask, script, wishes, key)
    length = int(wishes.get("thinking", script.thinking_chars))
    if ask.thinks and length and not any(isinstance(part, ThinkingPart) for part in plan):
        plan.insert(0, ThinkingPart(chars=length))
    language = _language(wishes, script)
    # Numbered without the thoughts: the text is the same whether the model may think or not.
    spoken = accumulate(int(not isinstance(part, ThinkingPart)) for part in plan)
    return [
        _written(part, language, *key, number) for part, number in zip(plan, spoken, strict=True)
    ]


def _written(part: Part, language: Language, *key: object) -> Part:
    if isinstance(part, TextPart) and not part.text:
        return TextPart(text=prose(part.chars, language, *key))
    if isinstance(part, ThinkingPart) and not part.text:
        words = prose(part.chars, language, "thinking", *key)
        return msgspec.structs.replace(part, text=words)
    return part


def _automatic(
    ask: Ask, script: Script, wishes: dict[str, str], key: tuple[object, ...]
) -> list[Part]:
    chars = int(wishes.get("chars", script.chars))
    if "refuse" in wishes:
        return [RefusalPart()]
    after_tool = bool(ask.turns and ask.turns[-1].results)
    if ask.tools and ask.choice != "none" and not after_tool:
        calls = _calls(ask, wishes, key)
        if calls:
            lead = [TextPart(chars=min(chars, 80))] if ask.choice == "auto" else []
            return [*lead, *(calls if ask.parallel else calls[:1])]
    if ask.schema is not None:
        value = hands.instance(ask.schema, dice("schema", *key), ask.schema)
        return [TextPart(text=_json(value))]
    if ask.any_json:
        return [TextPart(text=_json({"answer": prose(40, _language(wishes, script), *key)}))]
    if "chars" not in wishes and (numbers := hands.counted(ask)):
        return [TextPart(text=numbers)]
    return [TextPart(chars=min(chars, 120) if after_tool and "chars" not in wishes else chars)]


def _calls(ask: Ask, wishes: dict[str, str], key: tuple[object, ...]) -> list[ToolPart]:
    if ask.choice == "tool":
        return [_call(tool, ask, key) for tool in ask.tools if tool.name == ask.chosen][:1]
    if "call" in wishes:
        wanted = wishes["call"].split(",")
        found = {tool.name: tool for tool in ask.tools}
        return [
            _call(found[name], ask, (*key, number))
            for number, name in enumerate(wanted)
            if name in found
        ]
    made = hands.file_call(ask)
    if made is not None:
        return [ToolPart(name=made[0].name, arguments=made[1])]
    named = hands.named_tools(ask)
    if not named and ask.choice == "required":
        named = [ask.tools[0]]
    return [_call(tool, ask, key) for tool in named]


def _call(tool: Tool, ask: Ask, key: tuple[object, ...]) -> ToolPart:
    value = hands.call_for(tool, ask, *key)
    if tool.custom:
        return ToolPart(name=tool.name, input=value)
    return ToolPart(name=tool.name, arguments=value)


def _directives(words: str) -> dict[str, str]:
    wishes: dict[str, str] = {}
    for found in _DIRECTIVE.finditer(words):
        for word in found[1].split():
            name, _, value = word.partition("=")
            if name not in {"chars", "thinking"} or value.isdecimal():
                wishes[name] = value
    return wishes


def _language(wishes: dict[str, str], script: Script) -> Language:
    for language in get_args(Language):
        if wishes.get("language") == language:
            return language  # type: ignore[no-any-return]  # get_args is Any
    return script.language


def _finished(part: Part, ask: Ask, script: Script, number: int) -> AnswerPart:
    if isinstance(part, ThinkingPart):
        signature = sign(part.text, script.account)
        shown = "" if part.redacted else part.text
        return canon.Thinking(shown, signature, redacted=part.redacted, origin=ask.format)
    if isinstance(part, ToolPart):
        return canon.ToolUse(
            id=digest("call", script.seed, script.name, number, *map(repr, ask.turns))[:24],
            name=part.name,
            arguments=_json(part.arguments) if part.input is None else part.input,
            custom=part.input is not None,
        )
    return canon.Text(text=part.text)


def _stop_sequences(
    parts: list[AnswerPart], stops: tuple[str, ...]
) -> tuple[list[AnswerPart], str | None]:
    for number, part in enumerate(parts):
        if isinstance(part, canon.Text):
            found = [(part.text.find(stop), stop) for stop in stops if stop and stop in part.text]
            if found:
                at, stop = min(found)
                return [*parts[:number], canon.Text(text=part.text[:at])], stop
    return parts, None


def _within(
    parts: list[AnswerPart], limit: int | None
) -> tuple[list[AnswerPart], tuple[int, int], bool]:
    """Return (parts that fit, (tokens, those of thinking), whether all fitted)."""
    kept: list[AnswerPart] = []
    spent = reasoning = 0
    for part in parts:
        words = part.arguments if isinstance(part, canon.ToolUse) else part.text
        tokens = pieces(words)
        fits = tokens if limit is None else tokens[: max(0, limit - spent)]
        spent += len(fits)
        if isinstance(part, canon.Thinking):
            reasoning += len(fits)
        if len(fits) == len(tokens):
            kept.append(part)
            continue
        # A torn call or an unsigned thought is of no use; torn text is.
        if isinstance(part, canon.Text) and fits:
            kept.append(canon.Text(text="".join(fits)))
        return kept, (spent, reasoning), False
    return kept, (spent, reasoning), True


def _usage(ask: Ask, parts: list[AnswerPart], spent: tuple[int, int]) -> Usage:
    words = input_tokens(ask)
    cached = written = 0
    if ask.format == "anthropic":
        if ask.cache and len(ask.turns) > 1:
            cached = words * 3 // 4
        elif ask.cache:
            written = words * 3 // 4
    elif words >= 1024:
        cached = words * 3 // 4 // 128 * 128
    return Usage(
        input=words,
        output=max(1, spent[0]) if parts else spent[0],
        cached=cached,
        cache_write=written,
        reasoning=spent[1],
    )


def input_tokens(ask: Ask) -> int:
    """Return the tokens of a request, as count_tokens says and usage bills."""
    texts = [ask.system, *(turn.text for turn in ask.turns)]
    texts += [result.text for turn in ask.turns for result in turn.results]
    texts += [_json(tool.parameters) + tool.name for tool in ask.tools]
    return 3 + sum(len(pieces(words)) for words in texts)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def digest(*key: object) -> str:
    return hashlib.sha256("|".join(map(str, key)).encode()).hexdigest()
