"""A module that calls itself pure is held to it by the import contract."""

from __future__ import annotations

import ast
import configparser
import re

from tests.house.tree import ROOT, name_of, python_files


def listed() -> list[str]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    return parser["importlinter:contract:purity"]["source_modules"].split()


def module_of(name: str) -> str:
    return name.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_every_module_that_says_it_is_pure_is_in_the_purity_contract() -> None:
    held = listed()
    missing = []
    for path in python_files("src"):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        module = module_of(name_of(path))
        kept = any(module == one or module.startswith(f"{one}.") for one in held)
        if re.search(r"\bPure\b", said) and not kept:
            missing.append(module)
    assert missing == []


def test_the_purity_contract_names_only_modules_that_exist() -> None:
    modules = {module_of(name_of(path)) for path in (ROOT / "src").rglob("*.py")}
    assert [one for one in listed() if one not in modules] == []
