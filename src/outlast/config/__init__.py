"""Configuration: one home, one precedence, every value with its origin.

The environment is read here and nowhere else.
"""

from outlast.config.load import config_path, environment, load, reload, variable
from outlast.config.problems import ConfigError, Problem
from outlast.config.settings import (
    SECTIONS,
    BreakerSettings,
    CandidateSettings,
    LocalSettings,
    RetrySettings,
    RouteSettings,
    Secret,
    ServerSettings,
    Settings,
    StoreSettings,
    TimeoutSettings,
    UpstreamSettings,
)

__all__ = [
    "SECTIONS",
    "BreakerSettings",
    "CandidateSettings",
    "ConfigError",
    "LocalSettings",
    "Problem",
    "RetrySettings",
    "RouteSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "TimeoutSettings",
    "UpstreamSettings",
    "config_path",
    "environment",
    "load",
    "reload",
    "variable",
]
