"""The key that links, tokens and webhooks' secrets are made from: a file, made at the first start.

It lies in the data folder, readable by its owner alone. Replicas need the same file; a backup
should have it, because with another key every webhook's secret is another.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from outlast.observatory.notify_signing import KEY_BYTES

NAME = "notify-key"


class BadKeyFile(Exception):
    """The key file cannot be used; its message says why and what to do."""


def load_or_make(folder: Path) -> bytes:
    """The key of a data folder. Raises BadKeyFile, and OSError where the disk will not.

    Two processes that start at once on one folder get the same key: the file appears whole or not
    at all, and who comes second reads the first one's.
    """
    path = folder / NAME
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        fresh = folder / f".{NAME}.{os.getpid()}.{secrets.token_hex(4)}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink(missing_ok=True)
    try:
        key = bytes.fromhex(path.read_bytes()[:200].decode("ascii").strip())
    except (UnicodeDecodeError, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKeyFile(
            f"{path} is not a key of notices: it should hold {2 * KEY_BYTES} hexadecimal digits. "
            "Restore it from a backup; or delete it, and every webhook's secret and every link in "
            "a mail is another from then on."
        )
    return key
