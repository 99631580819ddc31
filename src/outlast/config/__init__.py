"""Configuration: one home, one precedence, every value with its origin.

The environment itself is read in config.environ and nowhere else.
"""

from outlast.config.load import config_path, load, reload, variable
from outlast.config.problems import ConfigError, Problem
from outlast.config.settings import (
    SECTIONS,
    BreakerSettings,
    CandidateSettings,
    LocalSettings,
    MailSettings,
    ObservatorySettings,
    RetrySettings,
    RouteSettings,
    Secret,
    ServerSettings,
    Settings,
    StoreSettings,
    TimeoutSettings,
    UpstreamSettings,
)
from outlast.config.view import Change, Row, changes, rows

__all__ = [
    "SECTIONS",
    "BreakerSettings",
    "CandidateSettings",
    "Change",
    "ConfigError",
    "LocalSettings",
    "MailSettings",
    "ObservatorySettings",
    "Problem",
    "RetrySettings",
    "RouteSettings",
    "Row",
    "Secret",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "TimeoutSettings",
    "UpstreamSettings",
    "changes",
    "config_path",
    "load",
    "reload",
    "rows",
    "variable",
]
