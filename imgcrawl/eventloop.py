"""The event loop of a crawl: what has come from the network is dealt with a few connections at a time."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

_AT_ONCE = (
    8  # connections that are read in one turn: up to 256 KiB each, and some tenths of a millisecond for who waits
)


class _FewAtATime(selectors.DefaultSelector):
    """Of many that are ready, each gets its turn."""

    _next = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[Any] = super().select(timeout)
        if len(ready) <= _AT_ONCE:
            return ready
        # The system tells of all of them in the same order again, as long as they are.
        self._next += _AT_ONCE
        first = self._next % len(ready)
        return (ready[first:] + ready[:first])[:_AT_ONCE]


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's, for ``ASYNCIO_EVENT_LOOP``. Where thirty connections have something to be read at the same moment,
    timers and answers from threads do not wait until all of them have been worked on."""

    def __init__(self) -> None:
        super().__init__(_FewAtATime())
