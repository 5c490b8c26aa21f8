"""The limits of a worker that is alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic

from imgcrawl.limits.backend import (
    DOUBTS,
    FIRST_DELAY,
    FORGIVEN,
    FULL_SPEED,
    HORIZON,
    MAX_BLOCK,
    MAX_RECOVERY,
    MAX_STARTS,
    MOST_LATENCIES,
    SAME_BLOCK,
    WIDENED,
    LimitGrant,
    LimitRequest,
    Membership,
)

_FORGOTTEN = 3600  # seconds after which a host that nobody asks for is forgotten
_SWEEP_INTERVAL = 600  # seconds between two looks for such hosts


@dataclass
class _Account:
    """What is known of a host. Times by the backend's clock."""

    last: float = -inf  # start time given out
    paced: float = 0.0  # the delay that follows the latency
    slowed: float = 0.0  # the delay after a 429 or 503
    slowed_at: float = 0.0
    troubles: int = 0  # that good answers have not outweighed
    eased_at: float = 0.0
    blocked: float = 0.0
    epoch: int = 0
    doubts: int = 0  # answers in a row that asked for a very long wait
    known: bool = False
    used: float = 0.0


class LocalLimits:
    """A `LimitsBackend` for one worker."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._swept = clock()

    async def open(self) -> None:
        pass

    async def exchange(
        self, requests: Sequence[LimitRequest], *, before: bool = False
    ) -> tuple[Membership, list[LimitGrant]]:
        now = self._clock()
        if now - self._swept > _SWEEP_INTERVAL:
            self._swept = now
            self._accounts = {
                host: account
                for host, account in self._accounts.items()
                if max(account.used + _FORGOTTEN, account.blocked) > now
            }
        return Membership(clock=now), [
            self._settle(self._accounts.setdefault(request.host, _Account()), request, now) for request in requests
        ]

    async def changed_hosts(self, timeout: float) -> Sequence[str]:
        await asyncio.sleep(timeout)
        return ()

    async def close(self) -> None:
        self._accounts.clear()

    def _settle(self, account: _Account, request: LimitRequest, now: float) -> LimitGrant:
        account.used = now
        _pace(account, request, now)
        _block(account, request, now)
        limits = request.limits
        delay = max(limits.delay, account.paced, account.slowed)
        gap = max(delay, limits.floor) * limits.factor
        starts: list[float] = []
        if gap > 0:
            while len(starts) < min(request.starts, MAX_STARTS):
                varied = delay * (1 + random.uniform(-limits.jitter, limits.jitter))
                start = max(now, account.last + max(limits.floor, varied) * limits.factor, account.blocked)
                if starts and start > now + HORIZON:
                    break
                starts.append(start - now)
                account.last = start
        elif request.want:
            account.last = now  # more or less, should a delay follow
        return LimitGrant(
            permits=max(request.keep, min(request.want, limits.concurrency)),
            share=limits.concurrency,
            turn=0.0,
            delay=gap,
            blocked=max(0.0, account.blocked - now),
            epoch=account.epoch,
            starts=tuple(starts),
            slowed=account.slowed,
        )


def _pace(account: _Account, request: LimitRequest, now: float) -> None:
    """Slow a host down or let it recover, by what its answers say."""
    limits = request.limits
    if limits.target and not account.known:
        account.paced = min(max(limits.delay, limits.first), limits.longest)
    account.known = True
    slower = max(limits.delay, limits.floor, account.paced, account.slowed)
    if limits.target and request.answers:
        wanted = request.latency / limits.target
        # Scrapy's rule, for as many answers: up at once, down by halves.
        if wanted < account.paced:
            wanted += (account.paced - wanted) / 2 ** min(request.answers, 50)
        account.paced = min(max(limits.delay, wanted), limits.longest)
    account.troubles = max(0, account.troubles - FORGIVEN * request.answers)
    if request.trouble is not None and now - request.trouble >= account.slowed_at:
        # Once for all requests that were under way: they say nothing about the new speed.
        current = max(limits.delay, limits.floor, account.paced, account.slowed)
        account.troubles += 1
        most = limits.longest
        if request.trouble and not request.why.startswith("429"):
            # An address may have its 503s at any speed, as where an image is made when it is first asked for. A 429
            # says that it is the speed.
            wide = MOST_LATENCIES * 2 ** min(50, account.troubles / WIDENED)
            most = min(most, max(FIRST_DELAY, wide * request.trouble))
        account.slowed = min(max(2 * current, FIRST_DELAY), max(most, current))
        account.slowed_at = account.eased_at = now
        account.last = now
        account.epoch += 1
    elif request.answers and account.slowed:
        rate = 1 / account.slowed + limits.speedup * min(MAX_RECOVERY, now - account.eased_at)
        account.eased_at = now
        account.slowed = 1 / rate
        if account.slowed <= max(FULL_SPEED, limits.delay, account.paced):
            account.slowed = 0.0
    gap = max(limits.delay, limits.floor, account.paced, account.slowed)
    if gap < slower and account.last > max(now, account.blocked) + HORIZON + 2 * gap * limits.factor:
        # The start times of a slower speed, one for each worker, would hold up the recovery for as long as they reach.
        # Whoever has one and has not heard of this yet may still use it, so the new ones begin a little later.
        account.last = now + HORIZON
        account.epoch += 1


def _block(account: _Account, request: LimitRequest, now: float) -> None:
    """Leave a host alone, if that is what its answers say. One that stands alone with a very long wait is no word of
    the host, but of an address."""
    account.doubts = (0 if request.answers else account.doubts) + request.doubts
    seconds = request.block
    if request.doubts and account.doubts >= DOUBTS:
        seconds = max(seconds, request.doubted)
    seconds = min(seconds, MAX_BLOCK)
    if seconds > 0 and now + seconds > account.blocked + SAME_BLOCK:
        account.blocked = now + seconds
        account.epoch += 1
