"""When to probe what, and what a probe's result may be said to show. Pure: events in, commands out.

* Every target has its turn every `every_s`, give or take a tenth; at the start all are spread.
* A failure, or a `Hurry` because others suspect something, brings the turns of that component (and
  of what it is a part of) to every 30 s for a quarter of an hour, beginning now.
* What may begin to fail is looked at closely (probe_closely.py): every two to three seconds, for a
  minute in ten. Its deepest probes are asked briefly and in turns; what is free where there are no
  tokens for them. What still looks like that after a minute is hurried too.
* What costs tokens has a budget (probe_budget.py): the turns of canaries are stretched so that it
  lasts the whole day, and a part is kept for hurried ones.
* Nothing runs while we are offline, and what ended then is ours. One vendor that does not answer
  at all may be our own network: another one is asked at once, and until it has answered, or cannot,
  nothing is told. If that one is silent as well, both are ours (gateway/connectivity.py).
* A wrong answer of a canary counts from the second in a row on: small models err.

Times are monotonic seconds, told by the caller; `roll` gives numbers in [0, 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec

from outlast.nouns import Component, Observation, Outcome, Scope
from outlast.observatory.probe_budget import DAY_S, Budget
from outlast.observatory.probe_closely import GAP_S, CloseLooks
from outlast.observatory.probe_events import (
    Calm,
    Closer,
    Command,
    Due,
    Enough,
    Event,
    Hurry,
    Offline,
    Result,
    Run,
    Seen,
    Tell,
    observation_of,
)
from outlast.observatory.probe_targets import ProbeKind, Target, briefly

HURRY_EVERY_S = 30.0
HURRY_FOR_S = 900.0
HURRY_GAP_S = 5.0
"""A target is not probed again so soon after its last probe began, whoever hurries."""
START_SPREAD_S = 60.0
OFFLINE_SPREAD_S = 20.0
JITTER = 0.1
RUNNING_MAX = 8
PER_PROVIDER_MAX = 3
AGAIN_S = 0.5
"""In a close look: until it is tried again what could not be asked, for it is being asked."""
OPINION_S = 20.0
"""How long a second opinion is waited for: a free probe's limit and a little."""

THEIRS = frozenset(
    {
        Outcome.OVERLOADED,
        Outcome.SERVER_ERROR,
        Outcome.TIMEOUT,
        Outcome.STALLED,
        Outcome.BROKEN_STREAM,
        Outcome.CONNECT_FAILED,
    }
)
"""Failures of the other side. 429, 401, 402 and 400 are ours: our limits, our key, our question."""
_UNSAID = frozenset({Outcome.LEFT, Outcome.CLIENT_GONE})
_DEEPEST = ((ProbeKind.CANARY,), (ProbeKind.MODELS, ProbeKind.PAGE), (ProbeKind.TLS, ProbeKind.TCP))
"""What of a component is asked in a close look: the first of these that it has."""


class Pace(msgspec.Struct, frozen=True):
    """How often, how much, and from where."""

    every_s: float = 300.0
    tokens_per_day: int = 50_000
    vantage: str = ""
    running_max: int = RUNNING_MAX


class _Turn(msgspec.Struct):
    """One target, and where it stands. Changed in place."""

    target: Target
    due_at: float
    running: bool = False
    began_at: float = -1e9
    hurried_until: float = -1e9
    wrong: int = 0
    """Wrong answers in a row."""
    taken: int = 0
    """Tokens that were taken for the probe that runs."""


class _Doubt(msgspec.Struct, frozen=True):
    """A vendor's silence that may be our own network's, until somebody else was asked."""

    target: Target
    observation: Observation
    until: float


