"""A worker's side of the limits: permission without waiting, and the task that talks to the backend."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from math import inf
from time import monotonic

from imgcrawl.limits.backend import HostLimits, LimitGrant, LimitRequest, LimitsBackend, Membership
from imgcrawl.limits.host import TIMER_SLACK, BackendState, Host

logger = logging.getLogger(__name__)

BATCH_WINDOW = 0.002  # seconds in which what is to be asked comes together
REPORT_INTERVAL = 0.5  # seconds after which answers are reported and what is not needed is given back, at the latest
BATCH_SIZE = 100  # hosts in one exchange: some milliseconds of the server's time


class Limiter:
    """Says when a host may be asked, so that its limits hold for all workers of its backend together.

    Nothing here waits: `take` says yes or no, and *ready* is called with a host that may be asked again. What is
    asked of the backend and reported to it travels in the background. When the backend cannot be reached, this worker
    goes on with its share of what the last known number of workers may do, once what others have been granted has
    ended (*lease* seconds), and with less until then.
    """

    def __init__(
        self, backend: LimitsBackend, limits_of: Callable[[str], HostLimits], ready: Callable[[str], None], *,
        lease: float = inf, outages: tuple[type[BaseException], ...] = (),
    ) -> None:  # fmt: skip
        self.backend = backend
        self.exchanges = 0
        self.outages_told = False  # by others, who have the same server
        self._limits_of = limits_of
        self._ready = ready
        self._outages = outages
        self._state = BackendState(lease)
        self._hosts: dict[str, Host] = {}
        self._dirty: dict[str, None] = {}
        self._floors: dict[str, float] = {}
        self._wakeup = asyncio.Event()
        self._ahead = -inf  # seconds by which the backend's clock is ahead of monotonic(), at least
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    # What the downloader calls

    @property
    def membership(self) -> Membership:
        return self._state.membership

    def take(self, name: str, queued: int) -> bool:
        """Whether a request may be sent now; it then counts as under way until `give`. *queued* wait, it included."""
        host = self._hosts.get(name)
        if host is None:
            limits = replace(self._limits_of(name), floor=self._floors.get(name, 0.0))
            host = self._hosts[name] = Host(name, limits)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._talk()), asyncio.create_task(self._listen())]
        now = monotonic()
        host.queued = queued
        host.used = now
        if host.blocked > now:
            self._call_at(host, host.blocked)
            if host.wanted == 0:
                self._ask(host)
            return False
        if host.in_use >= host.allowed(self._state, now):
            if host.wants() != host.wanted:
                self._ask(host)
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
        """The request is answered. *latency* in seconds, None if it says nothing about the host's speed; *trouble*:
        the monotonic() at which it was sent, if the answer was *why* it should be slower; *block*: nothing may be
        asked for so many seconds."""
        host = self._hosts[name]
        now = monotonic()
        host.in_use -= 1
        host.used = now
        if latency is not None:
            host.answers += 1
            # A page of an error is made fast; it must not make us faster.
            host.latency += latency
        if trouble is not None:
            host.trouble, host.why = trouble, why
        if block > 0:
            host.block_until = max(host.block_until, now + block)
            host.blocked = max(host.blocked, now + block)
            host.starts.clear()
        if trouble is not None or block > 0 or host.has_too_many(self._state, now):
            self._ask(host)

    def floor(self, name: str, seconds: float) -> None:
        """No gap between two requests to a host is shorter than this (Crawl-delay)."""
        if self._floors.get(name, 0.0) >= seconds:
            return  # as for the slowest of its ports
        self._floors[name] = seconds
        if host := self._hosts.get(name):
            host.limits = replace(host.limits, floor=seconds)
            if host.delay < seconds:
                host.delay = seconds
                host.starts.clear()
                self._ask(host)

    def blocked(self, name: str) -> float:
        """Seconds until the host may be asked, by its own word."""
        host = self._hosts.get(name)
        return max(0.0, host.blocked - monotonic()) if host else 0.0

    def delay(self, name: str) -> float:
        host = self._hosts.get(name)
        return host.delay if host else 0.0

    def stuck(self) -> Iterable[str]:
        """The hosts at which this worker can do nothing for now."""
        now = monotonic()
        return [host.name for host in self._hosts.values() if host.is_stuck(now)]

    async def close(self) -> None:
        """Give everything back."""
        self._closing = True
        self._wakeup.set()
        for host in self._hosts.values():
            if host.timer:
                host.timer.cancel()
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()  # again and again: asyncio.timeout(0), as redis-py has it, can swallow one
            await asyncio.wait(pending, timeout=0.05)
        with suppress(*self._outages):
            async with asyncio.timeout(5):
                await self.backend.close()

    # Start times

    def _starts_now(self, host: Host, now: float) -> bool:
        start = host.next_start(self._state, now)
        if start is None:
            self._ask(host)
            return False
        if start > now + TIMER_SLACK:
            self._call_at(host, start)
            return False
        host.starts.popleft()
        host.started = now
        if len(host.starts) < host.given // 2 and host.queued > 1:
            self._ask(host)
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

    # Talking to the backend

    def _ask(self, host: Host) -> None:
        self._dirty[host.name] = None
        self._wakeup.set()

    async def _talk(self) -> None:
        reported = monotonic()
        lease = self._state.lease
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_INTERVAL):
                    await self._wakeup.wait()
                    await asyncio.sleep(BATCH_WINDOW if lease < inf else 0)
            self._wakeup.clear()
            if monotonic() - reported >= REPORT_INTERVAL:
                reported = monotonic()
                self._report_all()
            while self._dirty or monotonic() - self._state.answered > lease / 6:
                if not await self._exchange():
                    self._wakeup.set()
                    break

    async def _exchange(self) -> bool:
        # The first exchange asks for nothing: `_moment` needs two, should one of them be slow.
        state = self._state
        names = list(self._dirty)[: BATCH_SIZE * state.met]
        hosts = [self._hosts[name] for name in names if name in self._hosts]
        sent = monotonic()
        requests = [host.request(state, sent) for host in hosts]
        for name in names:
            del self._dirty[name]
        try:
            async with asyncio.timeout(state.lease / 6 if state.lease < inf else None):
                await self.backend.open()
                state.membership, grants = await self.backend.exchange(requests, before=state.met)
        except self._outages as error:
            if monotonic() - sent < state.lease / 3:  # else it is not the backend that did not answer
                state.tried = sent
            self._unanswered(requests, error)
            await asyncio.sleep(random.uniform(0.2, 0.5))
            return False
        self.exchanges += 1
        if state.away_since:
            self._come_back(hosts)
        state.answered = state.tried = sent
        state.met = True
        if state.membership.fresh:
            self._forgotten(hosts)
        settled = self._moment(state.membership.clock, sent)
        for host, request, grant in zip(hosts, requests, grants, strict=True):
            if request.limits == host.limits:
                self._granted(host, grant, settled)
            else:  # robots.txt named a delay meanwhile, of which these start times know nothing
                host.permits = max(host.in_use, grant.permits)
                host.starts.clear()
                self._ask(host)
        return True

    def _moment(self, clock: float, sent: float) -> float:
        """The monotonic() at which the backend's clock said *clock*, in an exchange that was sent at *sent*.

        Not earlier than it was, and later by no more than the fastest answer was on its way: one that was slow, or came
        to a loop that was busy, must not move the start times that it brings, since others have the next ones.
        """
        now = monotonic()
        self._ahead = max(self._ahead, clock - now)
        if clock - self._ahead < sent:  # the clocks are not what they were
            self._ahead = clock - now
        return clock - self._ahead

    def _granted(self, host: Host, grant: LimitGrant, settled: float) -> None:
        host.granted(grant, settled)
        if host.turn < inf:
            asyncio.get_running_loop().call_later(host.turn - monotonic() + TIMER_SLACK, self._turn_ends, host)
        if host.queued:
            self._ready(host.name)

    def _turn_ends(self, host: Host) -> None:
        if host.has_too_many(self._state, monotonic()):
            self._ask(host)

    def _unanswered(self, requests: list[LimitRequest], error: BaseException) -> None:
        now = monotonic()
        if not self._state.away_since:
            self._state.away_since = now
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            level = logging.DEBUG if self.outages_told else logging.WARNING
            logger.log(level, "Redis does not answer (%s): each worker keeps to its share of each host's limits", text)
        for request in requests:
            self._hosts[request.host].take_back(request, now)
            self._dirty[request.host] = None
        for host in self._hosts.values():
            if host.queued:
                self._ready(host.name)

    def _come_back(self, told: list[Host]) -> None:
        """Stay with this worker's share until the backend has heard of it and says otherwise."""
        now = monotonic()
        level = logging.DEBUG if self.outages_told else logging.WARNING
        logger.log(level, "Redis answers again after %.1f s: limits are shared", now - self._state.away_since)
        for host in self._hosts.values():
            host.permits = max(host.in_use, host.allowed(self._state, now))
            if host not in told:
                self._ask(host)
        self._state.away_since = 0.0

    def _forgotten(self, told: list[Host]) -> None:
        """The backend did not know this worker, so all it has is what it has just told."""
        for host in self._hosts.values():
            if host not in told:
                host.starts.clear()
                self._ask(host)

    def _report_all(self) -> None:
        now = monotonic()
        for host in list(self._hosts.values()):
            if host.has_news(now):
                self._ask(host)
            elif host.is_idle(now):
                del self._hosts[host.name]
            if host.queued and self._state.away_since:
                self._ready(host.name)

    async def _listen(self) -> None:
        lease = self._state.lease
        while not self._closing:
            try:
                if not self._state.met:
                    await asyncio.sleep(0.05)
                    continue
                for name in await self.backend.changed_hosts(lease / 6 if lease < inf else 3600):
                    if host := self._hosts.get(name):
                        self._ask(host)
            except self._outages:
                await asyncio.sleep(random.uniform(0.2, 0.5))
