from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.store.journal import Batch, Journal
from outlast.store.segment import RECORD_LIMIT_BYTES, Segment
from tests.store.children import child, line, tmpfs

SMALL = 64 + 8 + RECORD_LIMIT_BYTES
"""The smallest segment there may be."""


def drain(journal: Journal, limit: int = 500) -> list[bytes]:
    records: list[bytes] = []
    while (batch := journal.read(limit)).records:
        records += batch.records
        journal.commit(batch)
    return records


def record(number: int, size: int = 20) -> bytes:
    return f"{number}:".encode().ljust(size, b".")


def test_records_come_out_once_in_the_order_they_went_in(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    positions = [journal.append(record(n)) for n in range(1000)]
    assert all(position.durable for position in positions)
    assert positions == sorted(set(positions))
    assert drain(journal, 7) == [record(n) for n in range(1000)]
    assert drain(journal) == []
    assert journal.state().pending == 0
    journal.close()


def test_a_batch_that_was_not_committed_is_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for n in range(10):
        journal.append(record(n))
    assert journal.read(4).records == journal.read(4).records == [record(n) for n in range(4)]
    journal.close()


def test_the_next_process_finds_what_was_not_drained_and_nothing_else(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for n in range(10):
        journal.append(record(n))
    journal.commit(journal.read(4))
    journal.close()
    later = Journal(tmp_path)
    assert later.state().pending == 6
    later.append(record(10))
    assert drain(later) == [record(n) for n in range(4, 11)]
    later.close()
    last = Journal(tmp_path)
    assert drain(last) == []
    last.close()


def test_segments_are_used_again_and_the_folder_stops_growing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=SMALL)
    seen: list[bytes] = []
    sizes: set[int] = set()
    for n in range(60):
        journal.append(record(n, 60_000))
        seen += drain(journal)
        journal.maintain()
        sizes.add(len(list(tmp_path.glob("*/*.seg"))))
    assert seen == [record(n, 60_000) for n in range(60)]
    assert max(sizes) <= 3
    journal.close()


def test_a_segments_former_life_is_never_read(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "1.seg", SMALL)
    segment.start(1)
    for n in range(5):
        segment.append(record(n))
    segment.start(2)
    segment.append(record(99))
    segment.close()
    again = Segment.load(tmp_path / "1.seg")
    assert again.read(10)[0] == [record(99)]
    assert (again.number, again.pending) == (2, 1)
    again.close()


def test_a_tail_torn_at_any_byte_loses_only_itself(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "whole.seg", SMALL)
    segment.start(7)
    whole = segment.append(record(1))
    end = segment.append(record(2))
    segment.close()
    data = (tmp_path / "whole.seg").read_bytes()
    for cut in range(whole, end):
        for filler in (b"\x00", b"\xff"):
            (tmp_path / "torn.seg").write_bytes(data[:cut] + filler * (len(data) - cut))
            torn = Segment.load(tmp_path / "torn.seg")
            assert torn.read(10)[0] == [record(1)]
            torn.append(record(3))
            torn.close()
            healed = Segment.load(tmp_path / "torn.seg")
            assert healed.read(10)[0] == [record(1), record(3)]
            healed.close()


@pytest.mark.parametrize("content", [b"", b"short", b"\x00" * SMALL, os.urandom(SMALL)])
def test_a_file_without_a_readable_header_is_a_spare(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "00000001.seg").write_bytes(content)
    journal = Journal(tmp_path, segment_bytes=SMALL)
    assert journal.append(record(1)).durable
    assert drain(journal) == [record(1)]
    journal.close()


def test_a_file_damaged_under_us_gives_up_its_records_and_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=SMALL)
    for n in range(3):
        journal.append(record(n))
    (path,) = [one for one in tmp_path.glob("0/*.seg") if one.read_bytes()[:4] == b"OLJ1"]
    with path.open("r+b") as file:
        file.seek(80)
        file.write(b"XXXX")
    assert drain(journal) == []
    assert journal.state().lost == 3
    assert "damaged" in journal.state().last_error
    journal.append(record(4))
    assert drain(journal) == [record(4)]
    journal.close()


def test_damage_to_what_is_drained_costs_nothing_that_is_not(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "1.seg", SMALL)
    segment.start(7)
    segment.mark(segment.append(record(1)))
    segment.append(record(2))
    segment.close()
    with (tmp_path / "1.seg").open("r+b") as file:
        file.seek(80)
        file.write(b"XXXX")
    later = Segment.load(tmp_path / "1.seg")
    assert (later.pending, later.read(10)[0]) == (1, [record(2)])
    later.close()


