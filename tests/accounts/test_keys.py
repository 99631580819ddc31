from __future__ import annotations

import fnmatch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.accounts.keys import (
    LENGTH,
    RANDOM_BYTES,
    BadKey,
    BadKeySettings,
    Key,
    KeyFault,
    KeyRecord,
    hash_of,
    matches,
    mint,
    parse,
    permits,
)
from outlast.nouns import Allow

SEED = bytes(range(RANDOM_BYTES))
SECRET, RECORD = mint(SEED, name="laptop", at=5.0)


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_every_minted_key_has_one_form_and_is_found_by_its_hash(random_bytes: bytes) -> None:
    secret, record = mint(random_bytes, name="n", at=1.0)
    assert len(secret) == LENGTH
    assert secret.startswith("ol_")
    assert secret.isascii()
    assert parse(secret) == record.hash == hash_of(secret)
    assert secret.startswith(record.key.prefix)


@given(st.lists(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES), unique=True))
def test_different_randomness_makes_different_keys(many: list[bytes]) -> None:
    keys = {mint(one, name="n", at=1.0)[0] + mint(one, name="n", at=1.0)[1].key.id for one in many}
    assert len(keys) == len(many)


def test_what_is_kept_gives_the_secret_away_nowhere() -> None:
    kept = msgspec.json.encode(RECORD).decode() + repr(RECORD) + str(RECORD)
    assert SECRET not in kept
    assert SECRET[len(RECORD.key.prefix) : -6] not in kept
    assert RECORD.hash not in repr(RECORD.key)


@given(st.integers(3, LENGTH - 1), st.sampled_from("0aZ-é\x00"))
def test_one_wrong_character_anywhere_is_recognised_as_a_typing_error(at: int, sign: str) -> None:
    wrong = SECRET[:at] + sign + SECRET[at + 1 :]
    if wrong == SECRET:
        return
    with pytest.raises(BadKey) as caught:
        parse(wrong)
    assert caught.value.fault is KeyFault.MISTYPED
    assert wrong not in str(caught.value)


def test_two_characters_in_the_wrong_order_are_recognised_as_a_typing_error() -> None:
    for at in range(3, LENGTH - 1):
        wrong = SECRET[:at] + SECRET[at + 1] + SECRET[at] + SECRET[at + 2 :]
        if wrong != SECRET:
            with pytest.raises(BadKey, match="typing error"):
                parse(wrong)


@pytest.mark.parametrize(
    ("text", "fault", "sentence"),
    [
        (SECRET[:-1], KeyFault.MISTYPED, "instead of 42"),
        (SECRET + "x", KeyFault.MISTYPED, "instead of 42"),
        ("ol_", KeyFault.MISTYPED, "instead of 42"),
        ("sk-ant-api03-abc", KeyFault.NOT_OURS, "upstream"),
        ("", KeyFault.NOT_OURS, "begin with ol_"),
        ("OL_" + SECRET[3:], KeyFault.NOT_OURS, "begin with ol_"),
    ],
)
def test_what_is_not_a_key_is_told_apart_in_words(
    text: str, fault: KeyFault, sentence: str
) -> None:
    with pytest.raises(BadKey, match=sentence) as caught:
        parse(text)
    assert caught.value.fault is fault


@given(st.text())
def test_any_text_is_a_key_or_a_bad_key(text: str) -> None:
    for one in (text, "ol_" + text, "ol_" + text.ljust(39, "0")[:39]):
        try:
            assert len(parse(one)) == 64
        except BadKey as error:
            assert error.fault in KeyFault  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    ("models", "model", "permitted"),
    [
        (("*",), "anything/at:all", True),
        (("claude-*",), "claude-sonnet", True),
        (("claude-*",), "gpt-5", False),
        (("claude-*", "gpt-5"), "gpt-5", True),
        (("gpt-?",), "gpt-5", True),
        (("gpt-?",), "gpt-55", False),
        (("Claude",), "claude", False),
        (("a.c",), "abc", False),
    ],
)
def test_a_key_permits_the_models_that_its_patterns_cover(
    models: tuple[str, ...], model: str, permitted: bool
) -> None:
    key = mint(SEED, name="n", at=1.0, models=models)[1].key
    assert key.permits(model) is permits(key, model) is permitted


def test_a_revoked_key_permits_nothing() -> None:
    key: Key = msgspec.structs.replace(RECORD.key, revoked_at=6.0)
    assert key.revoked
    assert not key.permits("anything")


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_patterns_match_as_the_standard_library_would(glob: str, text: str) -> None:
    assert matches(glob, text) is fnmatch.fnmatchcase(text, glob)


def test_a_hostile_pattern_ends() -> None:
    assert not matches("*a" * 50 + "b", "a" * 200)


def test_the_defaults_allow_everything_and_limit_nothing() -> None:
    key = RECORD.key
    assert (key.allow, key.models) == (Allow.LOCAL, ("*",))
    assert (key.requests_per_minute, key.concurrent, key.revoked_at) == (None, None, None)
    assert (key.name, key.created_at) == ("laptop", 5.0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"models": ()}, "patterns"),
        ({"models": ("",)}, "pattern"),
        ({"models": ("x" * 201,)}, "pattern"),
        ({"requests_per_minute": 0}, "requests per minute"),
        ({"concurrent": -1}, "concurrent"),
    ],
)
def test_settings_that_a_key_cannot_have_are_refused_in_words(
    settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadKeySettings, match=sentence):
        mint(SEED, **{"name": "n", "at": 1.0, **settings})  # type: ignore[arg-type]  # on purpose


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        mint(b"short", name="n", at=1.0)


def test_a_record_survives_its_encoding() -> None:
    assert msgspec.json.decode(msgspec.json.encode(RECORD), type=KeyRecord) == RECORD
