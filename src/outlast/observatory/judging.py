"""What may be said of a component, given what each kind of evidence says now. Pure.

*Suspected* (S_DOWN): one kind's own test has fired; each test has a stated false-alarm rate.
*Confirmed* (O_DOWN): two independent kinds have, and the probability is 0.95 or more. Traffic and
probes of ours share a network and an account: together they are one kind, "own". Probes from
another vantage point, the crowd, and the vendor are the others.

How bad it is comes from the share of our own requests that fail, where there are any; else from
the vendor's word; people's reports alone never say more than "degraded".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from outlast.nouns import ComponentState, Evidence, Status, Suspicion
from outlast.observatory import fusion

CONFIRMED_P = 0.95
STAYS_P = 0.5
"""Once confirmed it stays so while a kind still fires and the probability is at least this."""
MAJOR_SHARE = 0.5
PARTIAL_SHARE = 0.1
"""Error shares from which an outage is partial, or major. Ours: vendors state none."""
STEP_DOWN = 0.75
HEALTHY_SHARE = PARTIAL_SHARE
"""What surely fails less often than that works for us."""
USUAL_SHARE = 0.03
"""What failed more often than that in the last minutes is not fine again."""
ENOUGH = 10
"""Tries in the window from which a share says something."""
LAG_S = 10 * 60.0
"""A vendor's page that still shows green is late (median 16 min), and not yet a contradiction."""
STILL_S = 5 * 60.0
Z95 = 1.96

GROUPS = {
    "traffic": "own",
    "slow": "own",
    "probe": "own",
    "elsewhere": "elsewhere",
    "report": "crowd",
    "notice": "vendor",
}


class Reading(msgspec.Struct, frozen=True):
    """What one kind of evidence says of a component at this moment."""

    evidence: Evidence
    fired: bool = False
    """Its own test says that this is no chance."""


class Vendor(msgspec.Struct, frozen=True):
    """What the vendor's page says of a component, as far as we could read it."""

    status: Status | None = None
    """Its own mark for this component; None: it shows none, or its page cannot be read."""
    declared: bool = False
    """One of its open notices names this component as failing."""
    since_at: float = 0.0
    """Since when it says so, in our time."""
    maintenance: bool = False


class Before(msgspec.Struct, frozen=True):
    """What was said until now."""

    suspicion: Suspicion = Suspicion.NONE
    status: Status = Status.OPERATIONAL
    since_at: float = 0.0
    quiet_at: float = 0.0
    """Since when no test of ours has fired; 0: it does, or was never asked."""
    failed_at: float = 0.0
    """When a try of ours, or of another vantage point, failed last."""
    contradiction: str = ""


def judge(
    component: str,
    readings: Mapping[str, Reading],
    vendor: Vendor,
    before: Before,
    now: float,
) -> ComponentState:
    """Return what is said of a component now. `readings`: by kind, the keys of GROUPS."""
    parts = parts_of(readings)
    probability = fusion.probability(parts.log_odds)
    groups = {GROUPS[kind] for kind, reading in readings.items() if reading.fired}
    share = _own_share(readings)
    suspicion = _suspicion(groups, probability, share, before.suspicion)
    status = _status(suspicion, groups, share, vendor, before)
    same = status is before.status and suspicion is before.suspicion
    return ComponentState(
        component=component,
        status=status,
        suspicion=suspicion,
        probability=probability,
        since_at=before.since_at
        if same and before.since_at
        else _since(readings, suspicion, before, now),
        at=now,
        evidence=tuple(
            msgspec.structs.replace(reading.evidence, fired=reading.fired)
            for reading in readings.values()
        ),
        contradiction=_contradiction(groups, suspicion, share, vendor, before, readings, now),
        error_share=share[:3],
    )


def parts_of(readings: Mapping[str, Reading]) -> fusion.Parts:
    """What each kind adds, capped; the caps are fusion's."""

    def said(kind: str) -> float:
        return readings[kind].evidence.log_odds if kind in readings else 0.0

    return fusion.Parts(
        own=fusion.clamp(
            said("traffic") + said("probe") + min(said("slow"), fusion.SLOW_CAP), fusion.OWN_CAP
        ),
        elsewhere=fusion.clamp(said("elsewhere"), fusion.ELSEWHERE_CAP),
        crowd=fusion.clamp(said("report"), fusion.CROWD_CAP),
        vendor=fusion.clamp(said("notice"), fusion.VENDOR_OUTAGE),
    )