class Probing:
    """`handle` each event; carry out the returned commands. `wake_at` says when Due is next due."""

    def __init__(
        self, targets: Iterable[Target], pace: Pace, roll: Callable[[], float], now: float
    ) -> None:
        self._pace = pace
        self._roll = roll
        self._offline = False
        self._doubts: list[_Doubt] = []
        self._looks = CloseLooks()
        spread_s = min(START_SPREAD_S, pace.every_s)
        self._turns = {t.name: _Turn(t, now + roll() * spread_s) for t in targets}
        costs = [turn.target.tokens for turn in self._turns.values()]
        self.budget = Budget(pace.tokens_per_day, max(costs, default=0), now)
        usual = self.budget.usual_per_s
        self._paid_every_s = max(pace.every_s, sum(costs) / usual if usual else DAY_S)
        self.unpaid = 0
        """Turns that were left out because the budget did not allow them."""

    def handle(self, event: Event) -> list[Command]:
        match event:
            case Due(now=now):
                return self._step(now)
            case Result(now=now):
                return self._ended(event) + self._step(now)
            case Hurry(component=component, now=now):
                self._looks.end(component)  # what is suspected needs no look to find out
                self._hurry(component, now)
                return self._step(now)
            case Closer(component=component, now=now):
                if component in self._looks:
                    self._hurry(component, now)  # a minute of it was not enough
                if self._touched(component):
                    self._looks.ask(component, now)
                return self._step(now)
            case Enough(component=component):
                self._looks.end(component)
                return []
            case Calm(component=component):
                for turn in self._touched(component):
                    turn.hurried_until = -1e9
                return []
            case Offline(offline=offline, now=now):
                return self._network(offline, now) + self._step(now)

    def wake_at(self) -> float | None:
        """Return when something is due (it may be now); None: only a result can change anything."""
        times = [doubt.until for doubt in self._doubts]
        if not self._offline and self._busy().total() < self._pace.running_max:
            busy = self._busy()
            times += [turn.due_at for turn in self._turns.values() if _free(turn, busy)]
            if (look_at := self._looks.wake_at()) is not None:
                times.append(look_at)
        return min(times, default=None)

    # -- turns ----------------------------------------------------------------------------------

    def _step(self, now: float) -> list[Command]:
        commands = self._settled_doubts(now)
        if self._offline:
            return commands
        busy = self._busy()
        for turn in sorted(self._turns.values(), key=lambda turn: turn.due_at):
            if turn.due_at > now or busy.total() >= self._pace.running_max:
                break
            if not _free(turn, busy):
                continue
            hurried = turn.hurried_until > now
            if turn.target.tokens and not self.budget.take(
                turn.target.tokens, hurried=hurried, now=now
            ):
                self.unpaid += 1
                turn.due_at = now + self._every_s(turn, now)
                continue
            busy[turn.target.provider] += 1
            commands.append(_begin(turn, now))
        for component in self._looks.due(now):
            if busy.total() < self._pace.running_max:
                commands += self._look(component, busy, now)
        return commands

    def _look(self, component: str, busy: Counter[str], now: float) -> list[Command]:
        """The next probe of a close look: of the component's deepest kind that there is and that
        can be paid, whose turn was longest ago."""
        touched = self._touched(component)
        for kinds in _DEEPEST:
            turns = [turn for turn in touched if turn.target.kind in kinds]
            if not turns:
                continue
            # Another look or its own turn may have asked it just now; or all of it is under way.
            asked_at = max(turn.began_at for turn in turns)
            free = [turn for turn in turns if _free(turn, busy)]
            if not free or asked_at > now - GAP_S[0]:
                self._looks.wait(component, max(asked_at + GAP_S[0], now + AGAIN_S))
                return []
            turn = min(free, key=lambda one: one.began_at)
            asked = briefly(turn.target)
            if asked.tokens and not self.budget.take(
                asked.tokens, hurried=False, close=True, now=now
            ):
                continue
            busy[asked.provider] += 1
            self._looks.begun({component, *_shown(asked)}, now, self._roll())
            return [_begin(turn, now, asked)]
        self._looks.wait(component, now + GAP_S[1])
        return []

    def _busy(self) -> Counter[str]:
        """How many probes run now, by provider."""
        return Counter(t.target.provider for t in self._turns.values() if t.running)

    def _every_s(self, turn: _Turn, now: float) -> float:
        usual_s = self._paid_every_s if turn.target.tokens else self._pace.every_s
        usual_s *= turn.target.every
        if turn.hurried_until > now:
            usual_s = min(usual_s, HURRY_EVERY_S)
        return usual_s * (1 - JITTER + 2 * JITTER * self._roll())

    def _hurry(self, component: str, now: float) -> None:
        for turn in self._touched(component):
            if turn.hurried_until <= now:  # else two that fail would hurry each other on and on
                turn.due_at = min(turn.due_at, max(now, turn.began_at + HURRY_GAP_S))
            turn.hurried_until = now + HURRY_FOR_S

    def _touched(self, component: str) -> list[_Turn]:
        """The component's own targets, those of its parts, and those of what it is a part of."""
        upstream = component.removeprefix("outlast/upstream/")
        if upstream != component:
            return [turn for turn in self._turns.values() if turn.target.upstream == upstream]
        name = component.partition("@")[0]
        return [turn for turn in self._turns.values() if _related(turn.target, name)]

    # -- results --------------------------------------------------------------------------------

    def _ended(self, result: Result) -> list[Command]:
        turn = self._turns.get(result.target)
        if turn is None:
            return []
        now, target, seen = result.now, turn.target, result.seen
        turn.running = False
        if turn.taken:
            self.budget.settle(turn.taken, seen.tokens)
        seen, weight = self._counted(turn, seen)
        if self._offline:
            seen = _ours(seen)
        theirs = seen.outcome in THEIRS
        if theirs or turn.wrong:
            self._hurry(target.component, now)
        turn.due_at = now + self._every_s(turn, now)
        if seen.outcome in _UNSAID:
            return []
        observation = observation_of(target, seen, self._pace.vantage)
        if weight is not None:
            observation = msgspec.structs.replace(observation, weight=weight)
        return self._believed(turn, seen, observation, now)

    def _counted(self, turn: _Turn, seen: Seen) -> tuple[Seen, float | None]:
        """Count wrong answers; return what is to be told, and its weight where it is special."""
        if seen.outcome is not Outcome.OK or seen.right is None:
            return seen, None
        turn.wrong = 0 if seen.right else turn.wrong + 1
        if turn.wrong == 0:
            return seen, None
        if turn.wrong == 1:
            words = "a wrong answer; it counts if the next one is wrong too: small models err"
            return msgspec.structs.replace(seen, evidence=words), 0.0
        words = f"{turn.wrong} wrong answers in a row to a question that it knows"
        changed = msgspec.structs.replace(
            seen, outcome=Outcome.SERVER_ERROR, scope=Scope.MODEL, evidence=words
        )
        return changed, None

    # -- our own network ------------------------------------------------------------------------

    def _believed(
        self, turn: _Turn, seen: Seen, observation: Observation, now: float
    ) -> list[Command]:
        """Tell what was seen, or first ask somebody else whether it is our own network."""
        target = turn.target
        if self._offline or not target.remote:
            return [Tell(observation)]
        if seen.network == "ours":
            return [*self._all_ours(), Tell(observation)]
        others = [d for d in self._doubts if d.target.provider != target.provider]
        if seen.network == "silent":
            if others:
                return [*self._all_ours(), Tell(_excused(observation))]
            return self._doubt(target, observation, now)
        if seen.network == "carried":
            told = [Tell(doubt.observation) for doubt in others]
            self._doubts = [d for d in self._doubts if d not in others]
            return [*told, Tell(observation)]
        return [Tell(observation)]

    def _doubt(self, target: Target, observation: Observation, now: float) -> list[Command]:
        strangers = [
            turn
            for turn in self._turns.values()
            if turn.target.remote and turn.target.provider != target.provider
        ]
        if not strangers:
            return [Tell(observation)]
        self._doubts.append(_Doubt(target, observation, now + OPINION_S))
        free = [turn for turn in strangers if not turn.target.tokens and not turn.running]
        if not free or any(turn.running and not turn.target.tokens for turn in strangers):
            return []
        return [_begin(min(free, key=lambda turn: turn.due_at), now)]

    def _settled_doubts(self, now: float) -> list[Command]:
        """Nobody could be asked in time: what was seen is told as it was seen."""
        late = [doubt for doubt in self._doubts if doubt.until <= now]
        self._doubts = [doubt for doubt in self._doubts if doubt.until > now]
        return [Tell(doubt.observation) for doubt in late]

    def _all_ours(self) -> list[Command]:
        doubts, self._doubts = self._doubts, []
        return [Tell(_excused(doubt.observation)) for doubt in doubts]

    def _network(self, offline: bool, now: float) -> list[Command]:
        before, self._offline = self._offline, offline
        if offline:
            self._looks.clear()  # what failed may have been ours: who wants one asks again
            return self._all_ours()
        if before:
            for turn in self._turns.values():
                if turn.due_at <= now:
                    turn.due_at = now + self._roll() * OFFLINE_SPREAD_S
        return []


