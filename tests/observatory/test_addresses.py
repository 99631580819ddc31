"""Where a server may be sent by what others wrote."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from outlast.observatory import addresses
from outlast.observatory.addresses import Forbidden, Rules, check_url, next_url, why_not

OWN = Rules(private=True, plain=True)

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "2001:4860:4860::8888",
          "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "::ffff:1.1.1.1",
          "64:ff9b::101:101"]  # fmt: skip
INWARD = ["127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255",
          "192.168.1.1", "100.64.0.1", "100.127.255.255", "198.18.0.1", "192.0.2.1", "::1",
          "fc00::1", "fdff::1", "fec0::1", "2001:db8::1", "2002:7f00:1::", "2001:0:7f00:1::",
          "64:ff9b:1::1", "3fff::1", "5f00::1", "4000::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
          "::ffff:0:7f00:1", "64:ff9b::7f00:1", "::127.0.0.1"]  # fmt: skip
NEVER = ["169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192",
         "fd00:ec2::254", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.255", "240.0.0.1",
         "255.255.255.255", "fe80::1", "fe80::1%eth0", "ff02::1", "::ffff:169.254.169.254",
         "64:ff9b::a9fe:a9fe", "::ffff:224.0.0.1", "::169.254.169.254", "2002:a9fe:a9fe::1",
         "2002:6464:64c8::", "2002:e000:1::", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::",
         "64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1:0:a9:fea9:fe00:0", "64:ff9b:1:a83f:81:1000::",
         "::ffff:0:a9fe:a9fe", "2001:0:a9fe:a9fe::", "2001:0:808:808:0:0:5601:5601"]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached(address: str) -> None:
    assert why_not(address) == ""


@pytest.mark.parametrize("address", INWARD)
def test_an_inward_address_may_be_reached_only_where_it_is_allowed(address: str) -> None:
    assert why_not(address)
    assert why_not(address, OWN) == ""


@pytest.mark.parametrize("address", NEVER)
def test_metadata_multicast_and_nowhere_may_never_be_reached(address: str) -> None:
    assert why_not(address)
    assert why_not(address, OWN)


def test_what_is_no_address_may_not_be_reached() -> None:
    assert why_not("example.com") == "no address"


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_the_rules_are_never_laxer_than_the_standard_librarys(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    inner = getattr(address, "ipv4_mapped", None) or address
    if address not in ipaddress.ip_network("64:ff9b::/96") and (
        inner.is_private or inner.is_multicast or inner.is_link_local or inner.is_reserved
    ):
        assert why_not(str(address))
    if isinstance(address, ipaddress.IPv4Address):
        assert bool(why_not(f"::ffff:{address}")) == bool(why_not(str(address)))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "example.com",
        "https://",
        "https:///path",
        "https://user:secret@example.com/",
        "https://user@example.com/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
        "https://[fe80::1%25eth0]/",
        "https://①②⑦.⓪.⓪.①/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://intranet/",
        "https://exa mple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\r\nHost: x",
        "https://-.com/",
        "https://a..b/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_an_address_is_refused_in_a_sentence_of_both_languages(url: str) -> None:
    with pytest.raises(Forbidden, match=r"\.$") as caught:
        check_url(url)
    assert caught.value.french.endswith(".")
    assert caught.value.french != str(caught.value)


def test_every_reason_has_its_french() -> None:
    reasons = {why for _, why in (*addresses.NEVER, *addresses.PRIVATE)}
    assert set(addresses.FRENCH) == reasons | {"not a public network"}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?a=1",
        "https://example.com:8443/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://bücher.example/",
        "https://EXAMPLE.com./",
        "https://_x.example.com/",
    ],
)
def test_an_address_is_allowed(url: str) -> None:
    assert check_url(url).scheme == "https"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://localhost/", "https://nas.lan/"])
def test_an_operators_own_address_is_allowed_where_the_settings_say_so(url: str) -> None:
    assert check_url(url, OWN)
    with pytest.raises(Forbidden):
        check_url(url)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/other", "https://example.com/other"),
        ("https://example.org/", "https://example.org/"),
        ("//example.net/x", "https://example.net/x"),
        ("http://example.org/", None),
        ("https://127.0.0.1/", None),
        ("https://169.254.169.254/", None),
        ("//[::1]/", None),
        ("file:///etc/passwd", None),
        ("https://user:x@example.org/", None),
        ("/a\r\nb", None),
        ("\\\\127.0.0.1\\x", None),
    ],
)
def test_a_redirect_is_held_to_the_same_rules(location: str, leads_to: str | None) -> None:
    here = URL("https://example.com/feed")
    if leads_to is None:
        with pytest.raises(Forbidden):
            next_url(here, location)
    else:
        assert str(next_url(here, location)) == leads_to


def test_a_redirect_never_leads_from_https_to_http_whatever_is_allowed() -> None:
    with pytest.raises(Forbidden, match="from https to plain http"):
        next_url(URL("https://example.com/"), "http://example.com/", OWN)


@given(st.text(max_size=60))
def test_any_text_is_an_allowed_address_or_refused(text: str) -> None:
    for url in (text, f"https://{text}/", f"https://{text}@1.1.1.1/"):
        try:
            assert check_url(url).scheme == "https"
        except Forbidden as refused:
            assert str(refused)  # noqa: PT017
