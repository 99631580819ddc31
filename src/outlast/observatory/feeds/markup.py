"""XML from outside, read without its dangers: no DTD, no entities, bounded depth and size. Pure.

The standard library's expat with handlers of our own. Entities can only be declared in a document
type declaration, and one is refused where it begins: neither the "billion laughs" nor an external
file is ever reached (the documentation of `xml.parsers.expat` and of defusedxml name both).
Encodings are those of an allow-list, because Python would hand any other name to its codecs.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from outlast.observatory.feeds.reading import FeedUnreadable, check_size, looks_like_html

DEPTH_LIMIT = 32
ELEMENTS_LIMIT = 50_000
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "utf-16"})
_DECLARED = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")


class Element:
    """An element: its local name, its namespace, its text and its children."""

    __slots__ = ("attributes", "children", "name", "namespace", "parts")

    def __init__(self, name: str, namespace: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.namespace = namespace
        self.attributes = attributes
        self.children: list[Element] = []
        self.parts: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def all(self, name: str) -> list[Element]:
        return [one for one in self.children if one.name == name]

    def first(self, *names: str) -> Element | None:
        """The first child that has the first of `names` that occurs."""
        for name in names:
            for one in self.children:
                if one.name == name:
                    return one
        return None

    def words(self, *names: str) -> str:
        found = self.first(*names)
        return found.text if found is not None else ""

    def inner(self) -> str:
        """All text below: for Atom's `xhtml` contents."""
        parts: list[str] = []
        waiting: list[Element] = [self]
        while waiting:
            one = waiting.pop()
            parts.append(one.text)
            waiting.extend(reversed(one.children))
        return "\n".join(part for part in parts if part.strip())


class _Refused(Exception):
    """Carries the reason, in a few words."""


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > ELEMENTS_LIMIT or len(self._open) >= DEPTH_LIMIT:
            raise _Refused("it has too many elements, or they are nested too deep")
        namespace, _, local = name.rpartition(" ")
        element = Element(local, namespace, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def characters(self, text: str) -> None:
        if self._open:
            self._open[-1].parts.append(text)


def parse_xml(body: bytes, feed: str) -> Element:
    """Return the root. Raises FeedUnreadable."""
    check_size(body, feed)
    builder = _Builder()
    try:
        parser = expat.ParserCreate(_encoding(body), " ")
        parser.buffer_text = True
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.characters
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.Parse(body, True)
    except (expat.ExpatError, _Refused, ValueError, LookupError) as error:
        what = "a web page came" if looks_like_html(body) else f"it cannot be read ({error})"
        raise FeedUnreadable(
            f"The feed {feed} should be RSS or Atom, but {what}. The vendor's page may be failing, "
            "or the address may be wrong."
        ) from error
    if builder.root is None:
        raise FeedUnreadable(f"The feed {feed} is XML without any element.")
    return builder.root


def _refuse_doctype(*_declaration: object) -> None:
    raise _Refused("it declares a document type, which a feed does not need")


def _encoding(body: bytes) -> str | None:
    """Return the encoding to read with; None leaves it to the byte order mark, or UTF-8."""
    found = _DECLARED.match(body[:400])
    if found is None:
        return None
    name = found[1].decode("ascii").lower()
    if name not in _ENCODINGS:
        raise _Refused(f"its encoding {name} is not one that feeds use")
    # Expat reads UTF-16 by its byte order mark; forcing it would break what only claims to be.
    return None if name == "utf-16" else {"utf8": "utf-8", "ascii": "us-ascii",
                                          "latin-1": "iso-8859-1"}.get(name, name)  # fmt: skip
