"""Small bodies in each format, with the shapes that real pages send."""

from __future__ import annotations

import html
from typing import Any

import msgspec

COMPONENTS = {
    "web": ("c1", "claude.ai"),
    "api": ("c2", "Claude API (api.anthropic.com)"),
    "code": ("c3", "Claude Code"),
}


def body(document: object) -> bytes:
    return msgspec.json.encode(document)


def component(key: str, status: str = "operational") -> dict[str, Any]:
    id_, name = COMPONENTS[key]
    return {
        "id": id_,
        "name": name,
        "status": status,
        "updated_at": "2026-03-02T12:06:11.458Z",
        "group": False,
        "group_id": None,
        "only_show_if_degraded": False,
    }


def update(
    status: str, text: str, at: str, changed: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "id": f"u-{at}",
        "status": status,
        "body": text,
        "created_at": at,
        "display_at": at,
        "affected_components": [
            {"code": COMPONENTS[key][0], "name": COMPONENTS[key][1], "old_status": "operational",
             "new_status": status}
            for key, status in (changed or {}).items()
        ]
        or None,
    }  # fmt: skip


def incident(
    id_: str = "0abc",
    status: str = "investigating",
    updates: list[dict[str, Any]] | None = None,
    **fields: object,
) -> dict[str, Any]:
    """Updates come newest first, as Statuspage sends them."""
    return {
        "id": id_,
        "name": "Elevated errors on claude.ai",
        "status": status,
        "impact": "major",
        "created_at": "2026-03-02T11:49:20.831Z",
        "started_at": "2026-03-02T11:49:20.831Z",
        "updated_at": "2026-03-02T11:49:20.921Z",
        "resolved_at": None,
        "shortlink": "https://stspg.io/abc",
        "incident_updates": [
            update("investigating", "We are investigating.", "2026-03-02T11:49:20Z")
        ]
        if updates is None
        else updates,
        "components": [],
        **fields,
    }


def page(**parts: object) -> bytes:
    return body(
        {"page": {"id": "tymt9n04zgry", "name": "Claude", "url": "https://x.test"}, **parts}
    )


def summary(
    incidents: list[dict[str, Any]],
    indicator: str = "major",
    components: list[dict[str, Any]] | None = None,
) -> bytes:
    return page(
        status={"indicator": indicator, "description": "…"},
        components=[component("web"), component("api"), component("code")]
        if components is None
        else components,
        incidents=incidents,
        scheduled_maintenances=[],
    )


def history(incidents: list[dict[str, Any]]) -> bytes:
    return page(incidents=incidents)


def rss(*items: str, channel: str = "<title>Status</title>") -> bytes:
    inner = channel + "".join(items)
    return f'<?xml version="1.0"?><rss version="2.0"><channel>{inner}</channel></rss>'.encode()


ATOM_CONTENT = (
    "<p><small>Mar <var data-var='date'> 2</var>, <var data-var='time'>15:47</var> UTC</small>"
    "<br><strong>Resolved</strong> - This incident has been resolved.</p>"
    "<p><small>Mar  2,\n13:40 UTC</small><br><strong>Update</strong> -\nStill at it.</p>"
    "<p><small>Mar 2, 11:49 UTC</small><br /><strong>Investigating</strong> - We look at it.</p>"
)
ATOM = f"""<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Claude Status - Incident History</title>
<entry>
 <id>tag:status.test,2005:Incident/27</id>
 <published>2026-03-02T11:49:20Z</published><updated>2026-03-02T15:47:09Z</updated>
 <link rel="alternate" type="text/html" href="https://status.test/incidents/27"/>
 <title>Elevated errors</title>
 <content type="html">{html.escape(ATOM_CONTENT)}</content>
</entry></feed>""".encode()

BETTERSTACK: dict[str, Any] = {
    "data": {
        "id": "165",
        "type": "status_page",
        "attributes": {"company_name": "Together", "aggregate_state": "degraded"},
    },
    "included": [
        {
            "id": "61",
            "type": "status_page_resource",
            "attributes": {"public_name": "Inference API", "status": "degraded"},
        },
        {
            "id": "62",
            "type": "status_page_resource",
            "attributes": {"public_name": "Website", "status": "not_monitored"},
        },
        {
            "id": "7",
            "type": "status_report",
            "attributes": {
                "title": "Slow answers",
                "report_type": "manual",
                "starts_at": "2026-03-02T11:49:00.000Z",
                "ends_at": None,
                "aggregate_state": "degraded",
                "affected_resources": [{"status_page_resource_id": "61", "status": "degraded"}],
            },
            "relationships": {"status_updates": {"data": [{"id": "9", "type": "status_update"}]}},
        },
        {
            "id": "9",
            "type": "status_update",
            "attributes": {
                "message": "<p>We look at it.</p>",
                "published_at": "2026-03-02T11:50:00.000Z",
            },
        },
    ],
}

GOOGLE: list[dict[str, Any]] = [
    {
        "id": "gOpen",
        "number": "1",
        "begin": "2026-03-02T10:00:00+00:00",
        "created": "2026-03-02T10:05:00+00:00",
        "modified": "2026-03-02T10:30:00+00:00",
        "external_desc": "Vertex Gemini API customers see errors.",
        "updates": [
            {"when": "2026-03-02T10:30:00+00:00", "status": "SERVICE_OUTAGE", "text": "Still."},
            {"when": "2026-03-02T10:05:00+00:00", "status": "SERVICE_OUTAGE", "text": "We look."},
        ],
        "status_impact": "SERVICE_OUTAGE",
        "severity": "high",
        "service_name": "Vertex Gemini API",
        "affected_products": [{"title": "Vertex Gemini API", "id": "Z0"}],
        "uri": "incidents/gOpen",
    },
    {
        "id": "gOver",
        "begin": "2026-03-01T10:00:00+00:00",
        "end": "2026-03-01T11:00:00+00:00",
        "external_desc": "Compute Engine in one zone.",
        "updates": [
            {"when": "2026-03-01T11:00:00+00:00", "status": "AVAILABLE", "text": "Over."},
        ],
        "status_impact": "SERVICE_DISRUPTION",
        "affected_products": [{"title": "Google Compute Engine", "id": "L1"}],
        "uri": "incidents/gOver",
    },
]
