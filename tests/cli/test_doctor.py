"""The doctor against real servers on loopback: each way to be ill has its own finding."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from outlast.cli import main
from outlast.config import Settings, load
from outlast.doctor import Finding, Mark, examine, worst
from outlast.doctor.findings import certificate, clock, streaming
from outlast.doctor.machine import port, vector_unit
from tests.cli.vendor import Handler, Respond, vendor

MODELS = b'{"data":[{"id":"claude-x"}]}'
EVENT = b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n'
OVERLOADED = b'event: error\ndata: {"type":"error","error":{"message":"Overloaded"}}\n\n'


def settings_of(tmp_path: Path, address: str) -> Settings:
    path = tmp_path / "outlast.toml"
    path.write_text(
        f'[upstreams.a]\nkind = "anthropic"\nbase_url = "{address}"\nkey_env = "A_KEY"\n'
        "[timeouts]\nconnect_s = 5\n",
        encoding="utf-8",
    )
    return load(path, {"A_KEY": "right"})


def findings(tmp_path: Path, respond: Respond) -> dict[str, Finding]:
    with vendor(respond) as address:
        found = examine(settings_of(tmp_path, address), only="a")
    return {finding.check: finding for finding in found}


def healthy(request: Handler) -> None:
    if request.headers["x-api-key"] != "right":
        request.reply(401, b'{"error":{"message":"invalid x-api-key"}}')
    elif request.path == "/v1/models":
        request.reply(200, MODELS)
    else:
        assert request.path == "/v1/messages"
        request.reply(200, EVENT * 3, "text/event-stream")


def test_a_healthy_upstream_passes_every_step(tmp_path: Path) -> None:
    found = findings(tmp_path, healthy)
    assert list(found) == ["DNS", "TCP", "TLS", "key", "one token", "streaming", "clock"]
    assert all(finding.mark is Mark.OK for finding in found.values())
    assert found["key"].what == "accepted; 1 models listed"
    assert found["one token"].what == "claude-x answered"


def test_a_refused_key_names_the_variable_to_look_at(tmp_path: Path) -> None:
    found = findings(tmp_path, lambda r: r.reply(401, b'{"error":{"message":"invalid x-api-key"}}'))
    assert found["key"].mark is Mark.FAILED
    assert found["key"].what == "HTTP 401: invalid x-api-key"
    assert "A_KEY" in found["key"].todo
    assert found["one token"].mark is Mark.SKIPPED


def test_an_error_inside_a_200_is_not_an_answer(tmp_path: Path) -> None:
    def respond(request: Handler) -> None:
        if request.path == "/v1/models":
            request.reply(200, MODELS)
        else:
            request.reply(200, EVENT + OVERLOADED, "text/event-stream")

    found = findings(tmp_path, respond)
    assert found["one token"].mark is Mark.FAILED
    assert found["one token"].what == "HTTP 200, then an error inside: Overloaded"


def test_an_upstream_that_refuses_the_answer_says_why(tmp_path: Path) -> None:
    def respond(request: Handler) -> None:
        if request.path == "/v1/models":
            request.reply(200, MODELS)
        else:
            request.reply(529, b'{"error":{"message":"Overloaded"}}')

    assert findings(tmp_path, respond)["one token"].what == "HTTP 529: Overloaded"


def test_a_page_instead_of_an_api_has_no_events(tmp_path: Path) -> None:
    found = findings(tmp_path, lambda r: r.reply(200, b"<html>hello</html>", "text/html"))
    assert found["one token"].mark is Mark.SKIPPED
    assert found["key"].what == "accepted; 0 models listed"


def test_a_closed_port_fails_at_tcp_and_skips_the_rest(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        found = {f.check: f for f in examine(settings_of(tmp_path, address), only="a")}
    assert found["DNS"].mark is Mark.OK
    assert found["TCP"].mark is Mark.FAILED
    assert "Connection refused" in found["TCP"].what
    assert [found[step].mark for step in ("TLS", "key", "one token")] == [Mark.SKIPPED] * 3


def test_a_plain_port_where_tls_is_expected_fails_at_tls(tmp_path: Path) -> None:
    with vendor(healthy) as address:
        settings = settings_of(tmp_path, address.replace("http://", "https://"))
        found = {f.check: f for f in examine(settings, only="a")}
    assert found["TLS"].mark is Mark.FAILED
    assert "https" in found["TLS"].todo


STREAMS = [
    ("no events at all are a failure", [], Mark.FAILED),
    ("events one after another are streaming", [0.5, 0.6, 0.7, 0.8, 0.9, 1.0], Mark.OK),
    ("many events at once were collected on the way", [2.0 + i / 1e4 for i in range(9)], "warning"),
    ("few events at once prove nothing", [2.0, 2.0001, 2.0002], Mark.OK),
]


@pytest.mark.parametrize(
    ("arrivals_s", "mark"), [s[1:] for s in STREAMS], ids=[s[0] for s in STREAMS]
)
def test_arrivals_tell_whether_something_collects_events(
    arrivals_s: list[float], mark: Mark
) -> None:
    assert streaming("a", arrivals_s).mark == mark


@pytest.mark.parametrize(("skew_s", "mark"), [(3, Mark.OK), (-59, Mark.OK), (-120, Mark.WARNING)])
def test_a_wrong_clock_is_noticed(skew_s: float, mark: Mark) -> None:
    assert clock(skew_s).mark is mark


@pytest.mark.parametrize(("days", "mark"), [(90, Mark.OK), (3, Mark.WARNING)])
def test_a_certificate_that_ends_soon_is_noticed(days: float, mark: Mark) -> None:
    assert certificate("a", days, 0.1).mark is mark


@pytest.mark.parametrize(
    ("info", "mark"),
    [
        ("flags\t: sse avx avx2", Mark.OK),
        ("flags\t: sse avx", Mark.WARNING),
        ("Features\t: asimd", Mark.OK),
    ],
)
def test_the_engine_needs_avx2_on_x86(tmp_path: Path, info: str, mark: Mark) -> None:
    (tmp_path / "cpuinfo").write_text(info, encoding="utf-8")
    assert vector_unit(tmp_path / "cpuinfo").mark is mark


def test_a_port_in_use_by_another_program_is_a_failure() -> None:
    with vendor(lambda r: r.reply(200, b"")) as address:
        environ = {"OUTLAST_SERVER_PORT": address.rpartition(":")[2]}
        finding = port(load(None, environ))
    assert finding.mark is Mark.FAILED
    assert "set server.port" in finding.todo


def test_a_port_that_outlast_itself_has_is_fine() -> None:
    with vendor(lambda r: r.reply(200, b'{"name": "Outlast"}')) as address:
        finding = port(load(None, {"OUTLAST_SERVER_PORT": address.rpartition(":")[2]}))
    assert finding.mark is Mark.OK
    assert "Outlast is running" in finding.what


def test_the_worst_finding_decides() -> None:
    def marked(*marks: Mark) -> Mark:
        return worst(Finding("a", "b", mark, "") for mark in marks)

    assert marked(Mark.OK, Mark.SKIPPED) is Mark.OK
    assert marked(Mark.OK, Mark.WARNING) is Mark.WARNING
    assert marked(Mark.WARNING, Mark.FAILED) is Mark.FAILED


def test_the_command_ends_with_1_when_a_check_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_KEY", "wrong")
    with vendor(healthy) as address:
        settings = settings_of(tmp_path, address)
        code = main(["doctor", "a", "--json", "--config", str(settings.path)])
    told = json.loads(capsys.readouterr().out)
    assert (code, told["ok"]) == (1, False)
    assert "wrong" not in json.dumps(told)
