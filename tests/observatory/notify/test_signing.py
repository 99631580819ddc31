"""Tokens stand for one thing each, and webhooks verify as Standard Webhooks says."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.notify_signing import (
    BadToken,
    Purpose,
    fingerprint,
    mint,
    read,
    webhook_secret,
    webhook_signature,
)

KEY = bytes(range(32))


def test_a_token_gives_its_subscription_back_until_it_is_too_old() -> None:
    token = mint(KEY, Purpose.CONFIRM, "sub_1", 1000)
    assert read(KEY, Purpose.CONFIRM, token, 1000) == "sub_1"
    with pytest.raises(BadToken, match="too old"):
        read(KEY, Purpose.CONFIRM, token, 1001)


def test_a_token_to_leave_never_ages() -> None:
    assert read(KEY, Purpose.LEAVE, mint(KEY, Purpose.LEAVE, "sub_1"), 1e12) == "sub_1"


def test_a_token_is_for_one_thing_and_one_key() -> None:
    token = mint(KEY, Purpose.LEAVE, "sub_1")
    with pytest.raises(BadToken, match="something else"):
        read(KEY, Purpose.CONFIRM, token, 0)
    with pytest.raises(BadToken, match="not one of ours"):
        read(bytes(32), Purpose.LEAVE, token, 0)


@given(st.text(max_size=320), st.integers(0, 100))
def test_no_other_text_is_a_token(text: str, place: int) -> None:
    token = mint(KEY, Purpose.LEAVE, "sub_1")
    cut = token[: place % len(token)] + text
    if cut != token:
        with pytest.raises(BadToken):
            read(KEY, Purpose.LEAVE, cut, 0)


def test_a_token_fits_into_an_address_unchanged() -> None:
    token = mint(KEY, Purpose.CONFIRM, "sub_" + "a" * 24, 2_000_000_000)
    assert len(token) < 100
    assert all(sign.isalnum() or sign in "-_." for sign in token)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the reference libraries of Standard Webhooks are tested with."""
    found = webhook_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_with_the_shown_secret_verifies_and_another_does_not() -> None:
    secret = webhook_secret(KEY, "sub_1")
    signature = webhook_signature(secret, "dlv_1", 5, b"{}")
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    assert 24 <= len(raw) <= 64  # what the specification allows
    expected = hmac.new(raw, b"dlv_1.5.{}", hashlib.sha256).digest()
    assert signature == "v1," + base64.b64encode(expected).decode()
    assert webhook_secret(KEY, "sub_2") != secret
    assert webhook_signature(webhook_secret(KEY, "sub_2"), "dlv_1", 5, b"{}") != signature


def test_a_secret_that_is_none_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        webhook_signature("whsec_!", "dlv_1", 5, b"{}")


def test_a_fingerprint_tells_keys_apart_and_is_none() -> None:
    assert fingerprint(KEY) == fingerprint(KEY) != fingerprint(bytes(32))
    assert KEY.hex() not in fingerprint(KEY)
