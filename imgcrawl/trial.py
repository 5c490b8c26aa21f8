"""The process in which `basespiders.trials` tries a query, until the clock ends it. Loads only a parser."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from typing import Final

from parsel import Selector

_TO_READ: Final = 30  # seconds of CPU time, which no page takes to be read


def main() -> None:
    """Read a page from the standard input, after a line of JSON that says what is searched for in it."""
    _set_clock(_TO_READ)
    task = json.loads(sys.stdin.buffer.readline())
    page = Selector(sys.stdin.buffer.read().decode(), type=task["kind"])
    _set_clock(task["seconds"])
    with suppress(ValueError):  # no query: who asks finds that out
        (page.css if task["is_css"] else page.xpath)(task["query"])


def _set_clock(seconds: float) -> None:
    if sys.platform != "win32":  # there it is the wall clock of who waits
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
