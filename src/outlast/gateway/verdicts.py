"""What the client is told when it went wrong, and which headers pass. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from outlast.gateway.asked import Reply
from outlast.nouns import Candidate, Format, Kind, Outcome, Scope
from outlast.outcome import Verdict
from outlast.wire.codec import ApiError, Codec

_PASSED = (
    "anthropic-",
    "x-ratelimit-",
    "openai-",
    "retry-after",
    "x-should-retry",
    "request-id",
    "x-request-id",
    "server-timing",
)


def passed_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return the upstream's response headers that a client of the same format should see."""
    return {name: value for name, value in headers.items() if passes(name)}


def passes(name: str) -> bool:
    """Whether this response header (in lower case) is one of them."""
    return name.startswith(_PASSED)


def passed(status: int, theirs: dict[str, str], body: bytes, ours: dict[str, str]) -> Reply:
    """Return an upstream's own words for a caller's fault, unchanged."""
    headers = passed_headers(theirs) | ours
    headers["content-type"] = theirs.get("content-type", "application/json")
    return Reply(status, headers, body)


def reply(codec: Codec, error: ApiError, request_id: str, headers: dict[str, str]) -> Reply:
    """Return an error in the client's dialect, with its request id header."""
    own = "request-id" if codec.format is Format.ANTHROPIC else "x-request-id"
    body = msgspec.json.encode(codec.render_error(error, request_id))
    return Reply(
        error.status, {own: request_id, **headers, "content-type": "application/json"}, body
    )


def status_of(verdict: Verdict) -> int:
    """Return the HTTP status that says the same as this verdict."""
    match verdict.outcome:
        case Outcome.OVERLOADED | Outcome.OURS:
            return 529
        case Outcome.RATE_LIMITED:
            return 429
        case Outcome.TIMEOUT | Outcome.STALLED:
            return 504
        case _:
            return 502


def about_history(verdict: Verdict) -> Verdict:
    """Return the verdict on a refusal that is followed by the same question, its history mended.

    It is about the request, whatever status it came with: relays have been seen to say 429.
    """
    said = f"{verdict.evidence}: the history; asked again without what it cannot read"
    return Verdict(Outcome.CALLER_ERROR, Scope.REQUEST, said, network=verdict.network)


def broken_message(candidate: Candidate | None, verdict: Verdict) -> str:
    name = candidate.upstream if candidate is not None else "the upstream"
    return (
        f"The answer broke off: {name} failed in the middle ({verdict.evidence}). "
        "What you have is incomplete. Send the request again."
    )


def _no_network(tried: Sequence[tuple[Candidate, Verdict]]) -> bool:
    """Whether our own network was missing: our machine said so, or all that is far was silent."""
    far = [(candidate, v) for candidate, v in tried if candidate.kind is not Kind.LOCAL]
    if not far or any(verdict.network not in {"ours", "silent"} for _, verdict in far):
        return False
    providers = {candidate.provider for candidate, _ in far}
    return len(providers) > 1 or any(verdict.network == "ours" for _, verdict in far)


def exhausted(
    form: Format, tried: Sequence[tuple[Candidate, Verdict]], took_s: float
) -> tuple[ApiError, dict[str, str]]:
    """Return the error for a request that nobody could answer, with its headers.

    The status is one that the caller's tools understand: 529 is Anthropic's own; Codex gives up
    on 429 and retries 503. A refused *upstream* credential is never told as 401: the caller's
    own key is fine.
    """
    trail = "; ".join(f"{candidate.upstream}: {verdict.evidence}" for candidate, verdict in tried)
    waits = [verdict.retry_after_s for _, verdict in tried if verdict.retry_after_s is not None]
    outcomes = {verdict.outcome for _, verdict in tried}
    wait_s = max(1, min(60, round(min(waits)))) if waits else 5
    if not tried:
        message = (
            "No upstream may answer this request within what `allow` permits. Widen "
            "`outlast-allow`, the key's or the route's `allow`, or add a candidate to the route."
        )
        return ApiError(503, message), {"x-should-retry": "false"}
    if all(verdict.scope is Scope.CREDENTIAL for _, verdict in tried):
        message = (
            f"Every upstream refused Outlast's own credential ({trail}). Your key is fine; the "
            "operator has to mend the upstreams' keys (`outlast doctor` shows which)."
        )
        return ApiError(502, message), {"x-should-retry": "false"}
    if outcomes == {Outcome.RATE_LIMITED}:
        message = f"Every upstream is at its rate limit ({trail}). Try again in {wait_s} s."
        return ApiError(429, message), {"retry-after": str(wait_s)}
    if _no_network(tried):
        trail = f"Outlast has no network, and nothing local could answer ({trail})"
    else:
        trail = f"No upstream could answer, tried for {took_s:.0f} s ({trail})"
    status = 529 if form is Format.ANTHROPIC else 503
    message = f"{trail}. Try again in {wait_s} s."
    return ApiError(status, message), {"retry-after": str(wait_s)}
