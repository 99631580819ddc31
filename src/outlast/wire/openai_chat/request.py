"""Requests of this format, read and written."""

from __future__ import annotations

from outlast.wire.openai_chat.parse import parse_request
from outlast.wire.openai_chat.render import render_request

__all__ = ["parse_request", "render_request"]
