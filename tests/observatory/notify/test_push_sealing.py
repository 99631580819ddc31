"""Sealed messages and the sender's token, against the RFCs' own numbers and their procedures."""

from __future__ import annotations

import base64

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory import push_sealing as sealing
from outlast.observatory.push_sealing import BadBrowserKey, seal, sender_key, token, topic
from tests.observatory.notify.browsers import Browser, unb64
from tests.observatory.notify.people import AT, KEY

# RFC 8291, section 5 and appendix A.
PLAIN = b"When I grow up, I want to be a watermelon"
SENDER_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BROWSER_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
BROWSER_PUBLIC = (
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
)
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6"
    "TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy"
    "4a-fN"
)


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(unb64(text), "big"), ec.SECP256R1())


def test_the_rfc_s_example_comes_out_to_the_last_bit() -> None:
    sealed = seal(PLAIN, f"{BROWSER_PUBLIC}.{SECRET}", private(SENDER_PRIVATE), unb64(SALT))
    assert sealed == unb64(SEALED)


def test_a_browser_reads_the_rfc_s_example() -> None:
    """The tests' own browser, which judges ours in what follows."""
    browser = Browser(private(BROWSER_PRIVATE), unb64(SECRET))
    assert browser.keys == f"{BROWSER_PUBLIC}.{SECRET}"
    assert browser.open(unb64(SEALED)) == PLAIN


@given(st.binary(max_size=sealing.PLAIN_LIMIT_BYTES))
def test_what_is_sealed_is_read_by_its_browser_and_fits(plain: bytes) -> None:
    browser, other = Browser.new(), Browser.new()
    sealed = seal(plain, browser.keys, ec.generate_private_key(ec.SECP256R1()), bytes(16))
    assert len(sealed) <= sealing.RECORD_BYTES
    assert browser.open(sealed) == plain
    with pytest.raises(ValueError, match="not for this browser"):
        other.open(sealed)
    with pytest.raises(ValueError, match="not for this browser"):
        browser.open(sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_a_browser_s_key_that_is_no_point_is_refused() -> None:
    keys = sealing.b64(b"\x04" + bytes(64)) + "." + SECRET
    with pytest.raises(BadBrowserKey):
        seal(b"a", keys, ec.generate_private_key(ec.SECP256R1()), bytes(16))


def test_the_sender_says_who_it_is_and_for_whom() -> None:
    """RFC 8292, 2 and 3: an ES256 token, and the key that it is checked with."""
    key = sender_key(KEY)
    said = token(key, "https://push.example.net", "https://status.example.org", AT)
    scheme, _, rest = said.partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(", "))
    head, body, signature = parts["t"].split(".")
    assert scheme == "vapid"
    assert msgspec.json.decode(unb64(head)) == {"typ": "JWT", "alg": "ES256"}
    assert msgspec.json.decode(unb64(body)) == {
        "aud": "https://push.example.net",
        "exp": int(AT) + 12 * 3600,
        "sub": "https://status.example.org",
    }
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(parts["k"]))
    raw = unb64(signature)
    assert len(raw) == 64
    signed = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(signed, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(signed, f"{head}.{body}x".encode(), ec.ECDSA(hashes.SHA256()))
    assert sealing.application_key(KEY) == parts["k"]


def test_replicas_with_one_key_are_one_sender_and_others_are_not() -> None:
    assert sealing.application_key(KEY) == sealing.application_key(bytes(KEY))
    assert sealing.application_key(KEY) != sealing.application_key(bytes(32))
    assert len(base64.urlsafe_b64decode(sealing.application_key(KEY) + "=")) == 65


def test_a_topic_is_one_that_push_services_take() -> None:
    """RFC 8030, 5.4: at most 32 signs of base64url."""
    assert len(topic("inc_" + "a" * 99)) == 32
    assert topic("inc_a") != topic("inc_b")
    assert set(topic("inc_a")) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )
