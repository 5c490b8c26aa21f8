"""Who may ask a host, and when: what a worker says to the ledger, what it is told, and the ledger of one process.

`imgcrawl.limits.shared` is the ledger of many; limits.lua follows the same rules, and one test suite holds both to
them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, Protocol

HORIZON = 0.25  # seconds ahead for which start times are given out at once; round trips cost more than foresight
MOST_STARTS = 128  # given out at once
QUANTUM = 0.25  # seconds that a worker keeps what it has where there are more workers than a host's concurrency
SLOWED = 0.1  # seconds between two requests, at least, after the first 429 or 503
FULL_SPEED = 0.02  # a delay that falls below this is over
EASED_AT_ONCE = 1.0  # seconds of good answers that can be credited at a time: silence is no good answer
LONGEST_BLOCK = 86400.0  # seconds; what asks for more means "go away", and a day is an answer to that


@dataclass(frozen=True)
class Terms:
    """What the settings and robots.txt say of a host. Times are in seconds.

    *delay* varies by *jitter* (0.5: ±50 %); no gap is ever shorter than *floor* (Crawl-delay). With *target* (0: off)
    the delay follows the latency, between *delay* and *longest*, from *first*. After trouble it doubles, up to
    *longest*; then *speedup* requests a second are added in each second.
    """

    concurrency: int
    delay: float = 0.0
    jitter: float = 0.0
    floor: float = 0.0
    target: float = 0.0
    first: float = 0.0
    longest: float = 60.0
    speedup: float = 2.0


@dataclass(frozen=True)
class Ask:
    """What a worker has and wants of one host.

    *keep*: permits that this worker has and may be using already when it hears the answer; *want*: requests under way
    and waiting. *starts*: start
    times wanted. *answers* came since the last ask, with *latency* on average. *trouble*: a request sent that many
    seconds ago was answered "slower", *why* is the answer. *block*: nothing may be asked for that long.
    """

    host: str
    terms: Terms
    keep: int = 0
    want: int = 0
    starts: int = 0
    answers: int = 0
    latency: float = 0.0
    trouble: float | None = None
    why: str = ""
    block: float = 0.0


@dataclass(frozen=True)
class Grant:
    """What a worker may do. Times are in seconds from the `Crowd.clock` that comes with it.

    *permits*: requests under way at a time, never fewer than it said it keeps. If *share* is less, others wait, or have
    what it keeps because it was taken for dead: it is to keep no more than that from *turn* on.
    *delay*: between two requests of anybody, 0 for none; if there is one, requests are sent at *starts* only.
    *blocked*: nothing before. *epoch*: start times of an earlier one are void.
    """

    permits: int
    share: int
    turn: float
    delay: float
    blocked: float
    epoch: int
    starts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Crowd:
    """*workers* share the limits, of which this is number *rank* (from 0). *fresh*: the ledger did not know it.

    *clock*: seconds, by the ledger's clock, at which this was so.
    """

    workers: int = 1
    rank: int = 0
    fresh: bool = False
    clock: float = 0.0


class Ledger(Protocol):
    """The common account of all workers. Raises what its medium raises (`OUTAGES`) when it cannot be reached."""

    async def open(self) -> None: ...

    async def exchange(self, asks: Sequence[Ask], *, before: bool = False) -> tuple[Crowd, list[Grant]]:
        """Settle *asks*, one for a host, in one step. *before*: this worker had grants before."""
        ...

    async def news(self, timeout: float) -> Sequence[str]:
        """Wait for hosts about which there is something new to hear, *timeout* seconds at the most."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class Board(Protocol):
    """What workers tell each other about hosts. While it cannot be reached nothing is told, and every claim granted."""

    async def recall(self, name: str) -> dict[str, Any] | None:
        """What `remember` was told under *name*, if that still holds."""
        ...

    async def remember(self, name: str, note: dict[str, Any], seconds: float) -> None:
        """Tell *note* to all workers for the next *seconds*, and end a claim to *name*."""
        ...

    async def spend(self, run: str, amounts: Mapping[str, int]) -> dict[str, int] | None:
        """Add *amounts* to what all workers of *run* have spent, and hear the sums; None if it cannot be reached."""
        ...

    async def claim(self, name: str, seconds: float) -> bool:
        """Whether it is this worker that finds out about *name*, for the next *seconds*."""
        ...


