"""The queue of one spider over several hash tags, so that the nodes of a cluster share it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, overload
from zlib import crc32

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from scrapy.settings import BaseSettings

from imgcrawl.digits import whole
from imgcrawl.exceptions import InputError
from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.shared.checked_settings import number
from imgcrawl.shared.connection import hash_tag

MAX_SHARDS = 64  # a worker has a connection that waits, and one that talks, for each
ADOPT_INTERVAL = 0.2  # seconds between two tries while workers of the last run leave


class Queues(Sequence[Queue]):
    """The shards of one spider's queue, with one client. The first is home: with one shard there is no other.

    A page belongs to the shard of its host (`shard_of`), so that what was seen of a host is in one place.
    """

    def __init__(self, shards: Sequence[Queue]) -> None:
        self._shards = shards
        self.home = shards[0]
        self.settings = self.home.settings
        self.key = self.home.key
        self.seen_key = self.home.seen_key

    @overload
    def __getitem__(self, number: int) -> Queue: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Queue]: ...
    def __getitem__(self, number: int | slice) -> Queue | Sequence[Queue]:
        return self._shards[number]

    def __len__(self) -> int:
        return len(self._shards)

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._shards)

    @property
    def client(self) -> Any:
        return self.home.client

    @client.setter
    def client(self, client: Any) -> None:
        for queue in self._shards:
            queue.client = client

    async def join(
        self, worker: str, run: str, *, persist: bool, flush: bool, arguments: Mapping[str, str]
    ) -> tuple[str, str]:
        """As `Queue.join`, in all shards."""
        home = self.home
        shards = len(self)
        found, state = await home.join(worker, run, persist=persist, flush=flush, arguments=arguments, shards=shards)
        keeps = persist and not flush

        async def adopt(queue: Queue) -> None:
            while not await queue.adopt(worker, found, persist=keeps, forgiven=home.forgiven):  # noqa: ASYNC110 -- Redis knows
                await asyncio.sleep(ADOPT_INTERVAL)

        adopting = [asyncio.ensure_future(adopt(queue)) for queue in self._shards[1:]]
        try:
            await asyncio.gather(*adopting)
        finally:
            for task in adopting:
                task.cancel()  # what goes on after an error would adopt shards for this run beside the next try
        return found, state

    @property
    def resumed(self) -> str:
        """When the run was last gone on with after all its workers had ended, in order or not; "" if never."""
        return self.home.resumed

    async def sweep(self) -> None:
        await asyncio.gather(*(queue.sweep() for queue in self._shards))

    async def expire_worker(self, worker: str) -> None:
        await asyncio.gather(*(queue.expire_worker(worker) for queue in self._shards))

    async def requeue(self) -> int:
        """As `Queue.requeue`, in all shards."""
        elsewhere = sum([await queue.requeue() for queue in self._shards[1:]])
        return elsewhere + await self.home.requeue(elsewhere)

    async def clear(self, *, force: bool = False) -> bool:
        """As `Queue.clear`, in all shards."""
        cleared = await self.home.clear(force=force)
        if cleared:
            await asyncio.gather(*(queue.clear(force=True) for queue in self._shards[1:]))
        return cleared


def shard_of(host: str, shards: int) -> int:
    """The number of the shard that has what belongs to *host*."""
    return crc32(host.encode("utf-8", "surrogatepass")) % shards


def shard_tags(tag: str, shards: int) -> list[str]:
    """A hash tag for each shard, the first of them *tag*, in equal parts of the slots of a cluster.

    So nodes that have equal ranges of the slots have equally many shards.
    """

    def part(name: str) -> int:
        return int(key_slot(name.encode("utf-8", "surrogatepass"))) * shards // REDIS_CLUSTER_HASH_SLOTS

    parts = [number for number in range(shards) if number != part(tag)]
    return [tag] + [
        next(name for n in count() if part(name := f"{tag}:shard-{shard}-{n}") == wanted)
        for shard, wanted in enumerate(parts, 1)
    ]


def queues_of(home: Queue, shards: int) -> Queues:
    """The *shards* of the queue with that *home*."""
    queues = [home]
    for tag in shard_tags(hash_tag(home.key), shards)[1:]:
        key = f"{{{tag}}}:index"
        queues.append(Queue(home.client, key, home.start_key, "", home.settings))
    return Queues(queues)


def queues_from_settings(settings: BaseSettings, spider: str) -> Queues:
    """The queue of the spider of that name. Raises `InputError` for settings that are not what they should be."""
    shards = shards_from_settings(settings)
    return queues_of(queue_from_settings(settings, spider), shards)


def shards_from_settings(settings: BaseSettings) -> int:
    """FRONTIER_SHARDS. Raises `InputError`."""
    shards = number(settings, "FRONTIER_SHARDS", 1, 1)
    if shards > MAX_SHARDS or shards % 1:
        raise InputError(f"FRONTIER_SHARDS={shards:g}: expected a whole number, 1 to {MAX_SHARDS}")
    if shards > 1 and settings.get("SCHEDULER_DUPEFILTER_KEY"):
        raise InputError(
            f"SCHEDULER_DUPEFILTER_KEY={settings['SCHEDULER_DUPEFILTER_KEY']!r}: expected none with"
            f" FRONTIER_SHARDS={shards:.0f}, as each shard keeps beside its pages what was seen of them"
        )
    return int(shards)


async def queues_as_they_are(home: Queue) -> Queues:
    """The queue with that *home*, in as many shards as its last run had, whatever the settings say now."""
    stored = await home.client.hget(f"{home.prefix}run", "shards")
    return queues_of(home, max(1, whole(stored or b"", MAX_SHARDS) or 1))
