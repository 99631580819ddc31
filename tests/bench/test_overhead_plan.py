"""What is asked, what was chosen, and what the kernel says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bench.overhead import proc
from bench.overhead.native import HERE
from bench.overhead.options import PEERS, QUICK, Options, parse
from bench.overhead.peers import ALL
from bench.overhead.scenarios import BY_NAME, PATHS, SCENARIOS, Scenario, prose, request
from bench.overhead.servers import configuration
from bench.overhead.verdicts import PEERS as PROMISED
from hypothesis import given
from hypothesis import strategies as st

from outlast.config import load

STAT = "4711 (a (strange) name) S 1 4700 4699 0 -1 4194560 1 2 3 4 150 50 7 3 20 0 9 0 1 2 3"
CPU = """\
cpu  300 10 50 9000 20 1 5 4 0 0
cpu0 100 4 20 4000 10 0 2 1 0 0
cpu1 200 6 30 5000 10 1 3 3 0 0
intr 12345
"""


def test_a_line_of_proc_is_read_whatever_the_process_is_called() -> None:
    read = proc.times(STAT)
    assert read == proc.Times(pid=4711, state="S", session=4699, ticks=150 + 50 + 7 + 3)


@pytest.mark.parametrize("text", ["", "4711", "4711 (short) S 1 2"])
def test_what_is_no_line_of_proc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a line|stat"):
        proc.times(text)


@given(st.text())
def test_any_name_of_a_process_leaves_its_numbers_alone(name: str) -> None:
    read = proc.times(STAT.replace("a (strange) name", name))
    assert (read.session, read.ticks) == (4699, 210)


def test_this_process_is_in_proc_with_its_own_number() -> None:
    read = proc.times(Path("/proc/self/stat").read_text("utf-8"))
    assert read.pid > 0
    assert read.ticks >= 0


def test_cores_are_read_one_by_one_without_their_sum() -> None:
    assert proc.cores(CPU) == {0: proc.Core(126, 1), 1: proc.Core(240, 3)}


def test_an_old_kernel_that_tells_no_stolen_time_is_understood() -> None:
    assert proc.cores("cpu0 1 2 3 4 5 6 7") == {0: proc.Core(19, 0)}


def test_resident_memory_is_read_in_bytes_and_is_none_where_a_process_ended() -> None:
    assert proc.resident_bytes("Name:\tx\nVmRSS:\t   1234 kB\nThreads:\t1\n") == 1234 * 1024
    assert proc.resident_bytes("Name:\tx\nState:\tZ\n") == 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_a_request_is_as_large_as_said_and_carries_its_wish(scenario: Scenario) -> None:
    path = PATHS[scenario.client]
    head, _, body = request(scenario, "bench-x", {"x-key": "k"}, path).partition(b"\r\n\r\n")
    assert head.startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert f"content-length: {len(body)}".encode() in head
    assert b"\r\nx-key: k" in head
    assert abs(len(body) - scenario.body_bytes) <= 2
    asked = json.loads(body)
    assert asked["stream"] is scenario.stream
    wish = re.match(r"#q00000000 (\d{3}) (\d{4})# ", asked["messages"][0]["content"])
    assert wish is not None
    assert (int(wish[1]), int(wish[2])) == (scenario.pace_ms, scenario.tokens)


def test_the_number_of_a_request_stands_in_it_once() -> None:
    for scenario in SCENARIOS:
        assert request(scenario, "bench-x", {}, "/").count(b"#q") == 1


@given(st.integers(0, 500_000))
def test_prose_is_as_long_as_asked_and_needs_no_escape(size: int) -> None:
    made = prose(size)
    assert len(made) == size
    assert len(json.dumps(made)) == size + 2


def test_every_peer_that_is_promised_something_can_be_chosen_and_started() -> None:
    assert set(PEERS) == set(ALL)
    assert {peer for peer, *_ in PROMISED} <= set(PEERS)


def test_a_peer_is_asked_only_for_what_it_does() -> None:
    served = {
        name: [one.name for one in SCENARIOS if kind.serves(kind.__new__(kind), one)]
        for name, kind in ALL.items()
    }
    assert served["ccr"] == ["a2o-whole", "a2o-stream"]
    assert "o2a-stream" in served["tensorzero"]
    assert "a2o-stream" not in served["tensorzero"]
    assert not any(BY_NAME[name].translated for name in served["smg"] + served["haproxy"])
    assert served["litellm"] == list(BY_NAME)


def test_a_quick_run_measures_each_must_that_needs_no_peer() -> None:
    assert parse(["--quick"]) == QUICK
    assert {"c1", "c32", "fast", "big", "p1000"} <= set(QUICK.only)
    assert QUICK.peers == ()


def test_a_quick_run_asks_for_many_streams_in_its_first_round_alone() -> None:
    assert "p1000" in QUICK.of_round(0)
    assert "p1000" not in QUICK.of_round(1)
    assert Options().of_round(1) == Options().only


def test_only_a_full_run_may_be_written_where_the_full_one_stands() -> None:
    assert parse([]).whole
    assert parse(["--urgent", "--memory", "5"]).whole
    for arguments in (["--quick"], ["--only", "c1"], ["--rounds", "1"]):
        assert not parse(arguments).whole


def test_choices_are_kept_in_the_order_of_the_tables() -> None:
    options = parse(["--only", "fast, c1", "--peers", "smg,litellm", "--seconds", "2"])
    assert options.only == ("c1", "fast")
    assert options.peers == ("litellm", "smg")
    assert (options.open_s, options.paced_open_s) == (2, 5)
    assert parse(["--quick", "--peers", "all"]).peers == PEERS
    assert parse(["--peers", "none"]).peers == ()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--only", "c2"], "c2"),
        (["--peers", "traefik"], "traefik"),
        (["--rounds", "0"], "--rounds"),
        (["--seconds", "3600"], "--seconds"),
        (["--memory", "-1"], "--memory"),
        (["--transport", 'x"\n'], "--transport"),
    ],
    ids=[
        "no such scenario",
        "no such peer",
        "no round at all",
        "an hour for each window",
        "fewer than no requests",
        "a transport that would end its line",
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_name(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert word in capsys.readouterr().err


def test_outlast_is_measured_with_all_on_but_what_leaves_loopback(tmp_path: Path) -> None:
    path = tmp_path / "outlast.toml"
    path.write_text(configuration(8401, "http://127.0.0.1:9", ""), "utf-8")
    settings = load(path, {"OVERHEAD_KEY": "x"})
    assert not settings.local.enabled
    assert not settings.observatory.feeds
    assert not settings.observatory.probes
    assert settings.observatory.enabled
    assert {route.model for route in settings.routes} == {"bench-chat", "bench-messages"}
    assert all(up.base_url.startswith("http://127.0.0.1:") for up in settings.upstreams.values())


def test_the_sources_of_generator_and_vendor_are_short_enough_to_read() -> None:
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in HERE.glob("*.c")}
    assert set(lengths) == {"load.c", "vendor.c"}
    assert max(lengths.values()) <= 500
