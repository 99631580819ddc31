"""What a simulated vendor is told to do: its answers, its habits, its faults, by the clock.

A script is a value: build it in code, or load it from a TOML timeline (`load`). Every chance in
it is drawn from its seed, so that the same script and the same requests fail the same way.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import msgspec

from outlast.wire.canon import JSON

Language = Literal["en", "fr", "de", "es", "ja"]
Chunking = Literal["event", "byte", "random"]
Continuing = Literal["exact", "repeat_end", "restart", "preamble", "new_fence"]
Where = Literal[
    "accept",
    "before_head",
    "after_head",
    "before_content",
    "text",
    "thinking",
    "tool",
    "before_end",
    "end",
]


VARIANTS = frozenset(
    {
        "",
        "credit_balance",
        "insufficient_quota",
        "context_length",
        "model_not_found",
        "oauth",
        "error_event",
    }
)
"""Other bodies than a status' usual one (errors.py); `error_event`: of a Responses stream."""


class ScriptError(ValueError):
    """A script that cannot be played; the message says which row and why."""


class FaultKind(StrEnum):
    """How a vendor fails. docs/simulator.md has a sentence and the settings for each."""

    REFUSE = "refuse"
    TLS = "tls"
    RESET = "reset"
    STATUS = "status"
    STREAM_ERROR = "stream_error"
    STALL = "stall"
    CUT = "cut"
    EOF = "eof"
    SLOW = "slow"
    GARBAGE = "garbage"
    MALFORMED = "malformed"
    CONTENT_TYPE = "content_type"
    TRUNCATED_JSON = "truncated_json"
    HALF_TOOL = "half_tool"
    CONTENT_LENGTH = "content_length"


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests a fault is for. `path` and `model` are globs (fnmatch)."""

    path: str = "*"
    model: str = "*"
    stream: bool | None = None


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a timeline: what fails, when, for whom and where in the answer.

    When: from `at_s` for `for_s` (seconds of script time), and/or the request numbers of
    `requests` (`"3-7"`, `"1,4"`, `"5-"`; the first request of a script is 1). With `period_s`
    the fault comes and goes: active for the first `duty` of each period. Of the requests that
    remain, a `share` drawn from the seed fails.

    Where (streams): after `after_bytes` of the body, or after `after_events` events, or at
    `where`; inside text, thinking or a tool call after `after_chars` of it, else at `after_share`
    of its length. A `where` that the answer does not contain does not happen.
    """

    kind: FaultKind
    at_s: float = 0.0
    for_s: float | None = None
    requests: str = ""
    share: float = 1.0
    period_s: float | None = None
    duty: float = 0.5
    match: Match = Match()
    where: Where | None = None
    after_bytes: int | None = None
    after_events: int | None = None
    after_chars: int | None = None
    after_share: float = 0.5
    status: int = 529
    variant: str = ""
    """Another of the vendor's bodies for this status; see `VARIANTS`."""
    html: bool = False
    message: str = ""
    retry_after_s: float | None = None
    headers: dict[str, str] = {}
    stall_s: float | None = None
    """How long a stall lasts; None: until the client leaves."""
    then: Literal["go_on", "cut", "eof", "error"] = "go_on"
    """What follows a stall."""
    how: Literal["reset", "close"] = "reset"
    """A cut by RST, or by FIN without the end of the body."""
    tokens_per_s: float = 5.0
    slowdown: float = 1.0
    """slow: each token takes this many times as long as the one before."""
    size_bytes: int = 64
    off_by: int = 100
    """content_length: this much more (or less) is promised than sent."""
    content_type: str = "text/html"


