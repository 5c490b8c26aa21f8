"""A worker's side of the limits: permission without waiting, and the task that talks to the ledger."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic

from imgcrawl.limits.ledger import HORIZON, Ask, Crowd, Grant, Ledger, Terms

logger = logging.getLogger(__name__)

GATHER = 0.002  # seconds in which what is to be asked comes together
TICK = 0.5  # seconds after which answers are reported and what is not needed is given back, at the latest
IDLE = 1.0  # seconds that a permit which is not used is kept: the next page of the host may come
EARLY = 0.001  # seconds that a timer may be early
MOST_ASKS = 100  # hosts in one exchange: some milliseconds of the server's time


@dataclass(eq=False)
class _Host:
    """What this worker knows of a host. Times are monotonic()."""

    name: str
    terms: Terms
    in_use: int = 0
    queued: int = 0
    permits: int = 0
    share: int = 0
    turn: float = inf  # from then on no more than the share
    delay: float = 0.0
    blocked: float = 0.0
    epoch: int = -1
    starts: deque[float] = field(default_factory=deque)
    started: float = -inf
    given: int = 0  # start times in the last grant
    wanted: int = 0  # asked for last
    answers: int = 0
    latency: float = 0.0  # in sum
    trouble: float | None = None  # when the request was sent
    why: str = ""
    block_until: float = 0.0
    used: float = field(default_factory=monotonic)
    timer: asyncio.TimerHandle | None = None
    timer_at: float = inf

    def late(self) -> float:
        """Seconds after which a start time has passed: others count on the gap that follows it."""
        return max(0.01, 0.04 * self.delay) if self.delay > 0.05 else 0.05


class Limits:
    """Says when a host may be asked, so that the terms hold for all workers of its ledger together.

    Nothing here waits: `take` says yes or no, and *ready* is called with a host that may be asked again. What is
    asked of the ledger and reported to it travels in the background. When the ledger cannot be reached, this worker
    goes on with its share of what the last known number of workers may do, once what others have been granted has
    ended (*lease* seconds), and with less until then.
    """

    def __init__(
        self, ledger: Ledger, terms: Callable[[str], Terms], ready: Callable[[str], None], *, lease: float = inf,
        outages: tuple[type[BaseException], ...] = (),
    ) -> None:  # fmt: skip
        self.ledger = ledger
        self.crowd = Crowd()
        self.exchanges = 0
        self.outages_told = False  # by others, who have the same server
        self._terms = terms
        self._ready = ready
        self._lease = lease
        self._outages = outages
        self._hosts: dict[str, _Host] = {}
        self._dirty: dict[str, None] = {}
        self._floors: dict[str, float] = {}
        self._stir = asyncio.Event()
        self._heard = -inf  # when the last exchange that was answered was sent
        self._tried = -inf  # the same, or one that failed in its time
        self._ahead = -inf  # seconds by which the ledger's clock is ahead of monotonic(), at least
        self._met = False
        self._away_since = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    # What the downloader calls

    def take(self, name: str, queued: int) -> bool:
        """Whether a request may be sent now; it then counts as under way until `give`. *queued* wait, it included."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(name, replace(self._terms(name), floor=self._floors.get(name, 0.0)))
        if not self._tasks:
            self._start()
        now = monotonic()
        host.queued = queued
        host.used = now
        if host.blocked > now:
            self._call_at(host, host.blocked)
            if host.wanted == 0:
                self._ask(host)
            return False
        if host.in_use >= self._allowed(host, now):
            if self._wants(host) != host.wanted:
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
        crowded = now >= host.turn and host.permits > max(host.in_use, self._allowed(host, now))
        if trouble is not None or block > 0 or crowded:
            self._ask(host)

    def floor(self, name: str, seconds: float) -> None:
        """No gap between two requests to a host is shorter than this (Crawl-delay)."""
        if self._floors.get(name, 0.0) >= seconds:
            return  # as for the slowest of its ports
        self._floors[name] = seconds
        if host := self._hosts.get(name):
            host.terms = replace(host.terms, floor=seconds)
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
        for host in self._hosts.values():
            soon = host.starts[0] if host.starts else now
            if host.in_use == 0 and host.queued and (host.blocked > now or not host.permits or soon > now + 1):
                yield host.name

    async def close(self) -> None:
        """Give everything back."""
        self._closing = True
        self._stir.set()
        for host in self._hosts.values():
            if host.timer:
                host.timer.cancel()
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()  # again and again: asyncio.timeout(0), as redis-py has it, can swallow one
            await asyncio.wait(pending, timeout=0.05)
        with suppress(*self._outages):
            async with asyncio.timeout(5):
                await self.ledger.close()

    # May I?

    def _allowed(self, host: _Host, now: float) -> int:
        if now - self._tried > self._lease * 5 / 6:
            return 0  # this process stood still, and others have what it had
        if self._away_since:
            share = self._share(host)
            return share if now - self._heard > self._lease else min(host.permits, share)
        if now < host.turn:
            return host.permits
        # While it waits for its start time, a request needs its permit.
        waits_for_start = host.in_use == 0 and bool(host.starts) and host.queued > 0
        return min(host.permits, max(host.share, waits_for_start))

    def _share(self, host: _Host) -> int:
        if not self._met:
            return 0  # nobody knows how many there are
        whole, rest = divmod(host.terms.concurrency, self.crowd.workers)
        return whole + (self.crowd.rank < rest)

    def _starts_now(self, host: _Host, now: float) -> bool:
        starts = host.starts
        late = host.late()
        while starts and starts[0] < now - late:
            starts.popleft()
        if not starts and self._met and self._away_since:
            # Others may still have start times that they were given before.
            given_until = self._away_since + max(HORIZON, host.delay * self.crowd.workers)
            starts.append(max(given_until, self._turn_of_mine(host, max(now, given_until))))
        if starts and starts[0] > now + EARLY:
            self._call_at(host, starts[0])
            return False
        if not starts:
            self._ask(host)
            return False
        starts.popleft()
        host.started = now
        if len(starts) < host.given // 2 and host.queued > 1:
            self._ask(host)
        return True

    def _turn_of_mine(self, host: _Host, now: float) -> float:
        """When this worker may start, with nobody to ask: once in as many delays as there are workers, each in its
        turn by the clock that all machines have more or less."""
        gap = max(host.delay, host.terms.floor)
        period = gap * self.crowd.workers
        start = now + (self.crowd.rank * gap - time.time()) % period
        if start < host.started + period / 2:
            start += period
        return start

    def _wants(self, host: _Host) -> int:
        if host.delay >= HORIZON:
            return host.in_use + min(1, host.queued)
        return min(host.in_use + host.queued, host.terms.concurrency)

    def _call_at(self, host: _Host, when: float) -> None:
        if host.timer:
            if host.timer_at <= when + EARLY:
                return
            host.timer.cancel()
        host.timer_at = when
        host.timer = asyncio.get_running_loop().call_later(max(0.0, when - monotonic()), self._time_has_come, host)

    def _time_has_come(self, host: _Host) -> None:
        host.timer = None
        host.timer_at = inf
        if host.queued:
            self._ready(host.name)

    # Talking to the ledger

    def _start(self) -> None:
        self._tasks = [asyncio.create_task(self._talk()), asyncio.create_task(self._listen())]

    def _ask(self, host: _Host) -> None:
        self._dirty[host.name] = None
        self._stir.set()

    async def _talk(self) -> None:
        ticked = monotonic()
        beat = self._lease / 6
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._stir.wait()
                    await asyncio.sleep(GATHER if self._lease < inf else 0)
            self._stir.clear()
            if monotonic() - ticked >= TICK:
                ticked = monotonic()
                self._look_around()
            while self._dirty or monotonic() - self._heard > beat:
                if not await self._exchange():
                    self._stir.set()
                    break

    async def _exchange(self) -> bool:
        # The first exchange asks for nothing: `_moment` needs two, should one of them be slow.
        hosts = [self._hosts[name] for name in list(self._dirty)[: MOST_ASKS * self._met] if name in self._hosts]
        sent = monotonic()
        asks = [self._made(host, sent) for host in hosts]
        for host in hosts:
            del self._dirty[host.name]
        try:
            async with asyncio.timeout(self._lease / 6 if self._lease < inf else None):
                await self.ledger.open()
                self.crowd, grants = await self.ledger.exchange(asks, before=self._met)
        except self._outages as error:
            if monotonic() - sent < self._lease / 3:  # else it is not the ledger that did not answer
                self._tried = sent
            self._unanswered(asks, error)
            await asyncio.sleep(random.uniform(0.2, 0.5))
            return False
        self.exchanges += 1
        if self._away_since:
            self._come_back(hosts)
        self._heard = self._tried = sent
        self._met = True
        if self.crowd.fresh:
            self._forgotten(hosts)
        settled = self._moment(self.crowd.clock, sent)
        for host, ask, grant in zip(hosts, asks, grants, strict=True):
            if ask.terms == host.terms:
                self._granted(host, grant, settled)
            else:  # robots.txt named a delay meanwhile, of which these start times know nothing
                host.permits = max(host.in_use, grant.permits)
                host.starts.clear()
                self._ask(host)
        return True

    def _moment(self, clock: float, sent: float) -> float:
        """The monotonic() at which the ledger's clock said *clock*, in an exchange that was sent at *sent*.

        Not earlier than it was, and later by no more than the fastest answer was on its way: one that was slow, or came
        to a loop that was busy, must not move the start times that it brings, since others have the next ones.
        """
        now = monotonic()
        self._ahead = max(self._ahead, clock - now)
        if clock - self._ahead < sent:  # the clocks are not what they were
            self._ahead = clock - now
        return clock - self._ahead

    def _made(self, host: _Host, now: float) -> Ask:
        host.wanted = self._wants(host)
        kept = self._allowed(host, now)
        if now - host.used > IDLE:
            kept = min(kept, host.wanted)
        # What is given up here is not used any more, whenever the answer comes.
        host.permits = max(host.in_use, kept)
        ask = Ask(
            host=host.name,
            terms=host.terms,
            keep=host.permits,
            want=max(host.wanted, host.in_use),
            starts=max(0, min(host.queued, host.terms.concurrency * 16) - len(host.starts)),
            answers=host.answers,
            latency=host.latency / host.answers if host.answers else 0.0,
            trouble=None if host.trouble is None else max(0.0, now - host.trouble),
            why=host.why,
            block=max(0.0, host.block_until - now),
        )
        host.answers, host.latency, host.trouble, host.block_until = 0, 0.0, None, 0.0
        return ask

    def _granted(self, host: _Host, grant: Grant, settled: float) -> None:
        now = monotonic()
        host.permits, host.share = grant.permits, grant.share
        host.turn = settled + grant.turn if grant.share < grant.permits else inf
        host.delay = grant.delay
        if grant.epoch != host.epoch:
            host.epoch = grant.epoch
            host.starts.clear()
        if grant.blocked or host.blocked > now:
            host.blocked = max(host.blocked, settled + grant.blocked) if grant.blocked else host.blocked
        host.starts.extend(settled + start for start in grant.starts)
        host.given = len(grant.starts)
        if host.turn < inf:
            asyncio.get_running_loop().call_later(host.turn - now + EARLY, self._turn_ends, host)
        if host.queued:
            self._ready(host.name)

    def _turn_ends(self, host: _Host) -> None:
        if monotonic() >= host.turn and host.permits > max(host.in_use, self._allowed(host, monotonic())):
            self._ask(host)

    def _unanswered(self, asks: list[Ask], error: BaseException) -> None:
        now = monotonic()
        if not self._away_since:
            self._away_since = now
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            level = logging.DEBUG if self.outages_told else logging.WARNING
            logger.log(level, "The ledger of the limits does not answer (%s); going on with this worker's share", text)
        for ask in asks:
            host = self._hosts[ask.host]
            host.answers += ask.answers
            host.latency += ask.latency * ask.answers
            if ask.trouble is not None and host.trouble is None:
                host.trouble = now - ask.trouble
                host.delay = max(host.delay * 2, 0.1)  # nobody else will say so for now
            host.block_until = max(host.block_until, now + ask.block if ask.block else 0.0)
            self._dirty[host.name] = None
        for host in self._hosts.values():
            if host.queued:
                self._ready(host.name)

    def _come_back(self, told: list[_Host]) -> None:
        """Stay with this worker's share until the ledger has heard of it and says otherwise."""
        now = monotonic()
        level = logging.DEBUG if self.outages_told else logging.WARNING
        logger.log(level, "The ledger of the limits answers again after %.1f s", now - self._away_since)
        for host in self._hosts.values():
            host.permits = max(host.in_use, self._allowed(host, now))
            if host not in told:
                self._ask(host)
        self._away_since = 0.0

    def _forgotten(self, told: list[_Host]) -> None:
        """The ledger did not know this worker, so all it has is what it has just told."""
        for host in self._hosts.values():
            if host not in told:
                host.starts.clear()
                self._ask(host)

    def _look_around(self) -> None:
        now = monotonic()
        for host in list(self._hosts.values()):
            busy = host.in_use or host.queued
            wants = self._wants(host)
            surplus = host.permits > wants and now - host.used > IDLE
            wanting = host.queued and host.permits < wants
            if host.answers or surplus or wanting:
                self._ask(host)
            elif not busy and host.permits == 0 and now - host.used > 60 and host.blocked < now:
                del self._hosts[host.name]
            if host.queued and self._away_since:
                self._ready(host.name)

    async def _listen(self) -> None:
        while not self._closing:
            try:
                if not self._met:
                    await asyncio.sleep(0.05)
                    continue
                for name in await self.ledger.news(self._lease / 6 if self._lease < inf else 3600):
                    if host := self._hosts.get(name):
                        self._ask(host)
            except self._outages:
                await asyncio.sleep(random.uniform(0.2, 0.5))
