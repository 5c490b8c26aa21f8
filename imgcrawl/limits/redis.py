"""The limits that workers share in Redis, and what else they tell each other there about hosts."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError, ResponseError
from scrapy.settings import BaseSettings

from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.limits.backend import LimitGrant, LimitRequest, Membership
from imgcrawl.shared.connection import OUTAGES, check_server

__all__ = ["OUTAGES", "HostStatus", "RedisLimits", "limits_from_settings"]

SCRIPT = (Path(__file__).parent / "limits.lua").read_bytes()
SHA = sha1(SCRIPT, usedforsecurity=False).hexdigest()


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
    """A `LimitsBackend`, and `HostNotes`, for all workers of a spider with the same Redis.

    Keys live in the frontier's hash slot.
    """

    def __init__(self, store: Queue, url: str, worker: str = "") -> None:
        self.store = store
        self.url = url
        self.worker = worker or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.lease = store.settings.lease_timeout
        self.key = f"{store.prefix}limits"
        self._hosts: set[str] = set()  # where this worker may have something
        self._open = False

    async def open(self) -> None:
        if not self._open:
            await check_server(self.store, self.url)
            self._open = True

    async def exchange(
        self, requests: Sequence[LimitRequest], *, before: bool = False
    ) -> tuple[Membership, list[LimitGrant]]:
        arguments: list[Any] = [int(before), random.randrange(1 << 31)]
        for request in requests:
            arguments += [
                request.host,
                *astuple(request.limits),
                request.keep,
                request.want,
                request.starts,
                request.answers,
                request.latency,
            ]
            arguments += [-1 if request.trouble is None else request.trouble, request.why, request.block]
            if request.want or request.keep:
                self._hosts.add(request.host)
            else:
                self._hosts.discard(request.host)
        workers, rank, fresh, clock, grants = await self._call("exchange", *arguments)
        return Membership(workers, rank, bool(fresh), float(clock)), [_grant(*grant) for grant in grants]

    async def changed_hosts(self, timeout: float) -> Sequence[str]:
        key = f"{self.key}:wake:{self.worker}"
        try:
            woken = await self.store.client.blpop([key], timeout=timeout)
            if woken is None:
                return ()
            more = await self.store.client.lpop(key, 1000) or []
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            await self.store.client.unlink(key)
            return ()
        return [host.decode("utf-8", "replace") for host in dict.fromkeys([woken[1], *more])]

    async def close(self) -> None:
        try:
            if self._open:
                await self._call("leave", *self._hosts)
        finally:
            await self.store.client.aclose()

    async def expire_worker(self, worker: str) -> None:
        """Let the others have what *worker* had at once: whoever says this knows that its process has ended."""
        await self.store.client.zrem(self.key, worker)

    async def status(self, most: int = 1000) -> tuple[int, list[HostStatus]]:
        """The number of workers, and the hosts that were asked for in the last hour, last first."""
        workers, found = await self._call("status", most)
        statuses = []
        for host, why, by, *numbers in found:
            permits, holders, concurrency, delay, slowed, blocked, ago = map(float, numbers)
            statuses.append(
                HostStatus(
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
            )
        return workers, statuses

    # HostNotes

    async def recall(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(*OUTAGES):
            await self.open()
            value = await self.store.client.get(f"{self.key}:note:{name}")
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                note = json.loads(value)
                return note if isinstance(note, dict) else None
        return None

    async def remember(self, name: str, note: dict[str, Any], seconds: float) -> None:
        with contextlib.suppress(*OUTAGES):
            async with self.store.client.pipeline(transaction=False) as pipe:
                pipe.set(f"{self.key}:note:{name}", json.dumps(note), px=max(1, int(seconds * 1000)))
                pipe.delete(f"{self.key}:claim:{name}")
                await pipe.execute()

    async def spend(self, run: str, amounts: Mapping[str, int]) -> dict[str, int] | None:
        key = f"{self.key}:spent:{run}"
        with contextlib.suppress(*OUTAGES):
            await self.open()
            async with self.store.client.pipeline(transaction=True) as pipe:  # all or nothing: it is not done twice
                for name, amount in amounts.items():
                    pipe.hincrby(key, name, amount)
                pipe.expire(key, 30 * 86400 if run else 86400)
                pipe.hgetall(key)
                *_, sums = await pipe.execute()
            return {name.decode("utf-8", "replace"): int(total) for name, total in sums.items()}
        return None

    async def claim(self, name: str, seconds: float) -> bool:
        with contextlib.suppress(*OUTAGES):
            key, client = f"{self.key}:claim:{name}", self.store.client
            if await client.set(key, self.worker, nx=True, px=int(seconds * 1000)):
                return True
            owner = await client.get(key)
            if owner and await self.store.is_gone(owner, self.worker):
                await client.delete(key)  # for whoever claims it next
            return False
        return True

    async def _call(self, operation: str, *arguments: Any) -> Any:
        fixed = (operation, self.worker, self.lease)
        try:
            return await self.store.client.evalsha(SHA, 1, self.key, *fixed, *arguments)
        except NoScriptError:  # the server was started again
            return await self.store.client.eval(SCRIPT, 1, self.key, *fixed, *arguments)


def limits_from_settings(settings: BaseSettings, spider: str, worker: str = "") -> RedisLimits:
    """The limits of the spider of that name at REDIS_URL. Raises `InputError` for settings that make no sense."""
    return RedisLimits(queue_from_settings(settings, spider), settings["REDIS_URL"], worker)


def _grant(
    permits: bytes, share: bytes, turn: bytes, delay: bytes, blocked: bytes, epoch: bytes, starts: bytes
) -> LimitGrant:
    return LimitGrant(
        permits=int(float(permits)),
        share=int(float(share)),
        turn=float(turn),
        delay=float(delay),
        blocked=float(blocked),
        epoch=int(float(epoch)),
        starts=tuple(float(start) for start in starts.split()),
    )
