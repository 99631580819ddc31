"""The supervision of the engine's process, on real processes."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outlast.local import serve
from outlast.local.engine import SCRIPT, Engine, EngineSettings, backoff_s
from outlast.local.state import Failed, Ready, Starting, State
from tests.local.made import until

STAND_IN = Path(__file__).with_name("stand_in.py")
WAIT_S = 60.0


def engine_of(model: Path, script: Path = STAND_IN) -> tuple[Engine, list[State]]:
    seen: list[State] = []
    settings = EngineSettings(model, "tiny", threads=1, context_tokens=512, slots=2)
    return Engine(settings, seen.append, script), seen


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie waits for its parent and does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")


async def test_it_starts_serves_with_a_key_and_stops() -> None:
    engine, seen = engine_of(Path("good"))
    assert (engine.state, engine.base_url, engine.pid) == (Starting(), "", None)
    engine.start()
    assert await engine.wait_ready(WAIT_S)
    assert engine.base_url.startswith("http://127.0.0.1:")
    assert (engine.model_name, engine.context_tokens) == ("tiny", 256)
    pid = engine.pid
    assert pid is not None
    assert engine.api_key not in command_line(pid)
    await until(lambda: engine.prefill_tokens_per_s is not None)
    assert engine.prefill_tokens_per_s == 123.0
    await engine.stop()
    assert not alive(pid)
    assert isinstance(seen[-1], Ready)


async def test_killed_with_9_it_is_started_again() -> None:
    engine, seen = engine_of(Path("good"))
    engine.start()
    assert await engine.wait_ready(WAIT_S)
    first = engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: sum(isinstance(s, Ready) for s in seen) == 2)
    assert engine.pid not in {None, first}
    assert engine.restarts == 1
    [failed] = [s for s in seen if isinstance(s, Failed)]
    assert "was killed by SIGKILL" in failed.sentence
    assert not failed.final
    await engine.stop()


async def test_what_cannot_be_cured_is_told_and_not_tried_again() -> None:
    engine, _ = engine_of(Path("refuses"))
    engine.start()
    assert not await engine.wait_ready(WAIT_S)
    assert engine.state == Failed("this CPU lacks avx2", final=True)
    assert engine.restarts == 0
    await engine.stop()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("dies", "ended by itself with code 7, its last words: out of luck"),
        ("talks", "said something unexpected"),
    ],
)
async def test_a_death_at_the_start_is_told_and_tried_again(how: str, says: str) -> None:
    engine, seen = engine_of(Path(how))
    engine.start()
    await until(lambda: engine.restarts > 0)
    assert any(isinstance(s, Failed) and says in s.sentence and not s.final for s in seen)
    await engine.stop()


_PARENT = """
import asyncio, sys
from pathlib import Path
from outlast.local.engine import Engine, EngineSettings
async def main():
    engine = Engine(EngineSettings(Path("good"), "tiny", 1), script=Path(sys.argv[1]))
    engine.start()
    await engine.wait_ready(60)
    print(engine.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_it_goes_with_a_parent_that_is_killed() -> None:
    source = str(SCRIPT.parents[2])
    code = f"import sys; sys.path.insert(0, {source!r})\n{_PARENT}"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(STAND_IN)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        line = next(x for x in parent.stdout if x.strip().isdigit())
        assert alive(int(line))
        parent.kill()
    until_gone_s = time.monotonic() + WAIT_S
    while alive(int(line)):
        assert time.monotonic() < until_gone_s
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("deaths", "wait_s"), [(1, 0.2), (2, 0.4), (4, 1.6), (9, 30.0), (99, 30.0)]
)
def test_the_wait_doubles_up_to_a_limit(deaths: int, wait_s: float) -> None:
    assert backoff_s(deaths) == pytest.approx(wait_s)


class TestTheRealScript:
    @pytest.mark.parametrize(
        ("cpuinfo", "machine", "missing"),
        [
            ("flags\t\t: fpu avx2 fma f16c bmi2", "x86_64", []),
            ("flags\t\t: fpu avx fma f16c", "x86_64", ["avx2", "bmi2"]),
            ("flags\t\t: fpu avx2x", "AMD64", ["avx2", "fma", "f16c", "bmi2"]),
            ("Features\t: neon", "aarch64", []),
            ("", "x86_64", []),
        ],
        ids=["a modern CPU", "an old one", "no part of a word counts", "ARM", "nothing known"],
    )
    def test_looks_at_the_cpu_before_it_loads(
        self, cpuinfo: str, machine: str, missing: list[str]
    ) -> None:
        assert serve.missing_cpu_flags(cpuinfo, machine) == missing

    def test_says_what_an_old_cpu_lacks(self, tmp_path: Path) -> None:
        with pytest.raises(serve.CannotServe, match="lacks avx2, bmi2, which the engine needs"):
            serve.check(tmp_path, "flags\t: fma f16c", "x86_64")

    async def test_refuses_a_file_that_is_no_model(self, tmp_path: Path) -> None:
        page = tmp_path / "page.gguf"
        page.write_bytes(b"<html>")
        engine, _ = engine_of(page, SCRIPT)
        engine.start()
        assert not await engine.wait_ready(WAIT_S)
        assert engine.state == Failed(f"{page} is not a GGUF file", final=True)
        await engine.stop()

    async def test_refuses_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        engine, _ = engine_of(tmp_path / "none.gguf", SCRIPT)
        engine.start()
        assert not await engine.wait_ready(WAIT_S)
        assert "cannot read the weights" in getattr(engine.state, "sentence", "")
        await engine.stop()

    @pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None, reason="the engine is not installed"
    )
    async def test_a_torn_model_ends_in_a_sentence(self, tmp_path: Path) -> None:
        torn = tmp_path / "torn.gguf"
        torn.write_bytes(b"GGUF" + bytes(100))
        engine, _ = engine_of(torn, SCRIPT)
        engine.start()
        assert not await engine.wait_ready(WAIT_S)
        assert f"the engine cannot load {torn}" in getattr(engine.state, "sentence", "")
        await engine.stop()
