"""The observatory put together: what is watched, who watches, and the paths that readers ask.

A part of the composition root (app.py), in a room of its own: it knows every part of the
observatory and, of the gateway, how to put a question on the service's own account.
"""

from outlast.observing.service import Observing

__all__ = ["Observing"]
