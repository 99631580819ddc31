"""What is made of many runs: medians, ratios, the slope of memory, the promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from bench.overhead.figures import Sample, figure, kept, memory, ratio
from bench.overhead.verdicts import Found, Verdict, missed, unjudged, verdicts
from hypothesis import given
from hypothesis import strategies as st


def sample(**more: Any) -> Sample:
    values: dict[str, Any] = {
        "server": "outlast",
        "scenario": "c32",
        "round": 0,
        "seconds": 1.0,
        "requests": 1000,
        "tokens": 2 * more.get("requests", 1000),
        "tokens_each": 2,
        "started": 1200,
        "whole": 1200,
        "cpu_s": 0.5,
        "p50_us": 300.0,
        "p99_us": 900.0,
        "first_p50_us": 300.0,
        "first_p99_us": 900.0,
        "event_p50_us": 100.0,
        "event_p99_us": 400.0,
        "foreign_servers": 0.01,
        "foreign_load": 0.02,
        "load_share": 0.5,
        "resident_bytes": 60_000_000,
    }
    return Sample(**(values | more))


def found(samples: Sequence[Sample], **more: Any) -> Found:
    figures = {
        scenario: {
            server: figure([s for s in samples if (s.scenario, s.server) == (scenario, server)])
            for server in {s.server for s in samples if s.scenario == scenario}
        }
        for scenario in {s.scenario for s in samples}
    }
    return Found(samples=samples, figures=figures, **more)


def promised(what: str, made: Sequence[Verdict]) -> Verdict:
    (one,) = [verdict for verdict in made if what in verdict.what]
    return one


def test_a_figure_is_the_median_of_its_rounds_and_the_sum_of_its_answers() -> None:
    rounds = [sample(round=n, requests=count) for n, count in enumerate((900, 1000, 5000))]
    made = figure(rounds)
    assert made.per_s == 1000
    assert (made.per_s_low, made.per_s_high) == (900, 5000)
    assert made.cpu_us == pytest.approx(500.0)
    assert (made.started, made.whole, made.rounds) == (3600, 3600, 3)


def test_a_round_without_an_answer_in_the_window_has_no_cpu_per_answer() -> None:
    assert sample(requests=0).cpu_us is None
    assert figure([sample(requests=0)]).cpu_us is None


def test_of_a_long_stream_the_part_within_the_window_counts() -> None:
    # A thousand streams, none of which ended in the window, of each of which half lay in it.
    made = sample(requests=0, tokens=50_000, tokens_each=100, cpu_s=0.5)
    assert made.cpu_us == pytest.approx(1000.0)


def test_a_ratio_is_taken_within_each_round_before_the_median_over_them() -> None:
    # The host is half as fast in the second round, for both alike.
    samples = [
        sample(round=0, requests=1000),
        sample(round=0, server="nginx", requests=2000),
        sample(round=1, requests=500),
        sample(round=1, server="nginx", requests=1000),
        sample(round=2, requests=800),
    ]
    assert ratio(samples, "c32", lambda one: one.per_s, "nginx") == 0.5


def test_what_was_not_measured_has_no_ratio() -> None:
    assert ratio([sample()], "c32", lambda one: one.per_s, "nginx") is None
    empty = [sample(), sample(server="nginx", requests=0)]
    assert ratio(empty, "c32", lambda one: one.per_s, "nginx") is None


@pytest.mark.parametrize(
    ("more", "disturbed"),
    [
        ({}, False),
        ({"foreign_servers": 0.09}, True),
        ({"foreign_load": 0.13}, True),
        ({"foreign_load": 0.11}, False),
        ({"stolen": 0.06}, True),
        ({"foreign_servers": 0.5, "urgent": True}, False),
        ({"stolen": 0.06, "urgent": True}, True),
    ],
    ids=[
        "a quiet run is not disturbed",
        "others on the servers' core disturb",
        "others on the load's core disturb",
        "a little on the load's core does not",
        "what the host takes disturbs",
        "an urgent run leaves others what is left over",
        "an urgent run is disturbed by its host",
    ],
)
def test_a_run_is_disturbed_by_those_who_take_from_it(
    more: dict[str, Any], disturbed: bool
) -> None:
    assert sample(**more).disturbed is disturbed


LEAK = [60_000_000 + 40 * n for n in range(0, 1_000_001, 10_000)]
COUNTS = list(range(0, 1_000_001, 10_000))


def test_memory_that_grows_with_every_request_is_not_flat() -> None:
    made = memory(COUNTS, LEAK)
    assert made.slope_bytes == pytest.approx(40.0)
    assert made.grown_bytes == pytest.approx(24_000_000)
    assert not made.flat


def test_memory_that_grows_during_the_warm_up_alone_is_flat() -> None:
    warming = [60_000_000 + 100 * min(n, 300_000) for n in COUNTS]
    made = memory(COUNTS, warming)
    assert made.slope_bytes == 0
    assert made.flat


def test_a_single_jump_of_a_reading_makes_no_slope() -> None:
    steady = [60_000_000] * len(COUNTS)
    steady[70] = 90_000_000
    assert memory(COUNTS, steady).slope_bytes == 0


def test_readings_that_sway_without_growing_are_flat() -> None:
    swaying = [60_000_000 + (3_000_000 if n % 20_000 else 0) for n in COUNTS]
    assert memory(COUNTS, swaying).flat


def test_memory_without_readings_tells_nothing_and_fails_nothing() -> None:
    assert memory([], []).slope_bytes == 0


@given(st.integers(-50, 50), st.integers(10_000_000, 200_000_000))
def test_a_straight_line_has_its_own_slope(per_request: int, begin: int) -> None:
    made = memory(COUNTS, [begin + per_request * n for n in COUNTS])
    assert made.slope_bytes == pytest.approx(per_request)
    assert made.noise_bytes == pytest.approx(0, abs=1)


def good() -> list[Sample]:
    """A run in which each promise is kept, and each aim met."""
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("c1", "nginx", {"p50_us": 150.0}),
        ("c1", "outlast", {"p50_us": 200.0}),
        ("c32", "nginx", {"requests": 40_000, "cpu_s": 0.80}),
        ("c32", "outlast", {"requests": 30_000, "cpu_s": 0.96}),
        ("c32", "vllm-router", {"requests": 12_000}),
        ("c32", "tensorzero", {"requests": 4_000}),
        ("c32", "smg", {"requests": 4_400}),
        ("c32", "litellm", {"requests": 70}),
        ("big", "nginx", {"requests": 8_000}),
        ("big", "outlast", {"requests": 4_400}),
        ("fast", "nginx", {"requests": 500_000}),
        ("fast", "outlast", {"requests": 475_000}),
        ("p1000", "outlast", {"tokens": 50_000, "tokens_each": 100, "cpu_s": 0.6}),
        ("o2a-whole", "tensorzero", {"requests": 4_000}),
        ("o2a-whole", "outlast", {"requests": 17_000}),
        ("o2a-stream", "tensorzero", {"requests": 400}),
        ("o2a-stream", "outlast", {"requests": 2_000}),
    ]
    return [sample(scenario=name, server=server, **more) for name, server, more in rows]


def test_a_good_run_meets_every_must_and_every_aim() -> None:
    flat = memory(COUNTS, [60_000_000] * len(COUNTS))
    made = verdicts(found(good(), idle_bytes=50_000_000, memory=flat))
    assert [one.what for one in made if one.met is not True or one.aimed is not True] == []
    assert missed(made, strict=True) == []


@pytest.mark.parametrize(
    ("scenario", "more", "what"),
    [
        ("c32", {"cpu_s": 1.5}, "CPU per 1 kB request"),
        ("c32", {"requests": 15_000}, "at 32 connections against nginx"),
        ("c32", {"requests": 17_000}, "against vllm-router"),
        ("c32", {"requests": 15_000}, "connections against tensorzero"),
        ("c32", {"requests": 17_000}, "against smg"),
        ("c32", {"requests": 13_000}, "against litellm"),
        ("big", {"requests": 2_500}, "200 kB"),
        ("fast", {"requests": 300_000}, "fast streams"),
        ("o2a-whole", {"requests": 15_000}, "translated requests"),
        ("o2a-stream", {"requests": 1_500}, "translated streams"),
        ("p1000", {"whole": 1199}, "not come home whole"),
        ("p1000", {"whole": 1199, "unfinished": 1}, "unfinished when"),
        ("p1000", {"broken_before": 1}, "not come home whole"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_must_that_is_missed_by_a_little_decides_the_exit_code(
    scenario: str, more: dict[str, Any], what: str
) -> None:
    samples = [
        sample(scenario=scenario, **(_values(one) | more))
        if (one.scenario, one.server) == (scenario, "outlast")
        else one
        for one in good()
    ]
    assert any(what in one.what for one in missed(verdicts(found(samples))))


def _values(one: Sample) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("requests", "cpu_s", "p50_us")}


def test_what_is_no_ratio_is_said_but_counts_only_with_strict() -> None:
    samples = [
        sample(scenario="c1", server="nginx", p50_us=150.0),
        sample(scenario="c1", p50_us=260.0),
        sample(scenario="p1000", tokens=50_000, tokens_each=100, cpu_s=0.8),
    ]
    made = verdicts(found(samples, idle_bytes=90_000_000))
    late, share, idle = (
        promised(what, made) for what in ("one connection", "of a core", "resident memory")
    )
    assert (late.value, late.met) == (110.0, False)
    assert (share.met, idle.met) == (False, False)
    assert missed(made) == []
    assert len(missed(made, strict=True)) == 3


def test_who_falls_behind_needs_no_smaller_share_for_it() -> None:
    paced: dict[str, Any] = {"scenario": "p1000", "tokens_each": 100}
    steady = promised("of a core", verdicts(found([sample(**paced, tokens=50_000, cpu_s=0.7)])))
    behind = promised("of a core", verdicts(found([sample(**paced, tokens=5_000, cpu_s=0.2)])))
    assert steady.value == pytest.approx(70.0)
    assert behind.value == pytest.approx(200.0)


def test_rates_of_which_each_round_was_disturbed_are_neither_met_nor_missed() -> None:
    busy: dict[str, Any] = {"foreign_servers": 0.5}
    samples = [
        sample(server="nginx", requests=2000, cpu_s=0.1, **busy),
        sample(requests=1900, cpu_s=0.9),
    ]
    made = verdicts(found(samples))
    rate = promised("requests per second at 32 connections against nginx", made)
    assert (rate.met, rate.aimed) == (None, None)
    assert unjudged(made) == [rate]
    # CPU is counted by the kernel, whoever else runs.
    assert missed(made) == [promised("CPU per 1 kB", made)]


def test_one_quiet_round_is_enough_to_judge_by() -> None:
    samples = [
        sample(server=server, round=number, foreign_load=0.5 if number else 0.0)
        for number in range(3)
        for server in ("nginx", "outlast")
    ]
    assert unjudged(verdicts(found(samples))) == []


def test_a_round_in_which_one_of_both_was_disturbed_is_not_judged_by() -> None:
    # Others took half of nginx's time in the second round: it would flatter us.
    samples = [
        sample(server="nginx", requests=10_000),
        sample(requests=3_000),
        *(sample(server="nginx", round=n, requests=5_000, foreign_load=0.5) for n in (1, 2)),
        *(sample(round=n, requests=3_000) for n in (1, 2)),
    ]
    rate = promised("connections against nginx", verdicts(found(samples)))
    assert (rate.value, rate.met) == (0.3, False)
    never_both = [samples[0], sample(requests=3_000, foreign_load=0.5), *samples[2:]]
    rate = promised("connections against nginx", verdicts(found(never_both)))
    assert (rate.value, rate.met) == (0.6, None)


def test_a_leak_decides_the_exit_code() -> None:
    made = verdicts(found(good(), memory=memory(COUNTS, LEAK)))
    assert [one.what for one in missed(made)] == [promised("growth of memory", made).what]


def test_what_the_generator_cut_off_is_not_taken_for_broken() -> None:
    made = verdicts(found([sample(whole=1190, unfinished=10)]))
    assert promised("whole", made).value == 0
    assert promised("unfinished", made).value == 10


def test_the_quietest_try_is_kept_with_what_broke_in_the_others() -> None:
    busy = sample(foreign_load=0.5, whole=1100, unfinished=97, complaint="broken off")
    made = kept([busy, sample(foreign_load=0.3, requests=7), sample(foreign_load=0.4)])
    assert (made.requests, made.tries) == (7, 3)
    assert (made.broken, made.unfinished, made.complaint) == (3, 0, "broken off")


def test_answers_lost_in_the_memory_run_count_too() -> None:
    flat = memory(COUNTS, [60_000_000] * len(COUNTS), failed=2, unfinished=3)
    made = verdicts(found(good(), memory=flat))
    assert (promised("whole", made).value, promised("unfinished", made).value) == (2, 3)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    made = verdicts(found([]))
    assert {one.met for one in made} == {None}
    assert missed(made, strict=True) == []


def test_answers_that_a_peer_loses_are_not_ours() -> None:
    samples = [sample(), sample(server="litellm", whole=7)]
    assert promised("whole", verdicts(found(samples))).value == 0
