"""The peers: installed once into .cache/peers, each in an environment of its own, on loopback.

Versions are pinned. Each runs one worker, with its logs and its database off where it can: the
least that it can cost.
"""

from __future__ import annotations

from bench.overhead.servers import Server, program


class Haproxy(Server):
    """A second bare relay."""

    name = "haproxy"
    _program = ""

    async def prepare(self) -> None:
        self._program = program("haproxy", "haproxy")

    async def start(self) -> str:
        path = self.write(
            "haproxy.cfg",
            f"""
global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  option http-keep-alive
  option http-no-delay
  http-reuse always
frontend front
  bind 127.0.0.1:{self.port} backlog 4096
  default_backend vendor
backend vendor
  server vendor 127.0.0.1:{self._vendor.port}
""",
        )
        self.settings = [
            "one thread, http-reuse always, http-no-delay (without it events wait for 200 ms)"
        ]
        await self.run([self._program, "-db", "-f", str(path)])
        return f"http://127.0.0.1:{self.port}/"


ALL: dict[str, type[Server]] = {"haproxy": Haproxy}
