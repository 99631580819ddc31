"""A public client of Statuspage pages (statuspage-prometheus-exporter) reads ours over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from outlast.status.machines import answer
from outlast.status.view import Snapshot
from tests.status.machine_house import failing, quiet, shot, suspected

SCRIPT = """
import json, sys
from statuspage_prometheus_exporter import service_checker as checker
found = checker.check_status_page_service("ours", checker.SERVICES["ours"])
print("FOUND" + json.dumps(found))
"""


def read(snapshot: Snapshot, folder: Path) -> dict[str, Any]:
    """What the client makes of the page, in a process of its own: it reads files when imported."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answer(snapshot, self.path)
            self.send_response(200 if found is not None and found.found else 404)
            self.end_headers()
            self.wfile.write(found.body if found is not None else b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/api/v2/summary.json"
    services = {"ours": {"name": "ours", "type": "status_page", "url": url}}
    (folder / "services.json").write_text(json.dumps(services))
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, timeout=60, check=True
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    found: dict[str, Any] = json.loads(done.stdout.decode().rpartition("FOUND")[2])
    return found


def test_a_quiet_page_is_read_as_well(tmp_path: Path) -> None:
    found = read(quiet(), tmp_path)
    assert (found["success"], found["status"], found["incident_metadata"]) == (True, 1, [])


def test_an_outage_is_read_with_its_components(tmp_path: Path) -> None:
    found = read(failing(), tmp_path)
    assert (found["success"], found["status"], found["raw_status"]) == (True, 0, "critical")
    names = {one["name"]: one for one in found["incident_metadata"]}
    outage = names["Anthropic: major outage (API)"]
    assert outage["affected_components"] == ["Anthropic API", "Anthropic web"]
    assert outage["shortlink"].endswith("/status/incidents/inc_20260302_a")
    assert [one["status"] for one in found["maintenance_metadata"]] == ["scheduled"]


def test_a_suspicion_is_read_as_minor(tmp_path: Path) -> None:
    found = read(shot(suspected()), tmp_path)
    (one,) = found["incident_metadata"]
    assert (one["impact"], one["name"][:10]) == ("minor", "Suspected:")
