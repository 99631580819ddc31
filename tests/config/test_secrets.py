"""Keys come from the environment or a file, never from the settings file, and never show."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from outlast.config import ConfigError, Secret, load, rows
from tests.config.test_load import KEY, problems, read

UPSTREAM = "[upstreams.a]\nkind = 'anthropic'\nbase_url = 'https://h.example.org'\n"


def test_a_key_is_read_from_the_variable_that_is_named(tmp_path: Path) -> None:
    settings = read(tmp_path, UPSTREAM + "key_env = 'MY_KEY'", {"MY_KEY": " abc-123 \n"})
    key = settings.upstreams["a"].key
    assert key is not None
    assert key.reveal() == "abc-123"


def test_a_key_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc-123\n", encoding="utf-8")
    settings = read(tmp_path, UPSTREAM + "key_file = 'key'")
    assert settings.upstreams["a"].key == Secret("abc-123")


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("sk-ant-very-secret")
    assert "very" not in f"{secret} {secret!r} {[secret]}"
    assert secret == Secret("sk-ant-very-secret")
    assert secret != Secret("another")
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_showing_the_settings_shows_no_secret(tmp_path: Path) -> None:
    environ = {**KEY, "OUTLAST_STORE_URL": "postgresql://me:hush@db/outlast"}
    settings = read(tmp_path, UPSTREAM + "key_env = 'ANTHROPIC_API_KEY'", environ)
    shown = repr(rows(settings)) + repr(settings.upstreams)
    assert KEY["ANTHROPIC_API_KEY"] not in shown
    assert "hush" not in shown
    assert "me:•••@db" in shown


def test_a_missing_key_names_the_upstream_and_the_variable(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, UPSTREAM + "key_env = 'MY_KEY'", {})
    assert 'the upstream "a"' in said
    assert "MY_KEY, which is not set" in said
    (said,) = problems(tmp_path, UPSTREAM + "key_env = 'MY_KEY'", {"MY_KEY": " "})
    assert "which is empty" in said


REFUSED = [
    ("a literal key", "key = 'abc'", "a secret does not belong in this file"),
    ("a literal key under another name", "api_key = 'abc'", 'key_env = "A_API_KEY"'),
    ("a key where a variable's name belongs", "key_env = 'sk-ant-api03-abcdef123456'", "itself"),
    ("both ways at once", "key_env = 'A'\nkey_file = 'b'", "one of them is enough"),
    ("a key file that is not there", "key_file = 'gone'", "cannot be read"),
    ("a credential header", "headers = {Authorization = 'Bearer x'}", "hold a credential"),
    (
        "a header with something like a key",
        "headers = {x-extra = 'sk-ant-api03-abcdef123456'}",
        "hold a credential",
    ),
]


@pytest.mark.parametrize(("line", "said"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_a_secret_in_the_file_is_refused(tmp_path: Path, line: str, said: str) -> None:
    assert any(said in problem for problem in problems(tmp_path, UPSTREAM + line))


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("https://user:pass@api.example.org", True),
        ("https://api.example.org/sk-ant-api03-abcdef123456", True),
        ("https://gateway.example.org/v1/0123456789abcdef0123456789abcdef/acme", False),
        ("https://my-very-long-resource-name-with-hyphens-2026.openai.azure.com/openai", False),
        ("https://skylineresearchlabs2026.example.org/v1", False),
    ],
)
def test_a_credential_in_an_address_is_refused_and_a_long_name_is_not(
    tmp_path: Path, url: str, refused: bool
) -> None:
    text = f"[upstreams.a]\nkind = 'openai-chat'\nbase_url = '{url}'\n"
    if refused:
        assert any("hold a credential" in said for said in problems(tmp_path, text))
    else:
        assert read(tmp_path, text).upstreams["a"].base_url == url


def test_a_problem_never_repeats_what_looks_like_a_key(tmp_path: Path) -> None:
    text = "[server]\nport = 'sk-ant-api03-abcdef123456'"
    assert "abcdef123456" not in "".join(problems(tmp_path, text))


def test_a_key_with_a_line_break_inside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc\ndef", encoding="utf-8")
    said = problems(tmp_path, UPSTREAM + "key_file = 'key'")
    assert "not one line" in said[0]


def test_a_database_password_belongs_in_the_environment(tmp_path: Path) -> None:
    url = "postgresql://me:hush@db/outlast"
    (said,) = problems(tmp_path, f"[store]\nurl = '{url}'")
    assert "hush" not in said
    assert "OUTLAST_STORE_URL" in said
    assert load(None, {"OUTLAST_STORE_URL": url}).store_url == url


def test_the_problems_of_an_upstream_are_not_repeated_for_its_routes(tmp_path: Path) -> None:
    text = UPSTREAM + "key_env = 'GONE'\n[[routes]]\nmodel = 'm'\ncandidates = ['a']\n"
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, {})
    assert len(caught.value.problems) == 1
