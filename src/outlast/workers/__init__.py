"""Several processes that answer on one port, and one that observes for them all.

    supervisor    starts them, starts them again, drains them; reads the settings for all
    worker 0 …    answer requests: breakers, connections and journal of their own
    observer      the observatory, the embedded model, all paths but inference

Each of them is the Service of app.py; `part.py` says what is different in which.
"""

from outlast.workers.supervisor import serve

__all__ = ["serve"]
