"""People's reports: whose voice counts, how much, and what is only estimated. Pure.

One voice per reporter and component within the window: who reports again replaces what was said,
"works for me" takes back "does not work". A reporter is a keyed hash of a network and of what the
browser keeps (networks.py), never an address.

Memory is bounded by *adaptive sampling* (Wegman; Flajolet, "On adaptive sampling", Computing 43,
1990): when there are too many voices, only reporters whose hash ends in a zero bit stay, then in
two, and each of them stands for 2, 4, … The sample is of reporters and not of reports, so repeats
are still found exactly, and estimates of distinct reporters have no bias; with 100,000 voices or
more the standard error is below 0.5 %. What is not kept singly is said to be so, and counted.

`decide` says what to do with a report and changes only rates; `accept` takes the voice up, after
its Observation was stored. `restore` makes the same state again from stored observations.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Iterable
from zlib import crc32

from outlast.nouns import Component, Observation, Outcome, Scope
from outlast.observatory.capping import CAPS, Caps
from outlast.observatory.proof import Proof, bits_for
from outlast.observatory.report_nouns import Crowd, Decision, Limits, Report, Sides, Verdict, Voice
from outlast.observatory.report_rates import Gauge, Rate, Rates

RECEIPT_WEIGHT = 3
"""Who shows a receipt of ours that ended in the same way has seen it, and has an account here."""
REGION_MIN = 5
"""A region is shown from this many reporters on (k-anonymity, Sweeney 2002)."""
IDS_MAX = 4
"""Idempotency keys that are remembered of one voice."""
SHED_SLOTS = 15
SPENT_MAX = 20_000
LEVEL_MAX = 30
MOMENT_S = 1e-6
SKEW_S = 60.0
"""How far a clock may have been set back before a start."""


class Reporting:
    """See the module. Owned by one event loop. Times are wall-clock seconds, told by the caller."""

    def __init__(self, limits: Limits | None = None, caps: Caps = CAPS) -> None:
        self.limits = limits or Limits()
        self.gauge = Gauge(self.limits.flood_per_s)
        self._caps = caps
        self._now = 0.0
        self._said_at = 0.0
        self._carried_until = 0.0
        self._voices: dict[tuple[str, str], Voice] = {}
        """By component and reporter."""
        self._order: deque[Voice] = deque()
        """By time; voices that were replaced stay in it until their time or `_tidy`."""
        self._sides: dict[str, Sides] = {}
        self._level = 0
        """Reporters whose hash ends in so many zero bits are kept."""
        self._reporter_rate = Rate(self.limits.per_reporter_per_min / 60, 6)
        self._network_rates = Rates(
            self.limits.per_network_per_min / 60,
            self.limits.per_network_per_min,
            self.limits.networks,
        )
        self._all_rate = Rate(self.limits.per_s, self.limits.per_s)
        self._all_until = 0.0
        self._receipts: dict[str, str] = {}
        """Who showed it; it raises nobody else's weight."""
        self._spent: dict[str, float] = {}
        self._shed: dict[str, deque[list[int]]] = {}
        """By component: [minute, reports not looked at singly]."""

    def __len__(self) -> int:
        return len(self._voices)

    @property
    def scale(self) -> int:
        """How many reporters a voice that comes now stands for."""
        return int(1 << self._level)

    def decide(self, report: Report, now: float) -> Decision:
        """Say what becomes of a report. Only rates are changed; see `accept`."""
        now = self._advance(now)
        self.gauge.note(now)
        self._all_until, wait_s = self._all_rate.take(self._all_until, now)
        if wait_s > 0:
            self._count_shed(report.component, now)
            return Decision(Verdict.SHED, retry_after_s=max(1.0, wait_s))
        reporter, voice = self._who(report)
        if voice is None:
            return self._new(report, reporter, now)
        if report.id and report.id in voice.ids:
            return Decision(Verdict.AGAIN, reporter=reporter, id=f"report/{report.id}")
        voice.used_until, wait_s = self._reporter_rate.take(voice.used_until, now)
        if wait_s > 0:
            return Decision(
                Verdict.LIMITED, retry_after_s=wait_s, reporter=reporter, id=_stored(voice)
            )
        same = (voice.works, voice.model, voice.region) == (
            report.works,
            report.model,
            report.region,
        )
        if same and now - voice.at < self.limits.refresh_s:
            return Decision(Verdict.AGAIN, reporter=reporter, id=_stored(voice))
        return self._take(report, reporter, Verdict.AGAIN if same else Verdict.CHANGED, now)

    def accept(self, decision: Decision, now: float) -> None:
        """Take up the voice of a decision whose observation is stored."""
        if decision.observation is not None:
            now = self._advance(now)
            if decision.carried:
                self._carried_until = now + self.limits.window_s
            self._accept(decision.observation, decision.reporter, now)

    def carries(self, midnight: float) -> bool:
        """Whether any voice may stand under a label of before `midnight`, the day's beginning:
        only then reports need `earlier_reporter` and `earlier_network`."""
        older = bool(self._order) and self._order[0].at < midnight
        return older or self._now < self._carried_until

    def restore(self, observations: Iterable[Observation], now: float) -> None:
        """Take up what is stored of the window, in any order; what is no report is passed over.
        Best before the first `decide`; what was said since then is not undone."""
        reports = [one for one in observations if one.source == "report" and one.reporter]
        for observation in sorted(reports, key=lambda one: one.at):
            if observation.at <= now + SKEW_S:
                self._accept(observation, observation.reporter, self._advance(observation.at))
        now = self._advance(now)
        if self._voices:  # any of them may have been carried over from yesterday
            self._carried_until = now + self.limits.window_s

    def others(self, component: str, now: float, reporter: str = "") -> tuple[int, int]:
        """Return how many reporters say that it does not work and that it does, without this one.

        Quick: it is part of every answer.
        """
        self._advance(now)
        sides = self._sides.get(component)
        against, works = sides.people if sides is not None else (0, 0)
        own = self._voices.get((component, reporter))
        if own is not None:
            against, works = (
                (against, works - (1 << own.level))
                if own.works
                else (against - (1 << own.level), works)
            )
        return against, works

    def components(self, now: float) -> list[str]:
        """Components that anybody speaks of: surfaces, and their models and regions."""
        self._advance(now)
        return sorted(self._sides)

    def window(self, component: str, now: float) -> Crowd:
        """What people say of this component now: `provider/surface[/model][@region]`.

        Some milliseconds in a flood: for a tick, not for every report.
        """
        now = self._advance(now)
        sides = self._sides.get(component)
        since = int(now // 60) - SHED_SLOTS
        shed = sum(n for minute, n in self._shed.get(component, ()) if minute > since)
        if sides is None:
            return Crowd(component, self.limits.window_s, shed=shed)
        if "@" in component and sum(sides.voices) < REGION_MIN:
            return Crowd(component, self.limits.window_s, shed=shed, hidden=True)
        against, works = sides.tallies
        network_share, group_share = against.shares()
        return Crowd(
            component,
            self.limits.window_s,
            against.total(self._caps),
            works.total(self._caps),
            people_not_working=sides.people[0],
            people_working=sides.people[1],
            scale=max(self.scale, -(-sum(sides.people) // max(1, sum(sides.voices)))),
            shed=shed,
            top_network_share=network_share,
            top_group_share=group_share,
            regions=self._regions(component),
            symptoms={name: n for name, n in sorted(sides.symptoms.items()) if n > 0},
        )

    def _regions(self, component: str) -> dict[str, int]:
        if "@" in component:
            return {}
        begin = f"{component}@"
        return {
            name.removeprefix(begin): sides.people[0]
            for name, sides in sorted(self._sides.items())
            if name.startswith(begin) and sides.voices[0] >= REGION_MIN
        }

    def _who(self, report: Report) -> tuple[str, Voice | None]:
        """The key this voice stands under: yesterday's where it began to speak yesterday."""
        voice = self._voices.get((report.component, report.reporter))
        if voice is None and report.earlier_reporter:
            earlier = self._voices.get((report.component, report.earlier_reporter))
            if earlier is not None:
                return report.earlier_reporter, earlier
        return report.reporter, voice

    def _new(self, report: Report, reporter: str, now: float) -> Decision:
        """A reporter who has no voice yet: is there one to be had?"""
        if not self._sampled(reporter):
            return self._estimated(report, "sample", now)
        return self._take(report, reporter, Verdict.COUNTED, now)

    def _take(self, report: Report, reporter: str, verdict: Verdict, now: float) -> Decision:
        network = self._network(report)
        if verdict is Verdict.COUNTED:
            if self._network_rates.take(network, now) > 0:
                return self._estimated(report, "network", now)
            if reason := self._unproven(report, network, now):
                self._count_shed(report.component, now)
                bits = bits_for(self.gauge.rate(now), self.gauge.threshold)
                return Decision(Verdict.CHALLENGED, reason, bits=bits)
        seen = self._seen(report, reporter)
        base = RECEIPT_WEIGHT if seen else 1
        name = f"{report.component}/{report.model}" if report.model else report.component
        # No two at one moment: a restart must find out which was said last.
        self._said_at = max(now, self._said_at + MOMENT_S)
        ident = report.id or _short(f"{reporter}/{name}/{report.region}/{self._said_at}")
        observation = Observation(
            at=self._said_at,
            source="report",
            component=name,
            outcome=Outcome.OK if report.works else Outcome.SERVER_ERROR,
            scope=Scope.NONE if report.works else Scope.PROVIDER,
            weight=float(base * self.scale),
            evidence="with a receipt" if seen else "",
            id=f"report/{ident}",
            region=report.region,
            network=network,
            reporter=reporter,
            symptom="" if report.works else report.symptom,
        )
        if seen:
            self._receipts[report.receipt] = reporter
            while len(self._receipts) > self.limits.networks:
                del self._receipts[next(iter(self._receipts))]
        return Decision(
            verdict,
            observation=observation,
            carried=reporter != report.reporter or network != report.network,
            reporter=reporter,
            id=observation.id,
        )

    def _seen(self, report: Report, reporter: str) -> bool:
        """Whether a receipt speaks for the report, and for nobody else's."""
        if not report.receipt or report.receipt_ok is not report.works:
            return False
        return self._receipts.get(report.receipt, reporter) == reporter

    def _network(self, report: Report) -> str:
        """Yesterday's label while somebody of that group still has a voice under it: caps must
        not begin anew at midnight."""
        sides = self._sides.get(report.component)
        if sides is None or not report.earlier_network:
            return report.network
        known = any(tally.knows_group(report.earlier_network) for tally in sides.tallies)
        return report.earlier_network if known else report.network

    def _unproven(self, report: Report, network: str, now: float) -> str:
        """Why a proof of work is wanted; empty where none is."""
        if not self.gauge.flooded(now):
            return ""
        sides = self._sides.get(report.component)
        held = sum(tally.of_network(network) for tally in sides.tallies) if sides else 0
        if held < self.limits.free_voices * self.scale:
            return ""
        if report.proof is None:
            return "proof"
        if report.proof.salt in self._spent or not self._spend(report.proof, now):
            return "spent"
        return ""

    def _spend(self, proof: Proof, now: float) -> bool:
        """Note that a proof was used. False where there is no room to remember it."""
        if len(self._spent) >= SPENT_MAX:
            self._spent = {salt: until for salt, until in self._spent.items() if until >= now}
        if len(self._spent) >= SPENT_MAX:
            return False
        self._spent[proof.salt] = proof.expires_at
        return True

    def _estimated(self, report: Report, reason: str, now: float) -> Decision:
        self._count_shed(report.component, now)
        return Decision(Verdict.ESTIMATED, reason)

    def _count_shed(self, component: str, now: float) -> None:
        slots = self._shed.setdefault(component, deque())
        minute = int(now // 60)
        if not slots or slots[-1][0] != minute:
            slots.append([minute, 0])
        slots[-1][1] += 1
        while slots[0][0] <= minute - SHED_SLOTS:
            slots.popleft()

    def _sampled(self, reporter: str) -> bool:
        level = self._level
        return level == 0 or crc32(reporter.encode()) & ((1 << level) - 1) == 0

    def _accept(self, observation: Observation, reporter: str, now: float) -> None:
        try:
            component = Component.parse(observation.component)
        except ValueError:
            return
        if observation.at <= now - self.limits.window_s or not self._sampled(reporter):
            return
        base, level = _weight(observation.weight)
        key = (component.whole.name, reporter)
        before = self._voices.get(key)
        if before is not None and before.at > observation.at:
            return  # said again since, while what was stored was being read
        ident = observation.id.removeprefix("report/")
        voice = Voice(
            at=observation.at,
            used_until=before.used_until
            if before is not None
            else self._reporter_rate.take(0.0, observation.at)[0],
            reporter=reporter,
            component=key[0],
            works=observation.outcome is Outcome.OK,
            base=base,
            level=max(level, self._level),
            network=observation.network or "..?",
            model=component.model,
            region=observation.region,
            symptom=observation.symptom,
            ids=(*(before.ids if before is not None else ()), ident)[-IDS_MAX:],
        )
        if before is not None:
            self._count(before, -1)
        self._voices[key] = voice
        self._order.append(voice)
        self._count(voice, 1)
        while len(self._voices) > self.limits.voices and self._level < LEVEL_MAX:
            self._thin()
        if len(self._order) > 2 * len(self._voices) + 1000:
            self._order = deque(one for one in self._order if self._live(one))

    def _count(self, voice: Voice, sign: int) -> None:
        for name in voice.names:
            sides = self._sides.get(name)
            if sides is None:
                sides = self._sides[name] = Sides()
            sides.count(voice, sign)
            if not any(sides.voices):
                del self._sides[name]

    def _live(self, voice: Voice) -> bool:
        return self._voices.get((voice.component, voice.reporter)) is voice

    def _advance(self, now: float) -> float:
        """Let go of what is older than the window. Time never goes back here."""
        self._now = now = max(self._now, now)
        order, oldest = self._order, now - self.limits.window_s
        while order and order[0].at <= oldest:
            voice = order.popleft()
            if self._live(voice):
                self._count(voice, -1)
                del self._voices[voice.component, voice.reporter]
        if self._level and len(self._voices) < self.limits.voices // 4:
            self._level -= 1
        return now

    def _thin(self) -> None:
        """Keep half of the reporters, each for two."""
        self._level += 1
        for key, voice in list(self._voices.items()):
            if voice.level >= self._level:
                continue
            self._count(voice, -1)
            if self._sampled(voice.reporter):
                voice.level = self._level
                self._count(voice, 1)
            else:
                del self._voices[key]


def _short(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest)[:16].decode("ascii")


def _stored(voice: Voice) -> str:
    return f"report/{voice.ids[-1]}"


def _weight(weight: float) -> tuple[int, int]:
    """Return (base, level) of a stored weight, base · 2^level."""
    whole = max(1, int(weight))
    base = RECEIPT_WEIGHT if whole % RECEIPT_WEIGHT == 0 else 1
    return base, (whole // base).bit_length() - 1
