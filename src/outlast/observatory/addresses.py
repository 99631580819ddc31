"""Which addresses a server may be sent to by what others wrote: feeds, webhooks, peers. Pure.

Server-side request forgery (OWASP): an address that somebody typed must not reach this machine,
its network or a cloud's metadata service. Networks are IANA's special-purpose registries for IPv4
and IPv6 (RFC 6890 and its updates, read 2026), plus what clouds use outside of them. Of IPv6 only
global unicast, 2000::/3, is public. The rules are ours and not Python's `is_global`, which has
changed between versions.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec
from yarl import URL

URL_LIMIT_CHARS = 2000

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NEVER: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "no destination"),
    ("169.254.0.0/16", "link-local; clouds serve their credentials there"),
    ("100.100.100.200/32", "a cloud's metadata service"),
    ("168.63.129.16/32", "a cloud's host service"),
    ("192.0.0.192/32", "a cloud's metadata service"),
    ("fd00:ec2::254/128", "a cloud's metadata service"),
    ("fd20:ce::254/128", "a cloud's metadata service"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "no destination"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)
"""Refused even where private addresses are allowed: no feed and no webhook lives there."""

PRIVATE: tuple[tuple[str, str], ...] = (
    ("10.0.0.0/8", "a private network"),
    ("100.64.0.0/10", "a carrier's shared network"),
    ("127.0.0.0/8", "this machine"),
    ("172.16.0.0/12", "a private network"),
    ("192.0.0.0/24", "reserved for protocols"),
    ("192.0.2.0/24", "for documentation"),
    ("192.88.99.0/24", "a former relay"),
    ("192.168.0.0/16", "a private network"),
    ("198.18.0.0/15", "for measurements"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("::1/128", "this machine"),
    ("fc00::/7", "a private network"),
    ("fec0::/10", "a private network"),
    ("64:ff9b:1::/48", "a private translation"),
    ("2001::/23", "reserved for protocols"),
    ("2001:db8::/32", "for documentation"),
    ("2002::/16", "a former tunnel"),
    ("3fff::/20", "for documentation"),
)
FRENCH = {
    "no destination": "aucune destination",
    "link-local; clouds serve their credentials there": (
        "adresse de lien local\u00a0; les nuages y servent leurs identifiants"
    ),
    "a cloud's metadata service": "le service de métadonnées d'un nuage",
    "a cloud's host service": "le service d'hôte d'un nuage",
    "multicast": "multidiffusion",
    "reserved": "adresse réservée",
    "link-local": "adresse de lien local",
    "a private network": "un réseau privé",
    "a carrier's shared network": "le réseau partagé d'un opérateur",
    "this machine": "cette machine",
    "reserved for protocols": "adresse réservée à des protocoles",
    "for documentation": "adresse de documentation",
    "a former relay": "un ancien relais",
    "for measurements": "adresse de mesure",
    "a private translation": "une traduction privée",
    "a former tunnel": "un ancien tunnel",
    "not a public network": "pas un réseau public",
}
"""Every reason above, and the last of `why_not`, in French."""

_GLOBAL = ipaddress.ip_network("2000::/3")
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_SIIT = ipaddress.ip_network("::ffff:0:0:0/96")
_TUNNEL = ipaddress.ip_network("2002::/16")
_TEREDO = ipaddress.ip_network("2001::/32")
_LOCAL_TRANSLATED = ipaddress.ip_network("64:ff9b:1::/48")
_NEVER = tuple((ipaddress.ip_network(net), why) for net, why in NEVER)
_PRIVATE = tuple((ipaddress.ip_network(net), why) for net, why in PRIVATE)
_CLOUDS = tuple((net, why) for net, why in _NEVER if net.version == 4 and "cloud" in why)

_LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "localdomain")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}", re.IGNORECASE)
"""What `inet_aton` would take for an IPv4 address: decimal, octal and hexadecimal, 1 to 4 parts."""
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)


class Forbidden(Exception):
    """An address may not be reached. Its message is a sentence for people; `french` has the same
    for who reads that, and is empty where only a log hears of it."""

    def __init__(self, english: str, french: str = "") -> None:
        super().__init__(english)
        self.french = french


class Rules(msgspec.Struct, frozen=True):
    """What is allowed. Both are for tests, and for what an operator wrote into the settings."""

    private: bool = False
    """This machine and private networks, but never metadata services."""
    plain: bool = False
    """http beside https."""


STRICT = Rules()


def why_not(address: str, rules: Rules = STRICT) -> str:
    """Return why a numeric address may not be reached; empty: it may."""
    try:
        found: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "no address"
    return _why_not(found, rules)


def _why_not(address: _Address, rules: Rules) -> str:
    inner = _embedded(address)
    if inner is not None and (why := _why_not(inner, rules)):
        return why
    if inner is not None and address not in _COMPATIBLE:
        return ""
    for network, why in _NEVER:
        if address in network:
            return why
    for hidden, networks in _hidden(address):
        for network, why in networks:
            if hidden in network:
                return why
    if rules.private:
        return ""
    for network, why in _PRIVATE:
        if address in network:
            return why
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL:
        return "not a public network"
    return ""


def _embedded(address: _Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for: mapped, translated, compatible."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


_Networks = tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str], ...]


def _hidden(address: _Address) -> list[tuple[ipaddress.IPv4Address, _Networks]]:
    """Return the IPv4 addresses to which a gateway could lead an IPv6 one, and the networks that
    each must not be of.

    Sources: SIIT, RFC 7915's `::ffff:0:a.b.c.d`; 6to4, RFC 3056; Teredo, RFC 4380, section 4, its
    client's address turned over; local NAT64, RFC 8215, whose address lies where RFC 6052, 2.2,
    puts it for prefixes of 48, 56, 64 and 96 bits. Which of these is meant cannot be seen, so
    there what clouds serve is refused at each place, and no more.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return []
    number = int(address)
    if address in _SIIT:
        return [(ipaddress.IPv4Address(number & 0xFFFF_FFFF), _NEVER)]
    if address in _TUNNEL:
        return [(ipaddress.IPv4Address(number >> 80 & 0xFFFF_FFFF), _NEVER)]
    if address in _TEREDO:
        server, client = number >> 64 & 0xFFFF_FFFF, ~number & 0xFFFF_FFFF
        return [(ipaddress.IPv4Address(one), _CLOUDS) for one in (server, client)]
    if address not in _LOCAL_TRANSLATED:
        return []
    # Bits 64 to 71 are no part of the address for the shorter prefixes.
    without = (number >> 64 & 0xFFFF) << 56 | number & (1 << 56) - 1
    after_48 = without >> 40 & 0xFFFF_FFFF
    after_56 = (number >> 64 & 0xFF) << 24 | number >> 32 & 0xFF_FFFF
    after_64 = number >> 24 & 0xFFFF_FFFF
    places = (after_48, after_56, after_64, number & 0xFFFF_FFFF)
    return [(ipaddress.IPv4Address(one), _CLOUDS) for one in places]


