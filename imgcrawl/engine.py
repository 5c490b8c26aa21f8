"""What this project needs of Scrapy's engine and Scrapy keeps to itself. Tested with Scrapy 2.19.

The engine's slot is there from before the scheduler is opened until the spider is closed. It is touched here only.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from scrapy import Request
from scrapy.core.engine import ExecutionEngine
from scrapy.crawler import Crawler, CrawlerRunner, CrawlerRunnerBase
from scrapy.utils.response import _baseurl_cache, get_base_url
from twisted.python.failure import Failure

from imgcrawl.exceptions import InputError
from imgcrawl.longwork import WorkGivenUp

if TYPE_CHECKING:
    from types import FrameType

    from scrapy.http import Response, TextResponse
    from scrapy.statscollectors import StatsCollector
    from twisted.internet.defer import Deferred


_LOOKING = {f"scrapy.commands.{name}" for name in ("shell", "fetch", "view", "parse", "check")}


def give_base(response: TextResponse) -> None:
    """Have *response* its own address for a base where the one that it states is no address: each selector of it, and
    each link, would be an error."""
    try:
        get_base_url(response)
    except ValueError:
        _baseurl_cache[response] = response.url


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


def runner_in_making() -> CrawlerRunnerBase | None:
    """The runner in whose making the caller is called. Scrapy gives add-ons its settings only."""
    return next((caller for caller in _callers() if isinstance(caller, CrawlerRunnerBase)), None)


def deferred_runner() -> CrawlerRunner | None:
    """The same, if its crawls are Deferreds."""
    runner = runner_in_making()
    return runner if isinstance(runner, CrawlerRunner) else None


def on_crawler_made(runner: CrawlerRunnerBase, callback: Callable[[Crawler], None]) -> None:
    """Have *callback* called with each crawler of *runner*, before its spider is made; it may raise."""
    create = runner.create_crawler

    def created(crawler_or_spidercls: Any) -> Crawler:
        crawler = create(crawler_or_spidercls)
        callback(crawler)
        return crawler

    runner.create_crawler = created  # type: ignore[method-assign]  # add-ons are asked when there is a spider


def only_looks() -> bool:
    """Whether the caller is called by a command that looks at a page or at a spider, and does not crawl."""
    return any(base.__module__ in _LOOKING for caller in _callers() for base in type(caller).__mro__)


def _callers() -> Iterator[object]:
    """The objects whose methods lead here, the last first."""
    frame: FrameType | None = sys._getframe(1)
    while frame and (frame := frame.f_back):
        yield frame.f_locals.get("self")


def crawl_by(
    runner: CrawlerRunner, make: Callable[[Callable[..., Deferred[None]]], Callable[..., Deferred[None]]]
) -> None:
    """Have *runner* crawl, from now on, with what *make* makes of that by which it crawled: it takes a crawler, and the
    arguments of its spider."""
    runner._crawl = make(runner._crawl)  # type: ignore[method-assign]  # Scrapy has no hook there


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
    begin others by itself or a page has more to give, and where workers share a queue or it is not crawling."""
    scheduler: Any = scheduler_in(crawler)
    if scheduler is None or getattr(scheduler, "shared_run", None) is not None or not hasattr(scheduler, "__len__"):
        return None
    engine = crawler.engine
    if engine._slot is None or engine._start is not None or any(made.is_long for made in in_progress(engine).made):
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
    in_progress(engine).on_removed = callback


def before_scraping(engine: ExecutionEngine, callback: Callable[[Request], None]) -> None:
    """Have *callback* called with each request before its callback or errback, in the context (`contextvars`) in which
    that runs, and all its items and their pipelines. It is the object that `next_request` returned."""
    scraper = engine.scraper
    scrape = scraper._scrape

    async def scrape_in_context(result: Response | Failure, request: Request) -> None:
        callback(request)
        await scrape(result, request)

    scraper._scrape = scrape_in_context  # type: ignore[method-assign] # Scrapy has no place for another Scraper


def when_given_up(engine: ExecutionEngine, callback: Callable[[Response | Failure], None]) -> None:
    """Have *callback* called with what a callback or an errback was working on that has raised `WorkGivenUp`. (Scrapy
    knows errors only, and would wait for its end for ever.)"""
    scraper = engine.scraper
    scrape = scraper._scrape

    async def scrape_or_give_up(result: Response | Failure, request: Request) -> None:
        try:
            await scrape(result, request)
        except WorkGivenUp:
            callback(result)

    scraper._scrape = scrape_or_give_up  # type: ignore[method-assign] # as above


