"""What is remembered of signatures, in memory and on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway import signature_file
from outlast.gateway.signature_file import SignatureFile
from outlast.gateway.signatures import TTL_S, Signatures, account_id


def test_what_another_account_signed_is_foreign_and_what_nobody_knows_is_not() -> None:
    known = Signatures()
    known.learn(["one's"], [], "one", 0)
    known.learn(["two's"], [], "two", 0)
    foreign = known.foreign_to("one", 1)
    assert foreign is not None
    assert [foreign(seal) for seal in ("one's", "two's", "nobody's")] == [False, True, False]


def test_where_only_one_account_signs_nothing_has_to_be_looked_at() -> None:
    known = Signatures()
    known.learn(["one's"], [], "one", 0)
    assert known.foreign_to("one", 1) is None


def test_what_an_account_refused_is_foreign_to_it_alone() -> None:
    known = Signatures()
    known.learn([], ["odd"], "one", 0)
    ours, theirs = known.foreign_to("one", 1), known.foreign_to("two", 1)
    assert ours is not None
    assert theirs is not None
    assert (ours("odd"), theirs("odd")) == (True, False)


def test_a_signature_that_is_given_again_is_no_longer_refused() -> None:
    known = Signatures()
    known.learn([], ["odd"], "one", 0)
    known.learn(["odd"], [], "one", 1)
    foreign = known.foreign_to("one", 2)
    assert foreign is not None
    assert not foreign("odd")


def test_it_is_forgotten_after_a_day() -> None:
    known = Signatures()
    known.learn(["two's"], [], "two", 0)
    at_last, later = known.foreign_to("one", TTL_S), known.foreign_to("one", TTL_S + 1)
    assert at_last is not None
    assert later is not None
    assert (at_last("two's"), later("two's")) == (True, False)
    assert known.lines(TTL_S + 1) == []


def test_beyond_the_limit_the_oldest_are_forgotten() -> None:
    known = Signatures(limit=2)
    for number in range(5):
        known.learn([f"s{number}"], [], "two", number)
    foreign = known.foreign_to("one", 5)
    assert foreign is not None
    assert [foreign(f"s{number}") for number in range(5)] == [False] * 3 + [True] * 2
    assert len(known) == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.booleans())))
def test_what_was_written_down_says_the_same_when_it_is_read(
    told: list[tuple[str, str, bool]],
) -> None:
    known, again = Signatures(), Signatures()
    for at, (seal, account, signed) in enumerate(told):
        known.learn([seal] if signed else [], [] if signed else [seal], account, at)
    for line in known.lines(len(told)):
        again.take(line)
    for account in "xy":
        one, other = known.foreign_to(account, 9), again.foreign_to(account, 9)
        for seal in "abc":
            assert bool(one and one(seal)) == bool(other and other(seal))


@given(st.text(max_size=60))
def test_a_line_that_is_none_is_passed_over(line: str) -> None:
    known = Signatures()
    known.take(line)
    known.take("5 + " + line)
    assert len(known) <= 2


def test_an_accounts_name_is_one_word_whatever_it_was() -> None:
    assert len(account_id("/a folder/with spaces\n").split()) == 1


# -- the file --------------------------------------------------------------------------------------


def foreign(file: SignatureFile, account: str, seal: str) -> bool:
    found = file.foreign_to(account, 1.0)
    return found is not None and found(seal)


def test_another_process_reads_what_was_written(tmp_path: Path) -> None:
    writer, reader = SignatureFile(tmp_path / "s"), SignatureFile(tmp_path / "s")
    assert not foreign(reader, "one", "two's")
    writer.learn(["two's"], ["odd"], "two", 0)
    assert foreign(reader, "one", "two's")
    assert foreign(reader, "two", "odd")
    writer.learn(["more"], [], "two", 0)
    assert foreign(reader, "one", "more")


def test_half_a_line_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    SignatureFile(path).learn(["one", "two"], [], "theirs", 0)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert foreign(SignatureFile(path), "ours", "one")
    assert not foreign(SignatureFile(path), "ours", "two")


def test_no_signature_and_no_name_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "s"
    SignatureFile(path).learn(["SECRET"], [], "ANTHROPIC_API_KEY", 0)
    assert b"SECRET" not in path.read_bytes()
    assert b"ANTHROPIC" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_file, "LIMIT_BYTES", 2000)
    path = tmp_path / "s"
    file, other = SignatureFile(path), SignatureFile(path)
    for number in range(100):
        file.learn([f"s{number}"], [], "two", number * TTL_S / 10)
        assert path.stat().st_size <= 2100
    assert other.foreign_to("one", 10 * TTL_S) is not None
    file.learn(["last"], [], "two", 10 * TTL_S)
    found = other.foreign_to("one", 10 * TTL_S)
    assert found is not None
    assert found("last")
    assert found("s95")


def test_a_disk_that_fails_costs_no_answer(tmp_path: Path) -> None:
    file = SignatureFile(tmp_path / "missing" / "s")
    file.learn(["two's"], [], "two", 0)
    assert foreign(file, "one", "two's")
