"""What a failure means: from a status, an error body or a broken connection to an Outcome and a
Scope. Pure tables; the rules are continuity.md 1.8, "failure scopes".

Order matters where a vendor uses one status for two things: an empty balance is a 400 at
Anthropic and a 429 at OpenAI, and neither is the caller's fault nor a reason to wait.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from outlast.nouns import Outcome, Scope

FaultKind = Literal[
    "refused",  # nobody listens there
    "dns",  # the name is unknown
    "dns_unavailable",  # no answer from the name servers: theirs or ours
    "unreachable",  # no route: our network
    "connect_timeout",
    "tls",
    "reset",  # the connection broke before or inside the answer
    "eof",  # a clean end before the answer's end
    "first_byte_timeout",
    "stall",
    "malformed",  # a frame or body that is not of its format
    "oversize",
    "wrong_type",  # a page where an answer should be
    "busy",  # the embedded model's queue is full
    "not_ready",  # the embedded model is downloading, starting or absent
    "too_many",  # our own concurrency limit for this upstream
    "internal",
]


Network = Literal["carried", "silent", "ours", "unknown"]
"""What an attempt says of our own network: something answered, nothing did, it is at fault, or
the attempt does not tell (a connection that was open before may be dead since)."""


class Fault(msgspec.Struct, frozen=True):
    """How an attempt broke without an HTTP status. `detail` is for people, without secrets."""

    kind: FaultKind
    detail: str = ""
    retry_after_s: float | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What one failure says, and about what."""

    outcome: Outcome
    scope: Scope
    evidence: str
    retry_after_s: float | None = None
    context_exceeded: bool = False
    network: Network = "carried"

    @property
    def movable(self) -> bool:
        """Whether another candidate might do better. A caller's fault is the same everywhere."""
        return self.scope is not Scope.REQUEST


_FAULTS: dict[FaultKind, tuple[Outcome, Scope, str]] = {
    "refused": (Outcome.CONNECT_FAILED, Scope.PROVIDER, "connection refused"),
    "dns": (Outcome.CONNECT_FAILED, Scope.PROVIDER, "the host name does not resolve"),
    # Resolvers say "try again" for a vendor's broken name servers too: only together with a
    # second, unrelated provider is it our network (connectivity.py).
    "dns_unavailable": (Outcome.CONNECT_FAILED, Scope.PROVIDER, "no name server answered"),
    "unreachable": (Outcome.OURS, Scope.OURS, "no route to the network"),
    "connect_timeout": (Outcome.CONNECT_FAILED, Scope.PROVIDER, "no connection in time"),
    "tls": (Outcome.CONNECT_FAILED, Scope.PROVIDER, "TLS failed"),
    "reset": (Outcome.BROKEN_STREAM, Scope.PROVIDER, "the connection broke"),
    "eof": (Outcome.BROKEN_STREAM, Scope.PROVIDER, "the answer ended before its end"),
    "first_byte_timeout": (Outcome.TIMEOUT, Scope.PROVIDER, "no content in time"),
    "stall": (Outcome.STALLED, Scope.PROVIDER, "the answer stood still"),
    "malformed": (Outcome.BROKEN_STREAM, Scope.PROVIDER, "a malformed frame"),
    "oversize": (Outcome.BROKEN_STREAM, Scope.MODEL, "an answer beyond the size limit"),
    "wrong_type": (Outcome.SERVER_ERROR, Scope.PROVIDER, "a page instead of an answer"),
    "busy": (Outcome.OVERLOADED, Scope.MODEL, "the queue is full"),
    "not_ready": (Outcome.OVERLOADED, Scope.MODEL, "not ready"),
    # Our own doing: it must not open the breaker of a healthy upstream.
    "too_many": (Outcome.OURS, Scope.MODEL, "our limit of requests at once is reached"),
    "internal": (Outcome.OURS, Scope.OURS, "an error of our own"),
}


_NETWORK: dict[FaultKind, Network] = {
    "dns": "silent",
    "dns_unavailable": "silent",
    "connect_timeout": "silent",
    "unreachable": "ours",
    "first_byte_timeout": "unknown",
    "stall": "unknown",
    "busy": "unknown",
    "not_ready": "unknown",
    "too_many": "unknown",
    "internal": "unknown",
}
"""All other faults came from the other side: the network carries."""


def classify_fault(fault: Fault) -> Verdict:
    """Return what a broken attempt means."""
    outcome, scope, words = _FAULTS[fault.kind]
    evidence = f"{words} ({fault.detail})" if fault.detail else words
    network = _NETWORK.get(fault.kind, "carried")
    return Verdict(outcome, scope, evidence, fault.retry_after_s, network=network)


_QUOTA = (
    "insufficient_quota",
    "billing_error",
    "billing_not_active",
    "billing_hard_limit_reached",
    "blocked_api_access",
)
_QUOTA_WORDS = (
    "credit balance",
    "exceeded your current quota",
    "api usage limits",
    "spend limit",
    "spending limit",
    "spending cap",
    "prepayment credits",
    "insufficient balance",
    "key limit exceeded",
    "account is not active",
)
"""Seen at Anthropic (400), OpenAI (429), Gemini (429), OpenRouter (403) and DeepSeek (402)."""
_BAD_KEY_WORDS = ("api key not valid", "api key expired", "invalid api key", "incorrect api key")
"""Gemini refuses a key with a 400."""
_RATE_LIMIT = ("rate_limit", "too_many_requests", "resource_exhausted", "throttling")
"""Groq says `rate_limit_exceeded` with a 413."""
_CONTEXT_WORDS = (
    "prompt is too long",
    "maximum context length",
    "context_length_exceeded",
    "context window",
    "context limit",
    "context size",
    "exceed_context_size_error",
    "exceeds the maximum number of tokens",
)