def check_url(url: str, rules: Rules = STRICT) -> URL:
    """Return the address, parsed as the client will use it. Raises Forbidden.

    A host that is a name still has to be resolved, and what it resolves to checked by `why_not`.
    """
    if len(url) > URL_LIMIT_CHARS or not url.isprintable() or "\\" in url or " " in url:
        raise Forbidden(
            "The address is too long, or has signs that addresses do not have.",
            "L'adresse est trop longue, ou contient des signes que les adresses n'ont pas.",
        )
    try:
        parsed = URL(url)
        host, port = parsed.raw_host, parsed.port  # as it goes out: IDNA in ASCII
    except (ValueError, UnicodeError) as error:
        raise Forbidden(
            f"{url[:80]!r} is no address.", f"{url[:80]!r} n'est pas une adresse."
        ) from error
    if parsed.scheme not in ({"http", "https"} if rules.plain else {"https"}):
        wanted, voulu = ("https or http", "https ou http") if rules.plain else ("https", "https")
        raise Forbidden(
            f"The address begins with {parsed.scheme or 'nothing'}; {wanted} is allowed.",
            f"L'adresse commence par {parsed.scheme or 'rien'}\u00a0; {voulu} est permis.",
        )
    if not host or not port:
        raise Forbidden("The address names no host.", "L'adresse ne nomme aucun hôte.")
    if parsed.user is not None or parsed.password is not None:
        raise Forbidden(
            "The address holds a name or a password; they would end up in logs.",
            "L'adresse contient un nom ou un mot de passe\u00a0; ils finiraient dans des journaux.",
        )
    check_host(host, rules)
    return parsed


def check_host(host: str, rules: Rules = STRICT) -> None:
    """Raises Forbidden for hosts that may not be reached, as far as their writing tells."""
    low = host.lower().rstrip(".")
    if ":" in low or _NUMERIC.fullmatch(low):
        try:
            address: _Address = ipaddress.ip_address(low.partition("%")[0])
        except ValueError as error:
            raise Forbidden(
                f"{host[:80]!r} is an address in a disguise; write it plainly.",
                f"{host[:80]!r} est une adresse déguisée\u00a0; écrivez-la simplement.",
            ) from error
        if why := _why_not(address, rules):
            raise Forbidden(
                f"{host[:80]} may not be reached: {why}.",
                f"{host[:80]} ne peut pas être joint\u00a0: {FRENCH[why]}.",
            )
        return
    if _NAME.fullmatch(low) is None:
        raise Forbidden(
            f"{host[:80]!r} is no name of a host.", f"{host[:80]!r} n'est pas un nom d'hôte."
        )
    if rules.private:
        return
    if "." not in low or any(low == name or low.endswith("." + name) for name in _LOCAL_NAMES):
        raise Forbidden(
            f"{host[:80]} is a name of a private network.",
            f"{host[:80]} est un nom de réseau privé.",
        )


def next_url(here: URL, location: str, rules: Rules = STRICT) -> URL:
    """Return where a redirect leads, under the same rules. Raises Forbidden.

    From https it never leads back to http, whatever is allowed.
    """
    if len(location) > URL_LIMIT_CHARS or "\\" in location or not location.isprintable():
        raise Forbidden("A redirect leads to what is no address.")
    try:
        there = here.join(URL(location))
    except (ValueError, UnicodeError) as error:
        raise Forbidden("A redirect leads to what is no address.") from error
    if here.scheme == "https" and there.scheme != "https":
        raise Forbidden("A redirect leads from https to plain http.")
    return check_url(str(there), rules)
