"""A body written for one Claude model, sent to another: said the way that one takes it. Pure.

`thinking` with a budget is refused from Opus 4.7 on, adaptive thinking before 4.6, and sampling
parameters from 4.7 on: each with a 400, so that a failover between two Claude models of different
age would be a refusal. Sources: as in models.py; the wordings in issues, read in November 2026.
"""

from __future__ import annotations

import re

import msgspec

from outlast.wire.anthropic.models import Traits
from outlast.wire.anthropic.repair import begins_with_thinking, without_clearing
from outlast.wire.canon import JSON

_TOUCHED = re.compile(rb'"(?:thinking|effort|temperature|top_p|top_k)"\s*:')
_BUDGET = 8192
_LEAST_BUDGET = 1024


def may_need_fitting(body: bytes) -> bool:
    """Return whether there is something in a body that models differ in; cheap."""
    return _TOUCHED.search(body) is not None


def fitted(body: JSON, traits: Traits) -> tuple[JSON, tuple[str, ...]]:
    """Return (the body in this model's words, names of what had no equivalent).

    The very same object where the model takes it as it is.
    """
    fit = dict(body)
    dropped: list[str] = []
    _fit_thinking(fit, traits, dropped)
    _fit_effort(fit, traits, dropped)
    thinks = isinstance(fit.get("thinking"), dict) and fit["thinking"].get("type") == "enabled"
    refused: tuple[str, ...] = () if traits.sampling else ("temperature", "top_p", "top_k")
    if thinks and fit.get("thinking") is not body.get("thinking"):
        refused = ("temperature", "top_p", "top_k")  # a budget goes with none of them
    for name in refused:
        if name in fit:
            del fit[name]
            dropped.append(name)
    if "thinking" in dropped:
        fit = without_clearing(fit)
    return (fit, tuple(dropped)) if fit != body else (body, ())


def _fit_thinking(fit: JSON, traits: Traits, dropped: list[str]) -> None:
    thinking = fit.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if not isinstance(kind, str):
        return  # whatever it is, the model's host says what it thinks of it
    stuck = kind == "disabled" and traits.thinking_off in {"never", "between_tools"}
    if stuck or (kind in {"enabled", "adaptive"} and traits.thinking == "none"):
        del fit["thinking"]
        dropped.append("thinking")
    elif kind == "enabled" and traits.thinking == "adaptive" and not traits.sampling:
        display = thinking.get("display") if isinstance(thinking, dict) else None
        shown = {"display": display} if display else {}
        fit["thinking"] = {"type": "adaptive", **shown}
    elif kind in {"adaptive", "between_tools"} and traits.thinking == "budget":
        budget = _budget(fit)
        if budget:
            fit["thinking"] = {"type": "enabled", "budget_tokens": budget}
        else:
            del fit["thinking"]
            dropped.append("thinking")


def _budget(fit: JSON) -> int:
    """Return a budget that this request can have; 0: none."""
    limit, messages = fit.get("max_tokens"), fit.get("messages")
    choice = fit.get("tool_choice")
    forced = isinstance(choice, dict) and choice.get("type") in ("any", "tool")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return 0
    if not isinstance(limit, int) or forced or not begins_with_thinking(messages):
        return 0
    budget = min(_BUDGET, limit // 2)
    return budget if budget >= _LEAST_BUDGET else 0


def _fit_effort(fit: JSON, traits: Traits, dropped: list[str]) -> None:
    output = fit.get("output_config")
    effort = output.get("effort") if isinstance(output, dict) else None
    if not isinstance(output, dict) or effort is None or effort in traits.efforts:
        return
    rest = {name: value for name, value in output.items() if name != "effort"}
    known = [one for one in ("low", "medium", "high", "xhigh") if one in traits.efforts]
    if known:
        fit["output_config"] = {**rest, "effort": known[-1]}
        return
    dropped.append("output_config.effort")
    if rest:
        fit["output_config"] = rest
    else:
        del fit["output_config"]


def fitted_bytes(body: bytes, decoded: JSON, traits: Traits) -> tuple[bytes, tuple[str, ...]]:
    """Return (the body's bytes, names): the caller's own bytes where nothing has to change."""
    fit, dropped = fitted(decoded, traits)
    return (body, ()) if fit is decoded else (msgspec.json.encode(fit), dropped)
