"""One attacker with 10,000 addresses: what a crowd from one place can move.

Each address reports once, with a token of its own, within a quarter of an hour after three
quiet weeks: through hashing, the report decider and the watch, as the service does it. Then:
- the capped weight of "not working" stays at what one autonomous system may weigh, a fifth of the
  total (four voices where there is nobody else);
- no component goes past "suspected", and no incident says that it was confirmed.

Without a table of systems the addresses are in one /16. Beside the attack alone it is measured
among 80 people, each elsewhere, who say that it works; and with more attackers than one.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.observatory.result import Figure, Result, Table
from outlast.nouns import Suspicion
from outlast.observatory.capping import CAPS, groups_needed
from outlast.observatory.networks import Table as Systems
from outlast.observatory.networks import groups_of, parse_table
from outlast.observatory.report_body import Posted
from outlast.observatory.report_hashing import hashed
from outlast.observatory.report_nouns import Crowd
from outlast.observatory.reporting import Reporting
from outlast.observatory.watch import Watch

ADDRESSES = 10_000
ATTACK_S = 900.0
QUIET_S = 600.0
QUIET_WEEKS = 3
"""History of the crowd's test before it: nobody reported anything."""
TICK_S = 10.0
BEGIN_AT = 1_790_000_000.0
COMPONENT = "anthropic/web"
HONEST = 80
SECRET = b"benchmark-secret-for-one-run-only"
SYSTEMS = (
    "50.0.0.0,50.63.255.255,64500\n51.0.0.0,51.63.255.255,64501\n52.0.0.0,52.63.255.255,64502\n"
)


class Attack(msgspec.Struct, frozen=True):
    name: str
    places: tuple[str, ...]
    """One network for each attacker."""
    table: bool
    honest: int = 0
    works: bool = True
    """What the honest say, each from a system of its own."""
    most: float = CAPS.group * CAPS.small
    """The most that "not working" may weigh."""


ATTACKS = (
    Attack("one system, by table", ("50.0.0.0/10",), True),
    Attack("one /16, without a table", ("50.7.0.0/16",), False),
    Attack("one system among 80 people", ("50.0.0.0/10",), True, HONEST),
    Attack("one IPv6 /32, without a table", ("2001:db8::/32",), False),
    Attack(
        "three systems",
        ("50.0.0.0/10", "51.0.0.0/10", "52.0.0.0/10"),
        True,
        most=3 * CAPS.group * CAPS.small,
    ),
)
CONTROL = Attack("80 people, no attacker", (), True, HONEST, works=False, most=HONEST)
"""A test that nobody could pass would hold too: an honest crowd must be heard."""


class Seen(msgspec.Struct):
    """The worst that was said, and the crowd at the end of the attack."""

    crowd: Crowd
    suspicion: int = 0
    probability: float = 0.0
    confirmed: int = 0


def run(data: Path, since: float | None = None) -> Result:
    """Play every attack. `data` and `since` are not needed: nothing here was recorded."""
    del data, since
    figures, rows = [], []
    for attack in (*ATTACKS, CONTROL):
        seen = play(attack)
        weight = seen.crowd.not_working
        figures += [
            Figure(f"weight: {attack.name}", weight, 0, attack.most + 1e-9, ADDRESSES),
            Figure(f"past suspected: {attack.name}", seen.confirmed, 0, 0, ADDRESSES),
        ]
        rows.append(
            (
                attack.name,
                str(seen.crowd.people_not_working),
                f"{weight:.0f}",
                f"{seen.crowd.top_group_share:.2f}",
                list(Suspicion)[seen.suspicion].value,
                f"{seen.probability:.2f}",
            )
        )
    figures.append(Figure(f"suspected: {CONTROL.name}", seen.suspicion, 1, 1, HONEST))
    head = ("attack", "voices kept", "weight", "largest share", "furthest", "probability")
    needed = ", ".join(f"{more}: {groups_needed(HONEST, more)}" for more in (20, 50, 100, 400))
    return Result(
        tuple(figures),
        (Table(f"{ADDRESSES} addresses each", head, tuple(rows)),),
        (f"systems needed to add so much to {HONEST} voices: {needed}",),
    )


def play(attack: Attack) -> Seen:
    """Quiet weeks, then the attack; the honest speak all along it."""
    table = parse_table(SYSTEMS.splitlines()) if attack.table else None
    reporting, watch = Reporting(), Watch()
    watch.expect([COMPONENT], ["anthropic"])
    minutes = QUIET_WEEKS * 7 * 1440
    watch.warm(COMPONENT, int(BEGIN_AT // 60) - minutes, [0.0] * minutes)
    tick_at, end_at = BEGIN_AT, BEGIN_AT + QUIET_S + ATTACK_S + 300
    seen = Seen(reporting.window(COMPONENT, BEGIN_AT))
    reports = _reports(attack)
    due_at, address, works = next(reports)
    while tick_at < end_at:
        while due_at <= tick_at:
            _report(reporting, watch, address, works, table, due_at)
            due_at, address, works = next(reports, (end_at, "", True))
        _tick(watch, tick_at, seen)
        if tick_at <= BEGIN_AT + QUIET_S + ATTACK_S:
            seen.crowd = reporting.window(COMPONENT, tick_at)
        tick_at += TICK_S
    return seen


def _tick(watch: Watch, now: float, seen: Seen) -> None:
    said = watch.tick(now)
    for state in said.states:
        if state.component.startswith(COMPONENT):
            seen.suspicion = max(seen.suspicion, list(Suspicion).index(state.suspicion))
            seen.probability = max(seen.probability, state.probability)
            seen.confirmed += state.suspicion is Suspicion.O_DOWN
    seen.confirmed += sum(one.suspicion is Suspicion.O_DOWN for one in said.incidents)


def _reports(attack: Attack) -> Iterator[tuple[float, str, bool]]:
    """(when, from where, whether it works), in order of time."""
    roll = random.Random(11)
    begin_at = BEGIN_AT + QUIET_S
    count = ADDRESSES * len(attack.places)
    networks = [ipaddress.ip_network(place) for place in attack.places]
    made: list[tuple[float, str, bool]] = []
    for number in range(count):
        network = networks[number % len(networks)]
        host = roll.randrange(1, network.num_addresses)
        made.append((begin_at + ATTACK_S * number / count, str(network[host]), False))
    for number in range(attack.honest):
        at = begin_at + ATTACK_S * number / attack.honest
        made.append((at, f"{60 + number}.1.1.1", attack.works))
    yield from sorted(made)


def _report(
    reporting: Reporting, watch: Watch, address: str, works: bool, table: Systems | None, at: float
) -> None:
    """What the endpoint does with a report, without HTTP and disk."""
    groups = groups_of(ipaddress.ip_address(address), table)
    posted = Posted("anthropic", "web", works, token=address)
    decision = reporting.decide(hashed(posted, "", groups, (SECRET, None)), at)
    if decision.observation is not None:
        reporting.accept(decision, at)
        watch.observe(decision.observation, at)


if __name__ == "__main__":
    for made in (run(Path()),):
        for figure in made.figures:
            print(f"{'  ' if figure.holds else '! '}{figure.name:46} {figure.value:8.3f}")
        for made_table in made.tables:
            print(*(" | ".join(row) for row in (made_table.head, *made_table.rows)), sep="\n")
        print(*made.notes, sep="\n")
