"""From a client's address to the networks whose votes are one. Pure.

A report is counted by three groups, from the smallest to the largest: the *network* (IPv4 /24 or
IPv6 /48: what one household, office or rented machine easily has), the *group* (its autonomous
system by table; without one the /16 or /32 around it, which is about what one operator is given:
RIPE NCC hands out IPv6 in /32, RFC 6177 gives sites /48) and the country, where the table names it.

The address itself goes no further than this module: what leaves are keyed hashes, made with a
secret that changes with the day (`label`), so that neither log nor database holds where from.
"""

from __future__ import annotations

import re
from array import array
from binascii import b2a_base64
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ROWS_MAX = 2_000_000
"""More rows than all of today's routing tables have (about 1.3 million prefixes)."""
LINE_LIMIT = 500
HOPS_MAX = 20
FORWARDED_LIMIT = 2000
PROXIES_MAX = 1000
UNKNOWN = "?"
"""The network of a client whose address cannot be told: all of them are one network."""

_URL_SIGNS = bytes.maketrans(b"+/", b"-_")
_COUNTRY = re.compile(r"[A-Z]{2}\Z")
_PORT = re.compile(r"\A(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})\Z")


class Groups(msgspec.Struct, frozen=True):
    """Whose votes are one, in clear: for hashing, never for keeping."""

    network: str
    group: str
    country: str = ""
    """ISO 3166-1, where the table says it."""


class Table(msgspec.Struct, frozen=True):
    """Ranges of addresses and their autonomous systems: about 12 bytes a range for IPv4.

    IPv6 is kept by its upper 64 bits: nothing smaller is routed on its own.
    """

    first_v4: array[int]
    last_v4: array[int]
    first_v6: array[int]
    last_v6: array[int]
    systems_v4: array[int]
    systems_v6: array[int]
    countries_v4: array[int]
    countries_v6: array[int]
    skipped: int = 0
    """Lines that could not be read."""

    def __len__(self) -> int:
        return len(self.first_v4) + len(self.first_v6)

    def find(self, address: Address) -> tuple[int, str] | None:
        """Return (autonomous system, country or empty); None where no range holds it."""
        if isinstance(address, IPv4Address):
            number, first, last = int(address), self.first_v4, self.last_v4
            systems, countries = self.systems_v4, self.countries_v4
        else:
            number, first, last = int(address) >> 64, self.first_v6, self.last_v6
            systems, countries = self.systems_v6, self.countries_v6
        place = bisect_right(first, number) - 1
        if place < 0 or number > last[place] or systems[place] == 0:
            return None
        code = countries[place]
        return systems[place], chr(code >> 8) + chr(code & 255) if code else ""


def parse_table(lines: Iterable[str]) -> Table:
    """Read lines of `first address,last address,number[,country]`, also apart by tabs.

    Ranges must not overlap; a line that is none is skipped and counted, `#` begins a comment.
    System 0 means "routed by nobody". Raises ValueError beyond ROWS_MAX lines.
    """
    rows: tuple[list[tuple[int, int, int, int]], list[tuple[int, int, int, int]]] = ([], [])
    skipped = 0
    for count, line in enumerate(lines):
        if count >= ROWS_MAX:
            raise ValueError(f"The table of networks has more than {ROWS_MAX} lines.")
        text = line[:LINE_LIMIT].strip()
        if not text or text.startswith("#"):
            continue
        try:
            version, row = _row(text)
        except ValueError:
            skipped += 1
            continue
        rows[version == 6].append(row)
    for half in rows:
        half.sort()
    v4, v6 = ([list(column) for column in zip(*half, strict=True)] or [[]] * 4 for half in rows)
    return Table(
        array("I", v4[0]),
        array("I", v4[1]),
        array("Q", v6[0]),
        array("Q", v6[1]),
        array("I", v4[2]),
        array("I", v6[2]),
        array("H", v4[3]),
        array("H", v6[3]),
        skipped,
    )


def _row(text: str) -> tuple[int, tuple[int, int, int, int]]:
    """Return (4 or 6, (first, last, system, country)). Raises ValueError."""
    first_text, last_text, system_text, *more = (
        part.strip().strip('"') for part in text.replace("\t", ",").split(",")
    )
    first, last = ip_address(first_text), ip_address(last_text)
    system = int(system_text.upper().removeprefix("AS"))
    if first.version != last.version or int(first) > int(last) or not 0 <= system < 1 << 32:
        raise ValueError("no range")
    country = more[0] if more and _COUNTRY.match(more[0]) else ""
    code = ord(country[0]) << 8 | ord(country[1]) if country else 0
    shift = 64 if first.version == 6 else 0
    return first.version, (int(first) >> shift, int(last) >> shift, system, code)


