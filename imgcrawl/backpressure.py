"""What is under way and what is in memory, counted, so that nothing comes faster than it is dealt with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# Requests beyond what a host takes at a time, and those that wait, keep no others from starting, but each costs
# memory, as does the gallery it belongs to: beyond this many times CONCURRENT_REQUESTS, all together, they do.
_FREE_WAITS = 32


@dataclass(eq=False, slots=True)
class _Host:
    concurrency: int
    active: int = 0
    all: int = 0  # those that wait included


@dataclass(eq=False, slots=True)
class Active:
    """A page or an image under way, and the bytes of it that are in memory."""

    host: str
    nbytes: int = 0


# The page or image that a task works on. Tasks that it starts belong to it, unless they count something of their own.
_current: ContextVar[Active | None] = ContextVar("active", default=None)


class Backpressure:
    """Counts pages and images by host, each host for at most its concurrency, and the bytes of their bodies.

    A host that hangs with a hundred requests so takes no more room than one that hangs with as many as it is asked
    for at a time, and the others go on. *total* is what may count at a time, 0 for no limit; *max_bytes* what may be
    in memory; *concurrency_of* a host is asked once for each time that something of it begins to be under way;
    *on_room* is called when there may be room again.
    """

    def __init__(
        self, total: int, max_bytes: int, concurrency_of: Callable[[str], int], on_room: Callable[[], None]
    ) -> None:
        self._total = total
        self._max_bytes = max_bytes
        self._concurrency_of = concurrency_of
        self._on_room = on_room
        self._hosts: dict[str, _Host] = {}
        self._counted = 0  # of each host no more than its concurrency
        self._all = 0  # those that wait included
        self._bytes = 0
        self._over: Active | None = None  # may go beyond max_bytes: else all could wait for each other
        self._waiters: list[asyncio.Future[None]] = []

    def begin(self, host: str) -> Active:
        """Count one page or image of *host* from now on, until `working_on` it ends."""
        self._all += 1
        self._add(host)
        self._hosts[host].all += 1
        return Active(host)

    @contextmanager
    def working_on(self, active: Active) -> Iterator[None]:
        """While this lasts, what the task does is for *active*, and the bytes that are `buffered` belong to it."""
        token = _current.set(active)
        try:
            yield
        finally:
            _current.reset(token)
            self._remove(active.host)
            self._end(active.host)
            self._release(active)
            self._on_room()

    def count_as_active(self, host: str) -> AbstractContextManager[None]:
        """In a `with`: what the task does counts as one page or image of *host*."""
        return self.working_on(self.begin(host))

    @contextmanager
    def not_counted(self) -> Iterator[None]:
        """While this lasts, the task's page or image waits, and keeps no others from starting."""
        active = _current.get()
        if active is None:
            yield
            return
        self._remove(active.host)
        try:
            yield
        finally:
            self._add(active.host)

    async def buffered(self, nbytes: int) -> None:
        """Count *nbytes* more in memory for the task's page or image, until it is dealt with. Waits while there is no
        room, but for the one that has waited longest."""
        active = _current.get()
        while self._bytes + nbytes > self._max_bytes and active not in (None, self._over):
            if self._over is None:
                self._over = active
                break
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if active is not None:
            self._bytes += nbytes
            active.nbytes += nbytes

    def dropped(self) -> None:
        """What was `buffered` for the task's page or image is in memory no longer."""
        if (active := _current.get()) is not None:
            self._release(active)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._bytes

    def is_full(self) -> bool:
        """Whether more bytes are in memory than should be."""
        return self._bytes > self._max_bytes

    def has_enough_of(self, name: str) -> bool:
        """Whether so much of that host is under way that more of it would only take the place of others."""
        host = self._hosts.get(name)
        # Some ahead of what it may be asked at once. What waits is no reason to leave a host idle, up to a bound.
        return host is not None and (
            host.active >= 2 * host.concurrency or 0 < self._total <= host.all - 2 * host.concurrency
        )

    def is_busy(self, stuck: Callable[[], dict[str, int]]) -> bool:
        """Whether as much is under way as may be. *stuck* tells how many requests wait for each host that cannot be
        asked for now; they do not count either."""
        if self._total <= 0:
            return False
        if self._all >= (1 + _FREE_WAITS) * self._total:
            return True
        if self._counted < self._total:
            return False
        waiting = 0
        for name, queued in stuck().items():
            if host := self._hosts.get(name):
                waiting += min(host.active, host.concurrency) - min(max(0, host.active - queued), host.concurrency)
        return self._counted - waiting >= self._total

    def _add(self, name: str) -> None:
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(self._concurrency_of(name))
        host.active += 1
        self._counted += host.active <= host.concurrency

    def _remove(self, name: str) -> None:
        host = self._hosts[name]
        self._counted -= host.active <= host.concurrency
        host.active -= 1

    def _end(self, name: str) -> None:
        self._all -= 1
        host = self._hosts[name]
        host.all -= 1
        if not host.all:
            del self._hosts[name]

    def _release(self, active: Active) -> None:
        if self._over is active:
            self._over = None
        elif not active.nbytes:
            return
        self._bytes -= active.nbytes
        active.nbytes = 0
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
