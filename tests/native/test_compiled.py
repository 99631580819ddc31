"""Where a compiler is, the parts in C are there: else the tests beside this would all skip."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

from outlast.native import module


def test_where_a_compiler_is_they_are_compiled() -> None:
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not headers.exists() or not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler with Python's headers here")
    assert module() is not None, "run `make native`: it says why they could not be compiled"
