"""Whose votes are one: addresses as they come, the networks around them, and nothing in clear."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.observatory.networks import (
    PROXIES_MAX,
    ROWS_MAX,
    UNKNOWN,
    Groups,
    Proxies,
    client_address,
    groups_of,
    network_label,
    parse_table,
    read_address,
    read_networks,
    reporter_label,
)

TABLE = """\
# first,last,system
1.0.0.0,1.0.0.255,13335,US
1.0.1.0,1.0.3.255,AS4134
1.0.4.0,1.0.7.255,0
192.0.2.0\t192.0.2.127\t64500\tFR\tsome name, with a comma
2001:db8::,2001:db8:0:ffff:ffff:ffff:ffff:ffff,64501,DE
this is no line
9.9.9.9,8.8.8.8,1
1.2.3.4,2001:db8::1,1
5.0.0.0,5.0.0.255,99999999999
"""
FORWARDED = [
    "",
    "198.51.100.9",
    " 198.51.100.9 ",
    "10.0.0.5",
    "nonsense",
    "[2001:db8::1]:80",
    "198.51.100.9, 10.0.0.2",
    "a, 10.0.0.2",
    "203.0.113.5,198.51.100.9",
    ",",
    " ",
]
TRUSTED = read_networks(["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("192.0.2.7", "192.0.2.7", id="an IPv4 address is itself"),
        pytest.param(" 192.0.2.7 ", "192.0.2.7", id="blanks around it do not matter"),
        pytest.param("192.0.2.7:4711", "192.0.2.7", id="a port is taken off"),
        pytest.param("[2001:db8::7]:443", "2001:db8::7", id="brackets and a port are taken off"),
        pytest.param('"[2001:db8::7]"', "2001:db8::7", id="quotes are taken off, as in Forwarded"),
        pytest.param("fe80::1%eth0", "fe80::1", id="a zone is this machine's word, and goes"),
        pytest.param("::ffff:192.0.2.7", "192.0.2.7", id="IPv4 inside IPv6 is IPv4"),
        pytest.param("unknown", None, id="a word is no address"),
        pytest.param("192.0.2", None, id="half an address is none"),
        pytest.param("", None, id="nothing is no address"),
        pytest.param("1" * 101, None, id="what is too long is not looked at"),
    ],
)
def test_an_address_is_read_as_servers_and_proxies_write_it(text: str, address: str | None) -> None:
    assert read_address(text) == (ip_address(address) if address else None)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_never_raises(text: str) -> None:
    read_address(text)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("192.0.2.1", "", "192.0.2.1", id="without a proxy it is the peer"),
        pytest.param(
            "192.0.2.1", "198.51.100.9", "192.0.2.1", id="a stranger's header is not believed"
        ),
        pytest.param(
            "10.0.0.1", "198.51.100.9", "198.51.100.9", id="a trusted proxy names its client"
        ),
        pytest.param(
            "10.0.0.1",
            "203.0.113.66, 198.51.100.9",
            "198.51.100.9",
            id="what a client invented stands left of its own address and is not read",
        ),
        pytest.param(
            "10.0.0.1",
            "198.51.100.9, 10.0.0.2, fd00::3",
            "198.51.100.9",
            id="trusted hops are passed over",
        ),
        pytest.param(
            "10.0.0.1",
            "198.51.100.9, nonsense, 10.0.0.2",
            "10.0.0.2",
            id="a hop that is no address ends the search at who said it",
        ),
        pytest.param("10.0.0.1", "10.0.0.5", "10.0.0.5", id="inside the house, the first of it"),
        pytest.param("", "198.51.100.9", None, id="a unix socket has no address"),
    ],
)
def test_the_client_is_the_rightmost_hop_that_nobody_vouches_for(
    peer: str, forwarded: str, client: str | None
) -> None:
    expected = ip_address(client) if client else None
    assert client_address(peer, forwarded, TRUSTED) == expected
    proxies = Proxies(TRUSTED)
    assert [proxies.client(peer, forwarded) for _ in range(2)] == [expected] * 2


def test_without_trusted_proxies_no_header_is_believed() -> None:
    assert client_address("127.0.0.1", "198.51.100.9", ()) == ip_address("127.0.0.1")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.3", "198.51.100.1", "", "x"]),
            st.sampled_from(FORWARDED),
        ),
        max_size=20,
    )
)
def test_who_remembers_proxies_believes_them_as_who_does_not(asked: list[tuple[str, str]]) -> None:
    proxies = Proxies(TRUSTED)
    for peer, forwarded in asked:
        assert proxies.client(peer, forwarded) == client_address(peer, forwarded, TRUSTED)
    assert set(proxies._known) <= {peer for peer, _ in asked if "10.0" in peer}


def test_so_many_proxies_are_remembered_and_no_more() -> None:
    proxies = Proxies(TRUSTED)
    for number in range(PROXIES_MAX + 10):
        proxies.client(f"10.0.{number // 256}.{number % 256}", "198.51.100.9")
    assert len(proxies._known) <= PROXIES_MAX


def test_a_very_long_header_is_read_from_its_end() -> None:
    long = ", ".join(["10.9.9.9"] * 50_000)
    assert client_address("10.0.0.1", f"{long}, 198.51.100.9", TRUSTED) == ip_address(
        "198.51.100.9"
    )


@pytest.mark.parametrize(
    ("address", "groups"),
    [
        pytest.param("1.0.0.77", ("4/10000", "AS13335", "US"), id="system and country by table"),
        pytest.param("1.0.2.1", ("4/10002", "AS4134", ""), id="a table need not say countries"),
        pytest.param("1.0.5.1", ("4/10005", "4/100", ""), id="system 0 is nobody: the /16 around"),
        pytest.param("192.0.2.99", ("4/c00002", "AS64500", "FR"), id="tabs are commas"),
        pytest.param("192.0.2.200", ("4/c00002", "4/c000", ""), id="outside of the range: the /16"),
        pytest.param("0.0.0.1", ("4/0", "4/0", ""), id="before the first range"),
        pytest.param("2001:db8:0:5::1", ("6/20010db80000", "AS64501", "DE"), id="IPv6 by table"),
        pytest.param("2001:db9::1", ("6/20010db90000", "6/20010db9", ""), id="IPv6: the /32"),
    ],
)
def test_an_address_votes_with_its_network_group_and_country(
    address: str, groups: tuple[str, str, str]
) -> None:
    table = parse_table(TABLE.splitlines())
    assert groups_of(ip_address(address), table) == Groups(*groups)


def test_lines_that_are_no_ranges_are_skipped_and_counted() -> None:
    table = parse_table(TABLE.splitlines())
    assert (len(table), table.skipped) == (5, 4)


def test_a_table_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        parse_table("#" for _ in range(ROWS_MAX + 1))


def test_an_unknown_address_is_one_network_with_all_other_unknown_ones() -> None:
    assert groups_of(None, None) == Groups(UNKNOWN, UNKNOWN)


@given(st.ip_addresses(v=4), st.integers(0, 255))
def test_neighbours_in_a_24_are_one_network_with_or_without_a_table(
    address: object, host: int
) -> None:
    first = ip_address(str(address))
    second = ip_address(int(first) // 256 * 256 + host)
    assert groups_of(first, None) == groups_of(second, None)


def test_labels_change_with_the_secret_and_hold_nothing_in_clear() -> None:
    groups = Groups("4/c00002", "AS64500", "FR")
    today, tomorrow = (network_label(secret, groups) for secret in (b"a" * 32, b"b" * 32))
    assert today != tomorrow
    assert today.count(".") == 2
    assert not any(word in today for word in ("c00002", "64500", "FR"))
    assert network_label(b"a" * 32, groups) == today


def test_an_unknown_country_leaves_its_place_empty() -> None:
    assert network_label(b"a" * 32, Groups("4/1", "4/0")).startswith(".")


def test_a_reporter_is_network_and_token_together() -> None:
    here, there = Groups("4/1", "4/0"), Groups("4/2", "4/0")
    labels = {
        reporter_label(b"s" * 32, groups, token) for groups in (here, there) for token in "xy"
    }
    assert len(labels) == 4
    assert all(len(label) == 16 for label in labels)


def test_a_wrong_network_of_a_proxy_is_named() -> None:
    with pytest.raises(ValueError, match=r"'10\.0\.0\.0/99' is not a network"):
        read_networks(["10.0.0.0/99"])
