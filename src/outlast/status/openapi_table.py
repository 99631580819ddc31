"""Every route of our own API, with what it takes and gives: the table behind OpenAPI. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from outlast.nouns import ComponentState, Incident
from outlast.observatory.accepting import Asked as Subscribed
from outlast.observatory.acting import Action
from outlast.observatory.board import CrowdState, FeedState
from outlast.observatory.claims import Claim
from outlast.observatory.extent import Extent
from outlast.observatory.report_answer import Answer as ReportAnswer
from outlast.observatory.report_body import Posted
from outlast.status.maintenance import Maintenance, NewWindow, WindowChange
from outlast.status.post_mortems import NewPostMortem, PostMortem

TAGS = {
    "status": "What is known now.",
    "incidents": "Outages, with their history and evidence.",
    "reports": "What people see.",
    "subscriptions": "Being told.",
    "maintenance": "Work that is announced.",
    "operators": "For whoever runs the service: needs the operators' token.",
    "peers": "For other Outlasts.",
    "machines": "The same in formats that other programs know.",
}


class Param(msgspec.Struct, frozen=True):
    name: str
    about: str
    where: str = "query"
    kind: str = "string"
    needed: bool = False


class Operation(msgspec.Struct, frozen=True):
    """One route. `answer` and `body` are types; without an answer it is a text."""

    method: str
    path: str
    about: str
    tag: str
    answer: Any = None
    params: tuple[Param, ...] = ()
    body: Any = None
    auth: str = ""
    """Empty, `operator` or `peer`."""
    status: int = 200
    media_type: str = "application/json"


class WholeIncident(Incident, frozen=True):
    """An incident with what is known around it at this moment."""

    extent: Extent | None = None
    claims: tuple[Claim, ...] = ()
    forecast: Any = None
    """Seconds that it may still last: low_80_s, low_50_s, median_s, high_50_s, high_80_s; or
    n and needed, where there is not enough history."""
    forecast_says: dict[str, str] | None = None


class EverythingNow(msgspec.Struct, frozen=True):
    at: float
    stale: bool
    trouble: str
    says: dict[str, str]
    components: list[ComponentState]
    incidents: list[WholeIncident]
    feeds: list[FeedState]


class Components(msgspec.Struct, frozen=True):
    at: float
    components: list[ComponentState]


class OneComponent(msgspec.Struct, frozen=True):
    at: float
    component: ComponentState
    reports: CrowdState | None = None


class Incidents(msgspec.Struct, frozen=True):
    incidents: list[WholeIncident]
    complete: bool = True
    """False: the database does not answer, so that older ones may be missing."""


class AuditLog(msgspec.Struct, frozen=True):
    entries: list[dict[str, Any]]


class NewClaim(msgspec.Struct, frozen=True):
    """A rumour or a statement that an operator enters."""

    kind: str
    text: dict[str, str]
    sources: list[str]
    cause: str = ""
    surfaces: list[str] = []
    fine: bool | None = None
    ends_at: float | None = None


class ClaimState(msgspec.Struct, frozen=True):
    state: str
    reason: str


class Told(msgspec.Struct, frozen=True):
    """What became of a subscription, in both languages."""

    status: str
    message: dict[str, str]


class Windows(msgspec.Struct, frozen=True):
    at: float
    windows: list[Maintenance]


class OneWindow(msgspec.Struct, frozen=True):
    window: Maintenance
    stored: bool
    """False: the database does not answer; it is stored when it does."""


class ChangedIncident(Incident, frozen=True):
    """An incident as an operator's action has left it."""

    stored: bool = True
    """False: the database does not answer; it is stored when it does, unless the service ends."""


class ChangedClaim(Claim, frozen=True):
    stored: bool = True


class PostMortems(msgspec.Struct, frozen=True):
    versions: list[PostMortem]
    """The newest last: each after the first corrects the one before."""


class OnePostMortem(msgspec.Struct, frozen=True):
    version: PostMortem
    stored: bool


class Draft(msgspec.Struct, frozen=True):
    """Words to start from, by language."""

    update: dict[str, str]
    post_mortem: dict[str, str]


def _in(name: str, about: str) -> Param:
    return Param(name, about, "path", needed=True)


_ID = _in("incident_id", "An incident's id, as the lists give it")
_TOKEN = Param("token", "The token in the subscription's links", needed=True)
_PROVIDER = Param("provider", "Only of this provider")
_LIMIT = Param("limit", "How many at most", kind="integer")
_LANG = Param("lang", "en or fr")
_SCOPE = Param("component", "Of one component or provider alone: `anthropic/api`, `anthropic`")
_NAME = _in("name", "A provider, or a component; its slashes stay as they are")
_O = "operator"

