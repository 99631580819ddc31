"""The service's own deciders, played at their own pace for the benchmark of detection."""

from __future__ import annotations

import copy
import statistics
from itertools import pairwise

import pytest
from bench.observatory import closely, sequential
from bench.observatory.closely import Play

from outlast.config import ObservatorySettings
from outlast.observatory.probe_closely import ALLOWED_S, GAP_S, SPAN_S
from outlast.observatory.probe_targets import BRIEF_TOKENS, targets_of


@pytest.fixture(scope="module")
def warm() -> Play:
    return sequential.warmed()


def test_the_house_has_a_canary_and_what_is_free() -> None:
    kinds = {target.kind.value for target in targets_of(closely.house())}
    assert kinds == {"tls", "models", "canary", "page"}


def test_a_quiet_stretch_has_its_requests_its_turns_and_few_looks(warm: Play) -> None:
    assert warm.requests == sequential.WARM_REQUESTS
    assert (warm.alarms, warm.suspected) == (0, False)
    turns = warm.now / ObservatorySettings().probe_every_s
    brief = [at for at, tokens in warm.canaries if tokens == BRIEF_TOKENS]
    assert len(warm.canaries) - len(brief) == pytest.approx(turns, rel=0.5)
    assert len(brief) <= warm.looks * ALLOWED_S / GAP_S[0]


def test_a_copy_goes_on_as_what_it_was_copied_from_would(warm: Play) -> None:
    one, other = copy.deepcopy(warm), copy.deepcopy(warm)
    for play in (one, other):
        play.share = 0.25
        play.run(play.now + 120.0)
    assert (one.requests, one.canaries, one.suspected) == (
        other.requests,
        other.canaries,
        other.suspected,
    )
    assert one.canaries != warm.canaries


def test_probes_of_a_look_keep_their_gaps_and_their_allowance(warm: Play) -> None:
    play = copy.deepcopy(warm)
    play.share = 0.06  # often on the way to a suspicion
    began_at = play.now
    play.run(began_at + 3600.0)
    brief = [at for at, tokens in play.canaries if tokens == BRIEF_TOKENS and at > began_at]
    assert len(brief) > 10
    assert all(later - at >= GAP_S[0] - 1e-9 for at, later in pairwise(brief))
    assert all(
        sum(at <= one < at + SPAN_S for one in brief) <= ALLOWED_S / GAP_S[0] for at in brief
    )


def test_with_close_looks_a_change_is_suspected_after_fewer_requests(warm: Play) -> None:
    alone = sequential.warmed(probes=False)
    close = statistics.mean(sequential.delay(warm, seed).requests for seed in range(40))
    without = statistics.mean(sequential.delay(alone, seed).requests for seed in range(40))
    assert close < 0.8 * without


@pytest.mark.parametrize(
    ("per_alarm", "least"),
    [
        pytest.param(432_000, 15, id="a month at ten requests a minute"),
        pytest.param(4_320_000, 18, id="ten months"),
    ],
)
def test_no_test_of_traffic_alone_is_faster_than_the_bound(per_alarm: int, least: int) -> None:
    assert sequential.least_median(0.01, 0.25, per_alarm) == least
