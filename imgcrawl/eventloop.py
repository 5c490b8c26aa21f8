"""The event loop of a crawl: what has come from the network is dealt with some connections at a time."""

from __future__ import annotations

import asyncio
import gc
import selectors
from time import monotonic

from imgcrawl.longwork import at_once, goes_on

_LONG = 0.006  # seconds that a turn should not take while there is long work beside the loop
# Objects that are made before the young ones are looked at for garbage, and how many such looks before older ones are.
# With 700, which is Python's, it takes some percent of the time of an image, which leaves none. With 20,000 it is one
# percent less than with these, and the longest steps of the loop are 15 ms of CPU, not 10.
_COLLECTED = 5_000, 10, 10


class _SomeAtATime(selectors.DefaultSelector):
    """Tells of some of those that are ready, then of the others. For these the system is not asked anew: each time that
    it is, other threads have the interpreter."""

    def __init__(self) -> None:
        super().__init__()
        self._others: list[tuple[selectors.SelectorKey, int]] = []
        self._some = 1
        self._began = monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        took = monotonic() - self._began
        known = self.get_map()
        # One of which something else is wanted now has a new key, and is asked for again.
        ready = [each for each in self._others if known.get(each[0].fd) is each[0]] or super().select(timeout)
        some = at_once()
        if goes_on():
            some = self._some = min(some, max(1, self._some // 2) if took > _LONG else self._some + 1)
        self._others = ready[some:]
        self._began = monotonic()
        return ready[:some]


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's, for ``ASYNCIO_EVENT_LOOP``. Where many connections have something to be read at the same moment,
    timers and answers from threads do not wait until all of them have been worked on (`longwork.at_once`).

    What there is when it is made, modules most of all, is left out of every later garbage collection of the process.
    """

    def __init__(self) -> None:
        super().__init__(_SomeAtATime())
        gc.freeze()
        gc.set_threshold(*_COLLECTED)
