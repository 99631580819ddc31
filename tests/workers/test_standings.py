"""What works instead, as all workers' routers see it together."""

from __future__ import annotations

import pytest

from outlast.nouns import Candidate, Kind
from outlast.workers.observer import FRESH_S, Standings


def candidate(name: str) -> Candidate:
    return Candidate(name, "m", Kind.ANTHROPIC, name, name)


A, B = candidate("a"), candidate("b")
OWN = [(A, True), (B, False)]


@pytest.mark.parametrize(
    ("told", "later_s", "works"),
    [
        pytest.param({}, 0, [True, False], id="nobody has told: our own word"),
        pytest.param({0: [(A, False), (B, True)]}, 0, [False, True], id="a worker's word counts"),
        pytest.param(
            {0: [(A, False), (B, False)], 1: [(A, True), (B, False)]},
            0,
            [True, False],
            id="what one of them would ask works",
        ),
        pytest.param(
            {0: [(A, False), (B, True)]},
            FRESH_S + 1,
            [True, False],
            id="the word of one that is silent since is forgotten",
        ),
        pytest.param(
            {0: [(candidate("of other settings"), True)]},
            0,
            [False, False],
            id="what we have not in our settings is not shown",
        ),
    ],
)
def test_an_upstream_works_if_one_worker_would_ask_it_now(
    told: dict[int, list[tuple[Candidate, bool]]], later_s: float, works: list[bool]
) -> None:
    standings = Standings()
    for place, standing in told.items():
        standings.take(place, tuple(standing), 100.0)
    found = standings.together(OWN, 100.0 + later_s)
    assert found == [(A, works[0]), (B, works[1])]
