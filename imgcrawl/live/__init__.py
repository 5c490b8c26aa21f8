"""What runs now, as whoever looks at it sees it, and what a person may ask of it.

Every crawl publishes a small snapshot of itself about once a second: as a file in a folder of the user's own
(`live.folder`), and with REDIS_URL in Redis, where all workers of a spider have theirs (`live.board`). `overview` makes
one structure of these, `ask` has all workers pause, go on, slow down or stop.
"""

from __future__ import annotations

from imgcrawl.live.control import ask, requeue
from imgcrawl.live.overview import overview

__all__ = ["ask", "overview", "requeue"]
