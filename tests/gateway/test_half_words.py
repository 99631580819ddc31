"""Half a word waits for its other half, at most 80 ms, and no longer than it waits itself."""

from __future__ import annotations

from outlast.gateway.events import (
    BytesReceived,
    Command,
    Forward,
    HeadReceived,
    SetTimer,
    TimerFired,
)
from outlast.gateway.exchange import Exchange
from outlast.gateway.flow import FLUSH_S
from tests.gateway.exchanges import SSE, START, TEXT_START, exchange, words


def begun() -> Exchange:
    """An exchange that has said `The` and waits for what the word may become."""
    machine = exchange("a")
    machine.start(0.0)
    machine.handle(HeadReceived(0, 200, SSE, 1.0))
    machine.handle(BytesReceived(0, START + TEXT_START + words("So. The"), 1.0))
    return machine


def said(commands: list[Command]) -> bytes:
    return b"".join(c.data for c in commands if isinstance(c, Forward))


def timers(commands: list[Command]) -> list[float]:
    return [c.at for c in commands if isinstance(c, SetTimer) and c.timer == "flush"]


def test_half_a_word_is_shown_after_its_time() -> None:
    machine = begun()
    assert b"The" in said(machine.handle(TimerFired("flush", 1.0 + FLUSH_S)))


def test_in_a_stream_that_flows_no_word_is_cut() -> None:
    machine = begun()
    shown, due = b"", 1.0 + FLUSH_S
    for step in range(1, 50):
        now = 1.0 + step * 0.02
        shown += said(machine.handle(BytesReceived(0, words(f" w{step}"), now)))
        if now >= due:
            commands = machine.handle(TimerFired("flush", now))
            assert said(commands) == b""
            due = timers(commands)[0]
            assert now < due <= now + FLUSH_S
    assert b" w48" in shown
    assert b" w49" not in shown


def test_a_word_that_grows_waits_from_its_first_piece() -> None:
    machine = begun()
    machine.handle(BytesReceived(0, words("sau"), 1.04))
    shown = said(machine.handle(TimerFired("flush", 1.0 + FLUSH_S)))
    assert b"The" in shown
    assert b"sau" in shown
