"""The document of our API, held against the routes themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from openapi_spec_validator import validate
from starlette.routing import Route

from outlast.observatory import peers, report_http
from outlast.observatory.http import ObservatoryApi
from outlast.observatory.subscribe_http import SubscriptionsApi
from outlast.status import openapi
from outlast.status.openapi_table import OPERATIONS, TAGS
from tests.status.machine_house import BASE

DOCUMENT: dict[str, Any] = msgspec.json.decode(openapi.document(BASE))


def routes() -> Iterator[tuple[str, str]]:
    """Method and path of every route below /api, as the parts of the service declare them."""
    for part in (ObservatoryApi, SubscriptionsApi):
        # `routes` reads nothing of the object but its own methods.
        for route in part.routes(part.__new__(part)):  # type: ignore[arg-type]
            assert isinstance(route, Route)
            path = re.sub(r":\w+}", "}", route.path)
            for method in route.methods or ():
                if method != "HEAD":
                    yield method, path
    yield "POST", peers.PATH
    yield "POST", report_http.PATH
    yield "GET", report_http.PATH


def test_every_route_is_documented() -> None:
    documented = {(one.method, one.path) for one in OPERATIONS}
    assert set(routes()) - documented == set()
    assert len(list(routes())) > 15


def test_what_is_documented_once_is_documented_well() -> None:
    names = [openapi.operation_id(one) for one in OPERATIONS]
    assert len(set(names)) == len(names)
    assert {one.tag for one in OPERATIONS} == set(TAGS)
    for one in OPERATIONS:
        wanted = set(re.findall(r"{(\w+)}", one.path))
        assert {p.name for p in one.params if p.where == "path"} == wanted, one.path
        assert one.about.endswith(".") or one.about.endswith("`."), one.path


def test_what_needs_a_token_says_so() -> None:
    act = DOCUMENT["paths"]["/api/incidents/{incident_id}/actions"]["post"]
    assert act["security"] == [{"operator": []}]
    assert "security" not in DOCUMENT["paths"]["/api/status"]["get"]


def test_every_reference_leads_somewhere() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert wanted <= set(DOCUMENT["components"]["schemas"])
    assert {"Incident", "ComponentState", "Action", "Problem"} <= wanted | {"Incident"}


def test_a_validator_finds_no_fault() -> None:
    validate(DOCUMENT)
