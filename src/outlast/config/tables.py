"""The two open-ended tables of the file: `[upstreams.NAME]` and `[[routes]]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints
from urllib.parse import urlsplit

import msgspec

from outlast.config.problems import expected, looks_like_a_key, shown, suggestion
from outlast.config.settings import (
    CandidateSettings,
    LocalSettings,
    RouteSettings,
    Secret,
    TimeoutSettings,
    UpstreamSettings,
)
from outlast.nouns import Kind

if TYPE_CHECKING:
    from outlast.config.load import Reader

LOCAL = "local"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62})")
KEY_FILE_LIMIT_BYTES = 64 << 10
UPSTREAMS_MAX = 200
ROUTES_MAX = 2000
CANDIDATES_MAX = 50
CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie", "x-goog-api-key"}
)
_LITERAL_KEYS = frozenset({"key", "api_key", "apikey", "token", "secret", "password"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def read_upstreams(
    reader: Reader, given: Any, timeouts: TimeoutSettings, base_dir: Path
) -> dict[str, UpstreamSettings]:
    """Every `[upstreams.NAME]`; those with a problem are left out."""
    found: dict[str, UpstreamSettings] = {}
    tables = reader.table("upstreams", given)
    if len(tables) > UPSTREAMS_MAX:
        reader.problem("upstreams", f"there are more than {UPSTREAMS_MAX}.")
    for name, value in list(tables.items())[:UPSTREAMS_MAX]:
        path = f"upstreams.{name}"
        before = len(reader.problems)
        if name == LOCAL:
            reader.problem(
                path, "this name belongs to the embedded model; set that one in [local]."
            )
        elif not NAME.fullmatch(name):
            reader.problem(
                path, "a name has small letters, digits, - and _, and at most 63 of them."
            )
        upstream = _read_upstream(reader, name, path, reader.table(path, value), timeouts, base_dir)
        if upstream is not None and len(reader.problems) == before:
            found[name] = upstream
    return found


def _read_upstream(
    reader: Reader,
    name: str,
    path: str,
    table: dict[str, Any],
    timeouts: TimeoutSettings,
    base_dir: Path,
) -> UpstreamSettings | None:
    for word in sorted(_LITERAL_KEYS & table.keys()):
        reader.problem(
            f"{path}.{word}",
            "a secret does not belong in this file. Put it into an environment variable and "
            f'name that: key_env = "{_env_name(name)}", or into a file: key_file = "…".',
        )
    table = {k: v for k, v in table.items() if k not in _LITERAL_KEYS}
    fields = reader.fields(path, UpstreamSettings, table, skip=("timeouts",))
    if "timeouts" in table:
        own = reader.table(f"{path}.timeouts", table["timeouts"])
        if "deadline_s" in own:
            reader.problem(
                f"{path}.timeouts.deadline_s",
                "the deadline is one for the whole request; set it in [timeouts].",
            )
        changed = reader.fields(f"{path}.timeouts", TimeoutSettings, own, skip=())
        fields["timeouts"] = msgspec.structs.replace(timeouts, **changed)
        reader.origins[f"{path}.timeouts"] = reader.place(f"{path}.timeouts")
    if "kind" not in table:
        kinds = expected(get_type_hints(UpstreamSettings, include_extras=True)["kind"])
        reader.problem(path, f"kind is missing: what does it speak? It takes {kinds}.")
        return None
    if fields.get("kind") is Kind.LOCAL:
        reader.problem(
            f"{path}.kind", "the embedded model is not an upstream of the file; see [local]."
        )
    _check_address(reader, path, fields.get("base_url", ""), table)
    _check_headers(reader, path, fields.get("headers", {}))
    if (limit := fields.get("max_concurrency")) is not None and limit < 1:
        reader.problem(f"{path}.max_concurrency", "expected 1 or more; leave it out for no limit.")
    if (ca_file := fields.get("ca_file")) and not (base_dir / Path(ca_file).expanduser()).is_file():
        reader.problem(f"{path}.ca_file", f'there is no file "{ca_file}".')
    key = _read_key(reader, name, path, fields, base_dir)
    if "kind" not in fields:
        return None
    provider = fields.pop("provider", "") or provider_of(fields.get("base_url", ""), name)
    vendor = fields.pop("vendor", "") or provider
    return UpstreamSettings(name=name, key=key, provider=provider, vendor=vendor, **fields)


def provider_of(base_url: str, name: str) -> str:
    """The company's part of a host name: `https://api.openai.com/v1` → `openai`.

    An address of digits, a bare name such as `localhost`, and a service name of a cluster tell
    nothing: there the upstream's own name is used.
    """
    host = urlsplit(base_url).hostname or ""
    labels = host.split(".")
    if len(labels) < 2 or ":" in host or labels[-1].isdigit():
        return name
    if labels[-1] in {"local", "internal", "localhost", "lan", "svc", "test"}:
        return name
    return labels[-2]


def _check_address(reader: Reader, path: str, url: str, table: dict[str, Any]) -> None:
    key = f"{path}.base_url"
    if "base_url" not in table:
        reader.problem(path, 'base_url is missing, such as "https://api.anthropic.com".')
        return
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        reader.problem(key, f"expected an address with http:// or https://, found {shown(url)}.")
    elif parts.username or parts.password or looks_like_a_key(url):
        reader.problem(
            key, "it seems to hold a credential. Name the key with key_env or key_file instead."
        )
    elif parts.query or parts.fragment:
        reader.problem(key, "an address ends before any ? or #; use headers for the rest.")


def _check_headers(reader: Reader, path: str, headers: dict[str, str]) -> None:
    for name, value in headers.items():
        key = f"{path}.headers.{name}"
        if not _HEADER_NAME.fullmatch(name) or any(c in value for c in "\r\n\0"):
            reader.problem(key, "is not a header that can be sent.")
        elif name.lower() in CREDENTIAL_HEADERS or looks_like_a_key(value):
            reader.problem(
                key,
                "it seems to hold a credential, which does not belong in this file. Name the key "
                "with key_env or key_file.",
            )


def _read_key(
    reader: Reader, name: str, path: str, fields: dict[str, Any], base_dir: Path
) -> Secret | None:
    env, file = fields.get("key_env", ""), fields.get("key_file", "")
    if env and file:
        reader.problem(path, "key_env and key_file are both set; one of them is enough.")
    elif env:
        return _key_from_environment(reader, name, path, env)
    elif file:
        return _key_from_file(reader, path, base_dir / Path(file).expanduser())
    return None


def _key_from_environment(reader: Reader, name: str, path: str, env: str) -> Secret | None:
    key = f"{path}.key_env"
    if looks_like_a_key(env):
        reader.problem(
            key, "this looks like a key itself; it takes the name of a variable that holds the key."
        )
        return None
    reader.named_variables.add(env)
    value = reader.environ.get(env, "").strip()
    if not value:
        reader.problem(
            key,
            f'the upstream "{name}" takes its key from the environment variable {env}, which '
            f"is {'empty' if env in reader.environ else 'not set'}. Set it ({env}=…) and start "
            "again, or remove the upstream.",
        )
        return None
    return _secret(reader, key, value)


def _key_from_file(reader: Reader, path: str, file: Path) -> Secret | None:
    key = f"{path}.key_file"
    try:
        with file.open("rb") as opened:
            value = opened.read(KEY_FILE_LIMIT_BYTES).decode("ascii").strip()
    except UnicodeDecodeError:
        reader.problem(key, f'"{file}" holds more than plain letters and signs: not a key.')
        return None
    except OSError as error:
        reader.problem(key, f'"{file}" cannot be read: {error.strerror}.')
        return None
    if not value:
        reader.problem(key, f'"{file}" is empty.')
        return None
    return _secret(reader, key, value)


def _secret(reader: Reader, key: str, value: str) -> Secret | None:
    if not value.isascii() or not value.isprintable() or " " in value:
        reader.problem(key, "what it names is not one line of plain signs: not a key.")
        return None
    return Secret(value)


def _env_name(upstream: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", upstream.upper()) + "_API_KEY"


def read_routes(
    reader: Reader,
    given: Any,
    upstreams: dict[str, UpstreamSettings],
    local: LocalSettings,
) -> tuple[RouteSettings, ...]:
    """Every `[[routes]]`, in the file's order."""
    if not isinstance(given, list):
        reader.problem("routes", f"expected [[routes]] tables, found {shown(given)}.")
        return ()
    if len(given) > ROUTES_MAX:
        reader.problem("routes", f"there are more than {ROUTES_MAX}.")
    names = [*upstreams, *([LOCAL] if local.enabled else [])]
    # An upstream that has a problem of its own is not unknown as well.
    declared = {p.key.split(".")[1] for p in reader.problems if p.key.startswith("upstreams.")}
    routes: list[RouteSettings] = []
    seen: dict[str, int] = {}
    for index, value in enumerate(given[:ROUTES_MAX]):
        path = f"routes[{index}]"
        table = reader.table(path, value)
        fields = reader.fields(path, RouteSettings, table, skip=("candidates",))
        if "model" not in table:
            reader.problem(path, 'model is missing: the name that clients ask for, or "claude-*".')
            continue
        fields["candidates"] = tuple(
            _read_candidates(reader, path, table.get("candidates", []), names, declared)
        )
        if "model" not in fields:
            continue
        if fields["model"] in seen:
            reader.problem(
                f"{path}.model",
                f'"{fields["model"]}" has a route already, at {reader.place(_at(seen, fields))}.',
            )
        seen.setdefault(fields["model"], index)
        if "candidates" in table:
            reader.origins[f"{path}.candidates"] = reader.place(f"{path}.candidates")
        reader.rename_origins(path, f"routes.{fields['model']}")
        route = RouteSettings(**fields)
        if not route.candidates and not _falls_to_local(route, local):
            reader.problem(path, "has no candidate, so it could never answer.")
        routes.append(route)
    return tuple(routes)