def _begin(turn: _Turn, now: float, asked: Target | None = None) -> Run:
    """Begin a turn; `asked`: its target, where it is asked otherwise than usual."""
    target = asked or turn.target
    turn.running, turn.began_at, turn.taken = True, now, target.tokens
    return Run(target)


def _free(turn: _Turn, busy: Counter[str]) -> bool:
    """Whether it may run: it does not already, and its vendor is not asked too much at once."""
    return not turn.running and busy[turn.target.provider] < PER_PROVIDER_MAX


def _shown(target: Target) -> Iterator[str]:
    """The components that a probe of this target is evidence for."""
    yield target.component
    yield Component.parse(target.component).whole.name
    if target.upstream:
        yield f"outlast/upstream/{target.upstream}"


def _related(target: Target, name: str) -> bool:
    own = target.component
    if "/" not in name:
        return target.provider == name
    return own == name or own.startswith(f"{name}/") or name.startswith(f"{own}/")


def _ours(seen: Seen) -> Seen:
    if seen.outcome not in THEIRS:
        return seen
    words = f"our own network was gone: {seen.evidence}"
    return msgspec.structs.replace(seen, outcome=Outcome.OURS, scope=Scope.OURS, evidence=words)


def _excused(observation: Observation) -> Observation:
    words = f"our own network, as two vendors were silent at once: {observation.evidence}"
    return msgspec.structs.replace(
        observation, outcome=Outcome.OURS, scope=Scope.OURS, weight=1.0, evidence=words
    )
