"""A rehearsal shown as a page: the same page, on the rehearsal's own clock."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import pytest

from outlast.commands.replay import moments
from outlast.observatory.rehearsal import open_rehearsal
from outlast.observatory.watch import Watch
from outlast.status.stage import Stage
from tests.status.days import NOON


class Time:
    """Seconds of ours, which pass when somebody pauses and not otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    async def pause(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize("speed", [60.0, 3600.0])
async def test_a_day_is_played_at_its_pace_and_shown_as_it_was_at_that_minute(
    speed: float,
) -> None:
    rehearsal, watch, time = open_rehearsal(Path("2026-03-02")), Watch(), Time()
    until = NOON + 1800
    played = takewhile(lambda p: p[0] <= until, moments(rehearsal, watch))
    stage = Stage(watch, played, speed, rehearsal.title, pause=time.pause, monotonic=time.monotonic)
    await stage.run()
    assert stage.clock.at == until
    start = rehearsal.start_at or 0.0
    assert time.now == pytest.approx((until - start) / speed, rel=0.01)
    view = stage.pages.snapshot()
    assert view.at == until
    assert view.open[0].incident.suspicion == "o_down"
    assert not view.reports
    body = stage.pages._renderer.render(view, "", "en").body.decode()
    assert "Anthropic is failing" in body
    assert "<form" not in body


async def test_nobody_can_take_a_rehearsal_for_what_happens_now() -> None:
    rehearsal, watch, time = open_rehearsal(Path("2026-03-02")), Watch(), Time()
    played = takewhile(lambda p: p[0] <= NOON - 3000, moments(rehearsal, watch))
    stage = Stage(watch, played, 60, rehearsal.title, pause=time.pause, monotonic=time.monotonic)
    await stage.run()
    view = stage.pages.snapshot()
    for lang, words in (("en", "None of it is happening now."), ("fr", "rejoué ici")):
        for path in ("", "anthropic", "history"):
            body = stage.pages._renderer.render(view, path, lang).body.decode()  # type: ignore[arg-type]
            assert words in body
            # Its day is past: the page's own judge of its age would call it out of date.
            assert "<script" not in body
            assert 'id="old"' not in body