@dataclass
class _Account:
    """What is known of a host. Times by the ledger's clock."""

    last: float = -inf  # start time given out
    paced: float = 0.0  # the delay that follows the latency
    slowed: float = 0.0  # the delay after trouble
    slowed_at: float = 0.0
    eased_at: float = 0.0
    blocked: float = 0.0
    epoch: int = 0
    known: bool = False
    used: float = 0.0


class LocalLedger:
    """The ledger of a worker that is alone."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._swept = clock()

    async def open(self) -> None:
        pass

    async def exchange(self, asks: Sequence[Ask], *, before: bool = False) -> tuple[Crowd, list[Grant]]:
        now = self._clock()
        if now - self._swept > 600:
            self._swept = now
            self._accounts = {
                host: account
                for host, account in self._accounts.items()
                if max(account.used + 3600, account.blocked) > now
            }
        return Crowd(clock=now), [
            self._settle(self._accounts.setdefault(ask.host, _Account()), ask, now) for ask in asks
        ]

    async def news(self, timeout: float) -> Sequence[str]:
        await asyncio.sleep(timeout)
        return ()

    async def close(self) -> None:
        self._accounts.clear()

    def _settle(self, account: _Account, ask: Ask, now: float) -> Grant:
        account.used = now
        pace(account, ask, now)
        terms = ask.terms
        delay = max(terms.delay, account.paced, account.slowed)
        gap = max(delay, terms.floor)
        starts: list[float] = []
        if gap > 0:
            while len(starts) < min(ask.starts, MOST_STARTS):
                varied = delay * (1 + random.uniform(-terms.jitter, terms.jitter))
                start = max(now, account.last + max(terms.floor, varied), account.blocked)
                if starts and start > now + HORIZON:
                    break
                starts.append(start - now)
                account.last = start
        elif ask.want:
            account.last = now  # more or less, should a delay follow
        return Grant(
            permits=max(ask.keep, min(ask.want, terms.concurrency)),
            share=terms.concurrency,
            turn=0.0,
            delay=gap,
            blocked=max(0.0, account.blocked - now),
            epoch=account.epoch,
            starts=tuple(starts),
        )


def pace(account: _Account, ask: Ask, now: float) -> None:
    """Slow a host down or let it recover, by what its answers say."""
    terms = ask.terms
    if terms.target and not account.known:
        account.paced = min(max(terms.delay, terms.first), terms.longest)
    account.known = True
    slower = max(terms.delay, terms.floor, account.paced, account.slowed)
    if terms.target and ask.answers:
        wanted = ask.latency / terms.target
        # Scrapy's rule, for as many answers: up at once, down by halves.
        if wanted < account.paced:
            wanted += (account.paced - wanted) / 2 ** min(ask.answers, 50)
        account.paced = min(max(terms.delay, wanted), terms.longest)
    if ask.trouble is not None and now - ask.trouble >= account.slowed_at:
        # Once for all requests that were under way: they say nothing about the new speed.
        current = max(terms.delay, terms.floor, account.paced, account.slowed)
        account.slowed = min(max(2 * current, SLOWED), max(terms.longest, current))
        account.slowed_at = account.eased_at = now
        account.last = now
        account.epoch += 1
    elif ask.answers and account.slowed:
        rate = 1 / account.slowed + terms.speedup * min(EASED_AT_ONCE, now - account.eased_at)
        account.eased_at = now
        account.slowed = 1 / rate
        if account.slowed <= max(FULL_SPEED, terms.delay, account.paced):
            account.slowed = 0.0
    gap = max(terms.delay, terms.floor, account.paced, account.slowed)
    if gap < slower and account.last > max(now, account.blocked) + HORIZON + 2 * gap:
        # The start times of a slower speed, one for each worker, would hold up the recovery for as long as they reach.
        # Whoever has one and has not heard of this yet may still use it, so the new ones begin a little later.
        account.last = now + HORIZON
        account.epoch += 1
    if ask.block > 0 and now + ask.block > account.blocked:
        account.blocked = now + min(ask.block, LONGEST_BLOCK)
        account.epoch += 1
