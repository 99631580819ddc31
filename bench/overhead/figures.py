"""From single runs to figures: medians, ratios within a round, the slope of memory. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec

FOREIGN_SERVERS = 0.08
FOREIGN_LOAD = 0.12
"""Shares of a core that others may use during a run before it counts as disturbed. On a machine
with nothing else on it, 402 runs of gateways stayed below (measured beforehand)."""
STOLEN = 0.05
"""The same for what the host took from both cores; this alone counts where the run goes before
everybody else, since others then use only what it leaves over."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one server. Shares are of one core; times in microseconds; sizes in bytes."""

    server: str
    scenario: str
    round: int
    seconds: float
    requests: int
    tokens: int
    tokens_each: int
    """Of one answer."""
    started: int
    whole: int
    """Of all answers, warm-up and end included."""
    unfinished: int = 0
    """Still flowing when the generator stopped waiting for them: cut by us, not by the server."""
    broken_before: int = 0
    """Answers that broke in tries which others disturbed and which were not kept."""
    cpu_s: float
    """Of the server and its children, within the window."""
    p50_us: float
    p99_us: float
    first_p50_us: float
    first_p99_us: float
    event_p50_us: float
    event_p99_us: float
    foreign_servers: float
    foreign_load: float
    stolen: float = 0.0
    """By the host, of both cores."""
    urgent: bool = False
    load_share: float
    """Of generator and vendor: near 1 they are the limit, not the server."""
    resident_bytes: int
    complaint: str = ""
    """What was wrong with the first answer that was not whole."""
    tries: int = 1

    @property
    def broken(self) -> int:
        return self.started - self.whole - self.unfinished + self.broken_before

    @property
    def disturbed(self) -> bool:
        return self.disturbance > 1

    @property
    def disturbance(self) -> float:
        """How far it is beyond what is accepted: 1 is just."""
        stolen = self.stolen / STOLEN
        if self.urgent:
            return stolen
        foreign = self.foreign_servers / FOREIGN_SERVERS, self.foreign_load / FOREIGN_LOAD
        return max(stolen, *foreign)

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def cpu_us(self) -> float | None:
        """CPU per answer; None where nothing came in the window.

        Counted by tokens: of a stream that lasts as long as the window, a part lies within it.
        """
        return 1e6 * self.cpu_s * self.tokens_each / self.tokens if self.tokens else None

    @property
    def share(self) -> float:
        return self.cpu_s / self.seconds if self.seconds > 0 else 0.0


