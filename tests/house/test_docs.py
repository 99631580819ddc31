"""What the documentation says is what the code does."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

from outlast.config import load
from outlast.config.reference import reference
from tests.cli.words import commands
from tests.house.tree import ROOT, name_of, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
DOCS = [p for p in PAGES if p.parent == ROOT or ROOT / "docs" in p.parents]
KEYS = {"ANTHROPIC_API_KEY": "key-of-the-example", "OPENAI_API_KEY": "key-of-the-example"}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_page_of_settings_is_fresh() -> None:
    """When this fails: make fix."""
    assert text(ROOT / "docs/configuration.md") == reference()


def test_every_command_is_documented() -> None:
    everything = "\n".join(map(text, DOCS))
    assert [c for c in commands() if f"outlast {c}`" not in everything] == []


def test_every_command_that_is_documented_exists() -> None:
    known = set(commands())
    groups = {command.split()[0] for command in known}
    for page in DOCS:
        for found in re.findall(r"`outlast ([a-z]+(?: [a-z]+)?)", text(page)):
            first, _, second = found.partition(" ")
            assert found in known or (first in known and second) or first in groups, name_of(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = page if not path else (page.parent / path).resolve()
        assert goal.exists(), target
        assert not anchor or anchor in anchors(goal), target


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_every_configuration_that_is_shown_can_be_used(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", text(page), re.DOTALL)):
        tomllib.loads(block)
        path = tmp_path / f"{number}.toml"
        path.write_text(block, encoding="utf-8")
        load(path, KEYS)


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_every_file_and_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    named = {word for line in re.findall(r"`make ([a-z-]+)", text(page)) for word in [line]}
    assert named <= targets
    for word in re.findall(r"`([\w./-]+/[\w.-]*\.(?:py|toml|md|lock))`", text(page)):
        places = (ROOT / word, ROOT / "src/outlast" / word, page.parent / word)
        assert any(place.exists() for place in places), word


def test_decisions_are_numbered_without_gaps_and_titled_alike() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [page.name[:5] for page in pages] == [f"{n:04}-" for n in range(1, len(pages) + 1)]
    for number, page in enumerate(pages, start=1):
        assert text(page).startswith(f"# {number}. "), page.name


def test_the_list_of_decisions_names_each_page_by_its_title() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    titles = [re.sub(r"^# \d+\. ", "", text(page).splitlines()[0]) for page in pages]
    index = text(ROOT / "docs/decisions/README.md")
    listed = re.findall(r"^\d+\. \[(.+)\]\((.+)\)$", index, re.MULTILINE)
    assert listed == [(title, page.name) for title, page in zip(titles, pages, strict=True)]


UNITS = {"": 1, "s": 1, "days": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def limit_in_code(place: str, name: str) -> object:
    """A setting's default, a module's constant, or the default of a `Class(parameter)`."""
    if not name:
        table, _, field = place.partition(".")
        return getattr(getattr(load(None, {}), table), field)
    module = importlib.import_module("outlast." + place.removesuffix(".py").replace("/", "."))
    called = re.fullmatch(r"(\w+)\((\w+)\)", name)
    if called is None:
        return getattr(module, name)
    return inspect.signature(getattr(module, called[1])).parameters[called[2]].default


def test_the_limits_that_are_promised_are_those_of_the_code() -> None:
    table = text(ROOT / "SECURITY.md").partition("## Limits")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and "`" in row]
    assert rows
    for row in rows:
        found = re.fullmatch(r"\| .+ \| (\d+) ?(\w*) \| `([\w/.]+)`(?: `([\w()]+)`)? \|", row)
        assert found is not None, row
        assert limit_in_code(found[3], found[4] or "") == int(found[1]) * UNITS[found[2]], row


def test_make_help_tells_every_target() -> None:
    makefile = text(ROOT / "Makefile")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    told = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert set(phony[1].split()) == told
