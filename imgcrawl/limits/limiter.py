"""A worker's side of the limits: permission without waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from heapq import nlargest
from math import inf
from time import monotonic
from typing import Any

from imgcrawl.limits.backend import HostLimits, LimitGrant, LimitsBackend, Membership
from imgcrawl.limits.exchange import Exchange
from imgcrawl.limits.host import TIMER_SLACK, Host
from imgcrawl.limits.host_table import HostTable


class Limiter:
    """Says when a host may be asked, so that its limits hold for all workers of its backend together.

    Nothing here waits: `take` says yes or no, and *ready* is called with a host that may be asked again. What is
    asked of the backend and reported to it travels in the background. When the backend cannot be reached, this worker
    goes on with its share of what the last known number of workers may do, once what others have been granted has
    ended (*lease* seconds), and with less until then.
    """

    def __init__(
        self, backend: LimitsBackend, limits_of: Callable[[str], HostLimits], ready: Callable[[str], None], *,
        lease: float = inf, outages: tuple[type[BaseException], ...] = (), backends: int = 1,
    ) -> None:  # fmt: skip
        self.backend = backend
        self._ready = ready
        self._hosts = HostTable(limits_of)
        self._exchange = Exchange(
            backend, self._hosts, granted=self._granted, ready=ready, lease=lease, outages=outages, backends=backends
        )
        self._state = self._exchange.state

    @property
    def membership(self) -> Membership:
        return self._state.membership

    @property
    def exchanges(self) -> int:
        """How often the backend has answered."""
        return self._exchange.count

    @property
    def outages_told(self) -> bool:
        """Whether others, who have the same server, tell the user when it does not answer."""
        return self._exchange.outages_told

    @outages_told.setter
    def outages_told(self, told: bool) -> None:
        self._exchange.outages_told = told

    def take(self, name: str, queued: int) -> bool:
        """Whether a request may be sent now; it then counts as under way until `give`. *queued* wait, it included."""
        host = self._hosts.used(name)
        self._exchange.start()
        now = monotonic()
        host.queued = queued
        host.used = now
        if host.blocked > now:
            self._call_at(host, host.blocked)
            if host.wanted == 0:
                self._exchange.ask(host)
            return False
        if host.in_use >= host.allowed(self._state, now):
            # Where it waits for more already, the backend knows, and says when there is some.
            if host.wanted <= host.permits and host.wants() != host.wanted:
                self._exchange.ask(host)
            return False
        if host.delay and not self._starts_now(host, now):
            return False
        host.in_use += 1
        host.queued -= 1
        return True

    def put_back(self, name: str) -> None:
        """The request that `take` allowed is not sent after all."""
        host = self._hosts[name]
        host.in_use -= 1
        if host.delay:
            host.starts.appendleft(monotonic())

    def give(
        self,
        name: str,
        *,
        latency: float | None = None,
        trouble: float | None = None,
        why: str = "",
        block: float = 0.0,
    ) -> None:
        """The request is answered.

        *latency* in seconds, None if it says nothing about the host's speed; *trouble*: the monotonic() at which it was
        sent, if the answer was *why* it should be slower; *block*: nothing may be asked for so many seconds. One that
        is longer than `HostLimits.longest_block` slows the host, and stops it when three answers in a row say so, of
        whichever workers: one may be about its address only.
        """
        host = self._hosts[name]
        now = monotonic()
        host.in_use -= 1
        host.answered += 1
        host.used = now
        if latency is not None:
            host.answers += 1
            # A page of an error is made fast; it must not make us faster.
            host.latency += latency
            host.doubts, host.doubted = 0, 0.0
        if trouble is not None:
            host.trouble, host.why = trouble, why
        if block > host.limits.longest_block:
            host.doubts += 1
            host.doubted = max(host.doubted, block)
        elif block > 0:
            host.blocked = max(host.blocked, now + block)
            host.starts.clear()
        if trouble is not None or block > 0 or host.has_too_many(self._state, now):
            self._exchange.ask(host)

    def floor(self, name: str, seconds: float) -> None:
        """No gap between two requests to a host is shorter than this (Crawl-delay)."""
        host = self._hosts.set_floor(name, seconds)
        if host and host.delay < seconds:
            host.delay = seconds
            host.starts.clear()
            self._exchange.ask(host)

    def blocked(self, name: str) -> float:
        """Seconds until the host may be asked, by its own word."""
        host = self._hosts.get(name)
        return max(0.0, host.blocked - monotonic()) if host else 0.0

    def delay(self, name: str) -> float:
        """Seconds between two requests to the host, 0.0 for no such limit."""
        host = self._hosts.get(name)
        return host.delay if host else 0.0

    def slow_down(self, factor: float) -> None:
        """Take the delay of each host *factor* times from now on."""
        self._hosts.set_factor(factor)
        self._exchange.wake()

    def busiest(self, most: int) -> list[dict[str, Any]]:
        """The hosts with most to do now, at most so many, as `Host.view` tells of each."""
        return [host.view() for host in nlargest(most, self._hosts.busy(), key=_load)]

    def stuck(self) -> Iterable[str]:
        """The hosts at which this worker can do nothing for now."""
        now = monotonic()
        return [host.name for host in self._hosts.busy() if host.is_stuck(now)]

    async def close(self, patience: float = 5.0) -> None:
        """Give everything back, if the backend answers within *patience* seconds."""
        for host in self._hosts:
            if host.timer:
                host.timer.cancel()
        await self._exchange.close(patience)

    def _starts_now(self, host: Host, now: float) -> bool:
        start = host.next_start(self._state, now)
        if start is None:
            self._exchange.ask(host)
            return False
        if start > now + TIMER_SLACK:
            self._call_at(host, start)
            return False
        host.starts.popleft()
        host.started = now
        if len(host.starts) < host.given // 2 and host.queued > 1:
            self._exchange.ask(host)
        return True

    def _call_at(self, host: Host, when: float) -> None:
        if host.timer:
            if host.timer_at <= when + TIMER_SLACK:
                return
            host.timer.cancel()
        host.timer_at = when
        host.timer = asyncio.get_running_loop().call_later(max(0.0, when - monotonic()), self._time_has_come, host)

    def _time_has_come(self, host: Host) -> None:
        host.timer = None
        host.timer_at = inf
        if host.queued:
            self._ready(host.name)

    def _granted(self, host: Host, grant: LimitGrant, settled: float) -> None:
        host.granted(grant, settled)
        if host.turn < inf:
            asyncio.get_running_loop().call_later(host.turn - monotonic() + TIMER_SLACK, self._turn_ends, host)
        if host.queued:
            self._ready(host.name)

    def _turn_ends(self, host: Host) -> None:
        if host.has_too_many(self._state, monotonic()):
            self._exchange.ask(host)


def _load(host: Host) -> tuple[int, int]:
    return host.in_use, host.queued