def kept(tries: Sequence[Sample]) -> Sample:
    """Return the quietest of some tries; what broke in the others counts with it.

    Others may take a server's time, so what is late or slow in a disturbed try says nothing. They
    cannot make it break an answer.
    """
    best = min(tries, key=lambda one: one.disturbance)
    return msgspec.structs.replace(
        best,
        tries=len(tries),
        broken_before=sum(one.broken for one in tries) - best.broken,
        complaint=best.complaint or next((one.complaint for one in tries if one.broken), ""),
    )


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One server in one scenario, over all rounds: medians."""

    per_s: float
    per_s_low: float
    per_s_high: float
    tokens_per_s: float
    cpu_us: float | None
    share: float
    p50_us: float
    p99_us: float
    first_p50_us: float
    first_p99_us: float
    event_p50_us: float
    event_p99_us: float
    load_share: float
    resident_bytes: int
    started: int
    whole: int
    broken: int = 0
    unfinished: int = 0
    rounds: int
    disturbed: int
    """Rounds that stayed disturbed, however often they were repeated."""
    foreign: float
    """The largest share of either core that others used in a run that was kept."""
    complaint: str = ""


def figure(samples: Sequence[Sample]) -> Figure:
    """Return the medians of some rounds; at least one."""

    def middle(value: Callable[[Sample], float]) -> float:
        return statistics.median(map(value, samples))

    cpu = [one.cpu_us for one in samples if one.cpu_us is not None]
    return Figure(
        per_s=middle(lambda one: one.per_s),
        per_s_low=min(one.per_s for one in samples),
        per_s_high=max(one.per_s for one in samples),
        tokens_per_s=middle(lambda one: one.tokens_per_s),
        cpu_us=statistics.median(cpu) if cpu else None,
        share=middle(lambda one: one.share),
        p50_us=middle(lambda one: one.p50_us),
        p99_us=middle(lambda one: one.p99_us),
        first_p50_us=middle(lambda one: one.first_p50_us),
        first_p99_us=middle(lambda one: one.first_p99_us),
        event_p50_us=middle(lambda one: one.event_p50_us),
        event_p99_us=middle(lambda one: one.event_p99_us),
        load_share=middle(lambda one: one.load_share),
        resident_bytes=max(one.resident_bytes for one in samples),
        started=sum(one.started for one in samples),
        whole=sum(one.whole for one in samples),
        broken=sum(one.broken for one in samples),
        unfinished=sum(one.unfinished for one in samples),
        rounds=len(samples),
        disturbed=sum(one.disturbed for one in samples),
        foreign=max(max(one.foreign_servers, one.foreign_load) for one in samples),
        complaint=next((one.complaint for one in samples if one.complaint), ""),
    )


def of(samples: Iterable[Sample], scenario: str, server: str) -> dict[int, Sample]:
    """Return the samples of one server in one scenario, by round."""
    return {one.round: one for one in samples if one.scenario == scenario and one.server == server}


def ratio(
    samples: Sequence[Sample],
    scenario: str,
    value: Callable[[Sample], float | None],
    over: str,
    under: str = "outlast",
    *,
    quiet: bool = False,
) -> float | None:
    """Return the median over the rounds of `under`'s value divided by `over`'s of the same round.

    The host's speed drifts by a fifth within minutes; within a round it has drifted least.
    `quiet`: of the rounds alone in which neither was disturbed.
    """
    ours, theirs = of(samples, scenario, under), of(samples, scenario, over)
    found = []
    for number in ours.keys() & theirs.keys():
        if quiet and (ours[number].disturbed or theirs[number].disturbed):
            continue
        a, b = value(ours[number]), value(theirs[number])
        if a is not None and b:
            found.append(a / b)
    return statistics.median(found) if found else None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory along many requests. `requests` and `resident_bytes` go together."""

    requests: tuple[int, ...]
    resident_bytes: tuple[int, ...]
    slope_bytes: float
    """Per request, after the warm-up."""
    grown_bytes: float
    """The slope times the requests after the warm-up."""
    noise_bytes: float
    """How far single readings lie off the line."""
    allowed_bytes: float
    """Growth up to this is not told from noise."""
    failed: int = 0
    unfinished: int = 0
    took_s: float = 0.0

    @property
    def flat(self) -> bool:
        return self.grown_bytes <= self.allowed_bytes


WARM_SHARE = 0.4
"""Of a memory run that counts as warm-up: caches fill, arenas grow to their working size."""
SMALL_SHARE = 0.02
"""Growth below this share of the memory is no leak that anyone can tell from noise."""


def memory(
    requests: Sequence[int],
    resident: Sequence[int],
    failed: int = 0,
    took_s: float = 0.0,
    unfinished: int = 0,
) -> Memory:
    """Return the slope after the warm-up: Theil and Sen's median of all slopes between two points,
    which single jumps do not sway (Sen 1968, doi:10.1080/01621459.1968.10480934)."""
    begin = WARM_SHARE * requests[-1] if requests else 0.0
    points = [(n, b) for n, b in zip(requests, resident, strict=True) if n >= begin]
    slopes = [
        (b2 - b1) / (n2 - n1)
        for i, (n1, b1) in enumerate(points)
        for n2, b2 in points[i + 1 :]
        if n2 > n1
    ]
    if not slopes:
        slope, grown, noise = 0.0, 0.0, 0.0
    else:
        slope = statistics.median(slopes)
        grown = slope * (points[-1][0] - points[0][0])
        level = statistics.median(b - slope * n for n, b in points)
        noise = statistics.median(abs(b - slope * n - level) for n, b in points)
    return Memory(
        requests=tuple(requests),
        resident_bytes=tuple(resident),
        slope_bytes=slope,
        grown_bytes=grown,
        noise_bytes=noise,
        allowed_bytes=max(2 * noise, SMALL_SHARE * max(resident, default=0), 1.0),
        failed=failed,
        unfinished=unfinished,
        took_s=took_s,
    )
