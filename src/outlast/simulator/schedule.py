"""Which fault is for this request, now. Pure: the same script, number and time, the same fault."""

from __future__ import annotations

from fnmatch import fnmatchcase

from outlast.simulator.prose import dice
from outlast.simulator.script import Fault, FaultKind, Script, request_ranges


def choose(
    script: Script, *, number: int, at_s: float, path: str, model: str, stream: bool
) -> Fault | None:
    """Return the first row that is for this request. `number` 0: a request that has none."""
    for row, fault in enumerate(script.faults):
        if happens_on_accept(fault) or not _active(fault, at_s):
            continue
        if not _counted(fault, number) or not _matches(fault, path, model, stream):
            continue
        if fault.share >= 1 or dice("share", script.seed, row, number).random() < fault.share:
            return fault
    return None


def on_accept(script: Script, *, connection: int, number: int, at_s: float) -> Fault | None:
    """Return the row that ends a new connection. `number`: of the request that would come."""
    for row, fault in enumerate(script.faults):
        if (
            happens_on_accept(fault)
            and fault.kind is not FaultKind.REFUSE
            and _active(fault, at_s)
            and _counted(fault, number)
            and (
                fault.share >= 1
                or dice("share", script.seed, row, connection).random() < fault.share
            )
        ):
            return fault
    return None


def refuses(script: Script, at_s: float) -> bool:
    """Say whether the vendor's port is closed."""
    return any(fault.kind is FaultKind.REFUSE and _active(fault, at_s) for fault in script.faults)


def next_change_s(script: Script, at_s: float) -> float | None:
    """Return the script time at which `refuses` may next change; None: never."""
    edges: list[float] = []
    for fault in script.faults:
        if fault.kind is not FaultKind.REFUSE:
            continue
        end = float("inf") if fault.for_s is None else fault.at_s + fault.for_s
        edges += [fault.at_s, end]
        if fault.period_s is not None and at_s < end:
            turn = max(0, int((at_s - fault.at_s) // fault.period_s))
            for more in (turn, turn + 1):
                begin = fault.at_s + more * fault.period_s
                edges += [begin, begin + fault.period_s * fault.duty]
    later = [edge for edge in edges if at_s < edge < float("inf")]
    return min(later, default=None)


def happens_on_accept(fault: Fault) -> bool:
    return fault.kind in {FaultKind.REFUSE, FaultKind.TLS} or (
        fault.kind is FaultKind.RESET and fault.where == "accept"
    )


def _active(fault: Fault, at_s: float) -> bool:
    since = at_s - fault.at_s
    if since < 0 or (fault.for_s is not None and since >= fault.for_s):
        return False
    return fault.period_s is None or since % fault.period_s < fault.period_s * fault.duty


def _counted(fault: Fault, number: int) -> bool:
    ranges = request_ranges(fault.requests)
    return not ranges or any(
        low <= number and (high is None or number <= high) for low, high in ranges
    )


def _matches(fault: Fault, path: str, model: str, stream: bool) -> bool:
    match = fault.match
    return (
        fnmatchcase(path, match.path)
        and fnmatchcase(model, match.model)
        and match.stream in {None, stream}
    )