@pytest.mark.parametrize("size", [0, RECORD_LIMIT_BYTES + 1])
def test_a_record_of_an_impossible_size_is_refused(tmp_path: Path, size: int) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="bytes"):
        journal.append(b"x" * size)
    journal.close()


def test_the_longest_record_fits_the_smallest_segment(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=SMALL)
    longest = [bytes([65 + n]) * RECORD_LIMIT_BYTES for n in range(3)]
    for one in longest:
        assert journal.append(one).durable
        journal.maintain()
    assert drain(journal) == longest
    journal.close()
    with pytest.raises(ValueError, match="cannot hold"):
        Journal(tmp_path, segment_bytes=SMALL - 1)


def test_at_the_limit_records_wait_in_memory_and_move_to_disk_when_there_is_room(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path, segment_bytes=SMALL, disk_limit_bytes=2 * SMALL)
    sent = [record(n, 100_000) for n in range(8)]
    durable = [journal.append(one).durable for one in sent]
    assert durable == [True] * 4 + [False] * 4
    journal.maintain()
    assert "limit" in journal.state().last_error
    assert (journal.state().in_memory, journal.state().lost) == (4, 0)
    first = journal.read(4)
    journal.commit(first)
    journal.maintain()
    assert journal.state().in_memory < 4
    assert sorted(first.records + drain(journal)) == sorted(sent)
    journal.maintain()
    assert journal.state().last_error == ""
    journal.close()


