"""Scrapy's side of the queue that workers share: a scheduler that never waits, and the tasks that talk to Redis."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import re
import secrets
import socket
import time
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from json import dumps
from typing import Any, Self

from itemadapter import ItemAdapter
from scrapy import Request, Spider, signals
from scrapy.core.engine import ExecutionEngine
from scrapy.core.scheduler import BaseScheduler
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider
from scrapy.extensions.feedexport import FeedExporter
from scrapy.http import Response
from scrapy.settings import BaseSettings
from scrapy.utils.defer import deferred_from_coro
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imgcrawl.exceptions import InputError, record_fatal_error
from imgcrawl.frontier import codec
from imgcrawl.frontier.arguments import arguments_of, shown
from imgcrawl.frontier.queue import FINGERPRINT, OtherArgumentsError, Queue, Reply, queue_from_settings
from imgcrawl.shared.checked_settings import flag, number
from imgcrawl.shared.connection import OUTAGES, check_server, printable

logger = logging.getLogger(__name__)

BATCH, BATCH_BYTES = 500, 256 * 1024  # in one script: some milliseconds of the server's time
FLUSH = 0.02  # seconds in which what is to be reported comes together
STARVED = 0.003  # the same, for a worker with nothing to do
ROOM, ROOM_BYTES = 4 * BATCH, 16 * BATCH_BYTES  # that may wait; start() pauses beyond
FEW = 16  # pages begun at once by a worker that has done none: with CONCURRENT_REQUESTS far above, the first to come
# would have all galleries of a small crawl before others are there. One more for each that is done.
RECENT = 20_000  # fingerprints remembered here, so that a link on every page is not asked about on every page


@dataclass(eq=False)
class _Page:
    """A page that this worker holds."""

    token: bytes
    host: str
    fingerprint: bytes
    started: bool = False
    failed: str = ""  # why its callback, its errback or one of its items failed
    again: bytes | None = None  # the request that takes its place: a retry
    cut_short: bool = False  # this worker was stopped before all was tried, or could not write its feed


_Op = tuple[bytes | str, ...]


class Outbox:
    """Operations that are to be reported, in their order, in batches that Redis takes in a moment."""

    def __init__(self) -> None:
        self._ops: deque[_Op] = deque()
        self._bytes = 0
        self.reported = 0  # operations so far

    def __len__(self) -> int:
        return len(self._ops)

    def __iter__(self) -> Iterator[_Op]:
        return iter(self._ops)

    def add(self, op: _Op) -> None:
        self._ops.append(op)
        self._bytes += _size(op)

    def batch(self) -> list[_Op]:
        """What is to go next: as much as BATCH and BATCH_BYTES allow, a single larger one alone."""
        ops: list[_Op] = []
        size = 0
        for op in self._ops:
            size += _size(op)
            if ops and (len(ops) == BATCH or size > BATCH_BYTES):
                break
            ops.append(op)
        return ops

    def sent(self, count: int) -> None:
        """The first *count* were reported."""
        for _ in range(count):
            self._bytes -= _size(self._ops.popleft())
        self.reported += count

    def clear(self) -> None:
        self._ops.clear()
        self._bytes = 0

    def has_batch(self) -> bool:
        return len(self._ops) >= BATCH or self._bytes >= BATCH_BYTES

    def has_room(self) -> bool:
        return len(self._ops) <= ROOM and self._bytes <= ROOM_BYTES


def _size(op: _Op) -> int:
    return sum(map(len, op))


class Scheduler(BaseScheduler):
    """Shares the requests of a crawl with all workers of the same spider on the same Redis.

    A request that the engine takes from here is leased, and acknowledged when the engine is done with it: its
    callback, its items and their pipelines. What it led to is queued before. If this process ends first, others do
    the page; if it fails or ends its workers FRONTIER_MAX_DELIVERIES times, it is set aside. The engine sees pending
    requests until the whole crawl is done, so that all workers leave together.

    `enqueue_request` raises `CannotTravelError` for a request that is no JSON. All workers of a run have the same
    arguments (`-a`); one that has others is ended by an `InputError`.

    Settings: REDIS_URL, REDIS_PARAMS (of redis-py; also `cluster`, `sentinels` and `service_name`), SCHEDULER_PERSIST,
    SCHEDULER_FLUSH_ON_START, SCHEDULER_IDLE_BEFORE_CLOSE, SCHEDULER_QUEUE_KEY, SCHEDULER_DUPEFILTER_KEY,
    REDIS_START_URLS_KEY as in scrapy-redis; FRONTIER_LEASE_TIMEOUT, FRONTIER_MAX_DELIVERIES, FRONTIER_PREFETCH,
    FRONTIER_PER_HOST, FRONTIER_MAX_REQUEST_SIZE, FRONTIER_RUN.
    """

    def __init__(
        self,
        crawler: Crawler,
        store: Queue,
        *,
        prefetch: int,
        per_host: int,
        persist: bool = False,
        flush_on_start: bool = False,
        idle_before_close: float = 0,
        run: str = "",
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        self.crawler = crawler
        self.store = store
        self.prefetch = prefetch
        self.per_host = per_host
        self.persist = persist
        self.flush_on_start = flush_on_start
        self.idle_before_close = idle_before_close
        self.run_name = run
        self.arguments = arguments or {}
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.run = ""
        self.reply = Reply("ok")
        self._pages: dict[Request, _Page] = {}  # held: ready, or in the engine's hands
        self._by_fingerprint: dict[bytes, _Page] = {}
        self._ready: deque[Request] = deque()
        self._out = Outbox()
        self._started = 0  # pages in the engine's hands
        self._may_start = FEW
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._starts: weakref.WeakSet[Request] = weakref.WeakSet()
        self._alone: _Page | None = None  # a page that several workers died with: nothing is leased beside it
        self._over = False
        self._gone = False
        self._refusal: InputError | None = None
        self._leaving = False
        self._feed_lost = 0  # items that had no place in the feed
        self._stopping: asyncio.Task[None] | None = None
        self._seeding = False  # whether this worker could run start()
        self._start_error = ""
        self._set_back = 0  # times that what was reported may have been lost
        self._nothing_outside = False
        self._reconcile = True
        self._last_reconciled = 0.0
        self._away_since = 0.0
        self._backoff = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings = crawler.settings
        return cls(
            crawler,
            queue_from_settings(settings, crawler.spidercls.name),
            **options_from_settings(settings),
            run=settings.get("FRONTIER_RUN") or "",
            arguments=arguments_of(crawler.spider) if crawler.spider else None,
        )

    # What the engine calls

    def open(self, spider: Spider) -> Deferred[None]:
        self.spider = spider
        return deferred_from_coro(self._open())

    def close(self, reason: str) -> Deferred[None]:
        return deferred_from_coro(self._close())

    def has_pending_requests(self) -> bool:
        return not self._over or bool(self._out) or bool(self._ready)

    def next_request(self) -> Request | None:
        if not self._ready or self._started >= self._may_start:
            return None
        request = self._ready.popleft()
        self._pages[request].started = True
        self._started += 1
        self._count("scheduler/dequeued")
        if len(self._ready) <= self.prefetch // 2 and not self.reply.short:
            self._news.set()
        return request

    def enqueue_request(self, request: Request) -> bool:
        encoded = self.encode(request)
        fingerprint = self._fingerprint(request)
        bucket = f"{codec.clamp(request.priority)}:{codec.host_of(request)}"
        if not request.dont_filter:
            if fingerprint in self._recent:
                self._count("dupefilter/filtered")
                return False
            self._remember(fingerprint)
            self._report("c", fingerprint, bucket, encoded)
            return True
        page = self._by_fingerprint.get(fingerprint)
        if request in self._starts:
            self._report("s", self._once_a_run(request, fingerprint) + fingerprint, bucket, encoded)
        elif page is not None and page.started and page.again is None:
            # A retry: it takes the place of the page whose lease it has, in one step.
            page.again = bucket.encode() + b"\n" + encoded
        elif request.meta.get("is_start_request"):  # where a start page redirected to
            self._report("s", self._once_a_run(request, fingerprint) + fingerprint, bucket, encoded)
        else:
            self._report("u", b"", bucket, encoded)
        return True

    # What the middleware calls

    def encode(self, request: Request) -> bytes:
        """*request* as it travels. Raises `CannotTravelError`."""
        return codec.encode(request, self.spider, self.store.limits.max_request_size)

    async def seed(
        self, start: AsyncIterator[Any], again: Callable[[], Coroutine[Any, Any, AsyncIterator[Any]]]
    ) -> AsyncIterator[Any]:
        """The output of start() if this worker is the one that seeds the run, or nothing, until the run is over.

        Until then the server may come back older than it was, with a run that is not seeded: what *again* brings is
        then seeded from the beginning. What is there already is known by its fingerprint.
        """
        self._seeding = True
        self._news.set()
        fresh: AsyncIterator[Any] | None = start
        try:
            while await self._is_to_seed():
                before = self._set_back
                begun, fresh = fresh or await again(), None
                async for output in begun:
                    if isinstance(output, Request):
                        self.encode(output)
                        self._starts.add(output)
                    yield output
                    while not self._out.has_room() and not self._leaving:
                        await self._exchanged()
                    if self._set_back != before:
                        break
                else:
                    self._report("seeded", "", "")
                    await self._flushed()
        except Exception as error:
            self._start_error = _one_line(error)
            self._report("seeded", self._start_error, "")
            raise
        finally:
            self._seeding = False

    async def _is_to_seed(self) -> bool:
        while not self.reply.seeder or self.reply.seeded:
            if self._over or self._leaving:
                return False
            await self._pulse.wait()  # the next news; asking until another has seeded would be a spin
        return not self._over and not self._leaving

    # The engine is done with a request

    def _done(self, request: Request) -> None:
        page = self._pages.pop(request, None)
        if page is None:
            return  # an image, robots.txt: no page of ours
        self._started -= page.started
        self._may_start += 1
        if self._by_fingerprint.get(page.fingerprint) is page:
            del self._by_fingerprint[page.fingerprint]
        if page is self._alone:
            self._alone = None
        if page.again is not None:
            self._report("again", page.token, page.again)
        elif page.cut_short:
            self._reconcile = True  # whoever does not say that he holds a page gives it back
            self._news.set()
        elif page.failed:
            self._count("frontier/failed")
            self._report("failed", page.token, page.failed)
        else:
            self._report("done", page.token, "")

    def _spider_error(self, failure: Failure, response: Response | Failure | None) -> None:
        self.fail(response, failure.value)

    def _item_error(self, failure: Failure, response: Response | Failure | None) -> None:
        self.fail(response, failure.value)

    def _item_scraped(self, item: Any, response: Response | Failure | None) -> None:
        # Retries are not waited for when the crawl is stopped; others shall have the chance.
        request = getattr(response, "request", None)
        page = self._pages.get(request) if request is not None else None
        if page is not None and self._slot.closing is not None and lacks_something(item):
            page.cut_short = True
        # FeedExporter was connected first, so what it has just counted is this item's.
        lost = self.crawler.stats.get_value("feed/lost", 0)
        if lost > self._feed_lost:
            self._feed_lost = lost
            if page is not None:
                page.cut_short = True
            self._leave_unwritable_feed()

    def _leave_unwritable_feed(self) -> None:
        """Leave the pages to workers whose feeds can be written: here each would be lost."""
        if self._stopping is None and self._slot.closing is None:
            logger.info("The pages whose items cannot be written go back to the queue, and this worker leaves")
            self._stopping = asyncio.create_task(self.crawler.engine.close_spider_async(reason="feed_error"))

    def fail(self, response: Response | Failure | None, error: BaseException | None) -> None:
        """The page of *response* is not done: it goes back to the queue when the engine lets go of it."""
        request = getattr(response, "request", None)
        page = self._pages.get(request) if request is not None else None
        if page is not None:
            page.failed = page.failed or _one_line(error)

    def _refuse(self) -> None:
        if self._refusal:
            raise self._refusal

    def _spider_idle(self) -> None:
        if self._gone:
            raise CloseSpider("frontier_gone")
        if self.reply.error:
            raise CloseSpider("start_error")

    # Joining and leaving

    async def _open(self) -> None:
        self._news = asyncio.Event()
        self._pulse = asyncio.Event()
        self._steward = asyncio.Event()
        self._slot = watch_engine(self.crawler.engine, self._done)
        connect = self.crawler.signals.connect
        try:
            await self._join()
        except InputError as error:
            # The engine cannot close in order before everything is open.
            self._over = True
            self._refusal = error
            connect(self._refuse, signals.spider_opened)
            if exporter := self.crawler.get_extension(FeedExporter):
                exporter.feeds.clear()  # they keep what they have: this crawl does not take place
            return
        connect(self._spider_error, signals.spider_error)
        connect(self._item_error, signals.item_error)
        connect(self._item_scraped, signals.item_scraped)
        connect(self._spider_idle, signals.spider_idle)
        self._news.set()
        for task in (self._talk(), self._listen(), self._fetch_outside()):
            self._tasks.append(asyncio.create_task(task))

    async def _join(self) -> None:
        url = self.crawler.settings["REDIS_URL"]
        patience = time.monotonic() + self.store.limits.lease_timeout
        told = False
        while True:
            try:
                async with asyncio.timeout(5):
                    await check_server(self.store, url)
                    self.run, state = await self.store.join(
                        self.worker,
                        self.run_name,
                        persist=self.persist,
                        flush=self.flush_on_start,
                        arguments=self.arguments,
                    )
                break
            except OtherArgumentsError as error:
                name = self.spider.name
                raise InputError(
                    f"the queue {self.store.key} has a crawl of {name} with {shown(error.theirs)} that is not at its"
                    f" end, and this worker has {shown(self.arguments)}: expected the same arguments, to join it or go"
                    f" on with it; or wait for its end, or have another queue (SCHEDULER_QUEUE_KEY), or give it up"
                    f" (scrapy queue {name} --clear)"
                ) from None
            except OUTAGES as error:
                if time.monotonic() > patience:
                    raise InputError(f"REDIS_URL {printable(url)}: cannot be reached ({_one_line(error)})") from None
                if not told:
                    logger.warning("Redis at %s cannot be reached (%s); trying", printable(url), _one_line(error))
                    told = True
                await asyncio.sleep(0.5)
        self._over = state == "done"
        logger.info("Worker %s of run %s on %s", self.worker, self.run, printable(url))

    async def _close(self) -> None:
        self._leaving = True
        if not self._tasks:  # never joined
            await self._try(self.store.client.aclose())
            return
        self._news.set()
        self._tick()
        talk, *others = self._tasks
        await asyncio.wait([talk], timeout=self.store.limits.beat + 1)
        patience = time.monotonic() + self.store.limits.lease_timeout
        pending = {talk, *others}
        while pending and time.monotonic() < patience:
            # Again and again: asyncio.timeout(0), as redis-py has it, can swallow a cancellation.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=0.05)
        left = False
        while not left and not self._gone and time.monotonic() < patience:
            left = await self._exchange(leave=True) and len(self._out) == 0
        if left and not self._gone:
            await self._try(self.store.sweep())
        elif not self._gone:
            logger.warning(
                "Redis does not answer: the pages of this worker go back to the others after %g s",
                self.store.limits.lease_timeout,
            )
        if self.reply.dead and not self._gone:
            self._verdict(
                f"{self.reply.dead} pages failed {self.store.limits.max_deliveries} times and were set aside;"
                f" scrapy queue {self.spider.name} --dead shows them"
            )
        await self._try(self.store.client.aclose())

    async def _try(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(self.store.limits.beat):
                await work
        except OUTAGES as error:
            logger.debug("Left undone in Redis: %s", _one_line(error))

    # Talking to Redis

    async def _talk(self) -> None:
        while not self._leaving:
            try:
                async with asyncio.timeout(min(self.store.limits.beat, self.idle_before_close or math.inf)):
                    await self._news.wait()
            except TimeoutError:
                pass  # the heartbeat
            self._news.clear()
            if self._leaving:
                return
            if not self._out.has_batch():
                await asyncio.sleep(FLUSH if self._ready else STARVED)
            await self._exchange()

    async def _exchange(self, *, leave: bool = False) -> bool:
        """Report a batch and lease what is wanted. False if Redis did not answer; all is kept then.

        *leave* with the last batch.
        """
        ops = self._out.batch()
        leave = leave and len(ops) == len(self._out)
        now = time.monotonic()
        reconcile = self._reconcile or now - self._last_reconciled > self.store.limits.beat
        nothing_here = len(ops) == len(self._out) and not self._pages
        closing = leave or self._leaving or self._slot.closing is not None
        flags = "".join(
            flag
            for flag, is_so in (
                ("s", self._seeding and not closing),
                ("e", self._nothing_outside and nothing_here),
                ("h", reconcile),
                ("l", leave),
                ("p", self.persist),
            )
            if is_so
        )
        if closing and not leave:
            self._give_back()
        wanted = 0 if closing or self._alone else max(0, self.prefetch - len(self._ready))
        held = [page.token for page in self._pages.values()] if reconcile else []
        if reconcile:
            held += [op[1] for op in self._out if op[0] in _ENDS]  # type: ignore[misc] # a token is bytes
        try:
            async with asyncio.timeout(self.store.limits.beat):
                reply = await self.store.exchange(
                    self.run,
                    self.worker,
                    wanted=wanted,
                    # Of the few pages that may be begun at first, one host that hangs must not have all, either.
                    per_host=min(self.per_host, self._may_start // 2),
                    flags=flags,
                    idle=self.idle_before_close,
                    said=self._out.reported,
                    hosts=Counter(page.host for page in self._pages.values()),
                    held=held,
                    ops=ops,
                )
        except OUTAGES as error:
            await self._outage(error)
            return False
        self._answered()
        self._out.sent(len(ops))
        if reconcile:
            self._reconcile, self._last_reconciled = False, now
        self._take(reply)
        return True

    def _take(self, reply: Reply) -> None:
        if reply.status == "gone":
            self._leave_lost_run(reply)
            return
        self.reply = reply
        if reply.status != "ok":
            # What was not begun is in the queue again. What was begun ends here, too, but counts for nothing.
            if reply.status == "older":
                logger.warning("Redis has lost the last of what it was told: the pages in hand are done again")
            else:
                logger.warning("This worker was silent for too long, or Redis has lost it: others do its pages")
            self._set_back += 1
            self._recent.clear()
            while self._ready:
                self._drop(self._ready.popleft())
        self._count("scheduler/enqueued", reply.added)
        self._count("dupefilter/filtered", reply.dropped)
        self._count("frontier/fenced", reply.fenced)
        for name in ("workers", "queued", "done", "dead", "rejected"):
            self.crawler.stats.set_value(f"frontier/{name}", getattr(reply, name))
        for token, priority, value in reply.leases:
            self._lease(token, priority, value, alone=reply.suspect)
        if reply.steward:
            self._steward.set()
        else:
            self._steward.clear()
            self._nothing_outside = False
        if self._start_error and not reply.seeded and not self._out:
            self._report("seeded", self._start_error, "")  # the server has lost it
        self._over = reply.state == "done"
        if self._out:
            self._news.set()
        if reply.leases or self._over:
            self._slot.nextcall.schedule()
        self._tick()

    def _lease(self, token: bytes, priority: bytes, value: bytes, *, alone: bool) -> None:
        try:
            request = codec.decode(value, self.spider, int(priority))
            page = _Page(token, codec.host_of(request), self._fingerprint(request))
        except (codec.WireError, ValueError) as error:
            logger.warning("A value in the queue is no request of ours and was set aside: %s", _one_line(error))
            self._report("reject", token, _one_line(error))
            return
        self._pages[request] = page
        self._by_fingerprint[page.fingerprint] = page
        self._ready.append(request)
        if alone:
            self._alone = page

    def _drop(self, request: Request) -> None:
        page = self._pages.pop(request)
        self._by_fingerprint.pop(page.fingerprint, None)
        if page is self._alone:
            self._alone = None

    def _give_back(self) -> None:
        """Let go of what was not begun. The server takes back what this worker no longer says it holds."""
        while self._ready:
            self._drop(self._ready.popleft())
            self._reconcile = True

    def _leave_lost_run(self, reply: Reply) -> None:
        if not self._gone and not self._over:
            self._verdict("the shared queue of this crawl was cleared or lost while it ran; start the crawl again")
            self._gone = True
        self._out.clear()
        while self._ready:
            self._drop(self._ready.popleft())
        self._over = True
        self._slot.nextcall.schedule()
        self._tick()

    async def _outage(self, error: BaseException) -> None:
        # What was asked for may have been done or not: fingerprints, tokens and the list of what is held make it right.
        self._reconcile = True
        self._recent.clear()
        if not self._away_since:
            self._away_since = time.monotonic()
            logger.warning("Redis does not answer (%s); going on with what is here and trying again", _one_line(error))
        self._backoff = min(2.0, self._backoff * 2 or 0.05)
        await asyncio.sleep(self._backoff * random.uniform(0.5, 1))
        self._news.set()

    def _answered(self) -> None:
        if self._away_since:
            logger.warning("Redis answers again after %.1f s", time.monotonic() - self._away_since)
        self._away_since = self._backoff = 0.0

    async def _exchanged(self) -> None:
        self._news.set()
        await self._pulse.wait()

    def _tick(self) -> None:
        self._pulse.set()
        self._pulse = asyncio.Event()

    async def _listen(self) -> None:
        """Hear of new work at once, without asking."""
        while not self._leaving:
            try:
                if await self.store.wait(self.worker, self.store.limits.beat):
                    self._news.set()
            except OUTAGES:
                await asyncio.sleep(random.uniform(0.2, 0.5))  # `_exchange` tells of the outage
                self._news.set()  # what was said meanwhile was said to nobody

    async def _fetch_outside(self) -> None:
        """Queue what outsiders feed. One worker does it, so that it also knows when there is nothing more."""
        while not self._leaving and not self._gone:
            await self._steward.wait()
            try:
                strangers, values = await self.store.take()
                for value in strangers:
                    self._report("stranger", "not taken from outside", value)
                for value in values:
                    self._fetch(value)
                if strangers or values:
                    self._nothing_outside = False
                    if await self._flushed():
                        await self.store.taken(values)
                    continue
                if not self._nothing_outside:
                    self._nothing_outside = True
                    self._news.set()
                await self.store.wait_outside(self.store.limits.beat)
            except OUTAGES:
                await asyncio.sleep(random.uniform(0.2, 0.5))

    def _fetch(self, value: bytes) -> None:
        try:
            request = codec.decode_start(value, self.spider)
            encoded = self.encode(request)
        except (codec.WireError, codec.CannotTravelError, ValueError) as error:
            logger.warning("A value in %s is no request and was set aside: %s", self.store.start_key, _one_line(error))
            self._report("stranger", _one_line(error), value)
            return
        fingerprint = self._fingerprint(request)
        bucket = f"{codec.clamp(request.priority)}:{codec.host_of(request)}"
        self._report("u" if request.dont_filter else "c", fingerprint, bucket, encoded)

    async def _flushed(self) -> bool:
        end = self._out.reported + len(self._out)
        while self._out.reported < end and not self._gone and not self._leaving:
            await self._exchanged()
        return self._out.reported >= end

    # Small things

    def _report(self, *op: bytes | str) -> None:
        self._out.add(op)
        self._news.set()

    def _fingerprint(self, request: Request) -> bytes:
        return self.crawler.request_fingerprinter.fingerprint(request)[:FINGERPRINT].ljust(FINGERPRINT, b"\0")

    def _once_a_run(self, request: Request, fingerprint: bytes) -> bytes:
        """The fingerprint of a start page in this run: pages fetched in an earlier run may be fetched in this one."""
        callback = getattr(request.callback, "__name__", "")
        what = dumps([self.run, callback, request.cb_kwargs], sort_keys=True).encode()
        return blake2b(fingerprint + what, digest_size=FINGERPRINT).digest()

    def _remember(self, fingerprint: bytes) -> None:
        self._recent[fingerprint] = None
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def _count(self, stat: str, by: int = 1) -> None:
        if by:
            self.crawler.stats.inc_value(stat, by)

    def _verdict(self, sentence: str) -> None:
        logger.error(sentence)
        record_fatal_error(self.crawler.stats, sentence)


_ENDS = ("done", "failed", "again", "reject")


def options_from_settings(settings: BaseSettings) -> dict[str, Any]:
    """How a `Scheduler` goes about it. Raises `InputError` for settings that are not what they should be."""
    # Some ahead of what a host may be asked at once; but one that hangs must leave room for all others.
    per_host = 2 * settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
    if total := settings.getint("CONCURRENT_REQUESTS"):
        per_host = min(per_host, total // 2)
    return {
        "prefetch": int(number(settings, "FRONTIER_PREFETCH", 16, 1)),
        "per_host": int(number(settings, "FRONTIER_PER_HOST", max(1, per_host), 1)),
        "persist": flag(settings, "SCHEDULER_PERSIST"),
        "flush_on_start": flag(settings, "SCHEDULER_FLUSH_ON_START"),
        "idle_before_close": number(settings, "SCHEDULER_IDLE_BEFORE_CLOSE", 0, 0),
    }


class FrontierMiddleware:
    """Lets one worker run start(), and refuses what cannot travel where it is yielded."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self._begun = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        seeded = start if self._begun else self._scheduler().seed(start, self._again)
        self._begun = True
        async for output in seeded:
            yield output

    async def _again(self) -> AsyncIterator[Any]:
        # All middlewares have their part in it, and `process_start` here passes it on.
        start: AsyncIterator[Any] | None = await self.crawler.engine.scraper.spidermw.process_start()
        if start is None:
            raise InputError(f"start() of {self.crawler.spidercls.name} gives nothing a second time")
        return start

    def process_spider_output(self, response: Response, result: Iterable[Any]) -> Iterable[Any]:
        for output in result:
            yield self._checked(output)

    async def process_spider_output_async(self, response: Response, result: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for output in result:
            yield self._checked(output)

    def process_spider_exception(self, response: Response, exception: Exception) -> None:
        if isinstance(exception, CloseSpider):  # of which Scrapy sends no `spider_error`
            self._scheduler().fail(response, exception)

    def _checked(self, output: Any) -> Any:
        if isinstance(output, Request):
            self._scheduler().encode(output)
        return output

    def _scheduler(self) -> Scheduler:
        scheduler = self.crawler.engine.scheduler
        if not isinstance(scheduler, Scheduler):
            raise InputError(f"SCHEDULER={type(scheduler).__name__}: expected the frontier's, as REDIS_URL is set")
        return scheduler


class _InProgress(set[Request]):
    def __init__(self, done: Callable[[Request], None]) -> None:
        super().__init__()
        self._done = done

    def remove(self, request: Request) -> None:
        super().remove(request)
        self._done(request)


def watch_engine(engine: ExecutionEngine, done: Callable[[Request], None]) -> Any:
    """Have *done* called with each request that the engine has finished with, images' and robots.txt's included.

    This is the one place that touches what Scrapy keeps to itself (tested with 2.19): the engine's slot, whose set
    `inprogress` holds the object that `next_request` returned until its callback, items and pipelines are done.
    Returns the slot: `closing` is not None once the engine takes no more, `nextcall.schedule()` makes it look again.
    """
    slot = engine._slot
    if slot is None:
        raise InputError("the engine has no slot yet; expected Scrapy 2.19")
    slot.inprogress = _InProgress(done)
    return slot


def lacks_something(item: Any) -> bool:
    """Whether *item* says that its page, an image or a video could not be had."""
    adapter = ItemAdapter(item)
    outcomes = [outcome for name in ("images", "videos") for outcome in adapter.get(name) or ()]
    return bool(adapter.get("error")) or any(
        isinstance(outcome, dict) and outcome.get("status") == "failed" for outcome in outcomes
    )


def _one_line(error: BaseException | None) -> str:
    text = re.sub(r"\s+", " ", f"{error}").strip()
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:300]
