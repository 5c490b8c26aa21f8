"""The limits of hosts over the shards of a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from itertools import chain
from typing import Any

from scrapy.settings import BaseSettings

from imgcrawl.frontier.queues import queues_from_settings, shard_of, shards_from_settings
from imgcrawl.limits.backend import Membership
from imgcrawl.limits.limiter import Limiter
from imgcrawl.limits.redis import RedisLimits


class ShardedLimiter(Limiter):
    """A `Limiter` of several: each has the hosts of one shard of the queue, and an account of its own in Redis."""

    def __init__(self, limiters: Sequence[Limiter]) -> None:
        self._limiters = limiters

    def of(self, name: str) -> Limiter:
        return self._limiters[shard_of(name, len(self._limiters))]

    @property
    def membership(self) -> Membership:
        return self._limiters[0].membership

    @property
    def exchanges(self) -> int:
        return sum(limiter.exchanges for limiter in self._limiters)

    @property
    def outages_told(self) -> bool:
        return self._limiters[0].outages_told

    @outages_told.setter
    def outages_told(self, told: bool) -> None:
        for limiter in self._limiters:
            limiter.outages_told = told

    def take(self, name: str, queued: int) -> bool:
        return self.of(name).take(name, queued)

    def put_back(self, name: str) -> None:
        self.of(name).put_back(name)

    def give(self, name: str, **answer: Any) -> None:
        self.of(name).give(name, **answer)

    def floor(self, name: str, seconds: float) -> None:
        self.of(name).floor(name, seconds)

    def blocked(self, name: str) -> float:
        return self.of(name).blocked(name)

    def delay(self, name: str) -> float:
        return self.of(name).delay(name)

    def slow_down(self, factor: float) -> None:
        for limiter in self._limiters:
            limiter.slow_down(factor)

    def busiest(self, most: int) -> list[dict[str, Any]]:
        found = chain.from_iterable(limiter.busiest(most) for limiter in self._limiters)
        return nlargest(most, found, key=lambda host: (host["active"], host["waiting"]))

    def stuck(self) -> Iterable[str]:
        return chain.from_iterable(limiter.stuck() for limiter in self._limiters)

    async def close(self, patience: float = 5.0) -> None:
        await asyncio.gather(*(limiter.close(patience) for limiter in self._limiters))


class ShardedNotes:
    """`HostNotes` over the shards of a queue: each is where its name belongs, and what a run has spent is at home."""

    def __init__(self, shards: Sequence[RedisLimits]) -> None:
        self._shards = shards

    def _of(self, name: str) -> RedisLimits:
        return self._shards[shard_of(name, len(self._shards))]

    async def recall(self, name: str) -> dict[str, Any] | None:
        return await self._of(name).notes.recall(name)

    async def recall_all(self, names: Sequence[str]) -> list[dict[str, Any] | None]:
        """As `recall`, in one round trip to each shard."""
        found: dict[str, dict[str, Any] | None] = {}
        for shard in self._shards:
            if mine := [name for name in names if self._of(name) is shard]:
                found |= zip(mine, await shard.notes.recall_all(mine), strict=True)
        return [found[name] for name in names]

    async def remember(self, name: str, note: dict[str, Any], seconds: float) -> None:
        await self._of(name).notes.remember(name, note, seconds)

    async def spend(self, run: str, amounts: Mapping[str, int]) -> dict[str, int] | None:
        return await self._shards[0].notes.spend(run, amounts)

    async def claim(self, name: str, seconds: float, *, anew: bool = False) -> bool:
        return await self._of(name).notes.claim(name, seconds, anew=anew)


def limits_of_shards(settings: BaseSettings, spider: str) -> list[RedisLimits]:
    """The limits of the spider of that name at REDIS_URL: for each shard of its queue, each with a client of its own.

    Raises `InputError` for settings that make no sense.
    """
    queues = [queues_from_settings(settings, spider)[number] for number in range(shards_from_settings(settings))]
    worker = RedisLimits(queues[0], settings["REDIS_URL"]).worker
    return [RedisLimits(queue, settings["REDIS_URL"], worker) for queue in queues]
