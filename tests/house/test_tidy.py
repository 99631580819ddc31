"""Style that a machine can keep: sizes, forbidden reads, words that belong on no disk but ours."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator

import outlast
from tests.house.tree import ROOT, name_of, python_files, tracked

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
"""What may be longer, and how long. These lists may only shrink: what is short enough by now is
taken out."""

TEXT = {".py", ".md", ".toml", ".lock", ".cfg", ".yml", ".json", ".ts", ".js", ".css", ""}

PRIVATE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:work|root)/",
            r"(?<![\w.])/home/(?!user\b|you\b)\w+/",
            r"(?<![\w.])/opt/(?:wheels|pypi)",
            r"\bpypi\.org/simple",
            r"files\.pythonhosted",
            r"registry\.npmjs",
            r"\bdeb\.debian\.org",
        ]
    )
)
"""Paths of one machine, and hosts of registries: each machine has its own."""


def within(allowed: dict[str, int], lengths: dict[str, int], most: int) -> None:
    """Fail for what is too long, and for an exception that is no longer needed."""
    assert {n: lines for n, lines in lengths.items() if lines > allowed.get(n, most)} == {}
    assert [n for n in allowed if lengths.get(n, 0) <= most] == []


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Qualified name and own length of every function: what is nested counts for itself."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, span(node) - sum(map(span, nested(node)))
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def nested(node: ast.AST) -> Iterator[ast.stmt]:
    """The functions and classes directly inside, at any depth of `if` and `with`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child
        else:
            yield from nested(child)


def test_files_stay_short_enough_to_read() -> None:
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files("src", "tests", "bench")
    }
    within(LONG_FILES, lengths, FILE_LINES_MAX)


def test_functions_stay_short_and_the_list_of_long_ones_only_shrinks() -> None:
    lengths = {
        f"{name_of(path)}:{name}": lines
        for path in python_files("src", "bench")
        for name, lines in functions(ast.parse(path.read_text(encoding="utf-8")))
    }
    within(LONG_FUNCTIONS, lengths, FUNCTION_LINES_MAX)


def test_the_environment_is_read_in_one_file_alone() -> None:
    readers = []
    for path in python_files("src"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ""
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = node.attr if node.value.id == "os" else ""
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                name = " ".join(alias.name for alias in node.names)
            if {"environ", "environb", "getenv"} & set(name.split()):
                readers.append(name_of(path))
    assert set(readers) == {"src/outlast/config/environ.py"}


def test_no_file_names_a_machines_paths_or_a_registrys_host() -> None:
    found = [
        f"{name_of(path)}: {match[0]}"
        for path in tracked()
        if path.suffix in TEXT and path != ROOT / "tests/house/test_tidy.py"
        if (match := PRIVATE.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert found == []


def test_the_page_for_agents_fits_on_a_screen() -> None:
    assert len((ROOT / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 20


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert newest is not None
    assert project["version"] == outlast.__version__ == newest[1]


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in python_files("tests") if path.name.startswith("test_")}
    assert [name_of(f) for f in folders if not (f / "__init__.py").is_file()] == []


def test_the_locks_agree_on_every_package_that_they_share() -> None:
    def locked(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))

    run, dev = locked("run.lock"), locked("dev.lock")
    assert {name: (version, dev.get(name)) for name, version in run.items()} == {
        name: (version, version) for name, version in run.items()
    }


def test_every_locked_package_has_its_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text(encoding="utf-8")
        entries = re.split(r"\n(?=[a-z0-9])", text.strip())
        assert [e.split()[0] for e in entries if "==" in e and "--hash=sha256:" not in e] == []
