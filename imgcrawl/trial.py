"""The process in which `basespiders.trials` tries queries, until the clock ends it. Loads only a parser."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from typing import Final

from parsel import Selector

QUICK: Final = b"1"  # the answer
_TO_READ: Final = 30  # seconds of CPU time, which no page takes to be read


def main() -> None:
    """Read pages from the standard input, each after a line of JSON that says what is searched for in it, until there
    are no more. Each query that is answered in its time is told."""
    while line := sys.stdin.buffer.readline():
        task = json.loads(line)
        _set_clock(_TO_READ)
        page = Selector(sys.stdin.buffer.read(task["size"]).decode(), type=task["kind"])
        _set_clock(task["seconds"])
        with suppress(ValueError, SyntaxError, RuntimeError):  # no query: who asks finds that out
            (page.css if task["is_css"] else page.xpath)(task["query"])
        _set_clock(0)
        del page
        sys.stdout.buffer.write(QUICK)
        sys.stdout.buffer.flush()


def _set_clock(seconds: float) -> None:
    if sys.platform != "win32":  # there it is the wall clock of who waits
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
