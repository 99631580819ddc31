"""Phrases of incident reports, by the cause they name. English. Pure.

General wording of the field; what each class is meant to hold is said beside it. Alternatives are
regular expressions that begin at a word. Where phrases of two classes begin at one place, the class
that stands first here counts.
"""

from __future__ import annotations

import re

_CLOUDS = (
    r"(?:azure|aws|amazon web services|gcp|google cloud|cloudflare|fastly|akamai|oracle cloud)"
)
_BAD = (
    r"(?:incorrect|invalid|wrong|erroneous|errant|bad|faulty|improper|inadvertent|unintended)"
    r"(?:ly)?"
)
_HEAVY = (
    r"(?:high|higher|heavy|heavier|increased|elevated|excessive|unprecedented|unexpected|unusual|"
    r"unusually|extreme|record|peak|too much|large)"
)
_GROWTH = r"(?:spike|surge|increase|jump|burst|rise|influx|flood|growth|peak)s?"
_SCARCE = r"(?:capacity|resource|memory|connection|thread|cpu|gpu)(?: pool)?"
_CHANGED = (
    r"(?:software|product|code|system|firmware|library|version|kernel|scheduled|recent|new|faulty|"
    r"bad|application|schema|database|infrastructure|backend|frontend|service|model)"
)
_LOGIN = r"(?:authenticat|authoriz|authoris|log-?in|sign-?in|identity|sso|oauth)\w*"
_KEY = r"(?:certificate|token|credential|key)s?"
_BROKEN = r"(?:outage|incident|issues?|problems?|disruption|failure|degradation|downtime)"