def groups_of(address: Address | None, table: Table | None) -> Groups:
    """Return the groups that an address votes with; None: it could not be told."""
    if address is None:
        return Groups(UNKNOWN, UNKNOWN)
    number = int(address)
    found = table.find(address) if table is not None else None
    if isinstance(address, IPv4Address):
        network, around = f"4/{number >> 8:x}", f"4/{number >> 16:x}"
    else:
        network, around = f"6/{number >> 80:x}", f"6/{number >> 96:x}"
    if found is None:
        return Groups(network, around)
    return Groups(network, f"AS{found[0]}", found[1])


def read_address(text: str) -> Address | None:
    """Read an address as servers and proxies write it: with a port, brackets or an IPv6 zone.

    An IPv4 address inside IPv6 (`::ffff:a.b.c.d`) is the IPv4 address. None for what is none.
    """
    if len(text) > 100:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        bare = _PORT.sub(r"\1\2", text.strip().strip('"')).partition("%")[0]
        try:
            address = ip_address(bare)
        except ValueError:
            return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        return IPv6Address(int(address)) if address.scope_id else address
    return address


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read `observatory.trusted_proxies`. Raises ValueError with the text that is no network."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text.strip(), strict=False))
        except ValueError as error:
            raise ValueError(
                f"{text[:60]!r} is not a network: write it like 10.0.0.0/8."
            ) from error
    return tuple(found)


class Proxies:
    """Networks whose word about their clients is believed. Owned by one event loop.

    Of the proxies that have spoken the address is remembered, as each of them speaks for many;
    never a client's.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)
        self._known: dict[str, Address] = {}

    def client(self, peer: str, forwarded: str) -> Address | None:
        """As `client_address`, for these networks."""
        if not self._trusted or not forwarded:
            return read_address(peer)
        proxy = self._known.get(peer)
        if proxy is None:
            proxy = read_address(peer)
            if proxy is None or not _within(proxy, self._trusted):
                return proxy
            if len(self._known) >= PROXIES_MAX:
                self._known.clear()
            self._known[peer] = proxy
        if "," in forwarded:
            return _hop(proxy, forwarded, self._trusted)
        return read_address(forwarded.strip()) or proxy


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> Address | None:
    """Return whose request it is: the peer, or the rightmost hop that no trusted proxy is.

    `forwarded` is x-forwarded-for, several headers joined with commas in their order. Each proxy
    appends the address it was asked from, so what stands left of the first untrusted hop may be
    invented and is never read. A hop that is no address ends the search at the proxy that said
    it: all its clients are one then, which is less than true and cannot be abused.
    """
    address = read_address(peer)
    if not trusted or not forwarded or address is None or not _within(address, trusted):
        return address
    return _hop(address, forwarded, trusted)


def _hop(proxy: Address, forwarded: str, trusted: Sequence[Network]) -> Address:
    """The rightmost hop that is not trusted, or as far as it can be told."""
    address = proxy
    hops = forwarded[-FORWARDED_LIMIT:].split(",")[-HOPS_MAX:]
    for hop in reversed(hops):
        found = read_address(hop.strip())
        if found is None:
            return address
        address = found
        if not _within(address, trusted):
            return address
    return address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == one.version and address in one for one in networks)


def label(secret: bytes, kind: str, text: str, length: int = 8) -> str:
    """Return a keyed hash as `length` signs of base64url (a multiple of four), 6 bits each.

    BLAKE2b with a key (RFC 7693, section 2.9): a third of the time of HMAC-SHA-256, and a report
    needs up to seven. 48 bits tell 100,000 networks apart with a chance of collision of 2 in
    100,000. `secret` has 64 bytes at most.
    """
    digest = blake2b(f"{kind}|{text}".encode(), digest_size=length * 3 // 4, key=secret).digest()
    return b2a_base64(digest, newline=False).translate(_URL_SIGNS).decode("ascii")


def network_label(secret: bytes, groups: Groups) -> str:
    """Return `country.group.network`, each hashed; the country is empty where it is not known."""
    country = label(secret, "country", groups.country, 4) if groups.country else ""
    group = label(secret, "group", groups.group)
    return f"{country}.{group}.{label(secret, 'network', groups.network)}"


def reporter_label(secret: bytes, groups: Groups, token: str) -> str:
    """Return the reporter's keyed hash, 96 bits: the network and what the browser keeps."""
    return label(secret, "reporter", f"{groups.network}|{token}", 16)