def _at(seen: dict[str, int], fields: dict[str, Any]) -> str:
    return f"routes[{seen[fields['model']]}].model"


def _falls_to_local(route: RouteSettings, local: LocalSettings) -> bool:
    return local.enabled and route.local and route.serves == "chat"


def _read_candidates(
    reader: Reader, route: str, given: Any, names: list[str], declared: set[str]
) -> list[CandidateSettings]:
    path = f"{route}.candidates"
    if not isinstance(given, list):
        reader.problem(path, f"expected a list of upstreams, found {shown(given)}.")
        return []
    if len(given) > CANDIDATES_MAX:
        reader.problem(path, f"there are more than {CANDIDATES_MAX}.")
    found: list[CandidateSettings] = []
    for position, value in enumerate(given[:CANDIDATES_MAX]):
        key = f"{path}[{position}]"
        if isinstance(value, str):
            upstream, _, model = value.partition("/")
            table: dict[str, Any] = {"upstream": upstream, "model": model}
        else:
            table = reader.table(key, value)
        fields = reader.fields(key, CandidateSettings, table, skip=())
        name = fields.get("upstream")
        if "upstream" not in table:
            reader.problem(key, "upstream is missing.")
        if name is None:
            continue
        if name not in names and name not in declared:
            reader.problem(
                key, f'there is no upstream "{name}".{suggestion(name, {*names, *declared})}'
            )
        fields.setdefault("order", position)
        found.append(CandidateSettings(**fields))
    return found
