"""What a failure means: from a status, an error body or a broken connection to an Outcome and a
Scope. Pure tables; the rules are continuity.md 1.8, "failure scopes".

Order matters where a vendor uses one status for two things: an empty balance is a 400 at
Anthropic and a 429 at OpenAI, and neither is the caller's fault nor a reason to wait.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from outlast.nouns import Outcome, Scope

FaultKind = Literal[
    "refused",  # nobody listens there
    "dns",  # the name is unknown
    "dns_unavailable",  # no name server answered: our network
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
    network: Literal["carried", "silent", "ours"] = "carried"
    """What it says of our own network: something answered, nothing did, or it is at fault."""

    @property
    def movable(self) -> bool:
        """Whether another candidate might do better. A caller's fault is the same everywhere."""
        return self.scope is not Scope.REQUEST


_FAULTS: dict[FaultKind, tuple[Outcome, Scope, str]] = {
    "refused": (Outcome.CONNECT_FAILED, Scope.PROVIDER, "connection refused"),
    "dns": (Outcome.CONNECT_FAILED, Scope.PROVIDER, "the host name does not resolve"),
    "dns_unavailable": (Outcome.OURS, Scope.OURS, "no name server answered"),
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
    "too_many": (Outcome.OVERLOADED, Scope.MODEL, "our limit of requests at once is reached"),
    "internal": (Outcome.OURS, Scope.OURS, "an error of our own"),
}


def classify_fault(fault: Fault) -> Verdict:
    """Return what a broken attempt means."""
    outcome, scope, words = _FAULTS[fault.kind]
    evidence = f"{words} ({fault.detail})" if fault.detail else words
    network: Literal["carried", "silent", "ours"] = "carried"
    if fault.kind in {"dns_unavailable", "unreachable"}:
        network = "ours"
    elif fault.kind in {"dns", "connect_timeout"}:
        network = "silent"
    return Verdict(outcome, scope, evidence, fault.retry_after_s, network=network)


_QUOTA = ("insufficient_quota", "billing_error", "billing_not_active", "billing_hard_limit_reached")
_QUOTA_WORDS = (
    "credit balance is too low",
    "exceeded your current quota",
    "spend limit",
    "spending",
)
_CONTEXT_WORDS = (
    "prompt is too long",
    "maximum context length",
    "context_length_exceeded",
    "context window",
    "exceed_context_size_error",
)


def classify_status(
    status: int,
    *,
    type: str = "",  # noqa: A002 - the vendors' word
    code: str = "",
    message: str = "",
    retry_after_s: float | None = None,
) -> Verdict:
    """Return what an error status means, with the type, code and message its body gave.

    `status` 0 stands for an error inside a stream whose type nobody's table knows.
    """
    outcome, scope, context = _by_status(status, f"{type} {code}".lower(), message.lower())
    label = code or type
    evidence = f"HTTP {status} {label}".strip() if status else (label or "error in the stream")
    return Verdict(outcome, scope, evidence, retry_after_s, context)


def _by_status(  # noqa: PLR0912 - a table, a row a status
    status: int, label: str, message: str
) -> tuple[Outcome, Scope, bool]:
    if any(word in label for word in _QUOTA) or (
        status in {400, 402, 403, 429} and any(word in message for word in _QUOTA_WORDS)
    ):
        return Outcome.RATE_LIMITED, Scope.ACCOUNT, False
    if "overloaded" in label:
        return Outcome.OVERLOADED, Scope.PROVIDER, False
    match status:
        case 401 | 403:
            return Outcome.AUTH, Scope.CREDENTIAL, False
        case 402:
            return Outcome.RATE_LIMITED, Scope.ACCOUNT, False
        case 404 if not _about_model(label, message) and any(w in message for w in _THINGS):
            # A file or item that the caller named: the same everywhere.
            return Outcome.CALLER_ERROR, Scope.REQUEST, False
        case 404 | 405 | 410 | 501:
            # A place without this model, or that does not know the endpoint at all.
            return Outcome.SERVER_ERROR, Scope.MODEL, False
        case 408:
            return Outcome.TIMEOUT, Scope.PROVIDER, False
        case 409 | 423 | 425:
            return Outcome.SERVER_ERROR, Scope.MODEL, False
        case 429:
            return Outcome.RATE_LIMITED, Scope.ACCOUNT, False
        case 503 | 529:
            return Outcome.OVERLOADED, Scope.PROVIDER, False
        case 504 | 524:
            return Outcome.TIMEOUT, Scope.PROVIDER, False
        case _ if 400 <= status < 500:
            context = any(word in label or word in message for word in _CONTEXT_WORDS)
            return Outcome.CALLER_ERROR, Scope.REQUEST, context
        case _:
            return Outcome.SERVER_ERROR, Scope.PROVIDER, False


_THINGS = ("file", "response", "item", "conversation", "container", "batch", "skill")
"""What a caller may name in a request and a vendor may not find."""


def _about_model(label: str, message: str) -> bool:
    return "model" in label or "model" in message


def retry_after_s(headers: dict[str, str], now: float) -> float | None:
    """Return how long the upstream asks to wait, in seconds, from lower-case headers.

    `retry-after-ms` (the official SDKs read it) before `retry-after`, which may be seconds or an
    HTTP date (RFC 9110, 10.2.3). Nonsense counts as not said.
    """
    try:
        if (ms := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(ms) / 1000)
        if (text := headers.get("retry-after")) is None:
            return None
        return max(0.0, float(text))
    except ValueError:
        return _http_date_s(headers.get("retry-after", ""), now)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _http_date_s(text: str, now: float) -> float | None:
    """Seconds from `now` until an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`."""
    try:
        _, day, month, year, time_of_day, zone = text.split()
        hours, minutes, seconds = (int(part) for part in time_of_day.split(":"))
        if zone != "GMT":
            return None
        days = _days_from_civil(int(year), _MONTHS.index(month) + 1, int(day))
    except ValueError:
        return None
    return max(0.0, days * 86400 + hours * 3600 + minutes * 60 + seconds - now)


def _days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, chrono dates)."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146097 + day_of_era - 719468
