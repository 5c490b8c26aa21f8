"""What outsiders feed into `<spider>:start_urls`, on its way into the queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, NamedTuple

from redis.exceptions import ResponseError
from scrapy import Request, Spider

from imgcrawl.frontier.border import named_origins
from imgcrawl.frontier.compatibility import as_its_spider_reads, reads_as_stock
from imgcrawl.frontier.decode import check_outside, decode_start, said_meta
from imgcrawl.frontier.queue import FINGERPRINT, LUA, Queue
from imgcrawl.frontier.run import ROOM_INTERVAL, RunState, SharedRun
from imgcrawl.shared.connection import OUTAGES
from imgcrawl.shared.script import Script
from imgcrawl.shared.session import one_line
from imgcrawl.urls import OUTSIDE, origin_of

logger = logging.getLogger(__name__)

LAST_PAUSE = 0.02  # seconds between two looks at whether what was fed at the end is in the queue
SET_PAUSE = 0.1  # seconds between two looks at a set or sorted set: nothing blocks on them

TAKE = Script(LUA / "take.lua")


class Fed(NamedTuple):
    """A value that was fed, and the *id* by which it is known until it is queued."""

    id: bytes
    value: bytes


class StartUrls:
    """The key that outsiders feed, of a *queue*."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def take(self, most: int = 100) -> tuple[list[bytes], list[Fed]]:
        """What is none of it; and what was fed, oldest first, to be queued and then to be given to `taken`."""
        queue = self._queue
        keys = (queue.start_key, queue.moving_key)
        foreign, flat = await TAKE.run(queue.client, keys, (most, queue.settings.max_request_size))
        return foreign, [Fed(*pair) for pair in zip(flat[::2], flat[1::2], strict=True)]

    async def taken(self, fed: Sequence[Fed]) -> None:
        """Values of `take` that are in the queue now."""
        async with self._queue.client.pipeline(transaction=False) as pipe:
            for each in fed:
                pipe.lrem(self._queue.moving_key, 1, b"\0%b\0%b" % each)
            await pipe.execute()

    async def wait(self, timeout: float) -> None:
        """Wait until there is something, *timeout* seconds at the most."""
        key = self._queue.start_key
        try:
            await self._queue.client.blmove(key, key, timeout, "LEFT", "LEFT")  # stays where it is
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            await asyncio.sleep(SET_PAUSE)

    async def waiting(self) -> int:
        """How many values are there."""
        queue = self._queue
        sizes = {b"list": queue.client.llen, b"set": queue.client.scard, b"zset": queue.client.zcard}
        size = sizes.get(await queue.client.type(queue.start_key))
        outside: int = await size(queue.start_key) if size else 0
        moving: int = await queue.client.llen(queue.moving_key)
        return outside + moving


class Feeder:
    """Queues what outsiders feed. One worker of a run does it, so that it also knows when there is nothing more.

    Each value is queued, also if its address was seen before, and once, also if the worker that took it is killed.
    *encode* gives a request as it travels, *check* raises for one that does not, *fingerprint* says by what it is
    known; *encoding* is that of the values.
    """

    def __init__(
        self,
        run: SharedRun,
        spider: Spider,
        *,
        encode: Callable[[Request], bytes],
        check: Callable[[Request], object],
        fingerprint: Callable[[Request], bytes],
        encoding: str = "utf-8",
    ) -> None:
        self._run = run
        self._spider = spider
        self._encode = encode
        self._check = check
        self._fingerprint = fingerprint
        self._encoding = encoding
        self._start_urls = StartUrls(run.home.queue)

    async def feed(self) -> None:
        """Queue what there is, or wait for some."""
        run = self._run
        await run.is_feeder.wait()
        if not run.has_room and (run.leases or any(shard.reply.queued for shard in run.shards)):
            await asyncio.sleep(ROOM_INTERVAL)  # pages that are done make room
            return
        foreign, fed = await self._start_urls.take()
        for value in foreign:
            run.report("foreign", "not taken from outside", value)
        for each in fed:
            self._queue(each)
        if foreign or fed:
            run.nothing_outside = False
            if await run.flushed():
                await self._start_urls.taken(fed)
            return
        if not run.nothing_outside:
            run.nothing_outside = True
            run.wake()
        await self._start_urls.wait(run.queues.settings.heartbeat_interval)

    def look_again(self) -> None:
        """The run is done: what was fed in the meantime is still for it."""
        self._looking = asyncio.create_task(self._look_again())

    async def _look_again(self) -> None:
        run = self._run
        with suppress(*OUTAGES):
            while run.state is RunState.DONE and await self._start_urls.waiting():  # noqa: ASYNC110 -- Redis knows
                await asyncio.sleep(LAST_PAUSE)  # `feed` is at it
        run.is_over = True
        run.wake_engine()

    def _queue(self, fed: Fed) -> None:
        run = self._run
        try:
            made = [(r, self._encode(r), self._fingerprint(r)) for r in self._requests(fed.value)]
        except Exception as error:  # a spider of somebody's own may raise anything, and others wait for their turn
            logger.warning("A value in %s was set aside: %s", run.home.queue.start_key, one_line(error))
            run.report("foreign", one_line(error), fed.value)
            return
        for number, (request, encoded, fingerprint) in enumerate(made):
            once = blake2b(b"%b %d" % (fed.id, number), digest_size=FINGERPRINT).digest()
            run.enqueue("s", once + fingerprint, request, encoded)

    def _requests(self, value: bytes) -> Iterator[Request]:
        for request in self._made_of(value):
            if origin_of(request.url) not in named_origins(self._spider):
                request.meta["page_url"] = OUTSIDE
                request.meta.pop("page_private", None)
            yield request

    def _made_of(self, value: bytes) -> Iterator[Request]:
        spider: Any = self._spider
        if not hasattr(spider, "make_request_from_data"):
            request = decode_start(value, spider, self._encoding)
            is_ours = request.callback is None and hasattr(spider, "fed_request")
            yield spider.fed_request(request) if is_ours else request
            return
        # A spider of scrapy-redis says itself what a value means.
        made = spider.make_request_from_data(as_its_spider_reads(value, spider))
        # What the spider's own code adds is the user's; what it copies is whoever's who wrote the value.
        said = None if reads_as_stock(spider) else said_meta(value, self._encoding)
        for request in made if isinstance(made, Iterable) else [made] if made else []:
            check_outside(request, said)
            if said is not None:
                request.meta.pop("lease", None)  # by which the items of another page are known
                self._check(request)
            yield request
