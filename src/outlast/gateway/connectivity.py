"""Whether it is our own network that is gone. Pure.

Several unrelated providers that cannot be reached at the same moment are not all down: we are
offline (continuity.md 1.8, "ours"). Then nobody is marked down, and only the local model is asked.
An answer of any kind, an error included, proves that the network carries.
"""

from __future__ import annotations

from outlast.outcome import Network

WINDOW_S = 15.0


class Connectivity:
    def __init__(self) -> None:
        self._unreached: dict[str, float] = {}
        self._ours_at: float | None = None
        self.calm = True
        """Whether nothing speaks against the network, not even what was long ago."""

    def observe(
        self,
        provider: str,
        network: Network,
        *,
        remote: bool,
        now: float,
    ) -> bool:
        """Take in what an attempt showed; return True when this made it certain: we are offline.

        `remote` is False for upstreams on this machine: they say nothing about the network.
        """
        if not remote or (network == "carried" and not self._unreached and self._ours_at is None):
            return False
        before = self.offline(now)
        if network == "ours":
            self._ours_at = now
        elif network == "silent":
            self._unreached[provider] = now
        elif network == "carried":
            self._unreached.clear()
            self._ours_at = None
        self.calm = self._ours_at is None and not self._unreached
        return self.offline(now) and not before

    def offline(self, now: float) -> bool:
        """Return whether two unrelated providers, or our own network stack, failed just now."""
        if self._ours_at is not None and now - self._ours_at < WINDOW_S:
            return True
        if len(self._unreached) < 2:
            return False
        fresh = [at for at in self._unreached.values() if now - at < WINDOW_S]
        return len(fresh) >= 2
