"""A site that is brought away file by file: never a dead link, and right after any cut."""

from __future__ import annotations

import re
from posixpath import dirname, join, normpath

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.words import Lang
from outlast.status.far import bring_to
from outlast.status.page import Renderer
from outlast.status.site import site
from outlast.status.uploading import (
    LEDGER,
    BadLedger,
    media_type,
    read_ledger,
    upload,
)
from outlast.status.view import Snapshot
from tests.status.machine_house import failing, quiet

RENDERER = Renderer()


class Cut(Exception):
    """The line went dead."""


class Memory:
    """A place that can be cut off before any of its changes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.steps: list[str] = []
        self.cut_at: int | None = None

    def _step(self, name: str) -> None:
        if self.cut_at is not None and len(self.steps) >= self.cut_at:
            raise Cut
        self.steps.append(name)
        self.look()

    def look(self) -> None:
        """Called before each change; tests look around here."""

    async def read(self, name: str, limit_bytes: int) -> bytes | None:
        assert len(self.files.get(name, b"")) <= limit_bytes
        return self.files.get(name)

    async def put(self, name: str, body: bytes) -> None:
        self._step(f"put {name}")
        self.files[name] = body

    async def remove(self, name: str) -> None:
        self._step(f"remove {name}")
        self.files.pop(name, None)

    def without_ledger(self) -> dict[str, bytes]:
        return {name: body for name, body in self.files.items() if name != LEDGER}


SITES = st.dictionaries(
    st.sampled_from(["a.html", "b/c.html", "b/d.json", "e.svg", "b/f/g.html"]),
    st.sampled_from([b"one", b"two", b"three"]),
)


@given(sites=st.lists(SITES, min_size=1, max_size=4), cuts=st.lists(st.integers(0, 12), max_size=3))
async def test_whatever_is_cut_off_when_the_next_whole_run_puts_right(
    sites: list[dict[str, bytes]], cuts: list[int]
) -> None:
    far = Memory()
    for number, files in enumerate(sites):
        far.steps.clear()
        far.cut_at = cuts[number] if number < len(cuts) else None
        try:
            await bring_to(files, far)
        except* Cut:
            pass
    far.cut_at = None
    await bring_to(sites[-1], far)
    assert far.without_ledger() == sites[-1]
    far.steps.clear()
    assert await bring_to(sites[-1], far) == 0
    assert far.steps == []


ENTRIES = ("index.html", "index.fr.html")


class Watched(Memory):
    """A place where a reader walks from the entry to every page, before each change."""

    def look(self) -> None:
        waiting: list[str] = [one for one in ENTRIES if one in self.files]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            body = self.files[name].decode()
            for link in re.findall(r'href="([^"#:]+)(?:#[^"]*)?"', body):
                goal = normpath(join(dirname(name), link))
                assert goal in self.files, f"{name} leads to {goal}, after {self.steps[-1:]}"
                if goal.endswith(".html"):
                    waiting.append(goal)


def written(view: Snapshot) -> dict[str, bytes]:
    def render(view: Snapshot, path: str, lang: Lang, month: str) -> bytes:
        return RENDERER.render(view, path, lang, month=month, static=True).body

    return site(view, render)


async def test_no_reader_is_led_to_a_file_that_is_not_there_at_any_moment() -> None:
    far = Watched()
    bad = written(failing())
    without_links_out = {name: body.replace(b'href="/', b'href="x:/') for name, body in bad.items()}
    calm = {n: b.replace(b'href="/', b'href="x:/') for n, b in written(quiet()).items()}
    for files in (calm, without_links_out, calm):
        await bring_to(files, far)
        far.look()
    pages = [step for step in far.steps if step.startswith("put") and step.endswith(".html")]
    assert pages[-1] in {"put index.html", "put index.fr.html"}


def test_what_others_put_there_is_left_alone() -> None:
    plan = upload({"a.html": b"1"}, {"old.html": "x"})
    assert plan.gone == ("old.html",)
    assert upload({"a.html": b"1"}, {}).gone == ()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "", "a\x00b"])
def test_a_ledger_that_was_tampered_with_removes_nothing_elsewhere(name: str) -> None:
    assert upload({}, {name: "x"}).gone == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"a": 1}'])
def test_a_file_that_is_no_ledger_is_not_taken_for_one(body: bytes) -> None:
    with pytest.raises(BadLedger):
        read_ledger(body)


def test_what_is_about_to_change_is_marked_before_it_does() -> None:
    first = upload({"a": b"1", "b": b"2"}, {})
    there = read_ledger(first.after)
    plan = upload({"a": b"1", "b": b"3"}, {**there, "c": "x"})
    assert msgspec.json.decode(plan.before) == {"a": there["a"], "b": "", "c": ""}
    assert plan.stages == (("b",),)


def test_every_file_of_a_site_has_a_type_that_browsers_know() -> None:
    kinds = {media_type(name) for name in written(failing())}
    assert kinds == {
        "text/html; charset=utf-8",
        "application/json; charset=utf-8",
        "application/feed+json; charset=utf-8",
        "application/atom+xml; charset=utf-8",
        "application/rss+xml; charset=utf-8",
        "image/svg+xml; charset=utf-8",
        "text/javascript; charset=utf-8",
        "text/plain; charset=utf-8",
    }
    assert media_type("status/anthropic/feed.fr.json").startswith("application/feed+json")
    assert media_type("status/x/odd") == "application/octet-stream"
