"""The limits that workers share in Redis."""

from __future__ import annotations

import os
import random
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from scrapy.settings import BaseSettings

from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.limits.backend import BackendClock, LimitGrant, LimitRequest, Membership
from imgcrawl.limits.notes import RedisNotes
from imgcrawl.shared.connection import OUTAGES, check_server
from imgcrawl.shared.script import Script

__all__ = ["OUTAGES", "HostStatus", "RedisLimits", "limits_from_settings"]

PARTS = ("keys", "workers", "hosts", "pace", "share", "exchange")  # each uses those before
SCRIPT = Script(*(files("imgcrawl.limits") / "lua" / f"{name}.lua" for name in PARTS))
_PAGE = 100  # hosts in one look: a millisecond of the server's time


@dataclass(frozen=True)
class HostStatus:
    """How a host is being asked now. Times are in seconds; *blocked* is from now, *ago* when *by* slowed it."""

    host: str
    permits: int
    workers: int
    concurrency: int
    delay: float
    slowed: float
    blocked: float
    why: str
    by: str
    ago: float


class RedisLimits:
    """A `LimitsBackend` for all workers of a spider with the same Redis. `notes` is what they tell each other.

    Keys live in the frontier's hash slot. The server's clock is not trusted: the limits have one of their own, which
    never goes back, and goes on as the monotonic clocks of workers do.
    """

    def __init__(self, store: Queue, url: str, worker: str = "") -> None:
        self.store = store
        self.url = url
        self.worker = worker or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.lease = store.settings.lease_timeout
        self.key = f"{store.prefix}limits"
        self.notes = RedisNotes(self)
        self._clock = BackendClock()
        self._hosts: set[str] = set()  # where this worker may have something
        self._open = False

    async def open(self) -> None:
        if not self._open:
            await check_server(self.store, self.url)
            self._open = True

    async def exchange(
        self, requests: Sequence[LimitRequest], *, before: bool = False
    ) -> tuple[Membership, list[LimitGrant]]:
        arguments: list[Any] = [int(before), random.randrange(1 << 31), self._clock.now(), time.time()]
        for request in requests:
            arguments += _on_the_wire(request)
            if request.want or request.keep:
                self._hosts.add(request.host)
            else:
                self._hosts.discard(request.host)
        workers, rank, fresh, at, heard, grants = await self._call("exchange", *arguments)
        self._clock.told(float(at))
        membership = Membership(workers, rank, bool(fresh), float(at), float(heard))
        return membership, [_grant(*grant) for grant in grants]

    async def changed_hosts(self, timeout: float) -> Sequence[str]:
        key = f"{self.key}:wake:{self.worker}"
        woken = await self.store.client.blpop([key], timeout=timeout)
        if woken is None:
            return ()
        more = await self.store.client.lpop(key, 1000) or []
        return [host.decode("utf-8", "replace") for host in dict.fromkeys([woken[1], *more])]

    async def close(self) -> None:
        try:
            if self._open:
                await self._call("leave", self._clock.now(), time.time(), *self._hosts)
        finally:
            await self.store.client.aclose()

    async def expire_worker(self, worker: str) -> None:
        """Let the others have what *worker* had at once: whoever says this knows that its process has ended."""
        async with self.store.client.pipeline(transaction=False) as pipe:
            pipe.zrem(self.key, worker)
            pipe.zrem(f"{self.key}:ranks", worker)
            await pipe.execute()

    async def status(self, most: int = 1000) -> tuple[int, int, list[HostStatus]]:
        """The number of workers, that of the hosts that were asked for in the last ten minutes, and *most* of these,
        those first that are blocked longest or were asked for last."""
        statuses: list[HostStatus] = []
        while True:
            page = min(_PAGE, most - len(statuses))
            workers, total, found = await self._call("status", time.time(), len(statuses), page)
            statuses += (_status(*each) for each in found)
            if len(found) < page or len(statuses) >= most:
                return workers, total, statuses

    async def _call(self, operation: str, *arguments: Any) -> Any:
        return await SCRIPT.run(self.store.client, [self.key], (operation, self.worker, self.lease, *arguments))


def limits_from_settings(settings: BaseSettings, spider: str, worker: str = "") -> RedisLimits:
    """The limits of the spider of that name at REDIS_URL. Raises `InputError` for settings that make no sense."""
    return RedisLimits(queue_from_settings(settings, spider), settings["REDIS_URL"], worker)


def _on_the_wire(request: LimitRequest) -> list[Any]:
    limits = request.limits
    return [
        request.host, request.why,
        limits.concurrency, limits.delay, limits.jitter, limits.floor,
        limits.target, limits.first, limits.longest, limits.speedup, limits.factor,
        request.keep, request.want, request.starts, request.answers, request.latency,
        -1 if request.trouble is None else request.trouble, request.block, request.doubts, request.doubted,
    ]  # fmt: skip


def _grant(
    permits: bytes, share: bytes, turn: bytes, delay: bytes, blocked: bytes, epoch: bytes, starts: bytes, slowed: bytes
) -> LimitGrant:
    return LimitGrant(
        permits=int(float(permits)),
        share=int(float(share)),
        turn=float(turn),
        delay=float(delay),
        blocked=float(blocked),
        epoch=int(float(epoch)),
        starts=tuple(float(start) for start in starts.split()),
        slowed=float(slowed),
    )


def _status(host: bytes, why: bytes, by: bytes, *numbers: bytes) -> HostStatus:
    permits, holders, concurrency, delay, slowed, blocked, ago = map(float, numbers)
    return HostStatus(
        host=host.decode("utf-8", "replace"),
        permits=int(permits),
        workers=int(holders),
        concurrency=int(concurrency),
        delay=delay,
        slowed=slowed,
        blocked=blocked,
        why=why.decode("utf-8", "replace"),
        by=by.decode("utf-8", "replace"),
        ago=ago,
    )
