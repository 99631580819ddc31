"""The short way of reading `outlast serve`, judged by the command's own."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.cli import build
from outlast.commands.serving import Given, plain

NAMES = ("config", "host", "port", "workers", "data-dir", "data_dir", "log-level")
TEXTS = ("0", "8400", "07", " 8", "8_0", "0x10", "8.0", "²", "x", "a b", "a=b", "-1", "-x", "", "~")
WORDS = [f"--{name}" for name in NAMES] + ["-c", "-cx", "-c=x", "--", "--help", *TEXTS]
WORDS += [f"--{name}={text}" for name in NAMES for text in TEXTS]


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_what_is_read_in_the_short_way_the_command_reads_alike(words: list[str]) -> None:
    short = plain(words)
    if short is None:
        return
    _, bound, _ = build("serve").parse_args(["serve", *words], exit_on_error=False)
    assert Given(**bound.arguments) == short


def test_services_are_started_in_the_short_way() -> None:
    words = ["--config", "a.toml", "--port", "0", "--host=::1", "--workers", "2"]
    words += ["--data-dir", "/d", "--log-level=debug"]
    short = plain(words)
    assert short is not None
    assert None not in msgspec.structs.astuple(short)
    assert plain([]) == Given()


@pytest.mark.parametrize("word", ["--help", "-h", "--prot", "serve", "--port"])
def test_help_and_mistakes_are_left_to_the_command(word: str) -> None:
    assert plain([word]) is None
