"""Who is asked next, and who again: the candidates of one exchange, used up one by one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from outlast.gateway.asked import Plan, Prepared
from outlast.gateway.going import again, against
from outlast.gateway.limits import RetryBudget, soonest
from outlast.gateway.routing import next_candidate, wider
from outlast.nouns import Candidate
from outlast.outcome import Verdict
from outlast.wire.canon import BadRequest


class Search:
    """Owned by the exchange. A break in sight of the client begins it anew (`after_break`)."""

    def __init__(self, plan: Plan, budget: RetryBudget) -> None:
        self._plan = plan
        self._budget = budget
        self._left = list(plan.candidates)
        self._retries = 0
        self.tried: list[tuple[Candidate, Verdict]] = []
        """Who failed, and how, in this search."""
        self.untranslatable: BadRequest | None = None
        """Why the first candidate that could not be asked at all could not."""

    @property
    def anybody(self) -> bool:
        """Whether somebody is left besides those who are being asked."""
        return bool(self._left)

    def failed(self, candidate: Candidate, verdict: Verdict) -> None:
        self.tried.append((candidate, verdict))

    def once_more(self, candidate: Candidate) -> None:
        """This one is asked again, before anybody else: it did not fail, it refused."""
        self._left.insert(0, candidate)

    def only_wider(self, than: Candidate) -> bool:
        """Go on with those that take a longer prompt; False where nobody is known to."""
        larger = wider(self._left, than)
        self._left = larger or self._left
        return bool(larger)

    def after_break(self, candidate: Candidate, verdict: Verdict, broken: Sequence[str]) -> None:
        """Begin anew, for somebody who goes on. `broken`: who broke off in sight, in order."""
        self._left = again(self._plan.candidates, broken)
        self.tried = against(candidate, verdict, self._left)

    def call(self, ask: Callable[[Candidate], Prepared]) -> Prepared | None:
        """Return the next candidate's call; None where nobody is left, or enough were tried."""
        while len(self.tried) < self._plan.retry.max_attempts:
            candidate = next_candidate(self._left, self.tried)
            if candidate is None:
                break
            self._left.remove(candidate)
            try:
                return ask(candidate)
            except BadRequest as reason:
                self.untranslatable = self.untranslatable or reason
        return None

    def retry_wait_s(self, now: float) -> float | None:
        """How long to wait before asking a tried upstream again; None: not worth it."""
        retry, soon = self._plan.retry, soonest(self.tried)
        if soon is None or self._retries >= retry.same_upstream_max:
            return None
        wait_s, candidate = soon
        if wait_s > retry.retry_after_max_s or not self._budget.withdraw(now):
            return None
        self._retries += 1
        self._left = [candidate]
        return wait_s

    def spare(self, candidate: Candidate, broken: Sequence[str]) -> Candidate | None:
        """Return who would be asked if this one broke off now."""
        listed = again(self._plan.candidates, [*broken, candidate.name])
        others = [one for one in listed if one.name != candidate.name]
        return next_candidate(others, self.tried)
