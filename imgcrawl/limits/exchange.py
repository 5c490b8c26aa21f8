"""What a worker and the backend of the limits say to each other."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic

from imgcrawl.cancelling import cancel_all
from imgcrawl.limits.backend import BackendClock, LimitGrant, LimitRequest, LimitsBackend
from imgcrawl.limits.host import BackendState, Host
from imgcrawl.limits.host_table import HostTable
from imgcrawl.shared.alarms import Alarm

logger = logging.getLogger(__name__)

BATCH_WINDOW = 0.002  # seconds in which what is to be asked comes together
UNHURRIED = 0.02  # the same, where this worker has something under way at the host
CONTENT = 0.1  # the same, where it has its share: its last answers come one by one, or it wants more than that
REPORT_INTERVAL = 0.5  # seconds after which answers are reported and what is not needed is given back, at the latest
REPORTS_A_SECOND = 400  # of all workers together: where there are more, each reports less often
BATCH_SIZE = 100  # hosts in one exchange: some milliseconds of the server's time
JOINING = 0.05  # seconds after which who has joined looks whether all others have heard of it, at the earliest


class Exchange:
    """Tells the *backend* about marked *hosts* in the background, and *granted* what it says.

    *backends*: how many there are that each have some of the hosts. *lease* is the number of seconds after which others
    take a silent worker for dead, *outages* what the backend raises when it cannot be reached; then *ready* is called
    with each host where requests wait, because this worker has to go on with its share.
    """

    def __init__(
        self, backend: LimitsBackend, hosts: HostTable, *, granted: Callable[[Host, LimitGrant, float], None],
        ready: Callable[[str], None], lease: float, outages: tuple[type[BaseException], ...], backends: int = 1,
    ) -> None:  # fmt: skip
        self.backend = backend
        self.state = BackendState(lease)
        self.count = 0
        self.outages_told = False  # by others, who have the same server
        self._hosts = hosts
        self._granted = granted
        self._ready = ready
        self._outages = outages
        self._backends = backends
        self._clock = BackendClock()
        self._due = Alarm()
        self._asks_at = -inf  # who else is there, though there be nothing to tell
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def ask(self, host: Host) -> None:
        """Tell the backend of *host*, soon."""
        self._hosts.mark(host)
        self._due.within(self._window(host))

    def wake(self) -> None:
        """Tell the backend of the hosts that are marked, soon."""
        self._due.within(BATCH_WINDOW)

    def start(self) -> None:
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._talk()), asyncio.create_task(self._listen())]

    async def close(self, patience: float) -> None:
        """Give everything back, if the backend answers within *patience* seconds."""
        self._closing = True
        await cancel_all(*self._tasks)
        with suppress(*self._outages):
            async with asyncio.timeout(patience):
                await self.backend.close()

    async def _talk(self) -> None:
        reported = monotonic()
        state = self.state
        while not self._closing:
            interval = max(REPORT_INTERVAL, state.membership.workers * self._backends / REPORTS_A_SECOND)
            await self._due.rings(min(interval, self._asks_at - monotonic()))
            if monotonic() - reported >= interval:
                reported = monotonic()
                self._hosts.mark_news()
                if state.away_since:
                    self._ready_all()
            while self._hosts.any_marked() or monotonic() >= self._asks_at:
                if not await self._exchange():
                    self._due.within(BATCH_WINDOW)
                    break

    def _window(self, host: Host) -> float:
        """Seconds in which what else is to be asked for may come together with what *host* asks for."""
        if self.state.lease == inf:
            return 0.0  # the backend is this process
        if not self.state.met or not host.in_use:
            return BATCH_WINDOW
        return CONTENT if host.is_content(self.state, monotonic()) else UNHURRIED

    async def _exchange(self) -> bool:
        # The first exchange asks for nothing: `BackendClock.told` needs two, should one of them be slow.
        state = self.state
        hosts = self._hosts.take_marked(BATCH_SIZE * state.met)
        sent = monotonic()
        requests = [host.request(state, sent) for host in hosts]
        try:
            async with asyncio.timeout(state.lease / 6 if state.lease < inf else None):
                await self.backend.open()
                membership, grants = await self.backend.exchange(requests, before=state.met)
        except self._outages as error:
            if monotonic() - sent < state.lease / 3:  # else it is not the backend that did not answer
                state.tried = sent
            self._unanswered(hosts, requests, error)
            await asyncio.sleep(random.uniform(0.2, 0.5))
            return False
        self.count += 1
        state.hear(membership)
        if state.away_since:
            self._come_back()
        state.answered = state.tried = sent
        state.met = True
        # Who is not known to all asks again when as much time has passed as since it joined.
        since = inf if state.is_known else max(JOINING, membership.clock - state.joined)
        self._asks_at = sent + min(state.lease / 6, since)
        if membership.fresh:  # the backend did not know this worker: all it has is what it has just told
            for host in self._hosts:
                host.starts.clear()
                self._hosts.mark(host)
        settled = self._clock.told(membership.clock)
        for host, request, grant in zip(hosts, requests, grants, strict=True):
            if request.limits == host.limits:
                self._granted(host, grant, settled)
            else:  # robots.txt named a delay meanwhile, of which these start times know nothing
                host.permits = max(host.in_use, grant.permits)
                host.starts.clear()
                self.ask(host)
        return True

    def _unanswered(self, hosts: list[Host], requests: list[LimitRequest], error: BaseException) -> None:
        now = monotonic()
        if not self.state.away_since:
            self.state.away_since = now
            text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            foreign = "WRONGTYPE" in text
            logger.log(
                logging.DEBUG if self.outages_told and not foreign else logging.WARNING,
                "Redis does not answer (%s): each worker keeps to its share of each host's limits%s",
                text,
                "; remove that key, which is not imgcrawl's" if foreign else "",
            )
        for host, request in zip(hosts, requests, strict=True):
            host.take_back(request, now)
            self._hosts.mark(host)
        self._ready_all()

    def _come_back(self) -> None:
        """Stay with this worker's share until the backend has heard of it and says otherwise."""
        now = monotonic()
        level = logging.DEBUG if self.outages_told else logging.WARNING
        logger.log(level, "Redis answers again after %.1f s: limits are shared", now - self.state.away_since)
        for host in self._hosts:
            host.permits = max(host.in_use, host.allowed(self.state, now))
            self._hosts.mark(host)
        self.state.away_since = 0.0

    def _ready_all(self) -> None:
        for host in self._hosts.busy():
            if host.queued:
                self._ready(host.name)

    async def _listen(self) -> None:
        lease = self.state.lease
        while not self._closing:
            try:
                if not self.state.met:
                    await asyncio.sleep(0.05)
                    continue
                for name in await self.backend.changed_hosts(lease / 6 if lease < inf else 3600):
                    if host := self._hosts.get(name):
                        self.ask(host)
                    elif not name:  # another worker is there
                        self._asks_at = -inf
                        self.wake()
            except self._outages:
                await asyncio.sleep(random.uniform(0.2, 0.5))
