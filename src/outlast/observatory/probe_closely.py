"""Close looks: what may begin to fail is probed every few seconds, for a minute. Pure.

A component whose own test is on the way to a suspicion (sequential.py) is asked every two to three
seconds: what seemed to be chance is known to be none within half a minute, or to be some. A look
costs little (the deepest kind of probe that a component has, asked briefly), ends when its reason
does, and has an allowance: `ALLOWED_S` in any `SPAN_S`, so that what flaps for hours is no load.
What a look at a part asks counts for the whole too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

GAP_S = (2.0, 3.0)
"""Between two probes of a look: an answer takes about as long, so more would only wait in line."""
ALLOWED_S = 60.0
SPAN_S = 600.0
"""A component is looked at for a tenth of the time at most, however its test flaps."""
LASTS_S = 90.0
"""A look that nobody prolongs ends by itself. Who wants it says so once a minute."""
LOOKS_MAX = 50
"""Components looked at at once. More than fail one by one: then all of it is long suspected."""


class _Look(msgspec.Struct):
    until: float
    next_at: float


class CloseLooks:
    """Which components are looked at closely now, and when each may be probed next."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._spent: dict[str, deque[tuple[float, float]]] = {}
        """By component: when a probe was begun, and the seconds of allowance that it took."""

    def __contains__(self, component: str) -> bool:
        return component in self._looks

    def ask(self, component: str, now: float) -> None:
        """Begin a look, or prolong it."""
        look = self._looks.get(component)
        if look is not None:
            look.until = now + LASTS_S
        elif len(self._looks) < LOOKS_MAX:
            self._looks[component] = _Look(now + LASTS_S, self._allowed_at(component, now))

    def end(self, component: str) -> None:
        self._looks.pop(component, None)

    def clear(self) -> None:
        self._looks.clear()

    def due(self, now: float) -> list[str]:
        """The components whose next probe is due. Looks that are over are let go."""
        self._looks = {name: look for name, look in self._looks.items() if look.until > now}
        self._forget(now)
        return [name for name, look in self._looks.items() if look.next_at <= now]

    def begun(self, shown: Iterable[str], now: float, roll: float) -> None:
        """A probe was begun that shows how these components are; it takes from the allowance of
        each, so that two looks at one thing are not twice the load. `roll` in [0, 1) says how soon
        the next one follows."""
        gap_s = GAP_S[0] + (GAP_S[1] - GAP_S[0]) * roll
        for name in shown:
            self._spent.setdefault(name, deque()).append((now, gap_s))
            look = self._looks.get(name)
            if look is not None:
                look.next_at = self._allowed_at(name, now + gap_s)

    def wait(self, component: str, until: float) -> None:
        """It is not asked before then; that costs it nothing."""
        self._looks[component].next_at = until

    def wake_at(self) -> float | None:
        """When a probe is due; None: there is no look."""
        return min((look.next_at for look in self._looks.values()), default=None)

    def _allowed_at(self, component: str, at: float) -> float:
        """`at`, or when there is room in the allowance again for the longest gap."""
        spent = [one for one in self._spent.get(component, ()) if one[0] > at - SPAN_S]
        left_s = ALLOWED_S - sum(seconds for _, seconds in spent)
        return at if left_s >= GAP_S[1] else spent[0][0] + SPAN_S

    def _forget(self, now: float) -> None:
        for name, spent in list(self._spent.items()):
            while spent and spent[0][0] <= now - SPAN_S:
                spent.popleft()
            if not spent:
                del self._spent[name]