def _suspicion(groups: set[str], probability: float, share: Share, before: Suspicion) -> Suspicion:
    if not groups:
        # Its test says that it is well again; the figures have to say so too.
        lasts = before is not Suspicion.NONE and (probability >= STAYS_P or share[0] > USUAL_SHARE)
        return Suspicion.S_DOWN if lasts else Suspicion.NONE
    if len(groups) > 1 and probability >= CONFIRMED_P:
        return Suspicion.O_DOWN
    if before is Suspicion.O_DOWN and probability >= STAYS_P:
        return Suspicion.O_DOWN
    return Suspicion.S_DOWN


Share = tuple[float, float, float, float]
"""Estimate, low and high end of its 95 % interval, and the tries behind it."""


def share_of(failures: float, total: float) -> Share:
    """A share with its interval (E. B. Wilson, JASA 1927); 0 to 1 where nothing was tried."""
    if total <= 0:
        return 0.0, 0.0, 1.0, 0.0
    p = min(1.0, max(0.0, failures / total))
    z2 = Z95 * Z95
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return p, max(0.0, centre - half), min(1.0, centre + half), total


def _own_share(readings: Mapping[str, Reading]) -> Share:
    own = [readings[kind].evidence for kind in ("traffic", "probe") if kind in readings]
    return share_of(sum(one.failures for one in own), sum(one.total for one in own))


def _graded(share: Share, before: Status) -> Status:
    """How bad a share of failures is; a step down takes a quarter less, so that nothing flaps, and
    a step up an interval that is hardly below the bound, so that a few tries claim little."""
    for status, least in ((Status.MAJOR, MAJOR_SHARE), (Status.PARTIAL, PARTIAL_SHARE)):
        lower = least * STEP_DOWN
        if before.rank >= status.rank:
            if share[0] >= lower:
                return status
        elif share[0] >= least and share[1] >= lower:
            return status
    return Status.DEGRADED


def _works(share: Share, before: Before) -> bool:
    """Whether it surely works for us, for the most part; what did, does until that is in doubt."""
    did = before.contradiction == "vendor_says_down" or before.status is Status.DEGRADED
    most = 2 * HEALTHY_SHARE if did and share[0] < HEALTHY_SHARE / 4 else HEALTHY_SHARE
    return share[3] >= ENOUGH and share[2] < most


def _status(
    suspicion: Suspicion, groups: set[str], share: Share, vendor: Vendor, before: Before
) -> Status:
    if suspicion is Suspicion.NONE:
        return Status.MAINTENANCE if vendor.maintenance else Status.OPERATIONAL
    if "own" in groups:
        return _graded(share, before.status)
    if _works(share, before):
        return Status.DEGRADED  # it works for us: not for everybody, some say
    if "vendor" in groups and vendor.status is not None and vendor.status.rank:
        return vendor.status
    if suspicion is Suspicion.O_DOWN or "elsewhere" in groups:
        return Status.PARTIAL
    return Status.DEGRADED


def _since(
    readings: Mapping[str, Reading], suspicion: Suspicion, before: Before, now: float
) -> float:
    """When it began, as far as what fired can tell; what only lasts began when it did."""
    if suspicion is Suspicion.NONE:
        return now
    known = [r.evidence.since_at for r in readings.values() if r.fired and r.evidence.since_at]
    lasts = before.suspicion is not Suspicion.NONE and before.since_at
    return min(known, default=before.since_at if lasts else now)


def _contradiction(
    groups: set[str],
    suspicion: Suspicion,
    share: Share,
    vendor: Vendor,
    before: Before,
    readings: Mapping[str, Reading],
    now: float,
) -> str:
    ours = bool(groups & {"own", "elsewhere"})
    # A test that has called it well again does not make the vendor's word come true, while it is
    # still suspected for what its tries say and tries still fail.
    stays = not groups and suspicion is not Suspicion.NONE and share[0] > USUAL_SHARE
    if (ours or stays) and vendor.status is Status.OPERATIONAL and not vendor.declared:
        kinds = ("traffic", "slow", "probe", "elsewhere")
        fired = [readings[k].evidence for k in kinds if k in readings and readings[k].fired]
        since = min((one.since_at or one.at for one in fired), default=before.since_at)
        # What failed before the vendor spoke does not contradict it.
        after = before.failed_at > vendor.since_at and now - before.failed_at <= STILL_S
        if after and (vendor.since_at >= since or now - since >= LAG_S):
            return "vendor_says_fine"
    fine = _works(share, before)
    quiet = bool(before.quiet_at) and now - before.quiet_at >= LAG_S
    if vendor.declared and fine and quiet and not ours and now - vendor.since_at >= LAG_S:
        return "vendor_says_down"
    return ""
