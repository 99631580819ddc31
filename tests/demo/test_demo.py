"""The whole demo, as a person or a pipeline starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from outlast.cli import main
from outlast.demo.texts import ENGLISH, FRENCH
from outlast.demo.timeline import NOTICES, PHASES, clock
from tests.house.tree import ROOT


def started(*words: str, language: str = "C.UTF-8") -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LC_ALL": language}
    return subprocess.Popen(
        [sys.executable, "-m", "outlast", "demo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
    )


def counted(out: str) -> dict[str, tuple[str, str]]:
    """The rows of the summary: with Outlast, and without."""
    rows = re.findall(r"^ *(\S.*?) +(\d+) +(\d+|–)$", out.partition("\nSummary\n")[2], re.MULTILINE)
    return {label: (one, other) for label, one, other in rows}


def test_it_ends_by_itself_with_every_answer_whole_and_a_truthful_summary() -> None:
    with started("--speed", "12") as demo:
        out, err = demo.communicate(timeout=120)
    assert err == ""
    rows = counted(out)
    asked, direct_asked = map(int, rows["asked"])
    whole, direct_whole = map(int, rows["answered whole"])
    failed, direct_failed = map(int, rows["failed"])
    assert (failed, whole, demo.returncode) == (0, asked, 0), out
    assert asked == direct_asked == direct_whole + direct_failed
    assert direct_failed > 0, "without Outlast such a day costs answers"
    assert "\x1b" not in out, "no terminal, no colours"
    assert int(rows["moved on unseen"][0]) == out.count("; nobody noticed")
    assert int(rows["resumed mid-answer"][0]) == out.count("; went on at character")
    assert [
        n for n in NOTICES if not re.search(rf"^{clock(n.at_s)}  . Anth", out, re.MULTILINE)
    ] == []
    assert [p for p in PHASES if f"{clock(p.at_s)}  {'✖' if p.faults else '✔'}" not in out] == []


def test_ctrl_c_ends_it_with_the_summary_so_far() -> None:
    with started(language="fr_FR.UTF-8") as demo:
        assert demo.stdout is not None
        while FRENCH["phase_calm"] not in demo.stdout.readline():
            assert demo.poll() is None
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=30)
    assert (demo.returncode, err) == (130, "")
    assert FRENCH["stopped"] in out


def test_for_scripts_there_is_nothing_but_the_summary() -> None:
    with started("--json", "--speed", "20", "--seed", "5") as demo:
        out, err = demo.communicate(timeout=120)
    summary = json.loads(out)
    assert err == ""
    assert (summary["seed"], summary["stopped"]) == (5, False)
    assert demo.returncode == int(summary["lost"])
    ours = summary["outlast"]
    parts = ("at_once", "moved_on_unseen", "resumed_mid_answer", "embedded_model")
    assert ours["whole"] == sum(ours[part] for part in parts) == sum(ours["served_by"].values())
    assert ours["without_receipt"] == ours["under_way"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--speed", "0"), "from 0.1 to 20"),
        (("--speed", "500"), "500 is outside"),
        (("--lang", "de"), "--lang"),
    ],
)
def test_a_wrong_option_is_refused_in_words(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *words]) != 0
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


def test_without_weights_local_is_refused_in_words(
    tmp_path: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAST_SERVER_DATA_DIR", str(tmp_path))
    assert main(["demo", "--local", "--lang", "en"]) == 3
    assert ENGLISH["local_missing"] in capsys.readouterr().err
