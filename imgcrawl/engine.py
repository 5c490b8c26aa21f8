"""What this project needs of Scrapy's engine and Scrapy keeps to itself. Tested with Scrapy 2.19.

The engine's slot is there from before the scheduler is opened until the spider is closed. It is touched here only.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from scrapy import Request
from scrapy.core.engine import ExecutionEngine
from scrapy.crawler import Crawler, CrawlerRunner, CrawlerRunnerBase
from scrapy.utils.asyncgen import as_async_generator
from scrapy.utils.defer import aiter_errback, iter_errback

from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    from types import FrameType

    from scrapy.core.scraper import Scraper
    from scrapy.http import Response
    from scrapy.statscollectors import StatsCollector
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure


_AT_ONCE = 32  # requests that are taken without a turn for others


def downloader_in(crawler: Crawler) -> object:
    """The downloader of *crawler*; None before it crawls, as where a part is used without a crawl."""
    try:
        return crawler.engine.downloader
    except RuntimeError:
        return None


def scheduler_in(crawler: Crawler) -> object:
    """The scheduler of *crawler*; None before it crawls, and where its pages are saved ones."""
    try:
        return getattr(crawler.engine, "scheduler", None)
    except RuntimeError:
        return None


def deferred_runner() -> CrawlerRunner | None:
    """The runner in whose making the caller is called, if its crawls are Deferreds. Scrapy gives add-ons its settings
    only."""
    frame: FrameType | None = sys._getframe(1)
    while frame and (frame := frame.f_back) and not isinstance(frame.f_locals.get("self"), CrawlerRunnerBase):
        pass
    runner = frame and frame.f_locals["self"]
    return runner if isinstance(runner, CrawlerRunner) else None


def count_as_told(deferred: Deferred[Any]) -> None:
    """Have Twisted log no traceback of the failure that *deferred* may have, if nobody takes it. (It is still there for
    who does, as the exception of a task is.)"""
    if deferred._debugInfo:
        deferred._debugInfo.failResult = None


def is_stopping(engine: ExecutionEngine) -> bool:
    """Whether *engine* starts no more requests: it closes its spider, for whatever reason, or has none."""
    return engine._slot is None or engine._slot.closing is not None


def pages_left(crawler: Crawler) -> int | None:
    """How many pages wait in the scheduler of *crawler*, are asked for or wait to be read. None while its spider may
    begin others by itself, and where workers share a queue or it is not crawling."""
    scheduler: Any = scheduler_in(crawler)
    if scheduler is None or getattr(scheduler, "shared_run", None) is not None or not hasattr(scheduler, "__len__"):
        return None
    engine = crawler.engine
    if engine._slot is None or engine._start is not None:
        return None
    asked = sum(not request.meta.get("media") for request in engine.downloader.active)
    scraper = engine.scraper.slot
    return len(scheduler) + asked + (len(scraper.queue) if scraper else 0)


def wake(engine: ExecutionEngine) -> None:
    """Have *engine* ask its scheduler again, and see whether it is idle."""
    if engine._slot is not None:
        engine._slot.nextcall.schedule()


def on_request_finished(engine: ExecutionEngine, callback: Callable[[Request], None]) -> None:
    """Have *callback* called with each request that *engine* has finished with, images' and robots.txt's included.

    It is the object that `next_request` returned, once its callback or errback, all its items and their pipelines are
    done. Raises `InputError` if the engine is not what Scrapy 2.19 has.
    """
    if engine._slot is None:
        raise InputError("the engine has no slot yet; expected Scrapy 2.19")
    engine._slot.inprogress = _InProgress(callback)


def before_scraping(engine: ExecutionEngine, callback: Callable[[Request], None]) -> None:
    """Have *callback* called with each request before its callback or errback, in the context (`contextvars`) in which
    that runs, and all its items and their pipelines. It is the object that `next_request` returned."""
    scraper = engine.scraper
    scrape = scraper._scrape

    async def scrape_in_context(result: Response | Failure, request: Request) -> None:
        callback(request)
        await scrape(result, request)

    scraper._scrape = scrape_in_context  # type: ignore[method-assign] # Scrapy has no place for another Scraper


def on_count(stats: StatsCollector, callback: Callable[[str, int], None]) -> None:
    """Have *callback* called with the name of each stat that `inc_value` adds to, and what it adds."""
    inc_value = stats.inc_value

    def inc_and_tell(key: str, count: int = 1, start: int = 0, **arguments: Any) -> None:
        inc_value(key, count, start, **arguments)
        callback(key, count)

    stats.inc_value = inc_and_tell  # type: ignore[method-assign, assignment] # whatever STATS_CLASS is
    vars(stats).pop("_cached_inc_value", None)  # in which Scrapy's keeps the one before


@contextmanager
def counted_as_in_progress(engine: ExecutionEngine, request: Request) -> Iterator[None]:
    """While this lasts, *engine* does not close: *request* is under way, though not from its scheduler."""
    slot = engine._slot
    if slot is None or engine.spider is None:
        raise RuntimeError(f"No open spider to crawl: {request}")
    slot.add_request(request)
    try:
        yield
    finally:
        slot.remove_request(request)
        slot.nextcall.schedule()


def start_few_tasks(engine: ExecutionEngine) -> None:
    """Have *engine* work on what a callback gives, CONCURRENT_ITEMS of a response at a time, in as many tasks as that
    takes. Scrapy starts CONCURRENT_ITEMS (100) for each response, whatever it gives: a millisecond of each page."""
    engine.scraper.handle_spider_output_async = partial(_handle_output, engine.scraper)  # type: ignore[method-assign] # Scrapy has no place for another Scraper


async def _handle_output(
    scraper: Scraper, result: Iterable[Any] | AsyncIterator[Any], request: Request, response: Response | Failure
) -> None:
    failed = partial(scraper.handle_spider_error, request=request, response=response)
    outputs = as_async_generator(
        aiter_errback(result, failed) if isinstance(result, AsyncIterator) else iter_errback(result, failed)
    )
    await _Outputs(scraper, outputs, response).process()


class _Outputs:
    """*outputs* of *response*'s callback. (Functions that begin one another would be a circle, in which a page of some
    megabytes stays until the next collection of garbage.)"""

    def __init__(self, scraper: Scraper, outputs: AsyncGenerator[Any], response: Response | Failure) -> None:
        self._scraper = scraper
        self._outputs = outputs
        self._response = response
        self._turn = asyncio.Lock()  # an asynchronous generator is asked by one at a time
        self._tasks: list[asyncio.Task[None]] = []

    async def process(self) -> None:
        """Return when all are worked on."""
        self._begin_another()
        while not all(task.done() for task in self._tasks):
            await asyncio.wait(self._tasks)

    def _begin_another(self) -> None:
        if len(self._tasks) < self._scraper.concurrent_items:
            self._tasks.append(asyncio.create_task(self._work()))

    async def _work(self) -> None:
        is_last = self._tasks[-1]
        for number in count(1):
            async with self._turn:
                output = await anext(self._outputs, self)
            if output is self:
                return
            if self._tasks[-1] is is_last:
                self._begin_another()  # for the next one, should this take long
            await self._scraper._process_spidermw_output_async(output, self._response)
            if not number % _AT_ONCE:  # a page may give a hundred thousand requests, for which nothing waits
                await asyncio.sleep(0)


class _InProgress(set[Request]):
    def __init__(self, on_removed: Callable[[Request], None]) -> None:
        super().__init__()
        self._on_removed = on_removed

    def remove(self, request: Request) -> None:
        super().remove(request)
        self._on_removed(request)
