"""Nobody is a crowd: the caps as sentences, against a slow reference, and as promises."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.observatory.capping import CAPS, Caps, Tally, Vote, capped, groups_needed

WHOSE = st.builds(
    "{}.g{}.n{}".format,
    st.sampled_from(["", "fr", "us"]),
    st.integers(0, 12),
    st.integers(0, 5),
)
VOTES = st.lists(st.builds(Vote, WHOSE, st.sampled_from([1, 1, 1, 3, 8, 40])), max_size=120)
BLOCKS = st.lists(
    st.tuples(WHOSE, st.integers(1, 400)).map(lambda pair: Vote(pair[0], pair[1])), max_size=40
)


def spread(groups: int, each: int, country: str = "", name: str = "g") -> list[Vote]:
    """`each` voices in so many groups, every one from a network of its own."""
    return [
        Vote(f"{country}.{name}{group}.{name}{group}n{voice}")
        for group in range(groups)
        for voice in range(each)
    ]


def slow(votes: list[Vote], caps: Caps = CAPS) -> float:
    """The definition itself: the largest T with f(T) >= T, by halving."""
    networks: dict[str, float] = defaultdict(float)
    for vote in votes:
        networks[vote.network] += vote.weight

    def f(total: float) -> float:
        base = max(total, caps.small)
        groups: dict[str, list[float]] = defaultdict(list)
        for network, weight in networks.items():
            groups[network.rpartition(".")[0]].append(min(weight, caps.network * base))
        countries: dict[str, list[float]] = defaultdict(list)
        for group, weights in groups.items():
            countries[group.partition(".")[0]].append(min(math.fsum(weights), caps.group * base))
        return math.fsum(
            min(math.fsum(weights), caps.country * base) if country else math.fsum(weights)
            for country, weights in countries.items()
        )

    low, high = 0.0, math.fsum(networks.values())
    if f(high) >= high:
        return high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) >= middle - 1e-12 else (low, middle)
    return low


@pytest.mark.parametrize(
    ("votes", "total"),
    [
        pytest.param([], 0, id="nobody weighs nothing"),
        pytest.param([Vote(".a.a")], 1, id="the first report counts in full"),
        pytest.param([Vote(".a.a")] * 50, 2, id="one /24 is two voices, alone"),
        pytest.param(spread(1, 10_000), 4, id="ten thousand addresses of one system are four"),
        pytest.param(spread(4, 1000), 16, id="four systems are sixteen, whatever they send"),
        pytest.param(spread(5, 100), 500, id="five equal systems are a fifth each: all counts"),
        pytest.param(spread(30, 4), 120, id="a spread crowd counts in full"),
        pytest.param(
            spread(80, 1, name="honest") + spread(1, 10_000),
            100,
            id="beside 80 others, one system is a fifth of the total: 20 of 100",
        ),
        pytest.param(
            spread(80, 1, name="honest") + [Vote(".bad.bad")] * 10_000,
            80 / 0.9,
            id="beside 80 others, one /24 is a tenth of the total",
        ),
        pytest.param(spread(50, 20, country="fr"), 16, id="a country alone is sixteen"),
        pytest.param(
            spread(50, 20, country="fr") + spread(20, 1, country="us", name="u"),
            100,
            id="beside 20 from elsewhere, a country is four fifths: 80 of 100",
        ),
        pytest.param(spread(50, 20), 1000, id="an unknown country is no country"),
    ],
)
def test_what_a_crowd_weighs(votes: list[Vote], total: float) -> None:
    assert capped(votes) == pytest.approx(total)


@given(VOTES | BLOCKS)
@settings(max_examples=200)
def test_the_quick_way_finds_what_the_definition_says(votes: list[Vote]) -> None:
    assert capped(votes) == pytest.approx(slow(votes), abs=1e-6)


@given(VOTES.flatmap(lambda votes: st.tuples(st.just(votes), st.permutations(votes))))
def test_the_order_of_votes_does_not_matter(pair: tuple[list[Vote], list[Vote]]) -> None:
    assert capped(pair[0]) == capped(pair[1])


@given(VOTES | BLOCKS, st.builds(Vote, WHOSE, st.integers(1, 100)))
def test_one_vote_more_never_lowers_the_total(votes: list[Vote], more: Vote) -> None:
    assert capped([*votes, more]) >= capped(votes) - 1e-9


@given(VOTES | BLOCKS, st.integers(1, 100_000))
def test_no_group_brings_more_than_its_share_of_the_total(votes: list[Vote], many: int) -> None:
    """What is there without the group, under the caps of the total with it, is all but a fifth."""
    with_it = capped([*votes, *(Vote(f".bad.n{n}", many) for n in range(20))])
    base = max(with_it, CAPS.small)
    fixed = Caps(CAPS.network, CAPS.group, CAPS.country, base)
    assert with_it - slow_at(votes, fixed) <= CAPS.group * base + 1e-6


def slow_at(votes: list[Vote], caps: Caps) -> float:
    """f itself at the caps of a given total: with `small` as high as that, caps stand still."""
    return slow(votes, caps)


@given(VOTES | BLOCKS, st.data())
def test_votes_that_go_leave_no_trace(votes: list[Vote], data: st.DataObject) -> None:
    stay = data.draw(st.lists(st.booleans(), min_size=len(votes), max_size=len(votes)))
    tally = Tally()
    for vote in votes:
        tally.add(vote.network, vote.weight)
    for vote, stays in zip(votes, stay, strict=True):
        if not stays:
            tally.remove(vote.network, vote.weight)
    left = [vote for vote, stays in zip(votes, stay, strict=True) if stays]
    assert tally.total() == pytest.approx(capped(left), abs=1e-9)
    assert tally.weight == sum(vote.weight for vote in left)


@pytest.mark.parametrize(
    ("present", "more", "groups"),
    [
        pytest.param(80, 0, 0, id="nothing needs nobody"),
        pytest.param(80, 20, 1, id="one system can add a fifth of the total"),
        pytest.param(80, 21, 2, id="for more it takes two"),
        pytest.param(80, 320, 4, id="four can outweigh the rest by 4 : 1"),
        pytest.param(80, 321, 5, id="beyond that it takes five"),
        pytest.param(0, 4, 1, id="out of nothing, one is four voices"),
        pytest.param(0, 16, 4, id="and four are sixteen"),
        pytest.param(0, 17, 5, id="a crowd out of nothing takes five"),
    ],
)
def test_how_many_systems_it_takes_to_move_a_total(
    present: float, more: float, groups: int
) -> None:
    assert groups_needed(present, more) == groups


@given(st.integers(0, 300), st.integers(1, 4))
def test_fewer_systems_than_needed_never_move_it_so_far(present: int, attackers: int) -> None:
    honest = spread(present, 1, name="honest")
    moved = capped(honest + spread(attackers, 400, name="bad")) - capped(honest)
    assert groups_needed(present, moved + 1e-6) > attackers or moved == 0


def test_the_largest_network_and_group_are_told() -> None:
    tally = Tally()
    assert tally.shares() == (0.0, 0.0)
    for network in (".a.1", ".a.1", ".a.2", ".b.3"):
        tally.add(network, 1)
    assert tally.shares() == (0.5, 0.75)
