"""Who may open the operators' pages: tokens, cookies, forms from elsewhere, tries, audit."""

from __future__ import annotations

from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest
from starlette.requests import Request
from starlette.responses import Response
from yarl import URL

from outlast.clock import ManualClock
from outlast.observatory.case_changes import Changes
from outlast.observatory.casebook import Written
from outlast.observatory.operator_gate import TRIES_AT_ONCE, WRITTEN_AT_ONCE, Gate
from outlast.observatory.operators import OperatorToken
from outlast.status.operator_door import BEFORE, COOKIE, Door
from outlast.status.operator_forms import Refused
from outlast.status.operator_http import BODY_LIMIT_BYTES
from outlast.status.operator_session import IDLE_S, LIFE_S, SESSIONS_MAX, Sessions
from tests.observatory.service.test_service import failing
from tests.status.operator_house import Operator, Page, desk, past_incident

TOKEN = "op_0123456789abcdef0123456789abcdef"


async def test_whoever_has_no_session_is_asked_for_the_token_and_sees_nothing(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        for path, status in [
            ("/operator", 200),
            ("/operator/audit", 401),
            ("/operator/incidents", 401),
            (f"/operator/incidents/{incident['id']}", 401),
            (f"/operator/incidents/{incident['id']}/annotate", 401),
            ("/operator/maintenance", 401),
            ("/operator/no/such/page", 401),
        ]:
            page = await operator.get(path)
            assert page.status == status, path
            assert "/operator/sign-in" in page.forms
            assert incident["title"]["en"] not in page.words
        note = [("text_en", "x"), ("step", "publish")]
        page = await operator.post(f"/operator/incidents/{incident['id']}/annotate", note)
        assert page.status == 401
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert len(now["updates"]) == 1


async def test_only_the_token_lets_in_and_every_try_is_in_the_audit_without_what_was_typed(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        token = operator.reader.token
        for wrong in ("", "wrong", token[:-1], f"{token}x", token.upper(), "\u00e9" * 40):
            page = await operator.sign_in("Eve", wrong)
            assert (page.status, "This is not the token." in page.words) == (403, True)
            assert "/operator/sign-in" in (await operator.get("/operator/audit")).forms
        page = await operator.sign_in("Ada", f"  {token}\r\n")
        assert (page.status, "Signed in as Ada" in page.words) == (200, True)
        entries = await operator.audit()
        assert [one["what"] for one in entries] == ["session.opened"] + ["session.refused"] * 6
        assert {one["body"]["network"] for one in entries} == {"127.0.0.0/24"}
        assert "wrong" not in repr(entries)
        assert token not in repr(entries)


async def test_a_sign_in_without_a_name_is_refused_before_the_token_is_looked_at(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        page = await operator.sign_in("\u202e\u200b ")
        assert (page.status, "Give your name" in page.words) == (403, True)
        assert await operator.audit() == []


async def test_who_signs_out_is_out_and_an_old_cookie_opens_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        await operator.sign_in()
        cookies = {one.key: one.value for one in operator.session.cookie_jar}
        page = await operator.get("/operator")
        page = await operator.send(page, "/operator/sign-out")
        assert "You are signed out." in page.words
        async with (
            aiohttp.ClientSession(cookies=cookies) as thief,
            thief.get(operator.reader.running.url + "/operator/audit") as answer,
        ):
            assert answer.status == 401
        assert [one["what"] for one in await operator.audit()] == [
            "session.closed",
            "session.opened",
        ]


async def test_another_token_in_the_file_ends_every_session(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        await operator.sign_in()
        assert (await operator.get("/operator/audit")).status == 200
        (tmp_path / "operator-token").write_text(f"{TOKEN}\n")
        assert (await operator.get("/operator/audit")).status == 401
        await operator.sign_in(token=TOKEN)
        assert (await operator.get("/operator/audit")).status == 200
        (tmp_path / "operator-token").unlink()
        assert (await operator.get("/operator/audit")).status == 401
        page = await operator.sign_in(token="")
        assert "Nobody can sign in" in page.words


async def test_headers_keep_the_pages_out_of_caches_frames_and_search(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        await operator.sign_in()
        for path in ("/operator", "/operator/audit", "/operator/none"):
            page = await operator.get(path)
            found = page.headers
            assert found["cache-control"] == "no-store"
            assert found["x-frame-options"] == "DENY"
            assert found["referrer-policy"] == "same-origin"
            assert found["x-robots-tag"] == "noindex"
            policy = found["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "script-src" not in policy  # there is no script at all
            assert "<script" not in page.body


def cookies_of(page: Page) -> SimpleCookie:
    found: SimpleCookie = SimpleCookie()
    for line in page.headers.getall("set-cookie", []):
        found.load(line)
    return found


async def raw_sign_in(operator: Operator, **headers: str) -> Page:
    """Sign in without going on to where it leads."""
    page = await operator.get("/operator", **headers)
    fields = [("csrf", page.value("csrf")), ("name", "Ada"), ("token", operator.reader.token)]
    url = f"{operator.reader.running.url}/operator/sign-in"
    bound = cookies_of(page)[BEFORE].value
    async with operator.session.post(
        url,
        data=fields,
        headers={**headers, "cookie": f"{BEFORE}={bound}"},
        allow_redirects=False,
    ) as answer:
        return Page(answer.status, await answer.text(), answer.headers, str(answer.url))


@pytest.mark.parametrize(
    ("public", "headers", "secure"),
    [
        ("", {}, False),
        ("https://status.example", {"host": "status.example"}, True),
        ("https://status.example", {}, False),
        ("", {"x-forwarded-proto": "https"}, True),
    ],
)
async def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_other_pages(
    tmp_path: Path, public: str, headers: dict[str, str], secure: bool
) -> None:
    async with desk(tmp_path, public_url=public) as operator:
        page = await raw_sign_in(operator, **headers)
        assert page.status == 303
        cookie = cookies_of(page)[COOKIE]
        assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == (
            "/operator",
            "strict",
            True,
        )
        assert bool(cookie["secure"]) is secure
        assert len(cookie.value) >= 43
        assert cookie.value not in repr(await operator.audit())


async def test_readers_of_the_public_page_get_no_cookie_and_send_none(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        await operator.sign_in()
        for path in ("/status", "/status/history", "/api/status", "/api/audit"):
            page = await operator.get(path)
            assert "set-cookie" not in page.headers
        jar = operator.session.cookie_jar
        sent = jar.filter_cookies(URL(f"{operator.reader.running.url}/status"))
        assert dict(sent) == {}


async def test_a_form_that_is_not_of_this_session_does_nothing_and_keeps_what_was_typed(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/annotate"
        ready = await operator.send(await operator.get(path), path, step="preview", text_en="Mine.")
        for wrong in ("", "x", "\u00e9", ready.value("csrf")[:-1]):
            page = await operator.send(ready, path, step="publish", csrf=wrong)
            assert page.status == 403
            assert page.value("text_en") == "Mine."
        out = await operator.send(await operator.get("/operator"), "/operator/sign-out", csrf="x")
        assert out.status == 403
        assert (await operator.get("/operator/audit")).status == 200
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert len(now["updates"]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_from_another_site_does_nothing(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with desk(tmp_path) as operator:
        incident = await failing(operator.reader)
        await operator.sign_in()
        path = f"/operator/incidents/{incident['id']}/annotate"
        ready = await operator.send(await operator.get(path), path, step="preview", text_en="Mine.")
        page = await operator.send_as(ready, path, headers, step="publish")
        assert (page.status, "from another site" in page.words) == (403, True)
        now = await operator.reader.get(f"/api/incidents/{incident['id']}")
        assert len(now["updates"]) == 1
        fields = [("name", "Ada"), ("token", operator.reader.token), ("csrf", "x")]
        assert (await operator.post("/operator/sign-in", fields, headers)).status == 403


async def test_a_sign_in_that_no_page_of_ours_asked_for_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as operator:
        fields = [("name", "Ada"), ("token", operator.reader.token), ("csrf", "x")]
        page = await operator.post("/operator/sign-in", fields)
        assert page.status == 403
        assert (await operator.get("/operator/audit")).status == 401
        other = await operator.get("/operator")
        operator.session.cookie_jar.clear()
        page = await operator.send(
            other, "/operator/sign-in", name="Ada", token=operator.reader.token
        )
        assert page.status == 403


async def test_what_was_typed_when_the_session_ended_is_there_after_the_next_sign_in(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path, "fr") as operator:
        incident = await past_incident(operator)
        await operator.sign_in()
        path = f"/operator/incidents/{incident.id}/post-mortem"
        page = await operator.get(path)
        text = 'Un\r\n\r\ntexte <b>long</b> & "beau"'
        (tmp_path / "operator-token").write_text(f"{TOKEN}\n")  # which ends every session
        page = await operator.send(page, path, step="preview", text_fr=text, text_en="")
        assert page.status == 401
        assert "Vous n'êtes plus connecté" in page.words
        wrong = await operator.send(page, "/operator/sign-in", name="Ada", token="no")
        assert wrong.status == 403
        page = await operator.send(wrong, "/operator/sign-in", name="Ada", token=TOKEN)
        assert (page.status, "Connecté en tant que Ada" in page.words) == (200, True)
        assert page.value("text_fr") == text
        assert operator.observing.operating.book.of(incident.id) == ()
        page = await operator.send(page, path, step="preview")
        await operator.send(page, path, step="publish")
        (made,) = operator.observing.operating.book.of(incident.id)
        assert made.text == {"fr": text.replace("\r", "")}


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/operator/x",
        "//evil.example/operator/",
        "/operator//evil.example",
        "/operator/../status",
        "/operator/\\evil.example",
        "/status",
        "javascript:alert(1)",
        "/operator/a\nb",
        "",
    ],
)
async def test_a_sign_in_leads_nowhere_but_to_the_operators_pages(tmp_path: Path, to: str) -> None:
    async with desk(tmp_path) as operator:
        page = await operator.get("/operator")
        page = await operator.send(
            page, "/operator/sign-in", name="Ada", token=operator.reader.token, next=to
        )
        assert page.status == 200
        assert page.url.partition("?")[0] == f"{operator.reader.running.url}/operator"


async def test_a_form_that_is_too_long_or_has_too_many_fields_is_refused_in_words(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as operator:
        await operator.sign_in()
        path = "/operator/maintenance"
        page = await operator.post(path, b"text_en=" + b"x" * BODY_LIMIT_BYTES)
        assert page.status == 413
        page = await operator.post(path, b"&".join(b"a=1" for _ in range(500)))
        assert page.status == 400
        page = await operator.post(path, b"\xff\xfe%zz=%ff&csrf=%00")
        assert page.status == 403


class Log:
    """An audit that keeps its entries in a list."""

    def __init__(self) -> None:
        self.found: list[tuple[str, bytes]] = []

    async def commit(self, changes: Changes) -> Written:
        self.found += [(one.what, one.body) for one in changes.audit]
        return Written.STORED


def request(address: str, cookie: str = "") -> Request:
    headers = [(b"host", b"here"), (b"cookie", f"{BEFORE}={cookie}".encode())]
    scope = {
        "type": "http", "method": "POST", "path": "/operator/sign-in", "headers": headers,
        "client": (address, 1), "scheme": "http", "server": ("here", 80), "query_string": b"",
    }  # fmt: skip
    return Request(scope)


class House:
    def __init__(self, folder: Path) -> None:
        (folder / "token").write_text(TOKEN)
        self.clock = ManualClock(1000.0)
        self.token = OperatorToken(folder / "token", make=False)
        self.log = Log()
        self.gate = Gate(self.token, self.log, self.clock)
        self.door = Door(self.gate, self.clock)

    async def try_(self, address: str, token: str) -> str:
        """Empty, or why not."""
        _, mark = self.door.before(request(address, "c"))
        typed = {"csrf": [mark], "name": ["Eve"], "token": [token]}
        try:
            await self.door.sign_in(request(address, "c"), typed, "en")
        except Refused as problem:
            return str(problem)
        return ""


async def test_tries_are_limited_for_each_network_even_with_the_right_token(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    for _ in range(TRIES_AT_ONCE):
        assert "not the token" in await house.try_("192.0.2.7", "no")
    assert "Too many tries" in await house.try_("192.0.2.8", TOKEN)
    assert await house.try_("198.51.100.1", TOKEN) == ""
    assert len(house.log.found) == TRIES_AT_ONCE + 1
    house.clock.advance(3600.0)
    assert await house.try_("192.0.2.8", TOKEN) == ""


async def test_too_many_tries_are_told_with_when_to_come_back(tmp_path: Path) -> None:
    async with desk(tmp_path, "fr") as operator:
        for _ in range(TRIES_AT_ONCE):
            assert (await operator.sign_in(token="no")).status == 403
        page = await operator.sign_in()
        assert (page.status, "Trop d'essais" in page.words) == (429, True)
        assert 0 < int(page.headers["retry-after"]) <= 3600


async def test_a_flood_of_refusals_is_counted_and_the_next_entry_says_how_many(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    for number in range(WRITTEN_AT_ONCE + 25):
        await house.try_(f"10.0.{number}.1", "no")
    assert len(house.log.found) == WRITTEN_AT_ONCE
    house.clock.advance(3600.0)
    await house.try_("10.9.0.1", "no")
    what, body = house.log.found[-1]
    assert (what, b'"missed":25' in body) == ("session.refused", True)


def test_a_session_ends_by_idleness_and_by_age(tmp_path: Path) -> None:
    house = House(tmp_path)
    sessions = Sessions(house.token, house.clock)
    idle = sessions.open("Ada")
    house.clock.advance(IDLE_S)
    assert sessions.find(idle) is not None
    house.clock.advance(IDLE_S + 1)
    assert sessions.find(idle) is None
    busy, began = sessions.open("Bo"), house.clock.at
    while house.clock.at - began + IDLE_S / 2 <= LIFE_S:
        house.clock.advance(IDLE_S / 2)
        assert sessions.find(busy) is not None
    house.clock.advance(IDLE_S / 2)
    assert sessions.find(busy) is None


def test_there_are_so_many_sessions_and_the_one_used_longest_ago_ends(tmp_path: Path) -> None:
    house = House(tmp_path)
    sessions = Sessions(house.token, house.clock)
    first, second = sessions.open("Ada"), sessions.open("Bo")
    for _ in range(SESSIONS_MAX - 2):
        sessions.open("Cy")
    assert sessions.find(first) is not None  # used now: the second is the oldest
    sessions.open("Di")
    assert sessions.find(second) is None
    assert sessions.find(first) is not None


def test_no_two_sessions_share_a_cookie_or_a_form_s_mark(tmp_path: Path) -> None:
    house = House(tmp_path)
    sessions = Sessions(house.token, house.clock)
    cookies = [sessions.open("Ada") for _ in range(50)]
    found = [sessions.find(one) for one in cookies]
    assert len({one.csrf for one in found if one is not None}) == 50
    assert sessions.find("") is None
    assert sessions.find("x" * 1000) is None
    assert sessions.find("\udcff") is None


def test_a_network_is_told_for_people_and_never_a_whole_address(tmp_path: Path) -> None:
    gate = House(tmp_path).gate
    assert gate.network(request("192.0.2.77")) == "192.0.2.0/24"
    assert gate.network(request("2001:db8:1:2::3")) == "2001:db8:1::/48"
    assert gate.network(request("nowhere")) == "?"


def test_cookies_are_dropped_where_they_were_set(tmp_path: Path) -> None:
    door, answer = House(tmp_path).door, Response()
    door.drop_cookie(answer, COOKIE)
    assert "Path=/operator" in answer.headers["set-cookie"]
