"""The hosts that one worker knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import monotonic

from cachetools import LRUCache

from imgcrawl.limits.backend import FIRST_DELAY, HostLimits
from imgcrawl.limits.host import Host

REMEMBERED = 60.0  # seconds that a host with nothing to do is known
FLOORS = 10_000  # hosts whose Crawl-delay is known; robots.txt says it again before each request


class HostTable:
    """Each host by its name, and those about which the backend is to be told.

    Looking for those takes no longer when more hosts are known that have nothing to do.
    """

    def __init__(self, limits_of: Callable[[str], HostLimits]) -> None:
        self._limits_of = limits_of
        self._known: dict[str, Host] = {}
        self._busy: dict[str, Host] = {}
        self._idle: dict[str, float] = {}  # since when, in this order
        self._dirty: dict[str, None] = {}  # an ordered set
        self._floors: LRUCache[str, float] = LRUCache(FLOORS)
        self._factor = 1.0

    def __iter__(self) -> Iterator[Host]:
        """Those that have something to do, or are blocked."""
        now = monotonic()
        yield from list(self._busy.values())
        yield from [self._known[name] for name in self._idle if self._known[name].blocked > now]

    def busy(self) -> list[Host]:
        return list(self._busy.values())

    def get(self, name: str) -> Host | None:
        return self._known.get(name)

    def __getitem__(self, name: str) -> Host:
        return self._known[name]

    def used(self, name: str) -> Host:
        """The host, which has something to do now."""
        host = self._busy.get(name)
        if host is None:
            host = self._known.get(name)
            if host is None:
                host = self._known[name] = Host(name, self._limits_now(name, self._floors.get(name, 0.0)))
            self._idle.pop(name, None)
            self._busy[name] = host
        return host

    def set_floor(self, name: str, seconds: float) -> Host | None:
        """The least gap between two requests. Returns the host if that is news about one that is known."""
        if self._floors.get(name, 0.0) >= seconds:
            return None  # as for the slowest of its ports
        self._floors[name] = seconds
        host = self._known.get(name)
        if host is None or host.limits.floor >= seconds:
            return None
        host.limits = replace(host.limits, floor=seconds)
        return host

    def set_factor(self, factor: float) -> None:
        """All delays are taken so many times; as long as this is more than 1, a host without any has one. Those that
        have something to do are marked."""
        self._factor = factor
        for host in self._known.values():
            host.limits = self._limits_now(host.name, host.limits.floor)
        for host in self._busy.values():
            host.starts.clear()
            self.mark(host)

    def _limits_now(self, name: str, floor: float) -> HostLimits:
        limits = replace(self._limits_of(name), floor=floor, factor=self._factor)
        if self._factor > 1 and not (limits.delay or limits.target):
            return replace(limits, delay=FIRST_DELAY)  # of nothing, any multiple is nothing
        return limits

    def mark(self, host: Host) -> None:
        """The backend is to be told of it."""
        self._dirty[host.name] = None

    def any_marked(self) -> bool:
        return bool(self._dirty)

    def marked(self) -> Iterator[Host]:
        return (self._known[name] for name in self._dirty if name in self._known)

    def take_marked(self, most: int) -> list[Host]:
        names = list(self._dirty)[:most]
        for name in names:
            del self._dirty[name]
        return [self.used(name) for name in names if name in self._known]

    def mark_news(self) -> None:
        """Mark those of which the backend has not heard all, and forget those that have had nothing to do for long."""
        now = monotonic()
        for host in self.busy():
            if host.has_news(now):
                self.mark(host)
            elif host.is_idle() and host.name not in self._dirty:
                del self._busy[host.name]
                self._idle[host.name] = now
        for name, since in list(self._idle.items()):
            if since > now - REMEMBERED:
                break
            del self._idle[name]
            if self._known[name].blocked > now:
                self._idle[name] = now
            else:
                del self._known[name]