def classify_status(
    status: int,
    *,
    type: str = "",  # noqa: A002 - the vendors' word
    code: str = "",
    message: str = "",
    retry_after_s: float | None = None,
    in_answer: bool = False,
) -> Verdict:
    """Return what an error status means, with the type, code and message its body gave.

    `in_answer`: the error came inside a 200, and `status` is what the vendor's table makes of
    its type; 0 where the table does not know it.
    """
    outcome, scope, context = _by_status(status, f"{type} {code}".lower(), message.lower())
    label = code or type
    if in_answer:
        evidence = f"{label or 'error'} inside the answer"
    else:
        evidence = f"HTTP {status} {label}".strip()
    return Verdict(outcome, scope, evidence, retry_after_s, context)


def _by_status(  # noqa: PLR0912 - a table, a row a status
    status: int, label: str, message: str
) -> tuple[Outcome, Scope, bool]:
    caller = 400 <= status < 500
    if _any(_QUOTA, label) or (caller and _any(_QUOTA_WORDS, message)):
        return Outcome.RATE_LIMITED, Scope.ACCOUNT, False
    if "overloaded" in label:
        return Outcome.OVERLOADED, Scope.PROVIDER, False
    if caller and _any(_RATE_LIMIT, label):
        return Outcome.RATE_LIMITED, Scope.ACCOUNT, False
    match status:
        case 403 if "model_not_found" in label:
            # OpenAI: this project may not use this model; the key is fine.
            return Outcome.SERVER_ERROR, Scope.MODEL, False
        case 400 | 401 | 403 if status != 400 or _any(_BAD_KEY_WORDS, message):
            return Outcome.AUTH, Scope.CREDENTIAL, False
        case 402:
            return Outcome.RATE_LIMITED, Scope.ACCOUNT, False
        case 404 if _about_callers_thing(label, message):
            # A file or item that the caller named: the same everywhere.
            return Outcome.CALLER_ERROR, Scope.REQUEST, False
        case 404 | 405 | 410 | 501:
            # A place without this model, or that does not know the endpoint at all.
            return Outcome.SERVER_ERROR, Scope.MODEL, False
        case 408:
            return Outcome.TIMEOUT, Scope.PROVIDER, False
        case 409 | 423 | 424 | 425:
            # 424 is Bedrock's ModelErrorException: the model failed, not the caller.
            return Outcome.SERVER_ERROR, Scope.MODEL, False
        case 429:
            return Outcome.RATE_LIMITED, Scope.ACCOUNT, False
        case 498:  # Groq: flex capacity exceeded
            return Outcome.OVERLOADED, Scope.MODEL, False
        case 503 | 529:
            return Outcome.OVERLOADED, Scope.PROVIDER, False
        case 504 | 522 | 524:  # 52x: Cloudflare, for the vendor behind it
            return Outcome.TIMEOUT, Scope.PROVIDER, False
        case _ if caller:
            return Outcome.CALLER_ERROR, Scope.REQUEST, _any(_CONTEXT_WORDS, f"{label} {message}")
        case _:
            return Outcome.SERVER_ERROR, Scope.PROVIDER, False


def _any(words: tuple[str, ...], text: str) -> bool:
    return any(word in text for word in words)


_THING = re.compile(
    r"(?<![/\w-])(file|response|item|conversation|container|batch|skill|vector store)s?(?![/\w-])"
)
"""What a caller may name in a request and a vendor may not find."""
_UNKNOWN_PLACE = re.compile(r"(post|get) /|\burl\b|^(file |page )?not found\.?$")
"""The endpoint itself is missing: `Invalid URL (POST /v1/responses)` at OpenAI, `Cannot POST /v1…`
at many, and `File Not Found` at llama.cpp, which means its own path."""


def _about_callers_thing(label: str, message: str) -> bool:
    if "model" in label or "model" in message or _UNKNOWN_PLACE.search(message):
        return False
    return _THING.search(message) is not None


_NUMBER = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)


def retry_after_s(headers: dict[str, str], now: float) -> float | None:
    """Return how long the upstream asks to wait, in seconds, from lower-case headers.

    `retry-after-ms` (the official SDKs read it) before `retry-after`, which may be seconds or an
    HTTP date (RFC 9110, 10.2.3). Nonsense counts as not said: negative numbers, `nan`, `inf`.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    text = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    return _http_date_s(text, now)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII
)


def _http_date_s(text: str, now: float) -> float | None:
    """Seconds from `now` until an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`."""
    match = _HTTP_DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hours, minutes, seconds = (int(match[group]) for group in (1, 3, 4, 5, 6))
    days = _days_from_civil(year, _MONTHS.index(match[2]) + 1, day)
    return max(0.0, days * 86400 + hours * 3600 + minutes * 60 + seconds - now)


def _days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, chrono dates)."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146097 + day_of_era - 719468
