"""One upstream, step by step: DNS, TCP, TLS, key, one token, streaming.

Each step is tried by itself, so that the first ✗ tells where it breaks. Blocking, one thread per
upstream; the request's path and credential are the ones that the gateway uses.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from outlast.config import Settings, UpstreamSettings
from outlast.doctor.findings import Finding, Mark, certificate, streaming
from outlast.gateway.inward import API_PATHS, MODELS_PATH, api_headers, model_names, request_body
from outlast.gateway.prepare import url_path
from outlast.gateway.transport import credential_headers
from outlast.network import days_left, tls_context
from outlast.observatory.probe_targets import MAX_TOKENS, QUESTION

BODY_LIMIT_BYTES = 1 << 20
STEPS = ("DNS", "TCP", "TLS", "key", "one token", "streaming")
EVENTS_MAX = 500


class Stop(Exception):
    """A step failed; the later ones make no sense."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what)
        self.todo = todo


class Examination:
    """The steps for one upstream, in order. `skews` gets what its clock says of ours."""

    def __init__(self, settings: Settings, upstream: UpstreamSettings, model: str) -> None:
        self.settings = settings
        self.upstream = upstream
        self.timeouts = settings.timeouts_of(upstream.name)
        self.model = model
        self.parts = urlsplit(upstream.base_url)
        self.host = self.parts.hostname or ""
        self.secure = self.parts.scheme == "https"
        self.port = self.parts.port or (443 if self.secure else 80)
        self.skews: list[float] = []

    def run(self) -> list[Finding]:
        """All findings; after the first failure, the rest are marked as skipped."""
        found: list[Finding] = []
        for step, act in zip(STEPS, (self._dns, self._tcp, self._tls, self._key), strict=False):
            try:
                found.append(act())
            except Stop as stop:
                found.append(self._finding(step, Mark.FAILED, str(stop), stop.todo))
                break
        else:
            found += self._answer()
        done = {finding.check for finding in found}
        return found + [
            self._finding(step, Mark.SKIPPED, "an earlier step failed")
            for step in STEPS
            if step not in done
        ]

    def _finding(
        self, check: str, mark: Mark, what: str, todo: str = "", took_s: float | None = None
    ) -> Finding:
        return Finding(self.upstream.name, check, mark, what, todo, took_s)

    def _dns(self) -> Finding:
        began = time.monotonic()
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Stop(
                f"{self.host} has no address: {error.strerror or error}",
                "Check the name in base_url, and this machine's network and resolver.",
            ) from error
        addresses = sorted({str(entry[4][0]) for entry in found})
        what = ", ".join(addresses[:3]) + (" …" if len(addresses) > 3 else "")
        return self._finding("DNS", Mark.OK, what, took_s=time.monotonic() - began)

    def _tcp(self) -> Finding:
        began = time.monotonic()
        try:
            with self._connect():
                pass
        except OSError as error:
            raise Stop(
                f"no connection to port {self.port}: {_why(error)}",
                "Is the port right, is a firewall between, or is the upstream down?",
            ) from error
        what = f"port {self.port} open"
        return self._finding("TCP", Mark.OK, what, took_s=time.monotonic() - began)

    def _tls(self) -> Finding:
        if not self.secure:
            loopback = self.host in {"localhost", "::1"} or self.host.startswith("127.")
            if loopback:
                return self._finding("TLS", Mark.OK, "plain HTTP on this machine")
            return self._finding(
                "TLS",
                Mark.WARNING,
                "plain HTTP: key and content can be read on the way",
                "Use an https:// address if there is one.",
            )
        began = time.monotonic()
        try:
            with (
                self._connect() as raw,
                self._context().wrap_socket(raw, server_hostname=self.host) as tls,
            ):
                left = days_left(tls.getpeercert(), time.time())
        except ssl.SSLCertVerificationError as error:
            raise Stop(
                f"certificate refused: {error.verify_message}",
                "If a proxy of your own signs certificates, name its CA with ca_file; else do "
                "not go on: someone may be in between.",
            ) from error
        except OSError as error:
            raise Stop(
                f"no TLS: {_why(error)}", "Does this port speak https? Check base_url."
            ) from error
        took_s = time.monotonic() - began
        if left is None:
            todo = "Turn verify on again after the test."
            return self._finding("TLS", Mark.WARNING, "certificate not checked", todo, took_s)
        return certificate(self.upstream.name, left, took_s)

    def _key(self) -> Finding:
        """The list of models: free of charge, and it needs the key."""
        status, body = self._ask("GET", MODELS_PATH, None)
        if status in {401, 403}:
            raise Stop(
                f"HTTP {status}: {_message(body)}",
                f"Check the key in {self.upstream.key_env or self.upstream.key_file or 'key_env'}.",
            )
        if status == 200:
            names = model_names(body) or []
            if not self.model and names:
                self.model = names[0]
            return self._finding("key", Mark.OK, f"accepted; {len(names)} models listed")
        return self._finding(
            "key", Mark.OK, f"not refused (its list of models answers HTTP {status})"
        )

    def _answer(self) -> list[Finding]:
        """One small streamed answer, for two checks: that it comes, and that it comes in pieces."""
        if not self.model:
            todo = "Name a model in a route to this upstream, so that there is one to ask."
            return [
                self._finding(step, Mark.SKIPPED, "no model known to ask", todo)
                for step in ("one token", "streaming")
            ]
        try:
            arrivals_s, failure = self._stream()
        except Stop as stop:
            return [self._finding("one token", Mark.FAILED, str(stop), stop.todo)]
        if failure:
            todo = "The upstream says why; its status page may say more."
            return [self._finding("one token", Mark.FAILED, failure, todo)]
        first = (
            [self._finding("one token", Mark.OK, f"{self.model} answered", took_s=arrivals_s[0])]
            if arrivals_s
            else []
        )
        return [*first, streaming(self.upstream.name, arrivals_s)]

    def _stream(self) -> tuple[list[float], str]:
        """When each event arrived, and what an error event said."""
        made = request_body(self.upstream.kind, self.model, QUESTION, MAX_TOKENS)
        body = msgspec.json.encode(made)
        began = time.monotonic()
        arrivals_s: list[float] = []
        with self._connection() as connection:
            response = self._send(connection, "POST", API_PATHS[self.upstream.kind], body)
            if response.status != 200:
                refusal = response.read(BODY_LIMIT_BYTES)
                return [], f"HTTP {response.status}: {_message(refusal)}"
            try:
                while line := response.readline(BODY_LIMIT_BYTES):
                    took_s = time.monotonic() - began
                    if len(arrivals_s) == EVENTS_MAX or took_s > self.timeouts.whole_s:
                        break
                    if not line.startswith(b"data:"):
                        continue
                    arrivals_s.append(took_s)
                    if said := _error(line):
                        return arrivals_s, f"HTTP 200, then an error inside: {said}"
            except (OSError, http.client.HTTPException) as error:
                return arrivals_s, f"broke off after {len(arrivals_s)} events: {_why(error)}"
        return arrivals_s, ""

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        with self._connection() as connection:
            response = self._send(connection, method, path, body)
            try:
                return response.status, response.read(BODY_LIMIT_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise Stop(f"the answer broke off: {_why(error)}", "Try again.") from error

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
    ) -> http.client.HTTPResponse:
        headers = {
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "outlast-doctor",
            **api_headers(self.upstream.kind),
            **self.upstream.headers,
            **credential_headers(self.upstream),
        }
        full = url_path(self.upstream.base_url, self.upstream.kind, path)
        try:
            connection.request(method, full, body, headers)
            if connection.sock is not None:
                connection.sock.settimeout(self.timeouts.first_byte_s)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Stop(
                f"no answer: {_why(error)}", "The upstream may be down; its status page may tell."
            ) from error
        if date := response.getheader("date"):
            self._note_clock(date)
        return response

    def _note_clock(self, date: str) -> None:
        try:
            self.skews.append(time.time() - parsedate_to_datetime(date).timestamp())
        except ValueError:
            return  # an upstream with a broken clock says nothing about ours

    def _connection(self) -> contextlib.closing[http.client.HTTPConnection]:
        timeout = self.timeouts.connect_s
        if not self.secure:
            return contextlib.closing(
                http.client.HTTPConnection(self.host, self.port, timeout=timeout)
            )
        context = self._context()
        return contextlib.closing(
            http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)
        )

    def _connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=self.timeouts.connect_s)

    def _context(self) -> ssl.SSLContext:
        return tls_context(self.settings, self.upstream)


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "time-out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _message(body: bytes) -> str:
    """The vendor's own words from an error body, cut short."""
    try:
        error = msgspec.json.decode(body).get("error")
    except (msgspec.DecodeError, AttributeError, UnicodeDecodeError):
        return "not an answer of this API" if body else "no body"
    said = error.get("message") if isinstance(error, dict) else error
    return str(said)[:200]


def _error(line: bytes) -> str:
    """What an event of a stream says went wrong; empty when it is no error."""
    try:
        event = msgspec.json.decode(line.removeprefix(b"data:").strip())
    except msgspec.DecodeError:
        return ""
    if not isinstance(event, dict) or not event.get("error"):
        return ""
    return _message(msgspec.json.encode(event))
