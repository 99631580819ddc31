"""The day's secrets and the table of networks on disk, and voices that come back after a start."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from outlast.nouns import Observation
from outlast.observatory import report_files
from outlast.observatory.report_files import DAY_S, DailySecrets, read_table, recall
from outlast.observatory.report_nouns import Verdict
from outlast.observatory.reporting import Reporting
from tests.observatory.reports.voices import NOON, keep, says, take


def test_a_secret_lasts_a_day_and_is_kept_for_another(tmp_path: Path) -> None:
    secrets = DailySecrets(tmp_path / "reports")
    today, before = secrets.pair(NOON)
    assert before is None
    assert secrets.pair(NOON + 60) == (today, None)
    tomorrow, yesterday = secrets.pair(NOON + DAY_S)
    assert (yesterday, tomorrow != today) == (today, True)
    _, yesterday = secrets.pair(NOON + 2 * DAY_S)
    assert yesterday == tomorrow
    assert len(list((tmp_path / "reports").iterdir())) == 2


def test_a_restart_and_a_second_process_know_the_same_secrets(tmp_path: Path) -> None:
    first = DailySecrets(tmp_path)
    first.pair(NOON - DAY_S)
    assert DailySecrets(tmp_path).pair(NOON) == first.pair(NOON)


def test_only_the_owner_can_read_a_secret(tmp_path: Path) -> None:
    DailySecrets(tmp_path / "reports").pair(NOON)
    (file,) = (tmp_path / "reports").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "reports").stat().st_mode & 0o777 == 0o700


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    found: list[bytes] = []
    start = threading.Barrier(8)

    def one() -> None:
        start.wait()
        found.append(DailySecrets(tmp_path).pair(NOON)[0])

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_a_damaged_secret_is_made_anew(tmp_path: Path) -> None:
    DailySecrets(tmp_path).pair(NOON)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"short")
    assert len(DailySecrets(tmp_path).pair(NOON)[0]) == 32


def test_without_a_disk_the_secret_lives_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    secrets = DailySecrets(tmp_path / "file" / "reports")
    today, _ = secrets.pair(NOON)
    assert secrets.pair(NOON + DAY_S)[1] == today


def test_a_table_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("1.0.0.0,1.0.0.255,13335\nnonsense\n")
    assert len(read_table(path)) == 1


def test_a_file_that_is_no_table_says_so(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("once upon a time\n")
    with pytest.raises(ValueError, match="no line of the form"):
        read_table(path)


class Past:
    """A history that holds these observations; newest page first, as the real one."""

    def __init__(self, stored: list[Observation]) -> None:
        self.stored = stored
        self.flushed = False

    async def flush(self) -> bool:
        self.flushed = True
        return True

    async def recent(
        self, since_at: float, until_at: float, *, source: str | None, limit: int
    ) -> list[Observation]:
        assert self.flushed
        found = [
            one for one in self.stored if since_at <= one.at < until_at and one.source == source
        ]
        return found[-limit:]


async def test_after_a_start_every_voice_of_the_window_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report_files, "PAGE", 7)
    reporting, stored = Reporting(), list[Observation]()
    for number in range(60):
        keep(reporting, says(f"r{number}"), NOON + number // 10, stored)
    again = Reporting()
    assert await recall(Past(stored), again, NOON + 10) == 60
    assert len(again) == 60
    assert take(again, says("r0"), NOON + 11).verdict is Verdict.AGAIN