def test_memory_is_bounded_and_what_it_gives_up_is_counted(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("a file where the folder should be")
    journal = Journal(in_the_way, memory_limit_bytes=1000)
    for n in range(30):
        assert not journal.append(record(n, 100)).durable
    state = journal.state()
    assert (state.pending, state.in_memory, state.lost) == (10, 10, 20)
    assert "cannot grow" in state.last_error
    assert drain(journal) == [record(n, 100) for n in range(20, 30)]
    in_the_way.unlink()
    journal.append(record(30, 100))
    journal.maintain()
    assert journal.state().last_error == ""
    assert journal.state().in_memory == 0
    journal.close()
    later = Journal(in_the_way)
    assert drain(later) == [record(30, 100)]
    later.close()


def test_two_owners_of_one_folder_do_not_see_each_other(tmp_path: Path) -> None:
    one, other = Journal(tmp_path), Journal(tmp_path)
    one.append(b"one")
    other.append(b"other")
    one.maintain()
    other.maintain()
    assert drain(one) == [b"one"]
    assert drain(other) == [b"other"]
    one.close()
    other.close()


def test_the_living_adopt_what_the_dead_left_behind(tmp_path: Path) -> None:
    living, dead = Journal(tmp_path), Journal(tmp_path)
    dead.append(b"last words")
    dead.close()
    assert drain(living) == []
    living.maintain()
    assert living.state().pending == 1
    assert drain(living) == [b"last words"]
    assert list(tmp_path.glob("1/*.seg")) == []
    # The folder is free again.
    next_one = Journal(tmp_path)
    next_one.append(b"here")
    living.maintain()
    assert drain(living) == []
    assert drain(next_one) == [b"here"]
    next_one.close()
    living.close()


APPENDER = """
import sys
from pathlib import Path
from outlast.store.journal import Journal

journal = Journal(Path(sys.argv[1]), segment_bytes=int(sys.argv[2]))
n = 0
while True:
    journal.append(f"{sys.argv[3]}:{n}:".encode().ljust(50 + n * 37 % 5000, b"."))
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
    n += 1
    if n % 50 == 0:
        journal.maintain()
"""


@pytest.mark.parametrize("after", [1, 100, 777])
def test_nothing_acknowledged_is_missing_after_kill_9(tmp_path: Path, after: int) -> None:
    with child(APPENDER, str(tmp_path), str(SMALL), "a") as process:
        for expected in range(after):
            assert line(process) == str(expected)
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        last = after - 1
        for said in process.stdout.read().splitlines():
            last = max(last, int(said))
    journal = Journal(tmp_path, segment_bytes=SMALL)
    numbers = [int(one.split(b":")[1]) for one in drain(journal)]
    # One more may have been written than could be said; its line may also have been cut short.
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > last
    journal.close()


def test_two_processes_killed_at_once_are_both_recovered_by_the_next(tmp_path: Path) -> None:
    with (
        child(APPENDER, str(tmp_path), str(SMALL), "a") as one,
        child(APPENDER, str(tmp_path), str(SMALL), "b") as other,
    ):
        for expected in range(300):
            assert line(one) == line(other) == str(expected)
        one.send_signal(signal.SIGKILL)
        other.send_signal(signal.SIGKILL)
    journal = Journal(tmp_path, segment_bytes=SMALL)
    journal.maintain()
    found = [record.split(b":")[:2] for record in drain(journal)]
    for name in (b"a", b"b"):
        numbers = [int(number) for who, number in found if who == name]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= 300
    journal.close()


FULL_DISK = """
import json, os, sys
from pathlib import Path
from outlast.store.journal import Journal

root, size = Path(sys.argv[1]), int(sys.argv[2])
journal = Journal(root / "journal", segment_bytes=size)
filler = os.open(root / "filler", os.O_WRONLY | os.O_CREAT)
block = 1 << 20
while block:
    try:
        os.write(filler, bytes(block))
    except OSError:
        block //= 2
try:
    os.write(filler, bytes(4096))
    full = False
except OSError as error:
    full = error.errno
durable = [journal.append(f"{n}:".encode().ljust(10_000, b".")).durable for n in range(100)]
journal.maintain()
state = journal.state()
os.close(filler)
os.unlink(root / "filler")
journal.maintain()
after = journal.state()
journal.close()
later = Journal(root / "journal", segment_bytes=size)
numbers = []
while (batch := later.read()).records:
    numbers += [int(one.split(b":")[0]) for one in batch.records]
    later.commit(batch)
print(json.dumps({
    "full": full, "durable": durable.count(True), "in_memory": state.in_memory,
    "error": state.last_error, "after": after.in_memory, "numbers": numbers,
}))
"""


def test_a_full_disk_stops_nothing_and_nothing_is_lost(tmp_path: Path) -> None:
    with child(FULL_DISK, str(tmp_path), str(SMALL), prefix=tmpfs(tmp_path, "4m")) as process:
        said = json.loads(line(process))
    assert said["full"] == errno.ENOSPC
    # Two segments were reserved before the disk was full; the rest waited in memory.
    assert said["durable"] == 2 * (SMALL // 10_008)
    assert said["in_memory"] == 100 - said["durable"]
    assert "No space left" in said["error"]
    assert said["after"] == 0
    assert sorted(said["numbers"]) == list(range(100))


def test_without_room_for_a_single_file_records_wait_in_memory(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        journal = Journal(tmp_path)
        assert not journal.append(b"kept").durable
        assert journal.state().last_error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    journal.maintain()
    assert journal.state().in_memory == 0
    assert drain(journal) == [b"kept"]
    journal.close()


ONE_SEGMENT = """
import json, sys
from pathlib import Path
from outlast.store.journal import Journal

journal = Journal(Path(sys.argv[1]) / "journal", segment_bytes=int(sys.argv[2]))
durable, numbers = [], []
for n in range(20):
    durable.append(journal.append(f"{n}:".encode().ljust(200_000, b".")).durable)
    while (batch := journal.read()).records:
        numbers += [int(one.split(b":")[0]) for one in batch.records]
        journal.commit(batch)
    journal.maintain()
files = len(list(Path(sys.argv[1]).glob("journal/*/*.seg")))
print(json.dumps({"durable": durable, "numbers": numbers, "files": files}))
"""


def test_with_room_for_one_file_only_a_live_consumer_keeps_it_in_use(tmp_path: Path) -> None:
    prefix = tmpfs(tmp_path, "400k")
    with child(ONE_SEGMENT, str(tmp_path), str(SMALL), prefix=prefix) as process:
        said = json.loads(line(process))
    assert said == {"durable": [True] * 20, "numbers": list(range(20)), "files": 1}


STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 90_000)),
    st.tuples(st.just("drain"), st.integers(1, 6)),
    st.tuples(st.just("read"), st.integers(1, 6)),
    st.tuples(st.just("maintain"), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, max_size=40))
def test_whatever_the_order_of_events_each_record_comes_out_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, segment_bytes=SMALL)
    sent: list[bytes] = []
    seen: list[bytes] = []
    for what, size in steps:
        if what == "append":
            sent.append(record(len(sent), size))
            journal.append(sent[-1])
        elif what == "drain":
            batch: Batch = journal.read(size)
            seen += batch.records
            journal.commit(batch)
        elif what == "read":
            journal.read(size)
        elif what == "maintain":
            journal.maintain()
        else:
            journal.close()
            journal = Journal(folder, segment_bytes=SMALL)
        assert journal.state().pending == len(sent) - len(seen)
    assert seen + drain(journal) == sent
    journal.close()
    shutil.rmtree(folder)