def on_count(stats: StatsCollector, callback: Callable[[str, int], None]) -> None:
    """Have *callback* called with the name of each stat that `inc_value` adds to, and what it adds."""
    inc_value = stats.inc_value

    def inc_and_tell(key: str, count: int = 1, start: int = 0, *spider: Any, **arguments: Any) -> None:
        inc_value(key, count, start, *spider, **arguments)
        callback(key, count)

    stats.inc_value = inc_and_tell  # type: ignore[method-assign] # whatever STATS_CLASS is
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


def on_output(engine: ExecutionEngine, work_on: Callable[..., Coroutine[Any, Any, None]]) -> None:
    """Have *engine* call *work_on* with what a callback gives, its request and its response."""
    engine.scraper.handle_spider_output_async = work_on  # type: ignore[method-assign] # Scrapy has no place for another Scraper


async def take_output(engine: ExecutionEngine, output: Any, response: Response | Failure) -> None:
    """Queue *output* of a callback if it is a request, else pass it through the pipelines."""
    await engine.scraper._process_spidermw_output_async(output, response)


def on_start(
    engine: ExecutionEngine,
    read: Callable[[AsyncIterator[Any]], AsyncIterator[Any]],
    newest: Callable[[], Request | None],
) -> None:
    """Have *engine* take what *read* gives of start(), if that is not at its end. Where *newest*, which is the request
    that *read* has just given, cannot be queued, that is told and the next one is taken."""
    if engine._start is None:
        return
    engine._start = read(engine._start)
    process_next = engine._process_start_next

    async def process_next_or_tell() -> None:
        try:
            await process_next()
        except Exception:  # of a queue, or of somebody's own part: what start() raises is told there
            request = newest()
            if request is None:
                raise
            tell_failed(engine, request)

    engine._process_start_next = process_next_or_tell  # type: ignore[method-assign] # Scrapy stops the crawl


def start_again(engine: ExecutionEngine) -> bool:
    """Have *engine* run start() once more, if that is at its end and the spider goes on: whether it does."""
    if engine._start is not None or is_stopping(engine):
        return False

    async def run() -> None:
        engine._start = await engine.scraper.spidermw.process_start()
        if engine._slot is not None and not is_stopping(engine):
            engine._slot.heartbeat.stop()  # which is started with it
            await engine._start_request_processing()

    engine._start_request_processing_awaitable = asyncio.ensure_future(run())  # as Scrapy ends it at a stop
    return True


def tell_failed(engine: ExecutionEngine, request: Request) -> None:
    """Tell what has just been raised, as *engine* tells what a callback raises: *request* is not asked for."""
    failure = Failure()  # type: ignore[no-untyped-call] # Twisted has no types
    engine.scraper.handle_spider_error(failure, request, failure)


def in_progress(engine: ExecutionEngine) -> InProgress:
    """What *engine* works on."""
    slot = engine._slot
    if slot is None:
        raise RuntimeError("the engine has no slot yet; expected Scrapy 2.19")
    if not isinstance(slot.inprogress, InProgress):
        slot.inprogress = InProgress(slot.inprogress)
    return slot.inprogress


class _Made(Protocol):
    """The requests that a page, or start(), has given, and whether it has more to give than are made at once."""

    is_long: bool

    def taken(self, request: Request) -> None:
        """The engine has taken *request*, of this page or of another."""


class InProgress(set[Request]):
    """What the engine works on. Calls `on_removed` with each request that it is done with, and tells those that have
    `made` many which it has taken."""

    def __init__(self, requests: Iterable[Request] = ()) -> None:
        super().__init__(requests)
        self.on_removed: Callable[[Request], None] | None = None
        self.made: list[_Made] = []
        self.long_bytes = 0  # of pages that have made very many, and are not counted elsewhere

    def add(self, request: Request) -> None:
        super().add(request)
        for made in self.made:
            made.taken(request)

    def remove(self, request: Request) -> None:
        super().remove(request)
        if self.on_removed is not None:
            self.on_removed(request)
