"""From file, environment and command line to settings, or to every reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from outlast.config import ConfigError, Settings, load, reload

ANTHROPIC = """
[upstreams.anthropic]
kind = "anthropic"
base_url = "https://api.anthropic.com"
key_env = "ANTHROPIC_API_KEY"
"""
KEY = {"ANTHROPIC_API_KEY": "sk-ant-0123456789abcdef"}


def read(
    tmp_path: Path,
    text: str,
    environ: Mapping[str, str] = KEY,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    path = tmp_path / "outlast.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ, overrides=overrides)


def problems(tmp_path: Path, text: str, environ: Mapping[str, str] = KEY) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, environ)
    return [str(problem) for problem in caught.value.problems]


def test_the_command_line_beats_the_environment_beats_the_file_beats_the_default(
    tmp_path: Path,
) -> None:
    text = "[server]\nport = 1000\nhost = '127.0.0.2'\ndrain_s = 5"
    environ = {"OUTLAST_SERVER_PORT": "2000", "OUTLAST_SERVER_HOST": "127.0.0.3"}
    settings = read(tmp_path, text, environ, {"server.port": 3000})
    assert settings.server.port == 3000
    assert settings.server.host == "127.0.0.3"
    assert settings.server.drain_s == 5
    assert settings.server.log_level == "info"


def test_each_value_tells_where_it_came_from(tmp_path: Path) -> None:
    text = "[server]\nport = 1000\n\ndrain_s = 5"
    settings = read(tmp_path, text, {"OUTLAST_SERVER_PORT": "2000"}, {"server.host": "::1"})
    assert settings.origin("server.port") == "environment OUTLAST_SERVER_PORT"
    assert settings.origin("server.drain_s") == "outlast.toml:4"
    assert settings.origin("server.host") == "command line"
    assert settings.origin("store.url") == "default"


def test_variables_are_read_as_the_type_of_their_setting() -> None:
    environ = {
        "OUTLAST_LOCAL_ENABLED": "true",
        "OUTLAST_BREAKER_FAILURE_SHARE": "0.25",
        "OUTLAST_SERVER_LOG_LEVEL": "debug",
    }
    settings = load(None, environ)
    assert settings.local.enabled is True
    assert settings.breaker.failure_share == 0.25
    assert settings.server.log_level == "debug"


def test_all_problems_are_said_at_once_with_their_lines(tmp_path: Path) -> None:
    text = (
        ANTHROPIC + "[server]\nprot = 1\nport = 'x'\n[sever]\n[[routes]]\ncandidates = ['nope']\n"
    )
    assert problems(tmp_path, text) == [
        'outlast.toml:7: server.prot: there is no such setting. Did you mean "port"?',
        'outlast.toml:8: server.port: expected a whole number from 0 to 65535, found the text "x".',
        'outlast.toml:10: routes[0]: model is missing: the name that clients ask for, or "claude-*"'
        ".",
        'outlast.toml:9: sever: there is no such setting. Did you mean "server"?',
    ]


WRONG = [
    ("a wrong type", "[server]\nport = true", "server.port: expected a whole number"),
    ("out of range", "[server]\nport = 70000", "from 0 to 65535, found the number 70000"),
    ("nothing is not a share", "[breaker]\nfailure_share = 0", "a number above 0 to 1"),
    ("a near word", "[server]\nlog_level = 'inf'", 'Did you mean "info"?'),
    ("a table that is none", "server = 3", "server: expected a table ([server]), found the number"),
    ("an empty host", "[server]\nhost = ''", "expected a text that is not empty"),
    ("routes that are no list", "routes = 3", "routes: expected [[routes]] tables"),
    ("a route that is no table", "routes = [3]", "routes[0]: expected a table"),
    ("not TOML", "[server\nport=1", "outlast.toml:1: is not valid TOML"),
    ("a key twice", "[server]\nport=1\nport=2", "outlast.toml:3: is not valid TOML"),
    ("no kind", "[upstreams.a]\nbase_url='http://h'", "kind is missing"),
    ("no address", "[upstreams.a]\nkind='anthropic'", "base_url is missing"),
    (
        "an unknown kind",
        "[upstreams.a]\nkind='anthropc'\nbase_url='http://h'",
        'Did you mean "anthropic"?',
    ),
    (
        "the embedded model is not an upstream of the file",
        "[upstreams.a]\nkind='local'\nbase_url='http://h'",
        "see [local]",
    ),
    (
        "the name local is taken",
        "[upstreams.local]\nkind='anthropic'\nbase_url='http://h'",
        "belongs to the embedded model",
    ),
    (
        "a name with capitals",
        "[upstreams.Big]\nkind='anthropic'\nbase_url='http://h'",
        "small letters",
    ),
    (
        "an address without a scheme",
        "[upstreams.a]\nkind='anthropic'\nbase_url='api.example.org'",
        "expected an address with http:// or https://",
    ),
    (
        "a port that is none",
        "[upstreams.a]\nkind='anthropic'\nbase_url='http://h:99999'",
        "expected an address",
    ),
    (
        "a query in the address",
        "[upstreams.a]\nkind='anthropic'\nbase_url='http://h/?a=b'",
        "ends before any ?",
    ),
    (
        "no requests at all",
        "[upstreams.a]\nkind='anthropic'\nbase_url='http://h'\nmax_concurrency=0",
        "expected 1 or more",
    ),
    (
        "a certificate file that is not there",
        "[upstreams.a]\nkind='anthropic'\nbase_url='http://h'\nca_file='no.pem'",
        'there is no file "no.pem"',
    ),
    (
        "a deadline of one upstream",
        "[upstreams.a]\nkind='anthropic'\nbase_url='http://h'\ntimeouts={deadline_s=1}",
        "the deadline is one for the whole request",
    ),
    (
        "a header that would split the request",
        "[upstreams.a]\nkind='anthropic'\nbase_url='http://h'\nheaders={a=\"x\\r\\nb: c\"}",
        "not a header that can be sent",
    ),
    (
        "a candidate that does not exist",
        ANTHROPIC + "[[routes]]\nmodel='m'\ncandidates=['antropic/claude']",
        'there is no upstream "antropic". Did you mean "anthropic"?',
    ),
    (
        "the same route twice",
        ANTHROPIC + "[[routes]]\nmodel='m'\n[[routes]]\nmodel='m'",
        '"m" has a route already, at outlast.toml:7.',
    ),
    (
        "a route that could never answer",
        ANTHROPIC + "[[routes]]\nmodel='m'\nlocal=false",
        "has no candidate",
    ),
    ("nothing left to answer", "[local]\nenabled=false", "no request could be answered"),
]


@pytest.mark.parametrize(("text", "said"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_file_gets_a_sentence_that_helps(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in problem for problem in problems(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: there is no such file"):
        load(tmp_path / "gone.toml", {})


def test_a_folder_or_bytes_instead_of_a_file_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "b.toml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("OUTLAST_SERVER_PROT", True),
        ("OUTLAST_SEVER_PORT", True),
        ("OUTLAST_CONFIG", False),
        ("OUTLAST_API_KEY", False),
        # Kubernetes sets these for a service named outlast.
        ("OUTLAST_PORT", False),
        ("OUTLAST_SERVICE_HOST", False),
        ("OUTLAST_PORT_8400_TCP_ADDR", False),
    ],
)
def test_a_mistyped_variable_is_refused_and_a_foreign_one_is_not(name: str, refused: bool) -> None:
    if refused:
        with pytest.raises(ConfigError, match=f"{name}: there is no such setting. Did you mean"):
            load(None, {name: "1"})
    else:
        assert load(None, {name: "1"}).origins == {}


def test_a_command_line_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"command line: server\.prot"):
        load(None, {}, overrides={"server.prot": 1})


def test_a_wrong_new_file_leaves_the_old_settings_in_force(tmp_path: Path) -> None:
    old = read(tmp_path, "[server]\nport = 1000", {}, {"server.host": "127.0.0.9"})
    path = tmp_path / "outlast.toml"
    path.write_text("[server]\nprot = 1", encoding="utf-8")
    with pytest.raises(ConfigError, match="no such setting"):
        reload(old, path, {})
    path.write_text("[server]\nport = 2000", encoding="utf-8")
    new = reload(old, path, {})
    assert (new.server.port, new.server.host) == (2000, "127.0.0.9")


def test_relative_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    settings = read(tmp_path, "[server]\ndata_dir = 'state'", {})
    assert settings.data_path == tmp_path / "state"
    assert settings.models_path == tmp_path / "state" / "models"
    assert settings.store_url == f"sqlite:///{tmp_path}/state/outlast.db"


def test_an_upstream_takes_the_general_time_outs_but_for_its_own(tmp_path: Path) -> None:
    text = ANTHROPIC + "timeouts = { stall_s = 7 }\n[timeouts]\nfirst_byte_s = 9\n"
    settings = read(tmp_path, text)
    assert settings.timeouts_of("anthropic").stall_s == 7
    assert settings.timeouts_of("anthropic").first_byte_s == 9
    assert settings.timeouts_of("local").stall_s == 60
