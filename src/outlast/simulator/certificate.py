"""A certificate for 127.0.0.1, made for one run by the `openssl` command."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from outlast.simulator.script import ScriptError

# TLS 1.2 alert: level fatal, handshake_failure (RFC 5246, section 7.2).
HANDSHAKE_FAILURE = bytes((0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28))


async def make(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context and the file that clients must trust. Raises ScriptError."""
    key, certificate = folder / "key.pem", folder / "ca.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    try:
        process = await asyncio.create_subprocess_exec(
            *command.split(),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise ScriptError("tls = true needs the `openssl` command; install openssl") from None
    _, complaint = await process.communicate()
    if process.returncode:
        raise ScriptError(f"openssl could not make a certificate: {complaint.decode()[-300:]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
