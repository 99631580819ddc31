"""Whatever somebody sends to the operators' pages: an answer in words, and never a crash."""

from __future__ import annotations

import random
from pathlib import Path
from urllib.parse import quote

from tests.observatory.service.test_service import failing
from tests.status.operator_house import desk, past_incident

PARTS = ("..", "%00", "\u202e", "a" * 3000, "<b>", "'", '"', "\\", "{{7*7}}", "annotate", "-1", "é")
TEXTS = ("", "x", "\x00", "\U0001f600", "-1", "1e999", "nan", "9" * 400, "{x}", "%s",
         "2026-03-02T12:30", "whole", "cause")  # fmt: skip
FIELDS = ("text_en", "text_fr", "number", "cause", "kind", "state", "reason", "sources", "after",
          "components", "starts_at", "ends_at", "title_en", "note_en", "step", "seen", "once",
          "template")  # fmt: skip


async def test_no_path_and_no_form_breaks_the_pages(tmp_path: Path) -> None:
    chance = random.Random(7)
    async with desk(tmp_path) as operator:
        open_id = (await failing(operator.reader))["id"]
        past_id = (await past_incident(operator)).id
        await operator.sign_in()
        csrf = (await operator.get("/operator")).value("csrf")
        roots = [f"/operator/incidents/{one}" for one in (open_id, past_id, "inc_none")]
        kinds = (
            "annotate",
            "confirm-cause",
            "correct",
            "retract",
            "resolve",
            "claim",
            "post-mortem",
        )
        paths = [f"{root}/{kind}" for root in roots for kind in kinds]
        paths += [f"{root}/claims/{quote(part)}" for root in roots for part in PARTS]
        paths += [f"/operator/{quote(part)}/{quote(part)}" for part in PARTS]
        paths += [f"/operator/maintenance/{quote(part)}/note" for part in PARTS]
        paths += ["/operator/maintenance", "/operator/audit", "/operator/incidents", "/operator"]
        for path in paths:
            page = await operator.get(path)
            assert page.status in {200, 404}, (path, page.words)
            fields = [(name, chance.choice(TEXTS)) for name in chance.sample(FIELDS, 9)]
            fields += [
                ("csrf", csrf),
                ("step", chance.choice(("preview", "publish", "insert", ""))),
            ]
            page = await operator.post(path, fields)
            assert page.status in {200, 404, 405, 409, 422}, (path, fields, page.words)
        for before in ("nan", "-1", "1e999", "x" * 1000, "1"):
            for path in ("/operator/audit", "/operator/incidents"):
                assert (await operator.get(f"{path}?before={before}")).status == 200
