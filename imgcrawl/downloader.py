"""The limits, kept: for images as for pages, for all workers together, and for what has come but is not yet stored."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractContextManager
from functools import partial
from socket import SOCK_STREAM
from time import monotonic
from typing import Any

import scrapy.core.downloader
from cachetools import LRUCache
from scrapy import Request, signals
from scrapy.core.downloader import Slot, _slot_jitter
from scrapy.core.downloader.handlers import DownloadHandlers
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.utils.defer import deferred_from_coro
from scrapy.utils.log import logformatter_adapter
from twisted.internet.defer import Deferred

from imgcrawl import followed
from imgcrawl.backpressure import Backpressure
from imgcrawl.engine import counted_as_in_progress, wake
from imgcrawl.limits.backend import HostLimits, HostNotes
from imgcrawl.limits.limiter import Limiter
from imgcrawl.limits.local import LocalLimits
from imgcrawl.limits.settings import LimitSettings
from imgcrawl.middlewares import MiddlewareManager
from imgcrawl.outputs import start_by_and_by, start_few_tasks
from imgcrawl.signalmanager import SignalManager
from imgcrawl.stopping import StopInTime, leave_within
from imgcrawl.turns import HostSlot, Turns
from imgcrawl.unfinished import Unfinished
from imgcrawl.urls import host_of
from imgcrawl.waiting import ScrapysDownloader, Waiting

_engine_log = logging.getLogger("scrapy.core.engine")  # it tells of every response
_ADDRESSES = 10_000  # hosts whose address is remembered


class Downloader(scrapy.core.downloader.Downloader, Waiting):
    """Scrapy's downloader, with limits that also hold for requests that do not come from the scheduler.

    Settings (Scrapy's own unless said otherwise):

    - ``CONCURRENT_REQUESTS_PER_DOMAIN``, ``DOWNLOAD_SLOTS``, ``DOWNLOAD_DELAY``, ``DOWNLOAD_DELAY_JITTER``: kept for
      every request, and with ``REDIS_URL`` for all workers of the spider together (`imgcrawl.limits`), unless
      ``LIMITS_SHARED`` (ours) is False. A proxy (meta ``proxy``) is a host of its own, besides.
    - ``AUTOTHROTTLE_ENABLED``, ``AUTOTHROTTLE_START_DELAY``, ``AUTOTHROTTLE_MAX_DELAY``,
      ``AUTOTHROTTLE_TARGET_CONCURRENCY``: as Scrapy's extension, which has no effect here; all workers have one delay.
    - A 429 or 503 doubles the delay for all workers, up to ``AUTOTHROTTLE_MAX_DELAY``; then it recovers by
      ``LIMITS_SPEEDUP`` (ours, default 2) requests a second in each second. Retry-After stops the host for all of
      them. If that is for more than ``RETRY_AFTER_MAX`` seconds, it counts for that address alone; but when a host says
      so three times in a row, what waits for it fails with `RequestRefused` (``retry_after``).
    - ``SHUTDOWN_TIMEOUT`` (ours, default 5): seconds that downloads may go on after Ctrl-C or SIGTERM (`StopInTime`).
    - ``LIMITS_BY_ADDRESS`` (ours, default False): hosts with the same address have their limits together.
    - ``CONCURRENT_REQUESTS``: never more under way in total, 0 for no limit. Scrapy looks at it only when
      it takes requests from the scheduler. Hosts take turns, so that a long queue does not hold up others.
    - ``BANDWIDTH`` (ours, bytes a second, 0 for no limit): for all workers together; each has an equal part.
    - ``IMAGES_BACKLOG_BYTES`` (ours, default 64 MiB): bytes of bodies that may be in memory, from their arrival until
      their page is fetched or their image has its outcome; beyond, nothing is sent for and nothing more is received.
    """

    def __init__(self, crawler: Crawler) -> None:
        crawler.signals = SignalManager(crawler.signals.sender)
        super().__init__(crawler)
        self.handlers.download_request_async = partial(_handled, self.handlers)  # type: ignore[method-assign] # for each image
        self.middleware = MiddlewareManager(*self.middleware.middlewares, crawler=crawler)
        settings = self.settings
        self._limit_settings = LimitSettings.from_settings(settings)
        self._by_address = settings.getbool("LIMITS_BY_ADDRESS", False)
        self.backpressure = Backpressure(
            self.total_concurrency,
            settings.getint("IMAGES_BACKLOG_BYTES", 64 * 1024 * 1024),
            lambda host: self._limits_of(host).concurrency,
            self._look_again,
        )
        self.stop = StopInTime(crawler)
        self._addresses: LRUCache[str, str] = LRUCache(_ADDRESSES)
        self.host_notes: HostNotes | None = None  # what workers tell each other about hosts; none for one alone
        self.limits = self._make_limits()
        self.turns = Turns(self.slots, self.limits, self._limit_settings, self.backpressure, self.total_concurrency)
        crawler.signals.connect(self._spider_opened, signals.spider_opened)
        crawler.signals.connect(self._spider_closed, signals.spider_closed)

    def _make_limits(self) -> Limiter:
        settings = self.settings
        if not settings.get("REDIS_URL") or not settings.getbool("LIMITS_SHARED", True):
            return Limiter(LocalLimits(), self._limits_of, self._look_at_host)
        # Nothing of Redis is loaded without REDIS_URL.
        from imgcrawl.limits.redis import OUTAGES  # noqa: PLC0415 -- loaded with REDIS_URL only
        from imgcrawl.limits.sharded import ShardedLimiter, ShardedNotes, limits_of_shards  # noqa: PLC0415 -- the same

        shards = limits_of_shards(settings, self.crawler.spidercls.name)
        self.host_notes = shards[0].notes if len(shards) == 1 else ShardedNotes(shards)

        def take_name() -> None:
            # One worker, one name, and one voice when Redis is away: the frontier's, where there is one.
            name = getattr(self.crawler.engine.scheduler, "worker", "")
            for backend in shards:
                backend.worker = name or backend.worker
            self.limits.outages_told = bool(name)

        self._take_name = take_name  # signals hold what they call weakly
        self.crawler.signals.connect(take_name, signals.spider_opened)
        limiters = [
            Limiter(
                backend,
                self._limits_of,
                self._look_at_host,
                lease=backend.lease,
                outages=OUTAGES,
                backends=len(shards),
            )
            for backend in shards
        ]
        return limiters[0] if len(limiters) == 1 else ShardedLimiter(limiters)

    def _spider_opened(self) -> None:
        self.unfinished = Unfinished(self.crawler)  # signals hold what they call weakly
        start_few_tasks(self.crawler.engine, self.unfinished)
        start_by_and_by(self.crawler.engine)

    async def _spider_closed(self, reason: str) -> None:
        await self.limits.close(leave_within(self.settings, reason, 5.0))

    def _limits_of(self, name: str) -> HostLimits:
        return self._limit_settings.limits_of(name, _slot_jitter(self.per_slot_settings.get(name, {}), self._jitter))

    def _look_at_host(self, name: str) -> None:
        self.turns.look_at_host(name)

    async def slot_of(self, request: Request) -> str:
        """The name under which the limits know the host of *request*."""
        host = self.get_slot_key(request)
        if request.meta.get(self.DOWNLOAD_SLOT) is not None or not self._by_address or request.meta.get("proxy"):
            return host
        if (address := self._addresses.get(host)) is None:
            address = self._addresses[host] = await _address_of(host)
        return address

    def get_slot_key(self, request: Request) -> str:
        chosen: str | None = request.meta.get(self.DOWNLOAD_SLOT)
        return host_of(request.url) if chosen is None else chosen

    def _get_slot(self, request: Request, spider: Any = None) -> tuple[str, Slot]:
        name, slot = super()._get_slot(request)
        if not isinstance(slot, HostSlot):
            slot = self.slots[name] = HostSlot(name, slot)
        return name, slot

    async def _enqueue_request(self, request: Request) -> Response:
        meta = request.meta
        if meta.get(self.DOWNLOAD_SLOT) is None:
            meta[self.DOWNLOAD_SLOT] = await self.slot_of(request)
        # A handler is built in no time that anybody counts on.
        self.handlers._get_handler(request.url.partition(":")[0])
        # Scrapy's starts a task for the download, and two Deferreds carry the result back from it. Here the
        # request's own task waits for its turn.
        _, slot = self._get_slot(request)
        slot.active.add(request)
        self.signals.send_catch_log(
            signal=signals.request_reached_downloader, request=request, spider=self.crawler.spider
        )
        turn = self.turns.wait_in(slot, request)
        try:
            await turn
            return await self._download_in_turn(slot, request)
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and request in slot.transferring:  # cancelled as its turn came
                slot.transferring.remove(request)
                self.turns.done(slot, request, None, monotonic())
            raise
        finally:
            slot.active.remove(request)

    def fetch(self, request: Request, spider: Any = None) -> Deferred[Response | Request]:
        def taken(result: Any) -> Any:
            # In the same step in which the engine takes the result. Were it at the end of the task, one turn of the
            # loop before, the engine could find nothing under way in between, and close with a callback still to come.
            self.active.remove(request)
            followed.settle(request, result)
            return result

        # Counted here and not in the task, which begins later: the engine looks at once whether there is room for more.
        self.active.add(request)
        active = self.backpressure.begin(self.get_slot_key(request))

        async def fetch() -> Response | Request:
            with self.backpressure.working_on(active):
                return await self._through_middlewares(request)

        return deferred_from_coro(fetch()).addBoth(taken)

    async def _through_middlewares(self, request: Request) -> Response | Request:
        return await self.stop.in_time(request, self.middleware.download_async(self._enqueue_request, request))

    def count_as_active(self, request: Request) -> AbstractContextManager[None]:
        """While this lasts, the image that *request* asks for counts as under way, whatever is being done with it, and
        so do the bytes of it that are in memory."""
        return self.backpressure.count_as_active(self.get_slot_key(request))

    async def download(self, request: Request) -> Response:
        """What `engine.download_async` does, in the caller's own task, for an image that is `count_as_active`.
        Middlewares, limits, signals and stats are the same; there are no Deferreds on the way.
        """
        engine, spider = self.crawler.engine, self.crawler.spider
        if engine is None or spider is None:
            raise RuntimeError(f"No open spider to crawl: {request}")
        while True:
            with counted_as_in_progress(engine, request):
                self.active.add(request)
                try:
                    result = await self._through_middlewares(request)
                finally:
                    self.active.remove(request)
            if isinstance(result, Response):
                break
            request = result
        if result.request is None:
            result.request = request
        # Scrapy's loggers let everything through, and its handlers drop it: making a line costs more than to look.
        if any(handler.level <= logging.DEBUG for handler in logging.root.handlers):
            crawled = engine.logformatter.crawled(result.request, result, spider)
            if crawled:  # a user's formatter may leave it out
                _engine_log.log(*logformatter_adapter(crawled), extra={"spider": spider})
        self.signals.send_catch_log(
            signal=signals.response_received, response=result, request=result.request, spider=spider
        )
        return result

    async def keep_delay(self, request: Request, seconds: float) -> None:
        """No gap between two requests to the host of *request* is shorter than this (Crawl-delay)."""
        self.limits.floor(await self.slot_of(request), seconds)

    async def wait_for(self, request: Request, seconds: float) -> bool:
        """Wait in a middleware until the host of *request*, which asked for that many *seconds*, may be asked again.

        False as soon as the crawl is being stopped.
        """
        name = await self.slot_of(request)
        while await self.wait(seconds):
            seconds = self.limits.blocked(name)
            if seconds <= 0:
                return True
        return False

    def needs_backout(self) -> bool:
        return self.backpressure.is_busy(self.turns.stuck)

    def _look_again(self) -> None:
        """There may be room for another request, or for another page."""
        self.turns.give()
        if self.crawler.engine:
            wake(self.crawler.engine)

    def _process_queue(self, slot: Slot) -> None:
        """Scrapy's, once a request has left: `_turns` hears of that when it is `done`."""

    async def _download_in_turn(self, slot: Slot, request: Request) -> Response:
        sent = monotonic()
        response: Response | None = None
        try:
            response = await self._download(slot, request)
            return response
        finally:
            self.turns.done(slot, request, response, sent)


def downloader_of(crawler: Crawler) -> Downloader | ScrapysDownloader:
    """The crawl's downloader, as middlewares see it; the setting DOWNLOADER may name one that is not ours."""
    downloader = crawler.engine.downloader
    return downloader if isinstance(downloader, Downloader) else ScrapysDownloader(crawler)


async def download(crawler: Crawler, request: Request) -> Response:
    """The answer to *request*, that of a medium, which waits for its turn by itself."""
    downloader = crawler.engine.downloader
    if isinstance(downloader, Downloader):
        return await downloader.download(request)
    return await crawler.engine.download_async(request)


async def _handled(handlers: DownloadHandlers, request: Request) -> Response:
    """What *handlers* do, without taking the address apart to see its scheme."""
    if (handler := handlers._get_handler(request.url.partition(":")[0])) and not handlers._old_style_handlers:
        return await handler.download_request(request)
    return await DownloadHandlers.download_request_async(handlers, request)


async def _address_of(host: str) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=SOCK_STREAM)
    except (OSError, UnicodeError):
        return host
    # The same one for all workers, whatever the order they are told.
    return min(str(address[0]) for *_, address in found)