class TextPart(msgspec.Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    """Either this text, or `chars` of prose."""

    text: str = ""
    chars: int = 0


class ThinkingPart(msgspec.Struct, frozen=True, tag="thinking", forbid_unknown_fields=True):
    """`redacted`: shown as data that nobody can read (Anthropic; left out elsewhere)."""

    text: str = ""
    chars: int = 0
    redacted: bool = False


class ToolPart(msgspec.Struct, frozen=True, tag="tool_use", forbid_unknown_fields=True):
    """A call; a `custom` tool takes free text (`input`) in place of arguments."""

    name: str
    arguments: JSON = {}
    input: str | None = None


class RefusalPart(msgspec.Struct, frozen=True, tag="refusal", forbid_unknown_fields=True):
    text: str = "I can't help with that request."


Part = TextPart | ThinkingPart | ToolPart | RefusalPart


def text(words: str) -> TextPart:
    return TextPart(text=words)


def thinking(words: str) -> ThinkingPart:
    return ThinkingPart(text=words)


def tool_use(name: str, **arguments: Any) -> ToolPart:
    return ToolPart(name=name, arguments=arguments)


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One vendor. With the same `seed`, vendors of any name and format tell the same truth."""

    seed: int = 0
    name: str = "vendor"
    port: int = 0
    tls: bool = False
    models: tuple[str, ...] = ("sim-large", "sim-small")
    only_models: bool = False
    """Any other model gets the vendor's 404."""
    keys: tuple[str, ...] = ()
    """Credentials that are accepted; empty: any, or none."""
    account: str = ""
    """Signs thinking and encrypted reasoning, and refuses what another account signed."""
    speed: float = 1.0
    """Seconds of script time per second: `60` plays an hour in a minute."""
    language: Language = "en"
    chars: int = 600
    """Length of an answer's text where the request does not say it."""
    thinking_chars: int = 200
    answers: tuple[tuple[Part, ...], ...] = ()
    """Answers in order: the n-th is given where the conversation holds n-1 answers already."""
    prefill: bool = True
    """The model goes on from a last assistant turn. False: as each vendor's newest models."""
    continuing: Continuing = "exact"
    """How the model behaves when asked to continue a torn answer."""
    show_reasoning: bool = False
    """Chat completions: `reasoning_content` as DeepSeek and vLLM send it."""
    chunking: Chunking = "event"
    tokens_per_s: float | None = None
    first_token_s: float = 0.0
    embedding_size: int = 64
    context_tokens: int | None = None
    """A longer input gets the vendor's own "prompt is too long"."""
    faults: tuple[Fault, ...] = ()


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A timeline file: `[[vendor]]` tables; `speed` and `seed` are for those that give none."""

    title: str = ""
    speed: float | None = None
    seed: int | None = None
    vendor: tuple[Script, ...] = ()


def check(script: Script) -> Script:
    """Return the script. Raises ScriptError for a row that could never do what it says."""
    for number, fault in enumerate(script.faults, 1):
        row = f"{script.name}: fault {number} ({fault.kind})"
        if fault.kind is FaultKind.REFUSE and (
            fault.requests or fault.share < 1 or fault.match != Match()
        ):
            raise ScriptError(
                f"{row}: refusing happens before there is a request, so give at_s, for_s or"
                " period_s, not requests, share or match"
            )
        if fault.kind is FaultKind.TLS and not script.tls:
            raise ScriptError(f"{row}: a failing handshake needs a vendor with tls = true")
        if not 0 <= fault.share <= 1 or not 0 <= fault.duty <= 1:
            raise ScriptError(f"{row}: share and duty go from 0 to 1")
        if fault.period_s is not None and fault.period_s <= 0:
            raise ScriptError(f"{row}: period_s must be above 0")
        if fault.kind is FaultKind.SLOW and (fault.tokens_per_s <= 0 or fault.slowdown < 1):
            raise ScriptError(f"{row}: tokens_per_s must be above 0 and slowdown at least 1")
        if fault.variant not in VARIANTS:
            raise ScriptError(f"{row}: variant is one of {', '.join(sorted(VARIANTS - {''}))}")
        if fault.kind is FaultKind.STATUS and not 400 <= fault.status <= 599:
            raise ScriptError(f"{row}: status must be an error, 400 to 599")
        request_ranges(fault.requests, row)
    if script.speed <= 0:
        raise ScriptError(f"{script.name}: speed must be above 0")
    if script.tokens_per_s is not None and script.tokens_per_s <= 0:
        raise ScriptError(f"{script.name}: tokens_per_s must be above 0")
    return script


def request_ranges(ranges: str, row: str = "requests") -> list[tuple[int, int | None]]:
    """Return the ranges of `"3-7, 9, 12-"` as (first, last). Raises ScriptError."""
    found: list[tuple[int, int | None]] = []
    for piece in filter(None, (part.strip() for part in ranges.split(","))):
        first, dash, last = piece.partition("-")
        try:
            low = int(first)
            high = low if not dash else (int(last) if last.strip() else None)
        except ValueError:
            raise ScriptError(f'{row}: requests = "{piece}" is not like "3-7" or "5-"') from None
        if low < 1 or (high is not None and high < low):
            raise ScriptError(f'{row}: requests = "{piece}" counts from 1 upwards')
        found.append((low, high))
    return found


def parse(source: str, name: str = "timeline") -> Stage:
    """Return the vendors of a TOML text. Raises ScriptError naming what is wrong."""
    try:
        raw = tomllib.loads(source)
        stage = msgspec.convert(raw, Stage)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ScriptError(f"{name}: {error}") from error
    if not stage.vendor:
        raise ScriptError(f"{name}: no [[vendor]] in it")
    vendors = []
    for given, script in zip(raw["vendor"], stage.vendor, strict=True):
        inherited: dict[str, Any] = {
            key: value
            for key, value in (("speed", stage.speed), ("seed", stage.seed))
            if value is not None and key not in given
        }
        vendors.append(check(msgspec.structs.replace(script, **inherited)))
    return msgspec.structs.replace(stage, vendor=tuple(vendors))


def timelines() -> tuple[str, ...]:
    """Names of the timelines that come with the package, without `.toml`."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def load(path: str | Path) -> Stage:
    """Return the vendors of a file, or of a shipped timeline by its name (`2026-03-02`)."""
    file = Path(path)
    if not file.exists() and file.parent == Path() and file.suffix != ".toml":
        file = _SHIPPED / f"{path}.toml"
    if not file.exists():
        raise ScriptError(f"{path}: no such file; shipped timelines: {', '.join(timelines())}")
    return parse(file.read_text("utf-8"), str(path))


_SHIPPED = Path(__file__).parent / "timelines"