OPERATIONS = (
    Operation("GET", "/api/status", "Everything at once.", "status", EverythingNow),
    Operation("GET", "/api/components", "States with their evidence.", "status", Components,
              (_PROVIDER,)),
    Operation("GET", "/api/components/{name}", "One component, and what people report of it.",
              "status", OneComponent,
              (_in("name", "A component: `anthropic/api`; its slashes stay as they are"),)),
    Operation("GET", "/api/events", "The state, then every change, as server-sent events: "
              "`component` and `incident`.", "status", media_type="text/event-stream"),
    Operation("GET", "/api/incidents", "Open and past ones, the newest first.", "incidents",
              Incidents, (Param("open", "1: open ones alone"), _PROVIDER, _LIMIT,
                          Param("before", "Opened before this time", kind="number"))),
    Operation("GET", "/api/incidents/{incident_id}", "One incident with its history.",
              "incidents", WholeIncident, (_ID,)),
    Operation("POST", "/api/incidents/{incident_id}/actions", "Annotate, confirm a cause, "
              "correct, retract, resolve.", "operators", ChangedIncident, (_ID,), Action, _O),
    Operation("POST", "/api/incidents/{incident_id}/claims", "Enter a rumour or a statement.",
              "operators", ChangedClaim, (_ID,), NewClaim, _O, 201),
    Operation("GET", "/api/incidents/{incident_id}/post-mortem", "What was written when it was "
              "over: every version.", "incidents", PostMortems, (_ID,)),
    Operation("POST", "/api/incidents/{incident_id}/post-mortem", "Write a post-mortem, or a "
              "correction of it with a note that says what it corrects.", "operators",
              OnePostMortem, (_ID,), NewPostMortem, _O, 201),
    Operation("GET", "/api/incidents/{incident_id}/draft", "Words to start an update or a "
              "post-mortem from, made of the incident's own record.", "operators", Draft,
              (_ID,), None, _O),
    Operation("POST", "/api/claims/{claim_id}/state", "Say what has become of a claim.",
              "operators", ChangedClaim, (_in("claim_id", "A claim's id"),), ClaimState, _O),
    Operation("GET", "/api/audit", "Who did what, the newest first.", "operators", AuditLog,
              (_LIMIT, Param("before", "Before this time", kind="number")), None, _O),
    Operation("GET", "/api/maintenance", "Windows of our operators, with their notes.",
              "maintenance", Windows),
    Operation("POST", "/api/maintenance", "Announce a window.", "operators", OneWindow, (),
              NewWindow, _O, 201),
    Operation("POST", "/api/maintenance/{window_id}", "Add a note; move, begin, complete or "
              "cancel a window.", "operators", OneWindow, (_in("window_id", "A window's id"),),
              WindowChange, _O),
    Operation("POST", "/api/reports", "Say that something works for you, or does not. The answer "
              "says what others see.", "reports", ReportAnswer, (), Posted, "", 202),
    Operation("GET", "/api/reports", "What may be posted here, or why not.", "reports"),
    Operation("POST", "/api/subscriptions", "Ask to be told.", "subscriptions", Told, (),
              Subscribed, "", 202),
    Operation("GET", "/api/subscriptions", "What a subscription is.", "subscriptions", None,
              (_TOKEN,)),
    Operation("GET", "/api/subscriptions/confirm", "Leads to the page with the button.",
              "subscriptions", None, (_TOKEN,), None, "", 303, "text/html"),
    Operation("POST", "/api/subscriptions/confirm", "Confirm.", "subscriptions", Told, (_TOKEN,)),
    Operation("GET", "/api/subscriptions/unsubscribe", "Leads to the page with the button.",
              "subscriptions", None, (_TOKEN,), None, "", 303, "text/html"),
    Operation("POST", "/api/subscriptions/unsubscribe", "Leave (RFC 8058).", "subscriptions",
              Told, (_TOKEN,)),
    Operation("POST", "/api/subscriptions/test", "Try an address again that has not answered "
              "yet.", "subscriptions", Told, (_TOKEN,), None, "", 202),
    Operation("POST", "/api/peers/observations", "Another Outlast's probes, signed.", "peers",
              None, (), None, "peer"),
    Operation("GET", "/api/v2/{document}", "Statuspage's JSON, version 2: summary.json, "
              "status.json, components.json, incidents.json, incidents/unresolved.json, "
              "incidents/ID.json, scheduled-maintenances.json and its /upcoming.json and "
              "/active.json.", "machines", None, (_in("document", "`summary.json`"), _LANG)),
    Operation("GET", "/status/{name}/api/v2/{document}", "The same of one provider.", "machines",
              None, (_NAME, _in("document", "`summary.json`"), _LANG)),
    Operation("GET", "/status/feed.{format}", "Updates as a feed.", "machines", None,
              (_in("format", "atom, rss or json"), _SCOPE, _LANG),
              media_type="application/atom+xml"),
    Operation("GET", "/status/badge.svg", "A status as a small picture.", "machines", None,
              (_SCOPE, _LANG), media_type="image/svg+xml"),
    Operation("GET", "/status/widget.js", "A script that shows the status on another site.",
              "machines", media_type="text/javascript"),
    Operation("GET", "/status/widget", "The same as a page for a frame.", "machines", None,
              (Param("scope", "A provider or component"), _LANG), media_type="text/html"),
    Operation("GET", "/status/widget.json", "What both show.", "machines", None,
              (Param("scope", "A provider or component"),)),
)  # fmt: skip
