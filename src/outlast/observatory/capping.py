"""How much a crowd of votes weighs when nobody may be the crowd. Pure.

Votes are summed by network, group (autonomous system) and country, and each of these may hold a
share of the total at most. The total depends on the caps and the caps on the total, so it is a
fixed point, the largest T with

    T = Σ_country min(c·T', Σ_group min(g·T', Σ_network min(n·T', votes)))     T' = max(T, small)

`small` is the floor: up to a total of 20 a cap is what it would be at 20, so that the first few
reports count although each is a large share. f(T)/T never rises with T, hence the solutions of
f(T) = T are one interval whose upper end is the total. f is constant up to `small` and concave
beyond, so Newton's method from above meets the largest solution exactly, in a few steps.

What follows from it, and is tested: the order of votes does not matter; a vote more never lowers
the total; no group weighs more than its share of the total; and with a share of 20 % four groups
can never outweigh the rest by more than 4 : 1, whatever they send (`groups_needed`). The limit
itself is the one of the design: one autonomous system is at most a fifth of the window.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec


class Caps(msgspec.Struct, frozen=True):
    """Largest shares of the total, and the total below which they do not shrink any more.

    One country speaks for one country: it moves the component of its region in full, and the
    component of the whole world by four fifths of the total at most.
    """

    network: float = 0.1
    group: float = 0.2
    country: float = 0.8
    small: float = 20.0


CAPS = Caps()


class Vote(msgspec.Struct, frozen=True):
    """One voice: whose (`country.group.network`, the country may be empty) and how heavy."""

    network: str
    weight: int = 1


class Tally:
    """Votes that come and go, summed so that the total is quickly known at any time.

    Weights are whole numbers: sums stay exact, whatever the order.
    """

    __slots__ = ("_countries", "_groups", "_heaviest", "_networks", "weight")

    def __init__(self) -> None:
        self.weight = 0
        self._networks: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._heaviest: dict[str, int] = {}
        """No network of the group weighs more; what left may leave it too high."""
        self._countries: dict[str, int] = {}

    def add(self, network: str, weight: int) -> None:
        group = network.rpartition(".")[0]
        country = group.partition(".")[0]
        mine = self._networks.get(network, 0) + weight
        self._networks[network] = mine
        self._groups[group] = self._groups.get(group, 0) + weight
        if mine > self._heaviest.get(group, 0):
            self._heaviest[group] = mine
        if country:
            self._countries[country] = self._countries.get(country, 0) + weight
        self.weight += weight

    def remove(self, network: str, weight: int) -> None:
        group = network.rpartition(".")[0]
        country = group.partition(".")[0]
        _lower(self._networks, network, weight)
        _lower(self._groups, group, weight)
        if group not in self._groups:
            self._heaviest.pop(group, None)
        if country:
            _lower(self._countries, country, weight)
        self.weight -= weight

    def of_network(self, network: str) -> int:
        """What this network weighs now, uncapped."""
        return self._networks.get(network, 0)

    def knows_group(self, network: str) -> bool:
        """Whether anyone of this network's group has a vote here."""
        return network.rpartition(".")[0] in self._groups

    def shares(self) -> tuple[float, float]:
        """Return the shares of the largest network and of the largest group, uncapped, 0 to 1."""
        if not self.weight:
            return 0.0, 0.0
        most = max(self._networks.values()), max(self._groups.values())
        return most[0] / self.weight, most[1] / self.weight

    def total(self, caps: Caps = CAPS) -> float:
        """Return what all votes weigh together; see the module.

        Only groups that are cut at the answer need a look, and at the answer few are: they are
        sought above a guess, which is lowered until it is no longer above the answer.
        """
        answer, low = float(self.weight), self.weight / 2
        while answer > 0:
            low = max(low, caps.small)
            answer = self._settle(self._cut(low, caps), caps)
            if answer >= low or low <= caps.small:
                break
            low = answer / 4
        return answer

    def _cut(self, above: float, caps: Caps) -> dict[str, list[int]]:
        """The groups that are cut somewhere above this total, with their networks' weights."""
        most_group, most_network = caps.group * above, caps.network * above
        heaviest = self._heaviest
        found: dict[str, list[int]] = {
            group: []
            for group, weight in self._groups.items()
            if weight > most_group or heaviest[group] > most_network
        }
        if found:
            for network, weight in self._networks.items():
                inside = found.get(network.rpartition(".")[0])
                if inside is not None:
                    inside.append(weight)
        return found

    def _settle(self, cut: dict[str, list[int]], caps: Caps) -> float:
        """Newton's method from above, where these groups alone may be cut."""
        total = float(self.weight)
        for _ in range(200):
            value, slope = self._value(total, cut, caps)
            if value >= total * (1 - 1e-12):
                return min(value, total)
            if total <= caps.small:
                return value
            step = (value - slope * total) / (1 - slope) if slope < 1 else 0.0
            total = max(step, caps.small)
        return total

    def _value(self, total: float, cut: dict[str, list[int]], caps: Caps) -> tuple[float, float]:
        """Return f(total) and its slope from below. Sums are exact, so that order is nothing."""
        base = max(total, caps.small)
        most_network, most_group = caps.network * base, caps.group * base
        values, slopes = [float(self.weight)], [0.0]
        countries: dict[str, tuple[list[float], list[float]]] = {}
        for group, networks in cut.items():
            own = math.fsum(min(weight, most_network) for weight in networks)
            steep = caps.network * sum(weight >= most_network for weight in networks)
            if own >= most_group:
                own, steep = most_group, caps.group
            less = own - self._groups[group]
            values.append(less)
            slopes.append(steep)
            country = group.partition(".")[0]
            if country:
                inside = countries.setdefault(country, ([], []))
                inside[0].append(less)
                inside[1].append(steep)
        most_country = caps.country * base
        for country, weight in self._countries.items():
            lesses, steeps = countries.get(country, ([], []))
            own = math.fsum([weight, *lesses])
            if own >= most_country:
                values += [most_country, -weight, *(-less for less in lesses)]
                slopes += [caps.country, *(-steep for steep in steeps)]
        return math.fsum(values), math.fsum(slopes)


def _lower(sums: dict[str, int], key: str, weight: int) -> None:
    left = sums[key] - weight
    if left:
        sums[key] = left
    else:
        del sums[key]


def capped(votes: Iterable[Vote], caps: Caps = CAPS) -> float:
    """Return the total weight of these votes under the caps; see the module."""
    tally = Tally()
    for vote in votes:
        tally.add(vote.network, vote.weight)
    return tally.total(caps)


def groups_needed(present: float, more: float, caps: Caps = CAPS) -> int:
    """Return how many fresh groups it takes to move a total by `more`, however much each sends.

    `present` is the weight of those who are there and are not cut. k groups, each at its cap,
    make T = present + k·g·T, so T = present / (1 - k·g): with g = 20 % three of them can make
    2.5 times the total, and only from the fifth on is there no limit.
    """
    if more <= 0:
        return 0
    groups = 1
    while groups * caps.group < 1:
        small = present + groups * caps.group * caps.small
        reached = small if small <= caps.small else present / (1 - groups * caps.group)
        if reached >= present + more:
            return groups
        groups += 1
    return groups
