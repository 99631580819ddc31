"""The two benchmarks of reports, small: they would notice what they are there to notice."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.observatory import flood, sybil
from bench.observatory.result import Figure, Result


def test_no_acknowledged_report_is_lost_when_the_server_is_killed() -> None:
    """A real server, killed while requests are under way, and started again."""
    made = flood.run(Path(), seconds=0.7, rate_per_s=300, acknowledged=21)
    found = {figure.name: figure for figure in made.figures}
    assert found["acknowledged and lost"].n > 20
    assert found["acknowledged and lost"].value == 0
    assert found["stored twice"].value == 0
    assert found["answered other than 200 or 202"].value == 0


def test_a_figure_out_of_its_bounds_does_not_hold() -> None:
    bad = Figure("acknowledged and lost", 1, 0, 0, 10)
    assert not Result((bad,), (), ()).holds


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(sybil.ATTACKS[0], id="one system, by table"),
        pytest.param(sybil.ATTACKS[1], id="one /16, without a table"),
    ],
)
def test_one_attacker_is_never_confirmed(
    attack: sybil.Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sybil, "ADDRESSES", 300)
    monkeypatch.setattr(sybil, "QUIET_WEEKS", 0)
    seen = sybil.play(attack)
    assert seen.crowd.people_not_working > 100
    assert (seen.crowd.not_working, seen.confirmed) == (4, 0)
