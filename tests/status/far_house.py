"""Two places far away, on this machine: a bucket that checks every signature, and an SSH server."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import asyncssh

KEY_ID, SECRET = "AKIDOFTHETESTS", "a-secret-of-the-tests-and-of-nothing-else"


class Objects:
    """What a bucket holds, and what was asked of it."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.heads: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.fail: str = ""
        """Requests for keys that hold this are answered with 500."""
        self.port = 0


def signature_of(method: str, url: str, heads: dict[str, str], body: bytes) -> str:
    """The signature that this request should carry (AWS Signature Version 4); "" for no request
    that can be checked."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
        r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
        heads.get("authorization", ""),
    )
    if found is None or found[1] != KEY_ID:
        return ""
    _, day, region, signed, _ = found.groups()
    claimed = heads.get("x-amz-content-sha256", "")
    if claimed != hashlib.sha256(body).hexdigest():
        return ""
    parts = urlsplit(url)
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    )
    names = signed.split(";")
    lines = "".join(f"{name}:{' '.join(heads.get(name, '').split())}\n" for name in names)
    whole = "\n".join((method, parts.path, query, lines, signed, claimed))
    scope = f"{day}/{region}/s3/aws4_request"
    digest = hashlib.sha256(whole.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{heads.get('x-amz-date', '')}\n{scope}\n{digest}"
    key = f"AWS4{SECRET}".encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


@contextmanager
def bucket() -> Iterator[Objects]:
    """A bucket `status` that takes no request whose signature is wrong."""
    held = Objects()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            heads = {name.lower(): value for name, value in self.headers.items()}
            key = unquote(urlsplit(self.path).path).removeprefix("/status").removeprefix("/")
            held.asked.append(f"{self.command} {key}")
            wanted = signature_of(self.command, self.path, heads, body)
            if not wanted or wanted not in heads.get("authorization", ""):
                held.refused.append(f"{self.command} {key}")
                self._answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            elif held.fail and held.fail in key:
                self._answer(500, b"<Error><Code>InternalError</Code></Error>")
            else:
                self._act(key, heads, body)

        def _act(self, key: str, heads: dict[str, str], body: bytes) -> None:
            if self.command == "PUT":
                held.bodies[key] = body
                held.heads[key] = heads
                self._answer(200, b"", etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')
            elif self.command == "POST":
                self._remove_many(body, heads)
            elif self.command == "DELETE":
                held.bodies.pop(key, None)
                self._answer(204, b"")
            elif key in held.bodies:
                self._answer(200, held.bodies[key], etag='"1"')
            else:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def _remove_many(self, body: bytes, heads: dict[str, str]) -> None:
            """DeleteObjects: the keys as XML, guarded by a checksum of some kind."""
            assert any(name.startswith(("content-md5", "x-amz-checksum")) for name in heads)
            keys = re.findall(r"<Key>([^<]+)</Key>", body.decode())
            for key in keys:
                held.bodies.pop(key, None)
            gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            held.asked[-1] = f"DELETE {' '.join(keys)}"
            self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

        def _answer(self, status: int, body: bytes, **more: str) -> None:
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("last-modified", "Mon, 02 Mar 2026 12:00:00 GMT")
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = _serve  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Disk:
    """An SSH server that gives out a folder by SFTP, to one key alone."""

    def __init__(self, port: int, root: Path, home: Path) -> None:
        self.port = port
        self.root = root
        self.home = home
        """With .ssh: the client's key, and the server's among the known hosts."""

    def address(self, folder: str) -> str:
        return f"sftp://reader@127.0.0.1:{self.port}/{folder}"


@asynccontextmanager
async def ssh(folder: Path, *, known: bool = True) -> AsyncIterator[Disk]:
    """`known`: whether the client knows the host."""
    root, home = folder / "far", folder / "home"
    (home / ".ssh").mkdir(parents=True)
    root.mkdir()
    host, mine = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    mine.write_private_key(str(home / ".ssh" / "id_ed25519"))
    allowed = asyncssh.import_authorized_keys(mine.export_public_key().decode())

    def rooted(channel: Any) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=bytes(root))

    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[host], authorized_client_keys=allowed,
        sftp_factory=rooted,
    )  # fmt: skip
    port = server.sockets[0].getsockname()[1]
    line = host.export_public_key().decode() if known else ""
    text = f"[127.0.0.1]:{port} {line}" if known else ""
    (home / ".ssh" / "known_hosts").write_text(text)
    try:
        yield Disk(port, root, home)
    finally:
        server.close()
        await server.wait_closed()
