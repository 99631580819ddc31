"""docs/translation.md names everything that a codec may leave out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from outlast.nouns import Format
from outlast.wire import CODECS
from outlast.wire.canon import BadRequest
from tests.wire.cases_pairs import CASES, PAIRS
from tests.wire.test_pairs import translated

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/translation.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
NAMES = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row)}
FAMILIES = [
    re.compile(re.sub(r"<\w+>", r"[\\w.-]+", re.escape(name))) for name in NAMES if "<" in name
]
SOURCES = sorted((ROOT / "src/outlast/wire").rglob("*.py"))
_SAYS = {"drop", "dropped"}


def is_named(name: str) -> bool:
    return name in NAMES or any(
        family.fullmatch(name) for family in FAMILIES if family.pattern != r"[\w.-]+"
    )


def said_in(path: Path) -> list[str]:
    """The literal names that a source file hands to `dropped.add`, `drop` and `extra.add`."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = ast.unparse(node.func)
        if not re.search(r"(dropped|_dropped|extra)(\.add|\.append)?$|\.drop$", called):
            continue
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            found.append(first.value)
        elif isinstance(first, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "x" for p in first.values)
            found.append("".join(str(part) for part in parts))
    return found


LITERALS = sorted({name for path in SOURCES for name in said_in(path)})


def test_the_search_finds_the_names_in_the_sources() -> None:
    """Guards the test below against a search that finds nothing any more."""
    assert {"top_k", "messages.reasoning", "cache_control", "thinking"} <= set(LITERALS)


@pytest.mark.parametrize("name", LITERALS)
def test_every_name_in_the_sources_stands_in_the_table(name: str) -> None:
    assert is_named(name)


@pytest.mark.parametrize(("origin", "target"), PAIRS, ids=[f"{a} to {b}" for a, b in PAIRS])
def test_every_name_that_the_cases_drop_stands_in_the_table(origin: Format, target: Format) -> None:
    for case in CASES:
        for name in translated(
            {"model": "m", "max_tokens": 9, **case.bodies[origin]}, origin, target
        ).dropped:
            assert is_named(name), name


EVERYTHING = {
    Format.ANTHROPIC: {
        "max_tokens": 200_000, "top_k": 5, "temperature": 0.5, "top_p": 0.9,
        "stop_sequences": [" ", "END"], "service_tier": "auto", "thinking": {"type": "disabled"},
        "metadata": {"user_id": "u", "more": "x"}, "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    },
    Format.OPENAI_CHAT: {
        "max_completion_tokens": 1, "top_k": 5, "temperature": 2, "top_p": 0.9, "seed": 1,
        "frequency_penalty": 1, "presence_penalty": 1, "verbosity": "low", "service_tier": "flex",
        "prompt_cache_key": "k", "metadata": {"a": "b"}, "reasoning_effort": "minimal",
        "response_format": {"type": "json_object"}, "stop": [" "],
        "messages": [{"role": "user", "content": "Hi"}],
    },
    Format.OPENAI_RESPONSES: {
        "max_output_tokens": 1, "temperature": 2, "top_p": 0.9, "text": {"verbosity": "low"},
        "service_tier": "flex", "prompt_cache_key": "k", "metadata": {"a": "b"},
        "reasoning": {"effort": "minimal", "summary": "auto"}, "input": "Hi",
        "tools": [{"type": "web_search"}],
    },
}  # fmt: skip


@pytest.mark.parametrize(("origin", "target"), PAIRS, ids=[f"{a} to {b}" for a, b in PAIRS])
@pytest.mark.parametrize("model", ["claude-opus-4-8", "gpt-4o", "gpt-5.6", "qwen3"])
def test_every_name_that_a_full_request_drops_stands_in_the_table(
    origin: Format, target: Format, model: str
) -> None:
    request = CODECS[origin].parse_request({"model": model, **EVERYTHING[origin]})
    try:
        dropped = CODECS[target].render_request(request).dropped
    except BadRequest as error:
        pytest.fail(f"the whole request should be translatable: {error}")
    assert dropped
    assert [name for name in dropped if not is_named(name)] == []
