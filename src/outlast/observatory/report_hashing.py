"""Where who and where become keyed hashes: after this, no address is left. Pure.

A reporter is the network together with the token that the browser keeps: tokens alone are free to
invent, networks alone are shared. Everything is hashed with today's secret and, where there is
one, with yesterday's, so that midnight makes nobody a second person.
"""

from __future__ import annotations

from outlast.observatory.networks import Groups, label, network_label, reporter_label
from outlast.observatory.proof import BadProof, Proof, verify
from outlast.observatory.report_body import Posted
from outlast.observatory.report_nouns import Report

SecretPair = tuple[bytes, bytes | None]
"""Today's, and yesterday's where there is one."""


def hashed(posted: Posted, model: str, groups: Groups, pair: SecretPair) -> Report:
    """Return the report. `model`: the posted one, or empty where it is not watched."""
    secret, earlier = pair
    reporter = reporter_label(secret, groups, posted.token)
    component = f"{posted.provider}/{posted.surface}"
    before = reporter_label(earlier, groups, posted.token) if earlier else ""
    said = f"{reporter}|{component}|{model}|{posted.works}|{posted.id}"
    return Report(
        component=component,
        works=posted.works,
        reporter=reporter,
        network=network_label(secret, groups),
        model=model,
        region=posted.region,
        symptom=posted.symptom,
        id=label(secret, "id", said, 16) if posted.id else "",
        earlier_reporter=before,
        earlier_network=network_label(earlier, groups) if earlier else "",
    )


def receipt_label(receipt: str, pair: SecretPair) -> str:
    return label(pair[0], "receipt", receipt, 16)


def proven(text: str, report: Report, pair: SecretPair, now: float) -> Proof | None:
    """Return the proof of work if it holds for this reporter."""
    secret, earlier = pair
    keys = [(secret, report.reporter)]
    if earlier:
        keys.append((earlier, report.earlier_reporter))
    try:
        return verify(text, keys, now)
    except BadProof:
        return None
