"""Structured logs: one event a line, for people in a terminal, as JSON anywhere else.

Bodies, prompts, answers and secrets never reach a log; whatever looks like a key is masked as a
last line of defence.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any, TextIO, cast


@contextlib.contextmanager
def _as_if_absent(*names: str) -> Iterator[None]:
    """What is not loaded yet cannot be loaded inside the block, and can after it."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # "there is no such module"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


# For tracebacks in colours it loads what it finds, 5 MB. Ours are plain text before it sees them.
# Who means to stay loads this module first (workers/__init__.py).
with _as_if_absent("rich", "greenlet"):
    import structlog

_SECRET = re.compile(r"\b(?:ol_|sk-|sk_|xox[a-z]-|AIza|Bearer\s+)[A-Za-z0-9_\-]{8,}")
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str, form: str, process: str = "") -> None:
    """Set up logging for this process. `form`: auto, json or text. `process`: its name in every
    line, where it is one of several."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if text
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            *([_named(process)] if process else []),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level, 20)),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )
    # Libraries' own logs: their warnings, in the same place.
    handler = _Forwarding()
    for name in ("uvicorn.error", "aiohttp", "sqlalchemy", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.WARNING)


def _named(process: str) -> Any:
    def name(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = process
        return event

    return name


def mask(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what looks like a credential in every text of an event."""
    for name, value in event.items():
        if isinstance(value, str) and _SECRET.search(value):
            event[name] = _SECRET.sub("…", value)
    return event


class _Stderr:
    """Standard error as it is when something is written: it may be another one by then."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Forwarding(logging.Handler):
    """The standard library's records as events of our own."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        extra = {"exc_info": record.exc_info} if record.exc_info else {}
        log.log(record.levelno, record.getMessage(), library=record.name, **extra)
