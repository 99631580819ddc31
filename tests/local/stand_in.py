"""An engine process without weights, for the supervision's tests: it takes the same orders on
stdin, says the same line on stdout, serves the same health check. The name of the "model" says
how it behaves.
"""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading
from pathlib import Path


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer({"status": "ok"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.send_error(401)
            return
        self._answer({"timings": {"prompt_per_second": 123.0}})

    def _answer(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


task = json.loads(sys.stdin.readline())
KEY = task["api_key"]
how = Path(task["model"]).name
if how == "refuses":
    print(json.dumps({"event": "failed", "why": "this CPU lacks avx2"}), flush=True)
elif how == "dies":
    print("out of luck", file=sys.stderr, flush=True)
    sys.exit(7)
elif how == "talks":
    print("hello", flush=True)
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    print(json.dumps({"event": "ready", "url": url, "load_s": 0.1}), flush=True)
sys.stdin.read()
os._exit(0)
