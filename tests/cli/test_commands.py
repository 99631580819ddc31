"""The command line as a person and a script meet it: words, exit codes, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import outlast
from outlast.cli import COMMANDS, main
from tests.cli.words import commands

SRC = Path(outlast.__file__).parent.parent
UPSTREAM = (
    '[upstreams.a]\nkind = "anthropic"\nbase_url = "https://a.example.org"\nkey_env = "A_KEY"\n'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with no setting from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("OUTLAST_CONFIG", "A_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_words_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    assert all(name in told and sentence in told for name, _, sentence in COMMANDS)
    assert "Exit codes: 0 all well" in told


def test_the_help_of_each_command_teaches_with_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in commands():
        assert main([*command.split(), "--help"]) == 0
        assert f"outlast {command}" in capsys.readouterr().out.partition("Example: ")[2], command


def test_help_loads_neither_the_service_nor_the_database() -> None:
    heavy = "aiohttp,sqlalchemy,starlette,uvicorn,outlast.app,outlast.gateway"
    code = (
        "import sys; from outlast.cli import main; main(['--help']); "
        f"sys.exit(sum(name in sys.modules for name in '{heavy}'.split(',')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=SRC, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["config", "chek"], 'Did you mean "check"'),
        (["receipts", "list", "--limit", "0"], "Must be >= 1"),
        (["doctor", "nobody"], 'no upstream "nobody"'),
        (["model", "use"], "requires an argument"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_hint(
    words: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_config_check_is_content_without_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check"]) == 0
    assert "No configuration file" in capsys.readouterr().out


def test_config_check_reads_the_file_that_is_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "outlast.toml").write_text(UPSTREAM, encoding="utf-8")
    assert main(["config", "check"]) == 4
    assert "outlast.toml:4: upstreams.a.key_env" in capsys.readouterr().err
    monkeypatch.setenv("A_KEY", "something")
    assert main(["config", "check"]) == 0
    assert "2 upstream(s)" in capsys.readouterr().out


def test_every_command_says_what_is_wrong_with_the_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "outlast.toml").write_text("[sever]", encoding="utf-8")
    for words in (["config", "show"], ["model", "list"], ["receipts", "list"], ["doctor"]):
        assert main(words) == 4
        assert 'Did you mean "server"?' in capsys.readouterr().err


def test_config_check_gives_problems_to_a_script(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "other.toml"
    path.write_text("[server]\nprot = 1\n", encoding="utf-8")
    assert main(["config", "check", "--json", "--config", str(path)]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["problems"][0]["where"] == "other.toml:2"
    assert told["problems"][0]["key"] == "server.prot"


def test_config_show_tells_values_and_origins_and_no_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "outlast.toml").write_text(UPSTREAM, encoding="utf-8")
    monkeypatch.setenv("A_KEY", "hush-hush")
    monkeypatch.setenv("OUTLAST_SERVER_PORT", "9000")
    assert main(["config", "show"]) == 0
    told = capsys.readouterr().out
    assert "server.port = 9000  # environment OUTLAST_SERVER_PORT" in told
    assert 'upstreams.a.kind = "anthropic"  # outlast.toml:2' in told
    assert "hush" not in told
    assert main(["config", "show", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["server.port"] == {"value": 9000, "origin": "environment OUTLAST_SERVER_PORT"}


def test_models_are_listed_for_people_and_for_scripts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "list"]) == 0
    assert "qwen2.5-coder-0.5b" in capsys.readouterr().out
    assert main(["model", "list", "--json"]) == 0
    assert {"name", "path", "size_bytes"} <= json.loads(capsys.readouterr().out)[0].keys()


def test_a_model_that_is_not_known_or_not_here_gets_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "use", "qwen9"]) == 1
    assert "qwen2.5-coder-0.5b" in capsys.readouterr().err
    assert main(["model", "use", "qwen2.5-coder-0.5b"]) == 1
    assert "outlast model get qwen2.5-coder-0.5b" in capsys.readouterr().err
    assert main(["model", "get", "qwen2.5-coder-0.5b", "--from", "gone.gguf"]) == 1
    assert "there is no file" in capsys.readouterr().err


def test_a_file_of_ones_own_is_chosen_unless_the_configuration_says_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = folder / "own.gguf"
    own.write_bytes(b"GGUF and the rest")
    assert main(["model", "use", str(own)]) == 0
    assert str(own) in capsys.readouterr().out
    monkeypatch.setenv("OUTLAST_LOCAL_PATH", "another.gguf")
    assert main(["model", "use", str(own)]) == 1
    assert "environment OUTLAST_LOCAL_PATH, which wins" in capsys.readouterr().err


def test_receipts_of_an_empty_folder_are_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["receipts", "list"]) == 0
    assert "No receipts yet" in capsys.readouterr().out
    assert main(["receipts", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["receipts", "show", "req_unknown"]) == 1
    assert "no receipt req_unknown" in capsys.readouterr().err


def test_a_database_that_cannot_be_reached_ends_with_3(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OUTLAST_STORE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert main(["receipts", "list"]) == 3
    assert "cannot be used now" in capsys.readouterr().err


def test_a_key_is_made_listed_and_revoked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "create", "my-laptop", "--allow", "any", "--model", "claude-*"]) == 0
    made = capsys.readouterr()
    secret = made.out.strip()
    assert secret.startswith("ol_")
    assert secret not in made.err
    assert main(["key", "list"]) == 0
    listed = capsys.readouterr().out
    assert '"my-laptop"  allow any  models claude-*' in listed
    assert secret not in listed
    assert main(["key", "revoke", "my-laptop"]) == 0
    assert "is revoked" in capsys.readouterr().out
    assert main(["key", "list", "--json"]) == 0
    (key,) = json.loads(capsys.readouterr().out)
    assert key["revoked_at"] is not None
    assert secret not in json.dumps(key)


def test_a_key_that_cannot_be_gets_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", "revoke", "nobody"]) == 1
    assert "There is no key 'nobody'" in capsys.readouterr().err
    assert main(["key", "create", " "]) == 1
    assert "name" in capsys.readouterr().err
    assert main(["key", "create", "a", "--allow", "everything"]) == 2
    assert "same-vendor" in capsys.readouterr().err


def test_an_interrupted_command_ends_with_130() -> None:
    code = (
        "import sys, os, signal; from outlast import cli\n"
        "def stop(): os.kill(os.getpid(), signal.SIGINT)\n"
        "cli.COMMANDS = (); app = cli.build(); app.command(stop)\n"
        "cli.build = lambda asked: app\n"
        "sys.exit(cli.main(['stop']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=SRC, capture_output=True, check=False)
    assert ran.returncode == 130, ran.stderr


def test_a_reader_that_has_enough_is_no_problem() -> None:
    shown = subprocess.Popen(
        [sys.executable, "-m", "outlast", "config", "show"],
        cwd=SRC,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert shown.stdout is not None
    shown.stdout.close()
    _, complaints = shown.communicate(timeout=60)
    assert (shown.returncode, complaints) == (0, b"")
