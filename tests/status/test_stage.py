"""A rehearsal shown as a page: the same page, on the rehearsal's own clock."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from outlast.commands.replay import moments
from outlast.observatory.rehearsal import open_rehearsal
from outlast.observatory.watch import Watch
from outlast.status.stage import Stage
from tests.status.days import NOON


async def test_a_day_is_played_and_shown_as_it_was_at_that_minute() -> None:
    rehearsal, watch = open_rehearsal(Path("2026-03-02")), Watch()
    until = NOON + 1800
    stage = Stage(watch, takewhile(lambda p: p[0] <= until, moments(rehearsal, watch)), speed=1.0)
    stage._speed = 1e9  # no test waits for a clock
    await stage.run()
    assert stage.clock.at == until
    view = stage.pages.snapshot()
    assert view.at == until
    assert view.open[0].incident.suspicion == "o_down"
    assert not view.reports
    body = stage.pages._renderer.render(view, "", "en").body.decode()
    assert "Anthropic is failing" in body
    assert "<form" not in body