CONFIGURATION = (
    # Something was set wrong.
    r"mis-?configur\w+",
    r"configuration (?:change|error|issue|update|rollout|push|problem|mistake)s?",
    r"config (?:change|push|rollout|error|update)s?",
    r"(?:change|update|modification|mistake|error)s? (?:to|of|in) (?:the |an? |our |its |some )?"
    r"(?:(?!\w+ing )\w+ ){0,2}?config(?:uration|s)?\b(?! \w+er\b)",
    _BAD + r" (?:\w+[ -]){0,3}?(?:config\w*|settings?|flags?|quotas?|polic(?:y|ies)|rules?|"
    r"parameters?|sinks?|limits?|values?|thresholds?|mappings?|routes?)\b",
    r"incorrectly (?:configured|set|applied)",
    r"feature flag",
)
UPSTREAM_CLOUD = (
    # Whose servers or services it runs on failed.
    r"(?:upstream|third[- ]party|external|cloud|hosting|infrastructure|service|compute|cdn)"
    r"(?: \w+)? (?:providers?|vendors?|partners?|dependenc(?:y|ies))",
    _CLOUDS + r"(?:'s)?(?: \w+){0,4}? " + _BROKEN,
    _BROKEN + r" (?:with|at|in|on|from|of) (?:\w+ ){0,3}?(?:" + _CLOUDS + r"|upstream)\b",
    r"upstream (?:outage|incident|issue|failure|disruption)",
)
NETWORK = (
    # Packets did not arrive, or names did not lead anywhere.
    r"networking (?:issue|failure|problem|error)s?",
    r"fib(?:er|re)[- ]?(?:optic )?(?:cable )?cuts?",
    r"packet loss",
    r"network (?:congestion|partition|outage|failure|issue|problem|disruption|connectivity)s?",
    r"(?:\bdns\b|bgp|routing|router|peering)(?: \w+){0,3}? "
    r"(?:issue|failure|error|problem|outage|misroute|leak|change)s?",
    r"transport links?",
    r"(?:submarine|undersea) cable",
    r"network (?:switch|router|link|device)\w*(?: \w+){0,3}? (?:failure|failed|fault|outage)\w*",
    r"(?:loss|lack) of (?:network )?connectivity",
)
AUTHENTICATION = (
    # Who is who could not be told. Only with a word of trouble beside it (cause_words.py).
    _LOGIN + r"(?: \w+){0,3}? "
    r"(?:service|system|provider|server|component|backend|token|failure|issue|outage)s?",
    r"(?:system|service|server|component)s? that (?:authenticat|authoriz|authoris)\w+",
    r"expired? (?:\w+ ){0,2}?" + _KEY,
    _KEY + r" (?:that |which )?(?:had |have |has |was )?expir\w+",
)
OVERLOAD = (
    # More was asked than it could bear, or something ran out.
    r"over-?load\w*",
    _GROWTH + r" (?:in|of) (?:\w+[ -]){0,4}?"
    r"(?:traffic|load|requests?|demand|usage|queries|consumption|users|jobs)",
    r"(?:traffic|load|demand|request|usage|query)(?: volume)? "
    r"(?:spike|surge|increase|burst|peak)s?",
    _HEAVY + r"(?:[ -]\w+){0,3}? (?:traffic|load|demand|request volumes?|"
    r"volume of (?:requests|traffic)|utili[sz]ation)\b",
    r"(?:insufficient|lack of|limited|shortage of|ran out of|running out of|exhaust\w+) "
    r"(?:\w+ ){0,3}?(?:capacity|resources|memory|connections|threads|cpu|gpus?)",
    _SCARCE + r" (?:shortage|shortfall|exhaustion|contention|constraint|saturation|"
    r"limits? (?:was|were) reached)s?",
    r"(?:resource|capacity)[- ]constrained",
    r"^load\b(?!-| balanc)",
)
DEPLOY = (
    # Something new was brought in: code, a version, a schema, a model.
    r"(?:roll[- ]?outs?|rolled out|rolling out|deploy\w*|releases?|released)\b",
    _CHANGED + r"(?: \w+){0,2}? "
    r"(?:update|upgrade|change|migration|patch|push|version|feature|launch)s?\b",
    r"(?:an?|the|our) (?:update|upgrade|change|patch|migration)s?\b",
    r"(?:update|upgrade|migration)s? (?:to|of) \w+",
    r"regressions?\b",
    r"(?:bug|error|issue|defect) (?:that was |which was )?introduced",
)
NONE_OF_OURS = (
    # Stated causes outside our classes. They are here so that no other phrase is read for them.
    r"bugs?\b",
    r"(?:power|cooling|hardware|disk|storage device|battery|thermal|fire|flood\w*|temperature)"
    r"(?: \w+){0,3}? (?:event|failure|outage|issue|loss|fault|system|systems|problem)s?",
    r"loss of power",
    r"(?:planned|scheduled|routine|regular|emergency) maintenance",
    r"(?:database|deadlock|memory leak|latent|software) (?:lock|bug|defect|issue)s?\b",
    r"memory leak",
    r"race condition",
)


def _any(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(phrases)})", re.IGNORECASE)


PHRASES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("configuration", _any(CONFIGURATION)),
    ("upstream_cloud", _any(UPSTREAM_CLOUD)),
    ("network", _any(NETWORK)),
    ("authentication", _any(AUTHENTICATION)),
    ("overload", _any(OVERLOAD)),
    ("deploy", _any(DEPLOY)),
    ("", _any(NONE_OF_OURS)),
)
"""The classes of `cause.Cause`; the empty one is a cause of none of them."""

ELSEWHERE = re.compile(
    r"\b(?:cloud|hosting|infrastructure|upstream|third[- ]party) (?:\w+ )?(?:provider|vendor)s?\b",
    re.IGNORECASE,
)
"""A network or a login of somebody else's: the cause is upstream."""
TROUBLE = (
    r"(?:issues?|outages?|incidents?|disruptions?|errors?|failures?|fail(?:ed|ing)?|problems?|"
    r"degrad\w+|down(?:time)?|impact(?:ed|s)?|latency|latencies|elevated|increased|interruptions?|"
    r"unavailab\w+|slow\w*|offline|delay(?:s|ed)?|unable|cannot|time-?outs?|unresponsive|malformed|loss)"
)
