"""Places far away that a site is brought to, file by file: S3 and what speaks like it, and SFTP.

    s3://bucket/folder?endpoint=https://objects.example&region=eu-west-3
    sftp://user@host:22/srv/www/status

Both come with libraries of their own, loaded when such a place is named: `outlast[s3]` (obstore,
over Apache Arrow's Rust library) and `outlast[sftp]` (asyncssh). No secret stands in an address,
where everybody on the machine could read it: S3's come from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY or the machine's role, SSH's from its agent, keys and ~/.ssh/config. Hosts
that ~/.ssh/known_hosts does not know are refused.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from outlast.status.mirror import COMMAND_LIMIT_S, SAID_LIMIT, MirrorFailed
from outlast.status.uploading import (
    CACHE,
    LEDGER,
    LEDGER_LIMIT_BYTES,
    BadLedger,
    media_type,
    read_ledger,
    upload,
)

AT_ONCE = 16
"""Files on their way to one place at the same time."""
CONNECT_S = 30.0


class Far(Protocol):
    """A place of files. What fails raises anything that is an Exception."""

    async def read(self, name: str, limit_bytes: int) -> bytes | None:
        """None: there is no such file."""
        ...

    async def put(self, name: str, body: bytes) -> None:
        """The file is the old one or the new one, whole, at every moment."""
        ...

    async def remove(self, name: str) -> None:
        """What is not there already is well."""
        ...


def bring(files: Mapping[str, bytes], address: str) -> None:
    """Bring a site to a far place. Raises MirrorFailed."""
    try:
        asyncio.run(_bring(files, opened(address)))
    except MirrorFailed:
        raise
    except TimeoutError:
        why = f"it took longer than {COMMAND_LIMIT_S:.0f} s"
        raise MirrorFailed(f"{address} is not up to date: {why}.") from None
    except BadLedger as error:
        raise MirrorFailed(
            f"{address} was left alone: {error} Is it somebody else's? If not, remove that file."
        ) from error
    except Exception as error:  # two libraries, each with its own families
        why = " ".join(str(_first(error)).split())[:SAID_LIMIT] or type(error).__name__
        raise MirrorFailed(f"{address} is not up to date: {why}.") from error


async def _bring(files: Mapping[str, bytes], place: Callable[[], Any]) -> None:
    async with asyncio.timeout(COMMAND_LIMIT_S), place() as far:
        await bring_to(files, far)


async def bring_to(files: Mapping[str, bytes], far: Far) -> int:
    """Bring what differs, in the order of uploading.py; return how many files that was."""
    known = await far.read(LEDGER, LEDGER_LIMIT_BYTES)
    plan = upload(files, read_ledger(known) if known is not None else {})
    if not plan.before:
        return 0
    await far.put(LEDGER, plan.before)
    for stage in plan.stages:
        await _at_once(far.put(name, files[name]) for name in stage)
    await _at_once(map(far.remove, plan.gone))
    await far.put(LEDGER, plan.after)
    return sum(map(len, plan.stages))


async def _at_once(work: Iterable[Awaitable[None]]) -> None:
    """Do it all, AT_ONCE at a time; the first that fails ends the rest and is raised."""
    todo = iter(work)

    async def some() -> None:
        for one in todo:
            await one

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def opened(address: str) -> Callable[[], Any]:
    """Return what opens that place, as `async with`. Raises MirrorFailed for what is no address."""
    url = urlsplit(address)
    if url.password is not None:
        raise MirrorFailed(
            f"There is a password in the address of {url.hostname}, where everybody on this "
            "machine can read it. Leave it out, and use a key."
        )
    if url.scheme == "s3" and url.netloc:
        return lambda: _bucket(url)
    if url.scheme == "sftp" and url.hostname and url.path.strip("/"):
        return lambda: _folder(url)
    raise MirrorFailed(
        f"{address} is no place to write to: s3://BUCKET/FOLDER?endpoint=https://HOST or "
        "sftp://USER@HOST/FOLDER."
    )


# -- S3 -----------------------------------------------------------------------------------------


class Bucket:
    """A folder of a bucket. An object is put whole or not at all."""

    def __init__(self, store: Any, obstore: Any) -> None:
        self._store = store
        self._obstore = obstore

    async def read(self, name: str, limit_bytes: int) -> bytes | None:
        try:
            found = await self._obstore.get_async(self._store, name)
        except FileNotFoundError:  # obstore's own error for it is one of these
            return None
        if found.meta["size"] > limit_bytes:
            raise BadLedger(f"{name} there is too large.")
        return bytes(await found.bytes_async())

    async def put(self, name: str, body: bytes) -> None:
        about = {"Content-Type": media_type(name), "Cache-Control": CACHE}
        await self._obstore.put_async(
            self._store, name, body, attributes=about, use_multipart=False
        )

    async def remove(self, name: str) -> None:
        await self._obstore.delete_async(self._store, name)


@asynccontextmanager
async def _bucket(url: SplitResult) -> AsyncIterator[Far]:
    try:
        import obstore  # noqa: PLC0415 - an extra
        from obstore.store import S3Store  # noqa: PLC0415
    except ImportError:
        raise MirrorFailed("S3 needs a package: pip install 'outlast[s3]'.") from None
    query = parse_qs(url.query)
    endpoint = query.get("endpoint", [""])[0]
    options: dict[str, Any] = {"region": query.get("region", ["us-east-1"])[0]}
    if endpoint:
        options["endpoint"] = endpoint.rstrip("/")
    yield Bucket(
        S3Store(
            url.netloc,
            prefix=unquote(url.path).strip("/") or None,
            client_options={
                "timeout": "60s",
                "connect_timeout": f"{CONNECT_S:.0f}s",
                # An address without TLS is the operator's own choice; nothing is downgraded.
                "allow_http": endpoint.startswith("http://"),
            },
            retry_config={"max_retries": 3},
            **options,
        ),
        obstore,
    )


# -- SFTP ---------------------------------------------------------------------------------------


class Folder:
    """A folder of a host. A file is written beside its place and moved there in one step."""

    def __init__(self, sftp: Any, root: str) -> None:
        self._sftp = sftp
        self._root = root
        self._made: set[str] = set()

    async def read(self, name: str, limit_bytes: int) -> bytes | None:
        path = posixpath.join(self._root, name)
        if not await self._sftp.exists(path):
            return None
        async with self._sftp.open(path, "rb") as file:
            body: bytes = await file.read(limit_bytes + 1)
        if len(body) > limit_bytes:
            raise BadLedger(f"{name} there is too large.")
        return body

    async def put(self, name: str, body: bytes) -> None:
        path = posixpath.join(self._root, name)
        folder, _, file = path.rpartition("/")
        if folder not in self._made:
            await self._sftp.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        fresh = f"{folder}/.{file}.new"
        async with self._sftp.open(fresh, "wb") as out:
            await out.write(body)
        await self._sftp.posix_rename(fresh, path)

    async def remove(self, name: str) -> None:
        path = posixpath.join(self._root, name)
        if await self._sftp.exists(path):
            await self._sftp.remove(path)


@asynccontextmanager
async def _folder(url: SplitResult) -> AsyncIterator[Far]:
    try:
        import asyncssh  # noqa: PLC0415 - an extra
    except ImportError:
        raise MirrorFailed("SFTP needs a package: pip install 'outlast[sftp]'.") from None
    who: dict[str, Any] = {"username": unquote(url.username)} if url.username else {}
    if url.port is not None:
        who["port"] = url.port
    async with (
        asyncssh.connect(url.hostname, connect_timeout=CONNECT_S, **who) as connection,
        connection.start_sftp_client() as sftp,
    ):
        yield Folder(sftp, unquote(url.path))
