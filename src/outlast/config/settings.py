"""All settings together, where each came from, and what follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from outlast.config.places import (
    CandidateSettings,
    RouteSettings,
    Secret,
    UpstreamSettings,
)
from outlast.config.sections import (
    BreakerSettings,
    LocalSettings,
    MailSettings,
    ObservatorySettings,
    RetrySettings,
    ServerSettings,
    StoreSettings,
    TimeoutSettings,
)

__all__ = [
    "SECTIONS",
    "BreakerSettings",
    "CandidateSettings",
    "LocalSettings",
    "MailSettings",
    "ObservatorySettings",
    "RetrySettings",
    "RouteSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "TimeoutSettings",
    "UpstreamSettings",
]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set, and where each value came from."""

    server: ServerSettings = ServerSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    breaker: BreakerSettings = BreakerSettings()
    retry: RetrySettings = RetrySettings()
    local: LocalSettings = LocalSettings()
    store: StoreSettings = StoreSettings()
    observatory: ObservatorySettings = ObservatorySettings()
    mail: MailSettings = MailSettings()
    upstreams: dict[str, UpstreamSettings] = msgspec.field(default_factory=dict)
    routes: tuple[RouteSettings, ...] = ()
    path: Path | None = None
    """The file that was read; None without one."""
    base_dir: Path = Path()
    """What relative paths count from."""
    origins: dict[str, str] = msgspec.field(default_factory=dict)
    overrides: dict[str, Any] = msgspec.field(default_factory=dict)
    """What the command line said, kept for reading the file again."""

    def origin(self, path: str) -> str:
        """Where `server.port` came from: `default`, `outlast.toml:3`, `environment …`."""
        return self.origins.get(path, "default")

    def resolve(self, path: str) -> Path:
        """A path of the settings as one that can be opened."""
        return (self.base_dir / Path(path).expanduser()).absolute()

    @property
    def data_path(self) -> Path:
        return self.resolve(self.server.data_dir)

    @property
    def models_path(self) -> Path:
        """Where the weights of the embedded model are."""
        return self.data_path / "models"

    @property
    def store_url(self) -> str:
        """The database's address, never empty."""
        return self.store.url or f"sqlite:///{self.data_path / 'outlast.db'}"

    @property
    def base_url(self) -> str:
        """What a person types to reach the service, without a closing slash."""
        if self.server.public_url:
            return self.server.public_url.rstrip("/")
        host = self.server.host
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
        return f"http://{host}:{self.server.port}"

    def timeouts_of(self, upstream: str) -> TimeoutSettings:
        """The time-outs that hold for one upstream."""
        found = self.upstreams.get(upstream)
        return (found.timeouts if found is not None else None) or self.timeouts


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": ServerSettings,
    "timeouts": TimeoutSettings,
    "breaker": BreakerSettings,
    "retry": RetrySettings,
    "local": LocalSettings,
    "store": StoreSettings,
    "observatory": ObservatorySettings,
    "mail": MailSettings,
}
"""The tables that may also be set by environment variable, in the order they are documented."""
