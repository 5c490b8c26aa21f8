"""The event loop of a crawl: what has come from the network is dealt with some connections at a time."""

from __future__ import annotations

import asyncio
import selectors

from imgcrawl.longwork import at_once


class _SomeAtATime(selectors.DefaultSelector):
    """Tells of some of those that are ready, then of the others. For these the system is not asked anew: each time that
    it is, other threads have the interpreter."""

    def __init__(self) -> None:
        super().__init__()
        self._others: list[tuple[selectors.SelectorKey, int]] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        known = self.get_map()
        # One of which something else is wanted now has a new key, and is asked for again.
        ready = [each for each in self._others if known.get(each[0].fd) is each[0]] or super().select(timeout)
        some = at_once()
        self._others = ready[some:]
        return ready[:some]


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's, for ``ASYNCIO_EVENT_LOOP``. Where many connections have something to be read at the same moment,
    timers and answers from threads do not wait until all of them have been worked on (`longwork.at_once`)."""

    def __init__(self) -> None:
        super().__init__(_SomeAtATime())
